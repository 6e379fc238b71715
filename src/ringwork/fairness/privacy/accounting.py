"""What releases cost: epsilon, by dp_accounting and by no formula of ours.

A flight is one Gaussian mechanism: its released numbers, each divided by the standard deviation of
its noise, move by at most 1/multiplier (Euclidean) when one unit of protection changes. The
accountant (privacy loss distributions, Koskela et al. 2020) takes multipliers and gives epsilon at
a delta. Two ways to change a unit are stated side by side:

- *add/remove*: all of it appears or vanishes; a vector moves by at most 1;
- *replace*: it becomes any other; a vector, one-hot or soft, moves by at most sqrt 2. Impressions
  are billed, so that somebody was reached is known, and what is protected is who: budgets use this.

In zero-concentrated terms (Bun, Steinke 2016) rho = 1 / (2 multiplier**2); ``zcdp_rho`` tells it
for comparison, no budget uses it. The accountant's Gaussian is continuous, ours discrete; the
discrete one has the same rho (Canonne et al. 2020), and at 2**22 grid steps of standard
deviation no digit of epsilon tells them apart.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from math import ceil, sqrt
from typing import Final

from msgspec import Struct

from ringwork.fairness.plan import Plan, PrivacyPlan
from ringwork.fairness.privacy.continual import column_norm
from ringwork.kernel.errors import ConfigurationError

MICRO: Final = 1_000_000
NEIGHBOURS: Final = {"add_remove": 1, "replace": 2}
"""Squared distance by which one vector moves."""


class Cost(Struct, frozen=True, kw_only=True):
    """Epsilon at ``delta``, in millionths, rounded up: whole numbers, as the log keeps them."""

    add_remove_micro: int
    replace_micro: int
    delta: str


def vectors_of(plan: Plan) -> int:
    """How many vectors of norm one an impression adds to: one per attribute and intersection."""
    return len(plan.attributes) + len(plan.intersections)


def multiplier(
    privacy: PrivacyPlan, vectors: int, *, replace: bool, releases: int | None = None
) -> float:
    """Noise over sensitivity of a flight, after ``releases`` of its episodes (default: all).

    Squared distances add up over independent noises: ``vectors`` sums of impressions at c
    contributions and the column norm of the episodes, and with the last episode the sums over
    people at one contribution and the control arm's at c: a unit lies in the arm or outside it,
    and pays as if it lay in it.
    """
    steps = privacy.episodes if releases is None else releases
    assert 1 <= steps <= privacy.episodes
    moved = NEIGHBOURS["replace" if replace else "add_remove"] * vectors
    spent = moved * (privacy.contributions_max * column_norm(steps) / privacy.sigma) ** 2
    if privacy.people_sigma is not None and steps == privacy.episodes:
        spent += moved / privacy.people_sigma**2
    if privacy.arm_sigma is not None and steps == privacy.episodes:
        spent += moved * (privacy.contributions_max / privacy.arm_sigma) ** 2
    return 1 / sqrt(spent)


def cost(privacy: PrivacyPlan, vectors: int, *, releases: int | None = None) -> Cost:
    """The epsilons of a flight, both ways. Raises ConfigurationError without dp_accounting.

    ``releases``: after so many episodes; 0 costs nothing.
    """
    if releases == 0:
        return Cost(add_remove_micro=0, replace_micro=0, delta=privacy.delta)
    return Cost(
        add_remove_micro=epsilon_micro(
            [multiplier(privacy, vectors, replace=False, releases=releases)], privacy.delta
        ),
        replace_micro=epsilon_micro(
            [multiplier(privacy, vectors, replace=True, releases=releases)], privacy.delta
        ),
        delta=privacy.delta,
    )


def epsilon_micro(multipliers: Iterable[float], delta: str) -> int:
    """Epsilon of all these Gaussian releases together, in millionths, rounded up.

    What one person who was in every one of them has lost at most.
    """
    counted = Counter(multipliers)
    if not counted:
        return 0
    return ceil(_epsilon(tuple(sorted(counted.items())), delta) * MICRO)


@functools.lru_cache(maxsize=4096)
def _epsilon(multipliers: tuple[tuple[float, int], ...], delta: str) -> float:
    """By the accountant: 0.1 s for one release, seconds for a thousand, so answers are kept."""
    try:
        import dp_accounting  # type: ignore[import-untyped]  # noqa: PLC0415 # an extra: 0.6 s
        from dp_accounting.pld import PLDAccountant  # type: ignore[import-untyped]  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"epsilon needs {missing.name}, which is not installed: "
            "pip install 'ringwork[fairness]'"
        ) from None
    accountant = PLDAccountant()
    for value, count in multipliers:
        accountant.compose(dp_accounting.GaussianDpEvent(value), count)
    return float(accountant.get_epsilon(float(delta)))


def zcdp_rho(noise_multiplier: float) -> float:
    """One Gaussian release in rho (Bun, Steinke 2016, proposition 1.6), for comparison alone."""
    return 1 / (2 * noise_multiplier**2)
