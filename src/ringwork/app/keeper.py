"""The follower's own memory: folded from the log as the server folds, only to be saved.

Dumping the folds of 100,000 campaigns takes longer than a request may wait, so the server never
does it while it serves. The work is cut into steps, between which the projections go on. What was
dumped is written in pieces with pauses between them, for the sake of the disk, which the log needs
as well.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from typing import Final

from ringwork.app.memory import Memory
from ringwork.kernel.errors import LogCorrupt, StorageFull
from ringwork.kernel.events import EventTypes, Idempotency
from ringwork.kernel.journal import appliers_of, collector_paused, replay
from ringwork.kernel.ports import Answers, Clock, Fold, Head, Row, Snapshots
from ringwork.storage.sqlite.reader import SqliteLogReader
from ringwork.web.idempotency import IdempotencyKeys

STEP_EVENTS: Final = 1024
"""Events folded in one step, or one larger row: a few milliseconds."""
PIECE_PAUSE_S: Final = 0.05
"""Between two pieces of a snapshot: 20 MB/s, of which the log's syncs notice nothing (their 99th
percentile stayed as it was without; written at once, 150 MB stopped them for 50 ms)."""
LOADED_BYTES_PER_EVENT: Final = 400
"""So many bytes of a snapshot load in the time that one event takes to be replayed: the folds of
100,000 campaigns (132 MB) loaded at 115 MB/s, the events of ad requests to them replayed at
277,000/s, both on one core."""

_log: Final = logging.getLogger(__name__)


class DurableLog:
    """The log as far as the server has said that it is durable.

    What a snapshot holds is then never ahead of what the server knows to be on disk.
    """

    def __init__(self, reader: SqliteLogReader, head: Head) -> None:
        self.partition = reader.partition
        self.head = head
        self._reader = reader

    def rows(self, after_seq: int = 0) -> Iterator[Row]:
        """Rows up to the head of this moment. Raises LogCorrupt, also where they end before it."""
        until, seq = self.head.seq, after_seq
        for row in self._reader.rows(after_seq):
            if row.first_seq > until:
                return
            seq = row.first_seq + row.count - 1
            yield row
        if seq < until:
            raise LogCorrupt("the log", seq + 1, f"it was durable up to {until}")


def is_snapshot_due(since_events: int, snapshots: Snapshots, *, least_events: int) -> bool:
    """Whether a snapshot is worth its writing, so many events after the last one.

    It is when replaying them would take as long as loading the last one does: then a start takes
    twice that at most, and what is written grows with the events and not with the state.
    """
    if since_events < least_events:
        return False
    return since_events >= snapshots.size_bytes // LOADED_BYTES_PER_EVENT


class Keeper:
    """Folds the log a step at a time and saves a snapshot when one is due."""

    def __init__(
        self,
        log: DurableLog,
        types: EventTypes,
        snapshots: Snapshots,
        *,
        clock: Clock,
        snapshot_events: int,
    ) -> None:
        """``snapshot_events``: between two snapshots lie so many, or more: see above."""
        self._log = log
        self._types = types
        self._snapshots = snapshots
        self._clock = clock
        self._snapshot_events = snapshot_events
        self._memory = Memory()
        self._answers = IdempotencyKeys(_recall_nothing)
        self._appliers = appliers_of(self._memory.folds)
        self._seq = 0
        self._saved_seq = 0
        """Where the last snapshot was saved, or was tried in vain."""
        self._states: dict[str, bytes] = {}
        self._to_dump: list[Fold | Answers] = []
        self._saving: Iterator[None] | None = None
        self._next_piece_ns = 0
        self._is_loaded = False
        self._is_broken = False
        self._troubles: dict[str, str] = {}
        """What cannot be done -> why."""

    @property
    def trouble(self) -> str:
        """Why no snapshot can be made; empty when all is well."""
        return "; ".join(f"cannot {what}: {why}" for what, why in self._troubles.items())

    @property
    def is_saving(self) -> bool:
        """A snapshot is being written: its next piece is due in ``PIECE_PAUSE_S`` at most."""
        return self._saving is not None

    def step(self, *, is_last: bool = False) -> bool:
        """Do the next piece of work; False when there is none, or none yet.

        ``is_last``: the log has ended, so that its end is worth a snapshot however near the last,
        and nobody waits for the disk any more.
        """
        if not self._is_loaded:
            return self._load()
        if self._saving is not None and (is_last or self._is_piece_due()):
            self._save(self._saving)
        elif self._is_broken:
            return False
        elif self._to_dump:
            self._dump()
        elif self._saving is None and self._is_due(is_last=is_last):
            self._to_dump = list(self._folds())
        elif self._seq < self._log.head.seq:
            return self._fold()
        else:
            return False
        return True

    def _is_due(self, *, is_last: bool) -> bool:
        since = self._seq - self._saved_seq
        if is_last and since > 0 and self._seq == self._log.head.seq:
            return True
        return is_snapshot_due(since, self._snapshots, least_events=self._snapshot_events)

    def _is_piece_due(self) -> bool:
        return self._clock.monotonic_ns() >= self._next_piece_ns

    def _folds(self) -> Iterator[Fold | Answers]:
        yield from self._memory.folds
        yield self._answers

    def _load(self) -> bool:
        """Begin where the last snapshot ends; at zero where it is of other folds than ours."""
        try:
            seq, states = self._snapshots.load()
            if states.keys() >= {_state_name(fold) for fold in self._folds()}:
                with collector_paused():
                    for fold in self._folds():
                        fold.load(states.pop(_state_name(fold)))
                self._seq = self._saved_seq = seq
        except Exception as error:  # the edge of a process: reported, and tried again
            return self._fail("load the last snapshot", error)
        self._is_loaded = True
        self._troubles.clear()
        _settle()
        return True

    def _fold(self) -> bool:
        try:
            rows = list(self._next_rows())
        except LogCorrupt as error:  # nothing is folded yet: tried again
            return self._fail("read the log", error)
        self._troubles.pop("read the log", None)
        try:
            replay(
                rows,
                self._types,
                self._appliers,
                partition=self._log.partition,
                after_seq=self._seq,
                answers=self._answers,
            )
        except Exception as error:  # memory is half of two states now: nothing to save any more
            self._is_broken = True
            return self._fail("fold the log", error)
        self._seq = rows[-1].first_seq + rows[-1].count - 1
        return True

    def _next_rows(self) -> Iterator[Row]:
        events = 0
        for row in self._log.rows(self._seq):
            yield row
            events += row.count
            if events >= STEP_EVENTS:
                return

    def _dump(self) -> None:
        fold = self._to_dump.pop(0)
        self._states[_state_name(fold)] = fold.dump()
        if self._to_dump:
            return
        states, self._states = self._states, {}
        self._saved_seq = self._seq
        self._saving = self._snapshots.saving(self._seq, states)

    def _save(self, saving: Iterator[None]) -> None:
        """Write the next piece, of states that the folds may meanwhile be beyond."""
        try:
            next(saving)
        except StopIteration:
            self._troubles.pop("save a snapshot", None)
        except StorageFull as full:  # the older snapshot stays, and the server reports the disk
            _log.warning("no snapshot at sequence %d: %s", self._saved_seq, full.detail)
        except Exception as error:  # the edge of a process: reported, and tried again
            self._fail("save a snapshot", error)
        else:
            self._next_piece_ns = self._clock.monotonic_ns() + round(PIECE_PAUSE_S * 1e9)
            return
        self._saving = None
        _settle()

    def _fail(self, what: str, error: Exception) -> bool:
        if what not in self._troubles:
            _log.exception("the follower cannot %s", what)
        self._troubles[what] = f"{type(error).__name__}: {error}"
        return False


def _settle() -> None:
    """What is folded has come to stay: passes of the garbage collector would find nothing in it."""
    gc.collect()
    gc.freeze()


def _state_name(fold: Fold | Answers) -> str:
    return f"{fold.name}/{fold.version}"


def _recall_nothing(tenant: str, scope: str, key: str) -> Idempotency | None:
    """Nobody asks the follower for an answer."""
    return None
