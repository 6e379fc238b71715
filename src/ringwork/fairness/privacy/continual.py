"""Running sums that are released step by step, with noise that hardly grows.

Factorisation mechanism with the square root of the prefix-sum matrix L (Fichtenberger, Henzinger,
Upadhyay, "Constant matters", ICML 2023): C is the lower-triangular Toeplitz matrix of f_0 = 1,
f_k = f_{k-1} (2k - 1)/(2k), so that C C = L. Step t releases w_t = (C x)_t + z_t, where x_t is what
was added in the step and z_t is fresh noise; the running sums are y = L C^-1 w.

Why w and not y: the noise of w is independent from step to step, so a step needs nothing of the
noise before it, and everything later, y with it, is computed from what was already published. What
has to survive a crash is the w that were released, and the data.

Exact: f_k is rounded to the grid of 2**-20, and w is a whole number of grid steps with discrete
Gaussian noise. y is computed with the inverse of the *rounded* C, so it has no bias.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from fractions import Fraction
from math import inf, isqrt, nextafter
from operator import mul
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.privacy.samplers import NoisePool
from ringwork.fairness.slugs import SLUGS
from ringwork.kernel.errors import Refused

GRID_BITS: Final = 20
STEPS_MAX: Final = 4096
WIDTH_MAX: Final = 4096
SUM_MAX: Final = 1 << 40
"""Of one coordinate over all steps, in its own units: w then fits a signed word."""
_INVERSE_BITS: Final = 60


@functools.cache
def coefficients(steps: int) -> tuple[int, ...]:
    """f_0 to f_{steps-1} in units of 2**-20, rounded half up; never increasing, never negative."""
    exact, found = Fraction(1), []
    for k in range(steps):
        if k:
            # Past some hundred steps the fraction is long; 2**-200 is far below half a grid step.
            exact = Fraction(round(exact * Fraction(2 * k - 1, 2 * k) * 2**200), 2**200)
        found.append(int(exact * 2**GRID_BITS + Fraction(1, 2)))
    return tuple(found)


def column_norm(steps: int) -> float:
    """Euclidean norm of the first column of C, rounded up: what one contribution costs at most."""
    squares = sum(f * f for f in coefficients(steps))
    return nextafter(isqrt(squares << 64) / 2 ** (GRID_BITS + 32), inf)


@functools.cache
def _inverse(steps: int) -> tuple[int, ...]:
    """The first column of L C^-1 in units of 2**-60: y_t is the sum of g_{t-k} w_k.

    A power series: 1 / ((1 - x) c(x)), by long division.
    """
    c = coefficients(steps)
    inverse, sums, total = [1 << _INVERSE_BITS], [1 << _INVERSE_BITS], 1 << _INVERSE_BITS
    for n in range(1, steps):
        inverse.append(-sum(c[k] * inverse[n - k] for k in range(1, n + 1)) >> GRID_BITS)
        total += inverse[-1]
        sums.append(total)
    return tuple(sums)


def noise_covariance(sigma: float, steps: Sequence[int], *, of: int) -> NDArray[np.float64]:
    """[n, n] covariance of the noise of one coordinate's running sums after ``steps``.

    Steps count from 1, up to ``of``; in squares of ``sigma``'s unit. Exact but for float rounding.
    """
    if not all(1 <= one <= of for one in steps):
        raise ValueError(f"expected steps from 1 to {of}, got {list(steps)}")
    g = np.array(_inverse(of), np.float64) / 2.0**_INVERSE_BITS
    rows = np.zeros((len(steps), of))
    for row, step in zip(rows, steps, strict=True):
        row[:step] = g[:step][::-1]
    return sigma**2 * (rows @ rows.T)


class ContinualState(Struct, frozen=True, kw_only=True):
    """All of a stream, to be stored. ``increments`` are exact: they never leave the enclave."""

    steps: int
    sigma: str
    """A fraction: "4" or "283/50"."""
    units: tuple[int, ...]
    increments: bytes
    """Per released step one row of int64, little-endian, a number per coordinate."""
    released: bytes
    """The same of w: public, and all that later answers are made of."""

    def __repr__(self) -> str:
        return f"ContinualState(steps={self.steps})"


class ContinualSum:
    """The noisy running sums of one stream, several coordinates at once.

    A coordinate counts in ``units``: 1 for people, 256 for posteriors in 256ths. ``sigma`` is the
    noise of a step on a coordinate whose unit is one, and is scaled with the unit; so a
    contribution of norm one costs the same whatever its unit. A float is read as it is written:
    5.66 is 283/50.

    A step is drawn once. Who releases it appends ``released[-1]`` to the log first and answers
    then; where that fails the step stays as it was drawn, and after a crash ``restore`` takes from
    the log what was released. Asking again gives the same bytes. A stream keeps 16 bytes per step
    and coordinate: 23 kB at the end of 64 steps of 23 sums.

    ValueError for no steps, no coordinates, or more of them than the bounds.
    """

    __slots__ = ("_increments", "_pool", "_released", "_sigma", "_steps", "_units")

    def __init__(
        self,
        *,
        steps: int,
        sigma: float | Fraction,
        pool: NoisePool,
        units: Sequence[int] = (1,),
    ) -> None:
        if not 1 <= steps <= STEPS_MAX:
            raise ValueError(f"steps: expected 1 to {STEPS_MAX}, got {steps}")
        if not 1 <= len(units) <= WIDTH_MAX or min(units) < 1:
            raise ValueError(f"units: expected 1 to {WIDTH_MAX} whole numbers from 1 up")
        self._pool = pool
        self._steps = steps
        self._sigma = Fraction(str(sigma))
        self._units = tuple(units)
        self._increments = np.empty((0, len(units)), np.int64)
        self._released = np.empty((0, len(units)), np.int64)

    @classmethod
    def of(cls, state: ContinualState, pool: NoisePool) -> ContinualSum:
        """A stream that goes on where ``state`` was stored."""
        stream = cls(steps=state.steps, sigma=Fraction(state.sigma), units=state.units, pool=pool)
        rows = (-1, len(state.units))
        stream._increments = np.frombuffer(state.increments, "<i8").reshape(rows).astype(np.int64)
        stream._released = np.frombuffer(state.released, "<i8").reshape(rows).astype(np.int64)
        return stream

    @property
    def state(self) -> ContinualState:
        """To be stored."""
        return ContinualState(
            steps=self._steps,
            sigma=str(self._sigma),
            units=self._units,
            increments=self._increments.astype("<i8").tobytes(),
            released=self._released.astype("<i8").tobytes(),
        )

    @property
    def step(self) -> int:
        """How many steps are released."""
        return len(self._released)

    @property
    def released(self) -> list[list[int]]:
        """Per released step its w: what an event keeps."""
        return self._released.tolist()

    def add(self, increment: Sequence[int]) -> list[int]:
        """Release one more step: the noisy running sums after it, in the coordinates' units.

        ``increment`` is what was added since the last step. Refused (budget-spent) after the last
        declared step; ValueError for another width, a negative sum, or one beyond 2**40.
        """
        if self.step == self._steps:
            raise Refused(
                "budget-spent",
                f"expected at most {self._steps} releases, as declared; all are made",
                status=SLUGS["budget-spent"][0],
            )
        rows = self._with(increment)
        # (C x) of the newest step: whole numbers, at most 2**20 times the sum of a column.
        f = np.array(coefficients(self._steps)[: len(rows)][::-1], np.int64)
        self.restore(increment, (f @ rows + self._noise()).tolist())
        return self.prefix_sums(self.step)

    def restore(self, increment: Sequence[int], values: Sequence[int]) -> None:
        """Take a step as it was released (from the log), with what was added in it."""
        assert self.step < self._steps, "a log holds no more steps than were declared"
        assert len(values) == len(self._units)
        self._increments = self._with(increment)
        self._released = np.vstack([self._released, np.array(values, np.int64)])

    def prefix_sums(self, step: int) -> list[int]:
        """The noisy running sums after a released step, rounded to the coordinates' units.

        Nothing is drawn: the same step gives the same numbers for ever. ValueError for a step that
        was not released.
        """
        if not 1 <= step <= self.step:
            raise ValueError(f"step: expected 1 to {self.step}, got {step}")
        g = _inverse(self._steps)[:step][::-1]
        bits = _INVERSE_BITS + GRID_BITS
        half = 1 << (bits - 1)
        return [
            (sum(map(mul, g, column)) + half) >> bits for column in self._released[:step].T.tolist()
        ]

    def noise_covariance(self, steps: Sequence[int] | None = None) -> NDArray[np.float64]:
        """[n, n] covariance between released running sums, of a coordinate whose unit is one.

        Multiply by the unit's square for another. Default: all steps released so far.
        """
        these = range(1, self.step + 1) if steps is None else steps
        return noise_covariance(float(self._sigma), list(these), of=self._steps)

    def _with(self, increment: Sequence[int]) -> NDArray[np.int64]:
        """The increments and one more."""
        width = len(self._units)
        if len(increment) != width or min(increment) < 0 or max(increment) > SUM_MAX:
            raise ValueError(f"increment: expected {width} sums from 0 to 2**40")
        rows: NDArray[np.int64] = np.vstack([self._increments, np.array(increment, np.int64)])
        if rows.sum(axis=0).max() > SUM_MAX:
            raise ValueError("increment: expected sums up to 2**40 over all steps")
        return rows

    def _noise(self) -> NDArray[np.int64]:
        """Of one step: a draw per coordinate, in grid steps."""
        units = np.array(self._units)
        noise = np.empty(len(units), np.int64)
        for unit in sorted(set(self._units)):
            places = np.flatnonzero(units == unit)
            sigma = self._sigma * unit * 2**GRID_BITS
            noise[places] = self._pool.discrete_gaussian(sigma, size=len(places))
        return noise
