"""One housing, job or credit ad: its figures over time, what steers it, and who took over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from ringwork.console.fairness_facts import AdFacts
from ringwork.console.format import (
    MISSING,
    between,
    count,
    money,
    plural,
    stamp,
)
from ringwork.console.pages import Bold, Page, Sentence, say
from ringwork.console.views.fairness_cost import LevelledRow, ReachRow, levelled, reach_row
from ringwork.console.views.fairness_history import (
    History,
    Steering,
    blocks,
    history,
    micro,
    plain_micro,
    steering,
)
from ringwork.console.views.fairness_words import (
    BYS,
    CATEGORIES,
    CROSSED,
    FigureCell,
    ad_href,
    cell,
    group_words,
    in_words,
    named,
    points,
    ppb,
    scale_end,
    thresholds,
)
from ringwork.console.views.figures import Figure
from ringwork.fairness.chronicle import Shifted
from ringwork.fairness.mix import GroupShare, Mix
from ringwork.fairness.records import Override, Plan
from ringwork.fairness.report import AdFigure

_WORDS: Final = {
    "pause": "paused: no shift",
    "resume": "the controller decides",
    "set": "shifts set by hand",
}


class NamedFigure(Struct, frozen=True, kw_only=True):
    """One figure of now."""

    attribute: str
    by: str
    figure: FigureCell


class ShareRow(Struct, frozen=True, kw_only=True):
    """One group of one segment: who was eligible, who saw it."""

    group: str
    eligible: str
    counted: str
    delivered: str
    difference: str
    """In points; of an estimated attribute as the proxy shows it."""
    deattenuated: str
    interval: str


class MixBody(Struct, frozen=True, kw_only=True):
    """One attribute of one segment."""

    attribute: str
    is_estimated: bool
    segment: int
    impressions: int
    unknown: int
    rows: list[ShareRow]


class SegmentRow(Struct, frozen=True, kw_only=True):
    """One audience of the ad."""

    number: int
    since: str
    releases: int
    impressions: int
    spent: str
    is_open: bool


class OverrideRow(Struct, frozen=True, kw_only=True):
    """What a person did to the controller."""

    when: str
    action: str
    words: str
    who: str
    reason: str
    shifts: str


class ShiftInput(Struct, frozen=True, kw_only=True):
    """A field of the form that sets shifts."""

    name: str
    label: str
    value: str


class FairnessAd(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    ad: str
    href: str
    campaign_href: str
    category: str
    advertiser: str
    is_demo: bool
    is_test_entropy: bool
    is_in_period: bool
    figures: list[Figure]
    now: list[NamedFigure]
    end: float
    thresholds: list[float]
    histories: list[History]
    steering: list[Steering]
    shift_reason: str
    is_held: bool
    state: str
    state_tag: str
    mixes: list[MixBody]
    segments: list[SegmentRow]
    overrides: list[OverrideRow]
    levelled: list[LevelledRow]
    """Against its control arm, once its last release told of it."""
    reach: list[ReachRow]
    inputs: list[ShiftInput]
    key: str
    set_key: str
    """Of the second form: each form is one decision."""
    sent: str
    """Which action came back with faults."""
    faults: Mapping[str, str]
    typed: str
    trouble: str


def fairness_ad(
    facts: AdFacts,
    *,
    key: str = "",
    set_key: str = "",
    faults: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
    trouble: str = "",
    status: int = 200,
    done: str = "",
) -> Page:
    """The page; ``faults`` say what is wrong with the form that was sent, ``typed`` what it said.

    ``key`` is empty for who may not take a controller's place.
    """
    bounds = thresholds(facts.plan.thresholds_ppm)
    now = [_now(one, facts.plan) for one in facts.figures]
    tag, state = _state(facts)
    newest = facts.shifts[-1] if facts.shifts else None
    return Page(
        name="fairness_ad",
        title="Fairness of",
        subject=facts.name,
        question="does it reach who was eligible, and what steers it?",
        answer=_answer(facts),
        now_us=facts.now_us,
        body=FairnessAd(
            ad=facts.ad,
            href=ad_href(facts.ad),
            campaign_href=facts.campaign_href,
            category=CATEGORIES.get(facts.flight.ad.category, facts.flight.ad.category),
            advertiser=facts.flight.ad.advertiser,
            is_demo=facts.is_demo,
            is_test_entropy=facts.is_test_entropy,
            is_in_period=facts.flight.is_in_period,
            figures=_figures(facts),
            now=now,
            end=scale_end([one.figure.estimate for one in now], bounds),
            thresholds=bounds,
            histories=[
                history(number, what, points, facts)
                for number, (what, points) in enumerate(facts.points.items())
            ],
            steering=steering(facts),
            shift_reason=facts.shift_reason,
            is_held=newest is not None and newest.held,
            state=state,
            state_tag=tag,
            mixes=[
                _mix(attribute, one, facts.plan)
                for attribute, found in facts.mixes.items()
                for one in found
            ],
            segments=_segments(facts),
            overrides=[_override(when, one) for when, one in facts.overrides],
            levelled=[levelled(one) for one in facts.arm.levelling_down],
            reach=[reach_row(one) for one in facts.arm.reach],
            inputs=_inputs(facts, newest, typed or {}),
            key=key,
            set_key=set_key,
            sent=(typed or {}).get("action", ""),
            faults=faults or {},
            typed=(typed or {}).get("reason", ""),
            trouble=trouble,
        ),
        notes=_notes(facts),
        command=f"ringwork fairness audit {facts.file}",
        status=status,
        done=done,
    )


def _notes(facts: AdFacts) -> tuple[str, ...]:
    flight = facts.flight
    notes = [CATEGORIES.get(flight.ad.category, flight.ad.category)]
    if flight.ad.advertiser:
        notes.append(f"advertiser {flight.ad.advertiser}")
    if facts.plan.period:
        notes.append(f"period {facts.plan.period}")
    return (*notes, f"as of {stamp(facts.now_us)}")


def _answer(facts: AdFacts) -> Sentence:
    by_impressions = [
        one
        for one in facts.figures
        if one.by == "impressions" and CROSSED not in one.attribute  # the table has them
    ]
    if not by_impressions:
        if facts.flight.is_in_period:
            return say("Its newest release gave no figure: nobody of a known group was reached.")
        return say("No release of it in this period yet, so there is no figure.")
    parts: list[str | Bold] = ["Variance is "]
    for number, one in enumerate(by_impressions):
        if number:
            parts.append("; ")
        parts += [Bold(in_words(one)), f" by {named(one.attribute)}"]
    outside = [named(one.attribute) for one in by_impressions if one.verdict == "outside"]
    if outside:
        parts.append(f". All of the interval is above the widest threshold by {', '.join(outside)}")
    return say(*parts, ".")


def _figures(facts: AdFacts) -> list[Figure]:
    privacy, flight = facts.privacy, facts.flight
    releases = sum(one.releases for one in flight.parts)
    return [
        Figure(
            key="impressions", label="Impressions", value=count(flight.impressions),
            note=f"in {plural(len(flight.released()), 'segment')}, "
            f"{plural(releases, 'release')}",
        ),
        Figure(
            key="spent", label="Spent", value=money(flight.spend_nanos, facts.currency),
            note="as of its newest release",
        ),
        Figure(
            key="epsilon", label="Privacy", value=MISSING if privacy is None
            else f"ε {privacy.epsilon:.2f}",
            note="no budget record yet" if privacy is None
            else f"of {privacy.epsilon_max:.2f} for all declared releases; "
            f"{privacy.epsilon_left:.2f} left, noise sigma {privacy.sigma}",
        ),
        Figure(
            key="left", label="Releases left", value=MISSING if privacy is None
            else count(max(0, privacy.releases_max - privacy.releases)),
            note="" if privacy is None
            else "spent: the last figures stand" if privacy.is_spent
            else f"of {count(privacy.releases_max)} declared",
        ),
    ]  # fmt: skip


def _now(figure: AdFigure, plan: Plan) -> NamedFigure:
    return NamedFigure(
        attribute=named(figure.attribute),
        by=BYS[figure.by],
        figure=cell(figure, is_estimated=figure.attribute in plan.estimated),
    )


# ---- over time ----------------------------------------------------------------------------------


def _state(facts: AdFacts) -> tuple[str, str]:
    """Who decides now: the newest override, else the controller."""
    action = facts.overrides[0][1].action if facts.overrides else "resume"
    if action == "pause":
        return "warn", _WORDS[action]
    if action == "set":
        return "warn", _WORDS[action]
    if not facts.shifts:
        return "off", "not steered yet"
    if facts.shifts[-1].held:
        return "open", "the controller holds its last shift"
    return "good", "steered by the controller"


# ---- who was eligible, who saw it ---------------------------------------------------------------
def _mix(attribute: str, one: Mix, plan: Plan) -> MixBody:
    return MixBody(
        attribute=named(attribute),
        is_estimated=attribute in plan.estimated,
        segment=one.segment,
        impressions=one.impressions,
        unknown=one.unknown,
        rows=[_share(group) for group in one.groups],
    )


def _share(one: GroupShare) -> ShareRow:
    found = one.deattenuated
    return ShareRow(
        group=group_words(one.group),
        eligible=ppb(one.eligible_ppb),
        counted=count(one.counted),
        delivered=ppb(one.delivered_ppb),
        difference=points(one.delivered_ppb - one.eligible_ppb),
        deattenuated=MISSING if found is None else points(found.ppb),
        interval=MISSING
        if found is None
        else between(points(found.low_ppb), points(found.high_ppb)),
    )


def _segments(facts: AdFacts) -> list[SegmentRow]:
    last = len(facts.flight.parts) - 1
    rows = []
    for number, part in enumerate(facts.flight.parts):
        since = facts.audiences.get(part.ad.segment)
        release = part.release
        rows.append(
            SegmentRow(
                number=part.ad.segment,
                since=MISSING if since is None else stamp(since),
                releases=part.releases,
                impressions=0 if release is None else release.impressions,
                spent=money(0 if release is None else release.spend_nanos, facts.currency),
                is_open=number == last,
            )
        )
    return rows


# ---- overrides ----------------------------------------------------------------------------------
def _override(when: int, one: Override) -> OverrideRow:
    return OverrideRow(
        when=stamp(when),
        action=one.action,
        words=_WORDS[one.action],
        who=one.who,
        reason=one.reason,
        shifts=", ".join(micro(value) for value in one.lambda_micro),
    )


def _inputs(facts: AdFacts, newest: Shifted | None, typed: Mapping[str, str]) -> list[ShiftInput]:
    """One field a group, filled with what holds now."""
    places = blocks(facts.plan, facts.controlled)
    values = [0] * len(places)
    if newest is not None and len(newest.lambda_micro) == len(places):
        values = list(newest.lambda_micro)
    return [
        ShiftInput(
            name=f"lambda-{at}",
            label=f"{named(attribute)}: {group_words(group)}",
            value=typed.get(f"lambda-{at}", plain_micro(values[at])),
        )
        for at, (attribute, group) in enumerate(places)
    ]
