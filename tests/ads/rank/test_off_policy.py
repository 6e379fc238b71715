"""Off-policy estimates on a logged bandit whose other policy's value is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.rank.off_policy import Logged, doubly_robust, ips, snips

ARMS = 5
TRUTH = np.array([[0.02, 0.05, 0.01, 0.03, 0.04], [0.06, 0.01, 0.02, 0.05, 0.01]])
OLD = np.array([[0.5, 0.2, 0.1, 0.1, 0.1], [0.1, 0.3, 0.2, 0.2, 0.2]])
NEW = np.array([[0.05, 0.6, 0.05, 0.1, 0.2], [0.7, 0.0, 0.1, 0.2, 0.0]])
VALUE = float((NEW * TRUTH).sum(axis=1).mean())


def logged(rows: int, seed: int):
    """(log, predictions of the logged choice, predictions of the new policy) with a bad model."""
    rng = np.random.default_rng(seed)
    context = rng.integers(0, 2, rows)
    arm = (rng.random(rows)[:, None] > np.cumsum(OLD[context], axis=1)[:, :-1]).sum(axis=1)
    rewards = (rng.random(rows) < TRUTH[context, arm]).astype(float)
    model = 0.7 * TRUTH + 0.01
    return (
        Logged(rewards=rewards, propensities=OLD[context, arm], target=NEW[context, arm]),
        model[context, arm],
        (NEW[context] * model[context]).sum(axis=1),
    )


def estimates(rows: int, seed: int):
    log, predicted, target = logged(rows, seed)
    robust = doubly_robust(log, predicted=predicted, predicted_target=target)
    return {"ips": ips(log), "snips": snips(log), "dr": robust}


def test_the_intervals_cover_the_known_value_as_often_as_they_say():
    rounds = 200
    covered = dict.fromkeys(("ips", "snips", "dr"), 0)
    for seed in range(rounds):
        for name, one in estimates(4_000, seed).items():
            covered[name] += one.low <= VALUE <= one.high
    assert all(0.90 <= count / rounds <= 0.99 for count in covered.values()), covered


def test_large_logs_find_the_value_and_the_model_narrows_the_interval():
    found = estimates(400_000, 1)
    for one in found.values():
        assert one.value == pytest.approx(VALUE, rel=0.03)
        assert one.samples == 400_000
        assert 0 < one.effective_sample_size < 400_000
        assert one.largest_weight == pytest.approx(7.0)
    assert found["dr"].high - found["dr"].low < found["ips"].high - found["ips"].low


def test_by_hand():
    log = Logged(
        rewards=np.array([1.0, 0.0, 1.0]),
        propensities=np.array([0.5, 0.5, 0.25]),
        target=np.array([0.25, 0.5, 0.5]),
    )  # weights 1/2, 1, 2
    assert ips(log).value == pytest.approx(2.5 / 3)
    assert snips(log).value == pytest.approx(2.5 / 3.5)
    assert ips(log).effective_sample_size == pytest.approx(3.5**2 / 5.25)
    assert ips(log, weight_max=1.0).value == pytest.approx(1.5 / 3)
    robust = doubly_robust(log, predicted=np.full(3, 0.5), predicted_target=np.full(3, 0.6))
    assert robust.value == pytest.approx(0.6 + (0.25 - 0.5 + 1.0) / 3)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1)), min_size=2, max_size=30))
def test_the_same_policy_is_valued_at_its_mean(rows):
    rewards, chances = (np.array(column) for column in zip(*rows, strict=True))
    log = Logged(rewards=rewards, propensities=chances, target=chances)
    for one in (ips(log), snips(log)):
        assert one.value == pytest.approx(rewards.mean())
        assert one.low <= one.value <= one.high
        assert one.effective_sample_size == pytest.approx(len(rows))


@given(st.floats(-3, 3), st.floats(0.1, 1))
def test_a_wrong_model_does_not_bias_and_wrong_propensities_do_not_with_a_right_model(q, scale):
    rewards = TRUTH[0]  # one row per arm, deterministic rewards: exact expectations
    log = Logged(rewards=rewards, propensities=OLD[0], target=NEW[0])
    exact = float((NEW[0] * TRUTH[0]).sum())
    weights = OLD[0]  # how often each row would be logged
    wrong_model = q + NEW[0] / OLD[0] * (rewards - q)
    assert float((weights * wrong_model).sum()) == pytest.approx(exact)
    assert ips(log).samples == ARMS
    wrong = Logged(rewards=rewards, propensities=OLD[0] * scale, target=NEW[0] * scale)
    right = doubly_robust(wrong, predicted=rewards, predicted_target=np.full(ARMS, exact))
    assert right.value == pytest.approx(exact)
    assert right.high - right.low == pytest.approx(0.0, abs=1e-12)


ONE = np.ones(1)


@pytest.mark.parametrize(
    ("rewards", "propensities", "target"),
    [
        (np.array([]), np.array([]), np.array([])),
        (ONE, ONE, np.ones(2)),
        (ONE * math.nan, ONE, ONE),
        (ONE, ONE * 0, ONE),
        (ONE, ONE * 1.1, ONE),
        (ONE, ONE * math.nan, ONE),
        (ONE, ONE, ONE * -0.1),
        (ONE, ONE, ONE * 1.1),
    ],
)
def test_a_log_that_cannot_be_weighted_is_refused(rewards, propensities, target):
    log = Logged(rewards=rewards, propensities=propensities, target=target)
    for estimate in (ips, snips):
        with pytest.raises(ValueError, match="expected"):
            estimate(log)


def test_other_bad_input_is_refused():
    log = Logged(rewards=ONE, propensities=ONE, target=ONE * 0)
    for call in (
        lambda: snips(log),
        lambda: ips(log, weight_max=0.0),
        lambda: ips(log, confidence=1.0),
        lambda: doubly_robust(log, predicted=ONE * math.inf, predicted_target=ONE),
        lambda: doubly_robust(log, predicted=np.ones(2), predicted_target=ONE),
    ):
        with pytest.raises(ValueError, match="expected"):
            call()
