"""The campaigns: which run, what they have spent, which can spend no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from ringwork.ads.model import Campaign
from ringwork.console.facts import CampaignFacts, CampaignsFacts
from ringwork.console.format import (
    count,
    day,
    money,
    percent,
    plural,
    price,
    stamp,
)
from ringwork.console.pages import Bold, Page, say
from ringwork.console.pricings import per_one, priced_per
from ringwork.console.views.matters import (
    campaign_href,
    is_done_for_today,
    is_exhausted,
    is_running,
    is_too_small,
)
from ringwork.kernel.money import Money

State = Literal[
    "running",
    "done for today",
    "spent out",
    "too small",
    "no ad",
    "held",
    "draft",
    "in review",
    "rejected",
    "paused",
    "ended",
    "not begun",
    "over",
]

VERDICTS: Final[dict[State, str]] = {
    "running": "good",
    "done for today": "off",
    "spent out": "warn",
    "too small": "warn",
    "no ad": "warn",
    "held": "bad",
    "draft": "off",
    "in review": "open",
    "rejected": "bad",
    "paused": "off",
    "ended": "off",
    "not begun": "off",
    "over": "off",
}
"""The tag of each state: disc, diamond or hollow disc."""

_AS_THEY_ARE: Final[dict[str, State]] = {
    "draft": "draft",
    "review": "in review",
    "rejected": "rejected",
    "paused": "paused",
    "ended": "ended",
}
"""Status -> state, of what does not run."""
PAGE_ROWS: Final = 100


class Funds(Struct, frozen=True, kw_only=True):
    """The campaign's ledger account: what was put in is spent, reserved or free, to the nano."""

    account: str
    put_in: Money
    spent: Money
    reserved: Money
    free: Money


class CampaignRow(Struct, frozen=True, kw_only=True):
    """A campaign in a table; shares are of the budget, from 0 to 1."""

    id: str
    href: str
    name: str
    advertiser: str
    state: State
    verdict: str
    pricing: str
    bid_nanos: int
    currency: str
    budget: Money
    spent: Money
    today_nanos: int
    impressions: int
    clicks: int
    spent_share: float
    reserved_share: float


class Campaigns(Struct, frozen=True, kw_only=True):
    """The body of the list page."""

    rows: list[CampaignRow]
    older: bool
    next_href: str


def state_of(facts: CampaignFacts, now_us: int) -> State:
    """What the campaign is doing, the gravest reason first."""
    campaign = facts.campaign
    if campaign.status == "active":
        if campaign.starts_us > now_us:
            return "not begun"
        if not is_running(facts, now_us):
            return "over"
        if campaign.withheld:
            return "held"
        if is_too_small(facts):
            return "too small"
        if is_exhausted(facts):
            return "spent out"
        if not facts.has_ad:
            return "no ad"
        return "done for today" if is_done_for_today(facts) else "running"
    return _AS_THEY_ARE[campaign.status]


def funds_of(facts: CampaignFacts) -> Funds:
    """Where the budget is; all zero before the account is funded.

    A budget that was lowered gave its difference back, which the account has among its debits: what
    was put in is the budget, and what is neither reserved nor free of it is spent.
    """
    campaign, account = facts.campaign, facts.account
    currency = campaign.budget.currency
    put_in = campaign.budget.total_nanos if account else 0
    reserved = account.debits_pending if account else 0
    free = account.available_nanos if account else 0
    return Funds(
        account=f"campaign/{campaign.id}",
        put_in=Money.of_nanos(currency, put_in),
        spent=Money.of_nanos(currency, put_in - reserved - free),
        reserved=Money.of_nanos(currency, reserved),
        free=Money.of_nanos(currency, free),
    )


def campaign_row(facts: CampaignFacts, now_us: int) -> CampaignRow:
    """The campaign as a row of a table."""
    campaign, funds = facts.campaign, funds_of(facts)
    state = state_of(facts, now_us)
    budget = campaign.budget.total_nanos
    return CampaignRow(
        id=campaign.id,
        href=campaign_href(campaign.id),
        name=campaign.name,
        advertiser=facts.advertiser,
        state=state,
        verdict=VERDICTS[state],
        pricing=priced_per(campaign.pricing),
        bid_nanos=campaign.bid_nanos,
        currency=campaign.budget.currency,
        budget=campaign.budget,
        spent=funds.spent,
        today_nanos=facts.today_nanos,
        impressions=facts.impressions,
        clicks=facts.clicks,
        spent_share=funds.spent.total_nanos / budget if budget else 0.0,
        reserved_share=funds.reserved.total_nanos / budget if budget else 0.0,
    )


def campaigns(facts: CampaignsFacts, *, page: int = 1) -> Page:
    """The list: what needs a look first, then by what was spent."""
    rows = [campaign_row(each, facts.now_us) for each in facts.campaigns]
    rows.sort(
        key=lambda row: (row.verdict != "warn", row.state != "running", -row.today_nanos, row.name)
    )
    return Page(
        name="campaigns",
        title="Campaigns & budgets",
        question="Which campaigns run, and which can spend no more?",
        answer=say(*_answer(rows)),
        now_us=facts.now_us,
        body=Campaigns(
            rows=rows[(page - 1) * PAGE_ROWS : page * PAGE_ROWS],
            older=facts.older,
            next_href=f"/console/campaigns?page={page + 1}" if len(rows) > page * PAGE_ROWS else "",
        ),
        notes=(f"as of {stamp(facts.now_us)}",),
        command="ringwork ads campaigns",
    )


def _answer(rows: Sequence[CampaignRow]) -> list[str | Bold]:
    if not rows:
        return ["There is no campaign yet."]
    running = sum(row.state == "running" for row in rows)
    parts: list[str | Bold] = [
        Bold(f"{count(running)} of {plural(len(rows), 'campaign')}"),
        " is running" if running == 1 else " are running",
    ]
    done = sum(row.state == "done for today" for row in rows)
    if done:
        parts.append(f", {count(done)} {'is' if done == 1 else 'are'} done for today")
    sums: dict[str, list[int]] = {}
    for row in rows:
        own = sums.setdefault(row.currency, [0, 0])
        own[0] += row.spent.total_nanos
        own[1] += row.budget.total_nanos
    for currency, (spent, budget) in sorted(sums.items()):
        parts += [
            "; ",
            Bold(money(spent, currency)),
            f" of {money(budget, currency)} is spent ",
            f"({percent(spent, budget)})",
        ]
    stuck = sum(row.verdict == "warn" for row in rows)
    if stuck:
        parts += [
            ". ",
            Bold(f"{plural(stuck, 'campaign', 'campaigns')} cannot win"),
            ": their budget is spent or too small, or they have no ad",
        ]
    return [*parts, "."]


def flight(campaign: Campaign) -> str:
    """From when to when, in words."""
    start = day(campaign.starts_us) if campaign.starts_us else ""
    end = day(campaign.ends_us) if campaign.ends_us is not None else ""
    if start and end:
        return f"{start} to {end}"
    return f"from {start}" if start else f"until {end}" if end else "no end date"


def bid_text(campaign: Campaign) -> str:
    """What it bids, per what."""
    bid = price(campaign.bid_nanos, campaign.budget.currency)
    return f"bids {bid} {per_one(campaign.pricing)}"
