"""Check a log from its first byte to its last, and save what is sound of a damaged one.

Checked are the chain from its start, that sequence numbers are continuous, that every frame and
payload decodes, that the log reaches its anchor, and the structure of every file. A defect names
the file, the sequence number and what was expected there; nothing behind it is trusted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import groupby, islice
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.kernel.errors import LogCorrupt, RingworkError
from ringwork.kernel.events import EventTypes, UndecodableEvent, decode_frames
from ringwork.kernel.ports import Head, Row
from ringwork.storage.sqlite.anchor import anchor_path, read_anchor, write_anchor
from ringwork.storage.sqlite.files import (
    LogFile,
    connect,
    connect_to_read,
    connect_to_write,
    create_file,
    file_of,
    insert_rows,
    log_files,
    partitions,
    read_meta,
)
from ringwork.storage.sqlite.reader import SqliteLogReader

Progress = Callable[[int, int], None]
"""Called after each row with the events that were checked and how many there are."""

_SALVAGE_ROWS: Final = 256
"""Rows per transaction of a salvage; at most 256 MiB of ordinary rows."""


class Defect(Struct, frozen=True):
    """The first thing that is wrong."""

    file: str
    seq: int
    expected: str


class PartitionReport(Struct):
    """What was found in one partition: everything before ``defect`` is as it was written."""

    partition: int
    files: int
    first_seq: int
    rows: int = 0
    events: int = 0
    head_seq: int = 0
    head_chain: str = ""
    defect: Defect | None = None


class LogReport(Struct):
    """What was found in a log directory."""

    partitions: list[PartitionReport]

    @property
    def is_sound(self) -> bool:
        """Whether no partition has a defect."""
        return all(report.defect is None for report in self.partitions)

    @property
    def events(self) -> int:
        """Events in all partitions that are as they were written."""
        return sum(report.events for report in self.partitions)


def verify(directory: Path, types: EventTypes, progress: Progress | None = None) -> LogReport:
    """Check every partition, read-only, beside a running server or alone.

    Raises RingworkError where there is no log. Damage is reported, never raised.
    """
    reports = []
    for partition in _partitions(directory):
        report, rows = _begin(directory, partition, types, progress)
        for _ in rows:
            pass
        reports.append(report)
    return LogReport(reports)


def salvage(
    directory: Path, out: Path, types: EventTypes, progress: Progress | None = None
) -> LogReport:
    """Copy the sound beginning of every partition to a new directory, with ``report.json``.

    The copy is a log like any other: same files, same chain. Raises RingworkError where ``out`` is
    not empty.
    """
    if out.exists() and any(out.iterdir()):
        raise RingworkError(f"{out}: an empty or new directory was expected")
    found = _partitions(directory)
    out.mkdir(parents=True, exist_ok=True)
    reports = []
    for partition in found:
        report, rows = _begin(directory, partition, types, progress)
        _copy(log_files(directory, partition), rows, out)
        if report.rows:
            head = Head(partition, report.head_seq, bytes.fromhex(report.head_chain))
            write_anchor(out, head)
        reports.append(report)
    found_all = LogReport(reports)
    (out / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(found_all)))
    return found_all


def _partitions(directory: Path) -> list[int]:
    found = partitions(directory) if directory.is_dir() else []
    if not found:
        raise RingworkError(f"{directory}: no event log here")
    return found


def _begin(
    directory: Path, partition: int, types: EventTypes, progress: Progress | None
) -> tuple[PartitionReport, Iterator[Row]]:
    """A report and the rows that fill it while they are read, up to the first defect."""
    files = log_files(directory, partition)
    report = PartitionReport(partition, len(files), files[0].first_seq)
    return report, _sound_rows(directory, files, report, types, progress)


def _sound_rows(
    directory: Path,
    files: list[LogFile],
    report: PartitionReport,
    types: EventTypes,
    progress: Progress | None,
) -> Iterator[Row]:
    reader = SqliteLogReader(directory, partition=report.partition)
    total = _events_in(reader, report.first_seq)
    try:
        for row in reader.rows(report.first_seq - 1):
            _check_payload(row, types, file_of(files, row.first_seq).path.name)
            report.rows += 1
            report.events += row.count
            report.head_seq = row.first_seq + row.count - 1
            report.head_chain = row.chain.hex()
            yield row
            if progress is not None:
                progress(report.events, total)
        _check_reaches_anchor(directory, report)
        for before, file in zip([None, *files], files, strict=False):
            _check_file(file, before)
    except LogCorrupt as error:
        report.defect = Defect(error.where, error.seq, error.expected)


def _events_in(reader: SqliteLogReader, first_seq: int) -> int:
    """How many events there are to check, for the progress alone; 0 where the end is unreadable."""
    try:
        return reader.head.seq - first_seq + 1
    except LogCorrupt:
        return 0


def _check_payload(row: Row, types: EventTypes, where: str) -> None:
    """Every frame and payload must decode, and be as many as the row says."""
    try:
        frames = decode_frames(row.payload)
        for frame in frames:
            for envelope in frame.events:
                types.decode(envelope)
    except (msgspec.DecodeError, UndecodableEvent) as error:
        raise LogCorrupt(
            where, row.first_seq, f"decodable frames were expected: {error}"
        ) from error
    counts = [len(frame.events) for frame in frames]
    if sum(counts) != row.count or 0 in counts:
        raise LogCorrupt(
            where, row.first_seq, f"{row.count} events were expected, its frames hold {counts}"
        )


def _check_reaches_anchor(directory: Path, report: PartitionReport) -> None:
    anchor = read_anchor(directory, report.partition)
    if anchor is not None and anchor.seq > report.head_seq:
        raise LogCorrupt(
            anchor_path(directory, report.partition).name,
            report.head_seq + 1,
            f"the log ends at {report.head_seq}, its anchor is at {anchor.seq}",
        )


def _check_file(file: LogFile, before: LogFile | None) -> None:
    """What carries no row: pages (SQLite's own check) and the name of the file before."""
    try:
        with closing(connect_to_read(file)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            previous = read_meta(connection, file).prev_file
    except sqlite3.Error as error:
        found, previous = str(error), ""
    if found != "ok":
        raise LogCorrupt(file.path.name, file.first_seq, f"a sound database was expected: {found}")
    if before is not None and previous != before.path.name:
        raise LogCorrupt(
            file.path.name, file.first_seq, f"{before.path.name} was expected before it: {previous}"
        )


def _copy(files: list[LogFile], rows: Iterator[Row], out: Path) -> None:
    """Write rows to files of the same names in ``out``."""
    copy: LogFile | None = None
    for file, group in groupby(rows, key=lambda row: file_of(files, row.first_seq)):
        with closing(connect_to_read(file)) as source:
            meta = read_meta(source, file)
        if copy is not None:
            meta = msgspec.structs.replace(meta, prev_file=copy.path.name)
        copy = create_file(out, file.first_seq, meta, connect)
        with closing(connect_to_write(copy.path, connect)) as connection:
            while chunk := list(islice(group, _SALVAGE_ROWS)):
                insert_rows(connection, chunk)
