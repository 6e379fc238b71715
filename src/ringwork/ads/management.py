"""The catalogue's commands: register, create, change and review, and move the budgets with it.

Every method decides completely before it records anything, so that a refusal leaves nothing
half-done. The same request again answers as before; the same id with other content is a Conflict
``<noun>-exists``. Whoever gives a command is an ``Actor``: its id stands in the event, and what it
may make live without a review was decided where it came in.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from ringwork.ads.budgets import ADVERTISER_PREFIX, PUBLISHER_PREFIX
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.creatives import Finding, check_creative, content_changed, faults_of
from ringwork.ads.events import (
    AdvertiserChanged,
    AdvertiserRegistered,
    AudienceChanged,
    AudienceCreated,
    CampaignChanged,
    CampaignCreated,
    CampaignReviewed,
    CreativeChanged,
    CreativeCreated,
    CreativeReviewed,
    PlacementChanged,
    PlacementCreated,
    PublisherChanged,
    PublisherRegistered,
    SiteChanged,
    SiteRegistered,
)
from ringwork.ads.funding import Funding
from ringwork.ads.lifecycle import (
    PLATFORM,
    Actor,
    Noun,
    after_change,
    check_edit,
    check_first,
    check_step,
    decide,
)
from ringwork.ads.model import (
    AUDIENCES_MAX,
    Advertiser,
    Audience,
    Campaign,
    Creative,
    Placement,
    Publisher,
    Site,
)
from ringwork.ads.personal import Personal
from ringwork.ads.requests import (
    AdvertiserChange,
    AudienceChange,
    CampaignChange,
    CreativeChange,
    NewAdvertiser,
    NewAudience,
    NewCampaign,
    NewCreative,
    NewPlacement,
    NewPublisher,
    NewSite,
    PlacementChange,
    PublisherChange,
    ReviewDecision,
    SiteChange,
    SpecialReview,
)
from ringwork.ads.rules import (
    HOUSE_BID_NANOS,
    check_advertiser,
    check_audience,
    check_campaign,
    check_new_id,
    check_placement,
    check_publisher,
    check_site,
)
from ringwork.ads.special_ads import Screened, SpecialAds
from ringwork.ads.special_topics import SPECIAL_TOPICS
from ringwork.kernel.errors import Conflict, Fault, NotFound
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import Ledger
from ringwork.kernel.money import Money
from ringwork.kernel.screening import Screen

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
        services: Collection[str],
        special_topics: Collection[str] = SPECIAL_TOPICS,
        screen: Screen | None = None,
    ) -> None:
        """``services``: the core services of the platform, which audiences and publishers name.

        ``screen``: who knows the law of special ads, where somebody does.
        """
        self.screen = screen
        self._special = SpecialAds(catalogue, screen)
        self._catalogue = catalogue
        self._funding = Funding(ledger=ledger, ids=ids, currency=currency)
        self._ids = ids
        self._personal = personal
        self._currency = currency
        self._services = services
        self._special_topics = special_topics

    # ---- advertisers ----------------------------------------------------------------------------

    def register_advertiser(
        self, command: Command, new: NewAdvertiser, actor: Actor = PLATFORM
    ) -> tuple[Advertiser, bool]:
        """Register an advertiser, open its account, and seal its contact under its own subject."""
        wanted = Advertiser(id=new.id, name=new.name, domain=new.domain, currency=new.currency)
        existing = self._catalogue.advertisers.get(new.id)
        if existing is not None and self._same_contact(existing, new.contact):
            return _again("advertiser", replace(existing, contact=None), wanted), False
        if existing is not None:
            raise _exists("advertiser", new.id)
        _refuse(check_new_id(new.id) + check_advertiser(wanted, currency=self._currency))
        account = ADVERTISER_PREFIX + new.id
        self._funding.refuse_other_account(account)
        event_id, subject, purpose = self._ids.new(), None, None
        if new.contact is not None:
            purpose = "account administration"
            subject, sealed = self._personal.seal(
                account, new.contact, event_id=event_id, member="advertiser.contact"
            )
            wanted = replace(wanted, contact=sealed)
        self._funding.open_account(command, account)
        command.record(
            AdvertiserRegistered(wanted, actor.id),
            event_id=event_id,
            subject=subject,
            purpose=purpose,
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

    def change_advertiser(
        self, command: Command, id: str, change: AdvertiserChange, actor: Actor = PLATFORM
    ) -> Advertiser:
        """Change an advertiser's name or domain; its currency and its contact stay."""
        existing = replace(_known("advertiser", self._catalogue.advertisers, id), contact=None)
        wanted = _changed(existing, change)
        if wanted != existing:
            command.record(AdvertiserChanged(wanted, actor.id))
        return wanted

    # ---- campaigns ------------------------------------------------------------------------------

    def create_campaign(
        self, command: Command, new: NewCampaign, actor: Actor = PLATFORM
    ) -> tuple[Campaign, bool]:
        """Create a campaign and pay its budget into its account; Conflict without the funds.

        A draft's budget is set aside as well: what may go live at any time can always pay.
        """
        wanted = self._campaign_of(new)
        existing = self._catalogue.campaigns.get(new.id)
        if existing is not None:  # what the platform has found of it since is not asked for
            asked = replace(wanted, screening=existing.screening)
            return _again("campaign", existing, asked), False
        check_first("campaign", wanted.status, actor)
        faults = check_campaign(
            self._catalogue, wanted, currency=self._currency, special_topics=self._special_topics
        )
        _refuse(check_new_id(new.id) + faults)
        screened = self._special.created(
            wanted, new.certified_text, actor=actor, now_us=command.ts_us
        )
        wanted = screened.campaign
        self._funding.refuse_unfunded(wanted)
        self._funding.fund(command, wanted)
        command.record(CampaignCreated(wanted, actor.id))
        for event in screened.events:
            command.record(event)
        return wanted, True

    def _campaign_of(self, new: NewCampaign) -> Campaign:
        """The campaign that is asked for; what only a house campaign may leave out is filled in."""
        given = asdict(new)
        del given["certified_text"]  # the platform stamps it (``special_ads``)
        is_house = new.priority == "house"
        missing = [name for name in ("bid_nanos", "budget") if given[name] is UNSET]
        if not is_house:
            _refuse([Fault(f"/{name}", "needed but for a house campaign") for name in missing])
        filled = {"bid_nanos": HOUSE_BID_NANOS, "budget": Money(self._currency, 0, 0)}
        return Campaign(**{**given, **{name: filled[name] for name in missing}})

    def change_campaign(
        self, command: Command, id: str, change: CampaignChange, actor: Actor = PLATFORM
    ) -> Campaign:
        """Change a campaign; a new budget moves the difference, never what is spent or reserved."""
        existing = _known("campaign", self._catalogue.campaigns, id)
        wanted = _changed(existing, replace(change, certified_text=UNSET))
        if wanted == existing and change.certified_text is UNSET:
            return existing
        check_step("campaign", id, existing.status, wanted.status, actor)
        _refuse(
            check_campaign(
                self._catalogue,
                wanted,
                currency=self._currency,
                special_topics=self._special_topics,
            )
        )
        screened = self._special.changed(
            existing, wanted, change.certified_text, actor=actor, now_us=command.ts_us
        )
        more_nanos = wanted.budget.total_nanos - existing.budget.total_nanos
        self._funding.change_budget(command, screened.campaign, more_nanos)
        return _screened(command, screened, actor)

    def review_campaign(
        self, command: Command, id: str, review: ReviewDecision, actor: Actor = PLATFORM
    ) -> Campaign:
        """Decide on a campaign as its reviewer; the same decision again changes nothing."""
        existing = _known("campaign", self._catalogue.campaigns, id)
        status = _decided("campaign", id, existing.status, review)
        wanted = replace(existing, status=status, review_reason=review.reason)
        if wanted != existing:
            command.record(CampaignReviewed(wanted, review.decision, actor.id))
        return wanted

    def review_special(
        self, command: Command, id: str, review: SpecialReview, actor: Actor = PLATFORM
    ) -> Campaign:
        """Decide on a campaign that is held: of a special category, or not.

        One that is shows nothing before its advertiser has certified, and its targeting is lawful.
        """
        existing = _known("campaign", self._catalogue.campaigns, id)
        screened = self._special.decided(
            existing, review.decision, review.special_ad_categories, review.reason, actor=actor
        )
        return _screened(command, screened, actor)

    def screen_campaign(self, command: Command, id: str, actor: Actor = PLATFORM) -> Campaign:
        """Look at all ads and the targeting of a campaign again: the rules may be others by now."""
        existing = _known("campaign", self._catalogue.campaigns, id)
        screened = self._special.looked_at(existing)
        return existing if screened is None else _screened(command, screened, actor)

    def _screen_creative(self, command: Command, creative: Creative) -> None:
        """Hold its campaign where it seems to be of a category that was not declared."""
        screened = self._special.shown(self._catalogue.campaigns[creative.campaign_id], creative)
        if screened is not None:
            _screened(command, screened, PLATFORM)

    # ---- creatives ------------------------------------------------------------------------------

    def check_creative(self, new: NewCreative) -> list[Finding]:
        """What would be said of a creative, without creating it."""
        wanted = msgspec.convert(new, Creative, from_attributes=True)
        return check_creative(wanted, self._catalogue.campaigns.get(wanted.campaign_id))

    def create_creative(
        self, command: Command, new: NewCreative, actor: Actor = PLATFORM
    ) -> tuple[Creative, bool]:
        """Create a creative of an existing campaign."""
        wanted = Creative(**asdict(new))  # every member was checked when it was decoded
        existing = self._catalogue.creatives.get(new.id)
        if existing is not None:
            return _again("creative", existing, wanted), False
        check_first("creative", wanted.status, actor)
        campaign = self._catalogue.campaigns.get(wanted.campaign_id)
        _refuse(check_new_id(new.id) + faults_of(check_creative(wanted, campaign)))
        command.record(CreativeCreated(wanted, actor.id))
        self._screen_creative(command, wanted)
        return wanted, True

    def change_creative(
        self, command: Command, id: str, change: CreativeChange, actor: Actor = PLATFORM
    ) -> Creative:
        """Change a creative; its format, size and media stay what they were.

        Where the platform asks for reviews, what was approved and then changed waits for one again.
        """
        existing = _known("creative", self._catalogue.creatives, id)
        wanted = _changed(existing, change)
        if wanted == existing:
            return existing
        check_step("creative", id, existing.status, wanted.status, actor)
        is_reviewed_content = content_changed(existing, wanted)
        if is_reviewed_content:  # what was taken under older rules can still be paused
            check_edit("creative", id, existing.status, wanted.status, actor)
            campaign = self._catalogue.campaigns.get(wanted.campaign_id)
            _refuse(faults_of(check_creative(wanted, campaign)))
        status = after_change(wanted.status, is_reviewed_content=is_reviewed_content, actor=actor)
        wanted = replace(wanted, status=status)
        command.record(CreativeChanged(wanted, actor.id))
        if is_reviewed_content:
            self._screen_creative(command, wanted)
        return wanted

    def review_creative(
        self, command: Command, id: str, review: ReviewDecision, actor: Actor = PLATFORM
    ) -> Creative:
        """Decide on a creative as its reviewer; the same decision again changes nothing."""
        existing = _known("creative", self._catalogue.creatives, id)
        status = _decided("creative", id, existing.status, review)
        wanted = replace(existing, status=status, review_reason=review.reason)
        if wanted != existing:
            command.record(CreativeReviewed(wanted, review.decision, actor.id))
        return wanted

    # ---- audiences ------------------------------------------------------------------------------

    def create_audience(
        self, command: Command, new: NewAudience, actor: Actor = PLATFORM
    ) -> tuple[Audience, bool]:
        """Create an audience; there are at most ``AUDIENCES_MAX``."""
        wanted = msgspec.convert(new, Audience, from_attributes=True)
        existing = self._catalogue.audiences.get(new.id)
        if existing is not None:
            return _again("audience", existing, wanted), False
        faults = check_audience(
            wanted, services=self._services, special_topics=self._special_topics
        )
        if len(self._catalogue.audiences) >= AUDIENCES_MAX:
            faults.append(Fault("/id", f"there are {AUDIENCES_MAX} audiences: change one"))
        _refuse(check_new_id(new.id) + faults)
        command.record(AudienceCreated(wanted, actor.id))
        return wanted, True

    def change_audience(
        self, command: Command, id: str, change: AudienceChange, actor: Actor = PLATFORM
    ) -> Audience:
        """Change an audience: its rules, its name, or whether anybody is in it."""
        existing = _known("audience", self._catalogue.audiences, id)
        wanted = _changed(existing, change)
        if wanted != existing:
            _refuse(self._audience_faults(wanted))
            command.record(AudienceChanged(wanted, actor.id))
        return wanted

    def _campaign_faults(self, wanted: Campaign) -> list[Fault]:
        return check_campaign(
            self._catalogue,
            wanted,
            currency=self._currency,
            special_topics=self._special_topics,
        )

    def _audience_faults(self, wanted: Audience) -> list[Fault]:
        return check_audience(wanted, services=self._services, special_topics=self._special_topics)

    # ---- publishers, sites, placements ----------------------------------------------------------

    def register_publisher(
        self, command: Command, new: NewPublisher, actor: Actor = PLATFORM
    ) -> tuple[Publisher, bool]:
        """Register a publisher and open its account."""
        wanted = msgspec.convert(new, Publisher, from_attributes=True)
        existing = self._catalogue.publishers.get(new.id)
        if existing is not None:
            return _again("publisher", existing, wanted), False
        _refuse(check_new_id(new.id) + check_publisher(wanted, services=self._services))
        account = PUBLISHER_PREFIX + new.id
        self._funding.refuse_other_account(account)
        self._funding.open_account(command, account)
        command.record(PublisherRegistered(wanted, actor.id))
        return wanted, True

    def change_publisher(
        self, command: Command, id: str, change: PublisherChange, actor: Actor = PLATFORM
    ) -> Publisher:
        """Change a publisher: its origins, its share, what it blocks."""
        existing = _known("publisher", self._catalogue.publishers, id)
        wanted = _changed(existing, change)
        if wanted != existing:
            _refuse(check_publisher(wanted, services=self._services))
            command.record(PublisherChanged(wanted, actor.id))
        return wanted

    def register_site(
        self, command: Command, new: NewSite, actor: Actor = PLATFORM
    ) -> tuple[Site, bool]:
        """Register a site of a publisher."""
        wanted = msgspec.convert(new, Site, from_attributes=True)
        existing = self._catalogue.sites.get(new.id)
        if existing is not None:
            return _again("site", existing, wanted), False
        _refuse(check_new_id(new.id) + check_site(self._catalogue, wanted, services=self._services))
        command.record(SiteRegistered(wanted, actor.id))
        return wanted, True

    def change_site(
        self, command: Command, id: str, change: SiteChange, actor: Actor = PLATFORM
    ) -> Site:
        """Change a site: its labels and what it blocks; it stays its publisher's."""
        existing = _known("site", self._catalogue.sites, id)
        wanted = _changed(existing, change)
        if wanted != existing:
            _refuse(check_site(self._catalogue, wanted, services=self._services))
            command.record(SiteChanged(wanted, actor.id))
        return wanted

    def create_placement(
        self, command: Command, new: NewPlacement, actor: Actor = PLATFORM
    ) -> tuple[Placement, bool]:
        """Create a placement of a registered publisher."""
        wanted = msgspec.convert(new, Placement, from_attributes=True)
        existing = self._catalogue.placements.get(new.id)
        if existing is not None:
            return _again("placement", existing, wanted), False
        _refuse(check_new_id(new.id) + check_placement(self._catalogue, wanted))
        command.record(PlacementCreated(wanted, actor.id))
        return wanted, True

    def change_placement(
        self, command: Command, id: str, change: PlacementChange, actor: Actor = PLATFORM
    ) -> Placement:
        """Change a placement; its publisher and its format stay."""
        existing = _known("placement", self._catalogue.placements, id)
        wanted = _changed(existing, change)
        if wanted != existing:
            _refuse(check_placement(self._catalogue, wanted))
            command.record(PlacementChanged(wanted, actor.id))
        return wanted


def _screened(command: Command, screened: Screened, actor: Actor) -> Campaign:
    """Record a campaign as it is from now on, and why."""
    command.record(CampaignChanged(screened.campaign, actor.id))
    for event in screened.events:
        command.record(event)
    return screened.campaign


def _known(noun: str, among: dict[str, _Item], id: str) -> _Item:
    item = among.get(id)
    if item is None:
        raise NotFound(f"no {noun} {id!r}")
    return item


def _decided(noun: Noun, id: str, now: str, review: ReviewDecision) -> str:
    """The status that a decision gives; what is not approved takes a reason."""
    if review.decision != "approve" and not review.reason.strip():
        text = f"to {review.decision} takes a reason: the author has to know what to mend"
        _refuse([Fault("/reason", text)])
    return decide(noun, id, now, review.decision)


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


def _changed(
    item: _Item,
    change: AdvertiserChange
    | AudienceChange
    | CampaignChange
    | CreativeChange
    | PublisherChange
    | SiteChange
    | PlacementChange,
) -> _Item:
    given = {
        name: value for name, value in asdict(change).items() if not isinstance(value, UnsetType)
    }
    return replace(item, **given)
