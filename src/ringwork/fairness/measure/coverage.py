"""The compliance table: which share of the ads stays within each threshold, and what is left out.

Coverage(tau, n) = ads of at least n impressions within tau / ads of at least n impressions, per
attribute. An estimated attribute always has three rows: as the proxy shows it, de-attenuated, and
by the upper end of the interval, which is the promise that holds although it is not known. Counted
by ads alone, big advertisers can be skipped; so each row also weighs by impressions, spend and
people. Integers throughout: an auditor gets the same digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final, Literal

from msgspec import Struct

from ringwork.fairness.model import PPM
from ringwork.fairness.plan import Plan

Measure = Literal["proxy", "deattenuated", "interval_upper"]
By = Literal["impressions", "people"]

ESTIMATED: Final[tuple[Measure, ...]] = ("proxy", "deattenuated", "interval_upper")
DECLARED: Final[tuple[Measure, ...]] = ("proxy",)
"""Of a declared attribute the proxy figure is the figure."""


class AdFigure(Struct, frozen=True, kw_only=True):
    """Variance of one ad in one attribute; None where there is no figure."""

    proxy_ppb: int | None
    deattenuated_ppb: int | None = None
    upper_ppb: int | None = None
    """Upper end of the interval, or of the band where there is one."""


class AdTotals(Struct, frozen=True, kw_only=True):
    """One ad of the period: its size, and its figures by attribute (or ``sex x race``)."""

    ad: str
    impressions: int
    people: int
    spend_nanos: int
    figures: Mapping[str, AdFigure]


class CoverageRow(Struct, frozen=True, kw_only=True):
    """One cell of the table. An ad without a figure is not within: absence is no compliance."""

    attribute: str
    by: By
    """What the variance is of: impressions, or people reached."""
    threshold_ppm: int
    minimum_impressions: int
    measure: Measure
    ads: int
    within: int
    unmeasured: int
    share_ppm: int | None
    """Of ads; None where no ad is large enough."""
    share_of_impressions_ppm: int | None
    share_of_spend_ppm: int | None
    share_of_people_ppm: int | None


class Excluded(Struct, frozen=True, kw_only=True):
    """Ads below the smallest minimum: in no row, and always printed."""

    minimum_impressions: int
    ads: int
    impressions: int
    spend_nanos: int
    people: int


def excluded(ads: Sequence[AdTotals], plan: Plan) -> Excluded:
    """What no row of the plan's table counts. ValueError for an ad that comes twice."""
    _check(ads)
    least = min(plan.minimum_impressions)
    small = [one for one in ads if not _at_least(one.impressions, least, inclusive=plan.inclusive)]
    return Excluded(
        minimum_impressions=least,
        ads=len(small),
        impressions=sum(one.impressions for one in small),
        spend_nanos=sum(one.spend_nanos for one in small),
        people=sum(one.people for one in small),
    )


def coverage(ads: Sequence[AdTotals], plan: Plan, *, by: By = "impressions") -> list[CoverageRow]:
    """Every row of the plan, in its order: attribute, threshold, minimum, measure.

    ``by`` says what the figures are of. ValueError for an ad that comes twice.
    """
    _check(ads)
    large = {
        least: [one for one in ads if _at_least(one.impressions, least, inclusive=plan.inclusive)]
        for least in plan.minimum_impressions
    }
    return [
        _row(large[least], (attribute, measure, by), threshold, least, inclusive=plan.inclusive)
        for attribute, measures in _attributes(plan)
        for threshold in plan.thresholds_ppm
        for least in plan.minimum_impressions
        for measure in measures
    ]


def intersection_name(names: Iterable[str]) -> str:
    """How an intersection of attributes is called in figures and tables."""
    return " x ".join(names)


def _attributes(plan: Plan) -> list[tuple[str, tuple[Measure, ...]]]:
    estimated = {name for name, one in plan.attributes.items() if one.measured != "declared"}
    single = [(name, ESTIMATED if name in estimated else DECLARED) for name in plan.attributes]
    crossed = [
        (intersection_name(names), ESTIMATED if estimated & set(names) else DECLARED)
        for names in plan.intersections
    ]
    return single + crossed


def _row(
    ads: Sequence[AdTotals],
    what: tuple[str, Measure, By],
    threshold_ppm: int,
    least: int,
    *,
    inclusive: bool,
) -> CoverageRow:
    attribute, measure, by = what
    found = [(one, _figure(one, attribute, measure)) for one in ads]
    limit = threshold_ppm * 1000
    inside = [
        one
        for one, figure in found
        if figure is not None and (figure <= limit if inclusive else figure < limit)
    ]

    def share(size: Callable[[AdTotals], int]) -> int | None:
        whole = sum(size(one) for one in ads)
        return round(Fraction(sum(size(one) for one in inside) * PPM, whole)) if whole else None

    return CoverageRow(
        attribute=attribute,
        by=by,
        threshold_ppm=threshold_ppm,
        minimum_impressions=least,
        measure=measure,
        ads=len(ads),
        within=len(inside),
        unmeasured=sum(figure is None for _, figure in found),
        share_ppm=share(lambda _: 1),
        share_of_impressions_ppm=share(lambda one: one.impressions),
        share_of_spend_ppm=share(lambda one: one.spend_nanos),
        share_of_people_ppm=share(lambda one: one.people),
    )


def _figure(ad: AdTotals, attribute: str, measure: Measure) -> int | None:
    found = ad.figures.get(attribute)
    if found is None or measure == "proxy":
        return None if found is None else found.proxy_ppb
    return found.deattenuated_ppb if measure == "deattenuated" else found.upper_ppb


def _at_least(impressions: int, least: int, *, inclusive: bool) -> bool:
    return impressions >= least if inclusive else impressions > least


def _check(ads: Sequence[AdTotals]) -> None:
    seen: set[str] = set()
    for one in ads:
        if one.ad in seen:
            raise ValueError(f"expected each ad once, got {one.ad} twice")
        seen.add(one.ad)
