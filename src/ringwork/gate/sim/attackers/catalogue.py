"""The suite: every strategy by name, and the fleet that looks for a better one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ringwork.gate.sim.attackers.blender import BLENDERS
from ringwork.gate.sim.attackers.doors import CHANGES, PAIR, REINSTALL, TOKENLESS
from ringwork.gate.sim.attackers.edges import AGED, HUB, RECYCLED, SYBIL, TAKEN
from ringwork.gate.sim.attackers.lists import LEAK, RANDOM, REGION
from ringwork.gate.sim.attackers.small import HOURLY, REPEATED, TINY
from ringwork.gate.sim.attackers.strategy import Attack

FLEET: Final = "learning-fleet"
"""Not in the catalogue: its strategy is found anew for every rule set."""

ATTACKS: Final[Mapping[str, Attack]] = {
    one.name: one
    for one in (
        RANDOM,
        LEAK,
        REGION,
        *BLENDERS,
        TINY,
        HOURLY,
        REPEATED,
        CHANGES,
        REINSTALL,
        TOKENLESS,
        PAIR,
        SYBIL,
        RECYCLED,
        AGED,
        HUB,
        TAKEN,
    )
}
