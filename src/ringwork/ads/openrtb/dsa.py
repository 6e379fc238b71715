"""Statements of the Digital Services Act beside bids: what is asked, what is given, the macros.

Source: IAB Tech Lab, DSA transparency extension of OpenRTB. A statement names on whose behalf an ad
is shown and who paid for it, and which parameters of the viewer were used (1 profiling, 2 basic
advertising, 3 precise place).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from ringwork.ads.model import STATEMENT_MAX_CHARS, Served
from ringwork.ads.openrtb.structs import BidRequest, Dsa, Transparency

SUPPORTED: Final = 1
REQUIRED: Final = 2
"""From here on a bid without a statement is not accepted."""
CANNOT_RENDER: Final = 0
WILL_RENDER: Final = 2

_MACRO = re.compile(r"\$\{DSA(REQUIRED|BEHALF|PAID|PARAMS|TRANSPARENCY|PUBRENDER|DATATOPUBS)\}")
MACRO_MARK: Final = "${DSA"


class BidDsa(Struct, gc=False, kw_only=True, omit_defaults=True):
    """The statement of a bid (``bid.ext.dsa``)."""

    behalf: str
    paid: str
    transparency: list[Transparency] = []
    adrender: int = 0


def asked(request: BidRequest) -> Dsa | None:
    """What the request asks to be stated; None where it asks for nothing."""
    regs = request.regs
    if regs is None or regs.ext is None or regs.ext.dsa is None:
        return None
    dsa = regs.ext.dsa
    return dsa if dsa.dsarequired or dsa.datatopub else None


def is_required(dsa: Dsa | None) -> bool:
    """Whether a bid without a statement is refused."""
    return dsa is not None and (dsa.dsarequired or 0) >= REQUIRED


def must_render(dsa: Dsa | None) -> bool:
    """Whether only an ad that shows its statement itself is accepted."""
    return dsa is not None and is_required(dsa) and dsa.pubrender == CANNOT_RENDER


def refusal(dsa: Dsa | None, given: BidDsa | None) -> str:
    """Why a seller that asks for ``dsa`` refuses a bid with ``given``; empty where it does not."""
    if given is None:
        return "a statement is required" if is_required(dsa) else ""
    for name, text in (("behalf", given.behalf), ("paid", given.paid)):
        if len(text) > STATEMENT_MAX_CHARS:
            return f"{name} has more than {STATEMENT_MAX_CHARS} characters"
    render = None if dsa is None else dsa.pubrender
    if render == CANNOT_RENDER and not given.adrender:
        return "neither the publisher nor the ad shows the statement"
    if render == WILL_RENDER and given.adrender:
        return "the publisher and the ad would both show the statement"
    return ""


def state(dsa: Dsa, served: Served, *, domain: str, can_render: bool) -> BidDsa | None:
    """The statement of a sold ad, or None where there is none that the seller would accept.

    ``can_render``: its markup can show the statement itself, and does unless the publisher will.
    """
    if not served.behalf or not served.payer:
        return None
    used = Transparency(domain, list(served.used.parameters))
    given = BidDsa(
        behalf=served.behalf,
        paid=served.payer,
        transparency=[used] if dsa.datatopub else [],
        adrender=int(can_render and dsa.pubrender != WILL_RENDER),
    )
    return None if refusal(dsa, given) else given


def substitute(text: str, dsa: Dsa | None, given: BidDsa | None) -> str:
    """``text`` with its DSA macros replaced, once each; values are percent-encoded.

    What is not known becomes an empty string, so that the text needs no escaping anywhere.
    """
    if MACRO_MARK not in text:
        return text
    values = _values(dsa or Dsa(), given)
    return _MACRO.sub(lambda match: quote(values[match[1]], safe="~"), text)


def _values(dsa: Dsa, given: BidDsa | None) -> dict[str, str]:
    used = [*(dsa.transparency or ()), *(given.transparency if given is not None else ())]
    return {
        "REQUIRED": _text(dsa.dsarequired),
        "BEHALF": given.behalf if given is not None else "",
        "PAID": given.paid if given is not None else "",
        "PARAMS": _joined({code for one in used for code in one.dsaparams}),
        "TRANSPARENCY": "~~".join(f"{one.domain}~{_joined(one.dsaparams)}" for one in used),
        "PUBRENDER": _text(dsa.pubrender),
        "DATATOPUBS": _text(dsa.datatopub),
    }


def _joined(codes: Iterable[int]) -> str:
    return "_".join(map(str, sorted(codes)))


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
