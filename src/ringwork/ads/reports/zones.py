"""Days and hours of a time zone as SQL, from the same time zone database that the rest reads.

A zone's offset from UTC is constant between two transitions, of which there are a few a year; so
local time is the time plus an offset chosen by a ``CASE`` of integers.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from ringwork.ads.rules import is_time_zone
from ringwork.kernel.errors import Conflict, Fault

_US_PER_S: Final = 1_000_000
_STEP_S: Final = 3600
"""No zone ever changed its offset twice within an hour."""


class Spell(Struct, frozen=True):
    """From ``begin_us`` on, until the next spell, local time is ``offset_s`` ahead of UTC."""

    begin_us: int
    offset_s: int


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name; Conflict ``rule-violated`` where the machine knows none."""
    if not is_time_zone(name):
        detail = f"expected an IANA time zone such as Europe/Lisbon, got {name!r}"
        raise Conflict("rule-violated", detail, errors=[Fault("/time_zone", detail)])
    return ZoneInfo(name)


def midnight_us(day: date, zone: ZoneInfo) -> int:
    """When a day begins; where the clock skips midnight, when it would have been."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * _US_PER_S


def spells(zone: ZoneInfo, from_us: int, until_us: int) -> list[Spell]:
    """The offsets that hold from ``from_us`` to ``until_us``, in the order of time."""
    begin_s, end_s = from_us // _US_PER_S, -(-until_us // _US_PER_S)
    found = [Spell(begin_s * _US_PER_S, _offset_s(zone, begin_s))]
    for low_s in range(begin_s, end_s, _STEP_S):
        high_s = min(low_s + _STEP_S, end_s)
        offset_s = _offset_s(zone, high_s)
        if offset_s != found[-1].offset_s:
            found.append(Spell(_first_s(zone, low_s, high_s, offset_s) * _US_PER_S, offset_s))
    return found


def _first_s(zone: ZoneInfo, low_s: int, high_s: int, offset_s: int) -> int:
    """The first second after ``low_s`` with that offset."""
    while high_s - low_s > 1:
        middle_s = (low_s + high_s) // 2
        if _offset_s(zone, middle_s) == offset_s:
            high_s = middle_s
        else:
            low_s = middle_s
    return high_s


def _offset_s(zone: ZoneInfo, at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, UTC).astimezone(zone).utcoffset()
    assert offset is not None, "an aware time has an offset"
    return offset.days * 86_400 + offset.seconds


def by_spell(found: list[Spell], values: list[str]) -> str:
    """SQL for the value of the spell that ``ts_us`` lies in."""
    if len(found) == 1:
        return values[0]
    cases = [
        f"WHEN ts_us >= {spell.begin_us} THEN {value}"
        for spell, value in zip(reversed(found[1:]), reversed(values[1:]), strict=True)
    ]
    return f"CASE {' '.join(cases)} ELSE {values[0]} END"


def local_time(found: list[Spell]) -> str:
    """SQL for the local time of ``ts_us``, as a timestamp."""
    offsets = by_spell(found, [str(spell.offset_s * _US_PER_S) for spell in found])
    return f"make_timestamp(ts_us + {offsets})"


def offset_text(found: list[Spell]) -> str:
    """SQL for the offset of ``ts_us`` from UTC, as ``+01:00``."""
    return by_spell(found, [f"'{_written(spell.offset_s)}'" for spell in found])


def _written(offset_s: int) -> str:
    minutes = abs(offset_s) // 60
    return f"{'-' if offset_s < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
