"""Conversions one by one: what a campaign brought. The customer stays sealed in the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import sqlalchemy as sa
from msgspec import Struct

from ringwork.ads.events import ConversionRecorded
from ringwork.ads.projections.tables import ads_conversions, execute_many
from ringwork.kernel.events import Event, Recorded

_ADD: Final = "INSERT INTO ads_conversions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class ConversionRow(Struct, frozen=True, kw_only=True):
    """One conversion; ``request_id`` is that of the events it was recorded among."""

    seq: int
    campaign_id: str
    ts_us: int
    request_id: bytes
    conversion_id: str
    ad_id: str
    value_nanos: int
    charged_nanos: int
    currency: str
    unbilled_reason: str
    view_through: bool


class AdConversions:
    """The conversions of every campaign."""

    name: ClassVar[str] = "ads_conversions"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (ConversionRecorded,)

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """One row per conversion."""
        rows: list[tuple[object, ...]] = []
        for recorded in events:
            event = recorded.payload
            assert isinstance(event, ConversionRecorded), "nothing else is heard"
            rows.append(
                (
                    recorded.seq, event.campaign_id, recorded.ts_us, recorded.request_id,
                    event.conversion_id, event.ad_id, event.value_nanos, event.charged_nanos,
                    event.currency, event.unbilled_reason, int(event.view_through),
                )
            )  # fmt: skip
        execute_many(connection, _ADD, rows)

    def clear(self, connection: sa.Connection) -> None:
        """Empty the table."""
        connection.execute(ads_conversions.delete())


def conversions(
    connection: sa.Connection, campaign_id: str, *, before_seq: int = 0, limit: int
) -> list[ConversionRow]:
    """The newest conversions of a campaign, newest first.

    With ``before_seq`` only those that were recorded before that event.
    """
    query = (
        sa.select(ads_conversions)
        .where(ads_conversions.c.campaign_id == campaign_id)
        .order_by(ads_conversions.c.seq.desc())
        .limit(limit)
    )
    if before_seq:
        query = query.where(ads_conversions.c.seq < before_seq)
    return [
        ConversionRow(**{**row, "view_through": bool(row["view_through"])})
        for row in connection.execute(query).mappings()
    ]
