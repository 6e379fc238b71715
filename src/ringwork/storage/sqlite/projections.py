"""Keep projections in step with the log: one thread, one transaction per batch and checkpoint.

Each projection has its own checkpoint and a savepoint of its own in the batch's transaction, so one
that fails stops alone and is never ahead of what it applied. Projections at the same checkpoint
share the reading; one that rebuilds goes its own way and does not hold the others up.

A batch is applied only where the stored checkpoints are still those that this runner knows: another
process on the same store (one whose server was killed, and that is about to notice) costs time, but
no event is applied twice.
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
from ringwork.storage.standing import Standing, Stopped

BATCH_EVENTS_MAX: Final = 4096
"""Events per transaction, or one larger row: it spreads the cost, and progress stays visible."""

POLL_S: Final = 0.5
"""How late a projection may notice events that nobody announced."""

# Straight to the driver: with one event in a batch Core would take longer than all the rest.
_STORED: Final = "SELECT projection, version, seq FROM checkpoints WHERE partition = ?"
_MOVE: Final = "UPDATE checkpoints SET seq = ? WHERE projection = ? AND partition = ?"

_UNDECODED: Final = UnknownEvent(b"")
_log: Final = logging.getLogger(__name__)


class LogReader(Protocol):
    """What a runner needs of a log: an EventLog, or a reader beside one."""

    @property
    def partition(self) -> int: ...

    @property
    def head(self) -> Head: ...

    def rows(self, after_seq: int = 0) -> Iterator[Row]: ...


def load_checkpoints(
    log: LogReader, state: State, projections: Sequence[Projection]
) -> dict[str, int]:
    """Projection -> the sequence it stands at; new ones and other versions are cleared, at zero.

    Raises LogCorrupt where a checkpoint lies beyond the log's end.
    """
    head_seq = log.head.seq
    found = {}
    with state.writer.begin() as connection:
        stored = _stored(connection, log.partition)
        for projection in projections:
            version, seq = stored.get(projection.name, (None, 0))
            if version != projection.version:
                projection.clear(connection)
                _begin(connection, projection, log.partition)
                seq = 0
            elif seq > head_seq:
                raise LogCorrupt(
                    f"projection {projection.name}",
                    seq,
                    f"the log ends at {head_seq}, before this checkpoint",
                )
            found[projection.name] = seq
    return found


def _stored(connection: sa.Connection, partition: int) -> dict[str, tuple[int, int]]:
    """Projection -> (version, sequence) of its checkpoint."""
    rows = connection.exec_driver_sql(_STORED, (partition,))
    return {projection: (version, seq) for projection, version, seq in rows}


def _begin(connection: sa.Connection, projection: Projection, partition: int) -> None:
    at_zero = {"version": projection.version, "seq": 0}
    values = {"projection": projection.name, "partition": partition, **at_zero}
    connection.execute(
        insert(checkpoints)
        .values(values)
        .on_conflict_do_update(index_elements=["projection", "partition"], set_=at_zero)
    )


class _Follower:
    """A projection and how far it has come."""

    def __init__(self, projection: Projection, seq: int) -> None:
        self.projection = projection
        self.seq = seq
        self.error: str | None = None
        hears = projection.hears
        self.types = None if hears is None else frozenset(heard.TYPE for heard in hears)
        self.remembers = projection if isinstance(projection, RemembersAnswers) else None


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
        at = load_checkpoints(log, state, projections)
        self._followers = [_Follower(one, at[one.name]) for one in projections]
        self._trouble = ""
        self._lock = threading.Lock()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

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
    def standing(self) -> Standing:
        """Everything that can be said of the projections at this moment."""
        stopped = tuple(
            Stopped(follower.projection.name, follower.seq, follower.error)
            for follower in self._followers
            if follower.error is not None
        )
        return Standing(self.seq, stopped, self._trouble)

    @property
    def troubles(self) -> Mapping[str, str]:
        """What stops a projection (by its name) or all (``runner``); empty when all is well."""
        return self.standing.troubles

    def notify(self) -> None:
        """There may be new events."""
        self._wake.set()

    async def caught_up(self, seq: int) -> None:
        """Wait until all have applied ``seq``; RingworkError when one has stopped before it."""
        with self._lock:
            if self.standing.has_reached(seq):
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
        self.standing.has_reached(self._log.head.seq)
        return self.seq

    def advance(self) -> bool:
        """Apply the next batches; False when none was there, or when ``troubles`` says why not."""
        try:
            moved = self._step()
        except Exception as error:  # the edge of a thread or process: reported, and tried again
            if not self._trouble:
                _log.exception("projections cannot go on")
            self._trouble = f"{type(error).__name__}: {error}"
            return False
        self._trouble = ""
        return moved

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(POLL_S)
            self._wake.clear()
            while not self._closing and self.advance():
                pass

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
            followers = self._unmoved(connection, followers)
            for follower in followers:
                try:
                    _give(connection, batch, follower)
                except sa.exc.OperationalError:
                    raise  # the store's own trouble (no room, locked): nobody moves, try again
                except Exception as error:  # this projection's bug: it stops, the others go on
                    _log.exception("projection %s stopped", follower.projection.name)
                    failed[id(follower)] = f"{type(error).__name__}: {error}"
            moved = [follower for follower in followers if id(follower) not in failed]
            self._move(connection, moved, batch.last_seq)
        for follower in followers:  # only now is any of it true
            follower.error = failed.get(id(follower))
        for follower in moved:
            follower.seq = batch.last_seq

    def _unmoved(self, connection: sa.Connection, followers: list[_Follower]) -> list[_Follower]:
        """Those whose checkpoint is where we left it; the others go on from where it is now."""
        stored = _stored(connection, self._log.partition)
        unmoved = []
        for follower in followers:
            projection = follower.projection
            version, seq = stored.get(projection.name, (None, 0))
            if version != projection.version:
                follower.error = f"version {projection.version} was replaced by {version}"
            elif seq != follower.seq:
                follower.seq = seq
            else:
                unmoved.append(follower)
        return unmoved

    def _move(self, connection: sa.Connection, followers: list[_Follower], seq: int) -> None:
        partition = self._log.partition
        rows = [(seq, follower.projection.name, partition) for follower in followers]
        if rows:
            connection.exec_driver_sql(_MOVE, rows)

    # ---- waiting --------------------------------------------------------------------------------

    def _wake_waiters(self) -> None:
        with self._lock:
            waiting, self._waiters = self._waiters, []
            standing = self.standing
            for seq, future in waiting:
                try:
                    is_there = standing.has_reached(seq)
                except RingworkError as error:
                    _post(future, error)
                else:
                    if is_there:
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

    def events_for(self, follower: _Follower) -> list[Recorded]:
        """The events that a projection hears."""
        types = follower.types
        return [
            self._recorded(envelope, seq, is_heard=types is not None)
            for first_seq, frame in self._frames
            for seq, envelope in enumerate(frame.events, first_seq)
            if types is None or envelope.type in types
        ]

    def answers(self) -> list[tuple[Idempotency, int]]:
        """The first answers to keyed commands, each with its command's wall time in us."""
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


def _give(connection: sa.Connection, batch: _Batch, follower: _Follower) -> None:
    """Let a projection apply what it hears of a batch: all of it, or nothing."""
    events = batch.events_for(follower)
    answers = [] if follower.remembers is None else batch.answers()
    if not events and not answers:
        return
    with connection.begin_nested():
        if events:
            follower.projection.apply(connection, events)
        if follower.remembers is not None and answers:
            follower.remembers.remember(connection, answers)


def _post(future: asyncio.Future[None], error: Exception | None) -> None:
    def settle() -> None:
        if not future.done():
            future.set_result(None) if error is None else future.set_exception(error)

    with suppress(RuntimeError):  # that loop is closed: nobody waits any more
        future.get_loop().call_soon_threadsafe(settle)
