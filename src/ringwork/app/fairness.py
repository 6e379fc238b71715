"""Fairness in this process: its folds, its enclave, its desk, its log file, put together.

Census tables, the enclave and the desk are made when the first special ad or described person is
there: a platform without them starts and serves as if there were no such part.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ringwork import __version__
from ringwork.app.fairness_keys import LogKeys
from ringwork.app.fairness_log import FILE_NAME, AuditFile
from ringwork.app.store import Store
from ringwork.fairness.audit import audited
from ringwork.fairness.control.steering import Steering
from ringwork.fairness.delivery.clusters import Clusters
from ringwork.fairness.delivery.events import PersonUndescribed
from ringwork.fairness.delivery.showing import Showing
from ringwork.fairness.delivery.steer import AuctionSteer
from ringwork.fairness.delivery.work import LiveAd, Sellers, Work, record
from ringwork.fairness.http_log import KeyRotated, LogPage
from ringwork.fairness.measure.reach import ControlArm
from ringwork.fairness.outside import Outside
from ringwork.fairness.plan import Plan, parse_plan, preset, presets
from ringwork.fairness.records import Key
from ringwork.kernel.errors import ConfigurationError, Conflict, NotFound, Refused, Unavailable
from ringwork.kernel.ids import derived_id
from ringwork.kernel.journal import Command

if TYPE_CHECKING:
    from ringwork.fairness.delivery.desk import Desk
    from ringwork.fairness.report import Document
    from ringwork.fairness.tables.model import Tables

LOOK_S: Final = 1.0
AUDIT_RECORDS_MAX: Final = 5_000
"""Of a log that the server audits for a report; a longer one takes minutes, and a command of its
own."""
SUBJECT: Final = "fairness/enclave"
"""Under whose key the enclave's exact sums are sealed."""

_log: Final = logging.getLogger(__name__)


def _is_nothing(ad: str) -> bool:
    """Where nothing is sold."""
    return False


class Fairness:
    """``keep`` it as a task in the running loop."""

    def __init__(
        self,
        store: Store,
        *,
        subject_of: Callable[[str], bytes],
        own_ads: Sellers = tuple,
        is_own: Callable[[str], bool] = _is_nothing,
    ) -> None:
        """Raises ConfigurationError for a plan or tables that are not there or cannot be read.

        ``subject_of``: a person's pseudonym; ``own_ads``: those that this platform sells itself,
        and ``is_own`` whether one is of them.
        """
        settings, secrets = store.settings, store.secrets
        own = settings.fairness
        self.settings = own
        self.plan = plan_of(own.plan)
        _require_tables(own.tables)
        self.memory = store.memory.fairness
        self.journal = store.journal
        self.keys = store.keys
        self.tenant = settings.tenant
        self.subject_of = subject_of
        self.subject = store.pseudonym(SUBJECT)
        self.tables = Steering()
        self.steer = AuctionSteer(
            self.tables, ControlArm(secrets.fairness, self.plan.control.control_arm_ppm)
        )
        self.clusters = Clusters(secrets.fairness, own.clusters)
        self.log_keys = LogKeys(settings.data_path, secrets, store.entropy)
        self.file = AuditFile(
            settings.data_path / FILE_NAME,
            keys=self.log_keys,
            rows=store.reader.rows,
            types=store.types,
        )
        self._own_ads = own_ads
        self._entropy = store.entropy
        self._looking = asyncio.Lock()
        self.desk: Desk | None = None
        """None until there is something to do."""
        self.outside = Outside(
            self.memory,
            self.steer,
            clusters=own.clusters,
            subject_of=subject_of,
            period=self.period,
            is_own=is_own,
        )
        self.showing = Showing(self.memory.people, window_days=self.plan.eligible_window_days)
        # Memory is folded: from here on its new records are for the file.
        self.memory.log.fresh = deque()

    def period(self) -> str:
        """The plan's present one, once there is a desk."""
        return "" if self.desk is None else self.desk.period

    # ---- beside the requests --------------------------------------------------------------------

    async def keep(self) -> None:
        """Look after all that is due, every second."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except Unavailable:  # the disk is full or the log overloaded: next time
                continue
            except Exception:  # the edge of a task: one ad's bug must not end all measuring
                _log.exception("fairness cannot be looked after")

    async def look(self) -> None:
        """All that is due now. Raises Unavailable, and Refused where the file is damaged."""
        async with self._looking:
            if self.showing.is_due(self.journal.clock.wall_us()):
                while self.count_shown():  # noqa: ASYNC110  # nothing to wait for
                    await asyncio.sleep(0)
            if self.memory.flights.ads or any(True for _ in self._live()):
                await (await self.ready()).look()
            await self._follow()

    def count_shown(self) -> bool:
        """Record some of how often people were shown ordinary ads; True while there is more.

        Raises Unavailable.
        """
        if not self.showing.has_counted:
            return False
        request_id = self.showing.request_id()
        with self.journal.command(tenant=self.tenant, request_id=request_id) as command:
            is_more = self.showing.record(command)
            if command.recorded:
                command.commit()
        self.showing.recorded(command.ts_us)
        return is_more

    async def ready(self) -> Desk:
        """The desk, made if there is none yet. Raises Refused (tables-missing, -damaged)."""
        if self.desk is None:
            tables = await asyncio.to_thread(self._load_tables)
            if self.desk is None:  # or somebody else had to wait for them as well
                self.desk = self._desk(tables)
        return self.desk

    def _load_tables(self) -> Tables:
        from ringwork.app.fairness_tables import TableCache  # noqa: PLC0415  # only where used

        cache = TableCache()
        names = cache.names()
        return cache.load(self.settings.tables or names[-1])

    def _desk(self, tables: Tables) -> Desk:
        from ringwork.fairness.delivery.desk import Desk  # noqa: PLC0415  # only where used
        from ringwork.fairness.enclave import Enclave  # noqa: PLC0415
        from ringwork.fairness.privacy.samplers import NoisePool  # noqa: PLC0415

        own = self.settings
        work = Work(
            plan=self.plan,
            memory=self.memory,
            enclave=Enclave(self.plan, tables, self.memory.people, self.keys),
            journal=self.journal,
            keys=self.keys,
            entropy=self._entropy,
            pool=NoisePool(self._entropy),
            tenant=self.tenant,
            subject=self.subject,
            public_key=self.log_keys.first.public,
            software_version=__version__,
            live=self._live,
        )
        return Desk(
            work,
            self.tables,
            clusters=own.clusters,
            cluster_people=own.cluster_people,
            cluster_sigma=own.cluster_sigma,
            audience_still_s=own.audience_still_s,
        )

    async def follow(self) -> None:
        """Bring the log's file up to all that was recorded. Raises Refused, as ``AuditFile``."""
        await self.journal.settled()
        async with self._looking:
            await self._follow()

    async def _follow(self) -> None:
        """Bring the log's file up to what is durable."""
        log = self.memory.log
        head = self.journal.log.head.seq
        fresh = list(log.fresh or ())
        durable = [one for one in fresh if one.event_seq <= head]
        until = log.next_seq - 1 - (len(fresh) - len(durable))
        if until >= self.file.next_seq:
            await asyncio.to_thread(self.file.follow, durable, until=until, event_seq=head)
        while log.fresh and log.fresh[0].seq < self.file.next_seq:
            log.fresh.popleft()

    # ---- what is read ---------------------------------------------------------------------------

    async def log_page(self, after: int, limit: int) -> LogPage:
        """Records of the audit log, as they stand in its file."""
        await self.journal.settled()
        async with self._looking:
            await self._follow()
            lines = await asyncio.to_thread(self.file.read, after, limit)
        last = after + len(lines)
        return LogPage(
            [line.decode() for line in lines],
            last if lines and last + 1 < self.file.next_seq else None,
            self.file.next_seq,
            self.file.public_key,
        )

    async def report(self, period: str | None) -> str:
        """The report of a period as JSON, every figure recomputed. Raises NotFound."""
        from ringwork.fairness.rendering import to_json  # noqa: PLC0415  # jinja2

        return to_json(await self.document(period))

    async def document(self, period: str | None) -> Document:
        """The report of a period, from the log audited to its end.

        Raises NotFound, and Refused (log-too-long).

        Nothing waits for it: the file only grows meanwhile, and half a line at its end is none.
        """
        await self.follow()
        return await asyncio.to_thread(self._document, period)

    def _document(self, period: str | None) -> Document:
        from ringwork.fairness.report import document_of  # noqa: PLC0415

        records = self.file.next_seq
        if not records:
            raise NotFound("nothing is measured yet: the audit log is empty")
        if records > AUDIT_RECORDS_MAX:
            command = f"ringwork fairness report {self.file.path.name} --format all --out ."
            raise Refused(
                "log-too-long",
                f"expected at most {AUDIT_RECORDS_MAX:,} records for an audit in a server, "
                f"got {records:,}: run `{command}`",
                status=422,
                title="The log is too long for a server to audit",
            )
        with self.file.path.open("rb") as file:
            auditor = audited(file, period=period)
        plan = auditor.state.plan
        if plan is None or period not in (None, plan.period):
            raise NotFound(f"no plan of the log names the period {period!r}")
        return document_of(auditor)

    # ---- what people do ------------------------------------------------------------------------

    def rotate_key(self, command: Command, reason: str) -> KeyRotated:
        """Another key signs the audit log from the next record on; the present one vouches for it.

        Raises Refused (log-key), Conflict (rule-violated), StorageFull; then nothing was recorded.
        """
        log = self.memory.log
        if log.genesis is None:
            raise Conflict("rule-violated", "expected an audit log with a record, got an empty one")
        present = self.log_keys.of(log.chronicle.public_key)
        following, seq = self.log_keys.add(), log.next_seq
        record(command, Key(new_public_key=following.public, reason=reason))
        return KeyRotated(seq, following.public, present.public)

    # ---- what others tell -----------------------------------------------------------------------

    def erased(self, command: Command, subject: str, pseudonym: bytes, event_id: bytes) -> None:
        """Follow an erasure: nothing that is still to be released counts the person."""
        memory = self.memory
        self.showing.forget(pseudonym)
        if pseudonym in memory.people.described or memory.flights.knows(pseudonym):
            command.record(
                PersonUndescribed(),
                event_id=derived_id(event_id, PersonUndescribed.TYPE),
                subject=pseudonym,
                purpose="erasure",
            )

    def _live(self) -> Iterator[LiveAd]:
        """Special ads that are sold now, and those that are measured and over."""
        flights = self.memory.flights
        for ad, told in flights.registered.items():
            flight = flights.ads.get(ad)
            shown = 0 if flight is None else sum(one.impressions for one in flight.segments)
            yield LiveAd(
                ad=ad,
                advertiser=told.advertiser,
                category=told.category,
                audience=told.audience,
                expected_impressions=told.expected_impressions,
                impressions_left=max(told.expected_impressions - shown, 0),
                is_over=told.is_over,
            )
        for one in self._own_ads():
            if one.is_over or one.category in self.plan.categories:
                yield one


def plan_of(named: str) -> Plan:
    """A preset, or the plan of a YAML file. Raises ConfigurationError."""
    if named in presets():
        return preset(named)
    path = Path(named)
    try:
        return parse_plan(path.read_bytes(), where=named)
    except OSError as error:
        raise ConfigurationError(
            f"fairness.plan: {named or '(empty)'}: {error.strerror}; expected one of "
            f"{', '.join(presets())}, or a YAML file"
        ) from None
    except Refused as refused:
        raise ConfigurationError(f"fairness.plan: {refused.detail}") from None


def _require_tables(named: str) -> None:
    """Tables that are named are there. Raises ConfigurationError."""
    if not named:
        return
    from ringwork.app.fairness_tables import TableCache  # noqa: PLC0415  # only where used

    names = TableCache().names()
    if named not in names:
        raise ConfigurationError(
            f"fairness.tables = {named!r}: expected one of {', '.join(names)}; build others with "
            "`ringwork fairness tables build`"
        )
