"""Limits in process, beside ``limits``: one key, five keys at once, a whole log, and exactness.

Both sides decide the same requests, whose answers are compared first on a clock that stands. Times
are CPU of the process, in turn, at least five rounds, the median. Mixes: 60 in 5 minutes over 10,000
Zipf keys; mostly allowed; mostly denied (where a moving window is quick, since it stops early); a
million keys. Of ``limits``' strategies only the moving window keeps its limit in every window, as
cells do; a fixed one is quicker and lets twice its limit pass at an edge. The goals are held against
both, where they differ.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final
from unittest import mock

import numpy as np
from limits.storage import MemoryStorage
from msgspec import Struct

from benchmarks.foundation.event_log import result
from benchmarks.gate.peers import SEED, first_of_each, peers, uniform, zipf
from ringwork.gate.limits import Gcra, MetaScore, MultiLimiter
from ringwork.gate.limits.batch import BatchLimiter, engine
from ringwork.kernel.clock import ManualClock, SystemClock

Goal = dict[str, object]
PERIOD_S: Final = 300


class Mix(Struct, frozen=True):
    """Requests, and the limit that they meet."""

    name: str
    limit: int
    keys: Sequence[str]


def mixes(quick: bool) -> list[Mix]:
    count = 50_000 if quick else 200_000
    many = 100_000 if quick else 1_000_000
    return [
        Mix("60 in 5 min, Zipf 10 k", 60, zipf(count, 10_000)),
        Mix("mostly allowed", 10**6, zipf(count, 10_000)),
        Mix("mostly denied", 60, zipf(count, 50)),
        Mix("1 M keys", 60, uniform(many, 1_000_000)),
    ]


def ns_each(ask: Callable[[str], object], keys: Sequence[str]) -> float:
    began = time.process_time_ns()
    for key in keys:
        ask(key)
    return (time.process_time_ns() - began) / len(keys)


def check_answers(mix: Mix) -> None:
    """All say the same of every request, where no time passes."""
    keys = mix.keys[:20_000]
    wanted = first_of_each(keys, mix.limit)
    ours = MultiLimiter([Gcra(limit=mix.limit, period_s=PERIOD_S)], clock=ManualClock())
    assert [ours.take1(key).allowed for key in keys] == wanted
    now = time.time() // PERIOD_S * PERIOD_S + 1
    with mock.patch("time.time", return_value=now):
        for name, hit in peers(MemoryStorage, f"{mix.limit}/5minutes").items():
            assert [hit(key) for key in keys] == wanted, name


def one_key(mix: Mix, rounds: int) -> tuple[float, dict[str, float]]:
    """Nanoseconds of a decision: ours, and each strategy's."""
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        ours = MultiLimiter([Gcra(limit=mix.limit, period_s=PERIOD_S)], clock=SystemClock())
        sides = {"ours": ours.take1, **peers(MemoryStorage, f"{mix.limit}/5minutes")}
        for name, ask in sides.items():
            gc.collect()
            times.setdefault(name, []).append(ns_each(ask, mix.keys))
    found = {name: statistics.median(each) for name, each in times.items()}
    return found.pop("ours"), found


def five_keys(mix: Mix, rounds: int) -> tuple[float, dict[str, float]]:
    """Nanoseconds of a decision over five keys: ours in one step, theirs in five calls."""
    asked = [
        (key, f"net-{key[-2:]}", f"route-{key[-1]}", f"app-{key[-1]}", "all") for key in mix.keys
    ]
    limits = [mix.limit, 100 * mix.limit, 1000 * mix.limit, 10**7, 10**8]
    cells = [Gcra(limit=one, period_s=PERIOD_S, name=str(n)) for n, one in enumerate(limits)]
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        ours = MultiLimiter(cells, clock=SystemClock())
        hits = [peers(MemoryStorage, f"{one}/5minutes") for one in limits]
        sides: dict[str, Callable[[Sequence[str]], object]] = {"ours": ours.take}
        for name in hits[0]:
            five = [one[name] for one in hits]
            sides[name] = lambda keys, five=five: [
                hit(key) for hit, key in zip(five, keys, strict=True)
            ]
        for name, ask in sides.items():
            gc.collect()
            began = time.process_time_ns()
            for keys in asked:
                ask(keys)
            times.setdefault(name, []).append((time.process_time_ns() - began) / len(asked))
    found = {name: statistics.median(each) for name, each in times.items()}
    return found.pop("ours"), found


def speeds(quick: bool) -> list[Goal]:
    rounds = 3 if quick else 7
    goals: list[Goal] = []
    for mix in mixes(quick):
        check_answers(mix)
        for what, measure, floor, times in (
            ("one key", one_key, 1.5, 10),
            ("five keys, all or nothing", five_keys, 0.6, 20),
        ):
            if measure is five_keys and mix.name == "1 M keys":
                continue  # the four that are shared are few
            ours, theirs = measure(mix, rounds)
            told = ", ".join(f"{name} {1000 / each:.3f} M/s" for name, each in theirs.items())
            print(f"{mix.name}, {what}: {1000 / ours:.2f} M/s; limits: {told}")
            goals.append(
                {
                    **result(f"{what}, {mix.name}", 1000 / ours, floor, "M/s"),
                    "peer": f"limits 5.8: {told}",
                }
            )
            quickest = min(theirs, key=lambda name: theirs[name])
            for name in dict.fromkeys(("moving", quickest)):
                is_quickest = f"limits' {name} window" + (
                    ", its quickest" if name == quickest else ""
                )
                ratio = round(theirs[name] / ours, 2)
                row = result(f"{what} over {is_quickest}, {mix.name}", ratio, times, "x")
                goals.append({**row, "ratio": ratio})
    return goals


# ---- a whole log ---------------------------------------------------------------------------------


def batch(quick: bool) -> Goal:
    """A million keys of each of five limits."""
    count, keys, limits = (300_000 if quick else 2_000_000), 1_000_000, 5
    rng = np.random.default_rng(SEED)
    asked = rng.integers(0, keys, (count, limits))
    times = np.arange(count, dtype=np.int64) * 10
    # As many requests of each key as the limit admits now and refuses now: both ways are taken.
    cells = [Gcra(limit=max(count // keys, 1) * 2, period_s=60, name=str(n)) for n in range(limits)]
    engine()
    check = 20_000
    few = asked[:check] % 500
    found = BatchLimiter(cells, [keys] * limits).replay(times[:check], few)
    clock = ManualClock()
    one_by_one = MultiLimiter(cells, clock=clock)
    for number, row in enumerate(few.tolist()):
        assert one_by_one.take([str(key) for key in row]).allowed == found.allowed[number]
        clock.advance_us(10)
    speeds, share = [], 0.0
    for _ in range(5):
        limiter = BatchLimiter(cells, [keys] * limits)
        limiter.replay(times[:1], asked[:1])
        began, wall = time.process_time_ns(), time.perf_counter_ns()
        share = float(limiter.replay(times, asked).allowed.mean())
        speeds.append(
            ((time.process_time_ns() - began) / count, (time.perf_counter_ns() - wall) / count)
        )
    cpu, wall_ns = (statistics.median(each) for each in zip(*speeds, strict=True))
    told = f"{1000 / wall_ns:.1f} M/s by the wall clock; {100 * share:.0f} % allowed; one by one it is the rows above"
    return {
        **result("batch replay, 1 M keys x 5, per CPU second", 1000 / cpu, 5, "M/s"),
        "peer": told,
    }


# ---- exact ---------------------------------------------------------------------------------------


class Exact:
    """Cells in rational arithmetic: times are kept as multiples of 1 us / limit."""

    def __init__(self, rules: Sequence[tuple[int, int]]) -> None:
        self.rules = [(limit, period * 10**6) for limit, period in rules]
        self.ends: list[dict[str, int]] = [{} for _ in rules]

    def take(self, keys: Sequence[str], cost: int, now_us: int) -> bool:
        news = []
        for (limit, period_us), ends, key in zip(self.rules, self.ends, keys, strict=True):
            new = max(ends.get(key, 0), now_us * limit) + cost * period_us
            if new - now_us * limit > period_us * limit:
                return False
            news.append(new)
        for ends, key, new in zip(self.ends, keys, news, strict=True):
            ends[key] = new
        return True


class ExactScore:
    def __init__(self, maximum: int, window_us: int, block_us: int) -> None:
        self.maximum, self.window_us, self.block_us = maximum, window_us, block_us
        self.calls: dict[str, deque[tuple[int, int]]] = {}
        self.until: dict[str, int] = {}

    def take(self, keys: Sequence[str], cost: int, now_us: int) -> bool:
        (key,) = keys
        calls = self.calls.setdefault(key, deque())
        if now_us < self.until.get(key, 0):
            return False
        while calls and calls[0][0] <= now_us - self.window_us:
            calls.popleft()
        if sum(points for _, points in calls) + cost > self.maximum:
            self.until[key] = now_us + self.block_us
            return False
        calls.append((now_us, cost))
        return True


def exactness(quick: bool) -> Goal:
    """Made-up traffic around the emission intervals, with pauses and bursts, against both."""
    wanted = 100_000 if quick else 1_200_000
    rng = random.Random(SEED)
    events = wrong = refused = 0
    while events < wanted:
        clock = ManualClock()
        slow: Exact | ExactScore
        if rng.random() < 0.25:
            maximum, window_s, block_s = (
                rng.randint(3, 60),
                rng.choice([1, 10, 60]),
                rng.choice([1, 30]),
            )
            slow = ExactScore(maximum, window_s * 10**6, block_s * 10**6)
            ours = MultiLimiter(
                [MetaScore(maximum=maximum, window_s=window_s, block_s=block_s)], clock=clock
            )
            step_us, width = window_s * 10**6 // maximum, 1
        else:
            width = rng.randint(1, 5)
            rules = [(rng.randint(1, 100), rng.choice([1, 7, 60, 300])) for _ in range(width)]
            slow = Exact(rules)
            ours = MultiLimiter([Gcra(limit=a, period_s=b) for a, b in rules], clock=clock)
            step_us = min(b * 10**6 // a for a, b in rules)
        now_us = 10**9
        clock.advance_us(now_us)
        for _ in range(2000):
            draw = rng.random()
            step = (
                0
                if draw < 0.3
                else rng.choice([step_us, step_us - 1, step_us + 1])
                if draw < 0.5
                else rng.randrange(2 * step_us + 1)
                if draw < 0.97
                else rng.randrange(10**8)
            )
            now_us += step
            clock.advance_us(step)
            keys = [f"{rng.randrange(3)}" for _ in range(width)]
            cost = rng.choice((0, 1, 1, 1, 2, 5))
            allowed = ours.take(keys, cost).allowed
            wrong += allowed is not slow.take(keys, cost, now_us)
            refused += not allowed
            events += 1
    print(f"{events:,} made-up events, {refused:,} refused: {wrong} differ from exact arithmetic")
    return result(
        f"decisions that differ from exact arithmetic, of {events:,}", wrong, 0, "", at_most=True
    )


def run(quick: bool) -> list[Goal]:
    """Measure, print the table, return the goals."""
    return [exactness(quick), *speeds(quick), batch(quick)]
