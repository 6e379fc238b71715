"""Invoices and credit notes: what campaigns were charged, in whole cents, nothing lost or doubled.

An invoice takes every charge up to the end of its month that no invoice took before, so it does not
matter when it is issued or whether a month was left out. Its sum in nanos is rounded down to the
currency's smallest unit and the rest is carried to the advertiser's next invoice, so at any time
``charged = invoiced + carried + not invoiced yet``, to the nano. Months are UTC's, as daily budgets
are. Advertisers pay before: an invoice says what became of their money and moves none of it; only
its tax is owed (``receivable/<advertiser>`` to ``platform/tax``). A credit note gives a part of the
net back from ``platform/credit-notes`` to the advertiser's account, and takes its tax back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta, Struct

from ringwork.ads.books import Book, Books, Kept, invoice_id
from ringwork.ads.budgets import ADVERTISER_PREFIX, CAMPAIGN_PREFIX
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.charges import (
    Months,
    exponent_of,
    month_name,
    month_number,
    unit_nanos,
)
from ringwork.ads.invoice_events import CreditNoteIssued, InvoiceIssued, InvoiceLine
from ringwork.ads.lifecycle import PLATFORM, Actor
from ringwork.ads.moves import Moves
from ringwork.kernel.errors import Conflict, Fault, NotFound
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import Ledger
from ringwork.kernel.money import Money, to_minor

LINES_MAX: Final = 10_000
"""Of one invoice, a megabyte; what is left over goes on the next one of the same month."""
RECEIVABLE_PREFIX: Final = "receivable/"
TAX_ACCOUNT: Final = "platform/tax"
CREDIT_ACCOUNT: Final = "platform/credit-notes"
_ONE_PPM: Final = 1_000_000


class Tax(Struct, frozen=True, forbid_unknown_fields=True):
    """The tax on an invoice's net, as the law of the day has it: it is data, not code."""

    name: Annotated[str, Meta(min_length=1, max_length=32, examples=["IVA"])]
    rate_ppm: Annotated[int, Meta(ge=0, le=_ONE_PPM, description="in 1e-6", examples=[230_000])]


NO_TAX: Final = Tax("none", 0)


class Balance(Struct, frozen=True, kw_only=True):
    """An advertiser's account of charges: ``charged = invoiced + carried + waiting``."""

    charged_nanos: int
    invoiced_nanos: int
    carried_nanos: int
    waiting_nanos: int
    credited_nanos: int
    ledger_charged_nanos: int
    """What the campaigns' accounts say."""

    @property
    def holds(self) -> bool:
        """Whether every nano is in exactly one place, and the ledger says the same."""
        placed = self.invoiced_nanos + self.carried_nanos + self.waiting_nanos
        return self.charged_nanos == placed == self.ledger_charged_nanos


class Invoicing:
    """Issues invoices and credit notes; what it refuses, it refuses before anything is recorded."""

    def __init__(
        self, *, books: Books, catalogue: Catalogue, ledger: Ledger, ids: IdGenerator
    ) -> None:
        self.books = books
        self._catalogue = catalogue
        self._ledger = ledger
        self._moves = Moves(ledger=ledger, ids=ids)
        self._months = Months()

    def issue(
        self,
        command: Command,
        advertiser_id: str,
        month: str,
        tax: Tax = NO_TAX,
        actor: Actor = PLATFORM,
    ) -> tuple[str, bool]:
        """(id of the invoice, whether it is new) of what was charged up to the end of ``month``.

        Where nothing waits, the month's last invoice. NotFound for an unknown advertiser. Conflict:
        ``month-not-over``; ``nothing-to-invoice``; ``ledger-differs`` where the campaigns' accounts
        do not say what the outcomes say.
        """
        advertiser = self._catalogue.advertisers.get(advertiser_id)
        if advertiser is None:
            raise NotFound(f"no advertiser {advertiser_id!r}")
        through = self._over(command, month)
        lines = list(self._lines(advertiser_id, through))[:LINES_MAX]
        if not lines:
            return self._last_of(advertiser_id, month), False
        self._refuse_difference({line.campaign_id for line in lines})
        book = self.books.books.get(advertiser_id, Book())
        exponent = exponent_of(advertiser.currency)
        spent_nanos = sum(line.spent_nanos for line in lines)
        net_minor, carried_nanos = to_minor(spent_nanos + book.carried_nanos, exponent, "floor")
        tax_minor = part_of(net_minor, tax.rate_ppm, _ONE_PPM)
        invoice = InvoiceIssued(
            invoice_id(advertiser_id, book.number + 1), book.number + 1, advertiser_id,
            advertiser.currency, exponent, month, lines, spent_nanos, book.carried_nanos,
            net_minor, carried_nanos, tax.name, tax.rate_ppm, tax_minor, actor.id,
        )  # fmt: skip
        owed = RECEIVABLE_PREFIX + advertiser_id
        nanos = tax_minor * unit_nanos(exponent)
        move = self._moves.plan(owed, TAX_ACCOUNT, nanos, invoice.currency, invoice.id)
        command.record(invoice)
        self._moves.make(command, move)
        return invoice.id, True

    def _over(self, command: Command, month: str) -> int:
        number = month_number(month)
        if number is None:
            detail = f"/month: expected YYYY-MM, got {month[:16]!r}"
            raise Conflict("rule-violated", detail, errors=[Fault("/month", detail)])
        if number >= self._months.of(command.now_s * 1_000_000):
            raise Conflict("month-not-over", f"{month} is not over yet in UTC")
        return number

    def _lines(self, advertiser_id: str, through: int) -> Iterator[InvoiceLine]:
        """What waits, the oldest month first, campaigns by name."""
        campaigns = self._catalogue.campaigns
        waiting = [
            (month, campaign_id, charges)
            for campaign_id, months in self.books.waiting.items()
            if campaigns[campaign_id].advertiser_id == advertiser_id
            for month, charges in months.items()
            if month <= through
        ]
        for month, campaign_id, charges in sorted(waiting, key=lambda one: one[:2]):
            yield InvoiceLine(
                campaign_id, charges.pricing, month_name(month), charges.quantity, charges.nanos
            )

    def _last_of(self, advertiser_id: str, month: str) -> str:
        for id, kept in reversed(self.books.invoices.items()):
            if kept.advertiser_id == advertiser_id and kept.month == month:
                return id
        raise Conflict(
            "nothing-to-invoice", f"{advertiser_id} was charged nothing more by the end of {month}"
        )

    def _refuse_difference(self, campaign_ids: set[str]) -> None:
        for campaign_id in sorted(campaign_ids):
            charged, moved = self.books.charged[campaign_id], self._moved(campaign_id)
            if charged != moved:
                raise Conflict(
                    "ledger-differs",
                    f"campaign {campaign_id!r} was charged {charged} nanos by its outcomes, "
                    f"{moved} by its account: somebody moved money there by hand",
                )

    def _moved(self, campaign_id: str) -> int:
        """What left a campaign's account for publishers: its budget less what is there."""
        account = self._ledger.accounts[CAMPAIGN_PREFIX + campaign_id]
        budget_nanos = self._catalogue.campaigns[campaign_id].budget.total_nanos
        return budget_nanos - (account.credits_posted - account.debits_posted)

    # ---- credit notes ---------------------------------------------------------------------------

    def credit(
        self,
        command: Command,
        credited_id: str,
        amount: Money,
        reason: str,
        actor: Actor = PLATFORM,
    ) -> CreditNoteIssued:
        """Give ``amount`` of an invoice's net back, with the tax on it.

        Crediting an invoice in parts gives back exactly its tax in the end. NotFound; Conflict
        ``rule-violated`` for an amount in parts of a smallest unit, ``credit-exceeds-invoice``.
        """
        invoice = self.books.invoices.get(credited_id)
        if invoice is None:
            raise NotFound(f"no invoice {credited_id!r}")
        net_minor = self._whole(invoice, amount)
        left = invoice.net_minor - invoice.credited_minor
        if net_minor > left:
            rest = Money.of_nanos(invoice.currency, left * unit_nanos(invoice.exponent))
            text = f"{rest} is left of invoice {credited_id}, {amount} would be credited"
            raise Conflict("credit-exceeds-invoice", text)
        credited_minor = invoice.credited_minor + net_minor
        tax_minor = part_of(invoice.tax_minor, credited_minor, invoice.net_minor)
        advertiser_id = invoice.advertiser_id
        number = self.books.books[advertiser_id].credit_number + 1
        note = CreditNoteIssued(
            f"{advertiser_id}-c{number}", number, credited_id,
            advertiser_id, invoice.currency, invoice.exponent, net_minor,
            tax_minor - invoice.credited_tax_minor, reason, actor.id,
        )  # fmt: skip
        unit, members = unit_nanos(note.exponent), (note.currency, note.id)
        account, owed = ADVERTISER_PREFIX + advertiser_id, RECEIVABLE_PREFIX + advertiser_id
        back = self._moves.plan(CREDIT_ACCOUNT, account, note.net_minor * unit, *members)
        untaxed = self._moves.plan(TAX_ACCOUNT, owed, note.tax_minor * unit, *members)
        command.record(note)
        self._moves.make(command, back)
        self._moves.make(command, untaxed)
        return note

    def _whole(self, invoice: Kept, amount: Money) -> int:
        """The amount in smallest units of the invoice's currency."""
        minor, rest = divmod(amount.total_nanos, unit_nanos(invoice.exponent))
        if amount.currency == invoice.currency and minor > 0 and not rest:
            return minor
        detail = f"expected whole smallest units of {invoice.currency}, more than 0; got {amount}"
        raise Conflict("rule-violated", f"/amount: {detail}", errors=[Fault("/amount", detail)])

    # ---- where it all is -------------------------------------------------------------------------

    def balance(self, advertiser_id: str) -> Balance:
        """Where every nano is that an advertiser's campaigns were charged."""
        books = self.books
        ids = [
            one.id
            for one in self._catalogue.campaigns.values()
            if one.advertiser_id == advertiser_id
        ]
        book = books.books.get(advertiser_id, Book())
        return Balance(
            charged_nanos=sum(books.charged.get(id, 0) for id in ids),
            invoiced_nanos=book.invoiced_nanos,
            carried_nanos=book.carried_nanos,
            waiting_nanos=sum(
                one.nanos for id in ids for one in books.waiting.get(id, {}).values()
            ),
            credited_nanos=book.credited_nanos,
            ledger_charged_nanos=sum(self._moved(id) for id in ids),
        )


def part_of(whole: int, numerator: int, denominator: int) -> int:
    """``whole * numerator / denominator``, rounded half to even; 0 of nothing.

    >>> part_of(100, 235_000, 1_000_000), part_of(5, 1, 2), part_of(0, 0, 0)
    (24, 2, 0)
    """
    if not denominator:
        return 0
    part, rest = divmod(whole * numerator, denominator)
    return part + (2 * rest > denominator or (2 * rest == denominator and part % 2 == 1))
