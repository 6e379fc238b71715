"""The market's compiled loop; imported by ``kernel`` only, because it imports numba.

Compiled when it is imported and cached on disk. ``rows.clear`` is the twin: the same answer to the
last bit, which is why both add and divide in the same order.
"""

import numpy as np
from numba import njit

from ringwork.ads.market.rows import FIRST, VCG, Floats, Tables

_SIGNATURE = (
    "void(float64[:, ::1], float64[:, ::1], float64[::1], float64[::1], int64, float64[::1],"
    " Tuple((int64[:, ::1], float64[:, ::1], float64[:, ::1])))"
)


@njit(cache=True, nogil=True)
def _price(
    place: int, bid: float, quality: float, floor: float, top: Floats, factors: Floats, rule: int
) -> float:
    if rule == FIRST:
        return bid
    price: float = min(bid, max(floor, top[place + 1] / quality))
    if rule == VCG:
        owed = 0.0
        for below in range(place, factors.size):
            lower = factors[below + 1] if below + 1 < factors.size else 0.0
            owed += (factors[below] - lower) * max(floor, top[below + 1] / quality)
        price = min(price, owed / factors[place])
    return price


@njit(_SIGNATURE, cache=True, nogil=True)
def clear(
    bids: Floats,
    quality: Floats,
    reserve: Floats,
    factors: Floats,
    rule: int,
    left: Floats,
    out: Tables,
) -> None:
    """Clear auction after auction; see ``rows.clear``."""
    winners, prices, bars = out
    places = factors.size
    bidders = bids.shape[1]
    dearest = factors[0]
    scores = np.empty(bidders)
    top = np.empty(places + 1)
    who = np.empty(places + 1, np.int64)
    for auction in range(bids.shape[0]):
        row = bids[auction]
        # One row of quality, or one reserve, stands for all auctions.
        weights = quality[auction if quality.shape[0] > 1 else 0]
        floor = reserve[auction if reserve.size > 1 else 0]
        for bidder in range(bidders):
            bid = row[bidder]
            score = bid * weights[bidder]
            able = (bid >= floor) & (bid * dearest <= left[bidder])
            scores[bidder] = score if able else 0.0
        # A pass per place without a branch that depends on the scores: half the time of keeping the
        # best in order while passing once, whose comparisons no processor can foresee.
        for place in range(places + 1):
            best, at = 0.0, -1
            for bidder in range(bidders):
                score = scores[bidder]
                at = bidder if score > best else at
                best = score if score > best else best
            top[place] = best
            who[place] = at
            if at >= 0:
                scores[at] = 0.0
        for place in range(places):
            winner = who[place]
            price = 0.0
            if winner >= 0:
                price = _price(place, row[winner], weights[winner], floor, top, factors, rule)
                left[winner] -= factors[place] * price
            winners[auction, place] = winner
            prices[auction, place] = price
        bars[auction, 0] = top[places - 1]
        bars[auction, 1] = top[places]
