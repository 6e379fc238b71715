"""What is forecast, and what the answer says: a planned campaign, and what it would come to."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from ringwork.ads.model import (
    Category,
    Domain,
    Format,
    Id,
    Pacing,
    PriceNanos,
    Pricing,
    Priority,
    Targeting,
)
from ringwork.ads.requests import Goal, Ppm, Side, TimeUs
from ringwork.kernel.money import Money

HORIZON_MAX_DAYS = 92
"""A quarter: what is later has little to do with the days that were seen."""

Size = tuple[Side, Side]


class PlannedCampaign(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A campaign that does not exist yet, as far as its delivery depends on it."""

    pricing: Pricing
    bid_nanos: PriceNanos
    budget: Money
    starts_us: TimeUs
    ends_us: TimeUs
    targeting: Targeting = field(default_factory=Targeting)
    priority: Priority = "price"
    share_ppm: Ppm | None = None
    """Of a sponsorship."""
    goal_impressions: Goal | None = None
    """Of a guaranteed campaign: what it must deliver."""
    pacing: Pacing = "even"
    formats: Annotated[list[Format], Meta(min_length=1, max_length=4)]
    """Of its creatives."""
    sizes: Annotated[list[Size], Meta(max_length=50)] = []
    """Of its banners; empty takes any."""
    advertiser: Id | None = None
    """Whose it is, where publishers block some."""
    advertiser_domain: Domain | None = None
    categories: Annotated[list[Category], Meta(max_length=50)] = []
    """Of its creatives."""
    history_days: Annotated[int, Meta(ge=7, le=92)] = 28
    """How many days before now are looked at."""
    level_ppm: Annotated[int, Meta(ge=500_000, le=990_000)] = 800_000
    """How often the truth shall lie in the interval, in 1e-6."""
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0
    """Of the bootstrap: the same plan, log and seed give the same answer."""


class Estimate(Struct, frozen=True):
    """What is expected, and between what bounds it lies as often as the plan's level says."""

    expected: int
    low: int
    high: int


class Reach(Struct, frozen=True):
    """How far the impressions spread.

    Nobody is recognised, so that distinct people or visits cannot be known: it is said over how
    many places they spread.
    """

    impressions: int
    placements: int
    """Distinct places (publisher, placement, site or app) that offered what matches."""


class BidPoint(Struct, frozen=True):
    """What another bid would come to, under the same budget."""

    bid_nanos: int
    win_rate_ppm: int
    impressions: int
    spend_nanos: int


Limit = Literal["supply", "bid", "budget", "goal", "share"]
"""What keeps a campaign from more: there is nothing more to win; a higher bid would win more; the
money, the promise or the share is used up."""


class Forecast(Struct, frozen=True, kw_only=True):
    """What a planned campaign would come to, had the days to come been drawn from those seen."""

    currency: str
    days_seen: int
    """Whole days of history that were looked at."""
    requests: Estimate
    """Ad requests that offer a place that matches."""
    opportunities: Estimate
    """Places that match."""
    impressions: Estimate
    spend_nanos: Estimate
    win_rate_ppm: int
    """Of the places that match, at the bid asked about."""
    shown_ppm: int
    """Of what was sold in such places, what was shown in time."""
    paced_bid_nanos: int
    """The bid that the budget allows, where it is spread evenly."""
    reach: Reach
    limited_by: Limit
    feasible: Literal["yes", "unsure", "no"] | None
    """Whether a guaranteed goal is reached; None where there is none."""
    curve: list[BidPoint]
    assumptions: list[str]
    """What the figures leave out, for those who read them."""
