"""What regulates a request, as far as it is passed on: ``Signals`` of a page or of a bid request.

Nothing is inferred: what was not said is not sent. Where two statements contradict each other the
stricter holds (ads specification 3.5), and where no string could say the stricter nobody outside is
asked: a choice is not ours to pick, and no page gets an error for its consent platform's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from ringwork.ads.exchange.outbound import Signals
from ringwork.ads.exchange.strings import Unreadable, choices_of, sections_of
from ringwork.ads.openrtb import dsa
from ringwork.ads.openrtb.structs import BidRequest
from ringwork.kernel.errors import Fault

TC_MAX_CHARS: Final = 32_768
"""Longer TC strings are invalid (ads specification 3.4)."""
GPP_MAX_CHARS: Final = 65_536
"""A TC string among the sections, and the others."""

_TC_FORM: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_GPP_FORM: Final = re.compile(r"D[A-Za-z0-9_.~-]*")
_US_PRIVACY_FORM: Final = re.compile(r"1[YN-]{3}")
_TCF: Final = 2
_US_PRIVACY: Final = 6
_GPC: Final = b"sec-gpc"


class PageSignals(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a page's consent platform says. It is passed on to outside bidders, never recorded.

    A string may hold anything: what is none gives no error, and nobody outside is asked.
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


def signals_of_page(given: PageSignals, headers: Iterable[tuple[bytes, bytes]]) -> Signals:
    """The signals of a request and its headers."""
    return Signals(
        coppa=given.coppa,
        gdpr=_gdpr(given.gdpr, given.gpp_sid),
        us_privacy=given.us_privacy,
        gpp=given.gpp,
        gpp_sid=tuple(given.gpp_sid),
        consent=given.tc,
        gpc=_gpc(given.gpc, headers),
        unclear=next((f"{one.pointer}: {one.detail}" for one in unclear(given)), ""),
    )


def unclear(given: PageSignals) -> list[Fault]:
    """Strings that cannot be read, and those that say different things."""
    forms = [*_forms(given)]
    if forms:
        return forms
    try:
        sections = sections_of(given.gpp) if given.gpp else {}
    except Unreadable as problem:
        return [Fault("/signals/gpp", str(problem))]
    return [*_sections(given, sections), *_contradictions(given, sections)]


def signals_of(request: BidRequest, headers: Iterable[tuple[bytes, bytes]] = ()) -> Signals:
    """The signals of a request whose 2.5 members were lifted (``openrtb.decode``).

    ``headers`` are those of a viewer's browser, where it asks itself.
    """
    regs = request.regs
    consent = "" if request.user is None else request.user.consent or ""
    if regs is None:
        return Signals(consent=consent, gpc=_gpc(None, headers))
    gpc = None if regs.ext is None else regs.ext.gpc
    return Signals(
        coppa=regs.coppa,
        gdpr=_gdpr(regs.gdpr, regs.gpp_sid or ()),
        us_privacy=regs.us_privacy or "",
        gpp=regs.gpp or "",
        gpp_sid=tuple(regs.gpp_sid or ()),
        consent=consent,
        gpc=_gpc(gpc, headers),
        dsa=dsa.asked(request),
    )


def _gdpr(given: int | None, sections: Iterable[int]) -> int | None:
    """It applies where either says so; what neither says stays unsaid."""
    return 1 if given == 0 and _TCF in sections else given


def _gpc(given: object, headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The viewer opts out where the request or the browser says so."""
    says = str(given) == "1" or any(name == _GPC and value == b"1" for name, value in headers)
    return "1" if says else ""


def _forms(given: PageSignals) -> Iterator[Fault]:
    """Strings that are none of their kind at the first look, and those that are too long."""
    for name, text, form, longest in (
        ("tc", given.tc, _TC_FORM, TC_MAX_CHARS),
        ("gpp", given.gpp, _GPP_FORM, GPP_MAX_CHARS),
        ("us_privacy", given.us_privacy, _US_PRIVACY_FORM, 4),
    ):
        if len(text) > longest:
            detail = f"expected at most {longest} characters, got {len(text)}"
            yield Fault(f"/signals/{name}", detail)
        elif text and not form.fullmatch(text):
            yield Fault(f"/signals/{name}", f"expected {form.pattern}, got {text[:40]!r}")


def _sections(given: PageSignals, sections: dict[int, str]) -> Iterator[Fault]:
    named = [one for one in given.gpp_sid if one > 0]
    missing = [one for one in named if one not in sections]
    if missing:
        detail = f"expected sections of gpp, which has {sorted(sections)}, got {missing}"
        yield Fault("/signals/gpp_sid", detail)
    if named and len(named) < len(given.gpp_sid):
        detail = f"expected sections that apply, or -1 or 0 alone, got {given.gpp_sid}"
        yield Fault("/signals/gpp_sid", detail)


def _contradictions(given: PageSignals, sections: dict[int, str]) -> Iterator[Fault]:
    """Two strings about the same choice: none could be sent that says the stricter of both."""
    us_privacy = sections.get(_US_PRIVACY, given.us_privacy)
    if given.us_privacy and us_privacy != given.us_privacy:
        detail = f"is {given.us_privacy!r}, section {_US_PRIVACY} of gpp says {us_privacy[:8]!r}"
        yield Fault("/signals/us_privacy", f"expected the same choice: it {detail}")
    other = sections.get(_TCF, given.tc)
    if not given.tc or other == given.tc:
        return
    try:
        is_same = choices_of(given.tc) == choices_of(other)
    except Unreadable as problem:
        yield Fault("/signals/tc", f"cannot be compared with section {_TCF} of gpp: {problem}")
    else:
        if not is_same:
            detail = f"expected the choices of section {_TCF} of gpp, got others"
            yield Fault("/signals/tc", detail)
