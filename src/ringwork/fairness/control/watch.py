"""What the simple controllers share: the same eyes as ``dual``, and a shift by cluster alone.

They are given the best estimate of where an ad stands (``estimate.standing`` on the learned cells),
so that what the bench compares is the form of control, not the quality of a filter.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ringwork.fairness.control import response
from ringwork.fairness.control.estimate import Family, standing
from ringwork.fairness.control.hook import VALUE_BINS
from ringwork.fairness.control.model import (
    AdContext,
    Floats,
    Measurement,
    Shift,
    incidence,
    records,
    spans,
)


class Watch(Struct, frozen=True):
    """One ad as a simple controller sees it."""

    ad: AdContext
    incidence: Floats
    """[A, G]"""
    eligible: Floats
    """[A]"""

    @classmethod
    def of(cls, ad: AdContext) -> Watch:
        """Of an ad before it runs."""
        columns = incidence(ad.blocks)
        return cls(ad, columns, columns @ ad.eligible)

    def deviation(self, measured: Measurement) -> Floats:
        """[A] delivered minus eligible share so far, posterior mean; zeros before the first win."""
        if not measured.impressions:
            return np.zeros(len(self.eligible))
        traffic = measured.traffic
        learned = response.fit(self.ad, traffic).share
        cells = self.incidence @ learned.reshape(len(self.ad.eligible), -1)
        wins = traffic.wins.ravel()
        believed = Family(self.ad.blocks).prior()
        found = standing(self.ad.blocks, cells, self.eligible, wins, measured.release, believed)
        return found.deviation

    def shift(self, prices: Floats, *, is_multiplier: bool = False) -> Shift:
        """``prices . (q - e)`` with q by cluster, alike for every value."""
        weights = np.repeat(self.ad.eligible[None, :], VALUE_BINS, axis=0)
        by_group = prices @ self.incidence - prices @ self.eligible
        return Shift(prices=prices, records=records(weights, by_group), is_multiplier=is_multiplier)


def within(blocks: tuple[int, ...], prices: Floats, widest: float) -> Floats:
    """Centred, and each attribute's drawn together until its range is ``widest`` at most."""
    out = prices.copy()
    for span in spans(blocks):
        part = out[span] - out[span].mean()
        out[span] = part / max(1.0, float(part.max() - part.min()) / widest)
    return out
