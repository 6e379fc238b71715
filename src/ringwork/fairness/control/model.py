"""What every controller takes and gives. A controller sees releases only: nothing of a person.

Groups of all attributes are laid out one after the other in one vector of ``A`` dimensions (sex 2,
race 4: A = 6); ``AdContext.blocks`` says where each begins. A ``Shift`` is a vector of prices
lambda: an opportunity whose viewer belongs to the groups with chances ``q`` is worth
``lambda . (q - e)`` less, in units of the ad's mean value (specification 4.8: the Lagrangian of a
constraint on shares is an additive shift).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class AdContext(Struct, frozen=True, kw_only=True):
    """What is known of an ad before it runs."""

    ad_id: str
    blocks: tuple[int, ...]
    """Groups per attribute, in the order of the plan: (2, 4)."""
    eligible: Vector
    """[A] eligible shares; each block sums to one. A group of share 0 is left out of control."""
    expected_impressions: int
    tau: float
    """The band: variance of every attribute is to end within it."""
    minimum_impressions: int


class Measurement(Struct, frozen=True, kw_only=True):
    """One release, filtered: the best knowledge of where an ad stands."""

    impressions: int
    progress: float
    """Of the flight, in [0, 1]: by budget or impressions, whichever is further."""
    spent: float
    """Share of the budget."""
    deviation: Vector
    """[A] delivered minus eligible share so far, de-attenuated: posterior mean."""
    covariance: NDArray[np.float64]
    """[A, A] of ``deviation``."""
    proxy_deviation: Vector
    """[A] the same as the proxy shows it."""
    rate_deviation: Vector
    """[A] deviation of what is being delivered now, under the present shift: posterior mean."""


class Shift(Struct, frozen=True, kw_only=True):
    """What the auction applies until the next release."""

    values: Vector
    """[A] lambda, in units of the ad's mean value."""
    is_multiplier: bool = False
    """Scale the value by exp(-lambda . (q - e)) instead of taking lambda . (q - e) from it."""
    reason: str = ""


class Controller(Protocol):
    """Steers one kind of way. Deterministic: equal calls give equal shifts."""

    name: str

    def start(self, ad: AdContext) -> Any:  # its own state, opaque to all others
        """The state of an ad that has delivered nothing."""
        ...

    def step(self, state: Any, measured: Measurement) -> tuple[Any, Shift]:
        """The state and the shift after a release."""
        ...
