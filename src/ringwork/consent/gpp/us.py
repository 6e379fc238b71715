"""US sections of the GPP: fixed numbers in a row, and a second subsection.

Indiana, Kentucky, Maryland and Rhode Island are in public comment. Their documents put the section
id, a version and a list of subsections before the core, the official encoder does not: both are
read, and each is written as it came.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from ringwork.consent.bits import Reader, fibonacci, packed, text_of, written
from ringwork.consent.errors import SignalError
from ringwork.consent.gpp.layouts import (
    DRAFTS,
    GPC_TYPE,
    SENSITIVE,
    Field,
    Layout,
    us_layouts,
)

UsValue = int | bool | list[int]
UsFields = dict[str, UsValue]
"""A section's fields by the names that the GPP's documents give them, in their order."""

SUBSECTIONS_MAX: Final = 4
PADDING: Final = 8, 6
"""The official encoder fills up to whole bytes, then to whole characters."""


def decode_us(section_id: int, text: str, start: int = 0) -> UsFields:
    """Read a section; raises SignalError. ``start`` is where it stands in the signal.

    >>> decode_us(9, "BQkAABA")["TargetedAdvertisingOptOut"]
    1
    """
    core, *others = text.split(".")
    if len(others) >= SUBSECTIONS_MAX:
        raise SignalError("too many subsections", 6 * start, expected=f"{SUBSECTIONS_MAX} at most")
    data = packed(core, start)
    bits = int.from_bytes(data) >> 64  # without its tail
    have, filled = 6 * len(core), 8 * (len(data) - 8)
    if have < 6:
        raise SignalError("truncated", 6 * (start + len(core)), expected="6 bits or more")
    layout = _layout_of(section_id, data[0] >> 2, start)
    if section_id in DRAFTS and data[0] >> 2 == section_id:
        fields = _document_form(layout, core, start)
    else:
        fields = {}
        width, places = _places(layout)
        if have < width:
            raise SignalError(
                "truncated", 6 * (start + len(core)), expected=f"{width - have} bits more"
            )
        value = bits >> (filled - width)
        for name, shift, mask, shifts in places:
            fields[name] = (
                value >> shift & mask if shifts is None else [value >> one & mask for one in shifts]
            )
    start += len(core) + 1
    for other in others:
        _read_extra(layout, other, start, fields)
        start += len(other) + 1
    return fields


def _layout_of(section_id: int, first: int, start: int) -> Layout:
    versions = us_layouts()[section_id]
    version = 1 if section_id in DRAFTS else first
    if version not in versions:
        name = versions[1].name
        known = " or ".join(map(str, versions))
        raise SignalError(f"{name} version {version}", 6 * start, expected=f"version {known}")
    return versions[version]


@cache
def _places(layout: Layout) -> tuple[int, list[tuple[str, int, int, tuple[int, ...] | None]]]:
    """Bits of the core; for each field its shift and mask, or the shifts of its numbers."""
    width = rest = sum(field.width for field in layout.core)
    found: list[tuple[str, int, int, tuple[int, ...] | None]] = []
    for field in layout.core:
        rest -= field.width
        shifts = tuple(rest + field.bits * (field.count - 1 - one) for one in range(field.count))
        found.append((field.name, rest, (1 << field.bits) - 1, shifts or None))
    return width, found


def _document_form(layout: Layout, core: str, start: int) -> UsFields:
    reader = Reader(core, start)
    fields: UsFields = {"SectionID": reader.number(6), "Version": reader.number(6)}
    # The core has the number 0, which Fibonacci numbers cannot say: the others are listed.
    listed, last = [], 0
    for _ in range(min(reader.number(12), SUBSECTIONS_MAX)):
        is_range = reader.number(1)
        last += reader.fibonacci()
        listed.append(last)
        if is_range:
            raise SignalError("a range of subsections", reader.bit, expected="their ids one by one")
    fields["SubSections"] = listed
    for field in layout.core:
        fields[field.name] = _read(reader, field)
    return fields


def _read(reader: Reader, field: Field) -> int | list[int]:
    if not field.count:
        return reader.number(field.bits)
    return [reader.number(field.bits) for _ in range(field.count)]


def _read_extra(layout: Layout, text: str, start: int, fields: UsFields) -> None:
    reader = Reader(text, start)
    if layout.extra == "gpc":
        kind = reader.number(2)
        if kind != GPC_TYPE:
            return
        if "Gpc" in fields:
            raise SignalError("GPC subsection twice", 6 * start, expected="it once")
        fields["GpcSegmentType"] = kind
        fields["Gpc"] = reader.number(1) == 1
    elif layout.extra == "sensitive":
        if SENSITIVE.name in fields:
            raise SignalError("sensitive data twice", 6 * start, expected="the subsection once")
        fields[SENSITIVE.name] = _read(reader, SENSITIVE)
    else:
        raise SignalError(
            f"{layout.name} has no second subsection", 6 * start, expected="the core alone"
        )


def encode_us(section_id: int, fields: UsFields) -> str:
    """Write a section as the official encoder does; raises SignalError."""
    first = fields.get("Version", 1) if section_id not in DRAFTS else 1
    layout = _layout_of(section_id, first if isinstance(first, int) else 0, 0)
    head = ""
    if section_id in DRAFTS and "SectionID" in fields:
        listed = fields["SubSections"]
        assert isinstance(listed, list)
        steps = [here - before for before, here in zip([0, *listed], listed, strict=False)]
        head = (
            written(section_id, 6, "SectionID")
            + _write(fields, Field("Version", 6))
            + written(len(listed), 12, "number of subsections")
            + "".join("0" + fibonacci(step) for step in steps)
        )
    texts = [text_of(head + "".join(_write(fields, one) for one in layout.core), *PADDING)]
    if layout.extra == "gpc" and "Gpc" in fields:
        texts.append(text_of(f"{GPC_TYPE:02b}{int(bool(fields['Gpc']))}", *PADDING))
    elif layout.extra == "sensitive" and SENSITIVE.name in fields:
        texts.append(text_of(_write(fields, SENSITIVE), *PADDING))
    return ".".join(texts)


def _write(fields: UsFields, field: Field) -> str:
    value = fields.get(field.name)
    if not field.count and isinstance(value, int):
        return written(value, field.bits, field.name)
    if isinstance(value, list) and len(value) == field.count:
        return "".join(written(one, field.bits, field.name) for one in value)
    expected = f"{field.count} numbers" if field.count else "a number"
    raise SignalError(f"{field.name} {value!r} does not fit", expected=expected)
