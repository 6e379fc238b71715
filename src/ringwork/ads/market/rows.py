"""The market's auctions in NumPy: the twin of ``loops``, used where numba is not installed."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Tables = tuple[Ints, Floats, Floats]
"""Winners, prices and bars: a row is an auction."""

GSP: Final = 0
FIRST: Final = 1
VCG: Final = 2

_SURELY: Final = 0.999_999
"""Sums of bids are rounded: a budget this much above them is above them."""


def clear(
    bids: Floats,
    quality: Floats,
    reserve: Floats,
    factors: Floats,
    rule: int,
    left: Floats,
    out: Tables,
) -> None:
    """Clear auctions in order into ``out``: winners, prices, bars; take what is paid from ``left``.

    A bidder sits out an auction whose dearest outcome, its bid in the first place, is more than it
    has left; so nobody overspends. ``bars`` holds the scores of the last place and of the best
    loser, 0 where nobody took it: what a newcomer must pass, and what holds up the winners.
    """
    most = factors[0] * bids.sum(axis=0)
    if np.all(most <= left * _SURELY) or len(bids) == 1:
        _clear_at_once(bids, quality, reserve, factors, rule, left, out)
        return
    # Who can pay depends on what was sold before, so only what cannot run out is cleared at once.
    half = len(bids) // 2
    for part in (slice(None, half), slice(half, None)):
        clear(
            bids[part],
            quality[part] if len(quality) > 1 else quality,
            reserve[part] if len(reserve) > 1 else reserve,
            factors,
            rule,
            left,
            (out[0][part], out[1][part], out[2][part]),
        )


def _clear_at_once(
    bids: Floats,
    quality: Floats,
    reserve: Floats,
    factors: Floats,
    rule: int,
    left: Floats,
    out: Tables,
) -> None:
    """Clear auctions of which none changes who can pay in the next."""
    winners, prices, bars = out
    auctions, places = winners.shape
    row = np.arange(auctions)
    floor = reserve[:, None]
    able = (bids >= floor) & (bids * factors[0] <= left)
    scores = np.where(able, bids * quality, 0.0)
    top = np.empty((auctions, places + 1))
    # A maximum per place beats a sort: there are few places, and argmax gives ties to the first.
    for place in range(places + 1):
        best = scores.argmax(axis=1)
        top[:, place] = scores[row, best]
        scores[row, best] = 0.0
        if place < places:
            winners[:, place] = np.where(top[:, place] > 0.0, best, -1)
    sold = winners >= 0
    bid = np.where(sold, np.take_along_axis(bids, winners, axis=1), 0.0)
    weight = np.broadcast_to(quality, bids.shape)
    weight = np.where(sold, np.take_along_axis(weight, winners, axis=1), 1.0)
    if rule == FIRST:
        prices[:] = bid
    else:
        prices[:] = np.minimum(bid, np.maximum(floor, top[:, 1:] / weight))
    if rule == VCG:
        steps = factors - np.append(factors[1:], 0.0)
        for place in range(places):
            owed = np.zeros(auctions)
            for below in range(place, places):
                passed = top[:, below + 1] / weight[:, place]
                owed += steps[below] * np.maximum(reserve, passed)
            prices[:, place] = np.minimum(prices[:, place], owed / factors[place])
    bars[:] = top[:, places - 1 :]
    # `at` subtracts one by one in this order, as the loop does: the same rounding.
    np.subtract.at(left, winners[sold], (factors * prices)[sold])
