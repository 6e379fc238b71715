"""The console's questions about advertisers, invoices, credit notes and payouts, one method a page.

All of it is in memory, and answered when what was read is durable; an invoice's lines stand in the
log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Final, TypeVar

from ringwork.ads.budgets import ADVERTISER_PREFIX, PUBLISHER_PREFIX
from ringwork.ads.charges import Months, exponent_of, month_name, month_number
from ringwork.ads.http_api import says
from ringwork.ads.http_reports import ReportsApi, whole_invoice
from ringwork.ads.model import Advertiser
from ringwork.ads.report_views import CreditNoteView, InvoiceView, StatementView
from ringwork.ads.views import AdvertiserView
from ringwork.console.book_facts import (
    AdvertiserFacts,
    AdvertiserLine,
    AdvertisersFacts,
    InvoiceFacts,
    InvoicesFacts,
    PublisherLine,
    PublishersFacts,
    StatementFacts,
    Uninvoiced,
)
from ringwork.kernel.errors import NotFound
from ringwork.kernel.money import Money, to_minor

PAGE_ROWS: Final = 50
"""Invoices, credit notes, publishers, advertisers of one page."""
_SOME: Final = 20
"""Rows of a list that has a page of its own."""

_T = TypeVar("_T")


class Bookkeeping:
    """Answers the pages' questions."""

    def __init__(
        self, api: ReportsApi, *, names: Mapping[str, str], now_us: Callable[[], int]
    ) -> None:
        self._api = api
        self._names = names
        self._now_us = now_us
        self._months = Months()

    def this_month(self) -> int:
        """The month that is not over yet."""
        return self._months.of(self._now_us())

    # ---- invoices -------------------------------------------------------------------------------

    async def invoices(
        self, *, page: int = 1, notes_page: int = 1, advertiser_id: str = ""
    ) -> InvoicesFacts:
        """One page of invoices and one of credit notes, and what waits to be invoiced."""
        books, currency = self._api.invoicing.books, self._api.ads.ads.currency

        def is_asked(id: str) -> bool:
            return not advertiser_id or id == advertiser_id

        own = [book for id, book in books.books.items() if is_asked(id)]
        waiting, this_month_nanos = self._uninvoiced(is_asked)
        invoices = (one for one in reversed(books.invoices.values()) if is_asked(one.advertiser_id))
        notes = (
            one for one in reversed(books.credit_notes.values()) if is_asked(one.advertiser_id)
        )
        some, has_more = _page(invoices, page)
        some_notes, has_more_notes = _page(notes, notes_page)
        facts = InvoicesFacts(
            now_us=self._now_us(),
            currency=currency,
            advertiser_id=advertiser_id,
            month=month_name(self.this_month() - 1),
            invoiced_nanos=sum(book.invoiced_nanos for book in own),
            credited_nanos=sum(book.credited_nanos for book in own),
            carried_nanos=sum(book.carried_nanos for book in own),
            this_month_nanos=this_month_nanos,
            uninvoiced=waiting[:PAGE_ROWS],
            uninvoiced_count=len(waiting),
            uninvoiced_nanos=sum(one.nanos for one in waiting),
            invoices=[InvoiceView.of(kept) for kept in some],
            has_more_invoices=has_more,
            credit_notes=[CreditNoteView.of(note) for note in some_notes],
            has_more_notes=has_more_notes,
            names=self._names,
        )
        await self._api.ads.journal.settled()
        return facts

    def _uninvoiced(self, is_asked: Callable[[str], bool]) -> tuple[list[Uninvoiced], int]:
        """What waits, by advertiser, the greatest first; and what was charged in this month."""
        campaigns, now = self._api.ads.catalogue.campaigns, self.this_month()
        sums: dict[str, int] = {}
        spans: dict[str, tuple[int, int]] = {}
        this_month_nanos = 0
        for campaign_id, months in self._api.invoicing.books.waiting.items():
            id = campaigns[campaign_id].advertiser_id
            if not is_asked(id):
                continue
            for month, charges in months.items():
                if month >= now:
                    this_month_nanos += charges.nanos
                    continue
                sums[id] = sums.get(id, 0) + charges.nanos
                first, last = spans.get(id, (month, month))
                spans[id] = min(first, month), max(last, month)
        waiting = [
            Uninvoiced(
                advertiser_id=id,
                first_month=month_name(spans[id][0]),
                last_month=month_name(spans[id][1]),
                nanos=nanos,
            )
            for id, nanos in sorted(sums.items(), key=lambda one: (-one[1], one[0]))
        ]
        return waiting, this_month_nanos

    async def invoice(self, id: str) -> InvoiceFacts:
        """One invoice as it was issued; NotFound."""
        whole = await whole_invoice(self._api, id)
        return InvoiceFacts(now_us=self._now_us(), whole=whole, names=self._names)

    # ---- publishers -----------------------------------------------------------------------------

    async def publishers(self, page: int) -> PublishersFacts:
        """A page of publishers, those that are owed most first."""
        lines = sorted(
            map(self._publisher, self._api.ads.catalogue.publishers),
            key=lambda one: (-one.owed_nanos, -one.this_month_nanos, one.name),
        )
        shown, has_more = _page(lines, page)
        facts = PublishersFacts(
            now_us=self._now_us(),
            currency=self._api.payouts.currency,
            month=month_name(self.this_month() - 1),
            owed_nanos=sum(one.owed_nanos for one in lines),
            owed_count=sum(self._payable(one.owed_nanos) > 0 for one in lines),
            this_month_nanos=sum(one.this_month_nanos for one in lines),
            count=len(lines),
            lines=shown,
            has_more=has_more,
        )
        await self._api.ads.journal.settled()
        return facts

    def _publisher(self, id: str) -> PublisherLine:
        publisher = self._api.ads.catalogue.publishers[id]
        earnings, now = self._api.payouts.earnings, self.this_month()
        earned = earnings.earned_by(id, now)
        before = earnings.earned_by(id, now - 1)
        return PublisherLine(
            id=id,
            name=publisher.name,
            domain=publisher.domain,
            earned_nanos=earned,
            paid_nanos=earnings.paid_by(id),
            owed_nanos=self._api.payouts.owed_nanos(id, now - 1),
            this_month_nanos=earned - before,
        )

    def _payable(self, owed_nanos: int) -> int:
        """Whole smallest units of the currency."""
        return to_minor(owed_nanos, exponent_of(self._api.payouts.currency), "floor")[0]

    async def statement(self, id: str, month: str) -> StatementFacts:
        """A publisher's month; without one the last that is over, where it had earned by then.

        NotFound; Conflict for a month that is none.
        """
        payouts, now = self._api.payouts, self.this_month()
        if not month:
            has_earned = payouts.earnings.earned_by(id, now - 1) != 0
            month = month_name(now - 1 if has_earned else now)
        statement = payouts.statement(id, month)
        number = month_number(month)
        assert number is not None, "there is a statement of it"
        account = self._api.ads.ledger.accounts[PUBLISHER_PREFIX + id]
        paid = payouts.earnings.paid.get(id, [])
        owed_nanos = payouts.owed_nanos(id, number)
        exponent = exponent_of(payouts.currency)
        facts = StatementFacts(
            now_us=self._now_us(),
            name=self._api.ads.catalogue.publishers[id].name,
            statement=StatementView.of(statement),
            this_month=month_name(now),
            payable=None
            if number >= now
            else Money.of_nanos(
                payouts.currency, owed_nanos - to_minor(owed_nanos, exponent, "floor")[1]
            ),
            account_nanos=account.credits_posted - account.debits_posted if number == now else None,
            paid=paid[: -_SOME - 1 : -1],
            paid_count=len(paid),
        )
        await self._api.ads.journal.settled()
        return facts

    # ---- advertisers ----------------------------------------------------------------------------

    async def advertisers(self, *, page: int, wanted: str, with_money: bool) -> AdvertisersFacts:
        """A page of advertisers, the newest first."""
        among = self._api.ads.catalogue.advertisers
        fitting = (
            one for one in reversed(among.values()) if says(wanted, one.id, one.name, one.domain)
        )
        shown, has_more = _page(fitting, page)
        counted = self._counted({one.id for one in shown})
        facts = AdvertisersFacts(
            now_us=self._now_us(),
            wanted=wanted,
            count=len(among),
            lines=[self._line(one, counted, with_money=with_money) for one in shown],
            has_more=has_more,
        )
        await self._api.ads.journal.settled()
        return facts

    def _counted(self, ids: set[str]) -> dict[str, tuple[int, int]]:
        """Advertiser -> (its campaigns, those that are live)."""
        counted: dict[str, tuple[int, int]] = {}
        for campaign in self._api.ads.catalogue.campaigns.values():
            if campaign.advertiser_id in ids:
                all_, live = counted.get(campaign.advertiser_id, (0, 0))
                counted[campaign.advertiser_id] = all_ + 1, live + (campaign.status == "active")
        return counted

    def _line(
        self, one: Advertiser, counted: Mapping[str, tuple[int, int]], *, with_money: bool
    ) -> AdvertiserLine:
        campaigns, live = counted.get(one.id, (0, 0))
        account = self._api.ads.ledger.accounts[ADVERTISER_PREFIX + one.id]
        return AdvertiserLine(
            advertiser=AdvertiserView.of(one),
            available_nanos=account.available_nanos if with_money else None,
            campaigns=campaigns,
            live=live,
        )

    async def advertiser(self, id: str, *, with_money: bool) -> AdvertiserFacts:
        """One advertiser, its campaigns, and where every nano is that it was charged; NotFound."""
        catalogue = self._api.ads.catalogue
        one = catalogue.advertisers.get(id)
        if one is None:
            raise NotFound(f"no advertiser {id[:64]!r}")
        own = (each for each in reversed(catalogue.campaigns.values()) if each.advertiser_id == id)
        kept = reversed(self._api.invoicing.books.invoices.values()) if with_money else iter(())
        invoices = (InvoiceView.of(each) for each in kept if each.advertiser_id == id)
        facts = AdvertiserFacts(
            now_us=self._now_us(),
            line=self._line(one, self._counted({id}), with_money=with_money),
            campaigns=[(each.id, each.name, each.status) for each in islice(own, _SOME)],
            balance=self._api.invoicing.balance(id) if with_money else None,
            invoices=list(islice(invoices, _SOME)),
        )
        await self._api.ads.journal.settled()
        return facts


def _page(items: Iterable[_T], page: int) -> tuple[list[_T], bool]:
    """One page, and whether there is another."""
    first = (page - 1) * PAGE_ROWS
    some = list(islice(items, first, first + PAGE_ROWS + 1))
    return some[:PAGE_ROWS], len(some) > PAGE_ROWS
