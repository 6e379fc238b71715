"""The log above a disk that is slow, full or failing, and what survives kill -9."""

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ringwork.kernel.errors import Busy, StorageFull, Unavailable
from ringwork.storage.sqlite import log as log_module
from ringwork.storage.sqlite.files import connect, log_files
from ringwork.storage.sqlite.log import exit_at_once
from ringwork.storage.sqlite.segment import Rotation
from ringwork.testing.check_event_log import (
    check_chain,
    numbers,
    ticks,
    until_admitted,
)
from tests.storage.disks import Disk, append, open_log

REPOSITORY = Path(__file__).parents[2]


def names(directory, pattern="p0-*"):
    return sorted(path.name for path in directory.glob(pattern))


# ---- the disk -----------------------------------------------------------------------------------
def test_while_the_disk_is_slow_answers_wait_and_groups_form(tmp_path):
    disk = Disk()
    log = open_log(tmp_path, rotation=Rotation(open_database=disk.open))

    async def scenario():
        await log.append(ticks(0), 1)
        before = disk.commits
        with disk.stall():
            disk.forget_arrivals()
            first = log.append(ticks(1), 1)
            await asyncio.to_thread(disk.arrived.acquire)
            waiting = [asyncio.ensure_future(log.append(ticks(2 + n), 1)) for n in range(640)]
            await asyncio.sleep(0)
            assert not first.done()
            assert not any(future.done() for future in waiting)
            assert log.head.seq == 1
            assert log.waiting_events == 641
        await asyncio.gather(first, *waiting)
        assert disk.commits - before <= 3, "641 answers, at most three syncs"

    asyncio.run(scenario())
    log.close()
    assert numbers(log) == list(range(642))


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_BUSY])
def test_after_a_failed_sync_nothing_is_acknowledged(tmp_path, code):
    disk, fatal = Disk(), []
    log = open_log(tmp_path, rotation=Rotation(open_database=disk.open), on_fatal=fatal.append)

    async def scenario():
        await log.append(ticks(0), 1)
        disk.fail_with = code
        with disk.stall():
            futures = {log.append(ticks(n), 1) for n in (1, 2)}
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
        with pytest.raises(Unavailable, match="restart"):
            log.admit()

    asyncio.run(scenario())
    assert [error.sqlite_errorcode for error in fatal] == [code]
    log.close()
    disk.connections[-1].close()  # what the end of the process would have done
    again = open_log(tmp_path)
    assert numbers(again) == [0]
    again.close()


def test_a_failed_sync_ends_the_process_with_status_3():
    program = "from ringwork.storage.sqlite.log import exit_at_once; exit_at_once(OSError('gone'))"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == 3
    assert b"nothing more is acknowledged: OSError('gone')" in ended.stderr
    assert ended.stderr.count(b"\n") == 1
    assert log_module.SqliteEventLog.open.__kwdefaults__["on_fatal"] is exit_at_once


def test_sqlite_itself_runs_out_of_pages_and_recovers(tmp_path):
    connections = []

    def small(path):
        connections.append(connect(path))
        connections[-1].execute("PRAGMA max_page_count = 64")
        return connections[-1]

    log = open_log(tmp_path, rotation=Rotation(open_database=small))

    async def scenario():
        async def write_until_it_fails():
            nonlocal stored
            while True:
                await log.append(ticks(stored, 1, filling=bytes(20_000)), 1)
                stored += 1

        stored = 0
        with pytest.raises(StorageFull):
            await write_until_it_fails()
        assert 5 <= stored <= 12
        assert log.next_seq == log.head.seq + 1 == stored + 1
        with pytest.raises(StorageFull):
            log.admit()
        assert numbers(log) == list(range(stored))
        connections[-1].execute("PRAGMA max_page_count = 10000")
        await until_admitted(log)
        await log.append(ticks(stored, 1, filling=bytes(20_000)), 1)
        assert numbers(log) == list(range(stored + 1))
        check_chain(log)

    asyncio.run(scenario())
    log.close()


def test_a_log_that_closes_while_full_fails_what_waits(tmp_path):
    disk = Disk()
    log = open_log(tmp_path, rotation=Rotation(open_database=disk.open), probe_interval_s=60)

    async def scenario():
        disk.fail_with = sqlite3.SQLITE_FULL
        with disk.stall():
            futures = {log.append(ticks(n), 1) for n in range(3)}
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert all(isinstance(outcome, StorageFull) for outcome in outcomes)
        log.close()
        with pytest.raises(Unavailable, match="closed"):
            log.append(ticks(0), 1)

    asyncio.run(scenario())
    log.close()


def test_what_is_queued_behind_a_batch_that_finds_no_room_fails_with_it(tmp_path):
    disk = Disk()
    log = open_log(tmp_path, rotation=Rotation(open_database=disk.open))

    async def scenario():
        disk.fail_with = sqlite3.SQLITE_FULL
        with disk.stall():
            failing = log.append(ticks(0), 1)
            await asyncio.to_thread(disk.arrived.acquire)
            behind = log.append(ticks(1), 1)
            assert behind is not failing
        for outcome in await asyncio.gather(failing, behind, return_exceptions=True):
            assert isinstance(outcome, StorageFull)
        assert log.next_seq == 1

    asyncio.run(scenario())
    log.close()
    assert numbers(log) == []


def test_a_probe_that_fails_for_another_reason_is_fatal(tmp_path):
    disk, fatal = Disk(), []
    log = open_log(tmp_path, rotation=Rotation(open_database=disk.open), on_fatal=fatal.append)

    async def scenario():
        disk.fail_with = sqlite3.SQLITE_FULL
        with pytest.raises(StorageFull):
            await log.append(ticks(0), 1)
        disk.fail_with = sqlite3.SQLITE_IOERR_WRITE

    asyncio.run(scenario())
    log._writer.join()
    assert [error.sqlite_errorcode for error in fatal] == [sqlite3.SQLITE_IOERR_WRITE]
    with pytest.raises(Unavailable, match="restart"):
        log.admit()
    disk.connections[-1].close()


def test_room_that_is_found_while_the_log_closes_opens_nothing_again(tmp_path):
    disk = Disk()
    log = open_log(tmp_path, rotation=Rotation(open_database=disk.open))

    async def scenario():
        disk.fail_with = sqlite3.SQLITE_FULL
        with pytest.raises(StorageFull):
            await log.append(ticks(0), 1)
        disk.forget_arrivals()
        disk.fail_with = None
        disk.arrived.acquire()  # the probe is being stored, and this loop does not turn meanwhile
        log.close()
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="closed"):
            log.admit()

    asyncio.run(scenario())


def test_a_reader_at_the_end_keeps_nothing_from_being_found_again(tmp_path):
    log = open_log(tmp_path)
    append(log, 0)
    reader = log.rows()
    next(reader)
    log.close()
    again = open_log(tmp_path)
    append(again, 1)
    reader.close()
    again.close()
    assert numbers(again) == [0, 1]


def test_a_new_file_that_finds_no_room_is_begun_later(tmp_path):
    disk = Disk()
    log = open_log(tmp_path, rotation=Rotation(max_file_bytes=1, open_database=disk.open))
    append(log, 0)

    async def scenario():
        disk.fail_with = sqlite3.SQLITE_FULL
        with pytest.raises(StorageFull):
            await log.append(ticks(1), 1)
        disk.fail_with = None
        await until_admitted(log)

    asyncio.run(scenario())
    append(log, 1)
    log.close()
    assert len(log_files(tmp_path, 0)) == 2
    assert numbers(log) == [0, 1]


def test_what_is_appended_before_close_is_stored(tmp_path):
    log = open_log(tmp_path)

    async def scenario():
        futures = {log.append(ticks(n), 1) for n in range(100)}
        log.close()
        await asyncio.gather(*futures)

    asyncio.run(scenario())
    assert numbers(log) == list(range(100))


async def until_refused(log):
    for _ in range(10_000):
        try:
            log.admit()
        except StorageFull:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("the log still admits")


def test_a_loop_that_is_gone_does_not_stop_the_log(tmp_path):
    disk = Disk()
    log = open_log(tmp_path, rotation=Rotation(open_database=disk.open))

    async def leave(number):
        disk.forget_arrivals()
        log.append(ticks(number), 1)
        await asyncio.to_thread(disk.arrived.acquire)

    with disk.stall():
        asyncio.run(leave(0))
    append(log, 1)
    assert numbers(log) == [0, 1]
    disk.fail_with = sqlite3.SQLITE_FULL
    with disk.stall():
        asyncio.run(leave(2))
    asyncio.run(until_refused(log))
    disk.fail_with = None
    asyncio.run(until_admitted(log))
    append(log, 3)
    assert numbers(log) == [0, 1, 3]
    log.close()


# ---- one writer ---------------------------------------------------------------------------------
def test_a_second_writer_is_refused_and_the_first_goes_on(tmp_path):
    log = open_log(tmp_path)
    with pytest.raises(Busy, match="another process"):
        open_log(tmp_path)
    program = (
        "import sys; from pathlib import Path; from tests.storage.disks import open_log;"
        "open_log(Path(sys.argv[1]))"
    )
    second = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=REPOSITORY, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert b"Busy" in second.stderr
    append(log, 0)
    log.close()
    open_log(tmp_path).close()


@pytest.mark.parametrize("round_number", range(10))
def test_what_was_acknowledged_survives_kill_9(tmp_path, round_number):
    rng = random.Random(round_number)
    acknowledged: list[int] = []
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.storage.writer", str(tmp_path)],
            cwd=REPOSITORY, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        lines = range(rng.randrange(1, 200))
        acknowledged += [int(process.stdout.readline()) for _ in lines]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
        process.wait()
        process.stdout.close()
    log = open_log(tmp_path)
    assert numbers(log) == list(range(1, log.next_seq)), "whole frames, in order, none twice"
    assert log.head.seq % 3 == 0
    assert log.head.seq >= max(acknowledged)
    check_chain(log)
    log.close()
