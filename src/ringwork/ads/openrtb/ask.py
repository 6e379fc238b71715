"""From a bid request to an ``Ask``: where the ad would be seen, never by whom.

Read are the site or app, its publisher and categories, country and subdivision, kind of device, the
hour, and what the exchange accepts and blocks. What this platform could not honour is not bid on,
with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from ringwork.ads.model import Ask, Context, Need, Slot
from ringwork.ads.openrtb import reasons
from ringwork.ads.openrtb.price import floor_to_nanos
from ringwork.ads.openrtb.reasons import NoBid
from ringwork.ads.openrtb.structs import App, Banner, BidRequest, Geo, Imp, Native, Site, Video
from ringwork.kernel.money import MAX_PRICE_NANOS

US_PER_HOUR: Final = 3_600_000_000
CATEGORIES_MAX: Final = 100
CATEGORY_MAX_CHARS: Final = 32

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
VAST_PROTOCOLS: Final = {13: "4.2", 11: "4.1", 7: "4.0", 3: "3.0", 2: "2.0"}
"""AdCOM creative subtype -> version of in-line VAST that is written, best first."""

_SECOND_PRICE: Final = 2
_NON_LINEAR: Final = 2
_BANNER_TYPES: Final = frozenset({2, 4})  # XHTML banner, iframe: what banners are made of
_SKIP_BUTTON: Final = 16
_FALSE_FLAGS: Final = frozenset({None, 0})
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_COUNTRY = re.compile(r"[A-Z]{3}")
_SUBDIVISION = re.compile(r"(?:[A-Z]{2}-)?([A-Z0-9]{1,3})")


class BidderTerms(Struct, frozen=True, kw_only=True):
    """How this platform bids at exchanges."""

    currency: str
    seat: str = "ringwork"
    """Its buyer seat: what ``wseat`` must list and ``bseat`` must not."""
    min_tmax_ms: int = 5
    """A request that leaves less time gets no bid: the answer would come too late."""
    hold_s: int = 300
    """Seconds from the bid to its impression where the exchange does not say."""
    max_hold_s: int = 3600
    """The longest that budget is set aside for one impression."""

    def hold_for_s(self, imp: Imp) -> int:
        """Seconds for which the price of this impression is held (``bid.exp``)."""
        return min(imp.exp or self.hold_s, self.max_hold_s)


def to_ask(
    request: BidRequest, terms: BidderTerms, *, request_id: bytes, now_us: int
) -> Ask | NoBid:
    """What ``request`` asks for, or why there is no bid whatever the campaigns are."""
    refusal = _refusal(request, terms)
    if refusal is not None:
        return refusal
    slots: list[Slot] = []
    for imp in request.imp or ():
        for slot in _slots(imp, terms):
            if isinstance(slot, Slot):
                slots.append(slot)
            elif refusal is None:
                refusal = slot
    if not slots:
        return refusal or reasons.FORMAT
    return Ask(
        request_id=request_id,
        source="openrtb",
        context=_context(request, now_us),
        slots=tuple(slots),
        charge_bid=(request.at or _SECOND_PRICE) == _SECOND_PRICE,
    )


def _refusal(request: BidRequest, terms: BidderTerms) -> NoBid | None:
    """Why nothing in the request can be bid on."""
    if request.tmax and request.tmax < terms.min_tmax_ms:
        return reasons.INSUFFICIENT_TIME
    if request.cur and terms.currency not in request.cur:
        return reasons.CURRENCY
    if request.wseat and terms.seat not in request.wseat:
        return reasons.SEAT
    if request.bseat and terms.seat in request.bseat:
        return reasons.SEAT
    if request.acat:
        return reasons.ALLOWED_CATEGORIES
    if request.wlang or request.wlangb:
        return reasons.LANGUAGE
    regs = request.regs
    if regs is not None and regs.ext is not None and regs.ext.dsa is not None:
        required = regs.ext.dsa.dsarequired
        if required is not None and required >= 2:
            return reasons.DSA
    return None


def _context(request: BidRequest, now_us: int) -> Context:
    site, app, device = request.site, request.app, request.device
    place = site or app or request.dooh
    publisher = place.publisher if place is not None else None
    publisher_id = (publisher.id if publisher is not None else None) or ""
    return Context(
        site=_domain(site) if site else (request.dooh.domain or "" if request.dooh else ""),
        app=(app.bundle or app.id or "") if app else "",
        publisher_id=publisher_id if _ID.fullmatch(publisher_id) else "",
        categories=_categories(site or app),
        region=_region(device.geo) if device is not None and device.geo is not None else "",
        device_type=DEVICE_TYPES.get(device.devicetype or 0, "other") if device else "other",
        hour=now_us // US_PER_HOUR % 24,
        blocked_categories=tuple(request.bcat) if request.bcat else (),
        blocked_domains=tuple(map(str.lower, request.badv)) if request.badv else (),
    )


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
    listed = [place.cat, place.sectioncat, place.pagecat]
    if place.content is not None:
        listed.append(place.content.cat)
    found = {one: None for some in listed if some for one in some if len(one) <= CATEGORY_MAX_CHARS}
    return tuple(found)[:CATEGORIES_MAX]


def _region(geo: Geo) -> str:
    """``PRT`` or ``PRT-11``; nothing finer exists here."""
    country = (geo.country or "").upper()
    if not _COUNTRY.fullmatch(country):
        return ""
    subdivision = _SUBDIVISION.fullmatch((geo.region or "").upper())
    return f"{country}-{subdivision[1]}" if subdivision else country


def _slots(imp: Imp, terms: BidderTerms) -> Iterator[Slot | NoBid]:
    """A slot, or why not, for every medium of an impression: the exchange takes one of the bids."""
    refusal = _imp_refusal(imp, terms)
    if refusal is not None:
        yield refusal
        return
    if imp.video is not None:
        yield _video(imp, imp.video, terms)
    if imp.banner is not None:
        yield _banner(imp, imp.banner, terms)
    if imp.native is not None:
        yield _native(imp, imp.native, terms)


def _imp_refusal(imp: Imp, terms: BidderTerms) -> NoBid | None:
    if imp.pmp is not None and imp.pmp.private_auction not in _FALSE_FLAGS:
        return reasons.PRIVATE_AUCTION
    if imp.qty is not None and imp.qty.multiplier is not None and imp.qty.multiplier != 1:
        return reasons.MULTIPLIER
    if (imp.bidfloorcur or "USD") != terms.currency and _has_floor(imp):
        return reasons.CURRENCY
    return None


def _has_floor(imp: Imp) -> bool:
    video = imp.video
    return bool(imp.bidfloor) or (video is not None and bool(video.mincpmpersec or video.durfloors))


def _needs(imp: Imp) -> tuple[Need, ...]:
    return ("https",) if imp.secure else ()


def _banner(imp: Imp, banner: Banner, terms: BidderTerms) -> Slot | NoBid:
    if banner.btype and not _BANNER_TYPES.isdisjoint(banner.btype):
        return reasons.BANNER_TYPE
    sizes: tuple[tuple[int, int], ...] = ()
    if banner.format:
        sizes = tuple([(one.w, one.h) for one in banner.format if one.w and one.h])
        if not sizes:
            return reasons.SIZE
    elif banner.w and banner.h:
        sizes = ((banner.w, banner.h),)
    return Slot(
        id=imp.id or "",
        format="banner",
        sizes=sizes,
        floor_nanos=floor_to_nanos(imp.bidfloor) if imp.bidfloor else 0,
        blocked_attributes=tuple(banner.battr) if banner.battr else (),
        hold_s=terms.hold_for_s(imp),
        needs=_needs(imp),
    )


def _video(imp: Imp, video: Video, terms: BidderTerms) -> Slot | NoBid:
    if video.linearity == _NON_LINEAR:
        return reasons.FORMAT
    if video.protocols and VAST_PROTOCOLS.keys().isdisjoint(video.protocols):
        return reasons.PROTOCOL
    shortest_s, longest_s = video.minduration or 0, video.maxduration
    if video.poddur and (longest_s is None or video.poddur < longest_s):
        longest_s = video.poddur
    if video.rqddurs:
        if len(set(video.rqddurs)) > 1:
            return reasons.DURATION
        shortest_s = longest_s = video.rqddurs[0]
    floor_nanos = floor_to_nanos(imp.bidfloor) if imp.bidfloor else 0
    if video.mincpmpersec:
        if longest_s is None:
            return reasons.FLOOR_PER_SECOND
        floor_nanos = floor_to_nanos(video.mincpmpersec) * longest_s
    elif video.durfloors:
        floor_nanos = max(floor_nanos, _duration_floor(video, shortest_s, longest_s))
    blocked = tuple(video.battr) if video.battr else ()
    return Slot(
        id=imp.id or "",
        format="video",
        floor_nanos=min(floor_nanos, MAX_PRICE_NANOS),
        mimes=tuple(video.mimes or ()),
        min_duration_s=shortest_s,
        max_duration_s=longest_s,
        # With skip = 1 the player draws the button, so the creative must not bring its own.
        blocked_attributes=(*blocked, _SKIP_BUTTON) if video.skip else blocked,
        hold_s=terms.hold_for_s(imp),
        needs=_needs(imp),
    )


def _duration_floor(video: Video, shortest_s: int, longest_s: int | None) -> int:
    """The highest floor of a duration that could be bid: enough whichever creative wins."""
    floors = [
        floor_to_nanos(one.bidfloor)
        for one in video.durfloors or ()
        if one.bidfloor
        and (one.maxdur is None or one.maxdur >= shortest_s)
        and (longest_s is None or (one.mindur or 0) <= longest_s)
    ]
    return max(floors, default=0)


def _native(imp: Imp, native: Native, terms: BidderTerms) -> Slot | NoBid:
    assert native.request is not None
    needs = native.request.needs
    if needs is None:
        return reasons.ASSET
    return Slot(
        id=imp.id or "",
        format="native",
        floor_nanos=floor_to_nanos(imp.bidfloor) if imp.bidfloor else 0,
        blocked_attributes=tuple(native.battr) if native.battr else (),
        hold_s=terms.hold_for_s(imp),
        needs=(*needs, *_needs(imp)),
    )
