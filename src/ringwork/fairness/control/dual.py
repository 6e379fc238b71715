"""The default controller: re-solves the dual of what is left of the flight at every step.

Where the releases of a small ad come too late, its cells steer it (``response``); where the cells
mislead, releases correct them (``estimate``); ``lagrangian`` finds the cheapest shift that ends
within the band, and an ad that is large enough to be known stops at the band's edge instead of
paying for zero. Re-solving is Jasin and Kumar (2012), the form that of dual mirror descent for
regularised online allocation (Balseiro, Lu and Mirrokni 2021) with the regulariser of the band.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct

from ringwork.fairness.control import response
from ringwork.fairness.control.estimate import (
    Family,
    Standing,
    departure,
    known_at_the_end,
    scatter,
    standing,
)
from ringwork.fairness.control.lagrangian import (
    Problem,
    Solution,
    brought,
    solve,
    unsteered,
    unsteered_spend,
)
from ringwork.fairness.control.model import (
    AdContext,
    Floats,
    Measurement,
    Release,
    Shift,
    incidence,
    records,
    spans,
)
from ringwork.fairness.control.steering import VALUE_MIDDLES

CARRIED_MOST: Final = 0.15
"""No more than this is to be made good per impression that is left: near the end, little is."""
SLIP_HALF_LIFE: Final = 400.0
"""Impressions after which an old slip counts half."""
SLIP_PRIOR: Final = 100.0
"""Impressions without a slip that are believed beforehand."""
SURE: Final = 1.5
"""Standard deviations between the variance that an ad ends with if nobody steers it, and the edge:
then nobody does."""
EDGE: Final = 0.95
"""Of the band, at most so much is aimed at: what no error accounts for stays below the edge."""
PRICE_MOST: Final = 8.0
"""In usual values of the ad: with higher prices it would win nothing any more."""
PRICE_MOST_PACED: Final = 3.0
"""Of an ad that another one paces."""
QUANTILE: Final = 4.0
"""Standard errors between the edge of the band and the aim."""


class DualState(Struct):
    """What goes on from step to step."""

    ad: AdContext
    incidence: Floats
    eligible: Floats
    """[A]"""
    prices: Floats
    pace: float
    bid: Floats
    """[C, B] the bids of the present shift, in units of price."""
    planned: Floats
    """[A] excess that the present shift was to bring."""
    wins: Floats
    """[C, B] when it was set."""
    slip: Floats
    """[A] sum of what came beside the plan, impressions times excess; old ones fade."""
    slip_weight: float
    release: Release | None = None
    """The newest that was looked at."""


class Dual:
    """Additive shifts from the dual of what is left."""

    name = "dual"

    def __init__(self, *, quantile: float = QUANTILE, paces: bool = True) -> None:
        """``paces``: False where another pacer keeps the budget; values are then what it bids.

        The shift then moves impressions from group to group and leaves their number as it was: it
        is zero on the mean of the traffic, and bounded.
        """
        self._quantile = quantile
        self._families: dict[tuple[int, ...], Family] = {}
        self._paces = paces

    def start(self, ad: AdContext) -> DualState:
        columns = incidence(ad.blocks)
        value = VALUE_MIDDLES
        return DualState(
            ad=ad,
            incidence=columns,
            eligible=columns @ ad.eligible,
            prices=np.zeros(len(columns)),
            pace=1.0,
            bid=np.repeat(value[None, :], ad.clusters.shape[1], axis=0),
            planned=np.zeros(len(columns)),
            wins=np.zeros((ad.clusters.shape[1], len(value))),
            slip=np.zeros(len(columns)),
            slip_weight=SLIP_PRIOR,
        )

    def step(self, state: DualState, measured: Measurement) -> Shift:
        ad, traffic = state.ad, measured.traffic
        learned = response.fit(ad, traffic)
        cells = learned.share.reshape(len(ad.eligible), -1)
        family = self._families.setdefault(ad.blocks, Family(ad.blocks))
        stands, selection = None, np.zeros(len(state.eligible))
        if measured.impressions:
            won = state.incidence @ response.won(learned, state.bid).reshape(cells.shape)
            wins = traffic.wins.ravel()
            if measured.release is not None and measured.release is not state.release:
                state.release = measured.release
                family.note(ad.ad_id, *departure(ad.blocks, won, state.eligible, state.release))
            stands = standing(
                ad.blocks, won, state.eligible, wins, measured.release, family.prior()
            )
            self._note_slip(state, won, traffic.wins)
            # Groups whose places are cheaper are won more often than their cells say.
            selection = (won - state.incidence @ cells) @ wins / wins.sum() + stands.bias
            selection = selection + state.slip / state.slip_weight
        excess = state.incidence @ cells - (state.eligible - selection)[:, None]
        problem = self._problem(ad, learned, excess, stands, measured)
        found = unsteered(problem, state.pace)
        if not self._ends_within(state, problem, found, stands, measured, family):
            found = solve(problem, state.prices, state.pace)
        if not self._paces:
            found = _levelled(found, problem, state.eligible - selection)
        state.prices, state.pace = found.prices, found.pace
        bias = np.zeros_like(found.prices) if stands is None else stands.bias
        state.planned = brought(problem, found) - state.slip / state.slip_weight - bias
        by_group = (
            found.prices @ state.incidence
            - found.prices @ (state.eligible - selection)
            - found.rebate
        )
        telling = (ad.eligible[:, None] * learned.likelihood).T
        shift = Shift(prices=found.prices, records=records(telling, by_group), pace=found.pace)
        worth = VALUE_MIDDLES - shift.table(ad.clusters)
        state.bid = np.maximum(worth, 1e-6) / found.pace
        return shift

    def _note_slip(self, state: DualState, won: Floats, wins: Floats) -> None:
        """What the wins since the last step, by their cells, brought beside what was planned.

        Cells alone show it, so it costs no privacy: prices by cell are not quite log-normal, and
        the pace moves within a step.
        """
        since = (wins - state.wins).ravel()
        count = float(since.sum())
        state.wins = wins.copy()
        if count and state.prices.any():
            fade = 0.5 ** (count / SLIP_HALF_LIFE)
            came = won @ since - count * state.eligible
            beside = came - count * state.planned
            state.slip = state.slip * fade + beside
            state.slip_weight = SLIP_PRIOR + (state.slip_weight - SLIP_PRIOR) * fade + count

    def _problem(
        self,
        ad: AdContext,
        learned: response.Response,
        excess: Floats,
        stands: Standing | None,
        measured: Measurement,
    ) -> Problem:
        traffic = measured.traffic
        left = max(measured.opportunities_left, 1.0)
        so_far = max(float(traffic.opportunities.sum()), 1.0)
        carried, delivered = np.zeros(len(excess)), 0.0
        if stands is not None:
            owed = stands.deviation * measured.impressions / _to_come(measured)
            eased = max(float(np.abs(owed).max()) / CARRIED_MOST, 1.0)
            carried = stands.deviation * measured.impressions / left / eased
            delivered = measured.impressions / left / eased
        weight = (traffic.opportunities / so_far).ravel()
        value = np.tile(VALUE_MIDDLES, ad.clusters.shape[1])
        log_price = np.tensordot(learned.price, learned.share, axes=1).ravel()
        budget = measured.budget_left / left
        if not self._paces:  # spending is to stay as it would be
            budget = unsteered_spend(weight, value, log_price, learned.price_spread)
        return Problem(
            blocks=ad.blocks,
            weight=weight,
            value=value,
            excess=excess,
            log_price=log_price,
            price_spread=learned.price_spread,
            budget=budget,
            carried=carried,
            delivered=delivered,
            tau=self._aims(ad, stands, measured),
            price_most=np.inf if self._paces else PRICE_MOST,
        )

    def _ends_within(
        self,
        state: DualState,
        problem: Problem,
        natural: Solution,
        stands: Standing | None,
        measured: Measurement,
        family: Family,
    ) -> bool:
        """Whether the flight will end within the band though nobody steers it: most surely."""
        ad = state.ad
        to_come = brought(problem, natural)
        if stands is None:
            final, end = ad.expected_impressions, to_come
            covariance = (
                family.prior()
                + scatter(ad.blocks, (state.incidence @ ad.eligible)[:, None], np.ones(1)) / final
            )
        else:
            final = measured.impressions + _to_come(measured)
            done = measured.impressions / final
            end = done * stands.deviation + (1 - done) * to_come
            covariance = (
                done * done * stands.covariance
                + (1 - done) ** 2 * stands.bias_covariance
                + (1 - done) / final * stands.scatter
            )
        covariance = covariance + ad.eligible_covariance
        return all(
            _reaches(end[span], covariance[span, span]) <= ad.tau for span in spans(ad.blocks)
        )

    def _aims(self, ad: AdContext, stands: Standing | None, measured: Measurement) -> Floats:
        """How much of the band may be used, by attribute: what will be known at the end decides."""
        out = np.zeros(len(ad.blocks))
        if stands is None or measured.release is None:
            return out
        final = measured.impressions + _to_come(measured)
        known = known_at_the_end(stands.bias_covariance, stands.scatter, final, measured.release)
        known = known + ad.eligible_covariance
        for number, span in enumerate(spans(ad.blocks)):
            error = float(np.sqrt(max(np.trace(known[span, span]), 0.0) / 2))
            out[number] = max(0.0, EDGE * ad.tau - self._quantile * error)
        return out


def _reaches(mean: Floats, covariance: Floats) -> float:
    """What half the sum of |normal| hardly exceeds: its mean and ``SURE`` standard deviations.

    Approximate: the mean of the absolute of a centred normal is .8 of its deviation, its own
    deviation .6, and shares of one attribute sum to zero.
    """
    deviations = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    size = len(mean)
    chance = 0.4 * float(deviations.sum())
    spread = 0.3 * float(np.sqrt((deviations @ deviations) * size / (size - 1)))
    return float(np.hypot(0.5 * np.abs(mean).sum(), chance)) + SURE * spread


def _to_come(measured: Measurement) -> float:
    """Impressions of what is left, if wins come as so far."""
    so_far = max(float(measured.traffic.opportunities.sum()), 1.0)
    return max(measured.opportunities_left * measured.impressions / so_far, 1.0)


def _levelled(found: Solution, problem: Problem, centre: Floats) -> Solution:
    """The same prices with a level that takes as much as it gives."""
    prices = found.prices
    level = float((prices @ (problem.excess + centre[:, None])) @ problem.weight)
    return Solution(prices=prices, pace=1.0, rebate=level - float(prices @ centre))
