"""The world is as the specification measured real ones, and people are not too clean."""

import numpy as np
import pytest

from ringwork.gate.sim.numbering import BASE, within
from ringwork.gate.sim.people import ADDED, AGAIN, CHANGES, DAYS, FULL, JOIN, MOVE, month
from ringwork.gate.sim.protocol import NUMBERS_MAX
from ringwork.gate.sim.world import DAY_S, GONE, JOINER, START_S, USER, Directory, build
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Refused
from tests.gate.sim.worlds import small


def test_equal_seeds_give_equal_worlds_and_months_and_others_do_not() -> None:
    one, other, third = (build(SeededEntropy(s), users=1_000, mode="mutual") for s in (5, 5, 6))
    assert np.array_equal(one.books.numbers, other.books.numbers)
    assert np.array_equal(one.holder, other.holder)
    assert not np.array_equal(one.holder, third.holder)
    months = [month(SeededEntropy(9), world, world.books) for world in (one, other)]
    assert np.array_equal(months[0].at_s, months[1].at_s)
    assert np.array_equal(months[0].low, months[1].low)


def test_densities_are_those_of_the_specification() -> None:
    world = build(SeededEntropy(1), users=200_000, mode="everyone", with_books=False)
    is_registered = world.holder >= 0
    assert is_registered.sum() == 200_000
    assert is_registered[within(world.plan.blocks)].mean() == pytest.approx(0.2, rel=0.01)
    assert is_registered[world.plan.indices_of(0)].mean() == pytest.approx(0.384, rel=0.03)


def test_books_have_the_sizes_of_real_ones() -> None:
    world = build(SeededEntropy(1), users=8_000, mode="everyone")
    sizes = np.diff(world.books.offsets)[world.status == USER]
    assert np.median(sizes) == pytest.approx(217, rel=0.1)
    assert np.percentile(sizes, 99) == pytest.approx(2_200, rel=0.2)
    assert np.percentile(sizes, 99.9) == pytest.approx(5_000, rel=0.45)
    assert sizes.max() < NUMBERS_MAX


def test_contacts_know_each_other_far_more_often_than_strangers() -> None:
    world = small()
    people = world.people
    owner = np.repeat(np.arange(people), np.diff(world.books.offsets))
    contact = world.accounts_of(world.books.numbers)
    has = np.zeros((people, people), np.bool_)
    has[owner[contact >= 0], contact[contact >= 0]] = True
    both = has & has.T
    assert 0.5 < both.sum() / has.sum() < 0.9  # most have each other, not all
    among = [
        has[np.ix_(row, row)].mean()
        for person in np.flatnonzero(world.status == USER)[:300]
        if 20 < len(row := np.flatnonzero(has[person])) < 150
    ]
    assert np.mean(among) > 3 * has.mean()


def test_people_are_not_too_clean() -> None:
    world = small()
    books, numbers = world.books, world.books.numbers.astype(np.int64) - BASE
    owner = np.repeat(np.arange(world.people), np.diff(books.offsets))
    assert (numbers == world.number_of[owner]).any()  # their own number
    assert (books.numbers < 1_000).any()  # short codes
    assert len(np.unique(owner * 10**14 + books.numbers.astype(np.int64))) < len(owner)  # twice
    dead = np.isin(numbers, world.number_of[world.status == GONE])
    assert 0.01 < dead.mean() < 0.2
    # Firms with consecutive numbers.
    taken = np.sort(world.number_of[world.status == USER])
    assert (np.diff(taken) == 1).mean() > 0.2
    # Shops are in a hundred times as many books as most people.
    _, counts = np.unique(numbers, return_counts=True)
    assert counts.max() > 15 * np.median(counts)
    # Some who join get the number of somebody who left.
    joining = world.number_of[world.status == JOINER]
    assert np.isin(joining, world.number_of[world.status == GONE]).any()
    # Some joiners are in nobody's book.
    assert (~np.isin(joining, numbers)).any()


def test_a_month_has_everything_that_friction_comes_from_and_each_event_sends_what_is_there() -> (
    None
):
    world = small()
    books = world.books
    found = month(SeededEntropy(2), world, books)
    counts = np.bincount(found.kind, minlength=6)
    assert (counts[[FULL, CHANGES, ADDED, AGAIN, JOIN, MOVE]] > 0).all()
    assert (np.diff(found.at_s) >= 0).all()
    assert found.at_s[0] >= 0
    assert found.at_s[-1] < DAYS * DAY_S + 60
    assert (found.low <= found.high).all()
    assert (found.low >= books.offsets[found.person]).all()
    assert (found.high <= books.offsets[found.person + 1]).all()
    assert (world.status[found.person] != GONE).all()
    bulk = (found.high - found.low)[found.kind == ADDED]
    assert bulk.min() >= 1
    assert bulk.max() > 100


def test_what_was_added_is_sent_once_and_later_books_hold_it() -> None:
    world = small()
    found = month(SeededEntropy(2), world, world.books)
    for person in np.flatnonzero(world.status == USER)[:200]:
        mine = found.person == person
        high = np.maximum.accumulate(found.high[mine])
        assert np.array_equal(high, found.high[mine])
        added = mine & (found.kind == ADDED)
        parts = sorted(set(zip(found.low[added], found.high[added], strict=True)))
        start = world.books.offsets[person] + found.initial[person]
        for low, end in parts:
            assert low == start
            start = end
        assert start == world.books.offsets[person + 1]


def test_the_directory_answers_in_seconds_of_the_wall_clock_and_knows_strangers_not() -> None:
    world = small().branch()
    directory = Directory(world)
    user = int(np.flatnonzero(world.status == USER)[0])
    number = directory.number_of(user)
    asked = np.array([number, 0, 112, BASE - 1, BASE + world.plan.size, 2**63], np.uint64)
    assert directory.accounts_of(asked).tolist() == [user, -1, -1, -1, -1, -1]
    assert directory.joined_at(np.array([user]))[0] < START_S
    free = int(np.flatnonzero(world.holder < 0)[0])
    world.move(user, free)
    assert directory.accounts_of(asked)[0] == -1
    assert directory.number_of(user) == free + BASE
    assert small().holder[number - BASE] == user  # the branch alone has changed


@pytest.mark.parametrize("users", [0, 999, 5_000_001])
def test_a_world_of_impossible_size_is_refused(users: int) -> None:
    with pytest.raises(Refused, match=r"users: expected 1,000 to 5,000,000"):
        build(SeededEntropy(1), users=users, mode="mutual")
