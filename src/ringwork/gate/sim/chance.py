"""Chance through the Entropy port: one seed, one world, one month, one table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ringwork.kernel.ports import Entropy


def generator(entropy: Entropy) -> np.random.Generator:
    """NumPy's generator, seeded by 32 bytes of the port."""
    return np.random.Generator(np.random.PCG64(int.from_bytes(entropy.take(32), "little")))


def lognormal(
    rng: np.random.Generator, median: float, sigma: float, size: int
) -> NDArray[np.float64]:
    """Sizes as people's are: many small, few huge."""
    return np.asarray(median * np.exp(sigma * rng.standard_normal(size)))
