"""Reads of people's history that were denied, by day and reason: they name nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Final

import sqlalchemy as sa
from msgspec import Struct

from ringwork.ads.behavioural.events import GrantDenied
from ringwork.kernel.events import Event, Recorded

_DAY_US: Final = 86_400_000_000
_Int64: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
metadata: Final = sa.MetaData()
ads_denied: Final = sa.Table(
    "ads_denied",
    metadata,
    sa.Column("day", _Int64, primary_key=True, autoincrement=False),
    sa.Column("purpose", sa.Text, primary_key=True),
    sa.Column("service", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("count", _Int64, nullable=False),
    sqlite_strict=True,
)
_ADD: Final = """
INSERT INTO ads_denied VALUES (?, ?, ?, ?, ?)
ON CONFLICT (day, purpose, service, reason) DO UPDATE SET
count = ads_denied.count + excluded.count
"""


class DeniedRow(Struct, frozen=True, gc=False):
    """Denied reads for one purpose by one service, for one reason."""

    purpose: str
    service: str
    reason: str
    count: int


class AdDenied:
    """Denied reads by day, purpose, asking service and reason."""

    name: ClassVar[str] = "ads_denied"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (GrantDenied,)

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """Add a batch's counts to its rows."""
        counts: Counter[tuple[int, str, str, str]] = Counter()
        for recorded in events:
            event = recorded.payload
            assert isinstance(event, GrantDenied), "nothing else is heard"
            key = recorded.ts_us // _DAY_US, event.purpose, event.service, event.reason
            counts[key] += event.count
        rows = [(*key, count) for key, count in counts.items()]
        if rows:
            connection.exec_driver_sql(_ADD, rows)

    def clear(self, connection: sa.Connection) -> None:
        """Empty the table."""
        connection.execute(ads_denied.delete())


PROJECTIONS: Final = (AdDenied(),)
"""For the composition root."""


def denied(connection: sa.Connection, *, since_day: int, limit: int) -> list[DeniedRow]:
    """Denied reads since a day (since 1970-01-01, UTC), the most frequent first."""
    table, total = ads_denied.c, sa.func.sum(ads_denied.c.count)
    query = (
        sa.select(table.purpose, table.service, table.reason, total)
        .where(table.day >= since_day)
        .group_by(table.purpose, table.service, table.reason)
        .order_by(total.desc(), table.purpose, table.service, table.reason)
        .limit(limit)
    )
    return [DeniedRow(*row) for row in connection.execute(query)]
