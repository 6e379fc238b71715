"""TCF Canada (section 5): express and implied consent, vendors in Fibonacci ranges."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from ringwork.consent.bits import (
    Reader,
    fibonacci,
    numbers_of,
    text_of,
    written,
    written_numbers,
)
from ringwork.consent.errors import SignalError
from ringwork.consent.tcf.string import SEGMENTS_MAX, letters_of, written_letters
from ringwork.consent.vendors import NOBODY, VENDOR_MAX, Run, Vendors, write_field

VERSION: Final = 1
DISCLOSED_VENDORS: Final = 1
PUBLISHER: Final = 3
RANGES_MAX: Final = 4_095
"""In one section, restrictions included; an honest one has a few hundred."""
PADDING: Final = 8, 6


class CanadaRestriction(Struct, frozen=True, rename="pascal"):
    """Vendors that a publisher restricts for one purpose."""

    purpose_id: int
    restriction_type: int
    vendors: Vendors


class CanadaTc(Struct, frozen=True, rename="pascal"):
    """What the section says, under the names of the GPP; times are ms since 1970."""

    version: int
    created: int
    last_updated: int
    cmp_id: int
    cmp_version: int
    consent_screen: int
    consent_language: str
    vendor_list_version: int
    tcf_policy_version: int
    use_non_standard_stacks: bool
    special_feature_express_consent: tuple[int, ...]
    purposes_express_consent: tuple[int, ...]
    purposes_implied_consent: tuple[int, ...]
    vendor_express_consent: Vendors
    vendor_implied_consent: Vendors
    pub_restrictions: tuple[CanadaRestriction, ...] = ()
    segments: tuple[int, ...] = ()
    """Types of the subsections behind the core, in their order."""
    disclosed_vendors: Vendors = NOBODY
    pub_purposes_express_consent: tuple[int, ...] = ()
    pub_purposes_implied_consent: tuple[int, ...] = ()
    num_custom_purposes: int = 0
    custom_purposes_express_consent: tuple[int, ...] = ()
    custom_purposes_implied_consent: tuple[int, ...] = ()


class _Ranges:
    """Counts the ranges of a section: nothing may announce work without end."""

    def __init__(self) -> None:
        self.left = RANGES_MAX

    def take(self, count: int, bit: int) -> None:
        self.left -= count
        if self.left < 0:
            raise SignalError("too many ranges", bit, expected=f"{RANGES_MAX} at most")


def decode_canada(text: str, start: int = 0) -> CanadaTc:
    """Read the section; raises SignalError. ``start`` is where it stands in the signal."""
    core, *others = text.split(".")
    if len(others) > SEGMENTS_MAX:
        raise SignalError("too many subsections", 6 * start, expected=f"{SEGMENTS_MAX} at most")
    reader, ranges = Reader(core, start), _Ranges()
    version = reader.number(6)
    if version != VERSION:
        raise SignalError(f"tcfcav1 version {version}", 6 * start, expected=f"version {VERSION}")
    number = reader.number
    tc = CanadaTc(
        version,
        number(36) * 100,
        number(36) * 100,
        number(12),
        number(12),
        number(6),
        letters_of(number(12)),
        number(12),
        number(6),
        number(1) == 1,
        numbers_of(number(12), 12),
        numbers_of(number(24), 24),
        numbers_of(number(24), 24),
        _read_vendors(reader, ranges),
        _read_vendors(reader, ranges),
        _read_restrictions(reader, ranges),
    )
    members: dict[str, object] = {}
    kinds: list[int] = []
    start += len(core) + 1
    for other in others:
        reader = Reader(other, start)
        kind = reader.number(3)
        if kind in kinds:
            raise SignalError(f"subsection type {kind} twice", 6 * start, expected="each type once")
        kinds.append(kind)
        if kind == DISCLOSED_VENDORS:
            members["disclosed_vendors"] = _read_vendors(reader, ranges)
        elif kind == PUBLISHER:
            members.update(_read_publisher(reader))
        start += len(other) + 1
    fields = {name: getattr(tc, name) for name in tc.__struct_fields__}
    return CanadaTc(**{**fields, **members, "segments": tuple(kinds)})


def _read_publisher(reader: Reader) -> dict[str, object]:
    express, implied, count = reader.number(24), reader.number(24), reader.number(6)
    return {
        "pub_purposes_express_consent": numbers_of(express, 24),
        "pub_purposes_implied_consent": numbers_of(implied, 24),
        "num_custom_purposes": count,
        "custom_purposes_express_consent": numbers_of(reader.number(count), count),
        "custom_purposes_implied_consent": numbers_of(reader.number(count), count),
    }


def _read_vendors(reader: Reader, ranges: _Ranges) -> Vendors:
    """OptimizedRange: the largest id, a flag, a Fibonacci range or a bit field."""
    max_id = reader.number(16)
    if not reader.number(1):
        return Vendors(max_id, reader.number(max_id))
    return Vendors(max_id, 0, read_fibonacci_runs(reader, ranges))


def read_fibonacci_runs(reader: Reader, ranges: _Ranges | None = None) -> tuple[Run, ...]:
    """Range(Fibonacci): each number by its distance from the one before."""
    count = reader.number(12)
    if 3 * count > reader.left:
        raise SignalError("truncated", reader.bit + reader.left, expected="more bits")
    if ranges is not None:
        ranges.take(count, reader.bit)
    runs, last = [], 0
    for _ in range(count):
        is_range = reader.number(1)
        first = last + reader.fibonacci()
        last = first + reader.fibonacci() if is_range else first
        if last > VENDOR_MAX:
            raise SignalError("id too large", reader.bit, expected=f"{VENDOR_MAX} at most")
        runs.append((first, last))
    return tuple(runs)


def _read_restrictions(reader: Reader, ranges: _Ranges) -> tuple[CanadaRestriction, ...]:
    count = reader.number(12)
    if 25 * count > reader.left:
        raise SignalError("truncated", reader.bit + reader.left, expected="more bits")
    return tuple(
        CanadaRestriction(reader.number(6), reader.number(2), _read_vendors(reader, ranges))
        for _ in range(count)
    )


def encode_canada(tc: CanadaTc) -> str:
    """Write the section; raises SignalError."""
    core = (
        written(tc.version, 6, "version")
        + written(tc.created // 100, 36, "created")
        + written(tc.last_updated // 100, 36, "last updated")
        + written(tc.cmp_id, 12, "CMP id")
        + written(tc.cmp_version, 12, "CMP version")
        + written(tc.consent_screen, 6, "consent screen")
        + written_letters(tc.consent_language, "language")
        + written(tc.vendor_list_version, 12, "vendor list version")
        + written(tc.tcf_policy_version, 6, "policy version")
        + str(int(tc.use_non_standard_stacks))
        + written_numbers(tc.special_feature_express_consent, 12, "special features")
        + written_numbers(tc.purposes_express_consent, 24, "purposes")
        + written_numbers(tc.purposes_implied_consent, 24, "purposes")
        + _write_vendors(tc.vendor_express_consent)
        + _write_vendors(tc.vendor_implied_consent)
        + written(len(tc.pub_restrictions), 12, "number of restrictions")
    )
    for one in tc.pub_restrictions:
        core += written(one.purpose_id, 6, "purpose") + written(one.restriction_type, 2, "type")
        core += _write_vendors(one.vendors)
    texts = [text_of(core, *PADDING)]
    for kind in tc.segments:
        if kind == DISCLOSED_VENDORS:
            texts.append(text_of("001" + _write_vendors(tc.disclosed_vendors), *PADDING))
        elif kind == PUBLISHER:
            texts.append(text_of(_publisher_bits(tc), *PADDING))
    return ".".join(texts)


def _publisher_bits(tc: CanadaTc) -> str:
    count = tc.num_custom_purposes
    return (
        f"{PUBLISHER:03b}"
        + written_numbers(tc.pub_purposes_express_consent, 24, "purposes")
        + written_numbers(tc.pub_purposes_implied_consent, 24, "purposes")
        + written(count, 6, "number of custom purposes")
        + written_numbers(tc.custom_purposes_express_consent, count, "custom purposes")
        + written_numbers(tc.custom_purposes_implied_consent, count, "custom purposes")
    )


def write_fibonacci_runs(runs: tuple[Run, ...]) -> str:
    """Range(Fibonacci)."""
    bits, last = [written(len(runs), 12, "number of ranges")], 0
    for first, end in runs:
        bits.append(("1" if end > first else "0") + fibonacci(first - last))
        if end > first:
            bits.append(fibonacci(end - first))
        last = end
    return "".join(bits)


def _write_vendors(vendors: Vendors) -> str:
    """OptimizedRange: the range where it is not longer, as @iabgpp/cmpapi decides."""
    runs = vendors.ranges()
    max_id = runs[-1][1] if runs else 0
    ranges = write_fibonacci_runs(runs)
    is_range = len(ranges) <= max_id
    return (
        written(max_id, 16, "vendor")
        + str(int(is_range))
        + (ranges if is_range else write_field(runs))
    )


def plain_canada(tc: CanadaTc) -> dict[str, object]:
    """The section for JSON, vendors as [first, last]."""
    names = zip(tc.__struct_encode_fields__, tc.__struct_fields__, strict=True)
    members: dict[str, object] = {name: getattr(tc, field) for name, field in names}
    for name, value in members.items():
        if isinstance(value, Vendors):
            members[name] = [list(run) for run in value.ranges()]
        elif isinstance(value, tuple):
            members[name] = list(value)
    members["PubRestrictions"] = [
        {
            "PurposeId": one.purpose_id,
            "RestrictionType": one.restriction_type,
            "Vendors": [list(run) for run in one.vendors.ranges()],
        }
        for one in tc.pub_restrictions
    ]
    return members
