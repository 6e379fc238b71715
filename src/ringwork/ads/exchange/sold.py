"""What is known of a sold outside bid: its macros filled in, once, in its markup and its notices.

OpenRTB 2.6, 4.4. Prices are told in the bidder's currency, as it bid: what is not known is an empty
text. The markup's VAST gets our impression beside its own, and keeps its own click.
"""

from __future__ import annotations

from ringwork.ads.creatives.vast import children, read
from ringwork.ads.exchange.entrants import Verdict
from ringwork.ads.exchange.inbound import ExternalBid, Rejection
from ringwork.ads.model import ONE_QUANTITY_PPM, Slot
from ringwork.ads.openrtb.macros import Auctioned, substitute


def auctioned(
    verdict: Verdict, *, slot: Slot | None = None, impression_ts_ms: int | None = None
) -> Auctioned:
    """The values of the macros of a bid that competed."""
    bid = verdict.bid
    price = verdict.price_nanos
    paid = None if price is None else min(bid.worth.theirs(price), bid.bid_nanos)
    tying = verdict.min_to_win_nanos
    quantity_ppm = ONE_QUANTITY_PPM if slot is None else slot.quantity_ppm
    multiplier = "" if quantity_ppm == ONE_QUANTITY_PPM else f"{quantity_ppm / ONE_QUANTITY_PPM:g}"
    return Auctioned(
        request_id=bid.request_id,
        bid_id=bid.bid_id,
        impression_id=str(bid.slot),
        seat=bid.seat,
        ad_id=bid.ad_id,
        price_nanos=paid,
        currency=bid.currency,
        bid_nanos=bid.bid_nanos,
        loss=verdict.reason,
        min_to_win_nanos=None if tying is None else bid.worth.theirs(tying),
        multiplier=multiplier,
        impression_ts_ms=impression_ts_ms,
    )


def markup_of(bid: ExternalBid, values: Auctioned) -> str:
    """The markup that is shown."""
    return substitute(bid.markup, values)


def with_impression(vast_xml: str, impression_url: str) -> str:
    """A VAST document, as ``rules`` took it, with our impression before its own."""
    document = read(vast_xml)
    for kind in ("InLine", "Wrapper"):
        for inner in children(document, "VAST", "Ad", kind):
            ours = document.createElement("Impression")
            ours.setAttribute("id", "ringwork")
            ours.appendChild(document.createCDATASection(impression_url))
            own = children(inner, "Impression")
            inner.insertBefore(ours, own[0] if own else inner.firstChild)
    return document.toxml(encoding="UTF-8").decode()


def lost_url_of(rejection: Rejection, request_id: str) -> str:
    """The loss notice of a bid that never competed; what would have won is not told it."""
    return substitute(
        rejection.lost_url,
        Auctioned(
            request_id=request_id,
            bid_id=rejection.bid_id,
            impression_id=rejection.imp_id,
            loss=rejection.reason,
        ),
    )
