"""Whether traffic still looks as it did when the model was made, and whether a rate has moved.

The population stability index compares shares by bin: below 0.1 nothing happened, above 0.25 the
model wants to be made again (Siddiqi, Credit Risk Scorecards, 2006). CUSUM (Page, Biometrika 1954)
sees a small lasting change of a rate, such as friction, long before any day looks odd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ringwork.gate.behave.model import BINS, Reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

WATCH: Final = 0.1
ALARM: Final = 0.25
_LEAST: Final = 1e-4
"""An empty bin counts as this share: the index stays finite."""


def reference_of(values: NDArray[np.float32]) -> Reference:
    """Tenths of a feature; fewer bins where many values are equal."""
    numbers = np.asarray(values, np.float64)
    quantiles = np.quantile(numbers, np.arange(1, BINS) / BINS, method="higher")
    edges = np.unique(quantiles[quantiles > numbers.min()])
    return Reference(tuple(edges.tolist()), tuple(shares(numbers, edges).tolist()))


def shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of values in each bin; an edge belongs to the bin above it."""
    places = np.searchsorted(edges, values, side="right")
    return np.bincount(places, minlength=len(edges) + 1) / max(len(values), 1)


def stability_index(expected: NDArray[np.float64], seen: NDArray[np.float64]) -> float:
    """Sum of (seen - expected) ln(seen / expected), at least 0."""
    one, other = np.maximum(expected, _LEAST), np.maximum(seen, _LEAST)
    return float(((other - one) * np.log(other / one)).sum())


def drift_of(reference: tuple[Reference, ...], rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """The index of every feature, float64[40], of fresh rows."""
    return np.array([
        stability_index(
            np.array(one.shares), shares(rows[:, place].astype(np.float64), np.array(one.edges))
        )
        for place, one in enumerate(reference)
    ])  # fmt: skip


class Cusum:
    """Alarms when a mean has risen: sum of (value - target - slack), never below 0, above a limit.

    ``slack`` is half of the rise that matters; a larger ``limit`` alarms later and less often.
    """

    def __init__(self, *, target: float, slack: float, limit: float) -> None:
        assert slack >= 0
        assert limit > 0
        self._target, self._slack, self._limit = target, slack, limit
        self.sum = 0.0

    def add(self, value: float) -> bool:
        """Takes the next value; True from the alarm on, until ``reset``."""
        if self.sum <= self._limit:
            self.sum = max(0.0, self.sum + value - self._target - self._slack)
        return self.sum > self._limit

    def reset(self) -> None:
        """Begins anew, once somebody has looked."""
        self.sum = 0.0
