"""Erasing a person from an immutable log.

Delete the key, record that it happened, prove it by reading again.

Chain and counts stay valid; what the subject's events held in personal members is ciphertext
without a key from then on, in the log, in its Parquet exports and in every snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import ClassVar, Final, Protocol

from msgspec import Struct

from ringwork.kernel.events import Envelope, Event, EventTypes, decode_frames
from ringwork.kernel.ids import format_id
from ringwork.kernel.journal import Command
from ringwork.kernel.ports import KeyStore, Row, Snapshots

SEARCHED_AT_ONCE_BYTES: Final = 1024 * 1024
"""Of a snapshot, in a millisecond or less: no thread has the interpreter for longer."""

Follower = Callable[[Command, str, bytes, bytes], object]
"""Told in the erasure's own command: (command, subject, pseudonym, id of the event)."""


class SubjectErased(Event, frozen=True, array_like=True):
    """The keys of the envelope's subject were deleted.

    Its sealed members are unreadable from here on.
    """

    TYPE: ClassVar[str] = "subject_erased"
    RETENTION: ClassVar[str] = "for ever: it proves that the erasure happened"
    keys_deleted: int


class Searched(Struct, frozen=True, kw_only=True):
    """One store that was read again after the erasure."""

    store: str
    found: int
    """Places that name the subject's pseudonym."""
    readable: int
    """Of those, how many personal members can still be read. Anything but 0 is a failure."""


class ErasureProof(Struct, frozen=True, kw_only=True):
    """What was deleted, and what a second reading of every store found."""

    id: str
    subject: str
    """The pseudonym, in hex: the subject itself is written nowhere."""
    keys_deleted: int
    event_seq: int
    searched: list[Searched]

    @property
    def holds(self) -> bool:
        """Nothing of the subject can be read."""
        return all(not store.readable for store in self.searched)


class Forgets(Protocol):
    """A store whose rows of a subject are deleted, and searched for afterwards."""

    def erase(self, subject: bytes) -> int: ...

    def find(self, subject: bytes, *, before_seq: int) -> tuple[int, int]:
        """(rows that name a subject, those of them that are older than an event)."""
        ...


class Erasures:
    """Erases subjects and proves it. ``rows_naming`` counts a pseudonym's rows in projections."""

    def __init__(
        self,
        *,
        keys: KeyStore,
        types: EventTypes,
        pseudonym: Callable[[str], bytes],
        rows: Callable[[], Iterable[Row]],
        rows_naming: Callable[[bytes], int],
        snapshots: Snapshots,
    ) -> None:
        self._keys = keys
        self._types = types
        self._pseudonym = pseudonym
        self._rows = rows
        self._rows_naming = rows_naming
        self._snapshots = snapshots
        self.stores: dict[str, Forgets] = {}
        """Name -> a store beside the log that holds rows of people."""
        self.followers: list[Follower] = []
        """What ends with a person: called in the erasure's own command."""

    def erase(self, command: Command, subject: str) -> tuple[bytes, bytes, int]:
        """Delete the subject's keys and rows, then record it.

        Returns (event id, pseudonym, keys deleted). The keys go first: a crash after it leaves
        nothing sealed readable, erasing again is safe, and no projection that is behind can make
        rows any more.
        """
        pseudonym = self._pseudonym(subject)
        deleted = self._keys.erase(pseudonym)
        for store in self.stores.values():
            store.erase(pseudonym)
        event_id = command.record(SubjectErased(deleted), subject=pseudonym, purpose="erasure")
        for follow in self.followers:
            follow(command, subject, pseudonym, event_id)
        return event_id, pseudonym, deleted

    async def prove(self, event_id: bytes) -> ErasureProof | None:
        """Read every store again; None where no such erasure is recorded."""
        found = await asyncio.to_thread(self._find, event_id)
        if found is None:
            return None
        envelope, seq = found
        pseudonym = envelope.subject
        payload = self._types.decode(envelope)
        assert pseudonym is not None
        assert isinstance(payload, SubjectErased)
        return ErasureProof(
            id=format_id(event_id),
            subject=pseudonym.hex(),
            keys_deleted=payload.keys_deleted,
            event_seq=seq,
            searched=await self._search(pseudonym, seq),
        )

    async def _search(self, pseudonym: bytes, erased_seq: int) -> list[Searched]:
        """Every store that may hold something of the subject, read again.

        Who comes back after an erasure gets a new key, which opens nothing from before it.
        """
        sealed, came_back = await asyncio.to_thread(self._sealed, pseudonym, erased_seq)
        rows = await asyncio.to_thread(self._rows_naming, pseudonym)
        states = await asyncio.to_thread(self._states_naming, pseudonym)
        # The key store is the event loop's own; the reading above is not, and may take long.
        readable = sum(
            self._keys.unseal(pseudonym, value, context=context) is not None
            for value, context in sealed
        )
        held = self._keys.holds(pseudonym)
        kept = {
            name: await asyncio.to_thread(partial(store.find, pseudonym, before_seq=erased_seq))
            for name, store in self.stores.items()
        }
        return [
            Searched(store="event log", found=len(sealed), readable=readable),
            Searched(store="key store", found=int(held), readable=int(held and not came_back)),
            # No table has a column for a personal member (a test holds every table to that) and no
            # fold keeps one in plain, so what is found there holds ciphertext at most.
            Searched(store="projections", found=rows, readable=0),
            # Their rows can be read; those of who came back are younger than the erasure.
            *(
                Searched(store=name, found=found, readable=older)
                for name, (found, older) in kept.items()
            ),
            Searched(store="snapshot", found=states, readable=0),
        ]

    def _states_naming(self, pseudonym: bytes) -> int:
        """How many folds' states in the last snapshot hold it. A server serves meanwhile."""
        _, states = self._snapshots.load()
        step = SEARCHED_AT_ONCE_BYTES
        return sum(
            any(
                state.find(pseudonym, at, at + step + len(pseudonym) - 1) >= 0
                for at in range(0, len(state), step)
            )
            for state in states.values()
        )

    def _find(self, event_id: bytes) -> tuple[Envelope, int] | None:
        for envelope, seq in envelopes(self._rows()):
            if envelope.id == event_id and envelope.type == SubjectErased.TYPE:
                return envelope, seq
        return None

    def _sealed(self, pseudonym: bytes, erased_seq: int) -> tuple[list[tuple[bytes, bytes]], bool]:
        """The subject's members from before its erasure; whether there are any from after it."""
        before: list[tuple[bytes, bytes]] = []
        came_back = False
        for envelope, seq in envelopes(self._rows()):
            if envelope.subject == pseudonym:
                members = sealed_members(envelope, self._types)
                if seq < erased_seq:
                    before.extend(members)
                else:
                    came_back = came_back or any(True for _ in members)
        return before, came_back


def envelopes(rows: Iterable[Row]) -> Iterator[tuple[Envelope, int]]:
    """Every event of ``rows`` with its sequence number."""
    for row in rows:
        seq = row.first_seq
        for frame in decode_frames(row.payload):
            for envelope in frame.events:
                yield envelope, seq
                seq += 1


def sealed_members(envelope: Envelope, types: EventTypes) -> Iterator[tuple[bytes, bytes]]:
    """(ciphertext, what it is bound to) of an event's personal members that are present."""
    event = types.decode(envelope)
    for member in event.PERSONAL:
        value: object = event
        for name in member.split("."):
            value = getattr(value, name)
        if isinstance(value, bytes):
            yield value, envelope.id + member.encode()
