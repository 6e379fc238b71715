"""How spend answers the multiplier, learned from what was spent.

``log(spend per opportunity) = level + slope * log(multiplier / start)``, locally: a line in two
logarithms, because of competing prices nothing is known beforehand but that more bid spends more.
The two numbers are a Gaussian that every interval moves: its spend is overdispersed Poisson around
``opportunities * exp(line)``, the mode is found by Newton's method and its curvature is the new
precision (West, Harrison & Migon 1985, dynamic generalised linear models; the Laplace step instead
of their conjugate one). An interval without a sale is evidence too, and ten opportunities move the
line less than ten million: the step follows from the evidence, never from the clock.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct

_SLOPE: Final = 2.0
"""A second-price buyer's spend rises like the square of its bid where prices are uniform."""
_SLOPE_LIMITS: Final = (0.7, 8.0)
"""Beyond them a step would be wild, or no step."""
_LEVEL_VARIANCE: Final = 9.0
"""At the start the spend may be off by a factor of e**3 in either direction, or more."""
_SLOPE_VARIANCE: Final = 0.5
_LEVEL_DRIFT: Final = 0.0025
"""Variance an hour: prices wander by some 5 % an hour."""
_SLOPE_DRIFT: Final = 0.002
_BUDGET_IN_LUMPS: Final = 100
"""Before there is evidence, a budget is taken to be a hundred charges: if there are more, the first
minutes correct it; if it were thought more and is three, an hour without a sale would mean much."""
_LUMP_EVIDENCE: Final = (3.0, 60.0)
"""Intervals that the first guess of a lump counts for, and that are remembered."""
_SURPRISE_KEPT: Final = 0.9
_SURPRISE_MAX: Final = 1.0
"""The mean of the last ten or so standardised errors has a deviation of 0.23: four and more of them
are no chance but a changed market."""
_FORGETTING: Final = 0.1
"""Variance added to the level then: the market may have moved by a third."""
_NEWTON_STEPS_MAX: Final = 100


class Response(Struct, frozen=True, array_like=True):
    """The line and what is known of it. ``offset`` below is log(multiplier / start)."""

    level: float
    slope: float
    level_variance: float
    covariance: float
    slope_variance: float
    lump_sum: float
    """Of squared errors over their expectation: the nanos of one charge, times ``lump_count``."""
    lump_count: float
    smallest_nanos: int
    """The least that an interval with a sale spent: no charge is larger."""
    surprise: float

    @classmethod
    def expected(cls, nanos_per_opportunity: float, budget_nanos: int) -> Response:
        """Before anything was seen: what is planned is what the start multiplier spends."""
        count = _LUMP_EVIDENCE[0]
        return cls(
            level=math.log(max(nanos_per_opportunity, 1e-9)),
            slope=_SLOPE,
            level_variance=_LEVEL_VARIANCE,
            covariance=0.0,
            slope_variance=_SLOPE_VARIANCE,
            lump_sum=max(budget_nanos, 1) / _BUDGET_IN_LUMPS * count,
            lump_count=count,
            smallest_nanos=max(budget_nanos, 1),
            surprise=0.0,
        )

    @property
    def lump_nanos(self) -> float:
        """What one charge comes to, as far as the scatter of the spend tells."""
        return max(min(self.lump_sum / self.lump_count, 2.0 * self.smallest_nanos), 1.0)

    def offset_for(self, nanos_per_opportunity: float) -> float:
        """The offset at which an opportunity costs that much."""
        low, high = _SLOPE_LIMITS
        return (math.log(nanos_per_opportunity) - self.level) / min(max(self.slope, low), high)

    def observed(
        self, offset: float, spent_nanos: int, opportunities: int, hours: float
    ) -> Response:
        """After an interval of that length at that offset; ``opportunities`` is at least 1."""
        assert opportunities > 0
        level_variance = self.level_variance + _LEVEL_DRIFT * hours
        slope_variance = self.slope_variance + _SLOPE_DRIFT * hours
        if abs(self.surprise) > _SURPRISE_MAX:
            level_variance += _FORGETTING
        level_gain = level_variance + offset * self.covariance
        slope_gain = self.covariance + offset * slope_variance
        variance = max(level_gain + offset * slope_gain, 1e-12)
        lump = self.lump_nanos
        before = self.level + self.slope * offset
        after = _mode(before, variance, spent_nanos / lump, opportunities / lump)
        foreseen = opportunities * math.exp(before)
        mean = opportunities * math.exp(after)
        moved = (after - before) / variance
        weight = mean / lump / (1.0 + mean / lump * variance)
        scatter = math.sqrt(lump * foreseen * (1.0 + foreseen / lump * variance))
        kept = min(1.0, _LUMP_EVIDENCE[1] / (self.lump_count + 1.0))
        return Response(
            level=self.level + level_gain * moved,
            slope=self.slope + slope_gain * moved,
            level_variance=level_variance - weight * level_gain * level_gain,
            covariance=self.covariance - weight * level_gain * slope_gain,
            slope_variance=slope_variance - weight * slope_gain * slope_gain,
            lump_sum=(self.lump_sum + (spent_nanos - mean) ** 2 / mean) * kept,
            lump_count=(self.lump_count + 1.0) * kept,
            smallest_nanos=min(self.smallest_nanos, spent_nanos or self.smallest_nanos),
            surprise=_blend(self.surprise, (spent_nanos - foreseen) / scatter),
        )


def _blend(surprise: float, error: float) -> float:
    if abs(surprise) > _SURPRISE_MAX:
        surprise = 0.0  # it has just been acted on
    return _SURPRISE_KEPT * surprise + (1.0 - _SURPRISE_KEPT) * max(min(error, 5.0), -5.0)


def _mode(before: float, variance: float, charges: float, opportunities: float) -> float:
    """Where ``(y - before) / variance + opportunities * e**y = charges``.

    The left side rises and is convex, so that Newton's method from the right of the root comes down
    to it without passing it; the larger of the prior's and the data's own answer is on the right.
    """
    y = before if charges <= 0.0 else max(before, math.log(charges / opportunities))
    for _ in range(_NEWTON_STEPS_MAX):
        mean = opportunities * math.exp(y)
        step = ((y - before) / variance + mean - charges) / (1.0 / variance + mean)
        y -= step
        if abs(step) < 1e-10:
            break
    return y
