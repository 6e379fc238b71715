"""The report desk: makes reports one at a time, keeps them as CSV, and makes what is due.

Everything that waits for DuckDB runs in a thread. A query may use gigabytes, so that only one runs
and a few wait; more are told to come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from ringwork.ads.forecast import Forecast, PlannedCampaign, run_forecast
from ringwork.ads.model import Pricing
from ringwork.ads.reports.csv_text import to_csv
from ringwork.ads.reports.report import Report, Warehouse, run_report
from ringwork.ads.reports.schedules import Period, ReportMade, ReportSchedule, Schedules
from ringwork.ads.reports.vocabulary import ReportQuery
from ringwork.kernel.errors import Overloaded, RingworkError
from ringwork.kernel.ids import format_id
from ringwork.kernel.journal import Journal

WAITING_MAX: Final = 8

_T = TypeVar("_T")


class FreshWarehouse(Warehouse, Protocol):
    """An exported log that can catch up with the log."""

    def refresh(self) -> int:
        """Export what is new and durable; the last sequence number that the files hold."""
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

        Raises what ``run_report`` does, and Overloaded.
        """
        report_id = format_id(self._journal.ids.new())

        def make() -> tuple[str, int, Report]:
            seq = self._warehouse.refresh()
            report = run_report(self._warehouse, query)
            self._files.save(report_id, to_csv(report))
            return report_id, seq, report

        return await self._in_turn(make)

    async def csv(self, report_id: str) -> str | None:
        """A report as CSV, while it is kept."""
        return await asyncio.to_thread(self._files.load, report_id)

    async def forecast(self, plan: PlannedCampaign) -> Forecast:
        """What a planned campaign would come to. Raises what ``run_forecast`` does; Overloaded."""
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
        for schedule, period in list(self.schedules.due(self._journal.clock.wall_us())):
            try:
                report_id, _, report = await self.report(schedule.query(period))
                text = await self.csv(report_id)
                assert text is not None, "it was saved a moment ago"
                made += self._record(schedule, period, report_id, report, text)
                await self._journal.settled()
            except RingworkError as error:
                troubles[schedule.id] = str(error)
        return Due(made, troubles)

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
                return await asyncio.to_thread(make)
        finally:
            self._waiting -= 1
