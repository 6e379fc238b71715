"""Several limits at once, all or nothing: a request that one of them refuses is charged to none.

Partial charges would let a caller who hits one limit use up another that others share.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final, Protocol

from ringwork.gate.limits.concurrent import ConcurrentTable
from ringwork.gate.limits.distinct import DistinctTable
from ringwork.gate.limits.gcra import GcraTable
from ringwork.gate.limits.generations import KEYS_MAX
from ringwork.gate.limits.model import (
    FOREVER_PS,
    PS_PER_NS,
    PS_PER_S,
    Concurrent,
    Distinct,
    Gcra,
    Key,
    Limit,
    MetaScore,
    SlidingWindow,
    Taken,
    Volume,
    seconds_of,
)
from ringwork.gate.limits.score import ScoreTable
from ringwork.gate.limits.sliding import SlidingTable
from ringwork.kernel.ports import Clock


class Table(Protocol):
    """The counters of one limit. What was taken can be given back, so that several can agree."""

    name: str
    swap_ps: int

    @property
    def is_full(self) -> bool: ...

    def turn(self, now_ps: int) -> None: ...

    def slot(self, key: Key) -> Key: ...

    def wait_ps(self, key: Key, cost: int, now_ps: int) -> int: ...

    def take(self, key: Key, cost: int, now_ps: int) -> int: ...

    def give_back(self, key: Key, cost: int) -> None: ...

    def stands(self, key: Key, now_ps: int) -> tuple[int, int]: ...


def table_of(limit: Limit, *, keys_max: int = KEYS_MAX) -> Table:
    """Empty counters. Raises ValueError for a limit that can hold nothing."""
    match limit:
        case Gcra() | Volume():
            return GcraTable(limit, keys_max=keys_max)
        case MetaScore():
            return ScoreTable(limit, keys_max=keys_max)
        case SlidingWindow():
            return SlidingTable(limit, keys_max=keys_max)
        case Concurrent():
            return ConcurrentTable(limit, keys_max=keys_max)
        case Distinct():
            return DistinctTable(limit, keys_max=keys_max)


NONE: Final[tuple[str, ...]] = ()


class MultiLimiter:
    """Limits that are asked together, each with a key of its own.

    Where all are cells (``Gcra``) the request path has a way of its own: each counter is charged as
    it is met, and a refusal takes back what was charged. A counter that had run out then stands at
    the present moment, which is what run out means.
    """

    __slots__ = ("_cells", "_names", "_now_ns", "_one", "_plan", "_turn_ps", "_units", "tables")

    def __init__(self, limits: Sequence[Limit], *, clock: Clock, keys_max: int = KEYS_MAX) -> None:
        """Raises ValueError without a limit, or for one that can hold nothing."""
        if not limits:
            raise ValueError("limits: expected one or more")
        self.tables: tuple[Table, ...] = tuple(table_of(one, keys_max=keys_max) for one in limits)
        self._now_ns = clock.monotonic_ns
        cells = [one for one in self.tables if isinstance(one, GcraTable)]
        self._cells = cells if len(cells) == len(self.tables) else []
        self._names = tuple(one.name for one in self._cells)
        self._units = tuple(one.interval_ps for one in self._cells)
        self._turn_ps = 0
        self._lay_out()

    def take(self, keys: Sequence[Key], cost: int = 1) -> Taken:
        """Charge ``cost`` to one key of each limit, or to none. ValueError for other counts."""
        if len(keys) != len(self.tables) or cost < 0:
            raise ValueError(
                f"expected {len(self.tables)} keys and a cost of 0 or more; got {len(keys)} keys, "
                f"cost {cost}"
            )
        now_ps = self._now_ns() * PS_PER_NS
        if not self._cells:
            return take_all(self.tables, keys, [cost] * len(keys), now_ps)
        if now_ps >= self._turn_ps:
            self._turn(now_ps)
        rooms: list[int] = []
        for (newer, older, interval_ps, tolerance_ps, keys_max), key in zip(
            self._plan, keys, strict=True
        ):
            at = newer.get(key)
            if at is None:
                at = older.get(key)
                if at is None:
                    if len(newer) + len(older) >= keys_max:
                        return self._crowded(keys, cost, rooms, now_ps)
                    at = now_ps
            at = at if at > now_ps else now_ps
            at += interval_ps if cost == 1 else cost * interval_ps
            room = now_ps + tolerance_ps - at
            if room < 0:
                return self._refused(keys, cost, rooms, now_ps)
            newer[key] = at
            rooms.append(room)
        return Taken(True, 0.0, NONE, rooms, self._units)

    def take1(self, key: Key, cost: int = 1) -> Taken:
        """The same with one key, for all limits."""
        if self._one is None:
            return self.take([key] * len(self.tables), cost)
        now_ps = self._now_ns() * PS_PER_NS
        if now_ps >= self._turn_ps:
            self._turn(now_ps)
        newer, older, interval_ps, tolerance_ps, keys_max = self._one
        if cost == 1:
            more = interval_ps
        elif cost >= 0:
            more = cost * interval_ps
        else:
            raise ValueError(f"expected a cost of 0 or more, got {cost}")
        at = newer.get(key)
        if at is None:
            at = older.get(key)
            if at is None:
                if len(newer) + len(older) >= keys_max:
                    return self._crowded((key,), cost, [], now_ps)
                at = now_ps
        at = (at if at > now_ps else now_ps) + more
        room = now_ps + tolerance_ps - at
        if room >= 0:
            newer[key] = at
            return Taken(True, 0.0, NONE, (room,), self._units)
        wait_s = -room / PS_PER_S if more <= tolerance_ps else inf
        return Taken(False, wait_s, self._names, (room + more,), self._units)

    def _turn(self, now_ps: int) -> None:
        """Drop what has run out."""
        for one in self._cells:
            one.turn(now_ps)
        self._turn_ps = min(one.swap_ps for one in self._cells)
        self._lay_out()

    def _lay_out(self) -> None:
        """What ``take`` needs of each table, and ``take1`` of the only one."""
        self._plan: list[_Cell] = [
            (one.newer, one.older, one.interval_ps, one.tolerance_ps, one.keys_max)
            for one in self._cells
        ]
        self._one = self._plan[0] if len(self._plan) == 1 else None

    def _refused(self, keys: Sequence[Key], cost: int, charged: list[int], now_ps: int) -> Taken:
        """Take back what was charged, and say which limits refuse and for how long.

        ``charged``: rooms that were left by those that were.
        """
        longest, violated, rooms = 0, [], []
        for number, ((newer, older, interval_ps, tolerance_ps, keys_max), key) in enumerate(
            zip(self._plan, keys, strict=True)
        ):
            more = interval_ps if cost == 1 else cost * interval_ps
            if number < len(charged):
                newer[key] -= more
                rooms.append(charged[number] + more)
                continue
            at = newer.get(key) or older.get(key)
            if at is None:
                if len(newer) + len(older) >= keys_max:
                    return self._crowded(keys, cost, [], now_ps)
                at = now_ps
            room = tolerance_ps - (at - now_ps if at > now_ps else 0)
            rooms.append(room)
            if room < more:
                violated.append(self._names[number])
                longest = max(longest, FOREVER_PS if more > tolerance_ps else more - room)
        return Taken(False, seconds_of(longest), tuple(violated), rooms, self._units)

    def _crowded(self, keys: Sequence[Key], cost: int, charged: list[int], now_ps: int) -> Taken:
        """A key for which there is no room shares a counter."""
        for cell, key in zip(self._plan[: len(charged)], keys, strict=False):
            cell[0][key] -= cost * cell[2]
        return take_all(self.tables, keys, [cost] * len(keys), now_ps)


_Cell = tuple[dict[Key, int], dict[Key, int], int, int, int]
"""Newer and older counters, emission interval, tolerance, and how many keys there may be."""


def take_all(
    tables: Sequence[Table], keys: Sequence[Key], costs: Sequence[int], now_ps: int
) -> Taken:
    """One decision over any limits: all are charged, or none."""
    longest, violated, taken, slots = 0, [], [], []
    for table, asked, cost in zip(tables, keys, costs, strict=True):
        table.turn(now_ps)
        key = table.slot(asked)
        slots.append(key)
        wait = table.take(key, cost, now_ps)
        if wait:
            violated.append(table)
            longest = max(longest, wait)
        else:
            taken.append((table, key, cost))
    if violated:
        for table, key, cost in taken:
            table.give_back(key, cost)
    left = [one.stands(key, now_ps)[0] for one, key in zip(tables, slots, strict=True)]
    return Taken(
        not violated,
        seconds_of(longest),
        tuple(one.name for one in violated),
        left,
        [1] * len(left),
    )
