"""From a bid request to an ``Ask``: where the ad would be seen, never by whom.

Read are the site or app, its publisher and categories, country and subdivision, kind of device, the
hour, and what the exchange accepts and blocks. What this platform could not honour is not bid on,
with a reason. Categories are compared as text, whatever taxonomy ``cattax`` names: ids of another
taxonomy match nothing, so that a list of allowed ones then lets nothing pass.
"""

from __future__ import annotations

import re
from collections.abc import Container
from functools import lru_cache
from typing import Final

from ringwork.ads.model import Ask, Context, Need, Slot
from ringwork.ads.openrtb import dsa, reasons, supply
from ringwork.ads.openrtb.reasons import NoBid
from ringwork.ads.openrtb.slots import Frame, add_slots
from ringwork.ads.openrtb.structs import App, BidRequest, Dooh, Geo, Publisher, Site
from ringwork.ads.openrtb.terms import BidderTerms

US_PER_HOUR: Final = 3_600_000_000
SLOTS_MAX: Final = 100
"""Bids considered for one request: deals and pods multiply impressions, each bid is an auction."""
CATEGORIES_MAX: Final = 100
CATEGORY_MAX_CHARS: Final = 32
REMEMBERED: Final = 4_096
"""Publisher ids and regions whose reading is kept: an exchange sends the same few again and again.

What is longer than any of them is never kept."""
KEYWORD: Final = "keyword"
"""The key by which campaigns target the keywords of a page (``targeting.key_values``)."""
KEYWORDS_MAX: Final = 20
KEYWORD_MAX_CHARS: Final = 80
ID_MAX_CHARS: Final = 64
COUNTRY_CHARS: Final = 3
REGION_MAX_CHARS: Final = 6
"""An ISO 3166-2 code: a country's two letters, a hyphen, three characters."""

DEVICE_TYPES: Final = {
    1: "phone",  # mobile or tablet: most are phones
    2: "computer",
    3: "tv",
    4: "phone",
    5: "tablet",
    6: "tv",  # a connected device is a streaming box or console beside a television
    7: "tv",
}
"""AdCOM device types; public screens (8) and unknown ones are ``other``."""

_SECOND_PRICE: Final = 2
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_COUNTRY = re.compile(r"[A-Z]{3}")
_SUBDIVISION = re.compile(r"(?:[A-Z]{2}-)?([A-Z0-9]{1,3})")
_NONE: Final[tuple[Need, ...]] = ()
_STATEMENT: Final[tuple[Need, ...]] = ("statement",)


def to_ask(
    request: BidRequest,
    terms: BidderTerms,
    *,
    request_id: bytes,
    now_us: int,
    deals: Container[str] | None = None,
) -> Ask | NoBid:
    """What ``request`` asks for, or why there is no bid whatever the campaigns are.

    ``deals``: those that some campaign is for, so that no auction is held for the others; None
    where that is not known.
    """
    refusal = _refusal(request, terms, now_us)
    if refusal is not None:
        return refusal
    asked = None if request.regs is None else dsa.asked(request)
    needs = _STATEMENT if dsa.is_required(asked) else _NONE
    in_browser = request.site is not None
    frame = Frame(now_us, asked, needs, _limits(request), deals, in_browser)
    slots: list[Slot] = []
    for imp in request.imp or ():
        refusal = add_slots(slots, imp, terms, frame) or refusal
        if len(slots) >= SLOTS_MAX:
            del slots[SLOTS_MAX:]
            break
    if not slots:
        return refusal or reasons.FORMAT
    return Ask(
        request_id=request_id,
        source="openrtb",
        context=_context(request, now_us),
        slots=tuple(slots),
        charge_bid=(request.at or _SECOND_PRICE) == _SECOND_PRICE,
        supply_chain="" if request.source is None else supply.text_of(request),
    )


def _refusal(request: BidRequest, terms: BidderTerms, now_us: int) -> NoBid | None:
    """Why nothing in the request can be bid on."""
    if request.tmax and request.tmax < terms.min_tmax_ms:
        return reasons.INSUFFICIENT_TIME
    if request.cur and terms.currency_of_bids(request.cur, now_us) is None:
        return reasons.CURRENCY
    if request.wseat and terms.seat not in request.wseat:
        return reasons.SEAT
    if request.bseat and terms.seat in request.bseat:
        return reasons.SEAT
    if request.source is not None or terms.complete_supply:
        return supply.refusal(request, terms)
    return None


def _limits(request: BidRequest) -> dict[str, tuple[str, ...]]:
    """What the request limits creatives to, as members of ``Slot``."""
    limits: dict[str, tuple[str, ...]] = {}
    if request.acat:
        limits["allowed_categories"] = tuple(request.acat)
    languages = request.wlang or request.wlangb
    if languages:
        limits["languages"] = tuple([one.lower() for one in languages])
    if request.bapp:
        limits["blocked_apps"] = tuple(request.bapp)
    return limits


def _context(request: BidRequest, now_us: int) -> Context:
    site, app, device = request.site, request.app, request.device
    dooh = request.dooh
    place = site or app or dooh
    geo = device.geo if device is not None else None
    return Context(
        site=_domain(site) if site else (dooh.domain or "" if dooh else ""),
        app=(app.bundle or app.id or "") if app else "",
        publisher_id=_publisher_id(place.publisher) if place is not None else "",
        categories=_categories(site or app),
        region=_region(geo) if geo is not None else "",
        device_type=DEVICE_TYPES.get(device.devicetype or 0, "other") if device else "other",
        hour=now_us // US_PER_HOUR % 24,
        blocked_categories=tuple(request.bcat) if request.bcat else (),
        blocked_domains=tuple([one.lower() for one in request.badv]) if request.badv else (),
        key_values=_keywords(place),
    )


def _keywords(place: Site | App | Dooh | None) -> tuple[tuple[str, str], ...]:
    """What page and content say of themselves, as values of the key ``keyword``.

    In lower case, each once, the first of them; those of the user are not read.
    """
    if place is None:
        return ()
    said: list[str] = []
    for one in (place, place.content):
        if one is not None and not isinstance(one, Dooh):
            said += one.kwarray or (one.keywords or "").split(",")
    words = dict.fromkeys(one.strip().lower() for one in said)
    kept = [one for one in words if 0 < len(one) <= KEYWORD_MAX_CHARS]
    return tuple((KEYWORD, one) for one in kept[:KEYWORDS_MAX])


def _publisher_id(publisher: Publisher | None) -> str:
    if publisher is None or not publisher.id:
        return ""
    return publisher.id if len(publisher.id) <= ID_MAX_CHARS and _is_id(publisher.id) else ""


@lru_cache(REMEMBERED)
def _is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def _domain(site: Site) -> str:
    """The site's domain, or the host of its page."""
    if site.domain:
        return site.domain.lower()
    page = site.page or ""
    authority = re.split(r"[/?#]", page.partition("://")[2] or page, maxsplit=1)[0]
    return authority.rpartition("@")[2].partition(":")[0].lower()


def _categories(place: Site | App | None) -> tuple[str, ...]:
    """What the page is about, most general first, each once."""
    if place is None:
        return ()
    listed = place.cat or []
    if place.sectioncat:
        listed = listed + place.sectioncat
    if place.pagecat:
        listed = listed + place.pagecat
    if place.content is not None and place.content.cat:
        listed = listed + place.content.cat
    for one in listed:
        if len(one) > CATEGORY_MAX_CHARS:
            listed = [one for one in listed if len(one) <= CATEGORY_MAX_CHARS]
            break
    if len(listed) > 1:
        listed = list(dict.fromkeys(listed))[:CATEGORIES_MAX]
    return tuple(listed)


def _region(geo: Geo) -> str:
    """``PRT`` or ``PRT-11``; nothing finer exists here."""
    country, region = geo.country or "", geo.region or ""
    if len(country) != COUNTRY_CHARS:
        return ""
    return _region_of(country, region if len(region) <= REGION_MAX_CHARS else "")


@lru_cache(REMEMBERED)
def _region_of(country: str, region: str) -> str:
    country = country.upper()
    if not _COUNTRY.fullmatch(country):
        return ""
    subdivision = _SUBDIVISION.fullmatch(region.upper())
    return f"{country}-{subdivision[1]}" if subdivision else country
