"""When a period begins and ends, and what a part of one costs. Pure.

Periods are counted from the first one's beginning in the subscriber's time zone, never from the
last end: 31 January, 28 February, 31 March. A day that a month lacks becomes its last; a time that
a clock change skips becomes the same number of minutes after the change.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ringwork.kernel.money import MINOR_UNIT_EXPONENTS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of that name; None where the machine knows none."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # not found, a folder, or no name of a file at all
        return None


def anniversary_us(anchor_us: int, months: int, zone: ZoneInfo) -> int:
    """The moment ``months`` after ``anchor_us``, by the calendar and the clock of the zone."""
    if not months:
        return anchor_us  # also in an hour that a clock change repeats
    local = (_EPOCH + timedelta(microseconds=anchor_us)).astimezone(zone)
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    moved = local.replace(year=year, month=month + 1, day=day, fold=0)
    return (moved.astimezone(UTC) - _EPOCH) // _US


def period_us(anchor_us: int, number: int, months: int, zone: ZoneInfo) -> tuple[int, int]:
    """Beginning and end of a period, the first being number 1."""
    return (
        anniversary_us(anchor_us, (number - 1) * months, zone),
        anniversary_us(anchor_us, number * months, zone),
    )


def period_at(
    anchor_us: int, after: int, now_us: int, months: int, zone: ZoneInfo
) -> tuple[int, int, int]:
    """(number, beginning, end) of the first period after number ``after`` that is not over.

    Those that passed unattended are left out: nobody was spared an ad in them.
    """
    number = after + 1
    starts_us, ends_us = period_us(anchor_us, number, months, zone)
    while ends_us <= now_us:
        number += 1
        starts_us, ends_us = ends_us, anniversary_us(anchor_us, number * months, zone)
    return number, starts_us, ends_us


def minor_unit_nanos(currency: str) -> int:
    """Nanos of the currency's smallest unit: what a provider can charge."""
    nanos: int = 10 ** (9 - MINOR_UNIT_EXPONENTS.get(currency, 2))
    return nanos


def rest_nanos(price_nanos: int, *, starts_us: int, ends_us: int, now_us: int, unit: int) -> int:
    """The price of what is left of a period, down to whole smallest units: the payer's favour."""
    left_us = min(max(ends_us - now_us, 0), ends_us - starts_us)
    nanos = price_nanos * left_us // (ends_us - starts_us)
    return nanos - nanos % unit
