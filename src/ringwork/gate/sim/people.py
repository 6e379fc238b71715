"""A month of honest syncs: whole books, new contacts, reinstalls, new phones, numbers and people.

A client sends its book twice a month with the token of the last answer, asks once a week who has
registered lately, and sends who was added when somebody was. Beside that: phones that lose the
token, phones whose books are merged (bulk additions), numbers that change, people who register, and
requests sent twice because the network was bad. Spec 6 names these as what friction comes from.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.gate.sim.acquaintance import Books
from ringwork.gate.sim.chance import generator
from ringwork.gate.sim.numbering import within
from ringwork.gate.sim.world import DAY_S, GONE, JOINER, USER, World
from ringwork.kernel.ports import Entropy

DAYS: Final = 30
OCCASIONS: Final = 6
"""At most so many days of a month bring new contacts."""
BULK: Final = 0.035
"""People a month who merge two phones, or save a class, a firm or a wedding at once."""
REINSTALL: Final = 0.04
MIGRATION: Final = 0.02
TOKEN_LOST: Final = 0.5
"""Of reinstalls and new phones: no backup, so the whole book comes as if it were new."""
NUMBER_CHANGE: Final = 0.005
TWICE: Final = 0.03
SORTED: Final = 0.3
"""Clients that send a book in ascending order."""

FULL, CHANGES, ADDED, AGAIN, JOIN, MOVE = range(6)
"""What a person does: sends all with token; asks for changes; sends new ones; sends all without
token; registers; changes his number."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Month(Struct, frozen=True):
    """Events in order of time. ``low``:``high`` is the part of ``books.numbers`` that is sent."""

    at_s: Floats
    person: Ints
    kind: NDArray[np.uint8]
    low: Ints
    high: Ints
    initial: Ints
    """Of each person: how many contacts of his row he had before the month."""
    is_sorted: NDArray[np.bool_]
    spare: Ints
    """Free numbers for those who change theirs, in the order of the events."""


class _Saved(Struct, frozen=True):
    """When new contacts were saved, by person and time."""

    person: Ints
    at_s: Floats
    low: Ints
    high: Ints


def month(entropy: Entropy, world: World, books: Books) -> Month:
    """What everybody in the world does in thirty days."""
    rng = generator(entropy)
    people = world.people
    is_user, is_joiner = world.status == USER, world.status == JOINER
    sizes = np.diff(books.offsets)
    awake_h = np.where(rng.random(people) < 0.08, 3.0, 17.0) + rng.normal(0, 2, people)
    joins = np.where(is_joiner, _at(rng, awake_h, rng.integers(0, DAYS - 1, people)), -1.0)
    saved, initial = _additions(rng, sizes, joins, awake_h, world.status != GONE)
    users, all_active = np.flatnonzero(is_user), np.flatnonzero(world.status != GONE)
    events: list[tuple[Ints, Floats, int]] = []

    def some(kind: int, who: Ints, day_low: float, day_high: float) -> None:
        days = rng.uniform(day_low, day_high, len(who)).astype(np.int64)
        events.append((who, _at(rng, awake_h[who], days), kind))

    some(FULL, users, 0, 10)
    some(FULL, all_active, 22, DAYS)
    for week in range(4):
        some(CHANGES, all_active, 7 * week, 7 * week + 7)
    fresh = users[rng.random(len(users)) < (REINSTALL + MIGRATION)]
    has_lost = rng.random(len(fresh)) < TOKEN_LOST
    some(AGAIN, fresh[has_lost], 0, DAYS - 1)
    some(FULL, fresh[~has_lost], 0, DAYS - 1)
    movers = users[rng.random(len(users)) < NUMBER_CHANGE]
    some(MOVE, movers, 1, DAYS - 1)
    events.append((np.flatnonzero(is_joiner), joins[is_joiner], JOIN))
    events.append((saved.person, saved.at_s, ADDED))
    return _in_order(rng, world, books, events, saved, initial, joins)


def _at(rng: np.random.Generator, awake_h: Floats, day: Ints) -> Floats:
    """Seconds since the month's start: people are awake at different hours."""
    hours = (awake_h + rng.normal(0, 3.5, len(awake_h))) % 24
    return day * DAY_S + hours * 3600


def _additions(
    rng: np.random.Generator,
    sizes: Ints,
    joins: Floats,
    awake_h: Floats,
    is_active: NDArray[np.bool_],
) -> tuple[_Saved, Ints]:
    """Which last part of each book was saved during the month, and when."""
    people = len(sizes)
    count = rng.poisson(1 + 0.02 * sizes)
    is_bulk = rng.random(people) < BULK + MIGRATION
    bulk = np.where(is_bulk, (rng.uniform(0.1, 0.45, people) * sizes).astype(np.int64), 0)
    count = np.where(is_active, np.minimum(count, sizes // 2), 0)
    bulk = np.where(is_active, np.minimum(bulk, sizes // 2), 0)
    initial = sizes - count - bulk
    occasions = np.minimum(count, rng.integers(1, OCCASIONS + 1, people))
    person = np.repeat(np.arange(people), occasions + (bulk > 0))
    first = np.concatenate([[0], np.cumsum(np.bincount(person, minlength=people))])[:-1]
    place = np.arange(len(person)) - first[person]
    is_merge = place >= occasions[person]
    at = _at(rng, awake_h[person], rng.integers(0, DAYS, len(person)))
    order = np.lexsort((at, person))
    # The merge may be any of a person's occasions: times are sorted, it keeps its own.
    at, is_merge = at[order], is_merge[order]
    each = np.maximum(occasions[person], 1)
    rank = np.cumsum(~is_merge) - 1
    rank -= np.concatenate([[0], np.cumsum(np.bincount(person[~is_merge], minlength=people))])[
        person
    ]
    part = (rank + 1) * count[person] // each - rank * count[person] // each
    part = np.where(is_merge, bulk[person], part)
    ends = np.cumsum(part)
    before = np.concatenate([[0], np.cumsum(count + bulk)])[person]
    high = initial[person] + ends - before
    kept = (part > 0) & (at > joins[person])
    return _Saved(person[kept], at[kept], (high - part)[kept], high[kept]), initial


def _in_order(
    rng: np.random.Generator,
    world: World,
    books: Books,
    events: list[tuple[Ints, Floats, int]],
    saved: _Saved,
    initial: Ints,
    joins: Floats,
) -> Month:
    person = np.concatenate([who for who, _, _ in events])
    at = np.concatenate([when for _, when, _ in events])
    kind = np.concatenate([np.full(len(who), what, np.uint8) for who, _, what in events])
    kept = (at >= joins[person]) & (at < DAYS * DAY_S)
    person, at, kind = person[kept], at[kept], kind[kept]
    twice = (rng.random(len(at)) < TWICE) & (kind != JOIN) & (kind != MOVE)
    person = np.concatenate([person, person[twice]])
    at = np.concatenate([at, at[twice] + rng.uniform(2, 20, int(twice.sum()))])
    kind = np.concatenate([kind, kind[twice]])
    order = np.lexsort((person, at))
    person, at, kind = person[order], at[order], kind[order]
    # What had been saved by then: the last occasion of this person not after this event.
    key = saved.person * (2.0 * DAYS * DAY_S) + saved.at_s
    last = np.searchsorted(key, person * (2.0 * DAYS * DAY_S) + at, side="right") - 1
    has = (last >= 0) & (saved.person[last] == person)
    high = np.where(has, saved.high[last], initial[person])
    low = np.where((kind == ADDED) & has, saved.low[last], 0)
    offset = books.offsets[person]
    taken = np.zeros(world.plan.size, np.bool_)
    taken[world.number_of] = True
    free = within(world.plan.blocks)
    free = free[~taken[free]]
    spare = rng.choice(free, int(np.count_nonzero(kind == MOVE)), replace=False)
    is_sorted = rng.random(world.people) < SORTED
    return Month(at, person, kind, offset + low, offset + high, initial, is_sorted, spare)
