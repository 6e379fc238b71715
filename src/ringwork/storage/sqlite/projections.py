"""Keep projections in step with the log: one thread, one transaction per batch and checkpoint.

Each projection has its own checkpoint and a savepoint of its own in the batch's transaction, so one
that fails stops alone and is never ahead of what it applied. Projections at the same checkpoint
share the reading; one that rebuilds goes its own way and does not hold the others up.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Final, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from ringwork.kernel.errors import LogCorrupt, RingworkError
from ringwork.kernel.events import (
    Envelope,
    EventTypes,
    Frame,
    Idempotency,
    Recorded,
    UnknownEvent,
    decode_frames,
)
from ringwork.kernel.journal import recorded_of
from ringwork.kernel.ports import Head, Row
from ringwork.storage.projection import Projection, RemembersAnswers
from ringwork.storage.sqlite.state import State, checkpoints

BATCH_EVENTS_MAX: Final = 4096
"""Events per transaction, or one larger row: it spreads the cost, and progress stays visible."""

POLL_S: Final = 0.5
"""How late a projection may notice events that nobody announced."""

_UNDECODED: Final = UnknownEvent(b"")
_log: Final = logging.getLogger(__name__)


class LogReader(Protocol):
    """What a runner needs of a log: an EventLog, or a reader beside one."""

    @property
    def partition(self) -> int: ...

    @property
    def head(self) -> Head: ...

    def rows(self, after_seq: int = 0) -> Iterator[Row]: ...


class _Follower:
    """A projection and how far it has come."""

    def __init__(self, projection: Projection, seq: int) -> None:
        self.projection = projection
        self.seq = seq
        self.error: str | None = None
        hears = projection.hears
        self.types = None if hears is None else frozenset(heard.TYPE for heard in hears)


class ProjectionRunner:
    """Applies the log to projections, in a thread (``start``) or when asked (``catch_up``)."""

    def __init__(
        self,
        log: LogReader,
        state: State,
        types: EventTypes,
        projections: Sequence[Projection],
    ) -> None:
        """Read the checkpoints; projections that are new or of another version start from zero.

        Raises LogCorrupt where a checkpoint lies beyond the log's end.
        """
        self._log = log
        self._state = state
        self._types = types
        self._followers = self._load(projections)
        self._trouble: str | None = None
        self._lock = threading.Lock()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def _load(self, projections: Sequence[Projection]) -> list[_Follower]:
        partition, head_seq = self._log.partition, self._log.head.seq
        followers = []
        with self._state.writer.begin() as connection:
            query = sa.select(checkpoints).where(checkpoints.c.partition == partition)
            stored = {row.projection: row for row in connection.execute(query)}
            for projection in projections:
                row = stored.get(projection.name)
                if row is None or row.version != projection.version:
                    projection.clear(connection)
                    self._move(connection, projection, 0)
                    followers.append(_Follower(projection, 0))
                    continue
                if row.seq > head_seq:
                    raise LogCorrupt(
                        f"projection {projection.name}",
                        row.seq,
                        f"the log ends at {head_seq}, before this checkpoint",
                    )
                followers.append(_Follower(projection, row.seq))
        return followers

    # ---- from any thread ------------------------------------------------------------------------

    @property
    def seq(self) -> int:
        """Every projection has applied every event up to this one."""
        return min((follower.seq for follower in self._followers), default=self._log.head.seq)

    @property
    def lag(self) -> int:
        """How many durable events the slowest projection is behind."""
        return max(self._log.head.seq - self.seq, 0)

    @property
    def troubles(self) -> Mapping[str, str]:
        """What stops a projection (by its name) or all (``runner``); empty when all is well."""
        found = {f.projection.name: f.error for f in self._followers if f.error is not None}
        return found if self._trouble is None else {**found, "runner": self._trouble}

    def notify(self) -> None:
        """There may be new events."""
        self._wake.set()

    async def caught_up(self, seq: int) -> None:
        """Wait until all have applied ``seq``; RingworkError when one has stopped before it."""
        with self._lock:
            self._raise_if_stopped(seq)
            if self.seq >= seq:
                return
            future = asyncio.get_running_loop().create_future()
            self._waiters.append((seq, future))
        self._wake.set()
        await future

    # ---- running --------------------------------------------------------------------------------

    def start(self) -> None:
        """Follow the log in a thread until ``close``."""
        self._thread = threading.Thread(target=self._run, name="projections", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread after the batch it is at."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def catch_up(self) -> int:
        """Apply everything durable, here and now; returns ``seq``. Not beside a started thread.

        What the thread would report and try again is raised.
        """
        while self._step():
            pass
        self._raise_if_stopped(self._log.head.seq)
        return self.seq

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(POLL_S)
            self._wake.clear()
            try:
                while not self._closing and self._step():
                    pass
                self._trouble = None
            except Exception as error:  # the edge of a thread: reported, and tried again
                if self._trouble is None:
                    _log.exception("projections cannot go on")
                self._trouble = f"{type(error).__name__}: {error}"

    def _step(self) -> bool:
        """One batch for each group of projections at one checkpoint; False when all are done."""
        running = sorted(
            (follower for follower in self._followers if follower.error is None),
            key=lambda follower: follower.seq,
        )
        moved = False
        for seq, group in groupby(running, key=lambda follower: follower.seq):
            if self._log.head.seq > seq:
                self._apply(_Batch(self._log, seq, self._types), list(group))
                moved = True
        self._wake_waiters()
        return moved

    def _apply(self, batch: _Batch, followers: list[_Follower]) -> None:
        failed: dict[int, str] = {}
        with self._state.writer.begin() as connection:
            for follower in followers:
                try:
                    with connection.begin_nested():
                        batch.apply(connection, follower)
                        self._move(connection, follower.projection, batch.last_seq)
                except sa.exc.OperationalError:
                    raise  # the store's own trouble (no room, locked): nobody moves, try again
                except Exception as error:  # this projection's bug: it stops, the others go on
                    _log.exception("projection %s stopped", follower.projection.name)
                    failed[id(follower)] = f"{type(error).__name__}: {error}"
        for follower in followers:  # only now is any of it true
            follower.error = failed.get(id(follower))
            if follower.error is None:
                follower.seq = batch.last_seq

    def _move(self, connection: sa.Connection, projection: Projection, seq: int) -> None:
        moved = {"version": projection.version, "seq": seq}
        values = {"projection": projection.name, "partition": self._log.partition, **moved}
        connection.execute(
            insert(checkpoints)
            .values(values)
            .on_conflict_do_update(index_elements=["projection", "partition"], set_=moved)
        )

    # ---- waiting --------------------------------------------------------------------------------

    def _raise_if_stopped(self, seq: int) -> None:
        for follower in self._followers:
            if follower.error is not None and follower.seq < seq:
                raise RingworkError(
                    f"projection {follower.projection.name} stopped at sequence {follower.seq}: "
                    f"{follower.error}"
                )

    def _wake_waiters(self) -> None:
        with self._lock:
            waiting, self._waiters = self._waiters, []
            for seq, future in waiting:
                try:
                    self._raise_if_stopped(seq)
                except RingworkError as error:
                    _post(future, error)
                else:
                    if self.seq >= seq:
                        _post(future, None)
                    else:
                        self._waiters.append((seq, future))


class _Batch:
    """Rows after ``after_seq``, about 4,096 events; payloads are decoded once, on demand."""

    def __init__(self, log: LogReader, after_seq: int, types: EventTypes) -> None:
        self._types = types
        self._partition = log.partition
        self._frames: list[tuple[int, Frame]] = []
        self._decoded: dict[int, Recorded] = {}
        self.last_seq = after_seq
        events = 0
        for row in log.rows(after_seq):
            if events and events + row.count > BATCH_EVENTS_MAX:
                break
            seq = row.first_seq
            for frame in decode_frames(row.payload):
                if seq > after_seq:
                    self._frames.append((seq, frame))
                seq += len(frame.events)
            self.last_seq = seq - 1
            events += row.count

    def apply(self, connection: sa.Connection, follower: _Follower) -> None:
        """Give a projection the part of the batch that it hears."""
        projection = follower.projection
        events = [
            self._recorded(envelope, seq, is_heard=follower.types is not None)
            for first_seq, frame in self._frames
            for seq, envelope in enumerate(frame.events, first_seq)
            if follower.types is None or envelope.type in follower.types
        ]
        if events:
            projection.apply(connection, events)
        if isinstance(projection, RemembersAnswers) and (answers := self._answers()):
            projection.remember(connection, answers)

    def _answers(self) -> list[tuple[Idempotency, int]]:
        return [
            (frame.idempotency, frame.events[0].ts_us)
            for _, frame in self._frames
            if frame.idempotency is not None
        ]

    def _recorded(self, envelope: Envelope, seq: int, *, is_heard: bool) -> Recorded:
        if not is_heard:
            return recorded_of(envelope, _UNDECODED, seq, self._partition)
        recorded = self._decoded.get(seq)
        if recorded is None:
            recorded = recorded_of(envelope, self._types.decode(envelope), seq, self._partition)
            self._decoded[seq] = recorded
        return recorded


def _post(future: asyncio.Future[None], error: Exception | None) -> None:
    def settle() -> None:
        if not future.done():
            future.set_result(None) if error is None else future.set_exception(error)

    with suppress(RuntimeError):  # that loop is closed: nobody waits any more
        future.get_loop().call_soon_threadsafe(settle)
