"""Who buys what an honest account has: friends who have his number, years, a place in many books.

Inbound edges are the currency that cannot be bought cheaply (spec 2.2): these try.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from ringwork.gate.sim.attackers.strategy import HOUR_S, Attack, Strategy, probe, probing
from ringwork.gate.sim.fleet import Agent, Fleet
from ringwork.gate.sim.protocol import Numbers
from ringwork.gate.sim.world import DAY_S


def vouching(fleet: Fleet, strategy: Strategy, accounts: int) -> Iterable[Agent]:
    """A ring of accounts that all have each other, and grow old a little, before any asks."""
    bought = [fleet.buy(strategy.identity) for _ in range(accounts)]
    ring = np.array([one.number for one in bought], np.uint64)

    def ringed(order: int) -> Agent:
        bought[order].sync(_others(ring, order))
        yield max(HOUR_S, strategy.warm_d * DAY_S)
        yield from probe(bought[order], fleet, strategy)

    return [ringed(order) for order in range(accounts)]


def _others(ring: Numbers, order: int) -> Numbers:
    return np.delete(ring, order)


SYBIL: Final = Attack(
    "sybil-ring",
    "accounts that have each other's numbers",
    Strategy(batch=50, every_s=12 * HOUR_S, warm_d=3),
    vouching,
    accounts=24,
)
RECYCLED: Final = Attack(
    "recycled",
    "numbers that dead people's friends have still",
    Strategy(identity="recycled", batch=50, every_s=12 * HOUR_S),
    probing,
)
AGED: Final = Attack(
    "aged",
    "accounts that were registered years ago, and kept",
    Strategy(identity="aged", batch=100, every_s=12 * HOUR_S, cover=0.5, first=True),
    probing,
)
TAKEN: Final = Attack(
    "taken-over",
    "real people's accounts, with their friends",
    Strategy(identity="taken", batch=100, every_s=6 * HOUR_S),
    probing,
)
HUB: Final = Attack(
    "hub-poisoning",
    "forty people a number who were made to save it",
    Strategy(inbound=40, batch=50, every_s=12 * HOUR_S, cover=0.3),
    probing,
)
