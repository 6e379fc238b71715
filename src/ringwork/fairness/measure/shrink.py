"""``exact`` in NumPy, for live use: the same algorithm and draws, many ads at a time.

Figures agree to 1e-9 and are never published: a sum in another order differs in its last bits from
machine to machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringwork.fairness.measure.draws import normal_draws
from ringwork.fairness.measure.exact import (
    HIGH,
    LOW,
    PRIOR_ADS_MAX,
    PRIOR_ADS_MIN,
    ROUNDS,
    VARIANCE_MIN,
    Estimated,
    Posterior,
    Prior,
    estimated,
    given_table,
    kappas_of,
)
from ringwork.fairness.measure.linear import sum_zero_basis
from ringwork.fairness.measure.observed import (
    INVERSE_COVARIANCE_UNIT,
    NOISE_UNIT,
    Blur,
    Observed,
    by_ad,
)
from ringwork.fairness.model import PPB, PPM

Floats = NDArray[np.float64]

CHUNK: Final = 512
"""Ads whose draws are held at a time: 512 x 1,024 x 4 doubles are 16 MiB."""


def deattenuated(
    observed_ads: Sequence[Observed],
    blur: Blur,
    *,
    kappa_ppm: Sequence[int] = (),
    prior: Prior | None = None,
    thresholds_ppm: Sequence[int] = (),
) -> list[Estimated]:
    """As ``exact.deattenuated``, with its errors."""
    ads = list(by_ad(observed_ads))
    sums = _Sums(observed_ads, ads, len(blur.matrix_ppb))
    figures: list[list[Posterior]] = [[] for _ in ads]
    for kappa in kappas_of(blur, kappa_ppm) if sums.measured.any() else ():
        delta, sigma = evidence(sums, blur, kappa / PPM)
        chance = _chance(sums, blur)
        spread = _spread(delta, sigma + chance, prior, kappa / PPM) + chance
        bounds = [one / PPM for one in thresholds_ppm]
        found = posterior(delta, sigma, spread, bounds)
        rows = np.rint(found[:, :3] * PPB).astype(np.int64).tolist()
        shares = np.rint(found[:, 3:] * PPM).astype(np.int64).tolist()
        for at, row, within in zip(np.flatnonzero(sums.measured), rows, shares, strict=True):
            figures[at].append((row[0], row[1], row[2], tuple(within)))
    return [estimated(ad, found, blur) for ad, found in zip(ads, figures, strict=True)]


class _Sums:
    """Segments as arrays [S, ...]; those in which nobody is known are left out."""

    def __init__(self, observed: Sequence[Observed], ads: Sequence[str], groups: int) -> None:
        for one in observed:
            if len(one.eligible_ppb) != groups:
                raise ValueError(f"ad {one.ad}: expected the {groups} groups of the blur")
        place = {ad: at for at, ad in enumerate(ads)}
        impressions = np.array([one.impressions for one in observed], dtype=np.int64)
        unit = np.array([one.unit for one in observed], dtype=np.int64)
        buckets = np.array([len(one.sums) for one in observed], dtype=np.int64)
        total = np.array([sum(one.sums) for one in observed], dtype=np.int64)
        raw = np.array([one.sums[:groups] for one in observed], dtype=np.int64)
        raw = raw.reshape(-1, groups)
        corrected = buckets[:, None] * raw - (total - impressions * unit)[:, None]
        known = corrected.sum(1)
        keep = (known > 0) & (impressions > 0)
        self.ad = np.array([place[one.ad] for one in observed], dtype=np.int64)[keep]
        self.measured = np.bincount(self.ad, minlength=len(ads)) > 0
        self.row = (np.cumsum(self.measured) - 1)[self.ad]
        """Of each segment, its ad's place among the measured ones."""
        self.delivered = corrected[keep] / known[keep, None]
        self.known = known[keep] / (buckets * unit)[keep]
        people = np.array([one.people for one in observed], dtype=np.int64)
        people = np.where(people > 0, np.minimum(people, impressions), impressions)[keep]
        self.people = self.known * people / impressions[keep]
        self.eligible = np.array([one.eligible_ppb for one in observed]).reshape(-1, groups)[keep]
        self.eligible = self.eligible / PPB
        self.impressions = impressions[keep]
        self.unit = unit[keep]
        self.buckets = buckets[keep]
        self.eligible_weight, self.eligible_noise = self._measured_once(observed, keep)
        noise = [(one.noise_variance, one.impressions_noise_variance) for one in observed]
        self.noise = np.array(noise, dtype=float).reshape(-1, 2)[keep] / NOISE_UNIT

    def _measured_once(
        self, observed: Sequence[Observed], keep: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """[S] impressions, and standard deviation of the noise, of an audience measured once.

        On the first of its segments; see ``evidence.measured_once``.
        """
        kept = [one for one, is_kept in zip(observed, keep, strict=True) if is_kept]
        first: dict[tuple[str, tuple[int, ...], int], int] = {}
        impressions = np.zeros(len(kept))
        for at, one in enumerate(kept):
            key = one.ad, one.eligible_ppb, one.eligible_noise_ppb
            impressions[first.setdefault(key, at)] += one.impressions
        return impressions, np.array([one.eligible_noise_ppb for one in kept]) / PPB


def evidence(sums: _Sums, blur: Blur, kappa: float) -> tuple[Floats, Floats]:
    """[ads, K - 1] deviations in the sum-zero basis, and [ads, K - 1, K - 1] their covariance."""
    size = len(blur.matrix_ppb)
    basis = np.array(sum_zero_basis(size))
    back = basis.T @ (np.array(blur.inverse_ppb) / PPB).T
    count = int(sums.measured.sum())
    total = np.bincount(sums.row, sums.impressions, minlength=count)
    weight = sums.impressions / total[sums.row]
    x = np.zeros((count, size))
    np.add.at(x, sums.row, weight[:, None] * (sums.delivered - sums.eligible))
    noise = np.zeros((count, size, size))
    of_one = _privacy(sums) + _within(sums, blur, kappa) / sums.people[:, None, None]
    np.add.at(noise, sums.row, (weight**2)[:, None, None] * of_one)
    np.add.at(noise, sums.row, _of_eligible(sums, total))
    unknown = np.array(blur.inverse_covariance, dtype=float).reshape(size, size, size, size)
    unknown = np.einsum("ikjl,ka,lb->ijab", unknown / INVERSE_COVARIANCE_UNIT, basis, basis)
    unknown = (unknown + unknown.transpose(0, 1, 3, 2)) / 2
    sigma = back @ noise @ back.T + np.einsum("ai,aj,ijkl->akl", x, x, unknown)
    stretch = 1 / (1 - kappa)
    return x @ back.T * stretch, sigma * stretch**2


def _chance(sums: _Sums, blur: Blur) -> Floats:
    """[ads, K - 1, K - 1], see ``evidence.Evidence.chance``."""
    basis = np.array(sum_zero_basis(len(blur.matrix_ppb)))
    shares = np.maximum(sums.eligible @ (np.array(blur.inverse_ppb) / PPB), 0.0)
    shares /= shares.sum(1, keepdims=True)
    of_one = shares[:, :, None] * (np.eye(shares.shape[1]) - shares[:, None, :])
    count = int(sums.measured.sum())
    total = np.bincount(sums.row, sums.impressions, minlength=count)
    weight = (sums.impressions / total[sums.row]) ** 2 / sums.people
    out = np.zeros((count, *of_one.shape[1:]))
    np.add.at(out, sums.row, weight[:, None, None] * of_one)
    return np.asarray(basis.T @ out @ basis)


def _privacy(sums: _Sums) -> Floats:
    """[S, K, K], see ``evidence.noise``."""
    groups = sums.delivered.shape[1]
    each = (1 / sums.buckets)[:, None, None]
    share = sums.delivered
    leak = (sums.buckets > groups)[:, None, None] * each
    of_one = np.eye(groups) - each
    of_one = of_one + leak * (
        groups * share[:, :, None] * share[:, None, :] - share[:, :, None] - share[:, None, :]
    )
    tilt = (1 - groups * share) / sums.buckets[:, None]
    of_sum = sums.noise[:, 0] / (sums.known * sums.unit) ** 2
    of_count = sums.noise[:, 1] / sums.known**2
    tilted = tilt[:, :, None] * tilt[:, None, :]
    return np.asarray(of_sum[:, None, None] * of_one + of_count[:, None, None] * tilted)


def _of_eligible(sums: _Sums, total: NDArray[np.generic]) -> Floats:
    """[S, K, K] of the eligible shares, weighted as the segments that share them."""
    shares, groups = sums.eligible, sums.eligible.shape[1]
    spread = np.eye(groups) - shares[:, :, None] - shares[:, None, :]
    spread = spread + groups * shares[:, :, None] * shares[:, None, :]
    weight = (sums.eligible_weight / total[sums.row] * sums.eligible_noise) ** 2
    return np.asarray(weight[:, None, None] * spread)


def _within(sums: _Sums, blur: Blur, kappa: float) -> Floats:
    """[S, K, K] covariance of one posterior around its group's mean."""
    matrix = np.array(blur.matrix_ppb) / PPB
    mean = sums.eligible @ matrix
    between = np.einsum("si,ij,ik->sjk", sums.eligible, matrix, matrix)
    between -= mean[:, :, None] * mean[:, None, :]
    return np.asarray(np.array(blur.within_ppb) / PPB + (1 - (1 - kappa) ** 2) * between)


def _spread(delta: Floats, sigma: Floats, prior: Prior | None, kappa: float) -> Floats:
    """T in the sum-zero basis, of these ads or the given one, rounded as it is logged."""
    size = delta.shape[1] + 1
    basis = np.array(sum_zero_basis(size))
    if len(delta) >= PRIOR_ADS_MIN:
        table = np.rint(basis @ learned(delta, sigma) @ basis.T * PPB) / PPB
    else:
        given = given_table(prior, ads=len(delta), groups=size)
        table = np.array(given) / PPB / (1 - kappa) ** 2
    return np.asarray(basis.T @ table @ basis + VARIANCE_MIN * np.eye(size - 1))


def learned(delta: Floats, sigma: Floats) -> Floats:
    """T by EM over the ads, see ``exact``."""
    count, size = delta.shape
    if count > PRIOR_ADS_MAX:
        at = np.arange(PRIOR_ADS_MAX) * count // PRIOR_ADS_MAX
        delta, sigma = delta[at], sigma[at]
    seen = float(np.trace(np.atleast_2d(np.cov(delta.T)) - sigma.mean(0)))
    spread = np.eye(size) * max(seen / size, 1e-5)
    for _ in range(ROUNDS):
        mean, left = _given(delta, sigma, spread)
        spread = (mean[:, :, None] * mean[:, None, :] + left).mean(0)
        spread = (spread + spread.T) / 2 + VARIANCE_MIN * np.eye(size)
    return np.asarray(spread)


def _given(delta: Floats, sigma: Floats, spread: Floats) -> tuple[Floats, Floats]:
    gain = np.linalg.solve(spread + sigma, np.broadcast_to(spread, sigma.shape))
    gain = gain.transpose(0, 2, 1)
    left = spread - gain @ spread
    mean = (gain @ delta[:, :, None])[:, :, 0]
    return np.asarray(mean), np.asarray((left + left.transpose(0, 2, 1)) / 2)


def posterior(
    delta: Floats, sigma: Floats, spread: Floats, thresholds: Sequence[float] = ()
) -> Floats:
    """[ads, 3 + thresholds] mean, 2.5 % and 97.5 % quantile of the variance, chances to be within.

    ``spread`` [K - 1, K - 1] of all ads, or of each [ads, K - 1, K - 1].
    """
    size = delta.shape[1]
    basis = np.array(sum_zero_basis(size + 1))
    draws = np.array(normal_draws(size))
    spread = np.broadcast_to(spread, sigma.shape)
    out = np.empty((len(delta), 3 + len(thresholds)))
    for start in range(0, len(delta), CHUNK):
        part = slice(start, start + CHUNK)
        mean, left = _given(delta[part], sigma[part], spread[part])
        factor = basis @ _cholesky(left)
        x = (mean @ basis.T)[:, None, :] + draws @ factor.transpose(0, 2, 1)
        norms = np.sort(np.abs(x).sum(2) / 2, axis=1)
        low, high = np.quantile(norms, [LOW, HIGH], axis=1, method="hazen")
        within = [(norms <= one).mean(1) for one in thresholds]
        out[part] = np.column_stack([norms.mean(1), low, high, *within])
    return np.minimum(out, 1.0)


def _cholesky(matrices: Floats) -> Floats:
    """[ads, k, k] lower factors; a pivot <= 0 leaves its column zero, as in ``linear``."""
    size = matrices.shape[1]
    lower = np.zeros_like(matrices)
    for j in range(size):
        row = lower[:, j, :j]
        pivot = matrices[:, j, j] - (row * row).sum(1)
        root = np.sqrt(np.maximum(pivot, 0.0))
        lower[:, j, j] = root
        below = matrices[:, j + 1 :, j] - (lower[:, j + 1 :, :j] * row[:, None, :]).sum(2)
        np.divide(below, root[:, None], out=lower[:, j + 1 :, j], where=root[:, None] > 0.0)
    return lower
