"""What the ad part talks about: advertisers, campaigns, creatives, places, one ask, one sale.

Pure types. Money is integer nanos of the platform's auction currency; a CPM bid of 2.50 is
2,500,000 nanos per impression. Nothing here can hold a person: the context of an ask is what is
looked at and where, never who looks (ads specification 3.2, R2). An audience is a rule; who is in
it, ``behavioural`` alone can say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Annotated, Final, Literal, get_args

from msgspec import Meta, Struct, field

from ringwork.kernel.history import Deed, Service
from ringwork.kernel.money import MAX_PRICE_NANOS, Currency, Money
from ringwork.kernel.purpose import Tier
from ringwork.kernel.screening import SpecialAdCategory, Suspicion
from ringwork.kernel.viewer import Property, PropertyOf

Format = Literal["banner", "video", "native", "audio"]
Pricing = Literal["cpm", "cpc", "cpa", "vcpm", "cpv"]
"""What a bid and a price are per: impression, click, conversion, viewable impression, or view."""
Rule = Literal["first", "second", "gsp", "vcg"]
"""``second`` is the single-slot name of ``gsp``."""
Status = Literal["draft", "review", "active", "rejected", "paused", "ended"]
"""A draft is the advertiser's own; review waits for the platform; active may show."""
CreativeStatus = Literal["draft", "review", "active", "rejected", "paused"]
Priority = Literal["sponsorship", "guaranteed", "price", "house"]
"""Who is asked first, as ad servers have it: a share of all views, a promised number of
impressions, the auction, and what fills the rest."""
Pacing = Literal["even", "asap"]
DeviceType = Literal["phone", "tablet", "computer", "tv", "other"]
DataAsset = Literal[
    "rating", "likes", "downloads", "price", "saleprice", "phone", "address", "desc2", "ctatext"
]
"""Texts of a native ad beside its title and description, as OpenRTB Native 1.2 names them."""
Need = Literal["image", "icon", "text", "https", "statement"] | DataAsset
"""What a place can demand of an ad: an image, an icon, a text, nothing that is fetched without TLS,
an advertiser whose names fit the statement of the DSA (at most ``STATEMENT_MAX_CHARS``)."""
Charge = Literal["clearing", "bid", "agreed"]
"""What a sale costs: the auction's price, the winner's full bid, or exactly the slot's floor."""
Measure = Literal["viewable", "view"]
"""What is paid for after the impression: that it was viewable, or played to its end."""
Distinct = Literal["advertiser", "category", "creative", "media"]
"""What no two ads of a group may share: advertiser domain, a category, the ad, its media URL."""

MEASURES: Final[tuple[Measure, ...]] = ("viewable", "view")
MEASURE_OF: Final[Mapping[Pricing, Measure]] = {"vcpm": "viewable", "cpv": "view"}
"""Pricing -> what has to be reported for it to be charged."""
STATEMENT_MAX_CHARS: Final = 100
"""DSA transparency extension of OpenRTB: the longest ``behalf`` and ``paid``."""
ONE_QUANTITY_PPM: Final = 1_000_000
MAX_IMPRESSION_NANOS: Final = 10**12
"""1,000 units of currency for one impression; a larger price is a mistake."""
MAX_RESPONSE_NANOS: Final = 10**15
"""A million units for one click, conversion or view."""


def max_bid_nanos(pricing: Pricing) -> int:
    """The most that may be bid for what a pricing pays for (ads specification 3.1)."""
    return MAX_IMPRESSION_NANOS if pricing in ("cpm", "vcpm") else MAX_RESPONSE_NANOS


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
"""As the wire bounds it; what a pricing allows is less (``max_bid_nanos``)."""
Category = Annotated[str, Meta(min_length=1, max_length=32)]
"""An IAB Content Taxonomy id, compared as text."""
Region = Annotated[str, Meta(pattern=r"^[A-Z]{3}(-[A-Z0-9]{1,3})?$", examples=["PRT", "PRT-11"])]
"""ISO 3166-1 alpha-3, optionally with the ISO 3166-2 subdivision: no finer."""
Url = Annotated[str, Meta(pattern=r"^https?://[!#$%&()*+,./:;=?@A-Z\[\]_a-z~0-9-]{1,2000}$")]
"""ASCII, as URLs are on the wire (RFC 3986)."""
TagUrl = Annotated[str, Meta(pattern=r"^https?://[!#$%&()*+,./:;=?@A-Z\[\]_a-z{}~0-9-]{1,2000}$")]
"""The same with macros (``${CACHEBUSTER}``, ``[timestamp]``), which are filled in when served."""

HTML_MAX_CHARS: Final = 100_000
VAST_MAX_CHARS: Final = 100_000
SLOTS_MAX: Final = 8
"""Ads of one placement in one answer."""
BLOCKED_MAX: Final = 200
"""Entries of a block list: lists travel with every auction and stand in its record."""


Key = Annotated[str, Meta(pattern=r"^[a-z0-9_.-]{1,40}$", examples=["section"])]
Value = Annotated[str, Meta(min_length=1, max_length=80)]
KeyValues = Annotated[dict[Key, Annotated[list[Value], Meta(max_length=200)]], Meta(max_length=20)]
"""What a publisher says of a page in its own words: key -> any of these values."""


BlockedCategories = Annotated[list[Category], Meta(max_length=BLOCKED_MAX)]
BlockedDomains = Annotated[list[Domain], Meta(max_length=BLOCKED_MAX)]
BlockedAdvertisers = Annotated[list[Id], Meta(max_length=BLOCKED_MAX)]


INTEREST_PREFIX: Final = "interest:"
"""An audience of this name holds whoever has an interest in the topic behind it."""
AUDIENCES_MAX: Final = 1000
"""Audiences of a platform: all are looked at for every request of a consenting person."""
AudienceId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="an audience's id, or `interest:` and a topic",
        examples=["interest:483"],
    ),
]


class Excluded(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a campaign must not show: one match keeps it out."""

    sites: Annotated[list[Domain], Meta(max_length=1000)] = []
    apps: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=255)]], Meta(max_length=1000)
    ] = []
    categories: Annotated[list[Category], Meta(max_length=1000)] = []
    regions: Annotated[list[Region], Meta(max_length=1000)] = []
    device_types: Annotated[list[DeviceType], Meta(max_length=5)] = []
    key_values: KeyValues = {}
    audiences: Annotated[list[AudienceId], Meta(max_length=200)] = []
    """Who is known to be in one is kept out: nobody is, without consent."""


class FrequencyCap(Struct, frozen=True, forbid_unknown_fields=True):
    """At most so many impressions to one viewer in any window that long.

    The viewer is the person where one consented, and a visit everywhere: there the window ends with
    the visit.
    """

    impressions: Annotated[int, Meta(ge=1, le=1000)]
    window_s: Annotated[int, Meta(ge=60, le=30 * 86_400)]
    per: Literal["campaign", "advertiser"] = "campaign"


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
    """Hours of the day in ``time_zone``."""
    weekdays: Annotated[list[Annotated[int, Meta(ge=0, le=6)]], Meta(max_length=7)] = []
    """Days of the week in ``time_zone``: Monday is 0."""
    time_zone: Annotated[str, Meta(max_length=64, examples=["Europe/Lisbon"])] = "UTC"
    """An IANA time zone."""
    key_values: KeyValues = {}
    """For every key here, the page must say one of its values."""
    audiences: Annotated[list[AudienceId], Meta(max_length=200)] = []
    """Whom it is for: a person who consented and is in one of them; without consent nobody is."""
    excluded: Excluded = field(default_factory=Excluded)


class AudienceRule(Struct, frozen=True, forbid_unknown_fields=True):
    """That a person did something often enough, lately enough. An empty list means any."""

    within_s: Annotated[int, Meta(ge=60, le=1095 * 86_400)]
    """Only what was done in the last so many seconds counts."""
    topics: Annotated[list[Category], Meta(max_length=200)] = []
    kinds: Annotated[list[Deed], Meta(max_length=6)] = []
    services: Annotated[list[Service], Meta(max_length=20)] = []
    """Where it was done; besides, the person's grant must name the service."""
    at_least: Annotated[int, Meta(ge=1, le=1000)] = 1


class Audience(Struct, frozen=True, kw_only=True):
    """People by what they did, for targeting; who is in it is found out anew for every request."""

    id: Id
    name: Name
    rules: Annotated[list[AudienceRule], Meta(min_length=1, max_length=20)]
    match: Literal["all", "any"] = "all"
    """How many of the rules must hold."""
    status: Literal["active", "archived"] = "active"
    """Nobody is in an archived one."""


class Advertiser(Struct, frozen=True, kw_only=True):
    """Who pays; owns the ledger account ``advertiser/<id>``. ``contact`` is personal and sealed."""

    id: Id
    name: Name
    domain: Domain
    currency: Currency
    contact: bytes | None = None
    """Ciphertext; None when none was given."""


SpecialAdCategories = Annotated[list[SpecialAdCategory], Meta(max_length=3)]
"""Empty: of none. An ad for housing, employment or credit says so (``special_ads``)."""
CLEARED_MAX: Final = 100
"""Texts that a reviewer looked at and found to be of no special category."""


class Certified(Struct, frozen=True, kw_only=True):
    """That an advertiser keeps the law of special ads: who said so, when, and by which text."""

    by: str
    """As an event's ``actor``."""
    at_us: int
    text: str
    """The version of what was certified."""


class Suspected(Struct, frozen=True, kw_only=True):
    """An ad that seems to be of a special category which its campaign does not declare."""

    creative_id: str
    text_hash: str
    """Of what it said then."""
    suspicions: tuple[Suspicion, ...]


class PausedTargeting(Struct, frozen=True, kw_only=True):
    """A part of a targeting that a special ad must not have: nothing is shown by it."""

    pointer: str
    """In the campaign: ``/targeting/audiences/0``."""
    rule: str
    reason: str
    replacement: str


class Screening(Struct, frozen=True, kw_only=True):
    """What the platform knows of a campaign's special categories, and what it keeps from showing.

    The platform writes it; an advertiser cannot.
    """

    certification: Certified | None = None
    needs_review: Suspected | None = None
    """Nothing is shown until a person has decided."""
    paused: tuple[PausedTargeting, ...] = ()
    """Nothing is shown until the targeting is another: to show without it would spend the
    advertiser's money on people whom it did not choose."""
    proposal: Targeting | None = None
    """The nearest lawful targeting, where something is paused."""
    decided: tuple[SpecialAdCategory, ...] = ()
    """Categories that a reviewer found it to be of: its advertiser cannot take them back."""
    cleared: Annotated[tuple[str, ...], Meta(max_length=CLEARED_MAX)] = ()
    """Hashes of texts that a reviewer found to be of no category that was not declared."""


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
    priority: Priority = "price"
    share_ppm: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Of a sponsorship: its share of the views that it may have, in 1e-6."""
    goal_impressions: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    """Of a guaranteed campaign: what was promised by its end."""
    pacing: Pacing = "even"
    frequency_caps: Annotated[list[FrequencyCap], Meta(max_length=5)] = []
    exclusion_labels: Annotated[list[Key], Meta(max_length=10)] = []
    """Two campaigns with a label in common never show on one page (competitive exclusion)."""
    roadblock: bool = False
    """Its creatives fill every slot of a page together, or none of them shows."""
    view_through: bool = False
    """Conversions after an impression without a click are paid for too (``view_through``)."""
    review_reason: str = ""
    """What the reviewer said when the campaign was rejected or returned."""
    special_ad_categories: SpecialAdCategories = []
    screening: Screening = Screening()

    @property
    def is_special(self) -> bool:
        """Whether it is for housing, employment or credit."""
        return bool(self.special_ad_categories)

    @property
    def withheld(self) -> str:
        """Why nothing of it is shown though it is active; empty where nothing stands against it.

        Of a special campaign a person's audiences decide nothing, whoever checked its targeting.
        """
        screening, targeting = self.screening, self.targeting
        if screening.needs_review is not None:
            return "needs-review"
        if not self.is_special:
            return ""
        if screening.certification is None:
            return "not-certified"
        named = targeting.audiences or targeting.excluded.audiences
        return "forbidden-targeting" if screening.paused or named else ""


NativeData = Annotated[
    dict[DataAsset, Annotated[str, Meta(min_length=1, max_length=100)]],
    Meta(extra_json_schema={"propertyNames": {"enum": list(get_args(DataAsset))}}),
]


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
    status: CreativeStatus = "active"
    weight: Annotated[int, Meta(ge=1, le=1000)] = 1
    """How often it is shown among its campaign's creatives for the same slot (``rotation``)."""
    third_party: bool = False
    """``html`` is another ad server's tag: it runs its scripts, in a frame of its own."""
    vast_tag_url: TagUrl | None = None
    """Another ad server's VAST tag, served as a Wrapper."""
    vast_xml: Annotated[str, Meta(max_length=VAST_MAX_CHARS)] = ""
    """A whole VAST document of one ad."""
    review_reason: str = ""
    """What the reviewer said when the creative was rejected or returned."""
    audio_url: Url | None = None
    """Of an audio ad, with ``audio_mime`` and ``duration_s``."""
    audio_mime: Annotated[str, Meta(max_length=100)] = ""
    language: Annotated[str, Meta(pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4})?$")] = ""
    """BCP 47; empty where it is not known, and then no place that limits languages takes it."""
    app_bundle: Annotated[str, Meta(max_length=255)] = ""
    """The store id of the app that the ad promotes."""
    icon_url: Url | None = None
    """Of a native ad: the brand's or the app's, square."""
    data: NativeData = {}
    """Of a native ad: what it has to say beside its title and its text."""


class Publisher(Struct, frozen=True, kw_only=True):
    """Who shows ads and earns; owns the ledger account ``publisher/<id>``."""

    id: Id
    name: Name
    domain: Domain
    origins: Annotated[list[Url], Meta(max_length=50)] = []
    """Web origins whose pages may use the tag."""
    revenue_share_ppm: Annotated[int, Meta(ge=0, le=1_000_000)] = 1_000_000
    """Of every price, what the publisher is credited, in 1e-6; the platform keeps the rest."""
    blocked_categories: BlockedCategories = []
    blocked_domains: BlockedDomains = []
    blocked_advertisers: BlockedAdvertisers = []
    consent: PropertyOf = Property()


class Site(Struct, frozen=True, kw_only=True):
    """One of a publisher's properties; what holds for it holds for its placements."""

    id: Id
    publisher_id: Id
    name: Name
    domain: Domain
    categories: Annotated[list[Category], Meta(max_length=50)] = []
    key_values: KeyValues = {}
    blocked_categories: BlockedCategories = []
    blocked_domains: BlockedDomains = []
    blocked_advertisers: BlockedAdvertisers = []
    consent: PropertyOf | None = None
    """Where it differs from the publisher's."""


PlacesPpm = Annotated[list[Annotated[int, Meta(ge=1, le=1_000_000)]], Meta(max_length=SLOTS_MAX)]


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
    site_id: Id | None = None
    slots: Annotated[int, Meta(ge=1, le=SLOTS_MAX)] = 1
    """Ads of one answer: a slate, sold together by ``rule``."""
    places_ppm: PlacesPpm = []
    """What each place of the slate is worth beside the first, in 1e-6 (such as its share of the
    clicks); never rising. Empty: all alike."""
    passback_html: Annotated[str, Meta(max_length=HTML_MAX_CHARS)] = ""
    """Third-party markup that is shown when nothing was sold."""
    key_values: KeyValues = {}
    blocked_categories: BlockedCategories = []
    blocked_domains: BlockedDomains = []
    blocked_advertisers: BlockedAdvertisers = []


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
    key_values: tuple[tuple[str, str], ...] = ()
    """What the publisher says of the page: (key, value) pairs."""
    blocked_advertisers: tuple[str, ...] = ()
    """Ids of advertisers that the publisher does not want here."""


class DurationFloor(Struct, frozen=True, array_like=True):
    """The floor of ads from ``min_s`` to ``max_s`` seconds long, both included."""

    min_s: int
    max_s: int | None
    floor_nanos: int

    def holds_for(self, duration_s: int) -> bool:
        return self.min_s <= duration_s and (self.max_s is None or duration_s <= self.max_s)


STREAM_MIMES: Final = frozenset(
    {"application/x-mpegurl", "application/vnd.apple.mpegurl", "application/dash+xml"}
)
"""Media that are streamed (HLS, DASH), in lower case; all others are files."""


class ImageSize(Struct, frozen=True, array_like=True):
    """What size a native place takes an image in: exactly, or at least; 0 is any (Native 1.2)."""

    width: int = 0
    height: int = 0
    least_width: int = 0
    least_height: int = 0

    def takes(self, width: int, height: int) -> bool:
        """Whether an image of that size fits; one of unknown size (0) only where any does.

        >>> ImageSize(least_width=1200).takes(1200, 627), ImageSize(width=600).takes(1200, 627)
        (True, False)
        """
        return (
            width >= self.least_width
            and height >= self.least_height
            and self.width in (0, width)
            and self.height in (0, height)
        )


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
    protocols: tuple[int, ...] = ()
    """Of a player: the AdCOM creative subtypes that it takes; empty takes any."""
    images: tuple[ImageSize, ...] = ()
    """Of a native place: what its required images must all be."""
    measures: tuple[Measure, ...] | None = None
    """What markup can report from here; what is paid for by another measure is not sold here.

    None: a page that is given every beacon, and reports itself.
    """
    ratios: tuple[tuple[int, int, int], ...] = ()
    """Also accepted, as (least width, width ratio, height ratio), beside ``sizes``."""
    durations_s: tuple[int, ...] = ()
    """The exact durations that are taken; empty takes any between the bounds."""
    nanos_per_second: int = 0
    """Where positive, the floor of an ad is this times its duration."""
    duration_floors: tuple[DurationFloor, ...] = ()
    """Floors of ranges of duration; outside them ``floor_nanos`` holds."""
    allowed_categories: tuple[str, ...] = ()
    """Where not empty, an ad needs at least one category and all of its own among these."""
    allowed_domains: tuple[str, ...] = ()
    """Where not empty, the advertiser's domain must be one of these or lie in one."""
    languages: tuple[str, ...] = ()
    """Lower-case BCP 47 ranges; where not empty, an ad's language must match one (RFC 4647)."""
    blocked_apps: tuple[str, ...] = ()
    """Store ids of apps that must not be promoted here."""
    deal_id: str = ""
    """Where not empty, only campaigns that target the key ``deal`` with this value compete."""
    charge: Charge | None = None
    """None: as the ask says."""
    group: str = ""
    """Slots of a group are sold in order, and ``distinct`` holds between their ads."""
    slate_ppm: int = 0
    """Where positive, a place of a slate: consecutive ones of a group are sold in one auction, in
    which this place is worth so much beside the others."""
    distinct: tuple[Distinct, ...] = ()
    quantity_ppm: int = ONE_QUANTITY_PPM
    """Impressions that one play counts as, in 1e-6 (a public screen)."""

    def floor_for(self, duration_s: int) -> int:
        """The least value in nanos of an ad that long; the highest of overlapping ranges."""
        if self.nanos_per_second:
            return min(self.nanos_per_second * duration_s, MAX_PRICE_NANOS)
        floors = [one.floor_nanos for one in self.duration_floors if one.holds_for(duration_s)]
        return max(floors) if floors else self.floor_nanos

    def cost_of(self, price_nanos: int) -> int:
        """What a play costs: the price, times the impressions that it counts as, rounded down.

        The payer never pays more than that, and less by under a nano; but a play that has a price
        costs a nano at least, since the ledger moves nothing smaller (explanation/money.md).

        >>> Slot(id="1", format="video", quantity_ppm=30_300_000).cost_of(2_500_001)
        75750030
        """
        if self.quantity_ppm == ONE_QUANTITY_PPM:
            return price_nanos
        return max(price_nanos * self.quantity_ppm // ONE_QUANTITY_PPM, min(price_nanos, 1))


class Ask(Struct, frozen=True, kw_only=True):
    """One ad request, whatever protocol it came in: where, for which slots."""

    request_id: bytes
    source: Literal["openrtb", "native"]
    context: Context
    slots: tuple[Slot, ...]
    visit: str = ""
    """A key of the current visit, from the publisher's page, for frequency caps; never recorded."""
    charge_bid: bool = False
    """The price of a sale is the winner's full bid (OpenRTB at = 2.

    The exchange sets the price).
    """
    supply_chain: str = ""
    """Who resold the impression, in the standard's text form; recorded with the auction."""

    def lots(self) -> Iterable[tuple[Slot, ...]]:
        """What is sold at once, in order: a slot, or all places of a slate."""
        return self._lots() if len(self.slots) > 1 else (self.slots,)

    def _lots(self) -> Iterator[tuple[Slot, ...]]:
        for (group, is_slate), slots in groupby(
            self.slots, lambda one: (one.group, one.slate_ppm > 0)
        ):
            if is_slate and group:
                yield tuple(slots)
            else:
                yield from ((one,) for one in slots)


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


PROFILING: Final = 1
"""DSA extension: what the person did was used."""
BASIC_ADVERTISING: Final = 2
"""DSA extension: basic advertising, as in purpose 2 of TCF; no profile, no precise place."""


class Used(Struct, frozen=True, gc=False):
    """What of the viewer an ad was chosen by."""

    parameters: tuple[int, ...] = ()
    """As the DSA extension of OpenRTB codes it."""
    reads: Mapping[str, int] = {}
    """What was read of the person (``reads``)."""


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
    tokens: Mapping[str, str]
    """Signed beacon tokens by event: impression, click; for an exchange also ``notice``."""
    deal_id: str = ""
    behalf: str = ""
    """On whose behalf the ad is shown (DSA, article 26)."""
    payer: str = ""
    """Who paid for it."""
    used: Used = Used()
    """What of the viewer was used to choose it."""


class Answered(Struct, frozen=True, gc=False):
    """What came of a request."""

    tier: Tier
    served: list[Served]
