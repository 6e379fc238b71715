"""The twin of ``features_compiled`` without numba: the same source, interpreted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringwork.gate.analyse.features import update

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Longs = NDArray[np.int64]


def observe(rows: Longs, lines: Longs, real: NDArray[np.float64], whole: Longs) -> None:
    """See ``features_compiled.observe``."""
    states: dict[int, tuple[list[float], list[int]]] = {}
    for row, line in zip(rows.tolist(), lines.tolist(), strict=True):
        state = states.get(row)
        if state is None:
            state = states[row] = (real[row].tolist(), whole[row].tolist())
        update(*state, *line)
    for row, (reals, wholes) in states.items():
        real[row] = reals
        whole[row] = wholes
