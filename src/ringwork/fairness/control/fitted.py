"""Offline learning from logged visits: fitted Q iteration, and what a policy would be worth.

Fitted Q iteration on totally randomised trees (Ernst, Geurts and Wehenkel, JMLR 2005, section 4.4):
the trees do not depend on the targets, so the iteration is an average over leaves, and converges.
Off-policy values are by fitted Q evaluation (Le, Voloshin and Yue, ICML 2019) on flights that the
policy was not fitted to; on the behaviour policy itself they must meet what really came.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.control.model import Floats
from ringwork.fairness.control.rl import ACTIONS, COST_WEIGHT, Policy, Visit

TREES: Final = 40
LEAF_LEAST: Final = 60
ROUNDS: Final = 200
"""Twice the steps of the longest flight; with 80 the behaviour policy's value is off by a tenth."""
PRIOR_WEIGHT: Final = 0.5
"""Visits of a leaf, whatever the action, that an action's own are drawn towards: enough for an
action that has none, and little, since what it adds is the behaviour policy's value."""


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
