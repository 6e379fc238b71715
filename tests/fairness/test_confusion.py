"""The proxy's blur: learned without labels it is the true one, if the posteriors are calibrated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.measure.confusion import (
    contraction,
    implied,
    implied_blur,
    merge_rare,
    miscalibrated,
    survey_blur,
    surveyed,
    within_groups,
)
from ringwork.fairness.measure.draws import DRAWS_SHA256
from ringwork.fairness.model import PPB, RACE_FOUR, Partition
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Refused
from tests.fairness.calibrated_world import MIX, people

PAIR = Partition(attribute="race", groups=("a", "b"), is_estimated=True)


def test_two_people_by_hand() -> None:
    """E[p p^T] = [[.41, .09], [.09, .41]], E[p] = (.5, .5)."""
    pool = np.array([[0.9, 0.1], [0.1, 0.9]])
    assert implied(pool) == pytest.approx(np.array([[0.82, 0.18], [0.18, 0.82]]))
    assert contraction(implied(pool)) == pytest.approx(0.64)


def test_without_labels_the_blur_is_what_the_labels_say() -> None:
    posterior, group = people(np.random.default_rng(3))
    told = surveyed(posterior, group)
    assert implied(posterior) == pytest.approx(told, abs=0.012)
    of_group = [np.cov(posterior[group == k].T, bias=True) for k in range(4)]
    true = np.einsum("k,kij->ij", np.bincount(group) / len(group), np.array(of_group))
    assert within_groups(posterior, implied(posterior)) == pytest.approx(true, abs=0.003)


def test_a_blur_is_integers_that_invert_each_other() -> None:
    posterior, _ = people(np.random.default_rng(4), 5_000)
    blur = implied_blur(posterior, SeededEntropy(1))
    matrix, inverse = (np.array(one) / PPB for one in (blur.matrix_ppb, blur.inverse_ppb))
    assert matrix @ inverse == pytest.approx(np.eye(4), abs=1e-7)
    assert (blur.source, blur.pool_size) == ("implied", 5_000)
    assert blur.draws_sha256 == DRAWS_SHA256
    assert blur == implied_blur(posterior, SeededEntropy(1))
    assert blur.condition_milli == round(np.linalg.cond(matrix) * 1000)


def test_what_is_not_known_of_the_inverse_falls_with_the_pool() -> None:
    posterior, _ = people(np.random.default_rng(5), 40_000)
    small, large = (implied_blur(posterior[:n], SeededEntropy(2)) for n in (2_500, 40_000))
    ratio = np.trace(small.inverse_covariance) / np.trace(large.inverse_covariance)
    assert 8 < ratio < 32  # 16 times the people


def test_bootstraps_know_how_far_other_pools_differ() -> None:
    rng = np.random.default_rng(6)
    inverses = [np.linalg.inv(implied(people(rng, 4_000)[0])).ravel() for _ in range(150)]
    blur = implied_blur(people(rng, 4_000)[0], SeededEntropy(3), bootstraps=150)
    drawn = np.trace(np.cov(np.array(inverses).T))
    assert np.trace(blur.inverse_covariance) / 1e12 == pytest.approx(drawn, rel=0.35)


def test_a_survey_corrects_posteriors_that_claim_too_much() -> None:
    rng = np.random.default_rng(7)
    posterior, group = people(rng)
    mixed = rng.random(len(group)) < 0.15  # of every group, 15 % are anybody
    group = np.where(mixed, rng.permutation(group), group)
    true = surveyed(posterior, group)
    asked = rng.choice(len(group), 12_000, replace=False)
    blur = survey_blur(posterior[asked], group[asked], SeededEntropy(1), pool=posterior)
    learned = np.array(blur.matrix_ppb) / PPB
    assert (blur.source, blur.pool_size) == ("both", 12_000)
    assert np.abs(learned - true).max() < np.abs(implied(posterior) - true).max() / 2
    alone = survey_blur(posterior[asked], group[asked], SeededEntropy(1))
    assert alone.source == "survey"


def test_a_group_that_nobody_answered_needs_a_pool() -> None:
    posterior, _ = people(np.random.default_rng(8), 300)
    nobody = np.zeros(300, dtype=np.int64)
    with pytest.raises(Refused, match="every group"):
        survey_blur(posterior, nobody, SeededEntropy(1))
    blur = survey_blur(posterior, nobody, SeededEntropy(1), pool=posterior)
    assert np.array(blur.matrix_ppb[1]) / PPB == pytest.approx(implied(posterior)[1], abs=1e-8)


@given(st.floats(0, 0.9), st.integers(0, 2**32))
def test_on_what_sums_to_zero_miscalibration_only_scales(kappa: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = implied(rng.dirichlet(MIX * 2, 500))
    x = rng.normal(size=4)
    x -= x.mean()
    worse = miscalibrated(matrix, MIX, kappa)
    assert worse.sum(1) == pytest.approx(np.ones(4))
    assert worse.T @ x == pytest.approx((1 - kappa) * (matrix.T @ x), abs=1e-9)


@given(st.integers(0, 2**32))
def test_measured_variance_is_at_most_the_contraction_of_the_true_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = implied(rng.dirichlet(MIX * 1.6, 300))
    true = rng.dirichlet(MIX) - rng.dirichlet(MIX)
    seen = matrix.T @ true
    assert np.abs(seen).sum() <= contraction(matrix) * np.abs(true).sum() + 1e-12


def test_rare_groups_go_to_the_last_and_are_named() -> None:
    posterior = np.tile([0.700, 0.005, 0.287, 0.008], (10, 1))
    merged = merge_rare(posterior, RACE_FOUR)
    assert merged.names == ("black",)
    assert merged.partition.groups == ("white", "hispanic", "other")
    assert merged.posterior[0] == pytest.approx([0.700, 0.287, 0.013])


def test_a_last_group_that_stays_rare_takes_the_next_smallest() -> None:
    posterior = np.tile([0.700, 0.200, 0.096, 0.004], (10, 1))
    merged = merge_rare(posterior, RACE_FOUR)
    assert merged.partition.groups == ("white", "black", "other")
    assert merged.posterior[0] == pytest.approx([0.7, 0.2, 0.1])


def test_two_groups_always_remain() -> None:
    merged = merge_rare(np.tile([0.999, 0.001], (10, 1)), PAIR)
    assert merged.partition == PAIR
    assert merged.names == ()


@pytest.mark.parametrize(
    ("posterior", "says"),
    [
        (np.tile([0.7, 0.3], (10, 1)), "differ between groups"),
        (np.array([[0.7, 0.3], [np.nan, 0.3]]), "finite"),
        (np.array([[0.7, 0.3], [0.7, 0.7]]), "sum to one"),
        (np.array([[1.0, 0.0], [1.0, 0.0]]), "possible for somebody"),
        (np.array([[0.5, 0.5]]), "two or more people"),
        (np.empty((0, 2)), "two or more people"),
    ],
)
def test_a_pool_that_tells_nothing_is_refused(posterior: np.ndarray, says: str) -> None:
    with pytest.raises(Refused, match=says) as refused:
        implied_blur(posterior, SeededEntropy(1))
    assert refused.value.slug == "blur-unusable"
    assert "nan" not in str(refused.value)


def test_answers_must_be_groups() -> None:
    posterior = np.array([[0.9, 0.1], [0.2, 0.8]])
    with pytest.raises(Refused, match="0 to 1"):
        survey_blur(posterior, np.array([0, 2]), SeededEntropy(1))
