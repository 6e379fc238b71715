"""Reach, levelling down and cost against the control arm, as a log tells them (specification 4.2).

What is counted is contributions (a person's day, by default): which of a person's days an ad
reached at all is where the arm is drawn, so the arm weighs back to all of them (``measure.arm``).
Unique people would not: who comes every day is in the arm on some day. Figures are of ads whose
last release tells the arm's sums, and of the attributes that the plan controls; of the others there
is reach alone, since no price says who was over-served. Of an estimated attribute everything is the
pair of the proxy and the de-attenuated figure, or left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from msgspec import UNSET, Struct, UnsetType

from ringwork.fairness.arm_cost import Spent, clump_in, cost_of_everybody, cost_of_group, spent_in
from ringwork.fairness.flights import Flight, Segment, blur_of, noise_variance
from ringwork.fairness.measure.arm import (
    Arms,
    Effect,
    Levelling,
    Served,
    deattenuated,
    effect_of,
    interval_of,
    levelled,
    signs_of,
    together,
    unblurred,
)
from ringwork.fairness.measure.exact import CONDITION_MAX_MILLI
from ringwork.fairness.measure.observed import Blur
from ringwork.fairness.model import PPB, PPM
from ringwork.fairness.recompute import Recomputation
from ringwork.fairness.records import (
    Against,
    ArmCost,
    CountedIn,
    Levelled,
    LevellingDown,
    Pooled,
    Reach,
    Release,
)

Row = tuple[Fraction, ...]


class Told(Struct, frozen=True, kw_only=True):
    """All that the control arms of a period's ads tell."""

    reach: tuple[Reach, ...] = ()
    levelling_down: tuple[LevellingDown, ...] = ()
    levelling_down_pooled: tuple[Pooled, ...] = ()
    arm_costs: tuple[ArmCost, ...] = ()

    @property
    def is_told(self) -> bool:
        """Whether any release tells enough of its arm."""
        return bool(self.reach or self.levelling_down or self.arm_costs)


class _Part(Struct, frozen=True, kw_only=True):
    """One attribute of one segment."""

    names: tuple[str, ...]
    effect: Effect
    eligible: Row
    """People by group; shares, where their number is not told."""
    signs: tuple[int, ...]
    """Of no price: zeros."""
    true: Effect | None
    """De-attenuated; None of a declared attribute."""
    true_eligible: Row
    has_people: bool
    spent: Spent | None
    """Of the segment."""


class _Told(Struct):
    """What is gathered of one attribute, or of one way of counting, over ads."""

    parts: list[_Part]
    spent: list[Spent]
    ads: int = 0


def told(state: Recomputation) -> Told:
    """Rows by ads in the order of the log, then by attributes' names."""
    reach: list[Reach] = []
    levelling: list[LevellingDown] = []
    pools: dict[tuple[str, CountedIn], _Told] = {}
    every: dict[CountedIn, list[Spent]] = {}
    for ad, flight in state.of_period():
        segments = list(_with_arm(flight))
        counted_in = _counted_in(segments)
        if counted_in is None:
            continue
        spent = [spent_in(*one) for one in segments]
        every.setdefault(counted_in, []).extend(one for one in spent if one is not None)
        for attribute in sorted(state.plan.attributes if state.plan is not None else ()):
            parts = _parts(state, attribute, segments)
            if not parts:
                continue
            reach += _reach(ad, attribute, counted_in, parts, _points(state, attribute))
            pool = pools.setdefault((attribute, counted_in), _Told(parts=[], spent=[]))
            pool.spent += [one.spent for one in parts if one.spent is not None]
            pool.parts += parts
            pool.ads += 1
            if any(any(one.signs) for one in parts):
                levelling.append(_levelling(state, ad, attribute, parts))
    return Told(
        reach=tuple(reach),
        levelling_down=tuple(levelling),
        levelling_down_pooled=tuple(_pooled(state, pools)),
        arm_costs=tuple(_costs(state, every, pools)),
    )


# ---- what releases hold --------------------------------------------------------------------------


def _with_arm(flight: Flight) -> Iterator[tuple[Segment, Release]]:
    """Segments whose last release tells the arm's sums, and how they were drawn."""
    for segment, release in flight.released():
        arm_ppm = segment.ad.arm_ppm
        if not release.arm_sums or segment.sigma is None or segment.arm_sigma is None:
            continue
        if arm_ppm is UNSET or not 0 < arm_ppm < PPM or segment.ad.counted_in is UNSET:
            continue
        if release.arm_impressions is not UNSET and release.arm_squares is not UNSET:
            yield segment, release


def _counted_in(segments: Sequence[tuple[Segment, Release]]) -> CountedIn | None:
    """What all of them count; None of none, or of several ways."""
    found = {one.ad.counted_in for one, _ in segments}
    (first,) = found if len(found) == 1 else (UNSET,)
    return None if first is UNSET else first


def _parts(
    state: Recomputation, attribute: str, segments: Sequence[tuple[Segment, Release]]
) -> list[_Part]:
    """Of the segments that tell of an attribute; none where one of them cannot be shown whole."""
    plan = state.plan
    assert plan is not None
    blur = None
    if attribute in plan.estimated:
        model = state.models.get(attribute)
        if model is None:
            return []  # a proxy figure is never alone
        blur = blur_of(model)
    names = plan.attributes[attribute]
    found = [_part(attribute, names, blur, *one) for one in segments]
    return [one for one in found if one is not None]


def _part(
    attribute: str, names: tuple[str, ...], blur: Blur | None, segment: Segment, release: Release
) -> _Part | None:
    eligible, clump = segment.ad.eligible.get(attribute), clump_in(release)
    sums, arm = release.sums.get(attribute), release.arm_sums.get(attribute)
    arm_ppm, unit, size = segment.ad.arm_ppm, release.unit.get(attribute, 0), len(names)
    if eligible is None or clump is None or sums is None or arm is None or arm_ppm is UNSET:
        return None
    shares = eligible.people_shares_ppb or eligible.shares_ppb
    if min(len(sums), len(arm)) < size or len(shares) != size or unit < 1:
        return None
    if blur is not None and len(blur.matrix_ppb) != size:
        return None
    arms = Arms(
        sums=sums[:size],
        left_alone=arm[:size],
        unit=unit,
        share=Fraction(arm_ppm, PPM),
        clump=clump,
        variance=noise_variance(segment.sigma or "0", segment.releases),
        variance_left_alone=Fraction(segment.arm_sigma or "0") ** 2,
    )
    people = 1 if eligible.people is UNSET else eligible.people
    seen = tuple(Fraction(one * people, PPB) for one in shares)
    true = seen if blur is None else unblurred(seen, blur)
    prices = segment.prices.get(attribute, ())
    signs = signs_of(prices, true) if len(prices) == size else (0,) * size
    return _Part(
        names=names,
        effect=effect_of(arms, blur),
        eligible=seen,
        signs=signs,
        true=None if blur is None else deattenuated(arms, blur),
        true_eligible=true,
        has_people=eligible.people is not UNSET,
        spent=spent_in(segment, release),
    )


# ---- rows ----------------------------------------------------------------------------------------


def _points(state: Recomputation, attribute: str) -> bool:
    """Whether the blur can be inverted well enough to give a point."""
    model = state.models.get(attribute)
    return model is None or model.condition_milli <= CONDITION_MAX_MILLI


def _against(effect: Effect, at: int, scale: Fraction, *, has_points: bool = True) -> Against:
    """One group, each figure times ``scale``."""
    now, before = effect.now[at], effect.before[at]
    of_now = interval_of(now, effect.now_covariance[at][at])
    of_before = interval_of(before, effect.before_covariance[at][at])
    return Against(
        controlled=_whole(now * scale) if has_points else None,
        uncontrolled=_whole(before * scale) if has_points else None,
        controlled_interval=(_whole(of_now[0] * scale), _whole(of_now[1] * scale)),
        uncontrolled_interval=(_whole(of_before[0] * scale), _whole(of_before[1] * scale)),
    )


def _whole(value: Fraction) -> int:
    return max(round(value), 0)


def _reach(
    ad: str, attribute: str, counted_in: CountedIn, parts: Sequence[_Part], has_points: bool
) -> Iterator[Reach]:
    """A row for each group that somebody eligible is of; none without a number of people."""
    if not all(one.has_people for one in parts):
        return
    effect = together([one.effect for one in parts])
    trues = [one.true for one in parts if one.true is not None]
    true = together(trues) if trues else None
    eligible, true_eligible = (
        tuple(sum(column, Fraction(0)) for column in zip(*rows, strict=True))
        for rows in ([one.eligible for one in parts], [one.true_eligible for one in parts])
    )
    everybody = sum(eligible, Fraction(0))
    for at, name in enumerate(parts[0].names):
        if eligible[at] <= 0 or true_eligible[at] <= 0:
            continue
        seen = _against(effect, at, PPB / eligible[at])
        yield Reach(
            ad=ad,
            attribute=attribute,
            group=name,
            eligible_ppb=round(eligible[at] / everybody * PPB),
            reach_ppb=seen.controlled or 0,
            without_control_ppb=seen.uncontrolled,
            counted_in=counted_in,
            reach_interval_ppb=seen.controlled_interval,
            without_control_interval_ppb=seen.uncontrolled_interval,
            deattenuated=UNSET
            if true is None
            else _against(true, at, PPB / true_eligible[at], has_points=has_points),
        )


def _levelling(
    state: Recomputation, ad: str, attribute: str, parts: Sequence[_Part]
) -> LevellingDown:
    seen, true = _both(state, attribute, parts)
    over = {
        name for one in parts for name, sign in zip(one.names, one.signs, strict=True) if sign > 0
    }
    return LevellingDown(
        ad=ad,
        attribute=attribute,
        index_ppm=seen.index_ppm,
        interval_ppm=seen.interval_ppm,
        removed_ppm=seen.removed_ppm,
        removed_interval_ppm=seen.removed_interval_ppm,
        over_served=tuple(name for name in parts[0].names if name in over),
        deattenuated=true,
    )


def _both(
    state: Recomputation, attribute: str, parts: Sequence[_Part]
) -> tuple[Levelled, Levelled | UnsetType]:
    """As declared or by the proxy, and de-attenuated."""
    seen, true = _levellings(state, attribute, parts)
    has_points = _points(state, attribute)
    return (
        _levelled(seen, has_points=True),
        UNSET if true is None else _levelled(true, has_points=has_points),
    )


def _levellings(
    state: Recomputation, attribute: str, parts: Sequence[_Part]
) -> tuple[Levelling, Levelling | None]:
    steered = [one for one in parts if any(one.signs)]
    seen = levelled(
        [
            Served(effect=one.effect, signs=one.signs, eligible=_shares(one.eligible))
            for one in steered
        ]
    )
    trues = [
        Served(
            effect=one.true,
            signs=one.signs,
            eligible=_shares(one.true_eligible),
            blurred=one.effect.change,
        )
        for one in steered
        if one.true is not None
    ]
    model = state.models.get(attribute)
    if not trues or model is None:
        return seen, None
    return seen, levelled(trues, blur_of(model))


def _shares(people: Row) -> Row:
    total = sum(people, Fraction(0))
    return tuple(one / total for one in people)


def _levelled(found: Levelling, *, has_points: bool) -> Levelled:
    return Levelled(
        index_ppm=None if found.index is None or not has_points else round(found.index * PPM),
        interval_ppm=_ppm(found.index_interval),
        removed_ppm=None if found.removed is None or not has_points else round(found.removed * PPM),
        removed_interval_ppm=_ppm(found.removed_interval),
    )


def _ppm(interval: tuple[Fraction, Fraction] | None) -> tuple[int, int] | UnsetType:
    return UNSET if interval is None else (round(interval[0] * PPM), round(interval[1] * PPM))


def _pooled(state: Recomputation, pools: dict[tuple[str, CountedIn], _Told]) -> Iterator[Pooled]:
    for (attribute, counted_in), pool in sorted(pools.items()):
        if not any(any(one.signs) for one in pool.parts):
            continue
        found, true = _levellings(state, attribute, pool.parts)
        has_points = _points(state, attribute)
        yield Pooled(
            attribute=attribute,
            counted_in=counted_in,
            ads=pool.ads,
            lost=round(found.lost),
            gained=round(found.gained),
            levelled=_levelled(found, has_points=True),
            deattenuated=UNSET if true is None else _levelled(true, has_points=has_points),
        )


# ---- cost ----------------------------------------------------------------------------------------


def _costs(
    state: Recomputation,
    every: dict[CountedIn, list[Spent]],
    pools: dict[tuple[str, CountedIn], _Told],
) -> Iterator[ArmCost]:
    """For each 1,000 counted: of everybody, then all of the spend for those of one group."""
    for counted_in, spent in sorted(every.items()):
        if not spent:
            continue
        yield ArmCost(counted_in=counted_in, cost=cost_of_everybody(spent))
    for (attribute, counted_in), pool in sorted(pools.items()):
        if not pool.spent:
            continue
        effect = together([one.effect for one in pool.parts])
        trues = [one.true for one in pool.parts if one.true is not None]
        true = together(trues) if trues else None
        has_points = _points(state, attribute)
        for at, group in enumerate(pool.parts[0].names):
            yield ArmCost(
                counted_in=counted_in,
                attribute=attribute,
                group=group,
                cost=cost_of_group(pool.spent, effect, at),
                deattenuated=UNSET
                if true is None
                else cost_of_group(pool.spent, true, at, has_points=has_points),
            )
