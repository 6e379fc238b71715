"""Deployed rules against closed forms: what a bucket holds and refills, times the density."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.gate.sim.deployed import Bucket, DailyNumbers, Incremental, NewNumbers
from ringwork.gate.sim.market import intel_of
from ringwork.gate.sim.protocol import SyncRequest, matched
from ringwork.gate.sim.rules import make_of
from ringwork.gate.sim.run import Arena
from ringwork.gate.sim.world import Directory, build
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Refused
from tests.gate.sim.worlds import small

DAY_US = 86_400 * 10**6
NOBODY = np.arange(1, 60_001, dtype=np.uint64)


def asked(count: int, first: int = 0) -> SyncRequest:
    return SyncRequest(account=1, numbers=NOBODY[first : first + count])


# Numbers that one account may ask for in thirty days.
CAPACITY = {"whatsapp-2020": 30 * 60_000, "ndss-2021": 20_000 + 60_000, "signal-2026": 54_320}


@pytest.mark.parametrize("rules", CAPACITY)
@pytest.mark.parametrize(("attack", "source"), [("random-blocks", "blocks"), ("leak-list", "leak")])
def test_a_static_attacker_learns_capacity_times_density(
    rules: str, attack: str, source: str
) -> None:
    world = build(SeededEntropy(1), users=80_000, mode="everyone", with_books=False)
    arena = Arena(world, make_of(rules), rules, seed=4)
    found = arena.enumerate(attack, accounts=1)
    numbers = getattr(intel_of(SeededEntropy("4 intel"), world), source)
    density = (world.accounts_of(numbers) >= 0).mean()
    expected = min(CAPACITY[rules], len(numbers)) * density
    assert found.is_exhausted == (len(numbers) <= CAPACITY[rules])
    # Who joins in the month adds 3 %; what is left of a bucket at the end takes some.
    assert 0.96 * expected < found.learned < 1.05 * expected + 3 * expected**0.5
    assert found.per_account == found.learned == found.distinct


def test_the_day_of_the_daily_rule_begins_with_the_first_request() -> None:
    clock = ManualClock()
    rule = DailyNumbers(Directory(small()), clock)
    for _ in range(6):
        assert rule.sync(asked(10_000)).status == "ok"
    refused = rule.sync(asked(1))
    assert (refused.status, refused.retry_after_s) == ("wait", 86_400)
    clock.advance_us(DAY_US - 1)
    assert rule.sync(asked(1)).status == "wait"
    clock.advance_us(1)
    assert rule.sync(asked(1)).status == "ok"


def test_incremental_discovery_by_hand() -> None:
    """20,000 drain in ten days: 2,000 a day; the recent set in one; more at once never."""
    clock = ManualClock()
    rule = Incremental(Directory(small()), clock)
    assert rule.sync(asked(20_001)).retry_after_s == float("inf")
    assert rule.sync(asked(20_000)).status == "ok"
    assert rule.sync(asked(2_000)).retry_after_s == pytest.approx(86_400)
    changes = SyncRequest(account=1, numbers=NOBODY[:20_000], scope="changes")
    assert rule.sync(changes).status == "ok"
    clock.advance_us(DAY_US)
    assert rule.sync(asked(2_000)).status == "ok"
    assert rule.sync(asked(1)).status == "wait"
    assert rule.sync(changes).status == "ok"
    rule.forget_account(1)
    assert rule.sync(asked(20_000)).status == "ok"


def test_changes_of_incremental_discovery_are_who_joined_in_ten_days() -> None:
    world, clock = small(), ManualClock()
    everybody = np.flatnonzero(world.status == 0)
    numbers = np.array([world.number_at(int(one)) for one in everybody], np.uint64)
    rule = Incremental(Directory(world), clock)
    reply = rule.sync(SyncRequest(account=1, numbers=numbers, scope="changes"))
    now_s = clock.wall_us() / 1e6
    recent = everybody[world.joined_s[everybody] >= now_s - 10 * 86_400]
    assert sorted(matched(reply).tolist()) == sorted(world.number_at(int(one)) for one in recent)
    assert 0 < len(recent) < len(everybody) / 20


def test_a_token_proves_its_own_list_and_nothing_else() -> None:
    clock = ManualClock()
    rule = NewNumbers(Directory(small()), clock, SeededEntropy(1))
    first = rule.sync(asked(40_000))
    assert first.status == "ok"
    assert len(first.token) == 65
    # 15,000 more would be 55,000: too many, and 40,000 again without the token too.
    assert rule.sync(asked(55_000)).status == "wait"
    again = rule.sync(SyncRequest(account=1, numbers=NOBODY[:50_000], token=first.token))
    assert again.status == "ok"
    wait = rule.sync(SyncRequest(account=1, numbers=NOBODY[:50_006], token=again.token))
    assert wait.retry_after_s == pytest.approx(3_600)  # six an hour
    assert rule.sync(SyncRequest(account=1, numbers=NOBODY[:50_006], token=b"x")).status == "wait"
    other = SyncRequest(account=2, numbers=NOBODY[:50_001], token=again.token)
    assert rule.sync(other).status == "wait"  # somebody else's token proves nothing


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 30)), max_size=60))
def test_a_bucket_never_lets_pass_more_than_capacity_and_what_has_drained(
    steps: list[tuple[int, int]],
) -> None:
    bucket = Bucket(20, 1_000_000)
    now, passed = 0, []
    for wait, amount in steps:
        now += wait
        if bucket.wait_s(1, amount, now) == 0:
            passed.append((now, amount))
    for start, (since, _) in enumerate(passed):
        total = 0
        for at, amount in passed[start:]:
            total += amount
            assert total <= 20 + (at - since) / 50_000 + 1e-6


def test_an_unknown_rule_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Refused, match="signal-2026"):
        make_of("telegram")
