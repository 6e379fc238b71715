"""One request: why this ad, and why this price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ringwork.ads.events import (
    AnswerTimed,
    AuctionCleared,
    ClickRecorded,
    Considered,
    ImpressionBilled,
    SlotOutcome,
)
from ringwork.ads.reads import reads_of
from ringwork.ads.why import FEATURES
from ringwork.console.facts import TraceFacts
from ringwork.console.format import (
    MISSING,
    count,
    day,
    duration,
    exact,
    millisecond,
    plural,
    price,
)
from ringwork.console.pages import Bold, Page, say
from ringwork.console.pricings import per_one
from ringwork.console.views.events import EventRow, event_row, event_type
from ringwork.console.views.price import (
    Recomputed,
    least_bid,
    more_to_win,
    recompute,
    winner_and_next,
)
from ringwork.console.views.reasons import reason_in_words
from ringwork.console.views.stages import Step, scale_text, steps
from ringwork.console.views.tiers import CSS, name_of, reasons_in_words
from ringwork.console.views.words import Names
from ringwork.kernel.events import Recorded
from ringwork.kernel.ids import format_id

_LINE: Final = 400
"""Events shown at most; a request has a handful, a bound is still a bound."""


class ScoreRow(Struct, frozen=True, kw_only=True):
    """A ranked ad; ``part`` is its score as a share of the best one."""

    name: str
    ad_id: str
    bid_nanos: int
    p_ppb: int
    quality_ppm: int
    shift_nanos: int
    score_nanos: int
    part: float
    more_nanos: int | None
    won: bool


class LeftRow(Struct, frozen=True, kw_only=True):
    """A reason that kept ads out of the race."""

    reason: str
    ads: int
    part: float


class WhatIf(Struct, frozen=True, kw_only=True):
    """Another course and what it would have led to."""

    course: str
    outcome: str
    note: str


class SlotBody(Struct, frozen=True, kw_only=True):
    """One place of the request."""

    id: str
    format: str
    sold: bool
    winner: str
    price: Recomputed | None
    reserve_nanos: int
    reserve_part: float
    what_ifs: list[WhatIf]
    scores: list[ScoreRow]
    chances: bool
    """Whether any of them is paid by click or conversion."""
    eligible: int
    left: list[LeftRow]
    left_count: int
    impression_id: str


class ReadRow(Struct, frozen=True, kw_only=True):
    """A member of the context, or a datum that is never read."""

    datum: str
    value: str
    verdict: str
    tag: str


class TierLine(Struct, frozen=True):
    """What the person's choice left of the request."""

    name: str
    css: str
    reasons: list[str]


class TraceBody(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    request_id: str
    currency: str
    steps: list[Step]
    scale: tuple[str, str]
    slots: list[SlotBody]
    read: list[ReadRow]
    tier: TierLine | None
    events: list[EventRow]


def trace(facts: TraceFacts) -> Page:
    """The page of one request; ``facts.events`` is not empty."""
    events = facts.events[:_LINE]
    recorded = next((e for e in events if isinstance(e.payload, AuctionCleared)), None)
    cleared = recorded.payload if recorded else None
    assert cleared is None or isinstance(cleared, AuctionCleared)
    disk_ns = next((e.payload.disk_ns for e in events if isinstance(e.payload, AnswerTimed)), None)
    way, top = steps(cleared, disk_ns) if cleared else ([], 0)
    body = TraceBody(
        request_id=facts.request_id,
        currency=cleared.currency if cleared else "",
        steps=way,
        scale=scale_text(top),
        slots=[_slot(slot, facts.names) for slot in cleared.slots] if cleared else [],
        read=_read(cleared) if cleared else [],
        tier=_tier(cleared) if cleared else None,
        events=_caused(events, facts.names),
    )
    return Page(
        name="trace",
        title="Request",
        subject=facts.request_id,
        question="Why this ad, and why this price?" if cleared else "What happened?",
        answer=say(*_answer(cleared, events, facts.names)),
        now_us=facts.now_us,
        body=body,
        notes=_notes(events, cleared, disk_ns),
        command=f"ringwork trace {facts.request_id}",
    )


def _answer(
    cleared: AuctionCleared | None, events: Sequence[Recorded], names: Names
) -> list[str | Bold]:
    if cleared is None:
        return [
            f"No ad was asked for; the log holds {plural(len(events), 'event')} of this request."
        ]
    sold = [slot for slot in cleared.slots if slot.ad_id]
    if not sold:
        return _unsold(cleared)
    first = sold[0]
    name = names.get(first.campaign_id, first.campaign_id)
    per = "" if first.pricing == "cpm" else f" {per_one(first.pricing)}"
    best = f"the best score of {plural(first.eligible, 'eligible ad')}"
    parts: list[str | Bold] = [
        Bold(name),
        f" won with {best}. It pays ",
        Bold(price(first.price_nanos, cleared.currency)),
        f"{per}, {_price_reason(first)}",
    ]
    if len(sold) > 1:
        parts.append(f", and {plural(len(sold) - 1, 'more place was', 'more places were')} sold")
    parts.append(". ")
    parts.append(_shown(events))
    return parts


def _price_reason(slot: SlotOutcome) -> str:
    if slot.rule == "first" or slot.charge_bid:
        return "what it bid"
    pair = winner_and_next(slot)
    if pair and least_bid(pair[0], 1, slot.reserve_nanos) == slot.price_nanos:
        return "the reserve of this place"
    return "the least that keeps its place"


def _shown(events: Sequence[Recorded]) -> str:
    if any(isinstance(e.payload, ClickRecorded) for e in events):
        return "It was shown and clicked."
    if any(isinstance(e.payload, ImpressionBilled) for e in events):
        return "It was shown and billed once."
    return "It has not been shown yet; until then nothing is charged."


def _unsold(cleared: AuctionCleared) -> list[str | Bold]:
    eligible = sum(slot.eligible for slot in cleared.slots)
    left: dict[str, int] = {}
    for slot in cleared.slots:
        for reason, ads in slot.excluded.items():
            left[reason] = left.get(reason, 0) + ads
    parts: list[str | Bold] = [Bold("Nothing was sold.")]
    if eligible:
        return [*parts, f" {plural(eligible, 'ad')} fitted, but none could be sold."]
    if not left:
        return [*parts, " There was no ad to offer."]
    reason, most = max(left.items(), key=lambda pair: pair[1])
    return [
        *parts,
        f" All {plural(sum(left.values()), 'ad')} left the race early, most for this reason: ",
        f"{reason_in_words(reason)[:1].lower()}{reason_in_words(reason)[1:]} ({count(most)}).",
    ]


def _notes(
    events: Sequence[Recorded], cleared: AuctionCleared | None, disk_ns: int | None
) -> tuple[str, ...]:
    first = events[0]
    notes = [f"{day(first.ts_us)}, {millisecond(first.ts_us)} UTC"]
    if cleared is not None:
        context = cleared.context
        place = context.site or context.app or "no site"
        notes.append(f"{place}, {context.placement_id}" if context.placement_id else place)
        work_ns = sum(ns for stage, ns in cleared.stage_ns.items() if stage != "disk")
        text = f"{duration(work_ns)} of work"
        notes.append(f"{text}, answered after {duration(work_ns + disk_ns)}" if disk_ns else text)
    return tuple(notes)


def _slot(slot: SlotOutcome, names: Names) -> SlotBody:
    top = max((each.score_nanos for each in slot.considered), default=0)
    most = max(slot.excluded.values(), default=0)
    left = sorted(slot.excluded.items(), key=lambda pair: (-pair[1], pair[0]))
    return SlotBody(
        id=slot.slot_id,
        format=slot.format,
        sold=bool(slot.ad_id),
        winner=names.get(slot.campaign_id, slot.campaign_id),
        price=recompute(slot),
        reserve_nanos=slot.reserve_nanos,
        reserve_part=min(1.0, slot.reserve_nanos / top) if top > 0 else 0.0,
        what_ifs=_what_ifs(slot, names),
        scores=[_score(slot, each, top, names) for each in slot.considered],
        chances=any(each.p_ppb != 10**9 for each in slot.considered),
        eligible=slot.eligible,
        left_count=sum(slot.excluded.values()),
        left=[
            LeftRow(reason=reason_in_words(reason), ads=ads, part=ads / most)
            for reason, ads in left
        ],
        impression_id=format_id(slot.impression_id) if slot.impression_id else "",
    )


def _score(slot: SlotOutcome, each: Considered, top: int, names: Names) -> ScoreRow:
    return ScoreRow(
        name=names.get(each.campaign_id, each.campaign_id),
        ad_id=each.ad_id,
        bid_nanos=each.bid_nanos,
        p_ppb=each.p_ppb,
        quality_ppm=each.quality_ppm,
        shift_nanos=each.shift_nanos,
        score_nanos=each.score_nanos,
        part=max(0.0, each.score_nanos / top) if top > 0 else 0.0,
        more_nanos=more_to_win(slot, each),
        won=bool(slot.ad_id) and each.ad_id == slot.ad_id,
    )


def _what_ifs(slot: SlotOutcome, names: Names) -> list[WhatIf]:
    """Only courses whose outcome the logged inputs decide."""
    pair = winner_and_next(slot)
    if pair is None or slot.rule == "first" or slot.charge_bid:
        return []
    winner, runner = pair
    alone = least_bid(winner, 1, slot.reserve_nanos)
    rows = []
    if alone != slot.price_nanos:
        rows.append(
            WhatIf(
                course="Against the reserve alone",
                outcome=exact(alone),
                note=exact(alone - slot.price_nanos),
            )
        )
    lost_to = names.get(runner.campaign_id, runner.campaign_id) if runner else ""
    rows.append(
        WhatIf(
            course=f"Bid below {exact(slot.price_nanos)}",
            outcome="lost" if runner else "not sold",
            note=f"to {lost_to}" if runner else "under the reserve",
        )
    )
    return rows


def _tier(cleared: AuctionCleared) -> TierLine | None:
    """The tier with its reasons; none in records from before tiers."""
    if not cleared.tier:
        return None
    css = CSS.get(cleared.tier, "")
    return TierLine(name_of(cleared.tier), css, reasons_in_words(cleared.tier_reasons))


def _read(cleared: AuctionCleared) -> list[ReadRow]:
    context = cleared.context
    given = (
        ("Site", context.site),
        ("App", context.app),
        ("Publisher", context.publisher_id),
        ("Placement", context.placement_id),
        ("Content categories", ", ".join(context.categories)),
        ("Region, no finer", context.region),
        ("Kind of device", context.device_type),
        ("Hour of the day, UTC", f"{context.hour:02d}"),
        ("Categories the publisher blocks", ", ".join(context.blocked_categories)),
        ("Advertisers the publisher blocks", ", ".join(context.blocked_domains)),
    )
    rows = [
        ReadRow(datum=datum, value=value, verdict="read", tag="good")
        for datum, value in given
        if value
    ]
    rows += [
        ReadRow(
            datum=f"History of {one.service}",
            value=FEATURES.get(one.feature, one.feature),
            verdict="read by grant",
            tag="good",
        )
        for one in reads_of(cleared.reads)
    ]
    history = () if cleared.reads else ("What the person did",)
    never = (*history, "User id, age, gender", "Device and advertising id", "IP address")
    return rows + [
        ReadRow(datum=datum, value=MISSING, verdict="never read", tag="off") for datum in never
    ]


def _caused(events: Sequence[Recorded], names: Names) -> list[EventRow]:
    types = {recorded.id: event_type(recorded) for recorded in events}
    return [
        event_row(
            recorded,
            names,
            cause=types.get(recorded.cause_id, "another request")
            if recorded.cause_id
            else "request",
        )
        for recorded in events
    ]
