"""The byte scanners of logs, compiled. ``plain`` is the twin; ``engine`` picks one.

They take what is written as servers write it, and mark everything else ``ODD``: that line is then
read by ``formats.parse_line``, so that a hostile line costs time but never changes an answer.
Importing this module compiles it or reads the cache beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numba
import numpy as np

from ringwork.gate.analyse.byte_kernels import BYTES, LONGS, WHOLE, kernel
from ringwork.gate.analyse.clf_kernels import clf_line
from ringwork.gate.analyse.columns import FIELDS, ODD, Columns
from ringwork.gate.analyse.json_kernels import json_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ringwork.gate.analyse.byte_kernels import Bytes, Longs, Places

_PLACES: Final = numba.int32[:, ::1]
_NUMBERS: Final = numba.int64[:, ::1]
_COLUMN: Final = numba.types.Array(numba.int32, 1, "A")


@kernel(WHOLE, BYTES, LONGS, _PLACES, _PLACES, _NUMBERS, numba.uint8[::1])
def _clf(
    buffer: Bytes, newlines: Longs, starts: Places, ends: Places, numbers: Longs, kind: Bytes
) -> int:
    """Fills the columns; the number of lines that are not blank."""
    row = begin = 0
    for end in newlines:
        if end > begin and not (end == begin + 1 and buffer[begin] == 13):
            fits = clf_line(buffer, begin, end, starts[row], ends[row], numbers[row])
            kind[row] = 0 if fits else ODD
            if not fits:
                starts[row, 0] = begin
                ends[row, 0] = end
            row += 1
        begin = end + 1
    return row


@kernel(WHOLE, BYTES, LONGS, _PLACES, _PLACES, _NUMBERS, numba.uint8[::1])
def _json(
    buffer: Bytes, newlines: Longs, starts: Places, ends: Places, numbers: Longs, kind: Bytes
) -> int:
    """The same loop for JSON: a kernel cannot be handed another one without losing its cache."""
    row = begin = 0
    for end in newlines:
        if end > begin and not (end == begin + 1 and buffer[begin] == 13):
            fits = json_line(buffer, begin, end, starts[row], ends[row], numbers[row])
            kind[row] = 0 if fits else ODD
            if not fits:
                starts[row, 0] = begin
                ends[row, 0] = end
            row += 1
        begin = end + 1
    return row


def scan_clf(block: bytes) -> Columns:
    """The columns of a block of the common log format and its kin; odd lines are marked.

    ``block`` ends with a newline. An odd line's place stands in the first field.
    """
    return _columns(block, _clf)


def scan_nginx_json(block: bytes) -> Columns:
    """The same for nginx's JSON, one flat object a line."""
    return _columns(block, _json)


def _columns(block: bytes, scan: Callable[..., int]) -> Columns:
    buffer = np.frombuffer(block, np.uint8)
    newlines = np.flatnonzero(buffer == 10)
    lines = len(newlines)
    starts, ends = np.zeros((lines, FIELDS), np.int32), np.zeros((lines, FIELDS), np.int32)
    numbers, kind = np.zeros((lines, 3), np.int64), np.full(lines, ODD, np.uint8)
    rows = scan(buffer, newlines, starts, ends, numbers, kind)
    return Columns(
        buffer=block,
        starts=starts[:rows],
        ends=ends[:rows],
        ts_us=numbers[:rows, 0].copy(),
        status=numbers[:rows, 1].astype(np.int16),
        size=numbers[:rows, 2].copy(),
        kind=kind[:rows],
        skipped=0,
        samples=[],
    )


@kernel(WHOLE, BYTES, _COLUMN, _COLUMN, WHOLE, LONGS, LONGS, LONGS, numba.uint64[::1])
def _encode(
    buffer: Bytes, starts: Places, ends: Places, seed: int,
    table: Longs, codes: Longs, firsts: Longs, hashes: NDArray[np.uint64],
) -> int:  # fmt: skip
    mask = len(table) - 1
    count = 0
    for row in range(len(codes)):
        start, end = starts[row], ends[row]
        mixed = np.uint64(seed)
        for place in range(start, end):
            mixed = (mixed ^ np.uint64(buffer[place])) * np.uint64(0x100000001B3)
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
        slot = np.int64(mixed) & mask
        while True:
            code = table[slot]
            if code < 0:
                table[slot] = count
                hashes[count] = mixed
                firsts[count] = row
                codes[row] = count
                count += 1
                break
            if hashes[code] == mixed:
                other = firsts[code]
                begin, length = starts[other], end - start
                if ends[other] - begin == length:
                    same = True
                    for place in range(length):
                        if buffer[begin + place] != buffer[start + place]:
                            same = False
                            break
                    if same:
                        codes[row] = code
                        break
            slot = (slot + 1) & mask
    return count


# Python's own hash of bytes is keyed per process: an attacker cannot write lines that collide.
_SEED: Final = hash(b"ringwork gate") & (2**62 - 1)


def encode(columns: Columns, field: int) -> tuple[Longs, Longs]:
    """The values of a field as numbers in the order in which they first appear.

    Returns the code of every line and, for each code, the first line that has its value.
    """
    lines = len(columns)
    codes, firsts = np.empty(lines, np.int64), np.empty(lines, np.int64)
    table = np.full(1 << max(4, (2 * lines - 1).bit_length()), -1, np.int64)
    count = _encode(
        np.frombuffer(columns.buffer, np.uint8), columns.starts[:, field], columns.ends[:, field],
        _SEED, table, codes, firsts, np.empty(lines, np.uint64),
    )  # fmt: skip
    return codes, firsts[:count]
