"""How far predicted probabilities can be trusted: the figures of ads specification 3.16.

Ranking (AUC), both (log loss; normalised entropy = log loss over that of the base rate, X. He et
al., "Practical Lessons from Predicting Clicks on Ads at Facebook", 2014), and calibration
(predicted over real responses; expected calibration error over 20 bins of equal mass; deciles).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ECE_BINS: Final = 20
DECILES: Final = 10
_LEAST: Final = 1e-9
"""Probabilities are kept in 1e-9; a log loss of a smaller one would be of no real prediction."""


class Decile(Struct, frozen=True):
    """A tenth of the rows, by predicted probability: what was said and what happened."""

    rows: int
    predicted: float
    seen: float


class Reliability(Struct, frozen=True):
    """The figures of one set of rows; NaN where they are not defined (no response, or all)."""

    rows: int
    responses: int
    auc: float
    log_loss: float
    normalised_entropy: float
    ratio: float
    """Sum of the predicted over sum of the real responses."""
    ece: float
    deciles: tuple[Decile, ...]


def reliability(probabilities: Floats, labels: Floats) -> Reliability:
    """Judge predictions in (0, 1] by what happened, 0 or 1.

    Raises ``ValueError`` when there is nothing to judge or the lengths differ.
    """
    rows = len(probabilities)
    if rows == 0 or len(labels) != rows:
        raise ValueError(f"expected a label for each of {rows} > 0 predictions, got {len(labels)}")
    responses = float(labels.sum())
    rate = responses / rows
    loss = log_loss(probabilities, labels)
    mixed = 0.0 < rate < 1.0
    base = -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate)) if mixed else math.nan
    order = np.argsort(probabilities, kind="stable")
    sorted_p, sorted_y = probabilities[order], labels[order]
    return Reliability(
        rows=rows,
        responses=round(responses),
        auc=_auc(sorted_p, sorted_y) if mixed else math.nan,
        log_loss=loss,
        normalised_entropy=loss / base,
        ratio=float(probabilities.sum()) / responses if responses else math.nan,
        ece=sum(
            one.rows * abs(one.predicted - one.seen) for one in _bins(sorted_p, sorted_y, ECE_BINS)
        )
        / rows,
        deciles=tuple(_bins(sorted_p, sorted_y, DECILES)),
    )


def reliability_by_tier(
    probabilities: Floats, labels: Floats, tiers: Sequence[str] | NDArray[np.str_]
) -> Mapping[str, Reliability]:
    """The same for the rows of every tier that occurs."""
    of = np.asarray(tiers)
    return {
        str(tier): reliability(probabilities[of == tier], labels[of == tier])
        for tier in np.unique(of)
    }


def log_loss(probabilities: Floats, labels: Floats) -> float:
    """Mean negative log likelihood, in nats."""
    p = np.clip(probabilities, _LEAST, 1.0 - _LEAST)
    return float(-np.where(labels > 0, np.log(p), np.log1p(-p)).mean())


def _bins(sorted_p: Floats, sorted_y: Floats, count: int) -> list[Decile]:
    edges = np.linspace(0, len(sorted_p), count + 1).astype(np.int64)
    return [
        Decile(end - start, float(sorted_p[start:end].mean()), float(sorted_y[start:end].mean()))
        for start, end in pairwise(edges.tolist())
        if end > start
    ]


def _auc(sorted_p: Floats, sorted_y: Floats) -> float:
    """The chance that a response was ranked above a row without one; ties count half."""
    first = np.flatnonzero(np.diff(sorted_p, prepend=-1.0))
    positives = np.add.reduceat(sorted_y, first)
    negatives = np.add.reduceat(1.0 - sorted_y, first)
    below = np.cumsum(negatives) - negatives
    won = (positives * (below + negatives / 2.0)).sum()
    return float(won / (positives.sum() * negatives.sum()))
