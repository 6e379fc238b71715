"""How fast the demo world lives: one mapping of real to world time that server and world share."""

from __future__ import annotations

import time
from typing import Final

from msgspec import Struct

from ringwork.kernel.clock import ScaledClock

SPEED: Final = 360
"""A day in four minutes."""
DAY_US: Final = 86_400_000_000


class Pace(Struct, frozen=True, kw_only=True):
    """The four numbers of the clock: fast until ``world_end_us``, then real time."""

    real_start_us: int
    world_start_us: int
    world_end_us: int
    speed: int

    def clock(self) -> ScaledClock:
        """The clock itself."""
        return ScaledClock(
            real_start_us=self.real_start_us,
            world_start_us=self.world_start_us,
            world_end_us=self.world_end_us,
            speed=self.speed,
        )

    def environment(self) -> dict[str, str]:
        """The same numbers as settings of the server."""
        return {
            f"RINGWORK_CLOCK__{name.upper()}": str(getattr(self, name))
            for name in self.__struct_fields__
        }

    def real_us(self, world_us: int) -> int:
        """The machine's time when the world's clock first shows ``world_us`` or more."""
        fast_us = min(world_us, self.world_end_us) - self.world_start_us
        real_fast_us = -(-fast_us // self.speed)
        return self.real_start_us + real_fast_us + max(world_us - self.world_end_us, 0)

    def ahead_us(self, world_us: int, real_s: int) -> int:
        """The world's time so many real seconds after ``world_us``, or a little later."""
        by_us = real_s * 1_000_000
        return min(world_us + by_us * self.speed, max(world_us, self.world_end_us) + by_us)

    def wait_s(self, world_us: int) -> float:
        """Real seconds until the world's clock shows ``world_us``; negative when it has."""
        return (self.real_us(world_us) - time.time_ns() // 1000) / 1e6


def pace_from(real_us: int, last_us: int) -> Pace:
    """From where the world stopped (or a day ago) at 360 times, to meet real time without a jump.

    With ``gap`` of the world still to live, fast time ends ``gap / (speed - 1)`` from now.

    >>> pace_from(1_000_000_000, 999_641_000).world_end_us
    1000001000
    """
    start_us = max(last_us, real_us - DAY_US)
    gap_us = max(real_us - start_us, 0)
    fast_us = gap_us // (SPEED - 1)
    return Pace(
        real_start_us=real_us,
        world_start_us=start_us,
        world_end_us=start_us + fast_us * SPEED,
        speed=SPEED,
    )
