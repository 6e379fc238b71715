"""A market that is small enough for a test, and measurements by hand."""

from dataclasses import replace

import numpy as np

from ringwork.fairness.bench.contest import Market, market
from ringwork.fairness.bench.worlds import RECIPES, make
from ringwork.fairness.control.model import AdContext, Measurement, Release, Traffic, incidence
from ringwork.fairness.control.steering import VALUE_MIDDLES

SMALL = (5.9, 0.1, 320, 450)


def small_market(name: str = "standard", *, ads: int = 2, seed: int = 1, **changes) -> Market:
    """Ads of 320 to 450 impressions; everything else as the recipe says."""
    recipe = replace(RECIPES[name], **{"ads": ads, "impressions": SMALL, **changes})
    return market(lambda one: make(recipe, one), seed)


ELIGIBLE = np.array([0.31, 0.07, 0.085, 0.035, 0.31, 0.07, 0.085, 0.035])
SEXED = np.array(
    [[0.7, 0.2, 0.1]] * 4 + [[0.1, 0.2, 0.7]] * 4
)  # the first cluster is of men, the last of women


def context(tau: float = 0.05) -> AdContext:
    """Two sexes, four races, three clusters that tell the sex and nothing of race."""
    return AdContext(
        ad_id="ad",
        blocks=(2, 4),
        eligible=ELIGIBLE,
        eligible_covariance=np.zeros((6, 6)),
        clusters=SEXED,
        expected_impressions=1_000.0,
        tau=tau,
    )


def measured(
    *, male_lean: float = 0.0, wins: float = 300.0, noise: float = 1e-9, release: bool = True
) -> Measurement:
    """After ``wins`` of 3,000 opportunities; men are won, and worth, more by ``male_lean``."""
    reached = ELIGIBLE @ SEXED
    lean = np.array([1 + male_lean, 1.0, 1 - male_lean])
    opportunities = 3_000 * reached
    bins = np.exp(-0.5 * (np.log(VALUE_MIDDLES) / 0.5) ** 2)
    bins /= bins.sum()
    won = reached * lean / (reached @ lean) * wins
    cells = won[:, None] * bins[None, :]
    deviation = np.zeros(6)
    deviation[:2] = 0.4 * male_lean, -0.4 * male_lean
    flat = incidence((2, 4)) @ np.diag(ELIGIBLE) @ incidence((2, 4)).T
    covariance = noise * (flat - np.outer(np.diag(flat), np.diag(flat)))
    log_value = np.log(lean) * opportunities
    return Measurement(
        impressions=wins,
        opportunities_left=4_000.0,
        budget_left=330.0,
        traffic=Traffic(
            opportunities=opportunities[:, None] * bins[None, :],
            wins=cells,
            log_value=log_value,
            log_price=np.zeros(3),
            log_value_square=float(0.25 * 3_000 + log_value @ np.log(lean)),
            log_price_square=0.25 * 3_000,
        ),
        release=Release(
            impressions=wins,
            deviation=deviation,
            covariance=covariance,
            proxy_deviation=deviation,
            wins=cells,
        )
        if release and wins
        else None,
    )
