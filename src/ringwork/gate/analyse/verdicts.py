"""From what was found to what to do: scores between 0 and 1, and the rung of the ladder."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

VERDICTS: Final = ("ok", "watch", "challenge", "degrade", "block")
_FROM: Final = (0.0, 0.2, 0.5, 0.75, 0.9)
"""The score from which each verdict is given."""
CHALLENGE: Final = VERDICTS.index("challenge")


def score(overflows: Iterable[tuple[float, int]]) -> float:
    """The weights of what was found, each with how often, taken as independent evidence.

    One overflow leaves 1 - weight of the doubt; twice as many overflows of the same kind take the
    same share again, since they come from the same habit.
    """
    doubt = 1.0
    for weight, times in overflows:
        doubt *= (1.0 - weight) ** (1.0 + math.log2(times))
    return round(1.0 - doubt, 4)


def verdict(value: float, *, is_account: bool) -> str:
    """The rung for a score.

    Evidence from an address alone may challenge, never block: a carrier puts thousands of people
    behind one (gate specification 7.9).
    """
    rung = bisect_right(_FROM, value) - 1
    return VERDICTS[rung if is_account else min(rung, CHALLENGE)]
