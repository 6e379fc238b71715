"""What every controller takes and gives. A controller sees releases only: nothing of a person.

Groups are those of all attributes crossed, in the order of ``itertools.product``: sex 2 and race 4
make G = 8 groups, and A = 6 shares, attribute after attribute. Opportunities are counted in cells
of (cluster, value bin): the cluster is what the platform may see of who looks, the bin
(``steering.bins_of``) where the value of showing this ad lies beside its usual one. Both are the
platform's own knowledge; no cell says who belongs to which group.

An ad wins where ``value - shift >= what the others bid``. The shift of a cell is additive (the
Lagrangian of a constraint on shares, specification 4.8; Celis, Mehrotra and Vishnoi 2019), in units
of the ad's own value scale.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Table = NDArray[np.float32]


def incidence(blocks: tuple[int, ...]) -> Floats:
    """[A, G]: 1 where a crossed group belongs to an attribute's group."""
    out = np.zeros((sum(blocks), math.prod(blocks)))
    for column, members in enumerate(itertools.product(*(range(size) for size in blocks))):
        first = 0
        for size, member in zip(blocks, members, strict=True):
            out[first + member, column] = 1
            first += size
    return out


def spans(blocks: tuple[int, ...]) -> list[slice]:
    """Where each attribute's shares stand among the A."""
    ends = list(itertools.accumulate(blocks))
    return [slice(end - size, end) for size, end in zip(blocks, ends, strict=True)]


class AdContext(Struct, frozen=True, kw_only=True):
    """What is known of an ad before it runs."""

    ad_id: str
    blocks: tuple[int, ...]
    """Groups per attribute, in the order of the plan: (2, 4)."""
    eligible: Floats
    """[G] shares of the eligible audience, as they are known."""
    eligible_covariance: Floats
    """[A, A] of their margins around the truth: who did not tell, and the proxy's noise."""
    clusters: Floats
    """[G, C] chance of each cluster given the group, from one release of a contingency table."""
    expected_impressions: float
    tau: float
    """The band: the variance of every attribute is to end within it."""


class Traffic(Struct, frozen=True, kw_only=True):
    """What the auctions of an ad looked like so far."""

    opportunities: Floats
    """[C, B]"""
    wins: Floats
    """[C, B]"""
    log_value: Floats
    """[C] sums of log value over opportunities."""
    log_price: Floats
    """[C] sums of log price to beat over opportunities."""
    log_value_square: float
    log_price_square: float


class Release(Struct, frozen=True, kw_only=True):
    """What the latest release says, its blur taken out, its noise known."""

    impressions: float
    deviation: Floats
    """[A] delivered minus eligible share."""
    covariance: Floats
    """[A, A] of ``deviation`` around the truth: privacy noise, and the proxy's around its mean."""
    proxy_deviation: Floats
    """[A] the same as the proxy shows it."""
    wins: Floats
    """[C, B] as they were at this release."""


class Measurement(Struct, frozen=True, kw_only=True):
    """Where an ad stands."""

    impressions: float
    opportunities_left: float
    """As forecast."""
    budget_left: float
    """In units of the ad's value scale."""
    traffic: Traffic
    release: Release | None


class Shift(Struct, frozen=True, kw_only=True):
    """What the auction applies until the next step.

    ``records[b]`` is one cache line per value bin: [2, G] weights; the shift of a cluster with
    chances ``w`` is ``(records[b, 0] @ w) / (records[b, 1] @ w)``.
    """

    prices: Floats
    """[A] lambda: what one more impression to a group costs, in units of the ad's value scale."""
    records: Table
    """[B, 2, G]"""
    is_multiplier: bool = False
    """Scale the value by exp(-shift) instead of taking the shift from it."""
    pace: float | None = None
    """Value asked per price, where the controller paces as well: the auction bids value / pace."""
    by_cluster: Floats | None = None
    """[C] instead of ``records``: campaigns split by cluster need no hook, and obey no group."""

    def table(self, clusters: Floats) -> Table:
        """[C, B] shift of every cell, given [G, C] chances of the clusters."""
        if self.by_cluster is not None:
            return np.repeat(self.by_cluster.astype(np.float32)[:, None], len(self.records), axis=1)
        weights = clusters.astype(np.float32)
        above, below = self.records[:, 0] @ weights, self.records[:, 1] @ weights
        out: Table = np.divide(above, below, out=np.zeros_like(above), where=below > 0).T
        return np.ascontiguousarray(out)


def records(weights: Floats, by_group: Floats) -> Table:
    """[B, 2, G] records: the groups' weights in each bin [B, G], and their shifts [G]."""
    return np.stack((weights * by_group, weights), axis=1).astype(np.float32)


class Controller(Protocol):
    """Steers one kind of way. Deterministic: equal calls give equal shifts."""

    name: str

    def start(self, ad: AdContext) -> Any:  # its own state, opaque to all others
        """The state of an ad that has delivered nothing."""
        ...

    def step(self, state: Any, measured: Measurement) -> Shift:
        """The shift from now on; the state takes in what was measured."""
        ...
