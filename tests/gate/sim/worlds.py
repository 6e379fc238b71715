"""Guards and worlds that the simulator's tests share."""

from functools import cache

import numpy as np

from ringwork.gate.sim.deployed import Answer, Open
from ringwork.gate.sim.protocol import Directory, Mode, Numbers, SyncRequest
from ringwork.gate.sim.world import World, build
from ringwork.kernel.entropy import SeededEntropy


@cache
def small(mode: Mode = "everyone") -> World:
    """Two thousand people. Never changed: what plays in it plays in a branch."""
    return build(SeededEntropy(3), users=2_000, mode=mode)


class Counting:
    """A directory that knows what it was asked, in front of another."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.asked: list[Numbers] = []

    def accounts_of(self, numbers: Numbers) -> np.ndarray:
        self.asked.append(np.asarray(numbers))
        return self._directory.accounts_of(numbers)

    def number_of(self, account: int) -> int:
        return self._directory.number_of(account)

    def discoverability(self, accounts: np.ndarray) -> np.ndarray:
        return self._directory.discoverability(accounts)

    def joined_at(self, accounts: np.ndarray) -> np.ndarray:
        return self._directory.joined_at(accounts)


class Mute(Open):
    """Answers every sync, and names nobody."""

    def sync(self, request: SyncRequest) -> Answer:
        return Answer("ok")


class Stubborn(Open):
    """Refuses everything."""

    def sync(self, request: SyncRequest) -> Answer:
        return Answer("refused", retry_after_s=3_600)


class Told(Open):
    """Answers as ``Open``, and notes what it named and to whom."""

    def __init__(self, directory: Directory, clock: object) -> None:
        super().__init__(directory, clock)
        self.named: dict[int, set[int]] = {}
        self.requests = 0

    def sync(self, request: SyncRequest) -> Answer:
        answer = super().sync(request)
        self.requests += 1
        named = {found.number for found in answer.matches}
        self.named.setdefault(request.account, set()).update(named)
        return answer
