"""What an outcome charged, and the month that it belongs to: what bills are made of. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from ringwork.ads.events import (
    ClickRecorded,
    ConversionRecorded,
    ImpressionBilled,
    ImpressionMeasured,
)
from ringwork.kernel.events import Event
from ringwork.kernel.money import MINOR_UNIT_EXPONENTS

CHARGING: Final[tuple[type[Event], ...]] = (
    ImpressionBilled,
    ImpressionMeasured,
    ClickRecorded,
    ConversionRecorded,
)
"""The events that can charge a campaign."""

_DAY_US: Final = 86_400_000_000
MONTH_PATTERN: Final = "(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])"
"""``YYYY-MM`` since 1970, where our time begins."""
_MONTH: Final = re.compile(MONTH_PATTERN)


class Charge(NamedTuple):
    """What a campaign paid a publisher for one outcome."""

    campaign_id: str
    publisher_id: str
    pricing: str
    nanos: int


def charge_of(event: Event) -> Charge | None:
    """The charge that an event stands for; None where it charged nothing."""
    if isinstance(event, ImpressionBilled):
        pricing, nanos = event.pricing, event.price_nanos
    elif isinstance(event, ClickRecorded):
        pricing, nanos = "cpc", event.charged_nanos
    elif isinstance(event, ConversionRecorded):
        pricing, nanos = "cpa", event.charged_nanos
    elif isinstance(event, ImpressionMeasured):
        pricing = "vcpm" if event.measure == "viewable" else "cpv"
        nanos = event.charged_nanos
    else:
        return None
    return Charge(event.campaign_id, event.publisher_id, pricing, nanos) if nanos else None


class Months:
    """Months (UTC) as numbers, quickly for events in the order of time."""

    __slots__ = ("_day", "_month")

    def __init__(self) -> None:
        self._day = -1
        self._month = 0

    def of(self, ts_us: int) -> int:
        """The month that a moment lies in: twelve times the year, and January is 0."""
        day = ts_us // _DAY_US
        if day != self._day:
            at = datetime.fromtimestamp(day * 86_400, UTC)
            self._day, self._month = day, at.year * 12 + at.month - 1
        return self._month


def month_number(text: str) -> int | None:
    """The month written as ``YYYY-MM``; None for anything else.

    >>> month_number("2026-03"), month_name(24314), month_number("2026-13")
    (24314, '2026-03', None)
    """
    match = _MONTH.fullmatch(text)
    return None if match is None else int(match[1]) * 12 + int(match[2]) - 1


def month_name(number: int) -> str:
    """The month as ``YYYY-MM``."""
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def month_begin_us(number: int) -> int:
    """The month's first moment."""
    return int(datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


def exponent_of(currency: str) -> int:
    """Decimals of a currency's smallest unit (ISO 4217)."""
    return MINOR_UNIT_EXPONENTS.get(currency, 2)


def unit_nanos(exponent: int) -> int:
    """Nanos of a currency's smallest unit."""
    nanos: int = 10 ** (9 - exponent)
    return nanos
