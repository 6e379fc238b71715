"""The console's page of reports, and their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from ringwork.ads.http_reports import ReportsApi, csv_of
from ringwork.ads.reports.desk import ReportDesk
from ringwork.console.asked import text
from ringwork.console.editing import asked_for
from ringwork.console.forms.reading import Typed, members_of, placed, read_new
from ringwork.console.forms.report import GROUPS, ReportAsked, defaults, query_of
from ringwork.console.forms.sent import VALUES_MAX
from ringwork.console.pages import Page
from ringwork.console.respond import Answer, Responder
from ringwork.console.views.reports import Around, Asked, Made, reports
from ringwork.kernel.errors import Conflict, Fault, Unavailable
from ringwork.web.app import HttpRequest
from ringwork.web.auth import needs

_SEE: Final = needs("ledger:read")
_TEXT_MAX: Final = 4000
"""Of one input: addresses are shorter."""
_SCHEDULES: Final = 100
_IS_ASKED: Final = frozenset({"first_day", "measures"})
"""Members of an address that asks for a report; one without them only opens the form."""
_HERE: Final = {"/from_us": "/first_day", "/until_us": "/last_day"}
"""Members of the query that the form says in other words."""


def report_routes(
    api: ReportsApi, respond: Responder, names: Mapping[str, str], now_us: Callable[[], int]
) -> list[ControllerRouterHandler]:
    """The handlers."""

    def shown(asked: Asked) -> Page:
        around = Around(
            names=names,
            currency=api.ads.ads.currency,
            schedules=list(islice(api.desk.schedules.items.values(), _SCHEDULES)),
            now_us=now_us(),
        )
        return reports(asked, around)

    @get("/reports", opt=_SEE)
    async def show_reports(request: HttpRequest) -> Answer:
        if not _IS_ASKED.isdisjoint(request.query_params):
            asked = await _run(api.desk, _typed(request), text(request, "order_by"))
        else:
            asked = Asked(typed=defaults(now_us()))
        return respond.page(request, shown(asked))

    @get("/reports/{name:str}", opt=_SEE)
    async def save_report(name: FromPath[str]) -> Response[str]:
        return await csv_of(api.desk, name)

    return [show_reports, save_report]


async def _run(desk: ReportDesk, typed: Typed, order_by: str) -> Asked:
    """Run what is asked for, or say what is wrong with it."""

    def not_run(status: int, faults: Mapping[str, str], trouble: str = "") -> Asked:
        return Asked(typed=typed, order_by=order_by, faults=faults, trouble=trouble, status=status)

    read = read_new(GROUPS, typed, ReportAsked)
    if read.faults:
        return not_run(422, read.faults)
    asked = asked_for(read.values, ReportAsked)
    if asked.last_day < asked.first_day:
        return not_run(422, {"/last_day": "It must not be before the first day"})
    try:
        id, seq, report = await desk.report(query_of(asked, order_by))
    except Conflict as refused:
        found = [Fault(_HERE.get(one.pointer, one.pointer), one.detail) for one in refused.errors]
        faults, others = placed(GROUPS, found)
        return not_run(
            refused.status, faults, ". ".join(others) if refused.errors else refused.detail
        )
    except Unavailable as refused:
        return not_run(refused.status, {}, refused.detail)
    made = Made(id=id, through_seq=seq, report=report, asked=asked)
    return Asked(typed=typed, order_by=order_by, made=made)


def _typed(request: HttpRequest) -> Typed:
    """What stands in the address, by the pointers of the form."""
    return {
        member.pointer: [
            str(one)[:_TEXT_MAX]
            for one in request.query_params.getall(member.pointer[1:], [])[:VALUES_MAX]
        ]
        for member in members_of(GROUPS)
    }
