"""The management API of ads: reviewing, checking and seeing what is to go live, and its history."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from litestar import Response, get, post
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.ads import projections
from ringwork.ads.http_api import (
    READ,
    REVIEW_SCOPE,
    WRITE,
    AdsApi,
    After,
    Limit,
    PathId,
)
from ringwork.ads.model import Campaign, Creative
from ringwork.ads.preview import POLICY, preview
from ringwork.ads.projections.history import Kind
from ringwork.ads.requests import NewCreative, ReviewDecision, SpecialReview
from ringwork.ads.views import ChangeView, CreativeCheck, History
from ringwork.kernel.errors import NotFound
from ringwork.kernel.journal import Command
from ringwork.web.app import HttpRequest, run_command
from ringwork.web.auth import needs
from ringwork.web.openapi import described

_REVIEW: Final = needs(REVIEW_SCOPE)


def review_routes(api: AdsApi) -> list[ControllerRouterHandler]:
    """The handlers of reviews, checks, previews and histories."""
    return [*_campaigns(api), *_creatives(api)]


def _campaigns(api: AdsApi) -> list[ControllerRouterHandler]:
    @post(
        "/v1/campaigns/{campaign_id:str}/review",
        opt={**_REVIEW, **described(Campaign, key="optional")},
        status_code=200,
    )
    async def review_campaign(
        request: HttpRequest, campaign_id: PathId, data: JSONBody[ReviewDecision]
    ) -> Response[bytes]:
        """Approve, reject or return a campaign; the last two take a reason."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, api.management.review_campaign(command, campaign_id, data, actor)

        return await run_command(request, api.execute, decide)

    @post(
        "/v1/campaigns/{campaign_id:str}/special-review",
        opt={**_REVIEW, **described(Campaign, key="optional")},
        status_code=200,
    )
    async def review_special_campaign(
        request: HttpRequest, campaign_id: PathId, data: JSONBody[SpecialReview]
    ) -> Response[bytes]:
        """Decide on a campaign that is held: for housing, employment or credit, or for neither."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, api.management.review_special(command, campaign_id, data, actor)

        return await run_command(request, api.execute, decide)

    @post(
        "/v1/campaigns/{campaign_id:str}/screen",
        opt={**_REVIEW, **described(Campaign, key="optional")},
        status_code=200,
    )
    async def screen_campaign(request: HttpRequest, campaign_id: PathId) -> Response[bytes]:
        """Look at all ads and the targeting of a campaign again, by the rules as they are now."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, api.management.screen_campaign(command, campaign_id, actor)

        return await run_command(request, api.execute, decide)

    @get("/v1/campaigns/{campaign_id:str}/history", opt=READ)
    async def campaign_history(
        campaign_id: PathId, after: After = "0", limit: Limit = 100
    ) -> History:
        """Who changed what of a campaign, and when: newest first."""
        return await history_of(api, "campaign", api.catalogue.campaigns, campaign_id, after, limit)

    return [review_campaign, review_special_campaign, screen_campaign, campaign_history]


def _creatives(api: AdsApi) -> list[ControllerRouterHandler]:
    catalogue = api.catalogue

    @post("/v1/creatives/check", opt=WRITE, status_code=200)
    async def check_creative(data: JSONBody[NewCreative]) -> CreativeCheck:
        """Say what is wrong with a creative, without creating it."""
        findings = api.management.check_creative(data)
        accepted = all(one.severity != "error" for one in findings)
        return CreativeCheck(accepted, findings)

    @post(
        "/v1/creatives/{creative_id:str}/review",
        opt={**_REVIEW, **described(Creative, key="optional")},
        status_code=200,
    )
    async def review_creative(
        request: HttpRequest, creative_id: PathId, data: JSONBody[ReviewDecision]
    ) -> Response[bytes]:
        """Approve, reject or return a creative; the last two take a reason."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, api.management.review_creative(command, creative_id, data, actor)

        return await run_command(request, api.execute, decide)

    @get("/v1/creatives/{creative_id:str}/history", opt=READ)
    async def creative_history(
        creative_id: PathId, after: After = "0", limit: Limit = 100
    ) -> History:
        """Who changed what of a creative, and when: newest first."""
        return await history_of(api, "creative", catalogue.creatives, creative_id, after, limit)

    @get("/v1/creatives/{creative_id:str}/preview", opt=READ, media_type="text/html")
    async def preview_creative(creative_id: PathId) -> Response[bytes]:
        """A page that shows a creative as it is served; its beacons and clicks record nothing."""
        creative = await api.one(catalogue.creatives, "creative", creative_id)
        campaign = catalogue.campaigns[creative.campaign_id]
        page = preview(creative, campaign, catalogue.advertisers[campaign.advertiser_id])
        return Response(page.encode(), media_type="text/html", headers=POLICY)

    return [check_creative, review_creative, creative_history, preview_creative]


async def history_of(
    api: AdsApi, kind: Kind, among: Mapping[str, object], id: str, after: str, limit: int
) -> History:
    """One page of an item's changes; NotFound."""
    if id not in among:
        raise NotFound(f"no {kind} {id!r}")
    await api.indexed()
    rows = await asyncio.to_thread(_rows, api, kind, id, int(after), limit)
    page, cursor = rows[:limit], None
    if len(rows) > limit:
        cursor = str(page[-1].seq)
    return History([ChangeView.of(row) for row in page], cursor)


def _rows(
    api: AdsApi, kind: Kind, id: str, before_seq: int, limit: int
) -> list[projections.ChangeRow]:
    """One more than a page, to know whether there is a next."""
    with api.reader.connect() as connection:
        return projections.history(connection, kind, id, before_seq=before_seq, limit=limit + 1)
