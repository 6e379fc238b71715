"""The money of subscriptions in the platform's double-entry ledger.

A charge that is asked for is a pending transfer from ``receivable`` to ``revenue``. Paid, it is
posted and the same amount goes from ``cash`` to ``receivable``; declined, it is voided. A refund
that is asked for is a pending transfer from ``refunds`` to ``cash``, then posted or voided. So at
any time what is under way is pending, and ``cash`` holds what the provider owes us. There is one
account of each kind per currency; none names a person.
"""

from __future__ import annotations

import logging
from typing import Final, Literal

from ringwork.consent.subscriptions.model import Charge, Refund
from ringwork.kernel.ids import IdGenerator, format_id
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import CREATED, Ledger, Transfer

Account = Literal["receivable", "revenue", "cash", "refunds"]
PREFIX: Final = "subscriptions"

_log: Final = logging.getLogger(__name__)


def account_id(account: Account, currency: str) -> str:
    """The ledger's id of an account: ``subscriptions/cash/EUR``."""
    return f"{PREFIX}/{account}/{currency}"


class Accounts:
    """Makes the transfers that payments are. What was reserved under a payment's id is its own."""

    def __init__(self, *, ledger: Ledger, ids: IdGenerator) -> None:
        self._ledger = ledger
        self._ids = ids

    def refusal(self, currency: str, amount_nanos: int) -> str:
        """Why the ledger would not take a payment, as its slug; "" where it would.

        Somebody may have opened one of the accounts by hand, with a limit or in another currency,
        and an account ends at int64.
        """
        for debit, credit in (("receivable", "revenue"), ("cash", "receivable")):
            transfer = _transfer("-", "single", debit, credit, amount_nanos, currency)
            if {transfer.debit_account, transfer.credit_account} <= self._ledger.accounts.keys():
                result = self._ledger.decide(0, transfer)
                if result != CREATED:
                    return result
        return ""

    def hold(self, command: Command, charge_id: str, amount_nanos: int, currency: str) -> None:
        """A charge is asked for."""
        hold = _transfer(charge_id, "pending", "receivable", "revenue", amount_nanos, currency)
        self._make(command, hold)

    def paid(self, command: Command, charge: Charge) -> None:
        """The provider has the money. Also of a charge that was declined before."""
        self._resolve(command, "post", charge, "receivable", "revenue")
        cash = _transfer(
            self._new_id(), "single", "cash", "receivable", charge.amount_nanos, charge.currency,
            charge.id,
        )  # fmt: skip
        self._make(command, cash)

    def declined(self, command: Command, charge: Charge) -> None:
        """Nothing was paid."""
        self._void(command, charge)

    def hold_refund(
        self, command: Command, refund_id: str, amount_nanos: int, charge: Charge
    ) -> None:
        """A refund is asked for."""
        hold = _transfer(
            refund_id, "pending", "refunds", "cash", amount_nanos, charge.currency, charge.id
        )
        self._make(command, hold)

    def refunded(self, command: Command, refund: Refund) -> None:
        """The provider has given the money back."""
        self._resolve(command, "post", refund, "refunds", "cash")

    def not_refunded(self, command: Command, refund: Refund) -> None:
        """The provider keeps it."""
        self._void(command, refund)

    def _resolve(
        self,
        command: Command,
        kind: Literal["post"],
        payment: Charge | Refund,
        debit: Account,
        credit: Account,
    ) -> None:
        """Post what was reserved; where that is gone, move the amount all the same."""
        amount, currency = payment.amount_nanos, payment.currency
        post = Transfer(
            id=self._new_id(),
            kind=kind,
            amount_nanos=amount,
            currency=currency,
            pending_id=payment.id,
        )
        if self._ledger.decide(command.now_s, post) == CREATED:
            self._ledger.transfer(command, post)
            return
        single = _transfer(self._new_id(), "single", debit, credit, amount, currency, payment.id)
        self._make(command, single)

    def _void(self, command: Command, payment: Charge | Refund) -> None:
        void = Transfer(
            id=self._new_id(), kind="void", currency=payment.currency, pending_id=payment.id
        )
        if self._ledger.decide(command.now_s, void) == CREATED:
            self._ledger.transfer(command, void)

    def _make(self, command: Command, transfer: Transfer) -> None:
        for id in (transfer.debit_account, transfer.credit_account):
            if id not in self._ledger.accounts:
                self._ledger.open_account(command, id=id, currency=transfer.currency, limited=False)
        result = self._ledger.transfer(command, transfer)
        if result != CREATED:  # the money has moved all the same: the refusal stands in the log
            _log.error("the ledger refused transfer %s as %s", transfer.id, result)

    def _new_id(self) -> str:
        return format_id(self._ids.new())


def _transfer(
    id: str,
    kind: Literal["single", "pending"],
    debit: str,
    credit: str,
    amount_nanos: int,
    currency: str,
    reference: str = "",
) -> Transfer:
    return Transfer(
        id=id,
        kind=kind,
        debit_account=f"{PREFIX}/{debit}/{currency}",
        credit_account=f"{PREFIX}/{credit}/{currency}",
        amount_nanos=amount_nanos,
        currency=currency,
        reference=reference,
    )
