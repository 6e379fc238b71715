"""Training with LightGBM (the only place that needs it): features and labels to a model.

A third of the people is held back: the model never sees them, and the threshold comes from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ringwork.gate.analyse.features import FEATURES
from ringwork.gate.behave.calibrate import calibrate
from ringwork.gate.behave.drift import reference_of
from ringwork.gate.behave.judge import REQUESTS_MIN
from ringwork.gate.behave.model import VERSION, Calibration, Model, Tree
from ringwork.gate.behave.walker import Walker
from ringwork.kernel.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

ROUNDS: Final = 48
PARAMETERS: Final = {
    "objective": "binary", "num_leaves": 6, "learning_rate": 0.12, "min_data_in_leaf": 5,
    "feature_fraction": 0.3, "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 5.0,
    "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbosity": -1,
}  # fmt: skip
"""Small trees, so that one row takes less than 8 microseconds in plain Python."""
LEAST: Final = 20
"""People and machines of each kind below which nothing can be learned."""


def fit(
    rows: NDArray[np.float32],
    is_bot: NDArray[np.bool_],
    *,
    alpha: float = 0.01,
    seed: int = 1,
    recipe: str = "",
) -> Model:
    """A model of float32[rows, 40] and bool[rows]; equal input gives equal bytes.

    Raises Refused (``calibration-too-small``) for too few people to prove ``alpha`` with.
    """
    for name, count in (("bots", int(is_bot.sum())), ("people", int((~is_bot).sum()))):
        if count < LEAST:
            raise Refused(
                "calibration-too-small",
                f"expected at least {LEAST} {name} with a label, got {count}",
                status=422,
            )
    people = np.flatnonzero(~is_bot)
    held = np.random.default_rng(seed).permutation(people)[: len(people) // 3]  # a split by seed
    is_held = np.zeros(len(rows), np.bool_)
    is_held[held] = True
    trees = train(rows[~is_held], is_bot[~is_held], seed=seed)
    nothing = Calibration(0.5, alpha, 0.5, 1, 1)
    reference = tuple(reference_of(rows[:, place]) for place in range(len(FEATURES)))
    model = Model(VERSION, FEATURES, recipe, trees, nothing, reference)
    found = calibrate(Walker(model).scores(rows[held]), alpha=alpha)
    return Model(VERSION, FEATURES, recipe, trees, found, reference)


def labelled(
    rows: NDArray[np.float32], names: Sequence[str], labels: Mapping[str, bool]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The rows of those who have a label and enough requests, and whether they are bots."""
    kept = [
        place
        for place, name in enumerate(names)
        if name in labels and rows[place, 0] >= REQUESTS_MIN
    ]
    return rows[kept], np.array([labels[names[place]] for place in kept], np.bool_)


def train(
    rows: NDArray[np.float32], is_bot: NDArray[np.bool_], *, seed: int = 1
) -> tuple[Tree, ...]:
    """The trees. Raises Refused (``training-unavailable``) where LightGBM is not installed."""
    try:
        import lightgbm  # noqa: PLC0415 # an extra, and seconds of import
    except ModuleNotFoundError:
        raise Refused(
            "training-unavailable", "training needs lightgbm: pip install lightgbm", status=501
        ) from None
    data = lightgbm.Dataset(rows.astype(np.float64), is_bot.astype(np.int8))
    booster = lightgbm.train({**PARAMETERS, "seed": seed}, data, ROUNDS)
    return tuple(_tree(one["tree_structure"]) for one in booster.dump_model()["tree_info"])


def _tree(root: dict[str, Any]) -> Tree:
    feature: list[int] = []
    threshold: list[float] = []
    left: list[int] = []
    right: list[int] = []
    value: list[float] = []

    def add(node: dict[str, Any]) -> int:
        at = len(feature)
        is_leaf = "leaf_value" in node
        feature.append(-1 if is_leaf else node["split_feature"])
        threshold.append(0.0 if is_leaf else node["threshold"])
        value.append(node["leaf_value"] if is_leaf else node["internal_value"])
        left.append(-1)
        right.append(-1)
        if not is_leaf:
            assert node["decision_type"] == "<="
            left[at], right[at] = add(node["left_child"]), add(node["right_child"])
        return at

    add(root)
    return Tree(tuple(feature), tuple(threshold), tuple(left), tuple(right), tuple(value))
