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
INCOMPLETE_SUPPLY: Final = NoBid("incomplete-supply-chain", 16)
BLOCKED_SUPPLY: Final = NoBid("blocked-supply-chain", 17)
# 504, 505, 507, 510 and 511 stood for what was not supported and now is: they are not used again.
CURRENCY: Final = NoBid("currency", 500)
PRIVATE_AUCTION: Final = NoBid("private-auction", 501)
SEAT: Final = NoBid("seat", 502)
DSA: Final = NoBid("dsa", 503)
FORMAT: Final = NoBid("format", 506)
PROTOCOL: Final = NoBid("protocol", 508)
DURATION: Final = NoBid("duration", 509)
ASSET: Final = NoBid("asset", 512)
BANNER_TYPE: Final = NoBid("banner-type", 513)
NOTHING_ELIGIBLE: Final = NoBid("nothing-eligible", 514)
DELIVERY: Final = NoBid("delivery", 515)
REFRESH: Final = NoBid("refresh", 516)

NO_BIDS: Final = {
    INSUFFICIENT_TIME: "tmax leaves less time than this server needs",
    INCOMPLETE_SUPPLY: "the supply chain is not complete, and only complete ones are bought",
    BLOCKED_SUPPLY: "the supply chain leads through a reseller from which nothing is bought",
    CURRENCY: "bids or floors are in a currency for which no current rate is kept",
    PRIVATE_AUCTION: "only deals are accepted, and none is open to this seat and its campaigns",
    SEAT: "this platform's seat is not allowed",
    DSA: "the statement of the DSA is required, and this medium's markup cannot show it",
    FORMAT: "no impression is a banner, linear video, audio or native ad",
    PROTOCOL: "no accepted protocol is VAST from 2.0 on",
    DURATION: "no duration fits the bounds, the exact durations and the pod together",
    ASSET: "a native asset is required that creatives do not have",
    BANNER_TYPE: "HTML banners are blocked",
    NOTHING_ELIGIBLE: "no live campaign may show here at this floor",
    DELIVERY: "no accepted media type can be delivered as the player wants it",
    REFRESH: "the place refreshes itself faster than is bought",
}
"""Every reason with its explanation."""
