"""Cells over a whole log: the decisions of the limiter that takes them one by one."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ringwork.gate.limits import Gcra, MultiLimiter
from ringwork.gate.limits import batch as module
from ringwork.gate.limits.batch import BatchLimiter, Replayed, plain
from ringwork.gate.limits.batch_compiled import run
from ringwork.kernel.clock import ManualClock

KEYS = 4
LIMITS = st.lists(
    st.builds(
        Gcra,
        limit=st.integers(1, 30),
        period_s=st.sampled_from([1, 7, 60, 86_400]),
        burst=st.sampled_from([None, 1, 5]),
    ),
    min_size=1,
    max_size=5,
)
TRAFFIC = st.lists(
    st.tuples(
        st.one_of(
            st.just(0),
            st.integers(0, 3_000_000),
            st.sampled_from([10**6, 10**9, 15 * 86_400 * 10**6, 400 * 86_400 * 10**6]),
        ),
        st.integers(0, 4**5 - 1),
        st.integers(0, 8),
    ),
    max_size=60,
)


@pytest.fixture(params=[plain, run], ids=["plain", "compiled"])
def each_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(module, "engine", lambda: request.param)
    return request.param


def replayed(
    limits: list[Gcra], rows: list[tuple[int, list[int], int]], parts: int = 1
) -> list[Replayed]:
    limiter = BatchLimiter(limits, [KEYS] * len(limits))
    return [
        limiter.replay(
            np.array([at for at, _, _ in some], np.int64),
            np.array([keys for _, keys, _ in some], np.int64).reshape(len(some), len(limits)),
            np.array([cost for _, _, cost in some], np.int64),
        )
        for part in range(parts)
        if (some := rows[len(rows) * part // parts : len(rows) * (part + 1) // parts]) or parts == 1
    ]


@settings(max_examples=200, deadline=None)
@given(LIMITS, TRAFFIC, st.integers(1, 3))
@example(
    [Gcra(limit=1, period_s=86_400)], [(0, 0, 1)] + [(15 * 86_400 * 10**6, 0, 1), (0, 0, 1)] * 8, 1
)
def test_a_log_is_decided_as_its_requests_are_one_by_one(
    limits: list[Gcra], traffic: list[tuple[int, int, int]], parts: int
) -> None:
    clock = ManualClock()
    named = [
        Gcra(limit=one.limit, period_s=one.period_s, burst=one.burst, name=str(n))
        for n, one in enumerate(limits)
    ]
    one_by_one = MultiLimiter(named, clock=clock)
    rows, wanted, now_us = [], [], 10**9
    for step, who, cost in traffic:
        now_us += step
        clock.advance_us(step)
        keys = [who // KEYS**k % KEYS for k in range(len(limits))]
        rows.append((now_us, keys, cost))
        taken = one_by_one.take([str(key) for key in keys], cost)
        wanted.append(
            (taken.allowed, sum(1 << int(name) for name in taken.violated), taken.retry_after_s)
        )
    for engine in (plain, run):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "engine", lambda engine=engine: engine)
            found = [
                (bool(allowed), int(bits), inf if wait < 0 else wait / 10**12)
                for part in replayed(limits, rows, parts)
                for allowed, bits, wait in zip(
                    part.allowed, part.violated, part.waits_ps.tolist(), strict=True
                )
            ]
        assert found == wanted


def test_three_a_minute_by_hand(each_engine: object) -> None:
    del each_engine
    limiter = BatchLimiter([Gcra(limit=3, period_s=60), Gcra(limit=4, period_s=60)], [2, 1])
    seconds = [0, 0, 0, 0, 0, 0, 20, 15]
    who = [0, 0, 0, 0, 1, 1, 0, 0]
    found = limiter.replay(
        np.array(seconds, np.int64) * 10**6, np.array([[one, 0] for one in who], np.int64)
    )
    assert found.allowed.tolist() == [True, True, True, False, True, False, True, False]
    assert found.violated.tolist() == [0, 0, 0, 1, 0, 2, 0, 3]
    # The last comes with a time that went back: it counts as second 20.
    assert found.waits_ps.tolist() == [0, 0, 0, 20 * 10**12, 0, 15 * 10**12, 0, 20 * 10**12]
    more = limiter.replay(np.array([21 * 10**6], np.int64), np.array([[0, 0]], np.int64), 4)
    assert (more.violated.tolist(), more.waits_ps.tolist()) == ([3], [-1])


def test_what_does_not_fit_is_refused() -> None:
    cell = Gcra(limit=3, period_s=60)
    with pytest.raises(ValueError, match="1 to 63 limits"):
        BatchLimiter([], [])
    with pytest.raises(ValueError, match="1 to 63 limits"):
        BatchLimiter([cell], [1, 2])
    with pytest.raises(ValueError, match="refills within"):
        BatchLimiter([Gcra(limit=1, period_s=60 * 86_400)], [1])
    limiter = BatchLimiter([cell], [2])
    times = np.array([0], np.int64)
    for keys, costs, told in (
        ([[0, 0]], 1, "shape"),
        ([[2]], 1, "keys below"),
        ([[-1]], 1, "keys below"),
        ([[0]], -1, "costs of 0"),
    ):
        with pytest.raises(ValueError, match=told):
            limiter.replay(times, np.array(keys, np.int64), costs)
    assert len(limiter.replay(times[:0], np.empty((0, 1), np.int64)).allowed) == 0
