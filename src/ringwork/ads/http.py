"""The management API of ads: advertisers, campaigns, creatives, publishers, placements.

Every write goes through ``run_command``: one key, one decision, one frame. Lists are in the order
of creation. Reads from memory wait until what they show is durable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, TypeVar

from litestar import Response, get, patch, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.ads.catalogue import page
from ringwork.ads.http_api import AdsApi, status_of
from ringwork.ads.http_outcomes import outcome_routes
from ringwork.ads.model import Campaign, Creative, Placement, Publisher
from ringwork.ads.requests import (
    CampaignChange,
    CreativeChange,
    NewAdvertiser,
    NewCampaign,
    NewConversion,
    NewCreative,
    NewPlacement,
    NewPublisher,
)
from ringwork.ads.views import (
    Advertisers,
    AdvertiserView,
    Campaigns,
    Conversion,
    Creatives,
    LedgerTotals,
    Placements,
    Publishers,
    Why,
)
from ringwork.kernel.errors import NotFound
from ringwork.kernel.journal import Command
from ringwork.web.app import HttpRequest, run_command
from ringwork.web.auth import needs
from ringwork.web.openapi import described

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "advertiser-exists": (409, "An advertiser with that id exists with other content."),
    "campaign-exists": (409, "A campaign with that id exists with other content."),
    "creative-exists": (409, "A creative with that id exists with other content."),
    "publisher-exists": (409, "A publisher with that id exists with other content."),
    "placement-exists": (409, "A placement with that id exists with other content."),
    "rule-violated": (409, "A rule of the catalogue refused it; `errors` points at the members."),
    "unknown-click": (409, "The rwclid is not one that a click of this platform carried."),
    "conversion-exists": (409, "The conversion is recorded for another impression."),
    "conversion-late": (409, "The conversion came after its window; it does not count."),
    "account-exists": (409, "The ledger has an account of that id that is not the part's own."),
    "insufficient-funds": (409, "The advertiser's account has less than the budget needs."),
    "budget-below-spent": (409, "A budget cannot go below what is spent or reserved."),
    "campaign-ended": (409, "What has ended stays ended."),
}
"""The part's own slugs: status, and when it is answered."""

TYPES: Final[tuple[type[Struct], ...]] = (
    NewAdvertiser, AdvertiserView, Advertisers, NewCampaign, CampaignChange, Campaign, Campaigns,
    NewCreative, CreativeChange, Creative, Creatives, NewPublisher, Publisher, Publishers,
    NewPlacement, Placement, Placements, NewConversion, Conversion, Why, LedgerTotals,
)  # fmt: skip
"""Structs whose schemas the OpenAPI document takes from msgspec."""

PathId = Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]
After = Annotated[str, QueryParameter(pattern=r"^[0-9]{1,12}$", description="a cursor from `next`")]
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]

_READ: Final = needs("catalogue:read")
_WRITE: Final = needs("catalogue:write")

_Item = TypeVar("_Item")


def routes(api: AdsApi) -> list[ControllerRouterHandler]:
    """Every handler of the part's management API."""
    return [
        *_advertisers(api),
        *_campaigns(api),
        *_creatives(api),
        *_publishers(api),
        *_placements(api),
        *outcome_routes(api),
    ]


def _advertisers(api: AdsApi) -> list[ControllerRouterHandler]:
    advertisers = api.catalogue.advertisers

    @post("/v1/advertisers", opt={**_WRITE, **described(AdvertiserView, key="optional")})
    async def create_advertiser(
        request: HttpRequest, data: JSONBody[NewAdvertiser]
    ) -> Response[bytes]:
        """Register an advertiser; its ledger account `advertiser/<id>` opens with it."""

        def decide(command: Command) -> tuple[int, Struct]:
            advertiser, is_new = api.management.register_advertiser(command, data)
            return status_of(is_new), AdvertiserView.of(advertiser)

        return await run_command(request, api.execute, decide)

    @get("/v1/advertisers", opt=_READ)
    async def list_advertisers(after: After = "0", limit: Limit = 100) -> Advertisers:
        """Advertisers in the order of their registration."""
        items, cursor = await _page(api, advertisers, after, limit)
        return Advertisers([AdvertiserView.of(item) for item in items], cursor)

    @get("/v1/advertisers/{advertiser_id:str}", opt=_READ)
    async def read_advertiser(advertiser_id: PathId) -> AdvertiserView:
        """One advertiser; its contact is never shown."""
        return AdvertiserView.of(await _one(api, advertisers, "advertiser", advertiser_id))

    return [create_advertiser, list_advertisers, read_advertiser]


def _campaigns(api: AdsApi) -> list[ControllerRouterHandler]:
    campaigns = api.catalogue.campaigns

    @post("/v1/campaigns", opt={**_WRITE, **described(Campaign, key="required")})
    async def create_campaign(request: HttpRequest, data: JSONBody[NewCampaign]) -> Response[bytes]:
        """Create a campaign; its budget moves from its advertiser's account to its own at once."""

        def decide(command: Command) -> tuple[int, Struct]:
            campaign, is_new = api.management.create_campaign(command, data)
            return status_of(is_new), campaign

        return await run_command(request, api.execute, decide, key_required=True)

    @get("/v1/campaigns", opt=_READ)
    async def list_campaigns(after: After = "0", limit: Limit = 100) -> Campaigns:
        """Campaigns in the order of their creation."""
        return Campaigns(*await _page(api, campaigns, after, limit))

    @get("/v1/campaigns/{campaign_id:str}", opt=_READ)
    async def read_campaign(campaign_id: PathId) -> Campaign:
        """One campaign as it is now."""
        return await _one(api, campaigns, "campaign", campaign_id)

    @patch(
        "/v1/campaigns/{campaign_id:str}",
        opt={**_WRITE, **described(Campaign, key="required")},
    )
    async def change_campaign(
        request: HttpRequest, campaign_id: PathId, data: JSONBody[CampaignChange]
    ) -> Response[bytes]:
        """Change a campaign; a new budget moves the difference."""

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, api.management.change_campaign(command, campaign_id, data)

        return await run_command(request, api.execute, decide, key_required=True)

    return [create_campaign, list_campaigns, read_campaign, change_campaign]


def _creatives(api: AdsApi) -> list[ControllerRouterHandler]:
    creatives = api.catalogue.creatives

    @post("/v1/creatives", opt={**_WRITE, **described(Creative, key="optional")})
    async def create_creative(request: HttpRequest, data: JSONBody[NewCreative]) -> Response[bytes]:
        """Create a creative of a campaign."""

        def decide(command: Command) -> tuple[int, Struct]:
            creative, is_new = api.management.create_creative(command, data)
            return status_of(is_new), creative

        return await run_command(request, api.execute, decide)

    @get("/v1/creatives", opt=_READ)
    async def list_creatives(after: After = "0", limit: Limit = 100) -> Creatives:
        """Creatives in the order of their creation."""
        return Creatives(*await _page(api, creatives, after, limit))

    @get("/v1/creatives/{creative_id:str}", opt=_READ)
    async def read_creative(creative_id: PathId) -> Creative:
        """One creative as it is now."""
        return await _one(api, creatives, "creative", creative_id)

    @patch(
        "/v1/creatives/{creative_id:str}",
        opt={**_WRITE, **described(Creative, key="optional")},
    )
    async def change_creative(
        request: HttpRequest, creative_id: PathId, data: JSONBody[CreativeChange]
    ) -> Response[bytes]:
        """Change a creative; format, size and media stay what they were."""

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, api.management.change_creative(command, creative_id, data)

        return await run_command(request, api.execute, decide)

    return [create_creative, list_creatives, read_creative, change_creative]


def _publishers(api: AdsApi) -> list[ControllerRouterHandler]:
    publishers = api.catalogue.publishers

    @post("/v1/publishers", opt={**_WRITE, **described(Publisher, key="optional")})
    async def create_publisher(
        request: HttpRequest, data: JSONBody[NewPublisher]
    ) -> Response[bytes]:
        """Register a publisher; its ledger account `publisher/<id>` opens with it."""

        def decide(command: Command) -> tuple[int, Struct]:
            publisher, is_new = api.management.register_publisher(command, data)
            return status_of(is_new), publisher

        return await run_command(request, api.execute, decide)

    @get("/v1/publishers", opt=_READ)
    async def list_publishers(after: After = "0", limit: Limit = 100) -> Publishers:
        """Publishers in the order of their registration."""
        return Publishers(*await _page(api, publishers, after, limit))

    @get("/v1/publishers/{publisher_id:str}", opt=_READ)
    async def read_publisher(publisher_id: PathId) -> Publisher:
        """One publisher."""
        return await _one(api, publishers, "publisher", publisher_id)

    return [create_publisher, list_publishers, read_publisher]


def _placements(api: AdsApi) -> list[ControllerRouterHandler]:
    placements = api.catalogue.placements

    @post("/v1/placements", opt={**_WRITE, **described(Placement, key="optional")})
    async def create_placement(
        request: HttpRequest, data: JSONBody[NewPlacement]
    ) -> Response[bytes]:
        """Create a placement on a publisher's pages."""

        def decide(command: Command) -> tuple[int, Struct]:
            placement, is_new = api.management.create_placement(command, data)
            return status_of(is_new), placement

        return await run_command(request, api.execute, decide)

    @get("/v1/placements", opt=_READ)
    async def list_placements(after: After = "0", limit: Limit = 100) -> Placements:
        """Placements in the order of their creation."""
        return Placements(*await _page(api, placements, after, limit))

    @get("/v1/placements/{placement_id:str}", opt=_READ)
    async def read_placement(placement_id: PathId) -> Placement:
        """One placement."""
        return await _one(api, placements, "placement", placement_id)

    return [create_placement, list_placements, read_placement]


# ---- reading ------------------------------------------------------------------------------------


async def _page(
    api: AdsApi, items: Mapping[str, _Item], after: str, limit: int
) -> tuple[list[_Item], str | None]:
    """One page and the cursor of the next: nothing is removed, so a position is a cursor."""
    position = int(after)
    found = page(items, position, limit)
    end = position + len(found)
    cursor = str(end) if found and end < len(items) else None
    await api.journal.settled()
    return found, cursor


async def _one(api: AdsApi, items: Mapping[str, _Item], noun: str, id: str) -> _Item:
    item = items.get(id)
    if item is None:
        raise NotFound(f"no {noun} {id!r}")
    await api.journal.settled()
    return item
