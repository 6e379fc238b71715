"""Who changed what, and when: the rows of a change history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.console.facts import ChangeFacts
from ringwork.console.format import MISSING
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
