"""A threshold with a guarantee, from the scores of fresh people (gate specification 3.11).

Above the k-th largest of n scores lies a share of all people that is Beta(k, n + 1 - k)
distributed, whatever the scores are like (order statistics; split conformal prediction, Vovk 2005).
So the largest k is taken whose share exceeds alpha with a chance of at most delta. Ties only lower
the share.
"""

from __future__ import annotations

from math import ceil, exp, lgamma, log, log1p
from typing import TYPE_CHECKING, Final

import numpy as np

from ringwork.gate.behave.model import Calibration
from ringwork.kernel.errors import Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

DELTA: Final = 0.05
SCORES_MAX: Final = 100_000_000


def order_of(count: int, alpha: float, delta: float = DELTA) -> int:
    """The largest k with P(Beta(k, count + 1 - k) > alpha) <= delta; 0 where none is.

    That chance is P(Binomial(count, alpha) <= k - 1), which is summed term by term.
    """
    _check(alpha, delta)
    total, k = 0.0, 0
    while k < count:
        total += exp(
            lgamma(count + 1) - lgamma(k + 1) - lgamma(count - k + 1)
            + k * log(alpha) + (count - k) * log1p(-alpha)
        )  # fmt: skip
        if total > delta:
            break
        k += 1
    return k


def calibrate(
    scores: NDArray[np.float64], *, alpha: float = 0.01, delta: float = DELTA
) -> Calibration:
    """The threshold above which somebody is taken for a machine.

    ``scores`` are those of people whom the model never saw.

    Raises Refused (``calibration-too-small``) where so few people cannot prove so small a rate.
    """
    found = np.asarray(scores, np.float64)
    if found.ndim != 1 or len(found) > SCORES_MAX or not np.isfinite(found).all():
        raise Refused(
            "calibration-too-small",
            f"scores: expected up to {SCORES_MAX:,} finite numbers in one dimension",
            status=422,
        )
    order = order_of(len(found), alpha, delta)
    if order == 0:
        raise Refused(
            "calibration-too-small",
            f"a false-positive rate of {alpha:.3%} needs scores of at least "
            f"{needed(alpha, delta):,} people, got {len(found):,}",
            status=422,
        )
    threshold = float(np.partition(found, len(found) - order)[len(found) - order])
    return Calibration(threshold, alpha, delta, order, len(found))


def needed(alpha: float, delta: float = DELTA) -> int:
    """How many people the smallest order needs: (1 - alpha)^n <= delta."""
    _check(alpha, delta)
    return ceil(log(delta) / log1p(-alpha))


def _check(alpha: float, delta: float) -> None:
    for name, value in (("alpha", alpha), ("delta", delta)):
        if not 0 < value < 1:
            raise Refused(
                "calibration-too-small",
                f"{name}: expected between 0 and 1, got {value}",
                status=422,
            )
