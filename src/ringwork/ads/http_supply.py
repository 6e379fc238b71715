"""The management API of ads: publishers, their sites, and the placements on them."""

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
    IdFilter,
    Limit,
    PathId,
    TextFilter,
    says,
    status_of,
)
from ringwork.ads.model import Placement, Publisher, Site
from ringwork.ads.requests import (
    NewPlacement,
    NewPublisher,
    NewSite,
    PlacementChange,
    PublisherChange,
    SiteChange,
)
from ringwork.ads.views import Placements, Publishers, Sites
from ringwork.kernel.journal import Command
from ringwork.web.app import HttpRequest, run_command
from ringwork.web.openapi import described


def supply_routes(api: AdsApi) -> list[ControllerRouterHandler]:
    """The handlers of where ads are shown."""
    return [*_publishers(api), *_sites(api), *_placements(api)]


def _publishers(api: AdsApi) -> list[ControllerRouterHandler]:
    publishers = api.catalogue.publishers

    @post("/v1/publishers", opt={**WRITE, **described(Publisher, key="optional")})
    async def create_publisher(
        request: HttpRequest, data: JSONBody[NewPublisher]
    ) -> Response[bytes]:
        """Register a publisher; its ledger account `publisher/<id>` opens with it."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            publisher, is_new = api.management.register_publisher(command, data, actor)
            return status_of(is_new), publisher

        return await run_command(request, api.execute, decide)

    @get("/v1/publishers", opt=READ)
    async def list_publishers(
        after: After = "0", limit: Limit = 100, q: TextFilter = ""
    ) -> Publishers:
        """Publishers in the order of their registration."""

        def keep(one: Publisher) -> bool:
            return says(q, one.id, one.name, one.domain)

        return Publishers(*await api.page(publishers, after, limit, keep if q else None))

    @get("/v1/publishers/{publisher_id:str}", opt=READ)
    async def read_publisher(publisher_id: PathId) -> Publisher:
        """One publisher."""
        return await api.one(publishers, "publisher", publisher_id)

    @patch(
        "/v1/publishers/{publisher_id:str}", opt={**WRITE, **described(Publisher, key="optional")}
    )
    async def change_publisher(
        request: HttpRequest, publisher_id: PathId, data: JSONBody[PublisherChange]
    ) -> Response[bytes]:
        """Change a publisher: its origins, its share of the revenue, what it blocks."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, api.management.change_publisher(command, publisher_id, data, actor)

        return await run_command(request, api.execute, decide)

    return [create_publisher, list_publishers, read_publisher, change_publisher]


def _sites(api: AdsApi) -> list[ControllerRouterHandler]:
    sites = api.catalogue.sites

    @post("/v1/sites", opt={**WRITE, **described(Site, key="optional")})
    async def create_site(request: HttpRequest, data: JSONBody[NewSite]) -> Response[bytes]:
        """Register a site of a publisher: what holds for it holds for its placements."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            site, is_new = api.management.register_site(command, data, actor)
            return status_of(is_new), site

        return await run_command(request, api.execute, decide)

    @get("/v1/sites", opt=READ)
    async def list_sites(
        after: After = "0", limit: Limit = 100, publisher: IdFilter = "", q: TextFilter = ""
    ) -> Sites:
        """Sites in the order of their registration; every filter that is given must hold."""

        def keep(one: Site) -> bool:
            return (not publisher or one.publisher_id == publisher) and says(
                q, one.id, one.name, one.domain
            )

        filtered = publisher or q
        return Sites(*await api.page(sites, after, limit, keep if filtered else None))

    @get("/v1/sites/{site_id:str}", opt=READ)
    async def read_site(site_id: PathId) -> Site:
        """One site."""
        return await api.one(sites, "site", site_id)

    @patch("/v1/sites/{site_id:str}", opt={**WRITE, **described(Site, key="optional")})
    async def change_site(
        request: HttpRequest, site_id: PathId, data: JSONBody[SiteChange]
    ) -> Response[bytes]:
        """Change a site: its labels and what it blocks."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, api.management.change_site(command, site_id, data, actor)

        return await run_command(request, api.execute, decide)

    return [create_site, list_sites, read_site, change_site]


def _placements(api: AdsApi) -> list[ControllerRouterHandler]:
    placements = api.catalogue.placements

    @post("/v1/placements", opt={**WRITE, **described(Placement, key="optional")})
    async def create_placement(
        request: HttpRequest, data: JSONBody[NewPlacement]
    ) -> Response[bytes]:
        """Create a placement on a publisher's pages."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            placement, is_new = api.management.create_placement(command, data, actor)
            return status_of(is_new), placement

        return await run_command(request, api.execute, decide)

    @get("/v1/placements", opt=READ)
    async def list_placements(
        after: After = "0",
        limit: Limit = 100,
        publisher: IdFilter = "",
        site: IdFilter = "",
        q: TextFilter = "",
    ) -> Placements:
        """Placements in the order of their creation; every filter that is given must hold."""

        def keep(one: Placement) -> bool:
            return (
                (not publisher or one.publisher_id == publisher)
                and (not site or one.site_id == site)
                and says(q, one.id)
            )

        filtered = publisher or site or q
        return Placements(*await api.page(placements, after, limit, keep if filtered else None))

    @get("/v1/placements/{placement_id:str}", opt=READ)
    async def read_placement(placement_id: PathId) -> Placement:
        """One placement."""
        return await api.one(placements, "placement", placement_id)

    @patch(
        "/v1/placements/{placement_id:str}", opt={**WRITE, **described(Placement, key="optional")}
    )
    async def change_placement(
        request: HttpRequest, placement_id: PathId, data: JSONBody[PlacementChange]
    ) -> Response[bytes]:
        """Change a placement: everything but its publisher and its format."""
        actor = api.actor_of(request)

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, api.management.change_placement(command, placement_id, data, actor)

        return await run_command(request, api.execute, decide)

    return [create_placement, list_placements, read_placement, change_placement]
