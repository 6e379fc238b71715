"""fBISG: the sampler against its own formula, against BISG, and where BISG gives up."""

import numpy as np
import pytest

from ringwork.fairness.proxy import BISG, FBISG, plain
from ringwork.fairness.proxy.fbisg import FLOOR
from ringwork.fairness.tables.demo import demo_people
from ringwork.fairness.tables.model import Tables
from ringwork.kernel.entropy import SeededEntropy
from tests.fairness.tables_by_hand import by_hand, shares


def counted(tables: Tables, times: float) -> Tables:
    """The same shares, from a census of more people."""
    zips = tables.areas["zip"]
    more = type(zips)("zip", zips.codes, zips.people * times)
    return Tables(name="more", vintage="2010", surnames=tables.surnames, areas={"zip": more})


def test_one_person_alone_by_the_formula() -> None:
    tables = by_hand()
    found = FBISG(tables, entropy=SeededEntropy(1), burn_in=0, sweeps=100_000).posterior(
        surname=["Smith"], zip=["10001"]
    )
    # With the one person taken out what is left is the census, plus one in every group.
    people = np.array(shares(white=80, black=10, hispanic=10)) + 1
    bearers = np.array(shares(white=420, black=180)) / np.maximum(tables.surnames.people, 1e-9)
    weights = people * (bearers + FLOOR)
    assert found.values[0] == pytest.approx(weights / weights.sum(), abs=0.005)


def test_where_the_census_dominates_it_is_bisg() -> None:
    people = demo_people(2, 400)
    tables = counted(Tables.demo(), 1000)
    columns = {"surname": people.surname, "zip": people.zip}
    sampled = FBISG(tables, entropy=SeededEntropy(2), burn_in=20, sweeps=2000).posterior(**columns)
    exact = BISG(tables, form="name_likelihood").posterior(**columns).values
    sd = np.sqrt(np.maximum(exact * (1 - exact), 1e-4) / 2000)
    assert (np.abs(sampled.values - exact) / sd).max() < 5.5
    assert np.abs(sampled.values - exact).mean() < 0.004


def test_a_census_that_counts_nobody_of_a_group_does_not_exclude_it() -> None:
    zips = by_hand().areas["zip"]
    people = zips.people.copy()
    people[0] = shares(api=30)
    tables = by_hand(areas={"zip": type(zips)("zip", zips.codes, people)})
    names = ["Smith"] * 40
    found = FBISG(tables, entropy=SeededEntropy(3), burn_in=200, sweeps=200).posterior(
        surname=names, zip=["10001"] * 40
    )
    assert found.values[:, :2].sum(axis=1).min() > 0.9
    alone = BISG(tables).posterior(surname=names, zip=["10001"] * 40)
    assert alone.values[:, 3] == pytest.approx(np.ones(40))


def test_equal_entropy_gives_equal_answers_and_both_twins_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = demo_people(3, 60)
    zips = [None, *people.zip[1:]]

    def run(seed: int) -> bytes:
        fbisg = FBISG(Tables.demo(), entropy=SeededEntropy(seed), burn_in=5, sweeps=20)
        found = fbisg.posterior(surname=people.surname, zip=zips, first_name=people.first_name)
        assert found.first_name_match.tolist() == [2] * 60
        assert found.values.sum(axis=1) == pytest.approx(np.ones(60))
        return found.values.tobytes()

    first = run(1)
    assert first == run(1)
    assert first != run(2)
    monkeypatch.setattr("ringwork.fairness.proxy.fbisg.loops", lambda: plain)
    monkeypatch.setattr("ringwork.fairness.proxy.areas.loops", lambda: plain)
    assert first == run(1)


def test_sweeps_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or more sweeps, got 5 and 0"):
        FBISG(Tables.demo(), entropy=SeededEntropy(1), burn_in=5, sweeps=0)
