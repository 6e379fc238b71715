"""A day of a city: people with homes, offices, cafés and carriers, and a botnet among them.

Deterministic by seed. Shares nothing with the code under test.
"""

from typing import NamedTuple

import numpy as np

from ringwork.gate.collude import Actions

DAY_US = 86_400_000_000
BOTS_FROM = 1_000_000
HOMES, OFFICES, CARRIERS, CAFES, HOTELS, POOL = (n << 32 for n in range(1, 7))


class Day(NamedTuple):
    actions: Actions
    people: int
    bots: int


def day(
    *,
    people: int = 20_000,
    bots: int = 1_000,
    addresses: int = 10_000,
    addresses_of_bot: int = 40,
    actions_of_bot: int = 200,
    is_in_homes: bool = False,
    nats: int = 24,
    is_scattered: bool = False,
    seed: int = 1,
) -> Day:
    """``is_in_homes``: the pool's addresses are those of people's homes (residential proxies).

    ``nats``: addresses of each carrier; ``is_scattered``: each in a network of its own.
    """
    chance = np.random.default_rng(seed)
    who, what, when = [], [], []

    def add(actors: np.ndarray, objects: np.ndarray, from_h: float, to_h: float) -> None:
        who.append(actors)
        what.append(objects)
        when.append((chance.uniform(from_h, to_h, len(actors)) * 3.6e9).astype(np.int64))

    everybody = np.arange(people)
    homes = everybody // 3  # three to a home
    offices = (everybody * 7919 % people) // chance.integers(5, 120, people)
    for _ in range(8):
        add(everybody, HOMES + homes, 18, 24)
    worker = everybody[chance.random(people) < 0.6]
    for _ in range(8):
        add(worker, OFFICES + offices[worker], 8, 18)
    # Phones hop between the NAT addresses of a carrier: 4 carriers with 24 addresses each.
    phones = everybody[chance.random(people) < 0.8]
    for _ in range(10):
        nat = everybody % 4 * 4096 + chance.integers(0, nats, people)
        add(phones, CARRIERS + nat[phones] * (256 if is_scattered else 1), 0, 24)
    guest = everybody[chance.random(people) < 0.2]
    for _ in range(2):
        add(guest, CAFES + chance.integers(0, people // 50, len(guest)) * 256, 10, 20)
    # Some are on the road all day: hotels, trains, airports.
    road = everybody[chance.random(people) < 0.01]
    for _ in range(6):
        add(road, HOTELS + chance.integers(0, people // 20, len(road)) * 256, 0, 24)
    names = BOTS_FROM + np.arange(bots)
    own = chance.integers(0, addresses, (bots, addresses_of_bot))
    for _ in range(actions_of_bot):
        drawn = own[np.arange(bots), chance.integers(0, addresses_of_bot, bots)]
        pool = HOMES + drawn % max(people // 3, 1) if is_in_homes else POOL + drawn * 64
        add(names, pool, 0, 24)
    objects = np.concatenate(what)
    # An address is in its /24, but homes are spread over all networks as DSL lines are.
    return Day(
        Actions.of(np.concatenate(who), np.concatenate(when), objects, objects >> 8), people, bots
    )


def judged(clusters, bots: int) -> tuple[float, float]:
    """Purity of the worst cluster, and the share of bots that are in any."""
    if not clusters:
        return 0.0, 0.0
    purity = min(float((one.members >= BOTS_FROM).mean()) for one in clusters)
    members = np.unique(np.concatenate([one.members for one in clusters]))
    return purity, float((members >= BOTS_FROM).sum() / bots)
