"""The latest ad requests and their sales, for search and for "why this ad".

Kept for the latest ``KEPT_EVENTS`` events of the log; whatever is older stands in the log itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, Literal

import sqlalchemy as sa

from ringwork.ads.events import AnswerTimed, AuctionCleared, ClickRecorded, ImpressionBilled
from ringwork.ads.projections.tables import ads_requests, ads_sales, execute_many
from ringwork.ads.traffic.rules import is_invalid
from ringwork.kernel.events import Event, Recorded

KEPT_EVENTS: Final = 2_000_000
"""A million requests at most, about half a gigabyte of tables and indexes."""

Reached = Literal["unsold", "sold", "billed", "clicked"]
REACHED: Final[tuple[Reached, ...]] = ("unsold", "sold", "billed", "clicked")
"""How far a request came, as the numbers 0 to 3 of the column ``outcome``."""
_BILLED: Final = REACHED.index("billed")
_CLICKED: Final = REACHED.index("clicked")

_ADD_REQUESTS: Final = "INSERT INTO ads_requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)"
_ADD_SALES: Final = "INSERT INTO ads_sales VALUES (?, ?, ?, ?, ?, ?, ?)"
_RAISE_OUTCOME: Final = """
UPDATE ads_requests SET outcome = ?
WHERE seq = (SELECT seq FROM ads_sales WHERE impression_id = ?) AND outcome < ?
"""
_SET_WAIT: Final = "UPDATE ads_requests SET disk_ns = ? WHERE request_id = ?"


class AdRequests:
    """The latest ad requests and their sales, for search and for "why this ad"."""

    name: ClassVar[str] = "ads_requests"
    version: ClassVar[int] = 2
    hears: ClassVar[tuple[type[Event], ...]] = (
        AuctionCleared,
        AnswerTimed,
        ImpressionBilled,
        ClickRecorded,
    )

    def __init__(self, kept_events: int = KEPT_EVENTS) -> None:
        self._kept_events = kept_events

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """Insert requests and sales, then what became of them; forget the oldest."""
        requests: list[tuple[object, ...]] = []
        sales: list[tuple[object, ...]] = []
        raised: list[tuple[int, bytes, int]] = []
        waits: list[tuple[int, bytes]] = []
        for recorded in events:
            event = recorded.payload
            if isinstance(event, AuctionCleared):
                requests.append(_request_row(recorded, event))
                sales += _sale_rows(recorded, event)
            elif isinstance(event, AnswerTimed):
                waits.append((event.disk_ns, recorded.request_id))
            elif isinstance(event, ImpressionBilled):
                raised.append((_BILLED, event.impression_id, _BILLED))
            elif isinstance(event, ClickRecorded) and not is_invalid(event.unbilled_reason):
                raised.append((_CLICKED, event.impression_id, _CLICKED))
        execute_many(connection, _ADD_REQUESTS, requests)
        execute_many(connection, _ADD_SALES, sales)
        execute_many(connection, _RAISE_OUTCOME, raised)
        execute_many(connection, _SET_WAIT, waits)
        oldest = events[-1].seq - self._kept_events
        if oldest > 0:
            for table in (ads_requests, ads_sales):
                connection.execute(table.delete().where(table.c.seq <= oldest))

    def clear(self, connection: sa.Connection) -> None:
        """Empty the tables."""
        for table in (ads_requests, ads_sales):
            connection.execute(table.delete())


def _request_row(recorded: Recorded, event: AuctionCleared) -> tuple[object, ...]:
    sold = [slot for slot in event.slots if slot.impression_id is not None]
    context = event.context
    reached: Reached = "sold" if sold else "unsold"
    return (
        recorded.seq,
        recorded.request_id,
        recorded.ts_us,
        event.source,
        context.app or context.site,
        context.placement_id,
        " ".join(sorted({slot.format for slot in event.slots})),
        len(event.slots),
        len(sold),
        sum(slot.price_nanos for slot in sold),
        event.currency,
        REACHED.index(reached),
    )


def _sale_rows(recorded: Recorded, event: AuctionCleared) -> list[tuple[object, ...]]:
    return [
        (
            slot.impression_id,
            recorded.seq,
            recorded.request_id,
            slot.campaign_id,
            slot.ad_id,
            slot.pricing,
            slot.price_nanos,
        )
        for slot in event.slots
        if slot.impression_id is not None
    ]
