"""TC strings of version 2, faithfully read and written.

IAB Tech Lab, "Consent string and vendor list formats v2". Nothing is judged here: that is
``verdict`` and ``permissions``. Deviation: what cannot be read at all (truncated, a range that ends
before it starts, vendor 0) is an error, where the official decoder guesses.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from ringwork.consent.bits import (
    TEXT_MAX,
    numbers_of,
    packed,
    packed_segments,
    text_of,
    u64_at,
    written,
    written_numbers,
)
from ringwork.consent.errors import SignalError
from ringwork.consent.vendors import (
    NOBODY,
    Vendors,
    read_runs,
    read_vendors,
    truncated,
    write_runs,
    write_vendors,
)

VERSION: Final = 2
DISCLOSED_VENDORS: Final = 1
PUBLISHER_TC: Final = 3
_DEFINED: Final = (DISCLOSED_VENDORS, PUBLISHER_TC)
SEGMENTS_MAX: Final = 8
"""Two are defined and one is retired; a string of nothing but segments must not cost."""
RESTRICTIONS_MAX: Final = 256
"""64 purposes of four types: more only say something twice, and each costs."""
LISTED_MAX: Final = 100_000
"""Restricted vendors that ``plain`` writes out one by one."""

_CORE_BITS: Final = 213
_HEAD: Final = Layout(">4Q").unpack_from
"""Everything up to the vendors, in words of 64 bits: small integers are quick."""


class Restriction(Struct, frozen=True, gc=False, rename="camel"):
    """A publisher's word on some vendors for one purpose.

    Type 0: not allowed, 1: only with consent, 2: only by legitimate interest.
    """

    purpose_id: int
    restriction_type: int
    vendors: Vendors


class TcString(Struct, frozen=True, rename="camel"):
    """What a TC string says: times in ms since 1970, purposes and features by number from 1 on."""

    version: int
    created: int
    last_updated: int
    cmp_id: int
    cmp_version: int
    consent_screen: int
    consent_language: str
    vendor_list_version: int
    policy_version: int
    is_service_specific: bool
    use_non_standard_texts: bool
    special_feature_optins: tuple[int, ...]
    purpose_consents: tuple[int, ...]
    purpose_legitimate_interests: tuple[int, ...]
    purpose_one_treatment: bool
    """Purpose 1 was not disclosed; ``publisher_country_code`` says which law asks for it."""
    publisher_country_code: str
    vendor_consents: Vendors
    vendor_legitimate_interests: Vendors
    publisher_restrictions: tuple[Restriction, ...] = ()
    segments: tuple[int, ...] = ()
    """Types of the segments behind the core, in their order; ``encode`` writes 1 and 3 alone."""
    vendors_disclosed: Vendors = NOBODY
    """Means something only if ``DISCLOSED_VENDORS in segments``."""
    publisher_consents: tuple[int, ...] = ()
    publisher_legitimate_interests: tuple[int, ...] = ()
    num_custom_purposes: int = 0
    publisher_custom_consents: tuple[int, ...] = ()
    publisher_custom_legitimate_interests: tuple[int, ...] = ()


def decode(text: str) -> TcString:
    """Read a TC string; raises SignalError.

    >>> decode("CQh-8AAQh-8AAAfABAENB4FoAP_gAEPgAAYgAPABAEAQAUAAAIAA").publisher_country_code
    'DE'
    """
    if len(text) > TEXT_MAX:
        raise SignalError(f"longer than {TEXT_MAX}", 6 * TEXT_MAX)
    if not text:
        raise SignalError("empty", expected="a TC string")
    segments = text.split(".")
    if len(segments) > SEGMENTS_MAX or "" in segments:
        raise _no_segments(segments)
    data = packed_segments(text, segments)
    size = 6 * len(segments[0])
    if data[0] >> 2 != VERSION:
        raise _other_version(text)
    if size < _CORE_BITS:
        raise truncated(size, 0)
    consents, at = read_vendors(data, _CORE_BITS, size, 0)
    interests, at = read_vendors(data, at, size, 0)
    restrictions = _read_restrictions(data, at, size)
    a, b, c, d = _HEAD(data)
    core_members = (
        VERSION,
        (a >> 22 & 0xFFFFFFFFF) * 100,
        ((a & 0x3FFFFF) << 14 | b >> 50) * 100,
        b >> 38 & 0xFFF,
        b >> 26 & 0xFFF,
        b >> 20 & 0x3F,
        letters_of(b >> 8 & 0xFFF),
        (b & 0xFF) << 4 | c >> 60,
        c >> 54 & 0x3F,
        c >> 53 & 1 == 1,
        c >> 52 & 1 == 1,
        numbers_of(c >> 40 & 0xFFF, 12),
        numbers_of(c >> 16 & 0xFFFFFF, 24),
        numbers_of((c & 0xFFFF) << 8 | d >> 56, 24),
        d >> 55 & 1 == 1,
        letters_of(d >> 43 & 0xFFF),
        consents,
        interests,
        restrictions,
    )
    if len(segments) == 1:
        return TcString(*core_members)
    return TcString(*core_members, *_read_segments(data, segments))


def _no_segments(segments: list[str]) -> SignalError:
    if len(segments) > SEGMENTS_MAX:
        start = len(".".join(segments[:SEGMENTS_MAX])) + 1
        return SignalError("too many segments", 6 * start, expected=f"at most {SEGMENTS_MAX}")
    at = segments.index("")
    start = sum(len(one) + 1 for one in segments[:at])
    return SignalError("empty segment", 6 * start, expected="characters between the dots")


def _other_version(text: str) -> SignalError:
    if text[0] == "D":
        reason = "first character D: a GPP string in the TCF field"
    else:
        reason = f"encoding version {packed(text[:4])[0] >> 2}"
    return SignalError(reason, expected=f"version {VERSION}: C first")


@lru_cache(maxsize=4096)
def letters_of(code: int) -> str:
    """Two letters of six bits each, A is 0."""
    return chr(65 + (code >> 6)) + chr(65 + (code & 63))


def _read_restrictions(data: bytes, at: int, size: int) -> tuple[Restriction, ...]:
    if at + 12 > size:
        raise truncated(size, 0)
    count = u64_at(data, at >> 3)[0] >> (52 - (at & 7)) & 0xFFF
    at += 12
    if not count:
        return ()
    if at + 20 * count > size:
        raise truncated(size, 0)
    if count > RESTRICTIONS_MAX:
        expected = f"{RESTRICTIONS_MAX} at most"
        raise SignalError("too many restrictions", at - 12, expected=expected)
    found = []
    for _ in range(count):
        if at + 8 > size:
            raise truncated(size, 0)
        head = u64_at(data, at >> 3)[0] >> (56 - (at & 7)) & 0xFF
        runs, at = read_runs(data, at + 8, size, 0)
        last = max([run[1] for run in runs], default=0)
        found.append(Restriction(head >> 2, head & 3, Vendors(last, 0, runs)))
    return tuple(found)


Publisher = tuple[tuple[int, ...], tuple[int, ...], int, tuple[int, ...], tuple[int, ...]]
_NO_PUBLISHER: Final[Publisher] = ((), (), 0, (), ())


Segments = tuple[
    tuple[int, ...],
    Vendors,
    tuple[int, ...],
    tuple[int, ...],
    int,
    tuple[int, ...],
    tuple[int, ...],
]
"""The last members of a TcString."""


def _read_segments(data: bytes, segments: list[str]) -> Segments:
    """What is behind the core."""
    kinds: list[int] = []
    disclosed, publisher = NOBODY, _NO_PUBLISHER
    size = 6 * len(segments[0])
    at, before = size + (-size % 24), size + 6  # bits of the data, bits of the signal
    for text in segments[1:]:
        size = 6 * len(text)
        kind = data[at >> 3] >> 5
        if kind in _DEFINED:
            if kind in kinds:
                raise SignalError(f"segment type {kind} twice", before, expected="each type once")
            if kind == DISCLOSED_VENDORS:
                disclosed, _ = read_vendors(data, at + 3, at + size, before - at)
            else:
                publisher = _read_publisher(data, at, size, before - at)
        kinds.append(kind)
        at += size + (-size % 24)
        before += size + 6
    return tuple(kinds), disclosed, *publisher


def _read_publisher(data: bytes, at: int, size: int, start: int) -> Publisher:
    """``at`` is the first bit of a whole byte."""
    if size < 57:
        raise truncated(at + size, start)
    head = u64_at(data, at >> 3)[0]
    count = head >> 7 & 0x3F
    consents = numbers_of(head >> 37 & 0xFFFFFF, 24)
    interests = numbers_of(head >> 13 & 0xFFFFFF, 24)
    if not count:
        return consents, interests, 0, (), ()
    end = 57 + 2 * count
    if size < end:
        raise truncated(at + size, start)
    custom = int.from_bytes(data[at >> 3 : (at + end + 7) >> 3]) >> (-end & 7)
    mask = (1 << count) - 1
    return (
        consents,
        interests,
        count,
        numbers_of(custom >> count & mask, count),
        numbers_of(custom & mask, count),
    )


def encode(tc: TcString) -> str:
    """Write a TC string, byte for byte as @iabtcf/core does; raises SignalError."""
    texts = [text_of(_core_bits(tc), 24)]
    for kind in tc.segments:
        if kind == DISCLOSED_VENDORS:
            texts.append(text_of(f"{kind:03b}" + write_vendors(tc.vendors_disclosed), 24))
        elif kind == PUBLISHER_TC:
            texts.append(text_of(publisher_bits(tc), 24))
    return ".".join(texts)


def _core_bits(tc: TcString) -> str:
    restrictions = "".join(
        written(one.purpose_id, 6, "purpose")
        + written(one.restriction_type, 2, "restriction type")
        + write_runs(one.vendors.runs or one.vendors.ranges())
        for one in tc.publisher_restrictions
    )
    return (
        core_head(tc)
        + write_vendors(tc.vendor_consents)
        + write_vendors(tc.vendor_legitimate_interests)
        + written(len(tc.publisher_restrictions), 12, "number of restrictions")
        + restrictions
    )


def core_head(tc: TcString) -> str:
    """The bits up to the vendors."""
    return "".join(
        (
            written(tc.version, 6, "version"),
            written(tc.created // 100, 36, "created"),
            written(tc.last_updated // 100, 36, "last updated"),
            written(tc.cmp_id, 12, "CMP id"),
            written(tc.cmp_version, 12, "CMP version"),
            written(tc.consent_screen, 6, "consent screen"),
            written_letters(tc.consent_language, "language"),
            written(tc.vendor_list_version, 12, "vendor list version"),
            written(tc.policy_version, 6, "policy version"),
            str(int(tc.is_service_specific)),
            str(int(tc.use_non_standard_texts)),
            written_numbers(tc.special_feature_optins, 12, "special features"),
            written_numbers(tc.purpose_consents, 24, "purposes"),
            written_numbers(tc.purpose_legitimate_interests, 24, "purposes"),
            str(int(tc.purpose_one_treatment)),
            written_letters(tc.publisher_country_code, "country"),
        )
    )


def publisher_bits(tc: TcString) -> str:
    """The PublisherTC segment."""
    count = tc.num_custom_purposes
    return (
        f"{PUBLISHER_TC:03b}"
        + written_numbers(tc.publisher_consents, 24, "purposes")
        + written_numbers(tc.publisher_legitimate_interests, 24, "purposes")
        + written(count, 6, "number of custom purposes")
        + written_numbers(tc.publisher_custom_consents, count, "custom purposes")
        + written_numbers(tc.publisher_custom_legitimate_interests, count, "custom purposes")
    )


def written_letters(letters: str, name: str) -> str:
    """Two letters of six bits each."""
    if len(letters) != 2:
        raise SignalError(f"{name} {letters!r} does not fit", expected="two letters")
    return "".join(written(ord(letter) - 65, 6, name) for letter in letters)


def plain(tc: TcString) -> dict[str, object]:
    """What it says for JSON, vendors as [first, last]; raises SignalError beyond ``LISTED_MAX``."""
    listed = sum(
        last - first + 1
        for one in tc.publisher_restrictions
        for first, last in one.vendors.ranges()
    )
    if listed > LISTED_MAX:
        raise SignalError("too many restricted vendors", expected=f"at most {LISTED_MAX}")
    members = {
        name: getattr(tc, field)
        for name, field in zip(tc.__struct_encode_fields__, tc.__struct_fields__, strict=True)
    }
    for name, value in members.items():
        if isinstance(value, Vendors):
            members[name] = [list(run) for run in value.ranges()]
        elif isinstance(value, tuple):
            members[name] = list(value)
    restricted: dict[str, list[int]] = {}
    for one in tc.publisher_restrictions:
        of_key = restricted.setdefault(f"{one.purpose_id}:{one.restriction_type}", [])
        of_key += one.vendors.ids()
    members["publisherRestrictions"] = restricted
    return members
