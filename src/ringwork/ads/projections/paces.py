"""Where each paced campaign was in its plan, by the time it was noted, and the newest of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import sqlalchemy as sa
from msgspec import Struct

from ringwork.ads.pacing_events import CampaignPaced, Unit
from ringwork.ads.projections.tables import ads_paced, ads_paces, execute_many
from ringwork.kernel.events import Event, Recorded

_ADD: Final = "INSERT INTO ads_paces VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SET: Final = """
INSERT INTO ads_paced VALUES (?, ?) ON CONFLICT (campaign_id) DO UPDATE SET seq = excluded.seq
"""
_ASKED_AT_ONCE: Final = 500
"""Ids in one SELECT: SQLite takes 32,766 parameters, older ones 999."""


class PaceRow(Struct, frozen=True, kw_only=True):
    """A note of a campaign's plan: the members of ``CampaignPaced``, and when it was recorded."""

    campaign_id: str
    seq: int
    ts_us: int
    unit: Unit
    begins_s: int
    ends_s: int
    budget: int
    spent: int
    due: int
    reach: int | None
    pace_ppm: int


class AdPaces:
    """The notes of pacing."""

    name: ClassVar[str] = "ads_paces"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (CampaignPaced,)

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """One row per note."""
        rows: list[tuple[object, ...]] = []
        newest: dict[str, int] = {}
        for recorded in events:
            event = recorded.payload
            assert isinstance(event, CampaignPaced), "nothing else is heard"
            newest[event.campaign_id] = recorded.seq
            rows.append(
                (
                    event.campaign_id, recorded.seq, recorded.ts_us, event.unit, event.begins_s,
                    event.ends_s, event.budget, event.spent, event.due, event.reach, event.pace_ppm,
                )
            )  # fmt: skip
        execute_many(connection, _ADD, rows)
        execute_many(connection, _SET, list(newest.items()))

    def clear(self, connection: sa.Connection) -> None:
        """Empty the tables."""
        for table in (ads_paces, ads_paced):
            connection.execute(table.delete())


def paces(
    connection: sa.Connection, campaign_id: str, *, since_us: int, limit: int
) -> list[PaceRow]:
    """The newest notes of a campaign since a moment, oldest first."""
    query = (
        sa.select(ads_paces)
        .where(ads_paces.c.campaign_id == campaign_id, ads_paces.c.ts_us >= since_us)
        .order_by(ads_paces.c.seq.desc())
        .limit(limit)
    )
    return [PaceRow(**row) for row in connection.execute(query).mappings()][::-1]


def latest_paces(connection: sa.Connection, campaign_ids: Sequence[str]) -> dict[str, PaceRow]:
    """The newest note of each of these campaigns that has one."""
    found: dict[str, PaceRow] = {}
    for start in range(0, len(campaign_ids), _ASKED_AT_ONCE):
        some = campaign_ids[start : start + _ASKED_AT_ONCE]
        query = sa.select(ads_paces).join(
            ads_paced,
            sa.and_(
                ads_paced.c.campaign_id == ads_paces.c.campaign_id,
                ads_paced.c.seq == ads_paces.c.seq,
            ),
        )
        query = query.where(ads_paced.c.campaign_id.in_(some))
        for row in connection.execute(query).mappings():
            found[row["campaign_id"]] = PaceRow(**row)
    return found
