"""Every live campaign's pacer at work: what it spent is observed, what it bids is set.

A campaign that is paced evenly has a plan for the rest of its day where it has a daily budget, else
for the rest of its flight where that ends; without either there is nothing to pace. A guaranteed
campaign is throttled instead: it takes part in the share of requests that its promise needs.

An opportunity is a request, whoever could have bought it: what a campaign's targeting leaves of
them is learned by its pacer. A campaign that has seen too little to judge bids its whole bid; what
it may spend is the ledger's matter in any case. Pacers are not part of the state. What a pacer
planned and did is noted (``notes``), for whoever records it, and from what was recorded
(``Plans``) a plan goes on after a restart, from the multiplier that it had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from msgspec import Struct

from ringwork.ads.budgets import DAY_S
from ringwork.ads.model import Campaign
from ringwork.ads.pacing.controller import ONE_PPM, DualPacer
from ringwork.ads.pacing.curve import Forecast
from ringwork.ads.pacing.notes import Notes, Plan, slope_of
from ringwork.ads.pacing.plans import Course, Plans
from ringwork.ads.pacing.resume import resumed_pacer, resumed_plan
from ringwork.ads.pacing.throttle import ThrottlePacer

INTERVAL_S: Final = 60
"""From one look at a campaign to the next: what the controllers are tuned for."""
EVIDENCE: Final = 50
"""Requests that a campaign must have seen before it is paced."""
AT_ONCE: Final = 25
"""Campaigns looked at before other work gets its turn: less than a millisecond."""
SLICES: Final = 3_000
"""Of a round, at most: with many campaigns more of them are looked at each time."""


class Spending(Protocol):
    """What campaigns spend: ``Budgets``."""

    def spent_nanos(self, campaign_id: str, day: int) -> int: ...

    def free_nanos(self, campaign: Campaign, now_s: int) -> int: ...


class _Desk(Struct):
    """One campaign on the desk."""

    pacer: DualPacer | ThrottlePacer | None
    """None until it has spent: who bids its whole bid and buys nothing has nothing to be paced."""
    terms: tuple[int, int, int]
    """Budget, begin and end that the pacer was made for; others make another."""
    looked_s: int
    spent: int
    requests: int
    since: int
    """Requests there had been when it came."""
    plan: Plan
    pace_ppm: int = ONE_PPM
    """What it was last set to."""


class PacingDesk:
    """Asks and sets; call ``work`` every second or so."""

    def __init__(
        self,
        spending: Spending,
        *,
        live: Callable[[], Iterator[Campaign]],
        plans: Plans,
        set_pace: Callable[[str, int], None],
        forecast: Callable[[], Forecast | None] = lambda: None,
    ) -> None:
        """``plans``: what the log tells, of requests, sales and the plans under way.

        ``forecast`` is of requests; a plan keeps to the one that it began with.
        """
        self._spending = spending
        self._live = live
        self._plans = plans
        self._set_pace = set_pace
        self._forecast = forecast
        self._desks: dict[str, _Desk] = {}
        self._under_way: dict[str, Course] = {}
        """Plans of before the start that were not looked at yet."""
        self._round: Iterator[Campaign] = iter(())
        self._round_s = -INTERVAL_S
        self._at_once = AT_ONCE
        self.notes = Notes()

    def begin(self, now_s: int) -> None:
        """Go on with the plans that the log tells of; the paces are theirs from the first request.

        Call it once, before any work. A campaign that is not live now begins anew when it is.
        """
        for campaign in self._live():
            course = self._plans.courses.get(campaign.id)
            terms = self._terms(campaign, now_s)
            if course is not None and terms is not None and _is_of(course, campaign, terms, now_s):
                self._under_way[campaign.id] = course
                self._set_pace(campaign.id, course.noted.pace_ppm)

    def work(self, now_s: int) -> bool:
        """Look at some campaigns; True while more are due in this round."""
        for looked, campaign in enumerate(self._round, 1):
            self._look(campaign, now_s)
            if looked == self._at_once:
                return True
        if now_s >= self._round_s + INTERVAL_S or now_s < self._round_s:
            self._round_s = now_s
            campaigns = list(self._live())
            live = {one.id for one in campaigns}
            for campaign_id in self._desks.keys() - live:
                del self._desks[campaign_id]
            for campaign_id in self._under_way.keys() - live:
                del self._under_way[campaign_id]
            self._round = iter(campaigns)
            self._at_once = max(AT_ONCE, -(-len(campaigns) // SLICES))
            self.notes.spread_over(len(campaigns))
            return bool(campaigns)
        return False

    def _look(self, campaign: Campaign, now_s: int) -> None:
        terms = self._terms(campaign, now_s)
        desk = self._desks.get(campaign.id)
        course = self._under_way.pop(campaign.id, None) if self._under_way else None
        if terms is None:
            if desk is not None or course is not None:
                self._desks.pop(campaign.id, None)
                self._set_pace(campaign.id, ONE_PPM)
            return
        spent, requests = self._spent(campaign, now_s), self._plans.requests
        if course is not None and not _is_of(course, campaign, terms, now_s):
            self._set_pace(campaign.id, ONE_PPM)
            course = None
        if course is not None:
            desk = self._desks[campaign.id] = self._resumed(course, terms, now_s, spent)
        elif desk is None or desk.terms != terms:
            desk = _Desk(
                self._pacer(campaign, terms, now_s, spent, desk),
                terms,
                now_s,
                spent,
                requests,
                requests if desk is None else desk.since,
                Plan(campaign.id, max(terms[1], now_s), terms[2], terms[0], spent),
                ONE_PPM if desk is None else desk.pace_ppm,
            )
            self._desks[campaign.id] = desk
        else:
            came, more = requests - desk.requests, spent - desk.spent
            over_s, slope = now_s - desk.looked_s, slope_of(desk.pacer)
            desk.plan.observe(came, more, desk.pace_ppm, over_s, slope)
            desk.looked_s, desk.spent, desk.requests = now_s, spent, requests
            if desk.pacer is None:
                desk.pacer = self._pacer(campaign, terms, now_s, spent, desk)
            else:
                desk.pacer.observe(now_s, more, came)
            if desk.pacer is not None and requests - desk.since >= EVIDENCE:
                desk.pace_ppm = _share(desk.pacer, now_s)
                self._set_pace(campaign.id, desk.pace_ppm)
        self.notes.note(
            desk.plan,
            desk.pacer,
            now_s,
            spent=spent,
            pace_ppm=desk.pace_ppm,
            is_known=desk.plan.came >= EVIDENCE,
        )

    def _resumed(
        self, course: Course, terms: tuple[int, int, int], now_s: int, spent: int
    ) -> _Desk:
        pacer = resumed_pacer(course, now_s, spent, self._forecast())
        plan = resumed_plan(course, pacer, self._plans.requests, now_s)
        pace_ppm = course.noted.pace_ppm
        requests, since = self._plans.requests, course.opened_at
        return _Desk(pacer, terms, now_s, spent, requests, since, plan, pace_ppm)

    def _terms(self, campaign: Campaign, now_s: int) -> tuple[int, int, int] | None:
        """(budget, begin, end) of the plan that a campaign is in; None where it has none."""
        starts_s = campaign.starts_us // 1_000_000
        ends_s = None if campaign.ends_us is None else campaign.ends_us // 1_000_000
        if campaign.priority == "guaranteed":
            if campaign.goal_impressions is None or ends_s is None or ends_s <= now_s:
                return None
            return campaign.goal_impressions, starts_s, ends_s
        if campaign.priority != "price" or campaign.pacing != "even":
            return None
        if campaign.daily_budget is not None:
            day_s = now_s // DAY_S * DAY_S
            end_s = day_s + DAY_S if ends_s is None else min(day_s + DAY_S, ends_s)
            if end_s <= now_s:
                return None
            return campaign.daily_budget.total_nanos, max(day_s, starts_s), end_s
        if ends_s is None or ends_s <= now_s:
            return None
        return campaign.budget.total_nanos, starts_s, ends_s

    def _spent(self, campaign: Campaign, now_s: int) -> int:
        if campaign.priority == "guaranteed":
            return self._plans.sold.get(campaign.id, 0)
        if campaign.daily_budget is not None:
            return self._spending.spent_nanos(campaign.id, now_s // DAY_S)
        return campaign.budget.total_nanos - self._spending.free_nanos(campaign, now_s)

    def _pacer(
        self,
        campaign: Campaign,
        terms: tuple[int, int, int],
        now_s: int,
        spent: int,
        before: _Desk | None,
    ) -> DualPacer | ThrottlePacer | None:
        """A pacer for what is left of the budget and of the time, once there is what to pace."""
        budget, begin_s, end_s = terms
        left, begin_s = max(budget - spent, 0), max(begin_s, now_s)
        if campaign.priority == "guaranteed":
            return ThrottlePacer(left, begin_s, end_s, self._forecast())
        if not spent:
            return None
        known_ppm = 0
        if before is not None and isinstance(before.pacer, DualPacer):
            known_ppm = before.pacer.multiplier(before.looked_s)
        if known_ppm:
            return DualPacer(left, begin_s, end_s, self._forecast(), start_ppm=known_ppm)
        return DualPacer(left, begin_s, end_s, self._forecast())


def _is_of(course: Course, campaign: Campaign, terms: tuple[int, int, int], now_s: int) -> bool:
    """Whether a plan that the log tells of is of these terms."""
    budget, begin_s, end_s = terms
    note, unit = course.noted, "impressions" if campaign.priority == "guaranteed" else "nanos"
    is_same = (note.unit, note.budget, note.ends_s) == (unit, budget, end_s)
    return is_same and begin_s <= note.begins_s <= now_s


def _share(pacer: DualPacer | ThrottlePacer, now_s: int) -> int:
    share = pacer.multiplier(now_s) if isinstance(pacer, DualPacer) else pacer.share_ppm(now_s)
    return share or 1
