"""The packaged normal draws, and the hash that every model record of the log carries."""

from __future__ import annotations

import hashlib
import struct
from functools import cache
from importlib.resources import files
from typing import Final

from ringwork.fairness.measure.lattice import DIMENSIONS, POINTS, UNIT

DRAWS_SHA256: Final = "93a8d7d48c454ab4621ac86e5cf6e8c5d2e3b0d817ce56200b8519d7a42484be"
"""Of the file ``draws.bin``, which ``lattice.made`` writes."""


@cache
def normal_draws(dimensions: int) -> tuple[tuple[float, ...], ...]:
    """``POINTS`` draws of a standard normal vector.

    ValueError for more than ``DIMENSIONS``, or where the file is not the one of the hash.
    """
    if not 1 <= dimensions <= DIMENSIONS:
        raise ValueError(f"expected 1 to {DIMENSIONS} dimensions, got {dimensions}")
    numbers = struct.unpack(f"<{POINTS * DIMENSIONS}i", _file())
    return tuple(
        tuple(one / UNIT for one in numbers[at : at + dimensions])
        for at in range(0, POINTS * DIMENSIONS, DIMENSIONS)
    )


@cache
def _file() -> bytes:
    found = (files("ringwork.fairness.measure") / "draws.bin").read_bytes()
    came = hashlib.sha256(found).hexdigest()
    if came != DRAWS_SHA256:
        raise ValueError(f"draws.bin: expected SHA-256 {DRAWS_SHA256}, got {came}")
    return found
