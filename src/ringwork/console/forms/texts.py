"""How each kind of value is written in a form and read back; what cannot be read says why in words.

Every codec is a pair: ``write`` gives the texts that an input shows for a value (as JSON has it),
``read`` the value of texts that were typed. A text that ``write`` gave is read as the same value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from ringwork.kernel.money import NANOS

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AMOUNT: Final = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,9}))?")
_PPM_DIGITS: Final = 6
_FIRST_YEAR, _LAST_YEAR = 1971, 2199
_SPANS: Final = {"minute": 60, "hour": 3600, "day": 86_400}
_SPAN: Final = re.compile(r"([0-9]{1,8}) (second|minute|hour|day)s?")
_CAP: Final = re.compile(
    r"([0-9]{1,4}) in ([0-9]{1,7}) (second|minute|hour|day)s?(?: per (campaign|advertiser))?"
)

Value = Any
"""A value as JSON has it: what msgspec converts to the member's own type, which bounds it."""


class Codec(Struct, frozen=True):
    """``read`` raises ValueError with a sentence for the person who typed."""

    write: Callable[[Value], list[str]]
    read: Callable[[Sequence[str]], Value]


def _one(texts: Sequence[str]) -> str:
    return texts[0].strip() if texts else ""


def _text() -> Codec:
    return Codec(lambda value: [value or ""], _one)


def _whole_text(texts: Sequence[str]) -> str:
    """Markup as it was typed; browsers send its line ends as CRLF."""
    return texts[0].replace("\r\n", "\n") if texts else ""


def _lines_read(texts: Sequence[str]) -> list[str]:
    return [line.strip() for text in texts for line in text.splitlines() if line.strip()]


def _int(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ValueError(f"a whole number is expected, got {text[:40]!r}")
    return int(text)


def _decimal(text: str, digits: int, what: str) -> int:
    """A decimal number in units of ``10**-digits``."""
    match = _AMOUNT.fullmatch(text)
    if match is None or len(match[2] or "") > digits:
        raise ValueError(f"{what}, got {text[:40]!r}")
    scale: int = 10**digits
    return int(match[1]) * scale + int((match[2] or "").ljust(digits, "0"))


def _decimal_text(value: int, digits: int, least: int) -> str:
    whole, rest = divmod(value, 10**digits)
    decimals = f"{rest:0{digits}d}".rstrip("0").ljust(least, "0")
    return f"{whole}.{decimals}" if decimals else str(whole)


def money_of(currency: str) -> Codec:
    """An amount of the platform's currency: ``1200.00``; empty is no amount."""

    def read(texts: Sequence[str]) -> Value:
        text = _one(texts)
        if not text:
            return None
        nanos = _decimal(text, 9, "an amount such as 1200.00 is expected, with a decimal point")
        return {"currency": currency, "units": nanos // NANOS, "nanos": nanos % NANOS}

    def write(value: Value) -> list[str]:
        nanos = 0 if value is None else value["units"] * NANOS + value["nanos"]
        return [_decimal_text(nanos, 9, 2) if value is not None else ""]

    return Codec(write, read)


def _price_read(texts: Sequence[str]) -> Value:
    text = _one(texts)
    return _decimal(text, 9, "a price such as 0.0025 is expected") if text else None


def _percent_read(texts: Sequence[str]) -> Value:
    text = _one(texts)
    return _decimal(text, 4, "a percentage such as 12.5 is expected") if text else None


def _factor_read(texts: Sequence[str]) -> Value:
    text = _one(texts)
    return _decimal(text, _PPM_DIGITS, "a factor such as 0.97 is expected") if text else None


def _moment_read(texts: Sequence[str]) -> Value:
    text = _one(texts)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return (moment - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise ValueError(
            f"a time such as 2026-11-26 16:00 is expected, UTC, got {text[:40]!r}"
        ) from None


def _moment_text(value: Value) -> list[str]:
    if not value:
        return [""]
    moment = _EPOCH + timedelta(microseconds=value)
    exact = "minutes" if value % 60_000_000 == 0 else "auto"
    return [moment.replace(tzinfo=None).isoformat(" ", exact)]


def _day_read(texts: Sequence[str]) -> str:
    """A day of a year that both our times and a calendar can say."""
    text = _one(texts)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"a day such as 2026-11-26 is expected, got {text[:40]!r}") from None
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise ValueError(f"a day from {_FIRST_YEAR} to {_LAST_YEAR} is expected, got {text[:40]!r}")
    return day.isoformat()


def _hours_read(texts: Sequence[str]) -> list[int]:
    found: dict[int, None] = {}
    for part in filter(None, (each.strip() for each in _one(texts).split(","))):
        first, dash, last = (each.strip() for each in part.partition("-"))
        begin = _int(first)
        end = _int(last) if dash else begin
        if not begin <= end <= 23:
            raise ValueError(f"hours from 0 to 23 are expected, as 8-11 or 18, got {part[:20]!r}")
        found.update(dict.fromkeys(range(begin, end + 1)))
    return list(found)


def _hours_text(value: Value) -> list[str]:
    runs: list[list[int]] = []
    for hour in value:
        if runs and hour == runs[-1][1] + 1:
            runs[-1][1] = hour
        else:
            runs.append([hour, hour])
    return [", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)]


def _pairs_read(texts: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in _lines_read(texts):
        key, equals, values = line.partition("=")
        said = [each.strip() for each in values.split(",") if each.strip()]
        if not equals or not said:
            raise ValueError(f"one key a line is expected, as section = sport, got {line[:60]!r}")
        found.setdefault(key.strip(), []).extend(said)
    return found


def _pairs_text(value: Value) -> list[str]:
    return ["\n".join(f"{key} = {', '.join(values)}" for key, values in value.items())]


def _caps_read(texts: Sequence[str]) -> list[Value]:
    found = []
    for line in _lines_read(texts):
        match = _CAP.fullmatch(" ".join(line.split()))
        if match is None:
            raise ValueError(f"one cap a line is expected, as 3 in 1 day, got {line[:60]!r}")
        count, spans, span, per = match.groups()
        window_s = int(spans) * _SPANS.get(span, 1)
        found.append({"impressions": int(count), "window_s": window_s, "per": per or "campaign"})
    return found


def _caps_text(value: Value) -> list[str]:
    return ["\n".join(cap_text(cap["impressions"], cap["window_s"], cap["per"]) for cap in value)]


def cap_text(impressions: int, window_s: int, per: str) -> str:
    """A frequency cap in words, as it is typed.

    >>> cap_text(3, 86_400, "campaign")
    '3 in 1 day'
    """
    text = f"{impressions} in {span_text(window_s)}"
    return text if per == "campaign" else f"{text} per {per}"


def span_text(seconds: int) -> str:
    """A span of time in the greatest unit that it is whole in.

    >>> span_text(7200)
    '2 hours'
    """
    span, each = next(
        ((name, each) for name, each in reversed(_SPANS.items()) if seconds % each == 0),
        ("second", 1),
    )
    number = seconds // each
    return f"{number} {span}{'' if number == 1 else 's'}"


def span_of(text: str) -> int | None:
    """The seconds of such a span; None where it is none."""
    match = _SPAN.fullmatch(text)
    return int(match[1]) * _SPANS.get(match[2], 1) if match else None


TEXT: Final = _text()
MARKUP: Final = Codec(lambda value: [value.replace("\r\n", "\n")], _whole_text)
URL: Final = Codec(lambda value: [value or ""], lambda texts: _one(texts) or None)
WHOLE: Final = Codec(
    lambda value: ["" if value is None else str(value)],
    lambda texts: _int(_one(texts)) if _one(texts) else None,
)
LINES: Final = Codec(lambda value: ["\n".join(value)], _lines_read)
NUMBERS: Final = Codec(
    lambda value: [", ".join(map(str, value))],
    lambda texts: [_int(each.strip()) for each in _one(texts).split(",") if each.strip()],
)
CHOSEN: Final = Codec(list, list)
CHOSEN_NUMBERS: Final = Codec(
    lambda value: [str(each) for each in value], lambda texts: [_int(each) for each in texts]
)
ONE_OR_NONE: Final = Codec(lambda value: [value] if value else [], _one)
TICK: Final = Codec(lambda value: ["yes"] if value else [], bool)
PRICE: Final = Codec(
    lambda value: ["" if value is None else _decimal_text(value, 9, 2)], _price_read
)
PERCENT: Final = Codec(
    lambda value: ["" if value is None else _decimal_text(value, 4, 0)], _percent_read
)
FACTOR: Final = Codec(
    lambda value: ["" if value is None else _decimal_text(value, _PPM_DIGITS, 0)], _factor_read
)
MOMENT: Final = Codec(_moment_text, _moment_read)
DAY: Final = Codec(lambda value: [value or ""], _day_read)
HOURS: Final = Codec(_hours_text, _hours_read)
PAIRS: Final = Codec(_pairs_text, _pairs_read)
CAPS: Final = Codec(_caps_text, _caps_read)
