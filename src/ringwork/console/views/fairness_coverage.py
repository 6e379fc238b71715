"""Coverage against the plan: of the ads that count, how many are within each threshold."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET, Struct
from msgspec.structs import replace

from ringwork.console.fairness_facts import FairnessFacts
from ringwork.console.format import MISSING, count, money, plural, share
from ringwork.console.views.fairness_words import BYS, named, ppm
from ringwork.fairness.model import PPM
from ringwork.fairness.records import Coverage
from ringwork.fairness.rendering import coverage_cells


class CoverageRow(Struct, frozen=True, kw_only=True):
    """One threshold and minimum: every measure of it side by side."""

    attribute: str
    by: str
    threshold: str
    minimum: int
    ads: int
    is_estimated: bool
    proxy: str
    """Of a declared attribute empty: its share stands in ``point``."""
    point: str
    upper: str
    expected: str
    """Of an estimated attribute: in truth, as far as anybody can know."""
    by_impressions: str
    by_spend: str
    """``expected`` weighted; of a declared attribute, ``point``."""
    proxy_share: float | None
    point_share: float | None
    upper_share: float | None
    title: str


def coverage_rows(facts: FairnessFacts) -> list[CoverageRow]:
    """The table, attributes in the order of the tabs."""
    order = [attribute for attribute, _ in facts.ways]
    return sorted(
        (_coverage(one) for one in coverage_cells(facts.coverage)),
        key=lambda one: (order.index(one.attribute), one.by),
    )


def left_out(facts: FairnessFacts) -> str:
    """What counts in no row."""
    left = facts.excluded
    least = count(min(facts.plan.minimum_impressions, default=0))
    if not left.ads:
        return f"Left out: none. Every ad of the period had {least} impressions or more."
    return (
        f"Left out: {plural(left.ads, 'ad')} below {least} impressions, together "
        f"{plural(left.impressions, 'impression')} and {money(left.spend_nanos, facts.currency)}."
    )


def _coverage(cells: Mapping[str, Coverage | None]) -> CoverageRow:
    proxy, point, upper = cells["proxy"], cells["deattenuated"], cells["interval_upper"]
    assert proxy is not None
    is_estimated = point is not None
    best = (cells["expected"] or point) if is_estimated else proxy
    row = CoverageRow(
        attribute=proxy.attribute,
        by=BYS[proxy.by],
        threshold=ppm(proxy.threshold_ppm),
        minimum=proxy.minimum_impressions,
        ads=proxy.ads,
        is_estimated=is_estimated,
        proxy=_ppm_of(proxy) if is_estimated else "",
        point=_ppm_of(point) if is_estimated else _ppm_of(proxy),
        upper=_ppm_of(upper) if is_estimated else "",
        expected="" if cells["expected"] is None else _ppm_of(cells["expected"]),
        by_impressions=_weighted(best, "impressions_share_ppm"),
        by_spend=_weighted(best, "spend_share_ppm"),
        proxy_share=_share_of(proxy) if is_estimated else None,
        point_share=_share_of(point if is_estimated else proxy),
        upper_share=_share_of(upper),
        title="",
    )
    said = f"{row.point} per cent of {row.ads} ads"
    if is_estimated:
        said = (
            f"between {row.proxy} (proxy) and {row.point} per cent (de-attenuated) of {row.ads} "
            f"ads, {row.upper} with their whole interval"
            f"{f', {row.expected} expected in truth' if row.expected else ''}"
        )
    title = (
        f"{named(row.attribute)} {row.by}, {row.minimum} impressions or more, within "
        f"{row.threshold} per cent: {said}"
    )
    return replace(row, title=title)


def _ppm_of(row: Coverage | None) -> str:
    return MISSING if row is None or row.share_ppm is None else share(row.share_ppm, PPM)


def _share_of(row: Coverage | None) -> float | None:
    return None if row is None or row.share_ppm is None else row.share_ppm / PPM


def _weighted(row: Coverage | None, member: str) -> str:
    value = UNSET if row is None else getattr(row, member)
    return share(value, PPM) if isinstance(value, int) else MISSING
