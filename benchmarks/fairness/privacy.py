"""G7: noise that is what it says, quick beside OpenDP, and small beside a binary tree.

Distributions are compared with their formulas, OpenDP's as well as ours, before times are. Both draw
in one process, in turn. The tree is Dwork, Naor, Pitassi, Rothblum 2010 at the same zero-concentrated
cost, its node noise from the same pool.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import exp, sqrt, tanh

import dp_accounting
import numpy as np
import opendp.prelude as dp
from dp_accounting.pld import PLDAccountant
from numpy.typing import NDArray
from scipy import stats

from benchmarks.foundation.event_log import result
from ringwork.fairness.plan import PrivacyPlan
from ringwork.fairness.privacy.accounting import MICRO, cost
from ringwork.fairness.privacy.continual import ContinualSum, coefficients, column_norm
from ringwork.fairness.privacy.samplers import NoisePool
from ringwork.kernel.entropy import SeededEntropy, SystemEntropy

Goal = dict[str, object]
Whole = NDArray[np.int64]
SCALE = 4
STEPS = 64


def laplace_chance(y: int) -> float:
    return tanh(1 / (2 * SCALE)) * exp(-abs(y) / SCALE)


NORMALISER = sum(exp(-(y**2) / (2 * SCALE**2)) for y in range(-400, 401))


def gaussian_chance(y: int) -> float:
    return exp(-(y**2) / (2 * SCALE**2)) / NORMALISER


def p_value(drawn: Whole, chance: Callable[[int], float]) -> float:
    """Chi-square of draws; values expected fewer than 20 times are pooled."""
    expected = {y: chance(y) * len(drawn) for y in range(-400, 401)}
    common = np.array([y for y, often in expected.items() if often >= 20])
    seen = np.bincount(drawn - drawn.min(), minlength=801)
    counts = [int(seen[y - drawn.min()]) if y >= drawn.min() else 0 for y in common]
    often = [expected[int(y)] for y in common]
    counts.append(len(drawn) - sum(counts))
    often.append(max(len(drawn) - sum(often), 1e-9))
    return float(stats.chisquare(counts, np.array(often) * len(drawn) / sum(often)).pvalue)


def opendp_noise(make: Callable[..., Callable[[list[int]], list[int]]]) -> Callable[[int], Whole]:
    """The peer's noise: of zeros, ``size`` at once."""
    is_laplace = make is dp.m.make_laplace
    space = (
        dp.vector_domain(dp.atom_domain(T="i64")),
        dp.l1_distance(T="i64") if is_laplace else dp.l2_distance(T=float),
    )
    measure = make(*space, scale=float(SCALE))
    return lambda size: np.array(measure([0] * size), np.int64)


def per_second(draws: dict[Callable[[int], Whole], int], rounds: int) -> list[float]:
    """The best rate of each, taken in turn so that all have the machine as it is."""
    best = dict.fromkeys(draws, 0.0)
    for _ in range(rounds):
        for draw, size in draws.items():
            began = time.perf_counter()
            draw(size)
            best[draw] = max(best[draw], size / (time.perf_counter() - began))
    return list(best.values())


def samplers(quick: bool) -> list[Goal]:
    dp.enable_features("contrib")
    pool = NoisePool(SystemEntropy())
    size, theirs_size = (10**6, 20_000) if quick else (10**7, 100_000)
    goals = []
    for name, ours, make, chance in (
        ("Laplace", pool.discrete_laplace, dp.m.make_laplace, laplace_chance),
        ("Gaussian", pool.discrete_gaussian, dp.m.make_gaussian, gaussian_chance),
    ):
        theirs = opendp_noise(make)

        def draw(size: int, ours: Callable[..., Whole] = ours) -> Whole:
            return ours(SCALE, size=size)

        seeded = getattr(
            NoisePool(SeededEntropy(7)), f"discrete_{name.lower()}"
        )  # no luck of the day
        p, their_p = p_value(seeded(SCALE, size=size), chance), p_value(theirs(theirs_size), chance)
        if their_p < 1e-6:
            raise AssertionError(f"{name}: OpenDP's draws are of another distribution, p {their_p}")
        rounds = 2 if quick else 5

        def draw_wide(size: int, ours: Callable[..., Whole] = ours) -> Whole:
            return ours(SCALE << 28, size=size)

        slow, fast, wide = per_second({theirs: theirs_size, draw: 10**6, draw_wide: 10**6}, rounds)
        goals += [
            {**result(f"G7 discrete {name}, chi-square of {size:,} draws", p, 1e-3, "p"), "measured": round(p, 4)},
            {
                **result(f"G7 discrete {name} over OpenDP", fast / slow, 50, "x"),
                "peer": f"{1e6 / slow:.1f} us a draw, ours {1e9 / fast:.0f} ns ({1e9 / wide:.0f} ns at scale 2**30)",
                "ratio": round(fast / slow),
            },
        ]  # fmt: skip
        print(
            f"{name}: p {p:.3f} (OpenDP {their_p:.3f}), {1e9 / fast:.0f} ns, OpenDP {1e9 / slow:.0f}"
        )
    return goals


def accounting() -> list[Goal]:
    """The specification's table, by the accountant from the formulas of 4.7, and by ours."""
    f = [1.0]
    for k in range(1, STEPS):
        f.append(f[-1] * (2 * k - 1) / (2 * k))
    norm = sqrt(sum(one * one for one in f))
    worst = 0.0
    for sigma in (4, 8, 12, 16):
        plan = PrivacyPlan(sigma=sigma, people_sigma=None)
        found = cost(plan, 2)
        for ours, sensitivity in ((found.add_remove_micro, sqrt(2)), (found.replace_micro, 2)):
            accountant = PLDAccountant()
            accountant.compose(dp_accounting.GaussianDpEvent(sigma / (sensitivity * norm)))
            worst = max(worst, abs(ours / MICRO - accountant.get_epsilon(1e-6)))
        told = f"{found.add_remove_micro / MICRO:.2f} / {found.replace_micro / MICRO:.2f}"
        print(f"sigma {sigma}: epsilon {told} (add/remove / replace)")
    return [
        {
            **result("G7 epsilon, difference from dp-accounting", worst, 1e-4, "", at_most=True),
            "measured": float(f"{worst:.1e}"),
        }
    ]


def tree_errors(pool: NoisePool, sigma: int, width: int) -> NDArray[np.float64]:
    """[steps, width] errors of the binary tree's running sums: one noise per dyadic interval."""
    nodes: dict[tuple[int, int], Whole] = {}
    errors = np.zeros((STEPS, width))
    for step in range(1, STEPS + 1):
        start = 0
        for level in reversed(range(step.bit_length())):
            if step >> level & 1:
                node = (level, start)
                if node not in nodes:
                    nodes[node] = pool.discrete_gaussian(sigma << 20, size=width)
                errors[step - 1] += nodes[node] / 2.0**20
                start += 1 << level
    return errors


def continual(quick: bool) -> list[Goal]:
    pool = NoisePool(SystemEntropy())
    width, sigma = (1000 if quick else 4000), 4
    sums = ContinualSum(steps=STEPS, sigma=sigma, units=(256,) * width, pool=pool)
    began = time.perf_counter()
    errors = np.array([sums.add((0,) * width) for _ in range(STEPS)]) / 256
    took_us = (time.perf_counter() - began) / STEPS / width * 1e6
    ours = column_norm(STEPS) * sqrt(float((errors**2).mean())) / sigma
    levels = STEPS.bit_length()  # nodes that a contribution is in: the norm of its column, squared
    tree = sqrt(levels) * sqrt(float((tree_errors(pool, sigma, width) ** 2).mean())) / sigma
    print(f"RMS at T = {STEPS}, equal cost: {ours:.3f}, tree {tree:.3f}; {took_us:.2f} us a sum")
    return [
        {
            **result(f"G7 continual RMS over a binary tree, T = {STEPS}", ours / tree, 0.5, "x", at_most=True),
            "measured": round(ours / tree, 3),
            "peer": f"{tree:.2f} sigma, ours {ours:.2f}",
        }
    ]  # fmt: skip


def neighbours(quick: bool) -> list[Goal]:
    """The largest distance of neighbouring logs over the bound that was said."""
    rng = np.random.default_rng(7)
    f = np.array(coefficients(STEPS), np.float64) / 2**20
    worst = 0.0
    for _ in range(500 if quick else 20_000):
        c = int(rng.integers(1, 6))
        x = np.zeros((STEPS, 4))
        for at in rng.integers(0, STEPS if rng.random() < 0.5 else 2, c):
            before, after = rng.integers(0, 4, 2)
            x[at, before] += 1
            x[at, after] -= 1
        released = np.array([np.convolve(f, column)[:STEPS] for column in x.T])
        worst = max(worst, float(np.linalg.norm(released)) / (sqrt(2) * c * column_norm(STEPS)))
    return [
        {
            **result("G7 neighbouring logs, distance over the sensitivity", worst, 1.0, "", at_most=True),
            "measured": round(worst, 6),
        }
    ]  # fmt: skip


def run(quick: bool) -> list[Goal]:
    """Measure, print, return the goals."""
    return [*samplers(quick), *accounting(), *continual(quick), *neighbours(quick)]
