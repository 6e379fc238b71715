"""The console's pages of invoices, credit notes and payouts."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import get, post
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from ringwork.ads.charges import month_name
from ringwork.ads.http_reports import ReportsApi
from ringwork.ads.invoices import NO_TAX
from ringwork.ads.report_views import (
    CreditNoteView,
    InvoiceView,
    NewCreditNote,
    NewInvoice,
    NewPayout,
    PayoutView,
)
from ringwork.console.answers import moved
from ringwork.console.asked import PAGES_MAX, field, number, text
from ringwork.console.bookkeeping import Bookkeeping
from ringwork.console.commands import Commands
from ringwork.console.editing import (
    Said,
    advertiser_options,
    asked_for,
    converted,
    done,
    done_of,
    said_of,
)
from ringwork.console.form_pages import Sheet, page_of
from ringwork.console.forms.body import Button
from ringwork.console.forms.members import Group
from ringwork.console.forms.money import credit_groups, invoice_groups
from ringwork.console.forms.reading import Typed, read_new
from ringwork.console.forms.sent import sent
from ringwork.console.pages import Page
from ringwork.console.respond import Answer, Responder
from ringwork.console.views.invoices import invoice, invoices
from ringwork.console.views.life import item_href
from ringwork.console.views.publishers import publisher, publishers
from ringwork.kernel.errors import NotFound
from ringwork.web.app import HttpRequest
from ringwork.web.auth import needs

_SEE: Final = needs("ledger:read")
_PAY: Final = needs("ledger:write")
_ISSUE: Final = Button(name="do", value="issue", text="Issue it", is_main=True)


def book_routes(
    api: ReportsApi, books: Bookkeeping, respond: Responder, commands: Commands
) -> list[ControllerRouterHandler]:
    """The handlers."""
    return [
        *_invoices(api, books, respond, commands),
        *_credit_notes(api, books, respond, commands),
        *_publishers(api, books, respond, commands),
    ]


def _invoices(
    api: ReportsApi, books: Bookkeeping, respond: Responder, commands: Commands
) -> list[ControllerRouterHandler]:
    def groups() -> tuple[Group, ...]:
        return invoice_groups(advertiser_options(commands))

    def form(typed: Typed, said: Said | None = None) -> Page:
        sheet = Sheet(
            title="New invoice",
            question="Who is billed, up to the end of which month?",
            action="/console/new-invoice",
            groups=groups(),
            buttons=[_ISSUE],
            who="It takes every charge on no invoice yet. It is never changed, only credited.",
            cancel="/console/invoices",
            entry="invoices",
        )
        return page_of(commands, sheet, typed, said)

    @get("/invoices", opt=_SEE)
    async def show_invoices(request: HttpRequest) -> Answer:
        page = number(request, "page", default=1, at_most=PAGES_MAX)
        notes_page = number(request, "notes", default=1, at_most=PAGES_MAX)
        facts = await books.invoices(
            page=page, notes_page=notes_page, advertiser_id=text(request, "advertiser")
        )
        return respond.page(request, invoices(facts, page=page, notes_page=notes_page))

    @get("/invoices/{id:str}", opt=_SEE)
    async def show_invoice(request: HttpRequest, id: FromPath[str]) -> Answer:
        page = number(request, "page", default=1, at_most=PAGES_MAX)
        facts = await books.invoice(id)
        return respond.page(request, invoice(facts, page=page, done=done_of(request)))

    @get("/new-invoice", opt=_PAY, sync_to_thread=False)
    def show_new_invoice(request: HttpRequest) -> Answer:
        typed = {
            "/advertiser": [text(request, "advertiser")],
            "/month": [text(request, "month") or month_name(books.this_month() - 1)],
            "/tax/name": [NO_TAX.name],
            "/tax/rate_ppm": ["0"],
        }
        return respond.page(request, form(typed))

    @post("/new-invoice", opt=_PAY, status_code=200)
    async def issue_invoice(request: HttpRequest) -> Answer:
        await commands.check(request)
        given = await sent(request, groups())
        read = read_new(groups(), given.typed, NewInvoice)
        said, new = converted(read, given.faults, NewInvoice)
        if new is None:
            return respond.page(request, form(given.typed, said))
        if new.advertiser not in api.ads.catalogue.advertisers:
            said = Said(faults={"/advertiser": "There is no advertiser of that id"}, status=422)
            return respond.page(request, form(given.typed, said))
        issue, kept = api.invoicing.issue, api.invoicing.books.invoices
        outcome = await commands.run(
            request,
            read.values,
            lambda command, actor: InvoiceView.of(
                kept[issue(command, new.advertiser, new.month, new.tax, actor)[0]]
            ),
        )
        if outcome.is_done:
            issued = msgspec.json.decode(outcome.answer, type=InvoiceView)
            return done("invoice", issued.id, "issued")
        return respond.page(request, form(given.typed, said_of(groups(), outcome)))

    return [show_invoices, show_invoice, show_new_invoice, issue_invoice]


def _credit_notes(
    api: ReportsApi, books: Bookkeeping, respond: Responder, commands: Commands
) -> list[ControllerRouterHandler]:
    async def form(id: str, typed: Typed, said: Said | None = None) -> Page:
        one = (await books.invoice(id)).whole.invoice
        left = one.net - one.credited_net
        sheet = Sheet(
            title="Credit invoice",
            subject=id,
            question="How much of it is given back, and why?",
            action=f"{item_href('invoice', id)}/credit",
            groups=credit_groups(one.net.currency),
            buttons=[_ISSUE],
            who="It goes back to the advertiser's account at once; its tax is owed no more.",
            cancel=item_href("invoice", id),
            entry="invoices",
            fixed=[("Net", str(one.net)), ("Left to give back", str(left))],
        )
        return page_of(commands, sheet, typed, said)

    @get("/invoices/{id:str}/credit", opt=_PAY)
    async def show_credit(request: HttpRequest, id: FromPath[str]) -> Answer:
        return respond.page(request, await form(id, {}))

    @post("/invoices/{id:str}/credit", opt=_PAY, status_code=200)
    async def issue_credit_note(request: HttpRequest, id: FromPath[str]) -> Answer:
        await commands.check(request)
        kept = api.invoicing.books.invoices.get(id)
        if kept is None:
            raise NotFound(f"no invoice {id[:96]!r}")
        groups = credit_groups(kept.currency)
        given = await sent(request, groups)
        read = read_new(groups, given.typed, NewCreditNote)
        read.values["invoice"] = id
        said, new = converted(read, given.faults, NewCreditNote)
        if new is None:
            return respond.page(request, await form(id, given.typed, said))
        credit = api.invoicing.credit
        outcome = await commands.run(
            request,
            read.values,
            lambda command, actor: CreditNoteView.of(
                credit(command, id, new.amount, new.reason, actor)
            ),
        )
        if outcome.is_done:
            return done("invoice", id, "credited")
        return respond.page(request, await form(id, given.typed, said_of(groups, outcome)))

    return [show_credit, issue_credit_note]


def _publishers(
    api: ReportsApi, books: Bookkeeping, respond: Responder, commands: Commands
) -> list[ControllerRouterHandler]:
    @get("/publishers", opt=_SEE)
    async def show_publishers(request: HttpRequest) -> Answer:
        page = number(request, "page", default=1, at_most=PAGES_MAX)
        return respond.page(request, publishers(await books.publishers(page), page=page))

    @get("/publishers/{id:str}", opt=_SEE)
    async def show_publisher(request: HttpRequest, id: FromPath[str]) -> Answer:
        facts = await books.statement(id, text(request, "month"))
        page = publisher(facts, key=commands.new_key(), done=done_of(request))
        return respond.page(request, page)

    @post("/publishers/{id:str}/payout", opt=_PAY, status_code=200)
    async def make_payout(request: HttpRequest, id: FromPath[str]) -> Answer:
        await commands.check(request)
        asked = {"publisher": id, "month": await field(request, "month")}
        new = asked_for(asked, NewPayout)
        outcome = await commands.run(
            request,
            asked,
            lambda command, actor: PayoutView.of(
                api.payouts.pay(command, new.publisher, new.month, actor)
            ),
        )
        if outcome.is_done:
            return moved(f"{item_href('publisher', id)}?month={new.month}&done=paid")
        facts = await books.statement(id, new.month)
        trouble = outcome.trouble or "; ".join(one.detail for one in outcome.faults)
        page = publisher(facts, key=commands.new_key(), trouble=trouble)
        return respond.page(request, msgspec.structs.replace(page, status=outcome.status))

    return [show_publishers, show_publisher, make_payout]
