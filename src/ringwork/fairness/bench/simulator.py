"""Flights of a world's ads under a controller: auctions, releases with privacy noise, steps.

The controller gets what a platform's would: cells of (cluster, value bin), and releases of noisy
sums, de-attenuated with the confusion matrix that the platform believes. The truth is for the
score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from msgspec import Struct, structs

from ringwork.fairness.bench import loops
from ringwork.fairness.bench.model import Opportunities, SimulatedAd, World, unveiled
from ringwork.fairness.control.hook import VALUE_BINS
from ringwork.fairness.control.model import (
    AdContext,
    Controller,
    Floats,
    Measurement,
    Release,
    Shift,
    Traffic,
    incidence,
    spans,
)
from ringwork.fairness.control.steering import bins_of
from ringwork.fairness.delivery.stands import eligible_of
from ringwork.fairness.measure.eligible import proxied_covariance, told_covariance

FORECAST: Final = 200
"""Opportunities of the past that every policy may look at before it bids, without any group."""
FIRST_EPISODES: Final = (30, 60, 120)
HEADROOM: Final = 1.2
"""Releases are spread over so often the forecast: what comes after the last is unmeasured."""
STEP_WINS: Final = 30
STEP_SHARE: Final = 0.08
"""Steps between releases: every so many impressions, or this share of them for large ads."""
SURVEYED: Final = 500_000
"""Impressions in the contingency table of groups and clusters."""
CELL_NOISE: Final = 12.0
"""Standard deviation of the noise on each of its cells."""


class Privacy(Struct, frozen=True, kw_only=True):
    """The plan's noise: standard deviation per step, and releases declared up front."""

    sigma: float = 4.0
    episodes: int = 64


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one ad."""

    ad: SimulatedAd
    impressions: int
    spent: float
    value: float
    truth: Floats
    """[G] impressions by true group."""
    people: Floats
    """[G] unique people reached, by true group."""
    audience: Floats
    """[G] eligible people."""
    eligible: Floats
    """[A] shares as the platform knows them; the truth is the ad's."""
    posterior_noise: Floats
    """[R, R] of one person's posterior around its group's mean, the blur taken out."""
    seen: Floats
    """[A] deviation as the proxy saw it at the end, without noise."""
    release: Release | None
    """The last one."""
    releases: int


def contingency(world: World, seed: int) -> Floats:
    """[G, C] P(cluster | group) as one noisy release of soft sums gives it, blur taken out."""
    rng = np.random.default_rng([seed, 13])
    races = len(world.races)
    declared = len(world.cluster) // races
    overall = np.mean([ad.eligible for ad in world.ads], axis=0)
    drawn = rng.multinomial(SURVEYED, overall)
    sums = np.zeros((declared, races, world.cluster.shape[1]))
    for group, count in enumerate(drawn):
        by_cluster = rng.multinomial(count, world.cluster[group])
        blurred = world.pool[group % races].mean(axis=0, dtype=np.float64)
        sums[group // races] += blurred[:, None] * by_cluster[None, :]
    sums += rng.normal(0, CELL_NOISE, sums.shape)
    inverse = np.linalg.inv(world.claimed_confusion)
    groups = np.einsum("rk,skc->src", inverse.T, sums).reshape(declared * races, -1)
    groups = np.maximum(groups, 1.0)
    shares: Floats = groups / groups.sum(axis=1, keepdims=True)
    return shares


@cache
def _kernel(steps: int) -> Floats:
    """f_k of the square-root factorisation: its prefix is what a step's noise adds to a sum."""
    out = np.ones(steps)
    for k in range(1, steps):
        out[k] = out[k - 1] * (2 * k - 1) / (2 * k)
    return out


class AudienceMix(Struct, frozen=True, kw_only=True):
    """The eligible mix as a platform knows it: from what people declared, and their posteriors."""

    crossed: Floats
    """[G]"""
    margins: Floats
    """[A]"""
    covariance: Floats
    """[A, A] of the margins around the truth."""
    within: Floats
    """[R, R] W: noise of one person's posterior around its group's mean."""


def audience_mix(world: World, chances: Opportunities) -> AudienceMix:
    """Of everybody who is eligible, the blur taken out as the platform takes it out."""
    group = np.repeat(np.arange(len(chances.audience)), chances.audience)
    known, races = chances.audience_told, world.blocks[-1]
    soft = world.pool[group % races, chances.audience_member].astype(np.float64)
    sums = np.zeros((len(world.cluster) // races, races))
    np.add.at(sums, group[known] // races, soft[known])
    confusion = world.claimed_confusion
    inverse = np.asarray(np.linalg.inv(confusion), np.float64)
    inverses = [*(None for _ in world.blocks[:-1]), inverse]
    crossed = eligible_of(sums.ravel(), world.blocks, inverses)
    margins = incidence(world.blocks) @ crossed
    margins[-races:] = inverse.T @ soft.mean(axis=0)
    second = soft.T @ soft / len(soft)
    values, vectors = np.linalg.eigh(second - confusion.T @ np.diag(margins[-races:]) @ confusion)
    within: Floats = (vectors * np.maximum(values, 0.0)) @ vectors.T
    covariance = np.zeros((len(margins), len(margins)))
    for span in spans(world.blocks)[:-1]:
        covariance[span, span] = told_covariance(
            margins[span], told=int(known.sum()), people=len(known)
        )
    covariance[-races:, -races:] = proxied_covariance(inverse, within, people=len(soft))
    return AudienceMix(crossed=crossed, margins=margins, covariance=covariance, within=within)


class Flight:
    """One ad, from its first opportunity to its last."""

    def __init__(
        self,
        world: World,
        number: int,
        chances: Opportunities,
        clusters: Floats,
        privacy: Privacy,
        seed: int,
    ) -> None:
        self.ad = ad = world.ads[number]
        self._world = world
        self._privacy = privacy
        self._clusters = clusters
        self._size = len(chances.group)
        groups, count = world.cluster.shape
        races = len(world.races)
        self._scale = float(chances.value[:FORECAST].mean(dtype=np.float64))
        values = chances.value / np.float32(self._scale)
        bins = bins_of(values)
        self._chances: tuple[Any, ...] = (
            chances.group,
            chances.cluster,
            chances.member,
            chances.sex_known,
            chances.person,
            bins,
            values,
            chances.price,
        )
        self._cells = (
            np.zeros((count, VALUE_BINS)),
            np.zeros((count, VALUE_BINS)),
            np.zeros(count),
            np.zeros(count),
            np.zeros(2),
        )
        self._sums = (
            np.zeros(groups),
            np.zeros(races),
            np.zeros(groups // races),
            np.zeros(groups),
            np.zeros(int(chances.audience.sum()), np.uint8),
        )
        self._audience = chances.audience.astype(np.float64)
        self._state = np.array([1.0, ad.budget, 0.0, 0.0, 0.0, 0.0])
        self._rng = np.random.default_rng([seed, number, 17])
        waits = np.random.default_rng([seed, number, 19]).standard_exponential(self._size + 1)
        self._elapsed = np.cumsum(waits) / waits.sum()
        """Share of the flight's time that is over at each opportunity: people come at random."""
        self._noise: list[Floats] = []
        mix = audience_mix(world, chances)
        self._eligible = mix.margins
        self._within = mix.within
        self._release: Release | None = None
        self._forecast()
        self.context = AdContext(
            ad_id=ad.ad_id,
            blocks=world.blocks,
            eligible=mix.crossed,
            eligible_covariance=mix.covariance,
            clusters=clusters,
            expected_impressions=self._expected(),
            tau=0.05,
        )

    def _forecast(self) -> None:
        """Cells of the past, which every policy starts from."""
        opportunities, _, log_value, log_price, squares = self._cells
        _, cluster, _, _, _, bins, value, price = (one[:FORECAST] for one in self._chances)
        np.add.at(opportunities, (cluster, bins), 1.0)
        np.add.at(log_value, cluster, np.log(value))
        np.add.at(log_price, cluster, np.log(price))
        squares += float((np.log(value) ** 2).sum()), float((np.log(price) ** 2).sum())

    def _expected(self) -> float:
        """Impressions of the flight if nobody steers, and the pace for it: by the forecast."""
        value, price = (one[:FORECAST].astype(float) for one in self._chances[-2:])
        order = np.argsort(-value / price)
        spent = np.cumsum(price[order])
        won = int(np.searchsorted(spent, self.ad.budget / self._size * len(value)))
        won = min(max(won, 1), len(value) - 1)
        self._state[loops.PACE] = float((value / price)[order[won]])
        return won / len(value) * self._size

    def run(self, controller: Controller | None) -> Outcome:
        """To the end. Without a controller nothing shifts."""
        play = loops.engine()
        table = np.zeros(self._cells[0].shape, np.float32)
        is_multiplier = False
        state = None if controller is None else controller.start(self.context)
        next_release = float(FIRST_EPISODES[0])
        eta = 0.3 / math.sqrt(self._size)
        while self._state[loops.POSITION] < self._size:
            until = next_release
            if controller is not None:
                shift = controller.step(state, self._measured())
                table, is_multiplier = shift.table(self._clusters), shift.is_multiplier
                if is_multiplier:
                    table = np.exp(-table)
                self._pace(shift)
                wins = self._state[loops.WINS]
                until = min(next_release, wins + max(STEP_WINS, STEP_SHARE * wins))
            play(
                self._chances,
                table,
                is_multiplier,
                until,
                self.ad.budget_factor,
                eta,
                self._state,
                self._cells,
                self._sums,
                self._world.pool,
            )
            if self._state[loops.WINS] >= next_release:
                next_release = self._released()
        return self._outcome()

    def _pace(self, shift: Shift) -> None:
        """Take over the controller's pace, once it knows better than the pacer."""
        if shift.pace is not None:
            early = self._state[loops.POSITION] < 2 * FORECAST
            share = 1.0 if early else 0.5
            self._state[loops.PACE] += share * (shift.pace - self._state[loops.PACE])

    def _measured(self) -> Measurement:
        opportunities, wins, log_value, log_price, squares = self._cells
        return Measurement(
            impressions=float(self._state[loops.WINS]),
            opportunities_left=self._to_come(),
            budget_left=float(self._state[loops.LEFT]),
            traffic=Traffic(
                opportunities=opportunities,
                wins=wins,
                log_value=log_value,
                log_price=log_price,
                log_value_square=float(squares[0]),
                log_price_square=float(squares[1]),
            ),
            release=self._release,
        )

    def _to_come(self) -> float:
        """Opportunities that are left if they come as so far: what a clock can say."""
        came = int(self._state[loops.POSITION])
        if came == 0:
            return float(self._size)
        elapsed = float(self._elapsed[came - 1])
        return came * (1 - elapsed) / elapsed

    def _released(self) -> float:
        """Release noisy sums; returns at how many impressions the next is due."""
        steps = len(self._noise)
        count = float(self._state[loops.WINS])
        if steps < self._privacy.episodes:
            self._release = self._measure(count)
            steps += 1
        if steps >= self._privacy.episodes:
            return math.inf
        if steps < len(FIRST_EPISODES):
            return float(FIRST_EPISODES[steps])
        rest = HEADROOM * self.context.expected_impressions - FIRST_EPISODES[-1]
        return count + max(50.0, rest / (self._privacy.episodes - len(FIRST_EPISODES)))

    def _measure(self, count: float) -> Release:
        blocks, races = self._world.blocks, self._world.blocks[-1]
        shares = sum(blocks)
        sigma = self._privacy.sigma
        self._noise.append(self._rng.normal(0, sigma, shares))
        kernel = _kernel(self._privacy.episodes)[: len(self._noise)]
        noise = kernel[::-1] @ np.array(self._noise)
        variance = sigma * sigma * float(kernel @ kernel) / count**2
        soft = self._sums[1]
        confusion = self._world.claimed_confusion
        inverse = np.linalg.inv(confusion)
        eligible = self._eligible[-races:]
        deviation, covariance = np.zeros(shares), np.zeros((shares, shares))
        for span in spans(blocks)[:-1]:
            told = self._declared()[span] + noise[span]
            told = np.maximum(told, 1.0)
            missing = max(0.0, 1 - float(told.sum()) / count)
            size = span.stop - span.start
            flat = np.eye(size) - 1 / size
            deviation[span] = told / float(told.sum()) - self._eligible[span]
            covariance[span, span] = flat * (variance + missing / (2 * size * count))
        noisy = soft + noise[-races:]
        noisy -= (noisy.sum() - count) / races  # how many there were is known: they are billed
        proxy = noisy / count - confusion.T @ eligible
        proxy_deviation = deviation.copy()
        deviation[-races:], proxy_deviation[-races:] = inverse.T @ proxy, proxy
        centred = np.eye(races) - 1 / races
        covariance[-races:, -races:] = (
            inverse.T @ (self._within / count + variance * centred) @ inverse
        )
        return Release(
            impressions=count,
            deviation=deviation,
            covariance=covariance,
            proxy_deviation=proxy_deviation,
            wins=self._cells[1].copy(),
        )

    def _declared(self) -> Floats:
        """Sums of the declared attributes' groups."""
        margins: Floats = incidence(self._world.blocks[:-1]) @ self._sums[2]
        return margins

    def _outcome(self) -> Outcome:
        truth, soft, _, people, _ = self._sums
        count, races = float(self._state[loops.WINS]), self._world.blocks[-1]
        declared = self._declared()
        seen = -self._eligible.copy()
        for span in spans(self._world.blocks)[:-1]:
            seen[span] += declared[span] / max(float(declared[span].sum()), 1.0)
        inverse = np.linalg.inv(self._world.claimed_confusion)
        blurred = self._world.claimed_confusion.T @ self._eligible[-races:]
        seen[-races:] = soft / max(count, 1.0) - blurred
        return Outcome(
            ad=self.ad,
            impressions=int(count),
            spent=float(self._state[loops.SPENT]),
            value=float(self._state[loops.VALUE]) * self._scale,
            truth=truth,
            people=people,
            audience=self._audience,
            eligible=self._eligible,
            posterior_noise=inverse.T @ self._within @ inverse,
            seen=seen,
            release=self._release,
            releases=len(self._noise),
        )


def simulate(
    world: World,
    controller: Controller | None,
    chances: Sequence[Opportunities],
    *,
    seed: int,
    privacy: Privacy,
    progress: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Every ad of the world under one controller, on the same opportunities for each.

    A controller that ``sees_groups`` gets clusters that are the true groups: the oracle.
    """
    shown = list(chances)
    if getattr(controller, "sees_groups", False):
        world, shown = unveiled(world, chances)
        privacy = structs.replace(privacy, sigma=0.0)
    clusters = contingency(world, seed)
    found = []
    for number, one in enumerate(shown):
        found.append(Flight(world, number, one, clusters, privacy, seed).run(controller))
        progress()
    return found
