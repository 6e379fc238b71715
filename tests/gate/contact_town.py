"""A directory and a guard for examples that a person can follow by hand."""

from __future__ import annotations

import numpy as np

from ringwork.gate.contacts import ContactGuard, ContactPolicy, SyncRequest
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy

START_S = 1_764_158_400
DAY_US = 86_400_000_000


def number(i: int) -> int:
    """A number of person i; far enough from the next one to be in no run."""
    return 491_510_000_000 + i * 7_919


def numbers(*people) -> np.ndarray:
    return np.array([number(i) for i in people], dtype=np.uint64)


class Town:
    """Accounts are people: account i has number(i), unless it was moved."""

    def __init__(
        self, people, mode="everyone", *, level=2, joined_s=START_S - 400 * 86_400, **guard
    ):
        self.numbers = {i: number(i) for i in people}
        self.levels = dict.fromkeys(people, level)
        self.joined = dict.fromkeys(people, float(joined_s))
        self.default_level = level
        self.clock = ManualClock(START_S * 1_000_000)
        self.judged = []
        policy = guard.pop("policy", None) or ContactPolicy.preset(mode)
        self.guard = ContactGuard(
            policy,
            directory=self,
            clock=self.clock,
            entropy=SeededEntropy(1),
            watch=self.judged.append,
            **guard,
        )

    def join(self, account, at=None, *, days_ago=0.0):
        self.numbers[account] = number(account) if at is None else at
        self.levels[account] = self.default_level
        self.joined[account] = self.clock.wall_us() / 1e6 - days_ago * 86_400

    def accounts_of(self, numbers):
        owner = {n: account for account, n in self.numbers.items()}
        return np.array([owner.get(n, -1) for n in numbers.tolist()], dtype=np.int64)

    def number_of(self, account):
        return self.numbers.get(account, -1)

    def discoverability(self, accounts):
        return np.array([self.levels[a] for a in accounts.tolist()], dtype=np.uint8)

    def joined_at(self, accounts):
        return np.array([self.joined[a] for a in accounts.tolist()], dtype=np.float64)

    def have(self, books: dict):
        """Import books: person -> people."""
        rows = [numbers(*book) for book in books.values()]
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        self.guard.import_books(np.array(list(books)), offsets, np.concatenate(rows))

    def sync(self, account, people, **request):
        sent = numbers(*people) if not isinstance(people, np.ndarray) else people
        return self.guard.sync(SyncRequest(account=account, numbers=sent, **request))

    def found(self, account, people, **request):
        answer = self.sync(account, people, **request)
        assert answer.status == "ok", answer.status
        return {match.account for match in answer.matches}

    def days(self, count):
        self.clock.advance_us(int(count * DAY_US))
