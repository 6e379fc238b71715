"""One line of the common log format and its kin, compiled: ``formats.CLF`` byte by byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ringwork.gate.analyse.byte_kernels import (
    ADDRESS_MAX,
    BACKSLASH,
    BYTES,
    DASH,
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

if TYPE_CHECKING:
    from ringwork.gate.analyse.byte_kernels import Bytes, Longs, Places

_BRACKET: Final = 91
_METHOD_MAX: Final = 32
_MONTH_NAMES: Final = np.array(
    [(name[0] << 16) | (name[1] << 8) | name[2]
     for name in (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun",
                  b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")],
    np.int64,
)  # fmt: skip


@kernel(WHOLE, BYTES, WHOLE)
def _clf_seconds(buffer: Bytes, at: int) -> int:
    """The 26 bytes of a time of the common log format; -1 where they are none."""
    marks = buffer[at + 2] == 47 and buffer[at + 6] == 47 and buffer[at + 11] == 58
    if not (marks and buffer[at + 14] == 58 and buffer[at + 17] == 58 and buffer[at + 20] == 32):
        return -1
    name = (int(buffer[at + 3]) << 16) | (int(buffer[at + 4]) << 8) | int(buffer[at + 5])
    month = 0
    for one in range(12):
        if _MONTH_NAMES[one] == name:
            month = one + 1
    sign = int(buffer[at + 21])
    hours, minutes = number(buffer, at + 22, 2), number(buffer, at + 24, 2)
    if (sign != 43 and sign != 45) or hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return -1
    local = seconds(
        number(buffer, at + 7, 4), month, number(buffer, at, 2), number(buffer, at + 12, 2),
        number(buffer, at + 15, 2), number(buffer, at + 18, 2),
    )  # fmt: skip
    if local < 0:
        return -1
    offset = hours * 3600 + minutes * 60
    return local - offset if sign == 43 else local + offset


@kernel(WHOLE, BYTES, WHOLE, WHOLE)
def _closing(buffer: Bytes, at: int, end: int) -> int:
    """The place of the quote that closes what began before ``at``; -1 where none does."""
    while at < end:
        byte = buffer[at]
        if byte == QUOTE:
            return at
        at += 2 if byte == BACKSLASH else 1
    return -1


@kernel(FOUND, BYTES, WHOLE, WHOLE)
def _is_address_like(buffer: Bytes, start: int, end: int) -> bool:
    marks = 0
    for place in range(start, end):
        byte = buffer[place]
        if byte == 46 or byte == 58:
            marks += 1
        elif not (48 <= byte <= 57 or 65 <= byte <= 70 or 97 <= byte <= 102):
            return False
    return marks > 0


@kernel(WHOLE, BYTES, WHOLE, WHOLE, LONGS)
def _words(buffer: Bytes, at: int, end: int, words: Longs) -> int:
    """Where the three words before the time begin; the place of the bracket, -1 where it is odd."""
    if at < end and buffer[at] == QUOTE:
        at += 1
    begin, count = at, 0
    words[0] = at
    while at < end and buffer[at] != _BRACKET:
        if buffer[at] == SPACE and count < 2:
            if at == begin:
                return -1
            count += 1
            begin = at + 1
            words[count] = begin
        at += 1
    # The user, a space, the bracket; the time needs 26 bytes more and `] "` behind it.
    if count < 2 or at + 30 > end or buffer[at - 1] != SPACE or at - 1 <= words[2]:
        return -1
    return at


@kernel(WHOLE, BYTES, WHOLE, WHOLE)
def _without_port(buffer: Bytes, start: int, end: int) -> int:
    """The end of a virtual host's name."""
    digits = end
    while digits > start and 48 <= buffer[digits - 1] <= 57:
        digits -= 1
    if start < digits < end and buffer[digits - 1] == 58:
        return digits - 1
    return end


@kernel(WHOLE, BYTES, WHOLE, WHOLE, ROW, ROW)
def _head(buffer: Bytes, at: int, end: int, starts: Places, ends: Places) -> int:
    """Reads virtual host, address and user; the place after ``[``, -1 where it is odd."""
    words = np.empty(3, np.int64)
    at = _words(buffer, at, end, words)
    if at < 0:
        return -1
    first, second, user = words[0], words[1], words[2]
    is_ident = second + 2 == user and buffer[second] == DASH
    if is_ident or not _is_address_like(buffer, second, user - 1):
        address, address_end = first, second - 1
        starts[2] = ends[2] = first
    else:
        address, address_end = second, user - 1
        starts[2], ends[2] = first, _without_port(buffer, first, second - 1)
        ident = user
        while user < at - 1 and buffer[user] != SPACE:
            user += 1
        if user == ident or user >= at - 1:
            return -1
        user += 1
    if address_end - address > ADDRESS_MAX:
        return -1
    starts[0], ends[0] = address, address_end
    keep(buffer, starts, ends, 1, user, at - 1)
    return at + 1


@kernel(WHOLE, BYTES, WHOLE, WHOLE, ROW, ROW)
def _request(buffer: Bytes, at: int, end: int, starts: Places, ends: Places) -> int:
    """Reads the request line; the place of its closing quote, -1 where there is none."""
    first = last = -1
    begin = at
    is_method = True
    while at < end:
        byte = buffer[at]
        if byte == QUOTE:
            break
        if byte == SPACE:
            if first < 0:
                first = at
            last = at
        elif first < 0:
            letter = (byte | 32) - 97
            is_method &= 0 <= letter <= 25 or byte == 95 or byte == DASH
        at += 2 if byte == BACKSLASH else 1
    if at >= end:
        return -1
    starts[3] = ends[3] = starts[5] = ends[5] = begin
    starts[4], ends[4] = begin, at
    if first > begin and is_method and first - begin <= _METHOD_MAX:
        is_http = (
            last > first and at - last > 5
            and buffer[last + 1] == 72 and buffer[last + 2] == 84 and buffer[last + 3] == 84
            and buffer[last + 4] == 80 and buffer[last + 5] == 47
        )  # fmt: skip
        if is_http:
            ends[3] = first
            starts[4], ends[4] = first + 1, last
            starts[5], ends[5] = last + 1, at
        elif last == first and last + 1 < at:
            ends[3] = first
            starts[4] = first + 1
    return at


@kernel(FOUND, BYTES, WHOLE, WHOLE, ROW, ROW)
def _tail(buffer: Bytes, at: int, end: int, starts: Places, ends: Places) -> bool:
    """Reads referrer and agent where they are; whether all after the size is in order."""
    starts[6] = ends[6] = starts[7] = ends[7] = at
    if at == end:
        return True
    if buffer[at] != SPACE:
        return bool(buffer[at] == 13 and at + 1 == end)
    if at + 1 == end or buffer[at + 1] != QUOTE:
        return True
    close = _closing(buffer, at + 2, end)
    if close < 0 or close + 2 >= end or buffer[close + 1] != SPACE:
        return False
    if buffer[close + 2] != QUOTE:
        return False
    keep(buffer, starts, ends, 6, at + 2, close)
    begin = close + 3
    close = _closing(buffer, begin, end)
    keep(buffer, starts, ends, 7, begin, close)
    return close >= 0


@kernel(FOUND, BYTES, WHOLE, WHOLE, ROW, ROW, LONGS)
def clf_line(
    buffer: Bytes, begin: int, end: int, starts: Places, ends: Places, numbers: Longs
) -> bool:
    """Fills a row: places of the texts; time, status and size. False where the line is odd."""
    at = _head(buffer, begin, end, starts, ends)
    if at < 0:
        return False
    moment_s = _clf_seconds(buffer, at)
    at += 26
    if moment_s < 0 or buffer[at] != 93 or buffer[at + 1] != SPACE or buffer[at + 2] != QUOTE:
        return False
    at = _request(buffer, at + 3, end, starts, ends)
    # `" 200 0` is the shortest that may follow.
    if at < 0 or at + 7 > end or buffer[at + 1] != SPACE or buffer[at + 5] != SPACE:
        return False
    code = number(buffer, at + 2, 3)
    at += 6
    first = at
    while at < end and 48 <= buffer[at] <= 57:
        at += 1
    sent = number(buffer, first, min(at - first, SIZE_DIGITS))
    if at == first:
        if buffer[at] != DASH:
            return False
        at += 1
    if code < 0 or at - first > SIZE_DIGITS or not _tail(buffer, at, end, starts, ends):
        return False
    numbers[0], numbers[1], numbers[2] = moment_s * 1_000_000, code, sent
    return True
