"""The management API of people's history: it is told, and read by no request of this kind."""

from __future__ import annotations

from typing import Final

from litestar import Response, post
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.ads.behavioural.requests import EventsTaken, PersonEvent, PersonEvents
from ringwork.ads.behavioural.told import PeopleTold
from ringwork.kernel.journal import Command
from ringwork.web.app import HttpRequest, run_command
from ringwork.web.auth import needs
from ringwork.web.execute import Executor
from ringwork.web.openapi import described

TYPES: Final[tuple[type[Struct], ...]] = (PersonEvent, PersonEvents, EventsTaken)
"""Structs whose schemas the OpenAPI document takes from msgspec."""


def routes(told: PeopleTold, execute: Executor) -> list[ControllerRouterHandler]:
    """The handlers."""

    @post(
        "/v1/events",
        opt={**needs("history:write"), **described(EventsTaken, key="required")},
    )
    async def tell_events(request: HttpRequest, data: JSONBody[PersonEvents]) -> Response[bytes]:
        """Tell what people did on a core service; kept only of those who consented to it."""

        def decide(command: Command) -> tuple[int, Struct]:
            recorded = told.record(command, data.events)
            return 201, EventsTaken(recorded, len(data.events) - recorded)

        return await run_command(request, execute, decide, key_required=True)

    return [tell_events]
