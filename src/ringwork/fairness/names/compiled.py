"""The plain cases of ``rules.match``, compiled; whatever is not plain is left to it.

Importing this module compiles it (or reads the cache beside it), so only ``index`` does. A word of
up to 18 letters is two integers of five bits a letter: upper and lower case are the same five bits,
comparing is exact, and a slot of the table (the word, and its row in the upper half of the second
integer) is a quarter of a cache line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

import numba
import numpy as np

from ringwork.fairness.names.rules import (
    ANSWERS,
    CFPB_SUFFIXES,
    GENERIC,
    GLUED_REST_MIN,
    NONE,
    PART,
    PREFIXES,
    SUFFIXES,
    TABLE,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Rows = NDArray[np.int32]
    Offsets = NDArray[np.int64]
    Slots = NDArray[np.int64]

P = ParamSpec("P")
R = TypeVar("R")

LEFT: Final = -2
"""The row of a string that is left to ``rules.match``."""
LETTERS_MAX: Final = 18
_FIRST: Final = 12
"""Letters in the first integer; the other six leave room for the row."""
_ROW_SHIFT: Final = 32
_LETTERS_MASK: Final = (1 << _ROW_SHIFT) - 1
_EMPTY: Final = 0
_ANSWER: Final = (1 << 30) - 1
"""Row of an answer that is no name; also the largest table there can be."""
_WORDS: Final = 4
_BLOCK: Final = 64
"""Strings read before they are looked up."""
_GOLDEN: Final = 0x9E3779B97F4A7C15 - 2**64
_SECOND: Final = 0xC2B2AE3D27D4EB4F - 2**64
_MISSING: Final = -1

_BYTES: Final = numba.types.Array(numba.uint8, 1, "C", readonly=True)
_PLACES: Final = numba.types.Array(numba.int64, 1, "C", readonly=True)
_TABLE: Final = numba.types.Array(numba.int64, 2, "C", readonly=True)


def _kernel(*signature: object) -> Callable[[Callable[P, R]], Callable[P, R]]:
    return cast(
        "Callable[[Callable[P, R]], Callable[P, R]]",
        cast("Any", numba.njit)(*signature, cache=True, nogil=True),
    )


def packed(word: str) -> tuple[int, int]:
    """The two integers of a word of upper-case letters."""
    halves = [0, 0]
    for at, letter in enumerate(word):
        halves[at >= _FIRST] |= (ord(letter) & 31) << 5 * (at if at < _FIRST else at - _FIRST)
    return halves[0], halves[1]


def _words(words: frozenset[str]) -> Slots:
    return np.array([packed(word) for word in sorted(words)], dtype=np.int64)


_SUFFIX_WORDS: Final = _words(SUFFIXES)
_PREFIX_WORDS: Final = _words(PREFIXES)
_CFPB_SUFFIXES: Final = _words(frozenset(one.upper() for one in CFPB_SUFFIXES))
ANSWER_WORDS: Final = _words(frozenset(one for one in ANSWERS if len(one) <= LETTERS_MAX))
_J: Final = ord("J") & 31
_S: Final = ord("S") & 31
_R: Final = ord("R") & 31

# What a byte is: a letter's five bits, or one of these; what has no meaning here is left to Python.
_OTHER: Final = 63
_SPACE: Final = 32
_HYPHEN: Final = 33
_NOTHING: Final = 34


def _classes() -> Bytes:
    found = np.full(256, _OTHER, np.uint8)
    for letter in range(ord("A"), ord("Z") + 1):
        found[letter] = found[letter + 32] = letter & 31
    found[[ord(" "), ord("."), ord(",")]] = _SPACE
    found[ord("-")] = _HYPHEN
    found[[ord("'"), ord("`")]] = _NOTHING
    return found


_CLASSES: Final = _classes()


@_kernel()
def _slot(first: int, second: int, mask: int) -> int:
    mixed = (first * _GOLDEN) ^ (second * _SECOND)
    return ((mixed >> 29) ^ (mixed >> 5)) & mask


@_kernel()
def _find(first: int, second: int, slots: Slots) -> int:
    """The row of a word, _MISSING where it is not in the table."""
    mask = slots.shape[0] - 1
    at = _slot(first, second, mask)
    while slots[at, 0] != _EMPTY:
        if slots[at, 0] == first and (slots[at, 1] & _LETTERS_MASK) == second:
            return int(slots[at, 1] >> _ROW_SHIFT)
        at = (at + 1) & mask
    return _MISSING


@_kernel()
def _is_among(first: int, second: int, words: Slots) -> bool:
    for at in range(words.shape[0]):  # noqa: SIM110 - numba has no generators here
        if words[at, 0] == first and words[at, 1] == second:
            return True
    return False


@_kernel()
def _letter(first: int, second: int, at: int) -> int:
    return (first >> 5 * at) & 31 if at < _FIRST else (second >> 5 * (at - _FIRST)) & 31


@_kernel()
def _is_glued(first: int, second: int, length: int) -> bool:
    if length < GLUED_REST_MIN + 2 or _letter(first, second, length - 1) != _R:
        return False
    letter = _letter(first, second, length - 2)
    return letter in (_J, _S)


@_kernel(numba.void(_TABLE, _PLACES, numba.int64[:, ::1]))
def insert(words: Slots, rows: Offsets, slots: Slots) -> None:
    """Put packed words with their rows into an empty table of a power of two of slots.

    The first of two equal words stays.
    """
    mask = slots.shape[0] - 1
    for number in range(words.shape[0]):
        first, second = words[number, 0], words[number, 1]
        at = _slot(first, second, mask)
        is_new = True
        while slots[at, 0] != _EMPTY:
            if slots[at, 0] == first and (slots[at, 1] & _LETTERS_MASK) == second:
                is_new = False
                break
            at = (at + 1) & mask
        if is_new:
            slots[at, 0] = first
            slots[at, 1] = second | (rows[number] << _ROW_SHIFT)


def answers() -> Offsets:
    """The rows under which ``ANSWER_WORDS`` are inserted."""
    return np.full(len(ANSWER_WORDS), _ANSWER, np.int64)


@_kernel(numba.void(_BYTES, _PLACES, numba.int64[:, ::1]))
def pack(data: Bytes, offsets: Offsets, words: Slots) -> None:
    """Words of letters, as ``packed`` does; (0, 0) for what is no such word."""
    for number in range(words.shape[0]):
        start, end = offsets[number], offsets[number + 1]
        first, second = 0, 0
        is_word = 0 < end - start <= LETTERS_MAX
        for at in range(start, end if is_word else start):
            kind = np.int64(_CLASSES[data[at]])
            if kind > 26:
                is_word = False
            if at - start < _FIRST:
                first |= kind << 5 * (at - start)
            else:
                second |= kind << 5 * (at - start - _FIRST)
        words[number, 0] = first if is_word else 0
        words[number, 1] = second if is_word else 0


_U: Final = np.uint64
_SEVEN_BITS: Final = _U(0x7F7F7F7F7F7F7F7F)
_EIGHTH_BIT: Final = _U(0x8080808080808080)
_LOWER: Final = _U(0x2020202020202020)
_FROM_A: Final = _U(0x1F1F1F1F1F1F1F1F)
"""Added to a byte of seven bits it reaches the eighth from "a" on."""
_BEYOND_Z: Final = _U(0x0505050505050505)
_FIVE_BITS: Final = _U(0x1F1F1F1F1F1F1F1F)
_ALL: Final = _U(0xFFFFFFFFFFFFFFFF)
_EVEN_5: Final = _U(0x001F001F001F001F)
_EVEN_10: Final = _U(0x000003FF000003FF)
_EVEN_20: Final = _U(0x00000000000FFFFF)
"""Every other group of bits; the others move down beside them, and then these pairs, and so on."""
_TAIL_BITS: Final = _U(0xFFFFF)


@_kernel()
def _eight(data: Bytes, at: int) -> np.uint64:
    """Eight bytes as a number, the first lowest: one load, once compiled."""
    return (
        _U(data[at])
        | (_U(data[at + 1]) << _U(8))
        | (_U(data[at + 2]) << _U(16))
        | (_U(data[at + 3]) << _U(24))
        | (_U(data[at + 4]) << _U(32))
        | (_U(data[at + 5]) << _U(40))
        | (_U(data[at + 6]) << _U(48))
        | (_U(data[at + 7]) << _U(56))
    )


@_kernel()
def _letters(eight: np.uint64, length: int) -> tuple[np.uint64, bool]:
    """The first ``length`` bytes at five bits each, and whether all of them are letters."""
    within = _ALL >> _U(64 - 8 * length) if length > 0 else _U(0)
    small = (eight & _SEVEN_BITS) | _LOWER
    is_letter = (small + _FROM_A) & ~(small + _BEYOND_Z) & ~eight & _EIGHTH_BIT
    bits = eight & _FIVE_BITS & within
    bits = (bits & _EVEN_5) | ((bits & ~_EVEN_5) >> _U(3))
    bits = (bits & _EVEN_10) | ((bits & ~_EVEN_10) >> _U(6))
    bits = (bits & _EVEN_20) | ((bits & ~_EVEN_20) >> _U(12))
    return bits, (is_letter & within) == (_EIGHTH_BIT & within)


@_kernel()
def _read_word(data: Bytes, start: int, end: int) -> tuple[np.int64, np.int64, bool]:
    """A string of up to sixteen letters, packed; False for any other."""
    length = end - start
    if length > 16 or length < 1:
        return np.int64(0), np.int64(0), False
    if start + 16 > data.shape[0]:
        return _read_word_at_the_end(data, start, end)
    head, is_head = _letters(_eight(data, start), min(length, 8))
    tail, is_tail = _letters(_eight(data, start + 8), max(length - 8, 0))
    first = head | ((tail & _TAIL_BITS) << _U(40))
    return np.int64(first), np.int64(tail >> _U(20)), is_head and is_tail


@_kernel()
def _read_word_at_the_end(data: Bytes, start: int, end: int) -> tuple[np.int64, np.int64, bool]:
    """As ``_read_word``, byte by byte: beyond the last string there is nothing to load."""
    first, second = 0, 0
    for at in range(start, end):
        kind = int(_CLASSES[data[at]])
        if kind > 26:
            return np.int64(0), np.int64(0), False
        if at - start < _FIRST:
            first |= kind << 5 * (at - start)
        else:
            second |= kind << 5 * (at - start - _FIRST)
    return np.int64(first), np.int64(second), True


@_kernel()
def _split(data: Bytes, start: int, end: int, words: Slots) -> int:
    """The words of a string, into ``words`` [word, (first, second, length, hyphens before it)].

    Returns how many; _MISSING where there are signs, or more and longer words, than are plain.
    """
    count, hyphens, longest = 0, 0, 0
    first, second, length = 0, 0, 0
    for at in range(start, end + 1):
        kind = int(_CLASSES[data[at]]) if at < end else _SPACE
        if kind <= 26:
            if length < _FIRST:
                first |= kind << 5 * length
            elif length < LETTERS_MAX:
                second |= kind << 5 * (length - _FIRST)
            else:
                return _MISSING
            length += 1
        elif kind == _OTHER:
            return _MISSING
        elif kind != _NOTHING:
            if length > 0:
                if count == _WORDS:
                    return _MISSING
                words[count, 0], words[count, 1] = first, second
                words[count, 2], words[count, 3] = length, hyphens
                longest = max(longest, length)
                count += 1
                first, second, length, hyphens = 0, 0, 0, 0
            if kind == _HYPHEN:
                hyphens += 1
    return count if longest > 1 else _MISSING


@_kernel()
def _shorn(words: Slots, count: int) -> int:
    """Drop lone letters and free suffixes; how many words stay, at the front.

    _MISSING where a prefix joins what follows, or a suffix or letter hangs on a hyphen.
    """
    if count == 1:
        return 1
    kept = 0
    for word in range(count):
        first, second = words[word, 0], words[word, 1]
        if _is_among(first, second, _PREFIX_WORDS):
            return _MISSING
        if words[word, 2] == 1 or _is_among(first, second, _SUFFIX_WORDS):
            if words[word, 3] > 0 or (word + 1 < count and words[word + 1, 3] > 0):
                return _MISSING
            continue
        for member in range(4):
            words[kept, member] = words[word, member]
        kept += 1
    return kept if kept > 0 else _MISSING


@_kernel()
def _find_joined(words: Slots, count: int, slots: Slots) -> int:
    """The row of all words as one; _MISSING where it is not listed or too long to be."""
    first, second, length = words[0, 0], words[0, 1], words[0, 2]
    for word in range(1, count):
        for place in range(words[word, 2]):
            kind = _letter(words[word, 0], words[word, 1], place)
            if length < _FIRST:
                first |= kind << 5 * length
            elif length < LETTERS_MAX:
                second |= kind << 5 * (length - _FIRST)
            length += 1
    return _find(first, second, slots) if length <= LETTERS_MAX else _MISSING


@_kernel()
def _find_parts(words: Slots, count: int, slots: Slots) -> tuple[int, int, int]:
    """Row, kind and second row of a name that is not listed as a whole."""
    found, second_found, listed = _MISSING, _MISSING, 0
    for word in range(count):
        first, second = words[word, 0], words[word, 1]
        row = _find(first, second, slots)
        if row == _MISSING and _is_glued(first, second, words[word, 2]):
            return LEFT, NONE, _MISSING
        if row in (_MISSING, _ANSWER):
            continue
        listed += 1
        if listed == 1:
            found = row
        elif count == 2:
            second_found = row
    return found, PART if listed else GENERIC, second_found


@_kernel()
def _match_words(
    data: Bytes, start: int, end: int, slots: Slots, words: Slots
) -> tuple[int, int, int]:
    """Row, kind and second row by the extended rules; row LEFT where they need ``rules``."""
    count = _split(data, start, end, words)
    if count != _MISSING:
        count = _shorn(words, count)
    if count == _MISSING:
        return LEFT, NONE, _MISSING
    row = _find_joined(words, count, slots)
    if row == _ANSWER:
        return _MISSING, NONE, _MISSING
    if row != _MISSING:
        return row, TABLE, _MISSING
    if count > 2:
        return LEFT, NONE, _MISSING  # it may be an answer that is too long to be packed
    if count == 1:
        is_glued = _is_glued(words[0, 0], words[0, 1], words[0, 2])
        return LEFT if is_glued else _MISSING, GENERIC, _MISSING
    return _find_parts(words, count, slots)


@_kernel()
def _unlisted(first: int, second: int, length: int, row: int, is_cfpb: bool) -> tuple[int, int]:
    """Row and kind of a single word that is not simply listed."""
    if is_cfpb:
        if _is_among(first, second, _CFPB_SUFFIXES):
            return LEFT, NONE
        is_listed = row != _ANSWER and row != _MISSING
        return (row, TABLE) if is_listed else (_MISSING, GENERIC)
    if row == _ANSWER:
        return _MISSING, NONE
    return LEFT if _is_glued(first, second, length) else _MISSING, GENERIC


@_kernel(
    numba.int64(
        _BYTES, _PLACES, _TABLE, numba.boolean, numba.int64,
        numba.int32[::1], numba.uint8[::1], numba.int32[::1],
    )
)  # fmt: skip
def match(
    data: Bytes,
    offsets: Offsets,
    slots: Slots,
    is_cfpb: bool,
    keys: int,
    rows: Rows,
    kinds: Bytes,
    seconds: Rows,
) -> int:
    """Row, kind and second row of each string (UTF-8, ``offsets`` has one more than there are).

    ``keys`` is the row of a name that is not listed, one more that of no name. ``rows`` is LEFT
    where the string is not plain: other signs than letters, spaces, full stops, commas, hyphens and
    apostrophes, long, or where a rule applies that only ``rules`` knows; returns how many.
    """
    words = np.empty((_WORDS, 4), np.int64)
    read = np.empty((_BLOCK, 3), np.int64)
    count, mask = offsets.shape[0] - 1, slots.shape[0] - 1
    left = 0
    for block in range(0, count, _BLOCK):
        size = min(_BLOCK, count - block)
        for at in range(size):
            first, second, is_word = _read_word(data, offsets[block + at], offsets[block + at + 1])
            read[at, 0], read[at, 1], read[at, 2] = first, second, is_word
        # Look-ups wait for memory: these loads wait together, and those below find them done.
        touched = 0
        for at in range(size):
            touched ^= slots[_slot(read[at, 0], read[at, 1], mask), 0]
        words[0, 0] = touched  # what has no use would not be loaded
        for at in range(size):
            number = block + at
            start, end = offsets[number], offsets[number + 1]
            first, second = read[at, 0], read[at, 1]
            row, kind, other = _MISSING, NONE, _MISSING
            if read[at, 2] and end - start > 1:
                # Most are one word of letters, and listed.
                row = _find(first, second, slots)
                kind = TABLE
                if row < 0 or row == _ANSWER or is_cfpb:
                    row, kind = _unlisted(first, second, end - start, row, is_cfpb)
            elif start < end:
                row = LEFT
                if not is_cfpb:
                    row, kind, other = _match_words(data, start, end, slots, words)
            if row == _MISSING:
                row = keys if kind == GENERIC else keys + 1
            left += row == LEFT
            rows[number], kinds[number], seconds[number] = row, kind, other
    return left
