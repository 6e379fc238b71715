"""The loops of the response model without numba: the same answers, bit for bit, but slower.

Every function does what its namesake in ``compiled`` does; the contracts are written there. Slots
are hashed for whole arrays (NumPy's int64 wraps silently in arrays), rows are learned one by one,
because each prediction needs what the row before it taught.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Weights = NDArray[np.float32]
    Keys = NDArray[np.int64]

_GOLDEN: Final = np.int64(0x9E3779B97F4A7C15 - 2**64)
_FIELD: Final = np.int64(0xC2B2AE3D27D4EB4F - 2**64)
_CONTEXT: Final = 1
_AD: Final = 32
_CROSS: Final = 64
_TAYLOR: Final[list[float]] = (1.0 / np.cumprod([1.0, *range(1, 14)])).tolist()


def slots(keys: Keys, first_field: int, mask: int) -> Keys:
    """The rows of the table for keys [..., fields], whose fields count from ``first_field``."""
    fields = np.arange(first_field, first_field + keys.shape[-1], dtype=np.int64)
    mixed: Keys = np.add(keys * _GOLDEN, fields * _FIELD)
    return (mixed >> np.int64(40)) & np.int64(mask)


def slot(key: int, field: int, mask: int) -> int:
    """See ``compiled.slot``."""
    return int(slots(np.array([key], dtype=np.int64), field, mask)[0])


def sigmoid(logit: float) -> float:
    """See ``compiled.sigmoid``."""
    x = -min(max(logit, -40.0), 40.0)
    k = math.floor(x * 1.4426950408889634 + 0.5)
    r = (x - k * 0.6931471803691238) - k * 1.9082149292705877e-10
    e = _TAYLOR[13]
    for degree in range(12, -1, -1):
        e = e * r + _TAYLOR[degree]
    return 1.0 / (1.0 + math.ldexp(e, k))


def cross_logit(ad_crosses: Keys, context_crosses: Keys, weights: Weights) -> float:
    """See ``compiled.cross_logit``."""
    return _sum(weights[slots(ad_crosses ^ context_crosses, _CROSS, len(weights) - 1)])


def p_ppb(logit: float, table: Keys) -> int:
    """See ``compiled.p_ppb``."""
    last = len(table) - 1
    at = (logit + 16.0) * 32.0
    if at <= 0.0:
        return int(table[0])
    if at >= last:
        return int(table[last])
    knot = int(at)
    below, above = int(table[knot]), int(table[knot + 1])
    return below + int((above - below) * (at - knot))


def context_logit(context: Keys, crosses: int, prior: float, weights: Weights) -> float:
    """See ``compiled.context_logit``."""
    mask = len(weights) - 1
    fields = context[: len(context) - crosses]
    bias = float(weights[slot(0, 0, mask)])
    return _sum(weights[slots(fields, _CONTEXT, mask)], prior + bias)


def ad_sums(ads: Keys, crosses: int, weights: Weights, out: Floats) -> None:
    """See ``compiled.ad_sums``."""
    found = weights[slots(ads[:, : ads.shape[1] - crosses], _AD, len(weights) - 1)]
    out[:] = 0.0
    for column in range(found.shape[1]):
        out += found[:, column]


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
    """See ``compiled.score``."""
    mixed = ads[numbers, ads.shape[1] - len(context_crosses) :] ^ context_crosses
    found = weights[slots(mixed, _CROSS, len(weights) - 1)]
    crossed = np.zeros(len(numbers))
    for column in range(found.shape[1]):
        crossed += found[:, column]
    out[:] = (context + ad_logits[numbers]) + np.clip(crossed, -clip, clip)


def predict(
    contexts: Keys,
    ads: Keys,
    crosses: int,
    prior: float,
    clip: float,
    weights: Weights,
    out: Floats,
) -> None:
    """See ``compiled.predict``."""
    mask = len(weights) - 1
    first_context, first_ad = contexts.shape[1] - crosses, ads.shape[1] - crosses
    context = np.full(len(out), prior + float(weights[slot(0, 0, mask)]))
    for column in weights[slots(contexts[:, :first_context], _CONTEXT, mask)].T:
        context += column
    ad = np.zeros(len(out))
    ad_sums(ads, crosses, weights, ad)
    crossed = np.zeros(len(out))
    for column in weights[slots(ads[:, first_ad:] ^ contexts[:, first_context:], _CROSS, mask)].T:
        crossed += column
    out[:] = (context + ad) + np.clip(crossed, -clip, clip)


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
    """See ``compiled.learn``."""
    alpha, beta, l1, l2, prior, clip = parameters.tolist()
    rates = (1.0 / alpha, beta / alpha + l2, l1)
    mask = len(table) - 1
    of_context, of_ad = contexts.shape[1] - crosses, ads.shape[1] - crosses
    context_slots = slots(contexts[:, :of_context], _CONTEXT, mask)
    ad_slots = slots(ads[:, :of_ad], _AD, mask)
    cross_slots = slots(ads[:, of_ad:] ^ contexts[:, of_context:], _CROSS, mask)
    bias = slot(0, 0, mask)
    for row in range(len(labels)):
        own, of, both = context_slots[row], ad_slots[row], cross_slots[row]
        context = _sum(table[own, 2], prior + float(table[bias, 2]))
        crossed = _sum(table[both, 2])
        logit = (context + _sum(table[of, 2])) + min(max(crossed, -clip), clip)
        logits[row] = logit
        g = float(weights[row]) * (sigmoid(logit) - float(labels[row]))
        outward = (crossed >= clip and g < 0.0) or (crossed <= -clip and g > 0.0)
        for at in (bias, *own.tolist(), *of.tolist(), *(() if outward else both.tolist())):
            table[at] = _updated(table[at].tolist(), g, rates)


def _updated(
    row: list[float], g: float, rates: tuple[float, float, float]
) -> tuple[float, float, float, float]:
    """One row of the table after gradient ``g``."""
    z, n, w, root = row
    rate, rest, l1 = rates
    n += g * g
    after = math.sqrt(n)
    z += g - (after - root) * rate * w
    w = -(z - math.copysign(l1, z)) / (after * rate + rest) if abs(z) > l1 else 0.0
    return z, n, w, after


def _sum(found: NDArray[np.floating], start: float = 0.0) -> float:
    """From left to right, as the compiled loop adds; NumPy's own sum adds in pairs."""
    for each in found.tolist():
        start += each
    return start
