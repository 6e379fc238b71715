"""Which special category an ad is of, that was declared as none: a linear model over its text.

One logistic regression a category over the features of ``text``, trained from labelled examples of
our own that are packaged with it (``train``). It reads text only: what a picture or a film says,
and the page behind the ad, it does not know. A score over the threshold of the rules holds an ad
for a person; it decides nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Final, get_args

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.hec.rules import Rules
from ringwork.fairness.hec.text import BUCKETS, Features
from ringwork.kernel.screening import AdContent, SpecialAdCategory, Suspicion

CATEGORIES: Final[tuple[SpecialAdCategory, ...]] = get_args(SpecialAdCategory)
TOP: Final = 5
"""Features that an explanation names."""
SCALE: Final = 16
"""Weights are kept as eight-bit integers, in sixteenths."""


class Weights(Struct, frozen=True, kw_only=True):
    """A trained model. ``columns``: of every category, int8 [BUCKETS], in ``SCALE``-ths."""

    version: str
    """The first digits of the SHA-256 of the examples and the lexicon that it was trained from."""
    biases: tuple[float, ...]
    columns: tuple[bytes, ...]

    def column(self, number: int) -> NDArray[np.int8]:
        """The weights of one category."""
        return np.frombuffer(self.columns[number], np.int8)


class Detector:
    """Scores ads. Immutable: one may serve all requests."""

    def __init__(self, weights: Weights) -> None:
        """ValueError for weights of another shape."""
        sizes = {len(one) for one in weights.columns}
        if len(weights.columns) != len(CATEGORIES) or sizes != {BUCKETS}:
            raise ValueError(f"expected {len(CATEGORIES)} columns of {BUCKETS}, got {sizes}")
        self.version = weights.version
        self._biases = weights.biases
        self._columns = [weights.column(number) for number in range(len(CATEGORIES))]

    def scores_ppm(self, content: AdContent) -> tuple[int, ...]:
        """How likely the ad is of each of ``CATEGORIES``, in 1e-6."""
        features = Features(content)
        return tuple(self._score(number, features)[0] for number in range(len(CATEGORIES)))

    def suspect(self, content: AdContent, rules: Sequence[Rules]) -> tuple[Suspicion, ...]:
        """The categories whose score reaches the lowest threshold of the rules, likeliest first."""
        features = Features(content)
        found = []
        for number, category in enumerate(CATEGORIES):
            thresholds = [
                one.detection.thresholds_ppm[category]
                for one in rules
                if category in one.categories
            ]
            if not thresholds:
                continue
            score_ppm, top = self._score(number, features)
            if score_ppm >= min(thresholds):
                found.append(
                    Suspicion(
                        category=category,
                        score_ppm=score_ppm,
                        threshold_ppm=min(thresholds),
                        features=top,
                    )
                )
        return tuple(sorted(found, key=lambda one: -one.score_ppm))

    def _score(self, number: int, features: Features) -> tuple[int, tuple[str, ...]]:
        column = self._columns[number]
        shares = [
            (value * int(column[at]) / SCALE, name) for at, (value, name) in features.found.items()
        ]
        logit = self._biases[number] + math.fsum(share for share, _ in shares)
        top = sorted((one for one in shares if one[0] > 0), key=lambda one: (-one[0], one[1]))
        return round(1e6 * sigmoid(logit)), tuple(name for _, name in top[:TOP])


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-x)) by additions and multiplications alone: the same on every machine."""
    x = -min(max(logit, -30.0), 30.0)
    halvings = 8
    x /= 2**halvings
    e = 1.0
    for degree in range(9, 0, -1):
        e = 1.0 + x * e / degree
    for _ in range(halvings):
        e *= e
    return 1.0 / (1.0 + e)


@cache
def packaged() -> Detector:
    """The detector that comes with the package."""
    kept = files("ringwork.fairness") / "presets" / "detector" / "weights.msgpack"
    return Detector(msgspec.msgpack.decode(kept.read_bytes(), type=Weights))
