"""A publisher with a plan, in this process: the choice page over HTTP without a browser."""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from ringwork.app.platform import Platform
from ringwork.consent.subscriptions.events import (
    SubscriptionChargeRequested,
    SubscriptionRequested,
    SubscriptionStarted,
)
from ringwork.kernel.clock import ManualClock
from tests.app.served import EPOCH_US, Client, serve

ORIGIN = "https://casa.example"
PERSON = "r.0123456789abcdefABCDEF"
PAGE = {"accept": "text/html", "accept-language": "en"}
YEAR_US = 365 * 86_400_000_000
MONTH_US = 30 * 86_400_000_000
STOCK = (
    (
        "/v1/publishers",
        {"id": "casa", "name": "Casa", "domain": "casa.example", "origins": [ORIGIN]},
    ),
    ("/v1/plans", {"id": "quiet", "name": "Quiet"}),
    (
        "/v1/plan-prices",
        {
            "id": "quiet-de",
            "plan": "quiet",
            "region": "DE",
            "channel": "web",
            "currency": "EUR",
            "price_nanos": 5_990_000_000,
            "valid_from_us": EPOCH_US,
        },
    ),
)


class Desk:
    """The choice page of a running application, asked as a browser asks."""

    def __init__(self, client: Client) -> None:
        self.client, self.clock = client, client.clock
        self.platform = client.app.platform
        transport = httpx.ASGITransport(client.app)
        self.http = httpx.AsyncClient(
            transport=transport, base_url="http://localhost:8000", headers=PAGE
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

    def pay(self, person: str = PERSON) -> None:
        pay(self.platform, person)

    async def events(self, type_: str) -> list[dict]:
        answer = await self.client.admin.get(
            "/v1/log/events", params={"type": type_, "limit": 1000}
        )
        return answer.json()["events"]


def pay(platform: Platform, person: str) -> None:
    """A person's subscription has started, as its payment's notice would record it."""
    now_us = platform.clock.wall_us()
    subject = platform.consent.consents.subject_of(person)
    ends_us = now_us + MONTH_US
    with platform.journal.command(tenant="main", request_id=platform.ids.new()) as command:
        for event in (
            SubscriptionRequested(
                "s", "quiet", "DE", "web", "EUR", "UTC", False, 7, b"sealed", "test"
            ),
            SubscriptionChargeRequested(
                "ch", "s", "period", 1, 1, now_us, ends_us, "quiet-de",
                5_990_000_000, 0, 0, 5_990_000_000, "EUR",
            ),
            SubscriptionStarted("s", "ch", now_us, ends_us),
        ):  # fmt: skip
            command.record(event, subject=subject)
        command.commit()


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
        for path, body in STOCK:
            headers = {"idempotency-key": f"{path} {body['id']}"}
            made = await client.admin.post(path, json=body, headers=headers)
            assert made.status_code in (200, 201), made.text
        desk = Desk(client)
        async with desk.http:
            await scenario(desk)

    serve(folder / "data", visit, clock=clock or ManualClock(EPOCH_US), seed=seed, **options)
