"""From an auction's result to what is logged of it and what an answer needs; pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from ringwork.ads import auction
from ringwork.ads.auction import Ranked
from ringwork.ads.events import Considered, SlotOutcome
from ringwork.ads.index import Contender, Shortlist
from ringwork.ads.model import Ask, Sale, Served, Slot
from ringwork.ads.tokens import Claim


def sell(running: list[Ranked], ask: Ask, slot: Slot) -> Sale | None:
    """The sale of ``slot`` to the first of ``running``, by the rule that the request asks for."""
    rule = "first" if ask.charge_bid else slot.rule
    return auction.sell(running, rule=rule, reserve_nanos=slot.floor_nanos)


def outcome_of(
    ask: Ask, slot: Slot, shortlist: Shortlist, running: list[Ranked], refused: int
) -> SlotOutcome:
    """What happened to the slot, before any sale is written into it."""
    excluded = dict(shortlist.excluded)
    if refused:
        excluded["budget"] = excluded.get("budget", 0) + refused
    return SlotOutcome(
        slot.id,
        slot.format,
        slot.rule,
        slot.floor_nanos,
        shortlist.eligible - refused,
        excluded,
        [_considered(one, shortlist) for one in running],
        charge_bid=ask.charge_bid,
    )


def _considered(ranked: Ranked, shortlist: Shortlist) -> Considered:
    candidate = ranked.candidate
    return Considered(
        candidate.ad_id,
        shortlist.contenders[candidate.ad_id].campaign.id,
        candidate.bid_nanos,
        candidate.p_ppb,
        candidate.quality_ppm,
        candidate.multiplier_ppm,
        candidate.shift_nanos,
        ranked.score_nanos,
    )


def sold_outcome(outcome: SlotOutcome, claim: Claim) -> SlotOutcome:
    """The outcome with its sale."""
    return replace(
        outcome,
        impression_id=claim.impression_id,
        ad_id=claim.ad_id,
        campaign_id=claim.campaign_id,
        pricing=claim.pricing,
        price_nanos=claim.price_nanos,
        expires_s=claim.expires_s,
    )


def served_of(
    slot: Slot,
    contender: Contender,
    sale: Sale,
    currency: str,
    impression_id: bytes,
    tokens: Mapping[str, str],
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
        impression_price_nanos=sale.price_nanos * contender.candidate.p_ppb // 10**9,
        currency=currency,
        tokens=dict(tokens),
    )
