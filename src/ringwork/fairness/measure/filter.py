"""Where an ad stands between two releases: a Kalman filter per attribute (specification 8).

State of one direction of deviation, in impressions: what was delivered so far beyond the eligible
share (s), the rate at which it goes on (r), the noise of posteriors within groups summed so far,
and the last few values of the privacy noise. Between releases the clusters that won tell which mix
to expect (wins times Q, free of privacy cost), so r is that prediction plus a bias that is learned.

Noise of a continual release is correlated, and for an ad's whole life. It is given by its
covariance and followed as an autoregression of ``memory`` steps (Vecchia 1988): the square-root
factorisation makes it fractional noise, whose weights fall as k^-1.5. With eight steps and 64
releases the squared error is 1 to 3 % above the best possible and stated up to 9 % too small for
ads of 320 impressions, 1 and 2 % for 2,560; sixteen steps bring both to about 1 %.

Directions are those in which the prior and the noise of an ad of ``reference`` impressions are
independent (their generalised eigenvectors), so each is a small filter of its own. At other sizes,
and for the chance of delivery, what correlates between directions is not used: of the error that is
possible that costs one percent or less, from 60 impressions to 5,000.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.control.model import Measurement
from ringwork.fairness.measure.linear import sum_zero_basis

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MEMORY: Final = 8
SPREAD_MIN: Final = 1e-7
"""Added to a prior, so that no direction is without variance; 0.03 percentage points."""
_SUM, _BIAS, _WITHIN, _NOISE = 0, 1, 2, 3


class Blurred(Struct, frozen=True, kw_only=True):
    """One attribute of K groups as the filter needs it: floats of a ``Blur``, or declared."""

    inverse: Floats
    """[K, K] of M; the identity for a declared attribute."""
    within: Floats
    """[K, K] W; zero for a declared attribute."""
    spread: Floats
    """[K, K] how far ads' rates differ from their audiences: a ``Prior``'s covariance."""

    @staticmethod
    def declared(spread: Floats) -> Blurred:
        """Measured as it is."""
        return Blurred(inverse=np.eye(len(spread)), within=np.zeros_like(spread), spread=spread)


class FilterModel:
    """What is the same for all ads of a plan.

    ``noise_covariance`` [T, T]: of the privacy noise on one cumulative sum over its T releases, in
    impressions squared. ``reference``: impressions of the ads that matter most, the smallest
    that the plan counts. ``drift``: variance that an ad's bias gains over a flight, as a share of
    the prior's; 0 for a response that never changes.
    """

    def __init__(
        self,
        attributes: Sequence[Blurred],
        noise_covariance: Floats,
        *,
        memory: int = MEMORY,
        drift: float = 0.25,
        reference: int = 300,
    ) -> None:
        groups = [len(one.spread) for one in attributes]
        self.size = sum(groups)
        """A: groups of all attributes."""
        directions = sum(groups) - len(groups)
        self.of_shares = np.zeros((directions, self.size))
        """[D, A]: from sums of shares as measured to directions, blur taken out."""
        self.of_groups = np.zeros((directions, self.size))
        """[D, A]: from true groups to directions."""
        self.to_groups = np.zeros((self.size, directions))
        self.within = np.empty(directions)
        """Variance of one person's posterior, and of noise of variance one on every sum."""
        self.privacy = np.empty(directions)
        self.prior = np.empty(directions)
        row = column = 0
        for one in attributes:
            rows, columns = (
                slice(row, row + len(one.spread) - 1),
                slice(column, column + len(one.spread)),
            )
            noise = float(np.median(np.diag(noise_covariance))) / reference
            self._place(one, rows, columns, noise)
            row, column = rows.stop, columns.stop
        self.drift = drift
        self.transitions, self.fresh = _autoregression(noise_covariance, memory)
        self.dimensions = _NOISE + memory

    def _place(self, one: Blurred, rows: slice, columns: slice, noise: float) -> None:
        """``noise``: variance of the privacy noise on one sum, for each impression."""
        size = len(one.spread)
        basis = np.array(sum_zero_basis(size))
        back = basis.T @ one.inverse.T
        privacy = back @ (np.eye(size) - 1 / size) @ back.T
        within = back @ one.within @ back.T
        spread = basis.T @ one.spread @ basis + SPREAD_MIN * np.eye(size - 1)
        root = np.linalg.cholesky(spread)
        inverse_root = np.linalg.inv(root)
        whitened = inverse_root @ (within + noise * privacy) @ inverse_root.T
        _, vectors = np.linalg.eigh((whitened + whitened.T) / 2)
        to_directions = vectors.T @ inverse_root
        self.of_groups[rows, columns] = to_directions @ basis.T
        self.of_shares[rows, columns] = to_directions @ back
        self.to_groups[columns, rows] = basis @ root @ vectors
        self.within[rows] = np.clip(np.diag(to_directions @ within @ to_directions.T), 0, None)
        self.privacy[rows] = np.diag(to_directions @ privacy @ to_directions.T)
        self.prior[rows] = 1.0  # directions are in standard deviations of the prior

    def start(self) -> tuple[Floats, Floats]:
        """Mean [D, m] and covariance [D, m, m] of an ad that has delivered nothing."""
        directions, size = len(self.prior), self.dimensions
        covariance = np.zeros((directions, size, size))
        covariance[:, _BIAS, _BIAS] = self.prior
        return np.zeros((directions, size)), covariance

    def directions(self, deviation: Floats) -> Floats:
        """[..., D] of deviations [..., A] as measured; NaN throughout a block that has one."""
        unknown = np.isnan(deviation)
        if not unknown.any():
            return np.asarray(deviation @ self.of_shares.T)
        seen = np.where(unknown, 0.0, deviation) @ self.of_shares.T
        return np.where(unknown.astype(float) @ (self.of_shares.T != 0) > 0, np.nan, seen)

    def sampling(self, eligible: Floats) -> Floats:
        """[..., D] variance that one impression adds by chance, of a mix [..., A]."""
        return np.asarray(eligible @ (self.of_groups**2).T - (eligible @ self.of_groups.T) ** 2)


def _autoregression(covariance: Floats, memory: int) -> tuple[Floats, Floats]:
    """[T, m, m] transitions that shift the noise in, and [T] the variance of what is new in it."""
    steps = len(covariance)
    size = _NOISE + memory
    transitions, fresh = np.zeros((steps, size, size)), np.empty(steps)
    for at in range(steps):
        known = np.arange(max(0, at - memory), at)[::-1]
        weight = np.linalg.lstsq(covariance[np.ix_(known, known)], covariance[known, at])[0]
        fresh[at] = max(covariance[at, at] - covariance[at, known] @ weight, 0.0)
        transitions[at, :_NOISE, :_NOISE] = np.eye(_NOISE)
        transitions[at, _NOISE, _NOISE : _NOISE + len(known)] = weight
        for lag in range(1, memory):
            transitions[at, _NOISE + lag, _NOISE + lag - 1] = 1.0
    return transitions, fresh


def _advance(
    mean: Floats, covariance: Floats, step: Floats, rate: Floats, added: Sequence[Floats]
) -> None:
    """``step`` impressions [..., 1] at ``rate`` [..., D] plus bias, in place.

    ``added``: variance per impression of s, of the bias and of the noise within groups.
    """
    mean[..., _SUM] += step * (rate + mean[..., _BIAS])
    wide = step[..., None]
    covariance[..., _SUM, :] += wide * covariance[..., _BIAS, :]
    covariance[..., _SUM] += wide * covariance[..., _BIAS]
    for at, variance in enumerate(added):
        covariance[..., at, at] += step * variance


def _observe(
    mean: Floats, covariance: Floats, seen: Floats, transition: Floats, fresh: Floats
) -> tuple[Floats, Floats]:
    """After a release that shows ``seen`` [..., D] (NaN where nobody of a known group was)."""
    mean = (transition @ mean[..., None])[..., 0]
    covariance = transition @ covariance @ transition.swapaxes(-1, -2)
    covariance[..., _NOISE, _NOISE] += fresh
    along = covariance[..., _SUM] + covariance[..., _WITHIN] + covariance[..., _NOISE]
    variance = along[..., _SUM] + along[..., _WITHIN] + along[..., _NOISE]
    off = seen - (mean[..., _SUM] + mean[..., _WITHIN] + mean[..., _NOISE])
    useful = (variance > 0) & ~np.isnan(off)
    weight = np.where(useful, 1 / np.sqrt(np.where(useful, variance, 1.0)), 0.0)
    along = along * weight[..., None]
    mean += along * (np.where(useful, off, 0.0) * weight)[..., None]
    covariance -= along[..., :, None] * along[..., None, :]
    return mean, covariance


class Filter:
    """One ad. ``eligible`` [A]: eligible shares as the same measure shows them, block by block."""

    def __init__(self, model: FilterModel, eligible: Floats, *, expected_impressions: int) -> None:
        if eligible.shape != (model.size,) or expected_impressions < 1:
            raise ValueError(f"expected {model.size} shares and one impression or more to come")
        self._model = model
        self._mean, self._covariance = model.start()
        self._drift = model.prior * (model.drift / expected_impressions)
        self._baseline = np.zeros(model.size)
        self._rate = np.zeros(len(model.prior))
        self._seen = np.zeros(model.size)
        self.impressions = 0
        self.releases = 0
        self.rebase(eligible)

    def rebase(self, eligible: Floats) -> None:
        """A new audience from now on; what was delivered keeps the baseline that it had."""
        self._eligible = eligible
        self._added = (self._model.sampling(eligible), self._drift, self._model.within)

    def advance(self, impressions: int, predicted: Floats | None = None) -> None:
        """``impressions`` more were delivered.

        ``predicted`` [A]: deviation to expect of them by the clusters that won, true groups; None
        keeps the last. A step back (a late or repeated count) is none.
        """
        step = max(impressions, 0)
        if predicted is not None:
            self._rate = self._model.of_groups @ predicted
        self.impressions += step
        self._baseline += step * self._eligible
        _advance(self._mean, self._covariance, np.array([float(step)]), self._rate, self._added)

    def release(self, shares: Floats) -> None:
        """A release of delivered shares [A], noisy and cumulative.

        NaN in an attribute of which nobody is known: it is not measured this time. ValueError for
        more releases than the noise was declared for.
        """
        if self.releases >= len(self._model.fresh):
            raise ValueError(f"expected {len(self._model.fresh)} releases, got one more")
        deviation = self.impressions * shares - self._baseline
        self._mean, self._covariance = _observe(
            self._mean,
            self._covariance,
            self._model.directions(deviation),
            self._model.transitions[self.releases],
            self._model.fresh[self.releases] * self._model.privacy,
        )
        self._seen = np.nan_to_num(deviation / max(self.impressions, 1))
        self.releases += 1

    def measurement(self, *, progress: float, spent: float) -> Measurement:
        """The best knowledge of the ad now, for a controller."""
        model, count = self._model, max(self.impressions, 1)
        spread = self._covariance[:, _SUM, _SUM] / count**2
        return Measurement(
            impressions=self.impressions,
            progress=progress,
            spent=spent,
            deviation=model.to_groups @ self._mean[:, _SUM] / count,
            covariance=(model.to_groups * spread) @ model.to_groups.T,
            proxy_deviation=self._seen,
            rate_deviation=model.to_groups @ (self._rate + self._mean[:, _BIAS]),
        )


class FilterBatch:
    """``Filter`` of many ads at a time: arrays over ads in place of one object each.

    ``eligible`` [ads, A], ``expected_impressions`` [ads]. Every method takes the places [n] of the
    ads that it is about, none twice, and arrays with a row for each.
    """

    def __init__(
        self, model: FilterModel, eligible: Floats, expected_impressions: Integers
    ) -> None:
        count = len(eligible)
        if eligible.shape != (count, model.size) or len(expected_impressions) != count:
            raise ValueError(f"expected a row of {model.size} shares and a size for each ad")
        self._model = model
        mean, covariance = model.start()
        self._mean = np.repeat(mean[None], count, axis=0)
        self._covariance = np.repeat(covariance[None], count, axis=0)
        self._drift = model.prior * (model.drift / np.maximum(expected_impressions, 1))[:, None]
        self._eligible = eligible.copy()
        self._sampling = model.sampling(eligible)
        self._baseline = np.zeros_like(eligible)
        self._rate = np.zeros((count, len(model.prior)))
        self._seen = np.zeros_like(eligible)
        self.impressions = np.zeros(count, dtype=np.int64)
        self.releases = np.zeros(count, dtype=np.int64)

    def rebase(self, ads: Integers, eligible: Floats) -> None:
        """See ``Filter.rebase``."""
        self._eligible[ads] = eligible
        self._sampling[ads] = self._model.sampling(eligible)

    def advance(
        self, ads: Integers, impressions: Integers, predicted: Floats | None = None
    ) -> None:
        """See ``Filter.advance``."""
        step = np.maximum(impressions, 0)
        if predicted is not None:
            self._rate[ads] = predicted @ self._model.of_groups.T
        self.impressions[ads] += step
        self._baseline[ads] += step[:, None] * self._eligible[ads]
        mean, covariance = self._mean[ads], self._covariance[ads]
        added = (self._sampling[ads], self._drift[ads], self._model.within)
        _advance(mean, covariance, step[:, None].astype(np.float64), self._rate[ads], added)
        self._mean[ads], self._covariance[ads] = mean, covariance

    def release(self, ads: Integers, shares: Floats) -> None:
        """See ``Filter.release``."""
        at = self.releases[ads]
        if at.max(initial=0) >= len(self._model.fresh):
            raise ValueError(f"expected {len(self._model.fresh)} releases, got one more")
        count = self.impressions[ads][:, None]
        deviation = count * shares - self._baseline[ads]
        self._mean[ads], self._covariance[ads] = _observe(
            self._mean[ads],
            self._covariance[ads],
            self._model.directions(deviation),
            self._model.transitions[at][:, None],
            self._model.fresh[at][:, None] * self._model.privacy,
        )
        self._seen[ads] = np.nan_to_num(deviation / np.maximum(count, 1))
        self.releases[ads] += 1

    def measurements(
        self, ads: Integers, *, progress: Floats, spent: Floats
    ) -> Iterator[Measurement]:
        """See ``Filter.measurement``; one for each ad, in the order of ``ads``."""
        model = self._model
        count = np.maximum(self.impressions[ads], 1)[:, None]
        spread = self._covariance[ads][:, :, _SUM, _SUM] / count**2
        deviation = self._mean[ads][:, :, _SUM] @ model.to_groups.T / count
        covariance = np.einsum("ad,nd,bd->nab", model.to_groups, spread, model.to_groups)
        rate = (self._rate[ads] + self._mean[ads][:, :, _BIAS]) @ model.to_groups.T
        for at, ad in enumerate(ads):
            yield Measurement(
                impressions=int(self.impressions[ad]),
                progress=float(progress[at]),
                spent=float(spent[at]),
                deviation=deviation[at],
                covariance=covariance[at],
                proxy_deviation=self._seen[ad],
                rate_deviation=rate[at],
            )
