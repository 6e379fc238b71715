"""Sums over the people whom an ad reached, by group: what is counted, and how counts add up.

A person adds one vector to an ad's sums. It has a block per attribute and per intersection: one-hot
for a declared attribute, with a bucket for "unknown" behind its groups; a posterior in 256ths for
an estimated one. Every block sums to its unit and has no negative number, so its norm is at most
the unit: that is the bound which the noise is made for (specification 4.6.7, 4.7), and it is
checked.

``Sums`` are a commutative monoid: what two processes counted is added, in any order. ``meter``
counts one impression after the other, ``ingest`` arrays of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Final, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.model import UNKNOWN, Partition
from ringwork.fairness.plan import Plan

SOFT_UNIT: Final = 256
"""What a quantised posterior adds up to."""
WIDTH_MAX: Final = 4096

Rows = NDArray[np.uint16]
K = TypeVar("K")


def quantised(posteriors: NDArray[np.floating]) -> Rows:
    """Posteriors [n, K] in 256ths by largest remainder: every row adds up to 256.

    Equal remainders go to the earlier group. ValueError for a row that is no distribution.
    """
    given = np.asarray(posteriors, np.float64)
    totals = given.sum(axis=1, keepdims=True)
    if not (np.isfinite(given).all() and (given >= 0).all() and (totals > 0).all()):
        raise ValueError("expected posteriors from 0 up, each row with a positive sum")
    scaled = given / totals * SOFT_UNIT
    whole = np.floor(scaled)
    missing = SOFT_UNIT - whole.sum(axis=1, keepdims=True)
    order = np.argsort(whole - scaled, axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    rows: Rows = (whole + (rank < missing)).astype(np.uint16)
    return rows


class Block(Struct, frozen=True, kw_only=True):
    """The sums of one attribute or intersection, and where they lie in the vector."""

    attribute: str
    """ "sex", or "sex x race" for an intersection."""
    of: tuple[str, ...]
    groups: tuple[str, ...]
    """The last one is "unknown" where a part of it is declared."""
    unit: int
    start: int

    @property
    def stop(self) -> int:
        return self.start + len(self.groups)


class Layout(Struct, frozen=True, kw_only=True):
    """Which sums a plan needs, in one vector."""

    partitions: tuple[Partition, ...]
    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, plan: Plan) -> Layout:
        """Attributes in the plan's order, then its intersections."""
        partitions = tuple(plan.partition(one) for one in plan.attributes)
        by_name = {one.attribute: one for one in partitions}
        blocks: list[Block] = []
        for names in [(one,) for one in plan.attributes] + list(plan.intersections):
            parts = [by_name[one] for one in names]
            cells = tuple(" x ".join(cell) for cell in product(*(one.groups for one in parts)))
            if not all(one.is_estimated for one in parts):
                cells = (*cells, UNKNOWN)
            blocks.append(
                Block(
                    attribute=" x ".join(names),
                    of=tuple(names),
                    groups=cells,
                    unit=SOFT_UNIT if any(one.is_estimated for one in parts) else 1,
                    start=blocks[-1].stop if blocks else 0,
                )
            )
        if blocks[-1].stop > WIDTH_MAX:
            raise ValueError(f"expected at most {WIDTH_MAX} sums, got {blocks[-1].stop}")
        return cls(partitions=partitions, blocks=tuple(blocks))

    @property
    def width(self) -> int:
        return self.blocks[-1].stop

    @property
    def units(self) -> tuple[int, ...]:
        """Per sum: what one person adds to its block."""
        return tuple(block.unit for block in self.blocks for _ in block.groups)

    def together(self, block: Block) -> NDArray[np.bool_]:
        """[K, K] whether one vector may have both of two of a block's groups, unknown left out.

        Not where they differ in a declared part: that is one-hot.
        """
        parts = [one for name in block.of for one in self.partitions if one.attribute == name]
        cells = list(product(*(one.groups for one in parts)))
        declared = [
            tuple(group for group, one in zip(cell, parts, strict=True) if not one.is_estimated)
            for cell in cells
        ]
        return np.array([[one == other for other in declared] for one in declared])

    def rows(
        self,
        declared: Mapping[str, NDArray[np.integer]],
        estimated: Mapping[str, Rows],
    ) -> Rows:
        """The vectors of people, [n, width].

        ``declared``: per attribute the position of each person's group, -1 where it is not known;
        ``estimated``: per attribute posteriors [n, K] in 256ths (``quantised``). ValueError for an
        attribute that is missing, a group that is none, or posteriors that do not add up.
        """
        parts = {one.attribute: _part(one, declared, estimated) for one in self.partitions}
        columns = [_block(block, [parts[one] for one in block.of]) for block in self.blocks]
        rows: Rows = np.ascontiguousarray(np.hstack(columns).astype(np.uint16))
        self.check(rows)
        return rows

    def check(self, rows: NDArray[np.integer]) -> None:
        """ValueError where a vector's norm might be larger than the noise is made for."""
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise ValueError(f"expected vectors of {self.width} sums, got {rows.shape}")
        for block in self.blocks:
            part = rows[:, block.start : block.stop]
            if (part < 0).any() or (part.sum(axis=1, dtype=np.int64) != block.unit).any():
                raise ValueError(
                    f"{block.attribute}: expected numbers from 0 up that add up to {block.unit}"
                )

    def counted(self, sums: Sequence[int]) -> int:
        """How many contributions noisy sums hold: the blocks' totals, weighted by their noise.

        Every block holds each contribution once, so no sum of its own has to be released (and paid
        for) where the cap bites. The noise of a total grows with the block's width, which is what
        the weights undo; of four blocks 3, 4, 7 and 9 wide the sd is 1.1 times that of one sum.
        """
        weight = total = 0
        common = prod(len(block.groups) * block.unit for block in self.blocks)
        for block in self.blocks:
            part = common // (len(block.groups) * block.unit)
            total += part * sum(sums[block.start : block.stop])
            weight += part * block.unit
        return (2 * total + weight) // (2 * weight)


def _part(
    partition: Partition,
    declared: Mapping[str, NDArray[np.integer]],
    estimated: Mapping[str, Rows],
) -> NDArray[np.int64]:
    """[n, K] shares of the unit; a row of zeros where the group is not known."""
    name, groups = partition.attribute, len(partition)
    given = estimated if partition.is_estimated else declared
    if name not in given:
        raise ValueError(f"{name}: expected a value for every person, got none")
    if partition.is_estimated:
        soft = np.asarray(given[name], np.int64)
        if soft.ndim != 2 or soft.shape[1] != groups or (soft.sum(axis=1) != SOFT_UNIT).any():
            raise ValueError(f"{name}: expected [n, {groups}] that add up to {SOFT_UNIT}")
        return soft
    codes: NDArray[np.int64] = np.asarray(given[name], np.int64)
    if ((codes < -1) | (codes >= groups)).any():
        raise ValueError(f"{name}: expected positions from -1 to {groups - 1}")
    one_hot: NDArray[np.int64] = (codes[:, None] == np.arange(groups)).astype(np.int64)
    return one_hot


def _block(block: Block, parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The outer product of the parts, in the block's unit, and the unknown behind it."""
    count = len(parts[0])
    cells = np.ones((count, 1), np.int64)
    for part in parts:
        cells = (cells[:, :, None] * part[:, None, :]).reshape(count, -1)
    known = cells.sum(axis=1) > 0
    if int(cells.sum(axis=1).max(initial=0)) > block.unit:  # two posteriors or more
        cells[known] = quantised(cells[known])
    if len(block.groups) == cells.shape[1]:
        return cells
    return np.hstack([cells, np.where(known, 0, block.unit)[:, None]])


class Sums(Struct, frozen=True, kw_only=True):
    """What was counted of one segment of one ad: exact, so it never leaves the enclave."""

    impressions: int = 0
    """Billed."""
    spend_nanos: int = 0
    late: int = 0
    """Of the impressions: from before the release that they missed."""
    uncounted: int = 0
    """Of the impressions: beyond the cap, so in no sum."""
    people: int = 0
    """Unique, exactly; in ``people_vector``."""
    vector: tuple[int, ...]
    people_vector: tuple[int, ...]

    @classmethod
    def none(cls, width: int) -> Sums:
        """The sums of nothing."""
        return cls(vector=(0,) * width, people_vector=(0,) * width)

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            impressions=self.impressions + other.impressions,
            spend_nanos=self.spend_nanos + other.spend_nanos,
            late=self.late + other.late,
            uncounted=self.uncounted + other.uncounted,
            people=self.people + other.people,
            vector=_added(self.vector, other.vector),
            people_vector=_added(self.people_vector, other.people_vector),
        )

    def __repr__(self) -> str:
        return f"Sums(impressions={self.impressions})"


def _added(left: Sequence[int], right: Sequence[int]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(left, right, strict=True))


def merged(left: Mapping[K, Sums], right: Mapping[K, Sums]) -> dict[K, Sums]:
    """What two meters counted. Each must have seen all impressions of the people that it saw.

    Caps and first touches are per person, so a stream is divided by person, never otherwise.
    """
    both = dict(left)
    for key, sums in right.items():
        both[key] = both[key] + sums if key in both else sums
    return both
