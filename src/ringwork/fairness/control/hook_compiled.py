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

_SIGNATURE = (
    "int64(int32[::1], int64[::1], float32[:, ::1], float32[::1], float32[::1], int32[::1],"
    " int64[::1])"
)


@njit(_SIGNATURE, cache=True, nogil=True)
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
    missed = 0 if touched == touched else 0  # the sum is used, so the loads stay
    lanes = weights.shape[0]
    for candidate in range(rows.shape[0]):
        if rows[candidate] < 0:
            out[candidate] = 0
            continue
        line = lines[at[candidate]]
        above = np.float32(0)
        below = np.float32(0)
        for first in range(0, lanes, LANES):
            above += (
                (line[first] * weights[first] + line[first + 1] * weights[first + 1])
                + (line[first + 2] * weights[first + 2] + line[first + 3] * weights[first + 3])
            ) + (
                (line[first + 4] * weights[first + 4] + line[first + 5] * weights[first + 5])
                + (line[first + 6] * weights[first + 6] + line[first + 7] * weights[first + 7])
            )
            second = lanes + first
            below += (
                (line[second] * weights[first] + line[second + 1] * weights[first + 1])
                + (line[second + 2] * weights[first + 2] + line[second + 3] * weights[first + 3])
            ) + (
                (line[second + 4] * weights[first + 4] + line[second + 5] * weights[first + 5])
                + (line[second + 6] * weights[first + 6] + line[second + 7] * weights[first + 7])
            )
        shift = above / below
        if below > 0 and abs(shift) < SHIFT_MAX:
            out[candidate] = np.int64(np.rint(shift))
        else:
            out[candidate] = 0
            missed += 1
    return missed
