"""Eligible ratios: weighted by what people were shown, in integers that sum to one."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.measure.eligible import (
    eligible,
    in_ppb,
    proxied_covariance,
    recent_impressions,
    told_covariance,
)
from ringwork.fairness.model import PPB
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
