"""The oracle: ``dual`` where the cluster is the true group and releases are exact. Bench only.

No platform may build it: it needs everybody's race at bid time. The simulator gives it the world of
``bench.model.unveiled``; what it saves against ``dual`` is what not knowing costs.
"""

from __future__ import annotations

from typing import Final

from ringwork.fairness.control.dual import Dual, DualState
from ringwork.fairness.control.model import AdContext, Measurement, Shift

QUANTILE: Final = 60.0
"""Exact releases leave no error to keep away from the band for, but some impressions come after
the last one: this keeps those of small ads within it."""


class Oracle:
    """Sees true groups."""

    name = "oracle"
    sees_groups = True

    def __init__(self) -> None:
        self._dual = Dual(quantile=QUANTILE)

    def start(self, ad: AdContext) -> DualState:
        return self._dual.start(ad)

    def step(self, state: DualState, measured: Measurement) -> Shift:
        return self._dual.step(state, measured)
