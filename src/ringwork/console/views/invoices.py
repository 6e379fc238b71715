"""Invoices and credit notes: what was billed, what waits to be, and how an invoice adds up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from msgspec import Struct

from ringwork.ads.report_views import CreditNoteView, InvoiceView, WholeInvoice
from ringwork.console.book_facts import InvoiceFacts, InvoicesFacts, Uninvoiced
from ringwork.console.format import count, exact, money, percent, plural, stamp
from ringwork.console.pages import Bold, Page, say
from ringwork.console.pricings import priced_per
from ringwork.console.views.figures import Figure
from ringwork.console.views.ledger import account_href
from ringwork.console.views.life import item_href

LINES_SHOWN: Final = 200
"""Of an invoice on one page."""
_PPM: Final = 1_000_000


class UninvoicedRow(Struct, frozen=True, kw_only=True):
    """An advertiser that can be invoiced."""

    advertiser: str
    href: str
    months: str
    nanos: int
    issue_href: str


class InvoiceRow(Struct, frozen=True, kw_only=True):
    """An invoice in a table."""

    id: str
    href: str
    advertiser: str
    advertiser_href: str
    month: str
    issued_us: int
    net: str
    tax: str
    total: str
    credited: str
    currency: str


class NoteRow(Struct, frozen=True, kw_only=True):
    """A credit note in a table."""

    id: str
    invoice_id: str
    href: str
    net: str
    tax: str
    reason: str


class Invoices(Struct, frozen=True, kw_only=True):
    """The body of the list."""

    advertiser: str
    figures: list[Figure]
    uninvoiced: list[UninvoicedRow]
    uninvoiced_count: int
    invoices: list[InvoiceRow]
    more_invoices_href: str
    notes: list[NoteRow]
    more_notes_href: str
    currency: str
    month: str


class LineRow(Struct, frozen=True, kw_only=True):
    """What one campaign was charged in one month."""

    campaign: str
    href: str
    month: str
    pricing: str
    quantity: int
    spent: str


class SumRow(Struct, frozen=True, kw_only=True):
    """A step of a sum; ``rule`` draws a line."""

    text: str
    figure: str
    rule: str = ""


class InvoiceBody(Struct, frozen=True, kw_only=True):
    """The body of one invoice's page."""

    invoice: InvoiceRow
    lines: list[LineRow]
    line_count: int
    next_href: str
    sums: list[SumRow]
    adds_up: bool
    notes: list[NoteRow]
    credit_href: str
    """Empty where nothing is left to give back."""
    tax_account_href: str
    account_href: str


def invoices(facts: InvoicesFacts, *, page: int = 1, notes_page: int = 1) -> Page:
    """The list from its facts."""
    currency, asked = facts.currency, facts.advertiser_id
    name = facts.names.get(asked, asked)

    def more(**pages: int) -> str:
        given = {"advertiser": asked} if asked else {}
        changed = {"page": page, "notes": notes_page, **pages}
        return f"/console/invoices?{urlencode({**given, **changed})}"

    body = Invoices(
        advertiser=name,
        figures=_figures_of(facts),
        uninvoiced=[_uninvoiced(one, facts) for one in facts.uninvoiced],
        uninvoiced_count=facts.uninvoiced_count,
        invoices=[invoice_row(one, facts.names) for one in facts.invoices],
        more_invoices_href=more(page=page + 1) if facts.has_more_invoices else "",
        notes=[_note(one) for one in facts.credit_notes],
        more_notes_href=more(notes=notes_page + 1) if facts.has_more_notes else "",
        currency=currency,
        month=facts.month,
    )
    waiting = money(facts.uninvoiced_nanos, currency)
    if facts.uninvoiced_nanos:
        answer = say(
            Bold(waiting),
            f" of {plural(facts.uninvoiced_count, 'advertiser')} can be invoiced: "
            f"it was charged by the end of {facts.month}.",
        )
    else:
        answer = say(f"Everything charged by the end of {facts.month} is invoiced.")
    return Page(
        name="invoices",
        title="Invoices",
        subject=asked,
        question="What was billed, and what waits to be?",
        answer=answer,
        now_us=facts.now_us,
        body=body,
        notes=("months are UTC's", f"as of {stamp(facts.now_us)}"),
        command="ringwork ads invoice ADVERTISER MONTH",
    )


def _figures_of(facts: InvoicesFacts) -> list[Figure]:
    def figure(key: str, label: str, nanos: int, note: str) -> Figure:
        return Figure(key=key, label=label, value=money(nanos, facts.currency), note=note)

    return [
        figure("invoiced", "Invoiced, net", facts.invoiced_nanos, "all invoices together"),
        figure("credited", "Credited", facts.credited_nanos, "given back, net"),
        figure("waiting", "To be invoiced", facts.uninvoiced_nanos, f"by the end of {facts.month}"),
        figure("month", "This month so far", facts.this_month_nanos, "invoiced once it is over"),
        Figure(
            key="carried",
            label="Carried",
            value=exact(facts.carried_nanos),
            note="less than a cent each, to next invoices",
        ),
    ]


def _uninvoiced(one: Uninvoiced, facts: InvoicesFacts) -> UninvoicedRow:
    first, last = one.first_month, one.last_month
    asked = urlencode({"advertiser": one.advertiser_id, "month": facts.month})
    return UninvoicedRow(
        advertiser=facts.names.get(one.advertiser_id, one.advertiser_id),
        href=item_href("advertiser", one.advertiser_id),
        months=first if first == last else f"{first} to {last}",
        nanos=one.nanos,
        issue_href=f"/console/new-invoice?{asked}",
    )


def invoice_row(one: InvoiceView, names: Mapping[str, str]) -> InvoiceRow:
    """An invoice as a row of a table."""
    currency = one.net.currency
    credited = one.credited_net.total_nanos + one.credited_tax.total_nanos
    return InvoiceRow(
        id=one.id,
        href=item_href("invoice", one.id),
        advertiser=names.get(one.advertiser_id, one.advertiser_id),
        advertiser_href=item_href("advertiser", one.advertiser_id),
        month=one.month,
        issued_us=one.issued_us,
        net=money(one.net.total_nanos, currency),
        tax=money(one.tax.total_nanos, currency),
        total=money(one.total.total_nanos, currency),
        credited=money(credited, currency) if credited else "",
        currency=currency,
    )


def _note(one: CreditNoteView) -> NoteRow:
    return NoteRow(
        id=one.id,
        invoice_id=one.invoice_id,
        href=item_href("invoice", one.invoice_id),
        net=money(one.net.total_nanos, one.net.currency),
        tax=money(one.tax.total_nanos, one.net.currency),
        reason=one.reason,
    )


def invoice(facts: InvoiceFacts, *, page: int = 1, done: str = "") -> Page:
    """One invoice as it was issued, with what was given back of it."""
    whole = facts.whole
    one = whole.invoice
    row = invoice_row(one, facts.names)
    first = (page - 1) * LINES_SHOWN
    shown = whole.lines[first : first + LINES_SHOWN]
    is_left = one.credited_net.total_nanos < one.net.total_nanos
    body = InvoiceBody(
        invoice=row,
        lines=[
            LineRow(
                campaign=facts.names.get(line.campaign_id, line.campaign_id),
                href=item_href("campaign", line.campaign_id),
                month=line.month,
                pricing=priced_per(line.pricing),
                quantity=line.quantity,
                spent=exact(line.spent.total_nanos),
            )
            for line in shown
        ],
        line_count=len(whole.lines),
        next_href=f"{row.href}?page={page + 1}" if first + LINES_SHOWN < len(whole.lines) else "",
        sums=_sums(whole),
        adds_up=_adds_up(whole),
        notes=[_note(note) for note in whole.credit_notes],
        credit_href=f"{row.href}/credit" if is_left else "",
        tax_account_href=account_href(f"receivable/{one.advertiser_id}"),
        account_href=account_href(f"advertiser/{one.advertiser_id}"),
    )
    return Page(
        name="invoice",
        title="Invoice",
        subject=one.id,
        question="What was billed, and how does it add up?",
        answer=say(
            Bold(row.total),
            f" to {row.advertiser} for {plural(len(whole.lines), 'line')} up to {one.month}: "
            f"{row.net} net and {row.tax} {_tax_name(whole)}",
            f"; {row.credited} of it was given back." if row.credited else ".",
        ),
        now_us=facts.now_us,
        body=body,
        notes=(f"issued {stamp(one.issued_us)}", f"number {count(one.number)} of its advertiser"),
        command=f"ringwork ads invoice {one.advertiser_id} {one.month}",
        done=done,
    )


def _tax_name(whole: WholeInvoice) -> str:
    return "tax" if whole.tax_name == "none" else whole.tax_name


def _sums(whole: WholeInvoice) -> list[SumRow]:
    """From the lines to the total, to the nano."""
    one = whole.invoice
    return [
        SumRow(text="Lines", figure=exact(whole.spent.total_nanos)),
        SumRow(text="Carried from the invoice before", figure=exact(whole.carried_in.total_nanos)),
        SumRow(
            text="Carried to the next one, less than a cent",
            figure=exact(-whole.carried_out.total_nanos),
        ),
        SumRow(text="Net", figure=exact(one.net.total_nanos), rule="total"),
        SumRow(
            text=f"{_tax_name(whole)}, {percent(whole.tax_ppm, _PPM, 2)}",
            figure=exact(one.tax.total_nanos),
        ),
        SumRow(text="Total", figure=exact(one.total.total_nanos), rule="pay"),
    ]


def _adds_up(whole: WholeInvoice) -> bool:
    """Whether lines, carries and net are one sum, recomputed from the invoice as it was issued."""
    lines = sum(line.spent.total_nanos for line in whole.lines)
    left = lines + whole.carried_in.total_nanos
    return (
        lines == whole.spent.total_nanos
        and left == whole.invoice.net.total_nanos + whole.carried_out.total_nanos
    )
