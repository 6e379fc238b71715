"""From an auction's result to what is logged of it and what an answer needs; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from ringwork.ads.auction import Ranked
from ringwork.ads.events import Considered, SlotOutcome
from ringwork.ads.index import Contender, Shortlist
from ringwork.ads.model import Ask, Sale, Served, Slot, Used
from ringwork.ads.tokens import Claim

Charged = Literal["first", "second", "agreed", "priority", "house"]
"""What the winner of one slot pays: its bid, the second price, the deal's price; its bid because it
is asked first; nothing."""


_NO_SIZES: Final = ((0, 0),)


class Terms(Struct, frozen=True, gc=False):
    """How the price of a slot is made if a given ad wins it."""

    charged: Charged
    reserve_nanos: int


def terms_of(ask: Ask, slot: Slot, winner: Contender) -> Terms:
    """The terms of a slot for its winner.

    Who is asked before the auction pays what was agreed, its bid: no rival sets a price for it. A
    floor may depend on an ad's duration.
    """
    reserve_nanos = slot.floor_nanos
    if slot.nanos_per_second or slot.duration_floors:
        reserve_nanos = slot.floor_for(winner.creative.duration_s)
    priority = winner.campaign.priority
    if priority != "price":
        return Terms("house" if priority == "house" else "priority", reserve_nanos)
    if slot.charge is not None and slot.charge != "clearing":
        return Terms("first" if slot.charge == "bid" else "agreed", reserve_nanos)
    pays_bid = slot.rule == "first" or (ask.charge_bid and slot.charge is None)
    return Terms("first" if pays_bid else "second", reserve_nanos)


def outcome_of(
    ask: Ask,
    slot: Slot,
    shortlist: Shortlist,
    running: list[Ranked],
    terms: Terms | None,
    *,
    claim: Claim | None = None,
    price_nanos: int = 0,
    propensity_ppb: int = 0,
) -> SlotOutcome:
    """What happened to the slot: ``claim`` of its sale, where ``terms`` found a winner."""
    refused, excluded = len(shortlist.ranked) - len(running), shortlist.excluded
    if refused:
        excluded = {**excluded, "budget": excluded.get("budget", 0) + refused}
    rule: str = slot.rule
    reserve_nanos, charge_bid = slot.floor_nanos, ask.charge_bid
    if terms is not None:
        reserve_nanos = terms.reserve_nanos
        if slot.charge is not None or terms.charged in ("priority", "house"):
            rule, charge_bid = terms.charged, False
    considered = [_considered(one, shortlist.contenders[one.candidate.ad_id]) for one in running]
    if claim is None:
        return SlotOutcome(
            slot.id, slot.format, rule, reserve_nanos, shortlist.eligible - refused, excluded,
            considered, charge_bid=charge_bid, scanned=shortlist.scanned, deal_id=slot.deal_id,
        )  # fmt: skip
    return SlotOutcome(
        slot.id, slot.format, rule, reserve_nanos, shortlist.eligible - refused, excluded,
        considered, claim.impression_id, claim.ad_id, claim.campaign_id, claim.pricing,
        price_nanos, claim.expires_s, charge_bid, shortlist.scanned, slot.deal_id,
        claim.price_nanos, propensity_ppb, [], *(slot.sizes or _NO_SIZES)[0],
    )  # fmt: skip


def _considered(ranked: Ranked, contender: Contender) -> Considered:
    """The inputs of the auction; most often the same as the last time."""
    kept = contender.considered
    if kept is not None and ranked is contender.ranked:
        return kept
    candidate = ranked.candidate
    made = Considered(
        candidate.ad_id,
        contender.campaign.id,
        candidate.bid_nanos,
        candidate.p_ppb,
        candidate.quality_ppm,
        candidate.multiplier_ppm,
        candidate.shift_nanos,
        ranked.score_nanos,
    )
    if ranked is contender.ranked:
        contender.considered = made
    return made


def served_of(
    slot: Slot,
    contender: Contender,
    sale: Sale,
    currency: str,
    impression_id: bytes,
    tokens: Mapping[str, str],
    ranked: Ranked,
    used: Used,
) -> Served:
    """What an answer in any protocol needs of a sale."""
    return Served(
        slot_id=slot.id,
        impression_id=impression_id,
        creative=contender.creative,
        campaign_id=contender.campaign.id,
        advertiser_domain=contender.advertiser.domain,
        pricing=contender.campaign.pricing,
        price_nanos=sale.price_nanos,
        impression_price_nanos=sale.price_nanos * ranked.candidate.p_ppb // 10**9,
        currency=currency,
        tokens=tokens,
        deal_id=slot.deal_id,
        behalf=contender.advertiser.name,
        payer=contender.advertiser.name,
        used=used,
    )
