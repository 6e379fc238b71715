"""What the ad part talks about: advertisers, campaigns, creatives, places, one ask, one sale.

Pure types. Money is integer nanos of the platform's auction currency; a CPM bid of 2.50 is
2,500,000 nanos per impression. Nothing here can hold a person: the context of an ask is what is
looked at and where, never who looks (ads specification 3.2, R2; consent does not exist yet, so
nobody's data may be read).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from ringwork.kernel.money import MAX_PRICE_NANOS, Currency, Money

Format = Literal["banner", "video", "native"]
Pricing = Literal["cpm", "cpc", "cpa"]
"""What a bid and a price are per: impression, click, or conversion."""
Rule = Literal["first", "second"]
Status = Literal["active", "paused", "ended"]
DeviceType = Literal["phone", "tablet", "computer", "tv", "other"]
Need = Literal["image", "text", "https"]
"""What a place can demand of a creative: an image, a text, nothing that is fetched without TLS."""

Id = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$",
        description="chosen by the client; 1 to 64 letters, digits, '.', '_', ':' or '-'",
        examples=["hp-autumn-26"],
    ),
]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Domain = Annotated[str, Meta(pattern=r"^[a-z0-9.-]{1,253}$", examples=["harbourpaints.example"])]
PriceNanos = Annotated[int, Meta(ge=1, le=MAX_PRICE_NANOS)]
Category = Annotated[str, Meta(min_length=1, max_length=32)]
"""An IAB Content Taxonomy id, compared as text."""
Region = Annotated[str, Meta(pattern=r"^[A-Z]{3}(-[A-Z0-9]{1,3})?$", examples=["PRT", "PRT-11"])]
"""ISO 3166-1 alpha-3, optionally with the ISO 3166-2 subdivision: no finer."""
Url = Annotated[str, Meta(pattern=r"^https?://[!#$%&()*+,./:;=?@A-Z\[\]_a-z~0-9-]{1,2000}$")]
"""ASCII, as URLs are on the wire (RFC 3986)."""

HTML_MAX_CHARS: Final = 100_000


class Targeting(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a campaign may show. An empty list means anywhere; several values mean any of them."""

    sites: Annotated[list[Domain], Meta(max_length=1000)] = []
    apps: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=255)]], Meta(max_length=1000)
    ] = []
    categories: Annotated[list[Category], Meta(max_length=1000)] = []
    regions: Annotated[list[Region], Meta(max_length=1000)] = []
    device_types: Annotated[list[DeviceType], Meta(max_length=5)] = []
    hours: Annotated[list[Annotated[int, Meta(ge=0, le=23)]], Meta(max_length=24)] = []
    """Hours of the day, UTC."""


class Advertiser(Struct, frozen=True, kw_only=True):
    """Who pays; owns the ledger account ``advertiser/<id>``. ``contact`` is personal and sealed."""

    id: Id
    name: Name
    domain: Domain
    currency: Currency
    contact: bytes | None = None
    """Ciphertext; None when none was given."""


class Campaign(Struct, frozen=True, kw_only=True):
    """What an advertiser bids, on what, and the most it may spend; owns ``campaign/<id>``."""

    id: Id
    advertiser_id: Id
    name: Name
    pricing: Pricing
    bid_nanos: PriceNanos
    """Per impression, click or conversion, as ``pricing`` says."""
    budget: Money
    """Lifetime; the campaign account is funded with exactly this."""
    daily_budget: Money | None = None
    """At most this per UTC day, reserved and spent together."""
    starts_us: int = 0
    ends_us: int | None = None
    targeting: Targeting = field(default_factory=Targeting)
    status: Status = "active"


class Creative(Struct, frozen=True, kw_only=True):
    """One ad. ``html`` for banners, ``video_url`` and durations for video.

    Title and image for native.
    """

    id: Id
    campaign_id: Id
    name: Name
    format: Format
    width: Annotated[int, Meta(ge=0, le=10_000)] = 0
    height: Annotated[int, Meta(ge=0, le=10_000)] = 0
    landing_url: Url
    html: Annotated[str, Meta(max_length=HTML_MAX_CHARS)] = ""
    video_url: Url | None = None
    video_mime: Annotated[str, Meta(max_length=100)] = ""
    duration_s: Annotated[int, Meta(ge=0, le=3600)] = 0
    title: Annotated[str, Meta(max_length=200)] = ""
    text: Annotated[str, Meta(max_length=500)] = ""
    image_url: Url | None = None
    categories: Annotated[list[Category], Meta(max_length=50)] = []
    attributes: Annotated[list[int], Meta(max_length=50)] = []
    """AdCOM creative attributes."""
    quality_ppm: Annotated[int, Meta(ge=1, le=10_000_000)] = 1_000_000
    status: Status = "active"


class Publisher(Struct, frozen=True, kw_only=True):
    """Who shows ads and earns; owns the ledger account ``publisher/<id>``."""

    id: Id
    name: Name
    domain: Domain
    origins: Annotated[list[Url], Meta(max_length=50)] = []
    """Web origins whose pages may use the tag."""


class Placement(Struct, frozen=True, kw_only=True):
    """A place on a publisher's pages that the native endpoint and the tag fill."""

    id: Id
    publisher_id: Id
    format: Format
    width: Annotated[int, Meta(ge=0, le=10_000)] = 0
    height: Annotated[int, Meta(ge=0, le=10_000)] = 0
    floor_nanos: Annotated[int, Meta(ge=0, le=MAX_PRICE_NANOS)] = 0
    rule: Rule = "second"
    categories: Annotated[list[Category], Meta(max_length=50)] = []


class Context(Struct, frozen=True, array_like=True):
    """What an auction may know: the page or app and the coarse surroundings.

    No person, no device id, no IP.
    """

    site: str = ""
    app: str = ""
    publisher_id: str = ""
    placement_id: str = ""
    categories: tuple[str, ...] = ()
    region: str = ""
    device_type: str = "other"
    hour: int = 0
    blocked_categories: tuple[str, ...] = ()
    blocked_domains: tuple[str, ...] = ()


class Slot(Struct, frozen=True, kw_only=True):
    """One place for one ad in an ask."""

    id: str
    format: Format
    sizes: tuple[tuple[int, int], ...] = ()
    """Accepted (width, height); empty accepts any."""
    floor_nanos: int = 0
    """The least value of an impression here; the reserve of its auction."""
    rule: Rule = "second"
    mimes: tuple[str, ...] = ()
    min_duration_s: int = 0
    max_duration_s: int | None = None
    blocked_attributes: tuple[int, ...] = ()
    hold_s: int | None = None
    """Seconds until the impression is due (OpenRTB ``imp.exp``).

    None takes the platform's default.
    """
    needs: tuple[Need, ...] = ()
    """What a creative must have to be shown here."""


class Ask(Struct, frozen=True, kw_only=True):
    """One ad request, whatever protocol it came in: where, for which slots."""

    request_id: bytes
    source: Literal["openrtb", "native"]
    context: Context
    slots: tuple[Slot, ...]
    charge_bid: bool = False
    """The price of a sale is the winner's full bid (OpenRTB at = 2.

    The exchange sets the price).
    """


class Candidate(Struct, frozen=True, kw_only=True):
    """An ad in an auction, in integers (ads specification 3.12).

    What it bids and what scales it.
    """

    ad_id: str
    bid_nanos: int
    p_ppb: int = 10**9
    """Probability of what the bid is per, given an impression, in 1e-9; 10**9 for CPM."""
    quality_ppm: int = 10**6
    multiplier_ppm: int = 10**6
    shift_nanos: int = 0


class Sale(Struct, frozen=True, kw_only=True):
    """An auction's winner: the ad, its slot (0-based) and its price in the unit of its bid."""

    ad_id: str
    slot: int
    price_nanos: int


class Served(Struct, frozen=True, kw_only=True):
    """A slot that was sold: everything an answer in any protocol needs."""

    slot_id: str
    impression_id: bytes
    creative: Creative
    campaign_id: str
    advertiser_domain: str
    pricing: Pricing
    price_nanos: int
    """In the unit of the bid."""
    impression_price_nanos: int
    """What an exchange is bid for the impression: its value at the clearing price."""
    currency: str
    tokens: dict[str, str]
    """Signed beacon tokens by event: impression, click."""
