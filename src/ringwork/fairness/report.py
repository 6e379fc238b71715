"""The compliance report of a period, from an audited log: one document, as HTML, JSON and CSV.

Every number in it was recomputed from the log by the audit; what the log merely states is marked.
A figure of an estimated attribute is the pair of proxy and de-attenuated with its interval in all
three forms.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from ringwork.fairness.audit import Auditor
from ringwork.fairness.coverage import cost, coverage, excluded, is_counted, levelling_down
from ringwork.fairness.reach import told
from ringwork.fairness.recompute import Computed, Recomputation
from ringwork.fairness.records import (
    ArmCost,
    By,
    Cost,
    Coverage,
    Excluded,
    LevellingDown,
    Plan,
    Pooled,
    Reach,
    Tables,
)

FORMAT: Final = "ringwork-fairness-report-1"
MICRO: Final = 1_000_000
ASSUMPTIONS: Final = (
    "De-attenuated figures assume calibrated posteriors and delivery independent of (surname, area)"
    " given race; if skew follows geography, the proxy sees more of it than this corrects for.",
    "The band repeats the estimate for the plan's degrees of miscalibration and shows the widest.",
    "Sums carry privacy noise, and are corrected to add up to the impressions that were billed.",
    "An ad of the period without a figure for its newest release counts as not within a threshold.",
    "A log proves what was recorded, not that the noise was drawn or the events were all recorded.",
)
Verdict = Literal["inside", "outside", "undecided", "none"]


class Span(Struct, frozen=True):
    """An interval in 1e-9."""

    low_ppb: int
    high_ppb: int


class AdFigure(Struct, frozen=True, kw_only=True):
    """One attribute of one ad: a direct figure, or the pair; never both."""

    ad: str
    advertiser: str
    category: str
    attribute: str
    by: By
    episode: int
    impressions: int
    spend_nanos: int
    segments: int
    is_excluded: bool
    """Below the smallest minimum: in no coverage."""
    direct_ppb: int | None = None
    proxy_ppb: int | None = None
    deattenuated_ppb: int | None = None
    interval: Span | None = None
    band: Span | None = None
    is_recomputed: bool = True
    """False: the de-attenuated half stands as the log states it."""
    verdict: Verdict = "none"
    """Against the plan's widest threshold."""


class Privacy(Struct, frozen=True, kw_only=True):
    """What the releases of one ad cost; all that were declared are paid for from the start."""

    ad: str
    releases: int
    """Of its newest segment, as ``releases_max``: an ad costs what its dearest segment costs."""
    releases_max: int
    sigma: str
    epsilon: float
    """A person's attributes are replaced."""
    epsilon_add_remove: float | None
    epsilon_max: float
    epsilon_left: float
    delta: str
    is_spent: bool
    """No release is left: the ad is measured until its last one."""


class Intervention(Struct, frozen=True, kw_only=True):
    """What an authorised person did."""

    time_us: int
    ad: str
    action: str
    who: str
    reason: str


class Blurred(Struct, frozen=True, kw_only=True):
    """What a figure of an estimated attribute was corrected with."""

    attribute: str
    source: str
    pool_size: int
    condition: float
    draws_sha256: str


class Document(Struct, frozen=True, kw_only=True):
    """The whole report."""

    format: str = FORMAT
    log: str
    period: str
    plan: str
    thresholds_ppm: tuple[int, ...]
    minimum_impressions: tuple[int, ...]
    inclusive: bool
    as_of_us: int
    """Time of the newest record; a report reads no clock."""
    software_version: str
    head: str
    verdict: str
    findings: tuple[str, ...]
    unsigned: int
    figures_unverifiable: int
    """Of those shown: the de-attenuated half is as stated."""
    is_test_entropy: bool
    demo_tables: bool
    tables: tuple[Tables, ...]
    coverage: tuple[Coverage, ...]
    excluded: Excluded
    cost: Cost | None
    reach: tuple[Reach, ...]
    levelling_down: tuple[LevellingDown, ...]
    levelling_down_pooled: tuple[Pooled, ...]
    arm_costs: tuple[ArmCost, ...]
    is_reach_recomputed: bool
    """False: reach stands as the log's report states it."""
    figures: tuple[AdFigure, ...]
    privacy: tuple[Privacy, ...]
    interventions: tuple[Intervention, ...]
    models: tuple[Blurred, ...]
    assumptions: tuple[str, ...] = ASSUMPTIONS


def document_of(auditor: Auditor) -> Document:
    """The report of the newest period of a log that was read to its end."""
    state, found = auditor.state, auditor.found
    plan, genesis = state.plan, auditor.genesis
    assert plan is not None
    assert genesis is not None
    arm = told(state)
    stated = auditor.report.reach if auditor.report is not None and not arm.is_told else ()
    paid = cost(state)
    return Document(
        log=genesis.log,
        period=plan.period,
        plan=plan.name,
        thresholds_ppm=plan.thresholds_ppm,
        minimum_impressions=plan.minimum_impressions,
        inclusive=plan.inclusive,
        as_of_us=auditor.time_us,
        software_version=genesis.software_version,
        head=found.head.line() if found.head is not None else "",
        verdict=found.word,
        findings=tuple(f"record {one.seq}: {one.detail}" for one in found.findings),
        unsigned=found.unsigned,
        figures_unverifiable=sum(not one.is_verifiable for *_, one in state.figures()),
        is_test_entropy=genesis.entropy == "test",
        demo_tables=any(one.demo_tables for one in state.tables),
        tables=tuple(state.tables),
        coverage=tuple(coverage(state, plan)),
        excluded=excluded(state, plan),
        cost=None if paid is UNSET else paid,
        reach=arm.reach or stated,
        levelling_down=arm.levelling_down or tuple(levelling_down(stated)),
        levelling_down_pooled=arm.levelling_down_pooled,
        arm_costs=arm.arm_costs,
        is_reach_recomputed=not stated,
        figures=tuple(_figures(state, plan)),
        privacy=tuple(privacy_rows(state)),
        interventions=tuple(
            Intervention(
                time_us=time_us, ad=one.ad, action=one.action, who=one.who, reason=one.reason
            )
            for time_us, one in auditor.overrides
        ),
        models=tuple(
            Blurred(
                attribute=one.attribute,
                source=one.source,
                pool_size=one.pool_size,
                condition=one.condition_milli / 1000,
                draws_sha256=one.draws_sha256,
            )
            for one in state.models.values()
        ),
        assumptions=(*ASSUMPTIONS, *_of_eligible(state, plan), *_of_models(state, plan)),
    )


def _of_eligible(state: Recomputation, plan: Plan) -> list[str]:
    """What protects those who were eligible, or that nothing does."""
    exact = sum(
        any(one.noise_ppb == 0 for segment in flight.parts for one in segment.ad.eligible.values())
        for _, flight in state.of_period()
    )
    found = []
    if plan.eligible_epsilon_micro:
        found.append(
            f"Who was eligible is a noisy release, once in {plan.eligible_window_days} days for all"
            f" ads of an audience: at most epsilon {plan.eligible_epsilon_micro / MICRO:.2f} "
            "(replace) for each audience that a person is in, beside what ads cost. Intervals hold "
            "its noise."
        )
    if exact:
        found.append(
            f"Of {exact} ads who was eligible is stated without privacy noise: whoever knows that "
            "two audiences differ by one person learns that person's groups."
        )
    return found


def _of_models(state: Recomputation, plan: Plan) -> list[str]:
    """What protects those whom the proxy's blur was learned from, or that nothing does."""
    found = []
    if plan.model_epsilon_micro:
        found.append(
            "How the proxy blurs groups is a noisy release about everybody who is described, at "
            f"most once in {plan.eligible_window_days} days: at most epsilon "
            f"{plan.model_epsilon_micro / MICRO:.2f} (replace), beside what audiences and ads "
            "cost. Intervals hold its noise."
        )
    exact = sorted(
        name
        for name, one in state.models.items()
        if one.source == "implied" and (one.sigma is UNSET or Fraction(one.sigma) == 0)
    )
    if exact:
        found.append(
            f"How the proxy blurs {', '.join(exact)} is stated without privacy noise: whoever knows"
            " the posteriors of all others learns one person's."
        )
    return found


def _figures(state: Recomputation, plan: Plan) -> list[AdFigure]:
    return [
        figure_row(state, plan, (ad, attribute, by), figure)
        for ad, attribute, by, figure in state.figures()
    ]


def figure_row(
    state: Recomputation, plan: Plan, what: tuple[str, str, By], figure: Computed
) -> AdFigure:
    """One figure of a period as it is told: ``what`` is ad, attribute and way of counting."""
    name, attribute, by = what
    flight = state.flights[name]
    smallest = min(plan.minimum_impressions, default=0)
    row = AdFigure(
        ad=name,
        advertiser=flight.ad.advertiser,
        category=flight.ad.category,
        attribute=attribute,
        by=by,
        episode=figure.episode,
        impressions=figure.impressions,
        spend_nanos=flight.spend_nanos,
        segments=len(flight.released()),
        is_excluded=not is_counted(flight, smallest, inclusive=plan.inclusive),
        is_recomputed=figure.is_verifiable,
    )
    if attribute in plan.estimated:
        point = figure.deattenuated_ppb
        row = replace(
            row,
            proxy_ppb=figure.proxy_ppb,
            deattenuated_ppb=None if point is UNSET else point,
            interval=_span(figure.interval_ppb),
            band=_span(figure.band_ppb),
        )
    else:
        interval = state.direct(name, attribute, by)
        row = replace(row, direct_ppb=figure.proxy_ppb, interval=_span(interval))
    return replace(row, verdict=_verdict(row, max(plan.thresholds_ppm, default=0) * 1000))


def _span(interval: tuple[int, int] | UnsetType | None) -> Span | None:
    return None if interval is None or interval is UNSET else Span(*interval)


def _verdict(row: AdFigure, bound_ppb: int) -> Verdict:
    """By the interval, the band where there is one: what it straddles is undecided.

    A declared figure whose noise is not recorded is taken as it stands, as coverage takes it.
    """
    span = row.band or row.interval
    if span is None and row.direct_ppb is not None:
        span = Span(row.direct_ppb, row.direct_ppb)
    return verdict_of(span, bound_ppb)


def verdict_of(span: Span | None, bound_ppb: int) -> Verdict:
    """What an interval says of a threshold; one that straddles it says nothing yet."""
    if span is None:
        return "none"
    if span.high_ppb <= bound_ppb:
        return "inside"
    return "outside" if span.low_ppb > bound_ppb else "undecided"


def privacy_rows(state: Recomputation) -> list[Privacy]:
    """Of every ad with a budget record, in their order."""
    most = 0 if state.plan is None else state.plan.epsilon_micro
    rows = []
    for name, flight in state.flights.items():
        budget = flight.budget
        if budget is None:
            continue
        both = budget.epsilon_add_remove_micro
        releases = flight.parts[-1].releases
        rows.append(
            Privacy(
                ad=name,
                releases=releases,
                releases_max=budget.events,
                sigma=budget.sigma,
                epsilon=budget.epsilon_micro / MICRO,
                epsilon_add_remove=None if both is UNSET else both / MICRO,
                epsilon_max=most / MICRO,
                epsilon_left=(most - budget.epsilon_micro) / MICRO,
                delta="" if budget.delta is UNSET else budget.delta,
                is_spent=releases >= budget.events,
            )
        )
    return rows
