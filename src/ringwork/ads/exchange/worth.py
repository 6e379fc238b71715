"""What a bidder's nanos are worth here, and the way back: its currency and its share in one ratio.

Exact: inwards rounds down and outwards rounds up, each once, so that a bid at the floor that was
sent reaches the floor, and what is charged is never more than what was bid.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Struct

from ringwork.ads.exchange.bidders import ONE_PPM, Bidder
from ringwork.ads.openrtb.terms import Rates

_ONE: Final = Decimal(1)


class Worth(Struct, frozen=True):
    """``ours = theirs * rate * adjustment_ppm / 10**6``."""

    rate: Decimal = _ONE
    """Units of our currency for one of theirs."""
    adjustment_ppm: int = ONE_PPM

    def ours(self, their_nanos: int) -> int:
        """What a bid of theirs counts as.

        >>> Worth(Decimal("0.9171"), 850_000).ours(1_000_001)
        779535
        """
        numerator, denominator = self._ratio()
        return their_nanos * numerator // denominator

    def theirs(self, our_nanos: int) -> int:
        """The least of theirs that counts as at least ``our_nanos``.

        >>> Worth(Decimal("0.9171"), 850_000).theirs(779_535)
        1000000
        """
        numerator, denominator = self._ratio()
        return -(-our_nanos * denominator // numerator)

    def _ratio(self) -> tuple[int, int]:
        numerator, denominator = self.rate.as_integer_ratio()
        return numerator * self.adjustment_ppm, denominator * ONE_PPM


def worths_of(
    bidder: Bidder, *, currency: str, rates: Rates | None = None, now_us: int = 0
) -> dict[str, Worth]:
    """Currency -> what a bidder's bids in it are worth, that in which it bids first.

    ``currency`` is the platform's, taken from everybody; the others are those with a current rate.
    Empty where there is none for the bidder's own.
    """
    units = {currency: _ONE, **({} if rates is None else rates.current(now_us))}
    first = bidder.currency or currency
    if first not in units:
        return {}
    order = dict.fromkeys((first, *units))
    return {one: Worth(units[one], bidder.adjustment_ppm) for one in order}
