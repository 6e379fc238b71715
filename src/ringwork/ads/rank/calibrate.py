"""From log-odds to probabilities that mean what they say, per tier, in integers of 1e-9.

A calibration is one table: the probability at log-odds -16, -16 + 1/32, ..., 16, never decreasing,
between them linear. So the request path makes two look-ups and one multiplication, an ad that has
higher log-odds never gets a smaller probability (early stopping stays exact), and what was logged
is recomputed from the table alone. Linear pieces of 1/32 are off by at most 1/8192 of the value.

What a table is fitted on is counted by log-odds (``Evidence``), so its size does not depend on the
traffic. Platt (J. Platt 1999): two parameters, pulled towards "no change" so that ten responses
change little. Isotonic (Zadrozny, Elkan 2002), by pooling adjacent violators, on top of Platt where
there are responses enough (Niculescu-Mizil, Caruana 2005: from about a thousand). Source: ads
specification 3.16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Table = NDArray[np.int64]

Method = Literal["identity", "platt", "isotonic"]

PER_UNIT: Final = 32
LOWEST: Final = -16
HIGHEST: Final = 16
"""Odds of 1 to 9 million either way: beyond lies nothing that could be measured."""
BINS: Final = (HIGHEST - LOWEST) * PER_UNIT
KNOTS: Final = BINS + 1
ONE_PPB: Final = 10**9

ISOTONIC_FROM: Final = 1_000
"""Responses below which isotonic regression follows noise: Platt then."""
GROUP_RESPONSES: Final = 200
"""Responses in one step of the isotonic curve: 7 % noise each, before violators are pooled."""
_TRUST: Final = 10.0
"""How many responses' worth of evidence it takes to move Platt's parameters half-way."""
_STEEPEST: Final = (0.05, 20.0)
"""Bounds of Platt's slope; a curve that falls would turn the ranking around."""
_NEWTON_STEPS: Final = 50
_LEVELLINGS: Final = 3
"""Each leaves a hundredth of the error, which begins below one per cent."""

KNOT_LOGITS: Final[Floats] = LOWEST + np.arange(KNOTS) / PER_UNIT
BIN_LOGITS: Final[Floats] = (KNOT_LOGITS[:-1] + KNOT_LOGITS[1:]) / 2.0


def bins_of(logits: Floats) -> NDArray[np.int64]:
    """The bin of each of the log-odds; those beyond the ends are in the last bins."""
    at = np.floor((logits - LOWEST) * PER_UNIT).astype(np.int64)
    return np.clip(at, 0, BINS - 1)


def evidence(logits: Floats, labels: Floats) -> tuple[Floats, Floats]:
    """(rows, responses) per bin of the log-odds: what the curves are fitted on."""
    at = bins_of(logits)
    rows: Floats = np.bincount(at, minlength=BINS).astype(np.float64)
    responses: Floats = np.bincount(at, weights=labels, minlength=BINS).astype(np.float64)
    return rows, responses


def curve(rows: Floats, responses: Floats, method: Method | None = None) -> Floats:
    """The probability at every knot, fitted on (rows, responses) per bin.

    Without a ``method``: isotonic from ``ISOTONIC_FROM`` responses, else Platt, which is the
    identity where nothing is known.
    """
    if method is None:
        method = "isotonic" if responses.sum() >= ISOTONIC_FROM else "platt"
    if method == "identity":
        return _sigmoid(KNOT_LOGITS)
    slope, offset = platt(rows, responses)
    if method == "platt":
        return _sigmoid(slope * KNOT_LOGITS + offset)
    return _isotonic(slope * BIN_LOGITS + offset, rows, responses, slope * KNOT_LOGITS + offset)


def table(probabilities: Floats) -> Table:
    """The curve in 1e-9, read-only: at least 1, at most 10**9, never decreasing."""
    ppb = np.clip(np.rint(probabilities * ONE_PPB), 1, ONE_PPB).astype(np.int64)
    ppb = np.maximum.accumulate(ppb)
    ppb.flags.writeable = False
    return ppb


def apply(ppb: Table, logits: Floats) -> NDArray[np.int64]:
    """The table's probabilities in 1e-9 for many log-odds: the kernel ``p_ppb``, in arrays."""
    at = np.clip((logits - LOWEST) * PER_UNIT, 0.0, BINS)
    knot = np.minimum(at.astype(np.int64), BINS - 1)
    below = ppb[knot]
    risen: Table = ((ppb[knot + 1] - below) * (at - knot)).astype(np.int64)
    return np.add(below, risen)


def platt(rows: Floats, responses: Floats) -> tuple[float, float]:
    """(slope, offset) with ``p = sigmoid(slope * logit + offset)``, the maximum a posteriori.

    Newton's method, with a step halved until it helps. Normal priors: slope 1, and no shift where
    the evidence is, so that a level and a slope are learned apart.
    """
    used = rows > 0
    x, n, k = BIN_LOGITS[used], rows[used], responses[used]
    if not len(x):
        return 1.0, 0.0
    expected = n * _sigmoid(x)
    centre = float(expected @ x / expected.sum())
    theta = np.array([1.0, 0.0])
    design = np.stack([x - centre, np.ones_like(x)])

    def loss(at: Floats) -> float:
        line = at @ design + centre
        pull = _TRUST / 2.0 * float((at[0] - 1.0) ** 2 + at[1] ** 2)
        return float((n * np.logaddexp(0.0, line) - k * line).sum()) + pull

    now = loss(theta)
    for _ in range(_NEWTON_STEPS):
        p = _sigmoid(theta @ design + centre)
        slope_of_loss = design @ (n * p - k) + _TRUST * (theta - (1.0, 0.0))
        bend = (design * (n * p * (1.0 - p))) @ design.T + _TRUST * np.eye(2)
        step = np.linalg.solve(bend, slope_of_loss)
        while (after := loss(theta - step)) > now and np.abs(step).max() > 1e-12:
            step /= 2.0
        theta, gained, now = theta - step, now - after, after
        if gained <= 1e-12 * abs(now):
            break
    slope = float(np.clip(theta[0], *_STEEPEST))
    return slope, float(theta[1]) + centre * (1.0 - slope)


def pooled(values: Floats, weights: Floats) -> Floats:
    """The non-decreasing sequence nearest to ``values`` in weighted squares (PAV, in O(n)).

    >>> pooled(np.array([1.0, 3.0, 2.0, 4.0]), np.ones(4)).tolist()
    [1.0, 2.5, 2.5, 4.0]
    """
    means: list[float] = []
    masses: list[float] = []
    sizes: list[int] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, mass, size = value, weight, 1
        while means and means[-1] >= mean:
            below, added = means.pop(), masses.pop()
            mean = (below * added + mean * mass) / (added + mass)
            mass += added
            size += sizes.pop()
        means.append(mean)
        masses.append(mass)
        sizes.append(size)
    return np.repeat(means, sizes)


def _isotonic(lines: Floats, rows: Floats, responses: Floats, at: Floats) -> Floats:
    """Isotonic regression of the responses on ``lines``, read off at ``at``.

    Neighbouring bins are joined until each step has ``GROUP_RESPONSES``. A step stands where
    ``lines`` already predicts its average probability, and between steps the log-odds are linear:
    a curve drawn through averages of a convex function would lie above it.
    """
    used = rows > 0
    seen = responses[used]
    before = np.cumsum(seen) - seen
    last = max(0.0, np.floor(seen.sum() / GROUP_RESPONSES) - 1.0)
    joined = np.minimum(np.floor(before / GROUP_RESPONSES), last)
    group = np.unique(joined, return_inverse=True)[1]
    mass, expected, came = (
        np.bincount(group, weights=column).astype(np.float64)
        for column in (rows[used], rows[used] * _sigmoid(lines[used]), seen)
    )
    fitted = pooled(came / mass, mass)
    steps = np.flatnonzero(np.diff(fitted, prepend=-1.0))
    stood = np.add.reduceat(expected, steps) / np.add.reduceat(mass, steps)
    level = np.clip(fitted[steps], 1.0 / ONE_PPB, 1.0 - 1.0 / ONE_PPB)
    x, y = _log_odds(stood), _log_odds(level)
    shift = np.interp(at, x, y - x)  # beyond the outermost steps the curve keeps their distance
    inside = (at > x[0]) & (at < x[-1])
    drawn = np.where(inside, np.interp(at, x, y), at + shift)
    for _ in range(_LEVELLINGS):  # what was rounded off by drawing lines, over all rows
        middle = (drawn[:-1] + drawn[1:]) / 2.0
        drawn = drawn + np.log(responses.sum() / (rows @ _sigmoid(middle)))
    return _sigmoid(drawn)


_EXPONENT_MAX: Final = 700.0
"""Beyond it a float64 overflows, where the chance is 0 for every purpose."""


def _sigmoid(x: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(np.minimum(-x, _EXPONENT_MAX)))


def _log_odds(p: Floats) -> Floats:
    return np.log(p / (1.0 - p))
