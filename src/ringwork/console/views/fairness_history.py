"""One ad over its releases: the figures that were stated, and what its controller decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ringwork.console.fairness_charts import At, Estimate, Line
from ringwork.console.fairness_facts import AdFacts
from ringwork.console.format import (
    MINUS,
    MISSING,
    NARROW,
    between,
    minute,
    short_day,
    stamp,
)
from ringwork.console.views.fairness_words import (
    BYS,
    as_percent,
    group_words,
    in_words,
    named,
    percent_or_none,
    ppb,
)
from ringwork.fairness.chronicle import Point, Shifted
from ringwork.fairness.records import By, Plan
from ringwork.fairness.report import AdFigure, Span

MICRO: Final = 1_000_000
_DAY_US: Final = 86_400_000_000


class PointRow(Struct, frozen=True, kw_only=True):
    """One release in the table behind a chart."""

    when: str
    episode: int
    impressions: int
    proxy: str
    point: str
    interval: str


class History(Struct, frozen=True, kw_only=True):
    """One attribute over the releases."""

    id: str
    attribute: str
    by: str
    is_estimated: bool
    now: str
    points: list[At]
    marks: list[tuple[float, str]]
    title: str
    rows: list[PointRow]


class LambdaRow(Struct, frozen=True, kw_only=True):
    """What the controller decided after one release."""

    when: str
    episode: int
    values: list[str]
    held: bool


class Steering(Struct, frozen=True, kw_only=True):
    """The shifts of one attribute's groups over time."""

    id: str
    attribute: str
    groups: list[str]
    lines: list[Line]
    marks: list[tuple[float, str]]
    title: str
    rows: list[LambdaRow]


def blocks(plan: Plan, controlled: Sequence[str]) -> list[tuple[str, str]]:
    """Attribute and group of every place in a vector of shifts."""
    return [
        (one, group)
        for one in controlled
        if one in plan.attributes
        for group in plan.attributes[one]
    ]


def micro(value: int) -> str:
    """+0.001 2 in units of the ad's own value scale, to the last digit."""
    sign = MINUS if value < 0 else "+" if value else ""
    whole, rest = divmod(abs(value), MICRO)
    digits = f"{rest:06d}"
    return f"{sign}{whole:,}.{digits[:3]}{NARROW}{digits[3:]}"


def plain_micro(value: int) -> str:
    """The same as a person types it: -0.0012."""
    whole, rest = divmod(abs(value), MICRO)
    text = f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if value < 0 else text


def history(number: int, what: tuple[str, By], points: Sequence[Point], facts: AdFacts) -> History:
    """One attribute and way of counting: ``what``."""
    attribute, by = what
    is_estimated = attribute in facts.plan.estimated
    xs, marks = _axis([one.time_us for one in points])
    drawn = [
        At(x=x, estimate=_estimate(one, is_estimated=is_estimated))
        for x, one in zip(xs, points, strict=True)
    ]
    first, last = (_said(one, is_estimated=is_estimated) for one in (points[0], points[-1]))
    return History(
        id=f"history-{number}",
        attribute=named(attribute),
        by=BYS[by],
        is_estimated=is_estimated,
        now=last,
        points=drawn,
        marks=marks,
        title=f"{facts.name}, variance by {named(attribute)} {BYS[by]}: "
        f"at first {first}; now {last}",
        rows=[
            PointRow(
                when=stamp(one.time_us),
                episode=one.episode,
                impressions=one.impressions,
                proxy=ppb(one.proxy_ppb) if is_estimated else "",
                point=ppb(one.deattenuated_ppb if is_estimated else one.proxy_ppb),
                interval=MISSING
                if one.interval_ppb is None
                else between(*(ppb(end) for end in one.interval_ppb)),
            )
            for one in reversed(points)
        ],
    )


def _estimate(point: Point, *, is_estimated: bool) -> Estimate:
    if not is_estimated:
        return Estimate(proxy=None, point=as_percent(point.proxy_ppb), low=None, high=None)
    low, high = point.interval_ppb or (None, None)
    return Estimate(
        proxy=as_percent(point.proxy_ppb),
        point=percent_or_none(point.deattenuated_ppb),
        low=percent_or_none(low),
        high=percent_or_none(high),
    )


def _said(point: Point, *, is_estimated: bool) -> str:
    return in_words(
        AdFigure(
            ad="", advertiser="", category="", attribute="", by="impressions", spend_nanos=0,
            segments=0, is_excluded=False, episode=point.episode, impressions=point.impressions,
            direct_ppb=None if is_estimated else point.proxy_ppb,
            proxy_ppb=point.proxy_ppb if is_estimated else None,
            deattenuated_ppb=point.deattenuated_ppb,
            interval=None if point.interval_ppb is None else Span(*point.interval_ppb),
        )
    )  # fmt: skip


def _axis(times: Sequence[int]) -> tuple[list[float], list[tuple[float, str]]]:
    """Places from 0 to 1 by time, and the first and last moment; one alone stands at the end."""
    first, last = times[0], times[-1]
    if last <= first:
        return [1.0] * len(times), [(1.0, _moment(last, 0))]
    places = [(one - first) / (last - first) for one in times]
    return places, [(0.0, _moment(first, last - first)), (1.0, _moment(last, last - first))]


def _moment(time_us: int, span_us: int) -> str:
    """A day; with its minute where all is of two days."""
    if span_us > 2 * _DAY_US:
        return short_day(time_us)
    return f"{short_day(time_us)}, {minute(time_us)}"


def steering(facts: AdFacts) -> list[Steering]:
    """One chart an attribute; none where the shifts are not of this plan's groups."""
    places = blocks(facts.plan, facts.controlled)
    shifts = [one for one in facts.shifts if len(one.lambda_micro) == len(places)]
    if not shifts:
        return []
    xs, marks = _axis([one.time_us for one in shifts])
    found = []
    for number, attribute in enumerate(facts.controlled):
        columns = [at for at, (name, _) in enumerate(places) if name == attribute]
        groups = [group_words(places[at][1]) for at in columns]
        newest = [shifts[-1].lambda_micro[at] for at in columns]
        said = ", ".join(
            f"{group} {micro(value)}" for group, value in zip(groups, newest, strict=True)
        )
        found.append(
            Steering(
                id=f"steering-{number}",
                attribute=named(attribute),
                groups=groups,
                lines=[
                    Line(
                        points=[
                            (x, one.lambda_micro[at] / MICRO)
                            for x, one in zip(xs, shifts, strict=True)
                        ],
                    )
                    for group, at in zip(groups, columns, strict=True)
                ],
                marks=marks,
                title=f"Shifts by {named(attribute)} after each release; now {said}",
                rows=[_lambda_row(one, columns) for one in reversed(shifts)],
            )
        )
    return found


def _lambda_row(one: Shifted, columns: Sequence[int]) -> LambdaRow:
    return LambdaRow(
        when=stamp(one.time_us),
        episode=one.episode,
        values=[micro(one.lambda_micro[at]) for at in columns],
        held=one.held,
    )
