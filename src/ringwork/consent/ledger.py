"""The consent ledger in memory: a fold of its events, and the look-up of every request."""

from __future__ import annotations

from array import array
from typing import ClassVar, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ringwork.consent.epochs import PLACES, TABLE_BYTES, place_of
from ringwork.consent.events import ConsentDaySealed, ConsentRecorded
from ringwork.consent.merkle import DAY_US, GENESIS, Frontier, seal_hash
from ringwork.consent.model import Standing, State, decide, declare, items, state_of
from ringwork.consent.settings import LASTS_US
from ringwork.kernel.events import Event, Recorded

_MASK: Final = PLACES - 1
_LOOKED_UP_MAX: Final = 1_000_000
"""States kept ready; a look-up of another person makes one, a few microseconds."""
_UNKNOWN: Final = Standing()


class OpenDay(Struct, array_like=True):
    """The records since the last seal."""

    day: int = 0
    """Of the first of them; 0 while there is none."""
    first_seq: int = 0
    count: int = 0
    nodes: list[bytes] = []
    """Of their tree's frontier."""


class SealedDay(Struct, frozen=True, array_like=True, gc=False):
    """One seal and where its records stand in the log."""

    day: int
    first_seq: int
    seq: int
    """Of the seal itself: its records lie between the two."""


class ConsentLedger:
    """Who decided what; ``state`` is the look-up of the request path."""

    name: ClassVar[str] = "consent"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (ConsentRecorded, ConsentDaySealed)

    def __init__(self, *, lasts_us: int = LASTS_US) -> None:
        self.lasts_us = lasts_us
        """After which a consent has to be given anew; not part of the fold."""
        self.standings: dict[bytes, Standing] = {}
        self.counts = array("I", bytes(TABLE_BYTES))
        """Records per place of the table of epochs, durable or not."""
        self.open = OpenDay()
        self.sealed: list[SealedDay] = []
        self.last_seal = GENESIS
        """SHA-256 of the last seal's statement."""
        self._states: dict[bytes, State] = {}

    def state(self, subject: bytes, now_us: int) -> State:
        """What holds for a person (16 bytes of pseudonym) now. Constant time, well below 1 us."""
        epoch = self.counts[int.from_bytes(subject, "big") & _MASK]
        state = self._states.get(subject)
        if state is None or state.expires_us <= now_us:
            return self._look_up(subject, now_us, epoch)
        if state.epoch != epoch:  # another person of the same place decided something
            state = self._states[subject] = replace(state, epoch=epoch)
        return state

    def _look_up(self, subject: bytes, now_us: int, epoch: int) -> State:
        standing = self.standings.get(subject)
        if standing is None:
            return State(epoch=epoch)
        state = state_of(standing, now_us=now_us, lasts_us=self.lasts_us, epoch=epoch)
        if len(self._states) >= _LOOKED_UP_MAX:
            self._states.clear()
        self._states[subject] = state
        return state

    def standing(self, subject: bytes) -> Standing:
        """All that is kept of a person; an empty one where nothing is. Not to be changed."""
        return self.standings.get(subject, _UNKNOWN)

    # ---- fold -----------------------------------------------------------------------------------

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        if isinstance(event, ConsentRecorded):
            self._record(recorded, event)
        elif isinstance(event, ConsentDaySealed):
            self.sealed.append(SealedDay(event.day, self.open.first_seq, recorded.seq))
            self.last_seal = seal_hash(event)
            self.open = OpenDay()

    def _record(self, recorded: Recorded, event: ConsentRecorded) -> None:
        subject = recorded.subject
        assert subject is not None, "a consent record is about somebody"
        standing = self.standings.get(subject)
        if standing is None:
            standing = self.standings[subject] = Standing()
        standing.records, standing.head = event.number, event.hash
        named = items(event.purposes, event.services)
        decide(standing, action=event.action, named=named, ts_us=recorded.ts_us, seq=recorded.seq)
        if event.minor is not None:
            declare(standing, event.minor)
        self._states.pop(subject, None)
        self.counts[place_of(subject)] += 1
        self._grow(recorded, event)

    def _grow(self, recorded: Recorded, event: ConsentRecorded) -> None:
        day = self.open
        if not day.count:
            day.day, day.first_seq = recorded.ts_us // DAY_US, recorded.seq
        frontier = Frontier(day.count, day.nodes)
        frontier.add(event.hash)
        day.count, day.nodes = frontier.count, frontier.nodes

    def clear(self) -> None:
        self.standings.clear()
        self._states.clear()
        self.counts[:] = array("I", bytes(TABLE_BYTES))
        self.open, self.last_seal = OpenDay(), GENESIS
        self.sealed.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode((self.standings, self.open, self.sealed, self.last_seal))

    def load(self, state: bytes) -> None:
        self.clear()
        standings, self.open, sealed, self.last_seal = _decoder.decode(state)
        self.standings.update(standings)
        self.sealed.extend(sealed)
        for subject, standing in standings.items():
            self.counts[place_of(subject)] += standing.records


_decoder: Final = msgspec.msgpack.Decoder(
    tuple[dict[bytes, Standing], OpenDay, list[SealedDay], bytes]
)
