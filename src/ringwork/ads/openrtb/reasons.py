"""Why a bid request is refused (400) or answered without a bid (204), in words and numbers.

Numbers below 500 are the No-Bid Reason Codes of OpenRTB 3.0; from 500 on they are ours. A reason
never says anything about a person.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from ringwork.kernel.errors import Fault, Refused

NO_BID_HEADER: Final = "x-ringwork-no-bid"
"""Response header that names the reason of a 204."""

_STEPS = re.compile(r"[.\[\]]+")


class BadBidRequest(Refused):
    """A request that breaks a rule of OpenRTB.

    ``path`` names the member (``imp[0].banner.h``), or is ``JSON`` where the body is no object.
    """

    status = 400
    title = "Malformed bid request"

    def __init__(self, path: str, detail: str) -> None:
        # "site|app|dooh" names several members; a JSON pointer can only point at one.
        first = path.partition("|")[0]
        pointer = "" if path == "JSON" else "/" + "/".join(filter(None, _STEPS.split(first)))
        super().__init__("ads/openrtb", f"{path}: {detail}", errors=(Fault(pointer, detail),))
        self.path = path


class NoBid(Struct, frozen=True):
    """Why there is no bid: a word for people and headers, a number (``nbr``) for programs."""

    reason: str
    nbr: int


INSUFFICIENT_TIME: Final = NoBid("insufficient-time", 15)
CURRENCY: Final = NoBid("currency", 500)
PRIVATE_AUCTION: Final = NoBid("private-auction", 501)
SEAT: Final = NoBid("seat", 502)
DSA: Final = NoBid("dsa", 503)
ALLOWED_CATEGORIES: Final = NoBid("allowed-categories", 504)
LANGUAGE: Final = NoBid("language", 505)
FORMAT: Final = NoBid("format", 506)
SIZE: Final = NoBid("size", 507)
PROTOCOL: Final = NoBid("protocol", 508)
DURATION: Final = NoBid("duration", 509)
FLOOR_PER_SECOND: Final = NoBid("floor-per-second", 510)
MULTIPLIER: Final = NoBid("multiplier", 511)
ASSET: Final = NoBid("asset", 512)
BANNER_TYPE: Final = NoBid("banner-type", 513)
NOTHING_ELIGIBLE: Final = NoBid("nothing-eligible", 514)

NO_BIDS: Final = {
    INSUFFICIENT_TIME: "tmax leaves less time than this server needs",
    CURRENCY: "bids or floors are not in this platform's currency, and no exchange rates are kept",
    PRIVATE_AUCTION: "only deals are accepted, and there are none with this platform",
    SEAT: "this platform's seat is not allowed",
    DSA: "transparency statements are required that this platform cannot give yet",
    ALLOWED_CATEGORIES: "advertiser categories are limited to a list, which is not supported",
    LANGUAGE: "creative languages are limited, and the language of creatives is not recorded",
    FORMAT: "no impression is a banner, linear video or native ad",
    SIZE: "only flexible sizes are accepted",
    PROTOCOL: "no accepted protocol is VAST 2.0, 3.0, 4.0, 4.1 or 4.2 in line",
    DURATION: "several exact durations are required",
    FLOOR_PER_SECOND: "the floor is per second and the longest duration is unknown",
    MULTIPLIER: "one play counts as several impressions",
    ASSET: "a native asset is required that creatives do not have",
    BANNER_TYPE: "HTML banners are blocked",
    NOTHING_ELIGIBLE: "no live campaign may show here at this floor",
}
"""Every reason with its explanation."""
