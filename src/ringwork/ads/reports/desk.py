"""The report desk: makes reports one at a time, keeps them as CSV, and makes what is due.

Everything that waits for DuckDB runs in a thread. A query may use gigabytes, so that only one runs
and a few wait; more are told to come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from ringwork.ads.forecast import Forecast, PlannedCampaign, check_plan, run_forecast
from ringwork.ads.model import Pricing
from ringwork.ads.reports.compile import compile_query
from ringwork.ads.reports.csv_text import to_csv
from ringwork.ads.reports.report import Report, Warehouse, run_report
from ringwork.ads.reports.schedules import Period, ReportMade, ReportSchedule, Schedules
from ringwork.ads.reports.vocabulary import ReportQuery
from ringwork.kernel.errors import Overloaded, Refused, RingworkError, Unavailable
from ringwork.kernel.ids import format_id
from ringwork.kernel.journal import Journal

WAITING_MAX: Final = 8

_T = TypeVar("_T")


class FreshWarehouse(Warehouse, Protocol):
    """An exported log that can catch up with the log."""

    def refresh(self) -> int:
        """Export what is new and durable; the last sequence number that the files hold."""
        ...

    def stop(self) -> None:
        """Let a refresh end soon, with Unavailable; another one does not begin."""
        ...


class ReportFiles(Protocol):
    """Where reports wait to be fetched; old ones may go."""

    def save(self, report_id: str, text: str) -> None: ...

    def load(self, report_id: str) -> str | None:
        """The text of a report that is still kept."""
        ...


class Due(Struct, frozen=True):
    """What became of the reports that were due."""

    made: int
    troubles: dict[str, str]
    """Schedule -> why its report could not be made."""


class ReportDesk:
    """Makes reports and forecasts from one warehouse."""

    def __init__(
        self,
        *,
        warehouse: FreshWarehouse,
        files: ReportFiles,
        schedules: Schedules,
        journal: Journal,
        tenant: str,
        p_ppb: Mapping[Pricing, int],
    ) -> None:
        """``p_ppb``: as ``AdsSettings.p_ppb``."""
        self.schedules = schedules
        self._warehouse = warehouse
        self._files = files
        self._journal = journal
        self._tenant = tenant
        self._p_ppb = p_ppb
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def report(self, query: ReportQuery) -> tuple[str, int, Report]:
        """A report of everything acknowledged so far: its id, through which event, its rows.

        Raises what ``run_report`` does; Overloaded; Unavailable ``reports-unavailable`` where the
        exported log can be neither written nor read.
        """
        compile_query(query)  # what cannot be is refused before anything is exported for it
        report_id = self._new_id()

        def make() -> tuple[str, int, Report]:
            seq = self._warehouse.refresh()
            return report_id, seq, self._made(report_id, query)[0]

        return await self._in_turn(make)

    def _new_id(self) -> str:
        return format_id(self._journal.ids.new())

    def _made(self, report_id: str, query: ReportQuery) -> tuple[Report, str]:
        """A report of what is exported, and its text, which is kept."""
        report = run_report(self._warehouse, query)
        text = to_csv(report)
        self._files.save(report_id, text)
        return report, text

    async def csv(self, report_id: str) -> str | None:
        """A report as CSV, while it is kept. Raises Unavailable ``reports-unavailable``."""
        with _refusing():
            return await asyncio.to_thread(self._files.load, report_id)

    async def forecast(self, plan: PlannedCampaign) -> Forecast:
        """What a planned campaign would come to. Raises what ``run_forecast`` does; Overloaded."""
        check_plan(plan)
        now_us = self._journal.clock.wall_us()

        def make() -> Forecast:
            self._warehouse.refresh()
            return run_forecast(self._warehouse, plan, now_us=now_us, p_ppb=self._p_ppb)

        return await self._in_turn(make)

    async def make_due(self) -> Due:
        """Make the next report of every schedule whose period is over.

        One that fails stands in nobody's way: it is tried again the next time.
        """
        made, troubles = 0, {}
        due = list(self.schedules.due(self._journal.clock.wall_us()))
        if not due:
            return Due(0, {})
        try:
            # Once for all: what is recorded later lies in a later period.
            await self._in_turn(self._warehouse.refresh)
        except RingworkError as error:
            return Due(0, {schedule.id: str(error) for schedule, _ in due})
        for schedule, period in due:
            try:
                report_id = self._new_id()
                make = partial(self._made, report_id, schedule.query(period))
                report, text = await self._in_turn(make)
                made += self._record(schedule, period, report_id, report, text)
                await self._journal.settled()
            except RingworkError as error:
                troubles[schedule.id] = str(error)
        return Due(made, troubles)

    def stop(self) -> None:
        """Let what runs end soon: the process is about to."""
        self._warehouse.stop()

    def _record(
        self, schedule: ReportSchedule, period: Period, report_id: str, report: Report, text: str
    ) -> bool:
        """Whether it is made now: it may have ended, or been made, while this one waited."""
        if (schedule, period) not in list(self.schedules.due(self._journal.clock.wall_us())):
            return False
        with self._journal.command(
            tenant=self._tenant, request_id=self._journal.ids.new()
        ) as command:
            digest = sha256(text.encode()).hexdigest()
            command.record(
                ReportMade(
                    schedule.id, report_id, period.from_us, period.until_us,
                    len(report.rows), digest,
                )
            )  # fmt: skip
            command.commit()
        return True

    async def _in_turn(self, make: Callable[[], _T]) -> _T:
        if self._waiting >= WAITING_MAX:
            raise Overloaded(f"{WAITING_MAX} reports are waiting for their turn")
        self._waiting += 1
        try:
            async with self._turn:
                await self._journal.settled()
                with _refusing():
                    return await _to_the_end(make)
        finally:
            self._waiting -= 1


async def _to_the_end(make: Callable[[], _T]) -> _T:
    """Run it in a thread; who cancels waits for its end, since a thread cannot be stopped."""
    running = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        running.exception()  # nobody asks any more
        raise


@contextmanager
def _refusing() -> Iterator[None]:
    """Say as a refusal what keeps the exported log or a report from being written or read."""
    try:
        yield
    except Refused:
        raise
    except RingworkError as error:
        raise Unavailable("reports-unavailable", str(error), retry_after_s=60) from error
