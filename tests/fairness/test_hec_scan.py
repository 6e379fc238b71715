"""The proxy-variable scan: figures by hand, against brute force, and the pair of every figure."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ringwork.fairness.hec.rules import preset
from ringwork.fairness.hec.scan import (
    GroupTable,
    Pair,
    normalised_information,
    scan,
    scan_feature,
)
from ringwork.kernel.errors import Refused

RULES = preset("united-states").scan
COUNTS = np.array([[800.0, 200.0], [300.0, 700.0]])
"""1,000 people of each group; 80 % of a and 30 % of b in the first cluster."""
M = np.array([[0.8, 0.2], [0.3, 0.7]])


def table(confusion=None):
    return GroupTable("race", ["a", "b"], COUNTS, confusion)


def test_a_clause_that_selects_a_cluster_by_hand():
    """A holds 1,100: 800 a and 300 b. Mix .727/.273 against .5/.5: distance .227. P(A) = .55,
    P(A|a) = .8: lift 1.4545; P(A|b) = .3: lift .5455."""
    told = scan(table(), {"first": np.array([1.0, 0.0])}, RULES).whole
    assert told.people == 1100
    assert told.share == 0.55
    assert told.distance.proxy == pytest.approx(800 / 1100 - 0.5)
    assert [one.lift.proxy for one in told.lifts] == pytest.approx([0.8 / 0.55, 0.3 / 0.55])
    assert all(one.is_flagged for one in told.lifts)


def test_the_information_of_a_selection_by_hand():
    """H(group) = ln 2; H(group | A) from .8/.3 on either side."""
    h = lambda p: -p * math.log(p) - (1 - p) * math.log(1 - p)  # noqa: E731
    expected = 1 - (0.55 * h(8 / 11) + 0.45 * h(2 / 9)) / math.log(2)
    assert normalised_information(COUNTS) == pytest.approx(expected)
    assert normalised_information(np.array([[5.0, 5.0], [5.0, 5.0]])) == 0.0
    assert normalised_information(np.array([[5.0, 0.0], [0.0, 5.0]])) == pytest.approx(1.0)
    assert normalised_information(np.array([[5.0, 7.0], [0.0, 0.0]])) == 0.0


def test_the_blur_of_the_proxy_is_taken_out_exactly():
    """True counts, blurred by M as a proxy blurs them, come back; the proxy alone reads less."""
    truth = np.array([[900.0, 100.0], [100.0, 900.0]])
    blurred = GroupTable("race", ["a", "b"], M.T @ truth, M)
    plain = GroupTable("race", ["a", "b"], truth)
    clause = {"first": np.array([1.0, 0.0])}
    seen, true = scan(blurred, clause, RULES).whole, scan(plain, clause, RULES).whole
    assert seen.distance.deattenuated == pytest.approx(true.distance.proxy)
    assert seen.information.deattenuated == pytest.approx(true.information.proxy)
    for one, other in zip(seen.lifts, true.lifts, strict=True):
        assert one.lift.deattenuated == pytest.approx(other.lift.proxy)
    assert seen.distance.proxy < true.distance.proxy
    assert seen.information.proxy < true.information.proxy


def test_a_lift_is_flagged_by_either_end_of_its_pair():
    """.9/.3 of the clusters: blurred lifts 1.24 and .76; without blur 1.59 and .60."""
    told = scan(table(M), {"c": np.array([0.9, 0.3])}, RULES).whole
    first = told.lifts[0]
    assert first.lift.proxy < RULES.lift_high < first.lift.deattenuated
    assert first.is_flagged
    assert not Pair(1.2, 1.24).any_outside(0.8, 1.25)
    assert Pair(1.2, None).any_outside(0.8, 1.1)


def test_what_nobody_can_invert_has_one_end_only():
    nearly = np.array([[0.51, 0.49], [0.49, 0.51]])  # condition 50.0...: 1 / .02
    flat = np.array([[0.5, 0.5], [0.5, 0.5]])
    assert scan(table(flat), {"c": np.array([1.0, 0.0])}, RULES).whole.distance.deattenuated is None
    assert np.linalg.cond(nearly) == pytest.approx(50.0)


def test_leave_one_out_and_pairs_show_which_clause_tells():
    clauses = {"site": np.array([0.5, 0.5]), "phone": np.array([0.9, 0.3])}
    told = scan(table(), clauses, RULES)
    assert [one.clauses for one in told.alone] == [("site",), ("phone",)]
    assert [one.clauses for one in told.without] == [("phone",), ("site",)]
    assert told.without[1].distance.proxy == pytest.approx(0.0)  # without the phone
    assert told.without[0].distance.proxy == pytest.approx(told.whole.distance.proxy)
    assert [one.clauses for one in told.pairs] == [("site", "phone")]


def test_two_harmless_clauses_can_pick_a_group_together():
    """Four clusters of two bits; the groups differ by whether the bits are equal (exclusive or)."""
    counts = np.array([[900.0, 100.0, 100.0, 900.0], [100.0, 900.0, 900.0, 100.0]])
    first, second = np.array([1.0, 1.0, 0, 0]), np.array([1.0, 0, 1.0, 0])
    told = scan(GroupTable("x", ["a", "b"], counts), {"1": first, "2": second}, RULES)
    assert not any(one.is_flagged for one in told.alone)
    assert told.pairs[0].is_flagged
    assert told.is_flagged


def test_few_people_say_nothing():
    few = GroupTable("x", ["a", "b"], COUNTS / 20)
    told = scan(few, {"c": np.array([1.0, 0.0])}, RULES).whole
    assert not told.is_enough
    assert not told.is_flagged


@given(
    arrays.arrays(np.float64, (3, 5), elements=st.floats(0, 1e4)),
    arrays.arrays(np.float64, 5, elements=st.floats(0, 1)),
)
def test_figures_are_those_of_brute_force(counts, weights):
    if not counts.sum() > 1 or (counts @ weights).sum() < 1e-3:
        return
    told = scan(GroupTable("x", ["a", "b", "c"], counts), {"c": weights}, RULES).whole
    people, inside = counts.sum(), (counts @ weights).sum()
    distance = 0.0
    for group in range(3):
        of, chosen = counts[group].sum(), sum(counts[group, k] * weights[k] for k in range(5))
        distance += abs(chosen / inside - of / people) / 2
        lift = next((one for one in told.lifts if one.group == "abc"[group]), None)
        assert (lift is None) == (of == 0)
        if lift is not None:
            assert lift.lift.proxy == pytest.approx((chosen / of) / (inside / people), abs=1e-9)
    assert told.distance.proxy == pytest.approx(distance, abs=1e-9)
    assert 0 <= told.information.proxy <= 1


def test_everybody_and_nobody_tell_nothing():
    assert scan(table(), {}, RULES).whole.distance == Pair(0.0, 0.0)
    nobody = scan(table(), {"c": np.zeros(2)}, RULES).whole
    assert nobody.distance == Pair(0.0, 0.0)
    assert not nobody.is_flagged


def test_a_feature_tells_what_its_values_tell_together():
    told = scan_feature(
        table(), "device", {"phone": np.array([1.0, 0.0]), "tv": np.array([0.0, 1.0])}, RULES
    )
    assert told.information.proxy == pytest.approx(normalised_information(COUNTS))
    assert [one.clauses for one in told.values] == [("device = phone",), ("device = tv",)]
    assert told.is_flagged
    same = {"a": np.array([0.5, 0.5]), "b": np.array([0.3, 0.3])}  # a fifth has neither
    assert scan_feature(table(), "hour", same, RULES).information.proxy == pytest.approx(
        0, abs=1e-12
    )


def test_rare_values_of_a_feature_are_one():
    values = {f"s{n}": np.array([1.0, 1.0]) / 400 for n in range(400)}
    assert len(scan_feature(table(), "place", values, RULES).values) == 257


@pytest.mark.parametrize(
    ("make", "pointer"),
    [
        (lambda: GroupTable("x", ["a"], COUNTS), "/groups"),
        (lambda: GroupTable("x", ["a", "a"], COUNTS), "/groups"),
        (lambda: GroupTable("x", ["a", "b", "c"], COUNTS), "/counts"),
        (lambda: GroupTable("x", ["a", "b"], COUNTS * np.nan), "/counts"),
        (lambda: GroupTable("x", ["a", "b"], -COUNTS), "/counts"),
        (lambda: GroupTable("x", ["a", "b"], COUNTS, np.eye(3)), "/confusion"),
        (lambda: GroupTable("x", ["a", "b"], COUNTS, M * 2), "/confusion"),
        (lambda: scan(table(), {"c": np.ones(3)}, RULES), "/clauses/c"),
        (lambda: scan(table(), {"c": np.array([2.0, 0])}, RULES), "/clauses/c"),
        (lambda: scan(table(), {str(n): np.ones(2) for n in range(65)}, RULES), "/clauses"),
        (
            lambda: scan_feature(table(), "f", {"a": np.ones(2), "b": np.ones(2)}, RULES),
            "/features/f",
        ),
    ],
)
def test_what_is_no_table_or_clause_is_refused_with_a_pointer(make, pointer):
    with pytest.raises(Refused) as refused:
        make()
    assert refused.value.errors[0].pointer == pointer
