"""A publisher with a plan, in this process: the choice page over HTTP without a browser."""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from ringwork.app.choice import ChoicePage
from ringwork.consent.choice.texts import Offer
from ringwork.kernel.clock import ManualClock
from ringwork.web.lane import FastLane
from ringwork.web.metrics import Metrics
from tests.app.served import EPOCH_US, Client, serve

ORIGIN = "https://casa.example"
PERSON = "r.0123456789abcdefABCDEF"
PAGE = {"accept": "text/html", "accept-language": "en"}
YEAR_US = 365 * 86_400_000_000
OFFER = Offer(plan="quiet", currency="EUR", price_nanos=5_990_000_000)


class Plan:
    """One plan on the web in Germany, and who pays for it."""

    def __init__(self) -> None:
        self.payers: set[bytes] = set()

    def offer(self, publisher: str, *, region: str, channel: str, now_us: int) -> Offer | None:
        return OFFER if (publisher, region, channel) == ("casa", "DE", "web") else None

    def covers(self, subject: bytes, publisher: str, now_us: int) -> bool:
        return subject in self.payers


class Desk:
    """The choice page of a running application, asked as a browser asks."""

    def __init__(self, client: Client) -> None:
        self.client, self.clock, self.plan = client, client.clock, Plan()
        self.platform = client.app.platform
        lanes = ChoicePage(self.platform, self.plan).lanes()
        metrics = Metrics({})
        fast = FastLane(
            lanes,
            client.app,
            new_request_id=self.platform.ids.new,
            monotonic_ns=self.clock.monotonic_ns,
            metrics={lane.path: metrics.lane(lane.path) for lane in lanes},
        )
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(fast), base_url="http://localhost:8000", headers=PAGE
        )

    async def open(self, page: str = "", person: str = PERSON, **members: str) -> httpx.Response:
        asked = {"publisher": "casa", "person": person, **members}
        return await self.http.get(f"/choice{page and '/' + page}", params=asked)

    async def press(self, page: httpx.Response, choice: str, **headers: str) -> httpx.Response:
        """Press a button of a page."""
        data = {"ticket": ticket_of(page), "choice": choice}
        return await self.http.post("/choice", data=data, headers=headers)

    async def stands(self, person: str = PERSON, **members: str) -> dict:
        answer = await self.open("state", person, **members)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def events(self, type_: str) -> list[dict]:
        answer = await self.client.admin.get(
            "/v1/log/events", params={"type": type_, "limit": 1000}
        )
        return answer.json()["events"]


def ticket_of(page: httpx.Response) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', page.text)
    assert found, page.text
    return html.unescape(found[1])


def options_of(page: httpx.Response) -> list[str]:
    """The options in the order of the page."""
    return re.findall(r'<button name="choice" value="(subscribe|personalised|less)"', page.text)


def at_desk(
    folder: Path,
    scenario: Callable[[Desk], Awaitable[None]],
    *,
    clock: ManualClock | None = None,
    seed: int = 5,
    **options: object,
) -> None:
    """Run ``scenario`` at a publisher's choice page."""

    async def visit(client: Client) -> None:
        await client.admin.post(
            "/v1/publishers",
            json={"id": "casa", "name": "Casa", "domain": "casa.example", "origins": [ORIGIN]},
            headers={"idempotency-key": "casa"},
        )
        desk = Desk(client)
        async with desk.http:
            await scenario(desk)

    serve(folder / "data", visit, clock=clock or ManualClock(EPOCH_US), seed=seed, **options)
