"""Consent strings, read as far as it takes to see that two of them say different things.

``sections_of`` reads the header of a GPP string (IAB Tech Lab, Global Privacy Platform: type 3,
version 1, a Fibonacci range of section ids), ``choices_of`` the core of a TC string (Transparency
and Consent Framework, "Consent string and vendor list formats v2"). Nothing is decided by them
here: bidders get the strings as they came. Vendors are kept as runs, because a few bytes can
announce ranges of millions.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from binascii import Error
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

SECTIONS_MAX: Final = 100
"""Sections of one string; 27 are defined."""
SECTION_ID_MAX: Final = 65_535

_GPP_TYPE: Final = 3
_GPP_VERSION: Final = 1
_TC_VERSION: Final = 2
_ONES: Final = re.compile("1+")

Runs = tuple[tuple[int, int], ...]
"""Numbers as (first, last) of what follows without a gap, in order."""


class Unreadable(Exception):
    """A text that is no such string: what was expected, what came."""


class Choices(Struct, frozen=True):
    """What the core of a TC string says was chosen."""

    special_features: str
    purpose_consents: str
    purpose_interests: str
    vendor_consents: Runs
    vendor_interests: Runs
    restrictions: tuple[tuple[int, int, Runs], ...]
    """(purpose, type, vendors), in order."""


class _Bits:
    """The bits of a base64url text, read from the left."""

    def __init__(self, text: str) -> None:
        try:
            data = urlsafe_b64decode(text + "A" * (-len(text) % 4))
        except (Error, ValueError) as error:
            raise Unreadable(f"expected base64url, got {text[:32]!r}") from error
        self._bits = format(int.from_bytes(data), f"0{8 * len(data)}b")[: 6 * len(text)]
        self._at = 0

    def take(self, count: int) -> str:
        end = self._at + count
        if end > len(self._bits):
            raise Unreadable(f"expected {end} bits or more, got {len(self._bits)}")
        taken, self._at = self._bits[self._at : end], end
        return taken

    def number(self, count: int) -> int:
        return int(self.take(count), 2)

    def fibonacci(self) -> int:
        """Zeckendorf bits, low to high, ended by a second 1 in a row."""
        total, step, following, before = 0, 1, 2, False
        while total <= SECTION_ID_MAX and step <= 2 * SECTION_ID_MAX:
            is_set = self.take(1) == "1"
            if is_set and before:
                return total
            total += step if is_set else 0
            step, following, before = following, step + following, is_set
        raise Unreadable(f"expected numbers up to {SECTION_ID_MAX}, got a larger one")


def sections_of(gpp: str) -> dict[int, str]:
    """Section id -> its text; Unreadable.

    >>> sections_of("DBABTA~1YNN")
    {6: '1YNN'}
    """
    header, *texts = gpp.split("~")
    bits = _Bits(header)
    if (bits.number(6), bits.number(6)) != (_GPP_TYPE, _GPP_VERSION):
        raise Unreadable(f"expected a GPP header of version 1, got {header[:32]!r}")
    ids: list[int] = []
    for _ in range(bits.number(12)):
        is_range = bits.take(1) == "1"
        first = (ids[-1] if ids else 0) + bits.fibonacci()
        last = first + bits.fibonacci() if is_range else first
        if last > SECTION_ID_MAX or len(ids) + last - first >= SECTIONS_MAX:
            raise Unreadable(f"expected at most {SECTIONS_MAX} sections, got more")
        ids += range(first, last + 1)
    if len(ids) != len(texts):
        raise Unreadable(f"expected {len(ids)} sections as the header has, got {len(texts)}")
    return dict(zip(ids, texts, strict=True))


def choices_of(tc: str) -> Choices:
    """What the core of a TC string says; Unreadable."""
    bits = _Bits(tc.partition(".")[0])
    if bits.number(6) != _TC_VERSION:
        raise Unreadable(f"expected a TC string of version 2, got {tc[:32]!r}")
    bits.take(134)  # when, by which CMP, in which language
    features, consents, interests = bits.take(12), bits.take(24), bits.take(24)
    bits.take(13)  # purpose 1 treatment, country
    return Choices(
        features, consents, interests, _vendors(bits), _vendors(bits), _restrictions(bits)
    )


def _vendors(bits: _Bits) -> Runs:
    most = bits.number(16)
    if bits.take(1) == "1":
        return _ranges(bits)
    return tuple((one.start() + 1, one.end()) for one in _ONES.finditer(bits.take(most)))


def _ranges(bits: _Bits) -> Runs:
    found = []
    for _ in range(bits.number(12)):
        is_range = bits.take(1) == "1"
        first = bits.number(16)
        found.append((first, bits.number(16) if is_range else first))
    return _joined(found)


def _restrictions(bits: _Bits) -> tuple[tuple[int, int, Runs], ...]:
    count = bits.number(12)
    return tuple(sorted((bits.number(6), bits.number(2), _ranges(bits)) for _ in range(count)))


def _joined(runs: Iterable[tuple[int, int]]) -> Runs:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(runs):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(joined[-1][1], last)
        else:
            joined.append((first, last))
    return tuple(joined)
