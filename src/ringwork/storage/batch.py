"""Group commit: frames that wait together, the one future they share, and the rows they become.

One future per batch, not per event: with 512 commands in flight a future each costs four times as
much.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ringwork.kernel.errors import Overloaded
from ringwork.kernel.events import array_header
from ringwork.kernel.ports import Head, Row
from ringwork.storage.chain import link

WAITING_EVENTS_MAX: Final = 64 * 1024
WAITING_BYTES_MAX: Final = 8 * 1024 * 1024
"""What may wait for the disk, about 50 ms of its work: beyond it a caller is told to come back."""

ROW_EVENTS_MAX: Final = 4096
ROW_BYTES_MAX: Final = 1024 * 1024
"""One row's share of a batch, so that a reader never has to decode more than this at once.
A single frame that is larger is a row of its own."""


class SharedFuture(asyncio.Future[None]):
    """A future that many commands await: cancelling one waiter must not reach its neighbours.

    A cancelled task is cancelled as soon as the batch is durable, which is one sync away.
    """

    def cancel(self, msg: object = None) -> bool:
        return False


class Batch:
    """Frames that become durable together."""

    __slots__ = ("counts", "events", "frames", "future", "loop", "size")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.future = SharedFuture(loop=loop)
        self.frames: list[bytes] = []
        self.counts: list[int] = []
        self.events = 0
        self.size = 0

    def add(self, frame: bytes, events: int) -> None:
        """Queue one encoded frame of ``events`` events."""
        self.frames.append(frame)
        self.counts.append(events)
        self.events += events
        self.size += len(frame)

    def resolve(self) -> None:
        """It is durable: wake everybody. On the loop's thread."""
        if not self.loop.is_closed():  # else nobody waits any more
            self.future.set_result(None)

    def fail(self, error: Exception) -> None:
        """Nothing of it is stored, unless it was resolved before. On the loop's thread."""
        if not (self.loop.is_closed() or self.future.done()):
            self.future.set_exception(error)

    def rows(self, head: Head, ts_us: int) -> list[Row]:
        """The rows that follow ``head``, each within the bounds of a row."""
        if self.events <= ROW_EVENTS_MAX and self.size <= ROW_BYTES_MAX:
            return [_row(self.frames, self.events, head.seq + 1, ts_us, head.chain)]
        rows: list[Row] = []
        seq, chain = head.seq, head.chain
        for frames, events in self._groups():
            row = _row(frames, events, seq + 1, ts_us, chain)
            seq, chain = seq + events, row.chain
            rows.append(row)
        return rows

    def _groups(self) -> list[tuple[list[bytes], int]]:
        groups: list[tuple[list[bytes], int]] = []
        frames: list[bytes] = []
        events = size = 0
        for frame, count in zip(self.frames, self.counts, strict=True):
            full = events + count > ROW_EVENTS_MAX or size + len(frame) > ROW_BYTES_MAX
            if frames and full:
                groups.append((frames, events))
                frames, events, size = [], 0, 0
            frames.append(frame)
            events += count
            size += len(frame)
        groups.append((frames, events))
        return groups


def _row(frames: list[bytes], events: int, first_seq: int, ts_us: int, previous: bytes) -> Row:
    payload = array_header(len(frames)) + b"".join(frames)
    return Row(first_seq, events, ts_us, link(previous, first_seq, events, ts_us, payload), payload)


def check_room(events: int, size: int) -> None:
    """Raise Overloaded when as much waits as may wait."""
    if events >= WAITING_EVENTS_MAX or size >= WAITING_BYTES_MAX:
        raise Overloaded(
            f"{events} events ({size} bytes) wait for the disk, "
            f"at most {WAITING_EVENTS_MAX} ({WAITING_BYTES_MAX} bytes) may"
        )
