"""The rules of OpenRTB 2.6 that a request can break although every member has its type.

Negative numbers are refused by the types in ``structs`` and ``impressions``. The first broken rule
is reported, with the path of its member. One pass; a path is written only for a broken rule.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from ringwork.ads.model import MAX_IMPRESSION_NANOS
from ringwork.ads.openrtb.impressions import (
    Audio,
    Banner,
    Deal,
    DurFloors,
    Format,
    Imp,
    Metric,
    Pmp,
    Qty,
    Video,
)
from ringwork.ads.openrtb.price import is_price
from ringwork.ads.openrtb.reasons import BadBidRequest
from ringwork.ads.openrtb.structs import App, BidRequest, Content, Site, SupplyChain

IMPS_MAX: Final = 100
"""Impressions in one request; every one costs an auction."""
DURATION_FLOORS_MAX: Final = 100
"""Ranges of duration with a floor of their own; every candidate is compared with each."""
SUPPLY_NODES_MAX: Final = 100
MULTIPLIER_MAX: Final = Decimal(1_000_000)
"""Impressions of one play; the largest screens are seen by thousands."""


def validate(request: BidRequest) -> None:
    """Raise BadBidRequest for the first rule that ``request`` breaks."""
    if not request.id:
        raise BadBidRequest("id", "is required")
    imps = request.imp
    if not imps:
        raise BadBidRequest("imp", "must hold at least one impression")
    if len(imps) > IMPS_MAX:
        raise BadBidRequest("imp", f"at most {IMPS_MAX} impressions, got {len(imps)}")
    _check_exclusive(request)
    for position, imp in enumerate(imps):
        _check_imp(imp, position)
    if len(imps) > 1:
        _check_unique(imps)
    _check_place(request)
    source = request.source
    if source is not None and source.schain is not None:
        _check_supply(source.schain)


def _check_exclusive(request: BidRequest) -> None:
    """Members of the request of which at most one may be present."""
    device, user = request.device, request.user
    if request.wlang and request.wlangb:
        raise _both("", "wlang", "wlangb")
    if request.acat and request.bcat:
        raise _both("", "acat", "bcat")
    if device is not None and device.language and device.langb:
        raise _both("device.", "language", "langb")
    if user is not None and user.keywords and user.kwarray:
        raise _both("user.", "keywords", "kwarray")


def _check_place(request: BidRequest) -> None:
    site, app, dooh = request.site, request.app, request.dooh
    if (site is not None) + (app is not None) + (dooh is not None) > 1:
        raise BadBidRequest("site|app|dooh", "at most one of them may be present")
    if site is not None:
        _check_keywords(site, "site.")
    elif app is not None:
        _check_keywords(app, "app.")
    elif dooh is not None and dooh.content is not None:
        _check_keywords(dooh.content, "dooh.content.")


def _both(parent: str, one: str, other: str) -> BadBidRequest:
    return BadBidRequest(f"{parent}{one}|{other}", "at most one of them may be present")


def _check_unique(imps: list[Imp]) -> None:
    first: dict[str, int] = {}
    for position, imp in enumerate(imps):
        earlier = first.setdefault(imp.id or "", position)
        if earlier != position:
            raise BadBidRequest(f"imp[{position}].id", f"is also the id of imp[{earlier}]")


def _check_imp(imp: Imp, position: int) -> None:
    if not imp.id:
        raise BadBidRequest(f"imp[{position}]", "id is required")
    if imp.metric:
        _check_metrics(imp.metric, position)
    _check_media(imp, position)
    if imp.bidfloor is not None and not is_price(imp.bidfloor):
        raise _no_price(imp.bidfloor, f"imp[{position}].bidfloor")
    if imp.pmp is not None:
        _check_deals(imp.pmp, position)
    if imp.qty is not None:
        _check_quantity(imp.qty, position)


def _check_metrics(metrics: list[Metric], position: int) -> None:
    for number, metric in enumerate(metrics):
        if not metric.type:
            raise BadBidRequest(f"imp[{position}].metric[{number}].type", "is required")


def _check_media(imp: Imp, position: int) -> None:
    banner, video, audio, native = imp.banner, imp.video, imp.audio, imp.native
    if banner is not None:
        if banner.format or not (banner.w and banner.h):
            _check_banner(imp, banner, position)
    elif video is None and audio is None and native is None:
        raise BadBidRequest(f"imp[{position}]", "needs one of banner, video, audio, native")
    if video is not None:
        _check_stream(video, position, "video")
    if audio is not None:
        _check_stream(audio, position, "audio")
    if native is not None and native.request is None:
        raise BadBidRequest(f"imp[{position}].native", "request is required")


def _check_banner(imp: Imp, banner: Banner, position: int) -> None:
    if banner.format:
        for number, format in enumerate(banner.format):
            _check_format(format, position, number)
    elif not imp.instl:
        raise BadBidRequest(f"imp[{position}].banner", "needs w and h, or format")


def _check_format(format: Format, position: int, number: int) -> None:
    exact = format.w or format.h
    flexible = format.wmin or format.wratio or format.hratio
    if exact and not flexible:
        if format.w and format.h:
            return
        problem = "w and h must both be positive"
    elif flexible and not exact:
        if format.wmin and format.wratio and format.hratio:
            return
        problem = "wmin, wratio and hratio must all be positive"
    else:
        problem = "needs either w and h, or wmin, wratio and hratio"
    raise BadBidRequest(f"imp[{position}].banner.format[{number}]", problem)


def _check_stream(stream: Video | Audio, position: int, kind: str) -> None:
    if not stream.mimes:
        raise BadBidRequest(f"imp[{position}].{kind}.mimes", "must name a media type")
    if stream.rqddurs:
        if stream.minduration:
            raise _both(f"imp[{position}].{kind}.", "rqddurs", "minduration")
        if stream.maxduration is not None:
            raise _both(f"imp[{position}].{kind}.", "rqddurs", "maxduration")
    per_second = stream.mincpmpersec
    if per_second is not None:
        if stream.durfloors:
            raise _both(f"imp[{position}].{kind}.", "mincpmpersec", "durfloors")
        if not is_price(per_second):
            raise _no_price(per_second, f"imp[{position}].{kind}.mincpmpersec")
    if stream.durfloors:
        _check_floors(stream.durfloors, f"imp[{position}].{kind}")


def _check_floors(floors: list[DurFloors], parent: str) -> None:
    if len(floors) > DURATION_FLOORS_MAX:
        raise BadBidRequest(f"{parent}.durfloors", f"at most {DURATION_FLOORS_MAX}")
    for number, floor in enumerate(floors):
        if floor.bidfloor is not None and not is_price(floor.bidfloor):
            raise _no_price(floor.bidfloor, f"{parent}.durfloors[{number}].bidfloor")


def _no_price(cpm: Decimal, path: str) -> BadBidRequest:
    most = MAX_IMPRESSION_NANOS // 10**6
    return BadBidRequest(path, f"must be a CPM from 0 to {most}, got {str(cpm)[:40]}")


def _check_deals(pmp: Pmp, position: int) -> None:
    for number, deal in enumerate(pmp.deals or ()):
        path = f"imp[{position}].pmp.deals[{number}]"
        if not deal.id:
            raise BadBidRequest(path, "id is required")
        _check_deal_floors(deal, path)


def _check_deal_floors(deal: Deal, path: str) -> None:
    given = [
        name
        for name, value in (
            ("bidfloor", deal.bidfloor),
            ("mincpmpersec", deal.mincpmpersec),
            ("durfloors", deal.durfloors),
        )
        if value
    ]
    if len(given) > 1:
        raise _both(f"{path}.", given[0], given[1])
    if deal.bidfloor is not None and not is_price(deal.bidfloor):
        raise _no_price(deal.bidfloor, f"{path}.bidfloor")
    if deal.mincpmpersec is not None and not is_price(deal.mincpmpersec):
        raise _no_price(deal.mincpmpersec, f"{path}.mincpmpersec")
    if deal.durfloors:
        _check_floors(deal.durfloors, path)


def _check_quantity(quantity: Qty, position: int) -> None:
    multiplier = quantity.multiplier
    if multiplier is None:
        raise BadBidRequest(f"imp[{position}].qty.multiplier", "is required")
    if not (multiplier.is_finite() and 0 < multiplier <= MULTIPLIER_MAX):
        raise BadBidRequest(
            f"imp[{position}].qty.multiplier",
            f"must be positive and at most {MULTIPLIER_MAX}, got {str(multiplier)[:40]}",
        )


def _check_supply(chain: SupplyChain) -> None:
    if chain.nodes is not None and len(chain.nodes) > SUPPLY_NODES_MAX:
        raise BadBidRequest("source.schain.nodes", f"at most {SUPPLY_NODES_MAX}")


def _check_keywords(thing: Site | App | Content, parent: str) -> None:
    if thing.keywords and thing.kwarray:
        raise _both(parent, "keywords", "kwarray")
    if isinstance(thing, Content):
        if thing.language and thing.langb:
            raise _both(parent, "language", "langb")
    elif thing.content is not None:
        _check_keywords(thing.content, f"{parent}content.")
