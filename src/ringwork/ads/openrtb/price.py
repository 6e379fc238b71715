"""CPM decimals and nanos: an OpenRTB price is per thousand impressions, ours is of one.

A CPM of 2.50 is 2,500,000 micros per thousand, so 2,500,000 nanos per impression: the scale is
10**6. A bid rounds down and a floor rounds up, so that rounding never costs more than was agreed.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from math import ceil, floor
from typing import Final

from ringwork.ads.model import MAX_IMPRESSION_NANOS

_ZERO = Decimal(0)
_MAX_CPM = Decimal(MAX_IMPRESSION_NANOS // 10**6)
_SIX: Final = Decimal(6)
# 28 digits hold 13 before the point and 15 behind: rounding the product in the same direction as
# the integer keeps the result exact however many digits the wire had.
_UP = Context(prec=28, rounding=ROUND_CEILING, traps=[])
_DOWN = Context(prec=28, rounding=ROUND_FLOOR, traps=[])


def is_price(cpm: Decimal) -> bool:
    """Whether it is finite, not negative and at most ``MAX_IMPRESSION_NANOS``."""
    return cpm.is_finite() and _ZERO <= cpm <= _MAX_CPM


def floor_to_nanos(cpm: Decimal) -> int:
    """The nanos of a floor, rounded up. ``cpm`` is a price.

    >>> floor_to_nanos(Decimal("0.001962"))
    1962
    """
    return ceil(_UP.scaleb(cpm, _SIX))


def bid_to_nanos(cpm: Decimal) -> int:
    """The nanos of a bid, rounded down. ``cpm`` is a price.

    >>> bid_to_nanos(Decimal("2.5000009"))
    2500000
    """
    return floor(_DOWN.scaleb(cpm, _SIX))


def exchanged_floor(cpm: Decimal, rate: Decimal) -> int:
    """The nanos of a floor at ``rate`` units of ours for one of its currency, rounded up.

    >>> exchanged_floor(Decimal("1.00"), Decimal("0.9171"))
    917100
    """
    return ceil(_UP.multiply(_UP.scaleb(cpm, _SIX), rate))


def exchanged_bid(nanos: int, rate: Decimal) -> int:
    """``nanos`` of ours in a currency of which one unit is worth ``rate`` of ours, rounded down.

    >>> exchanged_bid(917_100, Decimal("0.9171"))
    1000000
    """
    return floor(_DOWN.divide(Decimal(nanos), rate))


def to_cpm(nanos: int) -> float:
    """The CPM to write: the double nearest to nanos / 10**6, whose shortest form is exact.

    Doubles tell 15 significant digits apart; ``MAX_IMPRESSION_NANOS`` has 13.

    >>> to_cpm(1_962)
    0.001962
    """
    return nanos / 10**6
