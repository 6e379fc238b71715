"""Points with a block: how Meta's Marketing API scores the calls of an ad account."""

from __future__ import annotations

from collections import deque

from msgspec import Struct, field

from ringwork.gate.limits.gcra import FOREVER_PS
from ringwork.gate.limits.generations import KEYS_MAX, Generations
from ringwork.gate.limits.model import PS_PER_S, Key, MetaScore


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

    def add(self, key: Key, cost: int, now_ps: int) -> None:
        """Score a call that passed."""
        found = self.get(key) or _Scored()
        self.put(key, found)
        if self._is_linear:
            found.level_ps = max(found.level_ps, now_ps) + cost * self._drain_ps
        elif cost:
            found.calls.append((now_ps, cost))
            found.points += cost

    def refuse(self, key: Key, now_ps: int) -> None:
        """The call would have passed the maximum: the key is blocked, unless it already is."""
        found = self.get(key) or _Scored()
        self.put(key, found)
        if now_ps >= found.blocked_until_ps:
            found.blocked_until_ps = now_ps + self._block_ps

    def remaining(self, key: Key, now_ps: int) -> int:
        """Points left; 0 while blocked."""
        found = self.get(key)
        if found is None:
            return self._maximum
        if now_ps < found.blocked_until_ps:
            return 0
        return self._maximum - self._points(found, now_ps)

    def _points(self, found: _Scored, now_ps: int) -> int:
        if self._is_linear:
            return -(-max(found.level_ps - now_ps, 0) // self._drain_ps)
        calls = found.calls
        while calls and calls[0][0] <= now_ps - self._window_ps:
            found.points -= calls.popleft()[1]
        return found.points
