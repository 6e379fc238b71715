"""Limits that machines share: what has to be asked of the store, in one call per decision."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from msgspec import Struct, structs

from ringwork.gate.limits.leases import Held, Shared, SharedTable
from ringwork.gate.limits.model import PS_PER_NS, PS_PER_S, Key, Taken, seconds_of
from ringwork.gate.limits.multi import take_all
from ringwork.kernel.counters import Answered, Charge, Mode
from ringwork.kernel.errors import StoreDown
from ringwork.kernel.ports import Clock, SharedCounters

FLUSH_S: Final = 0.05
FLUSH_MAX: Final = 100
"""Keys in one call."""
LEAST_WAIT_PS: Final = PS_PER_S
"""Told to who is refused because the store is down."""


class Ask(Struct, frozen=True, gc=False):
    """One shared counter of a decision."""

    table: SharedTable
    key: Key
    cost: int
    actor: str
    mode: Mode
    is_closed: bool
    """Whether it refuses while the store is down."""


class Heard(Struct, frozen=True):
    """What the store said to a decision, or what was decided without it."""

    waits_ps: Sequence[int]
    """Of each that was asked, in order."""
    charges: Sequence[Charge] = ()
    answered: Answered | None = None
    """None: the store is down."""


class SharedLimits:
    """The machine's side of a store of counters. One per gate."""

    def __init__(self, store: SharedCounters, *, machines: int, clock: Clock) -> None:
        """``machines``: how many processes share the store, at most."""
        self.store = store
        self.machines = machines
        self.tables: Sequence[SharedTable] = ()
        self._now_ns = clock.monotonic_ns

    async def ask(self, asks: Sequence[Ask]) -> Heard:
        """One round trip for all; without an answer, by the share, or refused, as rules say."""
        now_ps = self._now_ns() * PS_PER_NS
        charges = [one.table.charge(one.key, one.cost, one.actor, one.mode, now_ps) for one in asks]
        try:
            answered = await self.store.take(charges)
        except BaseException as error:
            for one, charge in zip(asks, charges, strict=True):
                one.table.unheard(one.key, charge)
            if not isinstance(error, StoreDown):
                raise
            return Heard(self._alone(asks))
        now_ps = self._now_ns() * PS_PER_NS
        refused = any(
            answer.wait_us and one.mode == "all"
            for one, answer in zip(asks, answered.answers, strict=True)
        )
        waits = [
            one.table.heard(
                one.key,
                charge,
                answer,
                charged=not refused or one.mode == "alone",
                incarnation=answered.incarnation,
                now_ps=now_ps,
            )
            for one, charge, answer in zip(asks, charges, answered.answers, strict=True)
        ]
        return Heard(waits, charges, answered)

    def _alone(self, asks: Sequence[Ask]) -> list[int]:
        now_ps = self._now_ns() * PS_PER_NS
        closed_ps = max(round(self.store.retry_after_s * PS_PER_S), LEAST_WAIT_PS)
        waits = [
            closed_ps if one.is_closed else one.table.take_alone(one.key, one.cost, now_ps)
            for one in asks
        ]
        if any(wait and one.mode == "all" for one, wait in zip(asks, waits, strict=True)):
            for one, wait in zip(asks, waits, strict=True):
                if not wait and one.mode != "alone":
                    one.table.give_back(one.key, one.cost)
        return waits

    async def give_back(self, asks: Sequence[Ask], heard: Heard) -> None:
        """Undo what a decision was charged, since something else refused it.

        Not tried again: an undo that is not answered may have been done, and twice would be free.
        """
        if heard.answered is None:
            for one, wait in zip(asks, heard.waits_ps, strict=True):
                if not wait and one.mode != "alone":
                    one.table.alone = True
                    one.table.give_back(one.key, one.cost)
            return
        if heard.answered.incarnation != self.store.incarnation:
            return
        waits = list(zip(asks, heard.charges, heard.waits_ps, strict=True))
        if any(wait and one.mode == "all" for one, _, wait in waits):
            return  # nothing was charged
        back = []
        for one, charge, wait in waits:
            if not wait and one.mode != "alone":
                at_us = heard.answered.at_us
                back.append(structs.replace(charge, mode="back", ahead=0, at_us=at_us))
                one.table.undone(one.key, one.cost, self._now_ns() * PS_PER_NS)
        if back:
            with suppress(StoreDown):
                await self.store.take(back)

    async def flush(self) -> int:
        """Tell the store what is owed, give ended leases back, take those that run low; how many.

        Raises nothing: what was not answered is lost, on the safe side.
        """
        now_ps = self._now_ns() * PS_PER_NS
        if self.store.retry_after_s:
            return 0
        due: list[tuple[SharedTable, Key, Held, Charge]] = [
            (table, *one)
            for table in self.tables
            for one in table.due_charges(now_ps, self.store.incarnation)
        ]
        for at in range(0, len(due), FLUSH_MAX):
            part = due[at : at + FLUSH_MAX]
            try:
                answered = await self.store.take([charge for *_, charge in part])
            except StoreDown:
                for _, _, held, charge in due[at:]:
                    held.asking = held.asking and charge.mode != "alone"
                return at
            now_ps = self._now_ns() * PS_PER_NS
            for (table, key, held, charge), answer in zip(part, answered.answers, strict=True):
                if charge.mode == "alone":
                    table.refilled(key, held, charge, answer, answered.incarnation, now_ps)
        return len(due)

    async def run(self) -> None:
        """Flush until cancelled: a task of the process."""
        while True:
            await self.flush()
            await asyncio.sleep(FLUSH_S)


class SharedLimiter:
    """As ``MultiLimiter``, over machines: usable without a gate.

    ``take`` waits for the store only where no lease is in hand. Run ``shared.run()`` as a task.
    """

    def __init__(
        self,
        limits: Sequence[Shared],
        store: SharedCounters,
        *,
        machines: int,
        clock: Clock,
        is_strict: bool = False,
    ) -> None:
        """``is_strict``: without leases. Raises ValueError for limits that can hold nothing."""
        self.shared = SharedLimits(store, machines=machines, clock=clock)
        self.tables = [SharedTable(one, machines=machines, is_strict=is_strict) for one in limits]
        self.shared.tables = self.tables
        self._now_ns = clock.monotonic_ns

    async def take(self, keys: Sequence[Key], cost: int = 1) -> Taken:
        """Charge ``cost`` to one key of each limit, or to none. ValueError for other counts."""
        if len(keys) != len(self.tables) or cost < 0:
            raise ValueError(
                f"expected {len(self.tables)} keys and a cost of 0 or more; got {len(keys)} keys, "
                f"cost {cost}"
            )
        now_ps = self._now_ns() * PS_PER_NS
        counters: list[Key] = [(str(number), key) for number, key in enumerate(keys)]
        pairs = list(zip(self.tables, counters, strict=True))
        asks: list[Ask] = []
        in_hand: list[tuple[SharedTable, Key]] = []
        for table, counter in pairs:
            if now_ps >= table.swap_ps:
                table.turn(now_ps)
            if table.is_short(counter, cost, now_ps):
                asks.append(Ask(table, counter, cost, repr(counter), "all", False))
            else:
                in_hand.append((table, counter))
        if not asks:
            return take_all(self.tables, counters, [cost] * len(keys), now_ps)
        refusing = {id(t): w for t, c in in_hand if (w := t.wait_ps(c, cost, now_ps))}
        if not refusing:
            for table, counter in in_hand:  # now, since others go on while this waits
                table.take(counter, cost, now_ps)
            heard = await self.shared.ask(asks)
            now_ps = self._now_ns() * PS_PER_NS
            refusing = {id(one.table): w for one, w in zip(asks, heard.waits_ps, strict=True) if w}
            if refusing:
                for table, counter in in_hand:
                    table.unspend(counter, cost)
        return Taken(
            not refusing,
            seconds_of(max(refusing.values(), default=0)),
            tuple(one.name for one in self.tables if id(one) in refusing),
            [table.stands(counter, now_ps)[0] for table, counter in pairs],
            [1] * len(keys),
        )
