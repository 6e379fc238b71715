"""One data directory, open: secrets, log, keys, tables, and memory folded from the log.

What every server stands on, whichever parts it serves. Opened in order and closed in reverse.
Opening is synchronous, so that what is wrong stops the start; the background work lives as long as
``running``.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Final

from ringwork.app.erasure import Erasures
from ringwork.app.following import Following
from ringwork.app.history import HistoryProjection
from ringwork.app.keeper import is_snapshot_due
from ringwork.app.memory import EVENTS, PROJECTIONS, Memory
from ringwork.app.runners import Runners
from ringwork.app.secrets import Pseudonyms, load_or_make
from ringwork.app.settings import Settings
from ringwork.kernel.clock import ScaledClock, SystemClock
from ringwork.kernel.errors import Overloaded, Unavailable
from ringwork.kernel.events import EventTypes, Idempotency
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Journal
from ringwork.kernel.ports import Clock, Entropy
from ringwork.storage.snapshot_file import FileSnapshots
from ringwork.storage.sqlite.files import Connect, connect
from ringwork.storage.sqlite.history import FILE_NAME as HISTORY_FILE
from ringwork.storage.sqlite.history import open_history
from ringwork.storage.sqlite.indexes import AnswerIndex, RequestIndex
from ringwork.storage.sqlite.keys import SqliteKeyStore
from ringwork.storage.sqlite.log import SqliteEventLog, exit_at_once
from ringwork.storage.sqlite.projections import ProjectionRunner, load_checkpoints
from ringwork.storage.sqlite.reader import SqliteLogReader
from ringwork.storage.sqlite.search import rows_naming
from ringwork.storage.sqlite.segment import Rotation
from ringwork.storage.sqlite.state import open_state
from ringwork.web.execute import Executor
from ringwork.web.idempotency import IdempotencyKeys

SNAPSHOT_EVENTS: Final = 200_000
"""At least so many between two snapshots: about a second of replay at the next start."""
TICK_S: Final = 1.0
INDEXED_WITHIN_S: Final = 5.0
"""How long a request waits for the projections, which are milliseconds behind when all is well."""


class Store:
    """One data directory. Use ``close``, or ``running``."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        entropy: Entropy,
        on_fatal: Callable[[Exception], None] = exit_at_once,
        open_database: Connect = connect,
        follower_process: bool = False,
        learns: bool = True,
    ) -> None:
        """Open or begin the store. Raises LogCorrupt, Busy, ConfigurationError.

        ``follower_process`` leaves projections and snapshots to a child process while it is
        ``running``, as a server wants it, and learning as well where it ``learns``; else threads
        and ``keep`` do them here. ``on_fatal`` is told when the log fails beyond repair; by default
        the process ends at once. ``open_database`` opens the log's files: a test gives it a disk
        that fails.
        """
        self.settings = settings
        self.clock = clock
        self.entropy = entropy
        self.ids = IdGenerator(clock, entropy)
        self.opened = ExitStack()
        """What is closed with it; the last one first."""
        with ExitStack() as undo:
            undo.callback(self.opened.close)
            self._open_files(on_fatal, open_database)
            self.projections = (
                self._follow_beside(learns=learns) if follower_process else self._follow_here()
            )
            self._open_memory()
            undo.pop_all()

    def _open_files(self, on_fatal: Callable[[Exception], None], open_database: Connect) -> None:
        data = self.settings.data_path
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.secrets = load_or_make(data, self.entropy)
        self.pseudonym = Pseudonyms(self.secrets.pseudonym)
        self.log = SqliteEventLog.open(
            data / "log",
            clock=self.clock,
            entropy=self.entropy,
            rotation=Rotation(
                max_file_bytes=self.settings.log.max_file_mib * 1024 * 1024,
                max_file_age_us=self.settings.log.max_file_hours * 3_600_000_000,
                open_database=open_database,
            ),
            on_fatal=on_fatal,
        )
        self.opened.callback(self.log.close)
        self.keys = SqliteKeyStore.open(data / "keys.db", data / "kek", entropy=self.entropy)
        self.opened.callback(self.keys.close)
        self.state = open_state(data / "state.db")
        self.opened.callback(self.state.close)
        self.people = open_history(data / HISTORY_FILE)
        self.opened.callback(self.people.close)
        self.reader = SqliteLogReader(data / "log")
        self.snapshots = FileSnapshots(data)
        self.snapshots.clean()
        self.types = EventTypes(EVENTS)

    def _follow_here(self) -> Runners | Following:
        data = self.settings.data_path
        # Of the thread that applies the history: a key store is for one thread at a time.
        keys = SqliteKeyStore.open(data / "keys.db", data / "kek", entropy=self.entropy)
        self.opened.callback(keys.close)
        people = HistoryProjection(keys, rows_max=self.settings.history.rows_per_person)
        return Runners(
            [
                ProjectionRunner(self.log, self.state, self.types, PROJECTIONS),
                ProjectionRunner(self.log, self.people, self.types, [people]),
            ]
        )

    def _follow_beside(self, *, learns: bool) -> Runners | Following:
        # From here on the follower alone writes state.db, and all of history.db but what erasures
        # and time take away; what is wrong with either stops the start.
        people = HistoryProjection(self.keys, rows_max=self.settings.history.rows_per_person)
        checkpoints = load_checkpoints(self.log, self.state, PROJECTIONS)
        checkpoints |= load_checkpoints(self.log, self.people, [people])
        return Following(
            self.log,
            data=str(self.settings.data_path.resolve()),
            log_level=self.settings.logging.level,
            snapshot_events=SNAPSHOT_EVENTS,
            history_rows=self.settings.history.rows_per_person,
            learns=learns,
            seq=min(checkpoints.values()),
        )

    def _open_memory(self) -> None:
        self.memory = Memory()
        self.answers = IdempotencyKeys(self._recall_answer)
        self.journal = Journal(
            log=self.log,
            types=self.types,
            folds=self.memory.folds,
            clock=self.clock,
            ids=self.ids,
            snapshots=self.snapshots,
            answers=self.answers,
        )
        replayed = self.journal.refold()
        self._snapshot_seq = self.log.head.seq - replayed
        self.execute = Executor(self.journal, self.answers, secret=self.secrets.fingerprint)
        self.erasures = Erasures(
            keys=self.keys,
            types=self.types,
            pseudonym=self.pseudonym,
            rows=self.reader.rows,
            rows_naming=partial(rows_naming, self.state.reader),
            snapshots=self.snapshots,
        )

    # ---- older than memory ----------------------------------------------------------------------

    def _recall_answer(self, tenant: str, scope: str, key: str) -> Idempotency | None:
        with self.state.reader.begin() as connection:
            return AnswerIndex.recall(connection, tenant, scope, key)

    def request_seqs(self, request_id: bytes, limit: int) -> list[int]:
        """Where the log holds the events of a request."""
        with self.state.reader.begin() as connection:
            return RequestIndex.seqs(connection, request_id, limit=limit)

    async def indexed(self) -> None:
        """Resolves when everything acknowledged so far is durable and in the projections.

        Raises StorageFull or Overloaded where they do not catch up in time.
        """
        await self.journal.settled()
        try:
            async with asyncio.timeout(INDEXED_WITHIN_S):
                await self.projections.caught_up(self.log.head.seq)
        except TimeoutError:
            self.log.admit()  # a disk that is full for the log is full for the projections
            lag = self.projections.lag
            raise Overloaded(f"the projections are {lag} events behind; see /readyz") from None

    # ---- living ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Projections while a server runs; afterwards everything durable and closed."""
        self.projections.start()
        try:
            yield
        finally:
            try:
                with suppress(Unavailable):
                    await self.journal.settled()
                    if not isinstance(self.projections, Following):
                        self._snapshot_if_durable()
                if isinstance(self.projections, Following):
                    await self.projections.finish()
            finally:
                await asyncio.to_thread(self.close)
                gc.unfreeze()  # a process that goes on may forget all this

    async def keep(self, *chores: Callable[[], Awaitable[None]]) -> None:
        """Every second: what a server has to do beside its requests, and a snapshot when due."""
        while True:
            await asyncio.sleep(TICK_S)
            self.projections.notify()
            try:
                for chore in chores:
                    await chore()
                if self._is_snapshot_due():
                    await self.journal.settled()
                    self._snapshot_if_durable()
            except Unavailable:  # the disk is full or the log overloaded: next time
                continue

    def _is_snapshot_due(self) -> bool:
        if isinstance(self.projections, Following):
            return False  # its follower does it
        since = self.log.head.seq - self._snapshot_seq
        return is_snapshot_due(since, self.snapshots, least_events=SNAPSHOT_EVENTS)

    def _snapshot_if_durable(self) -> None:
        """Save memory's state when every event in it is on disk; else the next tick tries again."""
        seq, states = self.journal.snapshot()
        if seq == self.log.head.seq and seq > self._snapshot_seq:
            self.snapshots.save(seq, states)
            self._snapshot_seq = seq

    def close(self) -> None:
        """Stop what follows the log, store what waits, close every file. Idempotent."""
        self.projections.close()
        self.opened.close()


@asynccontextmanager
async def working(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Tasks beside the requests, from when all is ready until the end."""
    # What was folded at the start lives as long as the process: passes of the garbage collector
    # over it find nothing and stop every request meanwhile.
    gc.collect()
    gc.freeze()
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def clock_of(settings: Settings) -> Clock:
    """The machine's clock, or the world's where one is set."""
    world = settings.clock
    if world is None:
        return SystemClock()
    return ScaledClock(
        real_start_us=world.real_start_us,
        world_start_us=world.world_start_us,
        world_end_us=world.world_end_us,
        speed=world.speed,
    )
