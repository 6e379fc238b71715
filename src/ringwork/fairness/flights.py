"""An ad as its records tell of it, and what of them a figure is computed from."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from fractions import Fraction
from operator import mul

from msgspec import UNSET, Struct

from ringwork.fairness.measure import exact
from ringwork.fairness.measure.moments import Moments
from ringwork.fairness.model import PPB
from ringwork.fairness.records import Ad, Budget, By, Control, Model, Override, Plan, Release

GRID = 2**20
STEPS_MAX = 4096
"""Releases of one segment (4.7)."""


class Segment(Struct, kw_only=True):
    """One audience of an ad, and its newest release."""

    ad: Ad
    release: Release | None = None
    releases: int = 0
    sigma: str | None = None
    """None: no budget record said how large the noise is."""
    people_sigma: str | None = None
    """Of the sums over people; None: as of the others."""
    arm_sigma: str | None = None
    """Of the control arm's sums; None: not released."""
    prices: dict[str, tuple[int, ...]] = {}
    """Controlled attribute -> sums over the controller's steps of the prices that were in force."""


class Flight(Struct, kw_only=True):
    """One ad: its segments, the open one last, and what its releases cost."""

    parts: list[Segment]
    is_in_period: bool = False
    budget: Budget | None = None
    override: Override | None = None
    """What holds in the controller's place."""

    @property
    def ad(self) -> Ad:
        """As it is now."""
        return self.parts[-1].ad

    def released(self) -> list[tuple[Segment, Release]]:
        """Segments that have a release, in their order."""
        return [(one, one.release) for one in self.parts if one.release is not None]

    @property
    def is_noise_known(self) -> bool:
        """Whether a budget record stood before the newest release of every segment."""
        return all(segment.sigma is not None for segment, _ in self.released())

    @property
    def impressions(self) -> int:
        return sum(release.impressions for _, release in self.released())

    @property
    def spend_nanos(self) -> int:
        return sum(release.spend_nanos for _, release in self.released())


def priced(flight: Flight, step: Control | Override, plan: Plan | None) -> None:
    """Add the prices that a step of the controller, or a person in its place, put in force.

    While a person's prices hold, each step of the controller counts them and not its own; while a
    person has paused it, none. A vector that does not fit the plan's controlled attributes says
    nothing. Nor does a step after the arm's sums are out: it moved nothing that they tell of, and
    who has read them could choose by it who was over-served.
    """
    if isinstance(step, Override):
        flight.override = None if step.action == "resume" else step
        if step.action != "set":
            return
    elif flight.override is not None and flight.override.action == "pause":
        return
    prices = step.lambda_micro if flight.override is None else flight.override.lambda_micro
    controlled = () if plan is None else plan.controlled
    sizes = [len(plan.attributes.get(one, ())) for one in controlled] if plan is not None else []
    if sum(sizes) != len(prices):
        return
    open_, first = flight.parts[-1], 0
    if open_.release is not None and open_.release.arm_sums:
        return
    found = dict(open_.prices)
    for name, size in zip(controlled, sizes, strict=True):
        added, before = prices[first : first + size], found.get(name, (0,) * size)
        if len(before) != size:
            before = (0,) * size
        found[name] = tuple(one + more for one, more in zip(before, added, strict=True))
        first += size
    open_.prices = found


def observed_in(
    segment: Segment, release: Release, attribute: str, by: By, groups: int
) -> exact.Observed:
    """What a segment's newest release says of an attribute. LookupError, with a sentence."""
    number, eligible = segment.ad.segment, segment.ad.eligible.get(attribute)
    of_sums = release.sums if by == "impressions" else release.people_sums
    if eligible is None or attribute not in of_sums:
        raise LookupError(f"segment {number}: no eligible shares or no sums by {by}")
    count, is_noisy = release.impressions, False
    if by == "people":
        count, is_noisy = (0 if release.people is UNSET else release.people), True
    elif release.counted is not UNSET:
        count, is_noisy = release.counted, True
    shares, eligible_noise_ppb = eligible.shares_ppb, eligible.noise_ppb
    if by == "people":
        shares, eligible_noise_ppb = eligible.people_shares_ppb, eligible.people_noise_ppb
    people = 0 if by == "people" or release.people is UNSET else max(release.people, 0)
    unit, sums = release.unit.get(attribute, 0), of_sums[attribute]
    if unit < 1 or len(shares) != groups or len(sums) not in (groups, groups + 1):
        raise LookupError(f"segment {number}: expected {groups} groups and a unit")
    noise = noise_variance(segment.sigma or "0", segment.releases)
    if by == "people" and segment.people_sigma is not None:
        noise = Fraction(segment.people_sigma) ** 2  # drawn once
    return exact.Observed(
        ad=segment.ad.ad,
        segment=number,
        people=people,
        impressions=max(count, 0),  # a noisy count may be negative, which is nobody
        sums=sums,
        unit=unit,
        eligible_ppb=shares,
        eligible_noise_ppb=eligible_noise_ppb,
        noise_variance=round(noise * unit * unit * exact.NOISE_UNIT),
        impressions_noise_variance=round(noise * exact.NOISE_UNIT) if is_noisy else 0,
    )


def noise_variance(sigma: str, steps: int) -> Fraction:
    """Variance of the noise of a running sum of unit one after so many releases (4.7)."""
    return Fraction(sigma) ** 2 * _growth(STEPS_MAX)[steps]


@functools.cache
def _growth(steps: int) -> list[Fraction]:
    """f_0^2 + ... + f_{t-1}^2 by t; f_k rounded half up to 2**-20, as the noise was made."""
    exactly, total, found = Fraction(1), 0, [Fraction(0)]
    for k in range(steps):
        if k:  # cut at 2**-200, far below half a step of the grid: the fraction grows without end
            exactly = Fraction(round(exactly * Fraction(2 * k - 1, 2 * k) * 2**200), 2**200)
        total += int(exactly * GRID + Fraction(1, 2)) ** 2
        found.append(Fraction(total, GRID * GRID))
    return found


def is_inverse(inverse: Sequence[Sequence[int]], matrix: Sequence[Sequence[int]]) -> bool:
    """Whether their product is one but for the rounding of both to 1e-9."""
    columns = list(zip(*matrix, strict=True))
    largest = max(abs(one) for table in (inverse, matrix) for row in table for one in row)
    slack = (len(matrix) + 1) * (largest + PPB)
    return all(
        abs(sum(map(mul, row, column)) - (PPB * PPB if i == j else 0)) <= slack
        for i, row in enumerate(inverse)
        for j, column in enumerate(columns)
    )


def blur_of(model: Model) -> exact.Blur:
    """A model record as what figures are computed with. ValueError where its tables do not fit."""
    return exact.Blur(
        matrix_ppb=model.M_ppb,
        inverse_ppb=model.inverse_ppb,
        within_ppb=model.within_ppb,
        inverse_covariance=model.inverse_covariance,
        pool_size=model.pool_size,
        source=model.source,
        condition_milli=model.condition_milli,
        draws_sha256=model.draws_sha256,
    )


def model_of(attribute: str, blur: exact.Blur, moments: Moments | None = None) -> Model:
    """A learned blur as the record that figures are recomputed from.

    With the ``moments`` that it follows from, an audit recomputes the blur too.
    """
    return Model(
        attribute=attribute,
        M_ppb=blur.matrix_ppb,
        inverse_ppb=blur.inverse_ppb,
        within_ppb=blur.within_ppb,
        inverse_covariance=blur.inverse_covariance,
        pool_size=blur.pool_size,
        source=blur.source,
        condition_milli=blur.condition_milli,
        draws_sha256=blur.draws_sha256,
        sums=() if moments is None else moments.sums,
        unit=0 if moments is None else moments.unit,
        sigma=UNSET if moments is None else str(moments.sigma),
    )


def moments_of(model: Model) -> Moments:
    """The sums of a model record that has some. ValueError where they are none."""
    if model.sigma is UNSET:
        raise ValueError("sums: expected the sigma of their noise beside them")
    return Moments(sums=model.sums, unit=model.unit, sigma=Fraction(model.sigma))
