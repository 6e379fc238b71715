"""Limits that machines share: what has to be asked of the store, in one call per decision."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from msgspec import Struct, structs

from ringwork.gate.limits.leases import Held, Shared, SharedTable
from ringwork.gate.limits.model import PS_PER_NS, PS_PER_S, Key, Taken, seconds_of
from ringwork.gate.limits.multi import NONE, take_all
from ringwork.kernel.counters import Answered, Charge, Mode
from ringwork.kernel.errors import StoreDown
from ringwork.kernel.ports import Clock, SharedCounters

FLUSH_S: Final = 0.05
FLUSH_MAX: Final = 100
"""Keys in one call."""
WAITS_MAX: Final = 3
"""For leases that others ask for; then a request asks for itself."""
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
        self._leasing: dict[tuple[SharedTable, Key], asyncio.Future[None]] = {}
        """Leases that are asked for now, for others who need the same."""
        self._now_ns = clock.monotonic_ns

    async def ask(self, asks: Sequence[Ask]) -> Heard:
        """One round trip for all; without an answer, by the share, or refused, as rules say."""
        now_ps = self._now_ns() * PS_PER_NS
        charges = [one.table.charge(one.key, one.cost, one.actor, one.mode, now_ps) for one in asks]
        leasing = [
            (one.table, one.key) for one, charge in zip(asks, charges, strict=True) if charge.ahead
        ]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leasing.update(dict.fromkeys(leasing, done))
        try:
            return await self._asked(asks, charges)
        finally:
            for one in leasing:
                del self._leasing[one]
            done.set_result(None)

    async def lease_under_way(self, asked: Iterable[tuple[SharedTable, Key, int]]) -> bool:
        """Wait for the first lease that another request asks for already; False: there is none.

        So that a key that becomes busy is asked about once, and not by all who come meanwhile.
        """
        for table, key, cost in asked:
            done = self._leasing.get((table, key))
            if done is not None:
                held = table.held(key)
                held.waiting += cost
                try:
                    await asyncio.shield(done)
                finally:
                    held.waiting -= cost
                return True
        return False

    async def _asked(self, asks: Sequence[Ask], charges: Sequence[Charge]) -> Heard:
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
        self.tables = [
            SharedTable(one, machines=machines, is_strict=is_strict, label=f"{number} ")
            for number, one in enumerate(limits)
        ]
        self.shared.tables = self.tables
        self._ones = [1] * len(self.tables)
        self._now_ns = clock.monotonic_ns

    async def take(self, keys: Sequence[Key], cost: int = 1) -> Taken:
        """Charge ``cost`` to one key of each limit, or to none. ValueError for other counts."""
        if len(keys) != len(self.tables) or cost < 0:
            raise ValueError(
                f"expected {len(self.tables)} keys and a cost of 0 or more; got {len(keys)} keys, "
                f"cost {cost}"
            )
        if taken := self._in_hand(keys, cost):
            return taken
        pairs = list(zip(self.tables, keys, strict=True))
        for _ in range(WAITS_MAX):
            now_ps = self._now_ns() * PS_PER_NS
            short = [
                (table, key, cost) for table, key in pairs if table.is_short(key, cost, now_ps)
            ]
            if not await self.shared.lease_under_way(short):
                break
        return await self._ask(pairs, cost)

    def _in_hand(self, keys: Sequence[Key], cost: int) -> Taken | None:
        """The short way: units of every key are in hand."""
        rooms: list[int] = []
        for table, key in zip(self.tables, keys, strict=True):
            held = table.spend(key, cost)
            if held is None:
                for before, spent in zip(self.tables[: len(rooms)], keys, strict=False):
                    before.unspend(spent, cost)
                return None
            rooms.append(held.left + held.units)
        return Taken(True, 0.0, NONE, rooms, self._ones)

    async def _ask(self, pairs: Sequence[tuple[SharedTable, Key]], cost: int) -> Taken:
        now_ps = self._now_ns() * PS_PER_NS
        asks: list[Ask] = []
        in_hand: list[tuple[SharedTable, Key]] = []
        for table, key in pairs:
            if now_ps >= table.swap_ps:
                table.turn(now_ps)
            if table.is_short(key, cost, now_ps):
                asks.append(Ask(table, key, cost, table.counter_of(key), "all", False))
            else:
                in_hand.append((table, key))
        if not asks:
            return take_all(self.tables, [key for _, key in pairs], [cost] * len(pairs), now_ps)
        refusing = {id(t): w for t, key in in_hand if (w := t.wait_ps(key, cost, now_ps))}
        if not refusing:
            for table, key in in_hand:  # now, since others go on while this waits
                table.take(key, cost, now_ps)
            heard = await self.shared.ask(asks)
            now_ps = self._now_ns() * PS_PER_NS
            refusing = {id(one.table): w for one, w in zip(asks, heard.waits_ps, strict=True) if w}
            if refusing:
                for table, key in in_hand:
                    table.unspend(key, cost)
        return Taken(
            not refusing,
            seconds_of(max(refusing.values(), default=0)),
            tuple(one.name for one in self.tables if id(one) in refusing),
            [table.stands(key, now_ps)[0] for table, key in pairs],
            self._ones,
        )
