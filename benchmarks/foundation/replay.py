"""G6: how fast a log is read back, decoded and folded, and how long a restart takes.

Every row is checked against the chain while it is read. The log holds what billing writes: per
impression a pending transfer, the impression and the post that charges it, in frames of their own.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import takewhile
from pathlib import Path
from typing import Final

from benchmarks.foundation.event_log import ImpressionBilled, result
from ringwork.kernel.clock import SystemClock
from ringwork.kernel.entropy import SeededEntropy, SystemEntropy
from ringwork.kernel.events import Event, EventTypes, decode_frames, encode_event, encode_frame
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Journal, appliers_of, replay
from ringwork.kernel.ledger import AccountOpened, Ledger, TransferCreated
from ringwork.kernel.ports import Row
from ringwork.storage.memory import MemorySnapshots
from ringwork.storage.sqlite.log import SqliteEventLog
from ringwork.storage.sqlite.reader import SqliteLogReader

TYPES: Final = EventTypes([*Ledger.hears, ImpressionBilled])
_WAITING_EVENTS: Final = 30_000


class Writer:
    """Frames as the platform writes them, at a time that advances."""

    def __init__(self, log: SqliteEventLog) -> None:
        self.log = log
        self.ids = IdGenerator(SystemClock(), SeededEntropy(6))
        self.ts_us = 1_764_158_400_000_000
        self.written = 0

    def append(self, *events: Event) -> asyncio.Future[None]:
        request_id = self.ids.new()
        self.ts_us += 20_000  # about 25 impressions a second
        encoded = [
            encode_event(
                event,
                id=self.ids.new(),
                ts_us=self.ts_us,
                request_id=request_id,
                cause_id=None,
                tenant="main",
            )
            for event in events
        ]
        self.written += len(events)
        return self.log.append(encode_frame(encoded), len(events))

    async def write(self, count: int) -> None:
        """At least ``count`` events, waiting now and then so that the queue stays bounded."""
        accounts = (AccountOpened("cash", "EUR", False), AccountOpened("rev", "EUR", False))
        future = self.append(*accounts)
        number = 0
        while self.written < count:
            hold = f"h{number}"
            self.append(TransferCreated(hold, "pending", "cash", "rev", 5_000_000, "EUR", "", 900))
            future = self.append(
                ImpressionBilled(bytes(16), "campaign-0001", 4_000_000),
                TransferCreated(f"p{number}", "post", "", "", 4_000_000, "", hold),
            )
            number += 1
            if number % (_WAITING_EVENTS // 3) == 0:
                await future
        await future


def timed(call: Callable[[], int]) -> float:
    """Events per CPU second of one pass: one thread that never waits."""
    started = time.process_time()
    events = call()
    return events / (time.process_time() - started)


def chain_only(reader: SqliteLogReader) -> int:
    return sum(row.count for row in reader.rows())


def decode_all(reader: SqliteLogReader) -> int:
    """Envelopes and payloads of every event."""
    events, decode = 0, TYPES.decode
    for row in reader.rows():
        for frame in decode_frames(row.payload):
            for envelope in frame.events:
                decode(envelope)
                events += 1
    return events


class Fold:
    """The ledger folded in two parts, with the snapshot between them that a restart begins from."""

    def __init__(self, reader: SqliteLogReader, snapshot_seq: int) -> None:
        self.ledger = Ledger()
        rows = iter(reader.rows())
        started = time.process_time()
        self.passed = self.replay(takewhile(lambda row: row.first_seq <= snapshot_seq, rows))
        elapsed = time.process_time() - started
        self.snapshots = MemorySnapshots()
        name = f"{self.ledger.name}/{self.ledger.version}"
        self.snapshots.save(self.passed, {name: self.ledger.dump()})
        rest = reader.rows(self.passed)
        started = time.process_time()
        self.passed += self.replay(rest)
        self.rate = self.passed / (elapsed + time.process_time() - started)
        sums = self.ledger.trial_balance()["EUR"]
        charged = (self.passed - 2) // 3 * 4_000_000
        assert sums["debits_posted"] == sums["credits_posted"] == charged, "not what was written"

    def replay(self, rows: Iterable[Row]) -> int:
        return replay(rows, TYPES, appliers_of([self.ledger]))


def restart_s(directory: Path, folded: Fold) -> float:
    """Open the log, load the snapshot, fold the rest: what stands between a start and ready."""
    started = time.perf_counter()
    log = SqliteEventLog.open(directory, clock=SystemClock(), entropy=SystemEntropy())
    ledger = Ledger()
    journal = Journal(
        log=log,
        types=TYPES,
        folds=[ledger],
        clock=SystemClock(),
        ids=IdGenerator(SystemClock(), SystemEntropy()),
        snapshots=folded.snapshots,
    )
    journal.refold()
    elapsed = time.perf_counter() - started
    log.close()
    assert ledger.trial_balance() == folded.ledger.trial_balance(), "restarted with other balances"
    return elapsed


def run(quick: bool) -> list[dict[str, object]]:
    """Measure, print the table, return the goals."""
    events = 150_000 if quick else 10_000_000
    tail = events // 100
    with tempfile.TemporaryDirectory(prefix="ringwork-bench-") as folder:
        directory = Path(folder) / "log"
        log = SqliteEventLog.open(directory, clock=SystemClock(), entropy=SystemEntropy())
        asyncio.run(Writer(log).write(events))
        log.close()
        reader = SqliteLogReader(directory)
        rounds = 3 if quick else 1
        chain = max(timed(lambda: chain_only(reader)) for _ in range(rounds))
        decode = max(timed(lambda: decode_all(reader)) for _ in range(rounds))
        folds = [Fold(reader, events - tail) for _ in range(rounds)]
        fold = max(each.rate for each in folds)
        ready_s = restart_s(directory, folds[0])
    print(f"{events:,} events: chain {chain:,.0f}/s, decoded {decode:,.0f}/s, folded {fold:,.0f}/s")
    print(f"restart with a snapshot {tail:,} events behind: {ready_s:.2f} s")
    limit = f"chain only: {chain:,.0f}/s"
    size = f"{events / 1e6:g} M events"
    return [
        {
            **result("G6 replay, chain and decode", decode, 700_000, "1/s"),
            "peer": limit,
            "ratio": round(decode / chain, 2),
        },
        {
            **result("G6 replay, with the ledger", fold, 300_000, "1/s"),
            "peer": limit,
            "ratio": round(fold / chain, 2),
        },
        result(f"G6 restart with a snapshot, {size}", ready_s, 3.0, "s", at_most=True),
    ]
