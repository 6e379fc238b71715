"""The best that any controller can do with what it may see: a linear programme (HiGHS).

Fluid limit: no sampling error, no noise, no delay. An opportunity falls in a cell (cluster, value
bin, price bin); the platform decides which share of a cell the ad wins, within its budget, with the
variance of every attribute at most tau. The dual of the constraints is the additive shift of bids
(specification 4.8). Coarser cells can only raise the cost; a bid can cut on price only through
itself, so the bound is a little optimistic there.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from ringwork.fairness.control.model import Floats

SEX_RACE: Final = ((tuple(range(4)), tuple(range(4, 8))), tuple((one, one + 4) for one in range(4)))
"""The groups of each attribute, among the 8 crossed."""
SCALE: Final = 1e3
"""HiGHS works within absolute tolerances; shares of single cells are below them."""


class Cells(Struct, frozen=True):
    """Masses by group and cell, and the value and price that a whole cell holds."""

    mass: Floats
    """[G, n]"""
    value: Floats
    """[n]"""
    price: Floats
    """[n]"""

    @classmethod
    def of(  # a world's parameters, each its own
        cls,
        cluster: Floats,
        eligible: Floats,
        value: Floats,
        price: Floats,
        spread: float,
        *,
        bins: int,
        knows_group: bool = False,
    ) -> Cells:
        """Log-normal value and price around each group's level, cut into ``bins`` each.

        ``knows_group``: the oracle, whose decision may use the group in place of the cluster.
        """
        share_v, mean_v = _cut(value, spread, bins)
        share_p, mean_p = _cut(price, spread, bins)
        joint = (
            eligible[:, None, None, None]
            * cluster[:, :, None, None]
            * share_v[:, None, :, None]
            * share_p[:, None, None, :]
        )
        values = joint * mean_v[:, None, :, None]
        prices = joint * mean_p[:, None, None, :]
        groups = len(eligible)
        if not knows_group:
            flat = joint.reshape(groups, -1)
            return cls(flat, values.sum(0).ravel(), prices.sum(0).ravel())
        joint, values, prices = joint.sum(1), values.sum(1), prices.sum(1)
        size = joint[0].size
        mass = np.zeros((groups, groups * size))
        for group in range(groups):
            mass[group, group * size : (group + 1) * size] = joint[group].ravel()
        return cls(mass, values.ravel(), prices.ravel())


class Bound(Struct, frozen=True):
    """What the best decision gives, per opportunity."""

    value: float
    spend: float
    impressions: float
    groups: Floats
    """[G] impressions by group."""
    variances: tuple[float, ...]
    """By attribute."""

    @property
    def cost(self) -> float:
        """Spend per value."""
        return self.spend / self.value


def best(
    cells: Cells,
    budget: float,
    *,
    tau: float | Sequence[float] | None = None,
    attributes: Sequence[Sequence[Sequence[int]]] = SEX_RACE,
) -> Bound:
    """The value-maximal decision within ``budget`` per opportunity and variance ``tau``.

    ``tau``: for all attributes, or one for each; None for no constraint.
    ValueError where none exists (no impression satisfies the constraints).
    """
    from scipy.optimize import linprog  # noqa: PLC0415  # an extra, and slow to import

    keep = cells.mass.sum(0) > 1e-12
    mass, value, price = cells.mass[:, keep], cells.value[keep], cells.price[keep]
    eligible, total = mass.sum(1) / mass.sum(), mass.sum(0)
    if tau is None:  # a knapsack: the best value per price first
        chosen = _greedy(value, price, budget)
    else:
        rows, limits = [price], [budget]
        bands = [tau] * len(attributes) if isinstance(tau, float) else tau
        for groups, band in zip(attributes, bands, strict=True):
            lacks = np.array(
                [mass[list(g)].sum(0) - eligible[list(g)].sum() * total for g in groups]
            )
            for count in range(1, len(groups)):
                for subset in itertools.combinations(range(len(groups)), count):
                    rows.append(lacks[list(subset)].sum(0) - band * total)
                    limits.append(0.0)
        found = linprog(
            -SCALE * value,
            A_ub=SCALE * np.array(rows),
            b_ub=SCALE * np.array(limits),
            bounds=(0, 1),
            method="highs",
        )
        if found.x is None:
            raise ValueError(f"no decision within variance {tau}: {found.message}")
        chosen = found.x
    won = mass @ chosen
    shares = won / won.sum()
    return Bound(
        value=float(value @ chosen),
        spend=float(price @ chosen),
        impressions=float(won.sum()),
        groups=won,
        variances=tuple(
            0.5 * float(sum(abs(shares[list(g)].sum() - eligible[list(g)].sum()) for g in groups))
            for groups in attributes
        ),
    )


def _greedy(value: Floats, price: Floats, budget: float) -> Floats:
    order = np.argsort(-value / price)
    spent = np.cumsum(price[order])
    chosen = np.zeros(len(value))
    whole = int(np.searchsorted(spent, budget, side="right"))
    chosen[order[:whole]] = 1
    if whole < len(order):
        before = spent[whole - 1] if whole else 0.0
        chosen[order[whole]] = (budget - before) / price[order[whole]]
    return chosen


def _cut(level: Floats, spread: float, bins: int) -> tuple[Floats, Floats]:
    """Share of each bin and mean within it, by group: log-normal around ``level``."""
    from scipy.stats import norm  # noqa: PLC0415  # an extra, and slow to import

    mean = np.log(level) - spread * spread / 2
    edges = np.linspace(mean.min() - 3 * spread, mean.max() + 3 * spread, bins + 1)
    edges[0], edges[-1] = -20, 20
    share = np.diff(norm.cdf(edges[None, :], mean[:, None], spread), axis=1)
    shifted = norm.cdf(edges[None, :], mean[:, None] + spread**2, spread)
    held = np.diff(shifted, axis=1) * np.exp(mean + spread * spread / 2)[:, None]
    return share, np.divide(held, share, out=np.zeros_like(held), where=share > 1e-14)
