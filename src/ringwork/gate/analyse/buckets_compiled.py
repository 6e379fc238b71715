"""The buckets of ``buckets`` as arrays, poured by a compiled loop, event by event the same.

A bucket is a row: its numbers in ``_state``, what is in it in ``_inside``. A table of hashes finds
the row of a group; when the rows are used up the loop stops, and the sweep makes room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numba
import numpy as np

from ringwork.gate.analyse.buckets import BUCKETS_MAX, FIRST_SWEEP, LATE_US, Overflow
from ringwork.gate.analyse.byte_kernels import LONGS, WHOLE, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Longs = NDArray[np.int64]

_ROWS: Final = numba.int64[:, ::1]
_GIVEN: Final = numba.types.Array(numba.int64, 1, "C", readonly=True)
_KEY, _LEVEL, _POURED, _LEAK_FROM, _LAST, _IGNORED = range(6)
_COLUMNS: Final = 6
_USED, _NOW, _FOUND = range(3)
_CAPACITY, _LEAK, _BLACKHOLE, _DISTINCT, _SWEEP_AT = range(5)
_GOLDEN: Final = 0x9E3779B97F4A7C15 - 2**64


@kernel(WHOLE, WHOLE, LONGS, _ROWS)
def _place(key: int, table: Longs, state: Longs) -> int:
    """Where a key stands in the table, or where it would."""
    mask = len(table) - 1
    mixed = key * _GOLDEN
    at = (mixed ^ (mixed >> 29)) & mask
    while table[at] >= 0 and state[table[at], _KEY] != key:
        at = (at + 1) & mask
    return int(at)


@kernel(WHOLE, LONGS, LONGS, WHOLE, WHOLE, LONGS, LONGS)
def _into(bucket: Longs, inside: Longs, value: int, ts_us: int, shape: Longs, sums: Longs) -> int:
    """One event into its bucket; the events that it overflowed with, else 0."""
    ts_us = max(ts_us, bucket[_LAST])
    bucket[_LAST] = ts_us
    if ts_us < bucket[_IGNORED]:
        return 0
    sums[_NOW] = max(sums[_NOW], ts_us)
    level = bucket[_LEVEL]
    if level > 0:
        leaked = (ts_us - bucket[_LEAK_FROM]) // shape[_LEAK]
        if leaked > 0:
            gone = min(leaked, level)
            for place in range(gone, level):
                inside[place - gone] = inside[place]
            level -= gone
            bucket[_LEAK_FROM] += leaked * shape[_LEAK]
    bucket[_LEVEL] = level
    if level == 0:
        bucket[_LEAK_FROM] = ts_us
        bucket[_POURED] = 0
    elif shape[_DISTINCT] != 0:
        for place in range(level):
            if inside[place] == value:
                return 0
    inside[level] = value
    bucket[_LEVEL] = level + 1
    bucket[_POURED] += 1
    if level + 1 <= shape[_CAPACITY]:
        return 0
    bucket[_LEVEL] = 0
    bucket[_IGNORED] = ts_us + shape[_BLACKHOLE]
    return int(bucket[_POURED])


@kernel(WHOLE, _GIVEN, _GIVEN, _GIVEN, WHOLE, LONGS, LONGS, LONGS, _ROWS, _ROWS, _ROWS)
def _pour(  # noqa: PLR0913, PLR0917 # the arrays of one object
    groups: Longs, values: Longs, times_us: Longs, start: int, shape: Longs, sums: Longs,
    table: Longs, state: Longs, inside: Longs, found: Longs,
) -> int:  # fmt: skip
    """Pours from ``start`` on; where it stopped, which is the end unless rows ran out."""
    for at in range(start, len(groups)):
        place = _place(groups[at], table, state)
        row = table[place]
        ts_us = times_us[at]
        if row < 0:
            row = sums[_USED]
            if row >= shape[_SWEEP_AT] or row >= len(state):
                return at
            sums[_USED] = row + 1
            table[place] = row
            state[row, _KEY] = groups[at]
        if table[place] == row and (state[row, _LAST] < 0 or state[row, _LAST] - ts_us > LATE_US):
            state[row, _LEVEL] = state[row, _POURED] = 0
            state[row, _LEAK_FROM] = state[row, _LAST] = state[row, _IGNORED] = ts_us
        poured = _into(state[row], inside[row], values[at], ts_us, shape, sums)
        if poured > 0:
            found[sums[_FOUND], 0] = at
            found[sums[_FOUND], 1] = poured
            sums[_FOUND] += 1
    return len(groups)


@kernel(numba.void, LONGS, _ROWS, WHOLE)
def _index(table: Longs, state: Longs, used: int) -> None:
    """Fills an empty table with the rows in use."""
    for row in range(used):
        table[_place(state[row, _KEY], table, state)] = row


class Buckets:
    """See ``buckets.Buckets``."""

    def __init__(
        self,
        *,
        capacity: int,
        leak_us: int,
        blackhole_us: int,
        is_distinct: bool,
        buckets_max: int = BUCKETS_MAX,
    ) -> None:
        self._buckets_max = buckets_max
        sweep_at = min(FIRST_SWEEP, buckets_max)
        self._shape = np.array([capacity, leak_us, blackhole_us, is_distinct, sweep_at], np.int64)
        self._sums = np.zeros(3, np.int64)
        self._state = _unused(0)
        self._inside = np.zeros((0, capacity + 1), np.int64)
        self._table = np.full(2, -1, np.int64)

    def __len__(self) -> int:
        return int(self._sums[_USED])

    def pour(self, groups: Longs, values: Longs, times_us: Longs) -> list[Overflow]:
        """See ``buckets.Buckets.pour``."""
        found = np.empty((len(groups), 2), np.int64)
        self._sums[_FOUND] = at = 0
        while True:
            at = _pour(
                groups, values, times_us, at, self._shape, self._sums, self._table, self._state,
                self._inside, found,
            )  # fmt: skip
            if at == len(groups):
                break
            if len(self) >= self._shape[_SWEEP_AT]:
                self._sweep()
            else:
                self._keep(np.arange(len(self)), room=max(64, 2 * len(self)))
        return [Overflow(*one) for one in found[: self._sums[_FOUND]].tolist()]

    def _sweep(self) -> None:
        state = self._state[: len(self)]
        now_us, leak_us = int(self._sums[_NOW]), int(self._shape[_LEAK])
        horizon_us = now_us - LATE_US
        is_alive = (state[:, _IGNORED] > horizon_us) | (
            state[:, _LEAK_FROM] + state[:, _LEVEL] * leak_us > horizon_us
        )
        alive = np.flatnonzero(is_alive)
        if len(alive) >= self._buckets_max:
            rows = state[alive]
            is_ignored = rows[:, _IGNORED] > now_us
            by_level = np.lexsort((rows[:, _LAST], rows[:, _LEVEL], is_ignored))
            alive = np.sort(alive[by_level[len(alive) - self._buckets_max // 2 :]])
        sweep_at = min(self._buckets_max, max(int(self._shape[_SWEEP_AT]), 2 * len(alive)))
        self._shape[_SWEEP_AT] = sweep_at
        self._keep(alive, room=max(len(self._state), 2 * len(alive)))

    def _keep(self, rows: Longs, *, room: int) -> None:
        """Only these rows, in room for so many."""
        room = min(room, self._buckets_max)
        state, inside = _unused(room), np.zeros((room, self._inside.shape[1]), np.int64)
        state[: len(rows)], inside[: len(rows)] = self._state[rows], self._inside[rows]
        self._state, self._inside = state, inside
        self._sums[_USED] = len(rows)
        self._table = np.full(1 << (2 * room).bit_length(), -1, np.int64)
        _index(self._table, self._state, len(rows))


def _unused(rows: int) -> Longs:
    """State of buckets that nobody has poured into: the last event is before all time."""
    state = np.zeros((rows, _COLUMNS), np.int64)
    state[:, _LAST] = -1
    return state
