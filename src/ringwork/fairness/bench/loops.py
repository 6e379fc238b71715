"""The simulator's loop over opportunities: plain Python, compiled where numba is installed.

Both give the same numbers to the last bit: the loop adds, multiplies and compares, and takes one
exponential for each change of pace.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PACE: Final = 0
LEFT: Final = 1
WINS: Final = 2
SPENT: Final = 3
VALUE: Final = 4
POSITION: Final = 5
PAID_MOST: Final = 30.0
"""No impression moves the pace by more than so many times the even spend."""


def play(  # noqa: PLR0913, PLR0917  # a kernel takes arrays, not objects
    chances: tuple[Any, ...],
    table: NDArray[np.float32],
    is_multiplier: bool,  # numba takes no keywords
    stop_at_wins: float,
    factor: NDArray[np.float64],
    eta: float,
    state: NDArray[np.float64],
    cells: tuple[Any, ...],
    sums: tuple[Any, ...],
    pool: NDArray[np.float32],
) -> None:
    """Auction after auction until ``stop_at_wins`` or the end; everything changes in place.

    ``chances``: group, cluster, member, sex_known, person, value bin, value, price. ``cells``:
    opportunities [C, B], wins [C, B], log value [C], log price [C], squares [2]. ``sums``: truth
    [G], soft [R], declared [G / R], people [G], who was reached [P]. An additive shift is taken
    from the value, a multiplier scales it.
    """
    group, cluster, member, sex_known, person, value_bin, value, price = chances
    opportunities, wins, log_value, log_price, squares = cells
    truth, soft, declared, people, reached = sums
    races = soft.shape[0]
    size = group.shape[0]
    at = int(state[POSITION])
    pace, left = state[PACE], state[LEFT]
    while at < size and state[WINS] < stop_at_wins:
        where, which = cluster[at], value_bin[at]
        worth, bar = float(value[at]), float(price[at])
        opportunities[where, which] += 1
        log_worth, log_bar = math.log(worth), math.log(bar)
        log_value[where] += log_worth
        log_price[where] += log_bar
        squares[0] += log_worth * log_worth
        squares[1] += log_bar * log_bar
        shifted = worth * table[where, which] if is_multiplier else worth - table[where, which]
        rate = factor[at * factor.shape[0] // size] * left / (size - at)
        paid = 0.0
        if shifted >= pace * bar and left >= bar:
            paid = bar
            left -= bar
            state[SPENT] += bar
            state[VALUE] += worth
            state[WINS] += 1
            wins[where, which] += 1
            whom = int(group[at])
            truth[whom] += 1
            for one in range(races):
                soft[one] += pool[whom % races, member[at], one]
            if sex_known[at]:
                declared[whom // races] += 1
            if not reached[person[at]]:
                reached[person[at]] = 1
                people[whom] += 1
        if rate > 0:
            pace *= math.exp(eta * (min(paid / rate, PAID_MOST) - 1.0))
        at += 1
    state[PACE], state[LEFT], state[POSITION] = pace, left, at


@cache
def engine() -> Callable[..., None]:
    """``play``, compiled where numba is installed."""
    try:
        from numba import njit  # noqa: PLC0415  # an extra
    except ImportError:
        return play
    compiled: Callable[..., None] = njit(cache=True, nogil=True)(play)
    return compiled
