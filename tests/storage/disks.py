"""SQLite connections whose disk stalls, fills up or fails when a test says so."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.ports import EventLog, Row
from ringwork.storage.memory import MemoryEventLog
from ringwork.storage.sqlite.log import SqliteEventLog
from ringwork.storage.sqlite.segment import Rotation
from ringwork.testing.check_event_log import ticks

EMPTY_FILE_BYTES = 4 * 4096


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("injected")
    error.sqlite_errorcode = code
    return error


class Disk:
    """Faults of the disk below a log: every commit goes through here."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.running.set()
        self.arrived = threading.Semaphore(0)
        self.commits = 0
        self.fail_with: int | None = None
        """A SQLite result code for every commit from now on."""
        self.connections: list[sqlite3.Connection] = []

    def commit(self) -> None:
        fail_with = self.fail_with
        self.arrived.release()
        assert self.running.wait(30)
        if fail_with is not None:
            raise sqlite_error(fail_with)
        self.commits += 1

    def forget_arrivals(self) -> None:
        """From now on ``arrived`` counts commits that begin later."""
        while self.arrived.acquire(blocking=False):
            pass

    @contextmanager
    def stall(self) -> Iterator[None]:
        self.running.clear()
        try:
            yield
        finally:
            self.running.set()

    def open(self, path: str) -> sqlite3.Connection:
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, parameters: tuple[object, ...] = ()) -> sqlite3.Cursor:
                # Outside a transaction a statement that writes is one by itself.
                if sql == "COMMIT" or (sql.startswith("INSERT") and not self.in_transaction):
                    disk.commit()
                return super().execute(sql, parameters)

        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, factory=Connection
        )
        self.connections.append(connection)
        return connection


def open_log(directory: Path, **options: object) -> SqliteEventLog:
    """A log with a clock that stands still; ``rotation`` and the other options as they come."""
    options.setdefault("clock", ManualClock())
    options.setdefault("entropy", SeededEntropy(7))
    options.setdefault("probe_interval_s", 0.001)
    return SqliteEventLog.open(directory, **options)


def append(log: EventLog, first: int, count: int = 1, *, filling: bytes = b"") -> None:
    """Append one frame of numbered events in a loop of its own."""

    async def one() -> None:
        await log.append(ticks(first, count, filling=filling), count)

    asyncio.run(one())


def until(is_so: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    for _ in range(10_000):
        if is_so():
            return
        time.sleep(0.001)
    raise AssertionError("it did not come about")


class MemoryHarness:
    def __init__(self, directory: Path) -> None:
        self.rows: list[Row] = []

    def open(self) -> MemoryEventLog:
        return MemoryEventLog(clock=ManualClock(), rows=self.rows)

    def close(self, log: EventLog) -> None:
        pass

    @contextmanager
    def stall(self) -> Iterator[None]:
        yield

    def fill(self, log: MemoryEventLog) -> None:
        log.capacity_bytes = 1

    def free(self, log: MemoryEventLog) -> None:
        log.capacity_bytes = None


class SqliteHarness:
    """On a disk that a test can stall and fill."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "log"
        self.disk = Disk()

    def open(self) -> SqliteEventLog:
        return open_log(self.directory, rotation=Rotation(open_database=self.disk.open))

    def close(self, log: SqliteEventLog) -> None:
        log.close()

    def stall(self):
        return self.disk.stall()

    def fill(self, log: EventLog) -> None:
        self.disk.fail_with = sqlite3.SQLITE_FULL

    def free(self, log: EventLog) -> None:
        self.disk.fail_with = None


class RotatingHarness(SqliteHarness):
    """A new file for every batch."""

    def open(self) -> SqliteEventLog:
        rotation = Rotation(max_file_bytes=1, open_database=self.disk.open)
        return open_log(self.directory, rotation=rotation)
