"""What a core service tells of people."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from ringwork.ads.model import Category
from ringwork.ads.requests import TimeUs
from ringwork.kernel.history import Deed, Service

BATCH_MAX: Final = 100
"""Things done in one batch: each is sealed, so that a batch takes a few milliseconds."""


class PersonEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that a person did on a core service."""

    person: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~:@+-]{1,128}$", examples=["u-4711"])]
    """Personal: the platform's own id of the person. It is written nowhere; the event is of the
    subject `person/<id>`, by which it is erased."""
    service: Service
    kind: Deed
    topic: Category
    """Of the content or product taxonomy: what was looked at, searched for, bought."""
    at_us: TimeUs


class PersonEvents(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch: a fault in one of them refuses all."""

    events: Annotated[list[PersonEvent], Meta(min_length=1, max_length=BATCH_MAX)]


class EventsTaken(Struct, frozen=True):
    """What became of a batch."""

    recorded: int
    left_out: int
    """Of people who have not consented to personalised advertising, or about special topics."""
