"""Bounds: against the specification's table, SciPy and arithmetic by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ringwork.gate.sim.metrics import clopper_pearson, mean_bound


@pytest.mark.parametrize(("events", "trials"), [(0, 3_000), (1, 5_000), (12, 20_000), (38, 50_000)])
def test_a_tenth_of_a_percent_may_be_claimed_where_the_specification_says_so(
    events: int, trials: int
) -> None:
    assert clopper_pearson(events, trials) <= 0.001
    assert clopper_pearson(events + 1, trials) > 0.001


def test_nothing_finer_than_three_in_n_is_claimed_from_nothing() -> None:
    # (1 - p)^n = 0.05, so p = 1 - 0.05^(1/n)
    for trials in (1, 10, 2_994, 20_000):
        assert clopper_pearson(0, trials) == pytest.approx(1 - 0.05 ** (1 / trials), rel=1e-9)
    assert clopper_pearson(5, 5) == 1.0


@given(st.integers(1, 30_000), st.data())
def test_the_bound_is_the_beta_quantile(trials: int, data: st.DataObject) -> None:
    events = data.draw(st.integers(0, trials - 1))
    exact = stats.beta.ppf(0.95, events + 1, trials - events)
    assert clopper_pearson(events, trials) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(("events", "trials"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(events: int, trials: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to n"):
        clopper_pearson(events, trials)


def test_a_mean_of_zeros_is_bounded_by_three_per_account() -> None:
    assert mean_bound(np.zeros(8, np.int64)) == pytest.approx(-math.log(0.05) / 8)


@given(st.lists(st.integers(0, 3_000), min_size=2, max_size=40))
def test_the_bound_of_a_mean_is_the_larger_of_poissons_and_students(counts: list[int]) -> None:
    n, total = len(counts), sum(counts)
    poisson = stats.chi2.ppf(0.95, 2 * total + 2) / 2 / n
    student = np.mean(counts) + stats.t.ppf(0.95, n - 1) * np.std(counts, ddof=1) / math.sqrt(n)
    assert mean_bound(np.array(counts)) == pytest.approx(max(poisson, student), rel=0.01)
