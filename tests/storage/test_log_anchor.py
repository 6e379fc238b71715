"""A log that is not what was written is not opened: anchor, meta rows, last rows."""

import sqlite3

import pytest

from ringwork.kernel.errors import LogCorrupt, StorageFull
from ringwork.storage.sqlite.anchor import write_anchor
from ringwork.storage.sqlite.files import log_files
from ringwork.storage.sqlite.reader import SqliteLogReader
from ringwork.storage.sqlite.segment import Rotation
from tests.storage.disks import EMPTY_FILE_BYTES, Disk, append, open_log


def names(directory, pattern="p0-*"):
    return sorted(path.name for path in directory.glob(pattern))


# ---- the anchor ---------------------------------------------------------------------------------
def copy_of_a_running_log(log, directory, copy):
    """What a power cut leaves: the files as they are now, the anchor up to date."""
    write_anchor(directory, log.head)
    copy.mkdir()
    for path in directory.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def test_a_cut_wal_is_told_apart_from_an_empty_one(tmp_path):
    log = open_log(tmp_path / "log")
    append(log, 0, 10)
    append(log, 10, 10)
    copy = copy_of_a_running_log(log, tmp_path / "log", tmp_path / "copy")
    log.close()
    recovered = open_log(copy)
    assert recovered.head.seq == 20
    recovered.close()


def damaged_copy(tmp_path, damage):
    log = open_log(tmp_path / "log")
    append(log, 0, 10)
    append(log, 10, 10)
    copy = copy_of_a_running_log(log, tmp_path / "log", tmp_path / "copy")
    log.close()
    wal = copy / "p0-00000000000000000001.db-wal"
    content = bytearray(wal.read_bytes())
    wal.write_bytes(damage(content))
    return copy


@pytest.mark.parametrize("part", [0.0, 0.5, 0.9])
def test_a_truncated_wal_is_corruption_not_an_empty_tail(tmp_path, part):
    copy = damaged_copy(tmp_path, lambda wal: wal[: int(len(wal) * part)])
    with pytest.raises(LogCorrupt, match=r"its anchor at 20|log file were expected"):
        open_log(copy)


def test_a_flipped_wal_byte_is_corruption_not_an_empty_tail(tmp_path):
    def flip(wal):
        wal[-100] ^= 0x10
        return wal

    with pytest.raises(LogCorrupt, match="the log ends at 10, its anchor at 20"):
        open_log(damaged_copy(tmp_path, flip))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an anchor was expected"),
        (b'{"partition":0,"seq":1,"chain":"zz"}', "an anchor was expected"),
        (b'{"partition":0,"seq":9,"chain":"00"}', "the log ends at 2, its anchor at 9"),
        (b'{"partition":0,"seq":2,"chain":"00"}', "the anchored chain 00 was expected"),
        (b'{"partition":0,"seq":1,"chain":"00"}', "the anchored chain 00 was expected"),
    ],
)
def test_an_anchor_of_another_log_is_noticed(tmp_path, content, message):
    log = open_log(tmp_path)
    append(log, 0, 2)
    log.close()
    (tmp_path / "anchor.json").write_bytes(content)
    with pytest.raises(LogCorrupt, match=message):
        open_log(tmp_path)
    (tmp_path / "anchor.json").unlink()
    open_log(tmp_path).close()


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    log = open_log(tmp_path, rotation=Rotation(max_file_bytes=1))
    append(log, 0)
    append(log, 1)
    log.close()
    first = log_files(tmp_path, 0)[0].path
    first.unlink()
    first.mkdir()
    with pytest.raises(LogCorrupt, match=f"{first.name}: at sequence 1: a database was expected"):
        open_log(tmp_path)


def test_files_that_are_gone_are_not_a_new_log(tmp_path):
    log = open_log(tmp_path)
    append(log, 0)
    log.close()
    for file in log_files(tmp_path, 0):
        file.path.unlink()
    with pytest.raises(LogCorrupt, match="the anchor is at 1, there are no files"):
        open_log(tmp_path)


def test_a_half_written_anchor_is_ignored(tmp_path):
    log = open_log(tmp_path)
    append(log, 0)
    log.close()
    (tmp_path / "anchor.json.new").write_bytes(b'{"part')
    open_log(tmp_path).close()


# ---- damage at the start ------------------------------------------------------------------------
def with_database(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE meta SET value = x'32' WHERE key = 'format'", "format 1 was expected"),
        ("UPDATE meta SET value = x'37' WHERE key = 'partition'", "partition 0 was expected"),
        (
            "UPDATE meta SET value = zeroblob(16) WHERE key = 'log_id'",
            "chain of the log's identity",
        ),
        ("DELETE FROM meta WHERE key = 'prev_chain'", "meta rows of a log file were expected"),
        ("DROP TABLE meta", "meta rows of a log file were expected"),
        ("DROP TABLE frames", "a readable file was expected"),
        ("UPDATE frames SET payload = x'90' WHERE first_seq = 3", "the chain .* was expected"),
        ("UPDATE frames SET n = n + 1 WHERE first_seq = 3", "the chain .* was expected"),
        ("UPDATE frames SET n = -1 WHERE first_seq = 3", "a readable row was expected"),
        ("DELETE FROM frames WHERE first_seq = 3", "the log ends at 2, its anchor at 4"),
        ("UPDATE frames SET first_seq = 5 WHERE first_seq = 3", "a row that starts here"),
    ],
)
def test_a_log_whose_end_was_changed_is_not_opened(tmp_path, statement, message):
    log = open_log(tmp_path)
    append(log, 0, 2)
    append(log, 2, 2)
    log.close()
    with_database(log_files(tmp_path, 0)[0].path, statement)
    with pytest.raises(LogCorrupt, match=message):
        open_log(tmp_path)


def test_a_file_that_is_no_database_is_not_opened(tmp_path):
    open_log(tmp_path).close()
    path = log_files(tmp_path, 0)[0].path
    path.write_bytes(b"x" * 8192)
    with pytest.raises(LogCorrupt, match="not a database"):
        open_log(tmp_path)
    with pytest.raises(LogCorrupt, match="not a database"):
        _ = SqliteLogReader(tmp_path).head


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "UPDATE meta SET value = zeroblob(32) WHERE key = 'prev_chain'",
            "the chain .* was expected",
        ),
        ("UPDATE meta SET value = x'70' WHERE key = 'prev_file'", None),
    ],
)
def test_a_newest_file_that_does_not_continue_the_one_before_is_not_opened(
    tmp_path, statement, message
):
    log = open_log(tmp_path, rotation=Rotation(max_file_bytes=1))
    append(log, 0)
    append(log, 1)
    log.close()
    with_database(log_files(tmp_path, 0)[1].path, statement)
    if message is None:  # as if retention had deleted the file before
        open_log(tmp_path).close()
        return
    with pytest.raises(LogCorrupt, match=message):
        open_log(tmp_path)


def test_a_newest_file_that_follows_a_shortened_one_is_not_opened(tmp_path):
    log = open_log(tmp_path, rotation=Rotation(max_file_bytes=EMPTY_FILE_BYTES + 100))
    append(log, 0)
    append(log, 1)
    append(log, 2)
    log.close()
    assert len(log_files(tmp_path, 0)) == 2
    first = log_files(tmp_path, 0)[0]
    with_database(first.path, "DELETE FROM frames WHERE first_seq = 2")
    message = f"the end of {first.path.name} was expected before it: sequence 1"
    with pytest.raises(LogCorrupt, match=message):
        open_log(tmp_path)


def test_a_file_that_is_missing_in_the_middle_is_noticed(tmp_path):
    log = open_log(tmp_path, rotation=Rotation(max_file_bytes=1))
    for number in range(3):
        append(log, number)
    log.close()
    log_files(tmp_path, 0)[1].path.unlink()
    with pytest.raises(LogCorrupt, match="at sequence 2: the log goes on at 3 only"):
        list(SqliteLogReader(tmp_path).rows())


def test_a_disk_without_room_for_the_first_file_is_full(tmp_path):
    disk = Disk()
    disk.fail_with = sqlite3.SQLITE_FULL
    with pytest.raises(StorageFull):
        open_log(tmp_path, rotation=Rotation(open_database=disk.open))
    disk.fail_with = None
    open_log(tmp_path, rotation=Rotation(open_database=disk.open)).close()
