"""The files of a log: names, tables, meta, how a new one begins and a finished one is sealed.

``p<partition>-<first_seq:020d>.db``: the name says which sequence number the file starts with, so
the list of names is the index of the log.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from ringwork.kernel.errors import LogCorrupt
from ringwork.kernel.ports import Head, Row
from ringwork.storage.chain import FORMAT, check_row, genesis

Connect = Callable[[str], sqlite3.Connection]
"""Opens a database file for writing; tests give one whose connections fail on purpose."""

_TABLES: Final = (
    "CREATE TABLE frames(first_seq INTEGER PRIMARY KEY, n INTEGER NOT NULL, ts_us INTEGER NOT NULL,"
    " chain BLOB NOT NULL, payload BLOB NOT NULL) STRICT",
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT",
)
BUSY_TIMEOUT_S: Final = 5.0
"""How long a lock of another process is waited for."""

ROW_COLUMNS: Final = "first_seq, n, ts_us, chain, payload"
_INSERT: Final = f"INSERT INTO frames({ROW_COLUMNS}) VALUES (?, ?, ?, ?, ?)"
_NAME: Final = re.compile(r"p(\d+)-(\d{20})\.db")


class LogFile(Struct, frozen=True):
    """One file of a log, by its name."""

    path: Path
    partition: int
    first_seq: int


class Meta(Struct, frozen=True):
    """What a log file says about itself."""

    partition: int
    log_id: bytes
    created_us: int
    prev_chain: bytes
    prev_file: str


def log_files(directory: Path, partition: int) -> list[LogFile]:
    """The partition's files, oldest first."""
    found = []
    for path in directory.iterdir() if directory.is_dir() else ():
        named = _NAME.fullmatch(path.name)
        if named is not None and int(named[1]) == partition:
            found.append(LogFile(path, partition, int(named[2])))
    return sorted(found, key=lambda file: file.first_seq)


def file_of(files: Sequence[LogFile], seq: int) -> LogFile:
    """The file that holds a sequence number, of files in order that reach back to it."""
    return files[bisect_right(files, seq, key=lambda file: file.first_seq) - 1]


def partitions(directory: Path) -> list[int]:
    """The partitions that have files in ``directory``."""
    names = (_NAME.fullmatch(path.name) for path in directory.iterdir())
    return sorted({int(named[1]) for named in names if named is not None})


def connect(path: str) -> sqlite3.Connection:
    """A connection for a writer; transactions are explicit, locks are waited for."""
    return sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )


def connect_to_write(path: Path, open_database: Connect) -> sqlite3.Connection:
    """WAL with a sync per commit. SQLite recovers what a crash left behind at the first pragma.

    No commit folds the WAL by itself, which would make it wait for the syncs of the file: upkeep
    does.
    """
    connection = open_database(str(path))
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(file: LogFile) -> sqlite3.Connection:
    """A connection that cannot write, beside a writer or alone. Raises LogCorrupt."""
    address = f"file:{quote(str(file.path))}?mode=ro"
    try:
        return sqlite3.connect(
            address,
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise LogCorrupt(
            file.path.name, file.first_seq, f"a database was expected: {error}"
        ) from error


def create_file(directory: Path, first_seq: int, meta: Meta, open_database: Connect) -> LogFile:
    """Begin a file under a temporary name, rename it when it is complete and on disk."""
    path = directory / f"p{meta.partition}-{first_seq:020d}.db"
    unfinished = path.with_suffix(".db.new")
    remove_database(unfinished)
    connection = connect_to_write(unfinished, open_database)
    try:
        connection.execute("BEGIN IMMEDIATE")
        for table in _TABLES:
            connection.execute(table)
        connection.executemany("INSERT INTO meta VALUES (?, ?)", _meta_rows(meta))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    unfinished.rename(path)
    sync_directory(directory)
    return LogFile(path, meta.partition, first_seq)


def _meta_rows(meta: Meta) -> list[tuple[str, bytes]]:
    return [
        ("format", str(FORMAT).encode()),
        ("partition", str(meta.partition).encode()),
        ("log_id", meta.log_id),
        ("created_us", str(meta.created_us).encode()),
        ("prev_chain", meta.prev_chain),
        ("prev_file", meta.prev_file.encode()),
    ]


def read_meta(connection: sqlite3.Connection, file: LogFile) -> Meta:
    """The file's meta rows; LogCorrupt where they are not what a writer writes."""
    try:
        stored: dict[str, bytes] = dict(connection.execute("SELECT key, value FROM meta"))
        if stored["format"] != str(FORMAT).encode():
            raise ValueError(f"format {FORMAT} was expected, {stored['format']!r} is stored")
        meta = Meta(
            int(stored["partition"]),
            stored["log_id"],
            int(stored["created_us"]),
            stored["prev_chain"],
            stored["prev_file"].decode(),
        )
        if meta.partition != file.partition:
            raise ValueError(f"partition {file.partition} was expected, {meta.partition} is stored")
        if not meta.prev_file and (
            file.first_seq != 1 or meta.prev_chain != genesis(meta.log_id, meta.partition)
        ):
            raise ValueError("the first file must begin with the chain of the log's identity")
    except (sqlite3.Error, KeyError, ValueError, TypeError, AttributeError) as error:
        raise LogCorrupt(
            file.path.name, file.first_seq, f"the meta rows of a log file were expected: {error}"
        ) from error
    return meta


def insert_rows(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """One transaction, on disk when this returns; an error may leave it open.

    One row is a transaction by itself: every statement lets the interpreter go to another thread
    and waits to have it back, while requests are served on it.
    """
    if len(rows) == 1:
        connection.execute(_INSERT, msgspec.structs.astuple(rows[0]))
        return
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(_INSERT, map(msgspec.structs.astuple, rows))
    connection.execute("COMMIT")


def read_head(connection: sqlite3.Connection, file: LogFile, meta: Meta) -> Head:
    """The end of the file, with its last row checked against the one before."""
    query = f"SELECT {ROW_COLUMNS} FROM frames ORDER BY first_seq DESC LIMIT 2"
    try:
        rows = [Row(*values) for values in connection.execute(query)]
    except sqlite3.Error as error:
        raise LogCorrupt(
            file.path.name, file.first_seq, f"a readable file was expected: {error}"
        ) from error
    if not rows:
        return Head(meta.partition, file.first_seq - 1, meta.prev_chain)
    last = rows[0]
    previous, expected_seq = (
        (rows[1].chain, rows[1].first_seq + rows[1].count)
        if len(rows) == 2
        else (meta.prev_chain, file.first_seq)
    )
    check_row(last, previous=previous, expected_seq=expected_seq, where=file.path.name)
    return Head(meta.partition, last.first_seq + last.count - 1, last.chain)


def seal(path: Path, open_database: Connect) -> None:
    """Fold the WAL into a finished file, so that it stands alone.

    Where a reader is in the way the WAL stays beside the file (nothing is lost) until the next
    start.
    """
    connection = open_database(str(path))
    connection.execute("PRAGMA busy_timeout=0")
    try:
        if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0:
            connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.OperationalError as error:
        if result_code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
    finally:
        connection.close()


def remove_database(path: Path) -> None:
    """Delete a database that was never finished, with what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Make renames in ``directory`` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def result_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; errors of the driver itself have none and count as ERROR."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def is_full(error: Exception) -> bool:
    """The disk has no room: nothing was stored, and trying again later is safe."""
    if isinstance(error, sqlite3.Error):
        return result_code(error) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
