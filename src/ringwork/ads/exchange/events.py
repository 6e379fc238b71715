"""The facts of the exchange. Members are appended, never edited; nothing in them is a person's."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from ringwork.kernel.events import Event


class BidderHeard(Struct, frozen=True, array_like=True):
    """How one bidder was asked for one request, and what came of it."""

    bidder_id: str
    outcome: str
    """``bids``, ``no-bid``; why it was not asked: ``no-time``, ``currency``, ``unsuited``,
    ``busy``, ``rate``, ``paused``; or how it failed: ``late``, ``error``, ``oversized``,
    ``status``, ``malformed``."""
    latency_us: int = 0
    bids: int = 0
    """Those that may compete."""
    rejected: dict[int, int] = {}
    """Loss code -> how many bids were refused for it."""
    no_bid: int | None = None
    """The bidder's own reason (``nbr``)."""
    currency: str = ""
    """What its bids are in; empty where none may compete."""
    rate: str = ""
    """Units of our currency for one of that, as a decimal."""
    adjustment_ppm: int = 0
    """What counts of its bids, in 1e-6."""
    offered: dict[str, int] = {}
    """Bid id -> what it bid for an impression, in nanos of its currency, of those that may compete:
    in the auction it stands with that times ``rate`` times ``adjustment_ppm`` / 1e6, rounded
    down."""


class BidsGathered(Event, frozen=True, array_like=True):
    """Outside bidders were asked for the bids of one ad request; the cause is its auction."""

    TYPE: ClassVar[str] = "bids_gathered"
    RETENTION: ClassVar[str] = "30 days"
    bidders: list[BidderHeard]
    waited_us: int


class ExternalBidWon(Event, frozen=True, array_like=True):
    """An outside bid was sold a slot; its price is held on ``bidder/<bidder_id>``.

    ``bid_nanos`` is what it bid, of ``bid_currency``; ``price_nanos`` what it owes, of ours.
    """

    TYPE: ClassVar[str] = "external_bid_won"
    impression_id: bytes
    bidder_id: str
    bid_id: str
    seat: str
    creative_id: str
    domain: str
    bid_nanos: int
    bid_currency: str
    price_nanos: int
    currency: str
    billed_url: str
    """Its billing notice, macros filled in; empty where it gave none."""
    expires_s: int
    """Until then the impression is billed."""
    rate: str = ""
    """Units of ``currency`` for one of ``bid_currency``, as a decimal."""
    adjustment_ppm: int = 0
    """What counts of its bids, in 1e-6."""


class BillingNoticeEnded(Event, frozen=True, array_like=True):
    """The billing notice of an impression was taken, or given up after a minute."""

    TYPE: ClassVar[str] = "billing_notice_ended"
    RETENTION: ClassVar[str] = "30 days"
    impression_id: bytes
    bidder_id: str
    was_taken: bool
    attempts: int


EVENTS: tuple[type[Event], ...] = (BidsGathered, ExternalBidWon, BillingNoticeEnded)
