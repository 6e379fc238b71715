"""The ad part behind its management API: a house, its tables, and an API key per role."""

import httpx
import sqlalchemy as sa

from ringwork.ads.http import routes
from ringwork.ads.http_api import AdsApi
from ringwork.ads.projections import PROJECTIONS, metadata
from ringwork.web.app import create_litestar
from ringwork.web.auth import Authentication
from ringwork.web.execute import CommandAnswered, Executor
from ringwork.web.idempotency import IdempotencyKeys
from ringwork.web.keys import ROLES, ApiKeyCreated, ApiKeys
from ringwork.web.sessions import SignIn
from tests.ads.house import TYPES as EVENT_TYPES
from tests.ads.house import House

ADVERTISER = {
    "id": "hp", "name": "Harbour Paints", "domain": "harbourpaints.example", "currency": "EUR",
    "contact": "ana@harbourpaints.example",
}  # fmt: skip
CAMPAIGN = {
    "id": "autumn", "advertiser_id": "hp", "name": "Autumn", "special_ad_categories": [], "pricing": "cpa",
    "bid_nanos": 20_000_000_000, "budget": {"currency": "EUR", "units": 100, "nanos": 0},
}  # fmt: skip
CREATIVE = {
    "id": "blue", "campaign_id": "autumn", "name": "Blue", "format": "banner", "width": 300,
    "height": 250, "landing_url": "https://harbourpaints.example/blue", "html": "<b>blue</b>",
}  # fmt: skip
PUBLISHER = {"id": "pub", "name": "News", "domain": "news.example"}
SITE = {"id": "front", "publisher_id": "pub", "name": "Front", "domain": "news.example"}
PLACEMENT = {"id": "top", "publisher_id": "pub", "format": "banner", "width": 300, "height": 250}
BODIES = {
    "advertisers": ADVERTISER, "campaigns": CAMPAIGN, "creatives": CREATIVE,
    "publishers": PUBLISHER, "sites": SITE, "placements": PLACEMENT,
}  # fmt: skip


class Office:
    """A house behind the management API, with a key per role."""

    def __init__(self, house: House) -> None:
        self.house = house
        for event in (ApiKeyCreated, CommandAnswered):
            EVENT_TYPES.add(event)
        api_keys = ApiKeys()
        appliers = dict(house.journal.appliers)
        for event in api_keys.hears:
            appliers[event.TYPE] = (api_keys.apply,)
        house.journal.appliers = appliers
        self.engine = sa.create_engine(
            "sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False}
        )
        metadata.create_all(self.engine)
        self.indexed_seq = 0
        answers = IdempotencyKeys(lambda tenant, scope, key: None)
        house.journal._answers = answers
        api = AdsApi(
            ads=house.ads, billing=house.billing, management=house.management, catalogue=house.catalogue,
            ledger=house.ledger, journal=house.journal,
            execute=Executor(house.journal, answers, secret=bytes(32)), reader=self.engine, indexed=self.index,
        )  # fmt: skip
        self.litestar = create_litestar(routes(api))
        self.app = Authentication(
            self.litestar, keys=api_keys, tenant="main", hosts=frozenset({"ads.example"}),
            new_request_id=house.ids.new,
            sign_in=SignIn(
                secret=bytes(32), clock=house.clock, entropy=house.entropy, tenant="main",
                session_s=60,
            ),
        )  # fmt: skip
        self.tokens = {}
        for role in ROLES:
            house.do(
                lambda c, role=role: self.tokens.update(
                    {role: api_keys.create(c, house.entropy, role=role, label=f"the {role}")}
                )
            )

    async def index(self) -> None:
        """Everything durable into the tables."""
        await self.house.journal.settled()
        fresh = [event for event in self.house.events() if event.seq > self.indexed_seq]
        self.indexed_seq += len(fresh)
        with self.engine.begin() as connection:
            for projection in PROJECTIONS:
                heard = [event for event in fresh if isinstance(event.payload, projection.hears)]
                if heard:
                    projection.apply(connection, heard)

    def send(self, method: str, path: str, *, role="admin", key=None, **given) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.tokens[role]}"} if role else {}
        if key:
            headers["idempotency-key"] = key

        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(
                transport=transport, base_url="https://ads.example"
            ) as http:
                return await http.request(method, path, headers=headers, **given)

        return self.house.loop.run_until_complete(run())

    def create(self, noun: str, key="k1", **members) -> httpx.Response:
        body = {**BODIES[noun], **members}
        return self.send("POST", f"/v1/{noun}", json=body, key=f"{key}-{noun}")

    def fill(self) -> None:
        assert self.create("advertisers").status_code == 201
        self.house.deposit("hp", 10**12)
        for noun in ("campaigns", "creatives", "publishers", "sites", "placements"):
            answer = self.create(noun)
            assert answer.status_code == 201, answer.text


def slug(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["type"].removeprefix("urn:ringwork:problem:")
