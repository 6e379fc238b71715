"""Who asks for little: below what any test of one batch can see."""

from __future__ import annotations

from typing import Final

from ringwork.gate.sim.attackers.strategy import HOUR_S, Attack, Strategy, probing

TINY: Final = Attack(
    "tiny-books",
    "24 numbers an account, many accounts",
    Strategy(source="region-leak", batch=24, total=24),
    probing,
    accounts=200,
)
REPEATED: Final = Attack(
    "asking-again",
    "two thousand numbers, all of them again every day",
    Strategy(batch=500, total=2_000, is_repeated=True, every_s=24 * HOUR_S),
    probing,
)
HOURLY: Final = Attack(
    "one-an-hour", "one number an hour for the month", Strategy(batch=1, every_s=HOUR_S), probing
)
