"""Consent: what people decided, whether saying no is as easy, and whether it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from ringwork.ads.behavioural.projections import DeniedRow
from ringwork.consent.inspection import CheckedDay
from ringwork.consent.merkle import DAY_US
from ringwork.console.charts import CORRIDOR
from ringwork.console.consent_facts import ConsentFacts
from ringwork.console.format import (
    MISSING,
    between,
    count,
    day,
    percent,
    plural,
    share,
    stamp,
)
from ringwork.console.intervals import wilson
from ringwork.console.pages import Bold, Page, Sentence, say
from ringwork.console.views.figures import Figure
from ringwork.console.views.served import (
    HIGH,
    Measure,
    ProofBody,
    TierRow,
    percentage,
    proof,
    served,
    tiers,
)

_STEPS: Final = ", steps"
ACTIONS: Final = ("grant", "refuse", "withdraw", "object", "erase", "declare")
_CHOICES: Final = {
    "personalised": "Consented to personalised ads",
    "less": "Refused them",
    "subscribe": "Took a subscription",
    "": "Have not chosen",
}
_REASONS: Final = {
    "ended": "the person decided anew meanwhile",
    "expired": "the grant was older than two seconds",
    "forged": "no authority made the grant",
    "other-request": "the grant was another request's",
    "other-purpose": "the grant does not name the purpose",
    "other-service": "the grant does not name the service",
    "tier": "the request was of no consenting person",
    "uncounted": "more than were kept apart",
}
_STATES: Final = {
    "pending": "waits for its first payment",
    "active": "paid",
    "past_due": "unpaid, in its days of grace",
    "ending": "cancelled, runs to the end of its period",
    "expired": "over",
    "refunded": "over, paid back",
}
BREACHES: Final = {
    "gone": "a log file that it needs was removed",
    "count": "records of the day are missing",
    "root": "the root is not that of the day's records",
    "previous": "it does not follow the day before: one was left out",
    "key": "it is signed by another key",
    "signature": "the signature is not this key's",
    "unasked": "too large for a page",
}
"""What is wrong with a day's seal."""


class DayRow(Struct, frozen=True, kw_only=True):
    """The decisions of a day."""

    day: str
    counts: list[int]
    """In the order of ``ACTIONS``."""
    yes: float
    """Grants among grants and refusals."""
    title: str


class ChoiceRow(Struct, frozen=True, kw_only=True):
    """What became of those who were asked."""

    words: str
    people: int
    share: float
    percent: str
    interval: str


class DeniedLine(Struct, frozen=True, kw_only=True):
    """Denied reads of one kind."""

    purpose: str
    service: str
    reason: str
    words: str
    count: int


class SealBody(Struct, frozen=True, kw_only=True):
    """A day's signed tree and what the check of it came to."""

    day: str
    records: int
    root: str
    previous: str
    key_id: str
    signature: str
    tag: str
    word: str
    breach: str


class Consent(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    tiers: list[TierRow]
    proof: ProofBody | None

    figures: list[Figure]
    choices: list[ChoiceRow]
    measures: list[Measure]
    days: list[DayRow]
    totals: list[int]
    denied: list[DeniedLine]
    denied_count: int
    subscriptions: list[tuple[str, str, int]]
    seal: SealBody | None
    open_records: int
    fault: str
    """What is wrong with the id that was typed into the look-up."""


def consent(facts: ConsentFacts, *, fault: str = "", done: str = "") -> Page:
    """The page from its facts."""
    totals = _totals(facts)
    denied = [_denied(row) for row in facts.denied]
    seal = seal_of(facts.sealed_day) if facts.sealed_day else None
    measures = _measures(facts)
    return Page(
        name="consent",
        title="Consent",
        question="Is saying no as easy as saying yes, and does what people decided hold?",
        answer=_answer(totals, measures, seal),
        now_us=facts.now_us,
        body=Consent(
            tiers=tiers(facts),
            proof=proof(facts.last_proof),
            figures=_figures(facts, totals, sum(row.count for row in facts.denied)),
            choices=_choices(facts.asked),
            measures=measures,
            days=_days(facts),
            totals=[totals[action] for action in ACTIONS],
            denied=denied,
            denied_count=sum(row.count for row in facts.denied),
            subscriptions=[
                (state, words, facts.subscriptions[state])
                for state, words in _STATES.items()
                if facts.subscriptions.get(state)
            ],
            seal=seal,
            open_records=facts.open_records,
            fault=fault,
        ),
        notes=(
            f"{day(facts.first_day * DAY_US)} until now, days are UTC's",
            f"as of {stamp(facts.now_us)}",
        ),
        command="ringwork consent ledger verify",
        status=422 if fault else 200,
        done=done,
    )


def _totals(facts: ConsentFacts) -> dict[str, int]:
    totals = dict.fromkeys(ACTIONS, 0)
    for one in facts.days:
        totals[one.action] = totals.get(one.action, 0) + one.count
    return totals


def _answer(totals: Mapping[str, int], measures: list[Measure], seal: SealBody | None) -> Sentence:
    if not any(totals.values()):
        decided: tuple[str | Bold, ...] = ("Nobody decided anything in this time.",)
    else:
        decided = (
            Bold(plural(totals["grant"], "grant")),
            ", ",
            Bold(plural(totals["refuse"], "refusal")),
            f" and {plural(totals['withdraw'], 'withdrawal')} were recorded.",
        )
    harder = [one for one in measures if one.tag == "bad"]
    easy = ""
    if harder:
        easy = f" {harder[0].title.partition(';')[0]}."
    elif any(one.name.endswith(_STEPS) for one in measures):
        easy = " Saying no is as easy as saying yes, by its steps."
    if seal is None:
        return say(*decided, easy, " No day has been sealed yet.")
    if seal.breach:
        return say(*decided, easy, Bold(f" The seal of {seal.day} does not hold: {seal.breach}."))
    return say(*decided, easy, f" The seal of {seal.day} holds.")


def _figures(facts: ConsentFacts, totals: Mapping[str, int], denied: int) -> list[Figure]:
    asked = sum(facts.asked.values())
    yes = facts.asked.get("personalised", 0)
    interval = between(*map(percentage, wilson(yes, asked)))
    decisions = sum(totals.values())
    return [
        Figure(
            key="asked", label="Consented when asked", value=share(yes, asked),
            unit="%" if asked else "",
            note=f"95 % interval {interval} of {plural(asked, 'person', 'people')}"
            if asked else "nobody was asked by the choice page",
        ),
        Figure(
            key="decisions", label="Decisions", value=count(decisions),
            note=f"{plural(facts.people, 'person is', 'people are')} known to the ledger in all",
        ),
        Figure(
            key="withdrawn", label="Withdrawals and objections",
            value=count(totals["withdraw"] + totals["object"]),
            note="each in effect before it was answered",
        ),
        Figure(
            key="denied", label="Denied reads of history", value=count(denied),
            note="nothing of a person was read in any",
        ),
    ]  # fmt: skip


def _choices(asked: Mapping[str, int]) -> list[ChoiceRow]:
    total = sum(asked.values())
    if not total:
        return []
    known = {name: asked.get(name, 0) for name in _CHOICES}
    others = {name: people for name, people in asked.items() if name not in _CHOICES}
    rows = []
    for name, people in (known | others).items():
        low, high = wilson(people, total)
        rows.append(
            ChoiceRow(
                words=_CHOICES.get(name, name),
                people=people,
                share=people / total,
                percent=share(people, total),
                interval=between(percentage(low), percentage(high)),
            )
        )
    return rows


def _measures(facts: ConsentFacts) -> list[Measure]:
    """Each measure that exists for both sides: who refused against who consented."""
    return [*_steps(facts), *served(facts)]


def _steps(facts: ConsentFacts) -> list[Measure]:
    """How many steps it takes to say no, beside consenting."""
    means: dict[str, float] = {}
    for action in ("grant", "refuse", "withdraw", "object"):
        rows = [one for one in facts.days if one.action == action]
        number = sum(one.count for one in rows)
        if number:
            means[action] = sum(one.steps for one in rows) / number
    names = {"refuse": "Refusing", "withdraw": "Withdrawing", "object": "Objecting"}
    if "grant" not in means:
        return []
    return [
        _measure(name, means[action], means["grant"])
        for action, name in names.items()
        if action in means
    ]


def _measure(name: str, refused: float, consented: float) -> Measure:
    """Fewer steps to say no are never a fault."""
    ratio = refused / consented
    is_harder = ratio > HIGH
    tag, verdict = ("bad", "harder") if is_harder else ("good", "as easy")
    if ratio < CORRIDOR[0]:
        tag, verdict = "good", "easier"
    return Measure(
        name=f"{name}{_STEPS}",
        refused=f"{refused:.2f}",
        consented=f"{consented:.2f}",
        ratio=ratio,
        text=f"{ratio:.2f}",
        tag=tag,
        verdict=verdict,
        title=f"{name} takes {ratio:.2f} times the steps of consenting; at most {HIGH:.2f}",
    )


def _days(facts: ConsentFacts) -> list[DayRow]:
    counts: dict[int, dict[str, int]] = {}
    for one in facts.days:
        counts.setdefault(one.day, {})[one.action] = one.count
    rows = []
    for number, of in sorted(counts.items(), reverse=True):
        yes, no = of.get("grant", 0), of.get("refuse", 0)
        text = day(number * DAY_US)
        rows.append(
            DayRow(
                day=text,
                counts=[of.get(action, 0) for action in ACTIONS],
                yes=yes / (yes + no) if yes + no else 0.0,
                title=f"{text}: {percent(yes, yes + no)} of grants and refusals were grants"
                if yes + no
                else f"{text}: neither a grant nor a refusal",
            )
        )
    return rows


def _denied(row: DeniedRow) -> DeniedLine:
    return DeniedLine(
        purpose=row.purpose or MISSING,
        service=row.service or MISSING,
        reason=row.reason,
        words=_REASONS.get(row.reason, row.reason),
        count=row.count,
    )


def seal_of(checked: CheckedDay) -> SealBody:
    """A day's tree as a page shows it."""
    tree = checked.tree
    if checked.breach in ("unasked", "gone"):
        tag, word = "off", "not checked here"
    elif checked.breach:
        tag, word = "bad", "broken"
    elif tree.is_open:
        tag, word = "open", "open: signed as it stands"
    else:
        tag, word = "good", "sealed, signature holds"
    return SealBody(
        day=day(tree.day * DAY_US),
        records=tree.count,
        root=tree.root,
        previous=tree.previous,
        key_id=tree.key_id,
        signature=tree.signature,
        tag=tag,
        word=word,
        breach=BREACHES[checked.breach] if checked.breach else "",
    )
