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
from typing import Final

import numpy as np
from msgspec import Struct, field
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


class ContinualState(Struct, kw_only=True):
    """All of a stream, to be stored. ``increments`` are exact: they never leave the enclave."""

    steps: int
    sigma: str
    """A fraction: "4" or "283/50"."""
    units: tuple[int, ...]
    increments: list[tuple[int, ...]] = field(default_factory=list)
    released: list[tuple[int, ...]] = field(default_factory=list)
    """w per step: public, and all that later answers are made of."""

    def __repr__(self) -> str:
        return f"ContinualState(steps={self.steps}, released={len(self.released)})"


class ContinualSum:
    """The noisy running sums of one stream, several coordinates at once.

    A coordinate counts in ``units``: 1 for people, 256 for posteriors in 256ths. ``sigma`` is the
    noise of a step on a coordinate whose unit is one, and is scaled with the unit; so a
    contribution of norm one costs the same whatever its unit. A float is read as it is written:
    5.66 is 283/50. A step is drawn once: after a crash ``restore`` takes the released values from
    the log, and asking again gives the same bytes.

    ValueError for no steps, no coordinates, or more of them than the bounds.
    """

    __slots__ = ("_pool", "_sigma", "_state")

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
        self._sigma = Fraction(str(sigma))
        self._state = ContinualState(steps=steps, sigma=str(self._sigma), units=tuple(units))

    @classmethod
    def of(cls, state: ContinualState, pool: NoisePool) -> ContinualSum:
        """A stream that goes on where ``state`` was stored."""
        stream = cls(steps=state.steps, sigma=Fraction(state.sigma), units=state.units, pool=pool)
        stream._state = state
        return stream

    @property
    def state(self) -> ContinualState:
        return self._state

    @property
    def step(self) -> int:
        """How many steps are released."""
        return len(self._state.released)

    @property
    def released(self) -> Sequence[tuple[int, ...]]:
        """Per released step its w: what an event keeps."""
        return self._state.released

    def add(self, increment: Sequence[int]) -> list[int]:
        """Release one more step: the noisy running sums after it, in the coordinates' units.

        ``increment`` is what was added since the last step. Refused (budget-spent) after the last
        declared step; ValueError for another width, a negative sum, or one beyond 2**40.
        """
        state = self._state
        if self.step == state.steps:
            raise Refused(
                "budget-spent",
                f"expected at most {state.steps} releases, as declared; all are made",
                status=SLUGS["budget-spent"][0],
            )
        self._check(increment)
        exact = self._grid_values([*state.increments, tuple(increment)])
        noise = [0] * len(exact)
        for unit in sorted(set(state.units)):
            places = [at for at, one in enumerate(state.units) if one == unit]
            drawn = self._pool.discrete_gaussian(
                self._sigma * unit * 2**GRID_BITS, size=len(places)
            )
            for at, value in zip(places, drawn.tolist(), strict=True):
                noise[at] = value
        self.restore(increment, [x + z for x, z in zip(exact, noise, strict=True)])
        return self.prefix_sums(self.step)

    def restore(self, increment: Sequence[int], values: Sequence[int]) -> None:
        """Take a step as it was released (from the log), with what was added in it."""
        assert self.step < self._state.steps, "a log holds no more steps than were declared"
        assert len(values) == len(self._state.units)
        self._check(increment)
        self._state.increments.append(tuple(increment))
        self._state.released.append(tuple(values))

    def prefix_sums(self, step: int) -> list[int]:
        """The noisy running sums after a released step, rounded to the coordinates' units.

        Nothing is drawn: the same step gives the same numbers for ever. ValueError for a step that
        was not released.
        """
        if not 1 <= step <= self.step:
            raise ValueError(f"step: expected 1 to {self.step}, got {step}")
        g = _inverse(self._state.steps)
        bits = _INVERSE_BITS + GRID_BITS
        half = 1 << (bits - 1)
        columns = zip(*self._state.released[:step], strict=True)
        return [
            (sum(g[step - 1 - k] * w for k, w in enumerate(column)) + half) >> bits
            for column in columns
        ]

    def noise_covariance(self, steps: Sequence[int] | None = None) -> NDArray[np.float64]:
        """[n, n] covariance between released running sums, of a coordinate whose unit is one.

        Multiply by the unit's square for another. Default: all steps released so far.
        """
        these = range(1, self.step + 1) if steps is None else steps
        return noise_covariance(float(self._sigma), list(these), of=self._state.steps)

    def _check(self, increment: Sequence[int]) -> None:
        width = len(self._state.units)
        if len(increment) != width or min(increment) < 0:
            raise ValueError(f"increment: expected {width} sums from 0 up, got {len(increment)}")
        columns = zip(*self._state.increments, tuple(increment), strict=True)
        if max(map(sum, columns)) > SUM_MAX:
            raise ValueError("increment: expected sums up to 2**40 over all steps")

    def _grid_values(self, increments: Sequence[tuple[int, ...]]) -> list[int]:
        """(C x) of the newest step, in grid steps."""
        f = coefficients(self._state.steps)
        newest = len(increments) - 1
        return [
            sum(f[newest - k] * x for k, x in enumerate(column))
            for column in zip(*increments, strict=True)
        ]
