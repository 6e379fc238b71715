"""That Global Privacy Control is honoured here, where browsers and crawlers look for it."""

from __future__ import annotations

from datetime import date

from litestar import get
from litestar.types import ControllerRouterHandler

from ringwork.consent.gpc import WELL_KNOWN, GpcStatement


def gpc_routes(since: date) -> list[ControllerRouterHandler]:
    """The handler; anyone may ask."""

    @get(WELL_KNOWN, opt={"open": True}, sync_to_thread=False)
    def read_gpc() -> GpcStatement:
        """That `Sec-GPC: 1` is honoured as an opt-out, and since when (GPC specification)."""
        return GpcStatement(since)

    return [read_gpc]
