"""What ads cost with control and without, weighed back from the control arm (specification 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from msgspec import UNSET, Struct

from ringwork.fairness.flights import Segment, noise_variance
from ringwork.fairness.measure.arm import Effect, clump_of, ratio_interval
from ringwork.fairness.measure.linear import dot
from ringwork.fairness.model import PPM
from ringwork.fairness.records import Against, Release

THOUSAND = 1000


class Spent(Struct, frozen=True, kw_only=True):
    """What a segment spent and counted, weighed back to all opportunities."""

    now_nanos: Fraction
    before_nanos: Fraction
    now: Fraction
    before: Fraction
    now_variance: float
    before_variance: float


def spent_in(segment: Segment, release: Release) -> Spent | None:
    """None where the arm is too small, or a member is missing."""
    arm_nanos, arm, clump = release.arm_spend_nanos, release.arm_counted, clump_in(release)
    arm_ppm = segment.ad.arm_ppm
    if arm_nanos is UNSET or arm is UNSET or clump is None or arm_ppm is UNSET:
        return None
    share = Fraction(arm_ppm, PPM)
    counted = release.impressions if release.counted is UNSET else release.counted
    # Of its several attributes a count takes the best mean: no noisier than the narrowest.
    buckets = min(map(len, release.arm_sums.values()))
    noise = buckets * Fraction(segment.arm_sigma or "0") ** 2
    of_all = buckets * noise_variance(segment.sigma or "0", segment.releases)
    rest = counted - arm
    return Spent(
        now_nanos=(release.spend_nanos - arm_nanos) / (1 - share),
        before_nanos=arm_nanos / share,
        now=rest / (1 - share),
        before=arm / share,
        now_variance=float((clump * max(rest, 0) * share + noise + of_all) / (1 - share) ** 2),
        before_variance=float((clump * max(arm, 0) * (1 - share) + noise) / share**2),
    )


def clump_in(release: Release) -> Fraction | None:
    """By how much chance in the arm is larger than of independent draws; None: not told."""
    impressions, squares = release.arm_impressions, release.arm_squares
    if impressions is UNSET or squares is UNSET:
        return None
    counted = Fraction(1)
    if release.counted is not UNSET and release.impressions:
        counted = Fraction(max(release.counted, 0), release.impressions)
    return clump_of(impressions, squares, counted)


def cost_of_everybody(spent: Sequence[Spent]) -> Against:
    """For each 1,000 counted, whoever they are."""
    now = sum((one.now for one in spent), Fraction(0))
    before = sum((one.before for one in spent), Fraction(0))
    variances = (
        _added([one.now_variance for one in spent]),
        _added([one.before_variance for one in spent]),
    )
    return _for_thousand(spent, now, before, variances)


def _added(values: Sequence[float]) -> float:
    return dot(values, [1.0] * len(values))


def cost_of_group(
    spent: Sequence[Spent], effect: Effect, at: int, *, has_points: bool = True
) -> Against:
    """All of the spend for each 1,000 counted of one group."""
    variances = effect.now_covariance[at][at], effect.before_covariance[at][at]
    return _for_thousand(spent, effect.now[at], effect.before[at], variances, has_points=has_points)


def _for_thousand(
    spent: Sequence[Spent],
    now: Fraction,
    before: Fraction,
    variances: tuple[float, float],
    *,
    has_points: bool = True,
) -> Against:
    """Spend against what was counted; all chance is taken to be in the count."""
    nanos: Callable[[str], Fraction] = lambda name: sum(  # noqa: E731
        (getattr(one, name) for one in spent), Fraction(0)
    )
    tops = THOUSAND * nanos("now_nanos"), THOUSAND * nanos("before_nanos")
    ends = [
        ratio_interval(top, bottom, variance)
        for top, bottom, variance in zip(tops, (now, before), variances, strict=True)
    ]
    points = [
        round(top / bottom) if end is not None and has_points else None
        for top, bottom, end in zip(tops, (now, before), ends, strict=True)
    ]
    intervals = [UNSET if end is None else (round(end[0]), round(end[1])) for end in ends]
    return Against(
        controlled=points[0],
        uncontrolled=points[1],
        controlled_interval=intervals[0],
        uncontrolled_interval=intervals[1],
    )
