"""From days that were seen to what days to come would bring, with an interval.

A place is won where the campaign's bid, in value per impression, is at least the price to beat, and
costs that price (``market.outlook``); a budget spread evenly lowers the bid until it lasts. Who is
asked before the auction pays its bid instead, a house campaign nothing.

The interval is a bootstrap of whole days (blocks), because what happens within a day hangs
together. Each replicate first draws a history from the days seen (we might as well have seen those)
and then the days to come from that history, so that it holds both the chance of the future and our
ignorance of its mean (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, chapter
3). Where four weeks were seen, weekdays are drawn from their own. A sample of n days shows too
little of their spread, so the bounds are widened as Student's t is against the normal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import Final

import numpy as np
from msgspec import Struct

from ringwork.ads.forecast.history import (
    DAY_US,
    SAMPLE_MAX,
    UNREACHABLE,
    Block,
    Floats,
    History,
    Ints,
)
from ringwork.ads.forecast.plan import BidPoint, Estimate, Limit, PlannedCampaign
from ringwork.ads.market.outlook import delivery, outcome_curve

REPLICATES: Final = 300
DAYS_MIN: Final = 3
"""Of fewer days nothing can be said about how days differ."""
CURVE: Final = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0)
"""Bids of the curve, in multiples of the one asked about."""
_WEEKS: Final = 4
_ONE_PPM: Final = 1_000_000
_ONE_P: Final = 10**9
_ALMOST: Final = 1 - 1e-9
"""A budget that is spent to this part is spent: sums of prices are rounded."""


class Outcome(Struct, frozen=True):
    """What so many places come to; expectations, so that nothing need be whole."""

    requests: float
    opportunities: float
    impressions: float
    spend: float
    paced_value: float
    """What is bid for an impression where a budget is spread evenly."""


class Projection(Struct, frozen=True, kw_only=True):
    """What is expected, with its bounds."""

    requests: Estimate
    opportunities: Estimate
    impressions: Estimate
    spend_nanos: Estimate
    win_rate_ppm: int
    paced_bid_nanos: int
    limited_by: Limit
    curve: list[BidPoint]


def project(plan: PlannedCampaign, history: History, *, p_ppb: int) -> Projection:
    """What the plan would come to. ``p_ppb``: chance, per impression, of what it pays for, in 1e-9.

    ValueError where fewer than ``DAYS_MIN`` days were seen.
    """
    if len(history.days) < DAYS_MIN:
        raise ValueError(f"at least {DAYS_MIN} whole days are needed, got {len(history.days)}")
    chances = _Chances(plan, history, p_ppb / _ONE_P)
    expected = chances.expected(chances.value)
    drawn = list(chances.futures())
    curve = [chances.point(max(round(plan.bid_nanos * times), 1)) for times in CURVE]
    paced_nanos = round(expected.paced_value / chances.per_impression)
    spend = chances.bounds(
        expected.spend, [one.spend for one in drawn], most=plan.budget.total_nanos
    )
    # The end of a budget is a price that it does not hold any more.
    low_nanos = max(spend.low - round(chances.value), 0)
    return Projection(
        requests=chances.bounds(expected.requests, [one.requests for one in drawn]),
        opportunities=chances.bounds(expected.opportunities, [one.opportunities for one in drawn]),
        impressions=chances.bounds(
            expected.impressions, [one.impressions for one in drawn], most=plan.goal_impressions
        ),
        spend_nanos=Estimate(spend.expected, low_nanos, spend.high),
        win_rate_ppm=curve[CURVE.index(1.0)].win_rate_ppm,
        paced_bid_nanos=min(paced_nanos, plan.bid_nanos),
        limited_by=chances.limit(expected),
        curve=curve,
    )


class _Chances:
    """A plan against a history."""

    def __init__(self, plan: PlannedCampaign, history: History, per_impression: float) -> None:
        self._plan, self._history = plan, history
        length_us = plan.ends_us - plan.starts_us
        self._whole_days = length_us // DAY_US
        self._has_tail = bool(length_us % DAY_US)
        self.per_impression = per_impression
        self.value = plan.bid_nanos * per_impression
        first = plan.starts_us // DAY_US + 3  # 1970 began on a Thursday
        self._weekdays = [(first + n) % 7 for n in range(self._whole_days + self._has_tail)]
        self._kinds = self._split()
        source = history.days if self._whole_days else history.tails
        self._prices = _thinned([day.prices for day in source])

    def _split(self) -> list[Ints]:
        """For each weekday the days seen to draw it from: its own, where there are enough."""
        weekdays = np.array([day.weekday for day in self._history.days])
        own = [np.flatnonzero(weekdays == one) for one in range(7)]
        if min(map(len, own)) >= _WEEKS:
            return own
        return [np.arange(len(weekdays))] * 7

    # ---- what is expected -----------------------------------------------------------------------

    def expected(self, value: float) -> Outcome:
        """What the mean of the days seen brings."""
        requests = opportunities = 0.0
        for number, weekday in enumerate(self._weekdays):
            seen = self._days(number)
            kind = self._kinds[weekday]
            requests += sum(seen[n].requests for n in kind) / len(kind)
            opportunities += sum(seen[n].opportunities for n in kind) / len(kind)
        return self._outcome(requests, opportunities, self._prices, value)

    def _days(self, number: int) -> Sequence[Block]:
        """The days seen as the one to come of that number needs them: whole, or a part."""
        return self._history.days if number < self._whole_days else self._history.tails

    def futures(self) -> Iterator[Outcome]:
        """What draws of the days to come bring, each from a drawn history."""
        drawn = self._drawn()
        for replicate in range(REPLICATES):
            days = [self._days(n)[days[replicate]] for n, days in enumerate(drawn)]
            yield self._outcome(
                sum(day.requests for day in days),
                sum(day.opportunities for day in days),
                _thinned([day.prices for day in days]),
                self.value,
            )

    def _drawn(self) -> list[Ints]:
        """For each day to come the days seen that stand for it, one a replicate."""
        rng = np.random.default_rng(self._plan.seed)
        replicates = np.arange(REPLICATES)
        histories: dict[int, Ints] = {}
        drawn: list[Ints] = []
        for weekday in self._weekdays:
            kind = self._kinds[weekday]
            if id(kind) not in histories:
                histories[id(kind)] = rng.choice(kind, (REPLICATES, len(kind)))
            drawn.append(histories[id(kind)][replicates, rng.integers(len(kind), size=REPLICATES)])
        return drawn

    def _outcome(
        self, requests: float, opportunities: float, prices: Floats, value: float
    ) -> Outcome:
        """What a bid worth ``value`` an impression brings of so many places at such prices."""
        plan, budget = self._plan, self._plan.budget.total_nanos
        shown = opportunities * self._history.shown_ppm / _ONE_PPM
        if not prices.size or not shown:
            return Outcome(requests, opportunities, 0.0, 0.0, value)
        if plan.priority == "price" and plan.pacing == "even":
            even = delivery(value, budget, max(round(shown), 1), prices)
            return Outcome(requests, opportunities, even.wins, even.spend, even.bid)
        rates, means = outcome_curve([value], prices)
        wins, price = shown * float(rates[0]), float(means[0])
        if plan.priority == "house":
            return Outcome(requests, opportunities, wins, 0.0, value)
        if plan.priority != "price":
            price = value
            wins = min(wins * (plan.share_ppm or _ONE_PPM) / _ONE_PPM, self._goal)
        if wins * price > budget:
            wins = budget / price
        return Outcome(requests, opportunities, wins, wins * price, value)

    @property
    def _goal(self) -> float:
        goal = self._plan.goal_impressions
        return float("inf") if goal is None else float(goal)

    # ---- how sure it is -------------------------------------------------------------------------

    def bounds(self, expected: float, drawn: Sequence[float], most: int | None = None) -> Estimate:
        """Quantiles of the draws, moved away from their median; from 0 to ``most``."""
        level = self._plan.level_ppm / _ONE_PPM
        low, middle, high = np.quantile(np.array(drawn), [(1 - level) / 2, 0.5, (1 + level) / 2])
        wider = self._widening(level)
        low, high = middle - (middle - low) * wider, middle + (high - middle) * wider
        top = int(np.ceil(high))
        return Estimate(round(expected), max(int(low), 0), top if most is None else min(top, most))

    def _widening(self, level: float) -> float:
        """Student's t over the normal quantile, times what the draws lack of the true spread.

        The sum of m days to come misses the estimate from n days seen by a variance of
        m + m^2 / n, in a day's variance; draws from drawn histories have
        (m (1 - 1/n) + m^2 / n) (n - 1) / n of it.
        """
        kinds = {id(kind): len(kind) for kind in self._kinds}
        seen, degrees = min(kinds.values()), sum(kinds.values()) - len(kinds)
        drawn = max(len(self._weekdays) / len(kinds), 1.0)
        lacking = (drawn * (1 - 1 / seen) + drawn**2 / seen) * (seen - 1) / seen
        z = NormalDist().inv_cdf((1 + level) / 2)
        # Cornish and Fisher's expansion of t, of which two terms are enough from two degrees on.
        t = z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
        return float(t / z * ((drawn + drawn**2 / seen) / lacking) ** 0.5)

    # ---- other bids -----------------------------------------------------------------------------

    def point(self, bid_nanos: int) -> BidPoint:
        """What another bid would come to."""
        value = bid_nanos * self.per_impression
        outcome = self.expected(value)
        rate = float(outcome_curve([value], self._prices).win_rate[0]) if self._prices.size else 0.0
        return BidPoint(
            bid_nanos, round(rate * _ONE_PPM), round(outcome.impressions), round(outcome.spend)
        )

    def limit(self, expected: Outcome) -> Limit:
        """What keeps the campaign from more."""
        if expected.impressions >= self._goal * _ALMOST:
            return "goal"
        if expected.spend and expected.spend >= self._plan.budget.total_nanos * _ALMOST:
            return "budget"
        if self._plan.priority == "sponsorship":
            return "share"
        reachable = self._prices[self._prices < UNREACHABLE]
        return "bid" if (reachable > self.value).any() else "supply"


def _thinned(samples: Sequence[Floats]) -> Floats:
    """All the samples together, every so many of them where they are too many to sort."""
    together = np.concatenate([*samples, np.zeros(0)])
    return together[:: -(-together.size // SAMPLE_MAX) or 1]
