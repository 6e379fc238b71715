"""An event log in memory that behaves like one on disk: batches, shared future, bounds, chain."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterator

from ringwork.kernel.errors import StorageFull
from ringwork.kernel.ports import Clock, Head, Row
from ringwork.storage.batch import Batch, check_room
from ringwork.storage.chain import genesis


class MemoryEventLog:
    """What is appended in one turn of the event loop is one batch, stored at the end of the turn.

    ``rows`` is the storage: give the same list to another log to "reopen" it. ``capacity_bytes``
    bounds the stored payload; a batch beyond it fails as on a full disk, and raising it (it may be
    set at any time) makes room again. Rows may be read from other threads.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        partition: int = 0,
        log_id: bytes = bytes(16),
        rows: list[Row] | None = None,
        capacity_bytes: int | None = None,
    ) -> None:
        self.partition = partition
        self.capacity_bytes = capacity_bytes
        self._clock = clock
        self._rows = [] if rows is None else rows
        self._stored_bytes = sum(len(row.payload) for row in self._rows)
        self._head = Head(partition, 0, genesis(log_id, partition))
        if self._rows:
            last = self._rows[-1]
            self._head = Head(partition, last.first_seq + last.count - 1, last.chain)
        self._next_seq = self._head.seq + 1
        self._open: Batch | None = None
        self._full = False
        self._may_recover = False

    @property
    def next_seq(self) -> int:
        return self._next_seq

    @property
    def head(self) -> Head:
        return self._head

    def admit(self) -> None:
        if self._full:
            self._probe()
        if self._open is not None:
            check_room(self._open.events, self._open.size)

    def append(self, frame: bytes, events: int) -> asyncio.Future[None]:
        self.admit()
        batch = self._open
        if batch is None:
            loop = asyncio.get_running_loop()
            batch = self._open = Batch(loop)
            loop.call_soon(self._store)
        batch.add(frame, events)
        self._next_seq += events
        return batch.future

    def rows(self, after_seq: int = 0) -> Iterator[Row]:
        index = bisect_right(self._rows, after_seq + 1, key=lambda row: row.first_seq) - 1
        for row in self._rows[max(index, 0) :]:
            if row.first_seq + row.count > after_seq + 1:
                yield row

    def _store(self) -> None:
        batch, self._open = self._open, None
        assert batch is not None, "one call is scheduled per batch"
        if self._is_beyond_capacity(batch.size):
            self._full, self._may_recover = True, False
            self._next_seq = self._head.seq + 1
            batch.fail(StorageFull("the log in memory has reached its capacity"))
            # After the callbacks of the failed batch, which fold memory again: never before.
            batch.loop.call_soon(self._allow_recovery)
            return
        rows = batch.rows(self._head, self._clock.wall_us())
        self._rows.extend(rows)
        self._stored_bytes += sum(len(row.payload) for row in rows)
        self._head = Head(self.partition, rows[-1].first_seq + rows[-1].count - 1, rows[-1].chain)
        batch.resolve()

    def _is_beyond_capacity(self, size: int) -> bool:
        return self.capacity_bytes is not None and self._stored_bytes + size > self.capacity_bytes

    def _allow_recovery(self) -> None:
        self._may_recover = True

    def _probe(self) -> None:
        if not self._may_recover or self._is_beyond_capacity(1):
            raise StorageFull("the log in memory has no room")
        self._full = False
