"""Whom the ads of a campaign for housing, employment or credit reach, or why nobody can say yet."""

from __future__ import annotations

from msgspec import Struct

from ringwork.console.fairness_facts import MeasuredAd, MeasuredFacts
from ringwork.console.format import count, plural
from ringwork.console.views.fairness_words import (
    CATEGORIES,
    CROSSED,
    TAGS,
    ad_href,
    in_words,
    named,
    ppm,
)

NO_LOG = "This platform measures no ads: fairness is off, so no audit log of it is kept."
NOT_SOLD = "it is not shown now, and nothing of it was measured"
NOT_YET = "not looked at yet: a moment"
NOBODY = "its newest release gave no figure: nobody of a known group was reached"
DUE = "a release of it is due: a moment"
NOT_IN_PERIOD = "no release of it in this period yet"


class Variance(Struct, frozen=True, kw_only=True):
    """Of one attribute, as every page states it."""

    attribute: str
    words: str
    tag: str
    verdict: str


class MeasuredRow(Struct, frozen=True, kw_only=True):
    """One ad."""

    name: str
    href: str
    """Of its page of fairness; empty before the audit log knows it."""
    is_excluded: bool
    variances: list[Variance]
    reason: str
    """Why there is no figure, or none any more; empty where all is well."""


class MeasuredSection(Struct, frozen=True, kw_only=True):
    """The section of the campaign's page."""

    nothing: str
    """Why nothing of it is measured at all; then there are no rows."""
    threshold: str
    """The plan's widest, in per cent; empty before there is a plan."""
    is_demo: bool
    rows: list[MeasuredRow]
    more: int


def measured_section(facts: MeasuredFacts, category: str) -> MeasuredSection:
    """The section from its facts."""
    nothing = ""
    if not facts.has_log:
        nothing = NO_LOG
    elif not facts.is_planned:
        nothing = f"The plan in force does not cover {CATEGORIES[category]}, so it is not measured."
    elif not facts.ads:
        nothing = "It has no ad yet."
    return MeasuredSection(
        nothing=nothing,
        threshold="" if facts.threshold_ppm is None else ppm(facts.threshold_ppm),
        is_demo=facts.is_demo,
        rows=[] if nothing else [_row(one) for one in facts.ads],
        more=0 if nothing else facts.more,
    )


def _row(one: MeasuredAd) -> MeasuredRow:
    variances = [
        Variance(
            attribute=named(figure.attribute),
            words=in_words(figure),
            tag=TAGS[figure.verdict][0],
            verdict=TAGS[figure.verdict][1],
        )
        for figure in one.figures
        if CROSSED not in figure.attribute  # its page has them
    ]
    return MeasuredRow(
        name=one.ad.name,
        href=ad_href(one.ad.ad) if one.is_logged else "",
        is_excluded=any(figure.is_excluded for figure in one.figures),
        variances=variances,
        reason=_reason(one, has_figures=bool(variances)),
    )


def _reason(one: MeasuredAd, *, has_figures: bool) -> str:
    standing = one.standing
    if standing.reason:
        return f"not measured now: {standing.reason}"
    if has_figures:
        return ""
    if one.is_released:
        return NOBODY
    if standing.next_at is not None:
        if standing.impressions >= standing.next_at:
            return DUE
        waited = plural(standing.next_at, "impression")
        return f"{count(standing.impressions)} of the {waited} that its next release waits for"
    if one.is_logged:
        return NOT_IN_PERIOD
    return NOT_YET if one.ad.is_sold else NOT_SOLD
