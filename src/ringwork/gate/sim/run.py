"""Runs attacks and the honest month against rule sets, each in a branch of one world.

world = build(SeededEntropy(7), users=20_000, mode="everyone")
arena = Arena(world, make_of("signal-2026"), "signal-2026", seed=7)
arena.enumerate("leak-list").per_account
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import structs

from ringwork.gate.sim.attackers import ATTACKS, FLEET, Attack, Strategy
from ringwork.gate.sim.attackers import learner as learning
from ringwork.gate.sim.attackers.learner import ACCOUNTS, Search, search
from ringwork.gate.sim.chance import generator
from ringwork.gate.sim.fleet import SYNCS_MAX, Bill, Fleet, Intel, Prices, live
from ringwork.gate.sim.market import WorldMarket, intel_of, joining
from ringwork.gate.sim.metrics import Enumeration, Friction, mean_bound
from ringwork.gate.sim.month import friction, start
from ringwork.gate.sim.people import month
from ringwork.gate.sim.protocol import Guard
from ringwork.gate.sim.rules import Make
from ringwork.gate.sim.world import Directory, World
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Refused

Progress = Callable[[str, int], None]
DAYS_MAX: Final = 90
ACCOUNTS_MAX: Final = 2_000
FLEET_ACCOUNTS: Final = 8
PRICES: Final = Prices()


def attack_names() -> tuple[str, ...]:
    """All strategies, the learning fleet last."""
    return (*ATTACKS, FLEET)


class Arena:
    """One rule set over one world."""

    def __init__(
        self,
        world: World,
        make: Make,
        rules: str,
        *,
        seed: int,
        days: float = 30,
        progress: Progress = lambda _what, _count: None,
    ) -> None:
        """Raises Refused where ``days`` is out of bounds."""
        if not 0 < days <= DAYS_MAX:
            raise Refused(
                "simulation-invalid", f"days: expected 1 to {DAYS_MAX}, got {days:g}", status=422
            )
        self.rules = rules
        self.world = world
        self._make = make
        self._seed = seed
        self._days = days
        self._progress = progress
        self._month = (
            None if world.books is None else month(self._entropy("month"), world, world.books)
        )

    def friction(self) -> Friction:
        """The honest month. Needs a world with books."""
        world, clock = self.world.branch(), ManualClock()
        if world.books is None or self._month is None:
            raise Refused("simulation-invalid", "friction: expected a world with books", status=422)
        guard = self._make(world.mode, Directory(world), clock, self._entropy("guard"))
        return friction(
            guard,
            clock,
            world,
            world.books,
            self._month,
            rules=self.rules,
            progress=self._progress,
        )

    def enumerate(self, name: str, *, accounts: int | None = None) -> Enumeration:
        """One attack. Raises Refused for an unknown name or too many accounts."""
        if name == FLEET:
            return self.learn(accounts=accounts)
        if name not in ATTACKS:
            raise Refused(
                "simulation-invalid",
                f"attack: expected {', '.join(attack_names())}, got {name!r}",
                status=422,
            )
        return self.play(ATTACKS[name], accounts=accounts)

    def play(self, attack: Attack, *, accounts: int | None = None) -> Enumeration:
        """An attack in a branch of its own: nobody else attacks meanwhile, people register."""
        count = attack.accounts if accounts is None else accounts
        if not 1 <= count <= ACCOUNTS_MAX:
            raise Refused(
                "simulation-invalid",
                f"accounts: expected 1 to {ACCOUNTS_MAX:,}, got {count:,}",
                status=422,
            )
        fleet = self._fleets([(attack, count)], attack.name)[0]
        return self._measured(fleet, attack)

    def learn(self, *, accounts: int | None = None) -> Enumeration:
        """The learning fleet: searches, then plays what it found with new accounts."""
        found = self.search()
        count = found.best.group * -(-(accounts or FLEET_ACCOUNTS) // found.best.group)
        fleet = self._fleets([(found.best, count)], FLEET)[0]
        measured = self._measured(fleet, found.best)
        told = f"{found.best.name} {measured.parameters}".strip()
        return structs.replace(measured, attack=FLEET, parameters=told)

    def search(self) -> Search:
        """The search alone. Each round is one month with all arms in it, on other accounts."""
        rounds = 0

        def score(arms: Sequence[Attack]) -> Sequence[float]:
            nonlocal rounds
            rounds += 1
            fleets = self._fleets(
                [(arm, ACCOUNTS) for arm in arms], f"search {rounds}", learning.SYNCS_MAX
            )
            found = zip(fleets, arms, strict=True)
            return [int(fleet.learned(arm.group)[1].sum()) / ACCOUNTS for fleet, arm in found]

        starts = [one for one in ATTACKS.values() if one.bought]
        return search(score, generator(self._entropy("search")), starts)

    def _fleets(
        self, attacks: Sequence[tuple[Attack, int]], name: str, syncs_max: int = SYNCS_MAX
    ) -> list[Fleet]:
        """Fleets that attack in the same month, each for itself."""
        world, clock = self.world.branch(), ManualClock()
        guard = self._make(world.mode, Directory(world), clock, self._entropy(f"{name} guard"))
        self._start(guard, world)
        rng = generator(self._entropy(name))
        seller = WorldMarket(world, guard, clock, rng)
        intel = self._intel()
        agents = [joining(world, self._seed)]
        fleets = []
        for attack, count in attacks:
            fleet = Fleet(guard, seller, intel, rng, syncs_max=syncs_max)
            agents += attack.live(fleet, attack.strategy, count)
            fleets.append(fleet)
        live(clock, agents, days=self._days, progress=lambda count: self._progress(name, count))
        return fleets

    def _start(self, guard: Guard, world: World) -> None:
        if world.books is not None and self._month is not None:
            start(guard, world, world.books, self._month.initial)

    def _intel(self) -> Intel:
        return intel_of(self._entropy("intel"), self.world)

    def _entropy(self, purpose: str) -> SeededEntropy:
        return SeededEntropy(f"{self._seed} {purpose}")

    def _measured(self, fleet: Fleet, attack: Attack) -> Enumeration:
        distinct, groups = fleet.learned(attack.group)
        learned = int(groups.sum())
        bill: Bill = fleet.bill
        low, high = (bill.nanos(PRICES, sim) for sim in (PRICES.sim_low, PRICES.sim_high))
        accounts = len(fleet.accounts)
        return Enumeration(
            rules=self.rules,
            mode=self.world.mode,
            attack=attack.name,
            bought=attack.bought,
            accounts=accounts,
            learned=learned,
            distinct=distinct,
            per_account=learned / accounts,
            per_account_bound=mean_bound(groups) / attack.group,
            luckiest=int(groups.max()),
            asked=bill.numbers,
            refused=bill.refused,
            cost_low_nanos=low,
            cost_high_nanos=high,
            per_1000_low_nanos=low * 1000 // learned if learned else None,
            per_1000_high_nanos=high * 1000 // learned if learned else None,
            world_users=self.world.users,
            is_exhausted=any(one.is_through() for one in fleet.accounts),
            parameters=_parameters(attack.strategy),
        )


def _parameters(strategy: Strategy) -> str:
    """What of it is not the default."""
    plain = structs.asdict(Strategy())
    mine = structs.asdict(strategy)
    return " ".join(f"{name}={mine[name]}" for name in mine if mine[name] != plain[name])
