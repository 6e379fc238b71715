"""What honest people and attackers do with the contact guard in 30 days, and what comes of it."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from ringwork.gate.contacts import ContactGuard, ContactPolicy, SyncRequest
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from tests.gate.contact_world import DAY_S, START_S, Directory, World

EVENTS = {"new": 0.05, "stranger": 0.002, "reinstall": 0.03, "new number": 0.01, "bulk": 0.02}


def guarded(world: World, mode: str, *, policy=None, leave_out=(), watch=None):
    """A guard that holds the books of all users but some."""
    directory = Directory(world, level=1 if mode == "mutual" else 2)
    for person in leave_out:
        directory.remove(person)
    clock = ManualClock(int(START_S * 1e6))
    guard = ContactGuard(
        policy or ContactPolicy.preset(mode),
        directory=directory,
        clock=clock,
        entropy=SeededEntropy(7),
        watch=watch,
    )
    users = np.array(sorted(directory.number_by_account), dtype=np.int64)
    books = [world.numbers[world.books[u]] for u in users]
    offsets = np.concatenate([[0], np.cumsum([len(b) for b in books])])
    guard.import_books(users, offsets, np.concatenate(books))
    return guard, directory, clock, users


def at_day(clock, day):
    clock.set_wall_us(int((START_S + day * DAY_S) * 1e6))


def month(world: World, mode: str, *, policy=None, seed=3, users_max=None):
    """Friction, recall, and user-months in which a match was held back, by what happened."""
    rng = np.random.default_rng(seed)
    everyone = np.flatnonzero(world.registered)
    fate = rng.choice(
        [*EVENTS, ""], size=len(everyone), p=[*EVENTS.values(), 1 - sum(EVENTS.values())]
    )
    newcomers = everyone[(fate == "new") | (fate == "stranger")]
    judged = []
    guard, directory, clock, _ = guarded(
        world, mode, policy=policy, leave_out=newcomers.tolist(), watch=judged.append
    )
    order = rng.permutation(len(everyone))[:users_max]
    days = np.sort(rng.random(len(order)) * 29)
    months, refused, held = Counter(), Counter(), Counter()
    wanted, got = Counter(), Counter()
    next_account = 10_000_000
    for day, i in zip(days, order, strict=True):
        at_day(clock, day)
        person, what = int(everyone[i]), fate[i]
        account, book = person, world.books[person]
        kind = ("odd " if world.is_odd[person] else "") + (what or "usual")
        extra = rng.integers(0, len(world.numbers), rng.poisson(2))
        if what in ("new", "stranger"):
            # A stranger comes with a number that nobody has.
            number = int(world.numbers[person]) if what == "new" else 499_800_000_000 + person
            directory.register(person, number, START_S + day * DAY_S)
        elif what == "new number":
            directory.remove(person)
            account, next_account = next_account, next_account + 1
            directory.register(account, 499_900_000_000 + account, START_S + day * DAY_S)
        elif what == "bulk":
            friend = world.books[person][int(rng.integers(len(world.books[person])))]
            extra = np.concatenate([extra, world.books[friend]])
        numbers = world.numbers[np.unique(np.concatenate([book, extra]))]
        answer = guard.sync(SyncRequest(account=account, numbers=numbers))
        months[kind] += 1
        refused[kind] += answer.status != "ok"
        held[kind] += judged[-1].withheld > 0
        there = directory.accounts_of(numbers)
        there = there[(there >= 0) & (there != account)]
        if mode == "mutual":
            me = what not in ("new number", "stranger")
            there = np.array(
                [
                    t
                    for t in there.tolist()
                    if t < len(world.books) and person in world.books[t] and me
                ],
                dtype=int,
            )
        wanted[kind] += len(there)
        got[kind] += len({m.account for m in answer.matches} & set(there.tolist()))
    return (
        {"months": months, "refused": refused, "held": held, "wanted": wanted, "got": got},
        guard,
        directory,
        clock,
    )


def chunks(numbers, size):
    return [numbers[i : i + size] for i in range(0, len(numbers), size)]


class Attack:
    """Attackers' accounts, and whom of others they learned of."""

    def __init__(self, world, mode, guard, directory, clock, seed=5):
        self.world, self.guard, self.directory, self.clock = world, guard, directory, clock
        self.mode = mode
        self.rng = np.random.default_rng(seed)
        self.next = 20_000_000
        self.mine: set[int] = set()
        users = np.flatnonzero(world.registered)
        others = np.flatnonzero(~world.registered)
        self.leak = self.rng.permutation(
            np.concatenate([users, self.rng.choice(others, int(len(users) * 0.45 / 0.55))])
        )
        self.learned: dict[int, set[int]] = defaultdict(set)

    def account(self, day=0.0, *, number=None, aged=False):
        a, self.next = self.next, self.next + 1
        self.directory.register(
            a, number or 498_800_000_000 + a, START_S + (day - (400 if aged else 1)) * DAY_S
        )
        self.mine.add(a)
        return a

    def ask(self, account, numbers, known=(), scope="full"):
        answer = self.guard.sync(
            SyncRequest(account=account, numbers=np.asarray(numbers, dtype=np.uint64), scope=scope)
        )
        known = set(known)
        for m in answer.matches:
            if m.account not in self.mine and m.account not in known:
                self.learned[account].add(m.account)
        return answer

    def numbers(self, persons):
        return self.world.numbers[persons]

    # ---- strategies: each returns learned per account ------------------------------------
    def run(self, name, accounts=4):
        self.learned.clear()
        state, made = self.guard.dump(), 0
        for i in range(accounts):
            self.guard.load(state)
            made += getattr(self, name)(i)
        self.guard.load(state)
        return sum(map(len, self.learned.values())) / made

    def daily(self, a, first, later, known=(), scope="full"):
        at_day(self.clock, self.t0)
        self.ask(a, first, known, scope)
        for day in range(1, 30, 7):
            at_day(self.clock, self.t0 + day)
            self.ask(
                a, np.concatenate([first, later[(day - 1) * 60 : (day + 6) * 60]]), known, scope
            )

    def searched(self, trials, seed=11):
        """The best of a random search over what an attacker may choose, each with a fresh account."""
        rng = np.random.default_rng(seed)
        state, best = self.guard.dump(), (-1, "")
        for _ in range(trials):
            self.guard.load(state)
            self.learned.clear()
            plan = {
                "own": float(rng.choice([0, 0.1, 0.3, 0.5, 0.8, 0.95])), "region": bool(rng.integers(2)),
                "first": int(rng.choice([10, 24, 60, 150, 500, 3000])), "daily": int(rng.choice([0, 3, 15, 40, 150])),
                "recycled": bool(rng.random() < 0.3), "wait": int(rng.choice([0, 0, 31])), "again": bool(rng.integers(2)),
                "scope": str(rng.choice(["full", "changes"])),
            }  # fmt: skip
            self._follow(plan)
            best = max(best, (sum(map(len, self.learned.values())), str(plan)))
        self.guard.load(state)
        return best

    def _follow(self, plan):
        persons = np.flatnonzero(~self.world.registered)
        number = (
            int(self.world.numbers[int(self.rng.choice(persons))]) if plan["recycled"] else None
        )
        a = self.account(self.t0 - plan["wait"], number=number)
        users = np.flatnonzero(self.world.registered & ~self.world.is_odd)
        me = int(next(u for u in self.rng.permutation(users) if len(self.world.books[u]) > 150))
        r = self.world.region[me] if number is None else (number // 1_000_000) % 1000 - 500
        own = self.world.books[me] if plan["own"] else np.zeros(0, dtype=int)
        foreign = self.leak[~np.isin(self.leak, own)]
        if plan["region"]:
            foreign = foreign[self.world.region[foreign] == r]
        foreign = self.numbers(self.rng.permutation(foreign))
        mine = self.numbers(self.rng.permutation(own))[: int(plan["first"] * plan["own"])]
        at, known = plan["first"] - len(mine), [*own.tolist(), me]
        sent = np.concatenate([mine, foreign[:at]])
        for day in (0, *range(1, 30)):
            at_day(self.clock, self.t0 - (plan["wait"] if day == 0 else 0) + day)
            self.ask(a, sent, known, plan["scope"])
            new = foreign[at : at + plan["daily"]]
            at += plan["daily"]
            sent = np.concatenate([sent, new]) if plan["again"] else new
        if number is not None:
            self.directory.remove(a)

    t0 = 62.0

    def random_numbers(self, i):
        a = self.account(self.t0)
        pool = self.rng.permutation(np.concatenate([self.world.unused, self.world.numbers]))
        self.daily(a, pool[:9000], pool[9000:])
        return 1

    def leak_list(self, i):
        a = self.account(self.t0)
        pool = self.numbers(self.rng.permutation(self.leak))
        self.daily(a, pool[:9000], pool[9000:])
        return 1

    def leak_small(self, i):
        a = self.account(self.t0)
        pool = self.numbers(self.rng.permutation(self.leak))
        self.daily(a, pool[:70], pool[70:])
        return 1

    def tiny_books(self, i):
        a = self.account(self.t0)
        pool = self.numbers(self.rng.permutation(self.leak))
        for k in range(30):
            at_day(self.clock, self.t0 + k)
            self.ask(a, pool[24 * k : 24 * k + 24])
        return 1

    def one_region(self, i):
        a = self.account(self.t0)
        here = self.leak[self.world.region[self.leak] == i % 20]
        pool = self.numbers(self.rng.permutation(here))
        self.daily(a, pool[:9000], pool[9000:])
        return 1

    def region_part(self, i, size=300):
        a = self.account(self.t0)
        here = self.leak[self.world.region[self.leak] == i % 20]
        pool = self.numbers(self.rng.permutation(here))
        self.daily(a, pool[:size], pool[size:])
        return 1

    def blend(self, share, region, first=None, aged=False):
        a = self.account(self.t0, aged=aged)
        users = np.flatnonzero(self.world.registered & ~self.world.is_odd)
        big = [u for u in self.rng.choice(users, 30) if len(self.world.books[u]) > 150]
        me = int(big[0])
        own = self.world.books[me]
        foreign = self.leak[~np.isin(self.leak, own)]
        if region:
            foreign = foreign[self.world.region[foreign] == self.world.region[me]]
        foreign = self.numbers(self.rng.permutation(foreign))
        n = int(len(own) * (1 - share) / share)
        self.daily(
            a, np.concatenate([self.numbers(own), foreign[:n]]), foreign[n:], [*own.tolist(), me]
        )
        return 1

    def blender_30(self, i):
        return self.blend(0.3, False)

    def blender_50(self, i):
        return self.blend(0.5, False)

    def blender_70(self, i):
        return self.blend(0.7, False)

    def blender_90(self, i):
        return self.blend(0.9, False)

    def blender_30_region(self, i):
        return self.blend(0.3, True)

    def blender_50_region(self, i):
        return self.blend(0.5, True)

    def blender_70_region(self, i):
        return self.blend(0.7, True)

    def blender_90_region(self, i):
        return self.blend(0.9, True)

    def blender_50_aged(self, i):
        return self.blend(0.5, True, aged=True)

    def sybil_mutuals(self, i, fleet=12, aged=True):
        team = [self.account(self.t0, aged=aged) for _ in range(fleet)]
        theirs = np.array([self.directory.number_of(a) for a in team], dtype=np.uint64)
        at_day(self.clock, self.t0)
        for a in team:
            self.ask(a, theirs)
        pool = self.numbers(self.rng.permutation(self.leak))
        for k, a in enumerate(team):
            part = pool[k * 700 : (k + 1) * 700]
            self.daily(a, np.concatenate([theirs, part[:160]]), part[160:])
        return fleet

    def changes_only(self, i):
        a = self.account(self.t0)
        pool = self.numbers(self.rng.permutation(self.leak))
        self.daily(a, pool[:9000], pool[9000:], scope="changes")
        return 1

    def recycled(self, i, tiny=False, wait=0):
        # The number of somebody who is no user, who is in other people's books.
        persons = np.flatnonzero(~self.world.registered)
        owner = int(self.rng.choice(persons))
        number = int(self.world.numbers[owner])
        a = self.account(self.t0, number=number)
        r = (number // 1_000_000) % 1000 - 500
        here = self.leak[self.world.region[self.leak] == r] if tiny else self.leak
        pool = self.numbers(self.rng.permutation(here if len(here) else self.leak))
        size = 70 if tiny else 9000
        if wait:
            at_day(self.clock, self.t0 - wait)
            self.ask(a, pool[-30:])
            at_day(self.clock, self.t0)
        self.daily(a, pool[:size], pool[size:])
        self.directory.remove(a)
        return 1

    def recycled_tiny(self, i):
        return self.recycled(i, tiny=True)

    def recycled_aged(self, i):
        return self.recycled(i, tiny=True, wait=31)

    def taken_over(self, i, region=True, size=600):
        users = np.flatnonzero(self.world.registered & ~self.world.is_odd)
        me = int(
            self.rng.choice(
                [
                    u
                    for u in self.rng.choice(users, 30)
                    if len(self.world.books[u]) > 150 and u in self.directory.number_by_account
                ]
            )
        )
        own = self.world.books[me]
        foreign = self.leak[~np.isin(self.leak, own)]
        if region:
            foreign = foreign[self.world.region[foreign] == self.world.region[me]]
        foreign = self.numbers(self.rng.permutation(foreign))
        self.daily(
            me,
            np.concatenate([self.numbers(own), foreign[:size]]),
            foreign[size:],
            [*own.tolist(), me],
        )
        return 1

    def taken_over_leak(self, i):
        return self.taken_over(i, region=False, size=5000)

    def taken_over_slow(self, i):
        return self.taken_over(i, size=30)


BOUGHT = [
    "random_numbers",
    "leak_list",
    "leak_small",
    "tiny_books",
    "one_region",
    "region_part",
    "blender_30",
    "blender_50",
    "blender_70",
    "blender_90",
    "blender_30_region",
    "blender_50_region",
    "blender_70_region",
    "blender_90_region",
    "blender_50_aged",
    "sybil_mutuals",
    "changes_only",
    "recycled",
    "recycled_tiny",
    "recycled_aged",
]
TAKEN = ["taken_over", "taken_over_leak", "taken_over_slow"]
