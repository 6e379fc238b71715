"""The areas of a set in one table, and the row of every person's finest known area.

Block group, else tract, else ZIP code, else the ZIP codes with the same first three digits, else
the nation: the regulator's waterfall (combine_probs.do), which stops at the ZIP code, and two steps
below it. Whoever locates addresses gives a finer area only where the location deserves it: the
regulator takes block groups and tracts of rooftop locations only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ringwork.fairness.columns import Strings
from ringwork.fairness.proxy.engine import loops
from ringwork.fairness.tables.model import DIGITS, GROUPS, LEVELS, AreaTable, Level, Tables

AreaLevel = Literal["nation", "zip3", "zip", "tract", "block_group"]
AREA_LEVELS: Final[tuple[AreaLevel, ...]] = ("nation", "zip3", "zip", "tract", "block_group")
"""``ProxyBatch.area_level`` is a position in this, the finer the higher."""
NATION_ROW: Final = 0
_ZIP_CODES: Final = 100_000

Rows = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Areas:
    """Rows of all levels; row 0 is the nation."""

    level: NDArray[np.uint8]
    """[rows] position in AREA_LEVELS."""
    people: NDArray[np.float64]
    """[rows, 6] adults."""
    shares: NDArray[np.float32]
    """[rows, 6] P(group | area)."""
    lifts: NDArray[np.float32]
    """[rows, 6] P(area | group) / P(area) = P(group | area) / P(group), by the level's nation."""
    zip_rows: Rows
    """[100,000] the row of each ZIP code, fall-backs included."""
    codes: Mapping[Level, tuple[NDArray[np.int64], Rows]]
    """Of tracts and block groups: codes in ascending order and their rows."""

    def rows(self, given: Mapping[Level, Strings], count: int) -> Rows:
        """[count] the row of each person's finest area that is known."""
        found = np.zeros(count, np.int32)
        for level in LEVELS:
            if level in given:
                self._refine(level, given[level], found)
        return found

    def _refine(self, level: Level, written: Strings, found: Rows) -> None:
        numbers = np.empty(len(written), np.int64)
        loops().codes(written.data, written.offsets, DIGITS[level], numbers)
        if level == "zip":
            np.take(self.zip_rows, numbers, out=found, mode="wrap")  # -1 is the row beyond 99999
            return
        codes, rows = self.codes.get(level, _NO_CODES)
        if not len(codes):
            return
        at = np.minimum(np.searchsorted(codes, numbers), len(codes) - 1)
        is_known = codes[at] == numbers
        found[is_known] = rows[at[is_known]]


_NO_CODES: Final = (np.zeros(0, np.int64), np.zeros(0, np.int32))


def areas_of(tables: Tables) -> Areas:
    """All levels of a set in one table. Areas in which nobody lives are not in it."""
    zips = tables.areas["zip"]
    prefixes, people = _prefixes(zips)
    blocks: list[tuple[AreaLevel, NDArray[np.float64], NDArray[np.float64]]] = [
        ("nation", zips.people.sum(axis=0)[None, :], zips.national),
        ("zip3", people, zips.national),
    ]
    zip_rows = np.zeros(_ZIP_CODES + 1, np.int32)
    by_prefix = np.zeros(_ZIP_CODES // 100, np.int32)
    by_prefix[prefixes] = 1 + np.arange(len(prefixes))
    zip_rows[:-1] = np.repeat(by_prefix, 100)
    codes: dict[Level, tuple[NDArray[np.int64], Rows]] = {}
    start = 1 + len(prefixes)
    for level in LEVELS:
        table = tables.areas.get(level)
        if table is None:
            continue
        is_inhabited = table.people.sum(axis=1) > 0
        inhabited = table.codes[is_inhabited]
        rows = np.arange(start, start + len(inhabited), dtype=np.int32)
        start += len(inhabited)
        blocks.append((level, table.people[is_inhabited], table.national))
        if level == "zip":
            zip_rows[inhabited] = rows
        else:
            codes[level] = inhabited, rows
    counts = np.vstack([block for _, block, _ in blocks])
    shares = counts / counts.sum(axis=1)[:, None]
    national = np.vstack([np.broadcast_to(one, block.shape) for _, block, one in blocks])
    level_of = np.concatenate(
        [np.full(len(block), AREA_LEVELS.index(level), np.uint8) for level, block, _ in blocks]
    )
    lifts = np.divide(shares, national, out=np.zeros_like(shares), where=national > 0)
    return Areas(
        level_of, counts, shares.astype(np.float32), lifts.astype(np.float32), zip_rows, codes
    )


def _prefixes(zips: AreaTable) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The three-digit prefixes in which somebody lives, and their people."""
    sums = np.zeros((_ZIP_CODES // 100, GROUPS))
    np.add.at(sums, zips.codes // 100, zips.people)
    prefixes = np.flatnonzero(sums.sum(axis=1) > 0)
    return prefixes, sums[prefixes]
