"""The hook in the platform's auction: shifts of special ads, as ``kernel.steering`` has them.

Ads that have no table are not moved; an opportunity of the control arm is left alone, so that what
steering costs and whom it takes from is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ringwork.fairness.control.steering import Steering
from ringwork.fairness.measure.reach import ControlArm
from ringwork.kernel.steering import SHIFT_MAX_NANOS, Offer, Place, Shift

DAY_S = 86_400


class AuctionSteer:
    """Answers auctions. ``tables`` is what the desk swaps."""

    def __init__(self, tables: Steering, arm: ControlArm) -> None:
        self.tables = tables
        self.arm = arm
        self.left_alone = 0
        """Shifts that the control arm kept from being made, since the start."""
        self._day = 0

    def at(self, now_s: int) -> None:
        """It is now this time: the arm is drawn anew every day."""
        self._day = now_s // DAY_S

    def is_left_alone(self, cluster: int, ad: str) -> bool:
        """Whether the ad's opportunities in this cluster belong to the control arm today."""
        return self.arm.holds(cluster, ad, self._day)

    def __call__(self, place: Place, offers: Sequence[Offer]) -> Mapping[str, Shift]:
        """See ``kernel.steering.Steer``."""
        asked = [(one.ad_id, one.value_nanos) for one in offers]
        taken = self.tables.shifts(place.cluster, asked)
        if not taken:
            return {}
        found = {}
        for one in offers:
            less = taken.get(one.ad_id)
            if less is None or one.value_nanos <= 0:
                continue
            if self.is_left_alone(place.cluster, one.ad_id):
                self.left_alone += 1
                continue
            # What a value is worth in the order of the auction: its quality and its pace are in it.
            moved = -(less * one.score_nanos // one.value_nanos)
            found[one.ad_id] = Shift(shift_nanos=max(-SHIFT_MAX_NANOS, min(moved, SHIFT_MAX_NANOS)))
        return found
