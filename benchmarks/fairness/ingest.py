"""G9: impressions into the sums of 100,000 ads, and a refresh of what clusters predict.

Impressions per second of one thread, in three depths: one count by ad and cluster, the 23 sums of
the united-states plan, and all that the meter does (ids once, contributions capped, first touches). Ads
are drawn with Zipf weights (exponent 0.8), people uniformly from a million. Counts are compared with
NumPy's on a part before anything is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.foundation.event_log import result
from ringwork.fairness.measure import ingest, ingest_plain
from ringwork.fairness.measure.ingest import Ingest, predicted
from ringwork.fairness.measure.sums import Layout, quantised
from ringwork.fairness.plan import preset

Goal = dict[str, object]
ADS = 100_000
CLUSTERS = 256
GOAL = 30.0


def best_s(work: Callable[[], Any], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def batch(rng: np.random.Generator, count: int, people: int) -> dict[str, NDArray[Any]]:
    weights = 1 / np.arange(1, ADS + 1) ** 0.8
    return {
        "ids": rng.integers(1, 2**63, count).astype(np.uint64),
        "lines": rng.choice(ADS, count, p=weights / weights.sum()).astype(np.int32),
        "people": rng.integers(0, people, count).astype(np.int32),
        "days": np.zeros(count, np.int32),
    }


def run(quick: bool) -> list[Goal]:
    """Measure, print, return the goals."""
    rng = np.random.default_rng(9)
    count, people, rounds = (2**20, 100_000, 2) if quick else (2**22, 1_000_000, 7)
    plan = preset("united-states")
    layout = Layout.of(plan)
    rows = layout.rows(
        {"sex": rng.integers(-1, 2, people), "age": rng.integers(-1, 6, people)},
        {"race": quantised(rng.dirichlet([0.5] * 4, people))},
    )
    wide = np.pad(rows, ((0, 0), (0, -layout.width % 8)))
    one = batch(rng, count, people)
    everybody = np.ones(count, np.bool_)
    loops = ingest.warm()

    sums, twin = (np.zeros((ADS, wide.shape[1]), np.int32) for _ in range(2))
    some = slice(0, 100_000)
    for module, into in ((loops, sums), (ingest_plain, twin)):
        module.add_rows(into, one["lines"][some], one["people"][some], wide, everybody[some])
    if not (sums == twin).all():
        raise AssertionError("the compiled sums differ from NumPy's")
    rate = (
        count
        / 1e6
        / best_s(lambda: loops.add_rows(sums, one["lines"], one["people"], wide, everybody), rounds)
    )

    cells = np.zeros((ADS, CLUSTERS), np.int32)
    clusters = rng.integers(0, CLUSTERS, count).astype(np.int32)
    cell_rate = count / 1e6 / best_s(lambda: loops.add_cells(cells, one["lines"], clusters), rounds)
    if cells.sum() != rounds * count:
        raise AssertionError("impressions were lost")

    meter = Ingest(layout, plan.privacy, rows=rows, lines=ADS, expected=(rounds + 1) * count)
    told = meter.add(**one)
    if told.impressions != count or meter.add(**one).duplicates != count:
        raise AssertionError(f"ids counted wrongly: {told}")
    days = iter(range(1, rounds + 1))
    batches = iter([{**batch(rng, count, people), "lines": one["lines"]} for _ in range(rounds)])
    whole_s = best_s(
        lambda: meter.add(**{**next(batches), "days": one["days"] + next(days)}), rounds
    )
    whole = count / 1e6 / whole_s

    mix = rng.dirichlet([1.0] * 8, CLUSTERS)
    refresh_s = best_s(lambda: predicted(cells, mix), rounds)
    if not np.allclose(predicted(cells, mix).sum(axis=1), cells.sum(axis=1)):
        raise AssertionError("a refresh lost wins")
    print(
        f"{cell_rate:.0f} M/s into cells, {rate:.0f} M/s into {layout.width} sums, {whole:.1f} M/s whole; refresh {refresh_s:.2f} s"
    )
    return [
        result(f"G9 ingest into {layout.width} sums per ad, {ADS:,} ads", rate, GOAL, "M/s"),
        result(f"G9 ingest into cells of {CLUSTERS} clusters", cell_rate, GOAL, "M/s"),
        result("G9 ingest with ids, caps and first touches", whole, GOAL, "M/s"),
        {
            **result(f"G9 refresh of {ADS:,} ads x {CLUSTERS} clusters", refresh_s, 1.0, "s", at_most=True),
            "measured": round(refresh_s, 3),
        },
    ]  # fmt: skip
