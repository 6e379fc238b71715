"""The world's side of an attack: sells accounts and books, and lets honest people be fooled.

The only module beside ``run`` that holds both the world and what attackers get of it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringwork.gate.sim.chance import generator
from ringwork.gate.sim.fleet import Agent, Identity, Intel, Sold
from ringwork.gate.sim.numbering import BASE, numbers_of, within
from ringwork.gate.sim.protocol import Guard, Numbers, SyncRequest
from ringwork.gate.sim.world import DAY_S, GONE, JOINER, START_S, USER, World
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.ports import Entropy

LEAK_LIVE: Final = 0.55
LEAK_SHARE: Final = 0.7
"""Of the users: who is in the leak. Hagen's and Gegenhuber's leaks held over half of all."""
AGED_S: Final = 3 * 365 * DAY_S
METROPOLIS: Final = 0


def intel_of(entropy: Entropy, world: World) -> Intel:
    """What is public of a world, and a leak of it."""
    rng = generator(entropy)
    users = np.flatnonzero(world.status == USER)
    live = rng.choice(users, round(len(users) * LEAK_SHARE), replace=False)
    assigned = within(world.plan.blocks)
    dead = rng.choice(assigned, round(len(live) * (1 - LEAK_LIVE) / LEAK_LIVE), replace=False)
    leak = np.unique(np.concatenate([world.number_of[live], dead]))
    region = world.plan.indices_of(METROPOLIS)
    return Intel(
        blocks=numbers_of(assigned),
        region=numbers_of(region),
        leak=numbers_of(leak),
        region_leak=numbers_of(np.intersect1d(leak, region)),
    )


class WorldMarket:
    """A market over one branch of a world."""

    def __init__(
        self, world: World, guard: Guard, clock: ManualClock, rng: np.random.Generator
    ) -> None:
        self._world = world
        self._guard = guard
        self._clock = clock
        self._rng = rng
        assigned = within(world.plan.blocks)
        taken = np.zeros(world.plan.size, np.bool_)
        taken[world.number_of] = True
        free = assigned[~taken[assigned]]
        self._free = iter(rng.choice(free, min(len(free), 50_000), replace=False).tolist())
        gone = np.flatnonzero(world.status == GONE)
        self._dead = iter(rng.permutation(np.unique(world.number_of[gone])).tolist())
        self._people = iter(rng.permutation(np.flatnonzero(world.status == USER)).tolist())

    def sell(self, identity: Identity) -> Sold:
        """An account, and the book of a real person who is not asked."""
        world = self._world
        person = next(self._people)
        contacts = self._book(person)
        if identity == "taken":
            return Sold(person, world.number_at(person), contacts)
        index = next(self._dead if identity == "recycled" else self._free)
        joined = self._now_s() - (AGED_S if identity == "aged" else 0.0)
        account = world.sell(index, self._now_s(), joined)
        return Sold(account, index + BASE, contacts)

    def reregister(self, account: int) -> int:
        self._guard.forget_account(account)
        index = int(self._world.number_of[account])
        return self._world.sell(index, self._now_s(), self._now_s())

    def poison(self, number: int, people: int) -> int:
        """People save it and their phones send it, as after any new contact."""
        fooled = 0
        for person, _ in zip(self._people, range(people), strict=False):
            saved = np.array([number], np.uint64)
            self._guard.sync(SyncRequest(account=person, numbers=saved))
            fooled += 1
        return fooled

    def _book(self, person: int) -> Numbers:
        """His contacts; in a world without books, a few hundred users."""
        if self._world.books is not None:
            return np.unique(self._world.books.row(person))
        some = self._rng.choice(np.flatnonzero(self._world.status == USER), 200, replace=False)
        return numbers_of(self._world.number_of[some])

    def _now_s(self) -> float:
        return self._clock.wall_us() / 1e6


def joining(world: World, seed: int) -> Agent:
    """People register during the month, a thirtieth of them a day: what changes are about."""
    rng = generator(SeededEntropy(seed))
    people: NDArray[np.int64] = rng.permutation(np.flatnonzero(world.status == JOINER))
    for day, today in enumerate(np.array_split(people, 30)):
        for person in today.tolist():
            if world.holder[world.number_of[person]] < 0:
                world.register(person, START_S + day * DAY_S)
        yield DAY_S
