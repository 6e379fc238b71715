"""G8: what the shift costs an auction: nanoseconds per candidate, beside the NumPy twin.

Random candidates of 2,000 and 100,000 steered ads: the larger tables are beyond the caches. The
answers of the twin are compared first. The peer is the obvious implementation: one NumPy expression
over a request's candidates with the same tables.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np

from ringwork.fairness.control import hook, steering
from ringwork.fairness.control.hook import LANES, VALUE_BINS

Goal = dict[str, object]
CANDIDATES: Final = 500
SCALE_NANOS: Final = 1_000_000.0


def run(quick: bool) -> list[Goal]:
    """Best of several rounds of CPU time: others use the machine as well."""
    rounds, requests = (3, 400) if quick else (15, 2_000)
    goals: list[Goal] = []
    for ads, most_ns in ((2_000, 10.0), (100_000, 25.0)):
        compiled, twin = _timed(ads, rounds, requests)
        goals.append(
            {
                "goal": f"G8 shift of one candidate, {ads:,} steered ads",
                "measured": round(compiled / CANDIDATES * 1e9, 2),
                "target": f"<= {most_ns}",
                "unit": "ns",
                "ok": compiled / CANDIDATES * 1e9 <= most_ns,
                "peer": f"NumPy per request: {twin / CANDIDATES * 1e9:.1f} ns",
                "ratio": round(twin / compiled, 1),
            }
        )
        goals.append(
            {
                "goal": f"G8 shifts of {CANDIDATES} candidates, {ads:,} steered ads",
                "measured": round(compiled * 1e6, 2),
                "target": "<= 12",
                "unit": "us",
                "ok": compiled * 1e6 <= 12,
                "peer": f"NumPy per request: {twin * 1e6:.1f} us",
                "ratio": round(twin / compiled, 1),
            }
        )
    return goals


def _timed(ads: int, rounds: int, requests: int) -> tuple[float, float]:
    """Seconds per request of the compiled hook and of the twin."""
    rng = np.random.default_rng(6)
    lines = steering.aligned(ads * VALUE_BINS, 2 * LANES)
    lines[:] = rng.random(lines.shape, dtype=np.float32)
    lines[:, :LANES] *= np.float32(SCALE_NANOS)
    inverse_scales = np.full(ads, 1 / SCALE_NANOS, np.float32)
    weights = rng.random(LANES, dtype=np.float32)
    rows = rng.integers(0, ads, (requests, CANDIDATES)).astype(np.int32)
    spread = np.exp(rng.normal(0, 0.5, (requests, CANDIDATES)))
    values = (SCALE_NANOS * spread).astype(np.int64)
    at, out = np.empty(CANDIDATES, np.int32), np.empty(CANDIDATES, np.int64)

    def timed(play: Callable[..., int], count: int) -> float:
        began = time.process_time()
        for number in range(count):
            play(rows[number], values[number], lines, inverse_scales, weights, at, out)
        return (time.process_time() - began) / count

    compiled = steering.engine()
    if compiled is hook.shifts:
        raise RuntimeError("numba is not installed: pip install ringwork[fast]")
    for number in range(20):
        arguments = (rows[number], values[number], lines, inverse_scales, weights, at)
        wanted = np.empty(CANDIDATES, np.int64)
        missed = hook.shifts(*arguments, wanted)
        if missed != compiled(*arguments, out) or not np.array_equal(out, wanted):
            raise RuntimeError("the compiled hook and its twin differ")
    best = [
        min(times)
        for times in zip(
            *(
                (timed(compiled, requests), timed(hook.shifts, requests // 10))
                for _ in range(rounds)
            ),
            strict=True,
        )
    ]
    return best[0], best[1]
