"""What fairness costs: the period's ads by cost and variance, and who was reached without it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ringwork.console.fairness_charts import At, Estimate
from ringwork.console.fairness_facts import FairnessFacts, Priced
from ringwork.console.format import MISSING, NARROW, money, plural, share
from ringwork.console.views.fairness_words import (
    FigureCell,
    ad_href,
    cell,
    group_words,
    named,
    scale_end,
)
from ringwork.fairness.model import PPM
from ringwork.fairness.records import LevellingDown, Reach


class PricedRow(Struct, frozen=True, kw_only=True):
    """One ad of the plot of cost."""

    name: str
    href: str
    each: str
    figure: FigureCell
    at: At


class Frontier(Struct, frozen=True, kw_only=True):
    """Cost and fairness of the period's ads."""

    rows: list[PricedRow]
    top: float
    marks: list[tuple[float, str]]
    without: tuple[float, str] | None
    title: str
    steered: str
    control: str
    """What 1,000 people cost in the control arm; empty where there is none."""
    change: str


class ReachRow(Struct, frozen=True, kw_only=True):
    """One group of one ad: people reached, against no control."""

    ad: str
    href: str
    attribute: str
    group: str
    ratio: float
    text: str
    tag: str
    verdict: str
    title: str


class Levelled(Struct, frozen=True, kw_only=True):
    """How much of an ad's change came from reaching fewer."""

    ad: str
    attribute: str
    index: str


def frontier(
    facts: FairnessFacts, bounds: Sequence[float], *, is_estimated: bool
) -> Frontier | None:
    """The plot of cost; None where nobody said how many people were reached."""
    if not facts.priced or facts.cost is None:
        return None
    control = facts.cost.without_control_nanos
    without = control if isinstance(control, int) else None
    furthest = 1.1 * max([*(one.per_thousand_nanos for one in facts.priced), without or 0, 1])
    rows = [_priced(one, furthest, facts.currency, is_estimated) for one in facts.priced]
    estimates = [one.at.estimate for one in rows]
    each = facts.cost.per_thousand_people_nanos
    dearest = max(facts.priced, key=lambda one: one.per_thousand_nanos)
    outside = sum(one.figure.verdict == "outside" for one in rows)
    return Frontier(
        rows=rows,
        top=scale_end(estimates, bounds),
        marks=[
            (0.0, "0"),
            *[(part, money(round(furthest * part), facts.currency)) for part in (0.5, 1.0)],
        ],
        without=None
        if without is None
        else (without / furthest, f"control arm {money(without, facts.currency)}"),
        title=f"{plural(len(rows), 'ad')} by cost and variance: {outside} outside, the dearest "
        f"{dearest.name} at {money(dearest.per_thousand_nanos, facts.currency)} for 1,000 people",
        steered=MISSING if each is None else money(each, facts.currency),
        control="" if without is None else money(without, facts.currency),
        change=_change(each, without),
    )


def _change(steered: int | None, without: int | None) -> str:
    if steered is None or not without:
        return MISSING
    sign = "+" if steered >= without else ""
    return f"{sign}{share(steered - without, without)}{NARROW}%"


def _priced(one: Priced, furthest: float, currency: str, is_estimated: bool) -> PricedRow:
    figure = cell(one.figure, is_estimated=is_estimated)
    return PricedRow(
        name=one.name,
        href=ad_href(one.ad),
        each=money(one.per_thousand_nanos, currency),
        figure=figure,
        at=At(x=one.per_thousand_nanos / furthest, estimate=_thin(figure.estimate), text=one.name),
    )


def _thin(estimate: Estimate) -> Estimate:
    """As a plot of many ads has it: the band would hide its neighbours."""
    return Estimate(
        proxy=estimate.proxy, point=estimate.point, low=estimate.low, high=estimate.high
    )


def reach_row(one: Reach) -> ReachRow:
    """One group, against the control arm."""
    ratio = one.reach_ppb / one.without_control_ppb if one.without_control_ppb else 0.0
    text = f"{ratio:.2f}" if one.without_control_ppb else MISSING
    tag, verdict = ("good", "not fewer") if ratio >= 1 else ("warn", "fewer")
    if not one.without_control_ppb:
        tag, verdict = "off", "nothing to compare"
    return ReachRow(
        ad=one.ad,
        href=ad_href(one.ad),
        attribute=named(one.attribute),
        group=group_words(one.group),
        ratio=ratio,
        text=text,
        tag=tag,
        verdict=verdict,
        title=f"{one.ad}, {group_words(one.group)}: {text} times the people reached without "
        "steering",
    )


def levelled(one: LevellingDown) -> Levelled:
    """How much of an ad's change came from reaching fewer."""
    index = MISSING if one.index_ppm is None else share(one.index_ppm, PPM)
    return Levelled(ad=one.ad, attribute=named(one.attribute), index=index)
