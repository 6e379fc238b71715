"""A small world to judge the contact guard by: people, their books, what happens to them in a month.

Its own generator: nothing of it is known to the guard, and nothing of the shipped simulator is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

DAY_S = 86_400.0
START_S = 1_764_158_400.0


@dataclass
class World:
    """``numbers[i]`` is person i's; account = person where registered (-1: not)."""

    rng: np.random.Generator
    numbers: np.ndarray
    registered: np.ndarray
    region: np.ndarray
    groups: list[np.ndarray]
    books: list[np.ndarray]  # of persons
    unused: np.ndarray
    joined_s: np.ndarray
    is_odd: np.ndarray


def world(
    seed=1, *, persons=40_000, registered=0.5, regions=20, odd=0.03, reciprocity=0.7
) -> World:
    rng = np.random.default_rng(seed)
    region = rng.integers(0, regions, persons)
    numbers, unused = _numbered(rng, region, regions)
    # Three groups each: two at home, one anywhere.
    groups, member = [], [[] for _ in range(persons)]
    scattered = np.array_split(rng.permutation(persons), regions)
    for round_ in range(3):
        for r in range(regions):
            pool = rng.permutation(np.flatnonzero(region == r)) if round_ < 2 else scattered[r]
            at = 0
            while at < len(pool):
                size = int(np.clip(rng.lognormal(np.log(90), 0.5), 15, 400))
                groups.append(pool[at : at + size])
                for person in pool[at : at + size]:
                    member[person].append(len(groups) - 1)
                at += size
    wanted = np.clip(rng.lognormal(np.log(217), 0.995, persons), 5, 6000)
    popularity = rng.pareto(1.2, persons) + 1
    popularity = np.cumsum(popularity / popularity.sum())
    homes = [np.flatnonzero(region == r) for r in range(regions)]
    is_odd = rng.random(persons) < odd
    a_all, b_all = [], []
    for person in range(persons):
        count = wanted[person] / 2 / (0.5 + reciprocity / 2)  # the other half comes from others
        shares = (0.0, 0.9, 0.1) if is_odd[person] else (0.65, 0.25, 0.1)
        near = rng.poisson(count * shares[0])
        if near:
            which = rng.integers(0, 3, near)
            for k in range(3):
                group = groups[member[person][k]]
                take = min(int((which == k).sum()), len(group) - 1)
                if take:
                    b_all.append(rng.choice(group, take, replace=False))
                    a_all.append(np.full(take, person))
        for pick, share in ((homes[region[person]], shares[1]), (None, shares[2])):
            take = rng.poisson(count * share)
            if pick is None:
                at = np.minimum(np.searchsorted(popularity, rng.random(take)), persons - 1)
                b_all.append(at)
            else:
                b_all.append(rng.choice(pick, take))
            a_all.append(np.full(take, person))
    a, b = np.concatenate(a_all), np.concatenate(b_all)
    fine = a != b
    a, b = a[fine], b[fine]
    both = rng.random(len(a)) < reciprocity
    first = rng.random(len(a)) < 0.5
    src = np.concatenate([a[both | first], b[both | ~first]])
    dst = np.concatenate([b[both | first], a[both | ~first]])
    pair = np.unique(src.astype(np.int64) * persons + dst)
    src, dst = pair // persons, pair % persons
    starts = np.searchsorted(src, np.arange(persons + 1))
    books = [dst[starts[i] : starts[i + 1]] for i in range(persons)]
    joined = START_S - rng.uniform(40, 2000, persons) * DAY_S
    return World(
        rng,
        numbers,
        rng.random(persons) < registered,
        region,
        groups,
        books,
        unused,
        joined,
        is_odd,
    )


def _numbered(rng, region, regions):
    """Everybody's number, and nine times as many that nobody has."""
    # Blocks of 10,000 numbers, three per region, of which a part is in use.
    numbers = np.zeros(len(region), dtype=np.uint64)
    unused = []
    for r in range(regions):
        mine = np.flatnonzero(region == r)
        pool = rng.permutation(30_000)[: 10 * len(mine)]
        base = 491_500_000_000 + r * 1_000_000
        numbers[mine] = base + pool[: len(mine)].astype(np.uint64)
        unused.append(base + pool[len(mine) :].astype(np.uint64))
    return numbers, np.concatenate(unused)


@dataclass
class Directory:
    """Who is here, of people and of attackers' accounts, which come and go."""

    world: World
    level: int = 2
    account_by_number: dict = field(default_factory=dict)
    number_by_account: dict = field(default_factory=dict)
    joined: dict = field(default_factory=dict)

    def __post_init__(self):
        for person in np.flatnonzero(self.world.registered).tolist():
            self.register(person, int(self.world.numbers[person]), self.world.joined_s[person])

    def register(self, account, number, joined_s):
        self.account_by_number[number] = account
        self.number_by_account[account] = number
        self.joined[account] = float(joined_s)

    def remove(self, account):
        self.account_by_number.pop(self.number_by_account.pop(account))

    def accounts_of(self, numbers):
        get = self.account_by_number.get
        return np.array([get(n, -1) for n in numbers.tolist()], dtype=np.int64)

    def number_of(self, account):
        return self.number_by_account.get(account, -1)

    def discoverability(self, accounts):
        return np.full(len(accounts), self.level, dtype=np.uint8)

    def joined_at(self, accounts):
        return np.array([self.joined[a] for a in accounts.tolist()])
