"""The two estimates inside the pacer, against brute force and by hand."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.pacing.response import Response
from ringwork.ads.pacing.traffic import BLOCK_S, Flat, Traffic


@given(
    offset=st.floats(-2.0, 2.0),
    charges=st.floats(0.0, 50.0),
    opportunities=st.integers(1, 100),
)
@settings(max_examples=40, deadline=None)
def test_the_line_moves_to_the_most_likely_one(offset, charges, opportunities):
    before = Response.expected(1_000.0, 10_000_000)
    lump = before.lump_nanos
    spent = round(charges * lump)
    after = before.observed(offset, spent, opportunities, 0.0)

    def log_posterior(level, slope):
        line = level + slope * offset
        prior = (level - before.level) ** 2 / 9.0 + (slope - 2.0) ** 2 / 0.5
        return (spent * line - opportunities * math.exp(line)) / lump - prior / 2.0

    best = log_posterior(after.level, after.slope)
    for level, slope in product((-0.05, 0.0, 0.05), repeat=2):
        assert log_posterior(after.level + level, after.slope + slope) <= best + 1e-6


def test_variance_falls_as_the_curvature_says():
    before = Response.expected(1_000.0, 10_000_000)
    after = before.observed(0.5, 300_000, 100, 0.0)
    prior = np.linalg.inv(np.diag([9.0, 0.5]))
    direction = np.array([1.0, 0.5])
    mean = 100 * math.exp(after.level + 0.5 * after.slope) / before.lump_nanos
    posterior = np.linalg.inv(prior + mean * np.outer(direction, direction))
    kept = [[after.level_variance, after.covariance], [after.covariance, after.slope_variance]]
    assert np.allclose(kept, posterior)


def test_no_sale_among_many_opportunities_lowers_the_expected_spend():
    before = Response.expected(1_000.0, 1_000_000)
    assert before.observed(0.0, 0, 1, 0.0).level > before.observed(0.0, 0, 1_000, 0.0).level


def test_charges_are_sized_by_the_scatter_of_the_spend():
    # Poisson(20) charges of 5,000 nanos a minute; the first guess was a hundred times that.
    generator = np.random.default_rng(7)
    response = Response.expected(1_000.0, 50_000_000)
    for _ in range(600):
        response = response.observed(0.0, int(generator.poisson(20)) * 5_000, 100, 1 / 60)
    assert response.lump_nanos == pytest.approx(5_000, rel=0.5)


def test_after_a_jump_of_prices_the_old_line_is_forgotten():
    response = Response.expected(100.0, 14_400_000)
    for _ in range(600):
        response = response.observed(0.0, 10_000, 100, 1 / 60)
    for _ in range(30):
        response = response.observed(0.0, 20_000, 100, 1 / 60)
    assert math.exp(response.level) == pytest.approx(200.0, rel=0.03)


def follow(traffic, ratios, *, expected=30.0):
    """Half-hours of so many times the forecast of one a minute."""
    for number, ratio in enumerate(ratios):
        began_s = number * BLOCK_S
        traffic = traffic.observed(round(expected * ratio), expected, began_s, began_s + BLOCK_S)
    return traffic


def test_a_shock_passes_and_a_wrong_level_stays():
    curve = Flat()
    now_s = 12 * BLOCK_S
    shock = follow(Traffic.unseen(0.0, is_forecast=True), [1.0] * 8 + [3.0] * 4, expected=3_000.0)
    level = follow(Traffic.unseen(0.0, is_forecast=True), [3.0] * 12, expected=3_000.0)
    far_s = now_s + 86_400
    assert shock.level == 1.0
    assert level.level == pytest.approx(3.0)
    assert shock.ahead(curve, now_s, far_s) < 1_440 * 1.3
    assert level.ahead(curve, now_s, far_s) == pytest.approx(1_440 * 3.0, rel=0.01)


def test_deviations_that_keep_lasting_are_expected_to_last_longer():
    brief = follow(Traffic.unseen(0.0, is_forecast=True), [1.0, 3.0, 1.0, 1.0] * 5)
    long = follow(Traffic.unseen(0.0, is_forecast=True), [3.0] * 7 + [1.0] * 7 + [0.3] * 6)
    assert brief.lasting_s < 3_600 < long.lasting_s


def test_few_opportunities_hardly_move_what_is_expected():
    one = Traffic.unseen(0.0, is_forecast=True).observed(3, 1.0, 0, 360)
    many = Traffic.unseen(0.0, is_forecast=True).observed(3_000, 1_000.0, 0, 360)
    assert one.ahead(Flat(), 360, 86_400) < many.ahead(Flat(), 360, 86_400)


def test_without_a_forecast_the_first_minute_sets_the_level():
    traffic = Traffic.unseen(0.0, is_forecast=False).observed(10_000_000, 1.0, 0, 60)
    assert traffic.ahead(Flat(), 60, 86_400) == pytest.approx(1e7 * 1439, rel=0.01)
