"""Leaky buckets: how many different things somebody did lately, in bounded memory.

An event enters the bucket of its group, and the oldest one leaves every ``leak_us``. The event that
finds the bucket full overflows it; the group is then ignored for a while. A value that is in the
bucket does not enter again where values must be distinct. (CrowdSec's scenarios work like this;
gate specification 3.10.) ``buckets_compiled`` is the twin for large logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Longs = NDArray[np.int64]

LATE_US: Final = 5 * 60 * 1_000_000
"""Servers log a request when it ends, so lines come late by its duration: that much is tolerated.

A late event counts at the time that its bucket has reached. An earlier one begins a bucket anew:
the log goes back, as rotated files do that were joined in the wrong order.
"""
BUCKETS_MAX: Final = 1 << 17
"""Buckets of one detector. Beyond it the emptiest are dropped, so that a flood of addresses with
one request each cannot push out whoever is about to overflow."""


FIRST_SWEEP: Final = 4096


class Overflow(NamedTuple):
    """``position`` in the sequence that was poured, and the events since the bucket was empty."""

    position: int
    events: int


class _Bucket:
    __slots__ = ("ignored_until_us", "last_us", "leak_from_us", "poured", "values")

    def __init__(self, ts_us: int) -> None:
        self.begin(ts_us)

    def begin(self, ts_us: int) -> None:
        self.values: list[int] = []
        self.poured = 0
        self.leak_from_us = self.last_us = ts_us
        self.ignored_until_us = ts_us


class Buckets:
    """The buckets of one detector, by group."""

    def __init__(
        self,
        *,
        capacity: int,
        leak_us: int,
        blackhole_us: int,
        is_distinct: bool,
        buckets_max: int = BUCKETS_MAX,
    ) -> None:
        self._capacity = capacity
        self._leak_us = leak_us
        self._blackhole_us = blackhole_us
        self._is_distinct = is_distinct
        self._buckets: dict[int, _Bucket] = {}
        self._sweep_at = min(FIRST_SWEEP, buckets_max)
        self._buckets_max = buckets_max
        self._now_us = 0

    def __len__(self) -> int:
        return len(self._buckets)

    def pour(self, groups: Longs, values: Longs, times_us: Longs) -> list[Overflow]:
        """Pours events in the order of the log; which of them overflowed."""
        found: list[Overflow] = []
        events = zip(groups.tolist(), values.tolist(), times_us.tolist(), strict=True)
        for position, event in enumerate(events):
            poured = self._take(*event)
            if poured:
                found.append(Overflow(position, poured))
        return found

    def _take(self, group: int, value: int, ts_us: int) -> int:
        """Pours one event; the events that it overflowed with, else 0."""
        bucket = self._buckets.get(group)
        if bucket is None:
            if len(self._buckets) >= self._sweep_at:
                self._sweep()
            bucket = self._buckets[group] = _Bucket(ts_us)
        elif bucket.last_us - ts_us > LATE_US:
            bucket.begin(ts_us)
        ts_us = bucket.last_us = max(bucket.last_us, ts_us)
        if ts_us < bucket.ignored_until_us:
            return 0
        self._now_us = max(self._now_us, ts_us)
        inside = bucket.values
        if inside:
            leaked = (ts_us - bucket.leak_from_us) // self._leak_us
            if leaked > 0:
                del inside[:leaked]
                bucket.leak_from_us += leaked * self._leak_us
        if not inside:
            bucket.leak_from_us, bucket.poured = ts_us, 0
        elif self._is_distinct and value in inside:
            return 0
        inside.append(value)
        bucket.poured += 1
        if len(inside) <= self._capacity:
            return 0
        inside.clear()
        bucket.ignored_until_us = ts_us + self._blackhole_us
        return bucket.poured

    def _sweep(self) -> None:
        """Forgets buckets that are as good as new, then the emptiest where there are too many."""
        horizon_us = self._now_us - LATE_US
        leak_us = self._leak_us
        alive = {
            group: bucket
            for group, bucket in self._buckets.items()
            if bucket.ignored_until_us > horizon_us
            or bucket.leak_from_us + len(bucket.values) * leak_us > horizon_us
        }
        if len(alive) >= self._buckets_max:
            by_level = sorted(alive, key=lambda group: _rank(alive[group], self._now_us))
            for group in by_level[: len(alive) - self._buckets_max // 2]:
                del alive[group]
        self._buckets.clear()
        self._buckets.update(alive)
        self._sweep_at = min(self._buckets_max, max(self._sweep_at, 2 * len(alive)))


def _rank(bucket: _Bucket, now_us: int) -> tuple[bool, int, int]:
    """What is worth less stands first: a group that is ignored must stay so, a fuller one too."""
    return bucket.ignored_until_us > now_us, len(bucket.values), bucket.last_us
