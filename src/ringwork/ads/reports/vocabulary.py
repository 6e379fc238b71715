"""The words of reports: what figures are broken down by, and what is counted, summed and divided.

A *dimension* is a text that every fact has, empty where it does not apply or where the exported
files do not say it. A *sum* adds up integers, so that the sum over all rows is the total, whatever
the breakdown. A *ratio* is the exact quotient of two sums. Money is integer nanos.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from ringwork.ads.requests import TimeUs

Dimension: TypeAlias = Literal[
    "advertiser", "campaign", "creative", "size", "priority", "pricing",
    "publisher", "site", "placement", "domain", "format", "deal", "source",
    "region", "device", "month", "day", "hour", "hour_of_day", "reason", "currency",
]  # fmt: skip
"""``domain`` is the page's site or the app as the request named it, ``site`` the property that the
placement belongs to. ``month``, ``day`` and ``hour`` are in the report's time zone, ``hour_of_day``
too. ``reason`` says why an outcome charged nothing."""
Measure: TypeAlias = Literal[
    "requests", "slots", "sold", "impressions", "unbilled", "invalid", "viewable", "views",
    "clicks", "conversions", "view_conversions", "value_nanos", "spend_nanos", "earnings_nanos",
    "fees_nanos", "fill_rate", "ctr", "viewability", "conversion_rate", "ecpm_nanos",
]  # fmt: skip

DIMENSIONS: Final[Mapping[Dimension, str]] = {
    "advertiser": "who pays",
    "campaign": "what was bought",
    "creative": "the ad",
    "size": "the creative's width and height",
    "priority": "when the campaign is asked, as it is now",
    "pricing": "what the price is per",
    "publisher": "who earns",
    "site": "the property that the placement belongs to now",
    "placement": "the place on the page",
    "domain": "the page's site, or the app, as the request named it",
    "format": "banner, video, native or audio",
    "deal": "the deal that the slot was offered under",
    "source": "the protocol that the request came in",
    "region": "country or subdivision",
    "device": "phone, tablet, computer, tv or other",
    "month": "YYYY-MM",
    "day": "YYYY-MM-DD",
    "hour": "the hour with its offset from UTC",
    "hour_of_day": "00 to 23",
    "reason": "why an outcome charged nothing",
    "currency": "of the money",
}
"""Every dimension and what it says."""

SUMS: Final[Mapping[str, str]] = {
    "requests": "ad requests that were decided",
    "slots": "places that they offered",
    "sold": "places that were sold",
    "impressions": "impressions that count",
    "unbilled": "impressions whose beacon came too late to count",
    "invalid": "outcomes that are invalid traffic, and count as nothing else",
    "viewable": "impressions that count and were viewable",
    "views": "videos and audio played to their end",
    "clicks": "first clicks on an impression",
    "conversions": "conversions, after a click or a view",
    "view_conversions": "conversions after a view alone",
    "value_nanos": "what the advertisers say that their conversions are worth",
    "spend_nanos": "what campaigns were charged",
    "earnings_nanos": "what of it is the publishers'",
    "fees_nanos": "what of it the platform keeps",
}
"""Every sum and what it counts."""

RATIOS: Final[Mapping[str, tuple[str, int, str]]] = {
    "fill_rate": ("sold", 1, "slots"),
    "ctr": ("clicks", 1, "impressions"),
    "viewability": ("viewable", 1, "impressions"),
    "conversion_rate": ("conversions", 1, "clicks"),
    "ecpm_nanos": ("spend_nanos", 1000, "impressions"),
}
"""Ratio -> what is divided, times what, by what."""

MONEY: Final[frozenset[str]] = frozenset(
    {"value_nanos", "spend_nanos", "earnings_nanos", "fees_nanos", "ecpm_nanos"}
)
"""Measures in nanos of one currency."""

ROWS_MAX: Final = 100_000
"""Of one report: its CSV has some ten megabytes."""
FILTER_VALUES_MAX: Final = 1000
RANGE_MAX_DAYS: Final = 400
"""A year and a month: more is asked for in parts."""

FilterValues = Annotated[
    list[Annotated[str, Meta(max_length=255)]], Meta(min_length=1, max_length=FILTER_VALUES_MAX)
]
TimeZone = Annotated[str, Meta(min_length=1, max_length=64, examples=["Europe/Lisbon"])]
Filters = Annotated[
    dict[Dimension, FilterValues],
    # Their schema leaves out what the decoder asks of the names.
    Meta(extra_json_schema={"propertyNames": {"enum": list(DIMENSIONS)}}),
]


class ReportQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to report: facts from ``from_us`` on and before ``until_us``, of any listed value."""

    from_us: TimeUs
    until_us: TimeUs
    dimensions: Annotated[list[Dimension], Meta(max_length=8)] = []
    measures: Annotated[list[Measure], Meta(min_length=1, max_length=len(SUMS) + len(RATIOS))]
    filters: Filters = {}
    time_zone: TimeZone = "UTC"
    """An IANA time zone: where days, hours and months begin."""
    order_by: Annotated[str, Meta(max_length=32, examples=["-spend_nanos"])] = ""
    """A dimension or a sum of the report, ``-`` before it for the greatest first; else by the
    dimensions in their order."""
    limit: Annotated[int, Meta(ge=1, le=ROWS_MAX)] = 1000
    """Rows; the totals are always of everything."""
