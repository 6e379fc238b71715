"""Offline reinforcement learning over ``dual``: how near to the band's edge to aim, step by step.

The form that Meta describes (arXiv 2306.03293): what a controller did is logged, and a policy is
fitted to the log, without touching live delivery. A step is a decision epoch; the state is what a
controller sees (``FEATURES``); the action is the safety margin of ``dual`` (its quantile: 0 stops
at the edge, infinity aims at zero); the reward is minus the missed reduction target, at the end,
minus ``COST_WEIGHT`` times the value lost for the money.

Fitted Q iteration on totally randomised trees (Ernst, Geurts and Wehenkel, JMLR 2005, section 4.4):
the trees do not depend on the targets, so the iteration is an average over leaves, and converges.
Off-policy values are by fitted Q evaluation (Le, Voloshin and Yue, ICML 2019) on flights that the
policy was not fitted to; on the behaviour policy itself they must meet what really came.
"""

from __future__ import annotations

import itertools
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
TREES: Final = 40
LEAF_LEAST: Final = 60
ROUNDS: Final = 200
"""Twice the steps of the longest flight; with 80 the behaviour policy's value is off by a tenth."""
PRIOR_WEIGHT: Final = 0.5
"""Visits of a leaf, whatever the action, that an action's own are drawn towards: enough for an
action that has none, and little, since what it adds is the behaviour policy's value."""


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


class Transitions(Struct, frozen=True):
    """The log as arrays; a flight's last visit is only where its last transition ends."""

    state: Floats
    action: NDArray[np.int64]
    reward: Floats
    after: Floats
    is_last: NDArray[np.bool_]
    is_first: NDArray[np.bool_]


def transitions(visits: Sequence[Visit]) -> Transitions:
    """Of visits in order, flight after flight. ValueError where no flight has two."""
    states, actions, rewards, afters, lasts, firsts = [], [], [], [], [], []
    for _, one in itertools.groupby(visits, key=lambda visit: visit.flight):
        flight = list(one)
        for number, (now, then) in enumerate(itertools.pairwise(flight)):
            is_last = number == len(flight) - 2
            states.append(now.state)
            afters.append(then.state)
            actions.append(now.action)
            rewards.append(
                -COST_WEIGHT * (then.lost - now.lost) - (then.missed if is_last else 0.0)
            )
            lasts.append(is_last)
            firsts.append(number == 0)
    if not states:
        raise ValueError("log: expected flights of at least two visits, got none")
    return Transitions(
        np.array(states),
        np.array(actions),
        np.array(rewards),
        np.array(afters),
        np.array(lasts),
        np.array(firsts),
    )


def fit(log: Transitions, *, seed: int = 1, rounds: int = ROUNDS) -> Policy:
    """Fitted Q iteration: the greedy policy of the last round."""
    forest = _Forest(log, seed)
    return forest.policy(forest.iterate(lambda q: q.max(axis=1), rounds))


def evaluate(
    log: Transitions,
    chooses: Callable[[Floats], NDArray[np.float64]],
    *,
    seed: int = 2,
    rounds: int = ROUNDS,
) -> Floats:
    """[flights] value of a policy from each flight's first state, by fitted Q evaluation.

    ``chooses``: states [n, d] -> chances of the actions [n, actions].
    """
    forest = _Forest(log, seed)
    chances = chooses(log.after)
    values = forest.iterate(lambda q: (q * chances).sum(axis=1), rounds)
    firsts = log.state[log.is_first]
    q = forest.read(values, forest.trees.leaves(firsts))
    found: Floats = (q * chooses(firsts)).sum(axis=1)
    return found


def always(action: int) -> Callable[[Floats], NDArray[np.float64]]:
    """The policy that does one thing."""
    return lambda states: np.tile(np.eye(len(ACTIONS))[action], (len(states), 1))


def at_random(states: Floats) -> NDArray[np.float64]:
    """The behaviour policy."""
    return np.full((len(states), len(ACTIONS)), 1 / len(ACTIONS))


def greedy(policy: Policy) -> Callable[[Floats], NDArray[np.float64]]:
    """What the fitted policy does."""
    tables = [np.array(one) for one in policy.values]

    def chooses(states: Floats) -> NDArray[np.float64]:
        leaves = policy.leaves(states)
        total = np.sum([table[row] for table, row in zip(tables, leaves, strict=True)], axis=0)
        found: Floats = np.eye(len(ACTIONS))[total.argmax(axis=1)]
        return found

    return chooses


class _Forest:
    """Trees over the states of a log, and the iteration over their leaves."""

    def __init__(self, log: Transitions, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._log = log
        grown = [_grown(log.state, rng) for _ in range(TREES)]
        self.trees = Policy(
            feature=[one[0] for one in grown],
            threshold=[one[1] for one in grown],
            child=[one[2] for one in grown],
            values=[],
        )
        self._at = self.trees.leaves(log.state)
        self._then = self.trees.leaves(log.after)
        self._sizes = [int(row.max()) + 1 for row in self._at]

    def iterate(self, worth: Callable[[Floats], Floats], rounds: int) -> list[Floats]:
        """[trees] of [leaves, actions]: ``rounds`` times ``target = reward + worth(Q(after))``."""
        log, actions = self._log, len(ACTIONS)
        values = [np.zeros((size, actions)) for size in self._sizes]
        for _ in range(rounds):
            then = worth(self.read(values, self._then))
            target = log.reward + np.where(log.is_last, 0.0, then)
            for tree, (row, size) in enumerate(zip(self._at, self._sizes, strict=True)):
                cell = row * actions + log.action
                sums = np.bincount(cell, target, size * actions).reshape(size, actions)
                counts = np.bincount(cell, minlength=size * actions).reshape(size, actions)
                mean = sums.sum(axis=1) / np.maximum(counts.sum(axis=1), 1)
                values[tree] = (sums + PRIOR_WEIGHT * mean[:, None]) / (counts + PRIOR_WEIGHT)
        return values

    def read(self, values: Sequence[Floats], leaves: NDArray[np.int64]) -> Floats:
        """[n, actions] means over the trees."""
        out: Floats = np.mean(
            [table[row] for table, row in zip(values, leaves, strict=True)], axis=0
        )
        return out

    def policy(self, values: Sequence[Floats]) -> Policy:
        """With these values."""
        return Policy(
            feature=self.trees.feature,
            threshold=self.trees.threshold,
            child=self.trees.child,
            values=[table.tolist() for table in values],
        )


def _grown(states: Floats, rng: np.random.Generator) -> tuple[list[int], list[float], list[int]]:
    """One totally randomised tree: feature, threshold, child."""
    feature, threshold, child = [-1], [0.0], [0]
    leaves = 0
    todo = [(0, np.arange(len(states)))]
    while todo:
        node, rows = todo.pop()
        inside = states[rows]
        low, high = inside.min(axis=0), inside.max(axis=0)
        split = np.flatnonzero(high > low)
        if len(rows) < 2 * LEAF_LEAST or not len(split):
            child[node] = leaves
            leaves += 1
            continue
        which = int(rng.choice(split))
        # Between two of the node's own values, so that rare extremes do not take all the splits.
        quantile = rng.uniform(0.2, 0.8)
        cut = float(np.quantile(inside[:, which], quantile))
        right = inside[:, which] > cut
        if not 0 < right.sum() < len(rows):
            cut = float((low[which] + high[which]) / 2)
            right = inside[:, which] > cut
        feature[node], threshold[node], child[node] = which, cut, len(feature)
        for side in (~right, right):
            todo.append((len(feature), rows[side]))
            feature.append(-1)
            threshold.append(0.0)
            child.append(0)
    return feature, threshold, child
