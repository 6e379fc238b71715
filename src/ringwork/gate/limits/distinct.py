"""How many different entities somebody was shown in a window: what a scraper is after.

Exact up to 64, by when each was last shown. Beyond, one HyperLogLog (Flajolet et al. 2007, as
Apache DataSketches has it) for each eighth of the window, joined where the number is asked for.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Final

from msgspec import Struct, field

from ringwork.gate.limits.generations import KEYS_MAX, Generations
from ringwork.gate.limits.model import PS_PER_S, Distinct, Key

EXACT_MAX: Final = 64
PARTS: Final = 8
"""Of a window: an entity is forgotten between 7/8 and a whole window after it was last shown."""
SURE_SDS: Final = 3
_MASK: Final = 2**64 - 1


class _Shown(Struct):
    """One key."""

    last: dict[int, int] | None = field(default_factory=dict)
    """Entity's hash -> part in which it was last shown; None once there are too many."""
    sketches: dict[int, Any] = field(default_factory=dict)
    """Part -> sketch."""
    estimate: float = 0.0
    estimated_part: int = -1
    """-1: something was added since."""


class DistinctTable(Generations[_Shown]):
    """Counters of one limit. Nothing is charged by a request: ``show`` tells what it was given."""

    __slots__ = ("_limit", "_part_ps", "_precision", "name", "relative_sd")

    def __init__(self, limit: Distinct, *, keys_max: int = KEYS_MAX) -> None:
        """Raises ValueError for a limit or window not above zero, or a precision not 4 to 16."""
        if limit.limit < 1 or not limit.window_s > 0 or not 4 <= limit.precision <= 16:
            raise ValueError(
                f"{limit.name}: expected a limit and a window above zero and a precision from 4 to "
                f"16; got {limit.limit}, {limit.window_s:g} s, {limit.precision}"
            )
        self.name = limit.name
        self._limit = limit.limit
        self._precision = limit.precision
        self.relative_sd = float(1.04 / 2 ** (limit.precision / 2))
        self._part_ps = round(limit.window_s * PS_PER_S) // PARTS
        super().__init__(PARTS * self._part_ps, keys_max=keys_max)

    def wait_ps(self, key: Key, cost: int, now_ps: int) -> int:
        """0 unless somebody was surely shown the limit; then until a part is forgotten."""
        del cost
        found = self.get(key)
        if found is None or self._surely(found, now_ps // self._part_ps) < self._limit:
            return 0
        return self._part_ps - now_ps % self._part_ps

    def take(self, key: Key, cost: int, now_ps: int) -> int:
        """As ``wait_ps``: a request alone shows nothing."""
        return self.wait_ps(key, cost, now_ps)

    def give_back(self, key: Key, cost: int) -> None:
        """Nothing was charged."""

    def show(self, key: Key, entities: Iterable[Hashable], now_ps: int) -> None:
        """Somebody was given these entities, or something of them."""
        found = self.get(key) or _Shown()
        self.put(key, found)
        part = now_ps // self._part_ps
        # Texts are hashed under a secret of the process: nobody can choose entities that collide.
        hashes = [hash(("entity", one)) & _MASK for one in entities]
        if not hashes:
            return
        found.estimated_part = -1
        if found.last is not None:
            found.last.update(dict.fromkeys(hashes, part))
            if len(found.last) <= EXACT_MAX:
                return
            self._forget(found, part)
            if len(found.last) <= EXACT_MAX:
                return
            for one, when in found.last.items():
                self._sketch(found, when).update(one)
            found.last = None
            return
        sketch = self._sketch(found, part)
        for one in hashes:
            sketch.update(one)

    def count(self, key: Key, now_ps: int) -> float:
        """How many different ones in the window, about."""
        found = self.get(key)
        return 0.0 if found is None else self._count(found, now_ps // self._part_ps)

    def remaining(self, key: Key, now_ps: int) -> int:
        """Entities that may surely be shown before the limit."""
        return max(self._limit - round(self.count(key, now_ps)), 0)

    def stands(self, key: Key, now_ps: int) -> tuple[int, int]:
        """Entities that may be shown, and how long until some are forgotten; 0 with none."""
        left = self.remaining(key, now_ps)
        return left, 0 if left >= self._limit else self._part_ps - now_ps % self._part_ps

    def _surely(self, found: _Shown, part: int) -> float:
        """At least so many, but for one case in a thousand: an error of ours blocks nobody."""
        count = self._count(found, part)
        return count if found.last is not None else count * (1 - SURE_SDS * self.relative_sd)

    def _count(self, found: _Shown, part: int) -> float:
        if found.estimated_part != part:
            self._forget(found, part)
            found.estimate = self._estimated(found)
            found.estimated_part = part
        return found.estimate

    def _estimated(self, found: _Shown) -> float:
        if found.last is not None:
            return float(len(found.last))
        from datasketches import hll_union  # type: ignore[import-untyped] # noqa: PLC0415

        union = hll_union(self._precision)
        for sketch in found.sketches.values():
            union.update(sketch)
        return float(union.get_estimate())

    def _forget(self, found: _Shown, part: int) -> None:
        """Drop what was shown a window ago."""
        first = part - PARTS + 1
        if found.last is not None:
            for one in [one for one, when in found.last.items() if when < first]:
                del found.last[one]
            return
        for one in [one for one in found.sketches if one < first]:
            del found.sketches[one]
        if not found.sketches:
            found.last = {}

    def _sketch(self, found: _Shown, part: int) -> Any:
        if part not in found.sketches:
            from datasketches import hll_sketch, tgt_hll_type  # noqa: PLC0415 # an extra

            found.sketches[part] = hll_sketch(self._precision, tgt_hll_type.HLL_4)
        return found.sketches[part]
