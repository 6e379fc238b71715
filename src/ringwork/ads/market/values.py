"""What an impression is worth to a bidder: distributions to draw from and to reason with."""

from __future__ import annotations

from math import exp, log
from statistics import NormalDist
from typing import Final, Protocol

import numpy as np
from msgspec import Struct

from ringwork.ads.market.rows import Floats

_SIGMAS: Final = 8.0
"""A grid of a log-normal ends where less than 1e-15 of it is left."""


class Values(Protocol):
    """A distribution of non-negative values per click."""

    def draw(self, generator: np.random.Generator, count: int) -> Floats:
        """That many independent values."""
        ...

    def grid(self, points: int) -> Floats:
        """Ascending points over where the values lie."""
        ...

    def cdf(self, values: Floats) -> Floats:
        """The probability of at most each value."""
        ...


class Uniform(Struct, frozen=True):
    """Values between ``low`` and ``high``, each as likely: the textbook's case."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.low < self.high < np.inf:
            raise ValueError(f"0 <= low < high is wanted, not {self.low} and {self.high}")

    def draw(self, generator: np.random.Generator, count: int) -> Floats:
        return generator.uniform(self.low, self.high, count)

    def grid(self, points: int) -> Floats:
        return np.linspace(self.low, self.high, points)

    def cdf(self, values: Floats) -> Floats:
        return np.clip((values - self.low) / (self.high - self.low), 0.0, 1.0)


class LogNormal(Struct, frozen=True):
    """Values whose logarithm is normal, as prices of impressions are: half below ``median``."""

    median: float
    sigma: float

    def __post_init__(self) -> None:
        if not (0.0 < self.median < np.inf and 0.0 < self.sigma < np.inf):
            raise ValueError(f"positive numbers are wanted, not {self.median} and {self.sigma}")

    def draw(self, generator: np.random.Generator, count: int) -> Floats:
        return generator.lognormal(log(self.median), self.sigma, count)

    def grid(self, points: int) -> Floats:
        logs = np.linspace(-_SIGMAS, _SIGMAS, points) * self.sigma
        return self.median * np.exp(logs)

    def cdf(self, values: Floats) -> Floats:
        normal = NormalDist(log(self.median), self.sigma)
        least = exp(log(self.median) - 2 * _SIGMAS * self.sigma)  # no logarithm of 0
        return np.array([normal.cdf(one) for one in np.log(np.maximum(values, least))])
