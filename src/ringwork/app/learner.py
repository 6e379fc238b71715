"""The learner: a thread that follows the log and learns the response model from it.

It runs in the follower of ``ringwork serve``, so that learning costs the serving process nothing,
or, where the platform is embedded and has no follower, in the platform's own process beside the
event loop. Where the log says that a version was published it writes that version's file; now and
then, and when it is closed, its own state, from which it goes on. It decides nothing and may be
killed at any time: what is missing is learned again from the log, to the same bits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ringwork.ads.learning import Learning
from ringwork.ads.rank.response import ResponseModel
from ringwork.app.link import Learned
from ringwork.app.model_files import ModelFiles, Place, Rows, State, Version
from ringwork.kernel.errors import LogCorrupt
from ringwork.kernel.events import EventTypes
from ringwork.kernel.journal import appliers_of, replay
from ringwork.kernel.ports import Row

STEP_EVENTS: Final = 1024
"""Events learned from in one step, or one larger row; what was learned is told after it."""
SAVE_EVENTS: Final = 1_000_000
"""Events between two saves of the state. A learner that is killed learns from about as many again,
which takes it half a minute, and meanwhile the last version serves."""
BEGINS_AFTER_S: Final = 3.0
"""Loading the model takes a second of CPU time, which a start has better uses for; and a command
that opens the store for a moment needs no learner."""
POLL_S: Final = 0.5
"""How late it notices new events: nobody waits for what it learns."""
NEAR_EVENTS: Final = 20_000
"""While the log's end is farther off, a version is not written: the next one replaces it soon."""

_log: Final = logging.getLogger(__name__)


class Learner:
    """The model of one data directory, step by step; ``LearnerThread`` runs it."""

    def __init__(self, log: Rows, types: EventTypes, data: Path) -> None:
        """Go on from the last state; from the log's start where that, or its version, is gone."""
        self._log = log
        self._types = types
        self._files = ModelFiles(data)
        self._files.clean()
        self._model = ResponseModel()
        self._learning = Learning(self._model)
        self._appliers = appliers_of([self._learning])
        self._at: Place | None = None
        """None before the first row."""
        self._saved_seq = 0
        self._unwritten: Version | None = None
        self._written = 0
        self._load()
        self.learned = self._told()
        """How far it is."""

    def step(self) -> bool:
        """Learn from the next events; False when there are none.

        Raises LogCorrupt and OSError, after which it may be called again, and whatever a mistake of
        ours raises, after which it may not.
        """
        if self._is_near:
            self._write_version()
        if self._seq - self._saved_seq >= SAVE_EVENTS:
            self.save()
        rows = self._next_rows()
        for row in rows:
            self._learn(row)
        self.learned = self._told()
        return bool(rows)

    def save(self) -> None:
        """Keep the state, where it has changed. Raises OSError."""
        if self._at is None or self._seq == self._saved_seq:
            return
        self._write_version()  # a state whose version is not on disk is no use
        self._files.keep_state(State(self._at, self._learning.dump(), self._model.dump()))
        self._saved_seq = self._seq

    @property
    def _seq(self) -> int:
        return 0 if self._at is None else self._at.seq

    @property
    def _is_near(self) -> bool:
        return self._log.head.seq - self._seq < NEAR_EVENTS

    def _load(self) -> None:
        state = self._files.state(self._log)
        if state is None:
            return
        self._learning.load(state.learning)
        published = self._learning.published
        if published and self._files.version(published, self._log) is None:
            # Only learning the whole log again passes the place where it was published.
            _log.info("version %d of the response model is learned anew", published)
            self._learning.clear()
            return
        self._model.load(state.model)
        self._at, self._saved_seq, self._written = state.at, state.at.seq, published

    def _write_version(self) -> None:
        if self._unwritten is not None:
            self._files.keep(self._unwritten, self._log)
            self._written, self._unwritten = self._unwritten.snapshot.version, None

    def _next_rows(self) -> list[Row]:
        rows: list[Row] = []
        events = 0
        if self._seq < self._log.head.seq:
            for row in self._log.rows(self._seq):
                rows.append(row)
                events += row.count
                if events >= STEP_EVENTS:
                    break
        return rows

    def _learn(self, row: Row) -> None:
        replay([row], self._types, self._appliers)
        self._at = Place.after(row)
        snapshot, self._learning.snapshot = self._learning.snapshot, None
        if snapshot is not None:
            self._unwritten = Version(self._at, snapshot)

    def _told(self) -> Learned:
        learned = {name: sum(rows.values()) for name, rows in self._model.learned().items()}
        learning = self._learning
        return Learned(
            self._seq,
            learning.published,
            self._written,
            learning.fresh,
            learned,
            dict(learning.tiers),
        )


class LearnerThread:
    """A learner that follows the log in a thread of its own, from a while after ``start`` on."""

    def __init__(self, log: Rows, types: EventTypes, data: Path) -> None:
        self._log = log
        self._types = types
        self._data = data
        self._learner: Learner | None = None
        self._is_troubled = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="learner", daemon=True)

    @property
    def learned(self) -> Learned:
        """How far it is. From any thread."""
        learner = self._learner
        return Learned() if learner is None else learner.learned

    def rests_at(self, told: Learned) -> bool:
        """Whether it is where it was told to be, with nothing more to learn from or to write."""
        learned = self.learned
        is_done = learned.seq >= self._log.head.seq and learned.written >= learned.version
        return is_done and learned == told

    def start(self) -> None:
        """Begin, ``BEGINS_AFTER_S`` from now."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the step it is at, and save the state. Idempotent."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        if self._end.wait(BEGINS_AFTER_S):
            return
        try:
            while not self._end.is_set():
                if not self._tried(self._step):
                    self._end.wait(POLL_S)
            self._tried(self._save)
        except Exception:  # the edge of a thread: the last version serves on
            _log.exception("the response model cannot learn any more")

    def _step(self) -> bool:
        if self._learner is None:
            self._learner = Learner(self._log, self._types, self._data)
        return self._learner.step()

    def _save(self) -> bool:
        if self._learner is not None:
            self._learner.save()
        return True

    def _tried(self, work: Callable[[], bool]) -> bool:
        """What ``work`` says; False where the disk did not let it: its trouble passes."""
        try:
            done = work()
        except (LogCorrupt, OSError) as error:
            if not self._is_troubled:
                _log.warning("the response model cannot be kept up: %s", error)
            self._is_troubled = True
            return False
        self._is_troubled = False
        return done
