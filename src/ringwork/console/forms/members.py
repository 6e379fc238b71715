"""A member of a form: where its value goes, how it is written, what it may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from ringwork.console.forms.texts import TEXT, Codec, Value

Kind = Literal["text", "area", "select", "checks", "tick", "file"]

_INDEX: Final = "`$["


class Option(Struct, frozen=True):
    """One of the values that can be chosen."""

    value: str
    text: str


class Member(Struct, frozen=True, kw_only=True):
    """One input; ``pointer`` names its value in what the API takes, and the input itself."""

    pointer: str
    label: str
    kind: Kind = "text"
    codec: Codec = TEXT
    hint: str = ""
    expected: str = ""
    """What one value must be, in words, where the type's own words would be a pattern."""
    options: tuple[Option, ...] = ()
    """Of a select or of checks; of a text they are offered and not binding."""
    size: int = 0
    """Characters that the input has room for; of an area, its lines."""
    is_needed: bool = False
    is_file: bool = False
    """A file may be given instead of the text."""
    is_apart: bool = False
    """It is asked for, and is no member of the item: nothing is shown of it, and what is typed is
    always sent."""
    empty: Literal["null", "absent", "value"] = "value"
    """What nothing typed means: null, the member left out, or the codec's own empty value."""


class Group(Struct, frozen=True, kw_only=True):
    """Members under one heading."""

    title: str
    members: tuple[Member, ...]
    lede: str = ""


def options(*pairs: tuple[str, str]) -> tuple[Option, ...]:
    """Values with their words."""
    return tuple(Option(value, text) for value, text in pairs)


def id_of(pointer: str) -> str:
    """The id of an input's element.

    >>> id_of("/targeting/excluded/sites")
    'f-targeting-excluded-sites'
    """
    return "f" + pointer.replace("/", "-").replace("_", "-")


def steps_of(pointer: str) -> list[str]:
    """The names on the way to a member."""
    return pointer.split("/")[1:]


def value_at(item: Mapping[str, Any], pointer: str) -> Value:
    """The value that a pointer names in an item as JSON has it."""
    value: Any = item
    for step in steps_of(pointer):
        value = value[step]
    return value


def put_at(item: dict[str, Any], pointer: str, value: Value) -> None:
    """Set it there, making the objects on the way."""
    *way, last = steps_of(pointer)
    for step in way:
        item = item.setdefault(step, {})
    item[last] = value


def type_at(kind: type[Struct], pointer: str) -> Any:
    """The type of the member that a pointer names in a struct."""
    found: Any = kind
    for step in steps_of(pointer):
        found = next(one.type for one in msgspec.structs.fields(found) if one.name == step)
    return found


def fault_of(member: Member, kind: type[Struct], value: Value) -> str:
    """Why the value is not one of the member's type, in words; empty where it is."""
    try:
        msgspec.convert(value, type_at(kind, member.pointer))
    except msgspec.ValidationError as error:
        return _in_words(member, value, str(error))
    return ""


def _in_words(member: Member, value: Value, said: str) -> str:
    plain = said.partition(" - at ")[0].replace("`", "")
    plain = plain.replace("Expected str of length <=", "Expected a text of at most")
    plain = plain.replace("Expected array of length <=", "Expected at most")
    if member.expected and "length <=" not in said:
        plain = f"Expected {member.expected}"
    wrong = _wrong(value, said)
    return f"{plain}, got {wrong!r}" if wrong else plain


def _wrong(value: Value, said: str) -> str:
    """The value that did not fit, where it is one text among several, or the only one."""
    _, found, rest = said.partition(_INDEX)
    number = rest.partition("]")[0]
    if found and isinstance(value, Sequence) and number.isdigit() and int(number) < len(value):
        value = value[int(number)]
    return value[:60] if isinstance(value, str) else ""
