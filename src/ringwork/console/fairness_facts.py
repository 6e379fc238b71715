"""What the pages of fairness are built from: plain facts, as the log's state gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from ringwork.fairness.chronicle import Point, Shifted, Told
from ringwork.fairness.flights import Flight
from ringwork.fairness.log import Head
from ringwork.fairness.mix import Mix
from ringwork.fairness.reach import Told as ArmTold
from ringwork.fairness.records import (
    By,
    Cost,
    Coverage,
    Excluded,
    Model,
    Override,
    Plan,
    Tables,
)
from ringwork.fairness.report import AdFigure, Privacy, Verdict

Sort = Literal["impressions", "figure"]


class Asked(Struct, frozen=True, kw_only=True):
    """Which ads are looked at, and how; an empty attribute is the plan's first estimated one."""

    attribute: str = ""
    by: By = "impressions"
    sort: Sort = "impressions"
    page: int = 1


class AdLine(Struct, frozen=True, kw_only=True):
    """One ad of the period."""

    ad: str
    name: str
    category: str
    impressions: int
    spend_nanos: int
    is_excluded: bool
    figure: AdFigure | None
    """None: its newest release gave no figure of the attribute."""


class Priced(Struct, frozen=True, kw_only=True):
    """What an ad cost for each 1,000 unique people, beside how far it was from its audience."""

    ad: str
    name: str
    per_thousand_nanos: int
    figure: AdFigure


class FairnessFacts(Struct, frozen=True, kw_only=True):
    """The period as it stands."""

    now_us: int
    asked: Asked
    plan: Plan
    tables: list[Tables]
    models: list[Model]
    is_test_entropy: bool
    log: str
    head: Head | None
    time_us: int
    """Of the newest record."""
    ads: int
    """With a release in the period."""
    waiting: int
    """Ads that are known and have no release in it."""
    ways: list[tuple[str, By]]
    """Attributes and ways of counting that there are figures of."""
    lines: list[AdLine]
    has_more: bool
    verdicts: Mapping[Verdict, int]
    """Of the asked attribute, among the ads that are in coverage."""
    coverage: list[Coverage]
    coverage_us: int
    """When coverage was stated; 0: it is of now."""
    excluded: Excluded
    cost: Cost | None
    arm: ArmTold
    """Against the control arms of the period's ads."""
    arm_us: int
    """When it was reported; 0: now."""
    priced: list[Priced]
    privacy: list[Privacy]
    """Ads with the least left, first."""
    budgets: int
    spent: int
    """Ads with no release left."""
    currency: str
    file: str
    """The log, as the command line names it."""


class AdFacts(Struct, frozen=True, kw_only=True):
    """One ad."""

    now_us: int
    ad: str
    name: str
    campaign_href: str
    plan: Plan
    flight: Flight
    is_demo: bool
    is_test_entropy: bool
    figures: list[AdFigure]
    mixes: Mapping[str, tuple[Mix, ...]]
    """By attribute."""
    points: Mapping[tuple[str, By], list[Point]]
    controlled: tuple[str, ...]
    """Attributes whose groups have shifts, in the order that a vector of shifts has them."""
    shifts: list[Shifted]
    shift_reason: str
    audiences: Mapping[int, int]
    overrides: list[tuple[int, Override]]
    privacy: Privacy | None
    arm: ArmTold
    currency: str
    file: str


class AdStanding(Struct, frozen=True, kw_only=True):
    """How the measuring of one ad stands beside what the log says of it."""

    reason: str = ""
    """Why nothing is measured now."""
    impressions: int = 0
    """Billed of its audience so far."""
    next_at: int | None = None
    """As many of these as its next release waits for; None: there is none, or it has not begun."""


class CampaignAd(Struct, frozen=True, kw_only=True):
    """One ad of a campaign for housing, employment or credit."""

    ad: str
    name: str
    is_sold: bool
    """It takes part in auctions now."""


class MeasuredAd(Struct, frozen=True, kw_only=True):
    """What is measured of whom an ad reaches."""

    ad: CampaignAd
    figures: list[AdFigure]
    """Of its newest release, by impressions; none where there is none of the period."""
    is_logged: bool
    """The audit log knows it, so that it has a page."""
    is_released: bool
    """In the period."""
    standing: AdStanding


class MeasuredFacts(Struct, frozen=True, kw_only=True):
    """What is measured of whom a campaign reaches."""

    has_log: bool
    is_planned: bool
    """The plan covers its category."""
    is_demo: bool
    threshold_ppm: int | None
    """The plan's widest; None before there is a plan."""
    ads: list[MeasuredAd]
    more: int
    """Ads of the campaign beside these."""


class LogFacts(Struct, frozen=True, kw_only=True):
    """The end of the audit log."""

    now_us: int
    head: Head | None
    public_key: str
    keys: int
    signed_through: int
    is_test_entropy: bool
    newest: list[Told]
    """Newest first."""
    file: str
