"""Levelling down: whether variance fell by reaching more of some people or fewer of others.

Equality by taking away is what critics of such systems fear (Imana et al., FAccT 2025). Per group,
unique people reached per eligible person with control, r_k, stands against the same without, r0_k:

    L = sum over over-served groups of e_k max(0, r0_k - r_k)
    G = sum over under-served groups of e_k max(0, r_k - r0_k)
    index = L / (L + G)            0: all gained, 1: all taken
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.measure.reach import Reach

Floats = NDArray[np.float64]

RATE_MIN: Final = 1e-12
"""Reach below one in a trillion is none: estimates come with rounding."""


class Levelling(Struct, frozen=True, kw_only=True):
    """What control did to the reach of one ad, in one attribute."""

    index: float | None
    """In [0, 1]; None where no over-served group fell and no under-served one rose."""
    lost: float
    """L: people fewer per eligible person, of the over-served."""
    gained: float
    """G: people more per eligible person, of the under-served."""
    over_served: tuple[bool, ...]
    """Groups that would have been reached more than the audience at large, without control."""
    reach_ratio: tuple[float | None, ...]
    """r_k / r0_k; None where without control nobody of the group was reached, or exists."""
    variance_removed: float | None
    """Share of the variance by people that control took away; negative where it added."""


def levelling(controlled: Reach, uncontrolled: Reach, eligible: Floats) -> Levelling:
    """Compare the two arms; ``eligible`` [K] shares, a group of zero is left out."""
    present = (eligible > 0) & np.isfinite(controlled.rate) & np.isfinite(uncontrolled.rate)
    share = np.where(present, eligible, 0.0)
    now = np.where(present, controlled.rate, 0.0)
    before = np.where(present, uncontrolled.rate, 0.0)
    total = float(share.sum())
    common = float(share @ before) / total if total > 0 else 0.0
    over = present & (before > common)
    under = present & (before < common)
    lost = float((share * np.clip(before - now, 0, None))[over].sum())
    gained = float((share * np.clip(now - before, 0, None))[under].sum())
    changed = lost + gained
    first = variance_of_reach(uncontrolled, eligible)
    last = variance_of_reach(controlled, eligible)
    return Levelling(
        index=lost / changed if changed > 0 else None,
        lost=lost,
        gained=gained,
        over_served=tuple(bool(one) for one in over),
        reach_ratio=tuple(
            float(one / other) if is_there and other > RATE_MIN else None
            for one, other, is_there in zip(now, before, present, strict=True)
        ),
        variance_removed=1 - last / first if first and last is not None else None,
    )


def variance_of_reach(reach: Reach, eligible: Floats) -> float | None:
    """1/2 sum |e_k - share of the people reached|; None where nobody was reached."""
    total = float(reach.people.sum())
    if total <= 0:
        return None
    return float(np.abs(reach.people / total - eligible).sum() / 2)
