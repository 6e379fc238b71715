"""What the pages of advertisers, invoices and publishers are built from."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ringwork.ads.invoices import Balance
from ringwork.ads.payouts import Paid
from ringwork.ads.report_views import CreditNoteView, InvoiceView, StatementView, WholeInvoice
from ringwork.ads.views import AdvertiserView
from ringwork.kernel.money import Money


class Uninvoiced(Struct, frozen=True, kw_only=True):
    """What an advertiser was charged in months that are over and no invoice holds yet."""

    advertiser_id: str
    first_month: str
    last_month: str
    nanos: int


class InvoicesFacts(Struct, frozen=True, kw_only=True):
    """For the list of invoices and credit notes, the newest first."""

    now_us: int
    currency: str
    advertiser_id: str
    """Only its own; empty for all."""
    month: str
    """The last one that is over."""
    invoiced_nanos: int
    credited_nanos: int
    carried_nanos: int
    this_month_nanos: int
    uninvoiced: list[Uninvoiced]
    """The greatest first, cut."""
    uninvoiced_count: int
    uninvoiced_nanos: int
    invoices: list[InvoiceView]
    has_more_invoices: bool
    credit_notes: list[CreditNoteView]
    has_more_notes: bool
    names: Mapping[str, str]


class InvoiceFacts(Struct, frozen=True, kw_only=True):
    """For one invoice."""

    now_us: int
    whole: WholeInvoice
    names: Mapping[str, str]


class PublisherLine(Struct, frozen=True, kw_only=True):
    """A publisher and where its money is, in nanos."""

    id: str
    name: str
    domain: str
    earned_nanos: int
    paid_nanos: int
    owed_nanos: int
    """Earned by the end of the last month and not paid out."""
    this_month_nanos: int


class PublishersFacts(Struct, frozen=True, kw_only=True):
    """For the list of publishers: sums over all of them, one page of lines."""

    now_us: int
    currency: str
    month: str
    owed_nanos: int
    owed_count: int
    this_month_nanos: int
    count: int
    lines: list[PublisherLine]
    has_more: bool


class StatementFacts(Struct, frozen=True, kw_only=True):
    """For a publisher's month."""

    now_us: int
    name: str
    statement: StatementView
    this_month: str
    payable: Money | None
    """What a payout of this month would move; None while the month is not over."""
    account_nanos: int | None
    """What the publisher's account holds; asked of the present month only."""
    paid: list[Paid]
    """Its payouts, the newest first."""
    paid_count: int


class AdvertiserLine(Struct, frozen=True, kw_only=True):
    """An advertiser and what it has."""

    advertiser: AdvertiserView
    available_nanos: int | None
    """Of its account; None for who may not see the ledger."""
    campaigns: int
    live: int


class AdvertisersFacts(Struct, frozen=True, kw_only=True):
    """For the list of advertisers, the newest first."""

    now_us: int
    wanted: str
    """A part of an id, a name or a domain; empty for all."""
    count: int
    lines: list[AdvertiserLine]
    has_more: bool


class AdvertiserFacts(Struct, frozen=True, kw_only=True):
    """For one advertiser."""

    now_us: int
    line: AdvertiserLine
    campaigns: list[tuple[str, str, str]]
    """(id, name, status), the newest first, cut."""
    balance: Balance | None
    """None for who may not see the ledger."""
    invoices: list[InvoiceView]
    """The newest ones."""
