"""The generic cell rate algorithm (ITU-T I.371): one number per key, when it will have run out."""

from __future__ import annotations

from ringwork.gate.limits.generations import KEYS_MAX, Generations
from ringwork.gate.limits.model import FOREVER_PS, PS_PER_S, Gcra, Key, Volume


class GcraTable(Generations[int]):
    """Counters of one limit. ``settle`` is for volumes: their cost comes after the response."""

    __slots__ = ("burst", "interval_ps", "name", "tolerance_ps")

    def __init__(self, limit: Gcra | Volume, *, keys_max: int = KEYS_MAX) -> None:
        """Raises ValueError for a limit, period or burst that is not above zero."""
        burst = limit.limit if limit.burst is None else limit.burst
        if limit.limit < 1 or burst < 1 or not limit.period_s > 0:
            raise ValueError(
                f"{limit.name}: expected a limit, a burst and a period above zero; got "
                f"{limit.limit}, {burst}, {limit.period_s:g} s"
            )
        self.name = limit.name
        self.burst = burst
        self.interval_ps = -(-round(limit.period_s * PS_PER_S) // limit.limit)
        self.tolerance_ps = burst * self.interval_ps
        # A settled volume is ahead by two bursts at most, so two of them are what is worth keeping.
        bursts = 2 if isinstance(limit, Volume) else 1
        super().__init__(bursts * self.tolerance_ps, keys_max=keys_max)

    def wait_ps(self, key: Key, cost: int, now_ps: int) -> int:
        """0 where it would pass, else until it would."""
        if cost > self.burst:
            return FOREVER_PS
        at = self.get(key) or 0
        over = max(at, now_ps) + cost * self.interval_ps - now_ps - self.tolerance_ps
        return max(over, 0)

    def take(self, key: Key, cost: int, now_ps: int) -> int:
        """Charge it and answer 0; or answer how long to wait, and charge nothing."""
        at = self.newer.get(key) or self.older.get(key) or now_ps
        more = cost * self.interval_ps
        new = (at if at > now_ps else now_ps) + more
        over = new - now_ps - self.tolerance_ps
        if over > 0:
            return FOREVER_PS if cost > self.burst else over
        self.newer[key] = new
        return 0

    def give_back(self, key: Key, cost: int) -> None:
        """Undo the ``take`` that was just made."""
        self.newer[key] -= cost * self.interval_ps

    def settle(self, key: Key, difference: int, now_ps: int) -> None:
        """Charge what was reserved too little, or give back what was too much.

        What an answer exceeded is paid by the calls after it, for one burst at most.
        """
        at = max(self.get(key) or 0, now_ps) + difference * self.interval_ps
        self.newer[key] = min(max(at, now_ps), now_ps + 2 * self.tolerance_ps)

    def remaining(self, key: Key, now_ps: int) -> int:
        """Units that would pass now."""
        return self.stands(key, now_ps)[0]

    def stands(self, key: Key, now_ps: int) -> tuple[int, int]:
        """Units that would pass now, and how long until there is one more; 0: all are there."""
        at = self.newer.get(key) or self.older.get(key) or 0
        if at <= now_ps:
            return self.burst, 0
        room = self.tolerance_ps - (at - now_ps)
        left = room // self.interval_ps if room > 0 else 0
        return left, (left + 1) * self.interval_ps - room
