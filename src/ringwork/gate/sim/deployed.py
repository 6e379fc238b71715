"""Rules that real systems deploy or published, behind the guard's surface.

They are the failure cases of spec 2.2, which ours is held against: each limits how *much* may be
asked, none who may ask what. None knows discoverability: whoever is registered is answered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, overload

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.gate.sim.protocol import Directory, Numbers, SyncRequest
from ringwork.kernel.ports import Clock, Entropy

DAY_S: Final = 86_400.0


class Found(NamedTuple):
    """A number that belongs to an account."""

    number: int
    account: int


class Matches(Sequence[Found]):
    """Matches held as arrays."""

    __slots__ = ("accounts", "numbers")

    def __init__(self, numbers: Numbers, accounts: NDArray[np.int64]) -> None:
        self.numbers = numbers
        self.accounts = accounts

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Found]:
        return map(Found, self.numbers.tolist(), self.accounts.tolist())

    @overload
    def __getitem__(self, index: int) -> Found: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Found]: ...
    def __getitem__(self, index: int | slice) -> Found | Sequence[Found]:
        if isinstance(index, slice):
            return Matches(self.numbers[index], self.accounts[index])
        return Found(int(self.numbers[index]), int(self.accounts[index]))


class Answer(Struct, frozen=True):
    """What the client gets."""

    status: str
    matches: Sequence[Found] = ()
    token: bytes | None = None
    retry_after_s: float | None = None


class Open:
    """No rule: Signal in 2020, and WhatsApp's web client in 2025 (arXiv 2511.20252)."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    def import_books(
        self, accounts: NDArray[np.int64], offsets: NDArray[np.int64], numbers: Numbers
    ) -> None:
        """Nothing is kept of a book."""

    def forget_account(self, account: int) -> None:
        """Nothing is kept of an account."""

    def sync(self, request: SyncRequest) -> Answer:
        return self.answer(request)

    def answer(self, request: SyncRequest, *, since_s: float | None = None) -> Answer:
        """Who is registered, or has registered since then."""
        accounts = self._directory.accounts_of(request.numbers)
        is_found = accounts >= 0
        if since_s is not None:
            is_found[is_found] = self._directory.joined_at(accounts[is_found]) >= since_s
        return Answer("ok", Matches(request.numbers[is_found], accounts[is_found]))

    def now_s(self) -> float:
        return self._clock.wall_us() / 1e6


class DailyNumbers(Open):
    """WhatsApp as measured in 2020: about 60,000 numbers per account and day (NDSS 2021)."""

    def __init__(self, directory: Directory, clock: Clock, *, per_day: int = 60_000) -> None:
        super().__init__(directory, clock)
        self._per_day = per_day
        self._asked: dict[int, tuple[float, int]] = {}

    def forget_account(self, account: int) -> None:
        self._asked.pop(account, None)

    def sync(self, request: SyncRequest) -> Answer:
        now = self.now_s()
        since, asked = self._asked.get(request.account, (now, 0))
        if now >= since + DAY_S:
            since, asked = now, 0
        asked += len(request.numbers)
        if asked > self._per_day:
            return Answer("wait", retry_after_s=since + DAY_S - now)
        self._asked[request.account] = (since, asked)
        return self.answer(request)


class Bucket:
    """A leaky bucket per account: when it will be empty, as incremental discovery keeps it."""

    def __init__(self, capacity: int, drains_s: float) -> None:
        self._capacity = capacity
        self._each_s = drains_s / capacity
        self._drains_s = drains_s
        self._empty_s: dict[int, float] = {}

    def wait_s(self, account: int, amount: int, now_s: float) -> float:
        """0 and charged, or how long until it would fit; infinite where it never will."""
        if amount > self._capacity:
            return float("inf")
        empty = max(self._empty_s.get(account, now_s), now_s) + amount * self._each_s
        # A microsecond of grace: the last number that fits must not fail by rounding.
        over = empty - now_s - self._drains_s
        if over > 1e-6:
            return over
        self._empty_s[account] = empty
        return 0.0

    def forget(self, account: int) -> None:
        self._empty_s.pop(account, None)


class Incremental(Open):
    """Incremental contact discovery (NDSS 2021, sec. VI; contact-discovery/incremental@1367db8).

    20,000 contacts against everybody in ten days, 20,000 a day against who registered in the last
    ten days. Charged before the answer; more at once than 20,000 is always refused.
    """

    def __init__(self, directory: Directory, clock: Clock, *, contacts: int = 20_000) -> None:
        super().__init__(directory, clock)
        self._everybody = Bucket(contacts, 10 * DAY_S)
        self._recent = Bucket(contacts, DAY_S)

    def forget_account(self, account: int) -> None:
        self._everybody.forget(account)
        self._recent.forget(account)

    def sync(self, request: SyncRequest) -> Answer:
        now = self.now_s()
        is_full = request.scope == "full"
        bucket = self._everybody if is_full else self._recent
        wait = bucket.wait_s(request.account, len(request.numbers), now)
        if wait > 0:
            return Answer("wait", retry_after_s=wait)
        return self.answer(request, since_s=None if is_full else now - 10 * DAY_S)


class NewNumbers(Open):
    """Signal in 2026: 50,000 numbers, refilled by 6 an hour; what a token proves costs nothing.

    (signalapp/ContactDiscoveryService-Icelake@682576c.) There a client sends the old list with its
    token; here the old list is kept beside the token, which proves the same. A token is bound
    to its account's list: an older one proves only its own.
    """

    def __init__(
        self,
        directory: Directory,
        clock: Clock,
        entropy: Entropy,
        *,
        capacity: int = 50_000,
        per_hour: float = 6.0,
    ) -> None:
        super().__init__(directory, clock)
        self._entropy = entropy
        self._bucket = Bucket(capacity, capacity / per_hour * 3600)
        self._secret = entropy.take(32)
        self._lists: dict[int, dict[bytes, Numbers]] = {}

    def forget_account(self, account: int) -> None:
        self._bucket.forget(account)
        self._lists.pop(account, None)

    def sync(self, request: SyncRequest) -> Answer:
        if request.scope == "changes":  # not known there: the list of the token, asked again
            return Answer("ok", token=request.token)
        lists = self._lists.setdefault(request.account, {})
        proven = lists.get(request.token or b"", _NONE)
        asked = np.unique(request.numbers)
        merged = np.union1d(asked, proven) if len(proven) else asked
        wait = self._bucket.wait_s(request.account, len(merged) - len(proven), self.now_s())
        if wait > 0:
            return Answer("wait", retry_after_s=wait)
        salt = self._entropy.take(32)
        proof = hashlib.sha256(self._secret + salt + merged.tobytes()).digest()
        token = b"\1" + salt + proof
        lists[token] = merged
        if len(lists) > 2:
            del lists[next(iter(lists))]
        found = self.answer(request)
        return Answer("ok", found.matches, token)


_NONE: Final = np.zeros(0, np.uint64)
