"""Receipts and views: what people get to see of the ledger, from its records alone."""

from __future__ import annotations

from datetime import UTC, datetime

from ringwork.consent.events import ConsentRecorded
from ringwork.consent.ledger import ConsentLedger
from ringwork.consent.model import NEVER_US, Join, item, locked_until_us
from ringwork.consent.requests import (
    Collection,
    ConsentView,
    Notice,
    Processing,
    Prompt,
    PromptPurpose,
    PurposeView,
    Receipt,
    Way,
)
from ringwork.kernel.ids import format_id
from ringwork.kernel.purpose import PURPOSES

SCHEMA = "ringwork-consent-receipt-1 (ISO/IEC TS 27560:2023)"
PATH = "/v1/consent"


def time_text(ts_us: int) -> str:
    """RFC 3339 in UTC, with whole seconds rounded up: never before the moment itself."""
    moment = datetime.fromtimestamp(-(-ts_us // 1_000_000), UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def receipt_of(event: ConsentRecorded, *, id: bytes, subject: bytes, ts_us: int) -> Receipt:
    """The receipt of a record: the same each time that it is asked for."""
    joins = [Join(*pair) for pair in event.services]
    named = event.purposes or (PURPOSES if joins else ())
    return Receipt(
        schema=SCHEMA,
        receipt_id=format_id(id),
        principal=subject.hex(),
        number=event.number,
        action=event.action,
        recorded_at=time_text(ts_us),
        minor=event.minor,
        notice=Notice(event.notice, event.notice_version, event.locale),
        processing=[Processing(purpose, event.basis, joins) for purpose in named],
        collection=Collection(event.surface, event.steps, event.asked, event.signal_kind),
        undo=Way("POST", PATH, "withdraw" if event.action == "grant" else "grant", event.steps),
        prev_hash=event.prev_hash.hex(),
        hash=event.hash.hex(),
    )


def view_of(ledger: ConsentLedger, subject: bytes, now_us: int) -> ConsentView:
    """What holds for a person."""
    state, standing = ledger.state(subject, now_us), ledger.standing(subject)
    purposes = []
    for purpose in PURPOSES:
        one = standing.decisions.get(purpose)
        status: str = "undecided" if one is None else one.status
        if status == "granted" and purpose not in state.granted:
            status = "expired"
        joins = sorted(Join(source, to) for of, source, to in state.joins if of == purpose)
        since = "" if one is None else time_text(one.since_us)
        purposes.append(PurposeView(purpose, status, since, joins))
    return ConsentView(
        subject.hex(), state.minor, purposes, standing.records, standing.head.hex(), state.epoch
    )


def prompt_of(ledger: ConsentLedger, subject: bytes, now_us: int, *, lock_us: int) -> Prompt:
    """Whether the person may be asked, and about what."""
    state, standing = ledger.state(subject, now_us), ledger.standing(subject)
    purposes = []
    for purpose in PURPOSES:
        until = locked_until_us(standing, [item(purpose)], lock_us=lock_us)
        one = standing.decisions.get(purpose)
        if state.minor and purpose == "advertise":
            reason, after = "minor", ""
        elif until == NEVER_US:
            reason, after = "objected", ""
        elif until > now_us:
            reason, after = "asked-too-soon", time_text(until)
        elif purpose in state.granted:
            reason, after = "granted", ""
        elif one is None:
            reason, after = "undecided", ""
        else:
            reason, after = ("expired" if one.status == "granted" else "may-ask-again"), ""
        may = reason in ("undecided", "expired", "may-ask-again")
        purposes.append(PromptPurpose(purpose, may, reason, after))
    may_ask = any(one.ask for one in purposes)
    locked = sorted(one.ask_again_after for one in purposes if one.ask_again_after)
    return Prompt(may_ask, locked[0] if locked and not may_ask else "", purposes)
