"""OpenRTB 2.6-202606 in and out: bytes to an ``Ask``, sold slots to a bid response.

::

    bytes -> decode -> BidRequest -> to_ask -> Ask | NoBid
    Served -> to_response -> bytes

Source: IAB Tech Lab, InteractiveAdvertisingBureau/openrtb2.x at 1debba8, and AdCOM at 26c59ba.
"""

from __future__ import annotations

from ringwork.ads.openrtb.answer import explain_no_bid, to_response
from ringwork.ads.openrtb.ask import to_ask
from ringwork.ads.openrtb.decode import decode
from ringwork.ads.openrtb.notices import Notice, read_notice
from ringwork.ads.openrtb.reasons import NO_BID_HEADER, BadBidRequest, NoBid
from ringwork.ads.openrtb.structs import BidRequest
from ringwork.ads.openrtb.terms import BidderTerms, Rates

__all__ = [
    "NO_BID_HEADER",
    "BadBidRequest",
    "BidRequest",
    "BidderTerms",
    "NoBid",
    "Notice",
    "Rates",
    "decode",
    "explain_no_bid",
    "read_notice",
    "to_ask",
    "to_response",
]
