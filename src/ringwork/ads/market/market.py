"""A market: bidders with values, strategies and budgets meet in auction after auction.

Auctions run in batches: the bids of a batch are made from what was known before it, the kernel
clears it one auction after the other with exact budgets, then everybody learns. Clicks are not
drawn: a place with click factor a earns a x value and costs a x price, the expectation.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final

import numpy as np
from msgspec import Struct

from ringwork.ads.market.kernel import (
    MOST,
    Cleared,
    amounts,
    clear_checked,
    click_factors,
    rule_number,
)
from ringwork.ads.market.rows import Floats, Ints
from ringwork.ads.market.strategies import Seen, Strategy
from ringwork.ads.market.values import Values
from ringwork.ads.model import Rule

MOST_OPPORTUNITIES: Final = 10**7
"""Of one run: its series then hold about half a gigabyte at three slots."""


class Bidder(Struct, frozen=True):
    """One who bids: what clicks are worth to it, how it bids, how much it may spend in a run."""

    values: Values
    strategy: Strategy
    quality: float = 1.0
    budget: float = inf


class Result(Struct, frozen=True):
    """What a run came to: totals by bidder, and series by opportunity."""

    wins: Ints
    """Places won, by bidder."""
    clicks: Floats
    value: Floats
    """Of the clicks, by bidder."""
    spend: Floats
    """Never above the bidder's budget."""
    prices: Floats
    """Per click: opportunities x slots, 0 where a place stayed empty."""
    bars: Floats
    """(score of the last place, best losing score) by opportunity; 0 where nobody took it."""
    slots: Floats
    """Click factors of the places."""
    reserve: float

    @property
    def utility(self) -> Floats:
        """Value less spend, by bidder."""
        return self.value - self.spend

    @property
    def revenue(self) -> float:
        """What the seller got."""
        return float(self.spend.sum())

    @property
    def revenues(self) -> Floats:
        """What the seller got, by opportunity."""
        return self.prices @ self.slots

    def entry_prices(self, quality: float = 1.0) -> Floats:
        """The smallest bid with which a newcomer would have won a place, by opportunity.

        What ``outcome_curve`` and ``delivery`` take as competing prices. In GSP it is also what the
        newcomer would have paid per click, as long as it takes the last place. ValueError: a
        quality that is not above 0.
        """
        if not quality > 0.0:
            raise ValueError(f"a quality must be a number above 0, not {quality}")
        return np.maximum(self.bars[:, 0] / quality, self.reserve)


class Market:
    """Bidders in one kind of auction.

    Each bidder draws from a stream of its own, spawned from ``generator`` in order: one more bidder
    at the end changes nobody's values, so two markets can be compared auction by auction.
    """

    def __init__(
        self,
        bidders: Sequence[Bidder],
        *,
        generator: np.random.Generator,
        slots: int | Sequence[float] | Floats = 1,
        rule: Rule = "gsp",
        reserve: float = 0.0,
        batch: int = 1024,
    ) -> None:
        """ValueError where a number makes no sense; ``slots`` as in ``clear_batch``."""
        if not bidders or batch < 1:
            raise ValueError("a market wants bidders, and batches of at least one auction")
        if any(not bidder.budget >= 0.0 for bidder in bidders):
            raise ValueError("a budget must be a number from 0, or infinite for none")
        if any(not bidder.quality > 0.0 for bidder in bidders):
            raise ValueError("a quality must be a number above 0: without any, nobody can win")
        self._bidders = tuple(bidders)
        self._streams = generator.spawn(len(self._bidders))
        self._slots = click_factors(slots)
        self._rule = rule_number(rule, self._slots)
        self._reserve = amounts([reserve], name="reserve")
        self._quality = amounts([[one.quality for one in self._bidders]], name="quality")
        self._batch = batch

    def run(self, opportunities: int) -> Result:
        """Play that many auctions with fresh budgets; strategies keep what they have learned."""
        if not 1 <= opportunities <= MOST_OPPORTUNITIES:
            raise ValueError(f"1 to {MOST_OPPORTUNITIES} opportunities, not {opportunities}")
        count = len(self._bidders)
        left = np.array([bidder.budget for bidder in self._bidders], dtype=np.float64)
        result = Result(
            wins=np.zeros(count, np.int64),
            clicks=np.zeros(count),
            value=np.zeros(count),
            spend=np.zeros(count),
            prices=np.empty((opportunities, self._slots.size)),
            bars=np.empty((opportunities, 2)),
            slots=self._slots,
            reserve=float(self._reserve[0]),
        )
        for start in range(0, opportunities, self._batch):
            end = min(start + self._batch, opportunities)
            values, bids = self._offers(end - start)
            cleared = clear_checked(
                np.ascontiguousarray(bids.T),  # the loop reads auction by auction
                self._quality,
                self._reserve,
                self._slots,
                self._rule,
                left,
            )
            result.prices[start:end] = cleared.prices
            result.bars[start:end] = cleared.bars
            clicks, paid = self._outcomes(cleared)
            result.wins[:] += np.count_nonzero(clicks, axis=1)
            result.clicks[:] += clicks.sum(axis=1)
            result.value[:] += np.einsum("ba,ba->b", clicks, values)
            result.spend[:] += paid.sum(axis=1)
            self._teach(values, bids, clicks, paid, cleared.bars, left, opportunities - end)
        return result

    def _offers(self, auctions: int) -> tuple[Floats, Floats]:
        """Values and bids, bidders x auctions: each strategy works on its row."""
        values = np.empty((len(self._bidders), auctions))
        bids = np.empty_like(values)
        for row, (bidder, stream) in enumerate(zip(self._bidders, self._streams, strict=True)):
            values[row] = bidder.values.draw(stream, auctions)
            bids[row] = bidder.strategy.bids(values[row])
        if not (bids.min() >= 0.0 and bids.max() <= MOST):
            raise ValueError(f"a strategy bid something that is not a number from 0 to {MOST:g}")
        return values, bids

    def _outcomes(self, cleared: Cleared) -> tuple[Floats, Floats]:
        """Expected clicks and payments, bidders x auctions."""
        clicks = np.zeros((len(self._bidders), len(cleared.winners)))
        paid = np.zeros_like(clicks)
        auction, place = np.nonzero(cleared.winners >= 0)
        winner = cleared.winners[auction, place]
        clicks[winner, auction] = self._slots[place]
        paid[winner, auction] = self._slots[place] * cleared.prices[auction, place]
        return clicks, paid

    def _teach(
        self,
        values: Floats,
        bids: Floats,
        clicks: Floats,
        paid: Floats,
        bars: Floats,
        left: Floats,
        opportunities_left: int,
    ) -> None:
        last_place, best_loser = np.ascontiguousarray(bars.T)
        for row, bidder in enumerate(self._bidders):
            # A winner is held up by the best loser, everybody else must pass the last place.
            score = np.where(clicks[row] > 0.0, best_loser, last_place)
            seen = Seen(
                values=values[row],
                bids=bids[row],
                clicks=clicks[row],
                paid=paid[row],
                to_beat=np.maximum(score / bidder.quality, self._reserve),
                budget_left=float(left[row]),
                opportunities_left=opportunities_left,
            )
            bidder.strategy.learn(seen)
