"""A PID controller of the multiplier, to compare with: what many ad servers use.

It steers the spend of each interval towards the clock plan, budget left times the forecast's share
of the interval. Proportional and integral terms act on the logarithm of the multiplier (velocity
form, so that a multiplier at its limit does not wind up); the derivative of a noisy spend would
only amplify its noise and is left out, as is usual. It chases every deviation: compared with
``DualPacer`` it loses value to its own noise, and throttles a traffic shock.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ringwork.ads.pacing.bounds import refuse_campaign, refuse_observation
from ringwork.ads.pacing.traffic import Curve, Flat

_PROPORTIONAL: Final = 0.3
_INTEGRAL: Final = 0.05
"""Tuned on the flat day of ads specification 3.14 for its quoted gap of 0.9 % after two hours."""
_ERROR_MAX: Final = 1.0
_LOG_LOWEST: Final = math.log(1e-6)


class PidState(Struct, frozen=True, array_like=True):
    """Everything the controller knows."""

    budget_nanos: int
    start_s: float
    end_s: float
    seen_s: float
    spent_nanos: int
    log_multiplier: float
    error: float


class PidPacer:
    """``DualPacer``'s calls and guarantees, with feedback alone."""

    def __init__(
        self,
        budget_nanos: int,
        start_s: float,
        end_s: float,
        forecast: Curve | None = None,
        *,
        start_ppm: int = 500_000,
    ) -> None:
        """ValueError: as ``DualPacer``."""
        refuse_campaign(budget_nanos, start_s, end_s, start_ppm)
        self._curve: Curve = forecast or Flat()
        self.state = PidState(
            budget_nanos, start_s, end_s, start_s, 0, math.log(start_ppm / 1_000_000), 0.0
        )

    def multiplier(self, now_s: float) -> int:
        """As ``DualPacer.multiplier``."""
        state = self.state
        if not state.start_s <= now_s < state.end_s or state.spent_nanos >= state.budget_nanos:
            return 0
        return max(round(math.exp(state.log_multiplier) * 1_000_000), 1)

    def observe(self, now_s: float, spent_nanos: int, opportunities: int) -> None:
        """As ``DualPacer.observe``; opportunities do not matter to it."""
        refuse_observation(now_s, spent_nanos, opportunities)
        state = self.state
        now_s = max(now_s, state.seen_s)
        rest = self._curve.between(state.seen_s, state.end_s)
        share = self._curve.between(state.seen_s, now_s) / rest if rest > 0.0 else 0.0
        target = max(state.budget_nanos - state.spent_nanos, 0) * share
        error, log_multiplier = state.error, state.log_multiplier
        if target > 0.0:
            error = max(min(1.0 - spent_nanos / target, _ERROR_MAX), -_ERROR_MAX)
            log_multiplier += _PROPORTIONAL * (error - state.error) + _INTEGRAL * error
        self.state = replace(
            state,
            seen_s=now_s,
            spent_nanos=state.spent_nanos + spent_nanos,
            log_multiplier=max(min(log_multiplier, 0.0), _LOG_LOWEST),
            error=error,
        )

    def change(
        self, now_s: float, *, budget_nanos: int | None = None, end_s: float | None = None
    ) -> None:
        """As ``DualPacer.change``; the next interval's target is the new one's."""
        state = self.state
        budget_nanos = state.budget_nanos if budget_nanos is None else budget_nanos
        end_s = state.end_s if end_s is None else end_s
        refuse_campaign(budget_nanos, state.start_s, end_s, 1)
        self.state = replace(
            state, budget_nanos=budget_nanos, end_s=end_s, seen_s=max(now_s, state.seen_s)
        )
