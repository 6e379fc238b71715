"""An attack simulator: what an attacker who adapts learns, and what honest people feel meanwhile.

Uses the public surface of what it attacks and nothing else (spec 7.1); shares no code and no data
with any model's training.
"""

from ringwork.gate.sim.metrics import Enumeration, Friction, clopper_pearson
from ringwork.gate.sim.protocol import Directory, Guard, Match, Reply, SyncRequest

__all__ = [
    "Directory",
    "Enumeration",
    "Friction",
    "Guard",
    "Match",
    "Reply",
    "SyncRequest",
    "clopper_pearson",
]
