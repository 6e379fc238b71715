"""Where each paced campaign was in its plan, by the time it was noted, and the newest of each.

What the console draws is kept, and the log keeps the rest: of a plan at most ``PLAN_NOTES`` notes,
evenly in its time, and always the newest; nothing of a plan that ended ``KEPT_S`` ago. A day's
notes are all kept; of a flight of a month, one in five or so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import astuple

from ringwork.ads.pacing_events import CampaignPaced, Unit
from ringwork.ads.projections.tables import ads_paced, ads_paces, execute_many
from ringwork.kernel.events import Event, Recorded

PLAN_NOTES: Final = 600
"""More than a chart of 1,600 px shows of a curve, six times a day's quarter hours."""
KEPT_S: Final = 2 * 86_400
"""After the plan's end: for whoever looks at yesterday with SQL."""

_ADD: Final = "INSERT INTO ads_paces VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_REMOVE: Final = "DELETE FROM ads_paces WHERE campaign_id = ? AND seq = ?"
_SET: Final = "INSERT OR REPLACE INTO ads_paced VALUES (?, ?, ?, ?, ?)"
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


class _Newest(Struct):
    """The newest note of a campaign, and the last one that is kept for good."""

    seq: int
    kept_seq: int
    kept_us: int
    ends_s: int


class AdPaces:
    """The notes of pacing."""

    name: ClassVar[str] = "ads_paces"
    version: ClassVar[int] = 2
    hears: ClassVar[tuple[type[Event], ...]] = (CampaignPaced,)

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """One row per note; a newest one that is not due to stay gives way to the next."""
        rows: list[tuple[object, ...]] = []
        removed: list[tuple[object, ...]] = []
        newest: dict[str, _Newest] = _newest_of(connection, events)
        for recorded in events:
            event = recorded.payload
            assert isinstance(event, CampaignPaced), "nothing else is heard"
            before = newest.get(event.campaign_id)
            if before is not None and before.ends_s == event.ends_s:
                if before.seq != before.kept_seq:
                    removed.append((event.campaign_id, before.seq))
                before.seq = recorded.seq
                if not _is_near(before, recorded.ts_us, event):
                    before.kept_seq, before.kept_us = recorded.seq, recorded.ts_us
            else:
                newest[event.campaign_id] = _Newest(
                    recorded.seq, recorded.seq, recorded.ts_us, event.ends_s
                )
            rows.append(
                (
                    event.campaign_id, recorded.seq, recorded.ts_us, event.unit, event.begins_s,
                    event.ends_s, event.budget, event.spent, event.due, event.reach, event.pace_ppm,
                )
            )  # fmt: skip
        execute_many(connection, _ADD, rows)
        execute_many(connection, _REMOVE, removed)
        execute_many(connection, _SET, [(id, *astuple(one)) for id, one in newest.items()])
        ended_s = events[-1].ts_us // 1_000_000 - KEPT_S
        for table in (ads_paces, ads_paced):
            connection.execute(table.delete().where(table.c.ends_s <= ended_s))

    def clear(self, connection: sa.Connection) -> None:
        """Empty the tables."""
        for table in (ads_paces, ads_paced):
            connection.execute(table.delete())


def _newest_of(connection: sa.Connection, events: Sequence[Recorded]) -> dict[str, _Newest]:
    """What is known of the campaigns in a batch, each batch of ids in one SELECT."""
    ids = sorted({one.payload.campaign_id for one in events})  # type: ignore[attr-defined]  # heard
    found: dict[str, _Newest] = {}
    for start in range(0, len(ids), _ASKED_AT_ONCE):
        query = sa.select(ads_paced).where(
            ads_paced.c.campaign_id.in_(ids[start : start + _ASKED_AT_ONCE])
        )
        for campaign_id, *members in connection.execute(query):
            found[campaign_id] = _Newest(*members)
    return found


def _is_near(before: _Newest, ts_us: int, event: CampaignPaced) -> bool:
    """Whether a note is so near to the last one that is kept that only the newest matters."""
    apart_us = (event.ends_s - event.begins_s) * 1_000_000 // PLAN_NOTES
    return 0 <= ts_us - before.kept_us < apart_us


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
