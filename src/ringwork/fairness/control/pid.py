"""Additive PI control: a shift in proportion to the deviation so far and to its integral."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ringwork.fairness.control.model import AdContext, Floats, Measurement, Shift
from ringwork.fairness.control.watch import Watch, within

WIDEST = 8.0
"""Range of an attribute's prices, in units of the ad's value scale: beyond, nothing more is won."""


class PiState(Struct):
    """What goes on from step to step."""

    watch: Watch
    integral: Floats
    """[A] deviation integrated over the expected impressions."""
    impressions: float = 0.0


class Pid:
    """``prices = proportional * deviation + integral * its integral``, q by cluster only."""

    name = "pid"
    is_multiplier = False

    def __init__(self, *, proportional: float = 192.0, integral: float = 192.0) -> None:
        self._proportional, self._integral = proportional, integral

    def start(self, ad: AdContext) -> PiState:
        watch = Watch.of(ad)
        return PiState(watch, np.zeros(len(watch.eligible)))

    def step(self, state: PiState, measured: Measurement) -> Shift:
        ad = state.watch.ad
        deviation = state.watch.deviation(measured)
        expected = max(ad.expected_impressions, measured.impressions, 1.0)
        grown = state.integral + deviation * (measured.impressions - state.impressions) / expected
        state.impressions = measured.impressions
        wanted = self._proportional * deviation + self._integral * grown
        prices = within(ad.blocks, wanted, WIDEST)
        # Anti-windup: what the clip holds back is not added up.
        if np.abs(prices - within(ad.blocks, wanted, np.inf)).max() < 1e-12:
            state.integral = grown
        return state.watch.shift(prices, is_multiplier=self.is_multiplier)
