"""Which of a campaign's ads takes part where several fit a place; pure.

One does, so that a campaign never bids against itself: with two ads in an auction it would set its
own price. Where their weights differ, each has its share of the requests; where they are alike, the
best score is shown, and of ads that score alike each as often.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringwork.ads.model import Creative
from ringwork.ads.priorities import ONE_PPM


def chosen(fitting: Sequence[tuple[Creative, int]], drawn_ppm: int) -> int:
    """The position of the ad whose turn it is. ``fitting``: (ad, score), the best first.

    ``drawn_ppm``: the request's number from 0 to 999,999.
    """
    assert fitting, "somebody was found"
    weights = [creative.weight for creative, _ in fitting]
    if len(set(weights)) == 1:
        best = fitting[0][1]
        weights = [int(score == best) for _, score in fitting]
    at = drawn_ppm * sum(weights) // ONE_PPM
    for position, weight in enumerate(weights):
        at -= weight
        if at < 0:
            return position
    raise AssertionError("the draw is below the sum of the weights")
