"""The server's side of its follower: starts it, tells it of new events, hears how far it is.

Has the face of a ProjectionRunner where the platform uses one. Nothing is done per request: the end
of the log is announced ten times a second, and at once when somebody waits for a projection. When
the follower dies it is started again, after pauses that grow; meanwhile those who wait get 503 and
``troubles`` says why. Nothing is lost: a follower holds nothing that is not in the log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from ringwork.app.link import (
    LINE_MAX_BYTES,
    SERVERS_SIGNALS,
    Announce,
    Begin,
    Finish,
    Learned,
    Progress,
    ToFollower,
    decode_progress,
    encode,
)
from ringwork.kernel.errors import RingworkError, Unavailable
from ringwork.kernel.ports import Head
from ringwork.storage.standing import Standing

ANNOUNCE_S: Final = 0.1
"""How late the follower hears of events that nobody waits for: batches stay large."""
GAP_S: Final = 0.002
"""Between two announcements, however many wait: a batch takes about as long."""
PAUSE_MIN_S: Final = 0.1
PAUSE_MAX_S: Final = 10.0
"""Before a dead follower is started again: doubled each time, up to this."""
WELL_AFTER_S: Final = 60.0
"""A follower that lived so long did not die of its start: the pauses begin anew."""
FINISH_WITHIN_S: Final = 20.0
"""For the last snapshot, most of which is folded already; after that the next start replays."""
ENDED_WITHIN_S: Final = 5.0
"""Between closing its socket and its end."""

_COMMAND: Final = (sys.executable, "-P", "-m", "ringwork.app.follower")

_log: Final = logging.getLogger(__name__)


class HasHead(Protocol):
    """What is followed."""

    @property
    def head(self) -> Head: ...


class Following:
    """One follower after another. All calls on the event loop's thread, but ``close``."""

    def __init__(
        self,
        log: HasHead,
        *,
        data: str,
        log_level: str,
        snapshot_events: int,
        history_rows: int,
        learns: bool = True,
        seq: int,
    ) -> None:
        """``seq``: where the projections stand before the first follower has said anything."""
        self._log = log
        self._data = data
        self._log_level = log_level
        self._snapshot_events = snapshot_events
        self._history_rows = history_rows
        self._learns = learns
        self._progress = Progress(Standing(seq))
        self._death = ""
        """Why there is no follower; empty while there is one, or the first is still starting."""
        self._waiters: set[tuple[int, asyncio.Future[None]]] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._announced_seq = 0
        self._announced_s = 0.0
        self._announcing: asyncio.TimerHandle | None = None
        self._is_finishing = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def seq(self) -> int:
        """Every projection has applied every event up to this one."""
        return self._progress.standing.seq

    @property
    def lag(self) -> int:
        """How many durable events the slowest projection is behind."""
        return max(self._log.head.seq - self.seq, 0)

    @property
    def troubles(self) -> Mapping[str, str]:
        """What stops a projection (by its name), all of them, the snapshots or the follower."""
        found = self._progress.standing.troubles
        if self._progress.snapshot_trouble:
            found["snapshots"] = self._progress.snapshot_trouble
        return {**found, "follower": self._death} if self._death else found

    @property
    def learned(self) -> Learned:
        """How far the response model's learner is, as it said last."""
        return self._progress.learned

    # ---- waiting --------------------------------------------------------------------------------

    def notify(self) -> None:
        """There may be new events."""
        loop = asyncio.get_running_loop()
        due_s = self._announced_s + GAP_S
        if loop.time() >= due_s:
            self._announce()
        elif self._announcing is None:
            self._announcing = loop.call_at(due_s, self._announce)

    async def caught_up(self, seq: int) -> None:
        """Wait until all projections have applied ``seq``.

        Raises RingworkError when one has stopped before it, Unavailable while there is no follower.
        """
        if self._progress.standing.has_reached(seq):
            return
        if self._death or self._is_finishing.is_set():
            raise self._unavailable()
        waiter = (seq, asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        self.notify()
        try:
            await waiter[1]
        finally:
            self._waiters.discard(waiter)

    def _wake_waiters(self) -> None:
        for seq, future in self._waiters:
            if future.done():
                continue
            try:
                is_there = self._progress.standing.has_reached(seq)
            except RingworkError as error:
                future.set_exception(error)
            else:
                if is_there:
                    future.set_result(None)

    def _fail_waiters(self) -> None:
        for _, future in self._waiters:
            if not future.done():
                future.set_exception(self._unavailable())

    def _unavailable(self) -> Unavailable:
        if self._is_finishing.is_set():
            return Unavailable("shutting-down", "the server is stopping")
        return Unavailable("not-ready", f"the tables for queries are behind: {self._death}")

    # ---- living ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a follower, and another one whenever it dies, until ``finish``."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._supervise()), loop.create_task(self._keep_telling())]

    async def finish(self) -> None:
        """Let the follower save a last snapshot at the log's end, and wait for it to end.

        Call it when everything is durable. A follower that takes too long is killed, which costs
        the next start some replay and nothing else.
        """
        if not self._tasks:
            return
        supervising, telling = self._tasks
        telling.cancel()
        if self._announcing is not None:
            self._announcing.cancel()
        self._is_finishing.set()
        self._fail_waiters()
        self._send(Finish(self._log.head))
        await asyncio.wait([supervising], timeout=FINISH_WITHIN_S)
        if not supervising.done():
            _log.warning("the follower did not finish in %.0f s and is killed", FINISH_WITHIN_S)
            self._kill()
        self._tasks = []
        await supervising

    def close(self) -> None:
        """End a follower that is still there. Idempotent."""
        process = self._process
        if process is not None:
            self._kill()
            process.wait()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(ANNOUNCE_S)
            self.notify()

    def _announce(self) -> None:
        self._announcing = None
        head = self._log.head
        if head.seq > self._announced_seq and self._send(Announce(head)):
            self._announced_seq = head.seq
            self._announced_s = asyncio.get_running_loop().time()

    def _send(self, message: ToFollower) -> bool:
        """False where nobody listens: it hears the newest head when it does again."""
        writer = self._writer
        if writer is None:
            return False
        if isinstance(message, Announce) and writer.transport.get_write_buffer_size():
            return False
        writer.write(encode(message))
        return True

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        pause_s = PAUSE_MIN_S
        while True:
            began_s = loop.time()
            death = await self._follow_once()
            if self._is_finishing.is_set():
                return
            if loop.time() - began_s >= WELL_AFTER_S:
                pause_s = PAUSE_MIN_S
            self._death = f"the follower {death}; the next one starts in {pause_s:.1f} s"
            _log.error("%s", self._death)
            self._fail_waiters()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_finishing.wait(), pause_s)
                return
            pause_s = min(pause_s * 2, PAUSE_MAX_S)

    async def _follow_once(self) -> str:
        """Start a follower and hear it to its end, which is returned in words."""
        try:
            process, ours = await asyncio.to_thread(_spawn)
        except OSError as error:
            return f"cannot be started: {error}"
        self._process = process
        try:
            await self._converse(ours)
        except (OSError, ValueError, msgspec.DecodeError) as error:
            said = f"broke off ({type(error).__name__}: {error}) and "
            self._kill()
        else:
            said = ""
        code = await asyncio.to_thread(_reap, process)
        self._process = None
        return said + (f"was ended by signal {-code}" if code < 0 else f"ended with code {code}")

    async def _converse(self, ours: socket.socket) -> None:
        """Until the follower closes its end."""
        reader, self._writer = await asyncio.open_unix_connection(sock=ours, limit=LINE_MAX_BYTES)
        try:
            head = self._log.head
            self._send(
                Begin(
                    self._data,
                    self._log_level,
                    self._snapshot_events,
                    head,
                    self._history_rows,
                    self._learns,
                )
            )
            self._announced_seq = head.seq
            if self._is_finishing.is_set():
                self._send(Finish(self._log.head))
            with suppress(ConnectionError):  # killed with something of ours unread
                while (line := await reader.readline()).endswith(b"\n"):
                    self._hear(decode_progress(line))
        finally:
            self._writer.close()
            self._writer = None

    def _hear(self, progress: Progress) -> None:
        if self._death:
            _log.warning("the follower is back, at sequence %d", progress.standing.seq)
        self._progress, self._death = progress, ""
        self._wake_waiters()


def _spawn() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a follower; returns it with our end of the socket. On a thread of its own.

    It finds its modules where we found ours, and not in the working directory. What it does not
    want to be ended by is blocked in this thread, hence in the child, until it says so itself: a
    Ctrl-C between its birth and its first line must not kill it.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SERVERS_SIGNALS)
    try:
        process = subprocess.Popen(
            _COMMAND,
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    except OSError:
        ours.close()
        raise
    else:
        return process, ours
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()


def _reap(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a follower that has closed its socket, or was killed."""
    try:
        return process.wait(ENDED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
