"""The facts of the ad part. Members are appended, never edited; amounts are integer nanos.

``actor`` says who gave the command: the id of an API key, ``console`` for a signed-in session,
``local`` for the owner's socket; empty where the platform did it itself, and in older events.
"""

from __future__ import annotations

from typing import ClassVar, Final

from msgspec import Struct, field

from ringwork.ads.model import (
    Advertiser,
    Audience,
    Campaign,
    Context,
    Creative,
    Placement,
    Publisher,
    Site,
)
from ringwork.kernel.events import Event


class AdvertiserRegistered(Event, frozen=True, array_like=True):
    """An advertiser exists; its contact is sealed under the subject ``advertiser/<id>``."""

    TYPE: ClassVar[str] = "advertiser_registered"
    PERSONAL: ClassVar[tuple[str, ...]] = ("advertiser.contact",)
    advertiser: Advertiser
    actor: str = ""


class AdvertiserChanged(Event, frozen=True, array_like=True):
    """The advertiser as it is from now on, without its contact: that stays where it was sealed."""

    TYPE: ClassVar[str] = "advertiser_changed"
    advertiser: Advertiser
    actor: str = ""


class CampaignCreated(Event, frozen=True, array_like=True):
    """A campaign exists, with its budget in its own account."""

    TYPE: ClassVar[str] = "campaign_created"
    campaign: Campaign
    actor: str = ""


class CampaignChanged(Event, frozen=True, array_like=True):
    """The campaign as it is from now on."""

    TYPE: ClassVar[str] = "campaign_changed"
    campaign: Campaign
    actor: str = ""


class CreativeCreated(Event, frozen=True, array_like=True):
    """A creative of a campaign exists."""

    TYPE: ClassVar[str] = "creative_created"
    creative: Creative
    actor: str = ""


class CreativeChanged(Event, frozen=True, array_like=True):
    """The creative as it is from now on."""

    TYPE: ClassVar[str] = "creative_changed"
    creative: Creative
    actor: str = ""


class CampaignReviewed(Event, frozen=True, array_like=True):
    """A reviewer decided on a campaign: approve, reject or return; the campaign as it is now."""

    TYPE: ClassVar[str] = "campaign_reviewed"
    campaign: Campaign
    decision: str
    actor: str = ""


class CreativeReviewed(Event, frozen=True, array_like=True):
    """A reviewer decided on a creative: approve, reject or return; the creative as it is now."""

    TYPE: ClassVar[str] = "creative_reviewed"
    creative: Creative
    decision: str
    actor: str = ""


class AudienceCreated(Event, frozen=True, array_like=True):
    """An audience exists; it is a rule, and names nobody."""

    TYPE: ClassVar[str] = "audience_created"
    audience: Audience
    actor: str = ""


class AudienceChanged(Event, frozen=True, array_like=True):
    """The audience as it is from now on."""

    TYPE: ClassVar[str] = "audience_changed"
    audience: Audience
    actor: str = ""


class PublisherRegistered(Event, frozen=True, array_like=True):
    """A publisher exists and can earn."""

    TYPE: ClassVar[str] = "publisher_registered"
    publisher: Publisher
    actor: str = ""


class PublisherChanged(Event, frozen=True, array_like=True):
    """The publisher as it is from now on."""

    TYPE: ClassVar[str] = "publisher_changed"
    publisher: Publisher
    actor: str = ""


class SiteRegistered(Event, frozen=True, array_like=True):
    """A property of a publisher exists."""

    TYPE: ClassVar[str] = "site_registered"
    site: Site
    actor: str = ""


class SiteChanged(Event, frozen=True, array_like=True):
    """The site as it is from now on."""

    TYPE: ClassVar[str] = "site_changed"
    site: Site
    actor: str = ""


class PlacementCreated(Event, frozen=True, array_like=True):
    """A place on a publisher's pages can be filled."""

    TYPE: ClassVar[str] = "placement_created"
    placement: Placement
    actor: str = ""


class PlacementChanged(Event, frozen=True, array_like=True):
    """The placement as it is from now on."""

    TYPE: ClassVar[str] = "placement_changed"
    placement: Placement
    actor: str = ""


class Considered(Struct, frozen=True, array_like=True):
    """One ranked candidate of a slot.

    The auction's inputs, so that its price can be recomputed exactly.
    """

    ad_id: str
    campaign_id: str
    bid_nanos: int
    p_ppb: int
    quality_ppm: int
    multiplier_ppm: int
    shift_nanos: int
    score_nanos: int


class SlotOutcome(Struct, frozen=True, array_like=True):
    """What happened to one slot.

    Who was kept out and why, who was ranked, who won at what price.
    """

    slot_id: str
    format: str
    rule: str
    reserve_nanos: int
    eligible: int
    excluded: dict[str, int]
    """First reason that applied -> how many ads it kept out."""
    considered: list[Considered]
    """Best first, at most eight."""
    impression_id: bytes | None = None
    ad_id: str = ""
    campaign_id: str = ""
    pricing: str = ""
    price_nanos: int = 0
    expires_s: int = 0
    charge_bid: bool = False
    scanned: int = 0
    """Live ads that were looked at, best first; ``eligible`` and ``excluded`` are among these."""
    deal_id: str = ""
    cost_nanos: int = 0
    """What is held or charged: the price, times the impressions that a play counts as."""
    propensity_ppb: int = 0
    """Of an exploring request, the chance in 1e-9 that its winner had of winning; else 0."""
    slate_ppm: list[int] = []
    """Of a place of a slate: what it and those below are worth that its price looks at. Then
    ``considered`` holds the winner and whom it must outrank to hold its place and those below."""
    width: int = 0
    height: int = 0
    """Of the slot, as the model saw it; 0 where it has no size of its own."""


class AuctionCleared(Event, frozen=True, array_like=True):
    """One ad request, decided: every input of the price and every slot's outcome, sold or not."""

    TYPE: ClassVar[str] = "auction_cleared"
    source: str
    currency: str
    context: Context
    slots: list[SlotOutcome]
    stage_ns: dict[str, int]
    """Stage -> nanoseconds it took, in order."""
    supply_chain: str = ""
    """The resellers that the request came through, as its schain says (OpenRTB)."""
    model_version: int = 0
    """The version of the response model that the probabilities are of; 0 for priors alone."""
    reads: dict[str, int] = field(default_factory=dict)
    """Personal data that were read, by the service that they are of, as bits (``reads``); empty
    without a grant."""
    tier: str = ""
    """What the person's choice left of the request; empty before tiers were recorded."""
    tier_reasons: tuple[str, ...] = ()
    """Codes of every rule that applied, the deciding one first."""
    measurable: bool = True
    """Whether what comes of it may be learned from: the person allowed measurement, or no law asks
    for that."""


class AnswerTimed(Event, frozen=True, array_like=True):
    """How long a sold request waited for the disk.

    Relaxed: may be lost with the last batch, bills nothing.
    """

    TYPE: ClassVar[str] = "answer_timed"
    RETENTION: ClassVar[str] = "30 days"
    disk_ns: int


class ImpressionBilled(Event, frozen=True, array_like=True):
    """A beacon met its hold in time.

    ``price_nanos`` was posted (0 where clicks or conversions are paid).
    """

    TYPE: ClassVar[str] = "impression_billed"
    impression_id: bytes
    campaign_id: str
    ad_id: str
    publisher_id: str
    placement: str
    pricing: str
    price_nanos: int
    currency: str


class ImpressionUnbilled(Event, frozen=True, array_like=True):
    """A genuine beacon that charges nothing: ``reason`` says why (late)."""

    TYPE: ClassVar[str] = "impression_unbilled"
    impression_id: bytes
    campaign_id: str
    reason: str


UNBILLED_IMPRESSION: Final = "unbilled-impression"
"""Why a measure charges nothing: its impression came too late, or is invalid traffic."""


class ImpressionMeasured(Event, frozen=True, array_like=True):
    """What was seen of an impression: ``viewable`` by the MRC's standard, or a ``view`` completed.

    ``charged_nanos`` > 0 where that is paid for and the hold was still there.
    """

    TYPE: ClassVar[str] = "impression_measured"
    impression_id: bytes
    campaign_id: str
    ad_id: str
    publisher_id: str
    measure: str
    charged_nanos: int
    currency: str
    unbilled_reason: str = ""


class BidSettled(Event, frozen=True, array_like=True):
    """What an exchange said of a bid: ``won``, or ``lost`` with its reason (OpenRTB loss codes).

    Bills nothing; the budget that a lost bid held is free again at once.
    """

    TYPE: ClassVar[str] = "bid_settled"
    impression_id: bytes
    campaign_id: str
    outcome: str
    reason: int | None
    price_nanos: int | None
    min_to_win_nanos: int | None
    currency: str


class ClickRecorded(Event, frozen=True, array_like=True):
    """The first click on an impression.

    ``charged_nanos`` > 0 where clicks are paid and budget was left.
    """

    TYPE: ClassVar[str] = "click_recorded"
    impression_id: bytes
    campaign_id: str
    ad_id: str
    publisher_id: str
    charged_nanos: int
    currency: str
    unbilled_reason: str = ""


class ConversionRecorded(Event, frozen=True, array_like=True):
    """An advertiser's conversion, once per ``conversion_id``.

    The customer reference is personal and sealed.
    """

    TYPE: ClassVar[str] = "conversion_recorded"
    PERSONAL: ClassVar[tuple[str, ...]] = ("customer",)
    conversion_id: str
    impression_id: bytes
    campaign_id: str
    ad_id: str
    publisher_id: str
    value_nanos: int
    charged_nanos: int
    currency: str
    customer: bytes | None = None
    unbilled_reason: str = ""
    view_through: bool = False
    """It followed an impression that nobody clicked on (``view_through``)."""


EVENTS: tuple[type[Event], ...] = (
    AdvertiserRegistered,
    AdvertiserChanged,
    CampaignCreated,
    CampaignChanged,
    CreativeCreated,
    CreativeChanged,
    CampaignReviewed,
    CreativeReviewed,
    AudienceCreated,
    AudienceChanged,
    PublisherRegistered,
    PublisherChanged,
    SiteRegistered,
    SiteChanged,
    PlacementCreated,
    PlacementChanged,
    AuctionCleared,
    AnswerTimed,
    ImpressionBilled,
    ImpressionUnbilled,
    ImpressionMeasured,
    BidSettled,
    ClickRecorded,
    ConversionRecorded,
)
