"""The whole application in this process, asked over HTTP like any client's."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from ringwork.app.compose import Application, create
from ringwork.app.settings import Settings
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy

EPOCH_US = 1_764_158_400_000_000


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


def serve(data: Path, scenario: Callable[[Client], Awaitable[None]]) -> None:
    """Run ``scenario`` against the store in ``data``, then close it."""
    clock = ManualClock(EPOCH_US)
    app = create(Settings(data=str(data)), clock=clock, entropy=SeededEntropy(5))

    async def live() -> None:
        async with app.platform.lifespan(app):
            client = Client(app, clock)
            async with client.outside, client.admin:
                await scenario(client)

    asyncio.run(live())
