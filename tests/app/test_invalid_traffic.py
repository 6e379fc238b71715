"""Invalid traffic over a crash: what the filter found before it still holds after it."""

import shutil
from pathlib import Path

import httpx

from ringwork.ads.events import ClickRecorded, ImpressionUnbilled
from ringwork.app.settings import HttpSettings
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.events import Event
from tests.ads.traffic.people import CHROME
from tests.app.logged import events_of, unbroken
from tests.app.served import EPOCH_US, Client, serve

PAID_PER_CLICK = {
    "id": "clicks", "advertiser_id": "a", "name": "Clicks", "special_ad_categories": [], "pricing": "cpc",
    "bid_nanos": 10**10, "budget": {"currency": "EUR", "units": 100, "nanos": 0},
}  # fmt: skip
AD = {
    "id": "clicks.a", "campaign_id": "clicks", "name": "Ad", "format": "banner", "width": 300,
    "height": 250, "landing_url": "https://a.example/", "html": "<b>Ad</b>",
}  # fmt: skip
PLACE = {"id": "p", "publisher_id": "pub", "format": "banner", "width": 300, "height": 250}


PROXY = HttpSettings(trusted_proxies=["127.0.0.1/32"])
"""What says where a beacon comes from; the owner's own loopback is not judged."""


async def beacon(client: Client, url: str, agent: str) -> httpx.Response:
    headers = {"user-agent": agent, "x-forwarded-for": "203.0.113.7"}
    return await client.outside.get("/" + url.split("/", 3)[3], headers=headers)


def of_type(data: Path, event: type[Event]) -> list[list[object]]:
    return [payload for kind, payload in events_of(data) if kind == event.TYPE]


def test_no_click_on_an_invalid_impression_is_paid_after_a_crash(tmp_path):
    data, crashed, clock = tmp_path / "data", tmp_path / "crashed", ManualClock(EPOCH_US)
    ads: dict[str, dict] = {}

    async def before(client: Client) -> None:
        await client.stock()
        for path, body in (
            ("/v1/campaigns", PAID_PER_CLICK), ("/v1/creatives", AD), ("/v1/placements", PLACE),
        ):  # fmt: skip
            made = await client.admin.post(path, json=body, headers={"idempotency-key": path})
            assert made.status_code == 201, made.text
        for name, agent in (("bot", "Examplebot/1.0"), ("person", CHROME)):
            answer = await client.outside.post("/v1/ads/request", json={"placement": "p"})
            [ads[name]] = answer.json()["ads"]
            clock.advance_us(600_000)
            seen = await beacon(client, ads[name]["beacons"]["impression"], agent)
            assert seen.status_code == 204, seen.text
        await client.app.platform.indexed()
        shutil.copytree(data, crashed, ignore=shutil.ignore_patterns("admin.sock", "*.new"))

    async def after(client: Client) -> None:
        clock.advance_us(60_000_000)
        for ad in ads.values():
            landed = await beacon(client, ad["click"], CHROME)
            assert landed.status_code == 302, "a click still leads to its landing page"

    serve(data, before, clock=clock, http=PROXY)
    [unbilled] = of_type(data, ImpressionUnbilled)
    assert unbilled[2] == "invalid-agent-declared"
    serve(crashed, after, clock=clock, seed=6, http=PROXY)
    by_bot, by_person = of_type(crashed, ClickRecorded)
    assert (by_bot[4], by_bot[6]) == (0, "invalid-agent-declared")
    assert (by_person[4] > 0, by_person[6]) == (True, "")
    unbroken(crashed)
