"""The form of a report: a period of whole days, what to break down by, what to count."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final

from msgspec import Meta, Struct

from ringwork.ads.reports import DIMENSIONS, RATIOS, SUMS, Dimension, Measure, ReportQuery
from ringwork.ads.reports.vocabulary import ROWS_MAX, Filters, TimeZone
from ringwork.ads.reports.zones import midnight_us, zone_of
from ringwork.console.forms import texts
from ringwork.console.forms.members import Group, Member, options
from ringwork.console.forms.reading import Typed

TIMES: Final[tuple[Dimension, ...]] = ("month", "day", "hour", "hour_of_day")

DIMENSION_NAMES: Final[Mapping[str, str]] = {
    **{name: name.capitalize() for name in DIMENSIONS},
    "domain": "Site or app",
    "site": "Property",
    "hour_of_day": "Hour of day",
    "reason": "Why unbilled",
}
MEASURE_NAMES: Final[Mapping[str, str]] = {
    "requests": "Requests",
    "slots": "Places offered",
    "sold": "Places sold",
    "impressions": "Impressions",
    "unbilled": "Late impressions",
    "invalid": "Invalid outcomes",
    "viewable": "Viewable",
    "views": "Views to the end",
    "clicks": "Clicks",
    "conversions": "Conversions",
    "view_conversions": "View-through",
    "value_nanos": "Conversion value",
    "spend_nanos": "Spend",
    "earnings_nanos": "Publisher earnings",
    "fees_nanos": "Platform fees",
    "fill_rate": "Fill rate",
    "ctr": "CTR",
    "viewability": "Viewability",
    "conversion_rate": "Conversion rate",
    "ecpm_nanos": "eCPM",
}
"""In the heads of a table; what each counts is in the reference."""


class ReportAsked(Struct, frozen=True, kw_only=True):
    """What the form says."""

    first_day: date
    last_day: date
    time_zone: TimeZone
    dimensions: Annotated[list[Dimension], Meta(max_length=8)]
    measures: Annotated[list[Measure], Meta(min_length=1, max_length=len(SUMS) + len(RATIOS))]
    filters: Filters


_DAY: Final = "a day such as 2026-11-26"

GROUPS: Final = (
    Group(
        title="Period",
        members=(
            Member(
                pointer="/first_day", label="First day", codec=texts.DAY, size=10, is_needed=True,
                expected=_DAY,
            ),
            Member(
                pointer="/last_day", label="Last day", codec=texts.DAY, size=10, is_needed=True,
                expected=_DAY, hint="It is counted too.",
            ),
            Member(
                pointer="/time_zone", label="Time zone", size=24, is_needed=True,
                hint="Where days begin, as Europe/Lisbon.",
            ),
        ),
    ),
    Group(
        title="What",
        members=(
            Member(
                pointer="/dimensions", label="Broken down by", kind="checks", codec=texts.CHOSEN,
                options=options(*DIMENSION_NAMES.items()), hint="At most 8; none is one total.",
            ),
            Member(
                pointer="/measures", label="Figures", kind="checks", codec=texts.CHOSEN,
                options=options(*MEASURE_NAMES.items()), is_needed=True,
            ),
            Member(
                pointer="/filters", label="Only", kind="area", codec=texts.PAIRS, size=3,
                hint="One breakdown a line and its values, as campaign = hp-autumn-26, tram.",
                expected=f"breakdowns among {', '.join(DIMENSIONS)}, and their values",
            ),
        ),
    ),
)  # fmt: skip


def defaults(now_us: int) -> Typed:
    """What the form shows before anything was asked: the last seven days by campaign."""
    today = datetime.fromtimestamp(now_us // 1_000_000, UTC).date()
    return {
        "/first_day": [(today - timedelta(days=6)).isoformat()],
        "/last_day": [today.isoformat()],
        "/time_zone": ["UTC"],
        "/dimensions": ["campaign"],
        "/measures": ["impressions", "clicks", "ctr", "spend_nanos"],
    }


def query_of(asked: ReportAsked, order_by: str) -> ReportQuery:
    """The report that is asked for. Conflict ``rule-violated`` for a zone that is none."""
    zone = zone_of(asked.time_zone)
    return ReportQuery(
        from_us=midnight_us(asked.first_day, zone),
        until_us=midnight_us(asked.last_day + timedelta(days=1), zone),
        dimensions=asked.dimensions,
        measures=asked.measures,
        filters=asked.filters,
        time_zone=asked.time_zone,
        order_by=order_by or _order(asked),
        limit=ROWS_MAX,
    )


def _order(asked: ReportAsked) -> str:
    """By time where it is broken down by time first, else the greatest first."""
    if not asked.dimensions or asked.dimensions[0] in TIMES:
        return ""
    return next((f"-{name}" for name in asked.measures if name in SUMS), "")
