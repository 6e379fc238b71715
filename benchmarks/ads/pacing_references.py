"""The reference controllers of ads specification 3.14, beside which ours is measured.

The dual controller of Balseiro & Gur (Management Science 65(9), 2019) in the multiplicative form
that the specification gives, updated each minute: bid v / (1 + mu) and mu <- mu * exp(-eta *
(rho - z) / rho), eta = T ** -1/2. rho is the minute's share of the budget left by the forecast, z
what the minute spent. The PID is ``ringwork.ads.pacing.PidPacer``, which is there for this.
"""

from __future__ import annotations

import math
from typing import Final

from ringwork.ads.pacing import DAY_MINUTES, Curve

_ETA: Final = DAY_MINUTES**-0.5
_STEP_MAX: Final = 2.0
_MU_LIMITS: Final = (1e-3, 1e3)


class DualReference:
    """Gradient steps of the dual variable, towards the forecast's plan."""

    def __init__(
        self, budget_nanos: int, start_s: float, end_s: float, forecast: Curve | None = None
    ) -> None:
        self._budget_nanos = budget_nanos
        self._end_s = end_s
        self._curve = forecast
        self._seen_s = start_s
        self._spent_nanos = 0
        self._mu = 1.0

    def multiplier(self, now_s: float) -> int:
        return round(1_000_000 / (1.0 + self._mu)) if self._spent_nanos < self._budget_nanos else 0

    def observe(self, now_s: float, spent_nanos: int, opportunities: int) -> None:
        share = self._expected(now_s) / self._expected(self._end_s)
        rho = max(self._budget_nanos - self._spent_nanos, 0) * share
        self._spent_nanos += spent_nanos
        self._seen_s = now_s
        if rho > 0.0:
            step = min(_ETA * (spent_nanos - rho) / rho, _STEP_MAX)
            low, high = _MU_LIMITS
            self._mu = min(max(self._mu * math.exp(step), low), high)

    def change(self, now_s: float, *, budget_nanos: int | None = None) -> None:
        if budget_nanos is not None:
            self._budget_nanos = budget_nanos

    def _expected(self, until_s: float) -> float:
        if self._curve is None:
            return until_s - self._seen_s
        return self._curve.between(self._seen_s, until_s)
