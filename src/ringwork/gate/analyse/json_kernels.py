"""One line of nginx's JSON, compiled: a flat object of printable ASCII without escapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numba
import numpy as np

from ringwork.gate.analyse.byte_kernels import (
    ADDRESS_MAX,
    BACKSLASH,
    BYTES,
    FOUND,
    LONGS,
    QUOTE,
    ROW,
    SIZE_DIGITS,
    SPACE,
    WHOLE,
    keep,
    kernel,
    number,
    seconds,
)
from ringwork.gate.analyse.columns import FIELDS

if TYPE_CHECKING:
    from ringwork.gate.analyse.byte_kernels import Bytes, Longs, Places

# The members of nginx's log that are read: fields by their number, then time, status and size.
_TIME, _STATUS, _SIZE, _IGNORED, _DOUBTED = 100, 101, 102, 200, 201
_MEMBERS: Final = {
    b"remote_addr": 0, b"remote_user": 1, b"http_host": 2, b"host": _DOUBTED,
    b"request_method": 3, b"request_uri": 4, b"server_protocol": 5, b"http_referer": 6,
    b"http_user_agent": 7, b"time_iso8601": _TIME, b"status": _STATUS,
    b"body_bytes_sent": _SIZE, b"time_local": _IGNORED,
}  # fmt: skip
_NAMES: Final = np.frombuffer(b"".join(_MEMBERS), np.uint8).copy()
_NAME_ENDS: Final = np.cumsum([len(name) for name in _MEMBERS]).astype(np.int64)
_MEANINGS: Final = np.array(list(_MEMBERS.values()), np.int64)


@kernel(WHOLE, BYTES, WHOLE, WHOLE)
def _meaning(buffer: Bytes, start: int, end: int) -> int:
    begin = 0
    for one in range(len(_NAME_ENDS)):
        length = _NAME_ENDS[one] - begin
        if length == end - start:
            same = True
            for place in range(length):
                if buffer[start + place] != _NAMES[begin + place]:
                    same = False
                    break
            if same:
                return int(_MEANINGS[one])
        begin = _NAME_ENDS[one]
    return _IGNORED


@kernel(WHOLE, BYTES, WHOLE, WHOLE)
def _plain_string(buffer: Bytes, at: int, end: int) -> int:
    """The closing quote of a string of printable ASCII without escapes, else -1."""
    while at < end:
        byte = buffer[at]
        if byte == QUOTE:
            return at
        if byte == BACKSLASH or byte < 32 or byte > 126:
            return -1
        at += 1
    return -1


@kernel(WHOLE, BYTES, WHOLE, WHOLE)
def _iso_seconds(buffer: Bytes, start: int, end: int) -> int:
    """``2026-01-31T12:00:00+01:00`` or with Z, as nginx writes it; -1 where it is neither."""
    length = end - start
    if length != 25 and not (length == 20 and buffer[end - 1] == 90):
        return -1
    marks = buffer[start + 4] == 45 and buffer[start + 7] == 45 and buffer[start + 10] == 84
    if not (marks and buffer[start + 13] == 58 and buffer[start + 16] == 58):
        return -1
    local = seconds(
        number(buffer, start, 4), number(buffer, start + 5, 2), number(buffer, start + 8, 2),
        number(buffer, start + 11, 2), number(buffer, start + 14, 2),
        number(buffer, start + 17, 2),
    )  # fmt: skip
    if local < 0 or length == 20:
        return local
    sign = buffer[start + 19]
    hours, minutes = number(buffer, start + 20, 2), number(buffer, start + 23, 2)
    if buffer[start + 22] != 58 or hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return -1
    offset = hours * 3600 + minutes * 60
    if sign == 43:
        return local - offset
    return local + offset if sign == 45 else -1


_PAIR: Final = cast("Any", numba.typeof)((0, 0))


@kernel(WHOLE, BYTES, WHOLE, WHOLE)
def _after_spaces(buffer: Bytes, at: int, end: int) -> int:
    while at < end and buffer[at] == SPACE:
        at += 1
    return at


@kernel(WHOLE, BYTES, WHOLE, WHOLE, FOUND)
def _after_number(buffer: Bytes, at: int, end: int, may_have_fraction: bool) -> int:
    """The place after a number without sign and exponent, -1 where it is odd."""
    begin = at
    while at < end and 48 <= buffer[at] <= 57:
        at += 1
    if at == begin or at >= end or (buffer[begin] == 48 and at - begin > 1):
        return -1
    if may_have_fraction and buffer[at] == 46:
        at += 1
        fraction = at
        while at < end and 48 <= buffer[at] <= 57:
            at += 1
        if at == fraction:
            return -1
    return at


@kernel(_PAIR, BYTES, WHOLE, WHOLE)
def _name(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    """What a member's name means and where its value begins, -1 where it is odd."""
    at = _after_spaces(buffer, at, end)
    if at >= end or buffer[at] != QUOTE:
        return _IGNORED, -1
    close = _plain_string(buffer, at + 1, end)
    if close < 0:
        return _IGNORED, -1
    meaning = _meaning(buffer, at + 1, close)
    at = _after_spaces(buffer, close + 1, end)
    if at >= end or buffer[at] != 58 or meaning == _DOUBTED:
        return meaning, -1
    at = _after_spaces(buffer, at + 1, end)
    return meaning, at if at < end else -1


@kernel(FOUND, BYTES, WHOLE, WHOLE, WHOLE, FOUND, LONGS)
def _take_number(
    buffer: Bytes, meaning: int, begin: int, until: int, is_text: bool, numbers: Longs
) -> bool:
    """Notes time, status or size."""
    if meaning == _TIME:
        moment_s = _iso_seconds(buffer, begin, until) if is_text else -1
        numbers[0] = moment_s * 1_000_000
        return moment_s >= 0
    if until == begin or until - begin > SIZE_DIGITS:
        return False
    value = number(buffer, begin, until - begin)
    numbers[1 if meaning == _STATUS else 2] = value
    return value >= 0


@kernel(WHOLE, BYTES, WHOLE, WHOLE, ROW, ROW, LONGS)
def _member(buffer: Bytes, at: int, end: int, starts: Places, ends: Places, numbers: Longs) -> int:
    """Reads one member; the place after it, -1 where it is odd."""
    meaning, begin = _name(buffer, at, end)
    if begin < 0:
        return -1
    is_text = bool(buffer[begin] == QUOTE)
    if is_text:
        begin += 1
        until = _plain_string(buffer, begin, end)
        after = until + 1
    else:
        until = after = _after_number(buffer, begin, end, meaning == _IGNORED)
    if until < 0:
        return -1
    if meaning < FIELDS:
        if not is_text:
            return -1
        keep(buffer, starts, ends, meaning, begin, until)
    elif meaning != _IGNORED and not _take_number(buffer, meaning, begin, until, is_text, numbers):
        return -1
    return _after_spaces(buffer, after, end)


@kernel(FOUND, BYTES, WHOLE, WHOLE, ROW, ROW, LONGS)
def json_line(
    buffer: Bytes, at: int, end: int, starts: Places, ends: Places, numbers: Longs
) -> bool:
    """Fills a row like ``clf_line``. False where the line is odd."""
    for field in range(FIELDS):
        starts[field] = ends[field] = at
    numbers[0] = numbers[1] = -1
    numbers[2] = 0
    if buffer[end - 1] == 13:
        end -= 1
    if end - at < 2 or buffer[at] != 123 or buffer[end - 1] != 125:
        return False
    while True:
        at = _member(buffer, at + 1, end, starts, ends, numbers)
        if at < 0 or at >= end:
            return False
        if buffer[at] == 125:
            break
        if buffer[at] != 44:
            return False
    length = ends[0] - starts[0]
    is_whole = at == end - 1 and numbers[0] >= 0 and 0 <= numbers[1] <= 999
    return bool(is_whole and 1 <= length <= ADDRESS_MAX)
