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
from numpy.typing import NDArray

from ringwork.fairness.bench.lp import Cells, best
from ringwork.fairness.bench.model import Floats, SimulatedAd, World

SEXES: Final = ("male", "female")
RACES: Final = ("white", "black", "hispanic", "other")
RACE_SHARES: Final = np.array([0.62, 0.14, 0.17, 0.07])
FEMALE: Final = 0.51
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
    overconfident: float = 0.0
    """Share of the identity in the claimed confusion matrix: the platform believes it knows."""
    per_advertiser: int = 1
    shock: bool = False


def make(recipe: Recipe, seed: int) -> World:
    """The world of a recipe; equal seeds give equal worlds."""
    rng = np.random.default_rng([seed, 11])
    race = np.array(recipe.race_shares)
    base = np.r_[race * (1 - FEMALE), race * FEMALE]
    own = rng.dirichlet(np.full(recipe.clusters, 0.35), len(base))
    common = rng.dirichlet(np.full(recipe.clusters, 0.35))
    cluster = recipe.informative * own + (1 - recipe.informative) * common
    pool, confusion = _pool(rng, race)
    lean = pool[np.arange(len(race)), :, :] * (1 - race)  # towards the rarer groups
    departure = lean.sum(-1) - lean.sum(-1).mean(axis=1, keepdims=True)
    ads = tuple(_ad(recipe, rng, base, cluster, number) for number in range(recipe.ads))
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
    )


def _pool(rng: np.random.Generator, race: Floats) -> tuple[NDArray[np.float32], Floats]:
    """Calibrated posteriors whose blur is the proxy's on real names, and their M.

    A Dirichlet mixture with the shares as mean: people of it have the race that it says, with the
    chance that it says, so it is calibrated by construction.
    """
    drawn = rng.dirichlet(race * CONCENTRATION, POOL * 60)
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
    races = len(recipe.race_shares)
    sign = np.repeat([-1.0, 1.0], races)
    sex_effect = rng.normal(0, recipe.sex_effect)
    race_effect = rng.normal(0, recipe.race_effect, races)
    race_effect -= race_effect @ np.array(recipe.race_shares)
    levels = []
    for phase in range(recipe.phases):
        if phase:
            sex_effect += rng.normal(0, recipe.drift)
            race_effect = race_effect + rng.normal(0, recipe.drift, races)
        levels.append(np.exp(sex_effect * sign + np.tile(race_effect, 2)))
    price = np.repeat([1 / 1.15, 1.15], races) * np.tile([1.05, 0.95, 0.95, 1.1], 2)
    mean, spread, least, most = recipe.impressions
    impressions = int(np.clip(np.exp(rng.normal(mean, spread)), least, most))
    won = best(Cells.of(cluster, eligible, levels[0], price, SPREAD, bins=10), BUDGET).impressions
    opportunities = int(impressions / won)
    factor = np.ones(8)
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
    )


_STANDARD: Final = Recipe()
RECIPES: Final[Mapping[str, Recipe]] = {
    one.name: one
    for one in (
        _STANDARD,
        replace(_STANDARD, name="drift", phases=12, drift=0.15),
        replace(_STANDARD, name="bursty", impressions=(5.9, 0.15, 300, 500)),
        replace(_STANDARD, name="mix-95-5", race_shares=(0.86, 0.05, 0.05, 0.04)),
        replace(_STANDARD, name="geography-seen", seen_skew=1.0),
        replace(_STANDARD, name="geography-unseen", seen_skew=-1.0),
        replace(_STANDARD, name="miscalibrated", overconfident=0.3),
        replace(_STANDARD, name="a-a", sex_effect=0.0, race_effect=0.0),
        replace(_STANDARD, name="three-ads", per_advertiser=3),
        replace(_STANDARD, name="budget-shock", shock=True),
        replace(_STANDARD, name="uninformative", informative=0.25),
    )
}


def maker(name: str) -> Callable[[int], World]:
    """``make(seed)`` of a packaged world. KeyError for a name that is none."""
    recipe = RECIPES[name]
    return lambda seed: make(recipe, seed)
