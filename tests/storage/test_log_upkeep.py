"""What happens beside the commits: the anchor follows the end, the WAL is folded and starts over."""

import errno
import sqlite3

import pytest

from ringwork.kernel.errors import Unavailable
from ringwork.storage.sqlite import segment as segment_module
from ringwork.storage.sqlite import upkeep as upkeep_module
from ringwork.storage.sqlite.anchor import read_anchor, write_anchor
from ringwork.storage.sqlite.segment import Rotation
from ringwork.testing.check_event_log import numbers
from tests.storage.disks import append, open_log, sqlite_error, until

FILLING = bytes(20_000)


class DiskThatFoldsNothing:
    """Its checkpoints beside the writer fail; commits do not."""

    def __init__(self, code):
        self.code = code
        self.refused = 0

    def open(self, path):
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, sql, parameters=()):
                if "wal_checkpoint(PASSIVE)" in sql:
                    disk.refused += 1
                    raise sqlite_error(disk.code)
                return super().execute(sql, parameters)

        return sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, factory=Connection
        )


def append_many(log, count):
    for number in range(count):
        append(log, number, filling=FILLING)


# ---- the anchor ---------------------------------------------------------------------------------
def test_closing_writes_the_anchor(tmp_path, monkeypatch):
    monkeypatch.setattr(upkeep_module, "ANCHOR_INTERVAL_S", 3600)
    log = open_log(tmp_path)
    append(log, 0)
    append(log, 1)
    assert read_anchor(tmp_path, 0) is None
    log.close()
    assert read_anchor(tmp_path, 0) == log.head


def test_an_idle_log_is_anchored_within_its_interval(tmp_path, monkeypatch):
    monkeypatch.setattr(upkeep_module, "ANCHOR_INTERVAL_S", 0.001)
    log = open_log(tmp_path)
    append(log, 0)
    until(lambda: read_anchor(tmp_path, 0) == log.head)
    log.close()


def test_an_anchor_that_finds_no_room_is_written_later(tmp_path, monkeypatch):
    full = [OSError(errno.ENOSPC, "no room")]

    def write(directory, head):
        if full:
            raise full.pop()
        write_anchor(directory, head)

    monkeypatch.setattr(upkeep_module, "write_anchor", write)
    monkeypatch.setattr(upkeep_module, "ANCHOR_INTERVAL_S", 0.001)
    log = open_log(tmp_path)
    append(log, 0)
    until(lambda: read_anchor(tmp_path, 0) is not None)
    assert not full
    log.close()
    assert read_anchor(tmp_path, 0) == log.head


def test_an_anchor_that_cannot_be_written_is_fatal(tmp_path, monkeypatch):
    def write(directory, head):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(upkeep_module, "write_anchor", write)
    monkeypatch.setattr(upkeep_module, "ANCHOR_INTERVAL_S", 0.001)
    fatal = []
    log = open_log(tmp_path, on_fatal=fatal.append)
    append(log, 0)
    until(lambda: fatal)  # nobody appends: the writer is told all the same
    log.close()
    assert [error.errno for error in fatal] == [errno.EIO]
    with pytest.raises(Unavailable):
        append(log, 1)


def test_the_last_anchor_that_cannot_be_written_is_fatal(tmp_path, monkeypatch):
    def write(directory, head):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(upkeep_module, "write_anchor", write)
    monkeypatch.setattr(upkeep_module, "ANCHOR_INTERVAL_S", 3600)
    fatal = []
    log = open_log(tmp_path, on_fatal=fatal.append)
    append(log, 0)
    log.close()
    assert [error.errno for error in fatal] == [errno.EIO]


# ---- the WAL ------------------------------------------------------------------------------------
def wal_bytes(directory):
    return sum(path.stat().st_size for path in directory.glob("p0-*.db-wal"))


def test_the_wal_is_folded_beside_the_commits_and_starts_over(tmp_path, monkeypatch):
    monkeypatch.setattr(segment_module, "FOLD_AT_BYTES", 256 * 1024)
    log = open_log(tmp_path)
    append_many(log, 400)
    # 8 MB were written through it. It holds what came between two folds, however slow they were.
    assert wal_bytes(tmp_path) < 4 * 1024 * 1024
    log.close()
    assert numbers(open_log(tmp_path)) == list(range(400))


def test_a_wal_that_cannot_be_folded_for_want_of_room_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(segment_module, "FOLD_AT_BYTES", 64 * 1024)
    disk = DiskThatFoldsNothing(sqlite3.SQLITE_FULL)
    log = open_log(tmp_path, rotation=Rotation(open_database=disk.open))
    append_many(log, 40)
    until(lambda: disk.refused)
    append(log, 40)
    log.close()
    assert numbers(open_log(tmp_path)) == list(range(41))


def test_a_wal_that_cannot_be_folded_because_the_disk_fails_is_fatal(tmp_path, monkeypatch):
    monkeypatch.setattr(segment_module, "FOLD_AT_BYTES", 64 * 1024)
    disk, fatal = DiskThatFoldsNothing(sqlite3.SQLITE_IOERR_FSYNC), []
    log = open_log(tmp_path, rotation=Rotation(open_database=disk.open), on_fatal=fatal.append)
    with pytest.raises(Unavailable, match="restart"):
        append_many(log, 10_000)
    log.close()
    assert [error.sqlite_errorcode for error in fatal] == [sqlite3.SQLITE_IOERR_FSYNC]
