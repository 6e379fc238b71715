"""Coverage, what it leaves out, and what it cost: the tables of a report, from recomputed figures.

Coverage(threshold, minimum) = ads with so many impressions and variance within the threshold, of
all ads with so many impressions (specification 4.1). Where a figure cannot be shown to be within,
it is not within: an ad whose newest release has no figure counts in the denominator alone, and so
does one whose blur cannot be inverted under ``deattenuated``. ``interval_upper`` is the upper end
of the interval. ``expected`` is how many ads are within in truth, by all that was measured: the sum
of the chances of each; a count of point estimates says too much where most lie near the middle. It
is left out where no figure states a chance, as in logs without a model of the blur.
``measure.coverage`` is the same table from live figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from ringwork.fairness.flights import Flight
from ringwork.fairness.model import PPB, PPM
from ringwork.fairness.reach import told as told_by_arm
from ringwork.fairness.recompute import Computed, Recomputation, told
from ringwork.fairness.records import (
    By,
    Cost,
    Coverage,
    Excluded,
    LevellingDown,
    MeasureName,
    Plan,
    Reach,
    Report,
)

Row = tuple[str, str, int, int, str]


class _Weights(Struct):
    ads: int = 0
    impressions: int = 0
    spend_nanos: int = 0

    def add(self, flight: Flight, times: int = 1) -> None:
        self.ads += times
        self.impressions += times * flight.impressions
        self.spend_nanos += times * flight.spend_nanos


def measures_of(plan: Plan, attribute: str) -> tuple[MeasureName, ...]:
    """How an attribute is shown: a declared one directly, an estimated one never by one number."""
    if attribute in plan.estimated:
        return "proxy", "deattenuated", "interval_upper", "expected"
    return ("proxy",)


def chance_of(figure: Computed | None, measure: MeasureName, plan: Plan, threshold: int) -> int:
    """In 1e-6 that an ad is within: one or nothing, unless it is a chance that is asked for."""
    if figure is None:
        return 0
    if measure == "expected":
        chances = figure.within_ppm
        if chances is UNSET or len(chances) != len(plan.thresholds_ppm):
            return 0
        return chances[plan.thresholds_ppm.index(threshold)]
    value, bound = value_of(figure, measure), threshold * (PPB // PPM)
    return PPM * (value is not None and is_within(value, bound, inclusive=plan.inclusive))


def value_of(figure: Computed, measure: MeasureName) -> int | None:
    """What is held against a threshold; None: nothing can be shown."""
    if measure == "proxy":
        return figure.proxy_ppb
    if measure == "interval_upper":
        return None if figure.interval_ppb is UNSET else figure.interval_ppb[1]
    return None if figure.deattenuated_ppb is UNSET else figure.deattenuated_ppb


def is_within(value: int, bound: int, *, inclusive: bool) -> bool:
    """Whether a variance is at most the bound, or below it."""
    return value < bound or (value == bound and inclusive)


def is_counted(flight: Flight, minimum: int, *, inclusive: bool) -> bool:
    """Whether an ad had at least so many impressions, or more than so many."""
    return flight.impressions > minimum or (flight.impressions == minimum and inclusive)


def coverage(state: Recomputation, plan: Plan) -> list[Coverage]:
    """Every row that the plan asks for, by the names of attributes.

    A plan that was read back has lost the order that they were written in.
    """
    people, chances = set[str](), set[tuple[str, By]]()
    for _, attribute, by, figure in state.figures():
        if by == "people":
            people.add(attribute)
        if figure.within_ppm is not UNSET:
            chances.add((attribute, by))
    ways: tuple[By, ...] = ("impressions", "people")
    return [
        coverage_row(state, plan, (by, attribute, threshold, minimum, measure))
        for by in ways
        for attribute in sorted(plan.attributes)
        if by == "impressions" or attribute in people
        for threshold in plan.thresholds_ppm
        for minimum in plan.minimum_impressions
        for measure in measures_of(plan, attribute)
        if measure != "expected" or (attribute, by) in chances
    ]


def coverage_row(
    state: Recomputation, plan: Plan, asked: tuple[By, str, int, int, MeasureName]
) -> Coverage:
    """One row."""
    by, attribute, threshold, minimum, measure = asked
    total, within = _Weights(), _Weights()  # within: in 1e-6
    for name, flight in state.of_period():
        if is_counted(flight, minimum, inclusive=plan.inclusive):
            total.add(flight)
            figure = state.figure(name, attribute, by)
            within.add(flight, chance_of(figure, measure, plan, threshold))
    by_spend = share_ppm(within.spend_nanos, total.spend_nanos * PPM)
    by_impressions = share_ppm(within.impressions, total.impressions * PPM)
    return Coverage(
        attribute=attribute,
        threshold_ppm=threshold,
        minimum_impressions=minimum,
        measure=measure,
        ads=total.ads,
        within=round(Fraction(within.ads, PPM)),
        share_ppm=share_ppm(within.ads, total.ads * PPM),
        by=by,
        impressions_share_ppm=UNSET if by_impressions is None else by_impressions,
        spend_share_ppm=UNSET if by_spend is None else by_spend,
    )


def share_ppm(part: int, whole: int) -> int | None:
    """Rounded half to even; None of nothing."""
    return round(Fraction(part * PPM, whole)) if whole else None


def excluded(state: Recomputation, plan: Plan) -> Excluded:
    """Ads below the smallest minimum: in no row, always stated."""
    smallest, found = min(plan.minimum_impressions, default=0), _Weights()
    for _, flight in state.of_period():
        if not is_counted(flight, smallest, inclusive=plan.inclusive):
            found.add(flight)
    return Excluded(ads=found.ads, impressions=found.impressions, spend_nanos=found.spend_nanos)


def cost(state: Recomputation) -> Cost | UnsetType:
    """Spend for each 1,000 unique people; unset where no release says how many people."""
    spend, people, is_known = 0, 0, False
    for _, flight in state.of_period():
        for _, release in flight.released():
            if release.people is not UNSET:
                is_known = True
                spend, people = spend + release.spend_nanos, people + release.people
    if not is_known:
        return UNSET
    each = round(Fraction(1000 * spend, people)) if people > 0 else None
    return Cost(spend_nanos=spend, people=people, per_thousand_people_nanos=each)


def levelling_down(reach: Sequence[Reach]) -> list[LevellingDown]:
    """The index of every ad and attribute in ``reach`` that is stated: L / (L + G) (4.2).

    L is the eligible-weighted fall of reach in groups that were reached more than the mean without
    control, G the rise in those that were reached less. Where releases tell the control arm's sums,
    ``reach.told`` computes both instead.
    """
    rows: dict[tuple[str, str], list[Reach]] = {}
    for one in reach:
        rows.setdefault((one.ad, one.attribute), []).append(one)
    found = []
    for (ad, attribute), groups in rows.items():
        total = sum(one.eligible_ppb for one in groups)
        before = [one.without_control_ppb or 0 for one in groups]
        mean = sum(one.eligible_ppb * was for one, was in zip(groups, before, strict=True))
        lost = gained = 0
        for one, was in zip(groups, before, strict=True):
            change = one.eligible_ppb * (one.reach_ppb - was)
            if was * total > mean:
                lost += max(0, -change)
            elif was * total < mean:
                gained += max(0, change)
        index = share_ppm(lost, lost + gained)
        found.append(LevellingDown(ad=ad, attribute=attribute, index_ppm=index))
    return found


def report_of(state: Recomputation, plan: Plan, reach: Sequence[Reach] = ()) -> Report:
    """What the log's report of the period says.

    ``reach`` is stated where no release tells the control arm's sums to compute it from.
    """
    arm = told_by_arm(state)
    is_stated = not arm.is_told and bool(reach)
    return Report(
        period=plan.period,
        coverage=tuple(coverage(state, plan)),
        excluded=excluded(state, plan),
        cost=cost(state),
        reach=tuple(reach) if is_stated else arm.reach,
        levelling_down=tuple(levelling_down(reach)) if is_stated else arm.levelling_down,
        levelling_down_pooled=arm.levelling_down_pooled,
        arm_costs=arm.arm_costs,
    )


def wrong_in(stated: Report, state: Recomputation) -> list[str]:
    """What a report says and the log does not give, in words."""
    plan = state.plan
    if plan is None:
        return ["report: expected a plan before it"]
    wrong = list(_wrong_rows(stated.coverage, coverage(state, plan)))
    if stated.excluded is not UNSET and stated.excluded != (found := excluded(state, plan)):
        wrong.append(f"report: excluded: expected {found}, stated {stated.excluded}")
    if stated.cost is not UNSET:
        found_cost = cost(state)
        for member in ("spend_nanos", "people", "per_thousand_people_nanos"):
            expected = UNSET if found_cost is UNSET else getattr(found_cost, member)
            if getattr(stated.cost, member) != expected:
                wrong.append(f"report: cost: {member}: expected {told(expected)}")
    return [*wrong, *_wrong_by_arm(stated, state)]


def _wrong_by_arm(stated: Report, state: Recomputation) -> Iterator[str]:
    """All of it follows from the arm's sums; where no release tells them, the index from reach."""
    arm = told_by_arm(state)
    if not arm.is_told and stated.reach:
        if tuple(levelling_down(stated.reach)) != stated.levelling_down:
            yield "report: levelling_down does not follow from reach"
        arm = replace(arm, reach=stated.reach, levelling_down=stated.levelling_down)
    for what in arm.__struct_fields__:
        came, right = getattr(stated, what), getattr(arm, what)
        if len(came) != len(right):
            yield f"report: {what}: expected {len(right)} rows, stated {len(came)}"
        for one, other in zip(came, right, strict=False):
            if one != other:
                yield f"report: {what}: expected {other}, stated {one}"


def _wrong_rows(stated: Sequence[Coverage], asked: Sequence[Coverage]) -> Iterator[str]:
    expected = {_row_of(row): row for row in asked}
    seen = set()
    for row in stated:
        key = _row_of(row)
        if key not in expected or key in seen:
            yield f"report: coverage {_named(key)}: no row that the plan asks for once"
            continue
        seen.add(key)
        for member in ("ads", "within", "share_ppm", "impressions_share_ppm", "spend_share_ppm"):
            came, right = getattr(row, member), getattr(expected[key], member)
            if came is not UNSET and came != right:
                yield (
                    f"report: coverage {_named(key)}: {member}: "
                    f"expected {told(right)}, stated {told(came)}"
                )
    for key in expected.keys() - seen:
        if key[-1] in ("proxy", "deattenuated"):  # what says less may be left out; the pair may not
            yield f"report: coverage {_named(key)}: missing"


def _row_of(row: Coverage) -> Row:
    return row.by, row.attribute, row.threshold_ppm, row.minimum_impressions, row.measure


def _named(key: Row) -> str:
    by, attribute, threshold, minimum, measure = key
    return f"{attribute} by {by}, {measure}, {threshold} ppm, {minimum} impressions"
