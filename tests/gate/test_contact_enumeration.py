"""What attackers who adapt learn in 30 days, and what honest people lose, in a small world.

2,400 people, of whom half are here, in three regions: harder than a large one, since whoever lives in
a region of eight hundred has an eighth of it in his book.
"""

from __future__ import annotations

import pytest

from tests.gate.contact_month import BOUGHT, TAKEN, Attack, guarded, month
from tests.gate.contact_world import world


@pytest.fixture(scope="module")
def small():
    return world(1, persons=2_400, regions=3)


def attack(small, mode):
    guard, directory, clock, _ = guarded(small, mode)
    return Attack(small, mode, guard, directory, clock)


def test_open_to_everyone_no_bought_account_learns_more_than_60(small):
    made = attack(small, "everyone")
    learned = {name: made.run(name, 1) for name in BOUGHT}
    assert max(learned.values()) <= 60, learned
    best = made.searched(12)
    assert best[0] <= 60, best
    # The attacks work: what is left is the allowance, not a broken attacker.
    assert learned["leak_list"] > 25


def test_open_to_everyone_a_taken_over_account_learns_at_most_250(small):
    made = attack(small, "everyone")
    learned = {name: made.run(name, 1) for name in TAKEN}
    assert max(learned.values()) <= 250, learned


def test_mutual_no_bought_account_learns_more_than_6(small):
    made = attack(small, "mutual")
    learned = {
        name: made.run(name, 1)
        for name in ("leak_list", "region_part", "blender_70_region", "sybil_mutuals")
    }
    assert max(learned.values()) == 0, learned
    # Whoever bought a number that a hundred people have in their books is shown a few of them.
    recycled = [made.run(name, 3) for name in ("recycled", "recycled_tiny", "recycled_aged")]
    assert sum(recycled) / 3 <= 6, recycled


@pytest.mark.parametrize(("mode", "least"), [("everyone", 0.99), ("mutual", 0.95)])
def test_honest_people_find_theirs_without_waiting(small, mode, least):
    lived, *_ = month(small, mode, users_max=400)
    assert sum(lived["refused"].values()) == 0
    assert sum(lived["got"].values()) >= least * sum(lived["wanted"].values())
    assert sum(lived["held"].values()) <= 0.02 * sum(lived["months"].values())
