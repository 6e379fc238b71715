"""Rows of a spreadsheet as lines of an import.

The first row names members: ``type``, ``id``, ``name``; with dots those of a member
(``targeting.regions``). An empty cell leaves its member out. A list is written with ``|`` between
its items, an amount of money as ``12.50 EUR``; a cell that begins with ``[`` or ``{`` is JSON. What
cannot be read as its member's type goes as it is, and is refused with a pointer to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Final

import msgspec
from msgspec import inspect

from ringwork.ads.import_lines import LINES
from ringwork.kernel.money import Money

Row = Mapping[str, str | list[str] | None]
"""Column -> cell; cells beyond the first row's last name are a list (``restkey``)."""

_MONEY: Final = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))? ?([A-Z]{3})")
_INTEGER: Final = re.compile(r"-?\d{1,19}")
_TRUTH: Final = {"true": True, "false": False}


def lines_of(rows: Iterable[Row]) -> Iterator[bytes]:
    """A line of JSON for each row, as ``csv.DictReader`` reads them."""
    for row in rows:
        yield msgspec.json.encode(_members(row))


def _members(row: Row) -> dict[str, object]:
    types = _types_by_tag().get(str(row.get("type") or "").strip(), {})
    members: dict[str, object] = {}
    for column, cell in row.items():
        text = ", ".join(cell) if isinstance(cell, list) else cell or ""
        if text.strip():
            _put(members, column.strip(), text.strip(), types)
    return members


def _put(
    members: dict[str, object], column: str, text: str, types: Mapping[str, inspect.Type]
) -> None:
    name, _, rest = column.partition(".")
    kind = types.get(name)
    if not rest:
        members[name] = _value(text, kind)
        return
    inner = members.setdefault(name, {})
    if not isinstance(inner, dict):
        return  # a cell says the whole member already
    if isinstance(kind, inspect.DictType):
        inner[rest] = _value(text, kind.value_type)
    else:
        _put(inner, rest, text, _types_of(kind))


def _value(text: str, kind: inspect.Type | None) -> object:
    if text[0] in "[{":
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    if isinstance(kind, inspect.ListType):
        return [_value(item.strip(), kind.item_type) for item in text.split("|") if item.strip()]
    if isinstance(kind, inspect.StructType) and kind.cls is Money:
        return _money(text)
    if isinstance(kind, inspect.IntType) and _INTEGER.fullmatch(text):
        return int(text)
    if isinstance(kind, inspect.BoolType):
        return _TRUTH.get(text.lower(), text)
    return text


def _money(text: str) -> object:
    found = _MONEY.fullmatch(text)
    if found is None:
        return text
    sign = -1 if found[1] else 1
    nanos = int((found[3] or "").ljust(9, "0"))
    return {"currency": found[4], "units": sign * int(found[2]), "nanos": sign * nanos}


def _types_of(kind: inspect.Type | None) -> dict[str, inspect.Type]:
    """Member -> its type, without what stands for its absence."""
    if not isinstance(kind, inspect.StructType):
        return {}
    return {field.encode_name: _bare(field.type) for field in kind.fields}


def _bare(kind: inspect.Type) -> inspect.Type:
    if isinstance(kind, inspect.Metadata):
        return _bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        some = [_bare(one) for one in kind.types]
        present = [one for one in some if not isinstance(one, inspect.NoneType)]
        return present[0] if len(present) == 1 else kind
    return kind


@cache
def _types_by_tag() -> dict[str, dict[str, inspect.Type]]:
    """Type of a line -> its members' types."""
    infos = {str(line.__struct_config__.tag): inspect.type_info(line) for line in LINES}
    return {tag: _types_of(_bare(info)) for tag, info in infos.items()}
