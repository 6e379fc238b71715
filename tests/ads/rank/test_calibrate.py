"""Calibration on known truths, pooled violators against brute force, the figures against theirs."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.rank import calibrate, compiled, plain
from ringwork.ads.rank.calibrate import KNOT_LOGITS, KNOTS
from ringwork.ads.rank.delay import share_in_window
from ringwork.ads.rank.reliability import log_loss, reliability, reliability_by_tier

finite = st.floats(-5, 5)


def brute_force(values, weights):
    """The best of all ways to cut the sequence into runs of equal value."""
    best, found = math.inf, None
    for cuts in itertools.product([False, True], repeat=len(values) - 1):
        groups, current = [], [0]
        for i, cut in enumerate(cuts, start=1):
            if cut:
                groups.append(current)
                current = []
            current.append(i)
        groups.append(current)
        means = [np.average(values[g], weights=weights[g]) for g in groups]
        if any(a > b for a, b in itertools.pairwise(means)):
            continue
        fitted = np.concatenate([[m] * len(g) for m, g in zip(means, groups, strict=True)])
        cost = float((weights * (values - fitted) ** 2).sum())
        if cost < best:
            best, found = cost, fitted
    return found


@given(st.lists(st.tuples(finite, st.floats(0.1, 9)), min_size=1, max_size=7))
def test_pooling_is_the_best_non_decreasing_fit(points):
    values = np.array([value for value, _ in points])
    weights = np.array([weight for _, weight in points])
    fitted = calibrate.pooled(values, weights)
    assert np.all(np.diff(fitted) >= 0)
    assert fitted == pytest.approx(brute_force(values, weights), abs=1e-9)


def skewed(rows: int, seed: int):
    """Log-odds of a model that is too sure of itself and bent, and what really happens."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-4.0, 1.2, rows)
    truth = 1 / (1 + np.exp(-(0.7 * logits - 0.8 + 0.4 * np.sin(1.5 * logits))))
    return logits, truth, (rng.random(rows) < truth).astype(float)


@pytest.mark.parametrize(("method", "at_most"), [("platt", 0.65), ("isotonic", 0.1)])
def test_a_bent_model_is_made_right(method, at_most):
    logits, _, labels = skewed(1_000_000, 1)
    table = calibrate.table(calibrate.curve(*calibrate.evidence(logits, labels), method))
    logits, truth, _ = skewed(200_000, 2)
    p = calibrate.apply(table, logits) / 1e9
    assert p.sum() / truth.sum() == pytest.approx(1.0, abs=0.01)
    before = 1 / (1 + np.exp(-logits))
    assert np.abs(p - truth).mean() < at_most * np.abs(before - truth).mean()


def test_platt_finds_slope_and_offset():
    rng = np.random.default_rng(3)
    logits = rng.normal(-3.0, 1.0, 500_000)
    labels = (rng.random(500_000) < 1 / (1 + np.exp(-(0.6 * logits + 0.5)))).astype(float)
    slope, offset = calibrate.platt(*calibrate.evidence(logits, labels))
    assert (slope, offset) == pytest.approx((0.6, 0.5), abs=0.05)


def test_nothing_known_changes_nothing_and_a_little_changes_little():
    nothing = np.zeros(calibrate.BINS)
    for method in (None, "platt", "identity"):
        identity = calibrate.curve(nothing, nothing, method)
        assert identity == pytest.approx(1 / (1 + np.exp(-KNOT_LOGITS)))
    rows = calibrate.evidence(np.full(200, -4.0), np.zeros(200))  # 3.6 were expected, none came
    at = KNOTS // 2 - 4 * 32
    assert 0.5 < calibrate.curve(*rows)[at] / identity[at] < 1.0


def test_isotonic_takes_over_where_there_is_enough_to_see():
    logits, _, labels = skewed(400_000, 4)
    counted = calibrate.evidence(logits, labels)
    assert labels.sum() > calibrate.ISOTONIC_FROM
    assert np.array_equal(calibrate.curve(*counted), calibrate.curve(*counted, "isotonic"))
    few = calibrate.evidence(logits[:5_000], labels[:5_000])
    assert np.array_equal(calibrate.curve(*few), calibrate.curve(*few, "platt"))


@pytest.mark.parametrize("method", ["platt", "isotonic"])
@given(
    st.lists(
        st.tuples(st.integers(0, calibrate.BINS - 1), st.integers(1, 50_000), st.floats(0, 1)),
        min_size=1,
        max_size=12,
    )
)
def test_a_table_never_falls_and_stays_a_probability(method, points):
    rows, responses = np.zeros(calibrate.BINS), np.zeros(calibrate.BINS)
    for at, count, share in points:
        rows[at] += count
        responses[at] += math.floor(count * share)
    if method == "isotonic" and responses.sum() < calibrate.ISOTONIC_FROM:
        method = None
    table = calibrate.table(calibrate.curve(rows, responses, method))
    assert table.shape == (KNOTS,)
    assert table.dtype == np.int64
    assert np.all(np.diff(table) >= 0)
    assert table[0] >= 1
    assert table[-1] <= 10**9


logits_anywhere = st.floats(-50, 50) | st.integers(0, KNOTS - 1).map(lambda i: KNOT_LOGITS[i])


@given(st.lists(logits_anywhere, min_size=2, max_size=30), st.integers(0, 5))
def test_a_probability_is_the_same_in_loop_twin_and_array_and_keeps_the_order(logits, seed):
    steps = np.random.default_rng(seed).integers(0, 2 * 10**6, KNOTS)
    table = np.minimum(1 + np.cumsum(steps), 10**9)
    table.flags.writeable = False
    logits = np.sort(logits)
    in_array = calibrate.apply(table, logits).tolist()
    assert [compiled.p_ppb(x, table) for x in logits.tolist()] == in_array
    assert [plain.p_ppb(x, table) for x in logits.tolist()] == in_array
    assert in_array == sorted(in_array)


def test_at_a_knot_the_table_s_own_number_and_beyond_the_ends_the_last():
    table = np.arange(KNOTS, dtype=np.int64) * 10
    assert [plain.p_ppb(x, table) for x in (-99.0, -16.0, 0.0, 16.0, 99.0)] == [
        0, 0, 5120, 10240, 10240,
    ]  # fmt: skip
    assert plain.p_ppb(1 / 64, table) == 5125


# ---- reliability --------------------------------------------------------------------------------


def test_the_figures_by_hand():
    judged = reliability(np.array([0.8, 0.4, 0.4, 0.2]), np.array([1.0, 1.0, 0.0, 0.0]))
    assert (judged.rows, judged.responses) == (4, 2)
    assert judged.auc == pytest.approx(3.5 / 4)  # one tie
    assert judged.ratio == pytest.approx(1.8 / 2)
    assert judged.log_loss == pytest.approx(-math.log(0.8 * 0.4 * 0.6 * 0.8) / 4)
    assert judged.normalised_entropy == pytest.approx(judged.log_loss / math.log(2))
    assert judged.ece == pytest.approx((0.2 + 0.6 + 0.4 + 0.2) / 4)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.9]), st.booleans()), min_size=2))
def test_auc_is_the_share_of_pairs_in_order(rows):
    p = np.array([one for one, _ in rows])
    y = np.array([float(clicked) for _, clicked in rows])
    judged = reliability(p, y)
    won = [(a > b) + (a == b) / 2 for a in p[y > 0] for b in p[y == 0]]
    assert judged.auc == pytest.approx(np.mean(won)) if won else math.isnan(judged.auc)
    assert sum(one.rows for one in judged.deciles) == len(rows)


def test_the_truth_is_reliable_and_each_tier_is_judged_by_itself():
    rng = np.random.default_rng(5)
    p = rng.uniform(0.01, 0.2, 200_000)
    y = (rng.random(200_000) < p).astype(float)
    tiers = np.where(np.arange(200_000) % 2, "general", "consented")
    said = np.where(tiers == "general", p, p / 2)
    by = reliability_by_tier(said, y, tiers)
    assert by["general"].ratio == pytest.approx(1.0, abs=0.02)
    assert by["general"].ece < 0.005
    assert by["consented"].ratio == pytest.approx(0.5, abs=0.02)
    assert by["consented"].ece == pytest.approx(p.mean() / 2, rel=0.05)
    assert log_loss(p, y) < log_loss(said, y)


def test_nothing_to_judge_is_refused():
    with pytest.raises(ValueError, match="expected a label"):
        reliability(np.array([]), np.array([]))
    with pytest.raises(ValueError, match="expected a label"):
        reliability(np.array([0.5]), np.array([1.0, 0.0]))


# ---- delay --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [0.1, 0.5, 1.0, 2.0])
def test_the_share_inside_the_window_is_found_from_what_came_inside(mean):
    delays = np.random.default_rng(6).exponential(mean * 3600, 400_000)
    inside = delays[delays < 3600]
    found = share_in_window(len(inside), float(inside.sum()), 3600.0)
    assert found == pytest.approx(len(inside) / len(delays), rel=0.03)


def test_no_correction_from_few_delays_and_never_more_than_five_fold():
    assert share_in_window(99, 99 * 1800.0, 3600.0) == 1.0
    assert share_in_window(1000, 1000 * 1799.0, 3600.0) == 0.2
    assert share_in_window(1000, 0.0, 3600.0) == pytest.approx(1.0)
