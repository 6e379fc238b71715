"""Reach by the randomised arm, and whether it was levelled up or down."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.measure.levelling import levelling, variance_of_reach
from ringwork.fairness.measure.reach import ArmReach, ControlArm, Reach, group_counts, weighed_back

KEY = b"k" * 32
HALVES = np.array([0.5, 0.5])


def reach(rate, audience=(1_000, 1_000), spend=1_000_000_000) -> Reach:
    rates, people = np.array(rate, dtype=float), np.array(audience, dtype=float)
    return Reach(rate=rates, people=rates * people, impressions=1, spend_nanos=spend)


def test_half_taken_half_given_by_hand() -> None:
    """Over-served .4 -> .35, under-served .2 -> .25: as much lost as gained."""
    found = levelling(reach([0.35, 0.25]), reach([0.4, 0.2]), HALVES)
    assert found.index == pytest.approx(0.5)
    assert (found.lost, found.gained) == (pytest.approx(0.025), pytest.approx(0.025))
    assert found.over_served == (True, False)
    assert found.reach_ratio == (pytest.approx(0.875), pytest.approx(1.25))
    assert found.variance_removed == pytest.approx(0.5)  # 2/3 to 7/12 of the reached


def test_all_taken_is_one_and_all_given_is_zero() -> None:
    assert levelling(reach([0.2, 0.2]), reach([0.4, 0.2]), HALVES).index == 1
    assert levelling(reach([0.4, 0.4]), reach([0.4, 0.2]), HALVES).index == 0
    same = levelling(reach([0.4, 0.2]), reach([0.4, 0.2]), HALVES)
    assert (same.index, same.variance_removed) == (None, 0)


def test_a_group_of_nobody_is_left_out() -> None:
    eligible = np.array([0.5, 0.5, 0.0])
    found = levelling(
        reach([0.35, 0.25, np.nan], (1, 1, 0)), reach([0.4, 0.2, np.nan], (1, 1, 0)), eligible
    )
    assert found.index == pytest.approx(0.5)
    assert found.reach_ratio[2] is None
    assert found.over_served[2] is False


def test_nobody_reached_has_no_variance() -> None:
    assert variance_of_reach(reach([0.0, 0.0]), HALVES) is None
    assert levelling(reach([0.1, 0.1]), reach([0.0, 0.0]), HALVES).variance_removed is None


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 2, st.floats(0.01, 1)), min_size=2, max_size=6))
def test_the_index_is_a_share(drawn) -> None:
    after, before, weight = (np.array(one) for one in zip(*drawn, strict=True))
    people = weight * 1_000
    found = levelling(reach(after, people), reach(before, people), weight / weight.sum())
    assert found.index is None or 0 <= found.index <= 1
    assert found.lost >= 0
    assert found.gained >= 0


def test_an_arm_is_weighed_back_by_whom_it_held() -> None:
    """2 % of an audience of 1,000 and 500: 4 of its 20 women and 1 of its 10 men were reached."""
    arm = ArmReach(
        people=np.array([4.0, 1.0]),
        eligible=np.array([20.0, 10.0]),
        impressions=6,
        spend_nanos=30_000_000,
    )
    found = weighed_back(arm, np.array([1_000.0, 500.0]))
    assert found.rate == pytest.approx([0.2, 0.1])
    assert found.people == pytest.approx([200, 50])
    assert (found.impressions, found.spend_nanos) == (300, 1_500_000_000)
    assert found.cost_per_1000_nanos == 6_000_000_000
    assert found.cost_per_1000_by_group_nanos == [7_500_000_000, 30_000_000_000]


def test_a_group_that_nobody_is_of_has_no_rate_and_no_cost() -> None:
    arm = ArmReach(
        people=np.array([4.0, 0.0]), eligible=np.array([20.0, 0.0]), impressions=4, spend_nanos=8
    )
    found = weighed_back(arm, np.array([1_000.0, 0.0]))
    assert np.isnan(found.rate[1])
    assert found.cost_per_1000_by_group_nanos[1] is None
    empty = ArmReach(people=np.zeros(2), eligible=np.zeros(2), impressions=0, spend_nanos=0)
    with pytest.raises(ValueError, match="eligible people in the arm"):
        weighed_back(empty, np.array([1_000.0, 0.0]))


def test_an_arm_of_two_percent_estimates_what_all_would_have_been() -> None:
    """256 clusters of other mixes over 60 days: unbiased, though the arm is never the same twice."""
    rng = np.random.default_rng(5)
    eligible = rng.integers(20, 200, (256, 2)).astype(float)
    chance = rng.uniform(0.05, 0.4, 256)[:, None] * np.array([1.0, 0.6])
    truth = (eligible * chance).sum(0) / eligible.sum(0)
    rates = []
    for world in range(30):
        arm = ControlArm(KEY, 20_000)
        held = np.array(
            [
                sum(arm.holds(cluster, f"ad{world}", day) for day in range(60))
                for cluster in range(256)
            ]
        )[:, None]
        found = weighed_back(
            ArmReach(
                people=rng.binomial((eligible * held).astype(int), chance).sum(0).astype(float),
                eligible=(eligible * held).sum(0),
                impressions=1,
                spend_nanos=1,
            ),
            eligible.sum(0) * 60,
        )
        rates.append(found.rate)
    error = np.std(rates, axis=0) / 30**0.5
    assert np.abs(np.mean(rates, axis=0) - truth) == pytest.approx(np.zeros(2), abs=4 * error.max())


def test_the_arm_is_a_declared_share_the_same_for_who_holds_the_key() -> None:
    arm = ControlArm(KEY, 20_000)
    triples = [
        (cluster, f"ad{ad}", day) for cluster in range(64) for ad in range(16) for day in range(30)
    ]
    held = [arm.holds(*one) for one in triples]
    assert np.mean(held) == pytest.approx(0.02, abs=0.002)
    assert held == [ControlArm(KEY, 20_000).holds(*one) for one in triples]
    assert held != [ControlArm(b"other key of 16+", 20_000).holds(*one) for one in triples]


def test_an_arm_of_none_and_of_all() -> None:
    assert not any(ControlArm(KEY, 0).holds(c, "a", 1) for c in range(200))
    assert all(ControlArm(KEY, 1_000_000).holds(c, "a", 1) for c in range(200))


@pytest.mark.parametrize(("key", "share"), [(b"short", 1), (KEY, -1), (KEY, 1_000_001)])
def test_a_bad_arm_is_refused(key: bytes, share: int) -> None:
    with pytest.raises(ValueError, match="control arm"):
        ControlArm(key, share)


def test_soft_sums_become_people_of_true_groups() -> None:
    inverse = np.linalg.inv(np.array([[0.8, 0.2], [0.3, 0.7]]))
    true = np.array([60.0, 40.0])
    seen = np.array([[0.8, 0.2], [0.3, 0.7]]).T @ true
    assert group_counts(seen, inverse) == pytest.approx(true)
    kept = group_counts(np.array([10.0, 90.0]), inverse)
    assert kept == pytest.approx([0.0, 100.0])
    assert group_counts(np.zeros(2), inverse) == pytest.approx([0, 0])
