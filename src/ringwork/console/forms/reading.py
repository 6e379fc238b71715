"""What was typed into a form, read member by member: every fault is found, not only the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from msgspec import Struct

from ringwork.console.forms.members import (
    Group,
    Member,
    fault_of,
    put_at,
    steps_of,
    value_at,
)
from ringwork.kernel.errors import Fault

Typed = Mapping[str, Sequence[str]]
"""Pointer -> the texts of its input, as they were typed or as they are written for a value."""
Json = dict[str, Any]


class Read(Struct, frozen=True, kw_only=True):
    """The values, in the form of the API's bodies, and what is wrong by pointer."""

    values: Json
    faults: dict[str, str]


def members_of(groups: Sequence[Group]) -> Iterator[Member]:
    """All of them, in the order of the form."""
    for group in groups:
        yield from group.members


def written(groups: Sequence[Group], item: Mapping[str, Any]) -> dict[str, list[str]]:
    """The texts that a form shows for an item."""
    return {
        member.pointer: []
        if member.is_apart
        else member.codec.write(value_at(item, member.pointer))
        for member in members_of(groups)
    }


def read_new(groups: Sequence[Group], typed: Typed, kind: type[Struct]) -> Read:
    """A new item's values; ``kind`` is the struct whose members they are."""
    values: Json = {}
    faults: dict[str, str] = {}
    for member in members_of(groups):
        texts = typed.get(member.pointer, ())
        if _is_blank(texts) and member.is_needed:
            faults[member.pointer] = "Needed"
        elif not (_is_blank(texts) and member.empty == "absent"):
            _read(member, texts, kind, values, faults)
    return Read(values=values, faults=faults)


def read_changes(
    groups: Sequence[Group], typed: Typed, item: Mapping[str, Any], kind: type[Struct]
) -> Read:
    """What differs from the item as it was shown; members of a changed object come with it."""
    values: Json = {}
    faults: dict[str, str] = {}
    for member in members_of(groups):
        texts = typed.get(member.pointer, ())
        if member.is_apart:
            if not _is_blank(texts):
                put_at(values, member.pointer, member.codec.read(texts))
            continue
        if _plain(texts) == _plain(member.codec.write(value_at(item, member.pointer))):
            continue
        if _is_blank(texts) and (member.is_needed or member.empty == "absent"):
            faults[member.pointer] = "Needed"
            continue
        top = steps_of(member.pointer)[0]
        if top not in values and isinstance(item[top], dict) and member.pointer != f"/{top}":
            values[top] = deepcopy(item[top])
        _read(member, texts, kind, values, faults)
    return Read(values=values, faults=faults)


def _read(
    member: Member, texts: Sequence[str], kind: type[Struct], values: Json, faults: dict[str, str]
) -> None:
    try:
        value = None if _is_blank(texts) and member.empty == "null" else member.codec.read(texts)
    except ValueError as error:
        text = str(error)
        faults[member.pointer] = text[:1].upper() + text[1:]
        return
    said = fault_of(member, kind, value)
    if said:
        faults[member.pointer] = said
    else:
        put_at(values, member.pointer, value)


def placed(groups: Sequence[Group], found: Sequence[Fault]) -> tuple[dict[str, str], list[str]]:
    """Refusals at the members they are about, and those that are about none of this form."""
    pointers = sorted((member.pointer for member in members_of(groups)), key=len, reverse=True)
    faults: dict[str, str] = {}
    others: list[str] = []
    for fault in found:
        at = next((one for one in pointers if _is_within(fault.pointer, one)), None)
        text = fault.detail[:1].upper() + fault.detail[1:]
        if at is None:
            others.append(f"{fault.pointer}: {fault.detail}")
        else:
            faults[at] = f"{faults[at]}. {text}" if at in faults else text
    return faults, others


def _is_within(pointer: str, other: str) -> bool:
    return pointer == other or pointer.startswith(f"{other}/")


def _is_blank(texts: Sequence[str]) -> bool:
    return all(not text.strip() for text in texts)


def _plain(texts: Sequence[str]) -> list[str]:
    """Without what a browser or a person changes without meaning anything."""
    plain = [text.replace("\r\n", "\n").strip() for text in texts]
    return [text for text in plain if text]
