"""One campaign: will it spend what it should, at what price."""

from __future__ import annotations

from urllib.parse import quote

from msgspec import Struct

from ringwork.console.facts import CampaignFacts, CampaignPageFacts, CreativeFacts
from ringwork.console.format import (
    MISSING,
    NARROW,
    TIMES,
    amount,
    between,
    count,
    exact,
    money,
    percent,
    price,
    second,
    share,
)
from ringwork.console.intervals import wilson
from ringwork.console.pages import Bold, Page, say
from ringwork.console.pricings import priced_per
from ringwork.console.views.campaigns import (
    VERDICTS,
    Funds,
    State,
    bid_text,
    flight,
    funds_of,
    state_of,
)
from ringwork.console.views.figures import Figure
from ringwork.console.views.history import ChangeRow, change_rows, changes_href
from ringwork.console.views.ledger import TransferRow, transfer_row
from ringwork.console.views.life import Life
from ringwork.console.views.measured import MeasuredSection
from ringwork.console.views.pacing import Pacing, pacing, why_unplanned
from ringwork.console.views.special import SpecialSection
from ringwork.console.views.spend import SpendCurve, spend_curve


class ChanceRow(Struct, frozen=True, kw_only=True):
    """A step from ranked to shown; ``start`` and ``part`` are shares of the first step."""

    step: str
    number: int
    start: float
    part: float
    remark: str
    kept: bool


class CreativeRow(Struct, frozen=True, kw_only=True):
    """One ad of the campaign."""

    id: str
    name: str
    format: str
    size: str
    status: str
    quality_ppm: int
    impressions: int
    clicks: int
    nanos: int
    rate: str
    interval: str


class CampaignBody(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    id: str
    state: State
    verdict: str
    currency: str
    paid_per: str
    """What it is paid for."""
    figures: list[Figure]
    funds: Funds
    shares: tuple[float, float]
    """Spent and reserved, of what was put in."""
    share_texts: tuple[str, str, str]
    curve: SpendCurve
    pacing: Pacing | None
    unplanned: str
    """Why there is no plan, where there is none."""
    chances: list[ChanceRow]
    creatives: list[CreativeRow]
    transfers: list[TransferRow]
    targeting: list[tuple[str, str]]
    life: Life | None
    """What the visitor may do to it."""
    measured: MeasuredSection | None
    """Whom ads for these reach; None where the visitor may not see it, or it is for none."""
    special: SpecialSection | None
    """Of housing, employment and credit, or what seems to be."""
    changes: list[ChangeRow]
    older_changes_href: str


def campaign(
    facts: CampaignPageFacts,
    *,
    live: bool = True,
    life: Life | None = None,
    special: SpecialSection | None = None,
    measured: MeasuredSection | None = None,
    done: str = "",
) -> Page:
    """The page from its facts."""
    subject = facts.facts.campaign
    funds, currency = funds_of(facts.facts), subject.budget.currency
    state = state_of(facts.facts, facts.now_us)
    put_in = funds.put_in.total_nanos
    shares = (
        funds.spent.total_nanos / put_in if put_in else 0.0,
        funds.reserved.total_nanos / put_in if put_in else 0.0,
    )
    figures = _figures(facts, funds)
    plan = pacing(facts.facts, facts.paces, facts.now_us, facts.ahead)
    body = CampaignBody(
        id=subject.id,
        state=state,
        verdict=VERDICTS[state],
        currency=currency,
        paid_per=priced_per(subject.pricing),
        figures=figures,
        funds=funds,
        shares=shares,
        share_texts=_share_texts(funds),
        curve=spend_curve(facts.spent, put_in=funds.put_in, now_us=facts.now_us),
        pacing=plan,
        unplanned="" if plan else why_unplanned(subject),
        chances=_chances(facts),
        creatives=[_creative(each) for each in facts.creatives],
        transfers=[transfer_row(line) for line in facts.transfers],
        targeting=_targeting(facts),
        life=life,
        measured=measured,
        special=special,
        changes=change_rows(facts.changes),
        older_changes_href=changes_href("campaign", facts.facts.campaign.id, facts.older_changes),
    )
    return Page(
        name="campaign",
        title="Campaign",
        subject=subject.id,
        question="Will it spend what it should, at what price?",
        answer=say(*_answer(facts, funds, state, plan)),
        now_us=facts.now_us,
        body=body,
        notes=(f"{facts.facts.advertiser}, {subject.name}", flight(subject), bid_text(subject)),
        command=f"ringwork ads campaigns {subject.id}",
        live=campaign_texts(facts),
        stream=f"/console/live/campaign?id={quote(subject.id)}" if live else "",
        done=done,
    )


def campaign_texts(facts: CampaignPageFacts) -> dict[str, str]:
    """The texts that change while one looks, by the name of their node."""
    funds = funds_of(facts.facts)
    figures = _figures(facts, funds)
    texts = {figure.key: figure.value for figure in figures}
    texts |= {f"{figure.key}-note": figure.note for figure in figures}
    return texts | {
        "answer-spent": money(funds.spent.total_nanos, funds.spent.currency),
        "row-spent": exact(funds.spent.total_nanos),
        "row-reserved": exact(funds.reserved.total_nanos),
        "row-free": exact(funds.free.total_nanos),
        "now": f"{second(facts.now_us)} UTC",
    }


def _answer(
    facts: CampaignPageFacts, funds: Funds, state: State, plan: Pacing | None
) -> list[str | Bold]:
    currency = funds.spent.currency
    opening = {
        "running": "Running.",
        "done for today": "Done for today.",
        "spent out": "Spent out.",
        "too small": "Budget too small.",
        "no ad": "Nothing to show.",
        "held": "Held.",
        "draft": "A draft.",
        "in review": "In review.",
        "rejected": "Rejected.",
        "paused": "Paused.",
        "ended": "Ended.",
        "not begun": "Not begun.",
        "over": "Over.",
    }[state]
    parts: list[str | Bold] = [
        Bold(opening),
        f" {facts.facts.campaign.name} has spent ",
        Bold(money(funds.spent.total_nanos, currency), "answer-spent"),
        f" of {money(funds.put_in.total_nanos, currency)}",
    ]
    if state == "spent out":
        left = money(funds.free.total_nanos, currency)
        return [*parts, f"; the {left} left do not pay for one more bid. It cannot spend more."]
    daily = facts.facts.campaign.daily_budget
    if state == "done for today" and daily is not None:
        today = money(daily.total_nanos, currency)
        return [*parts, f". Its {today} for today are spent or reserved; it goes on at 00:00 UTC."]
    if state == "too small":
        return [*parts, "; the whole budget does not pay for one bid, so it cannot win."]
    if state == "held":
        return [*parts, "; nothing of it is shown meanwhile, and its budget stays."]
    if state == "no ad":
        return [*parts, "; it has no active creative, so it cannot win."]
    if state == "running" and plan is not None and plan.verdict.tag == "warn":
        return [*parts, ". ", plan.verdict.text.partition(". ")[0].rstrip("."), "."]
    return [*parts, ". It cannot spend more than was put in."]


def _figures(facts: CampaignPageFacts, funds: Funds) -> list[Figure]:
    own, currency = facts.facts, funds.spent.currency
    spent = funds.spent.total_nanos
    low, high = wilson(own.clicks, own.impressions)
    per_thousand = spent * 1000 // own.impressions if own.impressions else None
    running, trend = 0, []
    for each in facts.spent:
        running += each.nanos
        trend.append(float(running))
    return [
        Figure(
            key="spent",
            label="Spent",
            value=money(spent, currency),
            note=_today(own),
            trend=trend,
            trend_title="Spend since the first sale, cumulative",
        ),
        Figure(
            key="free",
            label="Left to spend",
            value=money(funds.free.total_nanos, currency),
            note=f"{percent(funds.free.total_nanos, funds.put_in.total_nanos)} of what was put in",
        ),
        Figure(
            key="thousand",
            label="Per 1,000 impressions",
            value=MISSING if per_thousand is None else money(per_thousand, currency),
            note=f"of {count(own.impressions)} billed",
        ),
        Figure(
            key="clicks",
            label="Clicks an impression",
            value=share(own.clicks, own.impressions, 2),
            unit="%" if own.impressions else "",
            note=f"95{NARROW}%: {between(f'{low * 100:.2f}', f'{high * 100:.2f}')}"
            if own.impressions
            else "no impression yet",
        ),
    ]


def _today(facts: CampaignFacts) -> str:
    campaign = facts.campaign
    spent = f"{amount(facts.today_nanos, campaign.budget.currency)} today"
    daily = campaign.daily_budget
    return f"{spent}, {amount(daily.total_nanos, daily.currency)} a day" if daily else spent


def _share_texts(funds: Funds) -> tuple[str, str, str]:
    whole = funds.put_in.total_nanos
    reserved = funds.reserved.total_nanos
    return (
        f"spent {percent(funds.spent.total_nanos, whole)}",
        f"reserved {price(reserved, funds.reserved.currency)}" if reserved else "",
        f"free {percent(funds.free.total_nanos, whole)}",
    )


def _chances(facts: CampaignPageFacts) -> list[ChanceRow]:
    seen = facts.chances
    if not seen.ranked:
        return []
    lost, unseen = seen.ranked - seen.won, seen.won - seen.billed
    rows = (
        ("Ranked in an auction", seen.ranked, 0, "among the eight best scores of a place", False),
        (
            "Lost to a higher score",
            lost,
            0,
            f"{percent(lost, seen.ranked)} of where it was ranked",
            False,
        ),
        (
            "Won, not shown in time",
            unseen,
            lost,
            "no beacon yet or too late; nothing was charged",
            False,
        ),
        (
            "Shown",
            seen.billed,
            lost + unseen,
            f"{percent(seen.billed, seen.ranked)} of where it was ranked",
            True,
        ),
    )
    return [
        ChanceRow(
            step=step,
            number=number,
            start=start / seen.ranked,
            part=number / seen.ranked,
            remark=remark,
            kept=kept,
        )
        for step, number, start, remark, kept in rows
    ]


def _creative(facts: CreativeFacts) -> CreativeRow:
    ad = facts.creative
    low, high = wilson(facts.clicks, facts.impressions)
    return CreativeRow(
        id=ad.id,
        name=ad.name,
        format=ad.format,
        status=ad.status,
        quality_ppm=ad.quality_ppm,
        size=f"{ad.width} {TIMES} {ad.height}" if ad.width and ad.height else MISSING,
        impressions=facts.impressions,
        clicks=facts.clicks,
        nanos=facts.nanos,
        rate=share(facts.clicks, facts.impressions, 2),
        interval=between(f"{low * 100:.2f}", f"{high * 100:.2f}") if facts.impressions else MISSING,
    )


def _targeting(facts: CampaignPageFacts) -> list[tuple[str, str]]:
    wanted = facts.facts.campaign.targeting
    pairs = (
        ("Sites", wanted.sites),
        ("Apps", wanted.apps),
        ("Categories", wanted.categories),
        ("Regions", wanted.regions),
        ("Audiences", wanted.audiences),
        ("Devices", wanted.device_types),
        ("Hours, UTC", [str(hour) for hour in wanted.hours]),
    )
    return [(name, ", ".join(values) if values else "any") for name, values in pairs]
