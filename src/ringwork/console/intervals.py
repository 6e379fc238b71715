"""How sure a share is: the Wilson score interval (E. B. Wilson 1927, JASA 22, 209 to 212), 95 %."""

from __future__ import annotations

import math
from typing import Final

_Z: Final = 1.959963984540054


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Lower and upper end of the 95 % interval of ``hits / trials``, both from 0 to 1.

    Unlike the textbook interval it never leaves 0 to 1 and does not shrink to a point at 0 hits.
    """
    if trials <= 0:
        return 0.0, 1.0
    share = hits / trials
    weight = _Z * _Z / trials
    centre = share + weight / 2
    spread = _Z * math.sqrt(share * (1 - share) / trials + weight / (4 * trials))
    low, high = (centre - spread) / (1 + weight), (centre + spread) / (1 + weight)
    return max(0.0, low), min(1.0, high)
