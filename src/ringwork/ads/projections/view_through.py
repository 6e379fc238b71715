"""Conversions that followed an impression nobody clicked on: counted apart from the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import sqlalchemy as sa

from ringwork.ads.events import ConversionRecorded
from ringwork.ads.projections.counts import HOUR_US
from ringwork.ads.projections.tables import ads_view_conversions, execute_many
from ringwork.kernel.events import Event, Recorded

_ADD: Final = """
INSERT INTO ads_view_conversions VALUES (?, ?, ?, ?, ?)
ON CONFLICT (campaign_id, ad_id, hour) DO UPDATE SET
conversions = ads_view_conversions.conversions + excluded.conversions,
spent_nanos = ads_view_conversions.spent_nanos + excluded.spent_nanos
"""


class ViewConversions:
    """View-through conversions per campaign, ad and hour, and what was paid for them."""

    name: ClassVar[str] = "ads_view_conversions"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (ConversionRecorded,)

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """Add a batch's counts to its rows."""
        rows: list[tuple[object, ...]] = []
        for recorded in events:
            event = recorded.payload
            assert isinstance(event, ConversionRecorded), "nothing else is heard"
            if event.view_through:
                hour = recorded.ts_us // HOUR_US
                rows.append((event.campaign_id, event.ad_id, hour, 1, event.charged_nanos))
        execute_many(connection, _ADD, rows)

    def clear(self, connection: sa.Connection) -> None:
        """Empty the table."""
        connection.execute(ads_view_conversions.delete())
