"""Epsilon against the specification's table and the analytic Gaussian mechanism."""

import subprocess
import sys
from math import erf, exp, sqrt

import msgspec
import pytest

from ringwork.fairness.delivery import modelling
from ringwork.fairness.delivery.measuring import terms_of
from ringwork.fairness.measure.sums import Layout
from ringwork.fairness.plan import PrivacyPlan, preset, presets
from ringwork.fairness.privacy import accounting
from ringwork.fairness.privacy.accounting import (
    MICRO,
    cost,
    epsilon_micro,
    multiplier,
    vectors_of,
    zcdp_rho,
)
from ringwork.kernel.errors import ConfigurationError

NO_PEOPLE = PrivacyPlan(people_sigma=None)


def delta_of(epsilon: float, noise_multiplier: float) -> float:
    """Balle, Wang 2018, theorem 8: the delta of a Gaussian mechanism, in closed form."""

    def normal(x: float) -> float:
        return (1 + erf(x / sqrt(2))) / 2

    a, b = 1 / (2 * noise_multiplier), epsilon * noise_multiplier
    return normal(a - b) - exp(epsilon) * normal(-a - b)


@pytest.mark.parametrize(
    ("sigma", "add_remove", "replace"),
    [(4, 2.49, 3.65), (8, 1.17, 1.70), (12, 0.75, 1.10), (16, 0.55, 0.80)],
)
def test_sex_and_race_over_64_episodes_cost_what_the_specification_says(
    sigma, add_remove, replace
) -> None:
    found = cost(msgspec.structs.replace(NO_PEOPLE, sigma=sigma), 2)
    assert found.add_remove_micro / MICRO == pytest.approx(add_remove, abs=0.005)
    assert found.replace_micro / MICRO == pytest.approx(replace, abs=0.005)


@pytest.mark.parametrize("noise_multiplier", [0.7, 1.3, 5.0])
def test_the_accountant_agrees_with_the_closed_form_and_is_never_below(noise_multiplier) -> None:
    epsilon = epsilon_micro([noise_multiplier], "1e-6") / MICRO
    assert delta_of(epsilon, noise_multiplier) <= 1e-6
    assert delta_of(epsilon - 0.002, noise_multiplier) > 1e-6


def test_releases_of_one_person_compose() -> None:
    # Two Gaussian releases are one of multiplier m / sqrt 2.
    both, one = epsilon_micro([2.0, 2.0], "1e-6"), epsilon_micro([2 / sqrt(2)], "1e-6")
    assert both == pytest.approx(one, rel=1e-3)
    assert epsilon_micro([], "1e-6") == 0


def test_more_releases_cost_more_and_none_cost_nothing() -> None:
    spent = [cost(NO_PEOPLE, 2, releases=one).replace_micro for one in (0, 1, 8, 64)]
    assert spent == sorted(spent)
    assert spent[0] == 0 < spent[1]
    assert spent[-1] == cost(NO_PEOPLE, 2).replace_micro


def test_the_multiplier_by_hand() -> None:
    # One episode, one vector, two contributions: 4 / (2 sqrt 2) under replace, 4 / 2 without.
    plan = PrivacyPlan(episodes=1, contributions_max=2, people_sigma=None, unit="person-ad")
    assert multiplier(plan, 1, replace=True) == pytest.approx(sqrt(2))
    assert multiplier(plan, 1, replace=False) == pytest.approx(2)
    # With sums over people at sigma 4: squared, (2/4)**2 + (1/4)**2.
    plan = msgspec.structs.replace(plan, people_sigma=4.0)
    assert multiplier(plan, 1, replace=False) == pytest.approx(1 / sqrt(0.25 + 0.0625))
    # And the control arm's at 8: both contributions may lie in it, (2/8)**2.
    plan = msgspec.structs.replace(plan, arm_sigma=8.0)
    assert multiplier(plan, 1, replace=False) == pytest.approx(1 / sqrt(0.25 + 0.0625 + 0.0625))
    assert zcdp_rho(2.0) == 1 / 8


def test_sums_over_people_are_paid_for_with_the_last_episode() -> None:
    with_people = PrivacyPlan()
    assert multiplier(with_people, 2, replace=True, releases=63) == multiplier(
        NO_PEOPLE, 2, replace=True, releases=63
    )
    assert multiplier(with_people, 2, replace=True) < multiplier(NO_PEOPLE, 2, replace=True)
    with_arm = PrivacyPlan(arm_sigma=10.0)
    assert multiplier(with_arm, 2, replace=True, releases=63) == multiplier(
        NO_PEOPLE, 2, replace=True, releases=63
    )
    assert multiplier(with_arm, 2, replace=True) < multiplier(with_people, 2, replace=True)


def test_every_preset_pays_for_what_it_declares() -> None:
    for name in presets():
        plan = preset(name)
        found = cost(plan.privacy, vectors_of(plan))
        assert found.replace_micro <= plan.privacy.epsilon_max * MICRO, name


def test_the_united_states_have_four_vectors_at_the_price_of_two() -> None:
    plan = preset("united-states")
    assert vectors_of(plan) == 4
    found = cost(msgspec.structs.replace(plan.privacy, people_sigma=None, arm_sigma=None), 4)
    assert found.replace_micro / MICRO == pytest.approx(3.65, abs=0.005)


def test_without_the_library_the_extra_is_named(monkeypatch) -> None:
    accounting._epsilon.cache_clear()
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'ringwork\[fairness\]'"):
        epsilon_micro([1.0], "1e-6")


def test_importing_the_part_imports_no_heavy_library() -> None:
    code = (
        "import sys, ringwork.fairness.privacy.budget, ringwork.fairness.measure.ingest;"
        "sys.exit(any(one in sys.modules for one in ('numba', 'scipy', 'dp_accounting', 'pyarrow')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("name", "blocks", "add_remove", "replace"),
    [("united-states", 4, 0.69, 1.00), ("us-v-meta", 3, 0.59, 0.85), ("canada", 3, 0.59, 0.85)],
)
def test_an_audience_costs_what_the_page_says_whichever_sums_are_released(
    name, blocks, add_remove, replace
) -> None:
    """Both kinds of sums at sqrt 2 times the noise cost what one costs, rounded up."""
    plan = preset(name)
    assert len(Layout.of(plan).blocks) + (name != "united-states") == blocks, "both crossed"
    for weighed in (False, True):
        found = cost(terms_of(plan, weighed=weighed), blocks)
        assert found.replace_micro <= MICRO
        assert found.replace_micro / MICRO == pytest.approx(replace, abs=0.006)
        assert found.add_remove_micro / MICRO == pytest.approx(add_remove, abs=0.006)
        # One Gaussian release: Balle, Wang, with sums by impressions in units of their own noise.
        alone = 12 / sqrt(2 * blocks)
        assert delta_of(found.replace_micro / MICRO, alone) == pytest.approx(1e-6, rel=0.02)
    assert terms_of(msgspec.structs.replace(plan, eligible_sigma=None), weighed=True) is None


@pytest.mark.parametrize(
    ("attributes", "add_remove", "replace"), [(1, 0.23, 0.33), (2, 0.33, 0.47)]
)
def test_models_cost_what_the_page_says(attributes, add_remove, replace) -> None:
    """Of one attribute a person moves the sums by sqrt 2 at most: Balle, Wang."""
    plan = preset("united-states")
    found = cost(modelling.terms_of(plan), attributes)
    assert found.replace_micro / MICRO == pytest.approx(replace, abs=0.006)
    assert found.add_remove_micro / MICRO == pytest.approx(add_remove, abs=0.006)
    alone = 17 / sqrt(2 * attributes)
    assert delta_of(found.replace_micro / MICRO, alone) == pytest.approx(1e-6, rel=0.02)
    assert modelling.terms_of(msgspec.structs.replace(plan, model_sigma=None)) is None
