"""What one ad's sums say of its deviation: an estimate and its covariance, bit for bit.

Specification 4.6.2 and 4.6.3. All doubles here go through ``linear``.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringwork.fairness.measure.linear import (
    Matrix,
    Row,
    added,
    applied,
    congruence,
    dot,
    identity,
    product,
    scaled,
    sum_zero_basis,
    symmetric,
    transposed,
)
from ringwork.fairness.measure.observed import (
    INVERSE_COVARIANCE_UNIT,
    NOISE_UNIT,
    Blur,
    Observed,
    Shares,
    by_ad,
    deviation,
    measured,
)
from ringwork.fairness.model import PPB, PPM

Segments = list[tuple[Observed, Shares]]
Estimate = tuple[Row, Matrix]
"""Deviation in the sum-zero basis, and its covariance."""


def measured_ads(observed_ads: Sequence[Observed], blur: Blur) -> dict[str, Segments]:
    """Ads that reached somebody of a known group. ValueError for groups that are not the blur's."""
    groups = len(blur.matrix_ppb)
    found = {}
    for ad, segments in by_ad(observed_ads).items():
        if any(len(one.eligible_ppb) != groups for one in segments):
            raise ValueError(f"ad {ad}: expected the {groups} groups of the blur")
        if known := measured(segments):
            found[ad] = known
    return found


def noise(
    segments: Segments, blur: Evidence | None, kappa: float, *, sampling: bool = False
) -> Matrix:
    """Covariance of delivered minus eligible shares, given who was reached.

    Segments whose audience was measured once have the same noise in their eligible shares, so their
    weights add up before they are squared.
    """
    total = sum(one.impressions for one, _ in segments)
    out = identity(len(segments[0][0].eligible_ppb), 0.0)
    for one, found in segments:
        delivered = [float(share) for share in found.delivered]
        spread = _privacy(one, delivered, float(found.known))
        if blur is not None:
            spread = added(spread, scaled(blur.within(one, kappa), 1.0 / float(found.people)))
        if sampling:
            spread = added(spread, scaled(drawn(delivered), 1.0 / float(found.people)))
        weight = one.impressions / total
        out = added(out, scaled(spread, weight * weight))
    for (eligible, noise_ppb), impressions in measured_once(segments).items():
        weight = impressions / total
        spread = _of_eligible([share / PPB for share in eligible], noise_ppb / PPB)
        out = added(out, scaled(spread, weight * weight))
    return out


def measured_once(segments: Segments) -> dict[tuple[tuple[int, ...], int], int]:
    """Impressions by eligible shares and their noise, where there is noise.

    Equal to 1e-9 in every group and noisy: one release, since two would not agree.
    """
    found: dict[tuple[tuple[int, ...], int], int] = {}
    for one, _ in segments:
        if one.eligible_noise_ppb:
            key = one.eligible_ppb, one.eligible_noise_ppb
            found[key] = found.get(key, 0) + one.impressions
    return found


def _of_eligible(shares: Row, error: float) -> Matrix:
    """s^2 (I - e 1^T)(I - 1 e^T): shares e = x / sum x, the error of each x being s sum x."""
    variance = error * error
    size = len(shares)
    return [
        [variance * ((1.0 if i == j else 0.0) - a - b + size * a * b) for j, b in enumerate(shares)]
        for i, a in enumerate(shares)
    ]


def drawn(chances: Row) -> Matrix:
    """Covariance of one draw, one-hot."""
    return [
        [(a if i == j else 0.0) - a * b for j, b in enumerate(chances)]
        for i, a in enumerate(chances)
    ]


def _privacy(observed: Observed, delivered: Row, known: float) -> Matrix:
    """Of the shares, after the correction of sums that took the noise's mean from each.

    Where there is an unknown bucket, what moves into it moves every share of the known.
    """
    buckets, groups = len(observed.sums), len(delivered)
    scale = known * observed.unit
    of_sum = observed.noise_variance / NOISE_UNIT / (scale * scale)
    of_count = observed.impressions_noise_variance / NOISE_UNIT / (known * known)
    tilt = [1.0 / buckets - groups / buckets * share for share in delivered]
    leak = 1.0 / buckets if observed.has_unknown else 0.0
    out = []
    for i, a in enumerate(delivered):
        row = []
        for j, b in enumerate(delivered):
            of_one = (1.0 if i == j else 0.0) - 1.0 / buckets
            of_one += leak * (groups * a * b - a - b)
            row.append(of_sum * of_one + of_count * tilt[i] * tilt[j])
        out.append(row)
    return out


class Evidence:
    """The blur as doubles, and what it makes of an ad's sums under one degree of miscalibration."""

    def __init__(self, blur: Blur, kappa_ppm: int) -> None:
        if not 0 <= kappa_ppm < PPM:
            raise ValueError(f"kappa: expected 0 to 999999 ppm, got {kappa_ppm}")
        self.kappa = kappa_ppm / PPM
        self.matrix = [[one / PPB for one in row] for row in blur.matrix_ppb]
        self.within_group = [[one / PPB for one in row] for row in blur.within_ppb]
        self.size = len(self.matrix)
        basis = sum_zero_basis(self.size)
        inverse = [[one / PPB for one in row] for row in blur.inverse_ppb]
        self._basis = basis
        self._inverse = transposed(inverse)
        self.back = product(transposed(basis), self._inverse)
        """[K - 1, K]: from shares to deviations in the basis, M^-T."""
        self.unknown_inverse = [
            [
                congruence(
                    transposed(basis),
                    [
                        [
                            blur.inverse_covariance[i * self.size + k][j * self.size + m]
                            / INVERSE_COVARIANCE_UNIT
                            for m in range(self.size)
                        ]
                        for k in range(self.size)
                    ],
                )
                for j in range(self.size)
            ]
            for i in range(self.size)
        ]

    def of(self, segments: Segments) -> Estimate:
        """Under kappa, M_kappa = (1 - kappa) M + kappa 1 e^T.

        On vectors that sum to zero its inverse is that of M divided by 1 - kappa.
        """
        x = [float(one) for one in deviation(segments)]
        sigma = congruence(self.back, noise(segments, self, self.kappa))
        for i, a in enumerate(x):
            for j, b in enumerate(x):
                sigma = added(sigma, scaled(self.unknown_inverse[i][j], a * b))
        stretch = 1.0 / (1.0 - self.kappa)
        delta = [one * stretch for one in applied(self.back, x)]
        return delta, scaled(symmetric(sigma), stretch * stretch)

    def chance(self, segments: Segments) -> Matrix:
        """[K - 1, K - 1] covariance of who happens to be reached, if everybody eligible may be.

        Nobody who steers by groups of people escapes it, and nobody sees it but through a release:
        so it is part of the truth, not of the noise.
        """
        total = sum(one.impressions for one, _ in segments)
        out = identity(self.size - 1, 0.0)
        for one, found in segments:
            shares = applied(self._inverse, [share / PPB for share in one.eligible_ppb])
            shares = [max(share, 0.0) for share in shares]
            whole = dot(shares, [1.0] * len(shares))
            of_one = congruence(transposed(self._basis), drawn([share / whole for share in shares]))
            weight = one.impressions / total
            out = added(out, scaled(of_one, weight * weight / float(found.people)))
        return out

    def within(self, observed: Observed, kappa: float) -> Matrix:
        """Covariance of one posterior around its group's mean.

        What M_kappa takes from the spread between groups is spread within them:
        W_kappa = W + (1 - (1 - kappa)^2) Cov(group means).
        """
        if kappa == 0.0:
            return self.within_group
        shares = [one / PPB for one in observed.eligible_ppb]
        columns = transposed(self.matrix)
        mean = applied(columns, shares)
        lost = 1.0 - (1.0 - kappa) * (1.0 - kappa)
        between = [
            [
                dot([a * share for a, share in zip(left, shares, strict=True)], right)
                - mean[i] * mean[j]
                for j, right in enumerate(columns)
            ]
            for i, left in enumerate(columns)
        ]
        return added(self.within_group, scaled(between, lost))
