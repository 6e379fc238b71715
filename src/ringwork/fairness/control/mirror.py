"""Regularised online allocation by dual mirror descent (Balseiro, Lu and Mirrokni, ICML 2021).

Per step: the target ``a = argmax prices . a - r(a)`` within the regulariser of the band (0 within
``band * tau`` of the eligible shares, ``penalty`` per unit of variance beyond), then ``prices +=
eta (what the new impressions brought - a)`` with eta ~ 1 / sqrt(T), kept where r* is finite: a
range of ``penalty``. The mirror map is Euclidean. The impressions' groups are not seen, so what
they brought is the change of the best estimate.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ringwork.fairness.control.model import AdContext, Floats, Measurement, Shift, spans
from ringwork.fairness.control.watch import Watch, within


class MirrorState(Struct):
    """What goes on from step to step."""

    watch: Watch
    prices: Floats
    excess: Floats
    """[A] impressions beyond the eligible shares, as last estimated."""
    impressions: float = 0.0


class Mirror:
    """Dual mirror descent on the prices of the shares, q by cluster only."""

    name = "mirror"

    def __init__(self, *, eta: float = 5.0, band: float = 0.0, penalty: float = 6.0) -> None:
        self._eta, self._band, self._penalty = eta, band, penalty

    def start(self, ad: AdContext) -> MirrorState:
        watch = Watch.of(ad)
        nothing = np.zeros(len(watch.eligible))
        return MirrorState(watch, nothing, nothing)

    def step(self, state: MirrorState, measured: Measurement) -> Shift:
        ad = state.watch.ad
        count = measured.impressions
        excess = state.watch.deviation(measured) * count
        rate = self._eta / np.sqrt(max(ad.expected_impressions, 1.0))
        target = self._target(ad, state.prices) * (count - state.impressions)
        moved = state.prices + rate * (excess - state.excess - target)
        state.prices = within(ad.blocks, moved, self._penalty)
        state.excess, state.impressions = excess, count
        return state.watch.shift(state.prices)

    def _target(self, ad: AdContext, prices: Floats) -> Floats:
        """[A] the deviation that the band makes dearest to avoid: its own support point."""
        out = np.zeros(len(prices))
        for span in spans(ad.blocks):
            part = prices[span]
            if part.max() > part.min():
                out[span.start + int(part.argmax())] += self._band * ad.tau
                out[span.start + int(part.argmin())] -= self._band * ad.tau
        return out
