"""What a planned campaign would come to, from the exported log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from ringwork.ads.forecast.history import DAY_US, History, days_of, log_begins_us, read_history
from ringwork.ads.forecast.plan import (
    HORIZON_MAX_DAYS,
    Estimate,
    Forecast,
    PlannedCampaign,
    Reach,
)
from ringwork.ads.forecast.project import DAYS_MIN, project
from ringwork.ads.model import Pricing
from ringwork.ads.reports.report import Warehouse
from ringwork.ads.rules import is_time_zone
from ringwork.kernel.errors import Conflict, Fault

_PERCENT: Final = 10_000
"""In 1e-6."""


def check_plan(plan: PlannedCampaign) -> None:
    """Conflict ``rule-violated`` for a plan that cannot be."""
    faults = list(_faults(plan))
    if faults:
        text = "; ".join(f"{one.pointer}: {one.detail}" for one in faults)
        raise Conflict("rule-violated", text, errors=faults)


def run_forecast(
    warehouse: Warehouse, plan: PlannedCampaign, *, now_us: int, p_ppb: Mapping[Pricing, int]
) -> Forecast:
    """The forecast of ``plan`` from the days before ``now_us``.

    ``p_ppb``: pricing -> chance, per impression, of what it charges for (``AdsSettings.p_ppb``).
    Raises Conflict ``rule-violated`` for a plan that cannot be, ``history-too-short``;
    RingworkError where the exported files cannot be read.
    """
    check_plan(plan)
    begins_us = log_begins_us(warehouse)
    days = [] if begins_us is None else days_of(plan, log_begins_us=begins_us, now_us=now_us)
    if len(days) < DAYS_MIN:
        raise Conflict(
            "history-too-short",
            f"a forecast needs at least {DAYS_MIN} whole days of the log, there are {len(days)}",
        )
    history = read_history(warehouse, plan, days)
    found = project(plan, history, p_ppb=p_ppb[plan.pricing])
    return Forecast(
        currency=plan.budget.currency,
        days_seen=len(days),
        requests=found.requests,
        opportunities=found.opportunities,
        impressions=found.impressions,
        spend_nanos=found.spend_nanos,
        win_rate_ppm=found.win_rate_ppm,
        shown_ppm=history.shown_ppm,
        paced_bid_nanos=found.paced_bid_nanos,
        reach=Reach(found.impressions.expected, history.placements),
        limited_by=found.limited_by,
        feasible=_feasible(plan, found.impressions),
        curve=found.curve,
        assumptions=list(_assumptions(plan, history)),
    )


def _faults(plan: PlannedCampaign) -> Iterator[Fault]:
    if plan.ends_us <= plan.starts_us:
        yield Fault("/ends_us", "must be later than starts_us")
    elif plan.ends_us - plan.starts_us > HORIZON_MAX_DAYS * DAY_US:
        yield Fault("/ends_us", f"at most {HORIZON_MAX_DAYS} days after starts_us")
    if plan.budget.total_nanos <= 0 and plan.priority != "house":
        yield Fault("/budget", f"must be positive, got {plan.budget}")
    if plan.priority == "sponsorship" and plan.share_ppm is None:
        yield Fault("/share_ppm", "a sponsorship needs its share of the views, in 1e-6")
    if plan.priority == "guaranteed" and plan.goal_impressions is None:
        yield Fault("/goal_impressions", "a guaranteed campaign needs what it promises")
    if not is_time_zone(plan.targeting.time_zone):
        yield Fault("/targeting/time_zone", "expected an IANA time zone such as Europe/Lisbon")
    if plan.targeting.audiences:
        text = "the log tells nobody apart: what an audience would have seen cannot be known"
        yield Fault("/targeting/audiences", text)


def _feasible(
    plan: PlannedCampaign, impressions: Estimate
) -> Literal["yes", "unsure", "no"] | None:
    goal = plan.goal_impressions
    if goal is None:
        return None
    if impressions.low >= goal:
        return "yes"
    return "no" if impressions.high < goal else "unsure"


def _assumptions(plan: PlannedCampaign, history: History) -> Iterator[str]:
    yield "days to come are like the days seen: no growth, no season, no rival that comes or goes"
    yield "frequency caps, exclusion labels and roadblocks are not reckoned with"
    yield "people cannot be told apart: reach is impressions over distinct places"
    if plan.targeting.excluded.audiences:
        yield "nobody is taken to be in an excluded audience"
    if plan.pricing != "cpm":
        yield f"what {plan.pricing} pays for comes as often as the platform's prior says"
    if history.pays_bid_ppm:
        yield (
            f"in {_share(history.pays_bid_ppm)} of the places the winner pays its bid: "
            "spend there is at least the price to beat that is reckoned with"
        )
    if plan.sizes and history.sizes_unknown_ppm:
        yield f"the sizes of {_share(history.sizes_unknown_ppm)} of the banner places are unknown"


def _share(ppm: int) -> str:
    return f"{ppm / _PERCENT:.1f} %"
