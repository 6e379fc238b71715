"""Where an ad stands: what its wins predict, corrected by what the latest release shows.

The cells of an ad's wins predict whom it reached. What they cannot know is how its response departs
from the learned one (a bias, constant or slow), and chance: whom exactly a cell brought. A release
measures both, with noise. Everything is normal, so the posterior is one conditioning; only the
latest release is used, since sums are cumulative and earlier ones say little more.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct

from ringwork.fairness.control.model import Floats, Release, spans

BIAS: Final = 0.05
"""Standard deviation of a share's bias that is believed before any release; measured .04 to .06 in
the standard world."""
BIAS_LEAST: Final = 0.005
BELIEVED_ADS: Final = 1.0
"""Ads that this belief weighs as much as."""


TAIL: Final = 0.08
"""Share of a flight that no release measures any more: about the last of its episodes."""


class Standing(Struct, frozen=True, kw_only=True):
    """Best knowledge of an ad's delivery so far, and of what goes on."""

    deviation: Floats
    """[A] delivered minus eligible share, posterior mean."""
    covariance: Floats
    """[A, A]"""
    bias: Floats
    """[A] of the prediction, posterior mean."""
    bias_covariance: Floats
    """[A, A]"""
    scatter: Floats
    """[A, A] covariance of one impression's group around its cell's prediction."""


def projector(blocks: tuple[int, ...]) -> Floats:
    """[A, A] onto vectors whose every attribute sums to zero."""
    out = np.zeros((sum(blocks), sum(blocks)))
    for span in spans(blocks):
        size = span.stop - span.start
        out[span, span] = np.eye(size) - 1 / size
    return out


def scatter(blocks: tuple[int, ...], share: Floats, weights: Floats) -> Floats:
    """[A, A] mean covariance of a one-hot whose chances are ``share`` [A, n], weighted."""
    out = np.zeros((sum(blocks), sum(blocks)))
    for span in spans(blocks):
        part = share[span]
        out[span, span] = np.diag(part @ weights) - (part * weights) @ part.T
    return out


class Family:
    """How far releases depart from predictions over all ads of one controller: the bias's variance.

    By moments: the square of a departure is the bias's variance, chance's and the noise's, of which
    the last two are known. An ad counts with its latest release.
    """

    def __init__(self, blocks: tuple[int, ...]) -> None:
        self._blocks = blocks
        self._seen: dict[str, list[tuple[float, float]]] = {}
        self._excess = [BELIEVED_ADS * BIAS**2] * len(blocks)
        self._weight = [BELIEVED_ADS] * len(blocks)

    def note(self, ad_id: str, departure: Floats, noise: Floats) -> None:
        """``departure`` [A] of a release from its prediction; ``noise`` [A, A] without the bias."""
        before = self._seen.get(ad_id)
        found = []
        for number, span in enumerate(spans(self._blocks)):
            known = float(np.trace(noise[span, span]))
            excess = (float(departure[span] @ departure[span]) - known) / (span.stop - span.start)
            # A precise release says more: the square's own spread is about its mean.
            weight = 1 / (1 + known / (BIAS**2 * (span.stop - span.start))) ** 2
            old = (0.0, 0.0) if before is None else before[number]
            self._excess[number] += weight * excess - old[0]
            self._weight[number] += weight - old[1]
            found.append((weight * excess, weight))
        self._seen[ad_id] = found

    def prior(self) -> Floats:
        """[A, A] what is believed of a bias: every share of an attribute alike."""
        out = projector(self._blocks)
        for number, span in enumerate(spans(self._blocks)):
            variance = max(self._excess[number] / self._weight[number], BIAS_LEAST**2)
            out[span, span] *= variance / (1 - 1 / (span.stop - span.start))
        return out


def known_at_the_end(prior: Floats, chance: Floats, impressions: float, release: Release) -> Floats:
    """[A, A] covariance of the deviation once ``impressions`` are delivered and released.

    The proxy's part of a release's covariance falls with their number, the privacy noise's with its
    square; taking the slower for both leaves the aim on the safe side. What is delivered after the
    last release (``TAIL``) is predicted only.
    """
    spread = prior + chance / impressions
    noise = release.covariance * min(1.0, release.impressions / impressions)
    known: Floats = spread - spread @ np.linalg.pinv(spread + noise, hermitian=True) @ spread
    return known + chance * (TAIL / impressions)


def departure(
    blocks: tuple[int, ...], share: Floats, eligible: Floats, release: Release
) -> tuple[Floats, Floats]:
    """[A] how far a release is from its prediction, and [A, A] the noise in that but a bias."""
    seen = release.impressions
    wins = release.wins.ravel()
    predicted = share @ wins / seen - eligible
    noise = scatter(blocks, share, wins / seen) / seen + release.covariance
    return release.deviation - predicted, noise


def standing(
    blocks: tuple[int, ...],
    share: Floats,
    eligible: Floats,
    wins: Floats,
    release: Release | None,
    prior: Floats,
) -> Standing:
    """What is known after ``wins`` [n] in cells of group shares ``share`` [A, n]."""
    count = wins.sum()
    predicted = share @ wins / count - eligible
    chance = scatter(blocks, share, wins / count)
    if release is None:
        return Standing(
            deviation=predicted,
            covariance=prior + chance / count,
            bias=np.zeros_like(predicted),
            bias_covariance=prior,
            scatter=chance,
        )
    seen = release.impressions
    before = share @ release.wins.ravel() / seen - eligible
    spread = prior + chance / seen
    inverse = np.linalg.pinv(spread + release.covariance, hermitian=True)
    surprise = inverse @ (release.deviation - before)
    bias = prior @ surprise
    at_release = before + spread @ surprise
    since = count - seen
    deviation = (seen * at_release + count * predicted - seen * before + since * bias) / count
    return Standing(
        deviation=deviation,
        covariance=spread - spread @ inverse @ spread,
        bias=bias,
        bias_covariance=prior - prior @ inverse @ prior,
        scatter=chance,
    )
