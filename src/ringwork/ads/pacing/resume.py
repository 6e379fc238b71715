"""A plan and its pacer as they were before a restart, from what the log tells of them.

What a pacer has learned is not written down; what matters of it is in its notes. How far the plan
is says how many requests it still expected, hence the level of traffic; its reach, what a request
costs at the whole bid. It goes on with the multiplier that it had and learns again from there how
spend answers it, within minutes.
"""

from __future__ import annotations

from typing import Final

from ringwork.ads.pacing.controller import ONE_PPM, DualPacer
from ringwork.ads.pacing.curve import Forecast
from ringwork.ads.pacing.notes import RECENT_S, Plan, slope_of
from ringwork.ads.pacing.plans import Course
from ringwork.ads.pacing.throttle import ThrottlePacer, ThrottleState
from ringwork.ads.pacing.traffic import Curve, Flat

_LEVEL_LIMITS: Final = (1e-6, 1e12)
"""No traffic is farther from any forecast; a note's rounding must not make it so."""


def resumed_pacer(
    course: Course, now_s: int, spent: int, forecast: Forecast | None
) -> DualPacer | ThrottlePacer | None:
    """The pacer of a plan that is under way; None where it had bought nothing by its last note."""
    note = course.noted
    if note.unit == "impressions":
        state = ThrottleState(
            budget_nanos=max(note.budget - course.opened, 0),
            start_s=note.begins_s,
            end_s=note.ends_s,
            adjusted_s=now_s,
            spent_nanos=spent - course.opened,
            rate=note.pace_ppm / ONE_PPM,
        )
        return ThrottlePacer.restored(state, forecast)
    if not note.spent or not spent:
        return None
    return DualPacer(
        max(note.budget - spent, 0),
        now_s,
        note.ends_s,
        forecast,
        start_ppm=note.pace_ppm,
        level=_level(course, forecast or Flat()),
    )


def resumed_plan(
    course: Course, pacer: DualPacer | ThrottlePacer | None, requests: int, now_s: int
) -> Plan:
    """The plan itself, with the requests that came until the log ended."""
    note = course.noted
    plan = Plan(
        note.campaign_id,
        note.begins_s,
        note.ends_s,
        note.budget,
        course.opened,
        came=requests - course.opened_at,
        noted_s=min(course.noted_s, now_s),
    )
    ahead = _ahead(course)
    if note.reach is not None and ahead and pacer is not None:
        recent_s = min(max(course.noted_s - note.begins_s, 1), RECENT_S)
        recent = course.came * recent_s / max(course.noted_s - note.begins_s, 1)
        plan.recent_whole = recent * (note.pace_ppm / ONE_PPM) ** slope_of(pacer)
        plan.recent_spent = plan.recent_whole * (note.reach - note.spent) / ahead
    return plan


def _ahead(course: Course) -> float | None:
    """Requests that were expected from the last note to the end; None where it does not say."""
    note, came = course.noted, course.came
    if note.unit == "impressions":
        passed_s = max(course.noted_s - note.begins_s, 1)
        return came * max(note.ends_s - course.noted_s, 0) / passed_s
    left, done = note.budget - note.due, note.due - course.opened
    if came <= 0 or left <= 0 or done <= 0:
        return None
    return came * left / done  # due is the budget in the proportion of came to ahead


def _level(course: Course, curve: Curve) -> float | None:
    """Traffic over forecast."""
    ahead = _ahead(course)
    foreseen = curve.between(course.noted_s, course.noted.ends_s)
    if ahead is None or foreseen <= 0.0:
        return None
    low, high = _LEVEL_LIMITS
    return min(max(ahead / foreseen, low), high)
