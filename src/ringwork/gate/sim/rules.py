"""Rule sets by name: the deployed ones, and ours as a platform makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringwork.gate import contacts
from ringwork.gate.sim.deployed import DailyNumbers, Incremental, NewNumbers, Open
from ringwork.gate.sim.protocol import Directory, Guard, Mode, Numbers, Reply, SyncRequest
from ringwork.kernel.errors import Refused
from ringwork.kernel.ports import Clock, Entropy

Make = Callable[[Mode, Directory, Clock, Entropy], Guard]


class _Ours:
    """The contact guard behind the simulator's request: the same members, its own type."""

    def __init__(self, mode: Mode, directory: Directory, clock: Clock, entropy: Entropy) -> None:
        self._guard = contacts.ContactGuard(
            contacts.ContactPolicy.preset(mode), directory=directory, clock=clock, entropy=entropy
        )

    def import_books(
        self, accounts: NDArray[np.int64], offsets: NDArray[np.int64], numbers: Numbers
    ) -> None:
        self._guard.import_books(accounts, offsets, numbers)

    def forget_account(self, account: int) -> None:
        self._guard.forget_account(account)

    def sync(self, request: SyncRequest) -> Reply:
        reply: Reply = self._guard.sync(
            contacts.SyncRequest(
                account=request.account,
                numbers=request.numbers,
                token=request.token,
                scope=request.scope,
            )
        )
        return reply


RULES: Final[Mapping[str, Make]] = {
    "none": lambda _mode, directory, clock, _entropy: Open(directory, clock),
    "whatsapp-2020": lambda _mode, directory, clock, _entropy: DailyNumbers(directory, clock),
    "ndss-2021": lambda _mode, directory, clock, _entropy: Incremental(directory, clock),
    "signal-2026": lambda _mode, directory, clock, entropy: NewNumbers(directory, clock, entropy),
    "ringwork": _Ours,
}
DEPLOYED: Final = ("none", "whatsapp-2020", "ndss-2021", "signal-2026")


def make_of(name: str) -> Make:
    """The maker of a rule set. Raises Refused for an unknown name."""
    if name not in RULES:
        raise Refused(
            "simulation-invalid", f"rules: expected {', '.join(RULES)}, got {name!r}", status=422
        )
    return RULES[name]
