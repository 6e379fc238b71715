"""The loops of the response model, compiled. ``plain`` is the twin; ``engine`` picks one.

Importing this module compiles it (or reads the cache beside it), so only ``engine.warm`` does.
A table of weights has 2**bits rows of (z, n, w, sqrt n): one cache line holds all that a feature
needs. Rows of keys are laid out by ``features``: the last ``crosses`` columns are for crosses.

No fast maths: sums run in the order written and nothing is fused, so that a replay gives the same
bits on every machine and in the twin. For the same reason the exponential is our own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

import numba
import numpy as np

from ringwork.ads.rank.prefetch import prefetch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Weights = NDArray[np.float32]
    Keys = NDArray[np.int64]

P = ParamSpec("P")
R = TypeVar("R")

# The constants of ads specification 3.16 as signed 64-bit numbers: multiplication wraps, and an
# arithmetic shift followed by the mask keeps the same bits as a logical one.
_GOLDEN: Final = 0x9E3779B97F4A7C15 - 2**64
_FIELD: Final = 0xC2B2AE3D27D4EB4F - 2**64
_CONTEXT: Final = 1
_AD: Final = 32
_CROSS: Final = 64
"""Numbers of the first field of each kind; 0 is the bias."""

_LOG2_E: Final = 1.4426950408889634
_LN2_HIGH: Final = 0.6931471803691238
_LN2_LOW: Final = 1.9082149292705877e-10
_POWERS: Final = 2.0 ** np.arange(-64, 65)
_TAYLOR: Final = 1.0 / np.cumprod([1.0, *range(1, 14)])
"""1 / k! for k from 0 to 13."""
_FURTHEST: Final = 40.0
"""Log-odds beyond which a probability is 0 or 1 in every digit we keep."""
_BLOCK: Final = 64
"""Rows hashed ahead: 11 KiB of slots, which stay in the first cache."""
_KNOTS_PER_UNIT: Final = 32.0
_LOWEST: Final = -16.0


_KEYS: Final = numba.types.Array(numba.int64, 1, "C", readonly=True)
_KEY_ROWS: Final = numba.types.Array(numba.int64, 2, "C", readonly=True)
_WEIGHTS: Final = numba.types.Array(numba.float32, 1, "C", readonly=True)
_GIVEN: Final = numba.types.Array(numba.float64, 1, "C", readonly=True)
"""What is only read may be read-only, as a snapshot's arrays are; writable ones fit too."""
_OUT: Final = numba.float64[::1]
_TABLE: Final = numba.float64[:, ::1]
_WHOLE: Final = numba.int64
_REAL: Final = numba.float64
_NOTHING: Final = numba.void


def _kernel(answer: object, *arguments: object) -> Callable[[Callable[P, R]], Callable[P, R]]:
    return cast(
        "Callable[[Callable[P, R]], Callable[P, R]]",
        numba.njit(cast("Any", answer)(*arguments), cache=True, nogil=True),
    )


@_kernel(_WHOLE, _WHOLE, _WHOLE, _WHOLE)
def slot(key: int, field: int, mask: int) -> int:
    """The row of the table that holds a field's value."""
    return int(((key * _GOLDEN + field * _FIELD) >> 40) & mask)


@_kernel(_REAL, _REAL)
def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), the same bits as the twin's: reduction by ln 2, Taylor to degree 13.

    The remainder is at most ln(2)/2 = 0.347, where the next term is below 2**-57.
    """
    x = -min(max(logit, -_FURTHEST), _FURTHEST)
    k = np.floor(x * _LOG2_E + 0.5)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    e = _TAYLOR[13]
    for degree in range(12, -1, -1):
        e = e * r + _TAYLOR[degree]
    return float(1.0 / (1.0 + e * _POWERS[int(k) + 64]))


@_kernel(_REAL, _KEYS, _KEYS, _WEIGHTS)
def cross_logit(ad_crosses: Keys, context_crosses: Keys, weights: Weights) -> float:
    """The sum of the cross weights of one ad and one request, not clipped yet.

    Both rows are the cross columns alone: ``ad_keys[number, -CROSS_COUNT:]``. Made to be inlined.
    """
    mask = weights.shape[0] - 1
    total = 0.0
    for k in range(ad_crosses.shape[0]):
        total += weights[slot(ad_crosses[k] ^ context_crosses[k], _CROSS + k, mask)]
    return total


@_kernel(_WHOLE, _REAL, _KEYS)
def p_ppb(logit: float, table: Keys) -> int:
    """The calibrated probability in 1e-9: ``table`` between its knots, never decreasing."""
    last = table.shape[0] - 1
    at = (logit - _LOWEST) * _KNOTS_PER_UNIT
    if at <= 0.0:
        return int(table[0])
    if at >= last:
        return int(table[last])
    knot = int(at)
    below = table[knot]
    return int(below + int((table[knot + 1] - below) * (at - knot)))


@_kernel(_REAL, _KEYS, _WHOLE, _REAL, _WEIGHTS)
def context_logit(context: Keys, crosses: int, prior: float, weights: Weights) -> float:
    """The request's share of the log-odds: prior, bias, context weights, once per request."""
    mask = weights.shape[0] - 1
    total = prior + float(weights[slot(0, 0, mask)])
    for j in range(context.shape[0] - crosses):
        total += float(weights[slot(context[j], _CONTEXT + j, mask)])
    return total


@_kernel(_NOTHING, _KEY_ROWS, _WHOLE, _WEIGHTS, _OUT)
def ad_sums(ads: Keys, crosses: int, weights: Weights, out: Floats) -> None:
    """Every ad's share of the log-odds (or of any other table): once per ad and version."""
    mask = weights.shape[0] - 1
    for row in range(ads.shape[0]):
        total = 0.0
        for j in range(ads.shape[1] - crosses):
            total += weights[slot(ads[row, j], _AD + j, mask)]
        out[row] = total


@_kernel(_NOTHING, _KEYS, _KEYS, _KEY_ROWS, _REAL, _GIVEN, _WEIGHTS, _REAL, _OUT)
def score(
    numbers: Keys,
    context_crosses: Keys,
    ads: Keys,
    context: float,
    ad_logits: Floats,
    weights: Weights,
    clip: float,
    out: Floats,
) -> None:
    """The log-odds of the numbered ads for one request."""
    first = ads.shape[1] - context_crosses.shape[0]
    for i in range(numbers.shape[0]):
        ad = numbers[i]
        crossed = cross_logit(ads[ad, first:], context_crosses, weights)
        out[i] = (context + ad_logits[ad]) + min(max(crossed, -clip), clip)


@_kernel(_NOTHING, _KEY_ROWS, _KEY_ROWS, _WHOLE, _REAL, _REAL, _WEIGHTS, _OUT)
def predict(
    contexts: Keys,
    ads: Keys,
    crosses: int,
    prior: float,
    clip: float,
    weights: Weights,
    out: Floats,
) -> None:
    """The log-odds of every (request, ad) pair of rows: what ``score`` gives, pair by pair."""
    mask = weights.shape[0] - 1
    first_context, first_ad = contexts.shape[1] - crosses, ads.shape[1] - crosses
    for row in range(out.shape[0]):
        ad = 0.0
        for j in range(first_ad):
            ad += weights[slot(ads[row, j], _AD + j, mask)]
        crossed = cross_logit(ads[row, first_ad:], contexts[row, first_context:], weights)
        context = context_logit(contexts[row], crosses, prior, weights)
        out[row] = (context + ad) + min(max(crossed, -clip), clip)


@_kernel(_NOTHING, numba.int64[:, ::1], _KEY_ROWS, _KEY_ROWS, _WHOLE, _WHOLE, _WHOLE)
def _hash_block(
    slots: Keys, contexts: Keys, ads: Keys, first: int, crosses: int, mask: int
) -> None:
    """Every slot of the rows from ``first``: bias, context, ad, crosses, as many rows as fit."""
    of_context, of_ad = contexts.shape[1] - crosses, ads.shape[1] - crosses
    for b in range(min(slots.shape[0], contexts.shape[0] - first)):
        row = first + b
        slots[b, 0] = slot(0, 0, mask)
        for j in range(of_context):
            slots[b, 1 + j] = slot(contexts[row, j], _CONTEXT + j, mask)
        for j in range(of_ad):
            slots[b, 1 + of_context + j] = slot(ads[row, j], _AD + j, mask)
        for k in range(crosses):
            mixed = contexts[row, of_context + k] ^ ads[row, of_ad + k]
            slots[b, 1 + of_context + of_ad + k] = slot(mixed, _CROSS + k, mask)


@_kernel(_NOTHING, _TABLE, _KEY_ROWS, _KEY_ROWS, _WHOLE, _GIVEN, _GIVEN, _GIVEN, _OUT)
def learn(
    table: Floats,
    contexts: Keys,
    ads: Keys,
    crosses: int,
    labels: Floats,
    weights: Floats,
    parameters: Floats,
    logits: Floats,
) -> None:
    """FTRL-proximal over the rows in order; ``logits`` gets each prediction before it was learned.

    ``parameters``: alpha, beta, l1, l2, log-odds of the prior, clip.
    """
    alpha, beta, l1, l2, prior, clip = parameters
    rate, rest = 1.0 / alpha, beta / alpha + l2
    of_context, of_ad = contexts.shape[1] - crosses, ads.shape[1] - crosses
    first_ad, first_cross = 1 + of_context, 1 + of_context + of_ad
    slots = np.zeros((_BLOCK, first_cross + crosses), np.int64)
    for row in range(labels.shape[0]):
        # A block of slots ahead: the next row's weights are fetched while this one is learned.
        if row % _BLOCK == 0:
            _hash_block(slots, contexts, ads, row, crosses, table.shape[0] - 1)
        at_row = slots[row % _BLOCK]
        if (row + 1) % _BLOCK:
            for j in range(first_cross + crosses):
                prefetch(table, slots[(row + 1) % _BLOCK, j])
        context = prior
        for j in range(first_ad):
            context += table[at_row[j], 2]
        ad = 0.0
        for j in range(first_ad, first_cross):
            ad += table[at_row[j], 2]
        crossed = 0.0
        for j in range(first_cross, first_cross + crosses):
            crossed += table[at_row[j], 2]
        logit = (context + ad) + min(max(crossed, -clip), clip)
        logits[row] = logit
        g = weights[row] * (sigmoid(logit) - labels[row])
        # A clipped sum learns only what leads back inside: more of the same would be lost.
        outward = (crossed >= clip and g < 0.0) or (crossed <= -clip and g > 0.0)
        for j in range(first_cross if outward else first_cross + crosses):
            at = at_row[j]
            n = table[at, 1] + g * g
            root = np.sqrt(n)
            z = table[at, 0] + (g - (root - table[at, 3]) * rate * table[at, 2])
            table[at, 0] = z
            table[at, 1] = n
            table[at, 3] = root
            w = -(z - np.copysign(l1, z)) / (root * rate + rest)
            table[at, 2] = w if abs(z) > l1 else 0.0
