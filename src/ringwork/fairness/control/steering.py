"""The tables that the auction's hook reads, and how they are replaced.

Tables are replaced whole, by one assignment, so an auction works with the old ones or the new ones
and never with half of each. An ad without a table, a viewer without a cluster, a record that is no
number: the shift is 0 and is counted, and never an error.

The value bin of an ad comes from the bits of its value over the ad's own scale: the exponent and
one bit of the mantissa, two bins to an octave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.control import hook
from ringwork.fairness.control.hook import FIRST_BITS, LANES, SHIFTED, VALUE_BINS, Lines

_HALVES: Final = np.array([1.0, 1.5])
VALUE_EDGES: Final = np.concatenate([_HALVES * 2.0**octave for octave in (-2, -1, 0, 1)])[1:]
"""[B - 1] borders between bins, relative to the ad's scale: from 3/8 to 3."""
VALUE_MIDDLES: Final = np.sqrt(
    np.concatenate(([VALUE_EDGES[0] * 0.5], VALUE_EDGES))
    * np.concatenate((VALUE_EDGES, [VALUE_EDGES[-1] * 1.7]))
)
"""[B] the value that stands for a bin."""
_LINE_BYTES: Final = 64


def bins_of(relative: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[n] bins of values over their ad's scale; what is below or beyond is in the outermost."""
    bits = np.ascontiguousarray(relative, np.float32).view(np.int32) >> SHIFTED
    bins: NDArray[np.uint8] = np.clip(bits - FIRST_BITS, 0, VALUE_BINS - 1).astype(np.uint8)
    return bins


class AdTable(Struct, frozen=True, kw_only=True):
    """What one ad's shift is made of until the next step."""

    records: NDArray[np.float32]
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
    """Ads whose release is too old, or whose controller a person has paused."""


class _Tables(Struct, frozen=True, kw_only=True):
    """One generation of tables."""

    rows: Mapping[str, int]
    """Ad -> row of its lines; -1 where it is not to be steered now."""
    lines: Lines
    inverse_scales: Lines
    clusters: Lines
    """[C, lanes]"""


class Steering:
    """The tables in use. ``replace`` swaps them; ``shifts`` reads them."""

    __slots__ = ("_tables", "missed")

    def __init__(self) -> None:
        self.missed = Missed()
        self._tables = _packed({}, np.zeros((0, LANES), np.float32))

    def replace(self, tables: Mapping[str, AdTable | None], clusters: NDArray[np.floating]) -> None:
        """Steer by ``tables`` from the next auction on; ``clusters`` is [C, G] P(cluster | group).

        None as a table: the ad's release is too old, or a person paused its controller.
        ValueError for records of another number of groups than the clusters'.
        """
        self._tables = _packed(tables, clusters)

    def shifts(self, cluster: int, offers: Sequence[tuple[str, int]]) -> dict[str, int]:
        """Ad id -> what is taken from its value, in nanos, for offers of (ad id, value in nanos).

        Ads that are not steered are left out. Values are bids, so they fit a signed word.
        """
        tables = self._tables
        steered = [(ad_id, value) for ad_id, value in offers if ad_id in tables.rows]
        if not steered:
            return {}
        if not 0 <= cluster < len(tables.clusters):
            self.missed.cluster += len(steered)
            return {}
        rows = np.array([tables.rows[ad_id] for ad_id, _ in steered], np.int32)
        values = np.array([value for _, value in steered], np.int64)
        out = np.empty(len(steered), np.int64)
        self.missed.stale += int((rows < 0).sum())
        self.missed.number += engine()(
            rows,
            values,
            tables.lines,
            tables.inverse_scales,
            tables.clusters[cluster],
            np.empty(len(steered), np.int32),
            out,
        )
        return {
            ad_id: shift for (ad_id, _), shift in zip(steered, out.tolist(), strict=True) if shift
        }


def _packed(tables: Mapping[str, AdTable | None], clusters: NDArray[np.floating]) -> _Tables:
    groups = clusters.shape[1]
    lanes = -(-groups // LANES) * LANES
    present = {ad_id: table for ad_id, table in tables.items() if table is not None}
    lines = aligned(len(present) * VALUE_BINS, 2 * lanes)
    inverse_scales = np.zeros(len(present), np.float32)
    rows = dict.fromkeys(tables, -1)
    for row, (ad_id, table) in enumerate(present.items()):
        if table.records.shape != (VALUE_BINS, 2, groups):
            raise ValueError(
                f"{ad_id}: expected records of {VALUE_BINS} bins and {groups} groups, "
                f"got {table.records.shape}"
            )
        rows[ad_id] = row
        at = slice(row * VALUE_BINS, (row + 1) * VALUE_BINS)
        lines[at, :groups] = table.records[:, 0] * np.float32(table.scale_nanos)
        lines[at, lanes : lanes + groups] = table.records[:, 1]
        inverse_scales[row] = 1 / max(table.scale_nanos, 1)
    padded = np.zeros((len(clusters), lanes), np.float32)
    padded[:, :groups] = clusters
    return _Tables(rows=rows, lines=lines, inverse_scales=inverse_scales, clusters=padded)


def aligned(rows: int, columns: int) -> Lines:
    """Zeros [rows, columns] that begin at a cache line, so that a record spans no two."""
    room = np.zeros(rows * columns + _LINE_BYTES // 4, np.float32)
    first = -room.ctypes.data % _LINE_BYTES // 4
    return room[first : first + rows * columns].reshape(rows, columns)


@cache
def engine() -> Callable[..., int]:
    """The hook: compiled where numba is installed."""
    try:
        from ringwork.fairness.control import hook_compiled  # noqa: PLC0415  # imports numba
    except ImportError:
        return hook.shifts
    compiled: Callable[..., int] = hook_compiled.shifts
    return compiled
