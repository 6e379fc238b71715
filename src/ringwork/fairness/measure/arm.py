"""Delivery with control and without, from a randomised control arm: estimates, and how sure.

A keyed hash of (cluster, ad, day) leaves a share s of an ad's opportunities alone, so a person's
day lies wholly in the arm or wholly outside it, and what is counted at most once a person and day
is weighed back without bias (Horvitz, Thompson 1952): of T counted and A of them in the arm,

    without control  A / s        with control  (T - A) / (1 - s)

Two kinds of chance stand between that and the truth. Privacy noise is on T and on A. And the arm is
a sample of cells (cluster, day), not of people: who is in it comes in clumps, which multiplies the
variance of independent draws by sum n_j^2 / sum n_j over its cells (Kish 1965, section 5.4).

Whether a group was over-served comes from the prices that held it back, never from the arm itself:
noise that makes a group look over-served would make it look cut back too, so an index by the arm's
own signs leans towards whatever it finds (docs/explanation/variance.md). Falls of over-served
groups, L, and rises of under-served ones, G, are then linear in the sums, so they add up over ads
and their noise cancels; only the index L / (L + G) is no sum. Its interval is of the ratio (Fieller
1954): all rho whose ray from the origin comes within 1.96 standard deviations of (L, G).

Points are rationals; covariances go through ``linear``, with the same bits on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import sqrt
from typing import Final

from msgspec import Struct

from ringwork.fairness.measure.linear import (
    Matrix,
    added,
    congruence,
    dot,
    identity,
    product,
    scaled,
    transposed,
)
from ringwork.fairness.measure.observed import INVERSE_COVARIANCE_UNIT, Blur
from ringwork.fairness.model import PPB, PPM

Z: Final = 1.96
MOVED: Final = 5.991
"""95 % of chi-squared of two: what lies nearer to L = G = 0 may be nothing, which has no index."""
CELLS_MIN: Final = 10
"""Cells of equal size (Kish: (sum n)^2 / sum n^2) that an arm has at least: of fewer, intervals by
the normal distribution are too short (docs/explanation/variance.md has the figures)."""
SPREADS_MIN: Final = 3
"""Standard deviations that what a ratio divides by must be above zero."""
Row = tuple[Fraction, ...]
Interval = tuple[Fraction, Fraction]


class Arms(Struct, frozen=True, kw_only=True):
    """One attribute of one segment of an ad, as released."""

    sums: tuple[int, ...]
    """Of all that was counted, a group each; who is of no known group is left out."""
    left_alone: tuple[int, ...]
    """The control arm's part of them."""
    unit: int
    """What one contribution adds in total: 256 for soft sums, 1 for one-hot."""
    share: Fraction
    """s, above zero and below one."""
    clump: Fraction
    """By how much cells multiply the variance of independent draws; one or more."""
    variance: Fraction
    """Of the privacy noise on one of ``sums``, in contributions squared."""
    variance_left_alone: Fraction

    def __post_init__(self) -> None:
        if len(self.sums) != len(self.left_alone) or len(self.sums) < 2:
            raise ValueError(
                f"expected sums of the same groups, got {len(self.sums)} and {len(self.left_alone)}"
            )
        if self.unit < 1 or not 0 < self.share < 1 or self.clump < 1:
            raise ValueError("expected a unit and a clump of one or more, a share inside (0, 1)")


class Effect(Struct, frozen=True, kw_only=True):
    """[K] contributions by group with control and without, weighed back to all opportunities."""

    now: Row
    before: Row
    now_covariance: Matrix
    """[K, K] of the noise, and of which cells the arm had."""
    before_covariance: Matrix
    change_covariance: Matrix
    """[K, K] of now - before; each arm as a sample of its own."""

    @property
    def change(self) -> Row:
        return tuple(one - other for one, other in zip(self.now, self.before, strict=True))


def clump_of(impressions: int, squares: int, counted: Fraction) -> Fraction | None:
    """By how much the arm's cells multiply variance; None of fewer than ``CELLS_MIN`` equal ones.

    ``impressions`` billed in the arm, ``squares`` their sum of squares over cells, ``counted`` the
    share of billed impressions that were counted. If each is counted or not on its own, cells of
    n_j have n_j p, and sum m^2 / sum m is 1 + p (sum n^2 / sum n - 1).
    """
    if impressions <= 0 or impressions**2 < CELLS_MIN * squares:
        return None
    kept = min(max(counted, Fraction(0)), Fraction(1))
    return 1 + kept * max(Fraction(squares, impressions) - 1, Fraction(0))


def effect_of(arms: Arms, blur: Blur | None = None) -> Effect:
    """As the sums show it; of soft sums ``blur`` says how far posteriors stray."""
    rest = tuple(one - other for one, other in zip(arms.sums, arms.left_alone, strict=True))
    drawn = [_drawn(_people(sums, arms.unit), blur) for sums in (rest, arms.left_alone)]
    return _weighed(arms, rest, drawn, lambda one: one)


def deattenuated(arms: Arms, blur: Blur) -> Effect:
    """The same by true group: M^-T of every sum (specification 4.6.2). ValueError for other groups.

    If posteriors are calibrated. What is not known of M^-1 is in the covariances of both figures,
    not in that of their change: it is the same in every ad, so ``levelled`` adds it once.
    """
    size = len(blur.matrix_ppb)
    if len(arms.sums) != size:
        raise ValueError(f"expected the {size} groups of the blur, got {len(arms.sums)}")
    back = transposed([[one / PPB for one in row] for row in blur.inverse_ppb])
    rest = tuple(one - other for one, other in zip(arms.sums, arms.left_alone, strict=True))
    drawn = [_drawn(_people(sums, arms.unit), blur) for sums in (rest, arms.left_alone)]
    found = _weighed(arms, rest, drawn, lambda matrix: congruence(back, matrix))
    return Effect(
        now=unblurred(found.now, blur),
        before=unblurred(found.before, blur),
        now_covariance=added(found.now_covariance, _unknown(found.now, blur)),
        before_covariance=added(found.before_covariance, _unknown(found.before, blur)),
        change_covariance=found.change_covariance,
    )


def unblurred(row: Sequence[Fraction], blur: Blur) -> Row:
    """M^-T row, exactly."""
    groups = range(len(row))
    return tuple(
        sum((row[i] * blur.inverse_ppb[i][k] for i in groups), Fraction(0)) / PPB for k in groups
    )


def together(effects: Sequence[Effect]) -> Effect:
    """Segments of an ad, or ads: all of them apart, so both figures and variances add."""
    first, *others = effects
    for one in others:
        first = Effect(
            now=_sum(first.now, one.now),
            before=_sum(first.before, one.before),
            now_covariance=added(first.now_covariance, one.now_covariance),
            before_covariance=added(first.before_covariance, one.before_covariance),
            change_covariance=added(first.change_covariance, one.change_covariance),
        )
    return first


def interval_of(value: Fraction, variance: float) -> Interval:
    """95 %, none of it below zero."""
    half = Fraction(Z * sqrt(max(variance, 0.0)))
    return max(value - half, Fraction(0)), max(value + half, Fraction(0))


def ratio_interval(top: Fraction, bottom: Fraction, variance: float) -> Interval | None:
    """95 % of an exactly known ``top`` over ``bottom``; None where that may be nothing."""
    low, high = interval_of(bottom, variance)
    return None if low <= 0 else (top / high, top / low)


# ---- levelling down ----------------------------------------------------------------------------


class Served(Struct, frozen=True, kw_only=True):
    """One segment of an ad, and which of its groups were over- (1) or under-served (-1)."""

    effect: Effect
    signs: tuple[int, ...]
    eligible: Row
    """Shares, as ``effect`` shows groups."""
    blurred: Row = ()
    """The change as the proxy shows it, where ``effect`` is de-attenuated."""


class Levelling(Struct, frozen=True, kw_only=True):
    """What control did to over- and under-served groups."""

    lost: Fraction
    """L: fewer contributions of the over-served; negative: more."""
    gained: Fraction
    index: Fraction | None
    """L / (L + G); None where noise and chance leave all of [0, 1] open, or nothing moved so."""
    index_interval: Interval | None
    removed: Fraction | None
    removed_interval: Interval | None


def signs_of(prices: Sequence[int], eligible: Sequence[Fraction]) -> tuple[int, ...]:
    """Which groups prices held back (1) or pushed (-1): above or below their eligible mean."""
    total = sum(eligible, Fraction(0))
    mean = sum((one * share for one, share in zip(prices, eligible, strict=True)), Fraction(0))
    found = []
    for one, share in zip(prices, eligible, strict=True):
        above = one * total - mean
        found.append(0 if share <= 0 or above == 0 else 1 if above > 0 else -1)
    return tuple(found)


def levelled(parts: Sequence[Served], blur: Blur | None = None) -> Levelling:
    """Of an ad's segments, or of all ads of a period: L and G are added before they are cut at 0.

    ``blur``: of parts that are de-attenuated, all by the same one.
    """
    lost = gained = Fraction(0)
    of_lost, of_both, of_gained = _unknown_together(parts, blur)
    for part in parts:
        over = [-1.0 if one > 0 else 0.0 for one in part.signs]
        under = [1.0 if one < 0 else 0.0 for one in part.signs]
        for one, sign in zip(part.effect.change, part.signs, strict=True):
            lost -= one if sign > 0 else 0
            gained += one if sign < 0 else 0
        covariance = part.effect.change_covariance
        of_lost += _form(over, covariance, over)
        of_gained += _form(under, covariance, under)
        of_both += _form(over, covariance, under)
    index, interval = _index(lost, gained, (of_lost, of_both, of_gained))
    removed, removed_interval = _removed(parts)
    return Levelling(
        lost=lost,
        gained=gained,
        index=index,
        index_interval=interval,
        removed=removed,
        removed_interval=removed_interval,
    )


def _index(
    lost: Fraction, gained: Fraction, variances: tuple[float, float, float]
) -> tuple[Fraction | None, Interval | None]:
    """Point and interval; ``variances`` of L, of both, of G."""
    if lost <= 0 and gained <= 0:
        return None, None  # the other way round: nothing that an index could divide
    point = max(lost, Fraction(0)) / (max(lost, Fraction(0)) + max(gained, Fraction(0)))
    x = (float(lost), float(gained))
    if _distance(x, x, variances) <= MOVED:
        return None, (Fraction(0), Fraction(1))
    at = round(point * PPM)
    low = _furthest(lambda rho: _is_met(rho, x, variances), at, 0)
    high = _furthest(lambda rho: _is_met(rho, x, variances), at, PPM)
    interval = Fraction(low, PPM), Fraction(high, PPM)
    return (None if (low, high) == (0, PPM) else point), interval


def _furthest(holds: Callable[[int], bool], start: int, end: int) -> int:
    """The last number from ``start`` towards ``end`` that holds; those that do are contiguous."""
    if holds(end):
        return end
    inside, outside = start, end
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside


def _is_met(rho_ppm: int, x: tuple[float, float], variances: tuple[float, float, float]) -> bool:
    """Whether the ray (rho, 1 - rho) t, t >= 0, comes within ``Z`` standard deviations of x."""
    u = (rho_ppm / PPM, 1.0 - rho_ppm / PPM)
    along, distance = _distance(u, x, variances), _distance(x, x, variances)
    if along > 0.0:
        distance -= along * along / _distance(u, u, variances)
    return distance <= Z * Z


def _distance(
    left: tuple[float, float], right: tuple[float, float], variances: tuple[float, float, float]
) -> float:
    """left^T V^-1 right (Mahalanobis); nothing where V has no inverse: nothing is known then."""
    a, b, c = variances
    determinant = a * c - b * b
    if determinant <= 0.0:
        return 0.0
    first = (c * right[0] - b * right[1]) / determinant
    second = (a * right[1] - b * right[0]) / determinant
    return left[0] * first + left[1] * second


def _removed(parts: Sequence[Served]) -> tuple[Fraction | None, Interval | None]:
    """Share of the variance that control removed: 1 - v / v0, of the over-served groups' shares.

    With the signs given, v0 = (share of the over-served without control) - (their eligible share)
    has no bias, where a norm of few people is always above zero. Ads weigh as much as they
    delivered. None where v0 is not clearly above zero.
    """
    now = before = Fraction(0)
    of_now = of_before = 0.0
    for part in parts:
        if not any(part.signs):
            continue
        weight = sum(part.effect.now, Fraction(0))
        ends = _excess(part, part.effect.now, part.effect.now_covariance)
        starts = _excess(part, part.effect.before, part.effect.before_covariance)
        if weight <= 0 or ends is None or starts is None:
            continue
        now += weight * ends[0]
        before += weight * starts[0]
        squared = float(weight) * float(weight)
        of_now += squared * ends[1]
        of_before += squared * starts[1]
    half_before, half_now = (Fraction(Z * sqrt(max(one, 0.0))) for one in (of_before, of_now))
    low = before - half_before
    if low <= 0:
        return None, None
    ratios = [
        one / other
        for one in (now - half_now, now + half_now)
        for other in (low, before + half_before)
    ]
    return 1 - now / before, (1 - max(ratios), 1 - min(ratios))


def _excess(part: Served, row: Row, covariance: Matrix) -> tuple[Fraction, float] | None:
    """By how much the over-served groups' share exceeds their eligible one, and its variance."""
    total = sum(row, Fraction(0))
    ones = [1.0] * len(row)
    if total <= 0 or float(total) < SPREADS_MIN * sqrt(max(_form(ones, covariance, ones), 0.0)):
        return None
    over = [one > 0 for one in part.signs]
    share = sum((one for one, is_over in zip(row, over, strict=True) if is_over), Fraction(0))
    share /= total
    eligible = (one for one, is_over in zip(part.eligible, over, strict=True) if is_over)
    slope = [(float(is_over) - float(share)) / float(total) for is_over in over]
    return share - sum(eligible, Fraction(0)), _form(slope, covariance, slope)


# ---- covariances -------------------------------------------------------------------------------


def _weighed(
    arms: Arms, rest: Sequence[int], drawn: Sequence[Matrix], seen: Callable[[Matrix], Matrix]
) -> Effect:
    """``drawn``: of who is outside the arm and in it; ``seen``: of sums as of what they show."""
    s, size = float(arms.share), len(rest)
    of_rest, of_arm = (scaled(one, float(arms.clump)) for one in drawn)
    noise, arm_noise = float(arms.variance), float(arms.variance_left_alone)
    now = scaled(of_rest, s / ((1.0 - s) * (1.0 - s)))
    now = added(now, identity(size, (noise + arm_noise) / ((1.0 - s) * (1.0 - s))))
    before = scaled(of_arm, (1.0 - s) / (s * s))
    before = added(before, identity(size, arm_noise / (s * s)))
    change = added(scaled(of_rest, 1.0 / ((1.0 - s) * (1.0 - s))), scaled(of_arm, 1.0 / (s * s)))
    both = noise / ((1.0 - s) * (1.0 - s)) + arm_noise / (s * s * (1.0 - s) * (1.0 - s))
    change = added(change, identity(size, both))
    return Effect(
        now=tuple(Fraction(one, arms.unit) / (1 - arms.share) for one in rest),
        before=tuple(Fraction(one, arms.unit) / arms.share for one in arms.left_alone),
        now_covariance=seen(now),
        before_covariance=seen(before),
        change_covariance=seen(change),
    )


def _people(sums: Sequence[int], unit: int) -> list[float]:
    return [max(one, 0) / unit for one in sums]


def _drawn(people: Sequence[float], blur: Blur | None) -> Matrix:
    """Covariance of who was drawn, one by one: sum of p p^T over them.

    One-hot it is diagonal; a posterior is its group's mean with the spread W around it, so it is
    n W + M^T diag(d) M, d being how many there are of each true group.
    """
    size = len(people)
    if blur is None or len(blur.matrix_ppb) != size:
        return [[people[i] if i == j else 0.0 for j in range(size)] for i in range(size)]
    inverse = transposed([[one / PPB for one in row] for row in blur.inverse_ppb])
    true = [max(dot(row, people), 0.0) for row in inverse]
    total = dot(true, [1.0] * size)
    means = [[one / PPB for one in row] for row in blur.matrix_ppb]
    between = product(
        transposed(means),
        [[true[i] * one for one in row] for i, row in enumerate(means)],
    )
    within = scaled([[one / PPB for one in row] for row in blur.within_ppb], total)
    return added(within, between)


def _unknown(row: Row, blur: Blur) -> Matrix:
    """Of M^-T row, by what is not known of M^-1."""
    size = len(row)
    values = [float(one) for one in row]
    out = identity(size, 0.0)
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            weight = a * b / INVERSE_COVARIANCE_UNIT
            block = [
                blur.inverse_covariance[i * size + k][j * size : (j + 1) * size]
                for k in range(size)
            ]
            out = added(out, scaled(block, weight))
    return out


def _unknown_together(parts: Sequence[Served], blur: Blur | None) -> tuple[float, float, float]:
    """Of L, of both, of G: what is not known of M^-1, which errs the same way in every part."""
    if blur is None:
        return 0.0, 0.0, 0.0
    size = len(blur.matrix_ppb)
    of_lost, of_gained = [0.0] * (size * size), [0.0] * (size * size)
    for part in parts:
        change = [float(one) for one in part.blurred]
        for k, sign in enumerate(part.signs):
            for i in range(size):
                of_lost[i * size + k] -= change[i] if sign > 0 else 0.0
                of_gained[i * size + k] += change[i] if sign < 0 else 0.0
    covariance = [[float(one) for one in row] for row in blur.inverse_covariance]
    found = [
        _form(left, covariance, right) / INVERSE_COVARIANCE_UNIT
        for left, right in ((of_lost, of_lost), (of_lost, of_gained), (of_gained, of_gained))
    ]
    return found[0], found[1], found[2]


def _form(left: Sequence[float], matrix: Matrix, right: Sequence[float]) -> float:
    return dot(left, [dot(row, right) for row in matrix])


def _sum(one: Row, other: Row) -> Row:
    return tuple(a + b for a, b in zip(one, other, strict=True))
