"""What each pricing is paid for, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PRICED_PER: Final[Mapping[str, str]] = {
    "cpm": "impression",
    "cpc": "click",
    "cpa": "conversion",
    "vcpm": "viewable impression",
    "cpv": "completed view",
}


def priced_per(pricing: str) -> str:
    """The noun: ``click``; an impression where nothing is known."""
    return PRICED_PER.get(pricing, "impression")


def per_one(pricing: str) -> str:
    """With its article: ``a click``."""
    noun = priced_per(pricing)
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
