"""GET /ads.txt, /app-ads.txt and /sellers.json: public, complete, and in step with publishers."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from litestar import Litestar

from ringwork.ads.http_supply_files import SupplyFiles, supply_file_routes
from ringwork.ads.requests import NewPublisher
from ringwork.ads.supply import ads_txt, sellers_json
from ringwork.ads.supply.ads_txt import Record
from ringwork.ads.supply.settings import SupplySettings
from ringwork.kernel.errors import NotFound
from tests.ads.house import House

SETTINGS = SupplySettings(
    contact_email="adops@ads.example", certification="f08c47fec0942fa0",
    records=[Record("reseller.example", "77", "RESELLER")],
)  # fmt: skip


def files_of(house: House, settings: SupplySettings = SETTINGS) -> SupplyFiles:
    return SupplyFiles(house.catalogue, settings, domain="ads.example")


async def nothing_waits() -> None:
    """Everything is durable."""


def get(files: SupplyFiles, *paths: str) -> list[httpx.Response]:
    app = Litestar(supply_file_routes(files, nothing_waits), openapi_config=None)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://ads.example") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(ask())


def test_the_files_over_http() -> None:
    with House() as house:
        house.open()
        own, app_own, of_publisher, sellers = get(
            files_of(house), "/ads.txt", "/app-ads.txt", "/ads.txt?publisher=pub", "/sellers.json"
        )
    assert {own.status_code, app_own.status_code, of_publisher.status_code} == {200}
    assert own.headers["content-type"] == "text/plain; charset=utf-8"
    assert own.text == app_own.text
    assert own.headers["cache-control"] == "public, max-age=3600"
    assert own.text == (
        "OWNERDOMAIN=ads.example\nplaceholder.example.com, placeholder, DIRECT, placeholder\n"
    )
    assert of_publisher.text == (
        "OWNERDOMAIN=news.example\nads.example, pub, DIRECT, f08c47fec0942fa0\n"
        "reseller.example, 77, RESELLER\n"
    )
    assert sellers.headers["content-type"] == "application/json"
    assert json.loads(sellers.content)["sellers"] == [
        {"seller_id": "pub", "seller_type": "PUBLISHER", "name": "News", "domain": "news.example"}
    ]


def test_the_chain_the_sellers_and_the_file_name_one_account() -> None:
    """What a buyer does: the node's asi and sid are authorised, and name the owner."""
    with House() as house:
        house.open()
        files = files_of(house)
        declared, _ = ads_txt.parse(files.ads_txt("pub"))
        sold, _ = sellers_json.parse(files.sellers_json())
    assert declared.authorises(files.domain, "pub") == "DIRECT"
    (seller,) = [one for one in sold.sellers if one.seller_id == "pub"]
    assert seller.domain == declared.owner


def test_a_publisher_that_is_registered_is_in_the_files_at_once() -> None:
    with House() as house:
        house.open()
        files = files_of(house)
        before = files.sellers_json()
        assert files.sellers_json() is before
        new = NewPublisher(id="own", name="Own", domain="ads.example")
        house.do(lambda c: house.management.register_publisher(c, new))
        sold, _ = sellers_json.parse(files.sellers_json())
        assert [one.seller_id for one in sold.sellers] == ["pub", "own"]
        assert "ads.example, own, DIRECT" in files.ads_txt()


def test_an_unknown_publisher_has_no_file() -> None:
    with House() as house:
        house.open()
        with pytest.raises(NotFound):
            files_of(house).ads_txt("nobody")


def test_a_platform_that_is_reached_by_a_bare_name_still_has_files() -> None:
    with House() as house:
        house.open()
        files = SupplyFiles(house.catalogue, SupplySettings(), domain="localhost")
        assert files.ads_txt("pub") == "OWNERDOMAIN=news.example\nlocalhost, pub, DIRECT\n"


def test_settings_that_no_file_could_hold_are_refused_at_the_start() -> None:
    with House() as house, pytest.raises(ValueError, match="can hold"):
        files_of(house, SupplySettings(records=[Record("not a domain", "1", "DIRECT")]))
