"""Strategies against a contact importer: each a few lines, each with what it costs.

They see a ``Fleet`` and its accounts, nothing of the world.
"""

from ringwork.gate.sim.attackers.catalogue import ATTACKS, FLEET
from ringwork.gate.sim.attackers.strategy import Attack, Strategy

__all__ = ["ATTACKS", "FLEET", "Attack", "Strategy"]
