"""The facts of the consent ledger. Members are appended, never edited."""

from __future__ import annotations

from typing import ClassVar, Final

from ringwork.consent.proof_runs import ConsentProved
from ringwork.kernel.events import Event


class ConsentRecorded(Event, frozen=True, array_like=True):
    """A person decided; the envelope's subject is the pseudonym, its time is when.

    ``hash`` continues the person's chain; ``signal`` is the raw signal that came with it, sealed.
    """

    TYPE: ClassVar[str] = "consent_recorded"
    PERSONAL: ClassVar[tuple[str, ...]] = ("signal",)
    RETENTION: ClassVar[str] = "as long as the consent has to be demonstrated (GDPR 7(1))"
    number: int
    """Of the person's records, from 1 on."""
    action: str
    purposes: tuple[str, ...]
    services: tuple[tuple[str, str], ...]
    """Joins, (from, to)."""
    basis: str
    notice: str
    """SHA-256 of the text that was shown, in hex."""
    notice_version: str
    surface: str
    steps: int
    asked: bool
    """Whether the person was asked; else they came by themselves."""
    locale: str
    minor: bool | None
    signal_kind: str
    signal: bytes | None
    actor: str
    """Who gave the command: the id of an API key, ``local`` for the owner's socket."""
    prev_hash: bytes
    hash: bytes


class ConsentDaySealed(Event, frozen=True, array_like=True):
    """The records since the last seal, as one signed Merkle root."""

    TYPE: ClassVar[str] = "consent_day_sealed"
    RETENTION: ClassVar[str] = "as long as the records that it proves"
    day: int
    """Days since 1970-01-01, UTC."""
    count: int
    root: bytes
    previous: bytes
    """Hash of the last seal's statement, so that no day can be left out."""
    key_id: str
    signature: bytes
    """Ed25519, of the statement (``consent.merkle.statement``)."""


class AdsFreeCounted(Event, frozen=True, array_like=True):
    """How often subscribers' pages asked since the last count: all that is kept of it.

    No page, no person and no moment: a minute's requests are one number.
    """

    TYPE: ClassVar[str] = "ads_free_counted"
    requests: int


EVENTS: Final[tuple[type[Event], ...]] = (
    ConsentRecorded,
    ConsentDaySealed,
    AdsFreeCounted,
    ConsentProved,
)
