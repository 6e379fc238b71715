"""The byte scanners of logs, compiled. ``plain`` is the twin; ``engine`` picks one.

They take what is written as servers write it, and mark everything else ``ODD``: that line is then
read by ``formats.parse_line``, so that a hostile line costs time but never changes an answer.
Importing this module compiles it or reads the cache beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numba
import numpy as np

from ringwork.gate.analyse.buckets_compiled import Buckets
from ringwork.gate.analyse.byte_kernels import BYTES, LONGS, WHOLE, kernel
from ringwork.gate.analyse.clf_kernels import clf_line
from ringwork.gate.analyse.columns import FIELDS, ODD, Columns
from ringwork.gate.analyse.json_kernels import json_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ringwork.gate.analyse.byte_kernels import Bytes, Longs, Places

__all__ = ["Buckets", "encode", "scan_clf", "scan_nginx_json"]

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


@kernel(numba.uint64, BYTES, WHOLE)
def _word(buffer: Bytes, at: int) -> np.uint64:
    """Eight bytes as one number; the compiler makes it one load."""
    word = np.uint64(0)
    for place in range(8):
        word |= np.uint64(buffer[at + place]) << np.uint64(8 * place)
    return word


@kernel(numba.uint64, BYTES, WHOLE, WHOLE, WHOLE)
def _hash(buffer: Bytes, start: int, end: int, seed: int) -> np.uint64:
    mixed = np.uint64(seed) ^ np.uint64(end - start)
    while end - start >= 8:
        mixed = (mixed ^ _word(buffer, start)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
        start += 8
    for place in range(start, end):
        mixed = (mixed ^ np.uint64(buffer[place])) * np.uint64(0x100000001B3)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(32))


@kernel(numba.types.boolean, BYTES, WHOLE, WHOLE, WHOLE)
def _is_same(buffer: Bytes, first: int, second: int, length: int) -> bool:
    place = 0
    while length - place >= 8:
        if _word(buffer, first + place) != _word(buffer, second + place):
            return False
        place += 8
    while place < length:
        if buffer[first + place] != buffer[second + place]:
            return False
        place += 1
    return True


@kernel(WHOLE, BYTES, _COLUMN, _COLUMN, WHOLE, LONGS, LONGS, LONGS, numba.uint64[::1])
def _encode(
    buffer: Bytes, starts: Places, ends: Places, seed: int,
    table: Longs, codes: Longs, firsts: Longs, hashes: NDArray[np.uint64],
) -> int:  # fmt: skip
    mask = len(table) - 1
    count = 0
    for row in range(len(codes)):
        start, length = starts[row], ends[row] - starts[row]
        mixed = _hash(buffer, start, ends[row], seed)
        slot = np.int64(mixed) & mask
        while True:
            code = table[slot]
            if code < 0:
                table[slot] = code = count
                hashes[count], firsts[count] = mixed, row
                count += 1
                break
            other = firsts[code]
            if (
                hashes[code] == mixed
                and ends[other] - starts[other] == length
                and _is_same(buffer, starts[other], start, length)
            ):
                break
            slot = (slot + 1) & mask
        codes[row] = code
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
