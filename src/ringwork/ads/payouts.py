"""What publishers earned and were paid: statements of a month, and payouts in whole cents.

A publisher is credited every charge and gives the platform its part of it at once (``billing``), so
its account holds what it has earned. A payout moves everything earned by the end of a month and not
paid out before to ``platform/payouts``, rounded down to the currency's smallest unit; the rest
stays in the account and goes with the next one. Months are UTC's.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec
from msgspec import Struct

from ringwork.ads.billing import FEES_ACCOUNT
from ringwork.ads.budgets import PUBLISHER_PREFIX
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.charges import (
    CHARGING,
    Months,
    charge_of,
    exponent_of,
    month_begin_us,
    month_number,
    unit_nanos,
)
from ringwork.ads.invoice_events import PayoutMade
from ringwork.ads.lifecycle import PLATFORM, Actor
from ringwork.ads.moves import Moves
from ringwork.kernel.errors import Conflict, Fault, NotFound
from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import Ledger, TransferCreated
from ringwork.kernel.money import to_minor

PAYOUT_ACCOUNT: Final = "platform/payouts"


class Earned(Struct, gc=False):
    """One publisher's month: pricing -> (charged outcomes, nanos), and what the platform kept."""

    quantities: dict[str, int]
    gross_nanos: dict[str, int]
    fees_nanos: int = 0

    @property
    def net_nanos(self) -> int:
        return sum(self.gross_nanos.values()) - self.fees_nanos


class Paid(Struct, frozen=True, gc=False):
    """A payout, as a statement shows it."""

    id: str
    ts_us: int
    month: str
    amount_nanos: int


class Earnings:
    """What publishers earned per month, and their payouts; a fold of charges, fees and payouts."""

    name: ClassVar[str] = "ads_earnings"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (*CHARGING, TransferCreated, PayoutMade)

    def __init__(self) -> None:
        self._months = Months()
        self.clear()

    def clear(self) -> None:
        self.earned: dict[str, dict[int, Earned]] = {}
        """Publisher -> month -> what it earned."""
        self.paid: dict[str, list[Paid]] = {}

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        if isinstance(event, TransferCreated):
            if event.credit_account == FEES_ACCOUNT:
                self._apply_fee(recorded.ts_us, event)
        elif isinstance(event, PayoutMade):
            nanos = event.amount_minor * unit_nanos(event.exponent)
            paid = Paid(event.id, recorded.ts_us, event.month, nanos)
            self.paid.setdefault(event.publisher_id, []).append(paid)
        else:
            charge = charge_of(event)
            if charge is not None:
                earned = self._of(charge.publisher_id, recorded.ts_us)
                pricing, gross, counts = charge.pricing, earned.gross_nanos, earned.quantities
                gross[pricing] = gross.get(pricing, 0) + charge.nanos
                counts[pricing] = counts.get(pricing, 0) + 1

    def _apply_fee(self, ts_us: int, event: TransferCreated) -> None:
        publisher, prefix, id = event.debit_account.partition(PUBLISHER_PREFIX)
        if prefix and not publisher:
            self._of(id, ts_us).fees_nanos += event.amount_nanos

    def _of(self, publisher_id: str, ts_us: int) -> Earned:
        month = self._months.of(ts_us)
        months = self.earned.setdefault(publisher_id, {})
        earned = months.get(month)
        if earned is None:
            earned = months[month] = Earned({}, {})
        return earned

    def earned_by(self, publisher_id: str, through: int) -> int:
        """Nanos that a publisher earned by the end of a month."""
        months = self.earned.get(publisher_id, {})
        return sum(one.net_nanos for month, one in months.items() if month <= through)

    def paid_by(self, publisher_id: str, before_us: int | None = None) -> int:
        """Nanos paid out to a publisher, ever or before a moment."""
        return sum(
            one.amount_nanos
            for one in self.paid.get(publisher_id, ())
            if before_us is None or one.ts_us < before_us
        )

    def dump(self) -> bytes:
        return msgspec.msgpack.encode((self.earned, self.paid))

    def load(self, state: bytes) -> None:
        self.earned, self.paid = _decoder.decode(state)


_decoder: Final = msgspec.msgpack.Decoder(
    tuple[dict[str, dict[int, Earned]], dict[str, list[Paid]]]
)


class Share(Struct, frozen=True):
    """What one way of paying brought a publisher in a month."""

    pricing: str
    quantity: int
    gross_nanos: int


class Statement(Struct, frozen=True, kw_only=True):
    """A publisher's month: ``opening + gross - fees - paid = closing``."""

    publisher_id: str
    month: str
    currency: str
    revenue_share_ppm: int
    """As it is now; the fees are what was kept when each price was charged."""
    opening_nanos: int
    shares: list[Share]
    gross_nanos: int
    fees_nanos: int
    payouts: list[Paid]
    closing_nanos: int


class Payouts:
    """Statements and payouts; what is refused, is refused before anything is recorded."""

    def __init__(
        self, *, earnings: Earnings, catalogue: Catalogue, ledger: Ledger, ids: IdGenerator,
        currency: str,
    ) -> None:  # fmt: skip
        self.earnings = earnings
        self.currency = currency
        self._catalogue = catalogue
        self._moves = Moves(ledger=ledger, ids=ids)
        self._months = Months()

    def statement(self, publisher_id: str, month: str) -> Statement:
        """The publisher's account in a month, the present one included. NotFound, Conflict."""
        publisher = self._catalogue.publishers.get(publisher_id)
        if publisher is None:
            raise NotFound(f"no publisher {publisher_id!r}")
        number = _month(month)
        begin_us, end_us = month_begin_us(number), month_begin_us(number + 1)
        earnings = self.earnings
        earned = earnings.earned.get(publisher_id, {}).get(number, Earned({}, {}))
        paid = [one for one in earnings.paid.get(publisher_id, ()) if one.ts_us >= begin_us]
        closing_nanos = earnings.earned_by(publisher_id, number)
        return Statement(
            publisher_id=publisher_id,
            month=month,
            currency=self.currency,
            revenue_share_ppm=publisher.revenue_share_ppm,
            opening_nanos=earnings.earned_by(publisher_id, number - 1)
            - earnings.paid_by(publisher_id, begin_us),
            shares=[
                Share(pricing, earned.quantities[pricing], nanos)
                for pricing, nanos in sorted(earned.gross_nanos.items())
            ],
            gross_nanos=sum(earned.gross_nanos.values()),
            fees_nanos=earned.fees_nanos,
            payouts=[one for one in paid if one.ts_us < end_us],
            closing_nanos=closing_nanos - earnings.paid_by(publisher_id, end_us),
        )

    def owed_nanos(self, publisher_id: str, through: int) -> int:
        """What a publisher earned by the end of a month and was not paid out yet."""
        earnings = self.earnings
        return max(earnings.earned_by(publisher_id, through) - earnings.paid_by(publisher_id), 0)

    def pay(
        self, command: Command, publisher_id: str, month: str, actor: Actor = PLATFORM
    ) -> PayoutMade:
        """Pay out what was earned by the end of ``month`` and not paid out yet.

        NotFound for an unknown publisher. Conflict: ``month-not-over``; ``nothing-to-pay`` where it
        is less than a smallest unit; ``insufficient-funds`` where the account has less, because
        money was moved by hand.
        """
        if publisher_id not in self._catalogue.publishers:
            raise NotFound(f"no publisher {publisher_id!r}")
        number = _month(month)
        if number >= self._months.of(command.now_s * 1_000_000):
            raise Conflict("month-not-over", f"{month} is not over yet in UTC")
        exponent = exponent_of(self.currency)
        owed_nanos = self.owed_nanos(publisher_id, number)
        amount_minor, carried_nanos = to_minor(owed_nanos, exponent, "floor")
        if not amount_minor:
            text = f"{publisher_id} earned less than a smallest unit by the end of {month}"
            raise Conflict("nothing-to-pay", text)
        count = len(self.earnings.paid.get(publisher_id, ())) + 1
        payout = PayoutMade(
            f"{publisher_id}-p{count}", count, publisher_id, self.currency, exponent, month,
            amount_minor, carried_nanos, actor.id,
        )  # fmt: skip
        nanos = amount_minor * unit_nanos(exponent)
        account = PUBLISHER_PREFIX + publisher_id
        move = self._moves.plan(account, PAYOUT_ACCOUNT, nanos, self.currency, payout.id)
        command.record(payout)
        self._moves.make(command, move)
        return payout


def _month(text: str) -> int:
    number = month_number(text)
    if number is None:
        detail = f"/month: expected YYYY-MM, got {text[:16]!r}"
        raise Conflict("rule-violated", detail, errors=[Fault("/month", detail)])
    return number
