"""The audit log's state in memory: what its records so far give, and where its chain ends; a fold.

The log itself is a file that follows these events (``app``); a hash needs no key, so the end of the
chain is known here as well, and a file can be held against it.
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Final

import msgspec
from msgspec import Struct

from ringwork.fairness.chronicle import Chronicle
from ringwork.fairness.delivery.events import FairnessRecorded
from ringwork.fairness.log import ZERO, Record, hash_of
from ringwork.fairness.recompute import Recomputation
from ringwork.fairness.records import (
    AnyBody,
    Control,
    Genesis,
    Release,
    Report,
    kind_of,
    wire_of,
)
from ringwork.kernel.events import Event, Recorded


class _State(Struct):
    seq: int = -1
    hash: str = ZERO
    genesis: Genesis | None = None
    controls: dict[str, Control] = {}
    """Ad -> the newest."""
    releases: dict[str, tuple[int, Release]] = {}
    """Ad -> when the newest was made, and it."""
    report: Report | None = None
    """The newest."""


class Fresh(Struct, frozen=True, gc=False):
    """A record that the file may lack."""

    event_seq: int
    seq: int
    time_us: int
    body: AnyBody


class AuditLog:
    """The fold."""

    name: ClassVar[str] = "fairness_log"
    version: ClassVar[int] = 2
    hears: ClassVar[tuple[type[Event], ...]] = (FairnessRecorded,)

    def __init__(self) -> None:
        self.fresh: deque[Fresh] | None = None
        """Records since whoever set it last emptied it: for the file that follows."""
        self.figures = Recomputation()
        self.chronicle = Chronicle(self.figures)
        """What they said over time."""
        self._state = _State()

    @property
    def next_seq(self) -> int:
        """The number of the record that comes next."""
        return self._state.seq + 1

    @property
    def hash(self) -> str:
        """Of the newest record."""
        return self._state.hash

    @property
    def genesis(self) -> Genesis | None:
        """The first record; None while the log is empty."""
        return self._state.genesis

    @property
    def report(self) -> Report | None:
        """The newest one."""
        return self._state.report

    def control(self, ad: str) -> Control | None:
        """What a controller last decided for an ad."""
        return self._state.controls.get(ad)

    def release(self, ad: str) -> tuple[int, Release] | None:
        """When an ad's newest release was made, and it."""
        return self._state.releases.get(ad)

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        assert isinstance(event, FairnessRecorded)
        body, state = event.body, self._state
        record = record_of(body, self.next_seq, self.hash, recorded.ts_us)
        state.seq, state.hash = record.seq, record.hash
        self.figures.take(body)
        self.chronicle.take(record, body)
        if self.fresh is not None:
            self.fresh.append(Fresh(recorded.seq, record.seq, recorded.ts_us, body))
        match body:
            case Genesis():
                state.genesis = body
            case Control():
                state.controls[body.ad] = body
            case Release():
                state.releases[body.ad] = (recorded.ts_us, body)
            case Report():
                state.report = body

    def clear(self) -> None:
        if self.fresh is not None:
            self.fresh.clear()
        self.figures = Recomputation()
        self.chronicle = Chronicle(self.figures)
        self._state = _State()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode((self._state, self.figures.dump(), self.chronicle.dump()))

    def load(self, state: bytes) -> None:
        self._state, figures, chronicle = _decode(state)
        self.figures.load(figures)
        self.chronicle.load(chronicle)


_decode: Final = msgspec.msgpack.Decoder(tuple[_State, bytes, bytes]).decode


def record_of(body: AnyBody, seq: int, prev: str, time_us: int) -> Record:
    """A body in its place of the chain, unsigned."""
    plain = wire_of(body)
    unhashed = Record(seq, prev, time_us, kind_of(body), plain, "")
    return msgspec.structs.replace(unhashed, hash=hash_of(unhashed))
