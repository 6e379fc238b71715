"""What the compiled scanners share: numbers, times and quotes in bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Places = NDArray[np.int32]
    Longs = NDArray[np.int64]

P = ParamSpec("P")
R = TypeVar("R")

BYTES: Final = numba.types.Array(numba.uint8, 1, "C", readonly=True)
ROW: Final = numba.int32[::1]
LONGS: Final = numba.int64[::1]
WHOLE: Final = numba.int64
FOUND: Final = numba.types.boolean

SPACE, QUOTE, BACKSLASH, DASH = 32, 34, 92, 45
ADDRESS_MAX: Final = 255
SIZE_DIGITS: Final = 18
_DAY_S: Final = 86_400

_MONTH_DAYS: Final = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)


def kernel(answer: object, *arguments: object) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compiles a function for these types, or reads it from the cache."""
    return cast(
        "Callable[[Callable[P, R]], Callable[P, R]]",
        numba.njit(cast("Any", answer)(*arguments), cache=True, nogil=True),
    )


@kernel(WHOLE, BYTES, WHOLE, WHOLE)
def number(buffer: Bytes, at: int, digits: int) -> int:
    """A decimal number of so many digits; -1 where one is none."""
    value = 0
    for place in range(at, at + digits):
        digit = int(buffer[place]) - 48
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@kernel(WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE)
def seconds(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    """Seconds since 1970 of a time in UTC; -1 where it is none (or before it, or after 2199)."""
    if year < 1971 or year > 2198 or month < 1 or month > 12:
        return -1
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    last = _MONTH_DAYS[month - 1] + (1 if is_leap and month == 2 else 0)
    if day < 1 or day > last or hour < 0 or hour > 23:
        return -1
    if minute < 0 or minute > 59 or second < 0 or second > 59:
        return -1
    # Days from civil (Howard Hinnant): years begin in March, so that leap days come last.
    shifted = year - 1 if month <= 2 else year
    era = shifted // 400
    year_of_era = shifted - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    days = era * 146_097 + day_of_era - 719_468
    return days * _DAY_S + hour * 3600 + minute * 60 + second


@kernel(numba.void, BYTES, ROW, ROW, WHOLE, WHOLE, WHOLE)
def keep(buffer: Bytes, starts: Places, ends: Places, field: int, start: int, end: int) -> None:
    """A field's place; ``-`` stands for nothing."""
    if end - start == 1 and buffer[start] == DASH:
        end = start
    starts[field] = start
    ends[field] = end
