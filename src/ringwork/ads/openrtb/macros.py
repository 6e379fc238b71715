"""Substitution macros (OpenRTB 2.6, section 4.4) in notice URLs and markup.

Every macro is replaced once and what was put in is never scanned again. A value that is not known
becomes an empty string; a name that is not a macro of the standard stays as it is. The suffix
``:B64`` asks for base64; an encoding that is not known gives an empty string, because a wrong one
would be read as a price.
"""

from __future__ import annotations

import base64
import re
from typing import Final

from msgspec import Struct

from ringwork.ads.openrtb.price import to_cpm

AUDIT: Final = "AUDIT"
"""The value of every macro when markup is looked at before any auction."""

_MACRO = re.compile(
    r"\$\{AUCTION_(ID|BID_ID|IMP_ID|SEAT_ID|AD_ID|PRICE|CURRENCY|MBR|LOSS|MIN_TO_WIN|MULTIPLIER"
    r"|IMP_TS|DISCOUNT_PCT|DISCOUNT_CPM)(?::([A-Za-z0-9_]+))?\}"
)


class Auctioned(Struct, frozen=True, kw_only=True):
    """What a seller knows about a bid once its auction is over."""

    request_id: str = ""
    bid_id: str = ""
    impression_id: str = ""
    seat: str = ""
    ad_id: str = ""
    price_nanos: int | None = None
    """The settlement price of one impression."""
    currency: str = ""
    bid_nanos: int | None = None
    loss: int | None = None
    min_to_win_nanos: int | None = None
    multiplier: str = ""
    impression_ts_ms: int | None = None
    discount_ppm: int | None = None
    """Share of the bid that the buyer does not pay."""


def substitute(text: str, auctioned: Auctioned) -> str:
    """``text`` with its macros replaced."""
    if "${AUCTION_" not in text:
        return text
    values = _values(auctioned)
    return _MACRO.sub(lambda match: _encoded(values[match[1]], match[2]), text)


def audit(text: str) -> str:
    """``text`` as a reviewer sees it, with nothing to substitute yet."""
    return _MACRO.sub(AUDIT, text)


def _encoded(value: str, encoding: str | None) -> str:
    if encoding is None:
        return value
    return base64.b64encode(value.encode()).decode() if encoding == "B64" else ""


def _values(auctioned: Auctioned) -> dict[str, str]:
    price, bid, discount = auctioned.price_nanos, auctioned.bid_nanos, auctioned.discount_ppm
    return {
        "ID": auctioned.request_id,
        "BID_ID": auctioned.bid_id,
        "IMP_ID": auctioned.impression_id,
        "SEAT_ID": auctioned.seat,
        "AD_ID": auctioned.ad_id,
        "PRICE": _cpm(price),
        "CURRENCY": auctioned.currency,
        # Market bid ratio: clearing price over bid price.
        "MBR": repr(price / bid) if price is not None and bid else "",
        "LOSS": _text(auctioned.loss),
        "MIN_TO_WIN": _cpm(auctioned.min_to_win_nanos),
        "MULTIPLIER": auctioned.multiplier,
        "IMP_TS": _text(auctioned.impression_ts_ms),
        "DISCOUNT_PCT": "" if discount is None else repr(discount / 10_000),
        "DISCOUNT_CPM": "" if discount is None or bid is None else _cpm(bid * discount // 10**6),
    }


def _cpm(nanos: int | None) -> str:
    return "" if nanos is None else repr(to_cpm(nanos))


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
