"""One limit that machines share, as one of them sees it: leases, and a share for when it is alone.

A machine takes some units of a key at once and then decides by itself; what it has not spent goes
back after a second. Units in hand are charged already, so in any stretch of time all machines
together admit what the limit allows and, at most, what lay in their hands when it began: machines
times ``lease_max``, which is 2 % of the limit. A machine that dies takes its units with it; no
other can spend them, and nor can itself when it comes back.

Limits of which 2 % are less than a unit per machine, scores, windows and ``strict`` rules are asked
of the store each time. Without an answer a machine has its share, limit / machines: everything that
it admits is counted there too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from msgspec import Struct, structs

from ringwork.gate.limits.gcra import GcraTable
from ringwork.gate.limits.generations import KEYS_MAX, Generations
from ringwork.gate.limits.model import FOREVER_PS, PS_PER_S, Gcra, Key, MetaScore, SlidingWindow
from ringwork.gate.limits.score import ScoreTable
from ringwork.gate.limits.sliding import SlidingTable
from ringwork.kernel.counters import Answer, Cell, Charge, Meter, Mode, Score, Window

PS_PER_US: Final = 10**6
SHAREABLE: Final = (Gcra, MetaScore, SlidingWindow)
OVER: Final = 50
"""Leases of all machines together are a fiftieth of the limit: 2 % more than it at most."""
AHEAD_PS: Final = PS_PER_S // 20
"""A lease is what 50 ms will need, as long as that is within its bound."""
LEASE_PS: Final = PS_PER_S
"""After which what is left of it goes back, and after which a refusal is asked about again."""
HELD_PS: Final = 10 * PS_PER_S
DUE_MAX: Final = 100_000
"""Keys that may wait for a flush."""

Shared = Gcra | MetaScore | SlidingWindow


class Held(Struct, gc=False):
    """What is known of one key."""

    actor: str = ""
    units: int = 0
    """Taken ahead and not spent."""
    until_ps: int = 0
    low: int = 0
    """Units below which more is asked for."""
    cost: int = 1
    incarnation: int = 0
    asking: bool = False
    waiting: int = 0
    """Units that others wait for, until the lease that is asked for is there."""
    owed: int = 0
    """Admitted without the store, and not told to it yet."""
    spent: int = 0
    since_ps: int = 0
    refused_until_ps: int = 0
    refused_cost: int = 0
    again_ps: int = 0
    """When to ask again, although the refusal goes on: others may have given units back."""
    told_ps: int = -1
    """When the store last answered; -1: never."""
    left: int = 0
    more_ps: int = 0


class SharedTable(Generations[Held]):
    """Counters of one shared limit. In ``take``, units in hand or the share decide, at once."""

    __slots__ = (
        "_expiring",
        "_label",
        "_remembers_ps",
        "_share_max",
        "alone",
        "due",
        "lease_max",
        "meter",
        "name",
        "share",
        "units_max",
    )

    def __init__(
        self,
        limit: Shared,
        *,
        machines: int,
        is_strict: bool = False,
        keys_max: int = KEYS_MAX,
        label: str = "",
    ) -> None:
        """``label``: tells its counters from those of a like limit, where keys do not.

        Raises ValueError for a limit that can hold nothing, or without a machine.
        """
        if machines < 1:
            raise ValueError(f"machines: expected 1 or more, got {machines}")
        super().__init__(HELD_PS, keys_max=keys_max)
        self.name = limit.name
        self._label = label
        self.share, self._share_max = share_of(limit, machines, keys_max)
        self.meter, self.units_max = meter_of(limit)
        self._remembers_ps = 0 if is_strict else LEASE_PS
        is_leased = isinstance(limit, Gcra) and not is_strict
        self.lease_max = min(limit.limit, self.units_max) // (OVER * machines) if is_leased else 0  # type: ignore[union-attr] # a Gcra
        self.due: dict[Key, Held] = {}
        """Keys that the next flush has something to say about."""
        self.alone = False
        """Whether the last ``take`` was decided by the share."""
        self._expiring: deque[tuple[int, Key, Held]] = deque()

    # ---- the table of a limit -------------------------------------------------------------------

    def take(self, key: Key, cost: int, now_ps: int) -> int:
        """Spend units in hand; without them, the share. 0, or how long to wait."""
        self.alone = False
        if cost > self.units_max:
            return FOREVER_PS
        held = self.get(key)
        if held is not None:
            if cost >= held.refused_cost and now_ps < held.again_ps:
                return held.refused_until_ps - now_ps
            if held.units >= cost:
                self.newer[key] = held
                held.units -= cost
                held.spent += cost
                if held.units <= held.low:
                    self._is_due(key, held)
                return 0
        return self.take_alone(key, cost, now_ps)

    def spend(self, key: Key, cost: int) -> Held | None:
        """Units in hand, if there are enough; the short way of ``take``."""
        held = self.newer.get(key)
        if held is None or held.units < cost:
            return None
        held.units -= cost
        held.spent += cost
        if held.units <= held.low:
            self._is_due(key, held)
        return held

    def take_alone(self, key: Key, cost: int, now_ps: int) -> int:
        """By the share. What it admits is owed to the store."""
        self.alone = True
        if now_ps >= self.share.swap_ps:
            self.share.turn(now_ps)
        wait_ps = self.share.take(key, min(cost, self._share_max), now_ps)
        held = self.held(key)
        if not wait_ps:  # no more than one burst of the share: what is older has been refilled
            held.owed = min(held.owed + cost, max(self._share_max, cost))
        held.cost = cost
        self._is_due(key, held)
        return wait_ps

    def wait_ps(self, key: Key, cost: int, now_ps: int) -> int:
        """0 where ``take`` would pass."""
        if cost > self.units_max:
            return FOREVER_PS
        held = self.get(key)
        if held is not None:
            if cost >= held.refused_cost and now_ps < held.again_ps:
                return held.refused_until_ps - now_ps
            if held.units >= cost:
                return 0
        return self.share.wait_ps(key, min(cost, self._share_max), now_ps)

    def give_back(self, key: Key, cost: int) -> None:
        """Undo the ``take`` that was just made."""
        if not self.alone:
            self.unspend(key, cost)
            return
        self.share.give_back(key, min(cost, self._share_max))
        held = self.held(key)
        held.owed = max(held.owed - cost, 0)

    def unspend(self, key: Key, cost: int) -> None:
        """Put units back into the hand that they were taken from, whatever came between."""
        held = self.held(key)
        held.units = min(held.units + cost, max(self.lease_max, held.units))
        held.spent -= cost

    def stands(self, key: Key, now_ps: int) -> tuple[int, int]:
        """What the store last said, and what is in hand; before it said anything, the share."""
        held = self.get(key)
        if held is None or held.told_ps < 0:
            return self.share.stands(key, now_ps)
        if now_ps < held.refused_until_ps:
            return held.left, held.refused_until_ps - now_ps
        return held.left + held.units, max(held.more_ps - (now_ps - held.told_ps), 0)

    # ---- what is asked of the store -------------------------------------------------------------

    def counter_of(self, key: Key) -> str:
        """How the store names it."""
        return f"{self._label}{key!r}"

    def held(self, key: Key) -> Held:
        """What is known of a key, from now on."""
        found = self.get(key)
        if found is None:
            found = Held()
        self.newer[key] = found
        return found

    def is_short(self, key: Key, cost: int, now_ps: int) -> bool:
        """Whether only the store can say."""
        if cost > self.units_max:
            return False
        held = self.get(key)
        if held is None:
            return True
        if cost >= held.refused_cost and now_ps < held.again_ps:
            return False
        return held.units < cost

    def charge(self, key: Key, cost: int, actor: str, mode: Mode, now_ps: int) -> Charge:
        """What to ask: the cost and, once at a time, a lease beside it."""
        held = self.held(key)
        held.actor, held.cost = actor, cost
        ahead = 0 if held.asking or not cost else self._ahead(held, cost, now_ps)
        if ahead:
            held.asking = True
        return Charge(actor, self.counter_of(key), self.meter, cost, mode, ahead)

    def unheard(self, key: Key, charge: Charge) -> None:
        """No answer came: whether it was charged nobody knows, so nothing of it is in hand."""
        if charge.ahead:
            self.held(key).asking = False

    def heard(
        self,
        key: Key,
        charge: Charge,
        answer: Answer,
        *,
        charged: bool,
        incarnation: int,
        now_ps: int,
    ) -> int:
        """Take note of the answer; how long to wait."""
        held, cost = self.held(key), charge.cost
        if charge.ahead:
            held.asking = False
        held.left, held.told_ps = answer.left, now_ps
        held.more_ps = answer.more_us * PS_PER_US
        if answer.wait_us:
            wait_ps = answer.wait_us * PS_PER_US
            held.refused_cost, held.refused_until_ps = cost, now_ps + wait_ps
            held.again_ps = now_ps + min(wait_ps, self._remembers_ps)
            return FOREVER_PS if cost > self.units_max else wait_ps
        held.again_ps = held.refused_until_ps = 0
        if charged:
            held.spent += cost
            self._granted(key, held, answer.granted * cost, incarnation, now_ps)
            self._count(key, cost + answer.granted * cost, now_ps)
        return 0

    def undone(self, key: Key, cost: int, now_ps: int) -> None:
        """What was charged there was told to be given back."""
        held = self.held(key)
        held.left += cost
        if isinstance(self.share, GcraTable):
            self._count(key, -cost, now_ps)

    def due_charges(self, now_ps: int, incarnation: int) -> Iterator[tuple[Key, Held, Charge]]:
        """What to tell the store now: debts, leases that have ended, and those that run low."""
        while self._expiring and self._expiring[0][0] <= now_ps:
            _, key, held = self._expiring.popleft()
            if held.until_ps <= now_ps and held.units > 0 and not held.asking:
                units, held.units = held.units, 0
                if held.incarnation == incarnation:
                    yield (
                        key,
                        held,
                        Charge(held.actor, self.counter_of(key), self.meter, units, "back"),
                    )
        due, self.due = self.due, {}
        for key, held in due.items():
            actor = held.actor or repr(key)
            if held.owed > 0:
                owed, held.owed = held.owed, 0
                yield key, held, Charge(actor, self.counter_of(key), self.meter, owed, "owed")
            elif not held.asking and held.cost and (more := self._ahead(held, held.cost, now_ps)):
                held.asking = True
                yield (
                    key,
                    held,
                    Charge(actor, self.counter_of(key), self.meter, held.cost, "alone", more - 1),
                )

    def refilled(
        self, key: Key, held: Held, charge: Charge, answer: Answer, incarnation: int, now_ps: int
    ) -> None:
        """The answer to one of those."""
        held.asking = False
        if not self.heard(
            key, charge, answer, charged=False, incarnation=incarnation, now_ps=now_ps
        ):
            units = charge.cost * (1 + answer.granted)
            self._granted(key, held, units, incarnation, now_ps)
            self._count(key, units, now_ps)

    def _is_due(self, key: Key, held: Held) -> None:
        if len(self.due) < DUE_MAX:
            self.due[key] = held

    def _ahead(self, held: Held, cost: int, now_ps: int) -> int:
        """How many times the cost a lease is to be: what the next 50 ms need, and once at least."""
        since_ps = now_ps - held.since_ps
        wanted = held.spent * AHEAD_PS // max(since_ps, AHEAD_PS)
        if since_ps > LEASE_PS:
            held.spent, held.since_ps = 0, now_ps
        wanted = max(wanted, held.waiting, cost)
        return max(min(self.lease_max - held.units, wanted), 0) // cost

    def _granted(self, key: Key, held: Held, units: int, incarnation: int, now_ps: int) -> None:
        if units:
            held.units += units
            held.low = held.units // 2
            held.until_ps = now_ps + LEASE_PS
            held.incarnation = incarnation
            self._expiring.append((held.until_ps, key, held))
            if len(self._expiring) > DUE_MAX:  # nobody flushes: what is left of it is lost
                self._expiring.popleft()

    def _count(self, key: Key, cost: int, now_ps: int) -> None:
        """Of what the store granted, so that the share knows of it when it has to decide."""
        share = self.share
        share.turn(now_ps)
        if isinstance(share, GcraTable):
            share.settle(key, cost, now_ps)
        elif cost <= self._share_max and not share.wait_ps(key, cost, now_ps):
            share.take(key, cost, now_ps)


def meter_of(limit: Shared) -> tuple[Meter, int]:
    """As the store counts it, and the units that a request may cost at most."""
    match limit:
        case Gcra():
            table = GcraTable(limit)
            return Cell(table.burst, table.interval_ps), table.burst
        case MetaScore(maximum=maximum, decay="linear"):
            drain_ps = -(-round(limit.window_s * PS_PER_S) // maximum)
            return Cell(maximum, drain_ps, _us(limit.block_s)), maximum
        case MetaScore(maximum=maximum):
            return Score(maximum, _us(limit.window_s), _us(limit.block_s)), maximum
        case SlidingWindow(limit=units):
            return Window(units, _us(limit.window_s)), units


def share_of(
    limit: Shared, machines: int, keys_max: int
) -> tuple[GcraTable | ScoreTable | SlidingTable, int]:
    """What one machine may admit alone, and what it counts of one request at most.

    One unit at least, at a rate of which all machines together have the limit.
    """
    match limit:
        case Gcra():
            burst = limit.limit if limit.burst is None else limit.burst
            part = max(burst // machines, 1)
            cells = structs.replace(limit, period_s=limit.period_s * machines, burst=part)
            return GcraTable(cells, keys_max=keys_max), part
        case MetaScore():
            part = max(limit.maximum // machines, 1)
            return ScoreTable(structs.replace(limit, maximum=part), keys_max=keys_max), part
        case SlidingWindow():
            part = max(limit.limit // machines, 1)
            return SlidingTable(structs.replace(limit, limit=part), keys_max=keys_max), part


def _us(seconds: float) -> int:
    return round(seconds * 10**6)
