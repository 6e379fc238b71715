"""What a bidder's nanos are worth here, and the way back: its currency and its share in one ratio.

Exact integers: inwards rounds down and outwards rounds up, so that a bid at the floor that was sent
reaches the floor, and what is charged is never more than what was bid.
"""

from __future__ import annotations

from msgspec import Struct

from ringwork.ads.exchange.bidders import ONE_PPM, Bidder
from ringwork.ads.openrtb.terms import Rates


class Worth(Struct, frozen=True):
    """``ours = theirs * numerator / denominator``."""

    numerator: int = 1
    denominator: int = 1

    def ours(self, their_nanos: int) -> int:
        """What a bid of theirs counts as.

        >>> Worth(850_000, 1_000_000).ours(1_000_001)
        850000
        """
        return their_nanos * self.numerator // self.denominator

    def theirs(self, our_nanos: int) -> int:
        """The least of theirs that counts as at least ``our_nanos``.

        >>> Worth(850_000, 1_000_000).theirs(850_000)
        1000000
        """
        return -(-our_nanos * self.denominator // self.numerator)


def worth_of(
    bidder: Bidder, *, currency: str, rates: Rates | None = None, now_us: int = 0
) -> Worth | None:
    """The ratio for a bidder's bids; None where its currency has no current rate."""
    if bidder.currency in (None, currency):
        return Worth(bidder.adjustment_ppm, ONE_PPM)
    assert bidder.currency is not None
    rate = None if rates is None else rates.of(bidder.currency, now_us)
    if rate is None:
        return None
    numerator, denominator = rate.as_integer_ratio()
    return Worth(numerator * bidder.adjustment_ppm, denominator * ONE_PPM)
