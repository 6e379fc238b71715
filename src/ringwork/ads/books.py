"""Charges that wait for an invoice, and the invoices that took them: a fold of their events.

At any time ``charged = invoiced + carried + waiting`` for every advertiser, to the nano.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec
from msgspec import Struct

from ringwork.ads.charges import CHARGING, Months, charge_of, month_number, unit_nanos
from ringwork.ads.invoice_events import CreditNoteIssued, InvoiceIssued
from ringwork.ads.outside import is_external
from ringwork.kernel.events import Event, Recorded


class Waiting(Struct, gc=False):
    """Charges of one campaign and month that are on no invoice yet."""

    pricing: str
    quantity: int = 0
    nanos: int = 0


class Book(Struct, gc=False):
    """What was invoiced to one advertiser."""

    number: int = 0
    credit_number: int = 0
    carried_nanos: int = 0
    invoiced_nanos: int = 0
    """Whole smallest units, all invoices together."""
    credited_nanos: int = 0


class Kept(Struct, gc=False):
    """An invoice without its lines: where it stands in the log, and what was credited of it."""

    seq: int
    ts_us: int
    number: int
    advertiser_id: str
    currency: str
    exponent: int
    month: str
    net_minor: int
    tax_minor: int
    credited_minor: int = 0
    credited_tax_minor: int = 0

    @property
    def id(self) -> str:
        return invoice_id(self.advertiser_id, self.number)


def invoice_id(advertiser_id: str, number: int) -> str:
    """The id of an advertiser's invoice of that number."""
    return f"{advertiser_id}-{number}"


class Books:
    """Charges that wait for an invoice, and the invoices; a fold of their events."""

    name: ClassVar[str] = "ads_books"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (*CHARGING, InvoiceIssued, CreditNoteIssued)

    def __init__(self) -> None:
        self._months = Months()
        self.clear()

    def clear(self) -> None:
        self.waiting: dict[str, dict[int, Waiting]] = {}
        """Campaign -> month -> charges."""
        self.charged: dict[str, int] = {}
        """Campaign -> nanos that it was ever charged."""
        self.books: dict[str, Book] = {}
        self.invoices: dict[str, Kept] = {}
        self.credit_notes: dict[str, CreditNoteIssued] = {}

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        if isinstance(event, InvoiceIssued):
            self._apply_invoice(recorded, event)
        elif isinstance(event, CreditNoteIssued):
            self._apply_credit(event)
        else:
            charge = charge_of(event)
            if charge is None or is_external(charge.campaign_id):
                return  # what an outside bidder owes stands on an account of its own
            campaign_id, month = charge.campaign_id, self._months.of(recorded.ts_us)
            months = self.waiting.setdefault(campaign_id, {})
            waiting = months.get(month)
            if waiting is None:
                waiting = months[month] = Waiting(charge.pricing)
            waiting.quantity += 1
            waiting.nanos += charge.nanos
            self.charged[campaign_id] = self.charged.get(campaign_id, 0) + charge.nanos

    def _apply_invoice(self, recorded: Recorded, event: InvoiceIssued) -> None:
        for line in event.lines:
            month = month_number(line.month)
            assert month is not None, "a line's month was written by us"
            months = self.waiting[line.campaign_id]
            del months[month]
            if not months:
                del self.waiting[line.campaign_id]
        book = self.books.setdefault(event.advertiser_id, Book())
        book.number = event.number
        book.carried_nanos = event.carried_out_nanos
        book.invoiced_nanos += event.net_minor * unit_nanos(event.exponent)
        self.invoices[event.id] = Kept(
            recorded.seq, recorded.ts_us, event.number, event.advertiser_id, event.currency,
            event.exponent, event.month, event.net_minor, event.tax_minor,
        )  # fmt: skip

    def _apply_credit(self, event: CreditNoteIssued) -> None:
        invoice = self.invoices[event.invoice_id]
        invoice.credited_minor += event.net_minor
        invoice.credited_tax_minor += event.tax_minor
        book = self.books[event.advertiser_id]
        book.credit_number = event.number
        book.credited_nanos += event.net_minor * unit_nanos(event.exponent)
        self.credit_notes[event.id] = event

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(
            (self.waiting, self.charged, self.books, self.invoices, self.credit_notes)
        )

    def load(self, state: bytes) -> None:
        (
            self.waiting,
            self.charged,
            self.books,
            self.invoices,
            self.credit_notes,
        ) = _decoder.decode(state)


_decoder: Final = msgspec.msgpack.Decoder(
    tuple[
        dict[str, dict[int, Waiting]],
        dict[str, int],
        dict[str, Book],
        dict[str, Kept],
        dict[str, CreditNoteIssued],
    ]
)
