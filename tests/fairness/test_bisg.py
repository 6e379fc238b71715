"""BISG and BIFSG: by hand, against brute force, with everything that people type."""

import builtins
import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.columns import strings
from ringwork.fairness.model import RACE_FOUR, RACE_SIX
from ringwork.fairness.proxy import (
    BIFSG,
    BISG,
    IndividualExport,
    ProxyBatch,
    engine,
    plain,
    quantised,
)
from ringwork.fairness.proxy.areas import AREA_LEVELS, areas_of
from ringwork.fairness.tables.demo import demo_people
from ringwork.fairness.tables.model import Tables
from ringwork.kernel.errors import Refused
from tests.fairness.tables_by_hand import by_hand, shares

TABLES = by_hand()
ZIPS = TABLES.areas["zip"]
NATION = ZIPS.national


@pytest.fixture(params=["compiled", "plain"])
def loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both twins answer every test of this file that asks for them."""
    if request.param == "compiled":
        pytest.importorskip("numba")
        return
    for module in ("bisg", "areas"):
        monkeypatch.setattr(f"ringwork.fairness.proxy.{module}.loops", lambda: plain)


def test_the_formula_by_hand(loops: None) -> None:
    found = BISG(TABLES).posterior(surname=["Smith"], zip=["10001"])
    # P(group | Smith) = .7, .3; P(10001 | white) = 80/140, P(10001 | black) = 10/90.
    white, black = 0.7 * 80 / 140, 0.3 * 10 / 90
    assert found.values[0] == pytest.approx(
        shares(white=white / (white + black), black=black / (white + black)), abs=1e-7
    )
    assert NATION[:2] == pytest.approx([140 / 300, 90 / 300])


def test_the_other_form_by_hand(loops: None) -> None:
    found = BISG(TABLES, form="name_likelihood").posterior(surname=["Smith"], zip=["10001"])
    # 100 others: 60 white, 20 black. White bearers: 420 + 20 + 40 + 60; black: 180 + 20 + 20.
    white, black = 420 / 540 * 0.8, 180 / 220 * 0.1
    assert found.values[0, :2] == pytest.approx(
        [white / (white + black), black / (white + black)], abs=1e-7
    )


def test_first_names_count_by_their_bearers(loops: None) -> None:
    found = BIFSG(TABLES).posterior(surname=["Smith"], zip=["10001"], first_name=["Mary"])
    # White in the list: 64 + 1.5 + 1 + 2.8; black: 12 + .4.
    white = 0.7 * 80 / 140 * 64 / 69.3
    black = 0.3 * 10 / 90 * 12 / 12.4
    assert found.values[0, :2] == pytest.approx(
        [white / (white + black), black / (white + black)], abs=1e-6
    )
    assert found.first_name_match.tolist() == [2]


def test_what_is_not_known_falls_back_and_says_so(loops: None) -> None:
    surnames = ["Smith", "Xyzzy", None, "Smith", "Smith", "Smith", "Smith", None]
    zips = ["10001", "10001", "10001", "10003", "99999", None, "10099-1234", None]
    found = BISG(TABLES).posterior(surname=surnames, zip=zips)
    levels = [AREA_LEVELS[level] for level in found.area_level]
    assert levels == ["zip", "zip", "zip", "zip3", "nation", "nation", "zip3", "nation"]
    assert found.surname_match.tolist() == [2, 1, 0, 2, 2, 2, 2, 0]
    values = found.values.astype(float)
    assert values[2] == pytest.approx(ZIPS.people[0] / 100, abs=1e-7), "no name: the area alone"
    assert values[7] == pytest.approx(NATION, abs=1e-7), "neither: the nation"
    assert values[4] == pytest.approx(TABLES.surnames.shares[0], abs=1e-7), "no area: the name"
    # All ZIP codes 100xx together: 90 white and 80 black people.
    white, black = 0.7 * 90 / 140, 0.3 * 80 / 90
    assert values[3, 0] == pytest.approx(white / (white + black), abs=1e-7)
    assert np.array_equal(values[3], values[6])
    generic = TABLES.surnames.generic * ZIPS.people[0] / NATION
    assert values[1] == pytest.approx(generic / generic.sum(), abs=1e-7)


def test_a_finer_area_goes_before_a_wider_one(loops: None) -> None:
    found = BISG(TABLES).posterior(
        surname=[""] * 4,
        zip=["10002", "10002", None, "10002"],
        tract=["36061000100", "36061000200", 36061000100, "nowhere"],
        block_group=["360610001001", None, None, None],
    )
    assert [AREA_LEVELS[level] for level in found.area_level] == ["tract", "zip", "tract", "zip"]
    assert found.values[0] == pytest.approx(shares(white=0.75, black=0.125, hispanic=0.125))


def test_where_name_and_area_exclude_each_other_the_area_counts(loops: None) -> None:
    people = np.array(
        [shares(api=10), shares(white=50, black=10, hispanic=10, aian=1, mult_other=1)]
    )
    zips = type(ZIPS)("zip", np.array([10001, 20001]), people)
    found = BISG(by_hand(areas={"zip": zips})).posterior(surname=["Smith"], zip=["10001"])
    assert found.values[0] == pytest.approx(shares(api=1))
    assert found.surname_match.tolist() == [0]


def test_an_impossible_first_name_is_left_out_first(loops: None) -> None:
    bifsg = BIFSG(TABLES)
    one = bifsg.posterior(surname=["Lee"], zip=["10002"], first_name=["Mary"])
    assert one.first_name_match.tolist() == [2]
    people = np.array([shares(black=10, hispanic=5), shares(white=50, api=5, aian=1, mult_other=1)])
    zips = type(ZIPS)("zip", np.array([10001, 20001]), people)
    bifsg = BIFSG(by_hand(areas={"zip": zips}))
    found = bifsg.posterior(
        surname=["Smith", "Garcia", None, None],
        zip=["10001"] * 4,
        first_name=["Zoran", "Zoran", "Jose", "Zoran"],
    )
    assert found.values == pytest.approx(
        np.array(
            [
                shares(black=1),
                shares(hispanic=1),
                shares(hispanic=1),
                shares(black=2 / 3, hispanic=1 / 3),
            ]
        )
    )
    assert found.first_name_match.tolist() == [0, 0, 2, 0]
    assert found.surname_match.tolist() == [2, 2, 0, 0]


def test_the_mean_of_both_parts_is_a_choice() -> None:
    first = BISG(TABLES).posterior(surname=["Smith-Lee"], zip=["10002"])
    plain_first = BISG(TABLES).posterior(surname=["Smith"], zip=["10002"])
    assert np.array_equal(first.values, plain_first.values)
    assert first.surname_match.tolist() == [3]
    mean = BISG(TABLES, double_names="mean").posterior(
        surname=["Smith-Lee", "Lee", "Smith-Lee"], zip=["10002"] * 3
    )
    name = np.sqrt(TABLES.surnames.shares[0] * TABLES.surnames.shares[2])
    expected = name * ZIPS.people[1] / NATION
    assert mean.values[0] == pytest.approx(expected / expected.sum(), abs=1e-6)
    assert np.array_equal(mean.values[0], mean.values[2])
    alone = BISG(TABLES).posterior(surname=["Lee"], zip=["10002"])
    assert np.array_equal(mean.values[1], alone.values[0])


garbage = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.sampled_from(["Smith", "garcia", "Lee-Smith", "10001", "10002-1234", "1e5", "NaN", "\x00"]),
    st.integers(-5, 10**12),
    st.floats(allow_nan=True),
    st.booleans(),
    st.binary(max_size=6),
)


@given(st.lists(st.tuples(garbage, garbage, garbage, garbage), max_size=30))
def test_rows_out_are_rows_in_whatever_is_in_them(rows: list[tuple[object, ...]]) -> None:
    surname, zips, tract, first = ([row[at] for row in rows] for at in range(4))
    found = BIFSG(TABLES).posterior(surname=surname, zip=zips, tract=tract, first_name=first)
    assert len(found) == len(rows)
    assert np.isfinite(found.values).all()
    assert found.values.sum(axis=1) == pytest.approx(np.ones(len(rows)), abs=1e-5)


@given(st.lists(st.integers(0, 399), min_size=1, max_size=200), st.randoms(use_true_random=False))
def test_garbage_between_them_changes_no_clean_row(places: list[int], shuffle) -> None:
    people = demo_people(3, 400)
    bisg = BISG(Tables.demo())
    clean = [(str(people.surname[at]), str(people.zip[at])) for at in places]
    alone = bisg.posterior(surname=[one for one, _ in clean], zip=[one for _, one in clean])
    mixed = [(number, *row) for number, row in enumerate(clean)]
    mixed += [(-1, "###", "not a zip")] * (len(clean) // 5 + 1)
    shuffle.shuffle(mixed)
    found = bisg.posterior(surname=[row[1] for row in mixed], zip=[row[2] for row in mixed])
    for at, (number, _, _) in enumerate(mixed):
        if number >= 0:
            assert np.array_equal(found.values[at], alone.values[number])


def test_ids_that_were_encoded_give_the_same_posteriors(loops: None) -> None:
    people = demo_people(4, 3000)
    bisg = BISG(Tables.demo())
    surname = [None if at % 50 == 0 else str(name) for at, name in enumerate(people.surname)]
    batch = bisg.posterior(surname=surname, zip=people.zip)
    ids = bisg.encoded(surname=surname, zip=people.zip)
    assert np.array_equal(bisg.posterior_ids(*ids), batch.values)
    for bad in (-1, len(TABLES.surnames.keys) + 10_000):
        with pytest.raises(ValueError, match="surname_id: expected ids from 0 to 2001"):
            bisg.posterior_ids(np.full(1, bad, np.int32), np.zeros(1, np.int32))
    with pytest.raises(ValueError, match="area_id"):
        bisg.posterior_ids(np.zeros(1, np.int32), np.full(1, 10**6, np.int32))


def test_bisg_is_the_exact_posterior_of_the_demos_people() -> None:
    people = demo_people(5, 100_000)
    found = BISG(Tables.demo()).posterior(surname=people.surname, zip=people.zip).values
    for group in range(6):
        chance = found[:, group]
        for low, high in ((0.05, 0.2), (0.2, 0.5), (0.5, 0.9)):
            rows = (chance > low) & (chance < high)
            if rows.sum() > 500:
                seen, said = (people.race[rows] == group).mean(), chance[rows].mean()
                assert abs(seen - said) < 4 * np.sqrt(0.25 / rows.sum())


def test_tracts_of_one_zip_give_what_the_zip_gives() -> None:
    people = demo_people(6, 1000)
    bisg = BISG(Tables.demo())
    by_zip = bisg.posterior(surname=people.surname, zip=people.zip)
    by_tract = bisg.posterior(surname=people.surname, tract=people.tract)
    assert np.array_equal(by_zip.values, by_tract.values)
    assert set(by_tract.area_level.tolist()) == {AREA_LEVELS.index("tract")}


@given(
    st.lists(
        st.one_of(
            st.from_regex(r" {0,2}[0-9]{1,13}([- .][0-9]{0,5})? {0,2}", fullmatch=True),
            st.text("0123456789- .", max_size=16),
        ),
        max_size=30,
    ),
    st.sampled_from([5, 11, 12]),
)
def test_codes_are_read_alike_by_both_twins(written: list[str], digits: int) -> None:
    compiled = pytest.importorskip("ringwork.fairness.proxy.compiled")
    column = strings(written)
    one, other = np.empty(len(written), np.int64), np.empty(len(written), np.int64)
    compiled.codes(column.data, column.offsets, digits, one)
    plain.codes(column.data, column.offsets, digits, other)
    assert one.tolist() == other.tolist()


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("02139", 2139), ("2139", 2139), (" 02139 ", 2139), ("02139-1234", 2139),
        ("02139 1234", 2139), ("021391234", 2139), ("21391234", 2139), ("2139.0", 2139),
        ("02139-", 2139), ("", -1), ("0213", 213), ("021391", -1), ("0213X", -1), ("-2139", -1),
        ("02139-12345", -1), ("02139-12a4", -1), ("9" * 30, -1),
    ],
)  # fmt: skip
def test_zip_codes_as_people_write_them(written: str, code: int) -> None:
    assert plain.code(written.encode(), 5) == code


def test_codes_of_tracts_may_have_lost_a_zero() -> None:
    assert plain.code(b"01001020100", 11) == plain.code(b"1001020100", 11) == 1001020100
    assert plain.code(b"1001020100.0", 11) == 1001020100
    assert plain.code(b"100102010", 11) == -1
    assert plain.code(b"010010201001", 12) == 10010201001


# ---- the batch ----------------------------------------------------------------------------------
def batch(count: int = 200) -> ProxyBatch:
    people = demo_people(8, count)
    return BISG(Tables.demo()).posterior(surname=people.surname, zip=people.zip)


def test_a_batch_gives_means_and_never_a_row() -> None:
    found = batch()
    mix = found.mix()
    assert mix.demo_tables
    assert mix.tables_sha256 == Tables.demo().sha256
    assert mix.groups == RACE_SIX.groups
    assert sum(mix.shares) == pytest.approx(1)
    assert mix.shares == pytest.approx(found.values.mean(axis=0), abs=1e-6)
    assert mix.match.people == 200
    assert mix.match.surname == {"none": 0, "generic": 0, "table": 200, "part": 0}
    assert mix.match.area["zip"] == 200
    assert repr(found) == f"ProxyBatch(200 people, {RACE_SIX.groups}, 'demo')"
    assert not hasattr(found, "argmax")
    for name in ("argmax", "to_csv", "to_pandas", "__iter__", "__getitem__", "__array__"):
        assert not hasattr(found, name)
    with pytest.raises(ValueError, match="at least one person"):
        batch(0).mix()


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_batch_cannot_be_pickled(copied) -> None:
    with pytest.raises(Refused) as refused:
        copied(batch())
    assert (refused.value.slug, refused.value.status) == ("individual-export-refused", 403)


def test_rows_are_given_out_on_a_stated_lawful_basis_only() -> None:
    found = batch()
    for policy in (
        IndividualExport(),
        IndividualExport(allow_individual_export=True, lawful_basis="  "),
        IndividualExport(lawful_basis="audit"),
    ):
        with pytest.raises(Refused, match="individual-export-refused"):
            found.individual(policy)
    rows = found.individual(IndividualExport(allow_individual_export=True, lawful_basis="audit"))
    assert np.array_equal(rows, found.values)
    rows[:] = 0
    assert found.values.any(), "a copy"


def test_six_groups_merge_into_four() -> None:
    people = demo_people(9, 100)
    columns = {"surname": people.surname, "zip": people.zip}
    six = BISG(Tables.demo()).posterior(**columns)
    four = BISG(Tables.demo(), groups="four").posterior(**columns)
    assert four.partition == RACE_FOUR
    assert four.values[:, :3] == pytest.approx(six.values[:, :3])
    assert four.values[:, 3] == pytest.approx(six.values[:, 3:].sum(axis=1))


def test_quantised_rows_add_up_by_largest_remainder() -> None:
    # 256 * (.5, .3, .2) = 128, 76.8, 51.2: the missing one goes to the largest remainder.
    values = np.array([[0.5, 0.3, 0.2], [1, 0, 0], [1 / 3, 1 / 3, 1 / 3]], np.float32)
    assert quantised(values).tolist() == [[128, 77, 51], [256, 0, 0], [86, 85, 85]]
    with pytest.raises(ValueError, match="add up to one"):
        quantised(np.array([[0.5, 0.4]], np.float32))


@given(st.integers(0, 2**31), st.sampled_from([4, 6]))
def test_quantised_rows_are_near_and_bounded(seed: int, groups: int) -> None:
    draws = np.random.RandomState(seed)
    values = draws.dirichlet(np.full(groups, 0.3), 50).astype(np.float32)
    found = quantised(values)
    assert (found.sum(axis=1) == 256).all()
    assert (found >= 0).all()
    assert np.abs(found - values * 256.0).max() < 1
    assert np.linalg.norm(found, axis=1).max() <= 256


# ---- bad input ----------------------------------------------------------------------------------
def test_columns_of_other_lengths_and_unknown_choices_are_refused() -> None:
    bisg = BISG(TABLES)
    with pytest.raises(ValueError, match="zip: expected 2 rows, as surname has, got 1"):
        bisg.posterior(surname=["a", "b"], zip=["1"])
    with pytest.raises(ValueError, match="expected no first names"):
        bisg.posterior(surname=["a"], zip=["1"], first_name=["b"])
    with pytest.raises(ValueError, match="first_name: expected 1 rows"):
        BIFSG(TABLES).posterior(surname=["a"], first_name=["b", "c"])
    with pytest.raises(ValueError, match="expected one of six, four; got 'five'"):
        BISG(TABLES, groups="five")  # type: ignore[arg-type]
    with pytest.raises(Refused, match="tables-missing: by-hand has no first names"):
        BIFSG(by_hand(first_names=None))


def test_a_batch_of_nobody_is_empty() -> None:
    assert len(BISG(TABLES).posterior(surname=[], zip=[])) == 0
    assert len(BIFSG(TABLES).posterior(surname=[], first_name=[])) == 0


def test_without_numba_the_plain_loops_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if "compiled" in str(args[2]) and name == "ringwork.fairness.proxy":
            raise ModuleNotFoundError("No module named 'numba'", name="numba")
        return importing(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert engine.loops.__wrapped__() is plain


def test_both_twins_give_the_same_bits() -> None:
    compiled = pytest.importorskip("ringwork.fairness.proxy.compiled")
    draws = np.random.RandomState(1)
    tables = [draws.dirichlet(np.ones(6) / 2, 50).astype(np.float32) for _ in range(3)]
    tables[0][0] = 0
    rows = [draws.randint(0, 50, 5000).astype(np.int32) for _ in range(3)]
    for one, other, count in ((compiled.two, plain.two, 2), (compiled.three, plain.three, 3)):
        left, right = np.empty((5000, 6), np.float32), np.empty((5000, 6), np.float32)
        empty = []
        for run, out in ((one, left), (other, right)):
            found = np.empty(5000, np.int32)
            empty.append(found[: run(*tables[:count], *rows[:count], out, found)].tolist())
        assert empty[0] == empty[1] == np.flatnonzero(rows[0] == 0).tolist()
        assert left.tobytes() == right.tobytes()


def test_nobody_lives_in_the_rows_that_are_left_out() -> None:
    areas = areas_of(TABLES)
    assert areas.people.sum(axis=1).min() > 0
    assert areas.zip_rows[10003] == areas.zip_rows[10099] != 0
    assert areas.zip_rows[-1] == 0
