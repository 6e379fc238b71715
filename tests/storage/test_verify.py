"""Verification reports every change of a log that matters, and salvage keeps what is sound."""

import json
import re
import shutil
import sqlite3

import pytest

from ringwork.kernel.errors import LogCorrupt, RingworkError
from ringwork.kernel.events import EventTypes, encode_frame
from ringwork.storage.chain import link
from ringwork.storage.sqlite.anchor import write_anchor
from ringwork.storage.sqlite.files import connect, log_files
from ringwork.storage.sqlite.reader import SqliteLogReader
from ringwork.storage.sqlite.segment import Rotation
from ringwork.storage.sqlite.verify import salvage, verify
from ringwork.testing.check_event_log import TYPES, numbers, ticks
from tests.storage.disks import EMPTY_FILE_BYTES, append, open_log


@pytest.fixture
def directory(tmp_path):
    """Three files: events 1 to 30, 31 to 60, 61 to 90, in rows of ten."""
    log = open_log(tmp_path / "log", rotation=Rotation(max_file_bytes=EMPTY_FILE_BYTES + 1200))
    for first in range(0, 90, 10):
        append(log, first, 10)
    log.close()
    assert [file.first_seq for file in log_files(tmp_path / "log", 0)] == [1, 31, 61]
    return tmp_path / "log"


def change(directory, index, statement):
    connection = sqlite3.connect(log_files(directory, 0)[index].path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_sound_log(directory):
    seen = []
    report = verify(directory, TYPES, lambda *checked: seen.append(checked))
    assert report.is_sound
    assert report.events == 90
    (partition,) = report.partitions
    assert (partition.files, partition.rows, partition.head_seq) == (3, 9, 90)
    assert bytes.fromhex(partition.head_chain) == SqliteLogReader(directory).head.chain
    assert seen == [(events, 90) for events in range(10, 100, 10)]


def test_verification_changes_nothing(directory):
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    verify(directory, TYPES)
    after = {path.name: path.read_bytes() for path in directory.iterdir()}
    # SQLite's empty WAL and its index are what a reader of a file in WAL mode leaves.
    assert {name for name in after if name not in before} <= {
        "p0-00000000000000000061.db-shm",
        "p0-00000000000000000061.db-wal",
    }
    assert after["p0-00000000000000000061.db-wal"] == b""
    assert {name: after[name] for name in before} == before


def test_a_log_is_verified_beside_its_writer(tmp_path):
    log = open_log(tmp_path)
    append(log, 0, 10)
    assert verify(tmp_path, TYPES).events == 10
    append(log, 10, 10)
    assert verify(tmp_path, TYPES).events == 20
    log.close()


def test_events_of_unknown_types_are_no_defect(directory):
    assert verify(directory, EventTypes()).is_sound


def test_where_there_is_no_log(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RingworkError, match="no event log here"):
            verify(place, TYPES)


CHANGES = [
    (0, "UPDATE frames SET payload = x'90' WHERE first_seq = 11", 11, "the chain"),
    (1, "UPDATE frames SET ts_us = ts_us + 1 WHERE first_seq = 41", 41, "the chain"),
    (1, "DELETE FROM frames WHERE first_seq = 41", 41, "a row that starts here"),
    (1, "DELETE FROM frames", 31, "the log goes on at 61 only"),
    (1, "UPDATE meta SET value = zeroblob(32) WHERE key = 'prev_chain'", 31, "file before"),
    (2, "DELETE FROM frames WHERE first_seq = 81", 81, "its anchor is at 90"),
    (2, "DELETE FROM meta", 61, "meta rows"),
    (2, "UPDATE meta SET value = x'70' WHERE key = 'prev_file'", 61, "was expected before it"),
]


@pytest.mark.parametrize(("index", "statement", "seq", "expected"), CHANGES)
def test_a_change_is_reported_where_it_is(directory, index, statement, seq, expected):
    change(directory, index, statement)
    report = verify(directory, TYPES)
    (partition,) = report.partitions
    assert not report.is_sound
    assert partition.defect.seq == seq
    assert expected in partition.defect.expected
    if "anchor" not in expected and "only" not in expected:
        assert partition.defect.file == log_files(directory, 0)[index].path.name


def replaced_row(directory, payload):
    """The last row with another payload and a chain that fits, as a faulty writer would have it."""
    path = log_files(directory, 0)[2].path
    connection = connect(str(path))
    query = "SELECT chain FROM frames WHERE first_seq = 71"
    previous = connection.execute(query).fetchone()[0]
    chain = link(previous, 81, 10, 5, payload)
    connection.execute(
        "UPDATE frames SET payload = ?, chain = ?, ts_us = 5 WHERE first_seq = 81", (payload, chain)
    )
    connection.close()
    (directory / "anchor.json").unlink()


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"\x91", "frames were expected"),
        (b"\x91" + ticks(1, 3), r"10 events were expected, its frames hold \[3\]"),
        (b"\x92" + ticks(1, 10) + encode_frame([]), r"its frames hold \[10, 0\]"),
        (b"\x91" + ticks(1, 10).replace(b"\xa6ticked\x01\xc4", b"\xa6ticked\x02\xc4"), None),
        (b"\x91" + ticks(1, 10).replace(b"\x92\x05", b"\x92\xa1"), "frames were expected"),
    ],
)
def test_rows_that_hold_no_frames_are_reported(directory, payload, expected):
    replaced_row(directory, payload)
    (partition,) = verify(directory, TYPES).partitions
    if expected is None:
        assert partition.defect is None
        return
    assert partition.defect.seq == 81
    assert re.search(expected, partition.defect.expected)


def test_a_payload_of_the_wrong_shape_is_reported(directory):
    replaced_row(
        directory, b"\x91" + ticks(1, 10).replace(b"\x92\x05\xc4\x00", b"\x92\xc0\xc4\x00")
    )
    (partition,) = verify(directory, TYPES).partitions
    assert "ticked v1" in partition.defect.expected


def outcome(directory):
    """What a reader makes of a log: the numbers, or where it stops; never another error."""
    report = verify(directory, TYPES)
    try:
        return report.is_sound, numbers(SqliteLogReader(directory))
    except LogCorrupt:
        return report.is_sound, None


@pytest.mark.parametrize("kind", ["closed", "open"])
def test_every_flipped_byte_is_reported_or_harmless(tmp_path, kind):
    log = open_log(tmp_path / "log", rotation=Rotation(max_file_bytes=EMPTY_FILE_BYTES + 1000))
    for first in range(0, 50, 10):
        append(log, first, 10)
    if kind == "closed":
        log.close()
    else:
        write_anchor(tmp_path / "log", log.head)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "log", copy)
    log.close()
    intact = {path.name: path.read_bytes() for path in copy.iterdir()}
    flipped = reported = 0
    for name, content in intact.items():
        if name.endswith((".lock", "-shm")) or not content:
            continue
        for position in positions(content):
            damaged = bytearray(content)
            damaged[position] ^= 0x21
            for other, bytes_ in intact.items():
                (copy / other).write_bytes(bytes(damaged) if other == name else bytes_)
            is_sound, found = outcome(copy)
            assert not is_sound or found == list(range(50)), (name, position)
            flipped += 1
            reported += not is_sound
    assert flipped > 300
    assert reported > flipped / 10


def positions(content: bytes) -> list[int]:
    """Every byte of the headers, and a sample of all others."""
    header = min(len(content), 100)
    return [*range(header), *range(header, len(content), max(len(content) // 60, 1))]


@pytest.mark.parametrize(("index", "statement", "seq", "expected"), CHANGES)
def test_salvage_copies_the_sound_beginning(directory, tmp_path, index, statement, seq, expected):
    change(directory, index, statement)
    out = tmp_path / "out"
    report = salvage(directory, out, TYPES)
    sound = 90 if "before it" in expected else (61 if seq == 61 else seq) - 1
    assert report.events == sound
    log = open_log(out)
    assert numbers(log) == list(range(sound))
    append(log, sound)
    log.close()
    assert verify(out, TYPES).is_sound
    written = json.loads((out / "report.json").read_bytes())
    assert written["partitions"][0]["defect"]["seq"] == seq


def test_salvage_of_a_sound_log_is_a_copy(directory, tmp_path):
    salvage(directory, tmp_path / "out", TYPES)
    rows = [list(SqliteLogReader(place).rows()) for place in (directory, tmp_path / "out")]
    assert rows[0] == rows[1]
    names = [
        [file.path.name for file in log_files(place, 0)] for place in (directory, tmp_path / "out")
    ]
    assert names[0] == names[1]


def test_salvage_overwrites_nothing(directory):
    with pytest.raises(RingworkError, match="an empty or new directory was expected"):
        salvage(directory, directory, TYPES)


def test_salvage_of_a_log_that_is_unreadable_from_its_first_byte(directory, tmp_path):
    log_files(directory, 0)[0].path.write_bytes(b"no database")
    report = salvage(directory, tmp_path / "out", TYPES)
    assert (report.events, report.is_sound) == (0, False)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.json"]
