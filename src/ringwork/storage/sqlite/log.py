"""The event log on SQLite: one writer thread, one transaction per batch, one future per batch.

``append`` runs on the event loop's thread and only queues; while one batch is being synced the next
one gathers, so a slow disk makes groups larger, not queues longer. Failures of a batch:

- no room (SQLITE_FULL, ENOSPC): the batch and all that was queued behind it fail with StorageFull,
  sequence numbers go back to the durable end, and the writer probes once a second until there is
  room again;
- anything else, a failed sync above all: what is on disk is unknown and is not tried again.
  ``on_fatal`` ends the process, nothing is acknowledged, and the next start reads what is there.

What a command reads (``next_seq``, refusing or not) changes on the loop's thread only, so that it
sees one state from its first rule to its commit.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

from ringwork.kernel.errors import StorageFull, Unavailable
from ringwork.kernel.ports import Clock, Entropy, Head, Row
from ringwork.storage.batch import Batch, check_room
from ringwork.storage.sqlite.files import is_full
from ringwork.storage.sqlite.reader import SqliteLogReader
from ringwork.storage.sqlite.segment import Rotation, Segment
from ringwork.storage.sqlite.upkeep import Upkeep

PROBE_INTERVAL_S: Final = 1.0
PROBE_BYTES_MAX: Final = 1024 * 1024
"""A probe writes as much as the batch that failed, at most this."""

OnFatal = Callable[[Exception], None]


def exit_at_once(error: Exception) -> None:
    """End the process with status 3: its memory is ahead of a disk whose content is unknown."""
    sys.stderr.write(f"ringwork: the event log failed, nothing more is acknowledged: {error!r}\n")
    sys.stderr.flush()
    os._exit(3)


class SqliteEventLog:
    """One partition in ``directory``, owned by this process from ``open`` to ``close``."""

    def __init__(
        self, segment: Segment, *, clock: Clock, probe_interval_s: float, on_fatal: OnFatal
    ) -> None:
        self.partition = segment.partition
        self._segment = segment
        self._clock = clock
        self._probe_interval_s = probe_interval_s
        self._on_fatal = on_fatal
        self._reader = SqliteLogReader(segment.directory, partition=segment.partition)
        self._head = segment.head
        self._next_seq = self._head.seq + 1
        self._refuse: Callable[[], Exception] | None = None
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._open: Batch | None = None
        self._storing_bytes = 0
        self._closing = False
        self._broken: Exception | None = None
        """Why upkeep has ended, if it has."""
        self._upkeep = Upkeep(
            segment.directory,
            head=lambda: self._head,
            open_database=segment.open_database,
            on_failed=self._upkeep_failed,
        )
        self._writer = threading.Thread(
            target=self._write, name=f"log-writer-{segment.partition}", daemon=True
        )
        self._writer.start()

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        clock: Clock,
        entropy: Entropy,
        partition: int = 0,
        rotation: Rotation | None = None,
        probe_interval_s: float = PROBE_INTERVAL_S,
        on_fatal: OnFatal = exit_at_once,
    ) -> Self:
        """Recover the log in ``directory``, or begin one.

        Raises LogCorrupt where its end is not what was written or lies before its anchor, Busy
        while another process has it, StorageFull where not even its tables fit.
        """
        segment = Segment.open(
            directory, partition, clock=clock, entropy=entropy, rotation=rotation or Rotation()
        )
        return cls(segment, clock=clock, probe_interval_s=probe_interval_s, on_fatal=on_fatal)

    # ---- on the event loop's thread -------------------------------------------------------------

    @property
    def next_seq(self) -> int:
        return self._next_seq

    @property
    def head(self) -> Head:
        return self._head

    @property
    def log_id(self) -> bytes:
        """Names this log (16 bytes); its chain starts from it."""
        return self._segment.meta.log_id

    @property
    def waiting_events(self) -> int:
        """Events that were appended and are not durable yet."""
        return self._next_seq - 1 - self._head.seq

    def admit(self) -> None:
        if self._refuse is not None:
            raise self._refuse()
        batch = self._open
        waiting_bytes = self._storing_bytes + (0 if batch is None else batch.size)
        check_room(self._next_seq - 1 - self._head.seq, waiting_bytes)

    def append(self, frame: bytes, events: int) -> asyncio.Future[None]:
        self.admit()
        with self._lock:
            batch = self._open
            if batch is None:
                batch = self._open = Batch(asyncio.get_running_loop())
                self._wake.notify()
            batch.add(frame, events)
        self._next_seq += events
        return batch.future

    def rows(self, after_seq: int = 0) -> Iterator[Row]:
        return self._reader.rows(after_seq)

    def close(self) -> None:
        """Store what waits, anchor the end, let another process have the log. Idempotent.

        Futures of what was stored resolve when the event loop runs next.
        """
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._writer.join()
        self._refuse = _closed

    def _fail_waiting(self, batch: Batch, refuse: Callable[[], Exception]) -> None:
        """Fail a batch and everything queued behind it, and refuse from now on."""
        with self._lock:
            behind, self._open = self._open, None
        self._next_seq = self._head.seq + 1
        self._refuse = refuse
        batch.fail(refuse())
        if behind is not None:
            behind.fail(refuse())

    def _recover(self) -> None:
        if self._refuse is _no_room:
            self._refuse = None

    # ---- on the writer's thread -----------------------------------------------------------------

    def _write(self) -> None:
        batch: Batch | None = None
        try:
            while (batch := self._take()) is not None:
                if not self._store(batch) and not self._wait_for_room(batch):
                    break
                if self._upkeep.has_folded():
                    self._segment.finish_fold()
                elif self._segment.should_fold():
                    self._upkeep.fold(self._segment.path)
            self._upkeep.close()
            self._upkeep.anchor()
            self._segment.close()
        except Exception as error:  # the edge of a thread: whatever it is, nothing may follow it
            self._die(error, batch)

    def _take(self) -> Batch | None:
        """The batch that gathered; None when the log closes and nothing waits."""
        with self._wake:
            while not (self._open is not None or self._closing or self._broken is not None):
                self._wake.wait()
            if self._broken is not None:
                raise self._broken
            batch, self._open = self._open, None
            if batch is not None:
                self._storing_bytes = batch.size
            return batch

    def _store(self, batch: Batch) -> bool:
        """Make a batch durable and say so; False when there is no room for it."""
        try:
            head = self._segment.append(batch.rows(self._head, self._clock.wall_us()))
        except (sqlite3.Error, OSError) as error:
            if not is_full(error):
                raise
            self._segment.roll_back()
            return False
        finally:
            self._storing_bytes = 0
        self._head = head
        _post(batch, batch.resolve)
        return True

    def _wait_for_room(self, batch: Batch) -> bool:
        """Refuse the batch, probe until there is room again; False when the log closes first."""
        _post(batch, self._fail_waiting, batch, _no_room)
        while True:
            with self._wake:
                if self._wake.wait_for(lambda: self._closing, self._probe_interval_s):
                    return False
            # Not before the loop has refused what was queued behind: it builds on what was lost.
            if self._refuse is not None and self._segment.has_room(
                min(batch.size, PROBE_BYTES_MAX)
            ):
                _post(batch, self._recover)
                return True

    def _die(self, error: Exception, batch: Batch | None) -> None:
        self._on_fatal(error)
        self._upkeep.close()
        self._segment.abandon()
        self._refuse = _failed
        with self._lock:
            behind, self._open = self._open, None
        for doomed in (batch, behind):
            if doomed is not None:
                _post(doomed, doomed.fail, _failed())

    def _upkeep_failed(self, error: Exception) -> None:
        """In the thread of upkeep: the writer ends with it."""
        with self._wake:
            self._broken = error
            self._wake.notify()


def _post(batch: Batch, call: Callable[..., None], *arguments: object) -> None:
    """Run ``call`` on the batch's loop; here, where that is closed and nobody waits any more."""
    try:
        batch.loop.call_soon_threadsafe(call, *arguments)
    except RuntimeError:
        call(*arguments)


def _no_room() -> Exception:
    return StorageFull("the disk of the event log has no room")


def _failed() -> Exception:
    return Unavailable("storage-failed", "the event log failed; restart to recover it")


def _closed() -> Exception:
    return Unavailable("shutting-down", "the event log is closed")
