"""Shifts of many candidates at once in NumPy; ``hook_compiled`` is the twin without allocations.

Groups are padded to ``LANES``, so that a candidate of up to eight groups is one cache line: eight
numerators in nanos and eight denominators. Both twins multiply and add in the same order in single
precision, so they give the same shifts.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Lines = NDArray[np.float32]
Ints = NDArray[np.int64]
VALUE_BINS: Final = 8
MANTISSA_BITS: Final = 1
SHIFTED: Final = 23 - MANTISSA_BITS
FIRST_BITS: Final = (127 - 2) << MANTISSA_BITS
"""Exponent and first bit of the mantissa of 1/4, where the bins begin."""
LANES: Final = 8
SHIFT_MAX: Final = 1e15


def shifts(
    rows: NDArray[np.int32],
    values: Ints,
    lines: Lines,
    inverse_scales: Lines,
    weights: Lines,
    at: NDArray[np.int32],
    out: Ints,
) -> int:
    """Shifts in nanos of candidates at ``rows`` [n] of the tables (-1: 0), into ``out`` [n].

    ``lines`` [ads * B, 2 * lanes], ``inverse_scales`` [ads] per nano, ``weights`` [lanes] of the
    viewer's cluster, ``values`` [n] in nanos, ``at`` [n] scratch. Returns how many shifts were no
    number and taken as 0.
    """
    out[:] = 0
    steered = np.flatnonzero(rows >= 0)
    which = rows[steered]
    with np.errstate(all="ignore"):
        relative = values[steered].astype(np.float32) * inverse_scales[which]
        bins = np.clip((relative.view(np.int32) >> SHIFTED) - FIRST_BITS, 0, VALUE_BINS - 1)
        at[steered] = which * VALUE_BINS + bins
        line = lines[at[steered]]
        lanes = len(weights)
        above = _summed(line[:, :lanes] * weights)
        below = _summed(line[:, lanes:] * weights)
        shift = above / below
    is_number = (np.abs(shift) < SHIFT_MAX) & (below > 0)
    out[steered] = np.rint(np.where(is_number, shift, np.float32(0))).astype(np.int64)
    return int(len(steered) - is_number.sum())


def _summed(products: Lines) -> Lines:
    """In the compiled twin's order: eights as a tree, eight after eight."""
    total = np.zeros(len(products), np.float32)
    for first in range(0, products.shape[1], LANES):
        a = products[:, first : first + LANES].T
        total += ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]))
    return total
