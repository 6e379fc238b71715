"""One person's decisions with their proof; the person is a pseudonym here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ringwork.consent.inspection import Chain, CheckedRecord
from ringwork.consent.requests import PromptPurpose, PurposeView
from ringwork.consent.subscriptions.views import SubscriptionView
from ringwork.console.consent_facts import PersonFacts
from ringwork.console.format import MISSING, count, day, money, plural, stamp
from ringwork.console.pages import Bold, Page, Sentence, say
from ringwork.console.views.consent import SealBody, seal_of
from ringwork.kernel.purpose import PURPOSES

PURPOSE_WORDS: Final = {
    "advertise": "Personalised ads",
    "measure": "Ad measurement",
    "converse": "Conversations",
}
_STATUS_TAGS: Final = {
    "granted": "good",
    "refused": "off",
    "withdrawn": "off",
    "objected": "off",
    "expired": "open",
    "undecided": "open",
}
_ACTION_WORDS: Final = {
    "grant": "granted",
    "refuse": "refused",
    "withdraw": "withdrew",
    "object": "objected",
    "erase": "erased",
    "declare": "declared",
}
_ASKING: Final = {
    "undecided": "yes: never decided",
    "expired": "yes: the consent is too old",
    "may-ask-again": "yes: long enough ago",
    "granted": "no need: granted",
    "asked-too-soon": "not before",
    "objected": "never: objected",
    "minor": "never: a minor",
}
_CHAIN_BREACHES: Final = {
    "number": "a record is missing",
    "link": "its hash does not follow from the record before it",
    "head": "it is not the one that the ledger in memory ends with",
}
_RECORD_BREACHES: Final = {
    "gone": "log file removed",
    "record": "was changed",
    "chain": "not chained",
}
_LINKED: Final = {"active": "good", "past_due": "warn", "ending": "open", "pending": "open"}


class PurposeRow(Struct, frozen=True, kw_only=True):
    """What holds for one purpose, why, and until when."""

    words: str
    purpose: str
    tag: str
    status: str
    since: str
    number: int
    """Of the record that says so; 0 where none does."""
    until: str
    ask: str
    joins: str


class RecordRow(Struct, frozen=True, kw_only=True):
    """One decision."""

    number: int
    ts_us: int
    action: str
    purposes: list[str]
    joins: str
    notice: str
    """SHA-256 of the text; empty where none was named."""
    notice_id: str
    """Of the text on this page; empty where it is not known."""
    version: str
    how: str
    terms: str
    """The legal basis and the locale."""
    minor: str
    actor: str
    signal: str
    prev_hash: str
    hash: str
    tag: str
    word: str
    receipt_href: str
    proof_href: str


class NoticeRow(Struct, frozen=True, kw_only=True):
    """A text as it was shown."""

    id: str
    sha256: str
    version: str
    locale: str
    text: str


class SubscriptionRow(Struct, frozen=True, kw_only=True):
    """A subscription of the person's, or one that they share."""

    id: str
    plan: str
    tag: str
    state: str
    role: str
    until: str
    price: str


class PersonBody(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    path: str
    subject: str
    minor: str
    purposes: list[PurposeRow]
    chain_tag: str
    chain_word: str
    chain_note: str
    head: str
    records: list[RecordRow]
    record_count: int
    next_href: str
    first_href: str
    days: list[SealBody]
    notices: list[NoticeRow]
    subscriptions: list[SubscriptionRow]
    shows_subscriptions: bool
    choices: list[tuple[str, str]]
    """What a decision may be about: its value and its words."""
    key: str
    trouble: str
    fault: str


def person_href(subject: str) -> str:
    """A person's page; by pseudonym, since addresses end in logs."""
    return f"/console/people/{subject}"


def person(
    facts: PersonFacts, *, key: str, trouble: str = "", fault: str = "", status: int = 200,
    done: str = "",
) -> Page:  # fmt: skip
    """The page from its facts; ``key`` is that of the form that records a decision."""
    view, inspected = facts.view, facts.inspected
    path = person_href(view.subject)
    tag, word, note = _chain(inspected.chain, inspected.records)
    return Page(
        name="person",
        title="Person",
        subject=f"{view.subject[:8]}…{view.subject[-6:]}",
        entry="consent",
        question="What did they decide, what holds, and can it be shown?",
        answer=_answer(facts, tag, word),
        now_us=facts.now_us,
        body=PersonBody(
            path=path,
            subject=view.subject,
            minor={None: "not declared", True: "a minor", False: "an adult"}[facts.is_minor],
            purposes=[
                _purpose(facts, one, asked)
                for one, asked in zip(view.purposes, facts.prompt.purposes, strict=True)
            ],
            chain_tag=tag,
            chain_word=word,
            chain_note=note,
            head=view.head,
            records=[_record(facts, path, one) for one in inspected.records],
            record_count=inspected.chain.records,
            next_href=f"{path}?after={inspected.next}" if inspected.next else "",
            first_href=path if facts.after else "",
            days=[seal_of(one) for one in inspected.days],
            notices=[
                NoticeRow(
                    id=f"text-{hash[:12]}", sha256=hash, version=one.version, locale=one.locale,
                    text=one.text,
                )
                for hash, one in facts.notices.items()
            ],
            subscriptions=[_subscription(facts, one) for one in facts.subscriptions or ()],
            shows_subscriptions=facts.subscriptions is not None,
            choices=[("", "every purpose"), *((one, PURPOSE_WORDS[one]) for one in PURPOSES)],
            key=key,
            trouble=trouble,
            fault=fault,
        ),
        notes=("shown by pseudonym alone", f"as of {stamp(facts.now_us)}"),
        command="ringwork consent ledger show ID",
        status=status,
        done=done,
    )  # fmt: skip


def _answer(facts: PersonFacts, tag: str, word: str) -> Sentence:
    records = facts.inspected.chain.records
    if not records:
        return say(
            "Nothing is recorded of this person: every purpose is undecided, which allows nothing."
        )
    granted = [one.purpose for one in facts.view.purposes if one.status == "granted"]
    now = "nothing is granted."
    if granted:
        now = f"granted: {', '.join(PURPOSE_WORDS[one].lower() for one in granted)}."
    proof = Bold(f"The chain {word}." if tag == "bad" else f"Its chain {word}.")
    decided = plural(records, "decision stands", "decisions stand")
    return say(f"{decided} in the ledger; now ", Bold(now), " ", proof)


def _chain(chain: Chain, shown: Sequence[CheckedRecord]) -> tuple[str, str, str]:
    """Tag, verdict, and how much of it was looked at."""
    if chain.breach:
        where = f"record {count(chain.broken_at)}"
        return "bad", f"breaks at {where}", f"{where}: {_CHAIN_BREACHES[chain.breach]}."
    for one in shown:
        if one.breach and one.breach != "gone":
            note = f"Record {one.number} {_RECORD_BREACHES[one.breach]} in the log."
            return "bad", f"breaks at record {count(one.number)}", note
    if not chain.records:
        return "off", "is empty", ""
    if not chain.is_whole:
        note = f"The first {count(chain.links)} links were computed; the command checks all."
        return "open", "holds as far as it was looked at", note
    note = (
        f"{plural(chain.links, 'link', 'links')} computed again from the first to the last; the "
        "records of this page read from the log again."
    )
    return "good", "holds, link by link", note


def _purpose(facts: PersonFacts, one: PurposeView, asked: PromptPurpose) -> PurposeRow:
    since_us, number = facts.since.get(one.purpose, (0, 0))
    until = MISSING
    if one.status in ("granted", "expired"):
        until = day(since_us + facts.lasts_us)
    ask = _ASKING.get(asked.reason, asked.reason)
    if asked.ask_again_after:
        ask = f"{ask} {asked.ask_again_after.replace('T', ' ').replace('Z', ' UTC')}"
    return PurposeRow(
        words=PURPOSE_WORDS.get(one.purpose, one.purpose),
        purpose=one.purpose,
        tag=_STATUS_TAGS[one.status],
        status=one.status,
        since=stamp(since_us) if since_us else MISSING,
        number=number,
        until=until,
        ask=ask,
        joins=", ".join(f"{join.source} to {join.target}" for join in one.services) or MISSING,
    )


def _record(facts: PersonFacts, path: str, one: CheckedRecord) -> RecordRow:
    event, recorded = one.event, one.recorded
    word = _RECORD_BREACHES.get(one.breach, "holds")
    tag = "good" if not one.breach else "off" if one.breach == "gone" else "bad"
    if event is None or recorded is None:
        names = (
            "joins", "notice", "notice_id", "version", "how", "terms", "minor", "actor", "signal",
            "prev_hash", "hash", "receipt_href", "proof_href",
        )  # fmt: skip
        return RecordRow(
            number=one.number,
            ts_us=0,
            action=MISSING,
            purposes=[],
            tag=tag,
            word=word,
            **dict.fromkeys(names, ""),
        )
    asked = "asked" if event.asked else "by themselves"
    return RecordRow(
        number=one.number,
        ts_us=recorded.ts_us,
        action=_ACTION_WORDS.get(event.action, event.action),
        purposes=[PURPOSE_WORDS.get(each, each) for each in event.purposes]
        or ["Every purpose" if event.services else MISSING],
        joins=", ".join(f"{source} to {target}" for source, target in event.services),
        notice=event.notice,
        notice_id=f"text-{event.notice[:12]}" if event.notice in facts.notices else "",
        version=event.notice_version,
        how=f"{event.surface or 'unnamed surface'}, {plural(event.steps, 'step')}, {asked}",
        terms=f"{event.basis}, {event.locale}" if event.locale else event.basis,
        minor="" if event.minor is None else "a minor" if event.minor else "an adult",
        actor=event.actor or MISSING,
        signal=event.signal_kind,
        prev_hash=event.prev_hash.hex(),
        hash=event.hash.hex(),
        tag=tag,
        word=word,
        receipt_href=f"{path}/receipts/{one.number}",
        proof_href=f"{path}/proofs/{one.number}",
    )


def _subscription(facts: PersonFacts, one: SubscriptionView) -> SubscriptionRow:
    until = one.ads_free_until_us
    return SubscriptionRow(
        id=one.id,
        plan=one.plan,
        tag=_LINKED.get(one.state, "off"),
        state=one.state.replace("_", " "),
        role="subscriber" if one.person == facts.view.subject else "shares it",
        until=stamp(until) if until else MISSING,
        price=money(one.price_nanos, one.currency) if one.price_id else MISSING,
    )
