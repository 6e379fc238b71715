"""Who changed what, and when: the rows of a change history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.ads.projections import Kind
from ringwork.console.facts import ChangeFacts, ChangesFacts
from ringwork.console.format import MISSING, day, plural
from ringwork.console.pages import Bold, Page, say
from ringwork.console.views.life import item_href
from ringwork.kernel.money import NANOS

_ACTIONS: Final = {
    "create": "created",
    "change": "changed",
    "approve": "approved",
    "reject": "rejected",
    "return": "returned",
}
_BY: Final = {"": "the platform", "console": "console", "local": "owner's socket"}
_VALUE_MAX: Final = 80


class Changes(Struct, frozen=True, kw_only=True):
    """The body of the page of all changes of an item."""

    name: str
    href: str
    rows: list[ChangeRow]
    older_href: str


class ChangeRow(Struct, frozen=True, kw_only=True):
    """One command; ``members`` are (member, before, after)."""

    ts_us: int
    seq: int
    by: str
    action: str
    reason: str
    members: list[tuple[str, str, str]]


def change_rows(changes: Sequence[ChangeFacts]) -> list[ChangeRow]:
    """The rows, as they come: newest first."""
    return [
        ChangeRow(
            ts_us=one.ts_us,
            seq=one.seq,
            by=one.label or _BY.get(one.actor, one.actor),
            action=_ACTIONS.get(one.action, one.action),
            reason=one.reason,
            members=[
                (_name(member), _value(member, old), _value(member, new))
                for member, old, new in one.changes
            ],
        )
        for one in changes
    ]


def changes_href(noun: Kind, id: str, before: int) -> str:
    """The page of the changes before that sequence; empty where there are none."""
    return f"{item_href(noun, id)}/changes?before={before}" if before else ""


def changes(facts: ChangesFacts) -> Page:
    """A page of the history, newest first."""
    rows = change_rows(facts.lines)
    return Page(
        name="changes",
        title=f"Changes of {facts.noun}",
        subject=facts.id,
        question="Who changed what, and when?",
        answer=say(*_answer(facts, rows)),
        now_us=facts.now_us,
        body=Changes(
            name=facts.name,
            href=item_href(facts.noun, facts.id),
            rows=rows,
            older_href=changes_href(facts.noun, facts.id, facts.older),
        ),
        notes=("newest first",),
    )


def _answer(facts: ChangesFacts, rows: Sequence[ChangeRow]) -> list[str | Bold]:
    if not rows:
        return [f"Nothing more is told of {facts.name}."]
    newest, oldest = rows[0], rows[-1]
    told: list[str | Bold] = [Bold(plural(len(rows), "change")), f" of {facts.name}"]
    if len(rows) > 1:
        told.append(f" from {day(oldest.ts_us)} to {day(newest.ts_us)}")
    else:
        told.append(f" on {day(newest.ts_us)}")
    return [*told, f"; the newest by {newest.by}."]


def _name(pointer: str) -> str:
    return pointer.strip("/").replace("/", ", ").replace("_", " ")


def _value(pointer: str, raw: bytes) -> str:
    """A value as a person reads it, cut where it is long."""
    value = msgspec.json.decode(raw)
    if value is None or value == "":
        return MISSING
    if isinstance(value, dict) and value.keys() == {"currency", "units", "nanos"}:
        total = value["units"] * NANOS + value["nanos"]
        text = f"{total // NANOS}.{total % NANOS:09d}".rstrip("0").ljust(1)
        return f"{text.rstrip('.')} {value['currency']}"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _VALUE_MAX else f"{text[: _VALUE_MAX - 1]}…"
