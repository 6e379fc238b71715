"""What the management API is asked: bodies of commands, strict and bounded by their types."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from ringwork.ads.model import (
    HTML_MAX_CHARS,
    Category,
    Domain,
    Format,
    Id,
    Name,
    PriceNanos,
    Pricing,
    Rule,
    Status,
    Targeting,
    Url,
)
from ringwork.ads.tokens import TOKEN_MAX_CHARS
from ringwork.kernel.money import MAX_PRICE_NANOS, Currency, Money

Side = Annotated[int, Meta(ge=0, le=10_000, description="pixels", examples=[300])]
Duration = Annotated[int, Meta(ge=0, le=3600)]
Mime = Annotated[str, Meta(max_length=100)]
Html = Annotated[str, Meta(max_length=HTML_MAX_CHARS)]
Title = Annotated[str, Meta(max_length=200)]
Text = Annotated[str, Meta(max_length=500)]
Categories = Annotated[list[Category], Meta(max_length=50)]
Attributes = Annotated[list[Annotated[int, Meta(ge=0, le=10_000)]], Meta(max_length=50)]
Quality = Annotated[int, Meta(ge=1, le=10_000_000)]
TimeUs = Annotated[int, Meta(ge=0, le=2**53 - 1, description="microseconds since 1970, UTC")]


class NewAdvertiser(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An advertiser to register; its ledger account ``advertiser/<id>`` opens with it."""

    id: Id
    name: Name
    domain: Domain
    currency: Currency
    contact: Annotated[str, Meta(min_length=1, max_length=320)] | None = None
    """Personal: sealed on arrival and never given back."""


class NewCampaign(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A campaign to create; its budget moves from the advertiser's account at once."""

    id: Id
    advertiser_id: Id
    name: Name
    pricing: Pricing
    bid_nanos: PriceNanos
    budget: Money
    daily_budget: Money | None = None
    starts_us: TimeUs = 0
    ends_us: TimeUs | None = None
    targeting: Targeting = field(default_factory=Targeting)
    status: Status = "active"


class CampaignChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a campaign: what is left out stays, a new budget moves the difference."""

    name: Name | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    bid_nanos: PriceNanos | UnsetType = UNSET
    budget: Money | UnsetType = UNSET
    daily_budget: Money | UnsetType | None = UNSET
    ends_us: TimeUs | UnsetType | None = UNSET
    targeting: Targeting | UnsetType = UNSET


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
    video_url: Url | None = None
    video_mime: Mime = ""
    duration_s: Duration = 0
    title: Title = ""
    text: Text = ""
    image_url: Url | None = None
    categories: Categories = []
    attributes: Attributes = []
    quality_ppm: Quality = 1_000_000
    status: Status = "active"


class CreativeChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a creative; members that are left out stay."""

    name: Name | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    landing_url: Url | UnsetType = UNSET
    html: Html | UnsetType = UNSET
    title: Title | UnsetType = UNSET
    text: Text | UnsetType = UNSET
    image_url: Url | UnsetType | None = UNSET
    categories: Categories | UnsetType = UNSET
    attributes: Attributes | UnsetType = UNSET
    quality_ppm: Quality | UnsetType = UNSET


class NewPublisher(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A publisher to register; its ledger account ``publisher/<id>`` opens with it."""

    id: Id
    name: Name
    domain: Domain
    origins: Annotated[list[Url], Meta(max_length=50)] = []


class NewPlacement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A placement to create on a publisher's pages."""

    id: Id
    publisher_id: Id
    format: Format
    width: Side = 0
    height: Side = 0
    floor_nanos: Annotated[int, Meta(ge=0, le=MAX_PRICE_NANOS)] = 0
    rule: Rule = "second"
    categories: Categories = []


class NewConversion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conversion that an advertiser reports: the token of its landing page, and its own id."""

    rwclid: Annotated[str, Meta(min_length=1, max_length=TOKEN_MAX_CHARS)]
    conversion_id: Annotated[str, Meta(min_length=1, max_length=100)]
    value: Money | None = None
    customer: Annotated[str, Meta(min_length=1, max_length=320)] | None = None
    """Personal: the advertiser's name for its customer; sealed on arrival, never given back."""
