"""Where a decision becomes a fact: record, apply, make durable, in this order and in one place.

A *command* is one caller's decision: it records events, each encoded and applied to the folds at
once (so that the command's next rule sees it), then commits them as one frame. The log row is the
only commit point; projections follow by tailing the log. Between ``command()`` and ``commit()``
nothing is awaited, so commands never interleave.

When a batch cannot be stored, memory holds effects that will never be on disk: the journal then
folds again from the last snapshot, the log and what still waits, and refuses commands until the log
admits them (a full disk).
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from types import TracebackType
from typing import Self

from ringwork.kernel.errors import LogCorrupt
from ringwork.kernel.events import (
    Envelope,
    Event,
    EventTypes,
    Idempotency,
    Recorded,
    array_header,
    decode_frames,
    encode_event,
    encode_frame,
)
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.ports import Answers, Clock, EventLog, Fold, Row, Snapshots

Apply = Callable[[Recorded], None]


class Command:
    """The events of one decision.

    Use as a context manager; an error after ``record`` folds memory again.
    """

    __slots__ = (
        "_encoded",
        "_first_seq",
        "_journal",
        "cause_id",
        "now_s",
        "request_id",
        "tenant",
        "ts_us",
    )

    def __init__(
        self, journal: Journal, *, tenant: str, request_id: bytes, cause_id: bytes | None
    ) -> None:
        self._journal = journal
        self._encoded: list[bytes] = []
        self._first_seq = journal.log.next_seq
        self.tenant = tenant
        self.request_id = request_id
        self.cause_id = cause_id
        self.ts_us = journal.clock.wall_us()
        self.now_s = self.ts_us // 1_000_000
        """Its wall time in whole seconds; every rule of one command sees the same."""

    @property
    def recorded(self) -> int:
        """How many events this command holds so far."""
        return len(self._encoded)

    @property
    def next_seq(self) -> int:
        """The sequence number that its next event gets."""
        return self._first_seq + len(self._encoded)

    def record(
        self,
        event: Event,
        *,
        event_id: bytes | None = None,
        cause_id: bytes | None = None,
        request_id: bytes | None = None,
        subject: bytes | None = None,
        purpose: str | None = None,
    ) -> bytes:
        """Encode and apply one event; returns its id.

        An unencodable value fails before it is applied.

        ``request_id`` names another request whose trace the event belongs to (a conversion that an
        advertiser reports belongs to the ad request it came from).
        """
        journal = self._journal
        request_id = request_id or self.request_id
        event_id = event_id or journal.ids.new()
        cause_id = cause_id or self.cause_id
        if cause_id == event_id:
            cause_id = None  # the event that causes the command's others has no cause among them
        encoded = encode_event(
            event,
            id=event_id,
            ts_us=self.ts_us,
            request_id=request_id,
            cause_id=cause_id,
            tenant=self.tenant,
            subject=subject,
            purpose=purpose,
        )
        seq = self.next_seq
        self._encoded.append(encoded)
        appliers = journal.appliers.get(event.TYPE)
        if appliers:
            recorded = Recorded(
                journal.log.partition, seq, event_id, self.ts_us, request_id, cause_id,
                self.tenant, subject, purpose, event,
            )  # fmt: skip
            for apply in appliers:
                apply(recorded)
        return event_id

    def commit(self, idempotency: Idempotency | None = None) -> asyncio.Future[None]:
        """Join the current batch; await the future before acknowledging anything durable."""
        encoded = self._encoded
        assert encoded, "a frame holds at least one event"
        assert self._journal.log.next_seq == self._first_seq, "another command interleaved"
        future = self._journal.append(encode_frame(encoded, idempotency), len(encoded))
        if idempotency is not None:
            self._journal.remember(idempotency, self.ts_us)
        self._encoded = []
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._encoded:  # applied, but never committed: memory is ahead of the log
            self._encoded = []
            self._journal.refold()
            assert error is not None, "a command that recorded events must commit them"


class Journal:
    """One partition's memory and log, kept in step. All calls on the event-loop thread."""

    def __init__(
        self,
        *,
        log: EventLog,
        types: EventTypes,
        folds: Sequence[Fold],
        clock: Clock,
        ids: IdGenerator,
        snapshots: Snapshots,
        answers: Answers | None = None,
    ) -> None:
        self.log = log
        self.types = types
        self.clock = clock
        self.ids = ids
        self.appliers = appliers_of(folds)
        self._folds = folds
        self._answers = answers
        self._snapshots = snapshots
        self._listeners: list[Callable[[], None]] = []
        self._last: asyncio.Future[None] | None = None
        self._in_flight: list[tuple[int, bytes]] = []
        """First sequence and frame of what is applied and not known to be durable yet."""

    def command(self, *, tenant: str, request_id: bytes, cause_id: bytes | None = None) -> Command:
        """Begin a decision; raises Overloaded or StorageFull before anything is decided."""
        self.log.admit()
        return Command(self, tenant=tenant, request_id=request_id, cause_id=cause_id)

    @property
    def seq(self) -> int:
        """The sequence of the last applied event (durable or about to be)."""
        return self.log.next_seq - 1

    async def settled(self) -> None:
        """Wait until everything applied so far is durable.

        What a read from memory does before it answers.
        """
        if self._last is not None and not self._last.done():
            await asyncio.shield(self._last)

    def when_decided(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever a batch became durable or was taken back.

        That is before anybody who waits for the batch goes on, so before its answers are sent;
        ``log.head`` and ``log.next_seq`` say what became of it.
        """
        self._listeners.append(listener)

    def event_at(self, seq: int) -> Recorded | None:
        """The durable event with that sequence number, unless its log file was removed."""
        row = next(self.log.rows(seq - 1), None)
        if row is None or not row.first_seq <= seq < row.first_seq + row.count:
            return None
        envelopes = [one for frame in decode_frames(row.payload) for one in frame.events]
        envelope = envelopes[seq - row.first_seq]
        return recorded_of(envelope, self.types.decode(envelope), seq, self.log.partition)

    def append(self, frame: bytes, events: int) -> asyncio.Future[None]:
        """Queue an encoded frame; for Command alone."""
        first_seq = self.log.next_seq
        future = self.log.append(frame, events)
        self._in_flight.append((first_seq, frame))
        if future is not self._last:
            self._last = future
            future.add_done_callback(self._batch_done)
        return future

    def remember(self, idempotency: Idempotency, ts_us: int) -> None:
        """Keep the answer of a keyed command; for Command alone."""
        if self._answers is not None:
            self._answers.remember(idempotency, ts_us)

    def _batch_done(self, future: asyncio.Future[None]) -> None:
        if future.exception() is not None:
            self.refold()
        else:
            durable = self.log.head.seq
            self._in_flight = [waiting for waiting in self._in_flight if waiting[0] > durable]
        for listener in self._listeners:
            listener()

    def snapshot(self) -> tuple[int, dict[str, bytes]]:
        """Every fold's state at ``seq``.

        Save it only once the log's head has reached that sequence.
        """
        states = {_state_name(fold): fold.dump() for fold in self._stateful()}
        return self.seq, states

    def refold(self) -> int:
        """Fold memory again from the last snapshot and the durable log.

        Returns the events replayed. Raises LogCorrupt, also where the log ends before the snapshot.
        """
        seq, states = self._snapshots.load()
        is_ours = states.keys() >= {_state_name(fold) for fold in self._stateful()}
        if not is_ours:
            seq = 0
        if seq > self.log.head.seq:
            raise LogCorrupt(
                "the log",
                self.log.head.seq,
                f"it ends here, the snapshot is at sequence {seq}; put the log's end back, or "
                "remove the snapshot to go on without it",
            )
        with collector_paused():
            for fold in self._stateful():
                fold.clear()
                if is_ours:
                    fold.load(states.pop(_state_name(fold)))
        durable = self.log.head.seq  # the writer goes on meanwhile: what is later comes from memory
        passed = replay(
            takewhile(lambda row: row.first_seq <= durable, self.log.rows(seq)),
            self.types,
            self.appliers,
            partition=self.log.partition,
            after_seq=seq,
            answers=self._answers,
        )
        # Frames that wait for the disk count too; those that a failed batch took back do not.
        end = self.log.next_seq
        self._in_flight = [one for one in self._in_flight if durable < one[0] < end]
        for first_seq, frame in self._in_flight:
            row = Row(first_seq, 0, 0, b"", array_header(1) + frame)
            passed += replay(
                [row],
                self.types,
                self.appliers,
                partition=self.log.partition,
                answers=self._answers,
            )
        return passed

    def _stateful(self) -> Iterator[Fold | Answers]:
        yield from self._folds
        if self._answers is not None:
            yield self._answers


def _state_name(fold: Fold | Answers) -> str:
    return f"{fold.name}/{fold.version}"


def appliers_of(folds: Iterable[Fold]) -> Mapping[str, tuple[Apply, ...]]:
    """Event type name -> the ``apply`` of every fold that hears it."""
    heard: dict[str, tuple[Apply, ...]] = {}
    for fold in folds:
        for event_type in fold.hears:
            heard[event_type.TYPE] = (*heard.get(event_type.TYPE, ()), fold.apply)
    return heard


def replay(
    rows: Iterable[Row],
    types: EventTypes,
    appliers: Mapping[str, Sequence[Apply]],
    *,
    partition: int = 0,
    after_seq: int = 0,
    answers: Answers | None = None,
) -> int:
    """Apply every event after ``after_seq`` to the appliers that hear its type.

    Returns how many events passed.
    """
    passed = 0
    with collector_paused():
        for row in rows:
            seq = row.first_seq
            for frame in decode_frames(row.payload):
                if answers is not None and frame.idempotency is not None and seq > after_seq:
                    answers.remember(frame.idempotency, frame.events[0].ts_us)
                for envelope in frame.events:
                    if seq > after_seq:
                        passed += 1
                        heard = appliers.get(envelope.type)
                        if heard:
                            recorded = recorded_of(envelope, types.decode(envelope), seq, partition)
                            for apply in heard:
                                apply(recorded)
                    seq += 1
    return passed


@contextmanager
def collector_paused() -> Iterator[None]:
    """No passes of the garbage collector while millions of objects come to stay.

    A fold makes no cycles, so they would find nothing, a third of the time that folding takes.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def recorded_of(envelope: Envelope, payload: Event, seq: int, partition: int) -> Recorded:
    """An envelope read from the log, with its decoded payload, as folds and projections take it."""
    return Recorded(
        partition, seq, envelope.id, envelope.ts_us, envelope.request_id, envelope.cause_id,
        envelope.tenant, envelope.subject, envelope.purpose, payload,
    )  # fmt: skip
