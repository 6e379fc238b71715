"""An attacker's side of the world: what he can buy, what he knows beforehand, and what he is told.

Attackers learn from answers alone. They hold accounts and public or bought knowledge (``Intel``);
the directory and the world are out of their reach, and what the market sells is a number and an
account, never who is registered.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Final, Literal, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.gate.sim.month import set_clock
from ringwork.gate.sim.protocol import NUMBERS_MAX, Guard, Numbers, Scope, SyncRequest, matched
from ringwork.gate.sim.world import DAY_S
from ringwork.kernel.clock import ManualClock

Identity = Literal["fresh", "recycled", "aged", "taken"]
Source = Literal["blocks", "leak", "region", "region-leak"]
Agent = Iterator[float]
"""A life: yields how many seconds it waits."""

STEP_S: Final = 1e-3
"""The shortest wait: nobody acts twice at one instant."""
SYNCS_MAX: Final = 3_000
"""Of one account: a hundred a day, which is more than any deployed budget takes."""
NANOS: Final = 10**9


class Prices(Struct, frozen=True, kw_only=True):
    """What attackers pay, in nanodollars.

    SIM and traffic are the figures of spec 6; the others are our assumptions.
    """

    sim_low: int = NANOS // 10
    sim_high: int = NANOS
    aged: int = 5 * NANOS
    """An account that was registered years ago and never used."""
    taken: int = 20 * NANOS
    """A real person's account, with its book and its friends."""
    byte: int = 3
    """$3 per GB of residential traffic."""
    request_bytes: int = 2_000
    """TLS, headers and an answer of one size class."""
    number_bytes: int = 14
    poisoned: int = NANOS // 20
    """One person who saves the attacker's number: he was sent a message or an advertisement."""
    cpu_second: int = 11_000
    """$0.04 an hour."""
    proof_s: float = 0.5
    """Of processor time for one proof of work."""


class Bill(Struct):
    """What was used."""

    identities: dict[str, int]
    requests: int = 0
    numbers: int = 0
    refused: int = 0
    poisoned: int = 0
    proofs: int = 0

    def nanos(self, prices: Prices, sim: int) -> int:
        """All of it at the price of a SIM."""
        each = {"fresh": sim, "recycled": sim, "aged": prices.aged, "taken": prices.taken}
        accounts = sum(each[name] * count for name, count in self.identities.items())
        traffic = self.requests * prices.request_bytes + self.numbers * prices.number_bytes
        proofs = round(self.proofs * prices.proof_s * prices.cpu_second)
        return accounts + traffic * prices.byte + self.poisoned * prices.poisoned + proofs


class Sold(Struct, frozen=True):
    """An account that was bought, and the numbers that came with it."""

    account: int
    number: int
    contacts: Numbers
    """Of a taken account its book, else of a person who lends his."""


class Market(Protocol):
    """Who sells accounts, and what else money buys."""

    def sell(self, identity: Identity) -> Sold: ...

    def reregister(self, account: int) -> int:
        """The account is deleted, and its number registered again: another account."""
        ...

    def poison(self, number: int, people: int) -> int:
        """So many people save the number, and their phones send it; returns how many did."""
        ...


class Intel(Struct, frozen=True):
    """What can be known without asking: the numbering plan, and what was leaked years ago."""

    blocks: Numbers
    """Every number of every assigned block."""
    region: Numbers
    """Of the densest region, ascending."""
    leak: Numbers
    """55 % of them are live still; the rest are numbers like any."""
    region_leak: Numbers
    """What of the leak lies in the densest region."""

    def of(self, source: Source) -> Numbers:
        return {
            "blocks": self.blocks,
            "leak": self.leak,
            "region": self.region,
            "region-leak": self.region_leak,
        }[source]


class Told(Struct, frozen=True):
    """What an account is told."""

    status: str
    matched: Numbers
    retry_after_s: float

    @property
    def is_ok(self) -> bool:
        return self.status == "ok"


class Account:
    """One account of a fleet. Numbers that it sends, and what it was told."""

    def __init__(self, fleet: Fleet, sold: Sold, *, is_own: bool) -> None:
        self._fleet = fleet
        self.id = sold.account
        self.number = sold.number
        self._sold = sold
        self.known = sold.contacts if is_own else _NOTHING
        self.token: bytes | None = None
        self.syncs = 0
        self.taken: dict[Source, int] = {}
        self.learned: list[Numbers] = []

    def sync(self, numbers: Numbers, *, scope: Scope = "full", token: bytes | None = None) -> Told:
        """Ask. ``token``: another than the account's own."""
        fleet = self._fleet
        numbers = np.asarray(numbers, np.uint64)[:NUMBERS_MAX]
        own = self.token if token is None else token
        reply = fleet.guard.sync(
            SyncRequest(account=self.id, numbers=numbers, token=own, scope=scope)
        )
        self.syncs += 1
        fleet.bill.requests += 1
        fleet.bill.numbers += len(numbers)
        wait = reply.retry_after_s
        if reply.status != "ok":
            fleet.bill.refused += 1
            return Told(reply.status, _NOTHING, DAY_S if wait is None else max(1.0, float(wait)))
        if reply.token is not None:
            self.token = reply.token
        found = matched(reply)
        self.learned.append(found)
        return Told("ok", found, 0.0)

    @property
    def is_spent(self) -> bool:
        """It has sent as many syncs as the simulation lets it."""
        return self.syncs >= self._fleet.syncs_max

    def book(self) -> Numbers:
        """The contacts that came with it. From then on they are known, so never learned."""
        self.known = self._sold.contacts
        return self.known

    def take(self, source: Source, count: int, *, is_sorted: bool = False) -> Numbers:
        """The next numbers of a source that nobody of the fleet has asked for.

        In a world that is too small for the fleet, numbers that others have asked for: what an
        account learns then is what it would in a larger one. Fewer, or none, once this account
        alone has been through all.
        """
        numbers = self._fleet.list_of(source, is_sorted=is_sorted)
        count = min(count, len(numbers) - self.taken.get(source, 0))
        first = self._fleet.advance(source, count, is_sorted=is_sorted)
        self.taken[source] = self.taken.get(source, 0) + count
        end = numbers[first : first + count]
        return np.concatenate([end, numbers[: count - len(end)]]) if len(end) < count else end

    def give_back(self, source: Source, count: int, *, is_sorted: bool = False) -> None:
        """The last ones taken were not answered. Only right after ``take``."""
        self._fleet.advance(source, -count, is_sorted=is_sorted)
        self.taken[source] -= count

    def is_through(self) -> bool:
        """It has asked for all of a source: a larger world would have given it more."""
        return any(
            count >= len(self._fleet.intel.of(source)) for source, count in self.taken.items()
        )

    def lose_token(self) -> None:
        """The app is installed anew."""
        self.token = None

    def start_over(self) -> None:
        """Delete the account and register its number again."""
        self.id = self._fleet.market.reregister(self.id)
        self.token = None

    def poison(self, people: int) -> None:
        """Get into people's books."""
        self._fleet.bill.poisoned += self._fleet.market.poison(self.number, people)


class Fleet:
    """Accounts of one attacker: they share what was asked, and are paid from one purse."""

    def __init__(
        self,
        guard: Guard,
        market: Market,
        intel: Intel,
        rng: np.random.Generator,
        *,
        syncs_max: int = SYNCS_MAX,
    ) -> None:
        """``syncs_max``: of each account."""
        self.guard = guard
        self.market = market
        self.intel = intel
        self.rng = rng
        self.syncs_max = syncs_max
        self.bill = Bill({})
        self.accounts: list[Account] = []
        self._lists: dict[tuple[Source, bool], Numbers] = {}
        self._next: dict[tuple[Source, bool], int] = {}

    def buy(self, identity: Identity) -> Account:
        self.bill.identities[identity] = self.bill.identities.get(identity, 0) + 1
        account = Account(self, self.market.sell(identity), is_own=identity == "taken")
        self.accounts.append(account)
        return account

    def learned(self, group: int = 1) -> tuple[int, NDArray[np.int64]]:
        """(distinct accounts that all learned, and how many each group of accounts did).

        Not counted: what the attackers own, and the contacts that a group came with and used.
        """
        own = np.array([one.number for one in self.accounts], np.uint64)
        groups = []
        for first in range(0, len(self.accounts), group):
            members = self.accounts[first : first + group]
            told = [numbers for one in members for numbers in one.learned]
            known = np.concatenate([own, *(one.known for one in members)])
            groups.append(np.setdiff1d(np.concatenate([*told, _NOTHING]), known))
        total = len(np.unique(np.concatenate([*groups, _NOTHING])))
        return total, np.array([len(one) for one in groups], np.int64)

    def list_of(self, source: Source, *, is_sorted: bool) -> Numbers:
        """A source in the order in which this fleet goes through it."""
        name = (source, is_sorted)
        if name not in self._lists:
            numbers = self.intel.of(source)
            self._lists[name] = np.sort(numbers) if is_sorted else self.rng.permutation(numbers)
        return self._lists[name]

    def advance(self, source: Source, count: int, *, is_sorted: bool) -> int:
        """Where the fleet stands in a list, and go ``count`` on; behind the end it starts anew."""
        name = (source, is_sorted)
        first = self._next.get(name, 0)
        self._next[name] = (first + count) % len(self._lists[name])
        return first


def live(
    clock: ManualClock,
    agents: list[Agent],
    *,
    days: float,
    progress: Callable[[int], None] = lambda _count: None,
) -> None:
    """Let agents act in order of time, each after the waits that it yields."""
    queue = [(0.0, order, agent) for order, agent in enumerate(agents)]
    heapq.heapify(queue)
    for count in itertools.count():
        if not queue:
            return
        progress(count)
        at, order, agent = heapq.heappop(queue)
        if at >= days * DAY_S:
            return
        set_clock(clock, at)
        wait = next(agent, None)
        if wait is not None:
            heapq.heappush(queue, (at + max(STEP_S, wait), order, agent))


_NOTHING: Final = np.zeros(0, np.uint64)
