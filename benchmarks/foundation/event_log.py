"""G4 and G5: durable events per second and their cost, beside a log with a row per event.

The peer has the same writer thread, the same batches, the same shared future, the same pragmas and
the same tamper evidence; it only stores, and chains, one row per event instead of one per group. A
second peer leaves the chain out: less than our log promises, and shown for what grouping alone
gives. All run in turn on the same disk, and what each acknowledged is counted afterwards.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

import uvloop
from msgspec import Struct

from ringwork.kernel.clock import SystemClock
from ringwork.kernel.entropy import SystemEntropy
from ringwork.kernel.events import Event, decode_frames, encode_event, encode_frame
from ringwork.kernel.ports import Head, Row
from ringwork.storage.batch import SharedFuture
from ringwork.storage.chain import genesis, link
from ringwork.storage.sqlite.files import connect, connect_to_write
from ringwork.storage.sqlite.log import SqliteEventLog

Submit = Callable[[], asyncio.Future[None]]

# clients at a time, events per command
SHAPES: Final = {"512x1": (512, 1), "64x1": (64, 1), "64x20": (64, 20), "1x100": (1, 100), "1x1000": (1, 1000)}  # fmt: skip


class ImpressionBilled(Event, frozen=True, array_like=True):
    """About what a billed impression weighs."""

    TYPE: ClassVar[str] = "impression_billed"
    impression_id: bytes
    campaign_id: str
    price_nanos: int


class GroupRows:
    """Ours."""

    def __init__(self, directory: Path) -> None:
        self.log = SqliteEventLog.open(directory, clock=SystemClock(), entropy=SystemEntropy())
        self.commit_s: list[float] = []
        self.store = self.log._segment.append
        self.log._segment.append = self.timed_store  # type: ignore[method-assign]  # a stopwatch

    def timed_store(self, rows: Sequence[Row]) -> Head:
        started = time.perf_counter()
        head = self.store(rows)
        self.commit_s.append(time.perf_counter() - started)
        return head

    def submit(self, events: list[bytes]) -> Submit:
        return partial(self.log.append, encode_frame(events), len(events))

    def close(self) -> None:
        self.log.close()

    def stored(self) -> int:
        frames = (frame for row in self.log.rows() for frame in decode_frames(row.payload))
        return sum(len(frame.events) for frame in frames)


class RowPerEvent:
    """The peer: the same group commit, a row for every event."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self.path = directory / "events.db"
        self.connection = connect_to_write(self.path, connect)
        self.connection.execute(
            "CREATE TABLE events(seq INTEGER PRIMARY KEY, ts_us INTEGER NOT NULL,"
            " chain BLOB NOT NULL, payload BLOB NOT NULL) STRICT"
        )
        self.seq = 0
        self.chain = genesis(bytes(16), 0)
        self.wake = threading.Condition(threading.Lock())
        self.waiting: list[bytes] = []
        self.future: SharedFuture | None = None
        self.closing = False
        self.thread = threading.Thread(target=self.write)
        self.thread.start()

    def append(self, events: list[bytes]) -> asyncio.Future[None]:
        with self.wake:
            if self.future is None:
                self.future = SharedFuture(loop=asyncio.get_running_loop())
                self.wake.notify()
            self.waiting.extend(events)
            return self.future

    def submit(self, events: list[bytes]) -> Submit:
        return partial(self.append, events)

    def write(self) -> None:
        insert = "INSERT INTO events VALUES (?, ?, ?, ?)"
        while True:
            with self.wake:
                while self.future is None:
                    if self.closing:
                        return
                    self.wake.wait()
                events, self.waiting = self.waiting, []
                future, self.future = self.future, None
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.executemany(insert, self.rows(events, time.time_ns() // 1000))
            self.connection.execute("COMMIT")
            self.seq += len(events)
            future.get_loop().call_soon_threadsafe(future.set_result, None)

    def rows(self, events: list[bytes], ts_us: int) -> Iterator[tuple[int, int, bytes, bytes]]:
        chain = self.chain
        for seq, event in enumerate(events, self.seq + 1):
            chain = link(chain, seq, 1, ts_us, event)
            yield seq, ts_us, chain, event
        self.chain = chain

    def close(self) -> None:
        with self.wake:
            self.closing = True
            self.wake.notify()
        self.thread.join()
        self.connection.close()

    def stored(self) -> int:
        with closing(sqlite3.connect(self.path)) as reader:
            count: int = reader.execute("SELECT count(*) FROM events").fetchone()[0]
        return count


class RowPerEventUnchained(RowPerEvent):
    """The second peer, with an empty chain."""

    def rows(self, events: list[bytes], ts_us: int) -> Iterator[tuple[int, int, bytes, bytes]]:
        return ((seq, ts_us, b"", event) for seq, event in enumerate(events, self.seq + 1))


Kind = GroupRows | RowPerEvent
KINDS: Final[tuple[type[Kind], ...]] = (GroupRows, RowPerEvent, RowPerEventUnchained)


class Outcome(Struct, frozen=True):
    """One run."""

    events: int
    rate: float
    cpu_us: float
    p99_ack_s: float


def encoded(count: int) -> list[bytes]:
    return [
        encode_event(
            ImpressionBilled(bytes(16), "campaign-0001", 1_234_567 + number),
            id=bytes(16),
            ts_us=1_764_158_400_000_000,
            request_id=bytes(16),
            cause_id=bytes(16),
            tenant="main",
        )
        for number in range(count)
    ]


def drive(log: Kind, clients: int, per_command: int, seconds: float) -> Outcome:
    """``clients`` at a time, each waiting for its command before the next."""
    submit = log.submit(encoded(per_command))
    acks_s: list[float] = []
    clock, acknowledged = time.perf_counter, acks_s.append

    async def client(until: float) -> None:
        now = clock()
        while now < until:
            await submit()
            later = clock()
            acknowledged(later - now)
            now = later

    async def scenario() -> tuple[float, float]:
        started, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(client(started + seconds) for _ in range(clients)))
        return time.perf_counter() - started, time.process_time() - cpu

    wall_s, cpu_s = uvloop.run(scenario())
    events = len(acks_s) * per_command
    p99_s = statistics.quantiles(acks_s, n=100)[98]
    return Outcome(events, events / wall_s, cpu_s / events * 1e6, p99_s)


def syncs_per_second(directory: Path) -> float:
    """What the disk gives: 4 KiB appended and synced, again and again for a quarter of a second."""
    path = directory / "sync"
    with path.open("wb", buffering=0) as file:
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < 0.25:
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            count += 1
        elapsed = time.perf_counter() - started
    path.unlink()
    return count / elapsed


class Measured:
    """All runs of all shapes; figures are medians over the rounds."""

    def __init__(self, *, rounds: int, seconds: float) -> None:
        self.found: dict[str, dict[type[Kind], list[Outcome]]] = {
            name: {kind: [] for kind in KINDS} for name in SHAPES
        }
        self.ack_ratios: list[float] = []
        self.syncs: list[float] = []
        with tempfile.TemporaryDirectory(prefix="ringwork-bench-") as folder:
            for turn in range(rounds):
                self.syncs.append(syncs_per_second(Path(folder)))
                for name in SHAPES:
                    for kind in KINDS:
                        place = Path(folder) / f"{name}-{kind.__name__}-{turn}"
                        self.run_one(place, name, kind, seconds)

    def run_one(self, place: Path, name: str, kind: type[Kind], seconds: float) -> None:
        log = kind(place)
        outcome = drive(log, *SHAPES[name], seconds)
        log.close()
        assert log.stored() == outcome.events, "what was acknowledged is there, and no more"
        self.found[name][kind].append(outcome)
        if name == "64x1" and isinstance(log, GroupRows):
            self.ack_ratios.append(outcome.p99_ack_s / statistics.median(log.commit_s))

    def rate(self, name: str, kind: type[Kind] = GroupRows) -> float:
        return statistics.median(outcome.rate for outcome in self.found[name][kind])

    def cpu_us(self, name: str, kind: type[Kind] = GroupRows) -> float:
        return statistics.median(outcome.cpu_us for outcome in self.found[name][kind])

    def ratio(self, name: str, kind: type[Kind] = RowPerEvent) -> float:
        """The median of the rounds' ratios: the disk changes from one round to the next."""
        pairs = zip(self.found[name][GroupRows], self.found[name][kind], strict=True)
        return statistics.median(ours.rate / peer.rate for ours, peer in pairs)

    def show(self) -> None:
        """Print the table."""
        print(f"disk: {statistics.median(self.syncs):,.0f} fdatasync/s; events/s, CPU us per event")
        print(f"{'':8}{'group row':>20}{'row per event':>20}{'ratio':>7}{'without chain':>20}{'ratio':>7}")  # fmt: skip
        for name in SHAPES:
            cells = [f"{self.rate(name, kind):12,.0f} {self.cpu_us(name, kind):7.2f}" for kind in KINDS]  # fmt: skip
            ratios = [f"{self.ratio(name, kind):7.2f}" for kind in KINDS[1:]]
            print(f"{name:8}{cells[0]}{cells[1]}{ratios[0]}{cells[2]}{ratios[1]}")


def result(
    goal: str, measured: float, target: float, unit: str, *, at_most: bool = False
) -> dict[str, object]:
    """One goal as it is reported."""
    ok = measured <= target if at_most else measured >= target
    return {"goal": goal, "measured": round(measured, 2), "target": target, "unit": unit, "ok": ok}


def run(quick: bool) -> list[dict[str, object]]:
    """Measure, print the table, return the goals."""
    found = Measured(rounds=2, seconds=0.3) if quick else Measured(rounds=7, seconds=0.7)
    found.show()
    goals = []
    for name, target in (("512x1", 1.5), ("64x20", 2.5), ("1x1000", 2.5)):
        ratio = found.ratio(name)
        goal = result(f"G4 events/s over a row per event, {name}", ratio, target, "x")
        goals.append({**goal, "peer": _peer_rates(found, name), "ratio": round(ratio, 2)})
    for name, floor in (("1x100", 20_000), ("1x1000", 150_000)):
        goal = result(f"G4 durable events/s, {name}", found.rate(name), floor, "1/s")
        goals.append(
            {**goal, "peer": _peer_rates(found, name), "ratio": round(found.ratio(name), 2)}
        )
    for name, target in (("64x20", 1.2), ("512x1", 5.0)):
        cpu_us, peer_us = found.cpu_us(name), found.cpu_us(name, RowPerEvent)
        goal = result(f"G5 CPU per event, {name}", cpu_us, target, "us", at_most=True)
        peer = f"row per event: {peer_us:.2f} us"
        goals.append({**goal, "peer": peer, "ratio": round(cpu_us / peer_us, 2)})
    ack = statistics.median(found.ack_ratios)
    goal = result("G5 p99 acknowledgement over median commit, 64x1", ack, 5.0, "x", at_most=True)
    return [*goals, goal]


def _peer_rates(found: Measured, name: str) -> str:
    unchained = found.rate(name, RowPerEventUnchained)
    return (
        f"row per event: {found.rate(name, RowPerEvent):,.0f}/s; without a chain: "
        f"{unchained:,.0f}/s ({found.ratio(name, RowPerEventUnchained):.2f} x)"
    )
