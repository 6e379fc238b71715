"""Clearing auctions by the million: the checked entrance to ``loops`` and its twin ``rows``.

The rules are those of ``ringwork.ads.auction`` (ads specification 3.12) in floats: the score is bid
x quality; a bid below the reserve does not take part; the higher score wins, of equals the earlier
bidder. GSP charges the smallest bid that keeps the place, VCG the harm done to the others, per
click, the reserve inside the sum. Deviations: no ticks (a tie is priced at the tie, a lone bidder
at the reserve, even 0) and no rounding, because nothing is billed from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from ringwork.ads.auction import MAX_SLOTS
from ringwork.ads.market import rows
from ringwork.ads.market.rows import FIRST, GSP, VCG, Floats, Ints, Tables
from ringwork.ads.model import Rule

Clear = Callable[[Floats, Floats, Floats, Floats, int, Floats, Tables], None]

_RULES: Final[dict[Rule, int]] = {"gsp": GSP, "second": GSP, "first": FIRST, "vcg": VCG}
MOST: Final = 1e100
"""Bids, qualities and reserves end here, so that no product of two is infinite."""


class Cleared(NamedTuple):
    """What a batch of auctions came to; a row is an auction, a column a place."""

    winners: Ints
    """The bidder's column, -1 where a place stayed empty."""
    prices: Floats
    """Per click, 0 where a place stayed empty."""
    bars: Floats
    """(score of the last place, best losing score), 0 where nobody took it."""


@cache
def chosen_loop() -> Clear:
    """The compiled loop, or its twin where numba is not installed."""
    if find_spec("numba") is None:
        return rows.clear
    return cast("Clear", import_module("ringwork.ads.market.loops").clear)


def warm() -> None:
    """Compile now, or load from disk what was compiled once: so that no request waits for it."""
    chosen_loop()


def clear_batch(
    bids: npt.ArrayLike,
    quality: npt.ArrayLike,
    reserve: npt.ArrayLike,
    slots: int | Sequence[float] | Floats,
    *,
    rule: Rule = "gsp",
) -> tuple[Ints, Floats]:
    """Who wins each place of each auction, and the price per click: (winners, prices).

    ``bids``: auctions x bidders. ``quality``: one for all, one a bidder, or auctions x bidders.
    ``reserve``: the least bid, one for all or one an auction. ``slots``: click factors of the
    places, best first, or a number of places that are clicked alike. Both answers are auctions x
    places; an empty place has winner -1 and price 0. No price is above the winner's bid.
    ValueError: NaN, infinite, negative or absurd (> 1e100) numbers, shapes that do not fit, click
    factors that rise or are not positive, ``second`` for several slots.

    >>> winners, prices = clear_batch([[4.0, 9.0, 6.0]], 1.0, 0.0, [1.0, 0.5])
    >>> winners.tolist(), prices.tolist()
    ([[1, 2]], [[6.0, 4.0]])
    >>> clear_batch([[4.0, 9.0, 6.0]], 1.0, 0.0, [1.0, 0.5], rule="vcg")[1].tolist()
    [[5.0, 4.0]]
    """
    offers = amounts(bids, name="bids")
    if offers.ndim != 2 or not offers.shape[1]:
        raise ValueError(f"bids must be auctions x bidders (at least one), not {offers.shape}")
    weights, floor = amounts(quality, name="quality"), amounts(reserve, name="reserve")
    if weights.ndim < 2:
        weights = _fitted(weights, (offers.shape[1],), "quality")[None, :]
    else:
        weights = _fitted(weights, offers.shape, "quality")
    if floor.ndim:
        floor = _fitted(floor, offers.shape[:1], "reserve")
    factors = click_factors(slots)
    pricing = rule_number(rule, factors)
    budgets = np.full(offers.shape[1], np.inf)
    cleared = clear_checked(offers, weights, floor.reshape(-1), factors, pricing, budgets)
    return cleared.winners, cleared.prices


def clear_checked(
    bids: Floats, quality: Floats, reserve: Floats, factors: Floats, rule: int, left: Floats
) -> Cleared:
    """Clear arrays that are known to be right, taking what is paid from the budgets ``left``.

    All are C-contiguous float64: bids auctions x bidders, quality the same or one row, reserve one
    or one an auction. See ``rows.clear`` for budgets and bars.
    """
    shape = (len(bids), len(factors))
    out = (np.empty(shape, np.int64), np.empty(shape), np.empty((len(bids), 2)))
    if len(bids):
        chosen_loop()(bids, quality, reserve, factors, rule, left, out)
    return Cleared(*out)


def click_factors(slots: int | Sequence[float] | Floats) -> Floats:
    """The click factor of each place, checked; see ``clear_batch`` for the meaning of a number."""
    count = slots if isinstance(slots, int) else len(slots)
    if not 1 <= count <= MAX_SLOTS:
        raise ValueError(f"an auction has 1 to {MAX_SLOTS} slots, not {count}")
    factors = np.ones(count) if isinstance(slots, int) else amounts(slots, name="slots")
    if factors.ndim != 1 or factors[-1] <= 0.0 or np.any(factors[1:] > factors[:-1]):
        raise ValueError("click factors must be positive and never rise from a place to the next")
    return factors


def rule_number(rule: Rule, factors: Floats) -> int:
    """The rule as the loops know it, checked; ``second`` is the name of GSP for one slot."""
    if rule not in _RULES:
        raise ValueError(f"rule must be one of {', '.join(_RULES)}, not {rule!r}")
    if rule == "second" and factors.size > 1:
        raise ValueError(f"rule 'second' sells one slot, not {factors.size}: 'gsp' sells several")
    return _RULES[rule]


def amounts(given: npt.ArrayLike, *, name: str) -> Floats:
    """``given`` as the loop wants it: float64, in C order, finite and not negative."""
    array: Floats = np.require(given, np.float64, ["C", "A", "W"])
    # Two passes without a temporary; a NaN makes both comparisons false.
    if array.size and not (array.min() >= 0.0 and array.max() <= MOST):
        raise ValueError(f"{name} must be numbers from 0 to {MOST:g}; found NaN or others")
    return array


def _fitted(array: Floats, shape: tuple[int, ...], name: str) -> Floats:
    if not array.ndim:
        return np.full(shape, array)
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape} to fit bids, not {array.shape}")
    return array
