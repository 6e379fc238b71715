"""A numbering plan: blocks of a hundred numbers, half of them assigned, by region.

Regulators publish which blocks are assigned, so attackers know that. How many of a block's numbers
are registered differs by region: the metropolis is dense, the rest is not. The shares make the
densities that spec 2.2 measured: 0.20 over all assigned blocks, 0.384 in the densest region.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.gate.sim.protocol import Numbers

BLOCK: Final = 100
"""The unit of the plan; regulators assign many in a row."""
BASE: Final = 4915100000000
"""The first number. 10^8 follow that a parser of E.164 takes for mobile ones."""
REGIONS: Final = np.array([0.20, 0.16, 0.14, 0.13, 0.12, 0.10, 0.08, 0.07])
"""Shares of the assigned blocks; the first region is the metropolis."""
METROPOLIS: Final = 0.384
"""Of the assigned numbers of the metropolis that are registered, where a tenth of all are."""
ASSIGNED: Final = 0.5
CLUMP: Final = 100
"""Blocks that are assigned together: ten thousand numbers, fewer in a small world."""


class Numbering(Struct, frozen=True):
    """Which numbers can exist. Numbers are indices from 0 here; ``BASE`` is added at the edge."""

    size: int
    blocks: NDArray[np.int64]
    """Assigned blocks, ascending."""
    region: NDArray[np.int64]
    """Of each assigned block."""

    def blocks_of(self, region: int) -> NDArray[np.int64]:
        return np.asarray(self.blocks[self.region == region], np.int64)

    def indices_of(self, region: int) -> NDArray[np.int64]:
        """All numbers of a region, ascending."""
        return within(self.blocks_of(region))


def within(blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """All numbers of the blocks, in their order."""
    return np.asarray((blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel(), np.int64)


def numbers_of(indices: NDArray[np.int64]) -> Numbers:
    """As they are sent."""
    return (indices + BASE).astype(np.uint64)


def plan(rng: np.random.Generator, size: int) -> Numbering:
    """A plan over ``size`` numbers, in clumps of blocks, regions side by side."""
    count = size // BLOCK
    clump = max(1, min(CLUMP, count // 40))
    clumps = rng.permutation(-(-count // clump))
    chosen = np.sort(clumps[: round(len(clumps) * ASSIGNED)])
    blocks = (chosen[:, None] * clump + np.arange(clump)).ravel()
    blocks = blocks[blocks < count]
    ends = np.round(np.cumsum(REGIONS) * len(blocks)).astype(np.int64)
    return Numbering(size, blocks, np.searchsorted(ends, np.arange(len(blocks)), side="right"))
