"""Pacing over restarts of the platform: clean ones, and one that was cut off."""

import shutil

from ringwork.ads import projections as ads
from ringwork.ads.projections import PaceRow
from ringwork.kernel.clock import ManualClock
from tests.app.life import opened
from tests.app.served import EPOCH_US, Client, serve
from tests.crash.shop import BID_REQUEST

MINUTE_US = 60_000_000


async def minutes(client: Client, count: int, *, requests: int = 12) -> None:
    """So many minutes in which requests come, each sale is shown, and pacing does its work."""
    for _ in range(count):
        for _ in range(requests):
            client.clock.advance_us(MINUTE_US // requests)
            answer = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
            if answer.status_code == 200:
                billed = answer.json()["seatbid"][0]["bid"][0]["burl"]
                assert (await client.outside.get(billed)).status_code == 204
        while client.app.platform.pace():
            pass


async def noted(client: Client) -> list[PaceRow]:
    platform = client.app.platform
    await platform.indexed()
    with platform.state.reader.begin() as connection:
        return ads.paces(connection, "c", since_us=0, limit=1000)


def test_a_plan_of_the_day_goes_on_after_a_clean_stop_and_after_a_crash(tmp_path):
    data, crashed, clock = tmp_path / "data", tmp_path / "crashed", ManualClock(EPOCH_US)
    seen: dict[str, list[PaceRow]] = {}
    paces: dict[str, int] = {}

    async def first(client: Client) -> None:
        await client.stock()
        await minutes(client, 40)
        seen["first"] = await noted(client)
        # As a machine that loses its power leaves it: notes and requests, and no snapshot.
        shutil.copytree(data, crashed, ignore=shutil.ignore_patterns("admin.sock", "*.new"))

    async def second(client: Client) -> None:
        paces["second"] = client.app.platform.ads.index.pace_ppm("c")
        await minutes(client, 30)
        seen["second"] = await noted(client)

    serve(data, first, clock=clock)
    stopped_us = clock.wall_us()
    for seed, store in ((6, data), (7, crashed)):
        serve(store, second, clock=ManualClock(stopped_us), seed=seed)
        before, after = seen["first"], seen["second"][len(seen["first"]) :]
        assert len(before) >= 3
        assert len(after) >= 2
        assert before[-1].pace_ppm < 1_000_000, "or the test would prove less"
        assert paces["second"] == before[-1].pace_ppm, "no request comes before its pace is known"
        assert {each.begins_s for each in (*before, *after)} == {before[0].begins_s}
        assert after[0].due >= before[-1].due
        assert after[0].ts_us - before[-1].ts_us >= 15 * MINUTE_US - 1, "no note beside the rhythm"
        # Requests come evenly: the plan of 70 minutes in proportion to the day's rest.
        left_s = after[-1].ends_s - after[-1].begins_s
        passed_s = after[-1].ts_us // 1_000_000 - after[-1].begins_s
        assert abs(after[-1].due / after[-1].budget - passed_s / left_s) < 0.02


def test_a_store_without_notes_begins_its_plans(tmp_path):
    async def nothing(client: Client) -> None:
        await client.stock()

    serve(tmp_path / "data", nothing)
    platform = opened(tmp_path / "data")
    platform.ads.warm_up(EPOCH_US // 1_000_000)
    platform.ads.pacing.begin(EPOCH_US // 1_000_000)
    assert platform.ads.index.pace_ppm("c") == 1_000_000
    platform.close()
