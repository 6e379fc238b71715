"""Scores of outcomes: coverage on the truth beside its twins, cost, reach, levelling, bounds.

Everything stands against no control on the same opportunities. Reach is people, never impressions.
Figures of an estimated attribute are never one number: the truth, which only a bench has, stands
beside what a report would say, by the proxy and with its blur taken out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from ringwork.fairness.bench.lp import Bound, Cells, best
from ringwork.fairness.bench.model import World
from ringwork.fairness.bench.simulator import Outcome
from ringwork.fairness.control.model import Floats, spans
from ringwork.fairness.measure.levelling import Levelling, levelling
from ringwork.fairness.measure.linear import sum_zero_basis
from ringwork.fairness.measure.reach import Reach
from ringwork.fairness.measure.shrink import learned, posterior

MINIMA: Final = (300, 1_000)
THRESHOLDS: Final = (0.05, 0.10)
LP_BINS: Final = 6
LP_ADS: Final = 20
"""Ads a seed that the bound is solved for: a linear programme each."""
TWINS_LEAST: Final = 5
"""Ads below which no prior can be learned, so that there is no de-attenuated twin."""
NANOS: Final = 10**9


class Run(Struct, frozen=True, kw_only=True):
    """One world under one controller, and under none."""

    world: World
    outcomes: Sequence[Outcome]
    uncontrolled: Sequence[Outcome]


class Coverage(Struct, frozen=True, kw_only=True):
    """Ads within a threshold, of those with the impressions."""

    attribute: str
    minimum: int
    threshold: float
    ads: int
    truth: float | None
    proxy: float | None = None
    """As a report by the proxy would say; None for an intersection, which no release shows."""
    deattenuated: float | None = None
    """As a report with the blur taken out would say, posterior mean; declared: the same."""
    expected: float | None = None
    """As a report's chances add up; of the estimated attribute."""


class Score(Struct, frozen=True, kw_only=True):
    """What a controller did, over worlds of several seeds."""

    ads: int
    coverage: list[Coverage]
    cost: float
    """Spend per value over the same without control."""
    spend: float
    """Spent, over the same without control: costs compare where this is 1."""
    impressions: float
    people: float
    """Unique people reached, over the same without control."""
    cost_per_1000_people: float
    reach: dict[str, float]
    """People of each group, over the same without control."""
    under_served_kept: float
    """Share of ads none of whose under-served groups had fewer people reached than before."""
    worst_group: float
    """Median over ads of the smallest ratio of reach among all groups."""
    levelling: float | None
    """Index over all ads and attributes: 0 gained, 1 taken away."""
    bound: float | None = None
    """Cost of the LP at the same realised variances, over none; None where the world has none."""
    bound_cost: float | None = None
    """``cost`` on the ads of the bound."""
    oracle: float | None = None
    """``cost`` over the oracle's."""


def variances(world: World, outcome: Outcome) -> dict[str, float]:
    """True variance by attribute, and of all crossed (``intersection``)."""
    shares = outcome.truth / max(float(outcome.truth.sum()), 1.0)
    beside = shares - outcome.ad.eligible
    margins = world.incidence @ beside
    found = {
        name: 0.5 * float(np.abs(margins[span]).sum())
        for name, span in zip(world.attributes, spans(world.blocks), strict=True)
    }
    return found | {"intersection": 0.5 * float(np.abs(beside).sum())}


def score(
    runs: Sequence[Run], *, bounds: bool = True, oracle: Sequence[Run] | None = None
) -> Score:
    """Over all ads of all runs."""
    ours = [one for run in runs for one in run.outcomes]
    none = [one for run in runs for one in run.uncontrolled]
    people, before = _sum(ours, "people"), _sum(none, "people")
    spend = _spent(ours) / _spent(none)
    changes = [change for run in runs for change in _changes(run)]
    bound, bound_cost = _bound(runs) if bounds else (None, None)
    cost = _cost(ours) / _cost(none)
    lost = sum(one.lost for change in changes for one in change)
    gained = sum(one.gained for change in changes for one in change)
    first = runs[0].world
    reach = first.incidence @ (people) / np.maximum(first.incidence @ before, 1.0)
    names = [*first.sexes, *first.ages, *first.races]
    return Score(
        ads=len(ours),
        coverage=coverage(runs),
        cost=cost,
        spend=spend,
        impressions=sum(one.impressions for one in ours) / sum(one.impressions for one in none),
        people=float(people.sum() / before.sum()),
        cost_per_1000_people=spend * float(before.sum() / people.sum()),
        reach=dict(zip(names, map(float, reach), strict=True)),
        under_served_kept=float(np.mean([_keeps(change) for change in changes])),
        worst_group=float(np.median([_worst(change) for change in changes])),
        levelling=lost / (lost + gained) if lost + gained > 0 else None,
        bound=bound,
        bound_cost=bound_cost,
        oracle=None if oracle is None else cost / score(oracle, bounds=False).cost,
    )


def coverage(runs: Sequence[Run]) -> list[Coverage]:
    """Every attribute, minimum and threshold."""
    counts = np.array([one.impressions for run in runs for one in run.outcomes])
    truth = [variances(run.world, one) for run in runs for one in run.outcomes]
    shown = [_reported(run) for run in runs]
    rows = []
    for attribute in truth[0]:
        true = np.array([one[attribute] for one in truth])
        twins = [
            np.concatenate([one[attribute] for one in told]) if attribute in told[0] else None
            for told in ([one[0] for one in shown], [one[1] for one in shown])
        ]
        chances = np.concatenate([one[2] for one in shown]) if attribute == "race" else None
        for minimum in MINIMA:
            counted = counts >= minimum
            for at, threshold in enumerate(THRESHOLDS):
                proxy, deattenuated = (
                    None if twin is None else _within(twin[counted], threshold) for twin in twins
                )
                rows.append(
                    Coverage(
                        attribute=attribute,
                        minimum=minimum,
                        threshold=threshold,
                        ads=int(counted.sum()),
                        truth=_within(true[counted], threshold),
                        proxy=proxy,
                        deattenuated=deattenuated,
                        expected=None if chances is None else _mean(chances[counted, at]),
                    )
                )
    return rows


def _within(variance: Floats, threshold: float) -> float | None:
    known = variance[np.isfinite(variance)]
    return float((known <= threshold).mean()) if len(known) else None


def _mean(chances: Floats) -> float | None:
    known = chances[np.isfinite(chances)]
    return float(known.mean()) if len(known) else None


def _reported(run: Run) -> tuple[dict[str, Floats], dict[str, Floats], Floats]:
    """[ads] variances by the last release: by the proxy, and with its blur taken out.

    And [ads, thresholds] the chances that the estimated attribute is within.
    """
    places = dict(zip(run.world.attributes, spans(run.world.blocks), strict=True))
    proxy = {name: np.full(len(run.outcomes), np.nan) for name in places}
    deltas: list[Floats] = []
    sigmas: list[Floats] = []
    chances: list[Floats] = []
    released = []
    race = places["race"]
    basis = np.array(sum_zero_basis(race.stop - race.start))
    for at, one in enumerate(run.outcomes):
        if one.release is None:
            continue
        for name, span in places.items():
            proxy[name][at] = 0.5 * np.abs(one.release.proxy_deviation[span]).sum()
        released.append(at)
        people = float(one.people.sum()) * one.release.impressions / max(one.impressions, 1)
        repeated = one.posterior_noise * (1 / people - 1 / one.release.impressions)
        deltas.append(basis.T @ one.release.deviation[race])
        sigmas.append(basis.T @ (one.release.covariance[race, race] + repeated) @ basis)
        eligible = np.maximum(one.eligible[race], 0.0)
        eligible = eligible / eligible.sum()
        drawn = (np.diag(eligible) - np.outer(eligible, eligible)) / people
        chances.append(basis.T @ drawn @ basis)
    clear = dict(proxy)
    clear["race"] = np.full(len(run.outcomes), np.nan)
    within = np.full((len(run.outcomes), len(THRESHOLDS)), np.nan)
    if len(released) >= TWINS_LEAST:
        delta, sigma, chance = np.array(deltas), np.array(sigmas), np.array(chances)
        found = posterior(delta, sigma, learned(delta, sigma + chance) + chance, THRESHOLDS)
        clear["race"][released], within[released] = found[:, 0], found[:, 3:]
    return proxy, clear, within


def _changes(run: Run) -> list[list[Levelling]]:
    """[ads][attributes] what control did to reach."""
    out = []
    columns = run.world.incidence
    for now, before in zip(run.outcomes, run.uncontrolled, strict=True):
        audience = columns @ now.audience
        ours, none = columns @ now.people, columns @ before.people
        out.append(
            [
                levelling(
                    _reach(ours[span], audience[span], now),
                    _reach(none[span], audience[span], before),
                    audience[span] / audience[span].sum(),
                )
                for span in spans(run.world.blocks)
            ]
        )
    return out


def _reach(people: Floats, audience: Floats, outcome: Outcome) -> Reach:
    return Reach(
        rate=people / np.maximum(audience, 1.0),
        people=people,
        impressions=outcome.impressions,
        spend_nanos=round(outcome.spent * NANOS),
    )


def _keeps(change: Sequence[Levelling]) -> bool:
    return all(
        is_over or ratio is None or ratio >= 1
        for one in change
        for is_over, ratio in zip(one.over_served, one.reach_ratio, strict=True)
    )


def _worst(change: Sequence[Levelling]) -> float:
    return min(
        (ratio for one in change for ratio in one.reach_ratio if ratio is not None), default=1.0
    )


def _bound(runs: Sequence[Run]) -> tuple[float | None, float | None]:
    """Cost of the LP at each ad's realised variances over its cost unsteered, and ours of these."""
    limits: list[tuple[Bound, int]] = []
    free: list[tuple[Bound, int]] = []
    ours: list[Outcome] = []
    none: list[Outcome] = []
    for run in runs:
        if not _is_stationary(run.world):
            return None, None
        for now, before in list(zip(run.outcomes, run.uncontrolled, strict=True))[:LP_ADS]:
            cells = cells_of(run.world, now)
            found = variances(run.world, now)
            each = now.ad.budget / now.ad.opportunities
            taus = [found[name] for name in run.world.attributes]
            groups = attributes_of(run.world)
            limits.append((best(cells, each, tau=taus, attributes=groups), now.ad.opportunities))
            free.append((best(cells, each, attributes=groups), now.ad.opportunities))
            ours.append(now)
            none.append(before)
    return _fluid(limits) / _fluid(free), _cost(ours) / _cost(none)


def _is_stationary(world: World) -> bool:
    """Whether the bound's cells describe it: one phase, even pace, no skew within a group."""
    return bool(np.ptp(world.pool_value) < 1e-6) and all(
        len(ad.value) == 1 and np.ptp(ad.budget_factor) < 1e-9 and ad.cluster_value is None
        for ad in world.ads
    )


def cells_of(world: World, outcome: Outcome, *, knows_group: bool = False) -> Cells:
    """The bound's cells of an ad."""
    ad = outcome.ad
    return Cells.of(
        world.cluster,
        ad.eligible,
        ad.value[0],
        ad.price,
        world.spread,
        bins=LP_BINS,
        knows_group=knows_group,
    )


def attributes_of(world: World) -> list[list[list[int]]]:
    """Crossed groups of every attribute's groups."""
    rows = [[int(at) for at in np.flatnonzero(row)] for row in world.incidence]
    return [rows[span] for span in spans(world.blocks)]


def _fluid(bounds: Sequence[tuple[Bound, int]]) -> float:
    return sum(one.spend * size for one, size in bounds) / sum(
        one.value * size for one, size in bounds
    )


def _cost(outcomes: Sequence[Outcome]) -> float:
    return _spent(outcomes) / sum(one.value for one in outcomes)


def _spent(outcomes: Sequence[Outcome]) -> float:
    return sum(one.spent for one in outcomes)


def _sum(outcomes: Sequence[Outcome], member: str) -> Floats:
    total: Floats = np.sum([getattr(one, member) for one in outcomes], axis=0)
    return total
