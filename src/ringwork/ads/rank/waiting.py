"""Impressions (or clicks) whose label is not known yet: each is learned once, when its window ends.

Driven by event time alone: a row that came at time t is due at t + window, where t never goes back
(an event from the past waits as long as the newest one). So the queue is first in, first out, and
replaying the same events gives the same batches in the same order. It is bounded: when full, new
rows are refused and counted, which costs learning speed but does not prefer one label.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from msgspec import Struct

from ringwork.ads.rank.features import AD_WIDTH, CONTEXT_WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MICROS: Final = 1_000_000
_HASHES: Final = 2**32


class Row(Struct, frozen=True):
    """One row of the queue, as it was put in."""

    context: NDArray[np.int64]
    ad: NDArray[np.int64]
    tier: int


class Due(Struct, frozen=True):
    """Rows whose window has ended, oldest first, with their labels."""

    contexts: NDArray[np.int64]
    ads: NDArray[np.int64]
    tiers: NDArray[np.int64]
    labels: NDArray[np.float64]
    first: int
    """How many rows were ever put in before them."""


class _State(Struct, frozen=True, array_like=True):
    first: int
    ids: list[bytes]
    columns: list[bytes]
    counts: tuple[int, int, int]
    newest_us: int


class Waiting:
    """One head's queue, for at most ``capacity`` rows of about 230 bytes and their ids."""

    def __init__(self, *, window_s: int, capacity: int, negatives_kept: float = 1.0) -> None:
        """``negatives_kept``: the share of rows without a response that is learned at all."""
        self._window_us = window_s * _MICROS
        self._capacity = capacity
        self._kept_below = round(negatives_kept * _HASHES)
        self._contexts = np.empty((capacity, CONTEXT_WIDTH), dtype=np.int64)
        self._ads = np.empty((capacity, AD_WIDTH), dtype=np.int64)
        self._tiers = np.empty(capacity, dtype=np.int64)
        self._due_us = np.empty(capacity, dtype=np.int64)
        self._labels = np.empty(capacity)
        self._kept = np.empty(capacity, dtype=np.bool_)
        self._ids = [b""] * capacity
        self._numbers: dict[bytes, int] = {}
        """Id -> number; number modulo capacity is the row."""
        self.clear()

    def clear(self) -> None:
        """Back to empty."""
        self._numbers.clear()
        self._first = self._next = self._newest_us = 0
        self.refused = self.repeated = self.unmatched = 0
        """Rows that found the queue full, ids put in twice, responses to nothing that waits."""

    def __len__(self) -> int:
        return self._next - self._first

    def put(self, id: bytes, row: Row, *, ts_us: int) -> bool:
        """Let a row wait for its label; False when it was refused (full) or is there already."""
        if id in self._numbers:
            self.repeated += 1
            return False
        if len(self) >= self._capacity:
            self.refused += 1
            return False
        at = self._next % self._capacity
        self._newest_us = max(self._newest_us, ts_us)
        self._contexts[at], self._ads[at], self._tiers[at] = row.context, row.ad, row.tier
        self._due_us[at] = self._newest_us + self._window_us
        self._labels[at] = 0.0
        self._kept[at] = zlib.crc32(id) < self._kept_below
        self._ids[at] = id
        self._numbers[id] = self._next
        self._next += 1
        return True

    def respond(self, id: bytes, *, ts_us: int) -> tuple[Row, int] | None:
        """Mark the row as responded to: (the row, microseconds it had waited), the first time.

        None when nothing waits under the id (its window is over, or it was refused) or it had
        responded already.
        """
        number = self._numbers.get(id)
        if number is None:
            self.unmatched += 1
            return None
        at = number % self._capacity
        if self._labels[at]:
            return None
        self._labels[at] = 1.0
        waited_us = ts_us - int(self._due_us[at]) + self._window_us
        row = Row(self._contexts[at].copy(), self._ads[at].copy(), int(self._tiers[at]))
        return row, max(waited_us, 0)

    def take(self, now_us: int) -> Due | None:
        """Remove and return the rows due at ``now_us``; None where there are none."""
        ends = self._first
        while ends < self._next and self._due_us[ends % self._capacity] <= now_us:
            ends += 1
        if ends == self._first:
            return None
        at = np.arange(self._first, ends) % self._capacity
        taken = at[self._kept[at] | (self._labels[at] > 0)]
        due = Due(
            self._contexts[taken],
            self._ads[taken],
            self._tiers[taken],
            self._labels[taken],
            self._first,
        )
        for row in at.tolist():
            del self._numbers[self._ids[row]]
        self._first = ends
        return due

    def dump(self) -> bytes:
        """What waits, as bytes; equal states give equal bytes."""
        at = np.arange(self._first, self._next) % self._capacity
        columns = [column[at].astype(kind).tobytes() for column, kind in self._columns()]
        counts = (self.refused, self.repeated, self.unmatched)
        ids = [self._ids[row] for row in at.tolist()]
        return msgspec.msgpack.encode(_State(self._first, ids, columns, counts, self._newest_us))

    def load(self, state: bytes) -> None:
        """Replace what waits by ``dump``'s bytes, from a queue of the same window and sampling.

        Raises ``ValueError`` when more waited there than there is room for here.
        """
        told = msgspec.msgpack.decode(state, type=_State)
        if len(told.ids) > self._capacity:
            raise ValueError(f"expected at most {self._capacity} rows, got {len(told.ids)}")
        self.clear()
        self._first, self._next = told.first, told.first + len(told.ids)
        at = np.arange(self._first, self._next) % self._capacity
        for (column, kind), given in zip(self._columns(), told.columns, strict=True):
            column[at] = np.frombuffer(given, kind).reshape(len(at), *column.shape[1:])
        for number, id in enumerate(told.ids, start=self._first):
            self._ids[number % self._capacity] = id
            self._numbers[id] = number
        self.refused, self.repeated, self.unmatched = told.counts
        self._newest_us = told.newest_us

    def _columns(self) -> list[tuple[NDArray[np.generic], str]]:
        return [
            (self._contexts, "<i8"),
            (self._ads, "<i8"),
            (self._tiers, "<i8"),
            (self._due_us, "<i8"),
            (self._labels, "<f8"),
            (self._kept, "?"),
        ]
