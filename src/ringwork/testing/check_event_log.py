"""The conformance suite of the EventLog port: what every adapter promises, tried through the port.

An adapter's author writes one ``LogHarness`` and runs every check, each on a fresh harness::

    @pytest.mark.parametrize("check", EVENT_LOG_CHECKS)
    def test_event_log(check, tmp_path):
        check(MyHarness(tmp_path))

or ``check_event_log(make_harness)`` for all. Chain and frames are recomputed here with hashlib and
the kernel's codecs, never with the adapter's own code.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, Final, Protocol

from ringwork.kernel.errors import Overloaded, StorageFull
from ringwork.kernel.events import (
    Event,
    EventTypes,
    Idempotency,
    array_header,
    decode_frames,
    encode_event,
    encode_frame,
)
from ringwork.kernel.ports import EventLog, Row
from ringwork.testing.raises import raises


class LogHarness(Protocol):
    """How the suite drives one storage location of an adapter."""

    def open(self) -> EventLog:
        """Open the log: empty at first, what was stored afterwards."""
        ...

    def close(self, log: EventLog) -> None:
        """Close it, so that it can be opened again."""
        ...

    def stall(self) -> AbstractContextManager[None]:
        """Inside, nothing becomes durable.

        An adapter that stores at the end of the loop's turn need do nothing.
        """
        ...

    def fill(self, log: EventLog) -> None:
        """From now on the storage has no room."""
        ...

    def free(self, log: EventLog) -> None:
        """There is room again; the log must notice by itself within ten seconds."""
        ...


class Ticked(Event, frozen=True, array_like=True):
    """The event of the suite."""

    TYPE: ClassVar[str] = "ticked"
    number: int
    filling: bytes = b""


TYPES: Final = EventTypes([Ticked])
_SETTLE_TURNS: Final = 10_000
_SETTLE_S: Final = 0.001


def ticks(first: int, count: int = 1, *, filling: bytes = b"") -> bytes:
    """A frame of ``count`` numbered events."""
    return encode_frame([encode_tick(Ticked(n, filling)) for n in range(first, first + count)])


def encode_tick(event: Event) -> bytes:
    """One event of the suite, encoded."""
    return encode_event(
        event, id=bytes(16), ts_us=1, request_id=bytes(16), cause_id=None, tenant="main"
    )


def numbers(log: EventLog, after_seq: int = 0) -> list[int]:
    """The numbers of the durable events after ``after_seq``; rows must count their events."""
    found = []
    for row in log.rows(after_seq):
        seq = row.first_seq
        for frame in decode_frames(row.payload):
            for envelope in frame.events:
                event = TYPES.decode(envelope)
                assert isinstance(event, Ticked)
                if seq > after_seq:
                    found.append(event.number)
                seq += 1
        assert seq == row.first_seq + row.count, "a row counts its events"
    return found


def check_chain(log: EventLog) -> None:
    """Every row continues the chain of the one before; the head is the end of the last."""
    before: Row | None = None
    for row in log.rows():
        if before is not None:
            assert row.first_seq == before.first_seq + before.count, "rows are continuous"
            place = struct.pack(">QIq", row.first_seq, row.count, row.ts_us)
            assert row.chain == hashlib.sha256(before.chain + place + row.payload).digest()
        before = row
    if before is not None:
        assert (log.head.seq, log.head.chain) == (before.first_seq + before.count - 1, before.chain)


@contextmanager
def opened(harness: LogHarness) -> Iterator[EventLog]:
    """The harness's log, closed at the end."""
    log = harness.open()
    try:
        yield log
    finally:
        harness.close(log)


def run(harness: LogHarness, scenario: Callable[[EventLog], Awaitable[None]]) -> None:
    """Open the log and run a scenario in an event loop of its own."""

    async def body() -> None:
        with opened(harness) as log:
            await scenario(log)

    asyncio.run(body())


async def until_admitted(log: EventLog) -> None:
    """Wait for a log that refuses to recover."""
    for _ in range(_SETTLE_TURNS):
        try:
            log.admit()
        except (Overloaded, StorageFull):
            await asyncio.sleep(_SETTLE_S)
        else:
            return
    raise AssertionError("the log still refuses")


# ---- the checks ---------------------------------------------------------------------------------


def starts_empty(harness: LogHarness) -> None:
    """A new log is at sequence 0 and admits."""
    with opened(harness) as log:
        log.admit()
        assert (log.next_seq, log.head.seq, log.head.partition) == (1, 0, log.partition)
        assert len(log.head.chain) == 32, "the chain starts from the log's identity"
        assert list(log.rows()) == []


def keeps_the_order_of_calls(harness: LogHarness) -> None:
    """Frames become durable as they were appended, whoever waits for which batch."""

    async def scenario(log: EventLog) -> None:
        async def client(start: int) -> None:
            for step in range(20):
                expected.append(start + step)
                await log.append(ticks(start + step), 1)

        expected: list[int] = []
        await asyncio.gather(*(client(start * 100) for start in range(16)))
        assert numbers(log) == expected
        check_chain(log)

    run(harness, scenario)


def frames_are_stored_as_given(harness: LogHarness) -> None:
    """Bytes in, the same bytes out: events, idempotency member, nothing added."""

    async def scenario(log: EventLog) -> None:
        answer = Idempotency("main", "POST /x", "k", bytes(32), 201, b"{}")
        frames = [ticks(1, 3), encode_frame([encode_tick(Ticked(4))], answer)]
        await asyncio.gather(log.append(frames[0], 3), log.append(frames[1], 1))
        payloads = [row.payload for row in log.rows()]
        one_row = [array_header(2) + b"".join(frames)]
        two_rows = [array_header(1) + frame for frame in frames]
        assert payloads in (one_row, two_rows)

    run(harness, scenario)


def a_batch_shares_one_future(harness: LogHarness) -> None:
    """What waits together is acknowledged together: one future, however many commands."""

    async def scenario(log: EventLog) -> None:
        with harness.stall():
            first = log.append(ticks(0), 1)
            second, third = log.append(ticks(1), 1), log.append(ticks(2), 1)
            assert second is third
        await asyncio.gather(first, second)
        assert numbers(log) == [0, 1, 2]

    run(harness, scenario)


def nothing_is_acknowledged_before_it_is_durable(harness: LogHarness) -> None:
    """``next_seq`` counts at append, ``head`` and the future only when the batch is on disk."""

    async def scenario(log: EventLog) -> None:
        with harness.stall():
            future = log.append(ticks(0, 5), 5)
            assert (log.next_seq, log.head.seq) == (6, 0)
            assert not future.done()
            assert list(log.rows()) == []
        await future
        assert (log.next_seq, log.head.seq) == (6, 5)
        assert numbers(log) == [0, 1, 2, 3, 4]

    run(harness, scenario)


def a_cancelled_waiter_leaves_its_neighbours_alone(harness: LogHarness) -> None:
    """A client that goes away must not cancel the batch of the others."""

    async def scenario(log: EventLog) -> None:
        async def client(number: int) -> None:
            await log.append(ticks(number), 1)

        with harness.stall():
            leaving, staying = asyncio.create_task(client(0)), asyncio.create_task(client(1))
            await asyncio.sleep(0)
            leaving.cancel()
        await staying
        await asyncio.wait([leaving])
        assert leaving.cancelled()
        assert numbers(log) == [0, 1]

    run(harness, scenario)


def a_full_queue_refuses_and_recovers(harness: LogHarness) -> None:
    """At most 64 Ki events or 8 MiB wait; what was admitted is stored all the same."""

    async def scenario(log: EventLog) -> None:
        async def overload(frame: bytes, events: int) -> int:
            with harness.stall():
                futures = {log.append(frame, events)}
                for _ in range(20):
                    try:
                        log.admit()
                    except Overloaded:
                        break
                    futures.add(log.append(frame, events))
                with raises(Overloaded):
                    log.admit()
                with raises(Overloaded):
                    log.append(frame, events)
                appended = log.next_seq - 1
            await asyncio.gather(*futures)
            await until_admitted(log)
            return appended

        by_events = await overload(ticks(0, 8192), 8192)
        assert by_events == 8 * 8192 == len(numbers(log))
        by_bytes = await overload(ticks(0, 1, filling=bytes(1 << 20)), 1)
        assert by_bytes == log.head.seq == by_events + 8
        check_chain(log)

    run(harness, scenario)


def rows_are_bounded(harness: LogHarness) -> None:
    """A row holds at most 4,096 events or 1 MiB, or a single larger frame."""

    async def scenario(log: EventLog) -> None:
        big = ticks(0, 1, filling=bytes(700_000))
        with harness.stall():
            futures = {log.append(ticks(0, 1000), 1000) for _ in range(10)}
            futures |= {log.append(big, 1) for _ in range(3)}
            futures |= {log.append(ticks(0, 5000), 5000), log.append(ticks(0), 1)}
        await asyncio.gather(*futures)
        assert log.head.seq == 15_004
        for row in log.rows():
            alone = len(decode_frames(row.payload)) == 1
            assert alone or (row.count <= 4096 and len(row.payload) <= (1 << 20) + 5)
        check_chain(log)

    run(harness, scenario)


def a_full_disk_fails_the_batch_and_all_behind_it(harness: LogHarness) -> None:
    """StorageFull stores nothing, takes numbers back, refuses, and ends without a restart."""

    async def scenario(log: EventLog) -> None:
        await log.append(ticks(0), 1)
        harness.fill(log)
        with harness.stall():
            futures = [log.append(ticks(1, 3), 3), log.append(ticks(4), 1)]
        for outcome in await asyncio.gather(*futures, return_exceptions=True):
            assert isinstance(outcome, StorageFull), outcome
        assert (log.next_seq, log.head.seq) == (2, 1)
        with raises(StorageFull):
            log.admit()
        with raises(StorageFull):
            log.append(ticks(9), 1)
        assert numbers(log) == [0], "reads go on"
        harness.free(log)
        await until_admitted(log)
        await log.append(ticks(1, 2), 2)
        assert numbers(log) == [0, 1, 2]
        check_chain(log)

    run(harness, scenario)


def reopens_where_it_ended(harness: LogHarness) -> None:
    """After close and open: the same rows, the same head, the chain goes on."""

    async def grow(log: EventLog) -> None:
        await log.append(ticks(log.next_seq, 3), 3)

    ends = []
    for _ in range(3):
        run(harness, grow)
        with opened(harness) as log:
            ends.append((log.next_seq, log.head.seq))
            check_chain(log)
            assert numbers(log) == list(range(1, log.next_seq))
    assert ends == [(4, 3), (7, 6), (10, 9)]


def rows_start_where_asked(harness: LogHarness) -> None:
    """``rows(after)`` begins with the row that holds ``after + 1`` and ends at the head."""

    async def scenario(log: EventLog) -> None:
        for first in range(0, 30, 3):
            await log.append(ticks(first, 3), 3)
        for after_seq in range(32):
            assert numbers(log, after_seq) == list(range(after_seq, 30))
            rows = list(log.rows(after_seq))
            assert not rows or rows[0].first_seq <= after_seq + 1

    run(harness, scenario)


def an_unencodable_value_harms_no_neighbour(harness: LogHarness) -> None:
    """Frames are encoded by their callers, so a bad value never reaches the batch."""

    async def scenario(log: EventLog) -> None:
        with harness.stall():
            good = log.append(ticks(0), 1)
            with raises(OverflowError):
                log.append(ticks(1 << 70), 1)
            also_good = log.append(ticks(1), 1)
        await asyncio.gather(good, also_good)
        assert numbers(log) == [0, 1]

    run(harness, scenario)


EVENT_LOG_CHECKS: Final[tuple[Callable[[LogHarness], None], ...]] = (
    starts_empty,
    keeps_the_order_of_calls,
    frames_are_stored_as_given,
    a_batch_shares_one_future,
    nothing_is_acknowledged_before_it_is_durable,
    a_cancelled_waiter_leaves_its_neighbours_alone,
    a_full_queue_refuses_and_recovers,
    rows_are_bounded,
    a_full_disk_fails_the_batch_and_all_behind_it,
    reopens_where_it_ended,
    rows_start_where_asked,
    an_unencodable_value_harms_no_neighbour,
)


def check_event_log(make_harness: Callable[[], LogHarness]) -> None:
    """Run every check, each on a fresh storage location."""
    for check in EVENT_LOG_CHECKS:
        check(make_harness())
