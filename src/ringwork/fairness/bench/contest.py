"""A contest: several controllers on the same opportunities of one world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct, structs

from ringwork.fairness.bench.model import Make, Opportunities, World, draw
from ringwork.fairness.bench.simulator import Outcome, Privacy, simulate
from ringwork.fairness.control.model import Controller
from ringwork.fairness.control.rl import Learned, Visit

TUNING_SEEDS: Final = (101, 102, 103)
"""Gains and policies are chosen on these; what is reported has other seeds."""


class Market(Struct, frozen=True):
    """One seed's world with its opportunities."""

    world: World
    seed: int
    chances: list[Opportunities]


def market(make: Make, seed: int, *, ads: int | None = None) -> Market:
    """The world of ``seed``, its first ``ads`` only."""
    world = make(seed)
    if ads is not None:
        world = structs.replace(world, ads=world.ads[:ads])
    return Market(world, seed, [draw(world, ad, seed, at) for at, ad in enumerate(world.ads)])


def played(
    where: Market,
    controllers: Mapping[str, Controller | None],
    privacy: Privacy,
    *,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, list[Outcome]]:
    """The outcomes of every controller, ad by ad."""
    return {
        name: simulate(
            where.world, one, where.chances, seed=where.seed, privacy=privacy, progress=progress
        )
        for name, one in controllers.items()
    }


def explored(
    make: Make,
    seeds: Sequence[int],
    privacy: Privacy,
    *,
    ads: int | None = None,
    progress: Callable[[], None] = lambda: None,
) -> list[Visit]:
    """The log of the behaviour policy: ``dual`` whose margin is drawn anew at every step."""
    visits: list[Visit] = []
    for seed in seeds:
        where = market(make, seed, ads=ads)
        behaviour = Learned(explore=seed, log=visits.append, run=f"{where.world.name}/{seed}")
        played(where, {"behaviour": behaviour}, privacy, progress=progress)
    return visits
