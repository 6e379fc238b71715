"""What a request may know of a person, as plain values that the parts hand each other.

``consent`` decides and is the only one that can make a grant hold; ``flow`` acts on the tier in the
open; who reads history hands a grant to a ``HistoryReader``, which takes no subject: what is read
is what the grant names (specs: "How the purpose-bound grant travels").
"""

from __future__ import annotations

from typing import Final, Literal, Protocol, get_args

from msgspec import Struct

Tier = Literal["subscriber", "consented", "less-personalised", "general"]
"""Who asks: pays and sees no ads, consented on every condition, refused (or undecided, or a minor),
not even decidable."""

Purpose = Literal["advertise", "measure", "converse"]
"""Personalised advertising, measuring it, conversations with a business."""

PURPOSES: Final[tuple[Purpose, ...]] = get_args(Purpose)


class Grant(Struct, frozen=True, gc=False):
    """Leave to read one person's data, for one request and a moment (at most two seconds).

    ``tag`` is the authority's HMAC over the other members: one that is built by hand does not hold.
    """

    subject: bytes
    """The person's pseudonym, 16 bytes."""
    purposes: tuple[Purpose, ...]
    services: tuple[str, ...]
    """The core services whose history may be read, the asking one first."""
    epoch: int
    """The subject's epoch when it was given: any later decision of the person ends it."""
    expires_us: int
    request_id: bytes
    tag: bytes = b""


class Terms(Struct, frozen=True, gc=False):
    """What one request may use."""

    tier: Tier
    reasons: tuple[str, ...]
    """Codes of every rule that applied, the deciding one first."""
    measurement_allowed: bool = False
    demographics_allowed: bool = False
    """Age band and declared gender; needs the publisher's recorded basis."""
    region_is_precise: bool = False
    """Finer than a city: special feature 1 of TCF."""
    visit_window_s: int = 0
    """How long a visit is remembered; 0 where nothing may be stored on the device."""
    epoch: int = 0
    grant: Grant | None = None
    """In the tier ``consented`` alone."""


class GrantRefused(Exception):
    """A grant that does not hold here. ``reason`` is a code, for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class GrantVerifier(Protocol):
    """Whether a grant holds now."""

    def verify(self, grant: Grant, *, purpose: Purpose, service: str, request_id: bytes) -> None:
        """Raises GrantRefused: forged, expired, of another request, purpose or service, ended."""
        ...
