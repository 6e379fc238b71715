"""The compiled hook; imported by ``steering`` only, because it imports numba.

No allocation and no lock; one cache line per candidate of up to eight groups. A first pass finds
and touches the lines, so that the processor fetches many of them at once; a second one computes.
See ``hook`` for what: the same to the last bit.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ringwork.fairness.control.hook import (
    FIRST_BITS,
    LANES,
    SHIFT_MAX,
    SHIFTED,
    VALUE_BINS,
    Ints,
    Lines,
)

_NEVER = np.float32(-3e38)
_SIGNATURE = (
    "int64(int32[::1], int64[::1], float32[:, ::1], float32[::1], float32[::1], int32[::1],"
    " int64[::1])"
)


@njit(inline="always")
def _eight(line: Lines, first: int, weights: Lines, at: int) -> np.float32:
    """Sum of eight products as a tree."""
    total: np.float32 = (
        (line[first] * weights[at] + line[first + 1] * weights[at + 1])
        + (line[first + 2] * weights[at + 2] + line[first + 3] * weights[at + 3])
    ) + (
        (line[first + 4] * weights[at + 4] + line[first + 5] * weights[at + 5])
        + (line[first + 6] * weights[at + 6] + line[first + 7] * weights[at + 7])
    )
    return total


@njit(_SIGNATURE, cache=True, nogil=True, error_model="numpy")
def shifts(
    rows: NDArray[np.int32],
    values: Ints,
    lines: Lines,
    inverse_scales: Lines,
    weights: Lines,
    at: NDArray[np.int32],
    out: Ints,
) -> int:
    """See ``hook.shifts``."""
    touched = np.float32(0)
    for candidate in range(rows.shape[0]):
        row = rows[candidate]
        if row >= 0:
            relative = np.float32(values[candidate]) * inverse_scales[row]
            bits = (np.float32(relative).view(np.int32) >> SHIFTED) - FIRST_BITS
            where = row * VALUE_BINS + min(max(bits, 0), VALUE_BINS - 1)
            at[candidate] = where
            touched += lines[where, 0]
    missed = 0
    if touched < _NEVER:  # whoever could leave the sum out would leave the loads out
        missed = -1
    lanes = weights.shape[0]
    for candidate in range(rows.shape[0]):
        if rows[candidate] < 0:
            out[candidate] = 0
            continue
        line = lines[at[candidate]]
        above = _eight(line, 0, weights, 0)
        below = _eight(line, lanes, weights, 0)
        for first in range(LANES, lanes, LANES):
            above += _eight(line, first, weights, first)
            below += _eight(line, lanes + first, weights, first)
        shift = above / below
        if below > 0 and abs(shift) < SHIFT_MAX:
            out[candidate] = np.int64(np.rint(shift))
        else:
            out[candidate] = 0
            missed += 1
    return missed
