"""Counters in a real Valkey: against exact vectors, against the in-process ones, and in trouble."""

from __future__ import annotations

import asyncio
import json
import tempfile
from importlib.resources import files
from math import inf
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ringwork.gate.limits import Gcra, MetaScore, MultiLimiter, SlidingWindow
from ringwork.gate.limits.leases import meter_of
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.counters import Answer, Cell, Charge, Score, Window
from ringwork.kernel.errors import StoreDown
from tests.gate.conftest import Store, server_in

VECTORS = json.loads((files("tests") / "vectors" / "gate" / "limiter_vectors.json").read_text())
EPOCH_US = 1_795_858_000_000_000


def at_same_time(store: Store, now_us: int, clock: ManualClock) -> None:
    clock.advance_us(now_us - clock.monotonic_ns() // 1000)
    store.set_us(EPOCH_US + now_us)


# ---- vectors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case", VECTORS["gcra"], ids=lambda one: f"{one['limit']}-{one['period_s']}"
)
def test_cells_decide_as_the_vectors_say(store: Store, case: dict[str, object]) -> None:
    ours = store.counters_at_set_times()
    meter, _ = meter_of(Gcra(limit=case["limit"], period_s=case["period_s"]))

    async def check() -> None:
        for now, key, cost, allowed, retry_us, remaining in case["rows"]:
            store.set_us(EPOCH_US + now)
            (answer,) = (await ours.take([Charge(key, "c", meter, cost)])).answers
            assert (answer.wait_us == 0) is allowed
            # An interval is rounded up to a picosecond, a wait to a microsecond.
            assert answer.wait_us == pytest.approx(retry_us, abs=1)
            assert answer.left == remaining

    store.run(ours, check)


def test_several_keys_decide_as_the_vectors_say(store: Store) -> None:
    (case,) = VECTORS["multi"]
    store.client.script_flush()
    ours = store.counters_at_set_times()
    meters = [meter_of(Gcra(limit=limit, period_s=period))[0] for limit, period in case["rules"]]

    async def check() -> None:
        for now, keys, cost, allowed, retry_us in case["rows"]:
            store.set_us(EPOCH_US + now)
            asked = [Charge("a", k, m, cost) for k, m in zip(keys, meters, strict=True)]
            answered = await ours.take(asked)
            assert answered.is_charged is allowed
            assert max(one.wait_us for one in answered.answers) == pytest.approx(retry_us, abs=1)
        assert ours.round_trips == len(case["rows"]) + 1, "one each, and one for the script"

    store.run(ours, check)


@pytest.mark.parametrize("case", VECTORS["score"], ids=lambda one: str(one["maximum"]))
def test_scores_decide_as_the_vectors_say(store: Store, case: dict[str, object]) -> None:
    ours = store.counters_at_set_times()
    meter = Score(case["maximum"], case["window_s"] * 10**6, case["block_s"] * 10**6)

    async def check() -> None:
        for now, cost, allowed, retry_us in case["rows"]:
            store.set_us(EPOCH_US + now)
            (answer,) = (await ours.take([Charge("a", "s", meter, cost)])).answers
            assert (answer.wait_us == 0, answer.wait_us) == (allowed, retry_us)

    store.run(ours, check)


# ---- against the counters in process -------------------------------------------------------------

LIMITS = st.one_of(
    st.builds(
        Gcra,
        limit=st.sampled_from([1, 3, 7, 30, 10**12]),
        period_s=st.sampled_from([1, 7, 60, 86_400]),
        burst=st.sampled_from([None, 1, 5]),
    ),
    st.builds(
        MetaScore,
        maximum=st.integers(1, 12),
        window_s=st.sampled_from([1, 8]),
        block_s=st.sampled_from([1, 5]),
        decay=st.sampled_from(["window", "linear"]),
    ),
    st.builds(SlidingWindow, limit=st.integers(1, 12), window_s=st.sampled_from([1, 5])),
)
TRAFFIC = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from([0, 500_000, 1_000_000, 4_000_000, 10**8]), st.integers(0, 3_000_000)
        ),
        st.sampled_from([0, 0, 0, 1, 2]),
        st.sampled_from([0, 1, 1, 2, 4, 13]),
    ),
    min_size=5,
    max_size=40,
)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(LIMITS, min_size=1, max_size=4), TRAFFIC)
@example(  # what was forgotten while it was blocked stays forgotten
    [MetaScore(maximum=2, window_s=8, block_s=5)],
    [(0, 0, 1), (4_000_000, 0, 1), (0, 0, 1), (4_500_000, 0, 1), (1_000_000, 0, 1)],
)
def test_shared_counters_are_what_the_ones_in_process_are(
    store: Store,
    limits: list[Gcra | MetaScore | SlidingWindow],
    traffic: list[tuple[int, int, int]],
) -> None:
    store.client.flushall()
    clock = ManualClock()
    here = MultiLimiter(limits, clock=clock)
    ours = store.counters_at_set_times()
    meters = [meter_of(one) for one in limits]
    # Sliding windows begin at whole multiples since the epoch: the same ones on both clocks.
    now_us = 0

    async def check(now_us: int) -> None:
        for step, who, cost in traffic:
            now_us += step
            clock.advance_us(step)
            store.set_us(35 * 10**6 * 50_000_000 + now_us)
            keys = [f"{who % (number + 1)}" for number in range(len(limits))]
            taken = here.take(keys, cost)
            answered = await ours.take(
                [
                    Charge("a", f"{number} {key}", meter, cost)
                    for number, (key, (meter, _)) in enumerate(zip(keys, meters, strict=True))
                ]
            )
            assert answered.is_charged is taken.allowed
            left = [
                table.stands(k, clock.monotonic_ns() * 1000)[0]
                for table, k in zip(here.tables, keys, strict=True)
            ]
            assert [one.left for one in answered.answers] == left
            waits = [
                inf if cost > most else one.wait_us / 10**6
                for one, (_, most) in zip(answered.answers, meters, strict=True)
                if one.wait_us
            ]
            assert max(waits, default=0) == pytest.approx(taken.retry_after_s, abs=2e-6)

    store.run(ours, lambda: check(now_us))


# ---- what only the store does --------------------------------------------------------------------

THREE = Cell(3, 10**12)


def test_what_was_taken_goes_back_once(store: Store) -> None:
    ours = store.counters_at_set_times()
    meters = {"cell": THREE, "score": Score(3, 10**7, 10**6), "window": Window(3, 10**7)}

    async def check() -> None:
        store.set_us(10**7)
        for name, meter in meters.items():
            taken = await ours.take([Charge("a", name, meter, 2)])
            back = Charge("a", name, meter, 2, "back", at_us=taken.at_us)
            assert (await ours.take([back])).answers[0].left == 3
            assert (await ours.take([back])).answers[0].left == 3, "never more than there are"

    store.run(ours, check)


def test_soft_charges_refuse_nothing_and_shadows_count_by_themselves(store: Store) -> None:
    ours = store.counters_at_set_times()

    async def check() -> None:
        store.set_us(10**7)
        one = Cell(1, 10**12)
        asked = [
            Charge("a", "soft", one, 1, "soft"),
            Charge("a", "hard", Cell(2, 10**12), 1),
            Charge("a", "shadow", THREE, 1, "alone"),
        ]
        found = [
            [(answer.wait_us > 0, answer.left) for answer in (await ours.take(asked)).answers]
            for _ in range(4)
        ]
        assert found == [
            [(False, 0), (False, 1), (False, 2)],
            [(True, 0), (False, 0), (False, 1)],
            [(True, 0), (True, 0), (False, 0)],
            [(True, 0), (True, 0), (True, 0)],
        ]

    store.run(ours, check)


def test_counters_of_an_actor_share_a_slot_and_name_nobody(store: Store) -> None:
    ours = store.counters()

    async def check() -> None:
        await ours.take(
            [Charge("ann", "x", THREE, 1), Charge("ann", "y", Score(3, 10**7, 10**6), 1)]
        )

    store.run(ours, check)
    names = store.client.keys("*")
    assert len(names) == 3
    assert len({name[name.index(b"{") : name.index(b"}")] for name in names}) == 1
    assert not any(b"ann" in name for name in names)
    assert all(0 < store.client.pttl(name) <= 10_002 for name in names)
    cell = min(names, key=store.client.pttl)
    assert store.client.pttl(cell) <= 1_002, "no longer than it has something to say"


def test_a_clock_that_is_set_back_locks_nobody_out_for_long(store: Store) -> None:
    ours = store.counters_at_set_times()
    meters = {
        "cell": (THREE, 6),
        "score": (Score(3, 10**7, 10**6), 10),
        "window": (Window(3, 10**7), 20),
    }

    async def check() -> None:
        for name, (meter, longest_s) in meters.items():
            store.set_us(EPOCH_US)
            await ours.take([Charge("a", name, meter, 3)])
            store.set_us(EPOCH_US - 3600 * 10**6)
            await ours.take([Charge("a", name, meter, 1)])
            store.set_us(EPOCH_US - (3600 - longest_s - 1) * 10**6)
            (answer,) = (await ours.take([Charge("a", name, meter, 1)])).answers
            assert answer.wait_us == 0, name

    store.run(ours, check)


def test_many_decisions_are_one_write(store: Store) -> None:
    ours = store.counters()

    async def check() -> None:
        found = await asyncio.gather(
            *(ours.take([Charge("a", "x", Cell(40, 10**15), 1)]) for _ in range(64))
        )
        assert sum(one.is_charged for one in found) == 40
        assert ours.round_trips <= 3

    store.run(ours, check)


# ---- trouble -------------------------------------------------------------------------------------


def test_a_restarted_server_gets_its_script_again(store: Store) -> None:
    ours = store.counters()

    async def check() -> None:
        await ours.take([Charge("a", "x", THREE, 1)])
        store.client.script_flush()
        answered = await ours.take([Charge("a", "x", THREE, 1)])
        assert answered.answers[0].left == 1, "and it ran once"

    store.run(ours, check)


def test_a_dead_server_costs_no_more_than_its_time_limit_and_is_asked_seldom() -> None:
    clock = ManualClock()
    with tempfile.TemporaryDirectory(prefix="vk-") as folder:
        server = server_in(Path(folder))
        server.start()
        store = Store(server)
        ours = store.counters(clock, timeout_s=5)
        asked = [Charge("a", "x", THREE, 1)]

        async def check() -> None:
            first = await ours.take(asked)
            assert [first.incarnation, first.answers[0].left] == [0, 2]
            server.terminate()
            for _ in range(3):
                with pytest.raises(StoreDown):
                    await ours.take(asked)
            assert ours.incarnation == 3
            trips = ours.round_trips
            assert 0.125 <= ours.retry_after_s <= 0.25
            with pytest.raises(StoreDown, match="asked again in"):
                await ours.take(asked)
            assert ours.round_trips == trips, "nothing is tried meanwhile"
            clock.advance_us(250_000)
            found = await asyncio.gather(
                *(ours.take(asked) for _ in range(50)), return_exceptions=True
            )
            assert sum("asked again" in str(one) for one in found) == 49, "one of them tries"
            assert 0.25 <= ours.retry_after_s <= 0.5, "and longer after each failure"
            server.start()
            clock.advance_us(500_000)
            again = await ours.take(asked)
            assert again.answers[0].left == 2, "a server that lost its data begins anew"
            assert again.incarnation > first.incarnation
            assert ours.retry_after_s == 0

        store.run(ours, check)
        store.client.close()
        server.stop()


def test_a_slow_server_is_not_waited_for(store: Store) -> None:
    ours = store.counters(timeout_s=0.02)
    asked = [Charge("a", "x", THREE, 1)]

    async def check() -> None:
        ours._timeout_s = 5.0
        await ours.take(asked)
        ours._timeout_s = 0.02
        blocker = asyncio.to_thread(store.server.client().execute_command, "DEBUG", "SLEEP", "0.3")
        sleeping = asyncio.create_task(blocker)
        failed = 0
        while not sleeping.done() and not failed:
            found = await asyncio.gather(
                *(ours.take(asked) for _ in range(5)), return_exceptions=True
            )
            failed = sum(isinstance(one, StoreDown) for one in found)
        assert failed, "the store slept for longer than its time limit"
        await sleeping
        ours._timeout_s = 5.0
        # The answers to what was given up are not taken for the answers to this.
        answered = await ours.take([Charge("b", "y", Cell(9, 10**12), 1)])
        assert answered.answers == [Answer(0, 8, 1_000_000)]

    store.run(ours, check)


def test_what_can_wait_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringwork.storage.valkey.counters.WAITING_MAX", 10)
    ours = store.counters()

    async def check() -> None:
        found = await asyncio.gather(
            *(ours.take([Charge("a", "x", THREE, 1)]) for _ in range(15)), return_exceptions=True
        )
        assert sum(isinstance(one, StoreDown) for one in found) == 5
        with pytest.raises(ValueError, match="200 charges"):
            await ours.take([Charge("a", "x", THREE, 1)] * 201)

    store.run(ours, check)


def test_a_caller_who_leaves_holds_up_nobody(store: Store) -> None:
    ours = store.counters()

    async def check() -> None:
        gone = asyncio.create_task(ours.take([Charge("a", "x", THREE, 1)]))
        stays = asyncio.create_task(ours.take([Charge("a", "x", THREE, 1)]))
        await asyncio.sleep(0)
        gone.cancel()
        assert (await stays).answers[0].left == 1

    store.run(ours, check)
