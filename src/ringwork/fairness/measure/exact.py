"""The published figures: integers in, integers out, the same bits on every machine.

The proxy figure is a rational, rounded half-even to 1e-9. The de-attenuated one (specification 4.6)
goes through doubles, with the operations of ``linear`` in a fixed order and packaged draws:

    delta_a = M^-T (b_a - b_e)                         deviation of ad a, sums to zero
    Sigma_a = M^-T (W / n + P) M^-1 + Cov_M            P: privacy noise, W: noise within a group
    delta_a ~ N(0, T + S_a)    S_a = (diag e - e e^T) / people: chance of who is reached; T by EM
                               over the ads of the period (empirical Bayes, Efron and Morris 1973)
    figure  = posterior mean of 1/2 |delta_a|_1; interval = its 2.5 % and 97.5 % quantiles

S_a keeps the figures of a steered ad honest. A controller drives what is *measured* to zero, its
noise included, so a T learned from what is left comes out at about nothing and would draw every ad
there; chance is what no controller sees, and it stays (docs/explanation/variance.md).

``shrink`` is the same in NumPy, for live use; it agrees to 1e-9 and is never published.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from msgspec import Struct

from ringwork.fairness.measure.draws import DRAWS_SHA256, normal_draws
from ringwork.fairness.measure.evidence import Estimate, Evidence, measured_ads, noise
from ringwork.fairness.measure.linear import (
    Matrix,
    Row,
    added,
    applied,
    cholesky,
    congruence,
    dot,
    identity,
    product,
    quantile,
    scaled,
    solved,
    sum_zero_basis,
    symmetric,
    transposed,
)
from ringwork.fairness.measure.observed import (
    INVERSE_COVARIANCE_UNIT,
    NOISE_UNIT,
    Blur,
    Observed,
    Table,
    by_ad,
    deviation,
    measured,
)
from ringwork.fairness.model import PPB, PPM

__all__ = [
    "DRAWS_SHA256",
    "INVERSE_COVARIANCE_UNIT",
    "NOISE_UNIT",
    "Blur",
    "Estimated",
    "Observed",
    "Prior",
    "deattenuated",
    "default_prior",
    "direct_ppb",
    "prior_of",
    "proxy_ppb",
]

PRIOR_ADS_MIN: Final = 30
"""Fewer ads than this say too little of how far ads differ: the prior that is given holds."""
PRIOR_ADS_MAX: Final = 2_000
"""More are thinned evenly: T is known to 3 % by then, and an auditor recomputes it in minutes."""
ROUNDS: Final = 60
CONDITION_MAX_MILLI: Final = 50_000
SURVEY_ENOUGH: Final = 2_000
"""Answers from which on the blur is measured well enough to drop the calibration band."""
VARIANCE_MIN: Final = 1e-7
"""Added to T, so that it stays invertible after rounding to 1e-9; 0.03 percentage points."""
LOW: Final = 0.025
HIGH: Final = 0.975
CONFIDENCE: Final = 0.95


class Prior(Struct, frozen=True, kw_only=True):
    """How far the ads of a period differ from their audiences: deviation ~ N(0, covariance)."""

    covariance_ppb: Table
    """[K, K], rows sum to about zero."""
    ads: int
    """It was learned from; 0 for a plan's default."""


class Estimated(Struct, frozen=True, kw_only=True):
    """De-attenuated variance of one ad, in units of 1e-9."""

    ad: str
    deattenuated_ppb: int | None
    """None where the blur cannot be inverted well enough, or nobody was reached."""
    interval_ppb: tuple[int, int]
    """95 %, if posteriors are calibrated."""
    band_ppb: tuple[int, int] | None
    """Widest interval over the degrees of miscalibration; None where a survey makes it needless."""
    within_ppm: tuple[int, ...] = ()
    """Chance that the variance is at most each threshold, in 1e-6; posteriors calibrated."""


def proxy_ppb(*segments: Observed) -> int | None:
    """Variance of one ad as its sums show it: of a declared attribute the figure itself.

    Several segments where the audience changed. None where nobody of a known group was reached
    (no impressions, or all unknown): an ad without a figure, not one with the figure zero. A group
    of eligible share zero counts like any other.
    """
    found = measured(segments)
    if not found:
        return None
    total = sum((abs(one) for one in deviation(found)), Fraction(0)) / 2
    return min(round(total * PPB), PPB)


def direct_ppb(*segments: Observed, sampling: bool = False) -> tuple[int, int, int] | None:
    """(figure, low, high) of a declared attribute; None as for ``proxy_ppb``.

    The truth that the interval speaks of is the mix that *was* delivered, so privacy noise is all
    that stands between; ``sampling`` adds what another run of the same ad would give. Nothing is
    shrunk: variance is a norm, hence |figure - truth| <= norm of the noise, and the figure plus or
    minus its 95 % quantile holds for every ad whatever the other ads do (wider than it need be
    for many groups, exact for two far from zero).
    """
    found = measured(segments)
    if not found:
        return None
    covariance = noise(found, None, 0.0, sampling=sampling)
    basis = sum_zero_basis(len(covariance))
    factor = product(basis, cholesky(congruence(transposed(basis), covariance)))
    width = _ppb(quantile(_norms([0.0] * len(factor), factor), CONFIDENCE))
    figure = proxy_ppb(*segments)
    assert figure is not None
    return figure, max(figure - width, 0), min(figure + width, PPB)


def deattenuated(
    observed_ads: Sequence[Observed],
    blur: Blur,
    *,
    kappa_ppm: Sequence[int] = (),
    prior: Prior | None = None,
    thresholds_ppm: Sequence[int] = (),
) -> list[Estimated]:
    """Figures of the ads of one period, in the order of their first segment.

    ``prior`` is that of the period before, or the plan's default: it holds where fewer than
    ``PRIOR_ADS_MIN`` ads were measured (and stands for no miscalibration). ValueError where it is
    missing then, or a shape is not the blur's.
    """
    found = measured_ads(observed_ads, blur)
    figures: dict[str, list[Posterior]] = {ad: [] for ad in found}
    for kappa in kappas_of(blur, kappa_ppm) if found else ():
        evidence = Evidence(blur, kappa)
        estimates = [evidence.of(segments) for segments in found.values()]
        chances = [evidence.chance(segments) for segments in found.values()]
        covariance = _covariance(_with_chance(estimates, chances), prior, kappa)
        for ad, (delta, sigma), chance in zip(found, estimates, chances, strict=True):
            spread = added(covariance, chance)
            figures[ad].append(_posterior(delta, sigma, spread, thresholds_ppm))
    return [estimated(ad, figures.get(ad), blur) for ad in by_ad(observed_ads)]


def default_prior(groups: int, deviation_ppm: int) -> Prior:
    """The plan's: a group's share strays by ``deviation_ppm``, as a standard deviation."""
    variance = deviation_ppm * deviation_ppm // 1000
    other = -(variance // (groups - 1))
    return Prior(
        covariance_ppb=tuple(
            tuple(variance if i == j else other for j in range(groups)) for i in range(groups)
        ),
        ads=0,
    )


def prior_of(observed_ads: Sequence[Observed], blur: Blur, *, kappa_ppm: int = 0) -> Prior | None:
    """How far these ads differ, by EM; None for fewer than ``PRIOR_ADS_MIN`` measured ads."""
    found = measured_ads(observed_ads, blur)
    if len(found) < PRIOR_ADS_MIN:
        return None
    evidence = Evidence(blur, kappa_ppm)
    estimates = [evidence.of(segments) for segments in found.values()]
    chances = [evidence.chance(segments) for segments in found.values()]
    estimates = _with_chance(estimates, chances)
    return Prior(covariance_ppb=_learned(estimates), ads=len(estimates))


def kappas_of(blur: Blur, kappa_ppm: Sequence[int]) -> list[int]:
    """Degrees of miscalibration to repeat with, none first; none else where a survey suffices."""
    if blur.source != "implied" and blur.pool_size >= SURVEY_ENOUGH:
        return [0]
    return [0, *sorted({one for one in kappa_ppm if one > 0})]


Posterior = tuple[int, int, int, tuple[int, ...]]
"""Mean, 2.5 % and 97.5 % quantile in 1e-9, and the chances of being within thresholds in 1e-6."""


def estimated(ad: str, figures: Sequence[Posterior] | None, blur: Blur) -> Estimated:
    """The answer for an ad from its posterior per degree of miscalibration, none first."""
    if not figures:  # nobody was reached: anything may be true
        return Estimated(ad=ad, deattenuated_ppb=None, interval_ppb=(0, PPB), band_ppb=None)
    mean, low, high, within = figures[0]
    band = (min(one[1] for one in figures), max(one[2] for one in figures))
    return Estimated(
        ad=ad,
        deattenuated_ppb=mean if blur.condition_milli <= CONDITION_MAX_MILLI else None,
        interval_ppb=(low, high),
        band_ppb=band if len(figures) > 1 else None,
        within_ppm=within,
    )


def _with_chance(estimates: Sequence[Estimate], chances: Sequence[Matrix]) -> list[Estimate]:
    """For T, which is how far ads differ beyond chance, chance is noise like the other."""
    return [
        (delta, added(sigma, chance))
        for (delta, sigma), chance in zip(estimates, chances, strict=True)
    ]


def _covariance(estimates: Sequence[Estimate], prior: Prior | None, kappa_ppm: int) -> Matrix:
    """T in the sum-zero basis: of these ads, or the given one."""
    size = len(estimates[0][0]) + 1
    stretch = 1.0
    if len(estimates) >= PRIOR_ADS_MIN:
        table = _learned(estimates)
    elif prior is None:
        raise ValueError(
            f"expected a prior, since {len(estimates)} ads were measured and it takes "
            f"{PRIOR_ADS_MIN} to learn one"
        )
    elif len(prior.covariance_ppb) != size:
        raise ValueError(f"prior: expected {size} rows of groups, got {len(prior.covariance_ppb)}")
    else:
        table = prior.covariance_ppb
        stretch = 1.0 / (1.0 - kappa_ppm / PPM)
    doubles = [[one / PPB * (stretch * stretch) for one in row] for row in table]
    within = congruence(transposed(sum_zero_basis(size)), doubles)
    return added(within, identity(size - 1, VARIANCE_MIN))


def given_table(prior: Prior | None, *, ads: int, groups: int) -> Table:
    """The covariance of the prior that was given. ValueError where there is none, or no such."""
    if prior is None:
        raise ValueError(
            f"expected a prior, since {ads} ads were measured and it takes {PRIOR_ADS_MIN} "
            "to learn one"
        )
    if len(prior.covariance_ppb) != groups or any(
        len(row) != groups for row in prior.covariance_ppb
    ):
        raise ValueError(f"prior: expected {groups} rows of {groups} integers")
    return prior.covariance_ppb


def _learned(estimates: Sequence[Estimate]) -> Table:
    """T by EM, rounded to 1e-9 as it is logged: the figures use what the log says."""
    size = len(estimates[0][0]) + 1
    basis = sum_zero_basis(size)
    learned = congruence(basis, _em(_thinned(estimates)))
    return tuple(tuple(_ppb_signed(one) for one in row) for row in learned)


def _thinned(estimates: Sequence[Estimate]) -> Sequence[Estimate]:
    count = len(estimates)
    if count <= PRIOR_ADS_MAX:
        return estimates
    return [estimates[at * count // PRIOR_ADS_MAX] for at in range(PRIOR_ADS_MAX)]


def _em(estimates: Sequence[Estimate]) -> Matrix:
    """Covariance of the ads' deviations, their own noise taken out (normal-normal)."""
    count, size = len(estimates), len(estimates[0][0])
    covariance = identity(size, _first_variance(estimates))
    for _ in range(ROUNDS):
        total = identity(size, 0.0)
        for delta, sigma in estimates:
            mean, left = _given(delta, sigma, covariance)
            for i in range(size):
                for j in range(size):
                    total[i][j] += mean[i] * mean[j] + left[i][j]
        covariance = symmetric(scaled(total, 1.0 / count))
        for i in range(size):
            covariance[i][i] += VARIANCE_MIN
    return covariance


def _first_variance(estimates: Sequence[Estimate]) -> float:
    """By moments: what the deviations vary beyond their noise, per dimension."""
    count, size = len(estimates), len(estimates[0][0])
    seen = 0.0
    for i in range(size):
        mean = dot([delta[i] for delta, _ in estimates], [1.0] * count) / count
        offsets = [delta[i] - mean for delta, _ in estimates]
        noise = dot([sigma[i][i] for _, sigma in estimates], [1.0] * count) / count
        seen += dot(offsets, offsets) / (count - 1) - noise
    return max(seen / size, 1e-5)


def _given(delta: Row, sigma: Matrix, covariance: Matrix) -> Estimate:
    """Posterior mean and covariance: G delta and T - G T, with G = T (T + Sigma)^-1."""
    gain = transposed(solved(cholesky(added(covariance, sigma)), covariance))
    left = symmetric(added(covariance, scaled(product(gain, covariance), -1.0)))
    return applied(gain, delta), left


def _posterior(
    delta: Row, sigma: Matrix, covariance: Matrix, thresholds_ppm: Sequence[int]
) -> Posterior:
    """Of the variance, by the packaged draws."""
    mean, left = _given(delta, sigma, covariance)
    basis = sum_zero_basis(len(delta) + 1)
    drawn = _norms(applied(basis, mean), product(basis, cholesky(left)))
    average = dot(drawn, [1.0] * len(drawn)) / len(drawn)
    within = tuple(
        round(Fraction(bisect_right(drawn, one / PPM) * PPM, len(drawn))) for one in thresholds_ppm
    )
    return _ppb(average), _ppb(quantile(drawn, LOW)), _ppb(quantile(drawn, HIGH)), within


def _norms(mean: Row, factor: Matrix) -> Row:
    """1/2 |mean + factor z|_1 for every packaged draw z, in ascending order."""
    rows = list(zip(mean, factor, strict=True))
    out = []
    for draw in normal_draws(len(factor[0])):
        total = 0.0
        for middle, row in rows:
            total += abs(middle + dot(row, draw))
        out.append(total / 2)
    return sorted(out)


def _ppb(value: float) -> int:
    """Of a share, half to even; a variance is at most one."""
    return min(_ppb_signed(value), PPB)


def _ppb_signed(value: float) -> int:
    return round(value * PPB)
