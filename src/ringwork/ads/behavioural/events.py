"""What people did and were shown, and what was refused to be read of it."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec
from msgspec import Struct

from ringwork.kernel.events import Event
from ringwork.kernel.purpose import Purpose

KEPT: Final = "as long as its person's key; the history forgets it after `history.retention_days`"
PURPOSE: Final[Purpose] = "advertise"
"""What the envelope of the events of a person says that they are for."""


class Done(Struct, frozen=True, array_like=True):
    """What is sealed in ``PersonActed``."""

    kind: str
    topic: str
    at_s: int


class Shown(Struct, frozen=True, array_like=True):
    """One ad of what is sealed in ``PersonReached``."""

    campaign_id: str
    advertiser_id: str


class PersonActed(Event, frozen=True, array_like=True):
    """The envelope's subject did something on a core service; what, and when, is sealed."""

    TYPE: ClassVar[str] = "person_acted"
    PERSONAL: ClassVar[tuple[str, ...]] = ("details",)
    RETENTION: ClassVar[str] = KEPT
    service: str
    details: bytes
    """Ciphertext of ``Done``."""


class PersonReached(Event, frozen=True, array_like=True):
    """The envelope's subject, who consented, was sold ads; which ones is sealed."""

    TYPE: ClassVar[str] = "person_reached"
    PERSONAL: ClassVar[tuple[str, ...]] = ("details",)
    RETENTION: ClassVar[str] = KEPT
    service: str
    details: bytes
    """Ciphertext of a list of ``Shown``."""


class GrantDenied(Event, frozen=True, array_like=True):
    """History was not read: the grant did not hold there. Names nobody.

    ``reason`` is the verifier's code, ``tier`` where the request at work was of no consenting
    person, or ``uncounted``: ``count`` more were denied than were kept apart.
    """

    TYPE: ClassVar[str] = "grant_denied"
    RETENTION: ClassVar[str] = "as long as audits of consent need it"
    purpose: str
    service: str
    """The one that asked."""
    reason: str
    count: int = 1


EVENTS: tuple[type[Event], ...] = (PersonActed, PersonReached, GrantDenied)

decode_done: Final = msgspec.msgpack.Decoder(Done).decode
decode_shown: Final = msgspec.msgpack.Decoder(list[Shown]).decode
