"""OpenRTB 2.6-202606 in and out: bytes to an ``Ask``, sold slots to a bid response.

::

    bytes -> decode -> BidRequest -> to_ask -> Ask | NoBid
    Served -> to_response -> bytes

Source: IAB Tech Lab, InteractiveAdvertisingBureau/openrtb2.x at 1debba8, and AdCOM at 26c59ba.
"""

from __future__ import annotations

from ringwork.ads.openrtb.answer import explain_no_bid, to_response
from ringwork.ads.openrtb.ask import BidderTerms, to_ask
from ringwork.ads.openrtb.decode import decode
from ringwork.ads.openrtb.reasons import NO_BID_HEADER, BadBidRequest, NoBid
from ringwork.ads.openrtb.structs import BidRequest

__all__ = [
    "NO_BID_HEADER",
    "BadBidRequest",
    "BidRequest",
    "BidderTerms",
    "NoBid",
    "decode",
    "explain_no_bid",
    "to_ask",
    "to_response",
]
