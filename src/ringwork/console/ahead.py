"""The traffic that is expected until a plan ends, by quarter hours: the shape of its future."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from msgspec import Struct

from ringwork.ads.pacing import Forecast

QUARTER_S: Final = 900
STEPS_MAX: Final = 400
"""As many points as a curve can show; a flight of months is looked at in longer steps."""
_S_US: Final = 1_000_000

Point = tuple[int, float]
"""A moment in us and an amount."""


class Ahead(Struct, frozen=True):
    """Requests expected from the first of ``moments_s`` until each of them, ascending."""

    moments_s: list[int]
    expected: list[float]

    def until(self, at_s: float) -> float:
        """Requests expected until a moment, evenly within a step."""
        moments = self.moments_s
        step = min(max(bisect_right(moments, at_s) - 1, 0), len(moments) - 2)
        low, high = self.expected[step], self.expected[step + 1]
        part = (at_s - moments[step]) / (moments[step + 1] - moments[step])
        return low + (high - low) * min(max(part, 0.0), 1.0)


def ahead_of(forecast: Forecast | None, since_s: int, ends_s: int) -> Ahead | None:
    """What is expected of a plan's rest; None where nobody knows, or nothing is expected."""
    if forecast is None or ends_s <= since_s:
        return None
    step_s = QUARTER_S * -(-(ends_s - since_s) // (QUARTER_S * STEPS_MAX))
    first_s = (since_s // step_s + 1) * step_s
    moments_s = [since_s, *range(first_s, ends_s, step_s), ends_s]
    expected = [forecast.between(since_s, moment_s) for moment_s in moments_s]
    return Ahead(moments_s, expected) if expected[-1] > 0.0 else None


def future(ahead: Ahead | None, begin: Point, end: Point) -> list[Point]:
    """From one point to the other in the proportion of the requests expected between them.

    A straight line where nobody knows.
    """
    (begin_us, low), (end_us, high) = begin, end
    if ahead is None:
        return [begin, end]
    first = ahead.until(begin_us / _S_US)
    whole = ahead.until(end_us / _S_US) - first
    if whole <= 0.0:
        return [begin, end]
    between = [
        (at_s * _S_US, low + (high - low) * (ahead.until(at_s) - first) / whole)
        for at_s in ahead.moments_s
        if begin_us < at_s * _S_US < end_us
    ]
    return [begin, *between, end]
