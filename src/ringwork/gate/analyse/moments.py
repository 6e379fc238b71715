"""Times as logs write them, as microseconds since 1970 UTC."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun",
         b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"),
        start=1,
    )
}  # fmt: skip
YEARS: Final = (1970, 2200)
"""What a log may say; anything else is damage."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@functools.lru_cache(maxsize=4096)
def clf_us(text: bytes) -> int | None:
    """``10/Oct/2000:13:55:36 -0700``, 26 bytes; None where it is no such time.

    The 60th second of a minute (a leap second) counts as its 59th.
    """
    if len(text) != 26 or text[20:21] != b" " or text[21:22] not in {b"+", b"-"}:
        return None
    marks = text[2:3] + text[6:7] + text[11:12] + text[14:15] + text[17:18]
    digits = text[:2] + text[7:11] + text[12:14] + text[15:17] + text[18:20] + text[22:]
    if marks != b"//:::" or not digits.isdigit():
        return None
    month = MONTHS.get(text[3:6])
    second = int(text[18:20])
    if month is None or second > 60:
        return None
    try:
        zone = timezone(_offset(int(text[22:24]), int(text[24:26]), negative=text[21:22] == b"-"))
        moment = datetime(
            int(text[7:11]), month, int(text[:2]), int(text[12:14]), int(text[15:17]),
            min(second, 59), tzinfo=zone,
        )  # fmt: skip
    except ValueError:
        return None
    return _us(moment)


@functools.lru_cache(maxsize=4096)
def iso_us(text: str) -> int | None:
    """ISO 8601 with or without a zone (none is UTC); None where it is no such time."""
    if len(text) < 19 or text[10] not in "T ":
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _us(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


@functools.lru_cache(maxsize=4096)
def error_us(text: bytes) -> int | None:
    """``2021/09/30 09:23:53`` of nginx's error log, which names no zone: UTC."""
    return iso_us(text.decode("ascii", "replace").replace("/", "-"))


def unix_us(value: object) -> int | None:
    """Seconds since 1970, whole or not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value < 7_258_118_400:  # 2200
        return None
    return round(value * 1_000_000)


def _offset(hours: int, minutes: int, *, negative: bool) -> timedelta:
    if minutes > 59:
        raise ValueError(minutes)
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if negative else offset


def _us(moment: datetime) -> int | None:
    if not YEARS[0] <= moment.year < YEARS[1]:
        return None
    return (moment - _EPOCH) // _MICROSECOND
