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
_GUESS_IN_LUMPS: Final = 0.5
"""Charges that this guess counts for: the first sale overrules it."""
_LUMPS_KEPT: Final = 200.0
_INTERVALS_KEPT: Final = 30.0
"""Charges, or intervals where these are longer, whose scatter is remembered."""
_LUMP_MAX: Final = 2.0
"""Times what an interval with a sale spends on average: sizes that scatter as exponentials do."""
_CHARGES_MAX: Final = 10_000.0
"""What any one interval counts for: no minute's market is the next one's to better than 1 %."""
_LOG_COST_LIMITS: Final = (math.log(1e-9), math.log(2.0**63))
"""No opportunity costs less than the one or more than the other."""
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
    scatter: float
    """The sum of squared errors, and that of expectations: one over the other is one charge."""
    foreseen_nanos: float
    sale_nanos: float
    """The mean of what intervals with a sale spend; 0 before the first."""
    surprise: float

    @classmethod
    def expected(cls, nanos_per_opportunity: float, budget_nanos: int) -> Response:
        """Before anything was seen: what is planned is what the start multiplier spends."""
        lump = max(budget_nanos, 1) / _BUDGET_IN_LUMPS
        return cls(
            level=math.log(max(nanos_per_opportunity, 1e-9)),
            slope=_SLOPE,
            level_variance=_LEVEL_VARIANCE,
            covariance=0.0,
            slope_variance=_SLOPE_VARIANCE,
            scatter=lump * lump * _GUESS_IN_LUMPS,
            foreseen_nanos=lump * _GUESS_IN_LUMPS,
            sale_nanos=0.0,
            surprise=0.0,
        )

    @property
    def lump_nanos(self) -> float:
        """What one charge comes to, as far as the scatter of the spend tells."""
        lump = self.scatter / self.foreseen_nanos
        if self.sale_nanos:
            lump = min(lump, _LUMP_MAX * self.sale_nanos)
        return max(lump, 1.0)

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
        low, high = _LOG_COST_LIMITS
        before = min(max(self.level + self.slope * offset, low), high)
        foreseen = opportunities * math.exp(before)
        lump = max(self.lump_nanos, max(spent_nanos, foreseen) / _CHARGES_MAX)
        after = _mode(before, variance, spent_nanos / lump, opportunities / lump)
        mean = opportunities * math.exp(after)
        moved = (after - before) / variance
        weight = mean / lump / (1.0 + mean / lump * variance)
        deviation = math.sqrt(lump * foreseen * (1.0 + foreseen / lump * variance))
        # Errors before and after learning: of the one the learning makes too much, of the other
        # too little, and their product has the mean that is looked for.
        squared = max((spent_nanos - mean) * (spent_nanos - foreseen), 0.0)
        kept_nanos = max(_LUMPS_KEPT * lump, _INTERVALS_KEPT * mean)
        kept = min(1.0, kept_nanos / (self.foreseen_nanos + mean))
        return Response(
            level=self.level + level_gain * moved,
            slope=self.slope + slope_gain * moved,
            level_variance=level_variance - weight * level_gain * level_gain,
            covariance=self.covariance - weight * level_gain * slope_gain,
            slope_variance=slope_variance - weight * slope_gain * slope_gain,
            scatter=(self.scatter + squared) * kept,
            foreseen_nanos=(self.foreseen_nanos + mean) * kept,
            sale_nanos=_mean_sale(self.sale_nanos, spent_nanos),
            surprise=_blend(self.surprise, (spent_nanos - foreseen) / deviation),
        )


def _mean_sale(sale_nanos: float, spent_nanos: int) -> float:
    if not spent_nanos or not sale_nanos:
        return sale_nanos or float(spent_nanos)
    return _SURPRISE_KEPT * sale_nanos + (1.0 - _SURPRISE_KEPT) * spent_nanos


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
