"""The long tail: the same from its seed, funded, of every kind, and taken by the platform."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx
import msgspec
import pytest

from ringwork.app.compose import create
from ringwork.app.settings import Settings
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Busy, RingworkError
from ringwork.world import long_tail, stocking
from ringwork.world.cast import MEASURED, OUTLETS, SHOPS, setup
from ringwork.world.drive import Driver
from ringwork.world.long_tail import (
    ADS,
    ADS_EACH,
    DEPOSIT_UNITS,
    MERCHANTS,
    advertisers,
    deposits,
    merchant,
    stock,
)
from ringwork.world.pace import pace_from
from ringwork.world.stocking import Stocker, ads_of

START = 1_764_158_400_000_000
SOME = range(0, MERCHANTS, 8)


@pytest.fixture(scope="module")
def lines() -> list[dict]:
    """Every eighth merchant's stock."""
    return [msgspec.json.decode(line) for number in SOME for line in stock(7, number, START)]


def test_the_market_has_a_hundred_thousand_ads(lines: list[dict]) -> None:
    assert ADS == ads_of(MERCHANTS) == 100_000
    assert sum(line["type"] == "creative" for line in lines) == len(SOME) * ADS_EACH


def test_a_merchant_is_the_same_from_its_seed_and_number_alone() -> None:
    assert stock(7, 11, START) == stock(7, 11, START)
    assert stock(7, 11, START) != stock(8, 11, START)
    assert merchant(7, 11) != merchant(7, 12)
    assert list(advertisers(7)) == list(advertisers(7))


def test_ids_are_told_apart_and_domains_invented(lines: list[dict]) -> None:
    made = [msgspec.json.decode(line) for line in advertisers(7)]
    assert len({one["id"] for one in made}) == len(made) == MERCHANTS
    assert all(one["domain"].endswith(".example") for one in made)
    assert len({(line["type"], line["id"]) for line in lines}) == len(lines)
    assert not {one["id"] for one in made} & {shop.id for shop in SHOPS}


def test_deposits_cover_every_budget() -> None:
    assert len({one.key for one in deposits(7)}) == MERCHANTS
    for number in range(0, MERCHANTS, 20):
        budgets = [
            line["budget"]["units"] + 1
            for line in map(msgspec.json.decode, stock(7, number, START))
            if "budget" in line
        ]
        assert sum(budgets) < DEPOSIT_UNITS


def test_every_kind_of_campaign_and_ad_is_in_the_market(lines: list[dict]) -> None:
    campaigns = [line for line in lines if line["type"] == "campaign"]
    assert {one["pricing"] for one in campaigns} == {"cpm", "cpc", "vcpm", "cpv", "cpa"}
    priorities = Counter(one.get("priority", "price") for one in campaigns)
    assert set(priorities) == {"sponsorship", "guaranteed", "price", "house"}
    assert priorities["price"] > 0.9 * len(campaigns)
    targeted = Counter(name for one in campaigns for name in one["targeting"])
    assert set(targeted) == {
        "categories", "regions", "device_types", "sites", "apps", "hours", "time_zone",
        "weekdays", "key_values", "excluded",
    }  # fmt: skip
    measured = [one for one in campaigns if one["pricing"] in ("vcpm", "cpv")]
    assert all(one["targeting"]["key_values"] == MEASURED for one in measured)
    creatives = [line for line in lines if line["type"] == "creative"]
    assert {one["format"] for one in creatives} == {"banner", "native", "video", "audio"}


def test_every_outlet_has_a_sponsor_and_a_guaranteed_campaign() -> None:
    first = [msgspec.json.decode(stock(7, number, START)[0]) for number in range(2 * len(OUTLETS))]
    places = Counter(
        place
        for one in first
        for place in one["targeting"].get("sites", one["targeting"].get("apps"))
    )
    assert places == Counter({one.domain or one.bundle: 2 for one in OUTLETS})
    assert [one["priority"] for one in first[:: len(OUTLETS)]] == ["sponsorship", "guaranteed"]


def test_it_comes_to_market_through_the_bulk_import_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_tail, "MERCHANTS", 3)
    heard: list[int] = []

    async def main() -> None:
        app = create(
            Settings(data=str(tmp_path / "d")),
            clock=ManualClock(START),
            entropy=SeededEntropy("tail"),
        )
        async with app.platform.lifespan(app):
            transport = httpx.ASGITransport(app.local_admin)  # type: ignore[arg-type]  # the same
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                driver = Driver([http], pace=pace_from(START, 0), token="")
                await driver.set_up(setup(7, START))
                stocker = Stocker(http, token="", seed=7, start_us=START)
                monkeypatch.setattr(stocking, "MERCHANTS", 2)
                await stocker.run(0, heard.append)
                monkeypatch.setattr(stocking, "MERCHANTS", 3)
                await stocker.run(2, heard.append)
                catalogue = app.platform.memory.catalogue
                of_shops = sum(call.path == "/v1/creatives" for call in setup(7, START))
                assert len(catalogue.creatives) == of_shops + 3 * ADS_EACH
                stocked = catalogue.dump(), app.platform.memory.ledger.dump()
                await stocker.run(1, heard.append)  # what a killed demo had not remembered
                # Of the log's end nothing is said: pacing notes its campaigns meanwhile.
                assert (catalogue.dump(), app.platform.memory.ledger.dump()) == stocked

    asyncio.run(main())
    assert heard == [1, 2, 3, 2, 3]


def test_what_an_operator_changed_is_left_and_what_is_refused_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = {"type": "urn:ringwork:problem:campaign-exists", "detail": "other content"}
    refused = {"line": 1, "status": "refused", "id": "c", "problem": problem}

    def answer(request: httpx.Request) -> httpx.Response:
        lines = [refused] if request.url.path == "/v1/import" else []
        return httpx.Response(200, json={"lines": lines})

    assert stocked_with(answer, monkeypatch) == [1]
    problem["type"] = "urn:ringwork:problem:insufficient-funds"
    with pytest.raises(RingworkError, match="/v1/import c: other content"):
        stocked_with(answer, monkeypatch)
    with pytest.raises(RingworkError, match="/v1/import: no such key"):
        stocked_with(lambda request: httpx.Response(401, text="no such key"), monkeypatch)


def test_a_busy_platform_is_asked_again_with_the_same_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["idempotency-key"])
        if len(keys) == 1:
            raise httpx.ConnectError("refused")
        return httpx.Response(503 if len(keys) == 2 else 200, json={"lines": []})

    monkeypatch.setattr(stocking, "PAUSE_S", 0.0)
    assert stocked_with(answer, monkeypatch) == [1]
    assert len(set(keys[:3])) == 1
    assert len(set(keys[2:])) == len(keys) - 2 == 1 + MERCHANTS + 1
    monkeypatch.setattr(stocking, "ATTEMPTS_MAX", 3)
    with pytest.raises(Busy, match="takes nothing, after 3 attempts"):
        stocked_with(lambda request: httpx.Response(503), monkeypatch)


def stocked_with(answer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stock one merchant on a platform that answers so."""
    monkeypatch.setattr(stocking, "MERCHANTS", 1)
    heard: list[int] = []

    async def main() -> None:
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(transport=transport, base_url="http://p.example") as http:
            await Stocker(http, token="t", seed=7, start_us=START).run(0, heard.append)

    asyncio.run(main())
    return heard
