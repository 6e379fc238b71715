"""Trees walked by our own code: whole batches in NumPy, one row in plain Python.

Both add the leaves of the trees in their order in float64, and give the same number.
"""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ringwork.gate.analyse.features import FEATURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ringwork.gate.behave.model import Model, Tree

Node = Any
"""A leaf's value, or (feature, threshold, node to the left, node to the right)."""
_FAR: Final = 700.0
"""Log-odds beyond which exp would overflow."""
CHUNK: Final = 8_192
"""Rows at once, so that the places in the trees stay in the cache."""


class Walker:
    """The scores of a model: probabilities by its own reckoning, which calibration makes use of."""

    def __init__(self, model: Model) -> None:
        self._roots = tuple(_nested(tree, 0) for tree in model.trees)
        sizes = [len(tree.feature) for tree in model.trees]
        self._first = np.cumsum([0, *sizes[:-1]])
        shift = np.repeat(self._first, sizes)

        def flat(name: str) -> NDArray[np.float64]:
            return np.array(
                [one for tree in model.trees for one in getattr(tree, name)], np.float64
            )

        self._feature = flat("feature").astype(np.int64)
        leaf = self._feature < 0
        here = np.arange(len(shift))
        # A leaf leads to itself, so that all rows can take as many steps as the deepest needs.
        self._left = np.where(leaf, here, flat("left").astype(np.int64) + shift)
        self._right = np.where(leaf, here, flat("right").astype(np.int64) + shift)
        self._threshold, self._value = flat("threshold"), flat("value")
        self._column = np.maximum(self._feature, 0)
        self._depth = max(_depth(tree) for tree in model.trees)

    def score(self, row: Sequence[float]) -> float:
        """One row of 40 numbers, in Python and without NumPy."""
        total = 0.0
        for root in self._roots:
            node = root
            while node.__class__ is tuple:
                node = node[2] if row[node[0]] <= node[1] else node[3]
            total += node
        return 1.0 / (1.0 + exp(-total if total > -_FAR else _FAR))

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """float64[rows] of float32[rows, 40]."""
        out = np.empty(len(rows))
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK].astype(np.float64)
            nodes = self._leaves(part)
            total = np.zeros(len(part))
            for tree in range(len(self._first)):  # in the order of ``score``: the same rounding
                total += self._value[nodes[:, tree]]
            out[start : start + CHUNK] = 1.0 / (1.0 + np.exp(-np.maximum(total, -_FAR)))
        return out

    def reasons(self, row: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each feature moved, float64[40] in log-odds, along the paths taken (Saabas 2014)."""
        out = np.zeros(len(FEATURES))
        nodes = self._first.copy()
        for _ in range(self._depth):
            column = self._column[nodes]
            goes_left = row[column].astype(np.float64) <= self._threshold[nodes]
            after = np.where(goes_left, self._left[nodes], self._right[nodes])
            np.add.at(out, column, self._value[after] - self._value[nodes])
            nodes = after
        return out

    def _leaves(self, rows: NDArray[np.float64]) -> NDArray[np.int64]:
        nodes = np.tile(self._first, (len(rows), 1))
        here = np.arange(len(rows))[:, None]
        for _ in range(self._depth):
            goes_left = rows[here, self._column[nodes]] <= self._threshold[nodes]
            nodes = np.where(goes_left, self._left[nodes], self._right[nodes])
        return nodes


def _nested(tree: Tree, at: int) -> Node:
    # From the last node to the first: children come after their parents, and nothing recurses.
    made: list[Node] = [0.0] * len(tree.feature)
    for node in range(len(tree.feature) - 1, at - 1, -1):
        feature = tree.feature[node]
        made[node] = (
            tree.value[node] if feature < 0 else
            (feature, tree.threshold[node], made[tree.left[node]], made[tree.right[node]])
        )  # fmt: skip
    return made[at]


def _depth(tree: Tree) -> int:
    depth = [0] * len(tree.feature)
    for node, feature in enumerate(tree.feature):
        if feature >= 0:
            for child in (tree.left[node], tree.right[node]):
                depth[child] = max(depth[child], depth[node] + 1)
    return max(depth)
