"""What happened to a campaign because of what it advertises: housing, employment or credit.

Each stands beside the ``campaign_changed`` or ``campaign_created`` that it explains: that one says
how the campaign is from then on, these why. No fold hears them.
"""

from __future__ import annotations

from typing import ClassVar

from ringwork.ads.model import PausedTargeting, Targeting
from ringwork.kernel.events import Event
from ringwork.kernel.screening import Suspicion


class SpecialCategoriesDeclared(Event, frozen=True, array_like=True):
    """An advertiser said of which special categories a campaign is, and certified a text."""

    TYPE: ClassVar[str] = "special_categories_declared"
    campaign_id: str
    categories: list[str]
    """Empty: it took the declaration back."""
    certified_text: str
    """The version of the text; empty where none was certified with it."""
    actor: str = ""


class CampaignHeld(Event, frozen=True, array_like=True):
    """An ad seems to be of a category that its campaign does not declare.

    Nothing is shown until a person has decided.
    """

    TYPE: ClassVar[str] = "campaign_held"
    campaign_id: str
    creative_id: str
    text_hash: str
    suspicions: list[Suspicion]
    """With the score, its threshold, and what counted most."""


class SpecialReviewDecided(Event, frozen=True, array_like=True):
    """A person decided on a campaign that was held: ``confirm`` or ``clear``."""

    TYPE: ClassVar[str] = "special_review_decided"
    campaign_id: str
    creative_id: str
    decision: str
    categories: list[str]
    """What it was found to be of."""
    reason: str
    actor: str = ""


class TargetingPaused(Event, frozen=True, array_like=True):
    """Parts of a campaign's targeting are forbidden to special ads, and nothing is shown by it.

    With the rule and the reason of each, and the lawful targeting that was proposed instead.
    """

    TYPE: ClassVar[str] = "targeting_paused"
    campaign_id: str
    paused: list[PausedTargeting]
    proposal: Targeting


EVENTS: tuple[type[Event], ...] = (
    SpecialCategoriesDeclared,
    CampaignHeld,
    SpecialReviewDecided,
    TargetingPaused,
)
