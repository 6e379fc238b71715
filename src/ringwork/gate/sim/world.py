"""A world of people with phones: who is registered under which number, and who may find whom.

Account ids are persons' indices; accounts that are bought later get the ids after them. A world is
branched before something plays in it, so that one attack does not see what another has left.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.gate.sim import numbering
from ringwork.gate.sim.acquaintance import Books, books_of
from ringwork.gate.sim.chance import generator
from ringwork.gate.sim.numbering import BASE, METROPOLIS, REGIONS, Numbering
from ringwork.gate.sim.protocol import Mode, Numbers
from ringwork.kernel.errors import Refused
from ringwork.kernel.ports import Entropy

START_S: Final = 1_764_158_400.0
"""Wall time at which the month begins (where ``ManualClock`` stands)."""
DAY_S: Final = 86_400.0
NUMBERS_PER_USER: Final = 10
USERS_MIN: Final = 1_000
USERS_MAX: Final = 5_000_000

LEFT: Final = 0.08
"""Of the users: who had a number that is dead now, and stands in books still."""
JOINING: Final = 0.03
"""Of the users: who registers during the month."""
RECENT: Final = 0.01
"""Of the users: who registered in the ten days before."""
RECYCLED: Final = 0.2
"""Of who joins: gets the number of somebody who left, and strangers who have it in their books."""

USER, JOINER, GONE = 0, 1, 2


class World(Struct):
    """People, numbers and books. Arrays by account grow when accounts are sold."""

    plan: Numbering
    mode: Mode
    number_of: NDArray[np.int64]
    """Index of each account's number; two persons may have one number, at different times."""
    holder: NDArray[np.int32]
    """Account of each number, -1 where it is not registered."""
    joined_s: NDArray[np.float64]
    findable: NDArray[np.uint8]
    status: NDArray[np.uint8]
    """Of persons: USER, JOINER (in the month to come) or GONE."""
    home: NDArray[np.int64]
    """Region of each person."""
    books: Books | None
    """Of persons; None in a world that is too large for books, with deployed rules alone."""

    @property
    def people(self) -> int:
        return len(self.status)

    @property
    def users(self) -> int:
        """Registered when the month begins."""
        return int(np.count_nonzero(self.status == USER))

    def branch(self) -> World:
        """The same world, to change apart."""
        return World(
            self.plan,
            self.mode,
            self.number_of.copy(),
            self.holder.copy(),
            self.joined_s.copy(),
            self.findable.copy(),
            self.status,
            self.home,
            self.books,
        )

    # ---- ContactDirectory ---------------------------------------------------------------------
    def accounts_of(self, numbers: Numbers) -> NDArray[np.int64]:
        at = np.asarray(numbers, np.uint64).astype(np.int64) - BASE
        is_ours = (at >= 0) & (at < self.plan.size)
        return np.where(is_ours, self.holder[np.where(is_ours, at, 0)], -1).astype(np.int64)

    def number_at(self, account: int) -> int:
        return int(self.number_of[account]) + BASE

    def discoverability(self, accounts: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.findable[accounts]

    def joined_at(self, accounts: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.joined_s[accounts]

    # ---- what happens -------------------------------------------------------------------------
    def register(self, account: int, at_s: float) -> None:
        """A person registers under his number. Who held it before is found under it no more."""
        self.holder[self.number_of[account]] = account
        self.joined_s[account] = at_s

    def move(self, account: int, index: int) -> None:
        """A registered person changes his number."""
        if self.holder[self.number_of[account]] == account:
            self.holder[self.number_of[account]] = -1
        self.number_of[account] = index
        self.holder[index] = account

    def sell(self, index: int, at_s: float, joined_s: float) -> int:
        """A new account under a number; the id is the next one. Holders of old lose it."""
        account = len(self.number_of)
        self.number_of = np.append(self.number_of, index)
        self.joined_s = np.append(self.joined_s, min(joined_s, at_s))
        # An attacker has no reason to hide: he is found as most people are.
        self.findable = np.append(self.findable, np.uint8(2 if self.mode == "everyone" else 1))
        self.holder[index] = account
        return account


class Directory:
    """The world as a guard sees it: the platform's port and nothing else."""

    __slots__ = ("_world",)

    def __init__(self, world: World) -> None:
        self._world = world

    def accounts_of(self, numbers: Numbers) -> NDArray[np.int64]:
        return self._world.accounts_of(numbers)

    def number_of(self, account: int) -> int:
        return self._world.number_at(account)

    def discoverability(self, accounts: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self._world.discoverability(accounts)

    def joined_at(self, accounts: NDArray[np.int64]) -> NDArray[np.float64]:
        return self._world.joined_at(accounts)


def build(entropy: Entropy, *, users: int, mode: Mode, with_books: bool = True) -> World:
    """A world of ``users`` registered people over ten times as many numbers.

    Raises Refused where ``users`` is out of bounds. Without books it has numbers alone, for
    the largest sizes.
    """
    if not USERS_MIN <= users <= USERS_MAX:
        raise Refused(
            "simulation-invalid",
            f"users: expected {USERS_MIN:,} to {USERS_MAX:,}, got {users:,}",
            status=422,
        )
    rng = generator(entropy)
    plan = numbering.plan(rng, users * NUMBERS_PER_USER)
    left, joining = round(users * LEFT), round(users * JOINING)
    people = users + left + joining
    status = np.full(people, USER, np.uint8)
    shuffled = rng.permutation(people)
    status[shuffled[:left]] = GONE
    status[shuffled[left : left + joining]] = JOINER
    home, number_of = _settle(rng, plan, people)
    joined = START_S - rng.gamma(2.0, 400.0, people) * DAY_S - 10 * DAY_S
    recent = shuffled[left + joining :][: round(users * RECENT)]
    joined[recent] = START_S - rng.uniform(0, 10, len(recent)) * DAY_S
    books = None
    if with_books:
        books, number_of = books_of(rng, plan, home, number_of, is_new=status == JOINER)
    _recycle(rng, status, number_of)
    holder = np.full(plan.size, -1, np.int32)
    here = np.flatnonzero(status == USER)
    holder[number_of[here]] = here
    return World(
        plan, mode, number_of, holder, joined, _findable(rng, mode, people), status, home, books
    )


def _settle(
    rng: np.random.Generator, plan: Numbering, people: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A home region and a number for everybody, at the regions' densities."""
    metropolis = METROPOLIS * REGIONS[0] * numbering.ASSIGNED * NUMBERS_PER_USER
    rest = REGIONS[1:] * rng.uniform(0.8, 1.25, len(REGIONS) - 1)
    shares = np.concatenate([[metropolis], rest / rest.sum() * (1 - metropolis)])
    counts = rng.multinomial(people, shares)
    number_of = np.concatenate(
        [
            rng.choice(plan.indices_of(region), count, replace=False)
            for region, count in enumerate(counts)
        ]
    )
    home = np.repeat(np.arange(len(counts)), counts)
    # Who moved away kept his number.
    moved = rng.random(people) < 0.12
    home[moved] = rng.choice(len(counts), int(moved.sum()), p=shares)
    return home, number_of


def _recycle(
    rng: np.random.Generator, status: NDArray[np.uint8], number_of: NDArray[np.int64]
) -> None:
    """Some of who joins gets the dead number of somebody who left."""
    joining, gone = np.flatnonzero(status == JOINER), np.flatnonzero(status == GONE)
    lucky = joining[rng.random(len(joining)) < RECYCLED][: len(gone)]
    number_of[lucky] = number_of[rng.choice(gone, len(lucky), replace=False)]


def _findable(rng: np.random.Generator, mode: Mode, people: int) -> NDArray[np.uint8]:
    """Most people leave the default; in mode mutual one in twenty chose everyone."""
    shares = (0.03, 0.07, 0.90) if mode == "everyone" else (0.03, 0.92, 0.05)
    return rng.choice(3, people, p=shares).astype(np.uint8)
