"""The whole platform on a store: every part, put together; what it does beside its requests.

Opening is synchronous, so that what is wrong stops the start; the background work lives as long as
the server's lifespan.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from ringwork.ads.behavioural.service import Behaviour
from ringwork.ads.behavioural.told import PeopleTold
from ringwork.ads.billing import Billing
from ringwork.ads.invoices import Invoicing
from ringwork.ads.management import Management
from ringwork.ads.pacing.plans import PacingMemory
from ringwork.ads.payouts import Payouts
from ringwork.ads.personal import Personal
from ringwork.ads.reports.desk import ReportDesk
from ringwork.ads.service import Ads
from ringwork.ads.tokens import Tokens
from ringwork.app.consent import Consent
from ringwork.app.exporter import ExportedBeside, warehouse_of
from ringwork.app.fairness import Fairness
from ringwork.app.fairness_own import OwnAds
from ringwork.app.following import Following
from ringwork.app.history import DeniedReads
from ringwork.app.learner import LearnerThread
from ringwork.app.link import Learned
from ringwork.app.model_in_use import ModelInUse
from ringwork.app.settings import Settings
from ringwork.app.store import Store, working
from ringwork.app.subscribing import Subscribing
from ringwork.app.terms import RequestTerms
from ringwork.app.traffic import geo_file, traffic_filter
from ringwork.consent.events import AdsFreeCounted
from ringwork.fairness.hec.screen import SpecialAdScreen
from ringwork.flow.record_outcome import RecordOutcome
from ringwork.flow.serve_ad import ServeAd, TermsOf
from ringwork.flow.special_ads import SpecialAds
from ringwork.kernel.errors import Unavailable
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import (
    Entry,
)
from ringwork.kernel.ports import Clock, Entropy
from ringwork.storage.report_files import DirectoryReportFiles
from ringwork.storage.sqlite.files import Connect, connect
from ringwork.storage.sqlite.history import FILE_NAME as HISTORY_FILE
from ringwork.storage.sqlite.history import HistoryStore
from ringwork.storage.sqlite.indexes import TransferIndex
from ringwork.storage.sqlite.log import exit_at_once
from ringwork.web.sessions import SignIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from httpx import AsyncBaseTransport

    from ringwork.app.bidding import Bidding

PURGE_S: Final = 3600
"""Between two looks for history that is too old; a read leaves it out meanwhile."""
COUNTED_US: Final = 60_000_000
"""Between two counts of subscribers' requests: a finer one would say when a person reads."""
EXPIRE_AT_ONCE: Final = 50
"""Expired holds recorded in one command: no request waits for more than a millisecond of them."""
TICK_S: Final = 1.0
SETTLED_ADS: Final = 1_000
"""New ads that make a pass of the garbage collector worth its while: it takes milliseconds, and one
over all that an import made tenths of a second."""
PACED_EVERY_S: Final = 0.01
"""From one slice of a pacing round to the next: 3,000 slices are half of the interval."""
REPORTS_S: Final = 60.0
"""Between two looks for scheduled reports that are due; their periods are days or longer."""
BEACON_KEY_ID: Final = 1

_log: Final = logging.getLogger(__name__)


class Platform:
    """One data directory, open. Use ``close``, or the ``lifespan``."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        entropy: Entropy,
        on_fatal: Callable[[Exception], None] = exit_at_once,
        open_database: Connect = connect,
        network: AsyncBaseTransport | None = None,
        follower_process: bool = False,
    ) -> None:
        """Open or begin the store. Raises LogCorrupt, Busy, ConfigurationError.

        ``follower_process`` leaves projections, snapshots and learning to a child process while
        the lifespan lasts, as a server wants it; else threads and the lifespan's housekeeping do
        them here.
        ``on_fatal`` is told when the log fails beyond repair; by default the process ends at once.
        ``open_database`` opens the log's files: a test gives it a disk that fails. ``network``
        replaces the one over which outside bidders are asked.
        """
        self._network = network
        self._learner: LearnerThread | None = None
        self._settled_ads = 0
        store = self.store = Store(
            settings,
            clock=clock,
            entropy=entropy,
            on_fatal=on_fatal,
            open_database=open_database,
            follower_process=follower_process,
        )
        # Every part reaches for these.
        self.settings, self.clock, self.entropy, self.ids = settings, clock, entropy, store.ids
        self.secrets, self.pseudonym, self.keys = store.secrets, store.pseudonym, store.keys
        self.log, self.types, self.reader = store.log, store.types, store.reader
        self.state, self.people, self.projections = store.state, store.people, store.projections
        self.memory, self.journal, self.snapshots = store.memory, store.journal, store.snapshots
        self.answers, self.execute, self.indexed = store.answers, store.execute, store.indexed
        self.erasures = store.erasures
        with ExitStack() as undo:
            undo.callback(self.close)
            self._build_parts()
            undo.pop_all()

    def _build_parts(self) -> None:
        settings, memory = self.settings, self.memory
        personal = Personal(self.keys, self.pseudonym)
        tokens = Tokens({BEACON_KEY_ID: self.secrets.beacon}, current=BEACON_KEY_ID)
        self.ads = Ads(
            catalogue=memory.catalogue,
            budgets=memory.budgets,
            ledger=memory.ledger,
            tokens=tokens,
            ids=self.ids,
            entropy=self.entropy,
            settings=settings.ads,
            pacing=PacingMemory(memory.known_traffic, memory.plans),
        )
        self.billing = Billing(
            catalogue=memory.catalogue,
            budgets=memory.budgets,
            outcomes=memory.outcomes,
            ledger=memory.ledger,
            tokens=tokens,
            ids=self.ids,
            personal=personal,
            settings=settings.ads,
        )
        self.model = ModelInUse(
            ads=self.ads,
            journal=self.journal,
            ids=self.ids,
            tenant=settings.tenant,
            data=settings.data_path,
            log=self.log,
            learned=self._learned,
        )
        names = settings.special_ads.rules
        self.screen = SpecialAdScreen.of(names) if names else None
        self.management = Management(
            catalogue=memory.catalogue,
            ledger=memory.ledger,
            ids=self.ids,
            personal=personal,
            currency=settings.ads.currency,
            services=frozenset(settings.services),
            special_topics=settings.history.never_profiled,
            screen=self.screen,
        )
        self._build_accounting()
        self.traffic = traffic_filter(settings.ads.traffic, self.entropy)
        self.geo = geo_file(settings.http.geo_file)
        self.bidding = self._bidding()
        exchange = None if self.bidding is None else self.bidding.desk
        self.consent = Consent(
            settings.consent,
            data=settings.data_path,
            ledger=memory.consent,
            journal=self.journal,
            keys=self.keys,
            pseudonym=self.pseudonym,
            secrets=self.secrets,
            entropy=self.entropy,
        )
        self.store.opened.callback(self.consent.close)
        self._build_behavioural(personal)
        self.terms_of: TermsOf = RequestTerms(
            settings,
            consent=self.consent,
            ledger=memory.consent,
            subscriptions=memory.subscriptions,
            clock=self.clock,
        )
        self.special: SpecialAds | None = None
        self.fairness = self._fairness() if settings.fairness.enabled else None
        self.record_outcome = RecordOutcome(
            billing=self.billing,
            traffic=self.traffic,
            journal=self.journal,
            tenant=settings.tenant,
            exchange=exchange,
            special=self.special,
        )
        self.serve_ad = ServeAd(
            terms_of=self.terms_of,
            ads=self.ads,
            behaviour=self.behaviour,
            journal=self.journal,
            tenant=settings.tenant,
            exchange=exchange,
            special=self.special,
        )
        self.erasures.stores["history"] = self.history
        self.erasures.followers += [self.consent.erased, self._forget]
        self.consent.erasures = self.erasures
        if self.fairness is not None:
            self.erasures.followers.append(self.fairness.erased)
        self.subscribing = Subscribing(
            settings,
            register=memory.subscriptions,
            ledger=memory.ledger,
            journal=self.journal,
            keys=self.keys,
            pseudonym=self.pseudonym,
            entropy=self.entropy,
            network=self._network,
        )
        subscriptions = self.subscribing.subscriptions
        self.erasures.followers.append(
            lambda command, _, pseudonym, event_id: subscriptions.erased(
                command, pseudonym, event_id
            )
        )
        self.sign_in = SignIn(
            secret=self.secrets.session,
            clock=self.clock,
            entropy=self.entropy,
            tenant=settings.tenant,
            session_s=settings.console.session_hours * 3600,
        )

    def _build_behavioural(self, personal: Personal) -> None:
        settings = self.settings
        self.denied = DeniedReads()
        self.history = HistoryStore(
            self.people,
            settings.data_path / HISTORY_FILE,
            verifier=self.consent.grants,
            clock=self.clock,
            retention_s=settings.history.retention_s,
            rows_max=settings.history.rows_per_person,
            refused=self.denied.note,
        )
        self.store.opened.callback(self.history.close)
        self._purged_s = 0
        self._ads_free = self._ads_free_due_us = 0
        self.behaviour = Behaviour(
            ads=self.ads,
            catalogue=self.memory.catalogue,
            history=self.history,
            personal=personal,
            ids=self.ids,
            half_life_s=settings.history.half_life_s,
            interests_max=settings.history.interests,
            special_topics=settings.history.never_profiled,
        )
        self.people_told = PeopleTold(
            personal=personal,
            ids=self.ids,
            services=frozenset(settings.services),
            retention_s=settings.history.retention_s,
            consented=self._advertises_to,
            special_topics=settings.history.never_profiled,
        )

    def _fairness(self) -> Fairness:
        own = OwnAds(self.memory.catalogue, self.memory.budgets, self.memory.fairness, self.clock)
        fairness = Fairness(
            self.store,
            subject_of=self.consent.consents.subject_of,
            own_ads=own.live,
            is_own=own.has,
        )
        self.special = SpecialAds(
            ads=self.ads,
            catalogue=self.memory.catalogue,
            memory=self.memory.fairness,
            steer=fairness.steer,
            clusters=fairness.clusters,
            showing=fairness.showing,
            subject_of=fairness.subject_of,
            period=fairness.period,
        )
        return fairness

    def _forget(self, command: Command, subject: str, pseudonym: bytes, event_id: bytes) -> None:
        """Follow an erasure: what memory knows of a person ends with it."""
        self.behaviour.forget(pseudonym)

    def _advertises_to(self, subject: bytes, now_us: int) -> bool:
        """Whether what a person does may be kept for advertising: said so, and no minor."""
        state = self.memory.consent.state(subject, now_us)
        return "advertise" in state.granted and not state.minor

    def _build_accounting(self) -> None:
        settings, memory = self.settings, self.memory
        self.invoicing = Invoicing(
            books=memory.books, catalogue=memory.catalogue, ledger=memory.ledger, ids=self.ids
        )
        self.payouts = Payouts(
            earnings=memory.earnings,
            catalogue=memory.catalogue,
            ledger=memory.ledger,
            ids=self.ids,
            currency=settings.ads.currency,
        )
        data = settings.data_path
        # Where a child follows the log, another one exports and asks it: for the requests' sake.
        is_beside = isinstance(self.projections, Following)
        warehouse = ExportedBeside(data) if is_beside else warehouse_of(data, self.types)
        self.desk = ReportDesk(
            warehouse=warehouse,
            files=DirectoryReportFiles(data / "reports"),
            schedules=memory.report_schedules,
            journal=self.journal,
            tenant=settings.tenant,
            p_ppb=settings.ads.p_ppb,
        )

    def _bidding(self) -> Bidding | None:
        """Outside bidders, where some are configured."""
        if not self.settings.exchange.bidders:
            return None
        from ringwork.app.bidding import Bidding  # noqa: PLC0415  # httpx, only where it is used

        return Bidding(
            self.settings,
            journal=self.journal,
            catalogue=self.memory.catalogue,
            ledger=self.memory.ledger,
            awaiting=self.memory.awaiting,
            network=self._network,
        )

    def _learned(self) -> Learned:
        """How far the response model's learner is."""
        following = self.projections
        if isinstance(following, Following):
            return following.learned
        return Learned() if self._learner is None else self._learner.learned

    # ---- older than memory ----------------------------------------------------------------------

    def stored_transfer(self, transfer_id: str) -> Entry | None:
        """A transfer from its projection row."""
        with self.state.reader.begin() as connection:
            return TransferIndex.entry(connection, transfer_id)

    async def recall_transfers(self, *transfer_ids: str) -> None:
        """Make sure that memory knows these transfers, if they ever existed.

        What memory does not know may be in the projection, once that has caught up.
        """
        ledger = self.memory.ledger
        missing = [one for one in transfer_ids if one and ledger.entry(one) is None]
        if not missing:
            return
        await self.indexed()
        for transfer_id in missing:
            entry = self.stored_transfer(transfer_id)
            if entry is not None and ledger.entry(transfer_id) is None:
                ledger.recall(entry)

    # ---- living ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncIterator[None]:
        """Background work while the server runs; afterwards everything durable and closed."""
        async with AsyncExitStack() as living:
            await living.enter_async_context(self.store.running())
            await self._begin()
            living.push_async_callback(self._end)
            work = (
                self.store.keep(self._keep_house),
                self._keep_pace(),
                self._make_reports(),
                self.subscribing.keep(),
                *([] if self.fairness is None else [self.fairness.keep()]),
            )
            await living.enter_async_context(working(*work))
            living.callback(self.desk.stop)
            yield

    async def _begin(self) -> None:
        self.model.begin()
        now_s = self.clock.wall_us() // 1_000_000
        self.ads.warm_up(now_s)
        self.ads.pacing.begin(now_s)
        self._learn_here()
        if self.bidding is not None:
            await self.bidding.begin()
        self._settled_ads = len(self.memory.catalogue.creatives)

    async def _end(self) -> None:
        if self.bidding is not None:
            await self.bidding.close()
        await self.subscribing.close()
        with suppress(Unavailable):
            self.denied.record(self.journal, tenant=self.settings.tenant)
            self.count_ads_free(at_once=True)
            while self.fairness is not None and self.fairness.count_shown():
                pass

    def _learn_here(self) -> None:
        """Learn the response model in a thread, where no follower does."""
        if not isinstance(self.projections, Following):
            self._learner = LearnerThread(self.log, self.types, self.settings.data_path)
            self.store.opened.callback(self._learner.close)
            self._learner.start()

    async def _keep_house(self) -> None:
        await self._expire()
        await self._keep_people()
        self.consent.seal_if_due(tenant=self.settings.tenant)
        await self.model.tick()
        if self.bidding is not None:
            self.bidding.tick()
        if self.geo is not None:
            await asyncio.to_thread(self.geo.reload_if_changed)
        await self._merge_ads()
        ads = len(self.memory.catalogue.creatives)
        if ads >= self._settled_ads + SETTLED_ADS:
            self._settled_ads = ads
            gc.collect(1)
            gc.freeze()

    async def _make_reports(self) -> None:
        """Make scheduled reports; apart from the rest, since each may take minutes."""
        while True:
            await asyncio.sleep(REPORTS_S)
            try:
                due = await self.desk.make_due()
            except Exception:  # the edge of a task: a bug in one report must not end all of them
                _log.exception("scheduled reports cannot be made")
                continue
            for schedule_id, trouble in due.troubles.items():
                _log.warning("report schedule %s: not made: %s", schedule_id, trouble)

    async def _keep_people(self) -> None:
        """Record reads of history that were denied; now and then forget what is too old."""
        self.denied.record(self.journal, tenant=self.settings.tenant)
        self.count_ads_free()
        now_s = self.clock.wall_us() // 1_000_000
        if abs(now_s - self._purged_s) >= PURGE_S:
            self._purged_s = now_s
            await asyncio.to_thread(self.history.purge)

    def count_ads_free(self, *, at_once: bool = False) -> None:
        """Record, once a minute, how often subscribers' pages asked. Raises Unavailable."""
        now_us, asked = self.clock.wall_us(), self.serve_ad.requests["subscriber"]
        if asked == self._ads_free or not (at_once or now_us >= self._ads_free_due_us):
            return
        with self.journal.command(
            tenant=self.settings.tenant, request_id=self.ids.new()
        ) as command:
            command.record(AdsFreeCounted(asked - self._ads_free))
            command.commit()
        self._ads_free, self._ads_free_due_us = asked, now_us + COUNTED_US

    async def _expire(self) -> None:
        """Expire what is due, a few at a time: requests go on meanwhile."""
        while self.expire_due() == EXPIRE_AT_ONCE:  # noqa: ASYNC110  # nothing to wait for
            await asyncio.sleep(0)

    async def _keep_pace(self) -> None:
        """Look at the campaigns that pacing is due for, a few at a time: requests go first."""
        while True:
            await asyncio.sleep(TICK_S)
            try:
                while self.pace():  # noqa: ASYNC110  # nothing to wait for
                    await asyncio.sleep(PACED_EVERY_S)
            except Unavailable:  # as above
                continue

    def pace(self) -> bool:
        """Look at some campaigns and record the notes; True while more are due."""
        is_more = self.ads.pacing.work(self.clock.wall_us() // 1_000_000)
        notes = self.ads.pacing.notes.take()
        if notes:
            with self.journal.command(
                tenant=self.settings.tenant, request_id=self.ids.new()
            ) as command:
                for note in notes:
                    command.record(note)
                command.commit()
        return is_more

    async def _merge_ads(self) -> None:
        """Lay out the live ads anew, in a thread, when enough of them have changed."""
        index = self.ads.index
        index.follow(self.clock.wall_us() // 1_000_000 * 1_000_000)
        if index.is_worth_merging:
            merge = index.merge()
            await asyncio.to_thread(merge.run)
            index.merged(merge)

    def expire_due(self) -> int:
        """Record the expiry of holds that are due; returns how many."""
        ledger = self.memory.ledger
        if ledger.next_due(self.clock.wall_us() // 1_000_000) is None:
            return 0
        with self.journal.command(
            tenant=self.settings.tenant, request_id=self.ids.new()
        ) as command:
            expired = ledger.expire_due(command, limit=EXPIRE_AT_ONCE)
            if command.recorded:
                command.commit()
        return expired

    def close(self) -> None:
        """Stop what follows the log, store what waits, close every file. Idempotent."""
        self.store.close()
