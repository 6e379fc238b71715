"""Who hides targets among own contacts: a real person's book, whose contacts know each other.

A classifier of batches sees a coherent book with a good hit rate (spec 2.2, lesson 1: the same
model that stops static attackers lets this one have 1,609).
"""

from __future__ import annotations

from typing import Final

from ringwork.gate.sim.attackers.strategy import HOUR_S, Attack, Strategy, probing

BLENDERS: Final = tuple(
    Attack(
        f"blender-{share}",
        f"a leak, {share} % own contacts in every sync",
        Strategy(cover=share / 100, first=share >= 70, batch=300, every_s=12 * HOUR_S),
        probing,
    )
    for share in (30, 50, 70, 90)
)
