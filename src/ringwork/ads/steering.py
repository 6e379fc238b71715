"""Scores that another part moves, and the auction after it (``kernel.steering``); pure.

Moved are those who are in the auction; who is asked before it (sponsorships, guaranteed campaigns)
or after it (house ads) keeps its place, since no score decides there. The move stands in the log as
``multiplier_ppm`` and ``shift_nanos`` of a candidate. Who has no score left is excluded as
``steered``. A bid is never raised: no move makes anybody pay more than its bid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from ringwork.ads import auction
from ringwork.ads.auction import Ranked
from ringwork.ads.index import SHORTLIST_MAX, TIERS, Shortlist
from ringwork.ads.model import Ask, Slot
from ringwork.kernel.steering import Offer, Place, Shift

EXCLUDED: Final = "steered"
"""Why an ad is kept out whose score was moved to nothing."""


def place_of(ask: Ask, slot: Slot, cluster: int) -> Place:
    """What a steer is told of a place."""
    context = ask.context
    return Place(
        publisher_id=context.publisher_id,
        placement_id=context.placement_id,
        format=slot.format,
        region=context.region,
        cluster=cluster,
    )


def offers_of(shortlist: Shortlist, ranked: list[Ranked]) -> list[Offer]:
    """Those of ``ranked`` who are in the auction."""
    found = []
    for one in ranked:
        contender = shortlist.contenders[one.candidate.ad_id]
        if contender.campaign.priority == "price":
            offer = Offer(
                ad_id=one.candidate.ad_id,
                campaign_id=contender.campaign.id,
                advertiser_id=contender.campaign.advertiser_id,
                value_nanos=auction.value(one.candidate),
                score_nanos=one.score_nanos,
            )
            found.append(offer)
    return found


def steered(
    shortlist: Shortlist, ranked: list[Ranked], slot: Slot, shifts: Mapping[str, Shift]
) -> tuple[Shortlist, list[Ranked]]:
    """The shortlist and its order after the moves; a slate keeps all, a slot its best.

    Moves of ads that are not on the list are of no account.
    """
    by_tier: dict[int, list[Ranked]] = {}
    for one in ranked:
        priority = shortlist.contenders[one.candidate.ad_id].campaign.priority
        by_tier.setdefault(TIERS[priority], []).append(one)
    moved = [
        replace(
            one.candidate,
            multiplier_ppm=shifts[one.candidate.ad_id].multiplier_ppm,
            shift_nanos=shifts[one.candidate.ad_id].shift_nanos,
        )
        if one.candidate.ad_id in shifts
        else one.candidate
        for one in by_tier.get(TIERS["price"], ())
    ]
    again = auction.rank(moved)  # their values, which the floors hold for, are as they were
    by_tier[TIERS["price"]] = again
    order = [one for tier in sorted(by_tier, reverse=True) for one in by_tier[tier]]
    lost = len(moved) - len(again)
    excluded = shortlist.excluded
    if lost:
        excluded = {**excluded, EXCLUDED: excluded.get(EXCLUDED, 0) + lost}
    if not slot.slate_ppm:
        order = order[:SHORTLIST_MAX]
    after = replace(shortlist, ranked=order, eligible=shortlist.eligible - lost, excluded=excluded)
    return after, order
