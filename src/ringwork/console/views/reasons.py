"""Why an ad was not a candidate, in words."""

from __future__ import annotations

from typing import Final

_WORDS: Final = {
    "publisher": "The publisher is not registered",
    "format": "Another format",
    "schedule": "Outside its dates",
    "size": "The size does not fit",
    "mime": "A media type the player cannot show",
    "duration": "Too short or too long",
    "site": "Not sold on this site",
    "app": "Not sold in this app",
    "category": "Not sold beside this content",
    "region": "Not sold in this region",
    "device": "Not sold on this kind of device",
    "hour": "Not sold at this hour",
    "frequency": "Seen often enough, or capped where no visit is named",
    "steered": "Its score was moved to nothing",
    "rotation": "Another ad of its campaign had the turn",
    "blocked": "Blocked by this publisher",
    "floor": "Worth less than the reserve",
    "budget": "Budget spent or reserved",
}
"""Every reason the index of ads names, in its order."""


def reason_in_words(reason: str) -> str:
    """A sentence for a reason's slug; the slug itself in words where no sentence was written."""
    words = _WORDS.get(reason)
    if words is not None:
        return words
    plain = reason.replace("_", " ").replace("-", " ")
    return plain[:1].upper() + plain[1:]
