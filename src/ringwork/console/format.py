"""How the console writes numbers, money, times and ids. Text only: nothing here knows HTML.

Groups of three and units are set with a narrow no-break space, so that a figure never breaks across
lines; minus is U+2212, a missing value an en dash. Times are UTC. Totals are rounded half to even
to the currency's minor unit; whatever must be exact is written to the nano.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from ringwork.kernel.money import MINOR_UNIT_EXPONENTS, NANOS, to_minor

NARROW: Final = "\u202f"
NO_BREAK: Final = "\u00a0"
MINUS: Final = "\u2212"
MISSING: Final = "\u2013"
TIMES: Final = "\u00d7"

_SYMBOLS: Final = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}
_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_ID_HEAD: Final = 8
_ID_TAIL: Final = 6
_TAIL_ALONE: Final = 8
DAY_S: Final = 86_400


def symbol(currency: str) -> str:
    """The currency's sign, or its code where there is no common sign."""
    return _SYMBOLS.get(currency, currency)


def amount(total_nanos: int, currency: str) -> str:
    """The amount without its currency, to the minor unit.

    >>> amount(1_021_460_231_844, "EUR")
    '1,021.46'
    """
    exponent = MINOR_UNIT_EXPONENTS.get(currency, 2)
    minor, _ = to_minor(abs(total_nanos), exponent, "half_even")
    units, rest = divmod(minor, 10**exponent)
    sign = MINUS if total_nanos < 0 and minor else ""
    return f"{sign}{units:,}" + (f".{rest:0{exponent}d}" if exponent else "")


def money(total_nanos: int, currency: str) -> str:
    """A total as people read it: ``€ 486.12``."""
    return f"{symbol(currency)}{NO_BREAK}{amount(total_nanos, currency)}"


def exact(total_nanos: int) -> str:
    """An amount to the nano, in groups of three: ``1,021.460 231 844``."""
    units, nanos = divmod(abs(total_nanos), NANOS)
    sign = MINUS if total_nanos < 0 else ""
    digits = f"{nanos:09d}"
    return f"{sign}{units:,}.{digits[:3]}{NARROW}{digits[3:6]}{NARROW}{digits[6:]}"


def price(total_nanos: int, currency: str) -> str:
    """A price to the nano with its currency: ``€ 0.001 874 227``."""
    return f"{symbol(currency)}{NO_BREAK}{exact(total_nanos)}"


def factor(ppm: int) -> str:
    """A multiplier in parts per million: ``0.970 000``."""
    whole, rest = divmod(ppm, 10**6)
    digits = f"{rest:06d}"
    return f"{whole:,}.{digits[:3]}{NARROW}{digits[3:]}"


def chance(ppb: int) -> str:
    """A probability in 1e-9, written as a number from 0 to 1 without loss."""
    whole, rest = divmod(ppb, 10**9)
    digits = f"{rest:09d}"
    return f"{whole}.{digits[:3]}{NARROW}{digits[3:6]}{NARROW}{digits[6:]}"


def count(number: int) -> str:
    """``412,903``; never "k"."""
    return f"{MINUS if number < 0 else ''}{abs(number):,}"


def in_words(number: int) -> str:
    """Small numbers as words, as a sentence has them."""
    return _NUMBERS[number] if 0 <= number < len(_NUMBERS) else count(number)


def plural(number: int, noun: str, several: str = "") -> str:
    """``1 campaign``, ``12 campaigns``; ``several`` where an s does not make the plural."""
    return f"{count(number)} {noun if number == 1 else several or noun + 's'}"


def share(part: int, whole: int, digits: int = 1) -> str:
    """A share in per cent without the sign, or an en dash where there is nothing to share.

    >>> share(1, 3)
    '33.3'
    """
    if whole <= 0:
        return MISSING
    scaled = (2 * abs(part) * 10 ** (digits + 2) + whole) // (2 * whole)
    units, rest = divmod(scaled, 10**digits)
    sign = MINUS if part < 0 and scaled else ""
    return f"{sign}{units:,}" + (f".{rest:0{digits}d}" if digits else "")


def percent(part: int, whole: int, digits: int = 1) -> str:
    """``74.0 %``."""
    text = share(part, whole, digits)
    return text if text == MISSING else f"{text}{NARROW}%"


def between(low: str, high: str) -> str:
    """A range that does not break, with an en dash between no-break spaces."""
    return f"{low}{NO_BREAK}{MISSING}{NO_BREAK}{high}"


def _scaled(value: float, unit: str) -> str:
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    text = f"{value:,.{digits}f}"
    return f"{text}{NARROW}{unit}"


def duration(ns: int) -> str:
    """A duration in the unit that gives two to four digits: ``79.7 µs``, ``1.90 ms``."""
    if ns < 1000:
        return f"{ns}{NARROW}ns"
    for limit, divisor, unit in (
        (10**6, 1000, "µs"),
        (10**9, 10**6, "ms"),
        (120 * 10**9, 10**9, "s"),
        (7200 * 10**9, 60 * 10**9, "min"),
        (48 * 3600 * 10**9, 3600 * 10**9, "h"),
    ):
        if ns < limit:
            return _scaled(ns / divisor, unit)
    return _scaled(ns / (DAY_S * 10**9), "days")


def scale(ns: int) -> str:
    """A round duration at a tick of a scale: ``40 µs``."""
    text = duration(ns)
    number, _, unit = text.partition(NARROW)
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return f"{number}{NARROW}{unit}"


def size(octets: int) -> str:
    """A size in powers of ten: ``14.3 MB``."""
    if octets < 1000:
        return f"{octets}{NARROW}B"
    power = min(4, (len(str(octets)) - 1) // 3)
    return _scaled(octets / 1000**power, ("B", "kB", "MB", "GB", "TB")[power])


def _at(ts_us: int) -> datetime:
    return datetime.fromtimestamp(ts_us // 1_000_000, UTC)


def minute(ts_us: int) -> str:
    """``16:20``, UTC."""
    return f"{_at(ts_us):%H:%M}"


def second(ts_us: int) -> str:
    """``16:20:04``, UTC."""
    return f"{_at(ts_us):%H:%M:%S}"


def millisecond(ts_us: int) -> str:
    """``16:19:58.204``, UTC."""
    return f"{_at(ts_us):%H:%M:%S}.{ts_us // 1000 % 1000:03d}"


def day(ts_us: int) -> str:
    """``26 November 2026``, UTC."""
    moment = _at(ts_us)
    return f"{moment.day} {moment:%B %Y}"


def short_day(ts_us: int) -> str:
    """``26 Nov``, UTC, for an axis."""
    moment = _at(ts_us)
    return f"{moment.day} {moment:%b}"


def weekday(ts_us: int) -> str:
    """``Thursday``, UTC."""
    return f"{_at(ts_us):%A}"


def stamp(ts_us: int) -> str:
    """``26 November 2026, 16:20:04 UTC``."""
    return f"{day(ts_us)}, {second(ts_us)} UTC"


def day_start(ts_us: int) -> int:
    """Midnight UTC of that day, in microseconds."""
    return ts_us - ts_us % (DAY_S * 1_000_000)


def short_id(text: str, most: int = _ID_HEAD + _ID_TAIL + 1) -> str:
    """An id for a table: whole up to ``most`` characters, else its head and its tail.

    >>> short_id("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
    '017f22e2…07398f'
    """
    if len(text) <= most:
        return text
    return f"{text[: most - _ID_TAIL - 1]}…{text[-_ID_TAIL:]}"


def tail_id(text: str) -> str:
    """The end of an id, where a column is narrow and ids of one moment share their head.

    >>> tail_id("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
    '…0c07398f'
    """
    return text if len(text) <= _TAIL_ALONE + 1 else f"…{text[-_TAIL_ALONE:]}"
