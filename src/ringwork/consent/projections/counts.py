"""How many decided what on which day, and what became of being asked: for those who oversee it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Final

import sqlalchemy as sa
from msgspec import Struct

from ringwork.consent.choice.events import ChoiceMade, ChoiceShown
from ringwork.consent.events import AdsFreeCounted, ConsentRecorded
from ringwork.consent.merkle import DAY_US
from ringwork.consent.projections.tables import consent_ads_free, consent_asked, consent_days
from ringwork.kernel.events import Event, Recorded

_ADD: Final = """
INSERT INTO consent_days VALUES (?, ?, ?, ?) ON CONFLICT (day, action) DO UPDATE SET
count = consent_days.count + excluded.count, steps = consent_days.steps + excluded.steps
"""
_ASKED: Final = "INSERT INTO consent_asked VALUES (?, ?, '') ON CONFLICT (subject) DO NOTHING"
_HOUR_US: Final = 3_600_000_000
_ADD_ADS_FREE: Final = sa.text(
    "INSERT INTO consent_ads_free VALUES (:hour, :requests) "
    "ON CONFLICT (hour) DO UPDATE SET requests = consent_ads_free.requests + excluded.requests"
)
_CHOSE: Final = "UPDATE consent_asked SET choice = ? WHERE subject = ? AND choice = ''"


class DayCount(Struct, frozen=True, gc=False):
    """The records of one action on one day (since 1970-01-01, UTC), and the steps of them all."""

    day: int
    action: str
    count: int
    steps: int


class ConsentDays:
    """Decisions by day and action."""

    name: ClassVar[str] = "consent_days"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (ConsentRecorded,)

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """Add a batch's counts to its rows."""
        counts: Counter[tuple[int, str]] = Counter()
        steps: Counter[tuple[int, str]] = Counter()
        for recorded in events:
            event = recorded.payload
            assert isinstance(event, ConsentRecorded), "nothing else is heard"
            key = recorded.ts_us // DAY_US, event.action
            counts[key] += 1
            steps[key] += event.steps
        rows = [(*key, count, steps[key]) for key, count in counts.items()]
        if rows:
            connection.exec_driver_sql(_ADD, rows)

    def clear(self, connection: sa.Connection) -> None:
        """Empty the table."""
        connection.execute(consent_days.delete())


class ConsentAsked:
    """What each person who was asked chose first; empty for one who has not chosen."""

    name: ClassVar[str] = "consent_asked"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (ChoiceShown, ChoiceMade)

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """One by one: a choice is that of the showing before it."""
        for recorded in events:
            event, subject = recorded.payload, recorded.subject
            if isinstance(event, ChoiceShown) and event.asked:
                connection.exec_driver_sql(_ASKED, (subject, recorded.ts_us))
            elif isinstance(event, ChoiceMade):
                connection.exec_driver_sql(_CHOSE, (event.choice, subject))

    def clear(self, connection: sa.Connection) -> None:
        """Empty the table."""
        connection.execute(consent_asked.delete())


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


def day_counts(connection: sa.Connection, *, since_day: int) -> list[DayCount]:
    """Decisions by day and action, from a day on."""
    table = consent_days.c
    query = (
        sa.select(table.day, table.action, table.count, table.steps)
        .where(table.day >= since_day)
        .order_by(table.day, table.action)
    )
    return [DayCount(*row) for row in connection.execute(query)]


def first_choices(connection: sa.Connection, *, since_us: int) -> dict[str, int]:
    """What those chose first whom the page was shown to since then; '' is nothing yet."""
    table = consent_asked.c
    query = (
        sa.select(table.choice, sa.func.count())
        .where(table.shown_us >= since_us)
        .group_by(table.choice)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def ads_free_requests(connection: sa.Connection, *, since_us: int = 0) -> int:
    """Requests of subscribers since a moment (to its hour)."""
    table = consent_ads_free.c
    query = sa.select(sa.func.coalesce(sa.func.sum(table.requests), 0)).where(
        table.hour >= since_us // _HOUR_US
    )
    return int(connection.execute(query).scalar_one())
