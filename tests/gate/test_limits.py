"""Limits against exact arithmetic: published vectors, and brute force over made-up traffic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from importlib.resources import files
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.gate.limits import (
    Concurrent,
    Distinct,
    Gcra,
    Limit,
    MetaScore,
    MultiLimiter,
    SlidingWindow,
    Volume,
)
from ringwork.gate.limits.concurrent import ConcurrentTable
from ringwork.gate.limits.distinct import DistinctTable
from ringwork.gate.limits.gcra import GcraTable
from ringwork.gate.limits.model import PS_PER_S
from ringwork.kernel.clock import ManualClock

VECTORS = json.loads((files("tests") / "vectors" / "gate" / "limiter_vectors.json").read_text())
US = Fraction(1, 10**6)


class At:
    """A clock that stands where it is told to."""

    def __init__(self) -> None:
        self.now_us = 0

    def wall_us(self) -> int:
        return self.now_us

    def monotonic_ns(self) -> int:
        return self.now_us * 1000


# ---- published vectors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case", VECTORS["gcra"], ids=lambda one: f"{one['limit']}-{one['period_s']}"
)
@pytest.mark.parametrize("via", ["take1", "take", "mixed"])
def test_cells_decide_as_the_vectors_say(case: dict[str, object], via: str) -> None:
    clock = At()
    limit = Gcra(limit=case["limit"], period_s=case["period_s"])
    # Beside another kind of limit, cells go the general way, which must not differ.
    limits: list[Limit] = (
        [limit, Concurrent(limit=10**6, timeout_s=1)] if via == "mixed" else [limit]
    )
    limiter = MultiLimiter(limits, clock=clock)
    for now, key, cost, allowed, retry_us, remaining in case["rows"]:
        clock.now_us = now
        taken = (
            limiter.take1(key, cost) if via == "take1" else limiter.take([key] * len(limits), cost)
        )
        assert taken.allowed is allowed
        if cost <= case["limit"]:
            assert taken.retry_after_s == pytest.approx(retry_us / 10**6, abs=2e-6)
        assert taken.remaining[0] == remaining
        assert taken.violated == (() if allowed else ("gcra",))


def test_several_keys_decide_as_the_vectors_say() -> None:
    (case,) = VECTORS["multi"]
    limits = [
        Gcra(limit=limit, period_s=period, name=str(n))
        for n, (limit, period) in enumerate(case["rules"])
    ]
    clock = At()
    limiter = MultiLimiter(limits, clock=clock)
    for now, keys, cost, allowed, retry_us in case["rows"]:
        clock.now_us = now
        taken = limiter.take(keys, cost)
        assert taken.allowed is allowed
        # The vectors count a cost above a burst as a wait; here it is one that never ends.
        assert taken.retry_after_s == pytest.approx(retry_us / 10**6, abs=2e-6)


@pytest.mark.parametrize("case", VECTORS["score"], ids=lambda one: str(one["maximum"]))
def test_scores_decide_as_the_vectors_say(case: dict[str, object]) -> None:
    clock = At()
    limit = MetaScore(maximum=case["maximum"], window_s=case["window_s"], block_s=case["block_s"])
    limiter = MultiLimiter([limit], clock=clock)
    for now, cost, allowed, retry_us in case["rows"]:
        clock.now_us = now
        taken = limiter.take1("account", cost)
        assert (taken.allowed, taken.retry_after_s) == (allowed, retry_us / 10**6)


# ---- brute force ---------------------------------------------------------------------------------


class SlowCells:
    """GCRA as its paper says it, in fractions, and nothing is ever dropped."""

    def __init__(self, rules: Sequence[tuple[int, int]]) -> None:
        self.rules, self.at = rules, {}

    def take(self, keys: Sequence[str], cost: int, now_us: int) -> tuple[bool, set[int]]:
        now, news = now_us * US, []
        for number, (limit, period) in enumerate(self.rules):
            at = max(self.at.get((number, keys[number]), Fraction(0)), now)
            news.append(at + cost * Fraction(period, limit))
        failed = {n for n, (_, period) in enumerate(self.rules) if news[n] - now > period}
        if not failed:
            for number, new in enumerate(news):
                self.at[number, keys[number]] = new
        return not failed, failed


RULES = st.lists(
    st.tuples(st.integers(1, 30), st.sampled_from([1, 2, 7, 60])), min_size=1, max_size=5
)
# Steps of whole seconds and odd ones, so that emission intervals are met and missed.
TRAFFIC = st.lists(
    st.tuples(
        st.one_of(st.just(0), st.integers(0, 3_000_000), st.sampled_from([1_000_000, 10**8])),
        st.integers(0, 3),
        st.integers(0, 4),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(RULES, TRAFFIC)
def test_cells_are_what_brute_force_says(
    rules: list[tuple[int, int]], traffic: list[tuple[int, int, int]]
) -> None:
    clock, slow = At(), SlowCells(rules)
    limits = [
        Gcra(limit=limit, period_s=period, name=str(n)) for n, (limit, period) in enumerate(rules)
    ]
    limiter = MultiLimiter(limits, clock=clock)
    for step, who, cost in traffic:
        clock.now_us += step
        keys = [f"{who % (number + 1)}" for number in range(len(rules))]
        taken = limiter.take(keys, cost)
        allowed, failed = slow.take(keys, cost, clock.now_us)
        # An interval is rounded up by less than a picosecond: too little to tell at a microsecond.
        assert taken.allowed is allowed
        assert set(taken.violated) == {str(one) for one in failed}
        if not allowed and taken.retry_after_s < inf:
            clock.now_us += round(taken.retry_after_s * 10**6) + 1
            assert limiter.take(keys, cost).allowed
            assert slow.take(keys, cost, clock.now_us)[0]


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 12), st.integers(1, 5), TRAFFIC)
def test_a_sliding_window_is_its_formula(
    limit: int, window: int, traffic: list[tuple[int, int, int]]
) -> None:
    clock, counts = At(), {}
    limiter = MultiLimiter([SlidingWindow(limit=limit, window_s=window)], clock=clock)
    for step, who, cost in traffic:
        clock.now_us += step
        number, into = divmod(clock.now_us, window * 10**6)
        share = 1 - Fraction(into, window * 10**6)
        before, present = counts.get((who, number - 1), 0), counts.get((who, number), 0)
        allowed = cost <= limit and before * share + present + cost <= limit
        taken = limiter.take1(f"{who}", cost)
        assert taken.allowed is allowed
        if allowed:
            counts[who, number] = present + cost
        elif taken.retry_after_s < inf:
            wait_us = -(-round(taken.retry_after_s * 10**12) // 10**6)
            later = At()
            later.now_us = clock.now_us + wait_us
            number, into = divmod(later.now_us, window * 10**6)
            share = 1 - Fraction(into, window * 10**6)
            before, present = counts.get((who, number - 1), 0), counts.get((who, number), 0)
            assert before * share + present + cost <= limit, "what it was told to wait is enough"


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10), TRAFFIC)
def test_a_linear_score_drains_its_maximum_in_a_window(
    maximum: int, traffic: list[tuple[int, int, int]]
) -> None:
    clock = At()
    limiter = MultiLimiter(
        [MetaScore(maximum=maximum, window_s=10, block_s=5, decay="linear")], clock=clock
    )
    level, at, blocked_until = Fraction(0), 0, 0
    for step, _, cost in traffic:
        clock.now_us += step
        now = clock.now_us
        level = max(level - Fraction(maximum * (now - at), 10**7), Fraction(0))
        at = now
        taken = limiter.take1("a", cost)
        if cost > maximum:
            assert not taken.allowed
            if now >= blocked_until:
                blocked_until = now + 5 * 10**6
        elif now < blocked_until:
            assert not taken.allowed
        elif taken.allowed:
            assert level + cost <= maximum + Fraction(1, 10**6)
            level += cost
        else:  # points are whole: a started one counts
            assert -(-level // 1) + cost > maximum
            blocked_until = now + 5 * 10**6


def test_a_refused_request_is_charged_to_no_limit() -> None:
    limiter = MultiLimiter(
        [Gcra(limit=3, period_s=60, name="user"), Gcra(limit=5, period_s=60, name="all")],
        clock=ManualClock(),
    )
    assert [limiter.take(["a", "*"]).allowed for _ in range(4)] == [True, True, True, False]
    assert limiter.take(["a", "*"]).violated == ("user",)
    left = [limiter.take(["b", "*"]) for _ in range(3)]
    assert [one.allowed for one in left] == [True, True, False], "a's refusals used up nothing"
    assert left[2].violated == ("all",)
    assert left[2].remaining == (1, 0)


def test_a_burst_is_exactly_the_limit_whatever_it_divides() -> None:
    for limit in (1, 3, 7, 11, 60, 999, 1001):
        limiter = MultiLimiter([Gcra(limit=limit, period_s=1)], clock=ManualClock())
        assert sum(limiter.take1("a").allowed for _ in range(limit + 5)) == limit


def test_a_cost_above_the_burst_never_passes() -> None:
    limiter = MultiLimiter([Gcra(limit=5, period_s=1, burst=3)], clock=ManualClock())
    assert limiter.take1("a", 4).retry_after_s == inf
    assert limiter.take(["a"], 4).retry_after_s == inf
    assert limiter.take1("a", 3).allowed, "and it cost nothing"


def test_who_floods_with_keys_resets_nobody() -> None:
    clock = ManualClock()
    for limits in ([Gcra(limit=2, period_s=60)], [MetaScore(maximum=2, window_s=60, block_s=60)]):
        limiter = MultiLimiter(limits, clock=clock, keys_max=100)
        assert [limiter.take1("victim").allowed for _ in range(3)] == [True, True, False]
        for number in range(20_000):
            limiter.take1(f"flood {number}")
        assert not limiter.take1("victim").allowed
        (table,) = limiter.tables
        assert len(table.newer) + len(table.older) <= 100 + 4096  # those that are shared
        assert sum(limiter.take1(f"more {number}").allowed for number in range(20_000)) < 10_000


def test_counters_that_have_run_out_are_dropped() -> None:
    clock = ManualClock()
    limiter = MultiLimiter([Gcra(limit=10, period_s=1)], clock=clock, keys_max=10**6)
    for second in range(50):
        for number in range(100):
            assert limiter.take1(f"{second} {number}").allowed
        clock.advance_us(1_000_000)
    assert len(limiter.tables[0]) <= 200


# ---- the other kinds -----------------------------------------------------------------------------


def test_a_lease_that_is_never_settled_ends() -> None:
    table = ConcurrentTable(Concurrent(limit=2, timeout_s=30))
    assert table.take("a", 1, 0) == 0
    first = table.newest(1)
    assert table.take("a", 1, 10 * PS_PER_S) == 0
    assert table.wait_ps("a", 1, 11 * PS_PER_S) == 19 * PS_PER_S
    table.release("a", first)
    table.release("a", first)  # twice is once
    assert table.remaining("a", 11 * PS_PER_S) == 1
    assert table.remaining("a", 40 * PS_PER_S) == 2


def test_a_volume_pays_back_and_pays_later() -> None:
    table = GcraTable(Volume(limit=100, period_s=10))
    assert table.take("a", 60, 0) == 0
    table.settle("a", -50, 0)
    assert table.remaining("a", 0) == 90
    table.settle("a", 140, 0)
    assert table.remaining("a", 0) == 0
    assert table.wait_ps("a", 1, 0) == pytest.approx(5.1 * PS_PER_S), "50 too many, and its own"
    table.settle("a", 10**6, 0)
    assert table.wait_ps("a", 1, 0) <= 10.1 * PS_PER_S, (
        "one burst too many is the most that is owed"
    )


def test_different_entities_are_counted_not_requests() -> None:
    table = DistinctTable(Distinct(limit=5, window_s=80))
    for _ in range(100):
        table.show("a", ["x", "y", "z"], 0)
    assert table.count("a", 0) == 3
    table.show("a", [1, 2], 10 * PS_PER_S)
    assert table.wait_ps("a", 1, 11 * PS_PER_S) == 9 * PS_PER_S, "until the next eighth"
    assert table.remaining("a", 11 * PS_PER_S) == 0
    assert table.wait_ps("b", 1, 11 * PS_PER_S) == 0
    # x, y and z were shown in the first eighth: they are forgotten with it.
    assert table.wait_ps("a", 1, 80 * PS_PER_S) == 0
    assert table.count("a", 80 * PS_PER_S) == 2
    assert table.count("a", 170 * PS_PER_S) == 0


def test_a_large_count_is_estimated_and_an_error_of_ours_blocks_nobody() -> None:
    table = DistinctTable(Distinct(limit=1000, window_s=80))
    for number in range(100):
        table.show("a", range(number * 10, number * 10 + 10), number * PS_PER_S // 2)
    now = 50 * PS_PER_S
    assert table.count("a", now) == pytest.approx(1000, rel=5 * table.relative_sd)
    assert table.wait_ps("a", 1, now) == 0, "1,000 is not surely above 1,000"
    table.show("a", range(5000, 5200), now)
    assert table.wait_ps("a", 1, now) > 0
    # What was shown in the first 10 s is forgotten at 80: 200 of them.
    assert table.count("a", 80 * PS_PER_S) == pytest.approx(1000, rel=5 * table.relative_sd)
    assert table.count("a", 200 * PS_PER_S) == 0


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.lists(st.integers(0, 40), max_size=6)), max_size=30)
)
def test_a_small_count_is_exact(shown: list[tuple[int, list[int]]]) -> None:
    table, now, seen = DistinctTable(Distinct(limit=10**6, window_s=80)), 0, {}
    for step, entities in shown:
        now += step
        table.show("a", entities, now * PS_PER_S)
        seen |= dict.fromkeys(entities, now // 10)
        present = sum(part > now // 10 - 8 for part in seen.values())
        assert table.count("a", now * PS_PER_S) == present


@pytest.mark.parametrize(
    "limit",
    [
        Gcra(limit=0, period_s=1),
        Gcra(limit=1, period_s=0),
        Gcra(limit=1, period_s=1, burst=0),
        Gcra(limit=1, period_s=float("nan")),
        MetaScore(maximum=0, window_s=1, block_s=1),
        SlidingWindow(limit=1, window_s=-1),
        Concurrent(limit=1, timeout_s=0),
        Distinct(limit=1, window_s=1, precision=30),
    ],
)
def test_a_limit_that_can_hold_nothing_is_refused(limit: Limit) -> None:
    with pytest.raises(ValueError, match="expected a"):
        MultiLimiter([limit], clock=ManualClock())


def test_keys_and_costs_that_fit_nothing_are_refused() -> None:
    limiter = MultiLimiter([Gcra(limit=5, period_s=1)] * 2, clock=ManualClock())
    with pytest.raises(ValueError, match="expected 2 keys"):
        limiter.take(["a"])
    with pytest.raises(ValueError, match="cost"):
        limiter.take(["a", "b"], -1)
    with pytest.raises(ValueError, match="cost"):
        MultiLimiter([Gcra(limit=5, period_s=1)], clock=ManualClock()).take1("a", -1)
    with pytest.raises(ValueError, match="one or more"):
        MultiLimiter([], clock=ManualClock())
