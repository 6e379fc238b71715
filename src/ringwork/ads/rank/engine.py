"""Which loops run: compiled where numba is installed (the extra ``fast``), else plain.

Both give the same bits, so a log learned with one is replayed by the other.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Weights = NDArray[np.float32]
    Keys = NDArray[np.int64]


class Engine(Protocol):
    """The functions of ``compiled``, where their contracts are written."""

    def slot(self, key: int, field: int, mask: int) -> int: ...
    def sigmoid(self, logit: float) -> float: ...
    def cross_logit(self, ad_crosses: Keys, context_crosses: Keys, weights: Weights) -> float: ...
    def p_ppb(self, logit: float, table: Keys) -> int: ...
    def context_logit(
        self, context: Keys, crosses: int, prior: float, weights: Weights
    ) -> float: ...
    def ad_sums(self, ads: Keys, crosses: int, weights: Weights, out: Floats) -> None: ...
    def score(
        self,
        numbers: Keys,
        context_crosses: Keys,
        ads: Keys,
        context: float,
        ad_logits: Floats,
        weights: Weights,
        clip: float,
        out: Floats,
    ) -> None: ...
    def predict(
        self,
        contexts: Keys,
        ads: Keys,
        crosses: int,
        prior: float,
        clip: float,
        weights: Weights,
        out: Floats,
    ) -> None: ...
    def learn(
        self,
        table: Floats,
        contexts: Keys,
        ads: Keys,
        crosses: int,
        labels: Floats,
        weights: Floats,
        parameters: Floats,
        logits: Floats,
    ) -> None: ...


@functools.cache
def warm() -> Engine:
    """The loops, ready to run. The first call compiles them or reads the cache: at start, please.

    Never on a request: compiling takes seconds.
    """
    try:
        from ringwork.ads.rank import compiled  # noqa: PLC0415 # numba only when it is used
    except ModuleNotFoundError as missing:
        if missing.name != "numba":
            raise
        from ringwork.ads.rank import plain  # noqa: PLC0415

        return plain
    return compiled
