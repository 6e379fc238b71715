"""The end of the audit log, and what a copy of it that lies elsewhere is good for."""

from __future__ import annotations

from msgspec import Struct

from ringwork.console.fairness_facts import LogFacts
from ringwork.console.format import MISSING, count, plural, stamp
from ringwork.console.pages import Bold, Page, say
from ringwork.console.views.fairness_words import ad_href
from ringwork.fairness.chronicle import Told

KINDS = {
    "genesis": "the log begins, with its key",
    "key": "another key from here on",
    "plan": "what is measured and promised",
    "tables": "census tables that the proxy reads",
    "model": "how the proxy blurs an attribute",
    "ad": "an ad, or a new audience of it",
    "release": "noisy sums of an ad were released",
    "control": "what the controller decided",
    "override": "a person took its place",
    "prior": "how far ads of the period differ",
    "budget": "what an ad's releases cost in privacy",
    "figure": "a variance was stated",
    "report": "coverage was reported, signed",
    "checkpoint": "a signature on all before it",
}


class RecordRow(Struct, frozen=True, kw_only=True):
    """One record without its body."""

    seq: int
    when: str
    kind: str
    words: str
    about: str
    href: str
    hash: str
    is_signed: bool


class FairnessLog(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    is_empty: bool
    line: str = ""
    log: str = ""
    seq: int = 0
    hash: str = ""
    first_key: str = ""
    key: str = ""
    keys: int = 0
    signed_through: int = 0
    unsigned: int = 0
    is_test_entropy: bool = False
    rows: list[RecordRow] = []
    file: str = ""


def fairness_log(facts: LogFacts | None, *, now_us: int) -> Page:
    """The page; None where no log has begun."""
    if facts is None or facts.head is None:
        return Page(
            name="fairness_log",
            title="Fairness log",
            question="Can somebody recompute every figure without us?",
            answer=say("No audit log has begun yet."),
            now_us=now_us,
            body=FairnessLog(is_empty=True),
            command="ringwork fairness log keygen",
        )
    head = facts.head
    unsigned = head.seq - facts.signed_through
    signed = (
        say(Bold("all of them vouched for by a signature")) if not unsigned
        else say(Bold(plural(unsigned, "record")), " signed by nobody yet")
    )  # fmt: skip
    return Page(
        name="fairness_log",
        title="Fairness log",
        question="Can somebody recompute every figure without us?",
        answer=say(
            "The log ",
            Bold(head.log),
            f" holds {plural(head.seq + 1, 'record')}, ",
            *[Bold(one.text) if one.bold else one.text for one in signed.parts],
            ". Publish its head elsewhere: only a copy there shows that nobody wrote it anew.",
        ),
        now_us=facts.now_us,
        body=FairnessLog(
            is_empty=False,
            line=head.line(),
            log=head.log,
            seq=head.seq,
            hash=head.hash,
            first_key=head.public_key,
            key=facts.public_key,
            keys=facts.keys,
            signed_through=facts.signed_through,
            unsigned=unsigned,
            is_test_entropy=facts.is_test_entropy,
            rows=[_row(one) for one in facts.newest],
            file=facts.file,
        ),
        notes=(f"{count(head.seq + 1)} records", f"as of {stamp(facts.now_us)}"),
        command=f"ringwork fairness log head {facts.file}",
    )


def _row(one: Told) -> RecordRow:
    is_ad = one.kind in ("ad", "release", "control", "override", "budget", "figure")
    return RecordRow(
        seq=one.seq,
        when=stamp(one.time_us),
        kind=one.kind,
        words=KINDS.get(one.kind, "a kind of a later version"),
        about=one.about or MISSING,
        href=ad_href(one.about) if is_ad and one.about else "",
        hash=one.hash,
        is_signed=one.is_signed,
    )
