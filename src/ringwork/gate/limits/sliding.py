"""Two counters per key that tell about how much came in the last window."""

from __future__ import annotations

from ringwork.gate.limits.generations import KEYS_MAX, Generations
from ringwork.gate.limits.model import FOREVER_PS, PS_PER_S, Key, SlidingWindow


class SlidingTable(Generations[tuple[int, int, int]]):
    """Window's number, units in it, units in the one before."""

    __slots__ = ("_limit", "_window_ps", "name")

    def __init__(self, limit: SlidingWindow, *, keys_max: int = KEYS_MAX) -> None:
        """Raises ValueError for a limit or window that is not above zero."""
        if limit.limit < 1 or not limit.window_s > 0:
            raise ValueError(
                f"{limit.name}: expected a limit and a window above zero; got {limit.limit}, "
                f"{limit.window_s:g} s"
            )
        self.name = limit.name
        self._limit = limit.limit
        self._window_ps = round(limit.window_s * PS_PER_S)
        super().__init__(2 * self._window_ps, keys_max=keys_max)

    def wait_ps(self, key: Key, cost: int, now_ps: int) -> int:
        """0 where it would pass; else until the estimate will have fallen far enough."""
        if cost > self._limit:
            return FOREVER_PS
        present, before = self._counts(key, now_ps)
        into_ps = now_ps % self._window_ps
        left_ps = self._window_ps - into_ps
        # estimate = before (1 - into / window) + present, in whole numbers.
        over = before * left_ps + (present + cost - self._limit) * self._window_ps
        if over <= 0:
            return 0
        room = self._limit - cost - present
        if room >= 0:  # within this window: what came before it fades
            return -(-over // before)
        # In the next one ``present`` fades, from its start on.
        return left_ps + self._window_ps - (self._limit - cost) * self._window_ps // present

    def take(self, key: Key, cost: int, now_ps: int) -> int:
        """Count it and answer 0; or answer how long to wait."""
        wait_ps = self.wait_ps(key, cost, now_ps)
        if not wait_ps:
            present, before = self._counts(key, now_ps)
            self.put(key, (now_ps // self._window_ps, present + cost, before))
        return wait_ps

    def give_back(self, key: Key, cost: int) -> None:
        """Undo the ``take`` that was just made."""
        number, present, before = self.newer[key]
        self.put(key, (number, present - cost, before))

    def remaining(self, key: Key, now_ps: int) -> int:
        """Units that would pass now."""
        present, before = self._counts(key, now_ps)
        left_ps = self._window_ps - now_ps % self._window_ps
        return max(self._limit - present - -(-before * left_ps // self._window_ps), 0)

    def stands(self, key: Key, now_ps: int) -> tuple[int, int]:
        """Units that would pass now, and how long until there is one more; 0: all are there."""
        left = self.remaining(key, now_ps)
        return left, 0 if left >= self._limit else self.wait_ps(key, left + 1, now_ps)

    def _counts(self, key: Key, now_ps: int) -> tuple[int, int]:
        """Units of the present window and of the one before."""
        number, present, before = self.get(key) or (0, 0, 0)
        match now_ps // self._window_ps - number:
            case 0:
                return present, before
            case 1:
                return 0, present
            case _:
                return 0, 0
