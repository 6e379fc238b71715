"""What is known of a sold outside bid: its macros filled in, once, in its markup and its notices.

OpenRTB 2.6, 4.4. Prices are told in the bidder's currency, as it bid: what is not known is an empty
text.
"""

from __future__ import annotations

from xml.dom.minidom import Element, Node, Text

from ringwork.ads.creatives.vast import read
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
    """The markup that is shown.

    A VAST document is filled in as a tree, so that no value can leave its text: ids are the
    bidder's, and the document stays one that can be read.
    """
    if bid.format == "banner" or "${AUCTION_" not in bid.markup:
        return substitute(bid.markup, values)
    document = read(bid.markup)
    nodes: list[Node] = [document]
    while nodes:
        node = nodes.pop()
        nodes += node.childNodes
        if isinstance(node, Element):
            for name, value in node.attributes.items():
                node.setAttribute(name, substitute(value, values))
        elif isinstance(node, Text):
            filled = substitute(node.data, values)
            if "]]>" in filled:  # which no CDATA section can hold
                parent = node.parentNode
                assert parent is not None, "a text stands in an element"
                parent.replaceChild(document.createTextNode(filled), node)
            else:
                node.data = filled
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
