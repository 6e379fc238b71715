"""Trees walked, thresholds with a guarantee, drift: by hand, by brute force, and bad files."""

from fractions import Fraction
from importlib.resources import files
from math import comb, exp

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.gate.analyse.features import FEATURES
from ringwork.gate.behave.calibrate import calibrate, needed, order_of
from ringwork.gate.behave.drift import (
    ALARM,
    WATCH,
    Cusum,
    drift_of,
    reference_of,
    shares,
    stability_index,
)
from ringwork.gate.behave.model import Calibration, Model, Reference, Tree, from_json, to_json
from ringwork.gate.behave.walker import Walker
from ringwork.kernel.errors import Refused

DEFAULT = (files("ringwork.gate.behave") / "default.json").read_bytes()
LEAF = Tree((-1,), (0.0,), (-1,), (-1,), (0.25,))
# More than 3 requests: 1; else, if the rate of 10 s is at most 0.5: -1, else 0.5.
HAND = Tree(
    (0, 2, -1, -1, -1), (3.0, 0.5, 0.0, 0.0, 0.0), (1, 3, -1, -1, -1), (2, 4, -1, -1, -1),
    (0.1, -0.4, 1.0, -1.0, 0.5),
)  # fmt: skip


def model_of(*trees: Tree) -> Model:
    reference = tuple(Reference((), (1.0,)) for _ in FEATURES)
    return Model(1, FEATURES, "by hand", trees, Calibration(0.5, 0.1, 0.05, 1, 30), reference)


def row(requests: float, rate: float) -> list[float]:
    return [requests, 0.0, rate, *[0.0] * 37]


@pytest.mark.parametrize(
    ("requests", "rate", "sum_of_leaves"),
    [(4, 0, 1.25), (3, 0.5, -0.75), (3, 0.51, 0.75), (0, 0, -0.75)],
)
def test_a_row_goes_left_at_most_and_leaves_are_added(requests, rate, sum_of_leaves) -> None:
    walker = Walker(model_of(HAND, LEAF))
    expected = 1 / (1 + exp(-sum_of_leaves))
    assert walker.score(row(requests, rate)) == pytest.approx(expected)
    batch = walker.scores(np.array([row(requests, rate)], np.float32))
    assert batch[0] == pytest.approx(expected)


def test_reasons_are_the_steps_of_the_path() -> None:
    moved = Walker(model_of(HAND, LEAF)).reasons(np.array(row(3, 0.51), np.float32))
    assert moved[0] == pytest.approx(-0.5)  # 0.1 -> -0.4
    assert moved[2] == pytest.approx(0.9)  # -0.4 -> 0.5
    assert np.count_nonzero(moved) == 2


def test_the_default_model_scores_one_row_as_it_scores_many() -> None:
    walker = Walker(from_json(DEFAULT))
    chance = np.random.default_rng(4)
    rows = np.exp(chance.normal(0, 3, (500, 40))).astype(np.float32) * chance.integers(
        0, 2, (500, 40)
    )
    rows = rows.astype(np.float32)
    many = walker.scores(rows)
    assert [walker.score(one) for one in rows.tolist()] == pytest.approx(many.tolist(), abs=1e-12)
    assert many.min() < 0.1
    assert many.max() > 0.9
    assert walker.scores(rows[:0]).shape == (0,)


def test_a_model_survives_its_file() -> None:
    assert to_json(from_json(DEFAULT)) == DEFAULT
    assert from_json(to_json(model_of(HAND))) == model_of(HAND)


def changed(**changes: object) -> bytes:
    return to_json(msgspec.structs.replace(model_of(HAND, LEAF), **changes))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (changed(version=2), "version: expected 1, got 2"),
        (changed(features=FEATURES[::-1]), "features"),
        (changed(trees=()), "trees: expected 1 to"),
        (changed(trees=(LEAF, Tree((0,), (1.0,), (0,), (0,), (0.0,)))), r"trees\[1\]: node 0"),
        (changed(trees=(Tree((40,), (1.0,), (1,), (1,), (0.0,)),)), r"feature\[0\]"),
        (changed(trees=(Tree((-1,), (), (-1,), (-1,), (0.0,)),)), "five lists"),
        (changed(trees=(Tree((), (), (), (), ()),)), "nodes, got 0"),
        (changed(calibration=Calibration(2.0, 0.1, 0.05, 1, 9)), "threshold"),
        (changed(calibration=Calibration(0.5, 0.1, 0.05, 10, 9)), "order"),
        (changed(reference=()), "reference: expected 40"),
        (changed(reference=(Reference((2.0, 1.0), (0.0, 0.0, 1.0)),) * 40), "ascend"),
        (changed(reference=(Reference((), ()),) * 40), "one share more"),
        (b" " * ((16 << 20) + 1), "at most"),
    ],
)
def test_a_model_that_is_none_is_refused_with_the_place(data, says) -> None:
    with pytest.raises(Refused, match=says) as caught:
        from_json(data, where="my.json")
    assert caught.value.slug == "model-invalid"
    assert caught.value.detail.startswith("my.json: ")


@pytest.mark.parametrize(
    ("count", "alpha", "order"),
    [  # gate specification 3.11
        (1_000, 0.05, 39), (5_000, 0.05, 225), (1_000, 0.01, 5), (5_000, 0.01, 39),
        (20_000, 0.01, 177), (1_000, 0.005, 2), (10_000, 0.005, 39), (2_994, 0.001, 0),
        (2_995, 0.001, 1), (5_000, 0.001, 2), (10_000, 0.001, 5), (20_000, 0.001, 13),
        (50_000, 0.001, 39),
    ],
)  # fmt: skip
def test_orders_are_those_of_the_specification(count, alpha, order) -> None:
    assert order_of(count, alpha) == order


@given(st.integers(1, 120), st.integers(1, 50), st.integers(1, 50))
def test_orders_are_exact(count, alpha, delta) -> None:
    share, allowed = Fraction(alpha, 100), Fraction(delta, 101)
    total, k = Fraction(0), 0
    while k < count:
        total += comb(count, k) * share**k * (1 - share) ** (count - k)
        if total > allowed:
            break
        k += 1
    assert order_of(count, alpha / 100, delta / 101) == k


def test_the_threshold_is_an_order_statistic_and_holds_on_fresh_people() -> None:
    chance = np.random.default_rng(3)
    found = calibrate(np.arange(1000) / 1000, alpha=0.05)
    assert (found.order, found.threshold) == (39, 0.961)
    over = 0
    for _ in range(400):
        threshold = calibrate(chance.beta(2, 5, 1000), alpha=0.05).threshold
        over += (chance.beta(2, 5, 20_000) > threshold).mean() > 0.05
    assert over / 400 < 0.09  # at most 5 % of calibrations, and what 400 of them can tell


def test_so_few_people_prove_nothing_and_the_error_says_how_many_would() -> None:
    assert needed(0.001) == 2_995
    with pytest.raises(Refused, match="at least 2,995 people, got 2,994") as caught:
        calibrate(np.zeros(2_994), alpha=0.001)
    assert caught.value.slug == "calibration-too-small"
    for bad in (np.array([np.nan] * 5_000), np.zeros((2, 2))):
        with pytest.raises(Refused, match="finite numbers"):
            calibrate(bad)
    with pytest.raises(Refused, match="alpha"):
        calibrate(np.zeros(10), alpha=0.0)


def test_the_index_is_nought_for_the_same_and_by_hand_for_a_shift() -> None:
    half = np.array([0.5, 0.5])
    assert stability_index(half, half) == 0
    # (0.8 - 0.5) ln(0.8 / 0.5) + (0.2 - 0.5) ln(0.2 / 0.5)
    assert stability_index(half, np.array([0.8, 0.2])) == pytest.approx(0.4158883)
    assert np.isfinite(stability_index(half, np.array([1.0, 0.0])))


def test_fresh_traffic_of_the_same_kind_is_calm_and_another_alarms() -> None:
    chance = np.random.default_rng(8)
    base = chance.gamma(2, 1, (4_000, 40)).astype(np.float32)
    reference = tuple(reference_of(base[:, place]) for place in range(40))
    fresh = chance.gamma(2, 1, (4_000, 40)).astype(np.float32)
    fresh[:, 7] *= 2
    found = drift_of(reference, fresh)
    assert found[7] > ALARM
    assert np.delete(found, 7).max() < WATCH


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=60))
def test_bins_hold_everything_that_they_were_made_of(values) -> None:
    found = reference_of(np.array(values, np.float32))
    assert sum(found.shares) == pytest.approx(1)
    assert min(found.shares) > 0 or len(found.edges) == 0
    assert list(found.shares) == shares(np.array(values, np.float32).astype(np.float64),
                                        np.array(found.edges)).tolist()  # fmt: skip


def test_cusum_counts_what_is_above_and_stays_until_somebody_looks() -> None:
    friction = Cusum(target=0.01, slack=0.01, limit=0.1)
    assert [friction.add(0.05) for _ in range(4)] == [False, False, False, True]  # 0.03 a day
    assert friction.add(0.0)
    friction.reset()
    assert not friction.add(0.0)
    assert friction.sum == 0
