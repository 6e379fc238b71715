"""Limits that machines share: leases over a real store, with machines that crash and stores that fall."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ringwork.gate.facts import Facts, Usage
from ringwork.gate.gate import Gate
from ringwork.gate.limits import Gcra, MultiLimiter, SharedLimiter
from ringwork.gate.limits.leases import SharedTable
from ringwork.gate.policy.load import parse_policy
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.counters import Answered, Charge
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import StoreDown
from ringwork.storage.valkey import ValkeyCounters
from tests.gate.conftest import Store, server_in

EPOCH_US = 1_795_858_000_000_000
ANN = Facts.of(ip="192.0.2.1", account="ann", app="shop")


def gate_of(
    rules: str,
    counters: ValkeyCounters | Lossy,
    clock: ManualClock,
    machines: int = 1,
    more: str = "",
) -> Gate:
    policy = parse_policy(f"{more}\nrules:\n{rules}".encode(), where="gate.yaml")
    return Gate(
        policy, clock=clock, entropy=SeededEntropy("gate"), store=counters, machines=machines
    )


class Lossy:
    """A store of which some answers are lost on the way, after they were charged."""

    def __init__(self, counters: ValkeyCounters) -> None:
        self.counters = counters
        self.lose = False

    @property
    def incarnation(self) -> int:
        return self.counters.incarnation

    @property
    def retry_after_s(self) -> float:
        return self.counters.retry_after_s

    async def take(self, charges: Sequence[Charge]) -> Answered:
        answered = await self.counters.take(charges)
        if self.lose:
            raise StoreDown("lost on the way")
        return answered


class Times:
    """The clocks of all machines and of the store, together."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock()
        store.set_us(EPOCH_US)

    def advance_us(self, step_us: int) -> None:
        self.clock.advance_us(step_us)
        self.store.set_us(EPOCH_US + self.clock.monotonic_ns() // 1000)


# ---- leases --------------------------------------------------------------------------------------

APP = "  - {name: app, key: [app], limit: {kind: gcra, limit: 1000, period_s: 10, burst: 600}, fail: closed}\n"
MACHINES = 3
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, MACHINES - 1), st.integers(1, 40)),
        st.tuples(st.just("ask"), st.integers(0, MACHINES - 1), st.sampled_from([200, 400])),
        st.tuples(
            st.just("wait"),
            st.sampled_from([1_000, 30_000, 60_000, 1_100_000, 6_000_000]),
            st.just(0),
        ),
        st.tuples(st.just("flush"), st.integers(0, MACHINES - 1), st.just(0)),
        st.tuples(st.just("crash"), st.integers(0, MACHINES - 1), st.just(0)),
        st.tuples(st.just("lose"), st.integers(0, MACHINES - 1), st.just(0)),
    ),
    min_size=10,
    max_size=60,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(EVENTS)
@example(  # the worst: hands are full, the counter too, and then everybody comes
    [("ask", n, 30) for n in range(MACHINES)]
    + [("wait", 6_000_000, 0)]
    + [("ask", n, 300) for n in range(MACHINES)]
)
@example(  # what is given back is gone from the hand
    [("ask", 0, 300)]
    + [("wait", 1_100_000, 0), ("flush", 0, 0), ("ask", 0, 110)] * 12
    + [("ask", 0, 900)]
)
def test_machines_together_admit_the_limit_and_at_most_what_was_in_their_hands(
    store: Store, events: list[tuple[str, int, int]]
) -> None:
    store.client.flushall()
    times = Times(store)
    inner = store.counters_at_set_times(times.clock)

    def machine() -> Gate:
        return gate_of(APP, Lossy(inner), times.clock, MACHINES)

    gates = [machine() for _ in range(MACHINES)]
    lease_max = 600 // (50 * MACHINES)
    assert MACHINES * lease_max <= 0.02 * 600
    admitted: list[tuple[int, int]] = []

    async def check() -> None:
        for what, number, count in events:
            if what == "wait":
                times.advance_us(number)
                continue
            gate = gates[number]
            assert gate.shared is not None
            assert isinstance(gate.shared.store, Lossy)
            if what == "ask":
                passed = 0
                for _ in range(count):
                    passed += (await gate.admit_strict(ANN)).action == "allow"
                admitted.append((times.clock.monotonic_ns(), passed))
            elif what == "flush":
                await gate.shared.flush()
            elif what == "crash":
                gates[number] = machine()
            else:
                gate.shared.store.lose = not gate.shared.store.lose
            for one in gates:
                (table,) = one.shared.tables
                held = table.get(("app", "shop"))
                assert held is None or 0 <= held.units <= lease_max

    store.run(inner, check)
    for first in range(len(admitted)):
        total = 0
        for at, passed in admitted[first:]:
            total += passed
            over = total - 600 - Fraction((at - admitted[first][0]) * 1000, 10**10)
            assert over <= MACHINES * lease_max, (first, at)


def test_a_dead_machine_takes_no_more_than_its_lease_with_it(store: Store) -> None:
    times = Times(store)
    ours = store.counters_at_set_times(times.clock)
    rule = APP.replace("burst: 600", "burst: 1000")

    async def check() -> None:
        dead, lives = (gate_of(rule, ours, times.clock, 2) for _ in range(2))
        passed = 0
        for _ in range(301):
            passed += (await dead.admit_strict(ANN)).action == "allow"
        assert passed == 301
        (table,) = dead.shared.tables
        in_hand = table.held(("app", "shop")).units
        assert table.lease_max == 10
        assert 0 < in_hand <= 10
        del dead  # and what it had is nobody's: a machine that comes back begins with nothing
        back = gate_of(rule, ours, times.clock, 2)
        while (await lives.admit_strict(ANN)).action == "allow":
            passed += 1
        while (await back.admit_strict(ANN)).action == "allow":
            passed += 1
        while (await lives.admit_strict(ANN)).action == "allow":
            passed += 1
        left = lives.shared.tables[0].held(("app", "shop")).units
        assert passed + in_hand + left == 1000
        assert passed >= 990

    store.run(ours, check)


def test_what_was_not_spent_goes_back_and_not_to_a_store_that_forgot(store: Store) -> None:
    times = Times(store)
    ours = store.counters_at_set_times(times.clock)
    rule = APP.replace("period_s: 10, burst: 600", "period_s: 1000000")

    async def check() -> None:
        gate = gate_of(rule, ours, times.clock)
        (table,) = gate.shared.tables
        key = ("app", "shop")

        def taken() -> int:
            return 1000 - table.held(key).left

        await gate.admit_strict(ANN)
        assert (table.held(key).units, taken()) == (1, 2)
        times.advance_us(1_100_000)
        assert await gate.shared.flush() == 1
        assert table.held(key).units == 0
        await gate.admit_strict(ANN)
        assert taken() == 3, "one that was spent, and these two"
        assert table.held(key).units == 1
        # The connection breaks: whether the store still knows of the unit nobody can tell.
        await ours._disconnect()
        await gate.admit_strict(ANN)
        times.advance_us(1_100_000)
        await gate.admit_strict(ANN)
        assert taken() == 5

    store.run(ours, check)


def test_leases_make_most_decisions_without_the_store(store: Store) -> None:
    times = Times(store)
    ours = store.counters_at_set_times(times.clock)
    rule = "  - {name: app, key: [app], limit: {kind: gcra, limit: 100000, period_s: 60}}\n"

    async def check() -> None:
        gate = gate_of(rule, ours, times.clock, 4)
        for number in range(5000):
            times.clock.advance_us(100)  # 10,000 a second
            assert (await gate.admit_strict(ANN)).action == "allow"
            if number % 500 == 499:
                await gate.shared.flush()
        trips = ours.round_trips
        assert trips < 60, "50 ms at a time, after a start with one"
        (table,) = gate.shared.tables
        assert 100 <= table.held(("app", "shop")).units <= table.lease_max == 500
        # Without a wait, from what is in hand:
        assert not gate.admit(ANN).reasons
        assert ours.round_trips == trips

    store.run(ours, check)


def test_a_refusal_is_remembered_for_a_second(store: Store) -> None:
    times = Times(store)
    ours = store.counters_at_set_times(times.clock)

    async def check() -> None:
        gate = gate_of(
            "  - {name: user, key: [account], limit: {kind: gcra, limit: 3, period_s: 60}}\n",
            ours,
            times.clock,
        )
        found = [(await gate.admit_strict(ANN)).action for _ in range(4)]
        assert found == ["allow"] * 3 + ["block"]
        trips = ours.round_trips
        refused = [await gate.admit_strict(ANN) for _ in range(5)]
        assert {one.action for one in refused} == {"block"}
        assert all(20 <= one.retry_after_s <= 22 for one in refused)
        assert ours.round_trips == trips
        times.advance_us(1_000_000)
        await gate.admit_strict(ANN)
        assert ours.round_trips == trips + 1, "others may have given units back"
        times.advance_us(19_000_000)
        assert (await gate.admit_strict(ANN)).action == "allow"

    store.run(ours, check)


def test_the_limiter_alone_decides_over_machines_as_one_in_process(store: Store) -> None:
    times = Times(store)
    ours = store.counters_at_set_times(times.clock)
    limits = [Gcra(limit=4, period_s=60), Gcra(limit=6, period_s=60), Gcra(limit=5000, period_s=60)]

    async def check() -> None:
        machines = [
            SharedLimiter(limits, ours, machines=3, clock=times.clock, is_strict=strict)
            for strict in (True, False, False)
        ]
        here = MultiLimiter(limits, clock=times.clock)
        for number in range(40):
            times.advance_us(1_700_000)
            keys = [f"{number % 2}", "all", "all"]
            taken = await machines[number % 3].take(keys)
            alone = here.take(keys)
            assert (taken.allowed, taken.violated) == (alone.allowed, alone.violated)
            assert taken.retry_after_s == pytest.approx(alone.retry_after_s, abs=2e-6)
            assert taken.remaining[:2] == alone.remaining[:2]
        assert (await machines[0].take(["x", "y", "z"], 9)).violated == ("gcra", "gcra")
        with pytest.raises(ValueError, match="3 keys"):
            await machines[0].take(["x"])

    store.run(ours, check)


# ---- strict --------------------------------------------------------------------------------------

STRICT = (
    "  - {name: user, strict: true, key: [account], limit: {kind: gcra, limit: 4, period_s: 60}}\n"
    "  - {name: score, strict: true, key: [account, app], cost: {read: 1, write: 3}, limit: {kind: score, maximum: 60, window_s: 300, block_s: 300}}\n"
    "  - {name: window, strict: true, key: [ip], limit: {kind: window, limit: 50, window_s: 60}}\n"
    "  - {name: at-once, key: [account], limit: {kind: concurrent, limit: 3, timeout_s: 30}}\n"
)


def test_strict_limits_are_one_round_trip_and_exact_over_machines(store: Store) -> None:
    times = Times(store)
    ours = store.counters_at_set_times(times.clock)
    store.client.script_flush()

    async def check() -> None:
        gates = [gate_of(STRICT, ours, times.clock, 3) for _ in range(3)]
        found = []
        for number in range(6):
            decision = await gates[number % 3].admit_strict(ANN)
            found.append(decision)
            gates[number % 3].settle(decision, Usage())
        assert [one.action for one in found] == ["allow"] * 4 + ["block"] * 2
        assert found[4].reasons[0].rule == "user"
        assert [one.remaining for one in found[3].limits] == [0, 56, 46, 2]
        assert [one.remaining for one in found[5].limits][1:3] == [56, 46], "charged to none"
        assert ours.round_trips == 6 + 1, "one each, and one for the script"

    store.run(ours, check)


def test_what_is_refused_here_is_not_charged_there(store: Store) -> None:
    times = Times(store)
    ours = store.counters_at_set_times(times.clock)
    rules = STRICT.replace("limit: 3, timeout_s", "limit: 1, timeout_s")

    async def check() -> None:
        gate = gate_of(rules, ours, times.clock)
        first = await gate.admit_strict(ANN)
        trips = ours.round_trips
        second = await gate.admit_strict(ANN)
        assert [one.rule for one in second.reasons] == ["at-once"]
        assert ours.round_trips == trips
        gate.settle(first, Usage())
        # Two at once: both look, both ask the store, and the one that comes second gives back.
        both = await asyncio.gather(gate.admit_strict(ANN), gate.admit_strict(ANN))
        assert sorted(one.action for one in both) == ["allow", "block"]
        for one in both:
            gate.settle(one, Usage())
        last = await gate.admit_strict(ANN)
        assert [one.remaining for one in last.limits][:3] == [1, 57, 47], "three of theirs, no more"

    store.run(ours, check)


def test_softer_answers_and_shadows_over_the_store(store: Store) -> None:
    times = Times(store)
    ours = store.counters_at_set_times(times.clock)

    async def check() -> None:
        gate = gate_of(
            "  - {name: slow, strict: true, key: [account], limit: {kind: gcra, limit: 1, period_s: 60}, over: {action: slow}}\n"
            "  - {name: tried, strict: true, shadow: true, key: [account], limit: {kind: gcra, limit: 2, period_s: 60}}\n"
            "  - {name: most, strict: true, key: [account], limit: {kind: gcra, limit: 3, period_s: 60}}\n",
            ours,
            times.clock,
        )
        found = [await gate.admit_strict(ANN) for _ in range(4)]
        assert [one.action for one in found] == ["allow", "slow", "slow", "block"]
        assert [(r.rule, r.is_shadow) for r in found[2].reasons] == [
            ("slow", False),
            ("tried", True),
        ]
        assert [(r.rule, r.is_shadow) for r in found[3].reasons] == [
            ("slow", False),
            ("most", False),
            ("tried", True),
        ]

    store.run(ours, check)


def test_a_cost_above_any_burst_is_not_asked_about(store: Store) -> None:
    times = Times(store)
    ours = store.counters_at_set_times(times.clock)

    async def check() -> None:
        gate = gate_of(
            "  - {name: rows, strict: true, key: [account], cost: {rows: 1}, limit: {kind: gcra, limit: 10, period_s: 60}}\n",
            ours,
            times.clock,
        )
        decision = await gate.admit_strict(Facts.of(account="ann", estimate=11))
        assert (decision.action, decision.status) == ("block", 400)
        assert ours.round_trips == 0

    store.run(ours, check)


# ---- without the store ---------------------------------------------------------------------------


def test_without_the_store_a_machine_has_its_share_and_says_so() -> None:
    rules = (
        "  - {name: open, strict: true, key: [account], limit: {kind: gcra, limit: 40, period_s: 60}}\n"
        "  - {name: closed, strict: true, fail: closed, match: {method: [POST]}, key: [account], limit: {kind: gcra, limit: 40, period_s: 60}}\n"
    )
    clock = ManualClock()
    with tempfile.TemporaryDirectory(prefix="vk-") as folder:
        server = server_in(Path(folder))
        server.start()
        store = Store(server)
        ours = store.counters(clock, timeout_s=5)

        async def check() -> None:
            gate = gate_of(rules, ours, clock, machines=4)
            for _ in range(3):
                assert not (await gate.admit_strict(ANN)).reasons
            server.terminate()
            found = [await gate.admit_strict(ANN) for _ in range(9)]
            # A share of ten, of which three were spent while the store was there.
            assert [one.action for one in found] == ["allow"] * 7 + ["block"] * 2
            assert (
                found[0].reasons[0].detail
                == "counted by this machine alone, within its share of the limit"
            )
            post = Facts.of(account="ann", method="POST")
            refused = await gate.admit_strict(post)
            assert refused.action == "block"
            assert ("closed", "the shared store does not answer") in [
                (one.rule, one.detail) for one in refused.reasons
            ]
            assert 1 <= refused.retry_after_s <= 7, (
                "of the open one it waits for a unit of the share"
            )
            assert await gate.shared.flush() == 0
            server.start()
            clock.advance_us(10_000_000)
            again = await gate.admit_strict(ANN)
            assert (again.action, list(again.reasons)) == ("allow", [])
            await gate.shared.flush()
            (left, *_) = (await gate.admit_strict(ANN)).limits
            assert left.remaining == 40 - 2 - 7, "what it admitted alone was told to the store"

        store.run(ours, check)
        store.client.close()
        server.stop()


def test_without_a_wait_the_share_decides_until_a_lease_is_there(store: Store) -> None:
    times = Times(store)
    ours = store.counters_at_set_times(times.clock)
    rule = "  - {name: app, key: [app], limit: {kind: gcra, limit: 1000, period_s: 1000000}}\n"

    async def check() -> None:
        gate = gate_of(rule, ours, times.clock, machines=4)
        first = gate.admit(ANN)
        assert (first.action, [one.rule for one in first.reasons]) == ("allow", ["app"])
        assert sum(gate.admit(ANN).action == "allow" for _ in range(400)) == 249
        await gate.shared.flush()
        table = gate.shared.tables[0]
        answer = (
            await ours.take([Charge("x", table.counter_of(("app", "shop")), table.meter, 0)])
        ).answers[0]
        assert answer.left == 1000, "counters that actors share stand by themselves"
        place = repr(("app", "shop"))
        answer = (await ours.take([Charge(place, place, table.meter, 0)])).answers[0]
        assert answer.left == 750

    store.run(ours, check)


def test_a_policy_that_changes_keeps_the_leases_of_rules_that_do_not(store: Store) -> None:
    times = Times(store)
    ours = store.counters_at_set_times(times.clock)

    async def check() -> None:
        gate = gate_of(APP, ours, times.clock)
        await gate.admit_strict(ANN)
        before = gate.shared.tables[0]
        other = "  - {name: user, key: [account], limit: {kind: gcra, limit: 4, period_s: 60}}\n"
        gate.reload(parse_policy(f"rules:\n{APP}{other}".encode(), where="x.yaml"))
        assert gate.shared.tables[0] is before
        assert len(gate.shared.tables) == 2

    store.run(ours, check)


def test_keys_are_bounded_and_so_is_what_waits_for_a_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringwork.gate.limits.leases.DUE_MAX", 50)
    table = SharedTable(Gcra(limit=10, period_s=60), machines=2, keys_max=100)
    for number in range(5000):
        table.take(table.slot(("k", str(number))), 1, 0)
    assert len(table.due) == 50
    assert len(table) <= 100 + 4096
    with pytest.raises(ValueError, match="machines"):
        SharedTable(Gcra(limit=10, period_s=60), machines=0)
