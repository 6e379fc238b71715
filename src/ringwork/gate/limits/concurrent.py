"""How many requests are under way: a lease each, that ends by itself where nobody settles it."""

from __future__ import annotations

from ringwork.gate.limits.generations import KEYS_MAX, Generations
from ringwork.gate.limits.model import FOREVER_PS, PS_PER_S, Concurrent, Key


class ConcurrentTable(Generations[dict[int, int]]):
    """Leases of each key: number -> when it ends. All last as long, so they end in their order."""

    __slots__ = ("_last", "_limit", "_timeout_ps", "name")

    def __init__(self, limit: Concurrent, *, keys_max: int = KEYS_MAX) -> None:
        """Raises ValueError for a limit or timeout that is not above zero."""
        if limit.limit < 1 or not limit.timeout_s > 0:
            raise ValueError(
                f"{limit.name}: expected a limit and a timeout above zero; got {limit.limit}, "
                f"{limit.timeout_s:g} s"
            )
        self.name = limit.name
        self._limit = limit.limit
        self._timeout_ps = round(limit.timeout_s * PS_PER_S)
        self._last = 0
        super().__init__(self._timeout_ps, keys_max=keys_max)

    def wait_ps(self, key: Key, cost: int, now_ps: int) -> int:
        """0 where there is room; else until leases end, at the latest."""
        if cost > self._limit:
            return FOREVER_PS
        leases = self._live(key, now_ps)
        too_many = len(leases) + cost - self._limit
        if too_many <= 0:
            return 0
        return list(leases.values())[too_many - 1] - now_ps

    def take(self, key: Key, cost: int, now_ps: int) -> int:
        """Take leases and answer 0; ``newest`` says which. Or answer how long to wait."""
        wait_ps = self.wait_ps(key, cost, now_ps)
        if not wait_ps:
            leases = self._live(key, now_ps)
            leases.update(dict.fromkeys(self.newest(-cost), now_ps + self._timeout_ps))
            self._last += cost
            self.put(key, leases)
        return wait_ps

    def newest(self, cost: int) -> range:
        """The leases that were just taken; with a cost below zero, those that will be next."""
        return range(*sorted((self._last + 1 - cost, self._last + 1)))

    def give_back(self, key: Key, cost: int) -> None:
        """Undo the ``take`` that was just made."""
        self.release(key, self.newest(cost))

    def release(self, key: Key, leases: range) -> None:
        """End leases; those that have ended are no longer anybody's."""
        found = self.get(key)
        if found is not None:
            for one in leases:
                found.pop(one, None)

    def remaining(self, key: Key, now_ps: int) -> int:
        """Leases that could be taken now."""
        return max(self._limit - len(self._live(key, now_ps)), 0)

    def stands(self, key: Key, now_ps: int) -> tuple[int, int]:
        """Leases that could be taken now, and until when one ends at the latest; 0 with none."""
        leases = self._live(key, now_ps)
        more_ps = next(iter(leases.values())) - now_ps if leases else 0
        return max(self._limit - len(leases), 0), more_ps

    def _live(self, key: Key, now_ps: int) -> dict[int, int]:
        leases = self.get(key)
        if leases is None:
            return {}
        while leases and (first := next(iter(leases.items())))[1] <= now_ps:
            del leases[first[0]]
        return leases
