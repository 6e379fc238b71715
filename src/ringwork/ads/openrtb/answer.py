"""Sold slots to a bid response, or the reason why there is none.

``bid.price`` is what the slot was sold for, as a CPM of one impression, whatever ``qty`` says.
``burl`` is the billing notice; banners and native ads also carry their own impression beacon,
videos and audio the VAST ``Impression``: they hold the same token, which is billed once. A banner
that is paid for being viewable bids its price times how probable that is, and reports it itself.
``nurl`` and ``lurl`` report that a bid has won or lost, and count nothing: a win is not an
impression. A request with ``test`` = 1 gets beacons that record nothing and no notices.

What never changes of a creative's bid is encoded once and kept; the rest is written between. Texts
from outside are always encoded as JSON, URLs hold nothing that JSON escapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.ads import markup as writers
from ringwork.ads.creatives import is_scripted
from ringwork.ads.creatives.vast_protocol import IN_LINE, WRAPPERS, protocol_for
from ringwork.ads.markup import Markup
from ringwork.ads.model import Creative, Measure, Served
from ringwork.ads.openrtb import dsa
from ringwork.ads.openrtb.dsa import BidDsa
from ringwork.ads.openrtb.impressions import Imp
from ringwork.ads.openrtb.native import NativeAsk
from ringwork.ads.openrtb.native_answer import write_native
from ringwork.ads.openrtb.notices import LOST_QUERY, WON_QUERY
from ringwork.ads.openrtb.price import exchanged_bid, to_cpm
from ringwork.ads.openrtb.reasons import NO_BIDS, NoBid
from ringwork.ads.openrtb.structs import BidRequest, Dsa
from ringwork.ads.openrtb.terms import BidderTerms
from ringwork.ads.outside import is_external
from ringwork.ads.shown import Shown
from ringwork.ads.vast import Version
from ringwork.kernel.ids import format_id

MTYPES: Final = {"banner": 1, "video": 2, "audio": 3, "native": 4}
CONTENT_1_0: Final = 1
CONTENT_3_1: Final = 9
"""AdCOM category taxonomies."""
PRICE_MACRO: Final = "?price=${AUCTION_PRICE}"
"""Tells what the exchange settled at; it is not billed, because anyone could write it."""

_VERSIONS: Final[dict[int, Version]] = {**IN_LINE, **WRAPPERS}
_PIXEL_BEFORE: Final = '<img src=\\"'
_PIXEL_AFTER: Final = (
    '\\" alt=\\"\\" width=\\"1\\" height=\\"1\\" style=\\"position:absolute\\"></div>'
)


class Bid(Struct, omit_defaults=True, kw_only=True, gc=False):
    """What every bid with a creative says alike."""

    adid: str
    adomain: list[str]
    cid: str
    crid: str
    cattax: int = 1
    cat: list[str] = []
    attr: list[int] = []
    bundle: str = ""
    protocol: int = 0
    language: str = ""
    w: int = 0
    h: int = 0
    dur: int = 0
    mtype: int


class BidResponse(Struct, omit_defaults=True, gc=False, kw_only=True):
    """The answer to a test request that gets no bid."""

    id: str
    nbr: int
    ext: dict[str, dict[str, str]]


class Seller(Struct, gc=False):
    """Whom the bids of one answer are for."""

    request: BidRequest
    dsa: Dsa | None
    terms: BidderTerms
    markup: Markup
    shown: Shown
    rate: Decimal | None
    """Of the answer's currency; None for ours."""

    def imp(self, id: str) -> Imp:
        """The impression that was sold: most requests have one."""
        imps = self.request.imp or []
        return imps[0] if len(imps) == 1 else next(imp for imp in imps if imp.id == id)


_encoder: Final = msgspec.json.Encoder()


def to_response(
    request: BidRequest,
    served: Sequence[Served],
    *,
    terms: BidderTerms,
    markup: Markup,
    shown: Shown,
    now_us: int,
    warnings: Sequence[str] = (),
) -> bytes | None:
    """The bid response for at least one sold slot; ``warnings`` are shown to a test request.

    None where every bid would be refused for want of a statement of the DSA.
    """
    assert served, "without a sold slot there is no bid: see explain_no_bid"
    asked = None if request.regs is None else dsa.asked(request)
    currency, rate = terms.currency, None
    if request.cur and currency not in request.cur:
        currency = terms.currency_of_bids(request.cur, now_us) or currency
        rate = terms.rate(currency, now_us)
    seller = Seller(request, asked, terms, markup, shown, rate)
    bids = [_bid(one, seller) for one in served]
    if asked is not None:
        bids = [bid for bid in bids if bid]
        if not bids:
            return None
    ext = ""
    if warnings and request.test:
        told = {"ringwork": {"warnings": list(warnings)}}
        ext = f',"ext":{_encoder.encode(told).decode()}'
    return (
        f'{{"id":{_quoted(request.id)},"seatbid":[{{"bid":[{",".join(bids)}],'
        f'"seat":{_quoted(terms.seat)}}}],"bidid":"{format_id(served[0].impression_id)}",'
        f'"cur":"{currency}"{ext}}}'
    ).encode()


def explain_no_bid(request: BidRequest, no_bid: NoBid) -> bytes | None:
    """The body that says why there is no bid, or None for a bare 204.

    Only a request with ``test`` = 1 gets a body. The header ``NO_BID_HEADER`` names the reason on
    either.
    """
    if not request.test:
        return None
    why = {"reason": no_bid.reason, "detail": NO_BIDS[no_bid]}
    return _encoder.encode(BidResponse(id=request.id or "", nbr=no_bid.nbr, ext={"ringwork": why}))


def _bid(served: Served, seller: Seller) -> str:
    """The JSON of a bid; empty where the exchange would refuse it for want of a statement."""
    given: BidDsa | None = None
    markup, is_test = seller.markup, bool(seller.request.test)
    if seller.dsa is not None:
        can_render = served.creative.format == "banner"
        given = dsa.state(seller.dsa, served, domain=markup.urls.host, can_render=can_render)
        if given is None and dsa.is_required(seller.dsa):
            return ""
    imp = seller.imp(served.slot_id)
    urls = markup.beacons(served, billable=not is_test)
    nanos = served.impression_price_nanos
    if seller.rate is not None:
        nanos = exchanged_bid(nanos, seller.rate)
    notices = "" if is_test else _notices(served, markup)
    ext = "" if given is None else f'"ext":{{"dsa":{_encoder.encode(given).decode()}}},'
    deal = f'"dealid":{_quoted(served.deal_id)},' if served.deal_id else ""
    return (
        f'{{"id":"{format_id(served.impression_id)}","impid":{_quoted(served.slot_id)},'
        f'"price":{to_cpm(nanos)!r},"burl":"{urls[0]}{PRICE_MACRO}",{notices}{deal}{ext}'
        f'"exp":{seller.terms.hold_for_s(imp)},{_shown(served, imp, seller, urls, given)}'
    )


def _notices(served: Served, markup: Markup) -> str:
    token = served.tokens.get("notice")
    if token is None:
        return ""
    won, lost = markup.urls.notices(token)
    return f'"nurl":"{won}{WON_QUERY}","lurl":"{lost}{LOST_QUERY}",'


def _shown(
    served: Served, imp: Imp, seller: Seller, urls: tuple[str, str], given: BidDsa | None
) -> str:
    """``"adm"`` and the end of the bid; ``urls`` are those of the impression and the click."""
    creative, markup = served.creative, seller.markup
    impression_url, click_url = urls
    if creative.third_party or creative.vast_xml or creative.vast_tag_url:
        adm, end = _theirs(served, imp, seller, given)
    elif creative.format == "banner":
        before, after, end = markup.kept(served, "bid banner", _banner_parts)
        statement = ""
        if given is not None and given.adrender:
            statement = _inside(writers.statement(served))
        adm = f"{before}{click_url}{after}{statement}{_PIXEL_BEFORE}{impression_url}{_PIXEL_AFTER}"
        if not before:  # it runs scripts
            adm, end = _theirs(served, imp, seller, given)
    elif creative.format == "native":
        assert imp.native is not None
        assert isinstance(imp.native.request, NativeAsk)
        token = served.tokens.get("viewable")
        seen_url = None if token is None else markup.urls.viewable(token)
        adm = _inside(write_native(served, imp.native.request, impression_url, click_url, seen_url))
        (end,) = markup.kept(served, "bid native", _native_parts)
    else:
        stream = imp.video if creative.format == "video" else imp.audio
        assert stream is not None
        is_billed = not seller.request.test
        protocol = protocol_for(creative, stream.protocols or ())
        adm, end = _vast(served, protocol, markup, urls, is_billed=is_billed)
    if creative.format == "banner" and "viewable" in served.tokens and not seller.request.test:
        url = markup.urls.viewable(served.tokens["viewable"])
        before, after = writers.self_reporting("\0", creative.width, creative.height, url).split(
            "\0"
        )
        adm = f"{_inside(before)}{adm}{_inside(after)}"
    if dsa.MACRO_MARK in adm:
        adm = dsa.substitute(adm, seller.dsa, given)
    return f'"adm":"{adm}",{end}'


def _theirs(served: Served, imp: Imp, seller: Seller, given: BidDsa | None) -> tuple[str, str]:
    """(another server's markup inside quotes, the end of the bid): in a frame, or as its VAST."""
    creative, by = served.creative, served.advertiser_domain
    is_billed = not seller.request.test
    if creative.format == "banner":
        adm = seller.shown.banner(served, pixel=True, billable=is_billed)
        if given is not None and given.adrender:
            adm = f'<div style="position:relative">{adm}{writers.statement(served)}</div>'
        return _inside(adm), _end(creative, by)
    stream = imp.video if creative.format == "video" else imp.audio
    assert stream is not None
    protocol = protocol_for(creative, stream.protocols or ())
    adm = seller.shown.video(served, _VERSIONS.get(protocol, "4.2"), billable=is_billed)
    return _inside(adm), _end(creative, by, protocol)


def _vast(
    served: Served, protocol: int, markup: Markup, urls: tuple[str, str], *, is_billed: bool
) -> tuple[str, str]:
    """(the document inside quotes, the end of the bid)."""
    measures = writers.measures_of(served) if is_billed else ()
    parts = markup.kept(
        served,
        f"bid {protocol} {' '.join(measures)}",
        lambda creative, by: _vast_parts(creative, by, protocol, measures),
    )
    return markup.filled(parts[:-1], served, urls), parts[-1]


def _banner_parts(creative: Creative, advertiser: str) -> tuple[str, ...]:
    if is_scripted(creative):  # it has a frame of its own (``Shown``)
        return "", "", ""
    before, after = writers.banner_pieces(creative, advertiser)
    return _inside(before), _inside(after), _end(creative, advertiser)


def _native_parts(creative: Creative, advertiser: str) -> tuple[str, ...]:
    return (_end(creative, advertiser),)


def _vast_parts(
    creative: Creative, advertiser: str, protocol: int, measures: Sequence[Measure]
) -> tuple[str, ...]:
    pieces = writers.vast_pieces(creative, advertiser, _VERSIONS[protocol], measures)
    return (*map(_inside, pieces), _end(creative, advertiser, protocol))


def _end(creative: Creative, advertiser: str, protocol: int = 0) -> str:
    """The end of a bid: what does not change, without the opening brace."""
    taxonomy, categories = _categories(creative.categories)
    bid = Bid(
        adid=creative.id,
        adomain=[advertiser],
        cid=creative.campaign_id,
        crid=creative.name if is_external(creative.id) else creative.id,
        cattax=taxonomy,
        cat=categories,
        attr=creative.attributes,
        bundle=creative.app_bundle,
        protocol=protocol,
        language=creative.language.partition("-")[0].lower(),
        w=creative.width,
        h=creative.height,
        dur=creative.duration_s,
        mtype=MTYPES[creative.format],
    )
    return _encoder.encode(bid).decode()[1:]


def _categories(named: Sequence[str]) -> tuple[int, list[str]]:
    """(taxonomy, its ids): a bid has one taxonomy, the newer where an ad is labelled in both."""
    newer = [one for one in named if not one.startswith("IAB")]
    return (CONTENT_3_1, newer) if newer else (CONTENT_1_0, list(named))


def _quoted(text: str | None) -> str:
    """A JSON string."""
    return _encoder.encode(text or "").decode()


def _inside(text: str) -> str:
    """What stands between the quotes of a JSON string."""
    return _encoder.encode(text).decode()[1:-1]
