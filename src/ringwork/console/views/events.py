"""One line of the log as a row of a table."""

from __future__ import annotations

from msgspec import Struct

from ringwork.console.views.words import Names, describe
from ringwork.kernel.events import Recorded
from ringwork.kernel.ids import format_id


class EventRow(Struct, frozen=True, kw_only=True):
    """An event in a table."""

    ts_us: int
    seq: int
    type: str
    what: str
    request_id: str
    id: str
    cause: str = ""
    """The type of the event that caused it; ``request`` for the first."""


def event_row(recorded: Recorded, names: Names, *, cause: str = "") -> EventRow:
    """The event as a row of a table."""
    return EventRow(
        ts_us=recorded.ts_us,
        seq=recorded.seq,
        type=event_type(recorded),
        what=describe(recorded.payload, names),
        request_id=format_id(recorded.request_id),
        id=format_id(recorded.id),
        cause=cause,
    )


def event_type(recorded: Recorded) -> str:
    """The event's name as the log has it."""
    return recorded.payload.TYPE
