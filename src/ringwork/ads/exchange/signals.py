"""What regulates a request, as far as it is passed on to outside bidders.

Nothing is inferred: what was not said is not sent. Where two statements contradict each other the
stricter holds (ads specification 3.5), and where no string could say the stricter nobody outside is
asked: a choice is not ours to pick, and no page gets an error for its consent platform's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ringwork.ads.exchange.outbound import PassedOn
from ringwork.ads.exchange.strings import Unreadable, choices_of, sections_of
from ringwork.ads.openrtb import dsa
from ringwork.ads.openrtb.structs import BidRequest
from ringwork.ads.viewers import PageSignals
from ringwork.kernel.errors import Fault
from ringwork.kernel.viewer import Signals

TC_MAX_CHARS: Final = 32_768
"""Longer TC strings are invalid (ads specification 3.4)."""
GPP_MAX_CHARS: Final = 65_536
"""A TC string among the sections, and the others."""

_TC_FORM: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_GPP_FORM: Final = re.compile(r"D[A-Za-z0-9_.~-]*")
_US_PRIVACY_FORM: Final = re.compile(r"1[YN-]{3}")
_TCF: Final = 2
_US_PRIVACY: Final = 6


def passed_of_page(given: PageSignals | None, signals: Signals) -> PassedOn:
    """What is passed on of a page's signals, whose own words were ``given``."""
    faults = [] if given is None else unclear(given)
    return PassedOn(signals, unclear=next((f"{one.pointer}: {one.detail}" for one in faults), ""))


def passed_of_bid(request: BidRequest, signals: Signals) -> PassedOn:
    """The same of a bid request."""
    return PassedOn(signals, dsa=dsa.asked(request) if request.regs is not None else None)


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
