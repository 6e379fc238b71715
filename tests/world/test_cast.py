"""Who lives in the world, and that setting it up twice changes nothing."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import msgspec
import pytest

from ringwork.app.compose import Application, create
from ringwork.app.settings import Settings
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import RingworkError
from ringwork.world.cast import (
    DEPOSIT_UNITS,
    MEASURED,
    OUTLETS,
    SHOPS,
    Setup,
    banner_html,
    setup,
)
from ringwork.world.drive import Driver
from ringwork.world.habits import PER_IMPRESSION
from ringwork.world.pace import pace_from

START = 1_764_158_400_000_000

Work = Callable[[Application, Driver, httpx.AsyncClient], Awaitable[None]]


def calls(seed: int = 7) -> list[Setup]:
    return list(setup(seed, START))


def with_platform(data: Path, work: Work) -> None:
    """Run ``work`` on a real platform in this process, as its administrator."""

    async def main() -> None:
        app = create(
            Settings(data=str(data)), clock=ManualClock(START), entropy=SeededEntropy("cast")
        )
        async with app.platform.lifespan(app):
            transport = httpx.ASGITransport(app.local_admin)  # type: ignore[arg-type]  # the same
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                await work(app, Driver([http], pace=pace_from(START, 0), token=""), http)

    asyncio.run(main())


def test_the_same_seed_sets_up_the_same_world() -> None:
    assert calls() == calls()
    assert calls(7) != calls(8)


def test_everything_has_an_id_a_key_and_an_invented_domain() -> None:
    found = calls()
    assert len({call.key for call in found}) == len(found)
    assert len({(call.path, call.body["id"]) for call in found}) == len(found)
    for call in found:
        domain = call.body.get("domain")
        assert domain is None or str(domain).endswith(".example")
    paths = Counter(call.path for call in found)
    assert (paths["/v1/advertisers"], paths["/v1/publishers"]) == (len(SHOPS), len(OUTLETS))
    assert 36 <= paths["/v1/campaigns"] <= 48


def test_deposits_cover_budgets_and_some_budgets_are_soon_spent() -> None:
    for seed in range(20):
        budgets: Counter[object] = Counter()
        small = 0
        for call in calls(seed):
            if call.path == "/v1/campaigns":
                budget = call.body["budget"]
                assert isinstance(budget, dict)
                budgets[call.body["advertiser_id"]] += budget["units"]
                small += budget["units"] <= 2
        assert max(budgets.values()) <= DEPOSIT_UNITS
        assert small >= 3


def test_shops_advertise_by_every_pricing_and_bid_as_much_for_an_impression() -> None:
    bodies = [call.body for seed in range(5) for call in calls(seed)]
    campaigns = [body for body in bodies if "pricing" in body]
    assert {one["pricing"] for one in campaigns} == {"cpm", "cpc", "cpa", "vcpm", "cpv"}
    for one in campaigns:
        bid_nanos = one["bid_nanos"]
        assert isinstance(bid_nanos, int)
        assert 1_290_000 <= bid_nanos * PER_IMPRESSION[str(one["pricing"])] <= 3_800_000


def test_what_pays_for_what_is_seen_is_only_where_that_is_measured() -> None:
    measured = [call.body for call in calls() if call.body.get("pricing") in ("vcpm", "cpv")]
    assert all(one["targeting"]["key_values"] == MEASURED for one in measured)  # type: ignore[index]  # a dict
    viewed = {one["id"] for one in measured if one["pricing"] == "cpv"}
    formats = {call.body["format"] for call in calls() if call.body.get("campaign_id") in viewed}
    assert formats == {"video"}
    sections = {
        section
        for call in calls()
        if call.path == "/v1/placements"
        for section in call.body["key_values"]["section"]  # type: ignore[index]  # a dict
    }
    assert sections == set(MEASURED["section"])


def test_a_banner_is_html_without_script_or_request() -> None:
    html = banner_html("Lamp & Line <b>", '"Light"', 60, 300, 250)
    assert "Lamp &amp; Line &lt;b&gt;" in html
    assert "<b>" not in html
    for word in ("script", "src=", "url(", "http"):
        assert word not in html


def test_setting_up_again_changes_nothing(tmp_path: Path) -> None:
    async def work(app: Application, driver: Driver, http: httpx.AsyncClient) -> None:
        await driver.set_up(setup(7, START))
        memory = app.platform.memory
        was = memory.catalogue.dump(), memory.ledger.dump()
        await driver.set_up(setup(7, START))
        # Of the log's end nothing is said: pacing notes its campaigns meanwhile.
        assert (memory.catalogue.dump(), memory.ledger.dump()) == was
        account = (await http.get("/v1/ledger/accounts/advertiser/blue-tile")).json()
        assert account["credits_posted"]["units"] == DEPOSIT_UNITS

    with_platform(tmp_path / "d", work)


def test_what_an_operator_changed_stays_changed(tmp_path: Path) -> None:
    async def work(app: Application, driver: Driver, http: httpx.AsyncClient) -> None:
        await driver.set_up(setup(7, START))
        path = "/v1/campaigns/blue-tile-1"
        paused = await http.patch(
            path, json={"status": "paused"}, headers={"idempotency-key": "pause"}
        )
        assert paused.status_code == 200, paused.text
        again = (msgspec.structs.replace(call, key=f"{call.key}:2") for call in setup(7, START))
        await driver.set_up(again)  # keys do not live for ever
        assert (await http.get(path)).json()["status"] == "paused"

    with_platform(tmp_path / "d", work)


def test_what_an_older_version_of_the_world_made_stays_as_it_is(tmp_path: Path) -> None:
    async def work(app: Application, driver: Driver, http: httpx.AsyncClient) -> None:
        made = {"id": "pub", "name": "Older", "domain": "pub.example"}
        for body in (made, {**made, "name": "Newer"}):
            await driver.set_up(iter([Setup("/v1/publishers", body, "k")]))
        assert (await http.get("/v1/publishers/pub")).json()["name"] == "Older"

    with_platform(tmp_path / "d", work)


def test_a_call_that_is_refused_is_told_with_its_path_and_reason(tmp_path: Path) -> None:
    async def work(app: Application, driver: Driver, http: httpx.AsyncClient) -> None:
        body = {"id": "x", "currency": "euro"}
        with pytest.raises(RingworkError, match=r"/v1/ledger/accounts k: .*currency"):
            await driver.set_up(iter([Setup("/v1/ledger/accounts", body, "k")]))

    with_platform(tmp_path / "d", work)
