"""The catalogue's commands: register, create and change, and move the budgets that go with it.

Every method decides completely before it records anything, so that a refusal leaves nothing
half-done. The same request again answers as before; the same id with other content is a Conflict
``<noun>-exists``.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import asdict, replace

from ringwork.ads.budgets import ADVERTISER_PREFIX, CAMPAIGN_PREFIX, PUBLISHER_PREFIX
from ringwork.ads.catalogue import (
    Catalogue,
    check_advertiser,
    check_campaign,
    check_creative,
    check_placement,
    check_publisher,
)
from ringwork.ads.events import (
    AdvertiserRegistered,
    CampaignChanged,
    CampaignCreated,
    CreativeChanged,
    CreativeCreated,
    PlacementCreated,
    PublisherRegistered,
)
from ringwork.ads.model import Advertiser, Campaign, Creative, Placement, Publisher
from ringwork.ads.personal import Personal
from ringwork.ads.requests import (
    CampaignChange,
    CreativeChange,
    NewAdvertiser,
    NewCampaign,
    NewCreative,
    NewPlacement,
    NewPublisher,
)
from ringwork.kernel.errors import Conflict, Fault, NotFound
from ringwork.kernel.ids import IdGenerator, format_id
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import CREATED, Ledger, Transfer
from ringwork.kernel.money import Money

_Item = TypeVar("_Item", bound=Struct)


class Management:
    """Changes the catalogue. Create methods return the item and whether it is new."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        ledger: Ledger,
        ids: IdGenerator,
        personal: Personal,
        currency: str,
    ) -> None:
        self._catalogue = catalogue
        self._ledger = ledger
        self._ids = ids
        self._personal = personal
        self._currency = currency

    # ---- advertisers and campaigns --------------------------------------------------------------

    def register_advertiser(self, command: Command, new: NewAdvertiser) -> tuple[Advertiser, bool]:
        """Register an advertiser, open its account, and seal its contact under its own subject."""
        wanted = Advertiser(id=new.id, name=new.name, domain=new.domain, currency=new.currency)
        existing = self._catalogue.advertisers.get(new.id)
        if existing is not None and self._same_contact(existing, new.contact):
            return _again("advertiser", replace(existing, contact=None), wanted), False
        if existing is not None:
            raise _exists("advertiser", new.id)
        _refuse(check_advertiser(wanted, currency=self._currency))
        account = ADVERTISER_PREFIX + new.id
        self._refuse_other_account(account)
        event_id, subject, purpose = self._ids.new(), None, None
        if new.contact is not None:
            purpose = "account administration"
            subject, sealed = self._personal.seal(
                account, new.contact, event_id=event_id, member="advertiser.contact"
            )
            wanted = replace(wanted, contact=sealed)
        self._ledger.open_account(command, id=account, currency=self._currency, limited=True)
        command.record(
            AdvertiserRegistered(wanted), event_id=event_id, subject=subject, purpose=purpose
        )
        return replace(wanted, contact=None), True

    def _same_contact(self, existing: Advertiser, contact: str | None) -> bool:
        """Whether the contact is what was sealed; an erased one matches anything."""
        if existing.contact is None:
            return contact is None
        sealed_for = self._catalogue.registrations[existing.id]
        kept = self._personal.unseal(
            ADVERTISER_PREFIX + existing.id,
            existing.contact,
            event_id=sealed_for,
            member="advertiser.contact",
        )
        return kept is None or kept == contact

    def create_campaign(self, command: Command, new: NewCampaign) -> tuple[Campaign, bool]:
        """Create a campaign and pay its budget into its account; Conflict without the funds."""
        wanted = msgspec.convert(new, Campaign, from_attributes=True)
        existing = self._catalogue.campaigns.get(new.id)
        if existing is not None:
            return _again("campaign", existing, wanted), False
        _refuse(check_campaign(self._catalogue, wanted, currency=self._currency))
        account = CAMPAIGN_PREFIX + new.id
        if account in self._ledger.accounts:
            raise Conflict("account-exists", f"the ledger already has an account {account!r}")
        self._refuse_unfunded(wanted)
        opened = self._ledger.open_account(
            command, id=account, currency=self._currency, limited=True
        )
        funded = self._ledger.transfer(
            command, self._budget_transfer(wanted, wanted.budget.total_nanos)
        )
        assert opened == funded == CREATED, "decided before recording"
        command.record(CampaignCreated(wanted))
        return wanted, True

    def change_campaign(self, command: Command, id: str, change: CampaignChange) -> Campaign:
        """Change a campaign; a new budget moves the difference, never what is spent or reserved."""
        existing = self._catalogue.campaigns.get(id)
        if existing is None:
            raise NotFound(f"no campaign {id!r}")
        wanted = _changed(existing, change)
        if wanted == existing:
            return existing
        if existing.status == "ended" and wanted.status != "ended":
            raise Conflict("campaign-ended", f"campaign {id!r} has ended; create a new one")
        _refuse(check_campaign(self._catalogue, wanted, currency=self._currency))
        more_nanos = wanted.budget.total_nanos - existing.budget.total_nanos
        if more_nanos:
            transfer = self._budget_transfer(wanted, more_nanos)
            result = self._ledger.decide(command.now_s, transfer)
            if result != CREATED:
                raise self._unmoved(transfer, result)
            self._ledger.transfer(command, transfer)
        command.record(CampaignChanged(wanted))
        return wanted

    def _budget_transfer(self, campaign: Campaign, nanos: int) -> Transfer:
        """From the advertiser to the campaign, or back where ``nanos`` is negative."""
        advertiser = ADVERTISER_PREFIX + campaign.advertiser_id
        account = CAMPAIGN_PREFIX + campaign.id
        return Transfer(
            id=format_id(self._ids.new()),
            kind="single",
            debit_account=advertiser if nanos > 0 else account,
            credit_account=account if nanos > 0 else advertiser,
            amount_nanos=abs(nanos),
            currency=self._currency,
            reference=campaign.id,
        )

    def _refuse_unfunded(self, campaign: Campaign) -> None:
        """Conflict when the advertiser cannot pay a budget into an account that is yet to open."""
        available = self._available(ADVERTISER_PREFIX + campaign.advertiser_id)
        if available.total_nanos < campaign.budget.total_nanos:
            raise Conflict(
                "insufficient-funds",
                f"advertiser {campaign.advertiser_id!r} has {available} available, "
                f"the budget is {campaign.budget}",
            )

    def _unmoved(self, transfer: Transfer, result: str) -> Conflict:
        available = self._available(transfer.debit_account)
        amount = Money.of_nanos(self._currency, transfer.amount_nanos)
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
        return Money.of_nanos(self._currency, nanos)

    def _refuse_other_account(self, id: str) -> None:
        """An account that was opened by hand is taken over if it is what would have been opened."""
        account = self._ledger.accounts.get(id)
        if account is not None and not (account.limited and account.currency == self._currency):
            raise Conflict("account-exists", f"the ledger has a different account {id!r}")

    # ---- creatives, publishers, placements ------------------------------------------------------

    def create_creative(self, command: Command, new: NewCreative) -> tuple[Creative, bool]:
        """Create a creative of an existing campaign."""
        wanted = msgspec.convert(new, Creative, from_attributes=True)
        existing = self._catalogue.creatives.get(new.id)
        if existing is not None:
            return _again("creative", existing, wanted), False
        _refuse(check_creative(self._catalogue, wanted))
        command.record(CreativeCreated(wanted))
        return wanted, True

    def change_creative(self, command: Command, id: str, change: CreativeChange) -> Creative:
        """Change a creative; its format, size and media stay what they were."""
        existing = self._catalogue.creatives.get(id)
        if existing is None:
            raise NotFound(f"no creative {id!r}")
        wanted = _changed(existing, change)
        if wanted != existing:
            _refuse(check_creative(self._catalogue, wanted))
            command.record(CreativeChanged(wanted))
        return wanted

    def register_publisher(self, command: Command, new: NewPublisher) -> tuple[Publisher, bool]:
        """Register a publisher and open its account."""
        wanted = msgspec.convert(new, Publisher, from_attributes=True)
        existing = self._catalogue.publishers.get(new.id)
        if existing is not None:
            return _again("publisher", existing, wanted), False
        _refuse(check_publisher(wanted))
        account = PUBLISHER_PREFIX + new.id
        self._refuse_other_account(account)
        self._ledger.open_account(command, id=account, currency=self._currency, limited=True)
        command.record(PublisherRegistered(wanted))
        return wanted, True

    def create_placement(self, command: Command, new: NewPlacement) -> tuple[Placement, bool]:
        """Create a placement of a registered publisher."""
        wanted = msgspec.convert(new, Placement, from_attributes=True)
        existing = self._catalogue.placements.get(new.id)
        if existing is not None:
            return _again("placement", existing, wanted), False
        _refuse(check_placement(self._catalogue, wanted))
        command.record(PlacementCreated(wanted))
        return wanted, True


def _again(noun: str, existing: _Item, wanted: _Item) -> _Item:
    if existing != wanted:
        raise _exists(noun, wanted.id)  # type: ignore[attr-defined]  # every item has one
    return existing


def _exists(noun: str, id: str) -> Conflict:
    return Conflict(f"{noun}-exists", f"{noun} {id!r} exists with other content")


def _refuse(faults: list[Fault]) -> None:
    if faults:
        text = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults)
        raise Conflict("rule-violated", text, errors=faults)


def _changed(item: _Item, change: CampaignChange | CreativeChange) -> _Item:
    given = {name: value for name, value in asdict(change).items() if value is not UNSET}
    return replace(item, **given)
