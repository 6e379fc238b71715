"""Points with a block: how Meta's Marketing API scores the calls of an ad account."""

from __future__ import annotations

from collections import deque

from msgspec import Struct, field

from ringwork.gate.limits.generations import KEYS_MAX, Generations
from ringwork.gate.limits.model import FOREVER_PS, PS_PER_S, Key, MetaScore


class _Scored(Struct):
    """One key. Either reading keeps what it needs and leaves the other's empty."""

    blocked_until_ps: int = 0
    calls: deque[tuple[int, int]] = field(default_factory=deque)
    """When, and how many points; no more than ``maximum``, since each has one."""
    points: int = 0
    level_ps: int = 0
    """Linear: when the points will have drained."""


class ScoreTable(Generations[_Scored]):
    """Counters of one score."""

    __slots__ = ("_block_ps", "_drain_ps", "_is_linear", "_maximum", "_window_ps", "name")

    def __init__(self, limit: MetaScore, *, keys_max: int = KEYS_MAX) -> None:
        """Raises ValueError for a maximum, window or block that is not above zero."""
        if limit.maximum < 1 or not limit.window_s > 0 or not limit.block_s > 0:
            raise ValueError(
                f"{limit.name}: expected a maximum, a window and a block above zero; got "
                f"{limit.maximum}, {limit.window_s:g} s, {limit.block_s:g} s"
            )
        self.name = limit.name
        self._maximum = limit.maximum
        self._window_ps = round(limit.window_s * PS_PER_S)
        self._block_ps = round(limit.block_s * PS_PER_S)
        self._is_linear = limit.decay == "linear"
        self._drain_ps = -(-self._window_ps // limit.maximum)
        super().__init__(max(self._window_ps, self._block_ps), keys_max=keys_max)

    def wait_ps(self, key: Key, cost: int, now_ps: int) -> int:
        """0 where it would pass; else until its block ends, or the one it would begin."""
        if cost > self._maximum:
            return FOREVER_PS
        found = self.get(key)
        if found is None:
            return 0
        if now_ps < found.blocked_until_ps:
            return found.blocked_until_ps - now_ps
        return 0 if self._points(found, now_ps) + cost <= self._maximum else self._block_ps

    def take(self, key: Key, cost: int, now_ps: int) -> int:
        """Score it and answer 0; or block the key, unless it is, and answer how long for."""
        wait_ps = self.wait_ps(key, cost, now_ps)
        found = self.get(key) or _Scored()
        self.put(key, found)
        if wait_ps:
            if now_ps >= found.blocked_until_ps:
                found.blocked_until_ps = now_ps + self._block_ps
            return wait_ps
        if self._is_linear:
            found.level_ps = max(found.level_ps, now_ps) + cost * self._drain_ps
        elif cost:
            found.calls.append((now_ps, cost))
            found.points += cost
        return 0

    def give_back(self, key: Key, cost: int) -> None:
        """Undo the ``take`` that was just made."""
        found = self.newer[key]
        if self._is_linear:
            found.level_ps -= cost * self._drain_ps
        elif cost:
            found.calls.pop()
            found.points -= cost

    def remaining(self, key: Key, now_ps: int) -> int:
        """Points left; 0 while blocked."""
        return self.stands(key, now_ps)[0]

    def stands(self, key: Key, now_ps: int) -> tuple[int, int]:
        """Points left, and how long until there is one more; 0 where all are there."""
        found = self.get(key)
        if found is None:
            return self._maximum, 0
        if now_ps < found.blocked_until_ps:
            return 0, found.blocked_until_ps - now_ps
        used = self._points(found, now_ps)
        if not used:
            return self._maximum, 0
        if self._is_linear:
            more_ps = found.level_ps - now_ps - (used - 1) * self._drain_ps
        else:
            more_ps = found.calls[0][0] + self._window_ps - now_ps
        return self._maximum - used, more_ps

    def _points(self, found: _Scored, now_ps: int) -> int:
        if self._is_linear:
            return -(-max(found.level_ps - now_ps, 0) // self._drain_ps)
        calls = found.calls
        while calls and calls[0][0] <= now_ps - self._window_ps:
            found.points -= calls.popleft()[1]
        return found.points
