"""Who asks for as much as he may: random numbers, a leaked list, one region in order.

The static attackers of spec 2.2: any limit on unseen numbers shows its figure against them.
"""

from __future__ import annotations

from typing import Final

from ringwork.gate.sim.attackers.strategy import Attack, Strategy, probing

RANDOM: Final = Attack(
    "random-blocks", "random numbers of assigned blocks", Strategy(source="blocks"), probing
)
LEAK: Final = Attack("leak-list", "an old leak, 55 % live", Strategy(source="leak"), probing)
REGION: Final = Attack(
    "region-walk",
    "the densest region, number after number",
    Strategy(source="region", is_sorted=True),
    probing,
)
