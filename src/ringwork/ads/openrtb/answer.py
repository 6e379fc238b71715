"""Sold slots to a bid response, or the reason why there is none.

``bid.price`` is what the slot was sold for, as a CPM. ``burl`` is the billing notice; banners and
native ads also carry their own impression beacon, videos the VAST ``Impression``: they hold the
same token, which is billed once. ``nurl`` is not used, a win is not an impression. A request with
``test`` = 1 gets beacons that record nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.ads.markup import Markup
from ringwork.ads.model import Served
from ringwork.ads.openrtb.ask import VAST_PROTOCOLS, BidderTerms
from ringwork.ads.openrtb.native import NativeAsk
from ringwork.ads.openrtb.native_answer import write_native
from ringwork.ads.openrtb.price import to_cpm
from ringwork.ads.openrtb.reasons import NO_BIDS, NoBid
from ringwork.ads.openrtb.structs import BidRequest, Imp, Video
from ringwork.ads.vast import Version
from ringwork.kernel.ids import format_id

MTYPES: Final = {"banner": 1, "video": 2, "native": 4}
CATEGORY_TAXONOMY: Final = 9
"""IAB Content Taxonomy 3.1 (AdCOM category taxonomies)."""
PRICE_MACRO: Final = "?price=${AUCTION_PRICE}"
"""Tells what the exchange settled at; it is not billed, because anyone could write it."""

_VAST_4_2: Final = 13
_VERSIONS: Final[dict[int, Version]] = {13: "4.2", 11: "4.1", 7: "4.0", 3: "3.0", 2: "2.0"}


class Bid(Struct, omit_defaults=True, kw_only=True, gc=False):
    """An offer for an impression."""

    id: str
    impid: str
    price: float
    burl: str
    adm: str
    adid: str
    adomain: list[str]
    cid: str
    crid: str
    cattax: int = 1
    cat: list[str] = []
    attr: list[int] = []
    protocol: int = 0
    w: int = 0
    h: int = 0
    exp: int
    dur: int = 0
    mtype: int


class SeatBid(Struct, omit_defaults=True, gc=False):
    """The bids of a buyer."""

    bid: list[Bid]
    seat: str = ""


class BidResponse(Struct, omit_defaults=True, gc=False, kw_only=True):
    """The answer to a bid request."""

    id: str
    seatbid: list[SeatBid] = []
    bidid: str = ""
    cur: str = "USD"
    nbr: int | None = None
    ext: dict[str, dict[str, str | list[str]]] = {}


_encoder: Final = msgspec.json.Encoder()


def to_response(
    request: BidRequest,
    served: Sequence[Served],
    *,
    terms: BidderTerms,
    markup: Markup,
    warnings: Sequence[str] = (),
) -> bytes:
    """The bid response for at least one sold slot; ``warnings`` are shown to a test request."""
    assert served, "without a sold slot there is no bid: see explain_no_bid"
    imps = {imp.id: imp for imp in request.imp or ()}
    billable = not request.test
    bids = [_bid(one, imps[one.slot_id], terms, markup, billable=billable) for one in served]
    return _encoder.encode(
        BidResponse(
            id=request.id or "",
            seatbid=[SeatBid(bids, terms.seat)],
            bidid=bids[0].id,
            cur=served[0].currency,
            ext={"ringwork": {"warnings": list(warnings)}} if warnings and request.test else {},
        )
    )


def explain_no_bid(request: BidRequest, no_bid: NoBid) -> bytes | None:
    """The body that says why there is no bid, or None for a bare 204.

    Only a request with ``test`` = 1 gets a body. The header ``NO_BID_HEADER`` names the reason on
    either.
    """
    if not request.test:
        return None
    why: dict[str, str | list[str]] = {"reason": no_bid.reason, "detail": NO_BIDS[no_bid]}
    return _encoder.encode(BidResponse(id=request.id or "", nbr=no_bid.nbr, ext={"ringwork": why}))


def _bid(served: Served, imp: Imp, terms: BidderTerms, markup: Markup, *, billable: bool) -> Bid:
    creative = served.creative
    impression_url, click_url = markup.beacons(served, billable=billable)
    bid = Bid(
        id=format_id(served.impression_id),
        impid=served.slot_id,
        price=to_cpm(served.impression_price_nanos),
        burl=impression_url + PRICE_MACRO,
        adm="",
        adid=creative.id,
        adomain=[served.advertiser_domain],
        cid=served.campaign_id,
        crid=creative.id,
        cattax=CATEGORY_TAXONOMY if creative.categories else 1,
        cat=creative.categories,
        attr=creative.attributes,
        w=creative.width,
        h=creative.height,
        exp=terms.hold_for_s(imp),
        dur=creative.duration_s,
        mtype=MTYPES[creative.format],
    )
    if creative.format == "video":
        assert imp.video is not None
        bid.protocol = _protocol(imp.video)
        bid.adm = markup.video(served, _VERSIONS[bid.protocol], billable=billable)
    elif creative.format == "native":
        assert imp.native is not None
        assert isinstance(imp.native.request, NativeAsk)
        bid.adm = write_native(served, imp.native.request, impression_url, click_url)
    else:
        bid.adm = markup.banner(served, pixel=True, billable=billable)
    return bid


def _protocol(video: Video) -> int:
    """The best in-line VAST that the player takes; 4.2 where it does not say."""
    if not video.protocols:
        return _VAST_4_2
    return next(code for code in VAST_PROTOCOLS if code in video.protocols)
