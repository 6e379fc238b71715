"""Limits: how much of what one key may have in which time.

Usable alone:

    from ringwork.gate.limits import Gcra, MultiLimiter
    limiter = MultiLimiter([Gcra(limit=60, period_s=300)], clock=SystemClock())
    limiter.take1("user 17").allowed

Over machines: ``SharedLimiter``, with a store of counters.
"""

from ringwork.gate.limits.model import (
    Concurrent,
    Distinct,
    Gcra,
    Limit,
    MetaScore,
    SlidingWindow,
    Taken,
    Volume,
)
from ringwork.gate.limits.multi import MultiLimiter
from ringwork.gate.limits.shared import SharedLimiter

__all__ = [
    "Concurrent",
    "Distinct",
    "Gcra",
    "Limit",
    "MetaScore",
    "MultiLimiter",
    "SharedLimiter",
    "SlidingWindow",
    "Taken",
    "Volume",
]
