"""The management API of ads: advertisers, campaigns, creatives."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, get, patch, post
from litestar.params import JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.ads.http_api import (
    READ,
    WRITE,
    AdsApi,
    After,
    IdFilter,
    Limit,
    PathId,
    TextFilter,
    says,
    status_of,
)
from ringwork.ads.model import Advertiser, Campaign, Creative
from ringwork.ads.requests import (
    AdvertiserChange,
    CampaignChange,
    CreativeChange,
    NewAdvertiser,
    NewCampaign,
    NewCreative,
)
from ringwork.ads.views import Advertisers, AdvertiserView, Campaigns, Creatives
from ringwork.kernel.journal import Command
from ringwork.web.app import HttpRequest, run_command
from ringwork.web.openapi import described

StatusFilter = Annotated[
    Literal["", "draft", "review", "active", "rejected", "paused", "ended"], QueryParameter()
]
"""Empty does not restrict."""


def demand_routes(api: AdsApi) -> list[ControllerRouterHandler]:
    """The handlers of what is advertised."""
    return [*_advertisers(api), *_campaigns(api), *_creatives(api)]


def _advertisers(api: AdsApi) -> list[ControllerRouterHandler]:
    advertisers = api.catalogue.advertisers

    @post("/v1/advertisers", opt={**WRITE, **described(AdvertiserView, key="optional")})
    async def create_advertiser(
        request: HttpRequest, data: JSONBody[NewAdvertiser]
    ) -> Response[bytes]:
        """Register an advertiser; its ledger account `advertiser/<id>` opens with it."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            advertiser, is_new = api.management.register_advertiser(command, data, actor)
            return status_of(is_new), AdvertiserView.of(advertiser)

        return await run_command(request, api.execute, decide)

    @get("/v1/advertisers", opt=READ)
    async def list_advertisers(
        after: After = "0", limit: Limit = 100, q: TextFilter = ""
    ) -> Advertisers:
        """Advertisers in the order of their registration."""

        def keep(one: Advertiser) -> bool:
            return says(q, one.id, one.name, one.domain)

        items, cursor = await api.page(advertisers, after, limit, keep if q else None)
        return Advertisers([AdvertiserView.of(item) for item in items], cursor)

    @get("/v1/advertisers/{advertiser_id:str}", opt=READ)
    async def read_advertiser(advertiser_id: PathId) -> AdvertiserView:
        """One advertiser; its contact is never shown."""
        return AdvertiserView.of(await api.one(advertisers, "advertiser", advertiser_id))

    @patch(
        "/v1/advertisers/{advertiser_id:str}",
        opt={**WRITE, **described(AdvertiserView, key="optional")},
    )
    async def change_advertiser(
        request: HttpRequest, advertiser_id: PathId, data: JSONBody[AdvertiserChange]
    ) -> Response[bytes]:
        """Change an advertiser's name or domain; its currency and its contact stay."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            changed = api.management.change_advertiser(command, advertiser_id, data, actor)
            return 200, AdvertiserView.of(changed)

        return await run_command(request, api.execute, decide)

    return [create_advertiser, list_advertisers, read_advertiser, change_advertiser]


def _campaigns(api: AdsApi) -> list[ControllerRouterHandler]:
    campaigns = api.catalogue.campaigns

    @post("/v1/campaigns", opt={**WRITE, **described(Campaign, key="required")})
    async def create_campaign(request: HttpRequest, data: JSONBody[NewCampaign]) -> Response[bytes]:
        """Create a campaign; its budget moves from its advertiser's account to its own at once."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            campaign, is_new = api.management.create_campaign(command, data, actor)
            return status_of(is_new), campaign

        return await run_command(request, api.execute, decide, key_required=True)

    @get("/v1/campaigns", opt=READ)
    async def list_campaigns(
        after: After = "0",
        limit: Limit = 100,
        advertiser: IdFilter = "",
        status: StatusFilter = "",
        q: TextFilter = "",
    ) -> Campaigns:
        """Campaigns in the order of their creation; every filter that is given must hold."""

        def keep(one: Campaign) -> bool:
            return (
                (not advertiser or one.advertiser_id == advertiser)
                and (not status or one.status == status)
                and says(q, one.id, one.name)
            )

        filtered = advertiser or status or q
        return Campaigns(*await api.page(campaigns, after, limit, keep if filtered else None))

    @get("/v1/campaigns/{campaign_id:str}", opt=READ)
    async def read_campaign(campaign_id: PathId) -> Campaign:
        """One campaign as it is now."""
        return await api.one(campaigns, "campaign", campaign_id)

    @patch("/v1/campaigns/{campaign_id:str}", opt={**WRITE, **described(Campaign, key="required")})
    async def change_campaign(
        request: HttpRequest, campaign_id: PathId, data: JSONBody[CampaignChange]
    ) -> Response[bytes]:
        """Change a campaign, its status included; a new budget moves the difference."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, api.management.change_campaign(command, campaign_id, data, actor)

        return await run_command(request, api.execute, decide, key_required=True)

    return [create_campaign, list_campaigns, read_campaign, change_campaign]


def _creatives(api: AdsApi) -> list[ControllerRouterHandler]:
    creatives = api.catalogue.creatives

    @post("/v1/creatives", opt={**WRITE, **described(Creative, key="optional")})
    async def create_creative(request: HttpRequest, data: JSONBody[NewCreative]) -> Response[bytes]:
        """Create a creative of a campaign."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            creative, is_new = api.management.create_creative(command, data, actor)
            return status_of(is_new), creative

        return await run_command(request, api.execute, decide)

    @get("/v1/creatives", opt=READ)
    async def list_creatives(
        after: After = "0",
        limit: Limit = 100,
        campaign: IdFilter = "",
        advertiser: IdFilter = "",
        status: StatusFilter = "",
        q: TextFilter = "",
    ) -> Creatives:
        """Creatives in the order of their creation; every filter that is given must hold."""
        campaigns = api.catalogue.campaigns

        def keep(one: Creative) -> bool:
            return (
                (not campaign or one.campaign_id == campaign)
                and (not status or one.status == status)
                and (not advertiser or campaigns[one.campaign_id].advertiser_id == advertiser)
                and says(q, one.id, one.name, one.title)
            )

        filtered = campaign or advertiser or status or q
        return Creatives(*await api.page(creatives, after, limit, keep if filtered else None))

    @get("/v1/creatives/{creative_id:str}", opt=READ)
    async def read_creative(creative_id: PathId) -> Creative:
        """One creative as it is now."""
        return await api.one(creatives, "creative", creative_id)

    @patch("/v1/creatives/{creative_id:str}", opt={**WRITE, **described(Creative, key="optional")})
    async def change_creative(
        request: HttpRequest, creative_id: PathId, data: JSONBody[CreativeChange]
    ) -> Response[bytes]:
        """Change a creative, its status included; format, size and media stay what they were."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, api.management.change_creative(command, creative_id, data, actor)

        return await run_command(request, api.execute, decide)

    return [create_creative, list_creatives, read_creative, change_creative]
