"""Who an ad request is for: the person, the signals of consent and the rules of its property.

Nothing here reaches an auction: what of it may be used is decided elsewhere, on the ``Viewer``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from ringwork.ads.model import Publisher, Site
from ringwork.ads.openrtb.structs import BidRequest
from ringwork.kernel.viewer import EXCHANGE, Property, Signals, Viewer

Headers = Iterable[tuple[bytes, bytes]]

_TCF: Final = 2
_GPC: Final = b"sec-gpc"
_DNT: Final = b"dnt"
_COUNTRY_CHARS: Final = 3


class PageSignals(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a page's consent platform says.

    A string may hold anything: one that cannot be read gives no error. It permits nothing, and
    nobody outside is asked.
    """

    coppa: Literal[0, 1] | None = None
    """Whether the page is for children (US, COPPA)."""
    gdpr: Literal[0, 1] | None = None
    """Whether the GDPR applies; absent: not known."""
    tc: str = ""
    """The TC string (``user.consent``)."""
    gpp: str = ""
    """The GPP string."""
    gpp_sid: Annotated[list[Annotated[int, Meta(ge=-1, le=65_535)]], Meta(max_length=20)] = []
    """The sections of it that apply here; -1: none does, 0: not known."""
    us_privacy: str = ""
    gpc: Literal[0, 1] | None = None
    """The viewer's ``Sec-GPC``, where a server asks for its page; a browser sends it itself."""
    lmt: Literal[0, 1] | None = None
    """Of an app: whether the device limits ad tracking."""
    dnt: Literal[0, 1] | None = None
    """Whether the viewer asks not to be tracked; a browser that does says so itself."""


def signals_of_page(given: PageSignals | None, headers: Headers, region: str = "") -> Signals:
    """The signals of a page's request, its browser's headers and its region."""
    gpc, dnt = _in_headers(headers)
    country = region[:_COUNTRY_CHARS]
    if given is None:
        return Signals(gpc=gpc, dnt=1 if dnt else None, country=country)
    return Signals(
        coppa=given.coppa,
        gdpr=_gdpr(given.gdpr, given.gpp_sid),
        us_privacy=given.us_privacy,
        gpp=given.gpp,
        gpp_sid=tuple(given.gpp_sid),
        tc=given.tc,
        gpc=gpc or given.gpc == 1,
        lmt=given.lmt,
        dnt=1 if dnt else given.dnt,
        country=country,
    )


def signals_of_bid(request: BidRequest, headers: Headers = ()) -> Signals:
    """The signals of a bid request whose 2.5 members were lifted (``openrtb.decode``).

    ``headers`` are those of a viewer's browser, where it asks itself.
    """
    regs, device, user = request.regs, request.device, request.user
    gpc, dnt = _in_headers(headers) if headers else (False, False)
    geo = None if device is None else device.geo
    said = None if regs is None or regs.ext is None else regs.ext.gpc
    sections = () if regs is None else tuple(regs.gpp_sid or ())
    return Signals(
        coppa=None if regs is None else regs.coppa,
        gdpr=None if regs is None else _gdpr(regs.gdpr, sections),
        us_privacy="" if regs is None else regs.us_privacy or "",
        gpp="" if regs is None else regs.gpp or "",
        gpp_sid=sections,
        tc="" if user is None else user.consent or "",
        gpc=gpc or (said is not None and str(said) == "1"),
        lmt=None if device is None else device.lmt,
        dnt=1 if dnt else None if device is None else device.dnt,
        country="" if geo is None else geo.country or "",
    )


def viewer_of_bid(
    request: BidRequest, headers: Headers = (), publisher: Publisher | None = None
) -> Viewer:
    """Whom a bid request is for: nobody that is known here, as the two share no ids.

    ``publisher``: whose own page asks, where it does.
    """
    where = EXCHANGE if publisher is None else publisher.consent
    return Viewer(signals=signals_of_bid(request, headers), where=where)


def rules_of(publisher: Publisher, site: Site | None) -> tuple[Property, str]:
    """How people are asked at a placement, and the id of where it is."""
    if site is None:
        return publisher.consent, publisher.id
    return publisher.consent if site.consent is None else site.consent, site.id


def _gdpr(given: int | None, sections: Iterable[int]) -> int | None:
    """It applies where either says so; what neither says stays unsaid."""
    return 1 if given == 0 and _TCF in sections else given


def _in_headers(headers: Headers) -> tuple[bool, bool]:
    """Whether a browser opts out (GPC), and whether it asks not to be tracked."""
    gpc = dnt = False
    for name, value in headers:
        if name == _GPC:
            gpc = gpc or value == b"1"
        elif name == _DNT:
            dnt = dnt or value == b"1"
    return gpc, dnt
