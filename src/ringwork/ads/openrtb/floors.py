"""What a bid must at least be worth: floors of deals, of streams by duration, of impressions.

A bid for a deal obeys the deal's floors; without any, and in the open auction, those of the video
or audio object; without any, ``imp.bidfloor`` (implementation notes 7.11). A floor in another
currency is exchanged, rounded up.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from msgspec import Struct

from ringwork.ads.model import DurationFloor
from ringwork.ads.openrtb.impressions import Audio, Deal, DurFloors, Imp, Video
from ringwork.ads.openrtb.price import exchanged_floor, floor_to_nanos
from ringwork.ads.openrtb.terms import BidderTerms
from ringwork.kernel.money import MAX_PRICE_NANOS

DEFAULT_CURRENCY: Final = "USD"


class Floors(Struct, frozen=True, gc=False):
    """The three forms of a floor, as ``Slot`` has them."""

    floor_nanos: int = 0
    nanos_per_second: int = 0
    by_duration: tuple[DurationFloor, ...] = ()


NO_FLOORS: Final = Floors()


def floors_of(
    imp: Imp, stream: Video | Audio | None, terms: BidderTerms, now_us: int
) -> Floors | None:
    """The floors of the open auction; None where their currency cannot be exchanged."""
    is_timed = stream is not None and (stream.mincpmpersec or stream.durfloors)
    if not imp.bidfloor and not is_timed:
        return NO_FLOORS
    price = _exchange(imp.bidfloorcur, terms, now_us)
    if price is None:
        return None
    floor_nanos = price(imp.bidfloor) if imp.bidfloor else 0
    if stream is None or not is_timed:
        return Floors(floor_nanos)
    return _timed(stream, floor_nanos, price)


def floors_of_deal(
    deal: Deal, opened: Floors | None, terms: BidderTerms, now_us: int
) -> Floors | None:
    """The floors of bids for ``deal``, where ``opened`` are those of its impression."""
    if deal.bidfloor is None and not deal.mincpmpersec and not deal.durfloors:
        return opened
    price = _exchange(deal.bidfloorcur, terms, now_us)
    if price is None:
        return None if deal.bidfloor or deal.mincpmpersec or deal.durfloors else Floors()
    floor_nanos = price(deal.bidfloor) if deal.bidfloor else 0
    if not (deal.mincpmpersec or deal.durfloors):
        return Floors(floor_nanos)
    # Outside the ranges of a deal its impression's own floor is the default.
    return _timed(deal, opened.floor_nanos if opened is not None else 0, price)


def _timed(
    thing: Video | Audio | Deal, floor_nanos: int, price: Callable[[Decimal], int]
) -> Floors:
    if thing.mincpmpersec:
        return Floors(floor_nanos, price(thing.mincpmpersec))
    ranges = tuple([_range(one, price) for one in thing.durfloors or ()])
    return Floors(floor_nanos, 0, ranges)


def _range(floor: DurFloors, price: Callable[[Decimal], int]) -> DurationFloor:
    nanos = price(floor.bidfloor) if floor.bidfloor else 0
    return DurationFloor(floor.mindur or 0, floor.maxdur, nanos)


def _exchange(
    currency: str | None, terms: BidderTerms, now_us: int
) -> Callable[[Decimal], int] | None:
    """How a CPM in ``currency`` becomes nanos of ours, or None where no rate is known."""
    currency = currency or DEFAULT_CURRENCY
    if currency == terms.currency:
        return floor_to_nanos
    rate = terms.rate(currency, now_us)
    if rate is None:
        return None
    return lambda cpm: min(exchanged_floor(cpm, rate), MAX_PRICE_NANOS)
