"""Sums over spans of time: the day, the hours, the same weekday a week before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ringwork.console.facts import Bin
from ringwork.console.format import DAY_S, day_start

BIN_S: Final = 300
"""Width of a bin: 288 points a day, fine enough for a curve and coarse enough to be smooth."""
BIN_US: Final = BIN_S * 1_000_000
DAY_US: Final = DAY_S * 1_000_000
HOUR_US: Final = 3600 * 1_000_000
_LEAST_S: Final = 60
"""A bin that is younger has no rate yet: too few impressions to call it one."""


def total(bins: Sequence[Bin], ts_us: int) -> Bin:
    """The sum of several spans, dated ``ts_us``."""
    return Bin(
        ts_us=ts_us,
        requests=sum(b.requests for b in bins),
        slots=sum(b.slots for b in bins),
        sold=sum(b.sold for b in bins),
        impressions=sum(b.impressions for b in bins),
        clicks=sum(b.clicks for b in bins),
        earned_nanos=sum(b.earned_nanos for b in bins),
    )


def hourly(bins: Sequence[Bin]) -> list[Bin]:
    """One Bin an hour from the first hour with traffic to the last, quiet hours included."""
    by_hour: dict[int, list[Bin]] = {}
    for b in bins:
        by_hour.setdefault(b.ts_us // HOUR_US, []).append(b)
    if not by_hour:
        return []
    return [
        total(by_hour.get(hour, []), hour * HOUR_US)
        for hour in range(min(by_hour), max(by_hour) + 1)
    ]


def until(bins: Sequence[Bin], now_us: int) -> Bin:
    """An earlier day's sum up to the same time of day; only whole bins count."""
    into_day = now_us - day_start(now_us)
    same = [b for b in bins if b.ts_us - day_start(b.ts_us) + BIN_US <= into_day]
    return total(same, day_start(bins[0].ts_us) if bins else 0)


def impressions_of(one: Bin) -> int:
    """What the chart counts."""
    return one.impressions


def rates(
    bins: Sequence[Bin], end_us: int, *, of: Callable[[Bin], int] = impressions_of
) -> list[tuple[int, float]]:
    """``(ts_us, count a minute)`` for every bin from the first with traffic up to ``end_us``.

    The last bin is divided by what has passed of it, and left out while that is under a minute.
    """
    if not bins:
        return []
    counted = {b.ts_us: of(b) for b in bins}
    first = min(counted) // BIN_US * BIN_US
    found = []
    for start in range(first, end_us, BIN_US):
        passed_s = min(BIN_US, end_us - start) // 1_000_000
        if passed_s >= _LEAST_S:
            found.append((start + passed_s * 500_000, counted.get(start, 0) * 60 / passed_s))
    return found


def quantile(ordered: Sequence[int], share: float) -> int:
    """The smallest value that at least ``share`` of the ascending values do not exceed."""
    assert ordered, "no quantile of nothing"
    rank = -(-share * len(ordered) // 1)
    return ordered[max(0, int(rank) - 1)]
