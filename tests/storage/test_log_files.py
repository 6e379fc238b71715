"""The files of a log: rotation, sealing, clocks, partitions."""

import sqlite3
from pathlib import Path

import pytest

from ringwork.kernel.clock import ManualClock
from ringwork.kernel.errors import Busy
from ringwork.storage.chain import genesis
from ringwork.storage.sqlite.anchor import read_anchor
from ringwork.storage.sqlite.files import log_files
from ringwork.storage.sqlite.reader import SqliteLogReader
from ringwork.storage.sqlite.segment import Rotation
from ringwork.testing.check_event_log import (
    check_chain,
    numbers,
)
from tests.storage.disks import EMPTY_FILE_BYTES, append, open_log

DAY_US = 86_400_000_000


def names(directory, pattern="p0-*"):
    return sorted(path.name for path in directory.glob(pattern))


def test_a_new_file_begins_by_size_and_by_age_and_the_chain_goes_on(tmp_path):
    clock = ManualClock()
    rotation = Rotation(max_file_bytes=EMPTY_FILE_BYTES + 2000)
    log = open_log(tmp_path, clock=clock, rotation=rotation)
    append(log, 0, 50)
    append(log, 50, 10)
    append(log, 60, 1)
    clock.advance_us(DAY_US)
    append(log, 61, 1)
    log.close()
    assert names(tmp_path, "p0-*.db") == [
        "p0-00000000000000000001.db",
        "p0-00000000000000000051.db",
        "p0-00000000000000000062.db",
    ]
    assert numbers(log) == list(range(62))
    check_chain(log)
    reader = SqliteLogReader(tmp_path)
    assert reader.head == log.head
    assert next(reader.rows(55)).first_seq == 51
    again = open_log(tmp_path, entropy=None)
    assert (again.next_seq, again.log_id) == (63, log.log_id)
    again.close()


def test_a_finished_file_stands_alone(tmp_path):
    log = open_log(tmp_path, rotation=Rotation(max_file_bytes=1))
    append(log, 0)
    append(log, 1)
    first = log_files(tmp_path, 0)[0].path
    assert not Path(f"{first}-wal").exists()
    with sqlite3.connect(f"file:{first}?immutable=1", uri=True) as alone:
        assert alone.execute("SELECT first_seq, n FROM frames").fetchall() == [(1, 1)]
        assert alone.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    alone.close()
    log.close()


def test_a_reader_on_a_finished_file_delays_its_sealing_until_the_next_start(tmp_path):
    log = open_log(tmp_path, rotation=Rotation(max_file_bytes=1))
    append(log, 0)
    rows = log.rows()
    assert next(rows).first_seq == 1
    append(log, 1)
    append(log, 2)
    first = log_files(tmp_path, 0)[0].path
    assert Path(f"{first}-wal").exists()
    rows.close()
    log.close()
    open_log(tmp_path).close()
    assert not Path(f"{first}-wal").exists()
    assert numbers(log) == [0, 1, 2]


def test_a_file_that_another_program_locks_is_busy(tmp_path):
    log = open_log(tmp_path)
    append(log, 0)
    log.close()

    def impatient(path):
        return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)

    other = impatient(log_files(tmp_path, 0)[0].path)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Busy, match="another program holds the event log"):
        open_log(tmp_path, rotation=Rotation(open_database=impatient))
    other.close()
    open_log(tmp_path).close()


def test_a_reader_that_idles_on_a_finished_file_delays_its_sealing_too(tmp_path):
    log = open_log(tmp_path, rotation=Rotation(max_file_bytes=1))
    append(log, 0)
    first = log_files(tmp_path, 0)[0].path
    reader = sqlite3.connect(first)
    assert reader.execute("SELECT count(*) FROM frames").fetchone() == (1,)
    append(log, 1)
    assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    reader.close()
    log.close()
    assert numbers(log) == [0, 1]


def test_what_a_crash_left_of_a_new_file_is_tidied_up(tmp_path):
    log = open_log(tmp_path)
    append(log, 0)
    log.close()
    (tmp_path / "p0-00000000000000000002.db.new").write_bytes(b"half")
    (tmp_path / "p0-00000000000000000002.db.new-wal").write_bytes(b"half")
    again = open_log(tmp_path)
    append(again, 1)
    again.close()
    assert names(tmp_path) == ["p0-00000000000000000001.db"]
    assert numbers(again) == [0, 1]


def test_a_clock_that_goes_back_changes_times_and_nothing_else(tmp_path):
    clock = ManualClock()
    log = open_log(tmp_path, clock=clock)
    append(log, 0)
    clock.set_wall_us(clock.wall_us() - 3_600_000_000)
    append(log, 1)
    log.close()
    times = [row.ts_us for row in log.rows()]
    assert times[1] == times[0] - 3_600_000_000
    assert numbers(log) == [0, 1]
    check_chain(log)


def test_partitions_share_a_directory(tmp_path):
    logs = [open_log(tmp_path, partition=partition) for partition in (0, 3)]
    for number, log in enumerate(logs):
        append(log, number)
    for log in logs:
        log.close()
    assert [numbers(log) for log in logs] == [[0], [1]]
    assert read_anchor(tmp_path, 3) == logs[1].head


def test_an_empty_directory_reads_as_an_empty_log(tmp_path):
    reader = SqliteLogReader(tmp_path / "nothing")
    assert (reader.head.seq, list(reader.rows())) == (0, [])
    log = open_log(tmp_path)
    assert log.head.chain == genesis(log.log_id, 0)
    log.close()
