"""From an impression to the slots in which its bids are sold.

An impression becomes a slot per medium, and more where several bids are wanted: one for every deal
that is open to our seat and, beside deals, ``open_bids`` of the open auction by different
advertisers; for the dynamic part of a pod as many as may play there. The exchange takes some of
them or none, and composes the pod (implementation notes 7.3 and 7.6). Slots of a pod share a group,
in which nothing is repeated that the pod would remove as a duplicate.

``slotinpod`` is not answered: it would say that only the first or the last place is wanted, and
none of our campaigns says that.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from ringwork.ads.creatives.vast_protocol import KNOWN
from ringwork.ads.model import (
    MEASURES,
    ONE_QUANTITY_PPM,
    STREAM_MIMES,
    Charge,
    Distinct,
    Measure,
    Need,
    Slot,
)
from ringwork.ads.openrtb import dsa, reasons
from ringwork.ads.openrtb.floors import NO_FLOORS, Floors, floors_of, floors_of_deal
from ringwork.ads.openrtb.impressions import Audio, Banner, Deal, Format, Imp, Native, Video
from ringwork.ads.openrtb.native import EVENT_VIEWABLE, tracks
from ringwork.ads.openrtb.reasons import NoBid
from ringwork.ads.openrtb.structs import Dsa
from ringwork.ads.openrtb.terms import BidderTerms

POD_BIDS_MAX: Final = 8
"""Bids for the dynamic part of one pod; longer pods are rare, and every bid holds budget."""
DEALS_MAX: Final = 20
"""Deals of one impression that are bid on: each is an auction of its own."""
POD_DEDUPE: Final[dict[int, Distinct]] = {
    1: "advertiser", 2: "category", 3: "creative", 4: "media",
}  # fmt: skip
"""AdCOM pod deduplication."""
CHARGES: Final[dict[int, Charge]] = {1: "clearing", 2: "bid", 3: "agreed"}
"""Auction type of a deal -> what a sale costs; an exchange's own types are first price to us."""

_WITH_VIEWABLE: Final = frozenset({7, 8, *range(11, 17)})
_VIEWABLE: Final[tuple[Measure, ...]] = ("viewable",)
_VIEWED: Final[tuple[Measure, ...]] = ("view",)
_NON_LINEAR: Final = 2
_STREAMED: Final = 1
_FILES: Final = frozenset({2, 3})  # progressive, download
_BANNER_TYPES: Final = frozenset({2, 4})  # XHTML banner, iframe: what banners are made of
_BANNER_SCRIPT: Final = 3
_SKIP_BUTTON: Final = 16
_NO_LIMIT: Final = -1
_AGREED: Final = 3
_HTTPS: Final[tuple[Need, ...]] = ("https",)
_SOLO_POD: Final[tuple[Distinct, ...]] = ("advertiser", "creative")
_BY_ADVERTISER: Final[tuple[Distinct, ...]] = ("advertiser",)


class Frame(Struct, gc=False):
    """What holds for every impression of a request."""

    now_us: int
    dsa: Dsa | None
    needs: tuple[Need, ...]
    limits: dict[str, tuple[str, ...]]
    """Members of every slot that only some requests set."""
    deals: Container[str] | None
    """The deals that some campaign is for; None where that is not known, and any may be one."""
    in_browser: bool = False
    """Whether what is shown is a page's: an app's view does not know what of it is on the screen,
    and a public screen has no window."""


def add_slots(slots: list[Slot], imp: Imp, terms: BidderTerms, frame: Frame) -> NoBid | None:
    """Append the slots of an impression; the first reason why a medium of it has none."""
    if imp.refresh is not None and _refreshes_too_fast(imp, terms):
        return reasons.REFRESH
    refused: NoBid | None = None
    if imp.video is not None:
        refused = _add_stream(slots, imp, imp.video, "video", terms, frame)
    if imp.audio is not None:
        refused = _add_stream(slots, imp, imp.audio, "audio", terms, frame) or refused
    if imp.banner is not None:
        refused = _add_banner(slots, imp, imp.banner, terms, frame) or refused
    if imp.native is not None:
        refused = _add_native(slots, imp, imp.native, terms, frame) or refused
    return refused


def _refreshes_too_fast(imp: Imp, terms: BidderTerms) -> bool:
    settings = (imp.refresh.refsettings if imp.refresh is not None else None) or ()
    return any(one.minint is not None and one.minint < terms.min_refresh_s for one in settings)


# ---- one slot per medium ------------------------------------------------------------------------


def _add_banner(
    slots: list[Slot], imp: Imp, banner: Banner, terms: BidderTerms, frame: Frame
) -> NoBid | None:
    if banner.btype and not _BANNER_TYPES.isdisjoint(banner.btype):
        return reasons.BANNER_TYPE
    sizes: tuple[tuple[int, int], ...] = ()
    ratios: tuple[tuple[int, int, int], ...] = ()
    if banner.format:
        sizes, ratios = _formats(banner.format)
    elif banner.w and banner.h:
        sizes = ((banner.w, banner.h),)
    floors = floors_of(imp, None, terms, frame.now_us)
    slot = Slot(
        id=imp.id or "",
        format="banner",
        sizes=sizes,
        ratios=ratios,
        floor_nanos=(floors or NO_FLOORS).floor_nanos,
        blocked_attributes=tuple(banner.battr) if banner.battr else (),
        hold_s=terms.hold_for_s(imp),
        needs=(*_HTTPS, *frame.needs) if imp.secure else frame.needs,
        measures=_VIEWABLE if _reports_itself(banner, frame) else (),
    )
    return _add(slots, slot, imp, None, floors, terms, frame)


def _reports_itself(banner: Banner, frame: Frame) -> bool:
    """Whether the script of ``markup.self_reporting`` may run and can see the window."""
    return frame.in_browser and _BANNER_SCRIPT not in (banner.btype or ())


def _formats(
    formats: list[Format],
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int, int], ...]]:
    """(exact sizes, ratios with their least width); every format is one of them."""
    exact = [(one.w, one.h) for one in formats if one.w and one.h]
    if len(exact) == len(formats):
        return tuple(exact), ()
    flexible = [
        (one.wmin, one.wratio, one.hratio)
        for one in formats
        if one.wmin and one.wratio and one.hratio
    ]
    return tuple(exact), tuple(flexible)


def _add_native(
    slots: list[Slot], imp: Imp, native: Native, terms: BidderTerms, frame: Frame
) -> NoBid | None:
    assert native.request is not None
    needs = native.request.needs
    if needs is None:
        return reasons.ASSET
    if dsa.must_render(frame.dsa):
        return reasons.DSA
    floors = floors_of(imp, None, terms, frame.now_us)
    slot = Slot(
        id=imp.id or "",
        format="native",
        images=native.request.images,
        floor_nanos=(floors or NO_FLOORS).floor_nanos,
        blocked_attributes=tuple(native.battr) if native.battr else (),
        hold_s=terms.hold_for_s(imp),
        needs=(*needs, *_HTTPS, *frame.needs) if imp.secure else (*needs, *frame.needs),
        measures=_VIEWABLE if tracks(native.request.request, EVENT_VIEWABLE) else (),
    )
    return _add(slots, slot, imp, None, floors, terms, frame)


def _add_stream(
    slots: list[Slot],
    imp: Imp,
    stream: Video | Audio,
    format: Literal["video", "audio"],
    terms: BidderTerms,
    frame: Frame,
) -> NoBid | None:
    refused = _stream_refusal(stream, frame)
    if refused is not None:
        return refused
    exact = _exact_durations(stream) if stream.rqddurs else ()
    shortest_s, longest_s = stream.minduration or 0, _longest_s(stream)
    impossible = longest_s is not None and longest_s < (shortest_s or 1)
    if impossible or (stream.rqddurs and not exact):
        return reasons.DURATION
    blocked = tuple(stream.battr) if stream.battr else ()
    if isinstance(stream, Video) and stream.skip:
        # The player draws the button, so the creative must not bring its own.
        blocked = (*blocked, _SKIP_BUTTON)
    floors = floors_of(imp, stream, terms, frame.now_us)
    known = floors or NO_FLOORS
    slot = Slot(
        id=imp.id or "",
        format=format,
        floor_nanos=known.floor_nanos,
        nanos_per_second=known.nanos_per_second,
        duration_floors=known.by_duration,
        mimes=_deliverable(stream),
        protocols=tuple(stream.protocols) if stream.protocols else (),
        min_duration_s=shortest_s,
        max_duration_s=longest_s,
        durations_s=exact,
        blocked_attributes=blocked,
        hold_s=terms.hold_for_s(imp),
        needs=(*_HTTPS, *frame.needs) if imp.secure else frame.needs,
        measures=_measures(stream),
    )
    return _add(slots, slot, imp, stream, floors, terms, frame)


def _measures(stream: Video | Audio) -> tuple[Measure, ...]:
    """What the document that is written for the player can have reported.

    ``ViewableImpression`` came with VAST 4.0; who looks while an ad is heard is nothing to see.
    """
    is_shown = isinstance(stream, Video)
    plays_4 = not stream.protocols or not _WITH_VIEWABLE.isdisjoint(stream.protocols)
    return MEASURES if is_shown and plays_4 else _VIEWED


def _stream_refusal(stream: Video | Audio, frame: Frame) -> NoBid | None:
    """Why nothing that we have can play there."""
    if isinstance(stream, Video) and stream.linearity == _NON_LINEAR:
        return reasons.FORMAT
    if stream.protocols and KNOWN.isdisjoint(stream.protocols):
        return reasons.PROTOCOL
    if stream.mimes and not _deliverable(stream):
        return reasons.DELIVERY
    return reasons.DSA if frame.dsa is not None and dsa.must_render(frame.dsa) else None


def _deliverable(stream: Video | Audio) -> tuple[str, ...]:
    """The media types that can come as the player wants them: as a stream, or as a file."""
    mimes, delivery = tuple(stream.mimes or ()), stream.delivery
    if not delivery or (_STREAMED in delivery and not _FILES.isdisjoint(delivery)):
        return mimes
    if _STREAMED in delivery:
        return tuple(one for one in mimes if one.lower() in STREAM_MIMES)
    if not _FILES.isdisjoint(delivery):
        return tuple(one for one in mimes if one.lower() not in STREAM_MIMES)
    return mimes  # an exchange's own ways: what they are is not known


def _longest_s(stream: Video | Audio) -> int | None:
    """The longest ad that may play; an ad that may be extended may be longer than ``maxduration``.

    No ad is longer than the pod in which it plays.
    """
    longest_s, extended_s = stream.maxduration, stream.maxextended or 0
    if longest_s is not None:
        longest_s = None if extended_s == _NO_LIMIT else longest_s + extended_s
    if stream.poddur and (longest_s is None or stream.poddur < longest_s):
        return stream.poddur
    return longest_s


def _exact_durations(stream: Video | Audio) -> tuple[int, ...]:
    wanted = set(stream.rqddurs or ())
    return tuple(sorted(one for one in wanted if not stream.poddur or one <= stream.poddur))


# ---- several bids for one medium ----------------------------------------------------------------


def _add(
    slots: list[Slot],
    slot: Slot,
    imp: Imp,
    stream: Video | Audio | None,
    opened: Floors | None,
    terms: BidderTerms,
    frame: Frame,
) -> NoBid | None:
    """Append ``slot`` for every bid that is wanted of it; why there is none.

    ``opened``: the floors of the open auction, None where they are in an unknown currency.
    """
    if frame.limits or imp.qty is not None:
        slot = replace(slot, quantity_ppm=_quantity_ppm(imp), **frame.limits)
    is_pod = stream is not None and (stream.poddur or stream.podid)
    if imp.pmp is None and not is_pod:
        if opened is None:
            return reasons.CURRENCY
        slots.append(slot)
        return None
    count = 1
    if stream is not None and is_pod:
        slot = replace(slot, group=_pod_group(imp, stream), distinct=_pod_distinct(stream))
        count = _pod_bids(slot, stream)
    offers = _offers(slot, imp, opened, terms, frame)
    if isinstance(offers, NoBid):
        return offers
    for one in offers:
        slots += [one] * count
    return None


def _quantity_ppm(imp: Imp) -> int:
    multiplier = imp.qty.multiplier if imp.qty is not None else None
    if multiplier is None:
        return ONE_QUANTITY_PPM
    return max(int(multiplier.scaleb(6)), 1)


def _offers(
    slot: Slot, imp: Imp, opened: Floors | None, terms: BidderTerms, frame: Frame
) -> list[Slot] | NoBid:
    """A slot per deal, then those of the open auction."""
    deals = _deals(imp, terms, frame)
    is_private = imp.pmp is not None and bool(imp.pmp.private_auction)
    if is_private and not deals:
        return reasons.PRIVATE_AUCTION
    offers = _deal_slots(slot, deals, opened, terms, frame)
    if not is_private and opened is not None:
        if deals and not slot.group:
            slot = replace(slot, group=f"imp:{slot.id}:{slot.format}", distinct=_BY_ADVERTISER)
            offers += [slot] * terms.open_bids
        else:
            offers.append(slot)
    return offers or reasons.CURRENCY


def _pod_group(imp: Imp, stream: Video | Audio) -> str:
    return f"pod:{stream.podid}" if stream.podid else f"imp:{imp.id}"


def _pod_distinct(stream: Video | Audio) -> tuple[Distinct, ...]:
    """What the pod removes as repeated, and never twice the same ad.

    One per advertiser where the pod does not say.
    """
    dedupe = stream.poddedupe if isinstance(stream, Video) else None
    if not dedupe:
        return _SOLO_POD
    found: dict[Distinct, None] = {POD_DEDUPE[code]: None for code in dedupe if code in POD_DEDUPE}
    return tuple({**found, "creative": None})


def _pod_bids(slot: Slot, stream: Video | Audio) -> int:
    """How many ads could play in the dynamic part; one in a structured slot."""
    if not stream.poddur:
        return 1
    shortest_s = max(slot.durations_s[0] if slot.durations_s else slot.min_duration_s, 1)
    return max(min(POD_BIDS_MAX, stream.maxseq or POD_BIDS_MAX, stream.poddur // shortest_s), 1)


def _deals(imp: Imp, terms: BidderTerms, frame: Frame) -> Sequence[Deal]:
    """The deals that are open to our seat and that a campaign may be for, the first of them."""
    deals = (imp.pmp.deals if imp.pmp is not None else None) or ()
    known = frame.deals
    ours = [
        deal
        for deal in deals
        if (not deal.wseat or terms.seat in deal.wseat) and (known is None or deal.id in known)
    ]
    return ours[:DEALS_MAX]


def _deal_slots(
    slot: Slot,
    deals: Sequence[Deal],
    opened: Floors | None,
    terms: BidderTerms,
    frame: Frame,
) -> list[Slot]:
    """A slot for every deal whose floor can be exchanged."""
    made = []
    for deal in deals:
        floors = floors_of_deal(deal, opened, terms, frame.now_us)
        if floors is not None:
            made.append(
                replace(
                    slot,
                    deal_id=deal.id or "",
                    charge=_charge(deal),
                    allowed_domains=tuple([one.lower() for one in deal.wadomain or ()]),
                    floor_nanos=floors.floor_nanos,
                    nanos_per_second=floors.nanos_per_second,
                    duration_floors=floors.by_duration,
                )
            )
    return made


def _charge(deal: Deal) -> Charge | None:
    if deal.at is None or (deal.at == _AGREED and not deal.bidfloor):
        return None
    return CHARGES.get(deal.at, "clearing")
