"""``features.update`` for all lines of a block, compiled from the same source.

``features_plain`` is the twin without numba. Importing this module compiles it or reads the cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numba
from numba import extending

from ringwork.gate.analyse import features

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Longs = NDArray[np.int64]

# The two helpers are compiled into their caller, as if they were written there.
extending.overload(features.count_answer, strict=False)(lambda *_: features.count_answer)
extending.overload(features.count_page, strict=False)(lambda *_: features.count_page)
_update: Final[Any] = numba.njit(nogil=True)(features.update)


def _observe(
    rows: Longs,
    lines: NDArray[np.int64],
    real: NDArray[np.float64],
    whole: NDArray[np.int64],
) -> None:
    for one in range(len(rows)):
        row, line = rows[one], lines[one]
        _update(
            real[row], whole[row], line[0], line[1], line[2], line[3], line[4], line[5], line[6],
            line[7], line[8], line[9], line[10],
        )  # fmt: skip


_compiled: Final = numba.njit(
    numba.void(numba.int64[::1], numba.int64[:, ::1], numba.float64[:, ::1], numba.int64[:, ::1]),
    cache=True,
    nogil=True,
)(_observe)


def observe(rows: Longs, lines: Longs, real: NDArray[np.float64], whole: Longs) -> None:
    """Takes lines, int64[lines, 11] in the order of ``update``, each into its row of state."""
    cast("Any", _compiled)(rows, lines, real, whole)
