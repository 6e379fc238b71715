"""What fairness costs: the period's ads by cost and variance, and who was reached without it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType

from ringwork.console.fairness_charts import At, Estimate
from ringwork.console.fairness_facts import FairnessFacts, Priced
from ringwork.console.format import MISSING, between, money, plural, share
from ringwork.console.views.fairness_words import (
    DEATTENUATED,
    PROXY,
    FigureCell,
    ad_href,
    cell,
    group_words,
    named,
    scale_end,
)
from ringwork.fairness.model import PPM
from ringwork.fairness.records import (
    Against,
    ArmCost,
    CountedIn,
    Levelled,
    LevellingDown,
    Pooled,
    Reach,
)


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
    """What 1,000 people cost in the control arm, where it counts people."""
    title: str


class CostRow(Struct, frozen=True, kw_only=True):
    """What 1,000 of everybody, or of one group, cost; of an estimated one both halves."""

    of: str
    attribute: str
    steered: tuple[str, ...]
    control: tuple[str, ...]


class ReachRow(Struct, frozen=True, kw_only=True):
    """One group of one ad: how many were reached, against no control."""

    ad: str
    href: str
    attribute: str
    group: str
    ratio: float | None
    """To be drawn; None of an estimated group, which is never one number."""
    text: tuple[str, ...]
    tag: str
    verdict: str
    title: str


class LevelledRow(Struct, frozen=True, kw_only=True):
    """How much of the change of an ad, or of all, came from reaching fewer."""

    ad: str
    attribute: str
    index: tuple[str, ...]
    removed: tuple[str, ...]
    held_back: str


def frontier(
    facts: FairnessFacts, bounds: Sequence[float], *, is_estimated: bool
) -> Frontier | None:
    """The plot of cost; None where nobody said how many people were reached."""
    if not facts.priced or facts.cost is None:
        return None
    without = _control_nanos(facts.arm.arm_costs)
    furthest = 1.1 * max([*(one.per_thousand_nanos for one in facts.priced), without or 0, 1])
    rows = [_priced(one, furthest, facts.currency, is_estimated) for one in facts.priced]
    estimates = [one.at.estimate for one in rows]
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
    )


def _control_nanos(costs: Sequence[ArmCost]) -> int | None:
    """Of 1,000 people in the control arm; None where it counts something else, as days."""
    found = [one for one in costs if not one.group and one.counted_in == "people"]
    return found[0].cost.uncontrolled if found else None


def cost_row(one: ArmCost, currency: str) -> CostRow:
    """With control and without."""
    halves = [one.cost] if one.deattenuated is UNSET else [one.cost, one.deattenuated]
    return CostRow(
        of=f"1,000 {counted_words(one.counted_in)}"
        + (f": {group_words(one.group)}" if one.group else ""),
        attribute=named(one.attribute) if one.attribute else "",
        steered=_pair([_money(half, "controlled", currency) for half in halves]),
        control=_pair([_money(half, "uncontrolled", currency) for half in halves]),
    )


def counted_words(counted_in: CountedIn) -> str:
    """As it is read."""
    return {"person-days": "person-days", "people": "people"}.get(counted_in, "counted impressions")


def _money(one: Against, which: str, currency: str) -> str:
    value, interval = getattr(one, which), getattr(one, f"{which}_interval")
    text = MISSING if value is None else money(value, currency)
    if interval is UNSET:
        return text
    return f"{text} ({between(*(money(end, currency) for end in interval))})"


def _pair(texts: Sequence[str]) -> tuple[str, ...]:
    """Of an estimated attribute never one of them alone."""
    if len(texts) == 1:
        return (texts[0],)
    return tuple(f"{text} {what}" for text, what in zip(texts, (PROXY, DEATTENUATED), strict=True))


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
    seen = Against(
        controlled=one.reach_ppb,
        uncontrolled=one.without_control_ppb,
        controlled_interval=one.reach_interval_ppb,
        uncontrolled_interval=one.without_control_interval_ppb,
    )
    halves = [seen] if one.deattenuated is UNSET else [seen, one.deattenuated]
    ratios = [_ratio(half) for half in halves]
    text = _pair([MISSING if ratio is None else f"{ratio:.2f}" for ratio in ratios])
    tag, verdict = _verdict(halves[-1], ratios[-1])
    group = group_words(one.group)
    unit = "people" if one.counted_in is UNSET else counted_words(one.counted_in)
    return ReachRow(
        ad=one.ad,
        href=ad_href(one.ad),
        attribute=named(one.attribute),
        group=group,
        ratio=ratios[0] if len(ratios) == 1 else None,
        text=text,
        tag=tag,
        verdict=verdict,
        title=f"{one.ad}, {group}: {', '.join(text)} times the {unit} reached without steering",
    )


def _ratio(one: Against) -> float | None:
    if one.controlled is None or not one.uncontrolled:
        return None
    return one.controlled / one.uncontrolled


def _verdict(one: Against, ratio: float | None) -> tuple[str, str]:
    """Fewer or not, where the intervals leave no doubt."""
    now, before = one.controlled_interval, one.uncontrolled_interval
    if ratio is None:
        return "off", "nothing to compare"
    if now is not UNSET and before is not UNSET and now[0] <= before[1] and before[0] <= now[1]:
        return "off", "not clearly different"
    return ("good", "not fewer") if ratio >= 1 else ("warn", "fewer")


def levelled(one: LevellingDown | Pooled) -> LevelledRow:
    """How much of the change of an ad, or of all that have an arm, came from reaching fewer."""
    over: Sequence[str] = ()
    if isinstance(one, Pooled):
        ad, seen = f"All {one.ads:,}", one.levelled
    else:
        removed = None if one.removed_ppm is UNSET else one.removed_ppm
        seen = Levelled(
            index_ppm=one.index_ppm,
            interval_ppm=one.interval_ppm,
            removed_ppm=removed,
            removed_interval_ppm=one.removed_interval_ppm,
        )
        ad, over = one.ad, () if one.over_served is UNSET else one.over_served
    halves = [seen] if one.deattenuated is UNSET else [seen, one.deattenuated]
    return LevelledRow(
        ad=ad,
        attribute=named(one.attribute),
        index=_pair([_percent(half.index_ppm, half.interval_ppm) for half in halves]),
        removed=_pair([_percent(half.removed_ppm, half.removed_interval_ppm) for half in halves]),
        held_back=", ".join(map(group_words, over)),
    )


def _percent(point: int | None, interval: tuple[int, int] | UnsetType) -> str:
    text = MISSING if point is None else share(point, PPM)
    if interval is UNSET:
        return text
    return f"{text} ({between(*(share(end, PPM) for end in interval))})"
