"""The overview: is the platform earning, and inside its limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ringwork.console.facts import Bin, OverviewFacts, Verification
from ringwork.console.format import (
    count,
    day,
    day_start,
    in_words,
    minute,
    money,
    percent,
    plural,
    second,
    weekday,
)
from ringwork.console.pages import Bold, Page, say
from ringwork.console.views.bins import DAY_US, hourly, rates, total, until
from ringwork.console.views.campaigns import CampaignRow, campaign_row
from ringwork.console.views.events import EventRow, event_row
from ringwork.console.views.figures import Figure, overview_figures
from ringwork.console.views.matters import Matter, matters, shown
from ringwork.console.views.pacing import PlanRow, off_plan

_CAMPAIGNS: Final = 8


class HourRow(Struct, frozen=True, kw_only=True):
    """One hour in the table behind the chart."""

    hour: str
    today: int
    earlier: int | None


class Flow(Struct, frozen=True, kw_only=True):
    """Impressions a minute over the day; x from 0 to 1."""

    title: str
    today: list[tuple[float, float]]
    earlier: list[tuple[float, float]]
    earlier_name: str
    now: tuple[float, float, str] | None
    hours: list[HourRow]


class PromiseRow(Struct, frozen=True, kw_only=True):
    """One promise and how much of it was checked."""

    id: str
    title: str
    checked: int
    unit: str
    violations: int


class Promises(Struct, frozen=True, kw_only=True):
    """The last run of ``ringwork verify``."""

    ts_us: int
    took_s: float
    rows: list[PromiseRow]
    broken: int


class Overview(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    totals: Bin
    currency: str
    figures: list[Figure]
    flow: Flow
    matters: list[Matter]
    more_matters: int
    campaigns: list[CampaignRow]
    campaign_count: int
    off_plan: list[PlanRow]
    off_plan_more: int
    planned: int
    """How many campaigns have a plan."""
    promises: Promises | None
    events: list[EventRow]
    seq: int


def overview(facts: OverviewFacts, *, live: bool = True) -> Page:
    """The page from its facts."""
    today = total(facts.today, day_start(facts.now_us))
    found = all_matters(facts)
    first, more = shown(found)
    promises = _promises(facts.verification)
    figures = overview_figures(facts, today)
    spenders = sorted(
        (campaign_row(each, facts.now_us) for each in facts.campaigns),
        key=lambda row: (-row.today_nanos, row.name),
    )
    off, planned = off_plan(facts.campaigns, facts.paces, facts.now_us)
    body = Overview(
        totals=today,
        currency=facts.currency,
        figures=figures,
        flow=_flow(facts),
        matters=first,
        more_matters=more,
        campaigns=spenders[:_CAMPAIGNS],
        campaign_count=len(spenders),
        off_plan=off[:_CAMPAIGNS],
        off_plan_more=max(0, len(off) - _CAMPAIGNS),
        planned=planned,
        promises=promises,
        seq=facts.log.events,
        events=[event_row(recorded, facts.names) for recorded in facts.latest],
    )
    return Page(
        name="overview",
        title="Overview",
        question="Is the platform earning, and inside its limits?",
        answer=say(*_answer(facts, today, found, promises)),
        now_us=facts.now_us,
        body=body,
        notes=(f"{weekday(facts.now_us)} {day(facts.now_us)}, since 00:00 UTC",),
        command="ringwork ads campaigns",
        live=overview_texts(facts),
        stream="/console/live/overview" if live else "",
    )


def all_matters(facts: OverviewFacts) -> list[Matter]:
    """Everything that needs a person."""
    return matters(
        campaigns=facts.campaigns,
        log=facts.log,
        lags=facts.lags,
        balanced=facts.balanced,
        verification=facts.verification,
        in_review=facts.in_review,
        now_us=facts.now_us,
    )


def overview_texts(facts: OverviewFacts) -> dict[str, str]:
    """The texts that change while one looks, by the name of their node."""
    today = total(facts.today, day_start(facts.now_us))
    figures = overview_figures(facts, today)
    texts = {figure.key: figure.value for figure in figures}
    texts |= {f"{figure.key}-note": figure.note for figure in figures}
    return texts | {
        "answer-earned": money(today.earned_nanos, facts.currency),
        "answer-impressions": count(today.impressions),
        "now": f"{second(facts.now_us)} UTC",
        "events": count(facts.log.events),
    }


def _answer(
    facts: OverviewFacts, today: Bin, found: Sequence[Matter], promises: Promises | None
) -> list[str | Bold]:
    parts: list[str | Bold] = [
        Bold(money(today.earned_nanos, facts.currency), "answer-earned"),
        " earned today from ",
        Bold(count(today.impressions), "answer-impressions"),
        " impression" if today.impressions == 1 else " impressions",
    ]
    before = until(facts.earlier, facts.now_us)
    if before.earned_nanos:
        change = today.earned_nanos - before.earned_nanos
        size = percent(abs(change), before.earned_nanos, 0)
        more = "more" if change >= 0 else "less"
        parts.append(f", {size} {more} than last {weekday(facts.now_us)} by now")
    parts.append(". ")
    if promises is None:
        parts.append("No promise has been checked yet")
    elif promises.broken:
        parts.append(Bold(f"{plural(promises.broken, 'promise is', 'promises are')} broken"))
    else:
        parts.append(f"All {in_words(len(promises.rows))} promises checked hold")
    if not found:
        return [*parts, "; nothing needs a person."]
    tail = "matter needs a person" if len(found) == 1 else "matters need a person"
    return [*parts, "; ", Bold(f"{in_words(len(found))} {tail}"), "."]


def _promises(verification: Verification | None) -> Promises | None:
    if verification is None:
        return None
    rows = [
        PromiseRow(
            id=promise.id,
            title=promise.title,
            checked=promise.checked,
            unit=promise.unit.removesuffix("s") if promise.checked == 1 else promise.unit,
            violations=promise.violations,
        )
        for promise in verification.promises
    ]
    return Promises(
        ts_us=verification.ts_us,
        took_s=verification.took_s,
        rows=rows,
        broken=sum(row.violations > 0 for row in rows),
    )


def _flow(facts: OverviewFacts) -> Flow:
    start = day_start(facts.now_us)
    today = rates(facts.today, facts.now_us)
    name = f"last {weekday(facts.now_us)}"
    earlier_start = day_start(facts.earlier[0].ts_us) if facts.earlier else 0
    earlier = rates(facts.earlier, earlier_start + DAY_US) if facts.earlier else []
    now = None
    title = "Impressions a minute today: none yet"
    if today:
        ts_us, rate = today[-1]
        now = ((ts_us - start) / DAY_US, rate, f"now {minute(facts.now_us)}, {rate:,.0f}")
        peak_us, peak = max(today, key=lambda point: point[1])
        title = (
            f"Impressions a minute today: {rate:,.0f} at {minute(facts.now_us)} UTC, "
            f"the most {peak:,.0f} at {minute(peak_us)}"
        )
    return Flow(
        title=title,
        earlier_name=name,
        now=now,
        hours=_hours(facts),
        today=[((ts - start) / DAY_US, rate) for ts, rate in today],
        earlier=[((ts - earlier_start) / DAY_US, rate) for ts, rate in earlier],
    )


def _hours(facts: OverviewFacts) -> list[HourRow]:
    before = {minute(hour.ts_us): hour.impressions for hour in hourly(facts.earlier)}
    return [
        HourRow(
            hour=minute(hour.ts_us),
            today=hour.impressions,
            earlier=before.get(minute(hour.ts_us), 0) if before else None,
        )
        for hour in hourly(facts.today)
    ]
