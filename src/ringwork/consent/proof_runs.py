"""Recorded runs of the proof of consent: what was tried, and whether every wall stood.

The proof itself is made elsewhere (``ringwork consent prove``), on platforms of its own; here is
what an operator keeps of it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta, Struct

from ringwork.kernel.events import Event, Recorded

RUNS_MAX: Final = 50
"""Runs that are kept at hand, the newest; all of them are in the log."""
Count = Annotated[int, Meta(ge=0, le=2**53)]
Text = Annotated[str, Meta(max_length=400)]


class WallStands(Struct, frozen=True, forbid_unknown_fields=True):
    """One wall, as a run found it."""

    wall: Annotated[str, Meta(pattern="^[a-z]{1,32}$", examples=["pairs"])]
    holds: bool
    says: Text
    """What was looked at and found, in figures."""


class ProofRun(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run has shown."""

    version: Annotated[str, Meta(min_length=1, max_length=64)]
    """Of the code that was proved."""
    seed: Annotated[int, Meta(ge=-(2**53), le=2**53)]
    holds: bool
    """Whether every wall stood and every planted leak was found."""
    pairs: Count
    """Pairs of requests, in two worlds, that were compared."""
    differing_pairs: Count
    differing_bytes: Count
    history_reads: Count
    """Reads of history by requests without consent."""
    canary_sightings: Count
    timing_p_ppm: Annotated[int, Meta(ge=0, le=1_000_000)]
    """The smaller p of the two tests of time, in 1e-6."""
    planted: Count
    caught: Count
    """Of the planted leaks, those that every wall found which should."""
    walls: Annotated[list[WallStands], Meta(max_length=20)] = []


class ConsentProved(Event, frozen=True, array_like=True):
    """Somebody ran the proof of consent, and this came of it."""

    TYPE: ClassVar[str] = "consent_proved"
    run: ProofRun
    actor: str
    """Who recorded it: the id of an API key, ``local`` for the owner's socket."""


class RecordedRun(Struct, frozen=True):
    """A run, and when it was recorded by whom."""

    recorded_at_us: int
    actor: str
    run: ProofRun


class ProofRunList(Struct, frozen=True):
    """The newest runs first."""

    runs: list[RecordedRun]


class ProofRuns:
    """The fold."""

    name: ClassVar[str] = "consent_proofs"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (ConsentProved,)

    def __init__(self) -> None:
        self.runs: list[RecordedRun] = []
        """In the order in which they were recorded."""

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        assert isinstance(event, ConsentProved)
        self.runs.append(RecordedRun(recorded.ts_us, event.actor, event.run))
        del self.runs[:-RUNS_MAX]

    def clear(self) -> None:
        self.runs.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(self.runs)

    def load(self, state: bytes) -> None:
        self.runs = msgspec.msgpack.decode(state, type=list[RecordedRun])
