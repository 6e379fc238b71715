"""``ringwork verify``: the nine promises.

Checked on a data directory by a second reader of its log.

Works on a stopped directory, and read-only beside a live server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Final

import msgspec

from ringwork.app.erasure import SubjectErased, envelopes, sealed_members
from ringwork.app.memory import EVENTS, Memory
from ringwork.kernel.entropy import SystemEntropy
from ringwork.kernel.errors import LogCorrupt
from ringwork.kernel.events import EventTypes
from ringwork.kernel.journal import appliers_of, replay
from ringwork.kernel.ledger import TOTALS
from ringwork.kernel.ports import Fold, Row
from ringwork.storage.snapshot_file import FileSnapshots
from ringwork.storage.sqlite.anchor import read_anchor
from ringwork.storage.sqlite.history import FILE_NAME as HISTORY_FILE
from ringwork.storage.sqlite.history import rows_before
from ringwork.storage.sqlite.keys import SqliteKeyStore
from ringwork.storage.sqlite.reader import SqliteLogReader
from ringwork.testing.invariants import LogReading, Promise

VERIFICATION: Final = "verify.json"
"""The last result, kept for the console."""

Progress = Callable[[str, int], None]
"""(what is being done, events so far)."""


class _Until:
    """A log as it was when checking began: a live server goes on writing meanwhile."""

    def __init__(self, directory: Path) -> None:
        reader = SqliteLogReader(directory)
        self.partition = reader.partition
        # Before the end: a live server moves both on, and an end read later lies behind no anchor.
        self.anchor = read_anchor(directory, reader.partition)
        self.head = reader.head
        self._reader = reader

    def rows(self, after_seq: int = 0, *, until_seq: int | None = None) -> Iterator[Row]:
        """Rows up to the head of that moment, or up to an earlier sequence."""
        until = self.head.seq if until_seq is None else until_seq
        return takewhile(lambda row: row.first_seq <= until, self._reader.rows(after_seq))


def check_all(data: Path, progress: Progress) -> list[Promise]:
    """Every promise with how much was checked; a log that cannot be read breaks I1."""
    reading = LogReading()
    promises = reading.promises
    try:
        reader = _Until(data / "log")
        reading.read(reader.rows(), lambda events: progress("reading the log", events))
    except (LogCorrupt, msgspec.DecodeError) as error:
        _expect(promises["I1"], False, str(error))
        return list(promises.values())
    promises["I1"].checked = reading.events
    _check_end(reader, promises["I1"])
    try:
        memory = _check_replay(data, reader, promises["I3"], progress)
    except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
        # What no rule would have let pass may be nothing that a fold can take.
        _expect(promises["I3"], False, f"the log cannot be folded: {error!r}")
    else:
        _check_ledger(memory, reading, promises["I4"])
    _check_erased(data, reader, promises["I7"])
    return list(promises.values())


def _check_end(reader: _Until, promise: Promise) -> None:
    """The log reaches as far as the anchor that was written when it was longer or as long."""
    if reader.anchor is not None:
        breach = f"the log ends at {reader.head.seq}, it was anchored at {reader.anchor.seq}"
        _expect(promise, reader.head.seq >= reader.anchor.seq, breach)


def _check_replay(data: Path, reader: _Until, promise: Promise, progress: Progress) -> Memory:
    """Folding everything from the start gives what the snapshot holds, and what follows from it."""
    types = EventTypes(EVENTS)
    promise.unit = "states"
    # A snapshot that was saved after checking began lies beyond what is read here.
    try:
        seq, states = FileSnapshots(data).read()
    except LogCorrupt as damage:
        seq, states = 0, {}
        _expect(promise, False, str(damage))
    memory = Memory()
    appliers = appliers_of(memory.folds)
    progress("folding again", 0)
    if not 0 < seq <= reader.head.seq:
        seq = 0
    else:
        replay(reader.rows(until_seq=seq), types, appliers)
        stored = {fold.name: states.get(f"{fold.name}/{fold.version}") for fold in memory.folds}
        _compare(memory.folds, stored, seq, promise)
    replay(reader.rows(seq), types, appliers, after_seq=seq)
    again = Memory()
    replay(reader.rows(), types, appliers_of(again.folds))
    _compare(memory.folds, {fold.name: fold.dump() for fold in again.folds}, seq, promise)
    return again


def _compare(
    folds: Sequence[Fold], states: Mapping[str, bytes | None], seq: int, promise: Promise
) -> None:
    for fold in folds:
        other = states[fold.name]
        if other is not None:  # a snapshot of another version is not used either
            breach = f"{fold.name}: replay gives another state than the snapshot at {seq}"
            _expect(promise, fold.dump() == other, breach)


def _check_ledger(memory: Memory, reading: LogReading, promise: Promise) -> None:
    """Debits equal credits, and the platform's accounts equal those of the second reader."""
    promise.unit = "accounts"
    for currency, sums in memory.ledger.trial_balance().items():
        for phase in ("pending", "posted"):
            gap = sums[f"debits_{phase}"] - sums[f"credits_{phase}"]
            _expect(promise, gap == 0, f"{currency}: {phase} debits exceed credits by {gap} nanos")
    for name, account in memory.ledger.accounts.items():
        own = reading.accounts.get(name, {})
        same = all(own.get(total) == getattr(account, total) for total in TOTALS)
        _expect(promise, same, f"account {name}: the totals do not follow from the log")


def _expect(promise: Promise, holds: bool, breach: str) -> None:
    promise.expect(holds, lambda: breach)


def _check_erased(data: Path, reader: _Until, promise: Promise) -> None:
    """No sealed member of an erased subject can be unsealed.

    Unless it was sealed after the erasure.
    """
    promise.unit = "members"
    types = EventTypes(EVENTS)
    erased: dict[bytes, int] = {}
    for envelope, seq in envelopes(reader.rows()):
        if envelope.type == SubjectErased.TYPE and envelope.subject is not None:
            erased[envelope.subject] = seq
    if not erased or not (data / "keys.db").exists():
        return
    _check_forgotten(data / HISTORY_FILE, erased, promise)
    keys = SqliteKeyStore.open(data / "keys.db", data / "kek", entropy=SystemEntropy())
    try:
        for envelope, seq in envelopes(reader.rows()):
            subject = envelope.subject
            if subject is None or seq >= erased.get(subject, 0):
                continue
            for sealed, context in sealed_members(envelope, types):
                unreadable = keys.unseal(subject, sealed, context=context) is None
                breach = f"subject {subject.hex()}: a member of event {seq} is still readable"
                _expect(promise, unreadable, breach)
    finally:
        keys.close()


def _check_forgotten(path: Path, erased: Mapping[bytes, int], promise: Promise) -> None:
    """No row of the history is of an erased subject, unless it is of what came after."""
    if not path.exists():
        return
    for subject, rows in rows_before(path, erased).items():
        breach = f"subject {subject.hex()}: {rows} rows of the history are from before its erasure"
        _expect(promise, rows == 0, breach)


def keep(data: Path, promises: Sequence[Promise], *, took_s: float, ts_us: int) -> None:
    """Leave the result in the data directory, where the console shows it with its time."""
    kept = {
        "ts_us": ts_us,
        "took_s": round(took_s, 3),
        "promises": [
            {
                "id": one.name,
                "title": one.title,
                "checked": one.checked,
                "violations": one.violations,
                "unit": one.unit,
            }
            for one in promises
        ],
    }
    partial = data / f"{VERIFICATION}.new"
    partial.write_bytes(msgspec.json.encode(kept))
    partial.rename(data / VERIFICATION)
