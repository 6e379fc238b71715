"""Offline additive shifts (Celis, Mehrotra and Vishnoi, ICML 2019): one ad against the market.

Their auction shifts values by advertiser and type and finds the shifts by projected gradient in the
space of shares, where the objective is concave: the derivative of the surplus in the share of a
type is the shift at its margin. Types are what the auction can tell apart, here clusters, whose
group shares turn bounds on groups into bounds on clusters' shares. Everything comes from the
forecast before the first bid; no release changes it, which is its weakness.

Deviations: surplus instead of revenue (we are one buyer), the market's price in place of named
rivals, and bounds ``|share - e| <= band`` with band 2 tau / K, which implies variance <= tau.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct

from ringwork.fairness.control import response
from ringwork.fairness.control.model import AdContext, Floats, Measurement, Shift
from ringwork.fairness.control.response import normal_cdf
from ringwork.fairness.control.steering import VALUE_MIDDLES
from ringwork.fairness.control.watch import Watch

ROUNDS: Final = 120
STEP: Final = 0.15
"""Of the gradient, in shares over the root of a type's mass: about one over the curvature."""
PACE_ROUNDS: Final = 4
SWEEPS: Final = 30
SHIFT_MOST: Final = 4.0


class Types(Struct, frozen=True):
    """What the auction can tell apart: K types, each with the values that its chances have."""

    weight: Floats
    """[K, B] share of the opportunities; sums to one."""
    value: Floats
    """[B]"""
    log_price: Floats
    """[K, B] mean of the log price to beat."""
    spread: float
    excess: Floats
    """[A, K] group share minus eligible share."""
    band: Floats
    """[A] most deviation of each group's share."""


def won(types: Types, shifts: Floats, pace: float) -> tuple[Floats, Floats, Floats]:
    """[K] mass won, its derivative in the shift (negated), and what is paid."""
    worth = types.value[None, :] - shifts[:, None]
    is_bid = worth > 1e-6
    worth = np.where(is_bid, worth, 1e-6)
    scaled = (np.log(worth / pace) - types.log_price) / types.spread
    chance = np.where(is_bid, normal_cdf(scaled), 0.0) * types.weight
    density = np.exp(-0.5 * np.minimum(scaled**2, 60.0)) * 0.3989422804014327
    slope = np.where(is_bid, density / (types.spread * worth), 0.0) * types.weight
    mean = np.exp(types.log_price + types.spread**2 / 2)
    paid = np.where(is_bid, mean * normal_cdf(scaled - types.spread), 0.0) * types.weight
    return chance.sum(axis=1), slope.sum(axis=1), paid.sum(axis=1)


def margins(types: Types, mass: Floats, pace: float, start: Floats, *, rounds: int = 6) -> Floats:
    """[K] shifts that win ``mass``: Newton's method, safe since more shift wins less."""
    shifts = start
    for _ in range(rounds):
        now, slope, _ = won(types, shifts, pace)
        step = (now - mass) / np.maximum(slope, 1e-3 * types.weight.sum(axis=1))
        shifts = np.clip(shifts + np.clip(step, -0.5, 0.5), -SHIFT_MOST, SHIFT_MOST)
    return shifts


def projected(types: Types, mass: Floats) -> Floats:
    """[K] the nearest masses within the bounds, in units of each type's root (Dykstra 1983)."""
    total = np.maximum(types.weight.sum(axis=1), 1e-12)
    root = np.sqrt(total)
    planes = np.concatenate(
        (types.excess - types.band[:, None], -types.excess - types.band[:, None])
    )
    planes = planes * root
    norms = np.maximum((planes**2).sum(axis=1), 1e-15)
    x = mass / root
    held = np.zeros(len(planes))
    corner = np.zeros_like(x)
    for _ in range(SWEEPS):
        before = x
        for number, plane in enumerate(planes):
            beyond = (plane @ x) / norms[number] + held[number]
            x = x + (held[number] - max(beyond, 0.0)) * plane
            held[number] = max(beyond, 0.0)
        inside = np.clip(x + corner, 1e-6 * root, (1 - 1e-6) * root)
        corner, x = x + corner - inside, inside
        if np.abs(x - before).max() < 1e-7:
            break
    projection: Floats = x * root
    return projection


def best_shifts(types: Types, budget: float, pace: float) -> tuple[Floats, float]:
    """[K] shifts of the best shares within the bounds, and the pace that spends ``budget``."""
    root = np.sqrt(np.maximum(types.weight.sum(axis=1), 1e-12))
    shifts = np.zeros(len(types.weight))
    for _ in range(PACE_ROUNDS):
        pace = _paced(types, shifts, budget, pace)
        mass = won(types, shifts, pace)[0]
        for _ in range(ROUNDS):
            moved = projected(types, mass + STEP * root**2 * shifts)
            shifts = margins(types, moved, pace, shifts)
            if np.abs(moved - mass).max() < 1e-7:
                break
            mass = moved
    return shifts, pace


def _paced(types: Types, shifts: Floats, budget: float, pace: float) -> float:
    low, high = pace / 16, pace * 16
    for _ in range(30):
        middle = float(np.sqrt(low * high))
        if won(types, shifts, middle)[2].sum() > budget:
            low = middle
        else:
            high = middle
    return float(np.sqrt(low * high))


class CelisState(Struct):
    """Computed at the first step, from the forecast."""

    watch: Watch
    shift: Shift | None = None


class Celis:
    """The optimal fair auction of a forecast, and no feedback."""

    name = "celis"

    def __init__(self, *, band: float = 0.5) -> None:
        self._band = band

    def start(self, ad: AdContext) -> CelisState:
        return CelisState(Watch.of(ad))

    def step(self, state: CelisState, measured: Measurement) -> Shift:
        if state.shift is None:
            state.shift = self._solved(state.watch, measured)
        return state.shift

    def _solved(self, watch: Watch, measured: Measurement) -> Shift:
        ad = watch.ad
        learned = response.fit(ad, measured.traffic)
        joint = (ad.eligible[:, None] * ad.clusters)[:, :, None] * learned.likelihood[:, None, :]
        weight = joint.sum(axis=0) / joint.sum()
        mix = joint.sum(axis=2) / np.maximum(joint.sum(axis=(0, 2)), 1e-12)
        sizes = np.repeat(ad.blocks, ad.blocks)
        types = Types(
            weight=weight,
            value=VALUE_MIDDLES,
            log_price=np.tensordot(learned.price, learned.share, axes=1),
            spread=learned.price_spread,
            excess=watch.incidence @ mix - watch.eligible[:, None],
            band=self._band * 2 * ad.tau / sizes,
        )
        shifts, _ = best_shifts(types, measured.budget_left / measured.opportunities_left, 1.0)
        return Shift(
            prices=np.zeros(len(watch.eligible)),
            records=watch.shift(np.zeros(len(watch.eligible))).records,
            by_cluster=shifts,
        )
