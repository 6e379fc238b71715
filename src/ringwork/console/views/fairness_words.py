"""How figures of fairness are said and scaled: an estimated one is never a single number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from msgspec import Struct

from ringwork.console.fairness_charts import Estimate
from ringwork.console.format import MISSING, NARROW, TIMES, between, share
from ringwork.fairness.model import PPB, PPM
from ringwork.fairness.records import By
from ringwork.fairness.report import AdFigure, Span, Verdict

TAGS: Final[dict[Verdict, tuple[str, str]]] = {
    "inside": ("good", "inside"),
    "outside": ("bad", "outside"),
    "undecided": ("open", "undecided"),
    "none": ("off", "no interval"),
}
NO_FIGURE: Final = ("off", "no figure")
BYS: Final[dict[By, str]] = {"impressions": "by impressions", "people": "by people"}
CATEGORIES: Final = {"HOUSING": "housing", "EMPLOYMENT": "employment", "CREDIT": "credit"}
_GROUPS: Final = {
    "api": "Asian, Pacific",
    "aian": "American Indian, Alaska Native",
    "mult_other": "several, other",
}
CROSSED: Final = " x "
"""Between the names of attributes, or groups, that are crossed."""
PROXY: Final = "proxy"
DEATTENUATED: Final = "de-attenuated"


class FigureCell(Struct, frozen=True, kw_only=True):
    """A figure as a row of a table has it: texts in per cent without the sign."""

    is_estimated: bool
    proxy: str
    point: str
    interval: str
    band: str
    words: str
    """The whole of it in words."""
    estimate: Estimate
    tag: str
    verdict: str


def ad_href(ad: str) -> str:
    """An ad's page. Its id is whatever the log calls it, so it stands in the query."""
    return f"/console/fairness/ad?{urlencode({'id': ad})}"


def ppb(value: int | None) -> str:
    """3.1 for 31,000,000."""
    return MISSING if value is None else share(value, PPB)


def points(value: int) -> str:
    """A difference of shares, with its sign: +3.1."""
    return f"+{ppb(value)}" if value > 0 else ppb(value)


def ppm(value: int) -> str:
    """A threshold: 10, or 2.5."""
    return share(value, PPM).removesuffix(".0")


def span(value: Span | None) -> str:
    """6.0 - 10.9."""
    return MISSING if value is None else between(ppb(value.low_ppb), ppb(value.high_ppb))


def named(attribute: str) -> str:
    """An attribute as it is read."""
    plain = (one.replace("_", " ") for one in attribute.split(CROSSED))
    return f" {TIMES} ".join("race and ethnicity" if one == "race" else one for one in plain)


def group_words(group: str) -> str:
    """A group as it is read."""
    return f" {TIMES} ".join(
        _GROUPS.get(one, one.replace("_", " ")) for one in group.split(CROSSED)
    )


def in_words(figure: AdFigure) -> str:
    """The whole figure, as everywhere: "between 3.1 % (proxy) and 8.4 % (de-attenuated; ...)"."""
    interval = span(figure.interval)
    if figure.proxy_ppb is None:
        text = f"{ppb(figure.direct_ppb)}{NARROW}%"
        return f"{text} (95{NARROW}% interval {interval})" if figure.interval else text
    proxy = f"{ppb(figure.proxy_ppb)}{NARROW}% ({PROXY})"
    if figure.deattenuated_ppb is None:
        if figure.interval is None:
            return f"{proxy}; nothing is known of the truth"
        return f"{proxy}; 95{NARROW}% interval of the truth {interval}"
    point = f"{ppb(figure.deattenuated_ppb)}{NARROW}%"
    return f"between {proxy} and {point} ({DEATTENUATED}; 95{NARROW}% interval {interval})"


def cell(figure: AdFigure, *, is_estimated: bool) -> FigureCell:
    """The figure for a table and its plot."""
    tag, verdict = TAGS[figure.verdict]
    point = figure.deattenuated_ppb if is_estimated else figure.direct_ppb
    return FigureCell(
        is_estimated=is_estimated,
        proxy=ppb(figure.proxy_ppb),
        point=ppb(point),
        interval=span(figure.interval),
        band=span(figure.band),
        words=in_words(figure),
        estimate=Estimate(
            proxy=percent_or_none(figure.proxy_ppb),
            point=percent_or_none(point),
            low=None if figure.interval is None else as_percent(figure.interval.low_ppb),
            high=None if figure.interval is None else as_percent(figure.interval.high_ppb),
            band=None
            if figure.band is None
            else (as_percent(figure.band.low_ppb), as_percent(figure.band.high_ppb)),
        ),
        tag=tag,
        verdict=verdict,
    )


def as_percent(value: int) -> float:
    """For a plot."""
    return 100 * value / PPB


def percent_or_none(value: int | None) -> float | None:
    """For a plot."""
    return None if value is None else as_percent(value)


def thresholds(ppms: Sequence[int]) -> list[float]:
    """The plan's, in per cent, ascending."""
    return sorted(100 * one / PPM for one in ppms)


def scale_end(estimates: Sequence[Estimate], bounds: Sequence[float]) -> float:
    """The end of a common scale: a multiple of five above all that is drawn, at most 100."""
    reach = [1.25 * one for one in bounds]
    for one in estimates:
        ends = [one.proxy, one.point, one.high, None if one.band is None else one.band[1]]
        reach += [end for end in ends if end is not None]
    furthest = max(reach, default=5.0)
    return min(100.0, 5.0 * -(-furthest // 5.0)) or 5.0
