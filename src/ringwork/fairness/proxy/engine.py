"""Which loops run: compiled where numba is installed (the extra ``fast``), else plain.

Both give the same bits.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Codes = NDArray[np.int64]
    Rows = NDArray[np.int32]
    Table = NDArray[np.float32]
    Floats = NDArray[np.float64]


class Loops(Protocol):
    """The functions of ``compiled``, where their contracts are written."""

    def codes(self, data: Bytes, offsets: Codes, digits: int, out: Codes) -> None: ...
    def two(
        self,
        names: Table,
        areas: Table,
        name_rows: Rows,
        area_rows: Rows,
        out: Table,
        empty: Rows,
    ) -> int: ...
    def three(
        self,
        names: Table,
        areas: Table,
        first_names: Table,
        name_rows: Rows,
        area_rows: Rows,
        first_rows: Rows,
        out: Table,
        empty: Rows,
    ) -> int: ...
    def sweeps(
        self,
        likelihoods: Floats,
        areas: Rows,
        people: Floats,
        races: NDArray[np.int8],
        count: int,
        state: np.uint64,
        visits: NDArray[np.int32],
    ) -> np.uint64: ...


@functools.cache
def loops() -> Loops:
    """The loops, ready to run. The first call compiles them or reads the cache."""
    try:
        from ringwork.fairness.proxy import compiled  # noqa: PLC0415 # numba only when it is used
    except ModuleNotFoundError as missing:
        if missing.name != "numba":
            raise
        from ringwork.fairness.proxy import plain  # noqa: PLC0415

        return plain
    return compiled
