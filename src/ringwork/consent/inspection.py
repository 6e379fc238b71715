"""Check one person's records, and the days that they are of, for who looks at them on a page.

Every link of the chain is computed again from the table's digests, the digests of the records that
are shown from the log, and of each of their days the Merkle root, the statement before it and the
signature. Nothing that the log says of itself is believed. What is checked is bounded: of a longer
chain or a larger day the page says that it was not looked at.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from ringwork.consent.events import ConsentDaySealed, ConsentRecorded
from ringwork.consent.ledger import ConsentLedger, SealedDay
from ringwork.consent.merkle import GENESIS, digest, link, root_of, seal_hash, statement
from ringwork.consent.projections import ChainRow, chain_of, hashes_between
from ringwork.consent.proof import SignedTree
from ringwork.consent.proving import Proving, Trees, tree_of
from ringwork.consent.signing import is_signed, key_id_of
from ringwork.kernel.events import Recorded

if TYPE_CHECKING:
    import sqlalchemy as sa

LINKS_MAX: Final = 20_000
"""Of one chain: twice what a person may have who goes on granting."""
LEAVES_MAX: Final = 200_000
"""Hashes of all the days of one page, about 0.3 s."""


class Moment(Struct, frozen=True):
    """A person's chain and the days' trees as they stand at one moment."""

    subject: bytes
    records: int
    head: bytes
    trees: Trees


class Chain(Struct, frozen=True):
    """What the links came to."""

    links: int
    """That were computed."""
    records: int
    breach: str = ""
    """``number``, ``link`` or ``head``; empty where every link holds."""
    broken_at: int = 0
    """The record where it breaks."""

    @property
    def is_whole(self) -> bool:
        """Whether all of its links were computed."""
        return self.links == self.records


class CheckedRecord(Struct, frozen=True):
    """A record read from the log again."""

    number: int
    seq: int
    recorded: Recorded | None
    """None where its log file was removed."""
    breach: str = ""
    """``gone``, ``record`` or ``chain``; empty where it says what its digest says."""

    @property
    def event(self) -> ConsentRecorded | None:
        """What it says."""
        said = None if self.recorded is None else self.recorded.payload
        return said if isinstance(said, ConsentRecorded) else None


class CheckedDay(Struct, frozen=True):
    """A day's signed tree."""

    tree: SignedTree
    breach: str = ""
    """``gone``, ``count``, ``root``, ``previous``, ``key`` or ``signature``; ``unasked`` where the
    day is too large for a page."""


class Inspected(Struct, frozen=True):
    """A person's chain, a page of its records, and their days."""

    chain: Chain
    records: list[CheckedRecord]
    days: list[CheckedDay]
    numbers: dict[int, int]
    """Sequence of each of the person's records -> its number."""
    next: int
    """The number that the next page begins after; 0 at the end."""


def check_chain(rows: Sequence[ChainRow], *, records: int, head: bytes) -> Chain:
    """Compute every link anew from the digests; ``head`` is what memory holds as the last hash."""
    previous = GENESIS
    for place, row in enumerate(rows, 1):
        if row.number != place:
            return Chain(place - 1, records, "number", place)
        previous = link(previous, row.digest)
        if row.hash != previous:
            return Chain(place, records, "link", place)
    if len(rows) < min(records, LINKS_MAX):
        return Chain(len(rows), records, "number", len(rows) + 1)
    if len(rows) == records and records and previous != head:
        return Chain(len(rows), records, "head", records)
    return Chain(len(rows), records)


def check_record(subject: bytes, row: ChainRow, before: bytes, recorded: Recorded | None) -> str:
    """Whether the log says what the record's digest and hash are of.

    ``before`` is the hash of the record before it.
    """
    event = None if recorded is None else recorded.payload
    if recorded is None or not isinstance(event, ConsentRecorded):
        return "gone"
    said = digest(subject, recorded.ts_us, event)
    if recorded.subject != subject or said != row.digest or event.number != row.number:
        return "record"
    return "" if event.prev_hash == before and event.hash == row.hash else "chain"


def check_day(
    tree: SignedTree, hashes: Sequence[bytes], *, previous: bytes, public_key: bytes
) -> str:
    """The first thing about a day's signed tree that does not hold; empty where all of it does."""
    if len(hashes) != tree.count:
        return "count"
    if root_of(hashes).hex() != tree.root:
        return "root"
    if tree.previous != previous.hex():
        return "previous"
    if tree.key_id != key_id_of(public_key):
        return "key"
    signed = statement(
        day=tree.day, count=tree.count, root=bytes.fromhex(tree.root), previous=previous
    )
    return "" if is_signed(signed, bytes.fromhex(tree.signature), public_key) else "signature"


class Inspection:
    """``moment`` and ``trees`` on the event loop, the rest anywhere."""

    def __init__(
        self,
        *,
        ledger: ConsentLedger,
        proving: Proving,
        public_key: bytes,
        reader: sa.Engine,
        event_at: Callable[[int], Recorded | None],
    ) -> None:
        self._ledger = ledger
        self._proving = proving
        self._public_key = public_key
        self._reader = reader
        self._event_at = event_at

    def trees(self) -> Trees:
        """The days as they stand now, the open one signed."""
        return self._proving.trees()

    def moment(self, subject: bytes) -> Moment:
        """What to check. Wait until it is durable and in the table, then inspect."""
        standing = self._ledger.standing(subject)
        return Moment(subject, standing.records, standing.head, self.trees())

    def inspect(self, moment: Moment, *, after: int, limit: int) -> Inspected:
        """A person's whole chain, and the records after a number with their days."""
        subject = moment.subject
        with self._reader.begin() as connection:
            rows = chain_of(connection, subject, until=moment.records, limit=LINKS_MAX)
        chain = check_chain(rows, records=moment.records, head=moment.head)
        shown = rows[after : after + limit]
        records = []
        for place, row in enumerate(shown, after):
            before = rows[place - 1].hash if place else GENESIS
            recorded = self._event_at(row.seq)
            breach = check_record(subject, row, before, recorded)
            records.append(CheckedRecord(row.number, row.seq, recorded, breach))
        end = after + len(shown)
        return Inspected(
            chain, records, self._days(moment.trees, [row.seq for row in shown]),
            {row.seq: row.number for row in rows}, end if end < len(rows) else 0,
        )  # fmt: skip

    def last_day(self, trees: Trees) -> CheckedDay | None:
        """The last day that was sealed."""
        if not trees.sealed:
            return None
        return self._day(trees, len(trees.sealed) - 1, LEAVES_MAX)

    def _days(self, trees: Trees, seqs: Sequence[int]) -> list[CheckedDay]:
        left, days = LEAVES_MAX, []
        for at in dict.fromkeys(_place_of(trees, seq) for seq in seqs):
            day = self._day(trees, at, left)
            if day.breach != "unasked":
                left -= day.tree.count
            days.append(day)
        return days

    def _day(self, trees: Trees, at: int, leaves_max: int) -> CheckedDay:
        """The day at a place among the sealed ones; the open one behind them."""
        before = self._seal(trees.sealed[at - 1]) if at else None
        previous = GENESIS if before is None else seal_hash(before)
        if at == len(trees.sealed):
            first_seq, tree = trees.open_first_seq, trees.open
        else:
            day = trees.sealed[at]
            event = self._seal(day)
            if event is None:
                return CheckedDay(SignedTree(day.day, 0, "", "", "", "", False), "gone")
            first_seq, tree = day.first_seq, tree_of(event)
        if at and before is None:
            return CheckedDay(tree, "gone")
        if tree.count > leaves_max:
            return CheckedDay(tree, "unasked")
        with self._reader.begin() as connection:
            seqs, hashes = hashes_between(connection, first_seq, limit=tree.count)
        ends_seq = trees.sealed[at].seq if at < len(trees.sealed) else None
        inside = [
            hash
            for seq, hash in zip(seqs, hashes, strict=True)
            if ends_seq is None or seq < ends_seq
        ]
        return CheckedDay(
            tree, check_day(tree, inside, previous=previous, public_key=self._public_key)
        )

    def _seal(self, day: SealedDay) -> ConsentDaySealed | None:
        recorded = self._event_at(day.seq)
        event = None if recorded is None else recorded.payload
        return event if isinstance(event, ConsentDaySealed) else None


def _place_of(trees: Trees, seq: int) -> int:
    """Which day a record is of: the first that was sealed after it."""
    return bisect_right(trees.sealed, seq, key=lambda one: one.seq)
