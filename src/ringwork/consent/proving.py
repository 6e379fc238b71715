"""Make the proof of a record from the log and the table of records."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from ringwork.consent.events import ConsentDaySealed, ConsentRecorded
from ringwork.consent.ledger import ConsentLedger, SealedDay
from ringwork.consent.merkle import path_of, root_of
from ringwork.consent.projections import digests_of, hashes_between, records_of
from ringwork.consent.proof import Proof, SignedTree
from ringwork.consent.service import Consents
from ringwork.kernel.errors import NotFound, Unavailable
from ringwork.kernel.events import Recorded

if TYPE_CHECKING:
    import sqlalchemy as sa


class Trees(Struct, frozen=True):
    """The days as they stand at one moment: the sealed ones, and the open one, signed."""

    sealed: tuple[SealedDay, ...]
    open_first_seq: int
    open: SignedTree


class Proving:
    """Proofs of records. ``trees`` on the event loop, ``prove`` anywhere."""

    def __init__(
        self,
        *,
        ledger: ConsentLedger,
        consents: Consents,
        reader: sa.Engine,
        event_at: Callable[[int], Recorded | None],
    ) -> None:
        self._ledger = ledger
        self._consents = consents
        self._reader = reader
        self._event_at = event_at

    def trees(self) -> Trees:
        """What is signed now. Wait until it is durable and in the table, then prove."""
        ledger = self._ledger
        return Trees(tuple(ledger.sealed), ledger.open.first_seq, self._consents.signed_now())

    def prove(self, subject: bytes, number: int, trees: Trees) -> Proof:
        """The proof of one of a person's records. Raises NotFound."""
        with self._reader.begin() as connection:
            found = records_of(connection, subject, after=number - 1, limit=1)
            if not found or found[0][0] != number:
                raise NotFound(f"no consent record {number} of this person")
            seq = found[0][1]
            digests = digests_of(connection, subject, until=number)
            first_seq, tree = self._tree_of(seq, trees)
            seqs, hashes = hashes_between(connection, first_seq, limit=tree.count)
        if root_of(hashes).hex() != tree.root or seq not in seqs:
            # The open day held a record that a full disk took back: ask again.
            raise Unavailable("overloaded", "the day's records changed meanwhile; ask again")
        recorded = self._event_at(seq)
        if recorded is None or not isinstance(recorded.payload, ConsentRecorded):
            raise NotFound(f"the log file of record {number} was removed")
        position = seqs.index(seq)
        return Proof(
            subject=subject.hex(),
            number=number,
            seq=seq,
            ts_us=recorded.ts_us,
            payload=msgspec.msgpack.encode(recorded.payload).hex(),
            hash=recorded.payload.hash.hex(),
            digests=[one.hex() for one in digests],
            position=position,
            path=[one.hex() for one in path_of(hashes, position)],
            tree=tree,
            public_key=self._consents.public_key.hex(),
        )

    def _tree_of(self, seq: int, trees: Trees) -> tuple[int, SignedTree]:
        """The first record of the day that holds a record, and its signed tree."""
        at = bisect_right(trees.sealed, seq, key=lambda one: one.seq)
        if at == len(trees.sealed):
            return trees.open_first_seq, trees.open
        day = trees.sealed[at]
        recorded = self._event_at(day.seq)
        if recorded is None or not isinstance(recorded.payload, ConsentDaySealed):
            raise NotFound("the log file of that day's seal was removed")
        return day.first_seq, tree_of(recorded.payload)


def tree_of(event: ConsentDaySealed) -> SignedTree:
    """A seal as proofs show it."""
    return SignedTree(
        event.day, event.count, event.root.hex(), event.previous.hex(), event.key_id,
        event.signature.hex(), False,
    )  # fmt: skip
