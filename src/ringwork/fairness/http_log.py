"""The audit log over HTTP, its key, and the report of a period: to check, keep and publish them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get, post
from litestar.params import JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.fairness.records import Name
from ringwork.kernel.journal import Command
from ringwork.web.app import HttpRequest, run_command
from ringwork.web.auth import needs
from ringwork.web.execute import Executor
from ringwork.web.openapi import described

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


class NewRotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another key is to sign the audit log."""

    reason: Name
    """Why; it stands in the log."""


class KeyRotated(Struct, frozen=True):
    """What stands in the audit log of it."""

    seq: int
    """Of the record, which the previous key signs."""
    public_key: str
    """That signs all records after it."""
    previous_public_key: str


TYPES: Final[tuple[type[Struct], ...]] = (NewRotation, KeyRotated)


class LogApi(Struct, frozen=True, kw_only=True):
    """What the handlers call, put together by the composition root."""

    page: Callable[[int, int], Awaitable[LogPage]]
    report: Callable[[str | None], Awaitable[str]]
    """Period (the newest where none is named) -> the report as JSON. Raises NotFound."""
    follow: Callable[[], Awaitable[None]]
    """Brings the log's file up to date. Raises Refused where it is not what was written."""
    rotate_key: Callable[[Command, str], KeyRotated]
    """With a reason."""
    execute: Executor


def log_routes(api: LogApi) -> list[ControllerRouterHandler]:
    """Every handler."""

    @get("/v1/fairness/log", opt=needs("fairness:read"))
    async def read_fairness_log(
        after: Annotated[int, QueryParameter(ge=-1, le=2**53)] = -1,
        limit: Annotated[int, QueryParameter(ge=1, le=PAGE_MAX)] = 100,
    ) -> LogPage:
        """Records of the audit log after one, as they are signed and chained.

        `ringwork fairness audit` checks the lines, joined, without this server.
        """
        return await api.page(after, limit)

    @get("/v1/fairness/report", opt=needs("fairness:read"))
    async def read_fairness_report(
        period: Annotated[str | None, QueryParameter(max_length=256)] = None,
    ) -> dict[str, Any]:
        """The compliance report of a period, every figure recomputed from the audit log."""
        report: dict[str, Any] = msgspec.json.decode(await api.report(period))
        return report

    @post(
        "/v1/fairness/log/rotations",
        opt={**needs("fairness:rotate"), **described(KeyRotated, key="optional")},
    )
    async def rotate_fairness_log_key(
        request: HttpRequest, data: JSONBody[NewRotation]
    ) -> Response[bytes]:
        """Sign the audit log with a new key from here on; the present one vouches for it.

        The new secret is made and kept here; the old one too, to rebuild the log's file with.
        """
        await api.follow()  # a key vouches for nothing that does not hold together

        def decide(command: Command) -> tuple[int, Struct]:
            return 201, api.rotate_key(command, data.reason)

        return await run_command(request, api.execute, decide)

    return [read_fairness_log, read_fairness_report, rotate_fairness_log_key]
