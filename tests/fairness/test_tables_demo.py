"""The demo tables: made by our generator, as blurred as real ones, with people to check against."""

from importlib.resources import files

import numpy as np
import pytest

from ringwork.fairness.model import AGE, RACE_FOUR, RACE_SIX, merging
from ringwork.fairness.tables import demo_generator
from ringwork.fairness.tables.demo import demo_people
from ringwork.fairness.tables.model import Tables
from ringwork.fairness.tables.verify import verify


def confusion(tables: Tables) -> np.ndarray:
    """[6, 6] mean BISG posterior of each true group, over every pair of surname and area."""
    areas = tables.areas["zip"].people
    areas = areas / areas.sum(axis=0)
    bearers = tables.surnames.counts[:, None] * tables.surnames.shares
    names = bearers / bearers.sum(axis=0)
    national = tables.areas["zip"].national
    found = np.zeros((6, 6))
    for area in areas:
        joint = names * area * national
        found += joint.T @ (joint / joint.sum(axis=1, keepdims=True))
    return found / national[:, None]


def in_four(six: np.ndarray, weights: np.ndarray) -> np.ndarray:
    target = merging(RACE_SIX, RACE_FOUR)
    found, total = np.zeros((4, 4)), np.zeros(4)
    for one, row in enumerate(target):
        total[row] += weights[one]
        for other, column in enumerate(target):
            found[row, column] += weights[one] * six[one, other]
    return found / total[:, None]


def test_the_packaged_files_are_what_the_generator_makes() -> None:
    folder = files("ringwork.fairness.tables") / "demo_data"
    for name, content in demo_generator.tables():
        packaged = (folder / name).read_text(encoding="ascii").splitlines()
        made = content.splitlines()
        assert len(packaged) == len(made)
        for one, other in zip(packaged[1:], made[1:], strict=True):
            (key, *counts), (made_key, *made_counts) = one.split(","), other.split(",")
            assert key == made_key
            # Another mathematics library may round a whole person the other way.
            assert np.abs(np.array(counts, int) - np.array(made_counts, int)).max() <= 1


def test_the_demo_blurs_groups_as_reality_does() -> None:
    tables = Tables.demo()
    national = tables.areas["zip"].national
    assert national == pytest.approx(list(demo_generator.SHARES.values()), abs=1e-12)
    assert tables.surnames.people / tables.surnames.people.sum() == pytest.approx(national)
    four = in_four(confusion(tables), national)
    assert np.diag(four) == pytest.approx([0.77, 0.44, 0.52, 0.55], abs=0.025)
    assert 0.5 * np.abs(four[0] - four[1]).sum() == pytest.approx(0.36, abs=0.01)


def test_the_demo_says_what_it_is_and_passes_its_checks() -> None:
    tables = Tables.demo()
    assert tables.demo_tables
    assert tables.rows() == {"surnames": 2000, "first_names": 300, "zip": 400, "tract": 400}
    assert tables.areas["zip"].text(0) == "00001"
    assert tables.areas["zip"].text(399) == "00400"
    assert tables.areas["tract"].text(0) == "00001000001"
    assert all(check.holds for check in verify(tables))


def test_the_demo_hash_is_the_same_on_every_machine() -> None:
    expected = "44d7d50a14901161dde6447447b4086bd91911d0c0a38d928eefbefd2fdc08b7"
    assert Tables.demo().sha256 == expected


def test_people_are_drawn_as_the_tables_say() -> None:
    tables = Tables.demo()
    people = demo_people(7, 200_000)
    counts = np.bincount(people.race, minlength=6) / len(people)
    assert counts == pytest.approx(tables.areas["zip"].national, abs=0.004)
    zips = tables.areas["zip"]
    black = people.race == RACE_SIX.groups.index("black")
    seen = np.bincount(people.zip[black].astype(int), minlength=401)[1:] / black.sum()
    expected = zips.people[:, 1] / zips.people[:, 1].sum()
    assert np.abs(seen - expected).max() < 0.004
    assert set(people.surname.tolist()) <= set(tables.surnames.keys)
    assert (np.char.str_len(people.tract) == 11).all()
    assert np.array_equal(np.unique(people.age), np.arange(len(AGE)))
    assert np.bincount(people.sex) / len(people) == pytest.approx([0.5, 0.5], abs=0.005)


def test_equal_seeds_draw_equal_people_and_others_differ() -> None:
    one, same, other = demo_people(1, 500), demo_people(1, 500), demo_people(2, 500)
    assert np.array_equal(one.surname, same.surname)
    assert np.array_equal(one.race, same.race)
    assert not np.array_equal(one.surname, other.surname)
    assert len(demo_people(1, 0)) == 0
    assert one.surname[0] not in repr(one)
    with pytest.raises(ValueError, match="count: expected 0 to"):
        demo_people(1, -1)
