"""The packaged worlds: where delivery skews, and how. Facts: Ali et al. 2019; specification 4.12.

``standard`` is the world whose figures the specification quotes: 64 clusters, 8 groups (two sexes,
four races), hidden response with standard deviations .45 (sex) and .40 (race), log-normal value and
price, 110 ads of 320 to 25,000 impressions. The others change one thing each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from ringwork.fairness.bench.lp import Cells, best
from ringwork.fairness.bench.model import SimulatedAd, World
from ringwork.fairness.control.model import Floats

SEXES: Final = ("male", "female")
RACES: Final = ("white", "black", "hispanic", "other")
RACE_SHARES: Final = np.array([0.62, 0.14, 0.17, 0.07])
FEMALE: Final = 0.51
AGES: Final = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
AGE_SHARES: Final = (0.12, 0.18, 0.17, 0.16, 0.16, 0.21)
SPREAD: Final = 0.5
POOL: Final = 4_000
BUDGET: Final = 1 / 12
"""Of the mean price, per opportunity: what makes an ad choose."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a world is made by; the defaults are ``standard``."""

    name: str = "standard"
    ads: int = 110
    clusters: int = 64
    informative: float = 0.75
    """How much a cluster says of the group; 0: nothing."""
    sex_effect: float = 0.45
    race_effect: float = 0.40
    race_shares: tuple[float, ...] = tuple(RACE_SHARES)
    impressions: tuple[float, float, int, int] = (7.4, 1.2, 320, 25_000)
    """Mean and standard deviation of the log, least, most."""
    phases: int = 1
    drift: float = 0.0
    """Standard deviation of the change of every response from phase to phase."""
    seen_skew: float = 0.0
    """How much value grows with the posterior's departure from its group: geography that the proxy
    sees."""
    cluster_effect: float = 0.0
    """Standard deviation of every cluster's own response: geography that the proxy does not see,
    since a posterior says nothing of the cluster beyond the group."""
    overconfident: float = 0.0
    """Share of the identity in the claimed confusion matrix: the platform believes it knows."""
    per_advertiser: int = 1
    """Ads of one advertiser share most of their skew and their audience."""
    shock: bool = False
    """From the middle on an ad may spend a quarter of the even pace, or twice."""
    bursts: bool = False
    """Spending comes in bursts: eight turns of a quarter of the even pace and of two and a half."""
    price_skew: float = 1.0
    """0: every group's places cost alike, so that nothing at all skews delivery."""
    ages: int = 0
    """Age brackets as a third attribute; 0: none."""
    age_effect: float = 0.35


def make(recipe: Recipe, seed: int) -> World:
    """The world of a recipe; equal seeds give equal worlds."""
    rng = np.random.default_rng([seed, 11])
    race = np.array(recipe.race_shares)
    base = np.r_[race * (1 - FEMALE), race * FEMALE]
    if recipe.ages:
        age = np.array(AGE_SHARES[: recipe.ages]) / sum(AGE_SHARES[: recipe.ages])
        sex = np.array([1 - FEMALE, FEMALE])
        base = np.einsum("s,a,r->sar", sex, age, race).ravel()
    own = rng.dirichlet(np.full(recipe.clusters, 0.35), len(base))
    common = rng.dirichlet(np.full(recipe.clusters, 0.35))
    cluster = recipe.informative * own + (1 - recipe.informative) * common
    pool, confusion = _pool(rng, race)
    lean = pool[np.arange(len(race)), :, :] * (1 - race)  # towards the rarer groups
    departure = lean.sum(-1) - lean.sum(-1).mean(axis=1, keepdims=True)
    ads = tuple(_ad(recipe, rng, base, cluster, number) for number in range(recipe.ads))
    if recipe.per_advertiser > 1:
        ads = tuple(_family(ads, number, recipe.per_advertiser) for number in range(recipe.ads))
    identity = np.eye(len(race))
    claimed = (1 - recipe.overconfident) * confusion + recipe.overconfident * identity
    return World(
        name=recipe.name,
        sexes=SEXES,
        races=RACES,
        cluster=cluster,
        pool=pool,
        pool_value=np.exp(recipe.seen_skew * departure).astype(np.float32),
        claimed_confusion=claimed,
        spread=SPREAD,
        ads=ads,
        ages=AGES[: recipe.ages],
    )


def _pool(rng: np.random.Generator, race: Floats) -> tuple[NDArray[np.float32], Floats]:
    """Calibrated posteriors whose blur is the proxy's on real names, and their M.

    A Dirichlet mixture with the shares as mean: people of it have the race that it says, with the
    chance that it says, so it is calibrated by construction.
    """
    # A group of one in a hundred needs more draws until there are enough of it.
    drawn = rng.dirichlet(race * CONCENTRATION, max(POOL * 60, int(1.5 * POOL / race.min())))
    true = (np.cumsum(drawn, axis=1) < rng.random((len(drawn), 1))).sum(axis=1)
    true = true.clip(0, len(race) - 1)
    pool = np.stack([drawn[true == one][:POOL] for one in range(len(race))])
    return pool.astype(np.float32), pool.mean(axis=1)


CONCENTRATION: Final = 1.6
"""Gives M a diagonal of about .80/.50/.52/.43: that of the proxy on labelled records."""


def _ad(
    recipe: Recipe, rng: np.random.Generator, base: Floats, cluster: Floats, number: int
) -> SimulatedAd:
    eligible = rng.dirichlet(base * 60 + 0.2)
    races, brackets = len(recipe.race_shares), max(recipe.ages, 1)
    sign = np.repeat([-1.0, 1.0], brackets * races)
    sex_effect = rng.normal(0, recipe.sex_effect)
    race_effect = rng.normal(0, recipe.race_effect, races)
    race_effect -= race_effect @ np.array(recipe.race_shares)
    age_effect = rng.normal(0, recipe.age_effect, brackets) if recipe.ages else np.zeros(1)
    of_age = np.tile(np.repeat(age_effect, races), 2)
    levels = []
    for phase in range(recipe.phases):
        if phase:
            sex_effect += rng.normal(0, recipe.drift)
            race_effect = race_effect + rng.normal(0, recipe.drift, races)
        levels.append(np.exp(sex_effect * sign + of_age + np.tile(race_effect, 2 * brackets)))
    price = np.exp(
        recipe.price_skew
        * (np.log(1.15) * sign + np.tile(np.log([1.05, 0.95, 0.95, 1.1]), 2 * brackets))
    )
    mean, spread, least, most = recipe.impressions
    impressions = int(np.clip(np.exp(rng.normal(mean, spread)), least, most))
    won = best(Cells.of(cluster, eligible, levels[0], price, SPREAD, bins=10), BUDGET).impressions
    opportunities = int(impressions / won)
    factor = np.ones(8)
    if recipe.bursts:
        factor = np.tile([0.25, 2.5], 8)
    if recipe.shock:
        factor[4:] = rng.choice([0.25, 2.0])
    return SimulatedAd(
        ad_id=f"ad{number:03d}",
        advertiser=number // recipe.per_advertiser,
        eligible=eligible,
        value=np.array(levels),
        price=price,
        opportunities=opportunities,
        budget=BUDGET * opportunities,
        budget_factor=factor,
        cluster_value=_cluster_value(recipe, rng, cluster.shape[1]),
    )


def _cluster_value(recipe: Recipe, rng: np.random.Generator, clusters: int) -> Floats | None:
    if not recipe.cluster_effect:
        return None
    return np.exp(rng.normal(0, recipe.cluster_effect, clusters))


def _family(ads: tuple[SimulatedAd, ...], number: int, size: int) -> SimulatedAd:
    """An ad with its advertiser's audience, and four fifths of the skew of the first of them."""
    ad, first = ads[number], ads[number - number % size]
    return structs.replace(ad, eligible=first.eligible, value=first.value**0.8 * ad.value**0.2)


_STANDARD: Final = Recipe()
RECIPES: Final[Mapping[str, Recipe]] = {
    one.name: one
    for one in (
        _STANDARD,
        replace(_STANDARD, name="drift", phases=12, drift=0.15),
        replace(_STANDARD, name="bursty", impressions=(5.9, 0.15, 300, 500), bursts=True),
        replace(_STANDARD, name="mix-95-5", race_shares=(0.95, 0.02, 0.02, 0.01)),
        replace(_STANDARD, name="geography-seen", seen_skew=1.0),
        replace(_STANDARD, name="geography-unseen", cluster_effect=0.35),
        replace(_STANDARD, name="miscalibrated", overconfident=0.3),
        replace(_STANDARD, name="a-a", sex_effect=0.0, race_effect=0.0, price_skew=0.0),
        replace(_STANDARD, name="three-ads", per_advertiser=3),
        replace(_STANDARD, name="budget-shock", shock=True),
        replace(_STANDARD, name="uninformative", informative=0.25),
        replace(_STANDARD, name="ages", ages=6),
    )
}


def maker(name: str) -> Callable[[int], World]:
    """``make(seed)`` of a packaged world. KeyError for a name that is none."""
    recipe = RECIPES[name]
    return lambda seed: make(recipe, seed)
