"""From the bytes of a bid response to bids that may compete, each other bid with its loss reason.

A bid is taken only as far as it can be shown here: markup in the bid, an advertiser who can be
named, no more than was asked for. Reasons are the loss codes of OpenRTB 3.0; each comes with words
for people. ``group`` = 1 (all bids of a seat or none) is refused: slots are sold one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.ads.exchange import rules
from ringwork.ads.exchange.outbound import Outgoing
from ringwork.ads.exchange.replies import Reply, ReplyBid, ReplySeat
from ringwork.ads.exchange.rules import INVALID, PRICE, SEAT, Refusal
from ringwork.ads.exchange.worth import Worth
from ringwork.ads.model import MAX_IMPRESSION_NANOS, Format
from ringwork.ads.openrtb.price import bid_to_nanos, is_price

BIDS_MAX: Final = 100
"""Bids of one response; a hundred impressions with one each, or fewer with several."""
ID_MAX_CHARS: Final = 128
"""A bid's id becomes part of an ad's, which stands in events and tokens."""
DEFAULT_CURRENCY: Final = "USD"

_ID: Final = re.compile(r"[!-~]{1,128}")


class ExternalBid(Struct, frozen=True, kw_only=True):
    """An outside bid that may compete for the slot it was made for."""

    bidder_id: str
    bid_id: str
    slot: int
    """Its number in the ask."""
    worth_nanos: int
    """What an impression is worth, in our currency: it never costs more."""
    bid_nanos: int
    """The same as it was bid."""
    currency: str
    worth: Worth
    request_id: str
    seat: str
    format: Format
    markup: str
    """HTML or VAST, its macros not yet filled in."""
    width: int
    height: int
    duration_s: int
    """Of a video or audio ad, in begun seconds; 0 where it is not known and need not be."""
    domain: str
    """The advertiser's."""
    categories: tuple[str, ...]
    creative_id: str
    ad_id: str
    """What the bidder calls it (``adid``)."""
    deal_id: str
    hold_s: int | None
    """Seconds until its impression is due, where the bid says (``exp``)."""
    behalf: str
    payer: str
    won_url: str
    billed_url: str
    lost_url: str


class Rejection(Struct, frozen=True, kw_only=True):
    """A bid that does not compete: the loss code, and why in words."""

    bidder_id: str
    reason: int
    detail: str
    bid_id: str = ""
    """Empty where the response as a whole was refused, or the bid has no usable id."""
    imp_id: str = ""
    lost_url: str = ""


class Answer(Struct, frozen=True):
    """What a response came to; every bid in it is in one of the lists, up to ``BIDS_MAX``."""

    bids: list[ExternalBid]
    rejected: list[Rejection]
    no_bid: int | None = None
    """The bidder's own reason (``nbr``)."""


_response: Final = msgspec.json.Decoder(Reply)
_bid: Final = msgspec.json.Decoder(ReplyBid)


def read(body: bytes, asked: Outgoing) -> Answer:
    """The bids of a response with status 200; nothing raises, whatever the bytes are."""
    try:
        reply = _response.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _refused(asked, Refusal(INVALID, f"no bid response: {error}"))
    if reply.id != asked.request_id and (reply.id is not None or reply.seatbid):
        return _refused(asked, Refusal(rules.AUCTION, "the response is to another request"))
    refusal: Refusal | None = None
    currency = reply.cur or DEFAULT_CURRENCY
    if reply.seatbid and currency not in asked.worths:
        taken = ", ".join(list(asked.worths)[:20])
        detail = f"bids are in {currency[:8]!r}, for which there is no rate; asked for {taken}"
        refusal = Refusal(PRICE, detail)
    answer = Answer([], [], reply.nbr)
    seen: set[str] = set()
    for number, (seat, raw) in enumerate(_bids(reply)):
        if number == BIDS_MAX:
            detail = f"more than {BIDS_MAX} bids; the rest was not looked at"
            answer.rejected.append(_rejection(asked, None, Refusal(INVALID, detail)))
            break
        _take(answer, raw, seat, asked, seen, refusal, currency)
    return answer


def _bids(reply: Reply) -> Iterator[tuple[ReplySeat, msgspec.Raw]]:
    for seat in reply.seatbid or ():
        for raw in seat.bid or ():
            yield seat, raw


def _take(
    answer: Answer,
    raw: msgspec.Raw,
    seat: ReplySeat,
    asked: Outgoing,
    seen: set[str],
    refusal: Refusal | None,
    currency: str,
) -> None:
    """Put one bid into the list that it belongs in."""
    try:
        bid = _bid.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = Refusal(INVALID, f"no bid: {error}")
        answer.rejected.append(_rejection(asked, None, problem))
        return
    refusal = refusal or _identity(bid, seat, asked, seen)
    if refusal is None:
        seen.add(bid.id or "")
    judged = refusal or _judge(bid, seat, asked, currency)
    if isinstance(judged, ExternalBid):
        answer.bids.append(judged)
    else:
        answer.rejected.append(_rejection(asked, bid, judged))


def _identity(bid: ReplyBid, seat: ReplySeat, asked: Outgoing, seen: set[str]) -> Refusal | None:
    """Whether it is a bid on something that was asked for, by somebody who may bid."""
    if not _ID.fullmatch(bid.id or ""):
        return Refusal(INVALID, f"id must be 1 to {ID_MAX_CHARS} printable ASCII characters")
    if bid.id in seen:
        return Refusal(INVALID, "its id is that of an earlier bid in the response")
    if _number(bid.impid) not in asked.numbers:
        return Refusal(INVALID, "impid names no impression that was asked for")
    if asked.bidder.seat and seat.seat != asked.bidder.seat:
        return Refusal(SEAT, f"seat {str(seat.seat)[:64]!r} was not invited")
    if seat.group:
        return Refusal(INVALID, "bids that win together or not at all are not taken")
    return None


def _judge(bid: ReplyBid, seat: ReplySeat, asked: Outgoing, currency: str) -> ExternalBid | Refusal:
    """The bid as it competes, or the first rule that keeps it out."""
    worth = asked.worths[currency]
    number = _number(bid.impid)
    slot = asked.slots[asked.numbers.index(number)]
    price = bid.price
    if price is None or not is_price(price):
        most = MAX_IMPRESSION_NANOS // 10**6
        return Refusal(PRICE, f"price must be a CPM up to {most}, got {str(price)[:40]}")
    bid_nanos = bid_to_nanos(price)
    worth_nanos = worth.ours(bid_nanos)
    if not 1 <= worth_nanos <= MAX_IMPRESSION_NANOS:
        detail = f"worth {worth_nanos} nanos an impression, expected 1 to {MAX_IMPRESSION_NANOS}"
        return Refusal(PRICE, detail)
    refusal = rules.first_refusal(bid, slot, asked)
    if refusal is not None:
        return refusal
    markup = bid.adm or ""
    shown = rules.shown(bid, slot, markup)
    if isinstance(shown, Refusal):
        return shown
    floor_nanos = slot.floor_for(shown.duration_s)
    if worth_nanos < floor_nanos:
        reason = rules.DEAL_FLOOR if slot.deal_id else rules.FLOOR
        return Refusal(reason, f"worth {worth_nanos} nanos, the floor is {floor_nanos}")
    statement = None if bid.ext is None else bid.ext.dsa
    return ExternalBid(
        bidder_id=asked.bidder.id,
        bid_id=bid.id or "",
        slot=number,
        worth_nanos=worth_nanos,
        bid_nanos=bid_nanos,
        currency=currency,
        worth=worth,
        request_id=asked.request_id,
        seat=seat.seat or "",
        format=slot.format,
        markup=markup,
        width=shown.width,
        height=shown.height,
        duration_s=shown.duration_s,
        domain=rules.domain_of(bid),
        categories=rules.categories_of(bid),
        creative_id=bid.crid or "",
        ad_id=bid.adid or "",
        deal_id=bid.dealid or "",
        hold_s=bid.exp if bid.exp and bid.exp > 0 else None,
        behalf="" if statement is None else statement.behalf or "",
        payer="" if statement is None else statement.paid or "",
        won_url=bid.nurl or "",
        billed_url=bid.burl or "",
        lost_url=bid.lurl or "",
    )


def _number(imp_id: str | None) -> int:
    """The slot's number that an impression id stands for; -1 for none of ours."""
    given = imp_id or ""
    is_ours = given.isascii() and given.isdigit() and len(given) <= 3 and str(int(given)) == given
    return int(given) if is_ours else -1


def _refused(asked: Outgoing, refusal: Refusal) -> Answer:
    return Answer([], [_rejection(asked, None, refusal)])


def _rejection(asked: Outgoing, bid: ReplyBid | None, refusal: Refusal) -> Rejection:
    is_named = bid is not None and _ID.fullmatch(bid.id or "") is not None
    return Rejection(
        bidder_id=asked.bidder.id,
        reason=refusal.reason,
        detail=refusal.detail,
        bid_id=(bid.id or "") if bid is not None and is_named else "",
        imp_id=(bid.impid or "")[:ID_MAX_CHARS] if bid is not None else "",
        lost_url=(bid.lurl or "") if bid is not None else "",
    )
