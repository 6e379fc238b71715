"""Controllers at work: each ad's shift re-solved now and then, and the auction's tables swapped.

A controller's own state is not in the log: after a start it begins with what the log tells of the
ad's traffic and its newest release, which is all that a step needs. Every decision is a record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct

from ringwork.fairness.control.dual import Dual
from ringwork.fairness.control.model import (
    AdContext,
    Controller,
    Floats,
    Measurement,
    Shift,
    incidence,
    spans,
)
from ringwork.fairness.control.steering import AdTable, Steering
from ringwork.fairness.delivery.events import FlightOpened
from ringwork.fairness.delivery.flights import Flight
from ringwork.fairness.delivery.releasing import has_ended_early
from ringwork.fairness.delivery.stands import chances_of, eligible_of, fixed, release_of
from ringwork.fairness.delivery.work import LiveAd, Work, record
from ringwork.fairness.measure.eligible import noise_covariance, proxied_covariance, told_covariance
from ringwork.fairness.model import PPB, PPM
from ringwork.fairness.records import Control
from ringwork.kernel.errors import ConfigurationError

MICRO: Final = 1_000_000
WINS_MIN: Final = 10
"""Before an ad has won so often there is nothing to steer."""
STEP_WINS: Final = 30
STEP_SHARE: Final = 0.08
"""Steps between releases: every so many wins, or this share of them for large ads."""
CONTROLLERS: Final = ("dual", "none")


class _Steered(Struct):
    """One ad under control."""

    context: AdContext
    state: Any
    segment: int
    period: str
    stepped_wins: int = -1
    stepped_release: int = -1
    shift: Shift | None = None


class Controlling:
    """Steps controllers and swaps tables."""

    def __init__(self, work: Work, tables: Steering, *, cluster_sigma: float) -> None:
        """Raises ConfigurationError for a controller that there is not."""
        name = work.plan.control.controller
        if name not in CONTROLLERS:
            raise ConfigurationError(
                f"fairness.plan: control.controller: expected one of {', '.join(CONTROLLERS)}, "
                f"got {name!r}"
            )
        self._work = work
        self._tables = tables
        self._sigma = cluster_sigma
        self._controller: Controller | None = Dual(paces=False) if name == "dual" else None
        plan, names = work.plan, work.enclave.controlled
        self._blocks = tuple(len(plan.attributes[one].groups) for one in names)
        self._columns = incidence(self._blocks)
        self._ads: dict[str, _Steered] = {}
        self._chances: tuple[str, Floats] | None = None
        """Period, and [G, C]."""

    @property
    def shares(self) -> int:
        """How many prices a control has: the groups of the controlled attributes."""
        return sum(self._blocks)

    def wants_step(self, live: LiveAd) -> bool:
        """Whether an ad's shift is to be solved anew."""
        memory = self._work.memory
        wins, flight = memory.cells.wins(live.ad), memory.flights.ads.get(live.ad)
        if flight is None or not flight.segments or flight.is_final or live.is_over:
            return False
        if not memory.cells.scale_nanos(live.ad) or wins < WINS_MIN:
            return False
        if not flight.open.opened.crossed_ppb or not memory.people.tables:
            return False
        steered = self._ads.get(live.ad)
        if steered is None or not self._fits(steered, flight):
            return True
        more = max(STEP_WINS, STEP_SHARE * steered.stepped_wins)
        return wins >= steered.stepped_wins + more or steered.stepped_release != _releases(flight)

    def _fits(self, steered: _Steered, flight: Flight) -> bool:
        """Whether what an ad is steered with is of its present audience and the newest table."""
        segment = flight.open.opened.declared.segment
        return steered.segment == segment and steered.period in self._work.memory.people.tables

    async def step(self, live: LiveAd) -> None:
        """One step of an ad's controller, recorded; the auction has its table afterwards."""
        work, memory = self._work, self._work.memory
        flight = memory.flights.ads[live.ad]
        steered = self._ads.get(live.ad)
        if steered is None or not self._fits(steered, flight):
            steered = self._begun(live.ad, flight)
            self._ads[live.ad] = steered
        wins, releases = memory.cells.wins(live.ad), _releases(flight)
        measured = self._measured(live, steered.context)
        if self._controller is not None:
            solved = asyncio.to_thread(self._controller.step, steered.state, measured)
            steered.shift = await solved
        else:
            steered.shift = self._fixed(steered, np.zeros(self.shares))
        steered.stepped_wins, steered.stepped_release = wins, releases
        prices = steered.shift.prices
        control = Control(
            ad=live.ad,
            episode=releases,
            lambda_micro=tuple(round(float(one) * MICRO) for one in prices),
        )
        await work.commit(lambda command: record(command, control))
        self.swap()

    def hold(self, live: LiveAd) -> None:
        """After a start, the last prices of an ad that spent its releases hold as before it."""
        memory = self._work.memory
        last, flight = memory.log.control(live.ad), memory.flights.ads.get(live.ad)
        if flight is None or not flight.segments or not flight.is_final or live.is_over:
            return
        if live.ad in self._ads or last is None or len(last.lambda_micro) != self.shares:
            return
        if has_ended_early(flight) or not memory.people.tables:
            return
        if not flight.open.opened.crossed_ppb or not memory.cells.scale_nanos(live.ad):
            return
        steered = self._ads[live.ad] = self._begun(live.ad, flight)
        steered.shift = self._fixed(steered, np.array(last.lambda_micro, np.float64) / MICRO)

    def _begun(self, ad: str, flight: Flight) -> _Steered:
        work, opened = self._work, flight.open.opened
        (period,) = work.memory.people.tables
        inverses = self._inverses()
        eligible = eligible_of(opened.crossed_ppb, self._blocks, inverses)
        context = AdContext(
            ad_id=ad,
            blocks=self._blocks,
            eligible=eligible,
            eligible_covariance=self._mix_covariance(opened, self._columns @ eligible),
            clusters=self._clusters(period, inverses),
            expected_impressions=float(opened.expected_impressions),
            tau=work.plan.control.target_ppm / PPM,
        )
        state = None if self._controller is None else self._controller.start(context)
        segment = opened.declared.segment
        return _Steered(context=context, state=state, segment=segment, period=period)

    def _mix_covariance(self, opened: FlightOpened, margins: Floats) -> Floats:
        """[A, A] how far the eligible shares may be from the truth.

        By who did not tell, or by how the proxy blurs, and by the noise of the audience's release.
        """
        log, names = self._work.memory.log.figures, self._work.enclave.controlled
        stated = log.flights[opened.declared.ad].ad.eligible
        out = np.zeros((len(margins), len(margins)))
        for span, name, (told, people) in zip(
            spans(self._blocks), names, opened.known, strict=False
        ):
            shares = np.array(stated[name].shares_ppb) / PPB
            noise = noise_covariance(shares, stated[name].noise_ppb / PPB)
            if self._is_proxied(name):
                inverse = np.array(log.models[name].inverse_ppb) / PPB
                within = np.array(log.models[name].within_ppb) / PPB
                blurred = proxied_covariance(inverse, within, people=told)
                out[span, span] = blurred + inverse.T @ noise @ inverse
            else:
                out[span, span] = told_covariance(margins[span], told=told, people=people) + noise
        return out

    def _is_proxied(self, name: str) -> bool:
        """Whether an attribute is estimated, and how its proxy blurs is known."""
        measured = self._work.plan.attributes[name].measured
        return measured != "declared" and name in self._work.memory.log.figures.models

    def _clusters(self, period: str, inverses: Sequence[Floats | None]) -> Floats:
        if self._chances is None or self._chances[0] != period:
            sums = self._work.memory.people.tables[period]
            self._chances = (period, chances_of(sums, self._blocks, inverses, sigma=self._sigma))
        return self._chances[1]

    def _inverses(self) -> list[Floats | None]:
        """Of the confusion matrix of each controlled attribute."""
        models = self._work.memory.log.figures.models
        return [
            np.array(models[one].inverse_ppb) / PPB if self._is_proxied(one) else None
            for one in self._work.enclave.controlled
        ]

    def _measured(self, live: LiveAd, context: AdContext) -> Measurement:
        memory, clusters = self._work.memory, context.clusters.shape[1]
        traffic = memory.cells.traffic(live.ad, clusters)
        opportunities = float(traffic.opportunities.sum())
        wins = max(float(traffic.wins.sum()), 1.0)
        left = max(live.impressions_left * opportunities / wins, 1.0)
        return Measurement(
            impressions=float(traffic.wins.sum()),
            opportunities_left=left,
            budget_left=left,  # whoever sells the ad keeps its budget, by the bids seen here
            traffic=traffic,
            release=release_of(
                memory.log.figures.of_ad(live.ad),
                live.ad,
                self._work.enclave.controlled,
                memory.cells.released_wins(live.ad, clusters),
            ),
        )

    def _fixed(self, steered: _Steered, prices: Floats) -> Shift:
        ad = steered.context
        traffic = self._work.memory.cells.traffic(ad.ad_id, ad.clusters.shape[1])
        return fixed(ad, self._columns, prices, traffic)

    # ---- the auction's tables -------------------------------------------------------------------

    def swap(self) -> None:
        """Give the auction the tables that hold now: from the next one on it works with them."""
        now_us = self._work.now_us()
        tables: dict[str, AdTable | None] = {}
        for ad, steered in self._ads.items():
            flight = self._work.memory.flights.ads.get(ad)
            if flight is not None and steered.shift is not None and not has_ended_early(flight):
                tables[ad] = self._table(ad, flight, steered, now_us)
        chances = None if self._chances is None else self._chances[1]
        if chances is None:
            chances = np.zeros((self._columns.shape[1], 0))
        self._tables.replace(tables, chances.T.astype(np.float32))

    def _table(self, ad: str, flight: Flight, steered: _Steered, now_us: int) -> AdTable | None:
        """None where nothing is to be shifted: a person paused it, or its release is too old."""
        shift, override = steered.shift, flight.override
        assert shift is not None
        newest_us = max(flight.open.opened_us, flight.open.released_us)
        if now_us - newest_us > self._work.plan.control.stale_after_s * 1_000_000:
            return None
        if override is not None and override.action == "pause":
            return None
        if override is not None:
            prices = np.array(override.lambda_micro, np.float64) / MICRO
            shift = self._fixed(steered, prices)
        return AdTable(records=shift.records, scale_nanos=self._work.memory.cells.scale_nanos(ad))


def _releases(flight: Flight) -> int:
    """Of all segments."""
    return sum(len(one.values) for one in flight.segments)
