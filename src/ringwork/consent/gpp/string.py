"""GPP strings: a header that lists section ids, and the sections, joined by tildes.

IAB Tech Lab, Global Privacy Platform, "Consent string specification", version 1. The document fills
the header up to 6 bits, the official encoder to 8 and then 6: both are read, the second is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.consent import us_privacy
from ringwork.consent.bits import TEXT_MAX, Reader, text_of, written
from ringwork.consent.errors import SignalError
from ringwork.consent.gpp.canada import (
    CanadaTc,
    decode_canada,
    encode_canada,
    plain_canada,
    read_fibonacci_runs,
    write_fibonacci_runs,
)
from ringwork.consent.gpp.europe import encode_europe, plain_europe
from ringwork.consent.gpp.layouts import IDS, NAMES, TCF_CA, TCF_EU, USP
from ringwork.consent.gpp.us import PADDING, UsFields, decode_us, encode_us
from ringwork.consent.tcf.string import TcString
from ringwork.consent.tcf.string import decode as decode_europe
from ringwork.consent.us_privacy import UsPrivacy
from ringwork.consent.vendors import Vendors

GPP_MAX: Final = 2 * TEXT_MAX
"""Characters: a TC string among the sections, and the others."""
SECTIONS_MAX: Final = 100
"""27 are defined."""
HEADER_MAX: Final = 1_024
"""Characters: 100 ids, each with a flag and two numbers of 25 bits at most, and what is before."""
_TYPE: Final = 3
_VERSION: Final = 1
_US: Final = range(7, 28)

Section = TcString | CanadaTc | UsPrivacy | UsFields | str
"""What a section says; a section that nobody has defined is its text."""


class GppString(Struct, frozen=True, rename="camel"):
    """Section ids in the order of the header, sections by name (``usca``) in the same order."""

    section_ids: tuple[int, ...]
    sections: dict[str, Section]


class Part(Struct, frozen=True):
    """The text of a section, and the character that it begins with."""

    text: str
    start: int


def split(text: str) -> dict[int, Part]:
    """Section id -> its text, none of which is read; raises SignalError.

    >>> split("DBABTA~1YNN")
    {6: Part(text='1YNN', start=7)}
    """
    if len(text) > GPP_MAX:
        raise SignalError(f"longer than {GPP_MAX}", 6 * GPP_MAX)
    if not text:
        raise SignalError("empty", expected="a GPP string")
    header, *texts = text.split("~")
    if len(header) > HEADER_MAX:
        _ids_of(header[:HEADER_MAX])  # what is wrong with its beginning says more
        raise SignalError(f"header longer than {HEADER_MAX}", 6 * HEADER_MAX)
    ids = _ids_of(header)
    if len(ids) != len(texts):
        raise SignalError(
            f"{len(texts)} sections", 6 * len(header), expected=f"{len(ids)} as the header lists"
        )
    parts, start = {}, len(header) + 1
    for id, one in zip(ids, texts, strict=True):
        parts[id] = Part(one, start)
        start += len(one) + 1
    return parts


@lru_cache(maxsize=1024)
def _ids_of(header: str) -> tuple[int, ...]:
    """The section ids of a header; there are few headers in the world."""
    reader = Reader(header)
    kind = reader.number(6)
    if kind != _TYPE:
        raise SignalError(f"header type {kind}", expected=f"type {_TYPE}: D first")
    version = reader.number(6)
    if version != _VERSION:
        raise SignalError(f"GPP version {version}", 6, expected=f"version {_VERSION}: DB first")
    ids: list[int] = []
    for first, last in read_fibonacci_runs(reader):
        if len(ids) + last - first >= SECTIONS_MAX:
            raise SignalError("too many sections", reader.bit, expected=f"{SECTIONS_MAX} at most")
        ids += range(first, last + 1)
    return tuple(ids)


def decode(text: str) -> GppString:
    """Read a GPP string and all its sections; raises SignalError.

    >>> decode("DBABTA~1YNN").sections["uspv1"].notice
    'Y'
    """
    parts = split(text)
    sections = {
        NAMES.get(id, str(id)): decode_section(id, part.text, part.start)
        for id, part in parts.items()
    }
    return GppString(tuple(parts), sections)


def decode_section(id: int, text: str, start: int = 0) -> Section:
    """Read one section; raises SignalError, with bits from ``start`` (a character) on."""
    if len(text) > TEXT_MAX:
        raise SignalError(f"longer than {TEXT_MAX}", 6 * (start + TEXT_MAX))
    if id == TCF_EU:
        try:
            return decode_europe(text)
        except SignalError as error:
            bit = 6 * start + error.bit
            raise SignalError(error.reason, bit, expected=error.expected) from None
    if id == TCF_CA:
        return decode_canada(text, start)
    if id == USP:
        return us_privacy.decode(text, start)
    if id in _US:
        return decode_us(id, text, start)
    return text


def encode(gpp: GppString) -> str:
    """Write a GPP string, byte for byte as @iabgpp/cmpapi does; raises SignalError."""
    sections = sorted((IDS.get(name) or _id_of(name), one) for name, one in gpp.sections.items())
    return "~".join(
        (_header(id for id, _ in sections), *(encode_section(*one) for one in sections))
    )


def _id_of(name: str) -> int:
    if not (name.isascii() and name.isdigit() and int(name[:6]) > 0):
        raise SignalError(f"section {name!r}", expected="a section's name, or a number")
    return int(name)


def _header(ids: Iterable[int]) -> str:
    runs = Vendors.of((id, id) for id in ids).ranges()
    bits = written(_TYPE, 6, "type") + written(_VERSION, 6, "version") + write_fibonacci_runs(runs)
    return text_of(bits, *PADDING)


def encode_section(id: int, section: Section) -> str:
    """Write one section."""
    match section:
        case TcString():
            return encode_europe(section)
        case CanadaTc():
            return encode_canada(section)
        case UsPrivacy():
            return us_privacy.encode(section)
        case dict():
            return encode_us(id, section)
    return section


def plain(gpp: GppString) -> dict[str, object]:
    """What it says for JSON, under the GPP's names."""
    return {
        "sectionIds": list(gpp.section_ids),
        "sections": {name: plain_section(one) for name, one in gpp.sections.items()},
    }


def plain_section(section: Section) -> object:
    """One section for JSON."""
    match section:
        case TcString():
            return plain_europe(section)
        case CanadaTc():
            return plain_canada(section)
        case UsPrivacy():
            return msgspec.to_builtins(section)
    return section
