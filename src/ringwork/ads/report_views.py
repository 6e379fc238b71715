"""What the API of reports and bills is asked and answers: sums as Money, ratios exact."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from msgspec import Meta, Struct

from ringwork.ads.books import Kept
from ringwork.ads.charges import MONTH_PATTERN, unit_nanos
from ringwork.ads.invoice_events import CreditNoteIssued, InvoiceIssued, PayoutMade
from ringwork.ads.invoices import NO_TAX, Tax
from ringwork.ads.model import Id
from ringwork.ads.payouts import Statement
from ringwork.ads.reports import MONEY, Figure, Report
from ringwork.ads.reports.schedules import ReportSchedule, Scheduled
from ringwork.kernel.money import MAX_NANOS, Money

Month = Annotated[str, Meta(pattern=f"^{MONTH_PATTERN}$", examples=["2026-11"])]
DocumentId = Annotated[str, Meta(min_length=1, max_length=96)]
JSON_ROWS_MAX = 10_000
"""Rows of an answer; the CSV has them all."""

Cell = int | str | Money | None
"""A count; a text, or an exact ratio as ``numerator/denominator``; money; or nothing to divide by.

Money past int64 (advertisers may say what they like of their conversions) is a ratio over 1."""


class NewInvoice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Invoice what an advertiser was charged up to the end of a month (UTC)."""

    advertiser: Id
    month: Month
    tax: Tax = NO_TAX


class NewCreditNote(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give a part of an invoice's net back; its tax follows."""

    invoice: DocumentId
    amount: Money
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class NewPayout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pay a publisher what it earned up to the end of a month (UTC)."""

    publisher: Id
    month: Month


class ReportView(Struct, frozen=True, kw_only=True):
    """A report; ``csv`` is where all of its rows are for a while."""

    id: str
    through_seq: str
    """The last event of the log that it counts."""
    currency: str
    columns: list[str]
    rows: list[list[Cell]]
    totals: list[Cell]
    """Of the measures, of everything that the filters let through."""
    is_truncated: bool
    csv: str

    @classmethod
    def of(cls, report_id: str, seq: int, report: Report) -> ReportView:
        """The answer with a report."""
        query = report.query
        by_currency = "currency" in query.dimensions
        place = query.dimensions.index("currency") if by_currency else 0
        rows = report.rows[:JSON_ROWS_MAX]
        return cls(
            id=report_id,
            through_seq=str(seq),
            currency=report.currency,
            columns=[*query.dimensions, *query.measures],
            rows=[
                [
                    *row.dimensions,
                    *_cells(
                        report,
                        row.figures,
                        row.dimensions[place] if by_currency else report.currency,
                    ),
                ]
                for row in rows
            ],
            totals=_cells(report, report.totals, report.currency),
            is_truncated=report.is_truncated or len(rows) < len(report.rows),
            csv=f"/v1/reports/{report_id}.csv",
        )


def _cells(report: Report, figures: tuple[Figure, ...], currency: str) -> list[Cell]:
    return [
        _cell(figure, currency if measure in MONEY else "")
        for measure, figure in zip(report.query.measures, figures, strict=True)
    ]


def _cell(figure: Figure, currency: str) -> Cell:
    if isinstance(figure, Fraction):
        return f"{figure.numerator}/{figure.denominator}"
    if figure is None or not currency:
        return figure
    if abs(figure) > MAX_NANOS:
        return f"{figure}/1"
    return Money.of_nanos(currency, figure)


class ScheduleView(Struct, frozen=True, kw_only=True):
    """A schedule and its latest report."""

    schedule: ReportSchedule
    last_report: str | None
    """Where its CSV is for a while; null before the first."""
    last_until_us: int | None

    @classmethod
    def of(cls, scheduled: Scheduled) -> ScheduleView:
        """What is shown of a schedule."""
        made = scheduled.last_report_id
        return cls(
            schedule=scheduled.schedule,
            last_report=f"/v1/reports/{made}.csv" if made else None,
            last_until_us=scheduled.last_until_us if made else None,
        )


class ScheduleViews(Struct, frozen=True):
    """Every schedule that goes on."""

    report_schedules: list[ScheduleView]


class InvoiceView(Struct, frozen=True, kw_only=True):
    """An invoice without its lines, with what was credited of it."""

    id: str
    number: int
    advertiser_id: str
    month: str
    issued_us: int
    net: Money
    tax: Money
    total: Money
    credited_net: Money
    credited_tax: Money

    @classmethod
    def of(cls, kept: Kept) -> InvoiceView:
        """What is shown of an invoice."""
        unit = unit_nanos(kept.exponent)
        net, tax, credited_net, credited_tax = (
            Money.of_nanos(kept.currency, minor * unit)
            for minor in (
                kept.net_minor, kept.tax_minor, kept.credited_minor, kept.credited_tax_minor,
            )
        )  # fmt: skip
        return cls(
            id=kept.id, number=kept.number, advertiser_id=kept.advertiser_id, month=kept.month,
            issued_us=kept.ts_us, net=net, tax=tax, total=net + tax, credited_net=credited_net,
            credited_tax=credited_tax,
        )  # fmt: skip


class InvoiceViews(Struct, frozen=True):
    """One page; ``next`` is the cursor of the page after it, null at the end."""

    invoices: list[InvoiceView]
    next: str | None


class LineView(Struct, frozen=True, kw_only=True):
    """What one campaign was charged in one month."""

    campaign_id: str
    pricing: str
    month: str
    quantity: int
    spent: Money


class WholeInvoice(Struct, frozen=True, kw_only=True):
    """An invoice with its lines: ``lines + carried_in = net + carried_out``."""

    invoice: InvoiceView
    lines: list[LineView]
    spent: Money
    carried_in: Money
    carried_out: Money
    tax_name: str
    tax_ppm: int
    credit_notes: list[CreditNoteView]

    @classmethod
    def of(cls, kept: Kept, issued: InvoiceIssued, notes: list[CreditNoteIssued]) -> WholeInvoice:
        """The invoice as it was issued, and its credit notes."""
        currency = issued.currency
        return cls(
            invoice=InvoiceView.of(kept),
            lines=[
                LineView(
                    campaign_id=line.campaign_id, pricing=line.pricing, month=line.month,
                    quantity=line.quantity, spent=Money.of_nanos(currency, line.spent_nanos),
                )
                for line in issued.lines
            ],
            spent=Money.of_nanos(currency, issued.spent_nanos),
            carried_in=Money.of_nanos(currency, issued.carried_in_nanos),
            carried_out=Money.of_nanos(currency, issued.carried_out_nanos),
            tax_name=issued.tax_name,
            tax_ppm=issued.tax_ppm,
            credit_notes=[CreditNoteView.of(note) for note in notes],
        )  # fmt: skip


class CreditNoteView(Struct, frozen=True, kw_only=True):
    """A part of an invoice that was given back."""

    id: str
    number: int
    invoice_id: str
    net: Money
    tax: Money
    reason: str

    @classmethod
    def of(cls, note: CreditNoteIssued) -> CreditNoteView:
        """What is shown of a credit note."""
        unit = unit_nanos(note.exponent)
        return cls(
            id=note.id, number=note.number, invoice_id=note.invoice_id,
            net=Money.of_nanos(note.currency, note.net_minor * unit),
            tax=Money.of_nanos(note.currency, note.tax_minor * unit), reason=note.reason,
        )  # fmt: skip


class PayoutView(Struct, frozen=True, kw_only=True):
    """What left a publisher's account to be sent."""

    id: str
    number: int
    publisher_id: str
    month: str
    amount: Money
    carried: Money

    @classmethod
    def of(cls, payout: PayoutMade) -> PayoutView:
        """What is shown of a payout."""
        currency, nanos = payout.currency, payout.amount_minor * unit_nanos(payout.exponent)
        return cls(
            id=payout.id, number=payout.number, publisher_id=payout.publisher_id,
            month=payout.month, amount=Money.of_nanos(currency, nanos),
            carried=Money.of_nanos(currency, payout.carried_nanos),
        )  # fmt: skip


class ShareView(Struct, frozen=True):
    """What one way of paying brought in a month."""

    pricing: str
    quantity: int
    gross: Money


class PaidView(Struct, frozen=True):
    """A payout of a statement."""

    id: str
    ts_us: int
    month: str
    amount: Money


class StatementView(Struct, frozen=True, kw_only=True):
    """A publisher's month: ``opening + gross - fees - payouts = closing``."""

    publisher_id: str
    month: str
    revenue_share_ppm: int
    opening: Money
    shares: list[ShareView]
    gross: Money
    fees: Money
    payouts: list[PaidView]
    closing: Money

    @classmethod
    def of(cls, one: Statement) -> StatementView:
        """What is shown of a statement."""

        def money(nanos: int) -> Money:
            return Money.of_nanos(one.currency, nanos)

        return cls(
            publisher_id=one.publisher_id, month=one.month,
            revenue_share_ppm=one.revenue_share_ppm, opening=money(one.opening_nanos),
            shares=[ShareView(s.pricing, s.quantity, money(s.gross_nanos)) for s in one.shares],
            gross=money(one.gross_nanos), fees=money(one.fees_nanos),
            payouts=[PaidView(p.id, p.ts_us, p.month, money(p.amount_nanos)) for p in one.payouts],
            closing=money(one.closing_nanos),
        )  # fmt: skip
