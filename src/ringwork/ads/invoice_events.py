"""The facts of invoices, credit notes and payouts. Members are appended, never edited.

A document's amounts are whole smallest units of its currency (``minor``, cents of a euro); what it
is made of is nanos. ``actor`` as in ``events``.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from ringwork.kernel.events import Event

TAX_RETENTION = "as long as the law asks of accounts, ten years in most countries"


class InvoiceLine(Struct, frozen=True, array_like=True):
    """What one campaign was charged in one month."""

    campaign_id: str
    pricing: str
    month: str
    """As ``YYYY-MM``, in UTC."""
    quantity: int
    """Impressions, clicks, conversions or views that were charged."""
    spent_nanos: int


class InvoiceIssued(Event, frozen=True, array_like=True):
    """An advertiser's invoice: never changed, only credited.

    ``sum of the lines + carried_in_nanos = net_minor * 10**(9 - exponent) + carried_out_nanos``.
    """

    TYPE: ClassVar[str] = "invoice_issued"
    RETENTION: ClassVar[str] = TAX_RETENTION
    id: str
    number: int
    """1, 2, 3 ... of this advertiser, without a gap."""
    advertiser_id: str
    currency: str
    exponent: int
    """Decimals of the currency's smallest unit."""
    month: str
    lines: list[InvoiceLine]
    spent_nanos: int
    carried_in_nanos: int
    """What the invoice before this one left over."""
    net_minor: int
    carried_out_nanos: int
    """Less than one smallest unit, for the next invoice."""
    tax_name: str
    tax_ppm: int
    tax_minor: int
    actor: str = ""


class CreditNoteIssued(Event, frozen=True, array_like=True):
    """A part of an invoice is given back: its net to the advertiser's account, its tax with it."""

    TYPE: ClassVar[str] = "credit_note_issued"
    RETENTION: ClassVar[str] = TAX_RETENTION
    id: str
    number: int
    """1, 2, 3 ... of this advertiser's credit notes, without a gap."""
    invoice_id: str
    advertiser_id: str
    currency: str
    exponent: int
    net_minor: int
    tax_minor: int
    reason: str
    actor: str = ""


class PayoutMade(Event, frozen=True, array_like=True):
    """A publisher's earnings to the end of a month left its account, to be sent."""

    TYPE: ClassVar[str] = "payout_made"
    RETENTION: ClassVar[str] = TAX_RETENTION
    id: str
    number: int
    """1, 2, 3 ... of this publisher, without a gap."""
    publisher_id: str
    currency: str
    exponent: int
    month: str
    amount_minor: int
    carried_nanos: int
    """Earned by then and not paid out: less than one smallest unit."""
    actor: str = ""


EVENTS: tuple[type[Event], ...] = (InvoiceIssued, CreditNoteIssued, PayoutMade)
