"""The packaged demo tables, and people drawn from them whose group is known."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringwork.fairness.model import RACE_SIX, SEX
from ringwork.fairness.tables.model import AreaTable, NameTable, Tables

Floats = NDArray[np.float64]
Numbers = NDArray[np.int16]

NAME: Final = "demo"
AGE_SHARES: Final = (0.13, 0.18, 0.17, 0.18, 0.16, 0.18)
PEOPLE_MAX: Final = 10_000_000


@functools.cache
def demo() -> Tables:
    """The demo tables. Tracts are the ZIP codes' own, in a state 00 that there is not."""
    keys, people = _read("areas.csv")
    codes = np.array([int(key) for key in keys], dtype=np.int64)
    return Tables(
        name=NAME,
        vintage="demo",
        surnames=_names("surnames.csv"),
        first_names=_names("first_names.csv"),
        areas={
            "zip": AreaTable("zip", codes, people),
            "tract": AreaTable("tract", tract_of(codes), people),
        },
        demo_tables=True,
    )


def tract_of(zips: NDArray[np.int64]) -> NDArray[np.int64]:
    """The demo tract of a demo ZIP code: state 00, county 001, the code as tract 000123."""
    return 1_000_000 + zips


@dataclass(frozen=True, slots=True, repr=False)
class People:
    """Invented people with their true group: what a world knows and no platform may."""

    surname: NDArray[np.str_]
    first_name: NDArray[np.str_]
    zip: NDArray[np.str_]
    tract: NDArray[np.str_]
    sex: Numbers
    """Position in ``model.SEX.groups``."""
    age: Numbers
    """Position in ``model.AGE.groups``."""
    race: Numbers
    """Position in ``model.RACE_SIX.groups``."""

    def __len__(self) -> int:
        return len(self.race)


def demo_people(entropy_seed: int, count: int) -> People:
    """People of the demo tables: group, then area and names given the group, independently.

    So BISG is calibrated on them by construction, which it is not on real people. Equal seeds give
    equal people. ValueError for a count out of range.
    """
    if not 0 <= count <= PEOPLE_MAX:
        raise ValueError(f"count: expected 0 to {PEOPLE_MAX}, got {count}")
    tables = demo()
    draws = np.random.Generator(np.random.PCG64(entropy_seed))
    areas = tables.areas["zip"]
    race = _drawn(draws, areas.national, count)
    place, surname, first = (np.empty(count, np.int64) for _ in range(3))
    assert tables.first_names is not None
    for group in range(len(RACE_SIX)):
        rows = np.flatnonzero(race == group)
        place[rows] = _drawn(draws, areas.people[:, group], len(rows))
        for table, out in ((tables.surnames, surname), (tables.first_names, first)):
            bearers = table.counts * table.shares[:, group]
            out[rows] = _drawn(draws, bearers, len(rows))
    return People(
        surname=np.array(tables.surnames.keys)[surname],
        first_name=np.array(tables.first_names.keys)[first],
        zip=_texts(areas)[place],
        tract=_texts(tables.areas["tract"])[place],
        sex=_drawn(draws, np.ones(len(SEX)), count).astype(np.int16),
        age=_drawn(draws, np.array(AGE_SHARES), count).astype(np.int16),
        race=race.astype(np.int16),
    )


def _drawn(draws: np.random.Generator, weights: Floats, count: int) -> NDArray[np.int64]:
    """Positions drawn in proportion to weights."""
    ends = np.cumsum(weights)
    at = np.searchsorted(ends, draws.random(count) * ends[-1], side="right")
    found: NDArray[np.int64] = np.minimum(at, len(weights) - 1).astype(np.int64)
    return found


def _texts(areas: AreaTable) -> NDArray[np.str_]:
    return np.array([areas.text(row) for row in range(len(areas.codes))])


def _names(file: str) -> NameTable:
    """All other names are divided as the nation is."""
    keys, people = _read(file)
    counts = people.sum(axis=1)
    totals = people.sum(axis=0)
    return NameTable(
        keys, counts, people / counts[:, None], generic=totals / totals.sum(), generic_count=0.0
    )


def _read(file: str) -> tuple[tuple[str, ...], Floats]:
    text = (files("ringwork.fairness.tables") / "demo_data" / file).read_text(encoding="ascii")
    rows = [line.split(",") for line in text.splitlines()[1:]]
    return tuple(row[0] for row in rows), np.array([row[1:] for row in rows], dtype=np.float64)
