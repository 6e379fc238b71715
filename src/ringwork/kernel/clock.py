"""Clocks: the system's, a scaled one for demo worlds, and one that tests move by hand."""

from __future__ import annotations

import time


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    monotonic_ns = staticmethod(time.monotonic_ns)
    """The function itself: limits read it on every request, where a call around it would show."""

    def wall_us(self) -> int:
        return time.time_ns() // 1000


class ScaledClock:
    """Wall time at ``speed`` from ``world_start_us`` until ``world_end_us``, then in real time.

    Server and world build the same clock from the same four numbers, so they agree without talking.
    The mapping is from the machine's wall clock (shared by processes), forced to never go back
    within one process. Durations stay real: ``monotonic_ns`` is not scaled.
    """

    __slots__ = ("_end", "_last", "_real_start", "_speed", "_start")

    def __init__(
        self, *, real_start_us: int, world_start_us: int, world_end_us: int, speed: int
    ) -> None:
        self._real_start = real_start_us
        self._start = world_start_us
        self._end = world_end_us
        self._speed = speed
        self._last = world_start_us

    def wall_us(self) -> int:
        elapsed = time.time_ns() // 1000 - self._real_start
        fast = (self._end - self._start) // self._speed
        now = (
            self._start + elapsed * self._speed if elapsed < fast else self._end + (elapsed - fast)
        )
        self._last = max(self._last, now)
        return self._last

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class ManualClock:
    """Stands still until a test moves it.

    ``wall_us`` may be set back, ``monotonic_ns`` never goes back.
    """

    __slots__ = ("_monotonic_ns", "_wall_us")

    def __init__(self, wall_us: int = 1_764_158_400_000_000) -> None:
        self._wall_us = wall_us
        self._monotonic_ns = 0

    def wall_us(self) -> int:
        return self._wall_us

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def advance_us(self, step_us: int) -> None:
        """Move both clocks forward."""
        self._wall_us += step_us
        self._monotonic_ns += step_us * 1000

    def set_wall_us(self, wall_us: int) -> None:
        """Set wall time alone, also backwards: what an operator or NTP does to a machine."""
        self._wall_us = wall_us
