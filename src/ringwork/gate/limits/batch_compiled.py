"""The loop of ``batch``, compiled; ``batch.plain`` is the twin, where the contract is written.

Importing this module compiles it (or reads the cache beside it), so only ``batch.engine`` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]

_GIVEN: Final = numba.types.Array(numba.int64, 1, "C", readonly=True)
_ROWS: Final = numba.types.Array(numba.int64, 2, "C", readonly=True)
_OUT: Final = numba.int64[::1]


def _run(
    times_ps: Whole,
    keys: Whole,
    costs: Whole,
    ends_ps: Whole,
    cells: Whole,
    violated: Whole,
    waits_ps: Whole,
) -> None:
    limits = len(cells)
    news = np.empty(limits, np.int64)
    for number in range(len(times_ps)):
        now, cost = times_ps[number], costs[number]
        bits = longest = np.int64(0)
        for k in range(limits):
            interval, burst = cells[k, 1], cells[k, 2]
            if cost > burst:
                bits |= np.int64(1) << k
                longest = np.int64(-1)
                continue
            end = ends_ps[cells[k, 0] + keys[number, k]]
            new = (end if end > now else now) + cost * interval
            news[k] = new
            over = new - now - burst * interval
            if over > 0:
                bits |= np.int64(1) << k
                if longest >= 0 and over > longest:
                    longest = over
        if bits:
            violated[number] = bits
            waits_ps[number] = longest
        else:
            for k in range(limits):
                ends_ps[cells[k, 0] + keys[number, k]] = news[k]


run: Final = cast(
    "Callable[[Whole, Whole, Whole, Whole, Whole, Whole, Whole], None]",
    numba.njit(
        cast("Any", numba.void)(_GIVEN, _ROWS, _GIVEN, _OUT, _ROWS, _OUT, _OUT),
        cache=True,
        nogil=True,
    )(_run),
)
