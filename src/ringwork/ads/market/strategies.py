"""How bidders bid: honestly, shaded for first price, paced to a budget, or to a target return.

A strategy turns values per click into bids per click and learns from what a batch of auctions told
it. Sources: equilibrium of first-price auctions, Krishna, Auction Theory, 2.3; pacing by a dual
multiplier, Balseiro and Gur 2019 (ads specification 3.14), here as steps of the multiplier's
logarithm, which has the same rest point and needs no start value for the dual; steps shrink as
1/sqrt(batches).
"""

from __future__ import annotations

from math import exp, sqrt
from typing import Final, Protocol

import numpy as np
from msgspec import Struct

from ringwork.ads.market.rows import Floats
from ringwork.ads.market.values import Values

_GRID: Final = 4097
_LEAST: Final = 1e-6
"""The smallest share: a bidder that cannot afford this much of its values affords nothing."""
_MOST: Final = 100.0
"""A share under a target return ends at that many times the safe one, in case nothing costs."""
_FIRST_STEP: Final = 0.5
_LAST_STEP: Final = 0.05
"""Steps shrink with the square root of the batches heard, so that the share settles, down to this,
so that it still follows a market that changes."""


class Seen(Struct, frozen=True):
    """What one bidder knows of a batch after it; the arrays have one entry an auction."""

    values: Floats
    bids: Floats
    clicks: Floats
    """Expected clicks: the factor of the place won, 0 where none was."""
    paid: Floats
    """Expected payment: clicks x price."""
    to_beat: Floats
    """The smallest bid that would have won, or did win, some place."""
    budget_left: float
    opportunities_left: int
    """Auctions still to come before the budget is renewed."""


class Strategy(Protocol):
    """Anything that bids, and may learn."""

    def bids(self, values: Floats) -> Floats:
        """A bid for each value, known at the time of bidding."""
        ...

    def learn(self, seen: Seen) -> None:
        """Take in how the last batch went."""
        ...


class Truthful:
    """Bids the value: the dominant strategy under VCG and in a single-slot second-price auction."""

    def bids(self, values: Floats) -> Floats:
        return values

    def learn(self, seen: Seen) -> None:
        """Nothing to learn: honesty does not depend on the others."""


class EquilibriumShade:
    """The symmetric equilibrium of a first-price auction of one slot.

    ``b(v) = v - integral of F(x)^(n-1) from the reserve to v, over F(v)^(n-1)``: the expected best
    of the rivals and the reserve, given that v beats them. Holds for n bidders of equal quality who
    draw from the same ``values``. A value below the reserve bids itself, which loses.
    """

    def __init__(self, values: Values, *, bidders: int, reserve: float = 0.0) -> None:
        if bidders < 2:
            raise ValueError(f"an equilibrium of {bidders} bidders: there must be at least 2")
        grid = values.grid(_GRID)
        self._values = np.unique(np.append(grid, max(reserve, 0.0)))
        losing = values.cdf(self._values) ** (bidders - 1)
        areas = np.diff(self._values) * (losing[1:] + losing[:-1]) / 2
        areas[self._values[1:] <= reserve] = 0.0
        below = np.append(0.0, np.cumsum(areas))
        possible = losing > 0.0
        shade = np.divide(below, losing, out=np.zeros_like(below), where=possible)
        self._bids = np.where(possible, self._values - shade, self._values)

    def bids(self, values: Floats) -> Floats:
        return np.interp(values, self._values, self._bids)

    def learn(self, seen: Seen) -> None:
        """Nothing to learn: the equilibrium is computed from what everybody draws from."""


class ShadeLearner:
    """Learns the share of its value to bid in a first-price auction of one slot.

    After each batch it knows what had to be beaten (exchanges tell: the macro AUCTION_MIN_TO_WIN),
    so it scores every share of a grid as if it had been bid and takes the best, each batch counting
    ``memory`` times as much as the next newer one.
    """

    def __init__(self, *, shares: int = 100, memory: float = 0.95) -> None:
        self._shares = np.linspace(1.0 / shares, 1.0, shares)
        self._gains = np.zeros(shares)
        self._memory = memory
        self.share = 1.0
        """What it bids now, of its value."""

    def bids(self, values: Floats) -> Floats:
        return values * self.share

    def learn(self, seen: Seen) -> None:
        worth = seen.values > 0.0
        values = seen.values[worth]
        # The first share that would have won; one past the end: none would have.
        first = np.searchsorted(self._shares, seen.to_beat[worth] / values)
        won = np.bincount(first, weights=values, minlength=self._shares.size + 1)[:-1].cumsum()
        self._gains = self._memory * self._gains + won * (1.0 - self._shares)
        self.share = float(self._shares[self._gains.argmax()])


class Paced:
    """Bids a share of the value that spends the budget evenly over the opportunities left.

    The share is at most 1, so it never bids above the value, and settles at the one constant that
    exhausts the budget, which is optimal in hindsight where prices do not depend on its bid.
    Without a budget it bids its value.
    """

    def __init__(self) -> None:
        self._heard = 0
        self.share = 1.0
        """What it bids now, of its value."""

    def bids(self, values: Floats) -> Floats:
        return values * self.share

    def learn(self, seen: Seen) -> None:
        if not seen.opportunities_left or seen.budget_left == np.inf:
            return
        target = seen.budget_left / seen.opportunities_left
        spent = float(seen.paid.mean())
        # Relative error, held to one: one dear batch must not throw away what was learned.
        error = 1.0 if target > 2 * spent else -1.0 if spent > 2 * target else 1 - spent / target
        self._heard += 1
        self.share = min(1.0, max(_LEAST, self.share * exp(_step(self._heard) * error)))


class TargetReturn:
    """Wins as much value as it can at ``value >= ratio x spend``: target ROI, or target CPA.

    For a target cost c per action, let the values be actions and the ratio 1/c. A bid of value /
    ratio can never break the promise, since no price is above the bid; the target allows more where
    prices are lower, and the share is raised while there is slack. As soon as the promise is broken
    over everything seen, it bids the safe share until it holds again.
    """

    def __init__(self, ratio: float) -> None:
        if not 0.0 < ratio < np.inf:
            raise ValueError(f"a return must be a positive number, not {ratio}")
        self._ratio = ratio
        self._heard = 0
        self._slack = 0.0
        self._raised = 1.0
        self.share = 1.0 / ratio
        """What it bids now, of its value."""

    def bids(self, values: Floats) -> Floats:
        return values * self.share

    def learn(self, seen: Seen) -> None:
        allowed = float((seen.values * seen.clicks).sum()) / self._ratio
        slack = allowed - float(seen.paid.sum())
        self._slack += slack
        if allowed > 0.0:
            error = max(-1.0, min(1.0, slack / allowed))
            self._heard += 1
            self._raised = min(_MOST, max(1.0, self._raised * exp(_step(self._heard) * error)))
        self.share = (self._raised if self._slack >= 0.0 else 1.0) / self._ratio


def _step(heard: int) -> float:
    return max(_LAST_STEP, _FIRST_STEP / sqrt(heard))
