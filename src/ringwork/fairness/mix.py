"""Who was eligible for an ad and who saw it, group by group, as its newest releases tell.

These shares lead to a figure and are no figure: nothing of them is drawn towards a prior. Of an
estimated attribute a difference is a pair as well: as the proxy shows it, and with the blur taken
out (specification 4.6.2), with its interval.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct

from ringwork.fairness.flights import blur_of
from ringwork.fairness.measure.evidence import Evidence
from ringwork.fairness.measure.linear import sum_zero_basis
from ringwork.fairness.measure.observed import Blur, Observed, Shares, shares
from ringwork.fairness.model import PPB
from ringwork.fairness.recompute import Recomputation
from ringwork.fairness.records import By

Z: Final = 1.959963984540054
"""Standard deviations on each side of a 95 % interval."""


class Difference(Struct, frozen=True, kw_only=True):
    """Delivered minus eligible share with the proxy's blur taken out, in 1e-9; 95 % interval."""

    ppb: int
    low_ppb: int
    high_ppb: int


class GroupShare(Struct, frozen=True, kw_only=True):
    """One group of one attribute."""

    group: str
    eligible_ppb: int
    """Of an estimated attribute: as the proxy shows it, like all but ``deattenuated``."""
    counted: int
    """Impressions, noisy, corrected to add up to those that were billed."""
    delivered_ppb: int
    deattenuated: Difference | None = None
    """Of an estimated attribute; None where there is no blur to take out, or it was not learned."""


class Mix(Struct, frozen=True, kw_only=True):
    """One audience of an ad: its segment."""

    segment: int
    impressions: int
    unknown: int
    """Of ``impressions``, noisy: to people of no known group. They are in no share."""
    groups: tuple[GroupShare, ...]
    """In the plan's order; empty where nobody of a known group was reached."""


def mixes(state: Recomputation, ad: str, attribute: str, by: By = "impressions") -> tuple[Mix, ...]:
    """Segment by segment. LookupError, with a sentence, where the log does not hold it."""
    observed = state.observed(ad, attribute, by)
    plan, model = state.plan, state.models.get(attribute)
    assert plan is not None
    blur = blur_of(model) if model is not None and attribute in plan.estimated else None
    return tuple(_mix(one, plan.attributes[attribute], blur) for one in observed)


def _mix(observed: Observed, names: tuple[str, ...], blur: Blur | None) -> Mix:
    found = shares(observed)
    if found is None:
        return Mix(
            segment=observed.segment,
            impressions=observed.impressions,
            unknown=observed.impressions,
            groups=(),
        )
    without_blur: list[Difference | None] = (
        [None] * len(names) if blur is None else _corrected(observed, found, blur)
    )
    return Mix(
        segment=observed.segment,
        impressions=observed.impressions,
        unknown=max(0, round(observed.impressions - found.known)),
        groups=tuple(
            GroupShare(
                group=name,
                eligible_ppb=eligible,
                counted=round(share * found.known),
                delivered_ppb=round(share * PPB),
                deattenuated=corrected,
            )
            for name, eligible, share, corrected in zip(
                names, observed.eligible_ppb, found.delivered, without_blur, strict=True
            )
        ),
    )


def _corrected(observed: Observed, found: Shares, blur: Blur) -> list[Difference | None]:
    """M^-T (delivered - eligible), both as the proxy shows them; None where shapes do not fit."""
    groups = len(observed.eligible_ppb)
    if len(blur.matrix_ppb) != groups:
        return [None] * groups
    delta, sigma = Evidence(blur, 0).of([(observed, found)])
    out: list[Difference | None] = []
    for row in sum_zero_basis(groups):
        moved = sum(a * b for a, b in zip(row, delta, strict=True))
        variance = sum(a * sigma[i][j] * b for i, a in enumerate(row) for j, b in enumerate(row))
        width = Z * math.sqrt(max(variance, 0.0))
        ends = moved, moved - width, moved + width
        ppb, low, high = (round(one * PPB) for one in ends)
        out.append(Difference(ppb=ppb, low_ppb=low, high_ppb=high))
    return out
