"""Habits that no person has, told by name: they stay under every rate limit.

The model says how unusual somebody is; a habit says what he does, in words for an appeal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ringwork.gate.analyse.features import FEATURES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]
    Bools = NDArray[np.bool_]

AT: Final = {name: place for place, name in enumerate(FEATURES)}
CLICKS: Final = 20
"""Pages of which three fifths came within 150 ms (in a log of whole seconds: within the second)."""
IDS: Final = 20
SEQUENTIAL: Final = 0.7
READ_PAGES: Final = 60
READ_S: Final = 12 * 3600
SLEEP_S: Final = 86_400
"""Whoever goes on without one pause of half an hour in a day does not sleep."""
STEADY: Final = 0.6
"""Variation of the times between requests. People's is above 1, a Poisson process has 1."""


@dataclass(frozen=True, slots=True)
class Habit:
    """A name, what it says, whom it holds of, and the figure to show for one row."""

    name: str
    says: str
    holds: Callable[[Rows], Bools]
    shows: Callable[[NDArray[np.float32]], str]
    weight: float = 0.6


def _pages(rows: Rows) -> NDArray[np.float32]:
    return np.asarray(rows[:, AT["requests"]] * (1 - rows[:, AT["asset_share"]]))


def _clicks_too_fast(rows: Rows) -> Bools:
    return np.asarray((_pages(rows) >= CLICKS) & (rows[:, AT["fast_click_share"]] >= 0.6))


def _walks_along_ids(rows: Rows) -> Bools:
    entities = _pages(rows) * rows[:, AT["entity_share"]]
    return np.asarray((entities >= IDS) & (rows[:, AT["sequential_share"]] >= SEQUENTIAL))


def _reads_patiently(rows: Rows) -> Bools:
    pages, duration_s = _pages(rows), rows[:, AT["duration_s"]]
    # Hardly a page twice. The count is an estimate, and beyond 1,000 pages its bits are full.
    is_new = (rows[:, AT["distinct_share"]] >= 0.8) | (pages > 1_000)
    pauses = rows[:, AT["gap_share_11"]] * (rows[:, AT["requests"]] - 1)
    tireless = (pauses < 1) & (duration_s >= SLEEP_S)
    steady = rows[:, AT["gap_variation"]] <= STEADY
    return np.asarray(
        (pages >= READ_PAGES) & (duration_s >= READ_S) & is_new
        & (rows[:, AT["asset_share"]] <= 0.05) & (tireless | steady)
    )  # fmt: skip


HABITS: Final = (
    Habit(
        "impossible-click-speed",
        "page after page within 150 ms",
        _clicks_too_fast,
        lambda row: f"{row[AT['fast_click_share']]:.0%} of clicks within 150 ms",
    ),
    Habit(
        "sequential-ids",
        "one number after the next",
        _walks_along_ids,
        lambda row: f"{row[AT['sequential_share']]:.0%} of ids follow the one before",
    ),
    Habit(
        "patient-reader",
        "reads on and on, never twice, never asleep",
        _reads_patiently,
        lambda row: (
            f"{row[AT['distinct_share']]:.0%} new pages in {row[AT['duration_s']] / 3600:.0f} h, "
            f"times between them vary by {row[AT['gap_variation']]:.1f}"
        ),
    ),
)
