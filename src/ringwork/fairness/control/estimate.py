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
"""Prior standard deviation of a share's bias; measured .04 to .06 in the standard world."""


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


def bias_prior(blocks: tuple[int, ...]) -> Floats:
    """[A, A] what is believed of a bias beforehand: every share's alike."""
    out = projector(blocks) * BIAS**2
    for span in spans(blocks):
        out[span, span] /= 1 - 1 / (span.stop - span.start)
    return out


def known_at_the_end(
    blocks: tuple[int, ...], chance: Floats, impressions: float, release: Release
) -> Floats:
    """[A, A] covariance of the deviation once ``impressions`` are delivered and released.

    The proxy's part of a release's covariance falls with their number, the privacy noise's with its
    square; taking the slower for both leaves the aim on the safe side. What is delivered after the
    last release (``TAIL``) is predicted only.
    """
    spread = bias_prior(blocks) + chance / impressions
    noise = release.covariance * min(1.0, release.impressions / impressions)
    known: Floats = spread - spread @ np.linalg.pinv(spread + noise, hermitian=True) @ spread
    return known + chance * (TAIL / impressions)


def standing(
    blocks: tuple[int, ...],
    share: Floats,
    eligible: Floats,
    wins: Floats,
    release: Release | None,
) -> Standing:
    """What is known after ``wins`` [n] in cells of group shares ``share`` [A, n]."""
    count = wins.sum()
    predicted = share @ wins / count - eligible
    chance = scatter(blocks, share, wins / count)
    prior = bias_prior(blocks)
    if release is None:
        return Standing(
            deviation=predicted,
            covariance=prior + chance / count,
            bias=np.zeros_like(predicted),
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
        scatter=chance,
    )
