"""The members of an OpenRTB 2.6 bid response that are read, and nothing else of it.

Bids are decoded one by one, so that one that breaks its types is refused alone.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec import Struct

from ringwork.ads.openrtb.structs import Transparency


class GivenDsa(Struct, gc=False):
    """The statement of a bid; what is missing is judged, not refused while decoding."""

    behalf: str | None = None
    paid: str | None = None
    transparency: list[Transparency] | None = None
    adrender: int | None = None


class BidExt(Struct, gc=False):
    """Extensions of a bid."""

    dsa: GivenDsa | None = None


class ReplyBid(Struct, gc=False):
    """One bid."""

    id: str | None = None
    impid: str | None = None
    price: Decimal | None = None
    nurl: str | None = None
    burl: str | None = None
    lurl: str | None = None
    adm: str | None = None
    adid: str | None = None
    adomain: list[str] | None = None
    bundle: str | None = None
    crid: str | None = None
    cattax: int | None = None
    cat: list[str] | None = None
    attr: list[int] | None = None
    protocol: int | None = None
    language: str | None = None
    langb: str | None = None
    dealid: str | None = None
    w: int | None = None
    h: int | None = None
    exp: int | None = None
    dur: int | None = None
    mtype: int | None = None
    ext: BidExt | None = None


class ReplySeat(Struct, gc=False):
    """The bids of one seat."""

    bid: list[msgspec.Raw] | None = None
    seat: str | None = None
    group: int | None = None


class Reply(Struct, gc=False):
    """A whole response."""

    id: str | None = None
    seatbid: list[ReplySeat] | None = None
    cur: str | None = None
    nbr: int | None = None
