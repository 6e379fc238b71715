"""The fairness audit log as a file: ``fairness.jsonl`` in the data directory follows the event log.

It holds nothing that the events do not: deleted, it is written again, byte for byte. A crash leaves
it behind or with half a line; both are made good at the next start. A full disk leaves half a line,
too, which the next append cuts off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from ringwork.app.erasure import envelopes
from ringwork.app.fairness_keys import LogKeys
from ringwork.fairness.delivery.audit_log import Fresh
from ringwork.fairness.delivery.events import FairnessRecorded
from ringwork.fairness.log import LogWriter, Record, mend
from ringwork.fairness.records import Genesis, Key
from ringwork.kernel.errors import Refused
from ringwork.kernel.events import EventTypes
from ringwork.kernel.ports import Row

FILE_NAME: Final = "fairness.jsonl"
PAGE_MAX: Final = 1000
"""Records that one read gives."""
INDEXED_EVERY: Final = 256
"""Records between two places that are remembered, so that a read begins near its first."""


class AuditFile:
    """Opened when the first record is there. All calls on one thread at a time."""

    def __init__(
        self,
        path: Path,
        *,
        keys: LogKeys,
        rows: Callable[[], Iterable[Row]],
        types: EventTypes,
    ) -> None:
        """``rows`` of the event log, for what the file lacks; ``keys`` that its records name."""
        self.path = path
        self.next_seq = 0
        self._keys = keys
        self._public_key = ""
        self._rows = rows
        self._types = types
        self._places: list[int] = []
        self._last: Record | None = None
        self._end = 0
        """Where its last whole record ends."""

    @property
    def public_key(self) -> str:
        """What the next record is signed with."""
        return self._public_key or self._keys.first.public

    def follow(self, fresh: Iterable[Fresh], *, until: int, event_seq: int) -> None:
        """Append what it lacks, up to record ``until``, which event ``event_seq`` is.

        Raises Refused: log-broken where the file is not what was written, log-key where the secret
        of a key that it names is not here.
        """
        if self.next_seq > until:
            return
        if not self.next_seq:
            self._open()
        wanted = [one for one in fresh if self.next_seq <= one.seq <= until]
        if self.next_seq <= until and (not wanted or wanted[0].seq != self.next_seq):
            wanted = list(self._from_events(until, event_seq))
        if not wanted:
            return
        first = wanted[0].body
        if isinstance(first, Genesis):
            self._public_key = first.public_key
        signer = self._keys.of(self._public_key)
        with self.path.open("r+b" if self.next_seq else "w+b") as file:
            if file.seek(0, 2) < self._end:
                raise Refused(
                    "log-broken",
                    f"{self.path}: expected the {self._end:,} bytes that were written, got "
                    f"{file.tell():,}: start again, and what is missing is written anew",
                    status=409,
                    title="The log is broken",
                )
            file.seek(self._end)  # what stands behind it was not written whole
            file.truncate()
            writer = LogWriter(file, signer, after=self._last)
            for one in wanted:
                self._note(one.seq, file.tell())
                self._last = self._append(writer, one)
                self.next_seq, self._end = one.seq + 1, file.tell()

    def _append(self, writer: LogWriter, one: Fresh) -> Record:
        if not isinstance(one.body, Key):
            return writer.append(one.body, time_us=one.time_us)
        following = self._keys.of(one.body.new_public_key)
        record = writer.rotate(following, one.body.reason, time_us=one.time_us)
        self._public_key = following.public
        return record

    def read(self, after: int, limit: int) -> list[bytes]:
        """Lines of the records after ``after``, at most ``limit``."""
        start = after + 1
        if start >= self.next_seq or not self._places:
            return []
        index = min(start // INDEXED_EVERY, len(self._places) - 1)
        found: list[bytes] = []
        with self.path.open("rb") as file:
            file.seek(self._places[index])
            seq = index * INDEXED_EVERY
            while seq < min(self.next_seq, start + limit):
                line = file.readline()
                if seq >= start:
                    found.append(line)
                seq += 1
        return found

    def _open(self) -> None:
        """Learn what stands in it already; half a line at its end is cut off."""
        if not self.path.exists():
            return
        self._places, place = [], 0

        def seen(record: Record) -> None:
            nonlocal place
            self._note(record.seq, place)
            place += len(record.line())

        with self.path.open("r+b") as file:
            stands = mend(file, seen)
        if stands.last is not None:  # what did not hold together is looked at anew the next time
            self._last, self._public_key = stands.last, stands.public_key
            self.next_seq, self._end = stands.last.seq + 1, place

    def _note(self, seq: int, place: int) -> None:
        if seq % INDEXED_EVERY == 0 and seq // INDEXED_EVERY == len(self._places):
            self._places.append(place)

    def _from_events(self, until: int, event_seq: int) -> Iterator[Fresh]:
        """The records that the file lacks, read from the event log."""
        seq = -1
        for envelope, at in envelopes(self._rows()):
            if at > event_seq or seq == until:
                return
            if envelope.type == FairnessRecorded.TYPE:
                seq += 1
                if seq >= self.next_seq:
                    event = self._types.decode(envelope)
                    assert isinstance(event, FairnessRecorded)
                    yield Fresh(at, seq, envelope.ts_us, event.body)
