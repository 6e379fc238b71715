"""What the consent ledger's HTTP interface takes and gives."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from ringwork.consent.model import Action, Basis, Join
from ringwork.kernel.purpose import Purpose
from ringwork.kernel.viewer import PersonId

SIGNAL_MAX_CHARS = 32_768
"""As long as a TCF string may be."""


class RawSignal(Struct, frozen=True, forbid_unknown_fields=True):
    """The signal that carried the decision, as it came; kept sealed."""

    kind: Literal["tcf", "gpp", "gpc", "us-privacy", "other"]
    value: Annotated[str, Meta(min_length=1, max_length=SIGNAL_MAX_CHARS)]


class NewConsent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One decision of a person: the same shape for every action, so that no way is longer.

    Without purposes the services are meant for every purpose; ``erase`` and ``declare`` need none.
    """

    person: PersonId
    action: Action
    purposes: Annotated[tuple[Purpose, ...], Meta(max_length=3)] = ()
    services: Annotated[tuple[Join, ...], Meta(max_length=64)] = ()
    """Uses of one core service's data at another, each its own choice."""
    basis: Basis = "consent"
    notice: Annotated[
        str, Meta(pattern="^([0-9a-f]{64})?$", description="SHA-256 of the text that was shown")
    ] = ""
    notice_version: Annotated[str, Meta(max_length=64)] = ""
    surface: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9./-]{0,63})?$")] = ""
    """Where it was decided: `choice-page`, `settings`."""
    steps: Annotated[int, Meta(ge=1, le=20)] = 1
    """Clicks or taps that the decision took."""
    asked: bool = True
    """False where the person came by themselves: the re-ask lock is about asking."""
    locale: Annotated[str, Meta(pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3})?$")] = ""
    minor: bool | None = None
    """Whether the person is a minor, where that is known now."""
    decided_us: Annotated[int, Meta(ge=0, le=2**62)] | None = None
    """The client's clock at the decision; more than five minutes off is refused."""
    signal: RawSignal | None = None


class Notice(Struct, frozen=True):
    """The text that was shown."""

    sha256: str
    version: str
    locale: str


class Processing(Struct, frozen=True):
    """One purpose of the record, with the joins that were decided for it."""

    purpose: str
    basis: str
    services: list[Join]


class Collection(Struct, frozen=True):
    """How the decision was collected."""

    surface: str
    steps: int
    asked: bool
    signal_kind: str


class Way(Struct, frozen=True):
    """The request that undoes the decision: the same endpoint and the same number of steps."""

    method: str
    path: str
    action: str
    steps_max: int


class Receipt(Struct, frozen=True):
    """What the person gets (after ISO/IEC TS 27560): the record, its notice and its place."""

    schema: str
    receipt_id: str
    principal: str
    """The person's pseudonym, in hex."""
    number: int
    action: str
    recorded_at: str
    minor: bool | None
    notice: Notice
    processing: list[Processing]
    collection: Collection
    undo: Way
    prev_hash: str
    hash: str


class PurposeView(Struct, frozen=True):
    """What holds for one purpose."""

    purpose: str
    status: str
    """granted, refused, withdrawn, objected, expired or undecided."""
    since: str
    services: list[Join]
    """Joins that are granted with it."""


class ConsentView(Struct, frozen=True):
    """What holds for a person; one that nobody knows is undecided."""

    subject: str
    minor: bool
    purposes: list[PurposeView]
    records: int
    head: str
    epoch: int


class PromptPurpose(Struct, frozen=True):
    """Whether the person may be asked about a purpose."""

    purpose: str
    ask: bool
    reason: str
    """undecided, expired, may-ask-again, granted, asked-too-soon, objected or minor."""
    ask_again_after: str
    """RFC 3339; empty where asking is free, or never right."""


class Prompt(Struct, frozen=True):
    """Whether a choice page may come by itself now. Settings pages are always free."""

    ask: bool
    ask_again_after: str
    purposes: list[PromptPurpose]


class HeldRecord(Struct, frozen=True):
    """One record with what was sealed in it."""

    seq: int
    receipt: Receipt
    actor: str
    signal_kind: str
    signal: str | None
    """None where none came, or where it was erased."""


class Export(Struct, frozen=True):
    """Everything that the ledger holds about a person, a page of records at a time."""

    state: ConsentView
    records: list[HeldRecord]
    next: str | None
