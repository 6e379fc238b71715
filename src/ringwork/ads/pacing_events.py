"""The facts of pacing. Members are appended, never edited; amounts are integers of ``unit``."""

from __future__ import annotations

from typing import ClassVar, Literal

from ringwork.kernel.events import Event

Unit = Literal["nanos", "impressions"]


class CampaignPaced(Event, frozen=True, array_like=True):
    """Where a paced campaign is in its plan, noted when the plan begins and now and then after.

    At most once in a quarter of an hour for each campaign, and ten a second for all of them: enough
    to draw plan, spend and multiplier again; what was decided in between follows from the auctions.
    """

    TYPE: ClassVar[str] = "campaign_paced"
    RETENTION: ClassVar[str] = "13 months"
    campaign_id: str
    unit: Unit
    """What is planned: nanos of the budget, or the impressions of a promise."""
    begins_s: int
    """When the plan was made: the begin of its day or flight, or a change of terms."""
    ends_s: int
    budget: int
    """What may be spent by the end."""
    spent: int
    """What was reserved or spent (sold, of a promise) when this was noted."""
    due: int
    """What the plan wanted by then: the budget in the proportion of the requests that came."""
    reach: int | None
    """What would be spent by the end at the whole bid, at what is known of traffic and prices.

    None while too little was seen to say so.
    """
    pace_ppm: int
    """The share of its bid that it bids (of the requests that it takes part in, of a promise)."""


EVENTS: tuple[type[Event], ...] = (CampaignPaced,)
