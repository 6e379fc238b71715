"""Advertisers: who pays, what is left on their accounts, where what they were charged is."""

from __future__ import annotations

from urllib.parse import urlencode

from msgspec import Struct

from ringwork.ads.invoices import Balance
from ringwork.console.book_facts import AdvertiserFacts, AdvertiserLine, AdvertisersFacts
from ringwork.console.format import count, exact, money, plural, stamp
from ringwork.console.pages import Bold, Page, say
from ringwork.console.views.invoices import InvoiceRow, SumRow, invoice_row
from ringwork.console.views.ledger import account_href
from ringwork.console.views.life import STATES, item_href


class AdvertiserRow(Struct, frozen=True, kw_only=True):
    """An advertiser in a table."""

    id: str
    name: str
    href: str
    domain: str
    available: str
    """Empty for who may not see the ledger."""
    campaigns: int
    live: int


class Advertisers(Struct, frozen=True, kw_only=True):
    """The body of the list."""

    wanted: str
    rows: list[AdvertiserRow]
    next_href: str


class CampaignLink(Struct, frozen=True, kw_only=True):
    """A campaign of the advertiser."""

    name: str
    href: str
    tag: str
    word: str


class AdvertiserBody(Struct, frozen=True, kw_only=True):
    """The body of one advertiser's page."""

    path: str
    advertiser: AdvertiserRow
    currency: str
    campaigns: list[CampaignLink]
    new_campaign_href: str
    sums: list[SumRow]
    """Empty for who may not see the ledger."""
    holds: bool
    invoices: list[InvoiceRow]
    invoices_href: str
    account_href: str


def advertisers(facts: AdvertisersFacts, *, page: int = 1) -> Page:
    """The list from its facts."""
    given = {"q": facts.wanted} if facts.wanted else {}
    following = f"/console/advertisers?{urlencode({**given, 'page': page + 1})}"
    answer = say(Bold(plural(facts.count, "advertiser")), " can pay for ads.")
    if facts.wanted:
        answer = say(f"Of {plural(facts.count, 'advertiser')}, those with {facts.wanted!r}.")
    return Page(
        name="advertisers",
        title="Advertisers",
        question="Who pays, and what is left on their accounts?",
        answer=answer if facts.count else say("There is no advertiser yet."),
        now_us=facts.now_us,
        body=Advertisers(
            wanted=facts.wanted,
            rows=[_row(line) for line in facts.lines],
            next_href=following if facts.has_more else "",
        ),
        notes=("newest first", f"as of {stamp(facts.now_us)}"),
        command="ringwork ads advertisers",
    )


def _row(line: AdvertiserLine) -> AdvertiserRow:
    one, available = line.advertiser, line.available_nanos
    return AdvertiserRow(
        id=one.id,
        name=one.name,
        href=item_href("advertiser", one.id),
        domain=one.domain,
        available="" if available is None else money(available, one.currency),
        campaigns=line.campaigns,
        live=line.live,
    )


def advertiser(facts: AdvertiserFacts, *, done: str = "") -> Page:
    """One advertiser from its facts."""
    row, one = _row(facts.line), facts.line.advertiser
    balance = facts.balance
    left = f", and {row.available} is left on its account" if row.available else ""
    return Page(
        name="advertiser",
        title="Advertiser",
        subject=one.id,
        question="What does it run, and what was it charged?",
        answer=say(
            Bold(row.name),
            f" has {plural(row.campaigns, 'campaign')}, {count(row.live)} live{left}.",
        ),
        now_us=facts.now_us,
        body=AdvertiserBody(
            path=row.href,
            advertiser=row,
            currency=one.currency,
            campaigns=[
                CampaignLink(
                    name=name,
                    href=item_href("campaign", id),
                    tag=STATES[status][0],
                    word=STATES[status][1],
                )
                for id, name, status in facts.campaigns
            ],
            new_campaign_href=f"/console/new-campaign?{urlencode({'advertiser': one.id})}",
            sums=_sums(balance) if balance is not None else [],
            holds=balance is None or balance.holds,
            invoices=[invoice_row(each, {one.id: one.name}) for each in facts.invoices],
            invoices_href=f"/console/invoices?{urlencode({'advertiser': one.id})}",
            account_href=account_href(f"advertiser/{one.id}"),
        ),
        notes=(one.domain, f"as of {stamp(facts.now_us)}"),
        command=f"ringwork ads advertisers {one.id}",
        done=done,
    )


def _sums(balance: Balance) -> list[SumRow]:
    """Where everything is that its campaigns were charged."""
    return [
        SumRow(text="Invoiced, net", figure=exact(balance.invoiced_nanos)),
        SumRow(text="Carried to the next invoice", figure=exact(balance.carried_nanos)),
        SumRow(text="On no invoice yet", figure=exact(balance.waiting_nanos)),
        SumRow(text="Charged by outcomes", figure=exact(balance.charged_nanos), rule="total"),
        SumRow(
            text="Charged by the ledger", figure=exact(balance.ledger_charged_nanos), rule="pay"
        ),
        SumRow(text="Given back by credit notes", figure=exact(balance.credited_nanos)),
    ]
