"""How value and price depend on the group, learned without anybody's group (ecological regression).

The mean log value of a cluster is the mean over its groups of theirs, so a regression of the
clusters' means on the clusters' group shares gives the groups' levels (Goodman 1953). It holds
where value depends on the cluster only through the group; where it does not, releases correct what
it predicts (``estimate``). Prices to beat are treated alike. Within a cluster, high values then
tell more of the group than the cluster alone does, which is where the cheapest corrections are.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct

from ringwork.fairness.control.model import AdContext, Floats, Traffic, incidence, spans
from ringwork.fairness.control.steering import VALUE_EDGES

EFFECT: Final = 0.45
"""Standard deviation of groups' effects on a logarithm, at most: what ads show."""
TAIL: Final = -2.0
"""Standard deviations below the usual price, from which on all groups are won alike."""
EVIDENCE_ROUNDS: Final = 20
SPREAD_LEAST: Final = 0.1


class Response(Struct, frozen=True, kw_only=True):
    """The learned levels, and what follows from them for every cell."""

    value: Floats
    """[G] mean log value."""
    price: Floats
    """[G] mean log price to beat."""
    value_spread: float
    price_spread: float
    likelihood: Floats
    """[G, B] chance of the value bin given the group."""
    share: Floats
    """[G, C, B] chance of the group given the cell."""


def fit(ad: AdContext, traffic: Traffic) -> Response:
    """The levels that explain the clusters' means best, drawn towards no effect."""
    count = traffic.opportunities.sum(axis=1)
    prior = ad.eligible[:, None] * ad.clusters
    total = prior.sum(axis=0)
    mix = np.divide(
        prior, total, out=np.repeat(ad.eligible[:, None], len(total), 1), where=total > 0
    )
    value, value_spread = _levels(ad, mix, count, traffic.log_value, traffic.log_value_square)
    price, price_spread = _levels(ad, mix, count, traffic.log_price, traffic.log_price_square)
    borders = (np.log(VALUE_EDGES)[None, :] - value[:, None]) / value_spread
    below = np.concatenate(
        (np.zeros((len(value), 1)), normal_cdf(borders), np.ones((len(value), 1))), axis=1
    )
    likelihood = np.diff(below, axis=1) + 1e-9
    joint = mix[:, :, None] * likelihood[:, None, :]
    return Response(
        value=value,
        price=price,
        value_spread=value_spread,
        price_spread=price_spread,
        likelihood=likelihood,
        share=joint / joint.sum(axis=0),
    )


def _levels(
    ad: AdContext, mix: Floats, count: Floats, sums: Floats, squares: float
) -> tuple[Floats, float]:
    """Ridge on main effects of the attributes; the intercept is free."""
    number = count.sum()
    if not number:
        return np.zeros(len(ad.eligible)), 1.0
    mean = sums.sum() / number
    effects = _effects(ad.blocks)
    design = np.column_stack((np.ones(mix.shape[1]), mix.T @ effects))
    spread = max(float(np.sqrt(max(squares / number - mean * mean, 0.0))), SPREAD_LEAST)
    precision = design.T @ (design * count[:, None]) / spread**2
    target = design.T @ (sums - mean * count) / spread**2
    found = _evidence(ad.blocks, precision, target)
    levels = mean + found[0] + effects @ found[1:]
    # What the groups do not explain of the spread is the spread within a group.
    between = float(ad.eligible @ (levels - ad.eligible @ levels) ** 2)
    return levels, max(float(np.sqrt(max(spread * spread - between, 0.0))), SPREAD_LEAST)


def _evidence(blocks: tuple[int, ...], precision: Floats, target: Floats) -> Floats:
    """[1 + A] intercept and effects, each attribute drawn to zero as strongly as the data say.

    The variance of an attribute's effects is what makes the data likeliest (evidence maximisation
    by EM, MacKay 1992): an ad whose value does not depend on the group gets no effects of chance.
    """
    variance = [EFFECT**2] * len(blocks)
    found = np.zeros(len(target))
    for _ in range(EVIDENCE_ROUNDS):
        prior = np.concatenate(
            ([1e-9], *(np.full(size, 1 / one) for size, one in zip(blocks, variance, strict=True)))
        )
        covariance = np.linalg.inv(precision + np.diag(prior))
        found = covariance @ target
        for number, span in enumerate(spans(blocks)):
            part = slice(span.start + 1, span.stop + 1)
            expected = float(found[part] @ found[part] + np.trace(covariance[part, part]))
            variance[number] = min(expected / (part.stop - part.start), EFFECT**2)
    return found


def _effects(blocks: tuple[int, ...]) -> Floats:
    """[G, A] main effects, each attribute's centred."""
    columns = incidence(blocks)
    return np.concatenate(
        [(columns[span] - columns[span].mean(axis=0)).T for span in spans(blocks)], axis=1
    )


def won(response: Response, bid: Floats) -> Floats:
    """[G, C, B] chance of the group given the cell and that ``bid`` [C, B] wins."""
    level = np.log(np.maximum(bid, 1e-9))[None] - response.price[:, None, None]
    # Where a bid hardly ever wins, small differences of price would decide who was won.
    inside = response.share * normal_cdf(np.maximum(level / response.price_spread, TAIL))
    shares: Floats = inside / inside.sum(axis=0)
    return shares


def normal_cdf(x: Floats) -> Floats:
    """Abramowitz and Stegun 26.2.17: within 7.5e-8, smooth, and without another library."""
    positive = np.abs(x)
    t = 1 / (1 + 0.2316419 * positive)
    series = t * (
        0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429)))
    )
    tail = np.exp(-0.5 * positive * positive) * 0.3989422804014327 * series
    out: Floats = np.where(x >= 0, 1 - tail, tail)
    return out
