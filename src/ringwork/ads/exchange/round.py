"""One ad request at the exchange: its outside bids join each slot, and are told what became of it.

The steps stand in ``flow.serve_ad``: ``join`` before a slot is ranked, ``settle`` once it is
cleared, ``record`` for the request, ``tell`` when what was decided is durable.
"""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from ringwork.ads.auction import Ranked
from ringwork.ads.events import SlotOutcome
from ringwork.ads.exchange import entrants, sold
from ringwork.ads.exchange.entrants import Joined, Verdict
from ringwork.ads.exchange.events import BidsGathered, ExternalBidWon
from ringwork.ads.exchange.gather import Gathered
from ringwork.ads.exchange.inbound import ExternalBid
from ringwork.ads.exchange.notices import Notice, Notices
from ringwork.ads.index import Shortlist
from ringwork.ads.model import Ask, Candidate, Sale, Served, Slot
from ringwork.ads.openrtb.macros import substitute
from ringwork.ads.page import Page
from ringwork.kernel.ids import format_id
from ringwork.kernel.journal import Command


class Round:
    """What outside bidders bid for one ask, slot by slot."""

    def __init__(self, ask: Ask, gathered: Gathered, notices: Notices, *, currency: str) -> None:
        self._ask = ask
        self._gathered = gathered
        self._notices = notices
        self._currency = currency
        self._joined: dict[int, Joined] = {}
        self._to_tell = [
            Notice(
                kind="lost",
                bidder_id=one.bidder_id,
                url=sold.lost_url_of(one, format_id(ask.request_id)),
            )
            for one in gathered.rejected
        ]

    def join(self, number: int, slot: Slot, page: Page, shortlist: Shortlist) -> Shortlist:
        """The shortlist of the ask's slot ``number`` with the bids for it in their places."""
        bids = self._gathered.for_slot(number)
        if not bids:
            return shortlist
        joined = entrants.join(shortlist, bids, slot, page, currency=self._currency)
        self._joined[number] = joined
        return joined.shortlist

    def settle(
        self, command: Command, number: int, slot: Slot, outcome: SlotOutcome, served: Served | None
    ) -> Served | None:
        """What is shown in the slot, macros filled in; records the sale of an outside bid."""
        joined = self._joined.get(number)
        if joined is None:
            return served
        for verdict in _verdicts(joined, outcome):
            values = sold.auctioned(verdict, slot=slot)
            if verdict.reason:
                self._note("lost", verdict.bid, substitute(verdict.bid.lost_url, values))
                continue
            assert served is not None, "a bid that has won was sold"
            if self._ask.source == "native":  # won here is not yet won at another exchange
                self._note("won", verdict.bid, substitute(verdict.bid.won_url, values))
            billed_url = substitute(verdict.bid.billed_url, values)
            command.record(_sale(verdict.bid, outcome, billed_url, self._currency))
            served = _shown(served, verdict.bid, sold.markup_of(verdict.bid, values))
        return served

    def record(self, command: Command) -> None:
        """Record who was asked and what came of it."""
        command.record(BidsGathered(self._gathered.heard, self._gathered.waited_us))

    def tell(self) -> None:
        """Tell winners and losers; call it when what was decided cannot be lost any more."""
        for notice in self._to_tell:
            self._notices.offer(notice)

    def _note(self, kind: Literal["won", "lost"], bid: ExternalBid, url: str) -> None:
        self._to_tell.append(Notice(kind=kind, bidder_id=bid.bidder_id, url=url))


def _verdicts(joined: Joined, outcome: SlotOutcome) -> list[Verdict]:
    """What became of every bid, from what the auction logged of the slot."""
    ranked = [
        Ranked(
            Candidate(
                ad_id=one.ad_id,
                bid_nanos=one.bid_nanos,
                p_ppb=one.p_ppb,
                quality_ppm=one.quality_ppm,
                multiplier_ppm=one.multiplier_ppm,
                shift_nanos=one.shift_nanos,
            ),
            one.score_nanos,
        )
        for one in outcome.considered
    ]
    sale = None
    if outcome.impression_id is not None:
        sale = Sale(ad_id=outcome.ad_id, slot=0, price_nanos=outcome.price_nanos)
    return entrants.verdicts(joined, ranked, sale, reserve_nanos=outcome.reserve_nanos)


def _sale(bid: ExternalBid, outcome: SlotOutcome, billed_url: str, currency: str) -> ExternalBidWon:
    assert outcome.impression_id is not None, "it was sold"
    return ExternalBidWon(
        outcome.impression_id,
        bid.bidder_id,
        bid.bid_id,
        bid.seat,
        bid.creative_id,
        bid.domain,
        bid.bid_nanos,
        bid.currency,
        outcome.cost_nanos,
        currency,
        billed_url,
        outcome.expires_s,
        f"{bid.worth.rate:f}",
        bid.worth.adjustment_ppm,
    )


def _shown(served: Served, bid: ExternalBid, markup: str) -> Served:
    """The sale with the markup of this one impression."""
    member = "html" if bid.format == "banner" else "vast_xml"
    return replace(
        served,
        creative=replace(served.creative, **{member: markup}),
        behalf=bid.behalf or bid.domain,
        payer=bid.payer or bid.domain,
    )
