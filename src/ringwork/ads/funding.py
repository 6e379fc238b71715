"""The money behind advertisers, campaigns and publishers: their accounts and campaigns' budgets."""

from __future__ import annotations

from ringwork.ads.budgets import ADVERTISER_PREFIX, CAMPAIGN_PREFIX
from ringwork.ads.model import Campaign
from ringwork.kernel.errors import Conflict
from ringwork.kernel.ids import IdGenerator, format_id
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import CREATED, Ledger, Transfer
from ringwork.kernel.money import Money


class Funding:
    """Opens accounts and moves budgets; what it refuses, it refuses before anything is recorded."""

    def __init__(self, *, ledger: Ledger, ids: IdGenerator, currency: str) -> None:
        self.currency = currency
        self._ledger = ledger
        self._ids = ids

    def open_account(self, command: Command, id: str) -> None:
        """Open an advertiser's or a publisher's account (again, where it was opened by hand)."""
        self._ledger.open_account(command, id=id, currency=self.currency, limited=True)

    def refuse_other_account(self, id: str) -> None:
        """An account that was opened by hand is taken over if it is what would have been opened."""
        account = self._ledger.accounts.get(id)
        if account is not None and not (account.limited and account.currency == self.currency):
            raise Conflict("account-exists", f"the ledger has a different account {id!r}")

    def refuse_unfunded(self, campaign: Campaign) -> None:
        """Conflict when the advertiser cannot pay a new campaign's budget."""
        account = CAMPAIGN_PREFIX + campaign.id
        if account in self._ledger.accounts:
            raise Conflict("account-exists", f"the ledger already has an account {account!r}")
        available = self._available(ADVERTISER_PREFIX + campaign.advertiser_id)
        if available.total_nanos < campaign.budget.total_nanos:
            raise Conflict(
                "insufficient-funds",
                f"advertiser {campaign.advertiser_id!r} has {available} available, "
                f"the budget is {campaign.budget}",
            )

    def fund(self, command: Command, campaign: Campaign) -> None:
        """Open a new campaign's account and pay its budget in; ``refuse_unfunded`` went before."""
        opened = self._ledger.open_account(
            command, id=CAMPAIGN_PREFIX + campaign.id, currency=self.currency, limited=True
        )
        assert opened == CREATED, "decided before recording"
        if campaign.budget.total_nanos:
            transfer = self._transfer(campaign, campaign.budget.total_nanos)
            funded = self._ledger.transfer(command, transfer)
            assert funded == CREATED, "decided before recording"

    def change_budget(self, command: Command, campaign: Campaign, more_nanos: int) -> None:
        """Move a budget's difference: never what is spent or reserved, never what is not there."""
        if not more_nanos:
            return
        transfer = self._transfer(campaign, more_nanos)
        result = self._ledger.decide(command.now_s, transfer)
        if result != CREATED:
            raise self._unmoved(transfer, result)
        self._ledger.transfer(command, transfer)

    def _transfer(self, campaign: Campaign, nanos: int) -> Transfer:
        """From the advertiser to the campaign, or back where ``nanos`` is negative."""
        advertiser = ADVERTISER_PREFIX + campaign.advertiser_id
        account = CAMPAIGN_PREFIX + campaign.id
        return Transfer(
            id=format_id(self._ids.new()),
            kind="single",
            debit_account=advertiser if nanos > 0 else account,
            credit_account=account if nanos > 0 else advertiser,
            amount_nanos=abs(nanos),
            currency=self.currency,
            reference=campaign.id,
        )

    def _unmoved(self, transfer: Transfer, result: str) -> Conflict:
        available = self._available(transfer.debit_account)
        amount = Money.of_nanos(self.currency, transfer.amount_nanos)
        lowered = transfer.debit_account.startswith(CAMPAIGN_PREFIX)
        if lowered and result == "insufficient-funds":
            return Conflict(
                "budget-below-spent",
                f"{available} of the budget is neither spent nor reserved, {amount} would be taken",
            )
        return Conflict(
            result, f"{transfer.debit_account} has {available} available, {amount} is needed"
        )

    def _available(self, account: str) -> Money:
        nanos = self._ledger.accounts[account].available_nanos
        return Money.of_nanos(self.currency, nanos)
