"""The rules of OpenRTB 2.6 that a request can break although every member has its type.

Negative numbers are refused by the types in ``structs``. The first broken rule is reported, with
the path of its member.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from ringwork.ads.openrtb.price import MAX_IMPRESSION_NANOS, is_price
from ringwork.ads.openrtb.reasons import BadBidRequest
from ringwork.ads.openrtb.structs import (
    App,
    Audio,
    Banner,
    BidRequest,
    Content,
    Deal,
    DurFloors,
    Format,
    Imp,
    Pmp,
    Site,
    User,
    Video,
)

IMPS_MAX: Final = 100
"""Impressions in one request; every one costs an auction."""


def validate(request: BidRequest) -> None:
    """Raise BadBidRequest for the first rule that ``request`` breaks."""
    if not request.id:
        raise BadBidRequest("id", "is required")
    if not request.imp:
        raise BadBidRequest("imp", "must hold at least one impression")
    if len(request.imp) > IMPS_MAX:
        raise BadBidRequest("imp", f"at most {IMPS_MAX} impressions, got {len(request.imp)}")
    if (request.site is not None) + (request.app is not None) + (request.dooh is not None) > 1:
        raise BadBidRequest("site|app|dooh", "at most one of them may be present")
    _check_exclusive(request)
    first: dict[str, int] = {}
    for position, imp in enumerate(request.imp):
        _check_imp(imp, position)
        if first.setdefault(imp.id or "", position) != position:
            raise BadBidRequest(
                f"imp[{position}].id", f"is also the id of imp[{first[imp.id or '']}]"
            )
    _check_place(request)


def _check_exclusive(request: BidRequest) -> None:
    """Members of which at most one may be present."""
    if request.wlang and request.wlangb:
        raise _both("", "wlang", "wlangb")
    if request.acat and request.bcat:
        raise _both("", "acat", "bcat")
    device = request.device
    if device is not None and device.language and device.langb:
        raise _both("device.", "language", "langb")
    if request.user is not None:
        _check_keywords(request.user, "user.")


def _both(parent: str, one: str, other: str) -> BadBidRequest:
    return BadBidRequest(f"{parent}{one}|{other}", "at most one of them may be present")


def _check_imp(imp: Imp, position: int) -> None:
    if not imp.id:
        raise BadBidRequest(f"imp[{position}]", "id is required")
    for number, metric in enumerate(imp.metric or ()):
        if not metric.type:
            raise BadBidRequest(f"imp[{position}].metric[{number}].type", "is required")
    _check_media(imp, position)
    if imp.bidfloor is not None:
        _check_price(imp.bidfloor, f"imp[{position}].bidfloor")
    if imp.pmp is not None:
        _check_deals(imp.pmp, position)


def _check_media(imp: Imp, position: int) -> None:
    banner, video, audio, native = imp.banner, imp.video, imp.audio, imp.native
    if banner is None and video is None and audio is None and native is None:
        raise BadBidRequest(f"imp[{position}]", "needs one of banner, video, audio, native")
    if banner is not None:
        _check_banner(imp, banner, position)
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
    elif not (banner.w and banner.h) and not imp.instl:
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
    if stream.mincpmpersec is not None:
        if stream.durfloors:
            raise _both(f"imp[{position}].{kind}.", "mincpmpersec", "durfloors")
        _check_price(stream.mincpmpersec, f"imp[{position}].{kind}.mincpmpersec")
    if stream.durfloors:
        _check_floors(stream.durfloors, f"imp[{position}].{kind}")


def _check_floors(floors: list[DurFloors], parent: str) -> None:
    for number, floor in enumerate(floors):
        if floor.bidfloor is not None:
            _check_price(floor.bidfloor, f"{parent}.durfloors[{number}].bidfloor")


def _check_price(cpm: Decimal, path: str) -> None:
    if not is_price(cpm):
        raise BadBidRequest(
            path, f"must be a CPM from 0 to {MAX_IMPRESSION_NANOS // 10**6}, got {str(cpm)[:40]}"
        )


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
    if deal.bidfloor is not None:
        _check_price(deal.bidfloor, f"{path}.bidfloor")
    if deal.mincpmpersec is not None:
        _check_price(deal.mincpmpersec, f"{path}.mincpmpersec")
    if deal.durfloors:
        _check_floors(deal.durfloors, path)


def _check_place(request: BidRequest) -> None:
    if request.site is not None:
        _check_keywords(request.site, "site.")
        _check_content(request.site.content, "site.content.")
    elif request.app is not None:
        _check_keywords(request.app, "app.")
        _check_content(request.app.content, "app.content.")
    elif request.dooh is not None:
        _check_content(request.dooh.content, "dooh.content.")


def _check_content(content: Content | None, parent: str) -> None:
    if content is not None:
        _check_keywords(content, parent)
        if content.language and content.langb:
            raise _both(parent, "language", "langb")


def _check_keywords(thing: Site | App | Content | User, parent: str) -> None:
    if thing.keywords and thing.kwarray:
        raise _both(parent, "keywords", "kwarray")
