"""The hook in the auction: the shift of every candidate, from one cache line each.

Tables are replaced whole, by one assignment, so an auction works with the old ones or the new ones
and never with half of each; nothing is locked, allocated or read from outside. An ad without a
table, a viewer without a cluster, a value or a record that is no number: the shift is 0 and is
counted, and never an error.

The value bin of an ad comes from the bits of its value over the ad's own scale: the exponent and
two bits of the mantissa, four bins to an octave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Table = NDArray[np.float32]
VALUE_BINS: Final = 16
_QUARTERS: Final = np.array([1.0, 1.25, 1.5, 1.75])
VALUE_EDGES: Final = np.concatenate([_QUARTERS * 2.0**octave for octave in (-2, -1, 0, 1)])[1:]
"""[B - 1] borders between bins, relative to the ad's scale: from 5/16 to 7/2."""
VALUE_MIDDLES: Final = np.sqrt(
    np.concatenate(([VALUE_EDGES[0] * 0.6], VALUE_EDGES))
    * np.concatenate((VALUE_EDGES, [VALUE_EDGES[-1] * 1.4]))
)
"""[B] the value that stands for a bin."""
_FIRST_BITS: Final = (127 - 2) << 2
"""Exponent and two bits of the mantissa of 1/4, where the bins begin."""
GROUPS: Final = 8
"""Groups in one cache line: two vectors of eight floats. More groups take more lines."""


def bins_of(relative: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[n] bins of values over their ad's scale; what is below or beyond is in the outermost."""
    bits = np.ascontiguousarray(relative, np.float32).view(np.int32) >> 21
    bins: NDArray[np.uint8] = np.clip(bits - _FIRST_BITS, 0, VALUE_BINS - 1).astype(np.uint8)
    return bins


class AdTable(Struct, frozen=True, kw_only=True):
    """What one ad's shift is made of until the next step."""

    records: Table
    """[B, 2, G] (``control.model.Shift``)."""
    scale_nanos: int
    """The ad's usual value: what a shift of 1 is worth."""


class Missed(Struct):
    """How often a shift was 0 because something was not there; all of them are metrics."""

    cluster: int = 0
    """Viewers without a cluster."""
    number: int = 0
    """Values or records that are no number."""
    stale: int = 0
    """Ads whose release is too old."""


class Steering:
    """The tables in use. ``replace`` swaps them; ``shifts`` reads them."""

    __slots__ = ("_clusters", "_tables", "missed")

    def __init__(self) -> None:
        self.missed = Missed()
        self._tables: Mapping[str, AdTable | None] = {}
        self._clusters: Table = np.zeros((0, GROUPS), np.float32)

    def replace(self, tables: Mapping[str, AdTable | None], clusters: Table) -> None:
        """Steer by ``tables`` from the next auction on; ``clusters`` is [C, G] P(cluster | group).

        None as a table: the ad's release is too old, or a person paused its controller.
        """
        self._tables, self._clusters = tables, np.ascontiguousarray(clusters, np.float32)

    def shifts(self, cluster: int, offers: Sequence[tuple[str, int]]) -> dict[str, int]:
        """Ad id -> what is taken from its value, in nanos, for offers of (ad id, value in nanos).

        Ads that are not steered are left out.
        """
        tables, clusters = self._tables, self._clusters
        found = {}
        for ad_id, value_nanos in offers:
            if ad_id not in tables:
                continue
            table = tables[ad_id]
            if table is None:
                self.missed.stale += 1
                continue
            if not 0 <= cluster < len(clusters):
                self.missed.cluster += 1
                continue
            taken = _taken(table, clusters[cluster], value_nanos)
            if taken is None:
                self.missed.number += 1
                continue
            found[ad_id] = taken
        return found


def _taken(table: AdTable, weights: Table, value_nanos: int) -> int | None:
    relative = np.float32(value_nanos / table.scale_nanos) if table.scale_nanos > 0 else np.nan
    record = table.records[bins_of(np.array([relative], np.float32))[0]]
    below = float(record[1] @ weights)
    shift = float(record[0] @ weights) / below * table.scale_nanos if below > 0 else np.nan
    return round(shift) if np.isfinite(shift) and abs(shift) < 1e15 else None
