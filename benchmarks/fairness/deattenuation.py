"""G6: the proxy's blur taken out, on labelled people, with M learned on others and no label.

A world: the people are halved; the blur is learned on one half, ads are delivered from the other,
each with a skew of its own (6 points of standard deviation a group), and the truth is the mix of
who was reached. Sums are released with Gaussian noise on each: none, the default plan's (5.8), and
8; the blur is learned from moments with the default plan's noise (17). Error is against the naive
proxy's in the same ads. Ads of one world share its errors of M, so figures are means over worlds,
by seed.

``calibrated`` people are measured with both forms of BISG: the exact posterior, and the regulator's,
whose two tables have different margins. ``regional`` people make every form over-confident: there
the interval needs a survey of 2,000, or the band over kappa.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.fairness.population import People, people
from benchmarks.foundation.event_log import result
from ringwork.fairness.measure import exact, shrink
from ringwork.fairness.measure.confusion import gram, moments_blur, survey_blur, surveyed
from ringwork.fairness.measure.eligible import eligible
from ringwork.fairness.measure.exact import Blur, Estimated, Observed
from ringwork.fairness.measure.linear import sum_zero_basis
from ringwork.fairness.measure.moments import Moments
from ringwork.fairness.measure.sums import SOFT_UNIT, quantised
from ringwork.fairness.model import PPB
from ringwork.kernel.entropy import SeededEntropy

Goal = dict[str, object]
Floats = NDArray[np.float64]

SIZES: Final = (300, 1_000, 5_000)
NOISE: Final = (0.0, 5.8, 8.0)
ERROR_GOALS: Final = {300: 1.0, 1_000: 0.45, 5_000: 0.25}
ISSUE: Final = {1_000: 0.40}
"""The issue asks for more than the specification at this size."""
STRETCH: Final = {300: 0.50, 1_000: 0.35, 5_000: 0.20}
KAPPA_PPM: Final = (0, 50_000, 100_000, 150_000)
SKEW: Final = 0.06
SURVEY: Final = 2_000
MODEL_SIGMA: Final = Fraction(17)
"""Of the noise on what an implied blur is learned from."""
COVERED: Final = (93.0, 97.0)


class Score(NamedTuple):
    """Of one world: squared errors, and shares of ads whose truth lies inside."""

    shrunk: float
    plain: float
    proxy: float
    told: float
    """Of the same estimate told the true M, W and T: no estimate from these sums does better."""
    interval: float
    band: float | None


class World(NamedTuple):
    blur: Blur
    observed: list[Observed]
    truth: Floats
    audience: People
    noise: float


def world(found: People, seed: int, size: int, noise: float, ads: int, *, survey: bool) -> World:
    """Ads of one half of the people, the blur of the other."""
    rng = np.random.default_rng([seed, size, int(noise * 10)])
    half = rng.random(len(found.group)) < 0.5
    pool, audience, group = found.posterior[half], found.posterior[~half], found.group[~half]
    if survey:
        asked = rng.choice(np.flatnonzero(half), SURVEY, replace=False)
        blur = survey_blur(
            found.posterior[asked], found.group[asked], SeededEntropy(seed), pool=pool
        )
    else:
        blur = moments_blur(released(pool, rng))
    groups = audience.shape[1]
    mix = np.bincount(group, minlength=groups) / len(group)
    members = [np.flatnonzero(group == one) for one in range(groups)]
    shares = eligible(audience).shares_ppb
    observed, truth = [], []
    for ad in range(ads):
        skew = rng.normal(0, SKEW, groups)
        wanted = np.clip(mix + skew - skew.mean(), 0.005, None)
        counts = rng.multinomial(size, wanted / wanted.sum())
        who = np.concatenate([rng.choice(members[k], counts[k]) for k in range(groups)])
        sums = np.rint((audience[who].sum(0) + rng.normal(0, noise, groups)) * 256)
        observed.append(
            Observed(
                ad=str(ad),
                segment=0,
                impressions=size,
                sums=tuple(sums.astype(int).tolist()),
                unit=256,
                eligible_ppb=shares,
                noise_variance=round((noise * 256) ** 2 * 1_000_000),
            )
        )
        truth.append(np.abs(counts / size - mix).sum() / 2)
    return World(blur, observed, np.array(truth), People(audience, group), noise)


def released(pool: Floats, rng: np.random.Generator) -> Moments:
    """What the platform learns a blur from: the pool's moments, with the default plan's noise."""
    rows, groups = quantised(pool), pool.shape[1]
    sums = []
    for row in gram(rows, np.ones((groups, groups), np.bool_)):
        halved = np.sqrt([1.0] + [2.0] * (len(row) - 1))
        noise = np.rint(rng.normal(0, float(MODEL_SIGMA) * SOFT_UNIT**2 / halved))
        sums.append(tuple((np.array(row) + noise.astype(np.int64)).tolist()))
    return Moments(sums=tuple(sums), unit=SOFT_UNIT, sigma=MODEL_SIGMA)


def score(one: World, kappa_ppm: tuple[int, ...]) -> Score:
    """Live figures against the truth; the published path must agree on them first."""
    figures = shrink.deattenuated(one.observed, one.blur, kappa_ppm=kappa_ppm)
    naive = np.array([exact.proxy_ppb(ad) for ad in one.observed]) / PPB
    sums = np.array([ad.sums for ad in one.observed]) / 256
    size = one.observed[0].impressions
    sums -= (sums.sum(1, keepdims=True) - size) / sums.shape[1]
    off = sums / size - np.array(one.observed[0].eligible_ppb) / PPB
    plain = np.abs(off @ (np.array(one.blur.inverse_ppb) / PPB)).sum(1) / 2
    shrunk = np.array([found.deattenuated_ppb for found in figures]) / PPB
    estimates = (shrunk, plain, naive, told(one, off))
    return Score(
        *(float(np.mean((value - one.truth) ** 2)) for value in estimates),
        interval=covers([found.interval_ppb for found in figures], one.truth),
        band=covers([found.band_ppb for found in figures], one.truth) if kappa_ppm else None,
    )


def told(one: World, off: Floats) -> Floats:
    """Figures of who knows the labels of the audience and the law by which ads were drawn."""
    posterior, group = one.audience
    size, groups = one.observed[0].impressions, posterior.shape[1]
    basis = np.array(sum_zero_basis(groups))
    mix = np.bincount(group, minlength=groups) / len(group)
    inverse = np.linalg.inv(surveyed(posterior, group))
    spread = [mix[k] * np.cov(posterior[group == k].T, bias=True) for k in range(groups)]
    privacy = (one.noise / size) ** 2 * (np.eye(groups) - 1 / groups)
    back = basis.T @ inverse.T
    sigma = back @ (np.sum(spread, axis=0) / size + privacy) @ back.T
    chance = basis.T @ (np.diag(mix) - np.outer(mix, mix)) @ basis / size
    law = SKEW**2 * np.eye(groups - 1) + chance
    sigmas = np.repeat(sigma[None], len(off), axis=0)
    return np.asarray(shrink.posterior(off @ back.T, sigmas, law)[:, 0])


def covers(ends: list[tuple[int, int] | None], truth: Floats) -> float:
    """Percent of the ads whose truth lies between the ends."""
    low, high = np.array(ends, dtype=float).T / PPB
    return float(np.mean((low <= truth) & (truth <= high))) * 100


def agree(found: People) -> None:
    """The published path gives the live figures, to 1e-9."""
    one = world(found, 0, 1_000, 5.8, 40, survey=False)
    published = exact.deattenuated(one.observed, one.blur, kappa_ppm=KAPPA_PPM)
    live = shrink.deattenuated(one.observed, one.blur, kappa_ppm=KAPPA_PPM)
    worst = max(abs(a - b) for x, y in zip(published, live, strict=True) for a, b in _pairs(x, y))
    if worst > 1:
        raise AssertionError(f"published and live figures differ by {worst}e-9")


def _pairs(one: Estimated, other: Estimated) -> list[tuple[int, int]]:
    left = (one.deattenuated_ppb, *one.interval_ppb, *(one.band_ppb or ()))
    right = (other.deattenuated_ppb, *other.interval_ppb, *(other.band_ppb or ()))
    return [(a or 0, b or 0) for a, b in zip(left, right, strict=True)]


def run(quick: bool) -> list[Goal]:
    """Measure, print the table, return the goals."""
    worlds, ads = (6, 120) if quick else (40, 150)
    exactly = people("calibrated", "name_likelihood")
    regional = people("regional", "cfpb")
    agree(exactly)
    goals: list[Goal] = []
    for size in SIZES:
        for noise in NOISE:
            case = f"n={size:,}, noise {noise:g}"
            seen = Cases(size, noise, worlds, ads)
            best = seen.mean("calibrated, exact posterior", exactly)
            goals += _error_goals(case, best, size, noise)
            goals.append(_covered(f"G6 95% interval covers, calibrated, {case}", best.interval))
            cfpb = seen.mean("calibrated, regulator's form", people("calibrated", "cfpb"))
            name = f"G6 95% interval covers, calibrated, regulator's form, {case}"
            goals.append(_covered(name, cfpb.interval))
            asked = seen.mean("regional, survey of 2,000", regional, survey=True)
            name = f"G6 interval covers, regional, survey of {SURVEY:,}, {case}"
            goals.append(result(name, asked.interval, COVERED[0], "%"))
            band = seen.mean("regional, band over kappa", regional, kappa_ppm=KAPPA_PPM)
            name = f"G6 band covers, regional, no survey, {case}"
            goal = result(name, band.band or 0.0, COVERED[0], "%")
            goals.append({**goal, "peer": f"interval without the band: {band.interval:.1f} %"})
    return goals


class Cases(NamedTuple):
    """One size and noise, over all worlds."""

    size: int
    noise: float
    worlds: int
    ads: int

    def mean(
        self,
        name: str,
        found: People,
        *,
        survey: bool = False,
        kappa_ppm: tuple[int, ...] = (),
    ) -> Score:
        scores = [
            score(world(found, seed, self.size, self.noise, self.ads, survey=survey), kappa_ppm)
            for seed in range(self.worlds)
        ]
        shrunk, plain, proxy, known, interval = np.mean([one[:5] for one in scores], axis=0)
        bands = [one.band for one in scores if one.band is not None]
        band = float(np.mean(bands)) if bands else None
        shown = "" if band is None else f", band {band:.1f} %"
        print(
            f"{name:30} n={self.size:5} noise {self.noise:3g}: proxy RMSE {proxy**0.5:.4f}, "
            f"plain x{(plain / proxy) ** 0.5:.2f}, shrunk x{(shrunk / proxy) ** 0.5:.3f}, told all x{(known / proxy) ** 0.5:.3f}, "
            f"covers {interval:.1f} %{shown}",
            flush=True,
        )
        return Score(float(shrunk), float(plain), float(proxy), float(known), float(interval), band)


def _error_goals(case: str, found: Score, size: int, noise: float) -> list[Goal]:
    ratio = (found.shrunk / found.proxy) ** 0.5
    plain = (found.plain / found.proxy) ** 0.5
    known = (found.told / found.proxy) ** 0.5
    peer = {"peer": f"plain M^-1: {plain:.2f}; told the true M, W and T: {known:.3f}"}
    name = f"G6 RMSE over the proxy's, {case}"
    goals = [{**result(name, ratio, ERROR_GOALS[size], "x", at_most=True), **peer}]
    if size in ISSUE:
        asked = result(f"{name}, as the issue asks", ratio, ISSUE[size], "x", at_most=True)
        goals.append({**asked, **peer})
    if noise == 0:
        stretch = result(f"{name}, stretch", ratio, STRETCH[size], "x", at_most=True)
        goals.append({**stretch, **peer})
    return goals


def _covered(name: str, percent: float) -> Goal:
    """Within 93 and 97 percent: the row shows the bound that is nearer to being missed."""
    low, high = COVERED
    at_most = percent > (low + high) / 2
    return result(name, percent, high if at_most else low, "%", at_most=at_most)


if __name__ == "__main__":
    run(quick=True)
