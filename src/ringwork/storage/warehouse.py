"""The exported log, kept up with the log while it grows, to ask with SQL.

Files are those of ``parquet.export``. Going on rewrites the last range of sequence numbers and
everything after it, so what was exported before is neither read nor written again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event, Lock
from typing import Final

from ringwork.kernel.errors import Unavailable
from ringwork.kernel.events import EventTypes
from ringwork.kernel.ports import Row
from ringwork.storage.parquet import (
    Progress,
    connect,
    path_of,
    query,
    windows,
    write,
)
from ringwork.storage.sqlite.files import partitions
from ringwork.storage.sqlite.reader import SqliteLogReader

_QUIET: Final = "SET enable_progress_bar = false; "
"""DuckDB draws a bar on stdout after two seconds, among what a command prints there."""


def logged(directory: Path) -> int:
    """The last sequence number of the log below ``directory``; of several partitions, the sum."""
    return sum(
        SqliteLogReader(directory, partition=partition).head.seq
        for partition in partitions(directory)
    )


class ParquetWarehouse:
    """The log below ``directory`` as Parquet below ``out_dir``."""

    def __init__(self, directory: Path, out_dir: Path, types: EventTypes) -> None:
        self._directory = directory
        self._out_dir = out_dir
        self._types = types
        self._exported: dict[int, int] = {}
        self._lock = Lock()
        self._stopped = Event()

    def refresh(self, progress: Progress | None = None) -> int:
        """Export what the log has that the files have not; the last sequence number they hold.

        Of several partitions, the sum of theirs. Raises LogCorrupt, UndecodableEvent, Unavailable
        after ``stop``, or RingworkError where DuckDB is not installed or cannot write.
        """
        with self._lock:
            if not self._out_dir.exists():
                self._exported.clear()  # the files may be removed at any time, and come again
            for partition in partitions(self._directory):
                reader = SqliteLogReader(self._directory, partition=partition)
                if reader.head.seq > self._exported.get(partition, 0):
                    self._exported[partition] = self._go_on(reader, progress)
            return sum(self._exported.values())

    def stop(self) -> None:
        """Let a refresh end after the range that it writes; it goes on where it ended."""
        self._stopped.set()

    def _go_on(self, reader: SqliteLogReader, progress: Progress | None) -> int:
        begun = self._begun(reader.partition)
        through = max(begun - 1, 0)
        connection = connect()
        try:
            rows_after = _After(self._directory, reader.partition, through)
            for window in windows(rows_after, self._types):
                if window.first_seq < begun:
                    continue  # the row that holds the first of them began before
                for day in sorted(window.days):
                    path = path_of(self._out_dir, day, reader.partition, window.first_seq)
                    write(connection, window.days[day], path)
                through = window.last_seq
                if self._stopped.is_set():
                    raise Unavailable("shutting-down", "the export goes on after the next start")
                if progress is not None:
                    progress(through, reader.head.seq)
        finally:
            connection.close()
        return through

    def _begun(self, partition: int) -> int:
        """Where the last range of sequence numbers that was begun begins; 1 where none was."""
        names = (path.stem for path in self._out_dir.glob(f"day=*/p{partition}-*.parquet"))
        return max((int(name.partition("-")[2]) for name in names), default=1)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """The rows that SQL over the table ``events`` gives. RingworkError where it cannot."""
        return query(self._out_dir, _QUIET + sql, parameters).rows


class _After(SqliteLogReader):
    """A reader of what comes after a sequence number."""

    def __init__(self, directory: Path, partition: int, seq: int) -> None:
        super().__init__(directory, partition=partition)
        self._seq = seq

    def rows(self, after_seq: int = 0) -> Iterator[Row]:
        """Durable rows from the one that holds the event after both."""
        return super().rows(max(after_seq, self._seq))
