"""The audit log and the report of a period over HTTP, for whoever checks or publishes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec
from litestar import get
from litestar.params import QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.web.auth import needs

PAGE_MAX: Final = 1000


class LogPage(Struct, frozen=True):
    """Records in their order, each the line that the file holds: joined they are the log."""

    lines: list[str]
    next: int | None
    """The last record on this page, where there are more; give it as ``after``."""
    records: int
    """In the whole log."""
    public_key: str
    """That it is signed with now."""


class LogReads(Struct, frozen=True, kw_only=True):
    """What the handlers read, put together by the composition root."""

    page: Callable[[int, int], Awaitable[LogPage]]
    report: Callable[[str | None], Awaitable[str]]
    """Period (the newest where none is named) -> the report as JSON. Raises NotFound."""


def log_routes(reads: LogReads) -> list[ControllerRouterHandler]:
    """Every handler."""

    @get("/v1/fairness/log", opt=needs("fairness:read"))
    async def read_fairness_log(
        after: Annotated[int, QueryParameter(ge=-1, le=2**53)] = -1,
        limit: Annotated[int, QueryParameter(ge=1, le=PAGE_MAX)] = 100,
    ) -> LogPage:
        """Records of the audit log after one, as they are signed and chained.

        `ringwork fairness audit` checks the lines, joined, without this server.
        """
        return await reads.page(after, limit)

    @get("/v1/fairness/report", opt=needs("fairness:read"))
    async def read_fairness_report(
        period: Annotated[str | None, QueryParameter(max_length=256)] = None,
    ) -> dict[str, Any]:
        """The compliance report of a period, every figure recomputed from the audit log."""
        report: dict[str, Any] = msgspec.json.decode(await reads.report(period))
        return report

    return [read_fairness_log, read_fairness_report]
