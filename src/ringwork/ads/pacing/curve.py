"""What traffic to expect: a profile by minute of the week that learns, and the forecast it gives.

One profile serves all campaigns of a placement or site; a pacer learns its own level on top, so
that a forecast in the right shape and the wrong scale does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

DAY_MINUTES: Final = 1_440
WEEK_MINUTES: Final = 7 * DAY_MINUTES

_WEEK_KEPT: Final = 0.7
"""Of an older week's weight when a week has passed: the last three weeks are most of a profile."""
_NEAR_MINUTES: Final = 15
"""Traffic is alike within a quarter of an hour on either side; single minutes are noise."""
_DAY_WEIGHT: Final = 0.1
"""Weeks for which the same minute of other days counts where this day was little seen."""
_MEAN_WEIGHT: Final = 0.02
"""Days for which the mean counts where the minute was seen on no day."""
_SPREAD_MAX_S: Final = 3_600.0
"""A longer interval says when nothing came by the minute; it is counted in equal parts."""

Floats = npt.NDArray[np.float64]


class Forecast(Struct, frozen=True, array_like=True):
    """Expected opportunities, by the minute, of a period that repeats from 1970 on (UTC).

    >>> by_day = Forecast.of_minutes([1.0] * 720 + [3.0] * 720)
    >>> by_day.between(11 * 3600, 13 * 3600)
    240.0
    """

    cumulated: tuple[float, ...]
    """Before minute 0, 1, ... of the period; the last is the whole period's."""

    @classmethod
    def of_minutes(cls, expected: Iterable[float]) -> Forecast:
        """From the expectation of every minute of a day, a week, or any period.

        ValueError: none, or numbers that are negative, infinite or NaN.
        """
        minutes = [float(one) for one in expected]
        if not minutes or not all(math.isfinite(one) and one >= 0.0 for one in minutes):
            raise ValueError("a forecast is at least one number, each finite and not negative")
        return cls(tuple(accumulate(minutes, initial=0.0)))

    def between(self, start_s: float, end_s: float) -> float:
        """Opportunities expected in [start_s, end_s), seconds since 1970; 0 if that is empty."""
        return self._before(end_s) - self._before(start_s) if end_s > start_s else 0.0

    def only(self, is_open: Iterable[bool]) -> Forecast:
        """The same for a campaign that runs in some minutes of the period (dayparting).

        ValueError unless there is one answer for every minute.
        """
        minutes = np.diff(self.cumulated)
        mask = np.fromiter(is_open, dtype=bool)
        if mask.size != minutes.size:
            raise ValueError(f"{mask.size} answers for a period of {minutes.size} minutes")
        return Forecast.of_minutes(np.where(mask, minutes, 0.0).tolist())

    def _before(self, time_s: float) -> float:
        minutes = len(self.cumulated) - 1
        periods, inside_s = divmod(time_s, minutes * 60.0)
        minute = min(int(inside_s // 60.0), minutes - 1)
        low, high = self.cumulated[minute], self.cumulated[minute + 1]
        part = (inside_s - minute * 60.0) / 60.0
        return periods * self.cumulated[-1] + low + (high - low) * part


class ProfileState(Struct, frozen=True, array_like=True):
    """A profile at rest: two numbers for every minute of the week, little-endian doubles."""

    came: bytes
    weeks: bytes
    aged_s: float


class TrafficProfile:
    """Opportunities by minute of the week, learned while they come; a fold of what it observes.

    Older weeks count less. A minute that was seldom seen borrows from its neighbours, from the same
    minute of other days, and from the mean, in this order.
    """

    def __init__(self) -> None:
        self._came: Floats = np.zeros(WEEK_MINUTES)
        self._weeks: Floats = np.zeros(WEEK_MINUTES)
        self._aged_s = 0.0

    def observe(self, start_s: float, end_s: float, opportunities: int) -> None:
        """So many came in [start_s, end_s), evenly as far as anyone knows.

        ValueError: an empty interval or one longer than an hour, or a negative count.
        """
        if not (math.isfinite(start_s) and 0.0 < end_s - start_s <= _SPREAD_MAX_S):
            raise ValueError(f"an interval is up to an hour, not from {start_s!r} to {end_s!r}")
        if opportunities < 0:
            raise ValueError(f"opportunities are a count, not {opportunities}")
        self._age(start_s)
        per_s = opportunities / (end_s - start_s)
        minute = math.floor(start_s / 60.0)
        while minute * 60.0 < end_s:
            seconds = min(end_s, (minute + 1) * 60.0) - max(start_s, minute * 60.0)
            self._came[minute % WEEK_MINUTES] += per_s * seconds
            self._weeks[minute % WEEK_MINUTES] += seconds / 60.0
            minute += 1

    def forecast(self) -> Forecast | None:
        """What it expects of every week to come; None while it has seen nothing."""
        seen = float(self._weeks.sum())
        if not seen:
            return None
        mean = float(self._came.sum()) / seen
        came, weeks = _near(self._came), _near(self._weeks)
        day_came = came.reshape(7, DAY_MINUTES).sum(axis=0)
        day_weeks = weeks.reshape(7, DAY_MINUTES).sum(axis=0)
        day = (day_came + _MEAN_WEIGHT * mean) / (day_weeks + _MEAN_WEIGHT)
        expected = (came + _DAY_WEIGHT * np.tile(day, 7)) / (weeks + _DAY_WEIGHT)
        return Forecast.of_minutes(expected.tolist())

    def dump(self) -> ProfileState:
        """The state, for a snapshot."""
        return ProfileState(
            self._came.astype("<f8").tobytes(), self._weeks.astype("<f8").tobytes(), self._aged_s
        )

    @classmethod
    def restored(cls, state: ProfileState) -> TrafficProfile:
        """The profile of a dumped state; ValueError where that is not one."""
        profile = cls()
        profile._came, profile._weeks = _minutes(state.came), _minutes(state.weeks)
        profile._aged_s = state.aged_s
        return profile

    def _age(self, now_s: float) -> None:
        """Older weeks fade once a day, so that equal observations give equal states."""
        days = math.floor(now_s / 86_400.0) - math.floor(self._aged_s / 86_400.0)
        if self._aged_s and days > 0:
            kept = _WEEK_KEPT ** (days / 7.0)
            self._came *= kept
            self._weeks *= kept
        self._aged_s = max(self._aged_s, now_s)


def _minutes(raw: bytes) -> Floats:
    if len(raw) != 8 * WEEK_MINUTES:
        raise ValueError(f"a profile has {WEEK_MINUTES} minutes of 8 bytes, not {len(raw)} bytes")
    return np.frombuffer(raw, dtype="<f8").astype(np.float64)


def _near(minutes: Floats) -> Floats:
    """The mean of every minute and its neighbours, around the end of the week."""
    padded = np.concatenate([minutes[-_NEAR_MINUTES:], minutes, minutes[:_NEAR_MINUTES]])
    width = 2 * _NEAR_MINUTES + 1
    return np.convolve(padded, np.full(width, 1.0 / width), mode="valid")
