"""Outside bids among the campaigns of a slot, and what each of them is told afterwards; pure.

An outside bid is a candidate like any other: a CPM, so that p is one, of quality one, in the tier
of the auction: behind sponsorships and guaranteed campaigns, before house ads. Its ad id is
``x:<bidder>:<bid id>``, its campaign ``x:<bidder>``; no campaign of the catalogue may begin so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from ringwork.ads import auction
from ringwork.ads.auction import Ranked
from ringwork.ads.exchange import rules
from ringwork.ads.exchange.inbound import ExternalBid
from ringwork.ads.index import SHORTLIST_MAX, TIERS, Contender, Shortlist
from ringwork.ads.model import Advertiser, Campaign, Candidate, Creative, Sale, Slot
from ringwork.ads.outside import PREFIX
from ringwork.ads.page import Page
from ringwork.kernel.money import Money

_ONE_P: Final = 10**9
_ONE_SCALE: Final = 10**12


class Joined(Struct, frozen=True):
    """A slot's shortlist with the outside bids that may compete for it."""

    shortlist: Shortlist
    bids: dict[str, ExternalBid]
    """Those on the shortlist, by ad id."""
    kept_out: list[tuple[ExternalBid, int]]
    """The others, each with its loss code."""


class Cleared(Struct, frozen=True):
    """A place as an auction cleared it, with what its price was made of."""

    ranked: Sequence[Ranked]
    sale: Sale | None
    reserve_nanos: int
    is_slate: bool = False
    """Whether the auction was for several places, in which a creative has one."""


class Verdict(Struct, frozen=True):
    """What a bidder is told of a bid that competed."""

    bid: ExternalBid
    reason: int
    """0: it has won."""
    price_nanos: int | None = None
    """What an impression of it costs, in our nanos; None where it lost."""
    min_to_win_nanos: int | None = None
    """The bid that would have tied, in our nanos; None where the price did not decide."""


def ad_id_of(bid: ExternalBid) -> str:
    """What the bid is called in an auction."""
    return f"{PREFIX}{bid.bidder_id}:{bid.bid_id}"


def candidates_of(bids: Iterable[ExternalBid]) -> list[Candidate]:
    """The bids as candidates of an auction, in integers."""
    return [Candidate(ad_id=ad_id_of(bid), bid_nanos=bid.worth_nanos) for bid in bids]


def contender_of(bid: ExternalBid, *, currency: str) -> Contender:
    """The bid as the auction, the page and the answer see an ad.

    Its creative is another server's tag or document: a frame of its own, nothing of ours in it.
    """
    (candidate,) = candidates_of([bid])
    is_banner = bid.format == "banner"
    creative = Creative(
        id=candidate.ad_id,
        campaign_id=f"{PREFIX}{bid.bidder_id}",
        name=bid.creative_id,
        format=bid.format,
        width=bid.width,
        height=bid.height,
        landing_url=f"https://{bid.domain}/",
        html=bid.markup if is_banner else "",
        third_party=is_banner,
        vast_xml="" if is_banner else bid.markup,
        duration_s=bid.duration_s,
        categories=list(bid.categories),
    )
    campaign = Campaign(
        id=creative.campaign_id,
        advertiser_id=creative.campaign_id,
        name=bid.bidder_id,
        pricing="cpm",
        bid_nanos=bid.worth_nanos,
        budget=Money.of_nanos(currency, 0),
    )
    advertiser = Advertiser(
        id=creative.campaign_id, name=bid.behalf or bid.domain, domain=bid.domain, currency=currency
    )
    ranked = Ranked(candidate, auction.score(candidate))
    return Contender(creative, campaign, advertiser, ranked)


def join(
    shortlist: Shortlist, bids: Iterable[ExternalBid], slot: Slot, page: Page, *, currency: str
) -> Joined:
    """The shortlist with the outside bids in their places, the best ``SHORTLIST_MAX`` of all.

    ``bids`` are those for this slot, or for any place of the slate that it is the first of. Once a
    roadblock has the page, or where the slot's group repeats an advertiser, category or markup, a
    bid stays out as a campaign would.
    """
    kept_out: list[tuple[ExternalBid, int]] = []
    entered: dict[str, tuple[ExternalBid, Contender]] = {}
    for bid in bids:
        reason = _page_refusal(bid, slot, page)
        ad_id = ad_id_of(bid)
        if not reason and (ad_id in shortlist.contenders or ad_id in entered):
            reason = rules.INVALID
        if reason:
            kept_out.append((bid, reason))
        else:
            entered[ad_id] = bid, contender_of(bid, currency=currency)
    if not entered:
        return Joined(shortlist, {}, kept_out)
    contenders = shortlist.contenders | {id: one for id, (_, one) in entered.items()}
    outside = [one.ranked for _, one in entered.values()]
    ranked = sorted([*shortlist.ranked, *outside], key=lambda one: _place(one, contenders))
    best = ranked[:SHORTLIST_MAX]
    names = [one.candidate.ad_id for one in best]
    kept_out += [(bid, rules.OUTBID) for id, (bid, _) in entered.items() if id not in names]
    joined = Shortlist(
        {id: contenders[id] for id in names},
        best,
        shortlist.eligible + len(entered),
        shortlist.excluded,
        shortlist.scanned + len(entered),
    )
    return Joined(joined, {id: entered[id][0] for id in names if id in entered}, kept_out)


def verdicts(joined: Joined, places: Sequence[Cleared]) -> list[Verdict]:
    """What became of every outside bid for a slot or a slate, with the winners' prices.

    ``places`` are those that one auction cleared, the best first. A loser is told the bid that ties
    with what the last winner pays, a winner the one that ties with the next bid or the floor
    (OpenRTB 2.6, 4.4); neither, where a rule or a winner of another tier decided, not the price.
    """
    won = {one.sale.ad_id: one for one in places if one.sale is not None}
    found = []
    for ad_id, bid in joined.bids.items():
        place = won.get(ad_id)
        found.append(_lost(joined, bid, places) if place is None else _won(bid, place))
    for bid, reason in joined.kept_out:
        is_outbid = reason == rules.OUTBID
        found.append(_lost(joined, bid, places) if is_outbid else Verdict(bid, reason))
    return found


def _won(bid: ExternalBid, place: Cleared) -> Verdict:
    assert place.sale is not None, "it was sold"
    candidate, tying = place.ranked[0].candidate, place.reserve_nanos
    if len(place.ranked) > 1:
        tying = max(tying, _tying_bid(candidate, place.ranked[1].score_nanos))
    return Verdict(bid, 0, place.sale.price_nanos, tying)


def _lost(joined: Joined, bid: ExternalBid, places: Sequence[Cleared]) -> Verdict:
    last = places[-1]
    if last.sale is None:
        return Verdict(bid, rules.INTERNAL)
    winner = last.ranked[0].candidate
    if joined.shortlist.contenders[winner.ad_id].campaign.priority != "price":
        return Verdict(bid, rules.DEAL_WON)
    if last.is_slate and _is_shown(joined, bid, places):
        return Verdict(bid, rules.CREATIVE)
    # A candidate of its own: a bid that was kept out has no place among the ranked.
    tying = _tying_bid(candidates_of([bid])[0], _score_paid(winner, last.sale))
    return Verdict(bid, rules.OUTBID, None, tying)


def _is_shown(joined: Joined, bid: ExternalBid, places: Sequence[Cleared]) -> bool:
    """Whether a place went to the same creative of the same bidder."""
    winners = [joined.bids.get(one.sale.ad_id) for one in places if one.sale is not None]
    creative = bid.bidder_id, bid.creative_id
    return any(one is not None and (one.bidder_id, one.creative_id) == creative for one in winners)


def _page_refusal(bid: ExternalBid, slot: Slot, page: Page) -> int:
    """The loss code where what the page shows keeps the bid out; 0 where nothing does."""
    if page.roadblock:
        return rules.ADVERTISER
    for shown in page.of_group(slot.group):
        if "advertiser" in slot.distinct and shown.advertiser.domain == bid.domain:
            return rules.ADVERTISER
        if "category" in slot.distinct and set(shown.creative.categories) & set(bid.categories):
            return rules.CATEGORY
        is_same = bid.markup in (shown.creative.html, shown.creative.vast_xml)
        if is_same and ("creative" in slot.distinct or "media" in slot.distinct):
            return rules.CREATIVE
    return 0


def _place(ranked: Ranked, contenders: dict[str, Contender]) -> tuple[int, int, str]:
    """The order of an auction: tier, score, ad id."""
    ad_id = ranked.candidate.ad_id
    return -TIERS[contenders[ad_id].campaign.priority], -ranked.score_nanos, ad_id


def _tying_bid(candidate: Candidate, score_nanos: int) -> int:
    """The least bid of an outside candidate that has that score."""
    scale = candidate.quality_ppm * candidate.multiplier_ppm
    return max(-((candidate.shift_nanos - score_nanos) * _ONE_SCALE // scale), 0)


def _score_paid(winner: Candidate, sale: Sale) -> int:
    """The score that the winner's price stands for."""
    worth = sale.price_nanos * winner.p_ppb // _ONE_P
    return worth * winner.quality_ppm * winner.multiplier_ppm // _ONE_SCALE + winner.shift_nanos
