"""Questions to the tables, with typed answers, for the console and the management API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from ringwork.ads.projections.counts import HOUR_US, MINUTE_US, Counts
from ringwork.ads.projections.history import Change, Kind
from ringwork.ads.projections.latest import REACHED, Reached
from ringwork.ads.projections.tables import (
    ads_actors,
    ads_campaign_hours,
    ads_changes,
    ads_creatives,
    ads_minutes,
    ads_requests,
    ads_sales,
    ads_view_conversions,
)


class Span(Struct, frozen=True):
    """What happened in the span of time that begins at ``ts_us``."""

    ts_us: int
    counts: Counts


class SaleRow(Struct, frozen=True, kw_only=True):
    """One sold slot; ``seq`` is the event that decided it."""

    impression_id: bytes
    seq: int
    request_id: bytes
    campaign_id: str
    ad_id: str
    pricing: str
    price_nanos: int


class RequestRow(Struct, frozen=True, kw_only=True):
    """One ad request; ``seq`` is the event that decided it, ``price_nanos`` its sales' sum."""

    seq: int
    request_id: bytes
    ts_us: int
    source: str
    place: str
    placement: str
    formats: str
    slots: int
    sold: int
    price_nanos: int
    currency: str
    outcome: Reached
    disk_ns: int | None
    sales: tuple[SaleRow, ...] = ()


class ChangeRow(Struct, frozen=True, kw_only=True):
    """One command that created, changed or decided on an item; ``seq`` is its event."""

    seq: int
    ts_us: int
    request_id: bytes
    actor: str
    label: str
    """The label of the actor's API key; empty where there is none."""
    action: str
    reason: str
    changes: tuple[Change, ...]


class ViewCounts(Struct, frozen=True):
    """View-through conversions and what was paid for them, which ``Counts`` has in its spend."""

    conversions: int
    spent_nanos: int


class RequestFilter(Struct, frozen=True, kw_only=True):
    """Which requests; members that are left empty do not restrict."""

    id: bytes | None = None
    """A request's or an impression's id."""
    campaign_id: str = ""
    placement: str = ""
    outcome: Reached | Literal[""] = ""
    before_seq: int = 0
    """Only requests decided before this event; 0 starts at the newest."""


def minutes(
    connection: sa.Connection, *, since_us: int, until_us: int, step: int = 1
) -> list[Span]:
    """Counts per ``step`` minutes in time order; spans in which nothing happened are left out.

    Spans are aligned to multiples of ``step`` minutes since 1970.
    """
    span = (ads_minutes.c.minute // step).label("span")
    query = (
        sa.select(span, *_sums(ads_minutes))
        .where(ads_minutes.c.minute >= since_us // MINUTE_US)
        .where(ads_minutes.c.minute * MINUTE_US < until_us)
        .group_by(span)
        .order_by(span)
    )
    return [
        Span(row["span"] * step * MINUTE_US, _counted(ads_minutes, row))
        for row in connection.execute(query).mappings()
    ]


def totals(connection: sa.Connection, *, since_us: int = 0) -> Counts:
    """Counts of everything since a moment (to its minute)."""
    query = sa.select(*_sums(ads_minutes)).where(ads_minutes.c.minute >= since_us // MINUTE_US)
    return _counted(ads_minutes, connection.execute(query).mappings().one())


def campaign_counts(
    connection: sa.Connection, campaign_ids: Sequence[str] | None = None, *, since_us: int = 0
) -> dict[str, Counts]:
    """Counts per campaign (of all, or of those named) since a moment (to its hour)."""
    table = ads_campaign_hours
    query = sa.select(table.c.campaign_id, *_sums(table)).group_by(table.c.campaign_id)
    if since_us:
        query = query.where(table.c.hour >= since_us // HOUR_US)
    if campaign_ids is not None:
        query = query.where(table.c.campaign_id.in_(campaign_ids))
    rows = connection.execute(query).mappings()
    return {row["campaign_id"]: _counted(table, row) for row in rows}


def campaign_hours(connection: sa.Connection, campaign_id: str, *, since_us: int = 0) -> list[Span]:
    """A campaign's counts per hour in time order; empty hours are left out."""
    table = ads_campaign_hours
    query = (
        sa.select(table)
        .where(table.c.campaign_id == campaign_id, table.c.hour >= since_us // HOUR_US)
        .order_by(table.c.hour)
    )
    return [
        Span(row["hour"] * HOUR_US, _counted(table, row))
        for row in connection.execute(query).mappings()
    ]


def creative_counts(connection: sa.Connection, campaign_id: str) -> dict[str, Counts]:
    """Counts per ad of a campaign; an ad that was never sold is left out."""
    query = sa.select(ads_creatives).where(ads_creatives.c.campaign_id == campaign_id)
    rows = connection.execute(query).mappings()
    return {row["ad_id"]: _counted(ads_creatives, row) for row in rows}


def requests(connection: sa.Connection, wanted: RequestFilter, *, limit: int) -> list[RequestRow]:
    """The newest requests that match, newest first, with their sales."""
    table = ads_requests
    query = sa.select(table).order_by(table.c.seq.desc()).limit(limit)
    if wanted.before_seq:
        query = query.where(table.c.seq < wanted.before_seq)
    if wanted.id is not None:
        sold = sa.select(ads_sales.c.seq).where(ads_sales.c.impression_id == wanted.id)
        query = query.where(sa.or_(table.c.request_id == wanted.id, table.c.seq.in_(sold)))
    if wanted.campaign_id:
        sold = sa.select(ads_sales.c.seq).where(ads_sales.c.campaign_id == wanted.campaign_id)
        query = query.where(table.c.seq.in_(sold))
    if wanted.placement:
        query = query.where(table.c.placement == wanted.placement)
    if wanted.outcome:
        query = query.where(table.c.outcome == REACHED.index(wanted.outcome))
    rows = connection.execute(query).mappings().all()
    sales = _sales(connection, [row["seq"] for row in rows])
    return [
        RequestRow(
            **{**row, "outcome": REACHED[row["outcome"]]}, sales=tuple(sales.get(row["seq"], ()))
        )
        for row in rows
    ]


def sale(connection: sa.Connection, impression_id: bytes) -> SaleRow | None:
    """The sale of an impression, while it is kept."""
    query = sa.select(ads_sales).where(ads_sales.c.impression_id == impression_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else SaleRow(**row)


def view_conversions(
    connection: sa.Connection, campaign_ids: Sequence[str] | None = None, *, since_us: int = 0
) -> dict[str, ViewCounts]:
    """View-through conversions per campaign since a moment (to its hour); none are left out."""
    table = ads_view_conversions
    query = sa.select(
        table.c.campaign_id,
        sa.func.sum(table.c.conversions).label("conversions"),
        sa.func.sum(table.c.spent_nanos).label("spent_nanos"),
    ).group_by(table.c.campaign_id)
    if since_us:
        query = query.where(table.c.hour >= since_us // HOUR_US)
    if campaign_ids is not None:
        query = query.where(table.c.campaign_id.in_(campaign_ids))
    return {
        row.campaign_id: ViewCounts(row.conversions, row.spent_nanos)
        for row in connection.execute(query)
    }


def history(
    connection: sa.Connection, kind: Kind, id: str, *, before_seq: int = 0, limit: int
) -> list[ChangeRow]:
    """The newest changes of a campaign or a creative, newest first.

    With ``before_seq`` only those that were recorded before that event.
    """
    table = ads_changes
    query = (
        sa.select(table, sa.func.coalesce(ads_actors.c.label, "").label("label"))
        .join_from(table, ads_actors, ads_actors.c.key_id == table.c.actor, isouter=True)
        .where(table.c.kind == kind, table.c.id == id)
        .order_by(table.c.seq.desc())
        .limit(limit)
    )
    if before_seq:
        query = query.where(table.c.seq < before_seq)
    return [
        ChangeRow(
            seq=row["seq"],
            ts_us=row["ts_us"],
            request_id=row["request_id"],
            actor=row["actor"],
            label=row["label"],
            action=row["action"],
            reason=row["reason"],
            changes=_changes.decode(row["changes"]),
        )
        for row in connection.execute(query).mappings()
    ]


_changes: Final = msgspec.json.Decoder(tuple[Change, ...])


def waits_ns(connection: sa.Connection, *, limit: int) -> list[int]:
    """The latest waits for the disk of sold answers, newest first."""
    query = (
        sa.select(ads_requests.c.disk_ns)
        .where(ads_requests.c.disk_ns.is_not(None))
        .order_by(ads_requests.c.seq.desc())
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def _sales(connection: sa.Connection, seqs: Sequence[int]) -> dict[int, list[SaleRow]]:
    query = sa.select(ads_sales).where(ads_sales.c.seq.in_(seqs))
    found: dict[int, list[SaleRow]] = {}
    for row in connection.execute(query.order_by(ads_sales.c.impression_id)).mappings():
        found.setdefault(row["seq"], []).append(SaleRow(**row))
    return found


def _names(table: sa.Table) -> Iterable[str]:
    return (column.name for column in table.columns if hasattr(Counts, column.name))


def _sums(table: sa.Table) -> list[sa.ColumnElement[int]]:
    return [sa.func.coalesce(sa.func.sum(table.c[name]), 0).label(name) for name in _names(table)]


def _counted(table: sa.Table, row: sa.RowMapping) -> Counts:
    return Counts(**{name: row[name] for name in _names(table)})
