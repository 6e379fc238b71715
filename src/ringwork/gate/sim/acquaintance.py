"""Who knows whom, who has whose number, and what else stands in an address book.

People live somewhere; families, schools, clubs and firms are groups of people who live near each
other, the nearer the smaller the group. An acquaintance is drawn in one of somebody's groups, in
proportion to how many people the other knows; most, not all, have each other's number. Beside
people on the platform, books hold neighbours who are not, numbers that are dead, landlines and
foreign ones, shops that half a town has, one's own number, short codes, and numbers twice.
Sizes: spec 2.2 (median 217, p99 2.2 k, p99.9 5 k); shares of live numbers: spec 3.11.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.gate.sim import numbering
from ringwork.gate.sim.chance import lognormal
from ringwork.gate.sim.numbering import BASE, BLOCK, Numbering
from ringwork.gate.sim.protocol import Numbers

MEDIAN: Final = 217.0
SIGMA: Final = 1.0
"""ln(2,200 / 217) / 2.326 = 0.996; ln(5,000 / 217) / 3.090 = 1.015."""
BOOK_MAX: Final = 9_500
"""Of people. Businesses have more, and their clients cut them."""
MUTUAL: Final = 0.62
"""Of acquaintances that one has in his book: the other has him too (seen from the one who drew)."""
ODD: Final = 0.03
"""Books of another kind: few live numbers, from anywhere."""
BUSINESS: Final = 0.003
"""Books of customer systems: 3,000 to 9,500 numbers, from anywhere."""
SHOPS: Final = 0.005
"""Of the users: shops, taxis, doctors, that many have and that have few."""

# Group: (median size, how far around members live, share of one's acquaintances)
GROUPS: Final = (
    (14, 0.0004, 0.12),  # family
    (80, 0.004, 0.25),  # school
    (35, 0.05, 0.20),  # work
    (150, 0.01, 0.20),  # club, street
)
FIRMS: Final = 0.06
"""Of workplaces: the firm rented its phones, with consecutive numbers."""
NEAR: Final = 0.6
"""Of acquaintances outside groups: of the same region."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Books(Struct, frozen=True):
    """Address books, CSR over persons. A row is in the order in which contacts were saved."""

    offsets: Ints
    numbers: Numbers
    odd: NDArray[np.bool_]
    """Persons with books of another kind, businesses too."""
    shops: Ints

    def row(self, person: int) -> Numbers:
        return self.numbers[self.offsets[person] : self.offsets[person + 1]]


class _Circle(Struct, frozen=True):
    """Groups of one kind: members lie side by side in ``order``."""

    order: Ints
    start: Ints
    end: Ints
    """Of each person's group, in ``order``."""
    weight: Floats
    """Cumulative in ``order``, with a 0 in front."""


def books_of(
    rng: np.random.Generator,
    plan: Numbering,
    home: Ints,
    number_of: Ints,
    *,
    is_new: NDArray[np.bool_],
) -> tuple[Books, Ints]:
    """Books of all persons, and their numbers, some of which firms have changed.

    ``is_new``: one in seven of them has a number that nobody has yet.
    """
    people = len(home)
    place = home + 0.98 * rng.beta(2, 2, people)
    size = np.clip(lognormal(rng, MEDIAN, SIGMA, people), 3, BOOK_MAX)
    live = rng.beta(6, 4, people)
    odd = rng.random(people) < ODD
    live[odd] = rng.beta(2, 8, int(odd.sum()))
    business = rng.random(people) < BUSINESS
    size[business] = rng.uniform(3_000, BOOK_MAX, int(business.sum()))
    odd |= business
    # A fifth of what is drawn is drawn twice, in the smaller groups mostly.
    known = np.minimum(1.22 * size * live, people / 8)
    circles = [_circle(rng, place, known, median, spread) for median, spread, _ in GROUPS]
    number_of = _rent(rng, plan, circles[2], home, number_of)
    shops = rng.choice(people, max(1, round(people * SHOPS)), replace=False)
    pairs = _acquaintances(rng, circles, home, known, odd)
    unknown = is_new & (rng.random(people) < 1 / 7)
    owner, contact = pairs
    kept = ~unknown[contact]
    owner, contact = owner[kept], contact[kept]
    filler = (size * (1 - live)).astype(np.int64)
    by, other = _other_numbers(rng, plan, place, number_of, filler, shops)
    dirt_by, dirt = _dirt(rng, number_of)
    owners = np.concatenate([owner, by, dirt_by])
    numbers = np.concatenate([number_of[contact] + BASE, other, dirt])
    # A random order within each row: when somebody was saved says little about who he is.
    order = np.argsort(owners + rng.random(len(owners)), kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=people))])
    return Books(offsets, numbers[order].astype(np.uint64), odd, shops), number_of


def _circle(
    rng: np.random.Generator, place: Floats, known: Floats, median: float, spread: float
) -> _Circle:
    people = len(place)
    order = np.argsort(place + spread * rng.standard_normal(people))
    sizes = np.maximum(lognormal(rng, median, 0.6, people // 2 + 2), 3).astype(np.int64)
    cuts = np.cumsum(sizes)
    starts = np.concatenate([[0], cuts[cuts < people]])
    ends = np.append(starts[1:], people)
    lengths = ends - starts
    start, end = np.empty(people, np.int64), np.empty(people, np.int64)
    start[order] = np.repeat(starts, lengths)
    end[order] = np.repeat(ends, lengths)
    return _Circle(order, start, end, np.concatenate([[0.0], np.cumsum(known[order])]))


def _rent(
    rng: np.random.Generator, plan: Numbering, work: _Circle, home: Ints, number_of: Ints
) -> Ints:
    """Consecutive numbers for the people of some firms, where a block has room."""
    number_of = number_of.copy()
    taken = np.zeros(plan.size, np.bool_)
    taken[number_of] = True
    starts = np.flatnonzero(np.bincount(work.start))
    for start in rng.permutation(starts)[: round(len(starts) * FIRMS)]:
        staff = work.order[start : work.end[work.order[start]]]
        run = _run(rng, plan, taken, int(home[staff[0]]), len(staff))
        if run is not None:
            taken[number_of[staff]] = False
            number_of[staff] = run
            taken[run] = True
    return number_of


def _run(
    rng: np.random.Generator, plan: Numbering, taken: NDArray[np.bool_], region: int, length: int
) -> Ints | None:
    """The free numbers of a stretch of a block that is theirs: gaps are somebody else's."""
    blocks = plan.blocks_of(region)
    first = int(rng.choice(blocks)) * BLOCK
    free = first + np.flatnonzero(~taken[first : first + BLOCK])
    return free[:length] if len(free) >= length else None


def _acquaintances(
    rng: np.random.Generator,
    circles: list[_Circle],
    home: Ints,
    known: Floats,
    odd: NDArray[np.bool_],
) -> tuple[Ints, Ints]:
    """(owner, contact) of all books, each once."""
    people = len(home)
    mine = known / (1 + MUTUAL)
    owners, contacts = [], []
    left = mine.copy()
    for circle, (_, _, share) in zip(circles, GROUPS, strict=True):
        wanted = np.where(odd, 0.05, share) * mine
        # Nobody knows more of a family than there are: half, or he would draw the same ones.
        drawn = rng.poisson(np.minimum(wanted, 0.5 * (circle.end - circle.start)))
        left -= drawn
        owner = np.repeat(np.arange(people), drawn)
        owners.append(owner)
        contacts.append(_members(rng, circle, owner))
    everywhere = _everywhere(home, known)
    for circle, share in zip(everywhere, (NEAR, 1 - NEAR), strict=True):
        near = np.where(odd, 0.1 if share == NEAR else 0.9, share)
        owner = np.repeat(np.arange(people), rng.poisson(near * np.maximum(left, 0)))
        owners.append(owner)
        contacts.append(_members(rng, circle, owner))
    owner, contact = np.concatenate(owners), np.concatenate(contacts)
    back = rng.random(len(owner)) < np.where(odd[owner], 0.1, MUTUAL)
    pairs = np.concatenate([owner * people + contact, contact[back] * people + owner[back]])
    pairs.sort()  # by hand: NumPy's unique of integers hashes, and takes six times as long
    owner, contact = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], people)
    return owner[owner != contact], contact[owner != contact]


def _everywhere(home: Ints, known: Floats) -> tuple[_Circle, _Circle]:
    """The region, and the country, as groups."""
    people = len(home)
    order = np.argsort(home, kind="stable")
    ends = np.cumsum(np.bincount(home))
    starts = ends - np.bincount(home)
    weight = np.concatenate([[0.0], np.cumsum(known[order])])
    all_of_them = np.zeros(people, np.int64)
    return (
        _Circle(order, starts[home], ends[home], weight),
        _Circle(order, all_of_them, all_of_them + people, weight),
    )


def _members(rng: np.random.Generator, circle: _Circle, owner: Ints) -> Ints:
    """A member of each owner's group, in proportion to how many people he knows."""
    low, high = circle.weight[circle.start[owner]], circle.weight[circle.end[owner]]
    at = np.searchsorted(circle.weight, low + rng.random(len(owner)) * (high - low), side="right")
    return circle.order[np.clip(at - 1, circle.start[owner], circle.end[owner] - 1)]


def _other_numbers(
    rng: np.random.Generator,
    plan: Numbering,
    place: Floats,
    number_of: Ints,
    count: Ints,
    shops: Ints,
) -> tuple[Ints, Ints]:
    """Neighbours off the platform and dead numbers, landlines, foreign ones, and shops."""
    owner = np.repeat(np.arange(len(place)), count)
    kind = rng.choice(3, len(owner), p=(0.70, 0.23, 0.07))
    # People off the platform live somewhere too: who is near has the same ones in his book.
    taken = np.zeros(plan.size, np.bool_)
    taken[number_of] = True
    free = numbering.within(plan.blocks)
    free = free[~taken[free]]
    neighbours = rng.permutation(free)
    where = place[owner] / (place.max() + 1) * len(neighbours)
    spread = 400.0 * np.abs(rng.standard_cauchy(len(owner)))
    near = neighbours[(where + spread).astype(np.int64) % len(neighbours)] + BASE
    # One in five is abroad, the rest are landlines of the town.
    town = (place[owner] * 1_000).astype(np.int64)
    land = 49_300_000_000 + town * 10_000 + rng.integers(0, 10_000, len(owner))
    abroad = 33_600_000_000 + rng.integers(0, 99_999_999, len(owner))
    fixed = np.where(rng.random(len(owner)) < 0.2, abroad, land)
    # Half a town has the same taxi: a few shops are in very many books (Zipf).
    by_place = shops[np.argsort(place[shops])]
    local = np.searchsorted(place[by_place], place[owner])
    shift = np.minimum(rng.zipf(1.6, len(owner)), len(by_place)) - 1
    shop = number_of[by_place[(local + shift) % len(by_place)]] + BASE
    return owner, np.choose(kind, (near, fixed, shop))


def _dirt(rng: np.random.Generator, number_of: Ints) -> tuple[Ints, Ints]:
    """One's own number, short codes, and nonsense."""
    people = np.arange(len(number_of))
    own = people[rng.random(len(people)) < 0.3]
    short = people[rng.random(len(people)) < 0.4]
    codes = rng.choice(np.array([110, 112, 115, 22_922, 11_833]), len(short))
    nonsense = people[rng.random(len(people)) < 0.05]
    digits = rng.integers(0, 10**6, len(nonsense))
    return (
        np.concatenate([own, short, nonsense]),
        np.concatenate([number_of[own] + BASE, codes, digits]),
    )
