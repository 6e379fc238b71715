"""Ringwork as an exchange: outside bidders are asked, and bid in the same auction as campaigns.

::

    Ask -> outbound -> BidRequest 2.6 per bidder ─┐ gather: in parallel, bounded, in time
    ExternalBid | Rejection <- inbound <- replies ┘
    ExternalBid -> entrants -> the slot's shortlist -> the auction -> verdicts -> notices

Source: OpenRTB 2.6-202606 in the role of the exchange (ads specification 3.7 and 3.8). Asked for
are banners, video and audio. Native ads are not: their trackers and links would have to be called
from markup that is laid out here.
"""

from __future__ import annotations

from ringwork.ads.exchange.bidders import Bidder, ExchangeSettings
from ringwork.ads.exchange.gather import Gather, Gathered
from ringwork.ads.exchange.inbound import ExternalBid, Rejection
from ringwork.ads.exchange.outbound import PassedOn

__all__ = [
    "Bidder",
    "ExchangeSettings",
    "ExternalBid",
    "Gather",
    "Gathered",
    "PassedOn",
    "Rejection",
]
