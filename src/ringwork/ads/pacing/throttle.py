"""Probabilistic throttling: full bids in a share of the auctions, for who must not bid lower.

D. Agarwal, S. Ghosh, K. Wei, S. You, "Budget Pacing for Targeted Online Advertisements at
LinkedIn", KDD 2014: each minute the spend s is compared with the budget's part a = d * f_t / f_T of
the forecast traffic until now; the pass-through rate is multiplied by 1.1 where s < a and by 0.9
where not; it starts at 0.10, and the plan ends two hours before the day does. Ours ends it at most
a twelfth of the campaign early, so that short campaigns keep their time, and lets late calls count
as one minute. A multiplier buys the same budget's worth of cheaper impressions, so it is the
default; throttling suits fixed prices, reach, and guaranteed campaigns.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ringwork.ads.pacing.bounds import refuse_campaign, refuse_observation
from ringwork.ads.pacing.traffic import Curve, Flat

_START: Final = 0.10
_UP: Final = 1.1
_DOWN: Final = 0.9
_ADJUST_S: Final = 60.0
_EARLY_S: Final = 7_200.0
_LOWEST: Final = 1e-6


def planned_end_s(start_s: float, end_s: float) -> float:
    """When a throttled plan is to be fulfilled: early, so that the last hours can make up."""
    return end_s - min(_EARLY_S, (end_s - start_s) / 12.0)


class ThrottleState(Struct, frozen=True, array_like=True):
    """Everything the throttle knows."""

    budget_nanos: int
    start_s: float
    end_s: float
    adjusted_s: float
    spent_nanos: int
    rate: float


class ThrottlePacer:
    """The share of auctions to take part in, from the same observations as ``DualPacer``.

    The caller throws the dice, from its entropy port or a hash of the request.
    """

    def __init__(
        self, budget_nanos: int, start_s: float, end_s: float, forecast: Curve | None = None
    ) -> None:
        """ValueError: as ``DualPacer``."""
        refuse_campaign(budget_nanos, start_s, end_s, 1)
        self._curve: Curve = forecast or Flat()
        self.state = ThrottleState(budget_nanos, start_s, end_s, start_s, 0, _START)

    @classmethod
    def restored(cls, state: ThrottleState, forecast: Curve | None = None) -> ThrottlePacer:
        """One that goes on where ``state`` was, given the same forecast."""
        pacer = cls(state.budget_nanos, state.start_s, state.end_s, forecast)
        pacer.state = state
        return pacer

    def share_ppm(self, now_s: float) -> int:
        """The probability to take part, in 1e-6; 0 as ``DualPacer.multiplier`` is."""
        state = self.state
        if not state.start_s <= now_s < state.end_s or state.spent_nanos >= state.budget_nanos:
            return 0
        return max(round(state.rate * 1_000_000), 1)

    def observe(self, now_s: float, spent_nanos: int, opportunities: int) -> None:
        """As ``DualPacer.observe``; the rate moves at most once a minute."""
        refuse_observation(now_s, spent_nanos, opportunities)
        state = self.state
        spent = state.spent_nanos + spent_nanos
        state = replace(state, spent_nanos=spent)
        if now_s - state.adjusted_s >= _ADJUST_S:
            factor = _UP if spent < self.due(now_s) else _DOWN
            rate = max(min(state.rate * factor, 1.0), _LOWEST)
            state = replace(state, adjusted_s=now_s, rate=rate)
        self.state = state

    def change(
        self, now_s: float, *, budget_nanos: int | None = None, end_s: float | None = None
    ) -> None:
        """Another budget or end; the plan is the new campaign's, from its start."""
        state = self.state
        budget_nanos = state.budget_nanos if budget_nanos is None else budget_nanos
        end_s = state.end_s if end_s is None else end_s
        refuse_campaign(budget_nanos, state.start_s, end_s, 1)
        self.state = replace(state, budget_nanos=budget_nanos, end_s=end_s)

    def due(self, now_s: float) -> float:
        """What the plan wants to be spent by now."""
        state = self.state
        whole = self._curve.between(state.start_s, planned_end_s(state.start_s, state.end_s))
        past = self._curve.between(state.start_s, now_s)
        return state.budget_nanos * min(past / whole, 1.0) if whole > 0.0 else 0.0
