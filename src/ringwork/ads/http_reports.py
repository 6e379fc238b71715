"""The management API of reports, forecasts, invoices and payouts.

Reports and forecasts read the exported log (DuckDB over Parquet, in a thread); documents and their
money are commands as any other: one key, one decision, one frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from litestar import Response, delete, get, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.ads.charges import MONTH_PATTERN
from ringwork.ads.forecast import Forecast, PlannedCampaign
from ringwork.ads.http_api import AdsApi, After, IdFilter, Limit, PathId, status_of
from ringwork.ads.invoice_events import InvoiceIssued
from ringwork.ads.invoices import Invoicing
from ringwork.ads.payouts import Payouts
from ringwork.ads.report_views import (
    CreditNoteView,
    InvoiceView,
    InvoiceViews,
    NewCreditNote,
    NewInvoice,
    NewPayout,
    PayoutView,
    ReportView,
    ScheduleView,
    ScheduleViews,
    StatementView,
    WholeInvoice,
)
from ringwork.ads.reports import ReportQuery
from ringwork.ads.reports.desk import ReportDesk
from ringwork.ads.reports.schedules import ReportSchedule
from ringwork.kernel.errors import NotFound
from ringwork.kernel.journal import Command
from ringwork.web.app import HttpRequest, run_command
from ringwork.web.auth import needs
from ringwork.web.openapi import UUID_PATTERN, described

_READ: Final = needs("ledger:read")
_PAY: Final = needs("ledger:write")

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "report-schedule-exists": (409, "A report schedule of that id exists with other content."),
    "currencies-mixed": (409, "Money of several currencies would be added up."),
    "history-too-short": (409, "The log holds too few whole days for a forecast."),
    "month-not-over": (409, "A month is billed and paid out once it is over (UTC)."),
    "nothing-to-invoice": (409, "Nothing was charged by then that no invoice holds yet."),
    "nothing-to-pay": (409, "Less than the currency's smallest unit was earned by then."),
    "ledger-differs": (409, "A campaign's account does not say what its outcomes say."),
    "credit-exceeds-invoice": (409, "A credit note gives back at most what is left."),
    "reports-unavailable": (503, "The exported log cannot be written or read; `detail` says why."),
}
"""Slugs of this module: status, and when it is answered."""

TYPES: Final[tuple[type[Struct], ...]] = (
    ReportQuery, ReportView, ReportSchedule, ScheduleView, ScheduleViews, PlannedCampaign, Forecast,
    NewInvoice, InvoiceView, InvoiceViews, WholeInvoice, NewCreditNote, CreditNoteView, NewPayout,
    PayoutView, StatementView,
)  # fmt: skip
"""Structs whose schemas the OpenAPI document takes from msgspec."""

DocumentPath = Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,95}$")]
CsvName = Annotated[str, PathParameter(pattern=UUID_PATTERN[:-1] + r"\.csv$")]
MonthQuery = Annotated[str, QueryParameter(pattern=f"^{MONTH_PATTERN}$")]


class ReportsApi(Struct, frozen=True, kw_only=True):
    """What the handlers work with, put together by the composition root."""

    ads: AdsApi
    desk: ReportDesk
    invoicing: Invoicing
    payouts: Payouts


def report_routes(api: ReportsApi) -> list[ControllerRouterHandler]:
    """Every handler of this module."""
    return [*_reports(api), *_schedules(api), *_invoices(api), *_publishers(api)]


async def csv_of(desk: ReportDesk, name: str) -> Response[str]:
    """A report that was made, to be saved as a file; NotFound once it is kept no more."""
    text = await desk.csv(name.removesuffix(".csv"))
    if text is None:
        raise NotFound(f"no report {name[:64]!r} is kept")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type="text/csv", headers=headers)


async def whole_invoice(api: ReportsApi, invoice_id: str) -> WholeInvoice:
    """An invoice with its lines, which stand in the log, and its credit notes; NotFound."""
    books, journal = api.invoicing.books, api.ads.journal
    kept = books.invoices.get(invoice_id)
    if kept is None:
        raise NotFound(f"no invoice {invoice_id[:96]!r}")
    await journal.settled()
    recorded = journal.event_at(kept.seq)
    if recorded is None:
        raise NotFound(f"the log file with invoice {invoice_id!r} was removed")
    issued = recorded.payload
    assert isinstance(issued, InvoiceIssued), "an invoice stands where the books say"
    notes = [one for one in books.credit_notes.values() if one.invoice_id == invoice_id]
    return WholeInvoice.of(kept, issued, notes)


def _reports(api: ReportsApi) -> list[ControllerRouterHandler]:
    @post("/v1/reports", opt=_READ)
    async def run_report(data: JSONBody[ReportQuery]) -> ReportView:
        """Count and sum by any dimension; equal to the ledger's totals, to the nano."""
        return ReportView.of(*await api.desk.report(data))

    @get("/v1/reports/{name:str}", opt=_READ, media_type="text/csv")
    async def read_report(name: CsvName) -> Response[str]:
        """A report that was made, as CSV."""
        return await csv_of(api.desk, name)

    @post("/v1/forecasts", opt=needs("catalogue:read"), status_code=200)
    async def forecast(data: JSONBody[PlannedCampaign]) -> Forecast:
        """What a planned campaign would come to, from the log, with an interval."""
        return await api.desk.forecast(data)

    return [run_report, read_report, forecast]


def _schedules(api: ReportsApi) -> list[ControllerRouterHandler]:
    schedules = api.desk.schedules

    @post(
        "/v1/report-schedules",
        opt={**needs("catalogue:write"), **described(ReportSchedule, key="optional")},
    )
    async def schedule_report(
        request: HttpRequest, data: JSONBody[ReportSchedule]
    ) -> Response[bytes]:
        """Make a report of every day, week or month once it is over."""
        actor = api.ads.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            schedule, is_new = schedules.create(command, data, actor)
            return status_of(is_new), schedule

        return await run_command(request, api.ads.execute, decide)

    @get("/v1/report-schedules", opt=_READ)
    async def list_schedules() -> ScheduleViews:
        """Every schedule that goes on, with its latest report."""
        views = [ScheduleView.of(one) for one in schedules.items.values()]
        await api.ads.journal.settled()
        return ScheduleViews(views)

    @delete(
        "/v1/report-schedules/{schedule_id:str}",
        status_code=200,
        opt={**needs("catalogue:write"), **described(ReportSchedule, key="optional")},
    )
    async def end_schedule(request: HttpRequest, schedule_id: PathId) -> Response[bytes]:
        """Make no more reports of a schedule; those that were made stay."""
        actor = api.ads.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, schedules.end(command, schedule_id, actor)

        return await run_command(request, api.ads.execute, decide)

    return [schedule_report, list_schedules, end_schedule]


def _invoices(api: ReportsApi) -> list[ControllerRouterHandler]:
    books = api.invoicing.books

    @post("/v1/invoices", opt={**_PAY, **described(InvoiceView, key="required")})
    async def issue_invoice(request: HttpRequest, data: JSONBody[NewInvoice]) -> Response[bytes]:
        """Invoice everything up to the end of a month that no invoice holds yet."""
        actor = api.ads.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            id, is_new = api.invoicing.issue(command, data.advertiser, data.month, data.tax, actor)
            return status_of(is_new), InvoiceView.of(books.invoices[id])

        return await run_command(request, api.ads.execute, decide, key_required=True)

    @get("/v1/invoices", opt=_READ)
    async def list_invoices(
        after: After = "0", limit: Limit = 100, advertiser: IdFilter = ""
    ) -> InvoiceViews:
        """Invoices in the order in which they were issued."""
        keep = (lambda one: one.advertiser_id == advertiser) if advertiser else None
        found, end = await api.ads.page(books.invoices, after, limit, keep)
        return InvoiceViews([InvoiceView.of(kept) for kept in found], end)

    @get("/v1/invoices/{invoice_id:str}", opt=_READ)
    async def read_invoice(invoice_id: DocumentPath) -> WholeInvoice:
        """An invoice with its lines, as it was issued, and its credit notes."""
        return await whole_invoice(api, invoice_id)

    @post("/v1/credit-notes", opt={**_PAY, **described(CreditNoteView, key="required")})
    async def issue_credit_note(
        request: HttpRequest, data: JSONBody[NewCreditNote]
    ) -> Response[bytes]:
        """Give a part of an invoice back to the advertiser's account, with its tax."""
        actor = api.ads.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            note = api.invoicing.credit(command, data.invoice, data.amount, data.reason, actor)
            return 201, CreditNoteView.of(note)

        return await run_command(request, api.ads.execute, decide, key_required=True)

    return [issue_invoice, list_invoices, read_invoice, issue_credit_note]


def _publishers(api: ReportsApi) -> list[ControllerRouterHandler]:
    @get("/v1/publishers/{publisher_id:str}/statement", opt=_READ)
    async def read_statement(publisher_id: PathId, month: MonthQuery) -> StatementView:
        """What a publisher earned in a month (UTC), what was kept and paid out of it."""
        statement = api.payouts.statement(publisher_id, month)
        await api.ads.journal.settled()
        return StatementView.of(statement)

    @post("/v1/payouts", opt={**_PAY, **described(PayoutView, key="required")})
    async def make_payout(request: HttpRequest, data: JSONBody[NewPayout]) -> Response[bytes]:
        """Pay out what a publisher earned up to the end of a month."""
        actor = api.ads.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            return 201, PayoutView.of(api.payouts.pay(command, data.publisher, data.month, actor))

        return await run_command(request, api.ads.execute, decide, key_required=True)

    return [read_statement, make_payout]
