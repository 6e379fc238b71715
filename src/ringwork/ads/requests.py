"""What the management API is asked: bodies of commands, strict and bounded by their types."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from ringwork.ads.lifecycle import Decision
from ringwork.ads.model import (
    HTML_MAX_CHARS,
    MAX_IMPRESSION_NANOS,
    SLOTS_MAX,
    VAST_MAX_CHARS,
    AudienceRule,
    BlockedAdvertisers,
    BlockedCategories,
    BlockedDomains,
    Category,
    CreativeStatus,
    Domain,
    Format,
    FrequencyCap,
    Id,
    Key,
    KeyValues,
    Name,
    NativeData,
    Pacing,
    PlacesPpm,
    PriceNanos,
    Pricing,
    Priority,
    Rule,
    SpecialAdCategories,
    Status,
    TagUrl,
    Targeting,
    Url,
)
from ringwork.ads.special_ads import SpecialDecision
from ringwork.ads.tokens import TOKEN_MAX_CHARS
from ringwork.kernel.money import Currency, Money
from ringwork.kernel.viewer import Property, PropertyOf

Side = Annotated[int, Meta(ge=0, le=10_000, description="pixels", examples=[300])]
Duration = Annotated[int, Meta(ge=0, le=3600)]
Mime = Annotated[str, Meta(max_length=100)]
Html = Annotated[str, Meta(max_length=HTML_MAX_CHARS)]
Title = Annotated[str, Meta(max_length=200)]
Text = Annotated[str, Meta(max_length=500)]
Categories = Annotated[list[Category], Meta(max_length=50)]
Attributes = Annotated[list[Annotated[int, Meta(ge=0, le=10_000)]], Meta(max_length=50)]
Quality = Annotated[int, Meta(ge=1, le=10_000_000)]
Weight = Annotated[int, Meta(ge=1, le=1000)]
VastXml = Annotated[str, Meta(max_length=VAST_MAX_CHARS)]
Language = Annotated[str, Meta(pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4})?$")]
Bundle = Annotated[str, Meta(max_length=255)]
Ppm = Annotated[int, Meta(ge=1, le=1_000_000)]
Share = Annotated[int, Meta(ge=0, le=1_000_000)]
Goal = Annotated[int, Meta(ge=1, le=10**12)]
FrequencyCaps = Annotated[list[FrequencyCap], Meta(max_length=5)]
Labels = Annotated[list[Key], Meta(max_length=10)]
AudienceRules = Annotated[list[AudienceRule], Meta(min_length=1, max_length=20)]
Match = Literal["all", "any"]
Floor = Annotated[int, Meta(ge=0, le=MAX_IMPRESSION_NANOS)]
Slots = Annotated[int, Meta(ge=1, le=SLOTS_MAX)]
Origins = Annotated[list[Url], Meta(max_length=50)]
Token = Annotated[str, Meta(min_length=1, max_length=TOKEN_MAX_CHARS)]
FirstStatus = Literal["draft", "review", "active"]
"""What a campaign or a creative may be created as."""
CertifiedText = Annotated[str, Meta(max_length=32, examples=["us-2026-11"])]
TimeUs = Annotated[int, Meta(ge=0, le=2**53 - 1, description="microseconds since 1970, UTC")]


class NewAdvertiser(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An advertiser to register; its ledger account ``advertiser/<id>`` opens with it."""

    id: Id
    name: Name
    domain: Domain
    currency: Currency
    contact: Annotated[str, Meta(min_length=1, max_length=320)] | None = None
    """Personal: sealed on arrival and never given back."""


class AdvertiserChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of an advertiser; members that are left out stay, and so does its contact."""

    name: Name | UnsetType = UNSET
    domain: Domain | UnsetType = UNSET


class NewCampaign(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A campaign to create; its budget moves from the advertiser's account at once."""

    id: Id
    advertiser_id: Id
    name: Name
    special_ad_categories: SpecialAdCategories
    """Of which of these its ads are, whoever sees them: nobody is left to guess. Empty: of none."""
    certified_text: CertifiedText = ""
    """Needed where a category is named: the version of the text that its advertiser certifies."""
    pricing: Pricing
    bid_nanos: PriceNanos | UnsetType = UNSET
    """Needed but for a house campaign, which is free."""
    budget: Money | UnsetType = UNSET
    """The same."""
    daily_budget: Money | None = None
    starts_us: TimeUs = 0
    ends_us: TimeUs | None = None
    targeting: Targeting = field(default_factory=Targeting)
    status: FirstStatus = "active"
    priority: Priority = "price"
    share_ppm: Ppm | None = None
    goal_impressions: Goal | None = None
    pacing: Pacing = "even"
    frequency_caps: FrequencyCaps = []
    exclusion_labels: Labels = []
    roadblock: bool = False
    view_through: bool = False


class CampaignChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a campaign: what is left out stays, a new budget moves the difference."""

    name: Name | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    bid_nanos: PriceNanos | UnsetType = UNSET
    budget: Money | UnsetType = UNSET
    daily_budget: Money | UnsetType | None = UNSET
    starts_us: TimeUs | UnsetType = UNSET
    ends_us: TimeUs | UnsetType | None = UNSET
    targeting: Targeting | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    share_ppm: Ppm | UnsetType | None = UNSET
    goal_impressions: Goal | UnsetType | None = UNSET
    pacing: Pacing | UnsetType = UNSET
    frequency_caps: FrequencyCaps | UnsetType = UNSET
    exclusion_labels: Labels | UnsetType = UNSET
    roadblock: bool | UnsetType = UNSET
    view_through: bool | UnsetType = UNSET
    special_ad_categories: SpecialAdCategories | UnsetType = UNSET
    certified_text: CertifiedText | UnsetType = UNSET
    """Needed where a category is named that was not before."""


class SpecialReview(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person decides on a campaign that is held: whether it is of a special category."""

    decision: SpecialDecision
    special_ad_categories: SpecialAdCategories = []
    """Of which it is, where that is not what was suspected."""
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    """For the record: the advertiser reads it."""


class ReviewDecision(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a reviewer decides; to reject or to return takes a reason, which the author reads."""

    decision: Decision
    reason: Annotated[str, Meta(max_length=500)] = ""


class NewCreative(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A creative to create: size and html for banners, media for video, a title for native."""

    id: Id
    campaign_id: Id
    name: Name
    format: Format
    width: Side = 0
    height: Side = 0
    landing_url: Url
    html: Html = ""
    third_party: bool = False
    video_url: Url | None = None
    video_mime: Mime = ""
    vast_tag_url: TagUrl | None = None
    vast_xml: VastXml = ""
    audio_url: Url | None = None
    audio_mime: Mime = ""
    duration_s: Duration = 0
    title: Title = ""
    text: Text = ""
    image_url: Url | None = None
    icon_url: Url | None = None
    data: NativeData = {}
    categories: Categories = []
    attributes: Attributes = []
    language: Language = ""
    app_bundle: Bundle = ""
    quality_ppm: Quality = 1_000_000
    weight: Weight = 1
    status: FirstStatus = "active"


class CreativeChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a creative; members that are left out stay."""

    name: Name | UnsetType = UNSET
    status: CreativeStatus | UnsetType = UNSET
    landing_url: Url | UnsetType = UNSET
    html: Html | UnsetType = UNSET
    third_party: bool | UnsetType = UNSET
    title: Title | UnsetType = UNSET
    text: Text | UnsetType = UNSET
    image_url: Url | UnsetType | None = UNSET
    icon_url: Url | UnsetType | None = UNSET
    data: NativeData | UnsetType = UNSET
    categories: Categories | UnsetType = UNSET
    attributes: Attributes | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    app_bundle: Bundle | UnsetType = UNSET
    quality_ppm: Quality | UnsetType = UNSET
    weight: Weight | UnsetType = UNSET


class NewAudience(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An audience to create: rules over what people did, and how many of them must hold."""

    id: Id
    name: Name
    rules: AudienceRules
    match: Match = "all"


class AudienceChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of an audience; who is in it follows at once."""

    name: Name | UnsetType = UNSET
    rules: AudienceRules | UnsetType = UNSET
    match: Match | UnsetType = UNSET
    status: Literal["active", "archived"] | UnsetType = UNSET


class NewPublisher(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A publisher to register; its ledger account ``publisher/<id>`` opens with it."""

    id: Id
    name: Name
    domain: Domain
    origins: Origins = []
    revenue_share_ppm: Share = 1_000_000
    blocked_categories: BlockedCategories = []
    blocked_domains: BlockedDomains = []
    blocked_advertisers: BlockedAdvertisers = []
    consent: PropertyOf = Property()


class PublisherChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a publisher; members that are left out stay."""

    name: Name | UnsetType = UNSET
    domain: Domain | UnsetType = UNSET
    origins: Origins | UnsetType = UNSET
    revenue_share_ppm: Share | UnsetType = UNSET
    blocked_categories: BlockedCategories | UnsetType = UNSET
    blocked_domains: BlockedDomains | UnsetType = UNSET
    blocked_advertisers: BlockedAdvertisers | UnsetType = UNSET
    consent: PropertyOf | UnsetType = UNSET


class NewSite(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A property of a publisher to register."""

    id: Id
    publisher_id: Id
    name: Name
    domain: Domain
    categories: Categories = []
    key_values: KeyValues = {}
    blocked_categories: BlockedCategories = []
    blocked_domains: BlockedDomains = []
    blocked_advertisers: BlockedAdvertisers = []
    consent: PropertyOf | None = None
    """Where it differs from the publisher's."""


class SiteChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a site; members that are left out stay."""

    name: Name | UnsetType = UNSET
    domain: Domain | UnsetType = UNSET
    categories: Categories | UnsetType = UNSET
    key_values: KeyValues | UnsetType = UNSET
    blocked_categories: BlockedCategories | UnsetType = UNSET
    blocked_domains: BlockedDomains | UnsetType = UNSET
    blocked_advertisers: BlockedAdvertisers | UnsetType = UNSET
    consent: PropertyOf | UnsetType | None = UNSET


class NewPlacement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A placement to create on a publisher's pages."""

    id: Id
    publisher_id: Id
    site_id: Id | None = None
    format: Format
    width: Side = 0
    height: Side = 0
    slots: Slots = 1
    places_ppm: PlacesPpm = []
    floor_nanos: Floor = 0
    rule: Rule = "second"
    categories: Categories = []
    key_values: KeyValues = {}
    passback_html: Html = ""
    blocked_categories: BlockedCategories = []
    blocked_domains: BlockedDomains = []
    blocked_advertisers: BlockedAdvertisers = []


class PlacementChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a placement: its format stays, members that are left out too."""

    site_id: Id | UnsetType | None = UNSET
    width: Side | UnsetType = UNSET
    height: Side | UnsetType = UNSET
    slots: Slots | UnsetType = UNSET
    places_ppm: PlacesPpm | UnsetType = UNSET
    floor_nanos: Floor | UnsetType = UNSET
    rule: Rule | UnsetType = UNSET
    categories: Categories | UnsetType = UNSET
    key_values: KeyValues | UnsetType = UNSET
    passback_html: Html | UnsetType = UNSET
    blocked_categories: BlockedCategories | UnsetType = UNSET
    blocked_domains: BlockedDomains | UnsetType = UNSET
    blocked_advertisers: BlockedAdvertisers | UnsetType = UNSET


class NewConversion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conversion that an advertiser reports, with its own id for it.

    Either after a click, with the token that the click brought to the landing page, or after a view
    alone (view-through), with the token of the impression's beacon.
    """

    rwclid: Token | UnsetType = UNSET
    impression: Token | UnsetType = UNSET
    conversion_id: Annotated[str, Meta(min_length=1, max_length=100)]
    value: Money | None = None
    customer: Annotated[str, Meta(min_length=1, max_length=320)] | None = None
    """Personal: the advertiser's name for its customer; sealed on arrival, never given back."""
