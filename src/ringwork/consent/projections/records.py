"""Where the ledger's records stand in the log: by person, and in the order of the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import sqlalchemy as sa
from msgspec import Struct

from ringwork.consent.events import ConsentRecorded
from ringwork.consent.merkle import digest
from ringwork.consent.projections.tables import consent_records
from ringwork.kernel.events import Event, Recorded


class ConsentRecords:
    """One row per record; what it says stays in the log."""

    name: ClassVar[str] = "consent_records"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (ConsentRecorded,)

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """Insert the records."""
        rows = []
        for recorded in events:
            event, subject = recorded.payload, recorded.subject
            assert isinstance(event, ConsentRecorded)
            assert subject is not None
            rows.append(
                {
                    "seq": recorded.seq,
                    "subject": subject,
                    "number": event.number,
                    "digest": digest(subject, recorded.ts_us, event),
                    "hash": event.hash,
                }
            )
        connection.execute(consent_records.insert(), rows)

    def clear(self, connection: sa.Connection) -> None:
        """Empty the table."""
        connection.execute(consent_records.delete())


def records_of(
    connection: sa.Connection, subject: bytes, *, after: int, limit: int
) -> list[tuple[int, int]]:
    """(number, sequence) of a person's records after a number, in order."""
    table = consent_records.c
    query = (
        sa.select(table.number, table.seq)
        .where(table.subject == subject, table.number > after)
        .order_by(table.number)
        .limit(limit)
    )
    return [(number, seq) for number, seq in connection.execute(query)]


class ChainRow(Struct, frozen=True, gc=False):
    """A record's place in its person's chain, without what it says."""

    number: int
    seq: int
    digest: bytes
    hash: bytes


def chain_of(
    connection: sa.Connection, subject: bytes, *, until: int, limit: int
) -> list[ChainRow]:
    """A person's first ``limit`` records up to a number, in order."""
    table = consent_records.c
    query = (
        sa.select(table.number, table.seq, table.digest, table.hash)
        .where(table.subject == subject, table.number <= until)
        .order_by(table.number, table.seq)
        .limit(limit)
    )
    return [ChainRow(*row) for row in connection.execute(query)]


def digests_of(connection: sa.Connection, subject: bytes, *, until: int) -> list[bytes]:
    """The digests of a person's records up to a number, in order."""
    table = consent_records.c
    query = (
        sa.select(table.digest)
        .where(table.subject == subject, table.number <= until)
        .order_by(table.number)
    )
    return list(connection.execute(query).scalars())


def hashes_between(
    connection: sa.Connection, first_seq: int, *, limit: int
) -> tuple[list[int], list[bytes]]:
    """Sequences and hashes of ``limit`` records of all people from one on, in order."""
    table = consent_records.c
    query = (
        sa.select(table.seq, table.hash)
        .where(table.seq >= first_seq)
        .order_by(table.seq)
        .limit(limit)
    )
    rows = connection.execute(query).all()
    return [row.seq for row in rows], [row.hash for row in rows]
