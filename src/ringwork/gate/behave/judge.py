"""Rows of features to reasons: which habits somebody has, and what the model says of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ringwork.gate.analyse.features import FEATURES
from ringwork.gate.behave.habits import AT, HABITS
from ringwork.gate.behave.walker import Walker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ringwork.gate.behave.model import Model

MODEL_RULE: Final = "behaviour"
MODEL_WEIGHT: Final = 0.5
REQUESTS_MIN: Final = 5
"""Of fewer requests nothing is said."""
SHOWN: Final = 3


class Judged(NamedTuple):
    """One reason against one row. ``weight`` is what it takes of the doubt (``verdicts.score``)."""

    row: int
    rule: str
    shows: str
    weight: float


class Judge:
    """Habits always, and a model where there is one."""

    def __init__(self, model: Model | None = None) -> None:
        self._model = model
        self._walker = None if model is None else Walker(model)

    def reasons(self, rows: NDArray[np.float32]) -> list[Judged]:
        """What there is against float32[rows, 40], row by row of each habit, then of the model."""
        enough = rows[:, AT["requests"]] >= REQUESTS_MIN
        out = [
            Judged(row, habit.name, habit.shows(rows[row]), habit.weight)
            for habit in HABITS
            for row in np.flatnonzero(enough & habit.holds(rows)).tolist()
        ]
        if self._model is None or self._walker is None:
            return out
        scores = self._walker.scores(rows)
        above = np.flatnonzero(enough & (scores > self._model.calibration.threshold))
        for row in above.tolist():
            moved = self._walker.reasons(rows[row])
            top = np.argsort(-moved, kind="stable")[:SHOWN]
            told = ", ".join(
                f"{FEATURES[one]} {rows[row, one]:.3g}" for one in top if moved[one] > 0
            )
            out.append(Judged(row, MODEL_RULE, f"score {scores[row]:.3f}: {told}", MODEL_WEIGHT))
        return out
