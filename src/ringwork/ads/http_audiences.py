"""The management API of ads: audiences, which are rules and name nobody."""

from __future__ import annotations

from litestar import Response, get, patch, post
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.ads.http_api import (
    READ,
    WRITE,
    AdsApi,
    After,
    Limit,
    PathId,
    TextFilter,
    says,
    status_of,
)
from ringwork.ads.http_review import history_of
from ringwork.ads.model import Audience
from ringwork.ads.requests import AudienceChange, NewAudience
from ringwork.ads.views import Audiences, History
from ringwork.kernel.journal import Command
from ringwork.web.app import HttpRequest, run_command
from ringwork.web.openapi import described


def audience_routes(api: AdsApi) -> list[ControllerRouterHandler]:
    """The handlers of audiences."""
    audiences = api.catalogue.audiences

    @post("/v1/audiences", opt={**WRITE, **described(Audience, key="optional")})
    async def create_audience(request: HttpRequest, data: JSONBody[NewAudience]) -> Response[bytes]:
        """Create an audience: rules over what people did, for campaigns to target or exclude."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            audience, is_new = api.management.create_audience(command, data, actor)
            return status_of(is_new), audience

        return await run_command(request, api.execute, decide)

    @get("/v1/audiences", opt=READ)
    async def list_audiences(
        after: After = "0", limit: Limit = 100, q: TextFilter = ""
    ) -> Audiences:
        """Audiences in the order of their creation."""

        def keep(one: Audience) -> bool:
            return says(q, one.id, one.name)

        return Audiences(*await api.page(audiences, after, limit, keep if q else None))

    @get("/v1/audiences/{audience_id:str}", opt=READ)
    async def read_audience(audience_id: PathId) -> Audience:
        """One audience as it is now."""
        return await api.one(audiences, "audience", audience_id)

    @patch("/v1/audiences/{audience_id:str}", opt={**WRITE, **described(Audience, key="optional")})
    async def change_audience(
        request: HttpRequest, audience_id: PathId, data: JSONBody[AudienceChange]
    ) -> Response[bytes]:
        """Change an audience; who is in it follows with the next request."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, api.management.change_audience(command, audience_id, data, actor)

        return await run_command(request, api.execute, decide)

    @get("/v1/audiences/{audience_id:str}/history", opt=READ)
    async def audience_history(
        audience_id: PathId, after: After = "0", limit: Limit = 100
    ) -> History:
        """Who changed what of an audience, and when: newest first."""
        return await history_of(api, "audience", audiences, audience_id, after, limit)

    return [create_audience, list_audiences, read_audience, change_audience, audience_history]
