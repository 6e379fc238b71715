"""Bits of a base64url text, big-endian, without padding: both consent formats are made of them.

Reading never copies more than it is asked for, so that a long text costs what its length says.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Sequence
from functools import lru_cache
from struct import Struct as Layout
from typing import Final

from ringwork.consent.errors import SignalError

TEXT_MAX: Final = 32_768
"""Characters of one signal. An honest one, 1,600 vendors three times, has under 2,000."""
TAIL: Final = bytes(8)
"""Behind the bits, so that the 64 bits from any bit on can be read."""

_STANDARD: Final = bytes.maketrans(b"-_+/=", b"+/!!!")
_URL: Final = bytes.maketrans(b"+/", b"-_")
_STRANGER: Final = re.compile("[^A-Za-z0-9_-]")  # RFC 4648, section 5
_FILL: Final = (b"", b"AAA", b"AA", b"A")  # by what is over a multiple of 4
# Fibonacci numbers from 1, 2 on; the largest is above every 16-bit number.
_FIBONACCI: Final = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181,
                     6765, 10946, 17711, 28657, 46368, 75025)  # fmt: skip

u64_at = Layout(">Q").unpack_from
"""The 64 bits from a byte on."""


def packed(text: str, start: int = 0) -> bytes:
    """The bytes of a base64url text, and ``TAIL``. ``start`` is where it stands in the signal."""
    try:
        data = text.encode("ascii").translate(_STANDARD)
        return a2b_base64(data + _FILL[len(data) & 3], strict_mode=True) + TAIL
    except (Error, UnicodeEncodeError):
        raise not_base64url(text, start) from None


def packed_segments(text: str, segments: list[str]) -> bytes:
    """The bytes of all segments of a text, each from a whole byte on, and ``TAIL``."""
    for segment in segments:
        if len(segment) & 3:
            text = ".".join(one + "AAA"[: -len(one) & 3] for one in segments)
            break
    try:
        data = text.encode("ascii").translate(_STANDARD, b".")
        return a2b_base64(data, strict_mode=True) + TAIL
    except (Error, UnicodeEncodeError):
        start = 0
        for segment in segments:
            if _STRANGER.search(segment):
                raise not_base64url(segment, start) from None
            start += len(segment) + 1
        raise


def not_base64url(text: str, start: int) -> SignalError:
    """Names the first character that is none."""
    found = _STRANGER.search(text)
    at = start + (found.start() if found else 0)
    return SignalError("not base64url", 6 * at, expected="A-Z, a-z, 0-9, - or _")


def text_of(bits: str, *multiples: int) -> str:
    """Base64url of bits, filled with zeros to a multiple of each number in turn, the last 6 or 24.

    >>> text_of("000011000001000000000001", 24)
    'DBAB'
    """
    for multiple in multiples:
        bits += "0" * (-len(bits) % multiple)
    characters = len(bits) // 6
    bits += "0" * (-len(bits) % 24)
    data = int(bits or "0", 2).to_bytes(len(bits) // 8, "big")
    return b2a_base64(data, newline=False).translate(_URL)[:characters].decode("ascii")


def written(value: int, width: int, name: str) -> str:
    """A number in ``width`` bits."""
    if not 0 <= value < 1 << width:
        raise SignalError(f"{name} {value} does not fit", expected=f"0 to {(1 << width) - 1}")
    return format(value, f"0{width}b")


def written_numbers(numbers: Sequence[int], width: int, name: str) -> str:
    """A bit for each number from 1 on, the first at the left."""
    if any(not 1 <= one <= width for one in numbers):
        raise SignalError(f"{name} {list(numbers)} does not fit", expected=f"1 to {width}")
    return format(mask_of(tuple(numbers), width), f"0{width}b") if width else ""


@lru_cache(maxsize=4096)
def numbers_of(mask: int, width: int) -> tuple[int, ...]:
    """The numbers of the bits that are set, the leftmost of ``width`` is 1.

    >>> numbers_of(0b1010, 4)
    (1, 3)
    """
    return tuple(number for number in range(1, width + 1) if mask >> (width - number) & 1)


@lru_cache(maxsize=4096)
def mask_of(numbers: tuple[int, ...], width: int) -> int:
    """The other way round; numbers beyond ``width`` have no bit."""
    mask = 0
    for number in numbers:
        if 1 <= number <= width:
            mask |= 1 << (width - number)
    return mask


def fibonacci(number: int) -> str:
    """Zeckendorf bits of a number from 1 on, low to high, and a final 1.

    >>> [fibonacci(number) for number in (1, 2, 3, 4)]
    ['11', '011', '0011', '1011']
    """
    if not 1 <= number < _FIBONACCI[-1]:
        raise SignalError(f"{number} does not fit", expected=f"1 to {_FIBONACCI[-1] - 1}")
    bits, rest = "", number
    for step in reversed([step for step in _FIBONACCI if step <= number]):
        bits, rest = ("1" + bits, rest - step) if step <= rest else ("0" + bits, rest)
    return bits + "1"


@lru_cache(maxsize=4096)
def _zeckendorf(code: str) -> int:
    return sum(step for step, bit in zip(_FIBONACCI, code, strict=False) if bit == "1")


class Reader:
    """Reads a base64url text from the left. ``start`` is where the text stands in the signal."""

    def __init__(self, text: str, start: int = 0) -> None:
        data = packed(text, start)
        self._size = 6 * len(text)
        self._bits = format(int.from_bytes(data), f"0{8 * len(data)}b")
        self._start = 6 * start
        self._at = 0

    @property
    def bit(self) -> int:
        """Where the next bit stands in the signal."""
        return self._start + self._at

    @property
    def left(self) -> int:
        """How many bits there are still."""
        return self._size - self._at

    def number(self, width: int) -> int:
        """An unsigned number of any width."""
        at, end = self._at, self._at + width
        if end > self._size:
            raise SignalError(
                "truncated", self._start + self._size, expected=f"{end - self._size} bits more"
            )
        self._at = end
        return int(self._bits[at:end] or "0", 2)

    def fibonacci(self) -> int:
        """A Fibonacci-coded number."""
        at = self._at
        end = self._bits.find("11", at, self._size) + 1
        if not end:
            raise SignalError("truncated", self._start + self._size, expected="11")
        if end - at >= len(_FIBONACCI):
            raise SignalError("number too large", self._start + at, expected="at most 16 bits")
        self._at = end + 1
        return _zeckendorf(self._bits[at:end])
