"""What the platform needs from the outside world, named by need (adapters are named by technology).

Time, randomness and storage reach rules and services only through these protocols, so that tests,
simulation and replay are exact. Every adapter passes the conformance suite of its port in
``ringwork.testing``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Protocol

from msgspec import Struct

from ringwork.kernel.counters import Answered, Charge
from ringwork.kernel.events import Event, Idempotency, Recorded


class Clock(Protocol):
    """Two clocks: one for records, one for durations.

    Wall time may go back, order never uses it.
    """

    def wall_us(self) -> int:
        """Microseconds since the Unix epoch, for records."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds from an arbitrary start, never decreasing, for durations and deadlines."""
        ...


class Entropy(Protocol):
    """A source of unpredictable bytes (predictable in tests and simulation)."""

    def take(self, count: int) -> bytes:
        """Exactly ``count`` bytes."""
        ...


class Head(Struct, frozen=True):
    """The end of one partition: what an anchor, a checkpoint and an auditor compare."""

    partition: int
    seq: int
    chain: bytes


class Row(Struct, frozen=True):
    """One durable group of frames, as stored.

    ``count`` events from ``first_seq``, chained by SHA-256.
    """

    first_seq: int
    count: int
    ts_us: int
    chain: bytes
    payload: bytes


class EventLog(Protocol):
    """One append-only partition. What ``append`` acknowledged is on disk and stays there (I1)."""

    @property
    def partition(self) -> int: ...

    @property
    def next_seq(self) -> int:
        """The sequence number that the first event of the next appended frame will get."""
        ...

    @property
    def head(self) -> Head:
        """The durable end: every event up to ``head.seq`` is on disk."""
        ...

    def admit(self) -> None:
        """Raise ``Overloaded`` or ``StorageFull`` when an append would be refused.

        Call it before deciding.
        """
        ...

    def append(self, frame: bytes, events: int) -> asyncio.Future[None]:
        """Queue one encoded frame of ``events`` events.

        The batch's shared future resolves when it is durable.

        Frames become durable in the order of the calls. The future fails with ``StorageFull`` when
        the disk has no room (nothing of the batch is stored) and the process ends when a sync
        fails.
        """
        ...

    def rows(self, after_seq: int = 0) -> Iterator[Row]:
        """Durable rows in order, from the row that holds ``after_seq + 1``.

        Raises ``LogCorrupt``.
        """
        ...


class KeyStore(Protocol):
    """Per-subject data keys for personal members.

    Deleting a key makes its ciphertext unreadable (I7).
    """

    def seal(self, subject: bytes, plain: bytes, *, context: bytes) -> bytes:
        """Encrypt under the subject's key, made on first use and durable before this returns."""
        ...

    def unseal(self, subject: bytes, sealed: bytes, *, context: bytes) -> bytes | None:
        """Decrypt, or None when the subject's key was erased.

        Raises ``SealBroken`` on tampering.
        """
        ...

    def erase(self, subject: bytes) -> int:
        """Delete the subject's keys; returns how many there were."""
        ...

    def holds(self, subject: bytes) -> bool: ...


class Snapshots(Protocol):
    """Where folded state waits for the next start.

    So that a start need not replay the whole log.
    """

    @property
    def size_bytes(self) -> int:
        """About how large the newest snapshot is, 0 where there is none: what loading it costs."""
        ...

    def save(self, seq: int, states: Mapping[str, bytes]) -> None:
        """Replace the snapshot by ``states`` (fold name -> bytes).

        All folded up to and including ``seq``. Raises StorageFull, and the old one stays.
        """
        ...

    def saving(self, seq: int, states: Mapping[str, bytes]) -> Iterator[None]:
        """As ``save``, a small piece at each step, for a writer that has other things to do.

        The old one stays until the end was reached; who stops before it has changed nothing.
        """
        ...

    def load(self) -> tuple[int, dict[str, bytes]]:
        """The newest snapshot; ``(0, {})`` where there is none, or none that can be used."""
        ...


class Fold(Protocol):
    """State in memory that is a left fold of the log (I3): decisions read it, replay rebuilds it.

    ``apply`` reads no clock, does no I/O and draws no randomness. ``dump`` gives bytes that
    ``load`` takes back; equal states dump equal bytes. A changed meaning is a new ``version``:
    snapshots of another version are ignored and the log is folded from its start.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    hears: ClassVar[tuple[type[Event], ...]]

    def apply(self, recorded: Recorded) -> None: ...

    def clear(self) -> None:
        """Back to the state before the first event, in place."""
        ...

    def dump(self) -> bytes: ...

    def load(self, state: bytes) -> None:
        """Replace the state by a dumped one."""
        ...


class Answers(Protocol):
    """The first answers to keyed commands, folded from the frames' idempotency members."""

    name: ClassVar[str]
    version: ClassVar[int]

    def remember(self, idempotency: Idempotency, ts_us: int) -> None: ...

    def clear(self) -> None: ...

    def dump(self) -> bytes: ...

    def load(self, state: bytes) -> None: ...


class SharedCounters(Protocol):
    """Counters of limits that processes and machines have in common.

    One call is one decision, all or nothing, and one round trip. It answers within its time limit,
    or raises ``StoreDown``; what it had charged by then stays charged, and nothing is sent twice.
    """

    @property
    def incarnation(self) -> int:
        """Of the connection: another one after every failure."""
        ...

    @property
    def retry_after_s(self) -> float:
        """How long no call is tried, since the ones before it failed; 0: it is."""
        ...

    async def take(self, charges: Sequence[Charge]) -> Answered:
        """Charge them. Raises ``StoreDown``."""
        ...
