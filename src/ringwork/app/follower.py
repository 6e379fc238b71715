"""The follower: the child process of ``ringwork serve`` that writes what follows the log.

It reads the log as the server makes it durable, keeps the projections (``state.db``, and apart from
it ``history.db``) in step with it, saves the snapshots and, where ads are sold, learns the response
model (in a thread of its own), so that none of it costs the server CPU time or a pause. It decides
nothing and holds nothing that cannot be rebuilt from the log: it may be killed at any time.

It follows the socket on its standard input alone. Signals meant for the whole process group or
service (Ctrl-C, a service manager's SIGTERM, a closed terminal) reach the server too, which then
lets its follower finish; and when the server ends without a word, the socket closes and the
follower ends.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Final

import msgspec

from ringwork.app.ending import end_at_once
from ringwork.app.history import HistoryProjection
from ringwork.app.keeper import PIECE_PAUSE_S, DurableLog, Keeper
from ringwork.app.learner import LearnerThread
from ringwork.app.link import (
    ERROR_MAX_CHARS,
    SERVERS_SIGNALS,
    Begin,
    Finish,
    FollowerEnd,
    Learned,
    Progress,
    ServerGone,
    ToFollower,
)
from ringwork.app.memory import EVENTS, PROJECTIONS
from ringwork.app.runners import Runners
from ringwork.kernel.clock import SystemClock
from ringwork.kernel.entropy import SystemEntropy
from ringwork.kernel.events import EventTypes
from ringwork.kernel.ports import KeyStore
from ringwork.storage.snapshot_file import FileSnapshots
from ringwork.storage.sqlite.history import FILE_NAME as HISTORY_FILE
from ringwork.storage.sqlite.history import open_history
from ringwork.storage.sqlite.keys import SqliteKeyStore
from ringwork.storage.sqlite.projections import POLL_S, ProjectionRunner
from ringwork.storage.sqlite.reader import SqliteLogReader
from ringwork.storage.sqlite.state import State, open_state
from ringwork.storage.standing import Standing
from ringwork.web.logs import configure

NICENESS: Final = 5
"""Requests come first where there are fewer cores than work."""

_log: Final = logging.getLogger(__name__)


class Follower:
    """Projections and snapshots of one data directory, until the server says stop or is gone."""

    def __init__(
        self, end: FollowerEnd, begin: Begin, state: State, history: State, keys: KeyStore
    ) -> None:
        """Raises LogCorrupt where a checkpoint lies beyond the log."""
        types = EventTypes(EVENTS)
        self._end = end
        self._log = DurableLog(SqliteLogReader(Path(begin.data) / "log"), begin.head)
        people = HistoryProjection(keys, rows_max=begin.history_rows)
        self._runner = Runners(
            [
                ProjectionRunner(self._log, state, types, PROJECTIONS),
                ProjectionRunner(self._log, history, types, [people]),
            ]
        )
        snapshots = FileSnapshots(Path(begin.data))
        snapshots.clean()
        self._keeper = Keeper(
            self._log,
            types,
            snapshots,
            clock=SystemClock(),
            snapshot_events=begin.snapshot_events,
        )
        data = Path(begin.data)
        self._learner = LearnerThread(self._log, types, data) if begin.learns else None
        self._told: Progress | None = None
        self._is_last = False

    def hear(self, messages: Sequence[ToFollower]) -> None:
        """Take what the server said, in order."""
        for message in messages:
            self._log.head = message.head
            self._is_last = self._is_last or isinstance(message, Finish)

    def follow(self) -> None:
        """Work until the server lets it end. Raises ServerGone.

        Projections and snapshots take turns: a request that waits for a projection waits for one
        step of the snapshot at most, and a projection that rebuilds holds no snapshot up.
        """
        is_busy = True
        if self._learner is not None:
            self._learner.start()
        while True:
            self._listen(is_busy=is_busy)
            # At the end only the snapshot counts: the next start goes on with the projections.
            is_busy = not self._is_last and self._runner.advance()
            self._tell()
            is_busy = self._keeper.step(is_last=self._is_last) or is_busy
            self._tell()
            if self._is_last and not is_busy:
                if self._learner is not None:
                    self._learner.close()
                return

    def _listen(self, *, is_busy: bool) -> None:
        # How far the learner is must be told, although nobody says anything meanwhile.
        learns = self._learner is not None and (
            self._told is None or not self._learner.rests_at(self._told.learned)
        )
        has_trouble = bool(self._runner.troubles or self._keeper.trouble)
        wait_s = POLL_S if has_trouble or learns else None
        if self._keeper.is_saving:
            wait_s = PIECE_PAUSE_S
        self.hear(self._end.receive(0 if is_busy else wait_s))

    def _tell(self) -> None:
        progress = Progress(
            _clipped(self._runner.standing),
            self._keeper.trouble[:ERROR_MAX_CHARS],
            Learned() if self._learner is None else self._learner.learned,
        )
        if progress != self._told:
            self._end.send(progress)
            self._told = progress


def _clipped(standing: Standing) -> Standing:
    stopped = tuple(
        msgspec.structs.replace(one, error=one.error[:ERROR_MAX_CHARS]) for one in standing.stopped
    )
    return Standing(standing.seq, stopped, standing.trouble[:ERROR_MAX_CHARS])


def _follow_server(end: FollowerEnd) -> None:
    while not (messages := end.receive(None)):
        pass
    begin, *later = messages
    assert isinstance(begin, Begin), "a server begins with this"
    configure(begin.log_level)
    data = Path(begin.data)
    with ExitStack() as opened:
        state = opened.enter_context(closing(open_state(data / "state.db")))
        history = opened.enter_context(closing(open_history(data / HISTORY_FILE)))
        keys = SqliteKeyStore.open(data / "keys.db", data / "kek", entropy=SystemEntropy())
        opened.enter_context(closing(keys))
        follower = Follower(end, begin, state, history, keys)
        follower.hear(later)
        follower.follow()


def main() -> None:
    """Follow the server whose socket is our standard input."""
    for number in SERVERS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # The server blocked them for us until this line (see following.py).
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SERVERS_SIGNALS)
    os.nice(NICENESS)
    try:
        with socket.socket(fileno=sys.stdin.fileno()) as connection:
            with suppress(ServerGone):
                _follow_server(FollowerEnd(connection))
            end_at_once(0)
    except Exception:  # the edge of a process: the server starts another one
        _log.exception("the follower cannot go on")
        sys.exit(1)


if __name__ == "__main__":
    main()
