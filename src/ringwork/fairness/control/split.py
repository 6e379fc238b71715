"""A campaign split into strata, each with a budget in its eligible proportion; no hook, no groups.

Our reading of the alternative of Imana et al. (FAccT 2025): the advertiser runs one campaign for
each stratum of the audience. A stratum is the clusters in which the same crossed group is the most
over-represented; its campaign paces itself, so the strata reach their eligible shares whatever the
response, with no measurement and no privacy cost. Within a stratum nothing is steered.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.control.hook import VALUE_BINS
from ringwork.fairness.control.model import AdContext, Floats, Measurement, Shift, incidence

PRIOR = 10.0
"""Impressions by the eligible shares that are believed beforehand."""
WIDEST = 3.0


class SplitState(Struct):
    """What goes on from step to step."""

    stratum: NDArray[np.int64]
    """[C]"""
    eligible: Floats
    """[strata]"""
    shares: int
    logs: Floats
    """[strata] log pace of each campaign over that of the whole."""
    impressions: float = 0.0
    wins: Floats = np.zeros(0)


class Split:
    """One pacer a stratum."""

    name = "split"

    def __init__(self, *, gain: float = 0.7) -> None:
        self._gain = gain

    def start(self, ad: AdContext) -> SplitState:
        joint = ad.eligible[:, None] * ad.clusters
        lift = joint / np.maximum(joint.sum(axis=0), 1e-12)
        lift /= np.maximum(ad.eligible, 1e-12)[:, None]
        found, stratum = np.unique(lift.argmax(axis=0), return_inverse=True)
        eligible = np.bincount(stratum, joint.sum(axis=0), len(found)).astype(np.float64)
        return SplitState(
            stratum=stratum,
            eligible=eligible / eligible.sum(),
            shares=len(incidence(ad.blocks)),
            logs=np.zeros(len(found)),
            wins=np.zeros(len(found)),
        )

    def step(self, state: SplitState, measured: Measurement) -> Shift:
        wins = measured.traffic.wins.sum(axis=1)
        won = np.bincount(state.stratum, wins, len(state.eligible)).astype(np.float64)
        # Half a step for what the last impressions brought, half for what is owed of all before.
        for brought in (won - state.wins, won):
            count = float(brought.sum())
            share = (brought + PRIOR * state.eligible) / (count + PRIOR)
            ahead = np.log(np.maximum(share, 1e-9) / np.maximum(state.eligible, 1e-9))
            state.logs = state.logs + self._gain / 2 * ahead
        state.logs = np.clip(state.logs - state.eligible @ state.logs, -WIDEST, WIDEST)
        state.wins = won
        return Shift(
            prices=np.zeros(state.shares),
            records=np.zeros((VALUE_BINS, 2, 1), np.float32),
            is_multiplier=True,
            by_cluster=state.logs[state.stratum],
        )
