"""Bounded state per key: what was not touched for a whole period is dropped, a flood drops nothing.

Two dictionaries, swapped every period. An entry that was touched stands in the newer one, so what
is dropped with the older one was last touched more than a period ago, when it had run out: dropping
it changes no decision. New keys beyond ``keys_max`` share counters with others of them, so that a
flood of keys neither grows the state nor pushes out a counter that is in use.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from ringwork.gate.limits.model import Key

KEYS_MAX: Final = 1_000_000
"""Of one limit: some 150 MB with a text of 40 letters each."""
SHARED: Final = 4096
"""Counters that the keys beyond share. Who shares one is decided by Python's keyed text hash."""

V = TypeVar("V")


class Generations(Generic[V]):
    """A dictionary whose entries end."""

    __slots__ = ("_period_ps", "keys_max", "newer", "older", "swap_ps")

    def __init__(self, period_ps: int, *, keys_max: int = KEYS_MAX) -> None:
        """``period_ps``: how long an entry is worth keeping after it was touched."""
        self._period_ps = period_ps
        self.keys_max = keys_max
        self.swap_ps = 0
        self.newer: dict[Key, V] = {}
        self.older: dict[Key, V] = {}

    def __len__(self) -> int:
        return len(self.newer) + sum(key not in self.newer for key in self.older)

    def turn(self, now_ps: int) -> None:
        """Drop what has run out."""
        if now_ps < self.swap_ps:
            return
        late = now_ps >= self.swap_ps + self._period_ps
        self.older = {} if late else self.newer
        self.newer = {}
        self.swap_ps = now_ps + self._period_ps

    def slot(self, key: Key) -> Key:
        """The key, or the shared one that stands for it where there is no room."""
        if key in self.newer or key in self.older or not self.is_full:
            return key
        return ("shared", hash(("shared", key)) % SHARED)

    @property
    def is_full(self) -> bool:
        """Whether new keys share counters now."""
        return len(self.newer) + len(self.older) >= self.keys_max

    def get(self, key: Key) -> V | None:
        """What stands for the key."""
        found = self.newer.get(key)
        return self.older.get(key) if found is None else found

    def put(self, key: Key, value: V) -> None:
        """Keep it for a period from now."""
        self.newer[key] = value
