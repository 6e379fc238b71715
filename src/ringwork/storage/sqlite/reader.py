"""Read a log on disk, beside its writer or alone: for projections, command line and auditors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ringwork.kernel.errors import LogCorrupt
from ringwork.kernel.ports import Head, Row
from ringwork.storage.chain import check_row
from ringwork.storage.sqlite.files import (
    ROW_COLUMNS,
    LogFile,
    connect_to_read,
    log_files,
    read_head,
    read_meta,
)


class SqliteLogReader:
    """One partition, read-only. Every row that it gives has been checked against the chain."""

    def __init__(self, directory: Path, *, partition: int = 0) -> None:
        self.partition = partition
        self._directory = directory

    @property
    def head(self) -> Head:
        """The durable end; sequence 0 where there is no log yet. Raises LogCorrupt."""
        files = log_files(self._directory, self.partition)
        if not files:
            return Head(self.partition, 0, b"")
        with closing(connect_to_read(files[-1])) as connection:
            return read_head(connection, files[-1], read_meta(connection, files[-1]))

    def rows(self, after_seq: int = 0) -> Iterator[Row]:
        """Durable rows in order, from the row that holds ``after_seq + 1``. Raises LogCorrupt."""
        wanted, chain = after_seq + 1, None
        while True:
            # The list first: a file that appears later follows what is read below.
            files = log_files(self._directory, self.partition)
            holding = [file for file in files if file.first_seq <= wanted]
            start = wanted
            if holding:
                for row in _rows(holding[-1], wanted, chain):
                    wanted, chain = row.first_seq + row.count, row.chain
                    yield row
            if wanted == start:
                if len(holding) < len(files):
                    after = files[len(holding)]
                    raise LogCorrupt(
                        after.path.name, wanted, f"the log goes on at {after.first_seq} only"
                    )
                return


def _rows(file: LogFile, wanted: int, chain: bytes | None) -> Iterator[Row]:
    """The rows of one file from the one that holds ``wanted``, which continues ``chain``."""
    name = file.path.name
    with closing(connect_to_read(file)) as connection:
        meta = read_meta(connection, file)
        previous, expected_seq = meta.prev_chain, file.first_seq
        if wanted == expected_seq and chain not in (None, previous):
            raise LogCorrupt(name, wanted, "the chain of the file before was expected in its meta")
        try:
            # The row that holds `wanted` and the one before it, whose chain it continues.
            query = f"SELECT {ROW_COLUMNS} FROM frames WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 2"  # fmt: skip  # noqa: E501
            before = [Row(*values) for values in connection.execute(query, (wanted,))]
            if len(before) == 2:
                previous, expected_seq = before[1].chain, before[1].first_seq + before[1].count
            query = f"SELECT {ROW_COLUMNS} FROM frames WHERE first_seq >= ? ORDER BY first_seq"
            for values in connection.execute(query, (expected_seq,)):
                row = Row(*values)
                check_row(row, previous=previous, expected_seq=expected_seq, where=name)
                previous, expected_seq = row.chain, row.first_seq + row.count
                if expected_seq > wanted:
                    yield row
        except (sqlite3.Error, TypeError) as error:
            raise LogCorrupt(name, expected_seq, f"a readable row was expected: {error}") from error
