"""The desk: looks after everything that fairness has to do beside the requests.

What takes more than a few milliseconds runs in a thread, on copies; what is decided on is the
folds; what comes of it is one command, so that a crash leaves all of it or nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from fractions import Fraction
from typing import Final

from ringwork.fairness.control.steering import Steering
from ringwork.fairness.delivery.controlling import Controlling
from ringwork.fairness.delivery.events import ClustersReleased
from ringwork.fairness.delivery.measuring import Measuring
from ringwork.fairness.delivery.modelling import Modelling
from ringwork.fairness.delivery.opening import Opening
from ringwork.fairness.delivery.releasing import Releasing, has_ended_early, has_last, is_due
from ringwork.fairness.delivery.work import LiveAd, Work, record
from ringwork.fairness.plan import PrivacyPlan
from ringwork.fairness.privacy import accounting
from ringwork.fairness.records import Control
from ringwork.kernel.errors import Refused, Unavailable
from ringwork.kernel.journal import Command

RETRY_US: Final = 60_000_000
"""After an ad could not be measured, until it is tried again."""
CLUSTERS_PREFIX: Final = "clusters/"
"""Before a period's name: whose privacy budget its table of clusters has."""


class Desk:
    """Call ``look`` every second or so."""

    def __init__(
        self,
        work: Work,
        tables: Steering,
        *,
        clusters: int,
        cluster_people: int,
        cluster_sigma: float,
        audience_still_s: int,
    ) -> None:
        """``cluster_people``: met in a period, before their table of clusters is released.

        ``audience_still_s``: an audience that has grown since is not measured yet.
        """
        self._work = work
        self._opening = Opening(
            work,
            Measuring(work, still_s=audience_still_s),
            Modelling(work, still_s=audience_still_s),
        )
        self._releasing = Releasing(work)
        self.controlling = Controlling(work, tables, cluster_sigma=cluster_sigma)
        self.controlled = work.enclave.controlled
        self._clusters = clusters
        self._cluster_people = cluster_people
        self._cluster_sigma = cluster_sigma
        self._retry_us: dict[str, int] = {}
        self.period = ""
        """The present one; empty until something is measured."""
        self.troubles: Counter[str] = Counter()
        """Why ads could not be measured, by problem, since the start."""
        self.unmeasured: dict[str, str] = {}
        """Ad -> why it is not measured now."""

    async def look(self) -> None:
        """Do all that is due now. Raises Unavailable."""
        work = self._work
        while work.enclave.catch_up():  # noqa: ASYNC110  # nothing to wait for
            await asyncio.sleep(0)
        live = {one.ad: one for one in work.live()}
        if not live and not work.memory.flights.ads:
            return
        if not work.enclave.is_up_to_date or len(work.enclave) == 0:
            self.unmeasured = dict.fromkeys(live, "nobody is described")
            return
        self.period = await self._opening.period()
        await self._release_clusters()
        for one in live.values():
            await self._open(one)
        for ad in list(work.memory.flights.ads):
            await self._release(ad, live.get(ad))
        for one in live.values():
            if self.controlling.wants_step(one):
                await self.controlling.step(one)
            else:
                self.controlling.hold(one)
        self.controlling.swap()

    # ---- flights --------------------------------------------------------------------------------

    async def _open(self, live: LiveAd) -> None:
        """Open a flight for a new ad; a new segment where its audience is another one.

        So too where its segment had its last release, and the ad goes on: it was over, or its
        audience was one that nobody was of.
        """
        memory, now_us = self._work.memory, self._work.now_us()
        flight = memory.flights.ads.get(live.ad)
        is_new = flight is None or not flight.segments
        if live.is_over or self._retry_us.get(live.ad, 0) > now_us:
            return
        if not is_new:
            assert flight is not None
            opened = flight.open.opened
            tables = self._work.enclave.tables.sha256
            is_same = (opened.audience, opened.tables) == (live.audience, tables)
            if is_same and not has_ended_early(flight):
                return
            if has_last(flight):  # what it reached belongs to the audience that it had
                await self._releasing.release(live.ad, is_last=True)
        try:
            await self._opening.flight(live)
        except Refused as refused:
            self._retry_us[live.ad] = now_us + RETRY_US
            self.troubles[refused.slug] += 1
            self.unmeasured[live.ad] = refused.detail
            return
        self._retry_us.pop(live.ad, None)
        self.unmeasured.pop(live.ad, None)

    async def _release(self, ad: str, live: LiveAd | None) -> None:
        """The release that an ad is due for; its last one where nothing of it is sold any more."""
        flight = self._work.memory.flights.ads[ad]
        if not flight.segments:
            return
        is_over = live is not None and live.is_over
        if is_due(flight) or (is_over and has_last(flight)):
            figures = await self._releasing.release(ad, is_last=is_over)
            if figures is None:
                await self._hold(ad, "enclave-key")
            elif flight.releases == flight.open.opened.declared.privacy.episodes:
                await self._hold(ad, "budget-spent")

    async def _hold(self, ad: str, reason: str) -> None:
        """The controller hears nothing more of the ad: its last prices hold."""
        last = self._work.memory.log.control(ad)
        if last is not None and last.held:
            return
        held = Control(
            ad=ad,
            episode=0 if last is None else last.episode,
            lambda_micro=() if last is None else last.lambda_micro,
            held=True,
            reason=reason,
        )
        await self._work.commit(lambda command: record(command, held))

    # ---- clusters -------------------------------------------------------------------------------

    async def _release_clusters(self) -> None:
        """The period's table of groups by cluster, once enough people were met in it."""
        work, people = self._work, self._work.memory.people
        if self.period in people.tables or people.period != self.period:
            return
        if len(people.clusters) < self._cluster_people:
            return
        privacy = PrivacyPlan(
            unit="person-ad",
            contributions_max=1,
            episodes=1,
            sigma=self._cluster_sigma,
            people_sigma=None,
            delta=work.plan.privacy.delta,
            epsilon_max=work.plan.privacy.epsilon_max,
        )
        exact = work.enclave.by_cluster(people.clusters, self._clusters)
        await asyncio.to_thread(accounting.cost, privacy, 1)
        sigma = Fraction(str(self._cluster_sigma)) * 256
        noise = await asyncio.to_thread(work.pool.discrete_gaussian, sigma, size=exact.size)
        sums = (exact + noise.reshape(exact.shape)).tolist()
        name, ledger, period = (
            CLUSTERS_PREFIX + self.period,
            work.memory.budgets.ledger,
            self.period,
        )

        def decide(command: Command) -> None:
            declared = ledger.declare(name, privacy=privacy, vectors=1)
            charged = ledger.first_charge(declared)
            command.record(ClustersReleased(period, declared, charged, sums))

        try:
            await work.commit(decide)
        except Refused as refused:
            if isinstance(refused, Unavailable):
                raise
            self.troubles[refused.slug] += 1
