"""Shared counters in Valkey: one script per decision, many decisions per write.

Decisions that wait while one batch is under way are the next batch, so that the busier a process
is, the fewer system calls a decision costs; one connection is enough, and all that can wait is
bounded. Nothing is ever sent twice: a call without an answer may have been charged.

Needs the extra ``gate`` (valkey, libvalkey).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b, sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from ringwork.kernel.counters import Answer, Answered, Cell, Charge, Meter, Mode, Score
from ringwork.kernel.errors import StoreDown
from ringwork.kernel.ports import Clock, Entropy
from ringwork.storage.valkey.breaker import Breaker

if TYPE_CHECKING:
    from valkey.asyncio.connection import AbstractConnection

SCRIPT: Final = files("ringwork.storage.valkey").joinpath("take.lua").read_bytes()
PS_PER_US: Final = 10**6
TIMEOUT_S: Final = 0.05
"""For one batch. A limit that is decided later than this is worse than one decided alone."""
BATCH_MAX: Final = 64
WAITING_MAX: Final = 1024
"""Decisions: at 10,000 a second that is what a timeout and as much again lets pile up."""
CHARGES_MAX: Final = 200
"""Of one call: Lua holds the server for as long as a script runs."""
MODES: Final[dict[Mode, bytes]] = {
    "all": b"0",
    "soft": b"1",
    "alone": b"2",
    "owed": b"3",
    "back": b"4",
}


class _Call(Struct):
    """One decision that waits."""

    charges: Sequence[Charge]
    arguments: list[bytes | int]
    done: asyncio.Future[Answered]


class ValkeyCounters:
    """The port ``SharedCounters`` over one connection of one event loop.

    ``url``: ``valkey://[user:password@]host:port/db``, ``valkeys://`` (TLS) or
    ``unix:///path?db=0``. ``secret``: the same on all machines; counters are named by a keyed hash,
    so that the store holds nobody's account or address.
    """

    def __init__(
        self,
        url: str,
        *,
        secret: bytes,
        clock: Clock,
        entropy: Entropy,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        from valkey.asyncio import ConnectionPool  # noqa: PLC0415 # of the extra ``gate``
        from valkey.asyncio.retry import Retry  # noqa: PLC0415
        from valkey.backoff import NoBackoff  # noqa: PLC0415

        self._pool = ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=None)
        self._connection: AbstractConnection | None = None
        self._secret = blake2b(secret, digest_size=32).digest()
        self._script, self._sha = SCRIPT, _sha(SCRIPT)
        self._timeout_s = timeout_s
        self._breaker = Breaker(clock=clock, entropy=entropy)
        self._waiting: deque[_Call] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._incarnation = 0
        self.round_trips = 0
        """How often something was sent and its answers read."""

    @property
    def incarnation(self) -> int:
        return self._incarnation

    @property
    def retry_after_s(self) -> float:
        return self._breaker.retry_after_s

    async def take(self, charges: Sequence[Charge]) -> Answered:
        if len(charges) > CHARGES_MAX:
            raise ValueError(f"expected {CHARGES_MAX} charges at most, got {len(charges)}")
        if len(self._waiting) >= WAITING_MAX:
            raise StoreDown(f"{WAITING_MAX} decisions wait for the store already")
        if not self._breaker.may_ask():
            raise StoreDown(f"the store failed; it is asked again in {self.retry_after_s:.1f} s")
        done: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(charges, self._arguments(charges), done))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_all())
        return await done

    async def close(self) -> None:
        """Let go of the connection; who waits is told that the store is down."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        self._fail([*self._waiting], StoreDown("closed"))
        self._waiting.clear()
        await self._disconnect()

    # ---- sending ----------------------------------------------------------------------------

    async def _send_all(self) -> None:
        """Batch after batch until nobody waits; the first failure fails all who do."""
        from valkey.exceptions import ValkeyError  # noqa: PLC0415

        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_MAX))]
            try:
                async with asyncio.timeout(self._timeout_s):
                    replies = await self._exchange(batch)
            except (TimeoutError, OSError, ValkeyError) as error:
                self._breaker.failed()
                batch += self._waiting
                self._waiting.clear()
                self._fail(batch, StoreDown(f"{type(error).__name__}: {error}"[:200]))
                await self._disconnect()
                return
            except asyncio.CancelledError:
                self._fail(batch, StoreDown("closed"))
                raise
            self._breaker.worked()
            for call, reply in zip(batch, replies, strict=True):
                if call.done.done():
                    continue  # whoever asked has gone
                if isinstance(reply, Exception):
                    call.done.set_exception(StoreDown(f"the script failed: {reply}"[:200]))
                else:
                    call.done.set_result(_answered(call.charges, reply, self._incarnation))

    def _fail(self, calls: Sequence[_Call], error: StoreDown) -> None:
        for call in calls:
            if not call.done.done():
                call.done.set_exception(error)

    async def _exchange(self, batch: Sequence[_Call]) -> list[Any]:
        """One write, and the answers to it."""
        from valkey.exceptions import NoScriptError  # noqa: PLC0415

        connection = self._connection
        if connection is None:
            connection = self._connection = self._pool.make_connection()  # type: ignore[no-untyped-call] # of the library
            await connection.connect()
        replies = await self._round_trip(
            connection, [("EVALSHA", self._sha, *call.arguments) for call in batch]
        )
        # A server that was started anew does not know the script: those calls did not run.
        missing = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if missing:
            again = await self._round_trip(
                connection,
                [
                    ("SCRIPT", "LOAD", self._script),
                    *(("EVALSHA", self._sha, *batch[n].arguments) for n in missing),
                ],
            )
            for n, reply in zip(missing, again[1:], strict=True):
                replies[n] = reply
        return replies

    async def _round_trip(
        self, connection: AbstractConnection, commands: Sequence[tuple[str | bytes | int, ...]]
    ) -> list[Any]:
        from valkey.exceptions import ResponseError  # noqa: PLC0415

        self.round_trips += 1
        packed = connection.pack_commands(commands)
        await connection.send_packed_command(packed, check_health=False)
        replies: list[Any] = []
        for _ in commands:
            try:
                replies.append(await connection.read_response())
            except ResponseError as error:
                replies.append(error)
        return replies

    async def _disconnect(self) -> None:
        """What was sent and not answered must never be read as the answer to something else."""
        self._incarnation += 1
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    # ---- what is sent -----------------------------------------------------------------------

    def _arguments(self, charges: Sequence[Charge]) -> list[bytes | int]:
        keys: list[bytes] = []
        numbers: list[bytes | int] = []
        tags: dict[str, bytes] = {}
        for one in charges:
            tag = tags.get(one.actor)
            if tag is None:
                tag = tags[one.actor] = self._named(b"actor", one.actor.encode())[:16]
            meter = one.meter
            text = f"{one.counter}\0{_told(meter)}".encode()
            name = b"rw:{%b}:%b" % (tag, self._named(b"counter", text))
            keys += (name, name + b":calls") if isinstance(meter, Score) else (name,)
            numbers += _numbers(one, meter)
        return [len(keys), *keys, *numbers]

    def _named(self, what: bytes, text: bytes) -> bytes:
        return blake2b(text, digest_size=16, key=self._secret, person=what).hexdigest().encode()


def _numbers(one: Charge, meter: Meter) -> tuple[bytes | int, ...]:
    """Kind, mode, and six numbers as the script has them."""
    mode = MODES[one.mode]
    if isinstance(meter, Cell):
        more = divmod(one.cost * meter.interval_ps, PS_PER_US)
        tolerance = divmod(meter.burst * meter.interval_ps, PS_PER_US)
        return (b"1", mode, *more, *tolerance, one.ahead, meter.block_us)
    if isinstance(meter, Score):
        return (b"2", mode, one.cost, meter.maximum, meter.window_us, meter.block_us, one.at_us, 0)
    return (b"3", mode, one.cost, meter.limit, meter.window_us, one.at_us, 0, 0)


@lru_cache(maxsize=1024)
def _told(meter: Meter) -> str:
    return repr(meter)


def _answered(charges: Sequence[Charge], reply: Sequence[int], incarnation: int) -> Answered:
    answers = [
        _answer(one, *reply[at : at + 4])
        for one, at in zip(charges, range(1, len(reply), 4), strict=True)
    ]
    return Answered(reply[0], incarnation, answers)


def _answer(one: Charge, wait_us: int, left: int, more: int, granted: int) -> Answer:
    meter = one.meter
    if not isinstance(meter, Cell):
        return Answer(wait_us, left, more)
    if meter.block_us and wait_us:
        return Answer(wait_us, 0, wait_us)
    room_ps = left * PS_PER_US + more
    units = max(room_ps // meter.interval_ps, 0)
    more_ps = (units + 1) * meter.interval_ps - room_ps
    if units >= meter.burst:
        more_ps = 0
    return Answer(wait_us, units, -(-more_ps // PS_PER_US), granted)


def _sha(script: bytes) -> str:
    return sha1(script, usedforsecurity=False).hexdigest()
