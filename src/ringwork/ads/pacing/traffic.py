"""How many opportunities are still to come: the forecast, corrected by what really came.

Traffic over forecast has a level that lasts (the forecast is 40 % too high) and deviations that
pass (a news event, an outage). The level is the median ratio of the last half-hours, which a shock
of two hours does not move; the deviation of the last minutes is expected to fade, as slowly as
earlier ones did: where the forecast has the wrong shape they last, and count for more.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

BLOCK_S: Final = 1_800
_BLOCKS_KEPT: Final = 48
"""A day."""
_PRIOR_BLOCKS: Final = 2
"""Half-hours for which a forecast's own level counts; three that say otherwise outvote it."""
_KNOWN_BLOCKS: Final = _PRIOR_BLOCKS + 1
"""Half-hours that a level found before counts for: just enough to outvote the forecast's own."""
_RECENT_S: Final = 900
"""Time constant of the recent ratio."""
_RECENT_OPPORTUNITIES: Final = 20.0
"""A recent ratio from fewer is mostly chance, and shrunk to the level."""
_LASTING: Final = 0.6
"""Correlation of one half-hour's deviation with the next: a shock is expected to last an hour."""
_LASTING_UNKNOWN: Final = 0.9
"""Without a forecast the traffic of now is the best guess for the next five hours."""
_LASTING_EVIDENCE: Final = 3.0
"""Squared log-ratios for which those guesses count; a 3x shock of an hour is 2.4."""
_LASTING_LIMITS: Final = (0.1, 0.99)
_DEVIATION_MAX: Final = 1.2
"""Of a log-ratio, in judging how deviations last: an outage is a 3x shock downwards, not more."""


class Curve(Protocol):
    """Expected opportunities, in whichever scale: a level is learned."""

    def between(self, start_s: float, end_s: float) -> float:
        """In [start_s, end_s); 0 where nothing is expected."""


class Flat:
    """One opportunity a minute: no forecast."""

    def between(self, start_s: float, end_s: float) -> float:
        """Its minutes."""
        return max(end_s - start_s, 0.0) / 60.0


class Traffic(Struct, frozen=True, array_like=True):
    """What came beside what was forecast."""

    is_forecast: bool
    block_began_s: float
    lasting_s: float
    """How long a deviation lasts."""
    level: float = 1.0
    block_opportunities: float = 0.0
    block_expected: float = 0.0
    recent_opportunities: float = 0.0
    recent_expected: float = 0.0
    log_ratios: tuple[float, ...] = ()
    """Of the last half-hours, oldest first."""

    @classmethod
    def unseen(cls, start_s: float, *, is_forecast: bool, level: float | None = None) -> Traffic:
        """Before the start: as the forecast says, or at one a minute where there is none.

        ``level``: what traffic over forecast was found to be before.
        """
        traffic = cls(is_forecast, start_s, _lasting_s((), 1.0, is_forecast=is_forecast))
        if level is None:
            return traffic
        return replace(traffic, level=level, log_ratios=(math.log(level),) * _KNOWN_BLOCKS)

    def observed(self, opportunities: int, expected: float, seen_s: float, now_s: float) -> Traffic:
        """After an interval in which the forecast expected so many."""
        fading = math.exp(-(now_s - seen_s) / _RECENT_S)
        came = self.block_opportunities + opportunities
        due = self.block_expected + expected
        is_full = now_s - self.block_began_s >= BLOCK_S
        after = replace(
            self,
            block_began_s=now_s if is_full else self.block_began_s,
            block_opportunities=0.0 if is_full else came,
            block_expected=0.0 if is_full else due,
            recent_opportunities=self.recent_opportunities * fading + opportunities,
            recent_expected=self.recent_expected * fading + expected,
        )
        is_scaled = self.is_forecast or bool(self.log_ratios)
        if due <= 0.0 or (is_scaled and not is_full):
            return after
        # One opportunity more on either side: a block of none has a logarithm too. Without a
        # forecast the first half-hour tells the scale, so that there is no other side yet.
        ratio = math.log((came + 1.0) / (due + (1.0 / self.level if is_scaled else 0.0)))
        log_ratios = (*self.log_ratios, ratio)[-_BLOCKS_KEPT:]
        level = math.exp(_median((0.0,) * _PRIOR_BLOCKS * self.is_forecast + log_ratios))
        if not is_full:
            return replace(after, level=level)
        lasting_s = _lasting_s(log_ratios, level, is_forecast=self.is_forecast)
        return replace(after, level=level, log_ratios=log_ratios, lasting_s=lasting_s)

    def ahead(self, curve: Curve, now_s: float, end_s: float) -> float:
        """Opportunities expected from now to the end."""
        prior = _RECENT_OPPORTUNITIES / self.level
        recent = (self.recent_opportunities + _RECENT_OPPORTUNITIES) / (
            self.recent_expected + prior
        )
        until_s = min(now_s + self.lasting_s, end_s)
        deviation = (recent - self.level) * curve.between(now_s, until_s)
        return self.level * curve.between(now_s, end_s) + deviation


def _lasting_s(log_ratios: tuple[float, ...], level: float, *, is_forecast: bool) -> float:
    """From the correlation r of neighbours: the sum of its fading, r + r^2 + ..., as a time."""
    guess = _LASTING if is_forecast else _LASTING_UNKNOWN
    middle = math.log(level)
    apart = [max(min(ratio - middle, _DEVIATION_MAX), -_DEVIATION_MAX) for ratio in log_ratios]
    together = math.fsum(one * later for one, later in pairwise(apart))
    alone = math.fsum(one * one for one in apart[:-1])
    low, high = _LASTING_LIMITS
    share = (guess * _LASTING_EVIDENCE + together) / (_LASTING_EVIDENCE + alone)
    return -BLOCK_S / math.log(min(max(share, low), high))


def _median(numbers: tuple[float, ...]) -> float:
    ordered = sorted(numbers)
    half = len(ordered) // 2
    return (ordered[half] + ordered[-half - 1]) / 2.0
