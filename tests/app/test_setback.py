"""A clock that goes back and beacons that come again: no order changes, nothing is paid twice."""

import asyncio

import httpx

from ringwork.kernel.clock import ManualClock
from tests.app.logged import events_of, unbroken
from tests.app.served import EPOCH_US, Client, serve
from tests.crash.shop import BID_REQUEST, euros

DAY_US = 86_400_000_000


# ---- the clock ----------------------------------------------------------------------------------


def test_a_clock_that_goes_back_changes_times_and_no_order(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await client.stock()
        impressions = []
        for step_us in (0, -3_600_000_000, 7_200_000_000, -2 * 3_600_000_000, 1):
            client.clock.set_wall_us(client.clock.wall_us() + step_us)
            answer = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
            impressions.append(answer.json()["seatbid"][0]["bid"][0]["id"])
        assert impressions == sorted(set(impressions)), "ids go on increasing"
        await client.app.platform.journal.settled()
        events = (await client.admin.get("/v1/log/events?limit=1000")).json()["events"]
        assert [one["seq"] for one in events] == list(range(1, len(events) + 1))
        times = [one["ts_us"] for one in events]
        assert times != sorted(times), "records say what the clock said"
        assert [one["id"] for one in events if one["type"] == "auction_cleared"] == sorted(
            one["id"] for one in events if one["type"] == "auction_cleared"
        )

    serve(data, scenario)
    unbroken(data)


def test_a_clock_that_goes_back_frees_no_budget(tmp_path):
    """0.0003 per sale of a day's 0.0015: five a day, whatever the clock says."""
    data = tmp_path / "data"

    async def sells(client: Client) -> int:
        """How many sell at this time; each is seen at once."""
        sold = 0
        while True:
            answer = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
            if answer.status_code == 204:
                return sold
            sold += 1
            beacon = answer.json()["seatbid"][0]["bid"][0]["burl"]
            assert (await client.outside.get(beacon)).status_code == 204

    async def scenario(client: Client) -> None:
        await client.stock()
        change = {"bid_nanos": 400_000, "daily_budget": euros(1_500_000)}
        changed = await client.admin.patch(
            "/v1/campaigns/c", json=change, headers={"idempotency-key": "k"}
        )
        assert changed.status_code == 200
        noon = EPOCH_US - EPOCH_US % DAY_US + DAY_US // 2
        told = []
        for hours in (0, -2, 24, 22, 0, 25, 48, 24):
            client.clock.set_wall_us(noon + hours * 3_600_000_000)
            told.append((hours, await sells(client)))
        assert told == [
            (0, 5), (-2, 0), (24, 5), (22, 0), (0, 0), (25, 0), (48, 5), (24, 0),
        ]  # fmt: skip

    serve(data, scenario)
    unbroken(data)


def test_a_clock_that_goes_back_revives_no_hold(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await client.stock()
        beacons = []
        for _ in range(3):
            sold = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
            beacons.append(sold.json()["seatbid"][0]["bid"][0]["burl"])
        early, late, _ = beacons
        client.clock.set_wall_us(EPOCH_US - 3_600_000_000)
        await client.outside.get(early)
        client.clock.set_wall_us(EPOCH_US + 3_600_000_000)
        await client.outside.get(late)
        assert client.app.platform.expire_due() == 2
        client.clock.set_wall_us(EPOCH_US)
        for _ in range(2):
            for beacon in beacons:
                assert (await client.outside.get(beacon)).status_code == 204
        account = (await client.admin.get("/v1/ledger/accounts/campaign/c")).json()
        assert account["debits_posted"] == euros(300_000), "the early one, once"
        assert account["debits_pending"] == euros(0)

    serve(data, scenario)
    unbroken(data)
    kinds = [kind for kind, _ in events_of(data)]
    assert kinds.count("impression_billed") == 1
    assert kinds.count("transfer_expired") == 2


# ---- beacons ------------------------------------------------------------------------------------


async def beacons_of(client: Client, count: int) -> list[str]:
    sold = [await client.outside.post("/openrtb2/auction", json=BID_REQUEST) for _ in range(count)]
    return [httpx.URL(one.json()["seatbid"][0]["bid"][0]["burl"]).path for one in sold]


async def statuses(client: Client, *paths: str) -> list[int]:
    return [(await client.outside.get(path)).status_code for path in paths]


def test_beacons_first_repeated_late_and_forged(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await client.stock()
        first, late, forged = await beacons_of(client, 3)
        assert await statuses(client, first, first, first) == [204, 204, 204]
        flipped = "A" if forged[20] != "A" else "B"
        forgeries = [
            forged[:-4] + "AAAA",
            forged[:20] + flipped + forged[21:],
            forged.replace("/b/", "/c/"),
            forged[:-1],
            forged + "A",
            "/b/x",
            "/b/" + "A" * 3000,
        ]
        assert await statuses(client, *forgeries) == [404] * len(forgeries)
        client.clock.advance_us(3_600_000_000)
        assert await statuses(client, late, late) == [204, 204]
        account = (await client.admin.get("/v1/ledger/accounts/campaign/c")).json()
        assert account["debits_posted"] == euros(300_000)

    serve(data, scenario)
    unbroken(data)
    kinds = [kind for kind, _ in events_of(data)]
    assert kinds.count("impression_billed") == 1
    assert kinds.count("impression_unbilled") == 1


def test_a_beacon_that_is_replayed_at_once_or_after_a_restart_bills_once(tmp_path):
    data, clock, kept = tmp_path / "data", ManualClock(EPOCH_US), []

    async def first(client: Client) -> None:
        await client.stock()
        kept.extend(await beacons_of(client, 2))
        answers = await asyncio.gather(*(client.outside.get(kept[0]) for _ in range(20)))
        assert {one.status_code for one in answers} == {204}

    async def second(client: Client) -> None:
        assert await statuses(client, *kept, *kept) == [204] * 4

    async def elsewhere(client: Client) -> None:
        await client.stock()
        assert await statuses(client, *kept) == [404, 404], "signed by another installation"

    serve(data, first, clock=clock)
    serve(data, second, clock=clock, seed=6)
    serve(tmp_path / "other", elsewhere, clock=clock, seed=7)
    unbroken(data)
    assert [kind for kind, _ in events_of(data)].count("impression_billed") == 2
