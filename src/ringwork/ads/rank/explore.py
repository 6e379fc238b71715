"""Trying what is not known to be best, with the probability of the choice for the log.

Only what was chosen with a known propensity can later tell what another choice would have earned
(``off_policy``). Randomness comes through the ``Entropy`` port. Source: ads specification 3.16;
O. Chapelle, L. Li, "An Empirical Evaluation of Thompson Sampling", NIPS 2011.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

from msgspec import Struct

from ringwork.kernel.ports import Entropy

_NORMAL: Final = NormalDist()
_PPB: Final = 10**9
_SIGMAS: Final = 8.0
"""Beyond 8 standard deviations lies 1e-15 of a normal distribution."""
_PANELS: Final = 256
"""Of Simpson's rule per candidate; the propensities of candidates sum to 1 within 1e-6."""
CANDIDATES_MAX: Final = 256
"""A shortlist, not the catalogue: the propensities cost n squared."""


class Explored(Struct, frozen=True):
    """The candidate to show first, and how likely this choice was."""

    index: int
    propensity: float


class Sampled(Struct, frozen=True):
    """Probabilities to rank by instead of the believed ones, and each candidate's propensity.

    The auction logs the sampled probability like any other, so its price stays recomputable.
    """

    p_ppb: tuple[int, ...]
    propensities: tuple[float, ...]
    """The chance that each candidate would be the best in a draw like this one."""


def epsilon_greedy(scores: Sequence[float], *, epsilon: float, entropy: Entropy) -> Explored:
    """The best of ``scores`` (ties: the first), or with probability ``epsilon`` any, all alike.

    Raises ``ValueError`` without scores, for one that is not finite, or an epsilon outside [0, 1].
    """
    _check(scores)
    if not 0.0 <= epsilon <= 1.0:
        raise ValueError(f"expected epsilon in [0, 1], got {epsilon}")
    count = len(scores)
    best = max(range(count), key=lambda index: (scores[index], -index))
    chosen = best
    if _uniform(entropy) < epsilon:
        chosen = min(int(_uniform(entropy) * count), count - 1)
    return Explored(chosen, epsilon / count + (1.0 - epsilon if chosen == best else 0.0))


def thompson(
    worths: Sequence[float],
    p_ppb: Sequence[int],
    sigmas: Sequence[float],
    *,
    entropy: Entropy,
) -> Sampled:
    """Draw every candidate's probability from what is believed of it.

    ``worths``: the score per unit of probability (bid x quality), above 0; ``p_ppb``: the believed
    probability; ``sigmas``: how uncertain its log-odds are (``HeadSnapshot.ad_sigmas``). Responses
    are rare, so log-odds move like log-probabilities: a draw is ``p * exp(s z - s**2 / 2)``, whose
    mean is p, at most 1. Raises ``ValueError`` when lengths differ or a value cannot be used.
    """
    _check(worths)
    if not len(worths) == len(p_ppb) == len(sigmas):
        raise ValueError("expected a worth, a probability and a sigma for every candidate")
    usable = zip(worths, p_ppb, sigmas, strict=True)
    if not all(
        worth > 0 and 1 <= p <= _PPB and 0.0 <= sigma < math.inf for worth, p, sigma in usable
    ):
        raise ValueError("expected worths above 0, probabilities from 1 to 10**9, finite sigmas")
    drawn = draws(p_ppb, sigmas, entropy=entropy)
    return Sampled(drawn, win_chances(means_of(worths, p_ppb, sigmas), sigmas))


def draws(p_ppb: Sequence[int], sigmas: Sequence[float], *, entropy: Entropy) -> tuple[int, ...]:
    """A probability for every candidate, drawn from what is believed of it (``thompson``)."""
    return tuple(
        min(max(round(p * math.exp(sigma * _normal(entropy) - sigma**2 / 2.0)), 1), _PPB)
        for p, sigma in zip(p_ppb, sigmas, strict=True)
    )


def means_of(worths: Sequence[float], p_ppb: Sequence[int], sigmas: Sequence[float]) -> list[float]:
    """The mean logarithm of every candidate's score in such a draw."""
    return [
        math.log(worth * p) - sigma**2 / 2.0
        for worth, p, sigma in zip(worths, p_ppb, sigmas, strict=True)
    ]


def win_chances(means: Sequence[float], sigmas: Sequence[float]) -> tuple[float, ...]:
    """The chance that each of several independent normal draws is the largest.

    By Simpson's rule over each one's own density; exact ties (no uncertainty) go to the first.

    >>> win_chances([0.0, 0.0], [1.0, 1.0])
    (0.5, 0.5)
    """
    chances = [win_chance(index, means, sigmas) for index in range(len(means))]
    total = sum(chances)
    return tuple(round(chance / total, 12) for chance in chances)


def win_chance(index: int, means: Sequence[float], sigmas: Sequence[float]) -> float:
    """One candidate's chance of that, to 1e-6; a third of a millisecond for eight of them."""
    mean, sigma = means[index], sigmas[index]
    rivals = [(other, means[other], sigmas[other]) for other in range(len(means)) if other != index]

    def beats(x: float) -> float:
        chance = 1.0
        for other, rival_mean, rival_sigma in rivals:
            if rival_sigma > 0.0:
                chance *= _NORMAL.cdf((x - rival_mean) / rival_sigma)
            elif rival_mean > x or (rival_mean == x and other < index):
                return 0.0
        return chance

    if sigma == 0.0:
        return beats(mean)
    width = 2.0 * _SIGMAS / _PANELS
    total = 0.0
    for panel in range(_PANELS + 1):
        z = -_SIGMAS + panel * width
        weight = 1.0 if panel in (0, _PANELS) else 4.0 if panel % 2 else 2.0
        total += weight * _NORMAL.pdf(z) * beats(mean + sigma * z)
    return total * width / 3.0


def _check(scores: Sequence[float]) -> None:
    if not 1 <= len(scores) <= CANDIDATES_MAX:
        raise ValueError(f"expected 1 to {CANDIDATES_MAX} candidates, got {len(scores)}")
    if not all(map(math.isfinite, scores)):
        raise ValueError("expected finite scores")


def _uniform(entropy: Entropy) -> float:
    """In [0, 1), 53 bits."""
    return (int.from_bytes(entropy.take(7), "little") >> 3) / 2**53


def _normal(entropy: Entropy) -> float:
    return _NORMAL.inv_cdf(max(_uniform(entropy), 2.0**-54))
