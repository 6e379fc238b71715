"""Responses that come after the label's window: how many, from the delays of those that came.

O. Chapelle, "Modeling Delayed Feedback in Display Advertising", KDD 2014: the delay of a conversion
is exponential. Ours keeps one mean delay per head instead of one per row, and waits for the window
to end instead of learning at once: the share of conversions that fall into the window is then one
number, and dividing by it undoes the loss exactly, without a second model to train.
"""

from __future__ import annotations

import math
from typing import Final

_RESPONSES_MIN: Final = 100
"""Fewer delays say too little about their tail."""
_SHARE_MIN: Final = 0.2
"""Delays that look uniform over the window fit any mean; no correction is larger than five-fold."""
_BISECTIONS: Final = 60


def share_in_window(count: int, sum_s: float, window_s: float) -> float:
    """The estimated share of responses that come within ``window_s``; 1.0 where it is unknown.

    ``count`` and ``sum_s``: the delays inside the window. The maximum likelihood estimate of an
    exponential cut off at the window: the rate r with ``1/r - W / (exp(rW) - 1) = mean``.
    """
    if count < _RESPONSES_MIN:
        return 1.0
    mean = sum_s / count / window_s  # in windows
    low, high = -math.log1p(-_SHARE_MIN), 700.0  # rates per window; exp(700) is still finite
    if mean >= _mean_inside(low):
        return _SHARE_MIN
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _mean_inside(middle) > mean else (low, middle)
    return -math.expm1(-high)


def _mean_inside(rate: float) -> float:
    """The mean of an exponential of that rate, given that it is below 1."""
    return 1.0 / rate - 1.0 / math.expm1(rate)
