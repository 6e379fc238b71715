"""What a world is: arrays. Whoever brings one gives ``make(seed) -> World`` in a file.

An opportunity is one chance to show an ad to one eligible person: the person's group (all declared
attributes crossed with the true race, in the order of ``World.groups``), its cluster (what the
platform may see), the value to the advertiser, and the price to beat. A person's race is measured
only by a member of the posterior pool: a vector of chances whose blur is the proxy's. Sex and age
bracket are declared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from ringwork.fairness.control.model import Floats, incidence

VISITS: Final = 3
"""Opportunities per eligible person and flight, on average: what tells reach from impressions."""


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
    cluster_value: Floats | None = None
    """[C] factor on the value of everyone in a cluster, whatever the group."""


class World(Struct, frozen=True, kw_only=True):
    """One market: who there is, what the platform sees of them, and its ads."""

    name: str
    sexes: tuple[str, ...]
    races: tuple[str, ...]
    """Groups crossed: index = (sex * len(ages) + age) * len(races) + race; ages where there are."""
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
    """Share of people who declared neither sex nor age."""
    ages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """ValueError where the arrays do not fit: worlds come from files of others."""
        groups, races = math.prod(self.blocks), len(self.races)
        wanted = (
            ("cluster", self.cluster, (groups, None)),
            ("pool", self.pool, (races, None, races)),
            ("pool_value", self.pool_value, self.pool.shape[:2]),
            ("claimed_confusion", self.claimed_confusion, (races, races)),
        )
        for name, array, shape in wanted:
            _fits(f"world {self.name}: {name}", array, shape)
        for ad in self.ads:
            _fits(f"ad {ad.ad_id}: eligible", ad.eligible, (groups,))
            _fits(f"ad {ad.ad_id}: value", ad.value, (None, groups))
            _fits(f"ad {ad.ad_id}: price", ad.price, (groups,))
            if ad.cluster_value is not None:
                _fits(f"ad {ad.ad_id}: cluster_value", ad.cluster_value, self.cluster.shape[1:])
            if abs(float(ad.eligible.sum()) - 1) > 1e-9:
                raise ValueError(f"ad {ad.ad_id}: expected eligible shares that sum to one")

    @property
    def blocks(self) -> tuple[int, ...]:
        """Groups per attribute: sex, age where there is one, race."""
        sizes = (len(self.sexes), len(self.ages), len(self.races))
        return tuple(size for size in sizes if size)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes, in the order of ``blocks``."""
        return ("sex", "age", "race") if self.ages else ("sex", "race")

    @property
    def incidence(self) -> Floats:
        """[A, G] 1 where a crossed group belongs to the attribute's group."""
        return incidence(self.blocks)


def _fits(what: str, array: NDArray[Any], shape: tuple[int | None, ...]) -> None:
    if len(array.shape) != len(shape) or any(
        want not in (None, came) for came, want in zip(array.shape, shape, strict=True)
    ):
        said = ", ".join("any" if one is None else str(one) for one in shape)
        raise ValueError(f"{what}: expected shape [{said}], got {list(array.shape)}")
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(f"{what}: expected finite numbers of at least 0")


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
    person: NDArray[np.uint32]
    """Who looks: one of the audience, who comes ``VISITS`` times on average."""
    audience: NDArray[np.int64]
    """[G] eligible people, who are numbered group after group."""
    audience_member: NDArray[np.uint16]
    """[P] posterior of each of them, by member of their race's pool."""
    audience_told: NDArray[np.bool_]
    """[P] who declared what is declared."""


def draw(world: World, ad: SimulatedAd, seed: int, number: int) -> Opportunities:
    """The opportunities of ad ``number`` under ``seed``: equal seeds, equal arrays.

    The audience is a quota sample: its groups have the eligible shares, and a group's people are
    spread over the clusters as ``world.cluster`` says. Each opportunity is one of them at random.
    """
    rng = np.random.default_rng([seed, number, 7])
    size, races = ad.opportunities, len(world.races)
    group = rng.choice(len(ad.eligible), size, p=ad.eligible).astype(np.uint8)
    audience = np.maximum(np.rint(ad.eligible * (size / VISITS)), 1).astype(np.int64)
    first = np.cumsum(audience) - audience
    person = first[group] + (rng.random(size) * audience[group]).astype(np.int64)
    people = int(audience.sum())
    cluster_of = np.empty(people, np.uint8)
    cdf = np.cumsum(world.cluster, axis=1)
    cdf[:, -1] = 1.0
    for one, count in enumerate(audience):
        place = (np.arange(count) + rng.random(count)) / count
        own = slice(first[one], first[one] + count)
        cluster_of[own] = np.searchsorted(cdf[one], place, side="right")
    members = rng.integers(world.pool.shape[1], size=people, dtype=np.uint16)
    member = members[person]
    phase = np.arange(size) * len(ad.value) // size
    spread = world.spread
    noise = rng.standard_normal((2, size), dtype=np.float32) * np.float32(spread)
    level = ad.value[phase, group] * world.pool_value[group % races, member]
    if ad.cluster_value is not None:
        level *= ad.cluster_value[cluster_of[person]]
    value = level * np.exp(noise[0] - np.float32(spread * spread / 2))
    told = rng.random(people) >= world.unknown_sex
    price = ad.price[group] * np.exp(noise[1] - np.float32(spread * spread / 2))
    return Opportunities(
        group=group,
        cluster=cluster_of[person],
        member=member,
        sex_known=told[person],
        value=value.astype(np.float32),
        price=price.astype(np.float32),
        person=person.astype(np.uint32),
        audience=audience,
        audience_member=members,
        audience_told=told,
    )


def unveiled(world: World, chances: Sequence[Opportunities]) -> tuple[World, list[Opportunities]]:
    """The same market as an oracle sees it: a viewer's cluster is its true group, and no proxy."""
    races = len(world.races)
    exact = np.eye(races)
    seen = structs.replace(
        world,
        cluster=np.eye(len(world.cluster)),
        pool=np.repeat(exact[:, None, :], world.pool.shape[1], axis=1).astype(np.float32),
        claimed_confusion=exact,
    )
    return seen, [structs.replace(one, cluster=one.group) for one in chances]
