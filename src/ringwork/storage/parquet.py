"""The log as Parquet, for analytics: one row per event, one folder per day, read with DuckDB.

The envelope becomes flat columns, the payload JSON text with named members; ids become their
canonical text, other bytes (sealed members among them) base64. Files are named by the range of
sequence numbers they cover, so exporting again replaces files and never doubles an event. DuckDB is
the extra ``analytics``; it always works on these files, never on a database file of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from ringwork.kernel.errors import RingworkError
from ringwork.kernel.events import Envelope, EventTypes, decode_frames
from ringwork.kernel.ids import format_id
from ringwork.storage.sqlite.files import partitions
from ringwork.storage.sqlite.reader import SqliteLogReader

if TYPE_CHECKING:
    import duckdb

FILE_EVENTS: Final = 200_000
"""Sequence numbers per file and row group: about 200 MB of memory while one is written."""

MEMORY_LIMIT: Final = "2GB"
"""What a query may use before it spills to disk."""

COLUMNS: Final = (
    ("partition", "INTEGER"),
    ("seq", "BIGINT"),
    ("ts_us", "BIGINT"),
    ("id", "VARCHAR"),
    ("request_id", "VARCHAR"),
    ("cause_id", "VARCHAR"),
    ("tenant", "VARCHAR"),
    ("subject", "VARCHAR"),
    ("purpose", "VARCHAR"),
    ("type", "VARCHAR"),
    ("version", "INTEGER"),
    ("payload", "VARCHAR"),
)

_US_PER_DAY: Final = 86_400_000_000
_encoder: Final = msgspec.json.Encoder()

_Row = tuple[int | str | None, ...]
Progress = Callable[[int, int], None]
"""Called after each file with the events that were read and how many there are."""


class Exported(Struct, frozen=True):
    """What an export wrote."""

    files: int
    events: int


class Table(Struct, frozen=True):
    """The answer to a query."""

    columns: list[str]
    rows: list[tuple[object, ...]]


def export(
    directory: Path,
    out_dir: Path,
    types: EventTypes,
    *,
    first_day: date | None = None,
    last_day: date | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write the events of a range of days (UTC, both included) below ``out_dir``.

    Raises LogCorrupt, UndecodableEvent, or RingworkError where DuckDB is not installed.
    """
    connection = connect()
    days_wanted = range(_day_number(first_day, -(2**31)), _day_number(last_day, 2**31) + 1)
    files = events = 0
    for partition in partitions(directory):
        reader = SqliteLogReader(directory, partition=partition)
        total = reader.head.seq
        for window in windows(reader, types):
            for day in sorted(filter(days_wanted.__contains__, window.days)):
                rows = window.days[day]
                write(connection, rows, path_of(out_dir, day, partition, window.first_seq))
                files, events = files + 1, events + len(rows)
            if progress is not None:
                progress(window.last_seq, total)
    connection.close()
    return Exported(files, events)


def query(out_dir: Path, sql: str, parameters: Sequence[object] = ()) -> Table:
    """Run SQL over the exported files: they are the table ``events``, with a column ``day``.

    Raises RingworkError for SQL that DuckDB refuses, or where nothing was exported.
    """
    connection = connect()
    files = str(out_dir / "day=*" / "*.parquet")
    try:
        connection.execute(
            "CREATE VIEW events AS SELECT * FROM read_parquet("
            f"{_quoted(files)}, hive_partitioning = true, hive_types = {{'day': DATE}})"
        )
        answer = connection.execute(sql, list(parameters))
        columns = [column[0] for column in answer.description or ()]
        return Table(columns, answer.fetchall())
    except _duckdb().Error as error:
        raise RingworkError(f"the query failed: {error}") from error
    finally:
        connection.close()


def _duckdb() -> ModuleType:
    try:
        return import_module("duckdb")
    except ImportError as error:
        raise RingworkError(
            "Parquet needs DuckDB, which is not installed: pip install 'ringwork[analytics]'"
        ) from error


def connect() -> duckdb.DuckDBPyConnection:
    """A database in memory with bounds; RingworkError where DuckDB is not installed."""
    settings = {"memory_limit": MEMORY_LIMIT, "autoinstall_known_extensions": "false"}
    connection: duckdb.DuckDBPyConnection = _duckdb().connect(config=settings)
    return connection


class Window(Struct):
    """The events of one range of ``FILE_EVENTS`` sequence numbers, by day since 1970."""

    first_seq: int
    last_seq: int
    days: dict[int, list[_Row]]


def windows(reader: SqliteLogReader, types: EventTypes) -> Iterator[Window]:
    """What a reader reads, a range of sequence numbers at a time; empty ranges are left out."""
    window = Window(0, 0, {})
    for stored in reader.rows():
        seq = stored.first_seq
        for frame in decode_frames(stored.payload):
            for envelope in frame.events:
                first_seq = seq - (seq - 1) % FILE_EVENTS
                if first_seq != window.first_seq:
                    if window.days:
                        yield window
                    window = Window(first_seq, 0, {})
                of_day = window.days.setdefault(envelope.ts_us // _US_PER_DAY, [])
                of_day.append(_row(envelope, types, reader.partition, seq))
                window.last_seq = seq
                seq += 1
    if window.days:
        yield window


def _row(envelope: Envelope, types: EventTypes, partition: int, seq: int) -> _Row:
    return (
        partition,
        seq,
        envelope.ts_us,
        format_id(envelope.id),
        format_id(envelope.request_id),
        None if envelope.cause_id is None else format_id(envelope.cause_id),
        envelope.tenant,
        None if envelope.subject is None else format_id(envelope.subject),
        envelope.purpose,
        envelope.type,
        envelope.version,
        _encoder.encode(_named(types.decode(envelope).members())).decode(),
    )


def _named(value: object) -> object:
    """Structs with their members' names and ids as text, at any depth."""
    if isinstance(value, bytes):
        return format_id(value) if len(value) == 16 else value
    if isinstance(value, Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, dict):
        return {name: _named(member) for name, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_named(member) for member in value]
    return value


def write(connection: duckdb.DuckDBPyConnection, rows: list[_Row], path: Path) -> None:
    """One file, complete under its name or not there. Raises RingworkError."""
    import numpy as np  # noqa: PLC0415  # an export is the only user

    columns = {
        name: np.array(values, dtype=object if kind == "VARCHAR" else np.int64)
        for (name, kind), values in zip(COLUMNS, zip(*rows, strict=True), strict=True)
    }
    unfinished = path.with_suffix(".parquet.new")
    selected = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in COLUMNS)
    connection.register("columns", columns)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection.execute(
            f"COPY (SELECT {selected} FROM columns) TO {_quoted(str(unfinished))} "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {FILE_EVENTS})"
        )
        unfinished.rename(path)
    except (OSError, _duckdb().Error) as error:
        raise RingworkError(f"{path}: cannot be written: {error}") from error
    finally:
        connection.unregister("columns")


def path_of(out_dir: Path, day: int, partition: int, first_seq: int) -> Path:
    """Where the events of a day and of the range that begins with ``first_seq`` are."""
    named = datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
    return out_dir / f"day={named}" / f"p{partition}-{first_seq:020d}.parquet"


def _day_number(day: date | None, otherwise: int) -> int:
    return otherwise if day is None else (day - date(1970, 1, 1)).days


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
