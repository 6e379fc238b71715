"""What no pacer takes: refused where it comes in, with what was expected."""

from __future__ import annotations

import math
from typing import Final

from ringwork.kernel.money import MAX_NANOS

_OPPORTUNITIES_MAX: Final = 10**15
"""Far above any interval, far below what a float counts exactly."""


def refuse_campaign(budget_nanos: int, start_s: float, end_s: float, start_ppm: int) -> None:
    """ValueError unless the four describe a campaign."""
    if not isinstance(budget_nanos, int) or not 0 <= budget_nanos <= MAX_NANOS:
        raise ValueError(f"a budget is whole nanos from 0 to 2**63 - 1, not {budget_nanos!r}")
    if not (math.isfinite(start_s) and math.isfinite(end_s)) or end_s <= start_s:
        raise ValueError(f"the end must be after the start, not from {start_s!r} to {end_s!r}")
    if not isinstance(start_ppm, int) or not 1 <= start_ppm <= 1_000_000:
        raise ValueError(f"a multiplier is 1 to 1,000,000 in 1e-6, not {start_ppm!r}")


def refuse_observation(now_s: float, spent_nanos: int, opportunities: int) -> None:
    """ValueError unless the three can have been observed."""
    if not math.isfinite(now_s):
        raise ValueError(f"a time is a number of seconds, not {now_s!r}")
    if not isinstance(spent_nanos, int) or abs(spent_nanos) > MAX_NANOS:
        raise ValueError(f"spend is whole nanos within int64, not {spent_nanos!r}")
    if not isinstance(opportunities, int) or not 0 <= opportunities <= _OPPORTUNITIES_MAX:
        raise ValueError(f"opportunities are a count from 0 to 10**15, not {opportunities!r}")
