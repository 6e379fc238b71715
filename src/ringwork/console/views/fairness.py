"""Fairness: do housing, job and credit ads reach who was eligible, and what does that cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from msgspec import Struct

from ringwork.console.fairness_facts import AdLine, Asked, FairnessFacts
from ringwork.console.format import (
    MISSING,
    NARROW,
    count,
    money,
    plural,
    stamp,
)
from ringwork.console.pages import Bold, Page, Sentence, say
from ringwork.console.views.fairness_cost import (
    CostRow,
    Frontier,
    LevelledRow,
    ReachRow,
    cost_row,
    frontier,
    levelled,
    reach_row,
)
from ringwork.console.views.fairness_coverage import CoverageRow, coverage_rows, left_out
from ringwork.console.views.fairness_words import (
    BYS,
    CATEGORIES,
    CROSSED,
    NO_FIGURE,
    FigureCell,
    ad_href,
    cell,
    named,
    ppm,
    scale_end,
    thresholds,
)
from ringwork.console.views.figures import Figure
from ringwork.fairness.records import By, LevellingDown, Pooled
from ringwork.fairness.report import Privacy, Verdict

ADDRESS: Final = "/console/fairness"
LEVELLED_MAX: Final = 12
"""Rows of reach on the page; the report has all."""
COMMAND_REPORT: Final = "ringwork fairness report"


class Tab(Struct, frozen=True, kw_only=True):
    """An attribute and a way of counting that can be looked at."""

    text: str
    href: str
    is_current: bool


class AdRow(Struct, frozen=True, kw_only=True):
    """One ad of the table."""

    ad: str
    name: str
    href: str
    category: str
    impressions: int
    figure: FigureCell | None
    tag: str
    verdict: str
    is_excluded: bool


class PrivacyRow(Struct, frozen=True, kw_only=True):
    """One ad's budget."""

    ad: str
    href: str
    epsilon: str
    epsilon_max: str
    left: str
    sigma: str
    releases: str
    share: float
    title: str
    is_spent: bool


class TableRow(Struct, frozen=True, kw_only=True):
    """Census tables that a proxy reads."""

    name: str
    sha256: str
    rows: int
    is_demo: bool


class ModelRow(Struct, frozen=True, kw_only=True):
    """How blurred a proxy is."""

    attribute: str
    source: str
    pool: int
    condition: str
    draws_sha256: str


class Fairness(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    is_empty: bool
    has_log: bool
    is_demo: bool = False
    is_test_entropy: bool = False
    figures: list[Figure] = []
    tabs: list[Tab] = []
    attribute: str = ""
    is_estimated: bool = False
    asked: Asked = Asked()
    rows: list[AdRow] = []
    end: float = 5.0
    thresholds: list[float] = []
    verdicts: str = ""
    next_href: str = ""
    previous_href: str = ""
    coverage: list[CoverageRow] = []
    coverage_when: str = ""
    excluded: str = ""
    frontier: Frontier | None = None
    reach: list[ReachRow] = []
    levelled: list[LevelledRow] = []
    costs: list[CostRow] = []
    reach_when: str = ""
    reach_more: int = 0
    privacy: list[PrivacyRow] = []
    privacy_more: int = 0
    tables: list[TableRow] = []
    models: list[ModelRow] = []
    file: str = ""
    head: str = ""


def fairness(facts: FairnessFacts | None, *, now_us: int, has_log: bool = True) -> Page:
    """The page from its facts; None before there is a plan, or without a log."""
    if facts is None:
        return _empty(now_us, has_log=has_log)
    asked = facts.asked
    bounds = thresholds(facts.plan.thresholds_ppm)
    is_estimated = asked.attribute in facts.plan.estimated
    rows = [_row(one, facts, is_estimated=is_estimated) for one in facts.lines]
    lines = coverage_rows(facts)
    shown = [one.figure.estimate for one in rows if one.figure is not None]
    reach = facts.arm.reach
    levelling: list[LevellingDown | Pooled] = [
        *facts.arm.levelling_down_pooled,
        *facts.arm.levelling_down,
    ]
    least = facts.privacy[0] if facts.privacy else None
    return Page(
        name="fairness",
        title="Fairness",
        question="Do housing, job and credit ads reach who was eligible?",
        answer=_answer(facts, lines),
        now_us=facts.now_us,
        body=Fairness(
            is_empty=not facts.ads,
            has_log=True,
            is_demo=any(one.demo_tables for one in facts.tables),
            is_test_entropy=facts.is_test_entropy,
            figures=_figures(facts, least),
            tabs=[_tab(attribute, by, asked) for attribute, by in facts.ways],
            attribute=asked.attribute,
            is_estimated=is_estimated,
            asked=asked,
            rows=rows,
            end=scale_end(shown, bounds),
            thresholds=bounds,
            verdicts=_verdicts(facts),
            next_href=_href(asked, page=asked.page + 1) if facts.has_more else "",
            previous_href=_href(asked, page=asked.page - 1) if asked.page > 1 else "",
            coverage=lines,
            coverage_when=f"as reported {stamp(facts.coverage_us)}" if facts.coverage_us else "",
            excluded=left_out(facts),
            frontier=frontier(facts, bounds, is_estimated=is_estimated),
            reach=[reach_row(one) for one in reach[:LEVELLED_MAX]],
            reach_more=max(0, len(reach) - LEVELLED_MAX),
            levelled=[levelled(one) for one in levelling[:LEVELLED_MAX]],
            reach_when=f"as reported {stamp(facts.arm_us)}" if facts.arm_us else "",
            costs=[cost_row(one, facts.currency) for one in facts.arm.arm_costs[:LEVELLED_MAX]],
            privacy=[_privacy(one) for one in facts.privacy],
            privacy_more=facts.budgets - len(facts.privacy),
            tables=[
                TableRow(name=one.name, sha256=one.sha256, rows=one.rows, is_demo=one.demo_tables)
                for one in facts.tables
            ],
            models=[
                ModelRow(
                    attribute=named(one.attribute),
                    source=one.source,
                    pool=one.pool_size,
                    condition=f"{one.condition_milli / 1000:.1f}",
                    draws_sha256=one.draws_sha256,
                )
                for one in facts.models
            ],
            file=facts.file,
            head=facts.head.line() if facts.head else "",
        ),
        notes=_notes(facts, least),
        command=f"ringwork fairness audit {facts.file}",
    )


def _empty(now_us: int, *, has_log: bool) -> Page:
    return Page(
        name="fairness",
        title="Fairness",
        question="Do housing, job and credit ads reach who was eligible?",
        answer=say("No housing, employment or credit ad has been measured yet."),
        now_us=now_us,
        body=Fairness(is_empty=True, has_log=has_log),
        command="ringwork fairness tables list",
    )


def _notes(facts: FairnessFacts, least: Privacy | None) -> tuple[str, ...]:
    notes = [f"period {facts.plan.period}" if facts.plan.period else "one period"]
    if facts.plan.name:
        notes.append(f"plan {facts.plan.name}")
    if facts.log:
        notes.append(f"log {facts.log}")
    if least is not None:
        notes.append(f"privacy: ε {least.epsilon_max:.2f} an ad at most")
    return (*notes, f"as of {stamp(facts.time_us)}")


def _answer(facts: FairnessFacts, lines: Sequence[CoverageRow]) -> Sentence:
    """Of the widest threshold and the smallest minimum, each attribute by impressions."""
    if not facts.ads:
        return say(
            f"No ad has had a release in this period yet; {plural(facts.waiting, 'ad')} "
            f"{'waits' if facts.waiting == 1 else 'wait'} for one."
        )
    bound, least = max(facts.plan.thresholds_ppm), min(facts.plan.minimum_impressions)
    asked = [
        one
        for one in lines
        if one.by == BYS["impressions"]
        and (one.threshold, one.minimum) == (ppm(bound), least)
        and CROSSED not in one.attribute  # the table has them
    ]
    if not asked or not asked[0].ads:
        return say(
            f"No ad had {count(least)} impressions or more, so there is no coverage to tell; ",
            f"{plural(facts.excluded.ads, 'ad')} had fewer.",
        )
    parts: list[str | Bold] = [
        f"Of {plural(asked[0].ads, 'ad')} with {count(least)} impressions or more, variance is "
        f"within {ppm(bound)}{NARROW}% for "
    ]
    for number, one in enumerate(asked):
        if number:
            parts.append(", and for ")
        name = named(one.attribute)
        if one.is_estimated:
            parts += [
                Bold(f"between {one.proxy}{NARROW}% (proxy)"),
                " and ",
                Bold(f"{one.point}{NARROW}% (de-attenuated"),
                f"; {one.upper}{NARROW}% with their whole 95{NARROW}% interval",
            ]
            if one.expected:
                parts += ["; ", Bold(f"{one.expected}{NARROW}% expected in truth")]
            parts += [Bold(")"), f" by {name}"]
        else:
            parts += [Bold(f"{one.point}{NARROW}%"), f" by {name}"]
    return say(*parts, ".")


def _figures(facts: FairnessFacts, least: Privacy | None) -> list[Figure]:
    excluded, cost = facts.excluded, facts.cost
    each = None if cost is None else cost.per_thousand_people_nanos
    counted = facts.ads - excluded.ads
    return [
        Figure(
            key="ads", label="Ads in coverage", value=count(counted),
            note=f"of {plural(facts.ads, 'ad')} with a release in the period"
            + (f", {count(facts.waiting)} without" if facts.waiting else ""),
        ),
        Figure(
            key="excluded", label="Left out", value=count(excluded.ads),
            note=f"{plural(excluded.impressions, 'impression')}, "
            f"{money(excluded.spend_nanos, facts.currency)}",
        ),
        Figure(
            key="thousand", label="Per 1,000 people",
            value=MISSING if each is None else money(each, facts.currency),
            note="unique people, noisy",
        ),
        Figure(
            key="privacy", label="Least privacy left",
            value=MISSING if least is None else f"ε {least.epsilon_left:.2f}",
            note="no ad has a budget yet" if least is None
            else f"of {least.epsilon_max:.2f}; {plural(facts.spent, 'ad')} with no release left",
        ),
    ]  # fmt: skip


def _tab(attribute: str, by: By, asked: Asked) -> Tab:
    text = named(attribute)
    return Tab(
        text=(text[:1].upper() + text[1:]) + ("" if by == "impressions" else ", by people"),
        href=_href(Asked(attribute=attribute, by=by, sort=asked.sort)),
        is_current=(attribute, by) == (asked.attribute, asked.by),
    )


def _href(asked: Asked, *, page: int = 1) -> str:
    members = {
        "attribute": asked.attribute,
        "by": "" if asked.by == "impressions" else asked.by,
        "sort": "" if asked.sort == "impressions" else asked.sort,
        "page": str(page) if page > 1 else "",
    }
    query = urlencode({name: value for name, value in members.items() if value})
    return f"{ADDRESS}?{query}" if query else ADDRESS


def _row(line: AdLine, facts: FairnessFacts, *, is_estimated: bool) -> AdRow:
    figure = None if line.figure is None else cell(line.figure, is_estimated=is_estimated)
    tag, verdict = NO_FIGURE if figure is None else (figure.tag, figure.verdict)
    return AdRow(
        ad=line.ad,
        name=line.name,
        href=ad_href(line.ad),
        category=CATEGORIES.get(line.category, line.category),
        impressions=line.impressions,
        figure=figure,
        tag=tag,
        verdict=verdict,
        is_excluded=line.is_excluded,
    )


def _verdicts(facts: FairnessFacts) -> str:
    """Of all ads in coverage, not of the shown ones alone."""
    told: tuple[Verdict, ...] = ("inside", "outside", "undecided")
    parts = [f"{count(facts.verdicts.get(one, 0))} {one}" for one in told if facts.verdicts]
    without = facts.verdicts.get("none", 0)
    return ", ".join([*parts, *([f"{count(without)} without a figure"] if without else [])])


def _privacy(one: Privacy) -> PrivacyRow:
    return PrivacyRow(
        ad=one.ad,
        href=ad_href(one.ad),
        epsilon=f"{one.epsilon:.2f}",
        epsilon_max=f"{one.epsilon_max:.2f}",
        left=f"{one.epsilon_left:.2f}",
        sigma=one.sigma,
        releases=f"{count(one.releases)} of {count(one.releases_max)}",
        share=one.epsilon / one.epsilon_max if one.epsilon_max else 1.0,
        title=f"{one.ad}: epsilon {one.epsilon:.2f} of {one.epsilon_max:.2f}",
        is_spent=one.is_spent,
    )
