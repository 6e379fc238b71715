"""One ad request at the exchange: its outside bids join each slot, and are told what became of it.

The steps stand in ``flow.serve_ad``: ``join`` before slots are ranked, ``settle`` once they are
cleared, ``record`` for the request, ``tell`` when what was decided is durable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec.structs import replace

from ringwork.ads.auction import Ranked
from ringwork.ads.events import SlotOutcome
from ringwork.ads.exchange import entrants, sold
from ringwork.ads.exchange.entrants import Cleared, Joined, Verdict
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

Sold = tuple[SlotOutcome, Served | None]
"""What happened to a slot, and what is shown there."""


class Round:
    """What outside bidders bid for one ask.

    A bid competes for the slot that it names, or for every place of the slate that holds it: they
    are of one size, format and floor, and none costs it more than its bid.
    """

    def __init__(self, ask: Ask, gathered: Gathered, notices: Notices, *, currency: str) -> None:
        self._ask = ask
        self._gathered = gathered
        self._notices = notices
        self._currency = currency
        self._waiting = {entrants.ad_id_of(one): one for one in gathered.bids}
        """The bids that have neither won nor lost, by ad id."""
        self._joined: Joined | None = None
        self._to_tell = [
            Notice(
                kind="lost",
                bidder_id=one.bidder_id,
                url=sold.lost_url_of(one, format_id(ask.request_id)),
            )
            for one in gathered.rejected
        ]

    def join(
        self, number: int, slots: Sequence[Slot], page: Page, shortlist: Shortlist
    ) -> Shortlist:
        """The shortlist of the ask's slot ``number`` with the bids for it in their places.

        ``slots`` begins with it; others in it are the places of its slate that are left.
        """
        end = number + len(slots)
        bids = [bid for bid in self._waiting.values() if bid.slot < end]
        if not bids:
            self._joined = None
            return shortlist
        self._joined = entrants.join(shortlist, bids, slots[0], page, currency=self._currency)
        return self._joined.shortlist

    def settle(
        self, command: Command, slots: Sequence[Slot], cleared: Sequence[Sold]
    ) -> list[Sold]:
        """What is shown in the slots that were cleared, the first of ``slots``.

        Macros are filled in, sales of outside bids recorded. A loser is told so when its slot or
        its slate is over, or when it was in an auction for all places that were left; until then it
        may win another place.
        """
        shown, joined = list(cleared), self._joined
        if joined is None:
            return shown
        places = [_cleared(outcome) for outcome, _ in cleared]
        numbers = {outcome.ad_id: number for number, (outcome, _) in enumerate(cleared)}
        is_over = len(cleared) == len(slots)
        for verdict in entrants.verdicts(joined, places):
            ad_id = entrants.ad_id_of(verdict.bid)
            if not verdict.reason:
                number = numbers[ad_id]
                shown[number] = self._win(command, verdict, slots[number], shown[number])
            elif is_over or (places[0].is_slate and ad_id in joined.bids):
                values = sold.auctioned(verdict, slot=slots[0])
                self._note("lost", verdict.bid, substitute(verdict.bid.lost_url, values))
            else:
                continue
            self._waiting.pop(ad_id, None)
        return shown

    def _win(self, command: Command, verdict: Verdict, slot: Slot, won: Sold) -> Sold:
        """The sale with what is shown of it."""
        (outcome, served), bid = won, verdict.bid
        assert served is not None, "a bid that has won was sold"
        values = sold.auctioned(verdict, slot=slot)
        if self._ask.source == "native":  # won here is not yet won at another exchange
            self._note("won", bid, substitute(bid.won_url, values))
        billed_url = substitute(bid.billed_url, values)
        command.record(_sale(bid, outcome, billed_url, self._currency))
        return outcome, _shown(served, bid, sold.markup_of(bid, values))

    def record(self, command: Command) -> None:
        """Record who was asked and what came of it."""
        command.record(BidsGathered(self._gathered.heard, self._gathered.waited_us))

    def tell(self) -> None:
        """Tell winners and losers; call it when what was decided cannot be lost any more."""
        for notice in self._to_tell:
            self._notices.offer(notice)

    def _note(self, kind: Literal["won", "lost"], bid: ExternalBid, url: str) -> None:
        self._to_tell.append(Notice(kind=kind, bidder_id=bid.bidder_id, url=url))


def _cleared(outcome: SlotOutcome) -> Cleared:
    """A place, from what the auction logged of it."""
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
    return Cleared(ranked, sale, outcome.reserve_nanos, bool(outcome.slate_ppm))


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
