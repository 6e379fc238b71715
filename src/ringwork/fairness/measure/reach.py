"""People, not impressions: whom an ad reached, with control and, by a randomised arm, without.

A keyed hash of (cluster of the viewer, ad, day) sends a declared share of the ad's opportunities
through unsteered. The arm is a random sample of cluster days, so what happened in it, weighed back
by the eligible people it held, says what would have happened everywhere.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.model import PPM

Floats = NDArray[np.float64]

_HASH_BITS: Final = 64


class ControlArm(Struct, frozen=True):
    """Which opportunities are left alone, the same in every process that holds the key."""

    key: bytes
    """16 to 64 bytes; secret, so that nobody can aim at the arm."""
    share_ppm: int
    """Declared in the plan; 0 for no arm."""

    def __post_init__(self) -> None:
        if not 16 <= len(self.key) <= 64:
            raise ValueError(f"control arm: expected a key of 16 to 64 bytes, got {len(self.key)}")
        if not 0 <= self.share_ppm <= PPM:
            raise ValueError(f"control arm: expected 0 to {PPM} ppm, got {self.share_ppm}")

    def holds(self, cluster: int, ad: str, day: int) -> bool:
        """Whether opportunities of this cluster and day pass the ad unsteered (shift 0)."""
        if self.share_ppm == 0:
            return False
        # The ad comes last: the numbers before it have no separator inside, so no two triples meet.
        text = f"{cluster}/{day}/{ad}".encode()
        drawn = hashlib.blake2b(text, key=self.key, digest_size=_HASH_BITS // 8).digest()
        return int.from_bytes(drawn, "big") * PPM < self.share_ppm << _HASH_BITS


class ArmReach(Struct, frozen=True, kw_only=True):
    """What happened in one arm: sums over its cluster days, by group [K]."""

    people: Floats
    """Unique people reached, each counted once a day."""
    eligible: Floats
    """Eligible people, each counted once a day: what the arm is weighed back by."""
    impressions: int
    spend_nanos: int


class Reach(Struct, frozen=True, kw_only=True):
    """One arm weighed back to the whole audience."""

    rate: Floats
    """[K] people reached per eligible person a day, r_k; NaN for a group of nobody."""
    people: Floats
    """[K] people that the whole audience would have had reached so."""
    impressions: int
    spend_nanos: int

    @property
    def cost_per_1000_nanos(self) -> int | None:
        """Spend for each 1,000 people reached; None where nobody was."""
        return _cost(self.spend_nanos, float(self.people.sum()))

    @property
    def cost_per_1000_by_group_nanos(self) -> list[int | None]:
        """The same whole spend for each 1,000 people of one group: what reaching them took."""
        return [_cost(self.spend_nanos, float(one)) for one in self.people]


def weighed_back(arm: ArmReach, audience: Floats) -> Reach:
    """An arm as the whole ``audience`` [K] of eligible people a day (Hajek's ratio estimate).

    Rates are per group; impressions and spend go by the share of all eligible people that the arm
    held, as it came out, not as it was declared. ValueError for an arm in which nobody was.
    """
    held = float(arm.eligible.sum())
    if held <= 0:
        raise ValueError("expected eligible people in the arm, got none")
    rate = np.full(len(arm.people), np.nan)
    np.divide(arm.people, arm.eligible, out=rate, where=arm.eligible > 0)
    factor = float(audience.sum()) / held
    return Reach(
        rate=rate,
        people=np.nan_to_num(rate) * audience,
        impressions=round(arm.impressions * factor),
        spend_nanos=round(arm.spend_nanos * factor),
    )


def group_counts(sums: Floats, inverse: Floats) -> Floats:
    """[K] people per true group from soft sums: M^-T sums, none below zero, the total kept."""
    counts = np.clip(inverse.T @ sums, 0, None)
    total = float(counts.sum())
    return np.asarray(counts * (float(sums.sum()) / total) if total > 0 else counts)


def _cost(spend_nanos: int, people: float) -> int | None:
    return round(spend_nanos * 1000 / people) if people > 0 else None
