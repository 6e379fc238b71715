"""What a bid and a budget would win against known prices: the arithmetic under a forecast.

``competing_prices`` are the smallest winning bids of past opportunities, a sample of those to come:
``Result.entry_prices`` of a simulated market, or the logged price to beat. The winner pays the
price it had to beat (second price); where it pays its bid, the win rate is the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from ringwork.ads.market.kernel import amounts
from ringwork.ads.market.rows import Floats


class Outcome(NamedTuple):
    """What each bid of a grid comes to."""

    win_rate: Floats
    """Share of the opportunities won."""
    mean_price: Floats
    """Of those won; 0 where none is."""


class Delivery(Struct, frozen=True):
    """What a budget comes to."""

    bid: float
    """The highest bid that the budget allows, at most the one asked about."""
    wins: float
    spend: float


def outcome_curve(bids_grid: npt.ArrayLike, competing_prices: npt.ArrayLike) -> Outcome:
    """Win rate and mean price paid for every bid, in one sort of the prices.

    A bid wins what costs at most as much; a bid of 0 wins nothing. ValueError: no prices, or
    numbers that are NaN, infinite or negative.

    >>> rate, price = outcome_curve([1.0, 2.0, 5.0], [1.5, 2.0, 4.0, 8.0])
    >>> rate.tolist(), price.tolist()
    ([0.0, 0.5, 0.75], [0.0, 1.75, 2.5])
    """
    bids = amounts(bids_grid, name="bids_grid")
    prices = _ascending(competing_prices)
    won = np.where(bids > 0.0, np.searchsorted(prices, bids, side="right"), 0)
    paid = np.append(0.0, np.cumsum(prices))[won]
    return Outcome(won / prices.size, paid / np.maximum(won, 1))


def delivery(
    bid: float, budget: float, opportunities: int, competing_prices: npt.ArrayLike
) -> Delivery:
    """What ``bid`` wins of so many opportunities when it is lowered as far as the budget demands.

    Paced by its bid, a budget buys the cheapest opportunities first; of those at the price where it
    ends, a part. Expectations, so wins need not be whole. ValueError as ``outcome_curve``.

    >>> delivery(5.0, budget=35.0, opportunities=40, competing_prices=[1.5, 2.0, 4.0, 8.0])
    Delivery(bid=2.0, wins=20.0, spend=35.0)
    """
    limits = amounts([bid, budget, opportunities], name="bid, budget and opportunities")
    prices = _ascending(competing_prices)
    each = float(limits[2]) / prices.size
    within = int(np.searchsorted(prices, bid, side="right")) if bid > 0.0 else 0
    spends = np.cumsum(prices[:within]) * each
    if not within or spends[-1] <= budget:
        return Delivery(bid, within * each, float(spends[-1]) if within else 0.0)
    whole = int(np.searchsorted(spends, budget, side="right"))
    spent = float(spends[whole - 1]) if whole else 0.0
    part = (budget - spent) / float(prices[whole])
    last = whole if part > 0.0 else whole - 1
    paced = float(prices[last]) if last >= 0 else 0.0
    return Delivery(paced, whole * each + part, budget)


def _ascending(competing_prices: npt.ArrayLike) -> Floats:
    prices = amounts(competing_prices, name="competing_prices")
    if prices.ndim != 1 or not prices.size:
        raise ValueError(f"competing_prices must be a row of prices, not {prices.shape}")
    return np.sort(prices)
