"""The journal over the memory log: one commit point, and memory that never stays ahead of it."""

import asyncio
from typing import ClassVar

import msgspec
import pytest

from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import LogCorrupt, StorageFull
from ringwork.kernel.events import Event, EventTypes, Idempotency, Recorded, decode_frames
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Journal
from ringwork.storage.memory.log import MemoryEventLog
from ringwork.storage.memory.snapshots import MemorySnapshots


class Counted(Event, frozen=True, array_like=True):
    TYPE: ClassVar[str] = "counted"
    amount: int


class Noise(Event, frozen=True, array_like=True):
    TYPE: ClassVar[str] = "noise_made"


class Total:
    name: ClassVar[str] = "total"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (Counted,)

    def __init__(self) -> None:
        self.total = 0
        self.seqs: list[int] = []

    def apply(self, recorded: Recorded) -> None:
        assert isinstance(recorded.payload, Counted)
        self.total += recorded.payload.amount
        self.seqs.append(recorded.seq)

    def clear(self) -> None:
        self.total, self.seqs = 0, []

    def dump(self) -> bytes:
        return msgspec.msgpack.encode((self.total, self.seqs))

    def load(self, state: bytes) -> None:
        self.total, self.seqs = msgspec.msgpack.decode(state)


class Kept:
    name: ClassVar[str] = "answers"
    version: ClassVar[int] = 1

    def __init__(self) -> None:
        self.keys: list[str] = []

    def remember(self, idempotency: Idempotency, ts_us: int) -> None:
        self.keys.append(idempotency.key)

    def clear(self) -> None:
        self.keys = []

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(self.keys)

    def load(self, state: bytes) -> None:
        self.keys = msgspec.msgpack.decode(state)


class World:
    def __init__(self, rows=None, snapshots=None, capacity_bytes=None) -> None:
        self.clock = ManualClock()
        self.rows = [] if rows is None else rows
        self.log = MemoryEventLog(clock=self.clock, rows=self.rows, capacity_bytes=capacity_bytes)
        self.total, self.kept = Total(), Kept()
        self.snapshots = snapshots or MemorySnapshots()
        self.journal = Journal(
            log=self.log,
            types=EventTypes([Counted, Noise]),
            folds=[self.total],
            clock=self.clock,
            ids=IdGenerator(self.clock, SeededEntropy(1)),
            snapshots=self.snapshots,
            answers=self.kept,
        )

    def count(self, *amounts: int, key: str | None = None) -> asyncio.Future[None]:
        with self.journal.command(tenant="main", request_id=b"r" * 16) as command:
            for amount in amounts:
                command.record(Counted(amount))
            idempotency = None
            if key is not None:
                idempotency = Idempotency("main", "POST /", key, b"", 201, b"{}")
            return command.commit(idempotency)


def test_events_apply_at_once_and_become_durable_together():
    async def scenario() -> None:
        world = World()
        first, second = world.count(1, 2), world.count(3)
        assert first is second, "one future per batch"
        assert (world.total.total, world.log.head.seq) == (6, 0)
        await world.journal.settled()
        assert (world.log.head.seq, world.total.seqs) == (3, [1, 2, 3])
        (row,) = world.rows
        assert [len(frame.events) for frame in decode_frames(row.payload)] == [2, 1]

    asyncio.run(scenario())


def test_replay_and_snapshot_restore_memory_and_answers():
    async def scenario() -> None:
        world = World()
        world.count(1, key="a")
        with world.journal.command(tenant="main", request_id=b"r" * 16) as command:
            command.record(Noise())
            command.commit()
        await world.count(2)
        world.snapshots.save(*world.journal.snapshot())
        await world.count(4, key="b")

        again = World(rows=world.rows)
        assert again.journal.refold() == 4
        resumed = World(rows=world.rows, snapshots=world.snapshots)
        assert resumed.journal.refold() == 1, "only what came after the snapshot is replayed"
        for restored in (again, resumed):
            assert restored.total.dump() == world.total.dump()
            assert restored.kept.keys == ["a", "b"]
            assert restored.journal.seq == world.journal.seq == 4

    asyncio.run(scenario())


def test_a_snapshot_of_another_version_is_ignored():
    async def scenario() -> None:
        world = World()
        await world.count(5)
        world.snapshots.save(1, {"total/0": b"old", "answers/1": b"\x90"})
        world.journal.refold()
        assert world.total.total == 5

    asyncio.run(scenario())


def test_a_snapshot_ahead_of_the_log_is_refused():
    world = World()
    world.snapshots.save(9, {"total/1": world.total.dump(), "answers/1": world.kept.dump()})
    with pytest.raises(
        LogCorrupt, match="at sequence 0: it ends here, the snapshot is at sequence 9"
    ):
        world.journal.refold()


def test_an_unencodable_value_fails_its_own_command_and_leaves_no_trace():
    async def scenario() -> None:
        world = World()
        world.count(1)
        with pytest.raises(OverflowError):
            world.count(10, 1 << 70)
        world.count(2)
        await world.journal.settled()
        assert (world.total.total, world.log.head.seq) == (3, 2)

    asyncio.run(scenario())


def test_an_error_after_recording_folds_memory_again():
    async def scenario() -> None:
        world = World()
        await world.count(1)

        def fail_half_way() -> None:
            with world.journal.command(tenant="main", request_id=b"r" * 16) as command:
                command.record(Counted(100))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_half_way()
        assert world.total.total == 1
        await world.count(2)
        assert (world.total.total, world.log.head.seq) == (3, 2)

    asyncio.run(scenario())


def test_recording_without_committing_is_a_programming_error():
    async def scenario() -> None:
        world = World()

        def record_only() -> None:
            with world.journal.command(tenant="main", request_id=b"r" * 16) as command:
                command.record(Counted(100))

        with pytest.raises(AssertionError, match="must commit"):
            record_only()
        assert world.total.total == 0

    asyncio.run(scenario())


def test_a_full_disk_takes_back_what_was_not_stored_and_refuses_until_there_is_room():
    async def scenario() -> None:
        world = World()
        await world.count(1, key="kept")
        world.log.capacity_bytes = 0
        lost = world.count(10, key="lost")
        assert world.total.total == 11
        with pytest.raises(StorageFull):
            await lost
        assert (world.total.total, world.kept.keys) == (1, ["kept"])
        with pytest.raises(StorageFull):
            world.count(1)
        world.log.capacity_bytes = None
        await asyncio.sleep(0)
        await world.count(2)
        assert (world.total.total, world.total.seqs) == (3, [1, 2])

    asyncio.run(scenario())


def test_events_of_another_request_keep_its_trace():
    async def scenario() -> None:
        world = World()
        with world.journal.command(tenant="main", request_id=b"r" * 16) as command:
            own = command.record(Counted(1))
            command.record(Noise(), request_id=b"q" * 16, cause_id=own)
            command.commit()
        await world.journal.settled()
        (frame,) = decode_frames(world.rows[0].payload)
        assert [event.request_id for event in frame.events] == [b"r" * 16, b"q" * 16]
        assert frame.events[1].cause_id == own

    asyncio.run(scenario())
