"""Where an ad stands, as a controller takes it: the newest release, its blur taken out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from ringwork.fairness.control.model import AdContext, Floats, Release, Traffic, records, spans
from ringwork.fairness.control.model import Shift as ControlShift
from ringwork.fairness.control.response import fit
from ringwork.fairness.flights import blur_of
from ringwork.fairness.measure.evidence import Evidence, noise
from ringwork.fairness.measure.linear import sum_zero_basis
from ringwork.fairness.measure.observed import deviation, measured
from ringwork.fairness.measure.shrink import learned
from ringwork.fairness.recompute import Recomputation

GROUP_MIN = 1.0
"""A noisy number of people is at least this: none is impossible."""


def release_of(
    state: Recomputation, ad: str, attributes: Sequence[str], wins: Floats
) -> Release | None:
    """What the newest release says of the controlled attributes; None where it says too little.

    ``wins`` [C, B] at that release. An attribute without a figure (nobody known was reached, no
    model of its blur) is as uncertain as it can be.
    """
    plan, count = state.plan, float(wins.sum())
    if plan is None or count <= 0:
        return None
    parts = [_part(state, ad, one, len(plan.attributes[one])) for one in attributes]
    if all(one is None for one in parts):
        return None
    blocks = tuple(len(plan.attributes[one]) for one in attributes)
    size = sum(blocks)
    found, seen, covariance = np.zeros(size), np.zeros(size), np.zeros((size, size))
    for span, part in zip(spans(blocks), parts, strict=True):
        groups = span.stop - span.start
        if part is None:
            covariance[span, span] = np.eye(groups) - 1 / groups
        else:
            found[span], seen[span], covariance[span, span] = part
    return Release(
        impressions=count,
        deviation=found,
        covariance=covariance,
        proxy_deviation=seen,
        wins=wins,
    )


def _part(
    state: Recomputation, ad: str, attribute: str, groups: int
) -> tuple[Floats, Floats, Floats] | None:
    """Deviation, deviation as it was seen, and covariance of one attribute."""
    assert state.plan is not None
    try:
        observed = state.observed(ad, attribute)
    except LookupError:
        return None
    # Of the eligible shares a controller is told apart (``AdContext.eligible_covariance``): their
    # error is the same in every release, and no further impression makes it smaller.
    segments = measured([replace(one, eligible_noise_ppb=0) for one in observed])
    if not segments:
        return None
    seen = np.array([float(one) for one in deviation(segments)])
    if attribute not in state.plan.estimated:
        return seen, seen, np.array(noise(segments, None, 0.0))
    model = state.models.get(attribute)
    if model is None:
        return None
    delta, sigma = Evidence(blur_of(model), 0).of(segments)
    basis = np.array(sum_zero_basis(groups))
    return basis @ np.array(delta), seen, basis @ np.array(sigma) @ basis.T


def chances_of(
    sums: Sequence[Sequence[int]],
    blocks: tuple[int, ...],
    inverses: Sequence[Floats | None],
    *,
    sigma: float,
) -> Floats:
    """[G, C] P(cluster | group) from noisy sums by cluster, in 256ths, the blur taken out.

    ``inverses``: of each attribute's confusion matrix, None where it is declared; ``sigma``: of the
    noise on a number of people. How much clusters differ is learned from all of them, and each is
    drawn towards no difference as far as its own people and the noise are too few to tell (as ads
    are, specification 4.6.4): else a small table would steer by its own noise.
    """
    groups = int(np.prod(blocks))
    table = np.array(sums, np.float64)[:, :groups] / 256  # without unknown
    people = np.maximum(table.sum(axis=1), GROUP_MIN)
    every = np.maximum(table.sum(axis=0), GROUP_MIN)
    seen = every / every.sum()
    inverse: Floats = np.ones((1, 1))
    for size, one in zip(blocks, inverses, strict=True):
        inverse = np.asarray(np.kron(inverse, np.eye(size) if one is None else one), np.float64)
    back = np.array(sum_zero_basis(groups)).T @ inverse.T
    delta = (table / people[:, None] - seen) @ back.T
    spread = (np.diag(seen) - np.outer(seen, seen))[None] / people[:, None, None]
    spread = spread + np.eye(groups)[None] * (sigma / people[:, None, None]) ** 2
    noise = back @ spread @ back.T
    between = learned(delta, noise) if len(delta) > 1 else np.zeros_like(noise[0])
    gain = np.linalg.solve(between + noise, np.broadcast_to(between, noise.shape))
    drawn = (gain.transpose(0, 2, 1) @ delta[:, :, None])[:, :, 0]
    true = np.maximum(inverse.T @ seen, 1e-6)
    mix = np.maximum(true / true.sum() + drawn @ np.array(sum_zero_basis(groups)).T, 1e-6)
    found = (mix / mix.sum(axis=1, keepdims=True) * people[:, None]).T
    out: Floats = found / found.sum(axis=1, keepdims=True)
    return out


def eligible_of(
    crossed: Sequence[int] | Floats, blocks: tuple[int, ...], inverses: Sequence[Floats | None]
) -> Floats:
    """[G] eligible shares of the true groups, from the mix [G] as the proxy shows it."""
    shaped = np.array(crossed, np.float64).reshape(blocks)
    for axis, inverse in enumerate(inverses):
        if inverse is not None:
            shaped = np.moveaxis(np.tensordot(inverse.T, shaped, axes=(1, axis)), 0, axis)
    found = np.maximum(shaped.ravel(), 0.0)
    out: Floats = found / found.sum()
    return out


def fixed(ad: AdContext, columns: Floats, prices: Floats, traffic: Traffic) -> ControlShift:
    """The shift of prices that a person set: zero on the mean of the traffic."""
    learned_response = fit(ad, traffic)
    share = learned_response.share.reshape(len(ad.eligible), -1)
    count = max(float(traffic.opportunities.sum()), 1.0)
    level = float((prices @ columns @ share) @ (traffic.opportunities / count).ravel())
    telling = (ad.eligible[:, None] * learned_response.likelihood).T
    return ControlShift(prices=prices, records=records(telling, prices @ columns - level))
