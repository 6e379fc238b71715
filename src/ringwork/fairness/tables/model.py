"""What a set of census tables is: names and areas, with the number of people of each group.

Everything that a proxy needs follows from two kinds of table. A ``NameTable`` says how the bearers
of each name divide into the six groups, and how many they are; an ``AreaTable`` how many adults of
each group live in an area. P(group | area), P(area | group) and the national shares are all taken
from the same counts of the same level, so that they agree with each other to the last digit.

The order of the groups is ``model.RACE_SIX``, everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ringwork.fairness.model import RACE_SIX
from ringwork.fairness.names.index import NameIndex

Floats = NDArray[np.float64]
Level = Literal["zip", "tract", "block_group"]
LEVELS: Final[tuple[Level, ...]] = ("zip", "tract", "block_group")
DIGITS: Final[Mapping[Level, int]] = {"zip": 5, "tract": 11, "block_group": 12}
"""A ZIP code (ZCTA); state, county and tract; the same with the block group."""
GROUPS: Final = len(RACE_SIX)
VERSION_LINE: Final = b"ringwork-fairness-tables-v1\n"


@dataclass(frozen=True, slots=True)
class NameTable:
    """Names, how many people bear each, and their shares by group.

    ``counts`` is 0 where a source gives shares only. ``generic`` are the shares of all other names.
    """

    keys: tuple[str, ...]
    counts: Floats
    """[n] people."""
    shares: Floats
    """[n, 6] P(group | name); rows sum to one."""
    generic: Floats
    """[6] P(group | any other name)."""
    generic_count: float
    index: NameIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rows = len(self.keys)
        if self.counts.shape != (rows,) or self.shares.shape != (rows, GROUPS):
            raise ValueError(
                f"expected {rows} counts and {rows} x {GROUPS} shares, got {self.counts.shape} "
                f"and {self.shares.shape}"
            )
        object.__setattr__(self, "index", NameIndex(self.keys))

    @property
    def people(self) -> Floats:
        """[6] people by group, all other names included: the margin of the list."""
        total: Floats = self.counts @ self.shares + self.generic_count * self.generic
        return total

    def columns(self) -> Iterator[tuple[str, NDArray[np.float64] | tuple[str, ...]]]:
        """In the order in which they are hashed; the last row is that of all other names."""
        yield "name", (*self.keys, "")
        yield "count", np.append(self.counts, self.generic_count)
        shares = np.vstack([self.shares, self.generic])
        for number, group in enumerate(RACE_SIX.groups):
            yield group, np.ascontiguousarray(shares[:, number])


@dataclass(frozen=True, slots=True)
class AreaTable:
    """Areas of one level and the adults of each group in them, areas in ascending order."""

    level: Level
    codes: NDArray[np.int64]
    """[n] the digits of the code as a number."""
    people: Floats
    """[n, 6]"""

    def __post_init__(self) -> None:
        if self.people.shape != (len(self.codes), GROUPS):
            raise ValueError(
                f"{self.level}: expected {len(self.codes)} x {GROUPS} counts, got "
                f"{self.people.shape}"
            )
        if len(self.codes) > 1 and not np.all(np.diff(self.codes) > 0):
            raise ValueError(f"{self.level}: expected codes in ascending order, each once")

    @property
    def national(self) -> Floats:
        """[6] shares of the groups in all areas of this level."""
        totals = self.people.sum(axis=0)
        shares: Floats = totals / totals.sum()
        return shares

    def text(self, row: int) -> str:
        """The code as it is written."""
        return str(self.codes[row]).zfill(DIGITS[self.level])

    def columns(self) -> Iterator[tuple[str, NDArray[np.float64] | tuple[str, ...]]]:
        """In the order in which they are hashed."""
        yield "code", tuple(self.text(row) for row in range(len(self.codes)))
        for number, group in enumerate(RACE_SIX.groups):
            yield group, np.ascontiguousarray(self.people[:, number])


@dataclass(frozen=True, slots=True)
class Source:
    """Where a part of a set came from."""

    part: str
    package: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Tables:
    """One set: surnames, first names and areas of one vintage, known by its hash."""

    name: str
    vintage: str
    surnames: NameTable
    areas: Mapping[Level, AreaTable]
    first_names: NameTable | None = None
    sources: tuple[Source, ...] = ()
    demo_tables: bool = False
    """Invented people and places: says nothing about anybody, and every result says so."""
    population: str = "adults"
    """Whom the areas count: adults, or all ages where a source has no other."""
    sha256: str = field(init=False)
    """Over the columns in the layout of Arrow; see ``canonical``."""

    def __post_init__(self) -> None:
        if "zip" not in self.areas:
            raise ValueError(f"{self.name}: expected areas by ZIP code, got {sorted(self.areas)}")
        object.__setattr__(self, "sha256", canonical(self))

    @staticmethod
    def demo() -> Tables:
        """The packaged set of invented names and places: works everywhere, knows nobody."""
        from ringwork.fairness.tables.demo import demo  # noqa: PLC0415 - it needs this module

        return demo()

    def rows(self) -> dict[str, int]:
        """Rows of each table."""
        first = self.first_names
        found = {"surnames": len(self.surnames.keys)}
        if first is not None:
            found["first_names"] = len(first.keys)
        return found | {level: len(self.areas[level].codes) for level in self.areas}

    def parts(self) -> Iterator[tuple[str, NameTable | AreaTable]]:
        """The tables by name, in the order in which they are hashed."""
        yield "surnames", self.surnames
        if self.first_names is not None:
            yield "first_names", self.first_names
        for level in LEVELS:
            if level in self.areas:
                yield level, self.areas[level]


def canonical(tables: Tables) -> str:
    """SHA-256 of a set, the same on every machine and with every version of Arrow.

    Hashed are the buffers of Arrow's columnar layout without its framing, which versions change:
    for every column its table, name, type and number of rows as a line of text, then the values.
    Text is its 32-bit offsets and UTF-8 bytes, a number an IEEE double; all little-endian.
    """
    found = hashlib.sha256(VERSION_LINE)
    for part, table in tables.parts():
        for name, values in table.columns():
            if isinstance(values, tuple):
                found.update(f"{part}.{name} utf8 {len(values)}\n".encode())
                texts = [value.encode() for value in values]
                found.update(np.cumsum([0, *map(len, texts)]).astype("<i4").tobytes())
                found.update(b"".join(texts))
            else:
                found.update(f"{part}.{name} double {len(values)}\n".encode())
                found.update(values.astype("<f8").tobytes())
    return found.hexdigest()
