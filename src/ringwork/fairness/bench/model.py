"""What a world is: arrays. Whoever brings one gives ``make(seed) -> World`` in a file.

An opportunity is one chance to show an ad to one eligible person: the person's group (all declared
attributes crossed with the true race, in the order of ``World.groups``), its cluster (what the
platform may see), the value to the advertiser, and the price to beat. A person's race is measured
only by a member of the posterior pool: a vector of chances whose blur is the proxy's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class SimulatedAd(Struct, frozen=True, kw_only=True):
    """One ad of a world. ``eligible`` is of crossed groups; levels are of mean value and price."""

    ad_id: str
    advertiser: int
    eligible: Floats
    """[G], sums to one."""
    value: Floats
    """[phases, G] mean value of an opportunity by group; phases are equal parts of the flight."""
    price: Floats
    """[G] mean price by group."""
    opportunities: int
    budget: float
    budget_factor: Floats
    """[phases] share of the even pace that may be spent in a phase: a shock is a step in it."""


class World(Struct, frozen=True, kw_only=True):
    """One market: who there is, what the platform sees of them, and its ads."""

    name: str
    sexes: tuple[str, ...]
    races: tuple[str, ...]
    """Groups crossed: index = sex * len(races) + race."""
    cluster: Floats
    """[G, C] chance of each cluster given the group."""
    pool: NDArray[np.float32]
    """[R, P, R] posteriors of P people of each true race."""
    pool_value: NDArray[np.float32]
    """[R, P] factor on the value of these people: a skew that the proxy sees goes along with it."""
    claimed_confusion: Floats
    """[R, R] M as the platform believes it: the pool's own, or another one where it is wrong."""
    spread: float
    """Standard deviation of log value and log price around their group's level."""
    ads: tuple[SimulatedAd, ...]
    unknown_sex: float = 0.02

    @property
    def blocks(self) -> tuple[int, int]:
        """Groups per attribute: sex, race."""
        return len(self.sexes), len(self.races)

    @property
    def incidence(self) -> Floats:
        """[A, G] 1 where a crossed group belongs to the attribute's group; sexes first."""
        sexes, races = self.blocks
        out = np.zeros((sexes + races, sexes * races))
        for group in range(sexes * races):
            out[group // races, group] = out[sexes + group % races, group] = 1
        return out


Make = Callable[[int], World]
"""``make(seed)`` of a world's file."""


class Opportunities(Struct, frozen=True, kw_only=True):
    """The chances of one ad in order, alike for every controller: differences are the policy's."""

    group: NDArray[np.uint8]
    cluster: NDArray[np.uint8]
    member: NDArray[np.uint16]
    sex_known: NDArray[np.bool_]
    value: NDArray[np.float32]
    price: NDArray[np.float32]


def draw(world: World, ad: SimulatedAd, seed: int, number: int) -> Opportunities:
    """The opportunities of ad ``number`` under ``seed``: equal seeds, equal arrays."""
    rng = np.random.default_rng([seed, number, 7])
    size, races = ad.opportunities, len(world.races)
    group = rng.choice(len(ad.eligible), size, p=ad.eligible).astype(np.uint8)
    cdf = np.cumsum(world.cluster, axis=1)
    cdf[:, -1] = 1.0
    uniform = rng.random(size)
    cluster = np.empty(size, np.uint8)
    for one in range(len(ad.eligible)):
        is_one = group == one
        cluster[is_one] = np.searchsorted(cdf[one], uniform[is_one], side="right")
    member = rng.integers(world.pool.shape[1], size=size, dtype=np.uint16)
    phase = np.arange(size) * len(ad.value) // size
    spread = world.spread
    noise = rng.standard_normal((2, size), dtype=np.float32) * np.float32(spread)
    level = ad.value[phase, group] * world.pool_value[group % races, member]
    value = level * np.exp(noise[0] - np.float32(spread * spread / 2))
    price = ad.price[group] * np.exp(noise[1] - np.float32(spread * spread / 2))
    return Opportunities(
        group=group,
        cluster=cluster,
        member=member,
        sex_known=rng.random(size) >= world.unknown_sex,
        value=value.astype(np.float32),
        price=price.astype(np.float32),
    )
