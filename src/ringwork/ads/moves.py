"""Money that a document moves: decided with the document, before anything is recorded."""

from __future__ import annotations

from ringwork.kernel.errors import Conflict
from ringwork.kernel.ids import IdGenerator, format_id
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import CREATED, Account, Ledger, Transfer
from ringwork.kernel.money import MAX_NANOS, Money


class Moves:
    """Plans transfers that cannot fail any more, and makes them; opens accounts on their way."""

    def __init__(self, *, ledger: Ledger, ids: IdGenerator) -> None:
        self._ledger = ledger
        self._ids = ids

    def plan(
        self, debit: str, credit: str, nanos: int, currency: str, reference: str
    ) -> Transfer | None:
        """The transfer to make; None for nothing.

        Conflict, with the ledger's own slug, where an account that exists would refuse it.
        """
        if not nanos:
            return None
        accounts = self._ledger.accounts
        for id, is_debit in ((debit, True), (credit, False)):
            account = accounts.get(id)
            refusal = "" if account is None else _refusal(account, nanos, currency, is_debit)
            if refusal:
                amount = Money.of_nanos(currency, nanos)
                raise Conflict(
                    refusal, f"account {id!r} cannot take part in a transfer of {amount}"
                )
        return Transfer(
            id=format_id(self._ids.new()),
            kind="single",
            debit_account=debit,
            credit_account=credit,
            amount_nanos=nanos,
            currency=currency,
            reference=reference,
        )

    def make(self, command: Command, move: Transfer | None) -> None:
        """Record a planned transfer of this command; an account that is missing is unlimited."""
        if move is None:
            return
        for id in (move.debit_account, move.credit_account):
            if id not in self._ledger.accounts:
                self._ledger.open_account(command, id=id, currency=move.currency, limited=False)
        result = self._ledger.transfer(command, move)
        assert result == CREATED, f"decided before recording, refused as {result}"


def _refusal(account: Account, nanos: int, currency: str, is_debit: bool) -> str:
    if account.currency != currency:
        return "currency-mismatch"
    if is_debit and account.limited and account.available_nanos < nanos:
        return "insufficient-funds"
    pending, posted = (
        (account.debits_pending, account.debits_posted)
        if is_debit
        else (account.credits_pending, account.credits_posted)
    )
    return "amount-overflow" if pending + posted + nanos > MAX_NANOS else ""
