"""The native endpoint ``POST /v1/ads/request``: one placement in, its ads out, ready to be shown.

A browser may ask from the registered origins of the placement's publisher (CORS); what it sends
about the page is believed only as far as the publisher's own domain. A member that this version
does not know is refused, not ignored. Whom the request is for and what the signals of consent say
goes into a ``Viewer``, which decides what may be used and never reaches the auction. What the
publisher says of its site and its placement (labels, key-values, block lists) is joined with what
the page says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.creatives import passback
from ringwork.ads.markup import Markup
from ringwork.ads.model import (
    Answered,
    Ask,
    Category,
    Context,
    DeviceType,
    Domain,
    Format,
    Id,
    Key,
    Placement,
    Publisher,
    Region,
    Served,
    Site,
    Slot,
    Url,
    Value,
)
from ringwork.ads.outside import is_external
from ringwork.ads.shown import Shown
from ringwork.ads.viewers import PageSignals, rules_of, signals_of_page
from ringwork.ads.why import sentence, sentence_outside
from ringwork.kernel.errors import Fault, Invalid, NotFound
from ringwork.kernel.ids import format_id
from ringwork.kernel.purpose import Tier
from ringwork.kernel.viewer import SECRET_PERSON, PersonId, Property, Viewer
from ringwork.web.lane import Reply
from ringwork.web.problems import Forbidden
from ringwork.web.strict import decode

PREFLIGHT_MAX_AGE_S: Final = 600
LINK_MAX_CHARS: Final = 8_192
PLACES_MAX: Final = 4096
"""Placements whose joined settings are kept ready; past that the store starts anew."""
_US_PER_HOUR: Final = 3_600_000_000
_UNPROVEN: Final = (
    "a page names a person by `r.` and at least 22 random characters; for an id of your own make a "
    "link: POST /v1/choice/links"
)

Header = tuple[bytes, bytes]
PersonOfLink = Callable[[str, str, int], str]
"""A link that names a person, the publisher whose page has it, and the time in microseconds ->
the person; empty where the link was not made here, is another publisher's or too old."""
_T = TypeVar("_T")


class Page(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The page that the ad is for."""

    url: Url | None = None
    categories: Annotated[list[Category], Meta(max_length=50)] = []
    """What it is about, besides what its placement says."""


class AdRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request for one placement's ad."""

    placement: Id
    page: Page = field(default_factory=Page)
    device_type: DeviceType = "other"
    region: Region | None = None
    """As the publisher knows it: a country or a subdivision."""
    blocked_categories: Annotated[list[Category], Meta(max_length=200)] = []
    blocked_domains: Annotated[list[Domain], Meta(max_length=200)] = []
    key_values: Annotated[
        dict[Key, Annotated[list[Value], Meta(max_length=20)]], Meta(max_length=20)
    ] = {}
    """What the page says of itself, besides what its site and its placement say."""
    visit: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{0,64}$")] = ""
    """The page's own key of the current visit, for frequency caps; it is never recorded."""
    person: PersonId | None = None
    """Whom the page is for. A browser names a person by a random id of its own alone (`r.` and 22
    characters or more); a server with its key by any id. Nobody is named who need not be."""
    link: Annotated[str, Meta(max_length=LINK_MAX_CHARS)] = ""
    """Instead of `person`, what `POST /v1/choice/links` made for a page of your own ids."""
    signals: PageSignals | None = None
    """What its consent platform says."""


class Beacons(Struct, frozen=True):
    """URLs to call, each when its event has happened."""

    impression: str
    viewable: str | UnsetType = UNSET
    """When half of it was in view for a second (MRC); absent where that cannot be measured."""
    completed: str | UnsetType = UNSET
    """When a video or audio ad was played to its end; absent for others."""


class Statement(Struct, frozen=True):
    """What the Digital Services Act (article 26) has a page say of an ad."""

    behalf: str
    """On whose behalf it is shown."""
    paid: str
    """Who paid for it."""
    params: list[int]
    """What of the viewer was used, as the DSA extension of OpenRTB codes it: 1 what they did, 2 the
    page and its surroundings; nothing, where the place alone was known."""


class ShownAd(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An ad, ready to be shown: ``markup`` for banners and native cards, ``vast`` for videos."""

    impression_id: str
    slot: str
    ad: str
    format: Format
    width: int = 0
    height: int = 0
    markup: str | UnsetType = UNSET
    vast: str | UnsetType = UNSET
    beacons: Beacons
    click: str | UnsetType = UNSET
    """Where its click leads; absent for an outside bidder's ad, whose markup has its own."""
    scripts: bool = False
    """The markup's own frame runs scripts: a sandboxed frame around it has to allow them."""
    advertiser: str
    """The domain of who pays: the ad must say so."""
    why: str
    """What the ad was chosen by."""
    dsa: Statement
    price_nanos: int | UnsetType = UNSET
    """Per impression, click or conversion; only for requests with a key."""
    currency: str | UnsetType = UNSET


class AdAnswer(Struct):
    """The ads for a request; an empty list when there is none."""

    request_id: str
    tier: Tier
    """What the person's choice leaves: `subscriber` sees no ads, `consented` personalised ones,
    `less-personalised` what fits the page, `general` what fits the place."""
    ads: list[ShownAd]
    passback: str | UnsetType = UNSET
    """Markup of the placement's own, with scripts, to be shown because nothing was sold."""


_decoder: Final = msgspec.json.Decoder(AdRequest)
_encoder: Final = msgspec.json.Encoder()


class _Place(Struct, frozen=True):
    """A placement with what it has from its site and its publisher, joined."""

    placement: Placement
    site: Site | None
    publisher: Publisher
    domain: str
    categories: tuple[str, ...]
    key_values: tuple[tuple[str, str], ...]
    blocked_categories: tuple[str, ...]
    blocked_domains: tuple[str, ...]
    blocked_advertisers: tuple[str, ...]
    slots: tuple[Slot, ...]
    consent: Property
    property_id: str


class NativeAds:
    """From a request to an ``Ask``, from sold slots to an answer, and who may ask from where."""

    def __init__(
        self, catalogue: Catalogue, markup: Markup, shown: Shown, person_of_link: PersonOfLink
    ) -> None:
        self._catalogue = catalogue
        self._person_of_link = person_of_link
        self._markup = markup
        self._shown_by = shown
        self._places: dict[str, _Place] = {}
        self._origins: frozenset[str] = frozenset()
        self._generation = -1

    def decode(self, body: bytes) -> tuple[AdRequest, Placement]:
        """The request and its placement; Malformed, Invalid, NotFound."""
        request = decode(body, _decoder)
        placement = self._catalogue.placements.get(request.placement)
        if placement is None:
            detail = f"no placement {request.placement!r}"
            raise NotFound(f"/placement: {detail}")
        return request, placement

    def is_at_home(self, origin: bytes, wanted: tuple[AdRequest, Placement]) -> bool:
        """Whether a browser asks from a page of the placement's publisher; others are Forbidden."""
        if not origin:
            return False
        publisher = self._catalogue.publishers[wanted[1].publisher_id]
        if origin.decode("latin-1") not in publisher.origins:
            raise Forbidden(f"the origin is not one of publisher {publisher.id!r}")
        return True

    def to_ask(
        self,
        wanted: tuple[AdRequest, Placement],
        *,
        request_id: bytes,
        now_us: int,
        surroundings: tuple[DeviceType, str],
    ) -> Ask:
        """What is asked for, in the terms of the auction; ``surroundings``: device and region."""
        request, placement = wanted
        place, page = self._place(placement), request.page
        return Ask(
            request_id=request_id,
            source="native",
            context=Context(
                site=_site(page.url, place.domain),
                publisher_id=placement.publisher_id,
                placement_id=placement.id,
                categories=_joined(place.categories, page.categories),
                region=surroundings[1],
                device_type=surroundings[0],
                hour=now_us // _US_PER_HOUR % 24,
                blocked_categories=_joined(place.blocked_categories, request.blocked_categories),
                blocked_domains=_joined(place.blocked_domains, request.blocked_domains),
                key_values=_joined(place.key_values, _pairs(request.key_values)),
                blocked_advertisers=place.blocked_advertisers,
            ),
            slots=place.slots,
            visit=request.visit,
        )

    def to_viewer(
        self,
        wanted: tuple[AdRequest, Placement],
        *,
        by_server: bool,
        headers: Iterable[Header],
        region: str,
        now_us: int,
    ) -> Viewer:
        """Whom it is asked for, where the request may say so. Raises Invalid.

        ``by_server``: no browser asks, or one with a key. ``headers`` are the viewer's browser's.
        """
        place, request = self._place(wanted[1]), wanted[0]
        person = request.person or ""
        if person and not by_server and not SECRET_PERSON.fullmatch(person):
            # A guessed id would show a stranger what somebody's ads are chosen by.
            raise Invalid(f"/person: {_UNPROVEN}", [Fault("/person", _UNPROVEN)])
        if not person and request.link:
            person = self._person_of_link(request.link, place.publisher.id, now_us)
        return Viewer(
            person=person,
            signals=signals_of_page(request.signals, headers, region),
            where=place.consent,
            site=place.property_id,
        )

    def _place(self, placement: Placement) -> _Place:
        """The placement's joined settings, kept until one of what they come from is replaced."""
        catalogue = self._catalogue
        publisher = catalogue.publishers[placement.publisher_id]
        site = None if placement.site_id is None else catalogue.sites[placement.site_id]
        kept = self._places.get(placement.id)
        if (
            kept is not None
            and kept.placement is placement
            and kept.site is site
            and kept.publisher is publisher
        ):
            return kept
        if len(self._places) >= PLACES_MAX:
            self._places.clear()
        place = self._places[placement.id] = _place_of(placement, site, publisher)
        return place

    def answer(self, ask: Ask, answered: Answered, *, with_prices: bool) -> bytes:
        """The JSON of the sold slots, or of the passback where none was.

        A subscriber gets neither: whatever fills the place would be an ad.
        """
        ads = [self._shown(ask.context, one, with_prices=with_prices) for one in answered.served]
        answer = AdAnswer(format_id(ask.request_id), answered.tier, ads)
        placement = self._catalogue.placements[ask.context.placement_id]
        if not ads and placement.passback_html and answered.tier != "subscriber":
            answer.passback = passback(placement, request_id=ask.request_id)
        return _encoder.encode(answer)

    def _shown(self, context: Context, served: Served, *, with_prices: bool) -> ShownAd:
        creative = served.creative
        impression_url, click_url = self._markup.beacons(served)
        tokens, urls = served.tokens, self._markup.urls
        beacons = Beacons(
            impression_url,
            urls.viewable(tokens["viewable"]) if "viewable" in tokens else UNSET,
            urls.viewed(tokens["view"]) if "view" in tokens else UNSET,
        )
        markup: str | UnsetType = UNSET
        vast: str | UnsetType = UNSET
        if creative.format in ("video", "audio"):
            vast = self._shown_by.video(served)
        elif creative.format == "native":
            markup = self._markup.card(served)
        else:
            markup = self._shown_by.banner(served, pixel=False)
        if is_external(served.campaign_id):
            why = sentence_outside(context)
        else:
            targeting = self._catalogue.campaigns[served.campaign_id].targeting
            why = sentence(context, targeting, served.used.reads, self._catalogue.audience_name)
        return ShownAd(
            impression_id=format_id(served.impression_id),
            slot=served.slot_id,
            ad=creative.id,
            format=creative.format,
            width=creative.width,
            height=creative.height,
            markup=markup,
            vast=vast,
            beacons=beacons,
            click=click_url or UNSET,
            scripts=self._shown_by.is_scripted(served),
            advertiser=served.advertiser_domain,
            why=why,
            dsa=Statement(served.behalf, served.payer, list(served.used.parameters)),
            price_nanos=served.price_nanos if with_prices else UNSET,
            currency=served.currency if with_prices else UNSET,
        )

    # ---- cross-origin requests ------------------------------------------------------------------

    def preflight(self, origin: bytes) -> Reply:
        """Whether a page of that origin may ask at all (Fetch standard, CORS-preflight)."""
        headers = self.cors(origin)
        if not headers:
            raise Forbidden("the origin is not one of a registered publisher")
        allowed = (
            (b"access-control-allow-methods", b"POST"),
            (b"access-control-allow-headers", b"content-type"),
            (b"access-control-max-age", b"%d" % PREFLIGHT_MAX_AGE_S),
        )
        return Reply(204, b"", (*headers, *allowed))

    def cors(self, origin: bytes) -> tuple[Header, ...]:
        """The headers that let a page of a registered origin read the answer."""
        if self._generation != self._catalogue.publishers_generation:
            self._origins = self._catalogue.origins()
            self._generation = self._catalogue.publishers_generation
        if not origin or origin.decode("latin-1") not in self._origins:
            return ()
        return ((b"access-control-allow-origin", origin), (b"vary", b"origin"))


def _place_of(placement: Placement, site: Site | None, publisher: Publisher) -> _Place:
    pages: list[Site | Placement] = [placement] if site is None else [site, placement]
    levels: list[Publisher | Site | Placement] = [publisher, *pages]
    consent, property_id = rules_of(publisher, site)
    sized = bool(placement.width and placement.height)
    count = placement.slots
    worth = placement.places_ppm or [1_000_000] * count
    return _Place(
        placement=placement,
        site=site,
        publisher=publisher,
        consent=consent,
        property_id=property_id,
        domain=publisher.domain if site is None else site.domain,
        categories=_joined(*(one.categories for one in pages)),
        key_values=_joined(*(_pairs(one.key_values) for one in pages)),
        blocked_categories=_joined(*(one.blocked_categories for one in levels)),
        blocked_domains=_joined(*(one.blocked_domains for one in levels)),
        blocked_advertisers=_joined(*(one.blocked_advertisers for one in levels)),
        slots=tuple(
            Slot(
                id=placement.id if count == 1 else f"{placement.id}#{number}",
                format=placement.format,
                sizes=((placement.width, placement.height),) if sized else (),
                floor_nanos=placement.floor_nanos,
                rule=placement.rule,
                group="" if count == 1 else placement.id,
                slate_ppm=0 if count == 1 else worth[number - 1],
                distinct=() if count == 1 else ("creative",),
            )
            for number in range(1, count + 1)
        ),
    )


def _joined(*lists: Iterable[_T]) -> tuple[_T, ...]:
    """Every value once, in the order in which they come first."""
    return tuple(dict.fromkeys(chain.from_iterable(lists)))


def _pairs(key_values: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    return [(key, value) for key, values in key_values.items() for value in values]


def _site(url: str | None, domain: str) -> str:
    """The page's host where it lies in the publisher's domain, else that domain."""
    try:
        host = urlsplit(url or "").hostname or ""
    except ValueError:  # an IPv6 literal that is none
        return domain
    return host if host == domain or host.endswith(f".{domain}") else domain
