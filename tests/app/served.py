"""The whole application in this process, asked over HTTP like any client's."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import httpx

from ringwork.ads.supply.settings import SupplySettings
from ringwork.app.compose import Application, create
from ringwork.app.settings import HttpSettings, Settings
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Unavailable
from tests.crash.shop import euros

EPOCH_US = 1_764_158_400_000_000

STOCK = (
    ("/v1/publishers", {"id": "pub", "name": "P", "domain": "pub.example"}),
    ("/v1/advertisers", {"id": "a", "name": "A", "domain": "a.example", "currency": "EUR"}),
    ("/v1/ledger/accounts", {"id": "cash", "currency": "EUR"}),
    ("/v1/ledger/accounts", {"id": "purse", "currency": "EUR", "limited": True}),
    ("/v1/ledger/transfers", {
        "id": "deposit", "kind": "single", "debit_account": "cash",
        "credit_account": "advertiser/a", "amount": euros(10**12),
    }),
    ("/v1/campaigns", {
        "id": "c", "advertiser_id": "a", "name": "C", "special_ad_categories": [], "pricing": "cpm", "bid_nanos": 2_000_000,
        "budget": euros(10**10), "daily_budget": euros(10**9),
    }),
    ("/v1/creatives", {
        "id": "c.a", "campaign_id": "c", "name": "Ad", "format": "banner", "width": 300,
        "height": 250, "landing_url": "https://a.example/", "html": "<b>Ad</b>",
    }),
)  # fmt: skip


class Client:
    """``outside`` is anybody; ``admin`` is the owner's socket."""

    def __init__(self, app: Application, clock: ManualClock) -> None:
        self.app, self.clock = app, clock
        self.outside = self._over(app)
        self.admin = self._over(app.local_admin)

    def _over(self, app) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost:8000")

    async def key(self, role: str) -> dict[str, str]:
        """The header of a new key."""
        made = await self.admin.post("/v1/keys", json={"role": role, "label": role})
        return {"authorization": f"Bearer {made.json()['token']}"}

    async def stock(self) -> None:
        """A publisher, and an advertiser whose banner wins ``BID_REQUEST`` at the second price."""
        for path, body in STOCK:
            headers = {"idempotency-key": f"{path} {body['id']}"}
            made = await self.admin.post(path, json=body, headers=headers)
            assert made.status_code == 201, made.text


def serve(
    data: Path,
    scenario: Callable[[Client], Awaitable[None]],
    *,
    clock: ManualClock | None = None,
    seed: int = 5,
    settings: Mapping[str, object] | None = None,
    http: HttpSettings = HttpSettings(),  # noqa: B008  # frozen
    supply: SupplySettings = SupplySettings(),  # noqa: B008  # frozen
    **options: object,
) -> None:
    """Run ``scenario`` against the store in ``data``, then close it.

    A second run on the same store needs another ``seed``, and its ``clock`` where time went on.
    """
    clock = clock or ManualClock(EPOCH_US)
    wanted = Settings(data=str(data), **{"http": http, "supply": supply, **(settings or {})})
    app = create(wanted, clock=clock, entropy=SeededEntropy(seed), **options)

    async def live() -> None:
        async with app.platform.lifespan(app):
            client = Client(app, clock)
            async with client.outside, client.admin:
                await scenario(client)

    asyncio.run(live())


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until something holds that other tasks and threads bring about."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  # threads set no asyncio.Event
            await asyncio.sleep(0.001)


def is_admitted(client: Client) -> bool:
    """Whether the log takes commands now."""
    try:
        client.app.platform.log.admit()
    except Unavailable:
        return False
    return True
