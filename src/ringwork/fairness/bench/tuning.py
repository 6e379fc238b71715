"""Sweeps of the simple controllers' gains on the tuning seeds; what is reported has other seeds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from ringwork.fairness.bench.contest import TUNING_SEEDS, market, played
from ringwork.fairness.bench.model import Make
from ringwork.fairness.bench.simulator import Privacy
from ringwork.fairness.bench.table import Run, Score, score
from ringwork.fairness.control import make_controller

Gains = Mapping[str, float]

GRIDS: Final[Mapping[str, Sequence[Gains]]] = {
    "multiplier": [
        {"proportional": p, "integral": p * ratio}
        for p, ratio in itertools.product((24.0, 48.0, 96.0, 192.0, 384.0), (0.0, 1.0, 3.0))
    ],
    "pid": [
        {"proportional": p, "integral": p * ratio}
        for p, ratio in itertools.product((24.0, 48.0, 96.0, 192.0, 384.0), (0.0, 1.0, 3.0))
    ],
    "mirror": [
        {"eta": eta, "band": band}
        for eta, band in itertools.product((1.0, 2.0, 3.0, 5.0, 10.0), (0.0, 0.5))
    ],
}


class Tried(Struct, frozen=True):
    """One point of a sweep."""

    gains: dict[str, float]
    score: Score


def held(score: Score) -> float:
    """Mean of the coverages at 5 % of single attributes: what gains are chosen by."""
    rows = [
        one.truth or 0.0
        for one in score.coverage
        if one.threshold == 0.05 and one.attribute != "intersection"
    ]
    return sum(rows) / len(rows)


def sweep(
    name: str,
    make: Make,
    privacy: Privacy,
    *,
    seeds: Sequence[int] = TUNING_SEEDS,
    ads: int | None = None,
    grid: Sequence[Gains] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> list[Tried]:
    """Every point of the grid over all seeds. KeyError for a controller without a grid."""
    markets = [market(make, seed, ads=ads) for seed in seeds]
    free = [played(one, {"none": None}, privacy)["none"] for one in markets]
    tried = []
    for gains in GRIDS[name] if grid is None else grid:
        one = make_controller(name, **gains)
        runs = [
            Run(
                world=where.world,
                outcomes=played(where, {name: one}, privacy, progress=progress)[name],
                uncontrolled=before,
            )
            for where, before in zip(markets, free, strict=True)
        ]
        tried.append(Tried(dict(gains), score(runs, bounds=False)))
    return tried


def best_of(tried: Sequence[Tried], *, slack: float = 0.02) -> Tried:
    """The cheapest of those whose coverage is the highest, or within ``slack`` of it."""
    highest = max(held(one.score) for one in tried)
    return min(
        (one for one in tried if held(one.score) >= highest - slack),
        key=lambda one: one.score.cost,
    )
