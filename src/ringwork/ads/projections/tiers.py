"""Requests per hour and tier: what choice leaves of requests, and whether it is served as well.

A subscriber's requests are none of the ad part's: nothing of them comes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import sqlalchemy as sa
from msgspec import Struct

from ringwork.ads.events import AuctionCleared
from ringwork.ads.projections.counts import HOUR_US
from ringwork.ads.projections.tables import ads_tiers, execute_many
from ringwork.kernel.events import Event, Recorded

_ADD: Final = """
INSERT INTO ads_tiers VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hour, tier) DO UPDATE SET
requests = ads_tiers.requests + excluded.requests, slots = ads_tiers.slots + excluded.slots,
sold = ads_tiers.sold + excluded.sold, eligible = ads_tiers.eligible + excluded.eligible,
decided_ns = ads_tiers.decided_ns + excluded.decided_ns
"""


class TierCounts(Struct):
    """What is counted of a tier."""

    requests: int = 0
    slots: int = 0
    sold: int = 0
    eligible: int = 0
    """Ads that could have been shown, summed over the slots."""
    decided_ns: int = 0
    """Time that the decisions took, without the wait for the disk."""


class AdTiers:
    """One row per hour and tier; requests from before tiers were recorded are left out."""

    name: ClassVar[str] = "ads_tiers"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (AuctionCleared,)

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """Add a batch's counts to its rows."""
        sums: dict[tuple[int, str], TierCounts] = {}
        for recorded in events:
            event = recorded.payload
            assert isinstance(event, AuctionCleared), "it hears nothing else"
            if not event.tier:
                continue
            counts = sums.setdefault((recorded.ts_us // HOUR_US, event.tier), TierCounts())
            counts.requests += 1
            counts.slots += len(event.slots)
            counts.sold += sum(slot.impression_id is not None for slot in event.slots)
            counts.eligible += sum(slot.eligible for slot in event.slots)
            counts.decided_ns += sum(event.stage_ns.values())
        rows = [
            (hour, tier, one.requests, one.slots, one.sold, one.eligible, one.decided_ns)
            for (hour, tier), one in sums.items()
        ]
        execute_many(connection, _ADD, rows)

    def clear(self, connection: sa.Connection) -> None:
        """Empty the table."""
        connection.execute(ads_tiers.delete())


def tiers(connection: sa.Connection, *, since_us: int = 0) -> dict[str, TierCounts]:
    """Tier -> its counts since a moment (to its hour)."""
    table = ads_tiers.c
    names = TierCounts.__struct_fields__
    query = (
        sa.select(table.tier, *(sa.func.sum(table[name]).label(name) for name in names))
        .where(table.hour >= since_us // HOUR_US)
        .group_by(table.tier)
    )
    rows = connection.execute(query).mappings()
    return {row["tier"]: TierCounts(*(int(row[name]) for name in names)) for row in rows}
