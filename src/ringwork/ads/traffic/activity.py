"""What is remembered of a place's visitors: counts by keyed network, for minutes to an hour.

Everything moves by the beacons' own times alone, so that the same beacons give the same counts.
Time that goes back (a clock set back) makes a count begin anew.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

from msgspec import Struct

EVEN_MS: Final = 250
"""Timers of browsers and networks shift a beacon by so much; intervals within it are even."""
REFRESH_AT_LEAST_MS: Final = 1000
"""Below, ads come in one go and not at intervals: that is a burst, if it is anything."""
STACK_MS: Final = 5
"""Ads of one request whose beacons come within it are shown at one moment."""
STACK_ADS: Final = 3
"""So many at one moment are a stack; two side by side are ordinary."""

CROWDS_MAX: Final = 64
"""Agents that are told apart in one corner."""

Key = TypeVar("Key")
Kept = TypeVar("Kept")


class Recent(Generic[Key, Kept]):
    """The ``limit`` entries that were touched last; reading ``kept`` itself touches none."""

    __slots__ = ("_limit", "kept")

    def __init__(self, limit: int) -> None:
        self.kept: OrderedDict[Key, Kept] = OrderedDict()
        self._limit = limit

    def __len__(self) -> int:
        return len(self.kept)

    def get(self, key: Key) -> Kept | None:
        """The entry, which is now the one touched last."""
        kept = self.kept.get(key)
        if kept is not None:
            self.kept.move_to_end(key)
        return kept

    def put(self, key: Key, value: Kept) -> None:
        """Keep an entry; the one that was touched longest ago may go for it."""
        self.kept[key] = value
        self.kept.move_to_end(key)
        if len(self.kept) > self._limit:
            self.kept.popitem(last=False)


class Tally(Struct, gc=False):
    """How many in the last window, up to how the one before was spread within itself.

    Two buckets instead of a list of times: at least what the current bucket counts, at most what
    both do.
    """

    bucket: int = -2
    current: int = 0
    previous: int = 0

    def add(self, at_ms: int, window_ms: int, count: int = 1) -> int:
        """Count, and return the window's number."""
        bucket, offset = divmod(at_ms, window_ms)
        if bucket != self.bucket:
            self.previous = self.current if bucket == self.bucket + 1 else 0
            self.current = 0
            self.bucket = bucket
        self.current += count
        return self.current + self.previous * (window_ms - offset) // window_ms


class Crowd(Struct, gc=False):
    """Everybody with one agent in one network at one place: one household, or a whole school."""

    auction_id: bytes
    last_ms: int
    tally: Tally
    interval_ms: int = 0
    even: int = 0
    """Intervals in a row that were like the one before."""

    def impression(self, auction_id: bytes, at_ms: int, refresh_shortest_ms: int) -> int:
        """One more; returns how many a minute there are. The ads of one request are one moment."""
        if auction_id != self.auction_id:
            interval_ms = at_ms - self.last_ms
            is_short = REFRESH_AT_LEAST_MS <= interval_ms < refresh_shortest_ms
            is_even = is_short and abs(interval_ms - self.interval_ms) <= EVEN_MS
            self.even = self.even + 1 if is_even else 0
            self.auction_id, self.last_ms, self.interval_ms = auction_id, at_ms, interval_ms
        return self.tally.add(at_ms, 60_000)


class Corner(Struct):
    """Everybody in one network at one place."""

    impressions: Tally
    clicks: Tally
    crowds: dict[int, Crowd]
    """By agent."""
    auction_id: bytes = b""
    first_ms: int = 0
    at_once: int = 0
    unseen: int = 0
    """Stacks since anybody there saw an ad."""

    def impression(self, auction_id: bytes, at_ms: int) -> bool:
        """One more; whether it lies in a stack."""
        if auction_id != self.auction_id or not 0 <= at_ms - self.first_ms <= STACK_MS:
            self.auction_id, self.first_ms, self.at_once = auction_id, at_ms, 0
        self.at_once += 1
        if self.at_once == STACK_ADS:
            self.unseen += 1
        return self.at_once >= STACK_ADS

    def crowd(self, agent: int, auction_id: bytes, at_ms: int) -> Crowd:
        """The crowd of an agent; past ``CROWDS_MAX`` the one that came first goes."""
        crowd = self.crowds.get(agent)
        if crowd is None:
            if len(self.crowds) >= CROWDS_MAX:
                del self.crowds[next(iter(self.crowds))]
            crowd = self.crowds[agent] = Crowd(auction_id, at_ms, Tally())
        return crowd

    def clicked(self, agent: int) -> None:
        """Somebody did something: an ad was seen, and what follows is no mere refresh."""
        self.unseen = 0
        crowd = self.crowds.get(agent)
        if crowd is not None:
            crowd.even = 0

    def seen(self) -> None:
        """An ad was viewable."""
        self.unseen = 0
