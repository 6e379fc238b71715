"""Projections of the platform itself: where a request's events are, old transfers, old answers.

Memory forgets closed transfers and answered keys; these tables remember them, so that a repeated id
or key still meets its first result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from ringwork.kernel.events import Event, Idempotency, Recorded
from ringwork.kernel.ledger import (
    CREATED,
    Entry,
    State,
    Transfer,
    TransferCreated,
    TransferExpired,
    TransferRefused,
)
from ringwork.storage.sqlite.state import Int64, metadata

request_events: Final = sa.Table(
    "request_events",
    metadata,
    sa.Column("request_id", sa.LargeBinary, primary_key=True),
    sa.Column("seq", Int64, primary_key=True, autoincrement=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

transfers: Final = sa.Table(
    "transfers",
    metadata,
    sa.Column("seq", Int64, primary_key=True, autoincrement=False),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("ts_us", Int64, nullable=False),
    sa.Column("debit_account", sa.Text, nullable=False),
    sa.Column("credit_account", sa.Text, nullable=False),
    sa.Column("result", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("transfer", sa.LargeBinary, nullable=False),
    sqlite_strict=True,
)

answers: Final = sa.Table(
    "answers",
    metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("ts_us", Int64, nullable=False),
    sa.Column("answer", sa.LargeBinary, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

ANSWERS_KEPT_US: Final = 48 * 3600 * 1_000_000
"""Keys live at least 24 hours; twice that, so that a late retry still meets its answer."""

_transfer_decoder: Final = msgspec.msgpack.Decoder(Transfer)
_answer_decoder: Final = msgspec.msgpack.Decoder(Idempotency)


class RequestIndex:
    """Request id -> the sequence numbers of its events."""

    name: ClassVar[str] = "request_events"
    version: ClassVar[int] = 1
    hears: ClassVar[None] = None

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """One row per event."""
        rows = [(recorded.request_id, recorded.seq) for recorded in events]
        _insert_many(connection, "INSERT INTO request_events VALUES (?, ?)", rows)

    def clear(self, connection: sa.Connection) -> None:
        """Empty the table."""
        connection.execute(request_events.delete())

    @staticmethod
    def seqs(connection: sa.Connection, request_id: bytes, *, limit: int) -> list[int]:
        """The request's first ``limit`` sequence numbers, ascending."""
        query = (
            sa.select(request_events.c.seq)
            .where(request_events.c.request_id == request_id)
            .order_by(request_events.c.seq)
            .limit(limit)
        )
        return list(connection.execute(query).scalars())


class TransferIndex:
    """Every transfer with its first result and, for a pending one, what became of it."""

    name: ClassVar[str] = "transfers"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (TransferCreated, TransferRefused, TransferExpired)

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """Insert the new ones, then move the state of those that were resolved or expired."""
        rows: list[tuple[object, ...]] = []
        states: list[tuple[str, str]] = []
        for recorded in events:
            event = recorded.payload
            if isinstance(event, TransferExpired):
                states.append(("expired", event.id))
                continue
            assert isinstance(event, TransferCreated | TransferRefused)
            rows.append(_row(recorded, event))
            if isinstance(event, TransferCreated) and event.kind in ("post", "void"):
                states.append(("posted" if event.kind == "post" else "voided", event.pending_id))
        _insert_many(connection, "INSERT INTO transfers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        _insert_many(connection, "UPDATE transfers SET state = ? WHERE id = ?", states)

    def clear(self, connection: sa.Connection) -> None:
        """Empty the table."""
        connection.execute(transfers.delete())

    @staticmethod
    def entry(connection: sa.Connection, transfer_id: str) -> Entry | None:
        """The transfer as the ledger remembers it."""
        row = connection.execute(sa.select(transfers).where(transfers.c.id == transfer_id)).first()
        return None if row is None else _entry(row.transfer, row.result, row.state)

    @staticmethod
    def placed(connection: sa.Connection, transfer_id: str) -> tuple[int, int, Entry] | None:
        """(sequence, wall time in us, entry) of one transfer."""
        row = connection.execute(sa.select(transfers).where(transfers.c.id == transfer_id)).first()
        if row is None:
            return None
        return row.seq, row.ts_us, _entry(row.transfer, row.result, row.state)

    @staticmethod
    def latest(
        connection: sa.Connection, *, limit: int, account: str | None = None
    ) -> list[tuple[int, int, Entry]]:
        """(sequence, wall time in us, entry), newest first, of one account or of all."""
        query = sa.select(transfers).order_by(transfers.c.seq.desc()).limit(limit)
        if account is not None:
            query = query.where(
                sa.or_(transfers.c.debit_account == account, transfers.c.credit_account == account)
            )
        return [
            (row.seq, row.ts_us, _entry(row.transfer, row.result, row.state))
            for row in connection.execute(query)
        ]


class AnswerIndex:
    """The first answers to keyed commands, for keys that memory has forgotten."""

    name: ClassVar[str] = "answers"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = ()

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """No event matters, only the frames' keys."""

    def remember(self, connection: sa.Connection, kept: Sequence[tuple[Idempotency, int]]) -> None:
        """Keep the answers, and forget those whose time has passed."""
        rows = [
            {
                "tenant": answer.tenant,
                "scope": answer.scope,
                "key": answer.key,
                "ts_us": ts_us,
                "answer": msgspec.msgpack.encode(answer),
            }
            for answer, ts_us in kept
        ]
        # A key that was pruned may be used again: its newest answer is the one that counts.
        upsert = insert(answers).prefix_with("OR REPLACE")
        connection.execute(upsert, rows)
        newest_us = max(ts_us for _, ts_us in kept)
        connection.execute(answers.delete().where(answers.c.ts_us < newest_us - ANSWERS_KEPT_US))

    def clear(self, connection: sa.Connection) -> None:
        """Empty the table."""
        connection.execute(answers.delete())

    @staticmethod
    def recall(connection: sa.Connection, tenant: str, scope: str, key: str) -> Idempotency | None:
        """The first answer to a key, if it is still kept."""
        query = sa.select(answers.c.answer).where(
            answers.c.tenant == tenant, answers.c.scope == scope, answers.c.key == key
        )
        kept = connection.execute(query).scalar()
        return None if kept is None else _answer_decoder.decode(kept)


def _row(recorded: Recorded, event: Transfer) -> tuple[object, ...]:
    refused = isinstance(event, TransferRefused)
    asked = Transfer(*msgspec.structs.astuple(event)[:9])
    state = "refused" if refused else "pending" if event.kind == "pending" else "closed"
    return (
        recorded.seq,
        event.id,
        recorded.ts_us,
        event.debit_account,
        event.credit_account,
        event.result if isinstance(event, TransferRefused) else CREATED,
        state,
        msgspec.msgpack.encode(asked),
    )


def _entry(transfer: bytes, result: str, state: State) -> Entry:
    return Entry(_transfer_decoder.decode(transfer), result, state)


def _insert_many(
    connection: sa.Connection, statement: str, rows: Sequence[tuple[object, ...]]
) -> None:
    """Straight to the driver: Core would build a dictionary per row of the two busiest tables."""
    if rows:
        connection.exec_driver_sql(statement, list(rows))
