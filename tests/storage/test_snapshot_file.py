"""The snapshot's file: complete or the old one, whole or not used."""

import errno
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.kernel.errors import LogCorrupt, StorageFull
from ringwork.storage import snapshot_file
from ringwork.storage.snapshot_file import FileSnapshots

OLD = (5, {"ledger/1": b"five", "answers/1": b""})
NEW = (9, {"ledger/1": bytes(range(256)) * 20, "answers/1": b"nine"})


def test_the_format_byte_for_byte(tmp_path):
    """By hand; the checksum is the one that ``gzip`` writes after the same bytes."""
    FileSnapshots(tmp_path).save(7, {"a/1": b"state"})
    header = b"\x92\x07\x91\x92\xa3a/1\x05"
    body = b"ringwork snapshot 1\n" + b"\x00\x00\x00\x09" + header + b"state"
    assert (tmp_path / "snapshot.bin").read_bytes() == body + bytes.fromhex("86fddd33")


names = st.text(max_size=20)


@given(
    st.integers(1, 2**62), st.dictionaries(names, st.binary(max_size=300), max_size=6), st.data()
)
def test_what_is_loaded_is_what_was_saved_or_nothing(tmp_path_factory, seq, states, data):
    directory = tmp_path_factory.mktemp("s")
    snapshots = FileSnapshots(directory, piece_bytes=data.draw(st.integers(1, 100)))
    snapshots.save(*OLD)
    snapshots.save(seq, states)
    expected = (seq, states) if states else (0, {})
    assert snapshots.read() == snapshots.load() == expected

    stopped = snapshots.saving(*NEW)
    steps = data.draw(st.integers(0, 150))
    is_complete = sum(1 for _ in islice(stopped, steps)) < steps
    del stopped
    assert snapshots.read() == (NEW if is_complete else expected)
    assert [path.name for path in directory.iterdir()] == ["snapshot.bin"]


@given(st.data())
def test_any_byte_that_is_other_and_any_end_that_is_missing_is_noticed(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("s")
    snapshots, path = FileSnapshots(directory), directory / "snapshot.bin"
    snapshots.save(*OLD)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    other = bytes([whole[at] ^ data.draw(st.integers(1, 255))])
    for damaged in (whole[:at] + other + whole[at + 1 :], whole[:at], whole + other):
        path.write_bytes(damaged)
        with pytest.raises(LogCorrupt, match=r"snapshot\.bin: .*the log is folded from its start"):
            snapshots.read()
        assert snapshots.load() == (0, {})
    snapshots.save(*NEW)
    assert snapshots.read() == NEW, "the next one replaces it"


def test_a_file_of_another_format_is_named_and_not_used(tmp_path, caplog):
    (tmp_path / "snapshot.bin").write_bytes(b"ringwork snapshot 2\n" + b"who knows")
    assert FileSnapshots(tmp_path).load() == (0, {})
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "begins with b'ringwork snapshot 2" in record.message
    assert "which may also be removed" in record.message


def test_sizes_are_not_trusted(tmp_path):
    """A damaged header asks for no more memory than the file has bytes."""
    (tmp_path / "snapshot.bin").write_bytes(
        b"ringwork snapshot 1\n" + b"\xff\xff\xff\xff" + b"x" * 50
    )
    with pytest.raises(LogCorrupt, match="4294967295 more bytes were expected, 50 are there"):
        FileSnapshots(tmp_path).read()


def test_each_piece_is_on_disk_before_the_next(tmp_path, monkeypatch):
    synced: list[int] = []

    def fdatasync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(snapshot_file.os, "fdatasync", fdatasync)
    snapshots = FileSnapshots(tmp_path, piece_bytes=1000)
    for steps, _ in enumerate(snapshots.saving(*NEW), 1):
        assert len(synced) == steps
        (partial,) = tmp_path.iterdir()
        assert synced[-1] == partial.stat().st_size
    gaps = [b - a for a, b in zip([0, *synced], synced, strict=False)]
    assert len(gaps) == 6
    assert max(gaps) < 2000


def full(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def broken(descriptor: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize(("disk", "error"), [(full, StorageFull), (broken, OSError)])
def test_a_disk_that_refuses_leaves_the_old_one_and_no_rest(tmp_path, monkeypatch, disk, error):
    snapshots = FileSnapshots(tmp_path, piece_bytes=1000)
    snapshots.save(*OLD)
    saving = snapshots.saving(*NEW)
    next(saving)
    with monkeypatch.context() as patched:
        patched.setattr(snapshot_file.os, "fdatasync", disk)
        with pytest.raises(error):
            next(saving)
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot.bin"]
    assert snapshots.read() == OLD
    snapshots.save(*NEW)
    assert snapshots.read() == NEW


KILLED = """
import os, signal, sys
from pathlib import Path
from ringwork.storage.snapshot_file import FileSnapshots
seq, states = FileSnapshots(Path(sys.argv[1])).read()
saving = FileSnapshots(Path(sys.argv[1]), piece_bytes=1000).saving(9, {"ledger/1": b"n" * 5000})
for step in range(int(sys.argv[2])):
    next(saving)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("step", range(1, 7))
def test_killed_at_any_piece_it_leaves_the_old_one(tmp_path, step):
    snapshots = FileSnapshots(tmp_path)
    snapshots.save(*OLD)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(step)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2, "and what it had written"
    assert snapshots.read() == OLD
    snapshots.clean()
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot.bin"]
    snapshots.save(*NEW)
    assert snapshots.read() == NEW


def test_two_that_write_at_once_do_not_mix(tmp_path, monkeypatch):
    """The follower of a server that was killed, and the next server's."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    orphan = FileSnapshots(tmp_path, piece_bytes=1000).saving(*NEW)
    next(orphan)
    monkeypatch.setattr(os, "getpid", lambda: 2)
    ours = FileSnapshots(tmp_path)
    ours.clean()
    ours.save(*OLD)
    with pytest.raises(FileNotFoundError):
        list(orphan)
    assert ours.read() == OLD


def test_a_directory_that_is_not_there_has_none():
    snapshots = FileSnapshots(Path("/nowhere"))
    assert (snapshots.load(), snapshots.size_bytes) == ((0, {}), 0)
