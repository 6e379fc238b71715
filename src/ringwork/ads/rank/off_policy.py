"""What another policy would have earned, from what this one logged with its propensities.

Inverse propensity scoring (Horvitz, Thompson 1952), its self-normalised form (Swaminathan, Joachims
2015) and the doubly robust estimator ``mean(q(x, pi) + pi/mu * (r - q(x, a)))`` (Dudik, Langford,
Li 2011), each with an interval and the effective sample size (Kish 1965). Source: ads specification
3.16. The propensity must be of the choice that was really made, and the new policy may only choose
what the old one could have chosen.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Logged(Struct, frozen=True, kw_only=True):
    """One policy's choices as logged, and how likely another policy is to make the same ones."""

    rewards: Floats
    propensities: Floats
    """The chance with which the logging policy made its choice, in (0, 1]."""
    target: Floats
    """The chance with which the other policy makes that choice, in [0, 1]."""


class Estimate(Struct, frozen=True):
    """The value of a policy per decision, with an interval (normal approximation)."""

    value: float
    low: float
    high: float
    effective_sample_size: float
    """How many decisions of its own the weighted ones are worth."""
    samples: int
    largest_weight: float


def ips(logged: Logged, *, weight_max: float = math.inf, confidence: float = 0.95) -> Estimate:
    """Unbiased when no weight is cut (``weight_max``); wide when policies differ much.

    Raises ``ValueError`` for no samples, columns of different lengths, or values out of range.
    """
    weights = _weights(logged, weight_max)
    return _estimate(weights * logged.rewards, weights, confidence)


def snips(logged: Logged, *, weight_max: float = math.inf, confidence: float = 0.95) -> Estimate:
    """IPS divided by the mean weight: slightly biased, less noisy, never beyond the rewards.

    The interval is the delta method's. Raises ``ValueError`` as ``ips`` does, and when the other
    policy makes none of the logged choices.
    """
    weights = _weights(logged, weight_max)
    mean_weight = float(weights.mean())
    if mean_weight == 0.0:
        raise ValueError("expected a policy that makes at least one of the logged choices")
    value = float((weights * logged.rewards).mean()) / mean_weight
    influence = weights * (logged.rewards - value) / mean_weight
    return _estimate(value + influence, weights, confidence)


def doubly_robust(
    logged: Logged,
    *,
    predicted: Floats,
    predicted_target: Floats,
    weight_max: float = math.inf,
    confidence: float = 0.95,
) -> Estimate:
    """Right when the propensities or the reward model are; better than both when both are.

    ``predicted``: the model's reward of the logged choice; ``predicted_target``: its expected
    reward under the other policy, from a model that was not fitted on the same rows. Raises
    ``ValueError`` as ``ips`` does.
    """
    weights = _weights(logged, weight_max)
    for column in (predicted, predicted_target):
        if column.shape != weights.shape or not np.isfinite(column).all():
            raise ValueError("expected a finite prediction for every sample")
    values = predicted_target + weights * (logged.rewards - predicted)
    return _estimate(values, weights, confidence)


def _weights(logged: Logged, weight_max: float) -> Floats:
    rewards, propensities, target = logged.rewards, logged.propensities, logged.target
    if not len(rewards) == len(propensities) == len(target) > 0:
        raise ValueError("expected a reward and two probabilities for each of at least one sample")
    if not np.isfinite(rewards).all():
        raise ValueError("expected finite rewards")
    if not np.all((propensities > 0.0) & (propensities <= 1.0)):
        raise ValueError("expected propensities in (0, 1]")
    if not np.all((target >= 0.0) & (target <= 1.0)):
        raise ValueError("expected the other policy's probabilities in [0, 1]")
    if not weight_max > 0.0:
        raise ValueError(f"expected a weight limit above 0, got {weight_max}")
    weights: Floats = np.minimum(target / propensities, weight_max)
    return weights


def _estimate(values: Floats, weights: Floats, confidence: float) -> Estimate:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"expected a confidence inside (0, 1), got {confidence}")
    samples = len(values)
    value = float(values.mean())
    spread = float(values.std(ddof=1)) if samples > 1 else math.inf
    reach = NormalDist().inv_cdf((1.0 + confidence) / 2.0) * spread / math.sqrt(samples)
    squares = float((weights**2).sum())
    size = float(weights.sum()) ** 2 / squares if squares else 0.0
    return Estimate(value, value - reach, value + reach, size, samples, float(weights.max()))
