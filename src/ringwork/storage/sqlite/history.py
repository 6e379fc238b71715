"""``history.db``: what people did, in a file of its own that contextual code has no way into.

Rows are plain, so that a request reads them in microseconds; the log holds them sealed. They go
with an erasure, with their time (``purge``) and with newer ones; ``secure_delete`` overwrites what
goes, and an erasure cuts the WAL. The file can be rebuilt from the log as long as the keys of its
subjects exist: of an erased one nothing comes back.

Writers begin ``IMMEDIATE`` (``state``): the projection, wherever it runs, and the server, which
erases and purges. The one reader has a connection whose authorizer knows the request's tier; its
statements are compiled for every read, since SQLite asks an authorizer at no other time.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

import sqlalchemy as sa

from ringwork.kernel.errors import Busy, StorageFull
from ringwork.kernel.history import (
    History,
    HistoryEvent,
    HistoryImpression,
    may_read_history,
)
from ringwork.kernel.ports import Clock
from ringwork.kernel.purpose import Grant, GrantRefused, GrantVerifier, Purpose
from ringwork.storage.sqlite.files import BUSY_TIMEOUT_S, is_full
from ringwork.storage.sqlite.search import rows_naming
from ringwork.storage.sqlite.state import PRAGMAS, State, checkpoints, engine_of

FILE_NAME: Final = "history.db"
TABLES: Final = ("history_events", "history_impressions")
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS history_events(subject BLOB NOT NULL, at_s INTEGER NOT NULL,"
    " seq INTEGER NOT NULL, service TEXT NOT NULL, kind TEXT NOT NULL, topic TEXT NOT NULL,"
    " PRIMARY KEY (subject, at_s, seq)) STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS history_events_at ON history_events(at_s)",
    "CREATE TABLE IF NOT EXISTS history_impressions(subject BLOB NOT NULL, at_s INTEGER NOT NULL,"
    " seq INTEGER NOT NULL, number INTEGER NOT NULL, service TEXT NOT NULL,"
    " campaign_id TEXT NOT NULL, advertiser_id TEXT NOT NULL, event_id BLOB NOT NULL,"
    " PRIMARY KEY (subject, at_s, seq, number)) STRICT, WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS history_impressions_at ON history_impressions(at_s)",
)
_ADD_EVENT: Final = "INSERT INTO history_events VALUES (?, ?, ?, ?, ?, ?)"
_ADD_IMPRESSION: Final = "INSERT INTO history_impressions VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_TRIM: Final = """
DELETE FROM {table} WHERE subject = :subject AND (at_s, seq) < (
  SELECT at_s, seq FROM {table} WHERE subject = :subject
  ORDER BY at_s DESC, seq DESC LIMIT 1 OFFSET :most - 1)
"""
_EVENTS: Final = """
SELECT at_s, service, kind, topic FROM history_events
WHERE subject = ? AND at_s >= ? AND service IN ({services}) ORDER BY at_s DESC, seq DESC LIMIT ?
"""
_IMPRESSIONS: Final = """
SELECT at_s, service, campaign_id, advertiser_id, event_id FROM history_impressions
WHERE subject = ? AND at_s >= ? AND service IN ({services}) ORDER BY at_s DESC, seq DESC LIMIT ?
"""
_SERVICES_MAX: Final = 100
"""Services of one grant: no platform has more."""
_READABLE: Final = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION})

Refused = Callable[[Grant, Purpose, bytes, str], None]
"""(grant, purpose, request id, reason) of a read that was denied."""


def open_history(path: Path) -> State:
    """Open or create the store. Its reader serves proofs; requests read by ``HistoryStore``."""
    state = State(
        engine_of(path, begin="BEGIN IMMEDIATE", pragmas=(*PRAGMAS, "secure_delete=ON")),
        engine_of(path, begin="BEGIN", pragmas=("busy_timeout=5000", "query_only=ON")),
    )
    try:
        with state.writer.begin() as connection:
            checkpoints.create(connection, checkfirst=True)
            for statement in _SCHEMA:
                connection.exec_driver_sql(statement)
        path.chmod(0o600)
    except BaseException:
        state.close()
        raise
    return state


# ---- what the projection writes -----------------------------------------------------------------


def add_events(connection: sa.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Rows of (subject, at_s, seq, service, kind, topic)."""
    if rows:
        connection.exec_driver_sql(_ADD_EVENT, list(rows))


def add_impressions(connection: sa.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Rows of (subject, at_s, seq, number, service, campaign, advertiser, event id)."""
    if rows:
        connection.exec_driver_sql(_ADD_IMPRESSION, list(rows))


def trim(connection: sa.Connection, subjects: Iterable[bytes], *, most: int) -> None:
    """Of each table keep the newest ``most`` rows of a subject (and those of the same event)."""
    for subject in subjects:
        for table in TABLES:
            connection.execute(
                sa.text(_TRIM.format(table=table)), {"subject": subject, "most": most}
            )


def forget(connection: sa.Connection, subject: bytes) -> int:
    """Delete a subject's rows; returns how many there were."""
    return sum(
        connection.exec_driver_sql(f"DELETE FROM {table} WHERE subject = ?", (subject,)).rowcount
        for table in TABLES
    )


def clear(connection: sa.Connection) -> None:
    """Empty the tables."""
    for table in TABLES:
        connection.exec_driver_sql(f"DELETE FROM {table}")


# ---- what proofs read ---------------------------------------------------------------------------


def rows_before(path: Path, seqs: Mapping[bytes, int]) -> dict[bytes, int]:
    """Subject -> how many of its rows are of events before the one named for it.

    Beside a server or alone.
    """
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
        return {
            subject: sum(_count_before(connection, table, subject, seq) for table in TABLES)
            for subject, seq in seqs.items()
        }


def _count_before(connection: sqlite3.Connection, table: str, subject: bytes, seq: int) -> int:
    query = f"SELECT COUNT(*) FROM {table} WHERE subject = ? AND seq < ?"
    count: int = connection.execute(query, (subject, seq)).fetchone()[0]
    return count


# ---- what the server does -----------------------------------------------------------------------


class HistoryStore:
    """Reads by grant, erases, purges. The only holder of a connection to the history."""

    def __init__(
        self,
        state: State,
        path: Path,
        *,
        verifier: GrantVerifier,
        clock: Clock,
        retention_s: int,
        rows_max: int,
        refused: Refused,
    ) -> None:
        """``state`` is the open file at ``path``; at most ``rows_max`` of a table are read."""
        self._state = state
        self._verifier = verifier
        self._clock = clock
        self._retention_s = retention_s
        self._rows_max = rows_max
        self._refused = refused
        self.columns_read: Counter[bool] = Counter()
        """Columns of the history that a statement was to read -> how often it may (True) or not."""
        self._connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=ro",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=0,  # a kept statement would run without the authorizer's leave
        )
        self._connection.set_authorizer(self._authorize)

    def read(self, grant: Grant, *, purpose: Purpose, request_id: bytes) -> History:
        """HistoryReader."""
        try:
            return self._read(grant, purpose, request_id)
        except GrantRefused as refused:
            self._refused(grant, purpose, request_id, refused.reason)
            raise

    def _read(self, grant: Grant, purpose: Purpose, request_id: bytes) -> History:
        services = grant.services
        if not 0 < len(services) <= _SERVICES_MAX:
            raise GrantRefused("services")
        for service in services:
            self._verifier.verify(grant, purpose=purpose, service=service, request_id=request_id)
        places = ", ".join("?" for _ in services)
        since_s = self._clock.wall_us() // 1_000_000 - self._retention_s
        values = (grant.subject, since_s, *services, self._rows_max)
        execute = self._connection.execute
        try:
            events = execute(_EVENTS.format(services=places), values).fetchall()
            impressions = execute(_IMPRESSIONS.format(services=places), values).fetchall()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_AUTH:
                raise
            raise GrantRefused("tier") from None
        return History(
            tuple(HistoryEvent(*row) for row in events),
            tuple(HistoryImpression(*row) for row in impressions),
        )

    def erase(self, subject: bytes) -> int:
        """Delete a subject's rows and wipe their traces; returns how many there were.

        Raises StorageFull, and Busy where a reader holds the file: the rows are gone, and erasing
        again wipes what is left of them in the WAL.
        """
        try:
            with self._state.writer.begin() as connection:
                erased = forget(connection, subject)
        except sa.exc.OperationalError as error:
            if error.orig is None or not is_full(error.orig):
                raise
            raise StorageFull("the disk of history.db has no room") from error
        self._cut()
        return erased

    def purge(self) -> int:
        """Delete what is older than the retention; returns how many rows."""
        before_s = self._clock.wall_us() // 1_000_000 - self._retention_s
        with self._state.writer.begin() as connection:
            return sum(
                connection.exec_driver_sql(
                    f"DELETE FROM {table} WHERE at_s < ?",
                    (before_s,),
                ).rowcount
                for table in TABLES
            )

    def find(self, subject: bytes, *, before_seq: int) -> tuple[int, int]:
        """(rows that name a subject in any table, those of them that are older than an event)."""
        with self._state.reader.begin() as connection:
            older = sum(
                connection.exec_driver_sql(
                    f"SELECT COUNT(*) FROM {table} WHERE subject = ? AND seq < ?",
                    (subject, before_seq),
                ).scalar_one()
                for table in TABLES
            )
        return rows_naming(self._state.reader, subject), older

    def close(self) -> None:
        """Close the connection that reads; the state is its owner's."""
        self._connection.close()

    def _cut(self) -> None:
        raw = self._state.writer.raw_connection()
        try:
            row = raw.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # type: ignore[union-attr]  # sqlite3's
        finally:
            raw.close()
        if row[0] != 0:
            raise Busy(f"a reader holds {FILE_NAME}: erase again to wipe the traces of its rows")

    def _authorize(
        self,
        action: int,
        first: str | None,
        second: str | None,
        database: str | None,
        trigger: str | None,
    ) -> int:
        """SQLite asks before a statement is compiled: reading, for a consented request, is all."""
        is_allowed = action in _READABLE and may_read_history()
        if action == sqlite3.SQLITE_READ and first in TABLES:
            self.columns_read[is_allowed] += 1
        return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY
