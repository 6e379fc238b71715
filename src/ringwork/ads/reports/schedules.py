"""Reports that are made for every day, week or month: who asked, what is due, what was made.

A schedule's periods follow each other without a gap, in its report's time zone, from the one in
which it was created. Each is reported once it is over; a period that was missed is made up for, the
oldest first. An event names every report that was made, so that none is made twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from ringwork.ads.lifecycle import PLATFORM, Actor
from ringwork.ads.model import Id, Name
from ringwork.ads.reports.compile import compile_query
from ringwork.ads.reports.vocabulary import (
    RATIOS,
    ROWS_MAX,
    SUMS,
    Dimension,
    Filters,
    Measure,
    ReportQuery,
    TimeZone,
)
from ringwork.ads.reports.zones import midnight_us
from ringwork.kernel.errors import Conflict, NotFound
from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.journal import Command

Every = Literal["day", "week", "month"]
SCHEDULES_MAX: Final = 1000


class ReportSchedule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to report, and for how long a period at a time; weeks begin on Monday."""

    id: Id
    name: Name
    every: Every
    dimensions: Annotated[list[Dimension], Meta(max_length=8)] = []
    measures: Annotated[list[Measure], Meta(min_length=1, max_length=len(SUMS) + len(RATIOS))]
    filters: Filters = {}
    time_zone: TimeZone = "UTC"
    order_by: Annotated[str, Meta(max_length=32)] = ""
    limit: Annotated[int, Meta(ge=1, le=ROWS_MAX)] = ROWS_MAX

    def query(self, period: Period) -> ReportQuery:
        """The report of one period."""
        return ReportQuery(
            from_us=period.from_us,
            until_us=period.until_us,
            dimensions=self.dimensions,
            measures=self.measures,
            filters=self.filters,
            time_zone=self.time_zone,
            order_by=self.order_by,
            limit=self.limit,
        )


class Period(Struct, frozen=True):
    """A whole day, week or month of a time zone."""

    from_us: int
    until_us: int


class ReportScheduled(Event, frozen=True, array_like=True):
    """Reports of a schedule are made from here on."""

    TYPE: ClassVar[str] = "report_scheduled"
    schedule: ReportSchedule
    actor: str = ""


class ReportScheduleEnded(Event, frozen=True, array_like=True):
    """No more reports of the schedule are made; those that were made stay."""

    TYPE: ClassVar[str] = "report_schedule_ended"
    id: str
    actor: str = ""


class ReportMade(Event, frozen=True, array_like=True):
    """A schedule's report of one period lies ready as CSV."""

    TYPE: ClassVar[str] = "report_made"
    RETENTION: ClassVar[str] = "as long as its file"
    schedule_id: str
    report_id: str
    from_us: int
    until_us: int
    rows: int
    sha256: str
    """Of the file."""


EVENTS: Final[tuple[type[Event], ...]] = (ReportScheduled, ReportScheduleEnded, ReportMade)


class Scheduled(Struct, gc=False):
    """A schedule, what comes next, and the latest report."""

    schedule: ReportSchedule
    next_us: int
    """A moment of the next period."""
    last_report_id: str = ""
    last_until_us: int = 0


class Schedules:
    """Every schedule that goes on; a fold of its events."""

    name: ClassVar[str] = "ads_report_schedules"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = EVENTS

    def __init__(self) -> None:
        self.items: dict[str, Scheduled] = {}

    # ---- deciding -------------------------------------------------------------------------------

    def create(
        self, command: Command, schedule: ReportSchedule, actor: Actor = PLATFORM
    ) -> tuple[ReportSchedule, bool]:
        """The schedule, and whether it is new.

        Conflict ``report-schedule-exists``, or ``rule-violated`` for a report that cannot be and
        past ``SCHEDULES_MAX``.
        """
        existing = self.items.get(schedule.id)
        if existing is not None:
            if existing.schedule == schedule:
                return schedule, False
            detail = f"report schedule {schedule.id!r} exists with other content"
            raise Conflict("report-schedule-exists", detail)
        compile_query(schedule.query(Period(0, 1)))
        if len(self.items) >= SCHEDULES_MAX:
            raise Conflict("rule-violated", f"there are {SCHEDULES_MAX} schedules already")
        command.record(ReportScheduled(schedule, actor.id))
        return schedule, True

    def end(self, command: Command, id: str, actor: Actor = PLATFORM) -> ReportSchedule:
        """End a schedule. NotFound."""
        scheduled = self.items.get(id)
        if scheduled is None:
            raise NotFound(f"no report schedule {id!r}")
        command.record(ReportScheduleEnded(id, actor.id))
        return scheduled.schedule

    def due(self, now_us: int) -> Iterator[tuple[ReportSchedule, Period]]:
        """Each schedule whose next period is over, with that period."""
        for scheduled in self.items.values():
            schedule = scheduled.schedule
            period = period_of(schedule.every, schedule.time_zone, scheduled.next_us)
            if period.until_us <= now_us:
                yield schedule, period

    # ---- folding --------------------------------------------------------------------------------

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        if isinstance(event, ReportScheduled):
            self.items[event.schedule.id] = Scheduled(event.schedule, recorded.ts_us)
        elif isinstance(event, ReportScheduleEnded):
            del self.items[event.id]
        elif isinstance(event, ReportMade):
            scheduled = self.items.get(event.schedule_id)
            if scheduled is not None:
                scheduled.next_us = scheduled.last_until_us = event.until_us
                scheduled.last_report_id = event.report_id

    def clear(self) -> None:
        self.items.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(self.items)

    def load(self, state: bytes) -> None:
        self.items = _decoder.decode(state)


_decoder: Final = msgspec.msgpack.Decoder(dict[str, Scheduled])


def period_of(every: Every, time_zone: str, at_us: int) -> Period:
    """The day, week or month that a moment lies in.

    >>> period_of("day", "Europe/Lisbon", 1_774_742_400_000_000)  # the night the clocks go forward
    Period(from_us=1774742400000000, until_us=1774825200000000)
    """
    zone = ZoneInfo(time_zone)
    first = datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(zone).date()
    if every == "week":
        first -= timedelta(days=first.weekday())
        after = first + timedelta(days=7)
    elif every == "month":
        first = first.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
    else:
        after = first + timedelta(days=1)
    return Period(midnight_us(first, zone), midnight_us(after, zone))
