"""The labelled, invented people of the staged data, and what BISG says of each; four groups.

Only this module knows how the posteriors are made: Census 2010 surnames and the regulator's ZIP
table, names by simple rules. The surname list is read out of the public ``ethnicity`` wheel, as a
file, which pip obtains once. Two forms of the formula:

``cfpb``
    P(group | surname) P(ZIP | group), the regulator's. The surname list counts people of all ages,
    the ZIP table adults, so their margins differ (Hispanic 16.3 % and 14.2 %): means come out askew.
``name_likelihood``
    P(surname | group) P(group | ZIP), each with its own margin: the exact posterior of the
    ``calibrated`` people, who were drawn so.
"""

from __future__ import annotations

import csv
import io
import os
import re
from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringwork.app.fairness_tables import TableCache
from ringwork.fairness.model import RACE_FOUR, RACE_SIX, merging
from ringwork.fairness.tables.sources import PACKAGES

Floats = NDArray[np.float64]
Form = Literal["cfpb", "name_likelihood"]

CENSUS: Final = ("pctwhite", "pctblack", "pcthispanic", "pctapi", "pctaian", "pct2prace")
"""Columns of the surname list in the order of ``RACE_SIX``."""
OTHER_NAMES: Final = np.array([66.65, 8.53, 13.67, 7.97, 0.86, 2.32]) / 100
"""ALL OTHER NAMES of the list: what an unlisted surname says."""
SUFFIX: Final = re.compile(r"[ ,.]+(JR|SR|II|III|IV|MD|DDS|PHD)[ .]*$")
ROOT: Final = Path(__file__).parents[2]


class People(NamedTuple):
    """[n, 4] posteriors in the order of ``RACE_FOUR``, and [n] true groups as positions in it."""

    posterior: Floats
    group: NDArray[np.int64]


def staged() -> Path:
    named = os.environ.get("RINGWORK_TEST_DATA")
    return (Path(named) if named else ROOT.parent / "shared" / "data") / "fairness"


def surnames() -> dict[str, Floats]:
    """P(group | surname)."""
    return _surname_list()[0]


def name_margin() -> Floats:
    """P(group) of the surname list, all ages, by its own counts."""
    return _surname_list()[1]


@cache
def _surname_list() -> tuple[dict[str, Floats], Floats]:
    """Suppressed cells share what the given ones leave over."""
    archives = TableCache(ROOT / "build" / "census").obtained(
        [PACKAGES["ethnicity"]], offline=None, progress=lambda what, count: print(f"   {what}")
    )
    text = archives["ethnicity"].read("surnames").decode()
    found = {}
    total = np.zeros(len(RACE_SIX))
    for row in csv.DictReader(io.StringIO(text)):
        cells = [row[name] for name in CENSUS]
        given = np.array([0.0 if cell == "(S)" else float(cell) for cell in cells]) / 100
        hidden = np.array([cell == "(S)" for cell in cells])
        if hidden.any():
            given[hidden] = max(1 - given.sum(), 0) / hidden.sum()
        found[row["name"]] = given / given.sum()
        total += found[row["name"]] * float(row["count"])
    return found, total / total.sum()


@cache
def areas() -> tuple[dict[str, Floats], Floats]:
    """P(group | ZIP) and the national shares of the same table."""
    import pyarrow.parquet as pq

    table = pq.read_table(staged() / "cfpb" / "zip2010_attr_over18.parquet").to_pydict()
    columns = [table[f"geo_pr_{name}"] for name in RACE_SIX.groups]
    mixes = np.nan_to_num(np.array(columns, dtype=float).T)
    counts = mixes * np.nan_to_num(np.array(table["here"], dtype=float))[:, None]
    shares = counts.sum(0) / counts.sum()
    inhabited = mixes.sum(1) > 0
    codes = table["GeoInd"]
    return {codes[at]: mixes[at] for at in np.flatnonzero(inhabited)}, shares


def people(variant: str, form: Form) -> People:
    """``calibrated`` (BISG may be the exact posterior) or ``regional`` (it is over-confident)."""
    import pyarrow.parquet as pq

    table = pq.read_table(staged() / "population" / f"population_{variant}.parquet").to_pydict()
    names, (zips, shares) = surnames(), areas()
    name = np.array([names.get(_key(one), OTHER_NAMES) for one in table["surname"]])
    area = np.array([zips.get(one or "", shares) for one in table["zip"]])
    weight = name * area / (shares if form == "cfpb" else name_margin())
    flat = weight.sum(1) == 0
    weight[flat] = area[flat]
    six = weight / weight.sum(1, keepdims=True)
    target = merging(RACE_SIX, RACE_FOUR)
    four = six @ np.eye(len(RACE_FOUR))[target]
    group = np.array([target[RACE_SIX.groups.index(one)] for one in table["race"]])
    return People(four, group)


def _key(surname: str | None) -> str:
    upper = SUFFIX.sub("", (surname or "").upper().strip())
    first = re.split(r"[-]", upper)[0]
    return re.sub("[^A-Z]", "", re.sub(r"^[A-Z]\. ", "", first))
