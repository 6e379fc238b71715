"""What offline learning gains: the ablation, with values on flights that were not learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from ringwork.fairness.control import fitted, rl
from ringwork.fairness.control.model import Floats


class Valued(Struct, frozen=True):
    """A policy's value: mean return of a flight, 0 at best."""

    policy: str
    value: float
    error: float
    """Standard error over flights; the fit's own error is not in it."""
    realised: float | None = None
    """What came, where the log is this policy's own: the off-policy check."""


def ablation(visits: Sequence[rl.Visit], *, folds: int = 2, seed: int = 3) -> list[Valued]:
    """The learned policy beside every constant action and the behaviour policy, cross-fitted.

    ValueError for a log of fewer than two flights.
    """
    flights = list(dict.fromkeys(one.flight for one in visits))
    if len(flights) < 2:
        raise ValueError(f"log: expected two flights or more, got {len(flights)}")
    rng = np.random.default_rng(seed)
    names = ["behaviour", "learned", *(f"margin {one:g}" for one in rl.ACTIONS)]
    names[2 + rl.TUNED] += " (dual)"
    values: list[list[Floats]] = [[] for _ in names]
    realised = []
    for _ in range(folds):
        half = set(rng.permutation(flights)[: len(flights) // 2].tolist())
        parts = [
            fitted.transitions([one for one in visits if (one.flight in half) is is_in])
            for is_in in (True, False)
        ]
        for learn, test in (parts, parts[::-1]):
            policies = [fitted.at_random, fitted.greedy(fitted.fit(learn))]
            policies += [fitted.always(action) for action in range(len(rl.ACTIONS))]
            for number, chooses in enumerate(policies):
                values[number].append(fitted.evaluate(test, chooses))
            realised.append(np.add.reduceat(test.reward, np.flatnonzero(test.is_first)))
    found = [
        Valued(name, *_mean(np.concatenate(of), folds))
        for name, of in zip(names, values, strict=True)
    ]
    truly = float(np.concatenate(realised).mean())
    return [Valued(found[0].policy, found[0].value, found[0].error, truly), *found[1:]]


def _mean(values: Floats, folds: int) -> tuple[float, float]:
    return float(values.mean()), float(values.std() / np.sqrt(len(values) / folds))
