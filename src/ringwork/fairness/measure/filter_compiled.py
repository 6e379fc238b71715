"""``filter_plain`` in loops, compiled; contracts are there. Importing this module compiles it.

No fast maths: sums run in the order written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numba
import numpy as np

from ringwork.fairness.measure.filter_plain import BIAS, NOISE, SUM, WITHIN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_ROWS: Final = numba.types.Array(numba.float64, 2, "A", readonly=True)
_VECTOR: Final = numba.types.Array(numba.float64, 1, "A", readonly=True)
_MEAN: Final = numba.float64[:, :, ::1]
_COVARIANCE: Final = numba.float64[:, :, :, ::1]


@numba.njit(
    numba.void(_MEAN, _COVARIANCE, _VECTOR, _ROWS, _ROWS, _ROWS, _VECTOR), cache=True, nogil=True
)
def advance(  # noqa: D103
    mean: Floats,
    covariance: Floats,
    step: Floats,
    rate: Floats,
    sampling: Floats,
    drift: Floats,
    within: Floats,
) -> None:
    for ad in range(mean.shape[0]):
        for direction in range(mean.shape[1]):
            x, spread = mean[ad, direction], covariance[ad, direction]
            x[SUM] += step[ad] * (rate[ad, direction] + x[BIAS])
            for at in range(len(x)):
                spread[SUM, at] += step[ad] * spread[BIAS, at]
            for at in range(len(x)):
                spread[at, SUM] += step[ad] * spread[at, BIAS]
            spread[SUM, SUM] += step[ad] * sampling[ad, direction]
            spread[BIAS, BIAS] += step[ad] * drift[ad, direction]
            spread[WITHIN, WITHIN] += step[ad] * within[direction]


@numba.njit(
    numba.void(numba.float64[::1], numba.float64[:, ::1], _VECTOR, numba.float64),
    cache=True,
    nogil=True,
)
def _shift(x: Floats, spread: Floats, weights: Floats, fresh: float) -> None:
    size = len(x)
    newest = 0.0
    along = np.zeros(size)
    for lag in range(size - NOISE):
        newest += weights[lag] * x[NOISE + lag]
        for at in range(size):
            along[at] += weights[lag] * spread[NOISE + lag, at]
    variance = fresh
    for lag in range(size - NOISE):
        variance += weights[lag] * along[NOISE + lag]
    for i in range(size - 1, NOISE, -1):
        x[i] = x[i - 1]
        for j in range(size - 1, NOISE, -1):
            spread[i, j] = spread[i - 1, j - 1]
        for j in range(NOISE):
            spread[i, j] = spread[i - 1, j]
            spread[j, i] = spread[i, j]
    for j in range(NOISE):
        spread[NOISE, j] = spread[j, NOISE] = along[j]
    for j in range(NOISE + 1, size):  # last: the old row of the newest noise was read until now
        spread[NOISE, j] = spread[j, NOISE] = along[j - 1]
    x[NOISE] = newest
    spread[NOISE, NOISE] = variance


@numba.njit(numba.void(_MEAN, _COVARIANCE, _ROWS, _ROWS, _ROWS), cache=True, nogil=True)
def observe(  # noqa: D103
    mean: Floats, covariance: Floats, seen: Floats, weights: Floats, fresh: Floats
) -> None:
    size = mean.shape[2]
    along = np.empty(size)
    for ad in range(mean.shape[0]):
        for direction in range(mean.shape[1]):
            x, spread = mean[ad, direction], covariance[ad, direction]
            _shift(x, spread, weights[ad], fresh[ad, direction])
            for at in range(size):
                along[at] = spread[SUM, at] + spread[WITHIN, at] + spread[NOISE, at]
            variance = along[SUM] + along[WITHIN] + along[NOISE]
            off = seen[ad, direction] - (x[SUM] + x[WITHIN] + x[NOISE])
            if not variance > 0.0 or np.isnan(off):
                continue
            for i in range(size):
                x[i] += along[i] * off / variance
                for j in range(size):
                    spread[i, j] -= along[i] * along[j] / variance
