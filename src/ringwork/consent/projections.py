"""Where the ledger's records stand in the log: by person, and in the order of the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import sqlalchemy as sa

from ringwork.consent.events import AdsFreeCounted, ConsentRecorded
from ringwork.consent.merkle import digest
from ringwork.kernel.events import Event, Recorded

_Int64: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
metadata: Final = sa.MetaData()
consent_records: Final = sa.Table(
    "consent_records",
    metadata,
    sa.Column("seq", _Int64, primary_key=True, autoincrement=False),
    sa.Column("subject", sa.LargeBinary, nullable=False),
    sa.Column("number", _Int64, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Index("consent_records_subject", "subject", "number"),
    sqlite_strict=True,
)


consent_ads_free: Final = sa.Table(
    "consent_ads_free",
    metadata,
    sa.Column("hour", _Int64, primary_key=True, autoincrement=False),
    sa.Column("requests", _Int64, nullable=False),
    sqlite_strict=True,
)
_HOUR_US: Final = 3_600_000_000
_ADD_ADS_FREE: Final = sa.text(
    "INSERT INTO consent_ads_free VALUES (:hour, :requests) "
    "ON CONFLICT (hour) DO UPDATE SET requests = consent_ads_free.requests + excluded.requests"
)


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


class AdsFree:
    """Requests of subscribers per hour."""

    name: ClassVar[str] = "consent_ads_free"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (AdsFreeCounted,)

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """Add the counts."""
        for recorded in events:
            event = recorded.payload
            assert isinstance(event, AdsFreeCounted)
            hour = recorded.ts_us // _HOUR_US
            connection.execute(_ADD_ADS_FREE, {"hour": hour, "requests": event.requests})

    def clear(self, connection: sa.Connection) -> None:
        """Empty the table."""
        connection.execute(consent_ads_free.delete())


PROJECTIONS: Final = (ConsentRecords(), AdsFree())
"""The part's projections, for the composition root."""


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


def ads_free_requests(connection: sa.Connection, *, since_us: int = 0) -> int:
    """Requests of subscribers since a moment (to its hour)."""
    table = consent_ads_free.c
    query = sa.select(sa.func.coalesce(sa.func.sum(table.requests), 0)).where(
        table.hour >= since_us // _HOUR_US
    )
    return int(connection.execute(query).scalar_one())
