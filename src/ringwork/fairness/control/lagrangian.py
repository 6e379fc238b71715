"""The cheapest shift that keeps delivery within the band: Newton's method on the dual, pure.

Over what is left of a flight: maximise value within the budget, such that the deviation at the end,
what was delivered and what is to come, lies within ``tau`` for every attribute. The dual variables
are the pace mu (value per price) and the prices lambda of the shares; an opportunity is worth
``value - lambda . (share - eligible) + tau * range(lambda) - mu * price``. Prices to beat are
log-normal by cluster, so the expectation has a closed form (Black 1976). ``range`` is max minus
min, the support function of the variance ball; it is smoothed to be differentiable.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.control.model import Floats, spans
from ringwork.fairness.control.response import normal_cdf

SMOOTH: Final = 0.03
RIDGE: Final = 3e-4
"""Draws prices to zero; at a price of 3 it gives .6 points of deviation away."""
STEP_MOST: Final = 0.5
ROUNDS: Final = 25
ROUNDS_BOUNDED: Final = 150
"""Where prices are bounded there may be no shift that reaches the band: on the way to the bound,
prices of one attribute hide what another's do, and stopping there may steer the wrong way."""
DONE: Final = 1e-4


class Problem(Struct, frozen=True, kw_only=True):
    """What is left of a flight, by cell; everything per opportunity that is left."""

    blocks: tuple[int, ...]
    weight: Floats
    """[n] share of the opportunities; sums to one."""
    value: Floats
    """[n]"""
    excess: Floats
    """[A, n] group share minus eligible share, of who would be won."""
    log_price: Floats
    """[n] mean of the log price to beat."""
    price_spread: float
    budget: float
    carried: Floats
    """[A] impressions already delivered too much, per opportunity left."""
    delivered: float
    """Impressions already delivered, per opportunity left."""
    tau: Floats
    """[attributes]"""
    price_most: float
    """Prices stay within it: where no shift reaches the band, more of them only costs."""


class Solution(Struct, frozen=True, kw_only=True):
    """The dual optimum."""

    prices: Floats
    """[A], each attribute's summing to zero."""
    pace: float
    rebate: float
    """tau * range(lambda), summed over attributes: every impression makes room for deviation."""


def solve(problem: Problem, prices: Floats, pace: float) -> Solution:
    """From a start to the optimum, or as near as some damped steps come: the next call goes on.

    Prices at their bound wait while the others move (projected Newton, Bertsekas 1982): where the
    band cannot be reached, the deviation is made as small as bearable prices allow.
    """
    size, most = len(prices), problem.price_most
    point = np.append(np.clip(_centred(problem.blocks, prices), -most, most), np.log(pace))
    value, gradient, hessian = _dual(problem, point)
    damping = 1e-4
    for _ in range(ROUNDS if np.isinf(most) else ROUNDS_BOUNDED):
        lifted = hessian + np.diag(damping * (1 + np.diag(hessian)))
        free = ~_pushes_out(point, gradient, most)
        step = np.zeros(size + 1)
        step[free] = np.linalg.solve(lifted[np.ix_(free, free)], gradient[free])
        longest = float(np.abs(step).max())
        if longest < DONE:
            break
        if longest > STEP_MOST:
            step *= STEP_MOST / longest
        candidate = point - step
        candidate[:size] = np.clip(candidate[:size], -most, most)
        found = _dual(problem, candidate)
        if found[0] < value:
            point = candidate
            value, gradient, hessian = found
            damping = max(damping * 0.3, 1e-7)
        else:
            damping = damping * 10 + 1e-5
            if damping > 1e3:
                break
    final = _centred(problem.blocks, point[:size])
    rebate = sum(
        float(tau * (final[span].max() - final[span].min()))
        for span, tau in zip(spans(problem.blocks), problem.tau, strict=True)
    )
    return Solution(prices=final, pace=float(np.exp(point[size])), rebate=rebate)


def _pushes_out(point: Floats, gradient: Floats, most: float) -> NDArray[np.bool_]:
    """Prices at their bound that descent would take further: they wait, and others move on."""
    out = (point >= most) & (gradient < 0) | (point <= -most) & (gradient > 0)
    out[-1] = False  # the pace has no bound
    return out


def unsteered(problem: Problem, pace: float) -> Solution:
    """No prices: the pace alone is solved for."""
    size = len(problem.carried)
    point = np.append(np.zeros(size), np.log(pace))
    for _ in range(ROUNDS):
        _, gradient, hessian = _dual(problem, point)
        step = gradient[size] / max(hessian[size, size], 1e-9)
        if abs(step) < DONE:
            break
        point[size] -= float(np.clip(step, -STEP_MOST, STEP_MOST))
    return Solution(prices=np.zeros(size), pace=float(np.exp(point[size])), rebate=0.0)


def unsteered_spend(weight: Floats, value: Floats, log_price: Floats, spread: float) -> float:
    """Spend per opportunity of an ad that bids its value everywhere."""
    scaled = (np.log(value) - log_price) / spread
    paid = np.exp(log_price + spread * spread / 2) * normal_cdf(scaled - spread)
    return float(paid @ weight)


def brought(problem: Problem, solution: Solution) -> Floats:
    """[A] mean excess of the impressions that the solution wins."""
    worth = problem.value - solution.prices @ problem.excess + solution.rebate
    scaled = np.log(np.maximum(worth, 1e-9) / solution.pace) - problem.log_price
    chance = np.where(worth > 1e-9, normal_cdf(scaled / problem.price_spread), 0.0)
    weight = chance * problem.weight
    mean: Floats = problem.excess @ weight / max(float(weight.sum()), 1e-12)
    return mean


def _centred(blocks: tuple[int, ...], prices: Floats) -> Floats:
    """Shares of an attribute sum to one, so a constant in its prices changes nothing."""
    out = prices.copy()
    for span in spans(blocks):
        out[span] -= out[span].mean()
    return out


def _dual(problem: Problem, point: Floats) -> tuple[float, Floats, Floats]:
    """The dual function, its gradient and Hessian in (lambda, log mu)."""
    size = len(point) - 1
    prices, pace = point[:size], float(np.exp(point[size]))
    rebate, slope, bend = _ranges(problem, prices)
    worth = problem.value - prices @ problem.excess + rebate
    is_bid = worth > 1e-9
    worth = np.where(is_bid, worth, 1e-9)
    spread = problem.price_spread
    scaled = (np.log(worth / pace) - problem.log_price) / spread
    chance = np.where(is_bid, normal_cdf(scaled), 0.0) * problem.weight
    mean = np.exp(problem.log_price + spread * spread / 2)
    paid = np.where(is_bid, mean * normal_cdf(scaled - spread), 0.0) * problem.weight
    density = np.exp(-0.5 * np.minimum(scaled * scaled, 60.0)) * 0.3989422804014327
    density = np.where(is_bid, density / (spread * worth), 0.0) * problem.weight
    moves = slope[:, None] - problem.excess
    wins, spent, delivered = float(chance.sum()), float(paid.sum()), problem.delivered
    value = (
        float(worth @ chance)
        - pace * spent
        + pace * problem.budget
        - float(prices @ problem.carried)
        + delivered * rebate
        + RIDGE / 2 * float(prices @ prices)
    )
    gradient = np.empty(size + 1)
    gradient[:size] = moves @ chance - problem.carried + delivered * slope + RIDGE * prices
    gradient[size] = pace * (problem.budget - spent)
    hessian = np.empty((size + 1, size + 1))
    hessian[:size, :size] = (moves * density) @ moves.T + (wins + delivered) * bend
    hessian[:size, :size] += RIDGE * np.eye(size)
    cross = -(moves @ (density * worth))
    hessian[:size, size] = hessian[size, :size] = cross
    hessian[size, size] = gradient[size] + float((density * worth) @ worth)
    return value, gradient, hessian


def _ranges(problem: Problem, prices: Floats) -> tuple[float, Floats, Floats]:
    """Sum of tau * smoothed range, its gradient [A] and Hessian [A, A]."""
    total = 0.0
    slope = np.zeros(len(prices))
    bend = np.zeros((len(prices), len(prices)))
    for span, tau in zip(spans(problem.blocks), problem.tau, strict=True):
        if not tau:
            continue
        part = prices[span]
        up = np.exp((part - part.max()) / SMOOTH)
        down = np.exp((part.min() - part) / SMOOTH)
        size = len(part)
        total += tau * float(
            part.max() - part.min() + SMOOTH * (np.log(up.sum() / size) + np.log(down.sum() / size))
        )
        up, down = up / up.sum(), down / down.sum()
        slope[span] = tau * (up - down)
        bend[span, span] = (tau / SMOOTH) * (
            np.diag(up + down) - np.outer(up, up) - np.outer(down, down)
        )
    return total, slope, bend
