"""Plain limits on profile pages, as services have them, and our gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from ringwork.gate import Facts, Gate, Policy, Usage
from ringwork.gate.sim.pages import Decision, Door, GateDoor, MakeDoor, Visit
from ringwork.gate.sim.world import DAY_S
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.errors import Refused
from ringwork.kernel.ports import Clock, Entropy


class Verdict(Struct, frozen=True):
    """Let in, or told to come back."""

    action: str = "allow"
    delay_s: float = 0.0
    retry_after_s: float | None = None


class Unguarded:
    """Everybody is let in."""

    def admit(self, visit: Visit) -> Decision:
        return Verdict()

    def settle(self, decision: Decision, visit: Visit) -> None:
        """Nothing is counted."""


class PerAddress(Unguarded):
    """So many requests per address and minute: what a proxy in front does."""

    def __init__(self, clock: Clock, *, per_minute: int = 60) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._seen: dict[int, tuple[int, int]] = {}

    def admit(self, visit: Visit) -> Decision:
        minute = self._clock.wall_us() // 60_000_000
        then, count = self._seen.get(visit.address, (minute, 0))
        count = count + 1 if then == minute else 1
        self._seen[visit.address] = (minute, count)
        return Verdict() if count <= self._per_minute else Verdict("block", retry_after_s=60.0)


class PerAccount(Unguarded):
    """So many different profiles per account and day, the same for everybody."""

    def __init__(self, clock: Clock, *, distinct: int = 200) -> None:
        self._clock = clock
        self._distinct = distinct
        self._seen: dict[str, tuple[float, set[int]]] = {}

    def admit(self, visit: Visit) -> Decision:
        now = self._clock.wall_us() / 1e6
        since, seen = self._seen.get(visit.account, (now, set()))
        if now >= since + DAY_S:
            since, seen = now, set()
        self._seen[visit.account] = (since, seen)
        if len(seen) >= self._distinct and visit.profile not in seen:
            return Verdict("block", retry_after_s=since + DAY_S - now)
        return Verdict()

    def settle(self, decision: Decision, visit: Visit) -> None:
        self._seen[visit.account][1].add(visit.profile)


def _ours(clock: ManualClock, entropy: Entropy) -> Door:
    gate = Gate(Policy.preset("social_graph"), clock=clock, entropy=entropy)
    return GateDoor(gate, Facts.of, Usage)


PAGE_RULES: Final[Mapping[str, MakeDoor]] = {
    "none": lambda _clock, _entropy: Unguarded(),
    "address-60": lambda clock, _entropy: PerAddress(clock),
    "account-200": lambda clock, _entropy: PerAccount(clock),
    "ringwork": _ours,
}
PLAIN: Final = ("none", "address-60", "account-200")


def door_of(name: str) -> MakeDoor:
    """The maker of a door. Raises Refused for an unknown name."""
    if name not in PAGE_RULES:
        raise Refused(
            "simulation-invalid",
            f"rules of pages: expected {', '.join(PAGE_RULES)}, got {name!r}",
            status=422,
        )
    return PAGE_RULES[name]
