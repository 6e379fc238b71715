"""The file that a log is being written to, and the step to the next. One thread at a time."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, Self

import msgspec
from msgspec import Struct

from ringwork.kernel.errors import Busy, LogCorrupt, StorageFull
from ringwork.kernel.ports import Clock, Entropy, Head, Row
from ringwork.storage.chain import genesis
from ringwork.storage.sqlite.anchor import read_anchor
from ringwork.storage.sqlite.files import (
    Connect,
    LogFile,
    Meta,
    connect,
    connect_to_read,
    connect_to_write,
    create_file,
    insert_rows,
    is_full,
    log_files,
    read_head,
    read_meta,
    remove_database,
    result_code,
    seal,
)
from ringwork.storage.sqlite.reader import SqliteLogReader

MAX_FILE_BYTES: Final = 1024**3
MAX_FILE_AGE_US: Final = 24 * 3600 * 1_000_000
"""When a new file begins, whichever comes first."""
FOLD_AT_BYTES: Final = 4 * 1024 * 1024
"""What the WAL holds when it is folded into its file: as SQLite has it, a thousand pages."""
_PAGE_BYTES: Final = 4096


class Rotation(Struct, frozen=True):
    """When the log goes on in a new file, and how files are opened."""

    max_file_bytes: int = MAX_FILE_BYTES
    max_file_age_us: int = MAX_FILE_AGE_US
    open_database: Connect = connect


class Segment:
    """The newest file of a partition, open for writing, and the lock on the partition."""

    def __init__(
        self,
        file: LogFile,
        connection: sqlite3.Connection,
        *,
        meta: Meta,
        head: Head,
        lock: ExitStack,
        clock: Clock,
        rotation: Rotation,
    ) -> None:
        self.directory = file.path.parent
        self.partition = file.partition
        self.meta = meta
        self.head = head
        self._file = file
        self._file_bytes = file.path.stat().st_size
        self._connection = connection
        self._lock = lock
        self._clock = clock
        self._rotation = rotation
        self._unfolded_bytes = 0

    @property
    def path(self) -> Path:
        """The file that is written to."""
        return self._file.path

    @property
    def open_database(self) -> Connect:
        """How its files are opened for writing."""
        return self._rotation.open_database

    @classmethod
    def open(
        cls,
        directory: Path,
        partition: int,
        *,
        clock: Clock,
        entropy: Entropy,
        rotation: Rotation,
    ) -> Self:
        """Take the partition's lock and recover its newest file, or create the first one.

        Raises Busy, StorageFull, or LogCorrupt where the end of the log is not what was written.
        """
        directory.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            lock = opened.enter_context(ExitStack())
            _take_lock(directory / f"p{partition}.lock", lock)
            try:
                file = _newest_file(directory, partition, clock, entropy, rotation)
                connection = connect_to_write(file.path, rotation.open_database)
            except sqlite3.Error as error:
                if is_full(error):
                    raise StorageFull("the disk has no room to open the event log") from error
                if result_code(error) == sqlite3.SQLITE_BUSY:
                    raise Busy(f"{directory}: another program holds the event log") from error
                raise LogCorrupt(str(directory), 0, f"a log was expected: {error}") from error
            opened.enter_context(closing(connection))
            meta = read_meta(connection, file)
            head = read_head(connection, file, meta)
            _check_start(file, meta)
            _check_anchor(directory, head)
            opened.pop_all()
            return cls(
                file, connection, meta=meta, head=head, lock=lock, clock=clock, rotation=rotation
            )

    def append(self, rows: Sequence[Row]) -> Head:
        """One transaction, on disk when this returns; an error may leave it open."""
        if self._is_finished():
            self._begin_next()
        insert_rows(self._connection, rows)
        last = rows[-1]
        size = sum(len(row.payload) for row in rows)
        self._file_bytes += size
        # A commit writes whole pages: those of its rows, the one it began on, and its parent.
        self._unfolded_bytes += size + 2 * _PAGE_BYTES
        self.head = Head(self.partition, last.first_seq + last.count - 1, last.chain)
        return self.head

    def should_fold(self) -> bool:
        """Whether the WAL is as long as it should be; once, until it is as long again."""
        if self._unfolded_bytes < FOLD_AT_BYTES:
            return False
        self._unfolded_bytes = 0
        return True

    def finish_fold(self) -> None:
        """Fold what came while the WAL was being folded, so that it starts over."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            if not is_full(error):  # without room it stays in the WAL
                raise

    def roll_back(self) -> None:
        """Leave the transaction that failed, where SQLite has not left it already."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def has_room(self, size: int) -> bool:
        """Whether ``size`` bytes can be stored: they are, and deleted again."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('probe', zeroblob(?))", (size,))
            connection.execute("COMMIT")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM meta WHERE key = 'probe'")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if not is_full(error):
                raise
            self.roll_back()
            return False
        return True

    def close(self) -> None:
        """Let another process have the partition.

        SQLite folds the WAL in unless a reader is there. The file stays in WAL mode, so that
        readers never stand in the way of the next start.
        """
        with self._lock:
            self._connection.close()

    def abandon(self) -> None:
        """Let go without touching the disk, whose state is unknown: the next open recovers."""
        self._lock.close()

    def _is_finished(self) -> bool:
        if self.head.seq < self._file.first_seq:
            return False
        age_us = self._clock.wall_us() - self.meta.created_us
        return (
            self._file_bytes >= self._rotation.max_file_bytes
            or age_us >= self._rotation.max_file_age_us
        )

    def _begin_next(self) -> None:
        finished, old = self._file, self._connection
        meta = msgspec.structs.replace(
            self.meta,
            created_us=self._clock.wall_us(),
            prev_chain=self.head.chain,
            prev_file=finished.path.name,
        )
        open_database = self._rotation.open_database
        file = create_file(self.directory, self.head.seq + 1, meta, open_database)
        self._connection = connect_to_write(file.path, open_database)
        self.meta, self._file, self._file_bytes = meta, file, file.path.stat().st_size
        old.close()
        seal(finished.path, open_database)


def _take_lock(path: Path, lock: ExitStack) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    lock.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Busy(f"{path}: another process writes this partition of the event log") from None


def _newest_file(
    directory: Path, partition: int, clock: Clock, entropy: Entropy, rotation: Rotation
) -> LogFile:
    """Tidy up what a crash left of a rotation, and create the first file of a new log."""
    for unfinished in directory.glob(f"p{partition}-*.db.new"):
        remove_database(unfinished)
    files = log_files(directory, partition)
    for finished in files[:-1]:
        if Path(f"{finished.path}-wal").exists():
            seal(finished.path, rotation.open_database)
    if files:
        return files[-1]
    anchor = read_anchor(directory, partition)
    if anchor is not None:
        raise LogCorrupt(str(directory), 1, f"the anchor is at {anchor.seq}, there are no files")
    log_id = entropy.take(16)
    meta = Meta(partition, log_id, clock.wall_us(), genesis(log_id, partition), "")
    return create_file(directory, 1, meta, rotation.open_database)


def _check_start(file: LogFile, meta: Meta) -> None:
    """The newest file goes on where the one before it ends (which retention may have deleted)."""
    files = log_files(file.path.parent, file.partition)
    before = next((f for f in files if f.path.name == meta.prev_file), None)
    if before is None:
        return
    with closing(connect_to_read(before)) as connection:
        end = read_head(connection, before, read_meta(connection, before))
    if (end.seq + 1, end.chain) != (file.first_seq, meta.prev_chain):
        raise LogCorrupt(
            file.path.name,
            file.first_seq,
            f"the end of {meta.prev_file} was expected before it: sequence {end.seq}, "
            f"chain {end.chain.hex()}",
        )


def _check_anchor(directory: Path, head: Head) -> None:
    """A log that is shorter than its anchor, or another one, has lost what it acknowledged."""
    anchor = read_anchor(directory, head.partition)
    if anchor is None:
        return
    if anchor.seq > head.seq:
        raise LogCorrupt(
            str(directory), head.seq + 1, f"the log ends at {head.seq}, its anchor at {anchor.seq}"
        )
    row = next(SqliteLogReader(directory, partition=head.partition).rows(anchor.seq - 1))
    if row.first_seq + row.count - 1 != anchor.seq or row.chain != anchor.chain:
        raise LogCorrupt(
            str(directory), anchor.seq, f"the anchored chain {anchor.chain.hex()} was expected"
        )
