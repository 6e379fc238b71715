"""Eligible ratios: weighted by what people were shown, in integers that sum to one."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.measure.eligible import (
    eligible,
    in_ppb,
    noise_covariance,
    noisy_shares,
    proxied_covariance,
    raked,
    recent_impressions,
    told_covariance,
)
from ringwork.fairness.model import PPB
from ringwork.fairness.privacy.samplers import NoisePool
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Refused

WOMAN, MAN, UNKNOWN = [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]
FOUR = np.array([WOMAN, MAN, MAN, UNKNOWN])


def test_by_impressions_and_by_people_by_hand() -> None:
    """A woman shown 6 ads and two men shown 1 each: 75 % women by impressions, a third by people."""
    seen = eligible(FOUR, np.array([6, 1, 1, 50]))
    assert seen.shares_ppb == (750_000_000, 250_000_000)
    assert (seen.by, seen.people, seen.unknown) == ("impressions", 3, 1)
    assert eligible(FOUR).shares_ppb == (333_333_333, 666_666_667)
    assert eligible(FOUR).by == "people"


def test_an_audience_that_was_shown_nothing_counts_by_people_and_says_so() -> None:
    assert eligible(FOUR, np.array([0, 0, 0, 9])).by == "people"


def test_a_group_that_is_not_there_has_share_zero() -> None:
    assert eligible(np.array([WOMAN, WOMAN])).shares_ppb == (PPB, 0)


@pytest.mark.parametrize("nobody", [np.empty((0, 2)), np.array([UNKNOWN, UNKNOWN])])
def test_nobody_of_a_known_group_is_refused(nobody: np.ndarray) -> None:
    with pytest.raises(Refused, match="audience-empty"):
        eligible(nobody)


def test_the_window_ends_today_and_nothing_of_the_future_counts() -> None:
    person = np.array([0, 0, 1, 1, 2])
    day = np.array([70, 71, 100, 101, 100])
    counts = recent_impressions(person, day, people=4, today=100, window_days=30)
    assert counts.tolist() == [1, 1, 1, 0]


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=16).filter(any))
def test_shares_sum_to_one_and_are_off_by_less_than_a_unit(amounts: list[int]) -> None:
    shares = in_ppb(np.array(amounts, dtype=float))
    assert sum(shares) == PPB
    for share, amount in zip(shares, amounts, strict=True):
        assert abs(share - amount / sum(amounts) * PPB) < 1.01


@pytest.mark.parametrize("amounts", [[0.0, 0.0], [1.0, -1.0], [np.nan, 1.0]])
def test_nothing_to_share_is_an_error(amounts: list[float]) -> None:
    with pytest.raises(ValueError, match="finite amounts"):
        in_ppb(np.array(amounts))


def test_shares_of_those_who_told_miss_the_truth_by_what_is_said() -> None:
    """Three of five people told: every choice of three is as likely, so the variance by hand."""
    groups = np.array([0, 0, 0, 1, 1])
    found = [np.mean(groups[list(of)] == 0) for of in itertools.combinations(range(5), 3)]
    said = told_covariance(np.array([0.6, 0.4]), told=3, people=5)
    # The variance of a few people is S^2 (N - n) / N n with S^2 = N / (N - 1) of theirs.
    assert said[0, 0] * 5 / 4 == pytest.approx(np.var(found))
    assert said[0, 1] == -said[0, 0] == -said[1, 1]


def test_everybody_told_is_certain_and_nobody_told_says_nothing() -> None:
    share = np.array([0.3, 0.7])
    assert not told_covariance(share, told=9, people=9).any()
    assert told_covariance(share, told=0, people=9)[0, 0] == 0.5


def test_posteriors_that_are_certain_leave_no_noise_and_blurred_ones_more() -> None:
    exact = proxied_covariance(np.eye(2), np.zeros((2, 2)), people=10)
    assert not exact.any()
    matrix = np.array([[0.8, 0.2], [0.3, 0.7]])
    within = np.array([[0.05, -0.05], [-0.05, 0.05]])
    found = proxied_covariance(np.linalg.inv(matrix), within, people=100)
    # M^-T (.05 / 100) M^-1 by hand: the difference of two shares is blurred to half of itself.
    assert found[0, 0] == pytest.approx(0.05 / 100 / 0.5**2)


# ---- with noise ----------------------------------------------------------------------------------
def test_shares_of_noisy_sums_by_hand() -> None:
    """30 and 70 of 100, noise of 5: five points. Who is fewer than nobody is nobody."""
    assert noisy_shares([30, 70], noise=5) == ((300_000_000, 700_000_000), 50_000_000)
    assert noisy_shares([-4, 60, 40], noise=3) == ((0, 600_000_000, 400_000_000), 30_000_000)
    assert noisy_shares([1, 2], noise=0) == ((333_333_333, 666_666_667), 0)
    assert noisy_shares([0, 7], noise=0.7 + 1e-12) is None, "the noise is more than a tenth"
    assert noisy_shares([0, 7], noise=0.7) is not None


@given(st.lists(st.integers(-300, 10_000), min_size=2, max_size=8), st.integers(0, 500))
def test_noisy_shares_are_shares_or_nothing(sums: list[int], noise: int) -> None:
    found = noisy_shares(sums, noise=noise)
    total = sum(max(one, 0) for one in sums)
    if found is None:
        assert total == 0 or noise * 10 > total
    else:
        shares, error = found
        assert sum(shares) == PPB
        assert min(shares) >= 0
        assert 0 <= error - noise / total * PPB < 1, "rounded up"


def test_shares_err_by_the_covariance_that_is_said() -> None:
    """4,000 releases of an audience of 2,000 people, with the noise that is really drawn."""
    truth = np.array([1300, 350, 280, 70])
    drawn = NoisePool(SeededEntropy(3)).discrete_gaussian(12, size=4 * 4000).reshape(-1, 4)
    found = np.array([noisy_shares(row, noise=12)[0] for row in (truth + drawn).tolist()]) / PPB
    said = noise_covariance(truth / 2000, 12 / 2000)
    assert np.cov(found.T) == pytest.approx(said, abs=0.06 * (12 / 2000) ** 2)
    assert said.sum(axis=0) == pytest.approx(0, abs=1e-12), (
        "what one share has more others have less"
    )
    assert found.mean(axis=0) == pytest.approx(truth / 2000, abs=4 * 0.006 / 4000**0.5)


@given(st.integers(0, 2**32), st.lists(st.integers(2, 5), min_size=1, max_size=3))
def test_raked_cells_have_the_margins(seed: int, shape: list[int]) -> None:
    rng = np.random.default_rng(seed)
    cells = np.maximum(rng.normal(100, 80, shape), 0)
    cells.flat[0] += 1
    margins = [rng.dirichlet(np.full(one, 20.0)) for one in shape]
    found = raked(cells, margins)
    assert (found >= 0).all()
    for axis, margin in enumerate(margins):
        others = tuple(one for one in range(len(shape)) if one != axis)
        assert found.sum(axis=others) == pytest.approx(margin, abs=1e-6)


def test_cells_that_fit_are_left_and_a_group_of_nobody_stays_so() -> None:
    cells = np.array([[0.1, 0.2, 0.0], [0.3, 0.4, 0.0]])
    assert raked(cells, [cells.sum(1), cells.sum(0)]) == pytest.approx(cells, abs=1e-6)
