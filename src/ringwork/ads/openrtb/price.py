"""CPM decimals and nanos: an OpenRTB price is per thousand impressions, ours is of one.

A CPM of 2.50 is 2,500,000 micros per thousand, so 2,500,000 nanos per impression: the scale is
10**6. A bid rounds down and a floor rounds up, so that rounding never costs more than was agreed.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Final

MAX_IMPRESSION_NANOS: Final = 10**12
"""1,000 units of currency for one impression; a larger price is a mistake."""

_MICROS = Decimal(10**6)
_MAX_CPM = Decimal(MAX_IMPRESSION_NANOS // 10**6)
# 28 digits hold 13 before the point and 15 behind: rounding the product in the same direction as
# the integer keeps the result exact however many digits the wire had.
_UP = Context(prec=28, rounding=ROUND_CEILING, traps=[])
_DOWN = Context(prec=28, rounding=ROUND_FLOOR, traps=[])


def is_price(cpm: Decimal) -> bool:
    """Whether it is finite, not negative and at most ``MAX_IMPRESSION_NANOS``."""
    return cpm.is_finite() and not cpm < 0 and not cpm > _MAX_CPM


def floor_to_nanos(cpm: Decimal) -> int:
    """The nanos of a floor, rounded up. ``cpm`` is a price.

    >>> floor_to_nanos(Decimal("0.001962"))
    1962
    """
    return int(_UP.multiply(cpm, _MICROS).to_integral_value(ROUND_CEILING, _UP))


def bid_to_nanos(cpm: Decimal) -> int:
    """The nanos of a bid, rounded down. ``cpm`` is a price.

    >>> bid_to_nanos(Decimal("2.5000009"))
    2500000
    """
    return int(_DOWN.multiply(cpm, _MICROS).to_integral_value(ROUND_FLOOR, _DOWN))


def to_cpm(nanos: int) -> float:
    """The CPM to write: the double nearest to nanos / 10**6, whose shortest form is exact.

    Doubles tell 15 significant digits apart; ``MAX_IMPRESSION_NANOS`` has 13.

    >>> to_cpm(1_962)
    0.001962
    """
    return nanos / 10**6
