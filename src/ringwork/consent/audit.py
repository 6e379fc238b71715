"""Check a whole consent ledger from its log: every chain, every day's tree, every signature.

It trusts nothing that the log says of itself, and needs the log and the public key alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct

from ringwork.consent.events import EVENTS, ConsentDaySealed, ConsentRecorded
from ringwork.consent.merkle import (
    DAY_US,
    GENESIS,
    Frontier,
    digest,
    link,
    seal_hash,
    statement_of,
)
from ringwork.consent.signing import is_signed, key_id_of
from ringwork.kernel.events import Envelope, EventTypes, decode_frames
from ringwork.kernel.ports import Row

DETAILS_MAX: Final = 20
"""Violations that are told in words; all are counted."""


class Audit(Struct):
    """What was found."""

    records: int = 0
    people: int = 0
    days: int = 0
    open_records: int = 0
    """Since the last seal: protected by chains and the log, not by a signature yet."""
    violations: int = 0
    details: list[str] = []
    steps: dict[str, float] = {}
    """Mean steps per action: saying no may not take more than saying yes."""


class _Auditor:
    def __init__(self, public_key: bytes) -> None:
        self.found = Audit()
        self._public = public_key
        self._key_id = key_id_of(public_key)
        self._heads: dict[bytes, tuple[int, bytes]] = {}
        self._tree = Frontier()
        self._day = 0
        self._last_seal = GENESIS
        self._steps: dict[str, tuple[int, int]] = {}

    def expect(self, holds: bool, seq: int, breach: str) -> None:
        if holds:
            return
        self.found.violations += 1
        if len(self.found.details) < DETAILS_MAX:
            self.found.details.append(f"event {seq}: {breach}")

    def record(self, envelope: Envelope, seq: int, event: ConsentRecorded) -> None:
        subject = envelope.subject or b""
        number, head = self._heads.get(subject, (0, GENESIS))
        who = subject.hex()
        self.expect(len(subject) == 16, seq, "a record of nobody")
        self.expect(
            event.number == number + 1, seq,
            f"{who}: record {number + 1} was expected, {event.number} came",
        )  # fmt: skip
        self.expect(event.prev_hash == head, seq, f"{who}: record {event.number} is not chained")
        # Continue from what it should be, so that one change is told once.
        hash_ = link(head, digest(subject, envelope.ts_us, event))
        told = link(event.prev_hash, digest(subject, envelope.ts_us, event))
        self.expect(event.hash == told, seq, f"{who}: record {event.number} was changed")
        self._heads[subject] = (event.number, event.hash if event.hash == told else hash_)
        day = envelope.ts_us // DAY_US
        if not self._tree.count:
            self._day = day
        self.expect(day <= self._day, seq, f"day {self._day} ended without a seal")
        self._tree.add(told)
        self.found.records += 1
        count, steps = self._steps.get(event.action, (0, 0))
        self._steps[event.action] = (count + 1, steps + event.steps)

    def seal(self, seq: int, event: ConsentDaySealed) -> None:
        self.expect(event.count == self._tree.count, seq, f"day {event.day}: records are missing")
        self.expect(event.day == self._day, seq, f"day {event.day}: day {self._day} was expected")
        root = self._tree.root()
        self.expect(event.root == root, seq, f"day {event.day}: the root is another")
        self.expect(event.previous == self._last_seal, seq, f"day {event.day}: a day was left out")
        signed = is_signed(statement_of(event), event.signature, self._public)
        known = event.key_id == self._key_id
        breach = f"day {event.day}: not signed by the key {self._key_id}"
        self.expect(known and signed, seq, breach)
        self._last_seal = seal_hash(event)
        self._tree = Frontier()
        self.found.days += 1

    def finish(self) -> Audit:
        self.found.people = len(self._heads)
        self.found.open_records = self._tree.count
        self.found.steps = {
            action: round(steps / count, 2) for action, (count, steps) in self._steps.items()
        }
        return self.found


def audit(
    rows: Iterable[Row], public_key: bytes, progress: Callable[[str, int], None] | None = None
) -> Audit:
    """Check the consent events of a log."""
    types, auditor = EventTypes(EVENTS), _Auditor(public_key)
    for row in rows:
        seq = row.first_seq
        if progress is not None:
            progress("reading the log", seq)
        for frame in decode_frames(row.payload):
            for envelope in frame.events:
                if envelope.type in _HEARD:
                    event = types.decode(envelope)
                    if isinstance(event, ConsentRecorded):
                        auditor.record(envelope, seq, event)
                    elif isinstance(event, ConsentDaySealed):
                        auditor.seal(seq, event)
                seq += 1
    return auditor.finish()


_HEARD: Final = frozenset(one.TYPE for one in EVENTS)
