"""What every form of an item does: read what was sent, give the command, or say what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec
from litestar.response import Redirect
from msgspec import Struct

from ringwork.ads.creatives import Finding
from ringwork.ads.lifecycle import Actor
from ringwork.console.answers import moved
from ringwork.console.asked import field, text
from ringwork.console.commands import Commands, Outcome
from ringwork.console.forms.body import Button, Remark
from ringwork.console.forms.members import Group, Option
from ringwork.console.forms.reading import Read, Typed, placed, read_changes
from ringwork.console.forms.sent import sent
from ringwork.console.views.life import DONE, Paged, item_href
from ringwork.kernel.errors import Fault, Invalid, NotFound
from ringwork.kernel.journal import Command
from ringwork.web.app import HttpRequest

SAVE: Final = Button(name="do", value="save", text="Save", is_main=True)
CHECK: Final = Button(name="do", value="check", text="Check only")
FIRST: Final = {
    "draft": Button(name="do", value="draft", text="Create as a draft", is_main=True),
    "review": Button(name="do", value="review", text="Create and send to review"),
    "active": Button(name="do", value="active", text="Create and go live"),
}
"""The statuses to be created in."""

_ADVERTISERS: Final = 200
_Item = TypeVar("_Item", bound=Struct)
_Asked = TypeVar("_Asked", bound=Struct)


class Said(Struct, frozen=True, kw_only=True):
    """What is said of a form that comes back."""

    faults: Mapping[str, str] = {}
    remarks: Mapping[str, list[Remark]] = {}
    trouble: str = ""
    good: str = ""
    status: int = 200


def advertiser_options(commands: Commands) -> list[Option]:
    """The newest advertisers, to be offered; the id of any other can be typed."""
    known = islice(reversed(commands.api.catalogue.advertisers.values()), _ADVERTISERS)
    return [Option(one.id, one.name) for one in known]


def first_buttons(commands: Commands, request: HttpRequest) -> list[Button]:
    """The ways to create: straight to live only for who may approve."""
    ways = ("draft", "review", "active") if commands.may_approve(request) else ("draft", "review")
    return [FIRST[way] for way in ways]


def known(noun: str, among: Mapping[str, _Item], id: str) -> _Item:
    """The item with this id; NotFound."""
    item = among.get(id)
    if item is None:
        raise NotFound(f"no {noun} {id[:64]}")
    return item


def seen(item: Struct) -> str:
    """A mark of an item as it is: a form of another one would undo what came between."""
    return sha256(msgspec.json.encode(item)).hexdigest()[:16]


async def chosen(request: HttpRequest, buttons: Mapping[str, Button]) -> str:
    """Which button sent the form."""
    value = await field(request, "do")
    if value not in buttons:
        raise Invalid(f"do: one of {', '.join(buttons)} is expected, got {value[:40]!r}", [])
    return value


def converted(
    read: Read, file_faults: Mapping[str, str], kind: type[_Asked]
) -> tuple[Said, _Asked | None]:
    """What is asked for, or what is wrong with it."""
    faults = {**read.faults, **file_faults}
    if faults:
        return Said(faults=faults, status=422), None
    return Said(), asked_for(read.values, kind)


def asked_for(values: Mapping[str, Any], kind: type[_Asked]) -> _Asked:
    """The values as the API's own body; Invalid for what no form sends."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise Invalid(str(error), [Fault("", str(error))]) from None


def said_of(groups: Sequence[Group], outcome: Outcome) -> Said:
    """A refusal, at the members that it is about."""
    faults, others = placed(groups, outcome.faults)
    trouble = ". ".join(filter(None, (outcome.trouble, *others)))
    return Said(faults=faults, trouble=trouble, status=outcome.status)


def checked(groups: Sequence[Group], found: Sequence[Finding]) -> Said:
    """The findings of a check that creates nothing."""
    errors = [
        Fault(one.pointer, f"expected {one.expected}; found {one.found}")
        for one in found
        if one.severity == "error"
    ]
    faults, others = placed(groups, errors)
    remarks: dict[str, list[Remark]] = {}
    for one in found:
        if one.severity == "warning":
            remarks.setdefault(one.pointer, []).append(Remark(one.expected, one.found))
    good = "" if errors else "The check found nothing that would keep it from being taken."
    return Said(faults=faults, remarks=remarks, trouble=". ".join(others), good=good)


async def change(
    request: HttpRequest,
    commands: Commands,
    groups: Sequence[Group],
    item: Struct,
    kind: type[_Asked],
    decide: Callable[[Command, _Asked, Actor], Struct],
) -> tuple[Typed, Said | None]:
    """Change an item as its form says; None where that succeeded."""
    given = await sent(request, groups)
    if await field(request, "seen") != seen(item):
        text = (
            "It was changed while this form was open. What you typed stands here, over what is in "
            "force now: look at it again and save it."
        )
        return given.typed, Said(trouble=text, status=409)
    read = read_changes(groups, given.typed, msgspec.to_builtins(item), type(item))
    said, asked = converted(read, given.faults, kind)
    if asked is None:
        return given.typed, said
    outcome = await commands.run(
        request, read.values, lambda command, actor: decide(command, asked, actor)
    )
    return given.typed, None if outcome.is_done else said_of(groups, outcome)


def done(noun: Paged, id: str, what: str) -> Redirect:
    """On to the item's page, which says what was done."""
    return moved(f"{item_href(noun, id)}?done={what}")


def done_of(request: HttpRequest) -> str:
    """The sentence for what was just done; any other word says nothing."""
    return DONE.get(text(request, "done"), "")
