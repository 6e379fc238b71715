"""The steps from counts to six groups, by hand and against a slow reading of the same rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ringwork.fairness.model import RACE_SIX
from ringwork.fairness.tables.census import (
    RAW_COLUMNS,
    is_puerto_rico,
    people_from_shares,
    people_of,
    shares_of,
)
from ringwork.kernel.errors import Refused

NAN = float("nan")


def test_cells_kept_back_share_what_is_left() -> None:
    given = np.array(
        [
            [0.90, 0.04, NAN, NAN, 0.02, 0.0],
            [0.50, 0.30, 0.10, 0.05, 0.03, 0.02],
            [0.70, 0.40, NAN, 0.0, 0.0, 0.0],
            [NAN, NAN, NAN, NAN, NAN, NAN],
        ]
    )
    found = shares_of(given)
    assert found[0] == pytest.approx([0.90, 0.04, 0.02, 0.02, 0.02, 0.0])
    assert found[1] == pytest.approx(given[1])
    assert found[2] == pytest.approx([7 / 11, 4 / 11, 0, 0, 0, 0]), "more than all: nothing is left"
    assert found[3] == pytest.approx([1 / 6] * 6)


@given(arrays(np.float64, (5, 6), elements=st.one_of(st.floats(0.001, 1), st.just(NAN))))
def test_shares_add_up_and_keep_the_ratios_of_what_was_given(given: np.ndarray) -> None:
    found = shares_of(given)
    assert np.all(found >= 0)
    assert found.sum(axis=1) == pytest.approx(np.ones(5))
    for row, one in zip(given, found, strict=True):
        told = ~np.isnan(row)
        assert row[told] * one[told].sum() == pytest.approx(one[told] * row[told].sum())


def test_a_name_without_any_share_is_refused() -> None:
    with pytest.raises(Refused, match="row 1 has no share above 0"):
        shares_of(np.array([[1.0, 0, 0, 0, 0, 0], [0.0, 0, 0, 0, 0, 0]]))


def raw(**given: int) -> dict[str, np.ndarray]:
    """One area: what is not given is nobody, the totals follow."""
    counts = {name: given.get(name, 0) for name in RAW_COLUMNS}
    alone = [f"NH_{race}_alone" for race in ("White", "Black", "AIAN", "API", "Other")]
    counts["Non_Hispanic_Total"] = sum(counts[name] for name in (*alone, "NH_Mult_Total"))
    counts["Total_Pop"] = counts["Non_Hispanic_Total"] + counts["Hispanic_Total"]
    return {name: np.array([count], dtype=np.int16) for name, count in (counts | given).items()}


def test_other_race_joins_the_further_race_and_the_rest_is_spread() -> None:
    people = people_of(
        raw(
            NH_White_alone=60, NH_Black_alone=20, NH_API_alone=5, NH_Mult_Total=15, NH_Other_alone=10,
            NH_White_Other=4, NH_Asian_HPI=5, NH_API_Other=1, Hispanic_Total=40,
        )
    )  # fmt: skip
    # 64 white, 20 black, 11 api (5 alone, 5 Asian and Pacific, 1 and other), 5 of two or more races;
    # ten of some other race alone are spread over these hundred.
    expected = {"white": 70.4, "black": 22.0, "api": 12.1, "aian": 0.0, "mult_other": 5.5}
    expected["hispanic"] = 40.0
    assert people[0] == pytest.approx([expected[group] for group in RACE_SIX.groups])
    assert people.sum() == pytest.approx(150)


def test_only_other_races_are_spread_evenly_and_nobody_is_nobody() -> None:
    people = people_of(raw(NH_Other_alone=10, Hispanic_Total=3))
    assert people[0] == pytest.approx([2, 2, 3, 2, 2, 2])
    assert people_of(raw())[0] == pytest.approx([0] * 6)


def test_rows_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(Refused, match="row 0: the groups do not add up"):
        people_of(raw(NH_White_alone=5, Total_Pop=6))
    with pytest.raises(Refused, match="one is negative"):
        people_of(raw(NH_White_alone=5, NH_White_Other=1))
    columns = raw()
    del columns["NH_API_Other"]
    with pytest.raises(Refused, match=r"missing: \['NH_API_Other'\]"):
        people_of(columns)


counts = arrays(np.int64, (8, 6), elements=st.integers(0, 500))


@given(counts)
def test_people_are_recovered_from_both_kinds_of_share(people: np.ndarray) -> None:
    people = people.astype(float)
    people[0] += 1  # one Hispanic person in some area, and every group somewhere
    people[0, 2] = 1
    rows = people.sum(axis=1, keepdims=True)
    given_group = people / people.sum(axis=0)
    group = np.divide(people, rows, out=np.full_like(people, NAN), where=rows > 0)
    assert people_from_shares(given_group, group) == pytest.approx(people, rel=1e-9, abs=1e-9)


def test_shares_of_different_tables_are_refused() -> None:
    people = np.array([[5.0, 1, 1, 1, 1, 1], [50, 3, 7, 1, 2, 1], [8, 30, 4, 1, 3, 1]])
    group = people / people.sum(axis=1, keepdims=True)
    with pytest.raises(Refused, match="the two tables disagree"):
        people_from_shares((people / people.sum(axis=0))[::-1].copy(), group)
    with pytest.raises(Refused, match="no area has a Hispanic share"):
        people_from_shares(np.zeros((2, 6)), np.zeros((2, 6)))


def test_puerto_rico_is_known_by_state_and_by_prefix() -> None:
    assert is_puerto_rico(np.array([601, 985, 1001, 501]), 5).tolist() == [True, True, False, False]
    assert is_puerto_rico(np.array([72_153_750602, 36_061_000100]), 11).tolist() == [True, False]
    assert is_puerto_rico(np.array([72_153_7506021, 1_001_0201001]), 12).tolist() == [True, False]
