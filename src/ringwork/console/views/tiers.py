"""Tiers and their reasons in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ringwork.consent.policy import REASONS as DECIDED
from ringwork.consent.signals import REASONS as SIGNALLED

NAMES: Final[Mapping[str, str]] = {
    "consented": "Consented",
    "less-personalised": "Less personalised",
    "general": "General",
    "subscriber": "Subscriber",
}
CSS: Final[Mapping[str, str]] = {
    "consented": "full",
    "less-personalised": "half",
    "general": "",
    "subscriber": "none",
}
"""The ring beside a tier's name: how much may be read of a person."""
_REFUSED: Final[Mapping[str, str]] = {
    "ended": "The person decided anew while the request was under way.",
    "expired": "Outside bidders took longer than a grant lives.",
}
_GRANT: Final = "grant-"


def name_of(tier: str) -> str:
    """A tier's name; a newer version's is told by its code."""
    return NAMES.get(tier, tier or "Not recorded")


def reasons_in_words(reasons: Iterable[str]) -> list[str]:
    """Each rule that applied, the deciding one first; what nobody here knows by its code."""
    return [_words(reason) for reason in reasons]


def _words(reason: str) -> str:
    if reason.startswith(_GRANT):
        return _REFUSED.get(reason[len(_GRANT) :], "The grant did not hold when history was read.")
    code, _, about = reason.partition(":")
    words = DECIDED.get(code) or SIGNALLED.get(code) or code
    return f"{words[:-1]}: {about}." if about and words.endswith(".") else words
