"""How people respond to ads here, and what that makes a bid per response worth.

The world draws people's acts from these shares; advertisers, who know their market, bid by them.
"""

from __future__ import annotations

from typing import Final

CLICKS: Final = 0.016
"""Of those who see an ad."""
CONVERSIONS: Final = 0.05
"""Of those who click."""
VIEWABLE: Final = 0.62
"""Impressions that come into view."""
COMPLETED: Final = 0.5
"""Videos that are played to their end."""
EXPECTED_CONVERSIONS: Final = 0.02
"""Of those who click, as the platform's model has it until the first week's conversions are in
(``ads.rank.response``): until then it sells more for a conversion than it gets."""

PER_IMPRESSION: Final = {
    "cpm": 1.0,
    "cpc": CLICKS,
    "cpa": CLICKS * EXPECTED_CONVERSIONS,
    "vcpm": VIEWABLE,
    "cpv": COMPLETED,
}
"""Pricing -> how much of what it pays for comes with an impression."""


def bid_nanos(pricing: str, cpm: float) -> int:
    """The bid that makes 1,000 impressions worth ``cpm`` units.

    >>> bid_nanos("cpm", 2.5), bid_nanos("cpv", 2.5)
    (2500000, 5000000)
    """
    return int(cpm * 1_000_000 / PER_IMPRESSION[pricing])
