"""Offline reinforcement learning over ``dual``: how near to the band's edge to aim, step by step.

The form that Meta describes (arXiv 2306.03293): what a controller did is logged, and a policy is
fitted to the log, without touching live delivery. A step is a decision epoch; the state is what a
controller sees (``FEATURES``); the action is the safety margin of ``dual`` (its quantile: 0 stops
at the edge, infinity aims at zero); the reward is minus the missed reduction target, at the end,
minus ``COST_WEIGHT`` times the value lost for the money.

What it is fitted by: ``fitted``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.control.dual import Dual, DualState
from ringwork.fairness.control.model import AdContext, Floats, Measurement, Shift, spans
from ringwork.fairness.control.steering import VALUE_MIDDLES
from ringwork.fairness.control.watch import Watch

ACTIONS: Final = (0.0, 2.0, 4.0, 8.0, float("inf"))
"""Quantiles of ``dual``."""
TUNED: Final = 2
"""The action that ``dual`` always takes."""
COST_WEIGHT: Final = 1.0
"""Value lost, as a share, that one whole tau beyond the band is worth."""
FEATURES: Final = (
    "progress",
    "log_expected",
    "variance_first",
    "variance_last",
    "error_first",
    "error_last",
    "price_range",
    "budget_ahead",
    "time_left",
    "volatility",
)


class Visit(Struct, frozen=True):
    """One line of the log: where a flight stood, what was done."""

    flight: str
    state: tuple[float, ...]
    action: int
    chance: float
    """With which the behaviour policy took the action."""
    missed: float
    """Variance beyond tau, in units of tau, summed over attributes."""
    lost: float
    """So far, of the value that the money would have bought by the forecast, as a share."""


class Policy(Struct, frozen=True):
    """A fitted policy: totally randomised trees, and the value of every action in each leaf."""

    feature: list[list[int]]
    """[trees][nodes]; -1 for a leaf."""
    threshold: list[list[float]]
    child: list[list[int]]
    """The left one; the right one follows it. In leaves the row of ``values``."""
    values: list[list[list[float]]]
    """[trees][leaves][actions]"""

    def action(self, state: Sequence[float]) -> int:
        """The best one."""
        total = np.zeros(len(ACTIONS))
        for tree, leaf in enumerate(self.leaves(np.array([state]))[:, 0]):
            total += self.values[tree][leaf]
        return int(total.argmax())

    def leaves(self, states: Floats) -> NDArray[np.int64]:
        """[trees, n] rows of ``values``."""
        out = np.zeros((len(self.feature), len(states)), np.int64)
        everyone = np.arange(len(states))
        for tree, row in enumerate(out):
            feature = np.array(self.feature[tree])
            threshold, child = np.array(self.threshold[tree]), np.array(self.child[tree])
            at = np.zeros(len(states), np.int64)
            while (inner := feature[at] >= 0).any():
                goes_right = states[everyone, np.maximum(feature[at], 0)] > threshold[at]
                at = np.where(inner, child[at] + goes_right, at)
            row[:] = child[at]
        return out


class LearnedState(Struct):
    """What goes on from step to step."""

    watch: Watch
    dual: DualState
    flight: str
    draws: np.random.Generator
    budget: float = 0.0
    opportunities: float = 0.0
    value_per_price: float = 1.0
    previous: Floats = np.zeros(0)
    volatility: float = 0.0


class Learned:
    """``dual`` with its margin chosen by a policy; without a policy it is ``dual``.

    ``explore``: the behaviour policy, actions at random; ``log`` takes every visit.
    """

    name = "rl"

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        explore: int | None = None,
        log: Callable[[Visit], None] | None = None,
        run: str = "",
    ) -> None:
        self._policy, self._explore, self._log, self._run = policy, explore, log, run
        self._duals = [Dual(quantile=quantile) for quantile in ACTIONS]

    def start(self, ad: AdContext) -> LearnedState:
        watch = Watch.of(ad)
        seed = [self._explore or 0, zlib.crc32(f"{self._run}/{ad.ad_id}".encode())]
        return LearnedState(
            watch=watch,
            dual=self._duals[TUNED].start(ad),
            flight=f"{self._run}/{ad.ad_id}",
            draws=np.random.default_rng(seed),
            previous=np.zeros(len(watch.eligible)),
        )

    def step(self, state: LearnedState, measured: Measurement) -> Shift:
        visit = self._visit(state, measured)
        if self._explore is not None:
            action, chance = int(state.draws.integers(len(ACTIONS))), 1 / len(ACTIONS)
        elif self._policy is not None:
            action, chance = self._policy.action(visit.state), 1.0
        else:
            action, chance = TUNED, 1.0
        if self._log is not None:
            self._log(Visit(visit.flight, visit.state, action, chance, visit.missed, visit.lost))
        return self._duals[action].step(state.dual, measured)

    def _visit(self, state: LearnedState, measured: Measurement) -> Visit:
        ad = state.watch.ad
        if not state.budget:
            state.budget, state.opportunities = measured.budget_left, measured.opportunities_left
        deviation = state.watch.deviation(measured)
        change = float(np.abs(deviation - state.previous).max())
        state.volatility += 0.3 * (change - state.volatility)
        state.previous = deviation
        variances = [0.5 * float(np.abs(deviation[span]).sum()) for span in spans(ad.blocks)]
        errors = [0.0] * len(ad.blocks)
        if measured.release is not None:
            diagonal = np.sqrt(np.maximum(np.diag(measured.release.covariance), 0.0))
            errors = [0.5 * float(diagonal[span].sum()) for span in spans(ad.blocks)]
        prices = state.dual.prices
        spent = (state.budget - measured.budget_left) / state.budget
        left = measured.opportunities_left / state.opportunities
        value = float(measured.traffic.wins.sum(axis=0) @ VALUE_MIDDLES)
        return Visit(
            flight=state.flight,
            state=(
                measured.impressions / max(ad.expected_impressions, 1.0),
                float(np.log(max(ad.expected_impressions, 1.0))),
                variances[0],
                variances[-1],
                errors[0],
                errors[-1],
                max(float(np.ptp(prices[span])) for span in spans(ad.blocks)),
                spent - (1 - left),
                left,
                state.volatility,
            ),
            action=TUNED,
            chance=1.0,
            missed=sum(max(0.0, one - ad.tau) / ad.tau for one in variances),
            lost=spent - value / max(ad.expected_impressions * _usual(measured), 1e-9),
        )


def _usual(measured: Measurement) -> float:
    """Mean value of the upper seventh of opportunities: about what an unsteered ad wins."""
    counts = measured.traffic.opportunities.sum(axis=0)[::-1]
    taken = np.minimum(np.cumsum(counts), counts.sum() / 7)
    each = np.diff(taken, prepend=0.0)
    return float(each @ VALUE_MIDDLES[::-1] / max(float(each.sum()), 1e-9))
