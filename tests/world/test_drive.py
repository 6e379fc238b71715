"""The driver: on a real platform in this process, and on answers that no platform should give."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import msgspec
import pytest

from ringwork.app.compose import create
from ringwork.app.settings import Settings
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.events import decode_frames
from ringwork.kernel.money import Money
from ringwork.world.cast import setup
from ringwork.world.drive import CONNECTIONS, Driver, connected
from ringwork.world.pace import Pace
from ringwork.world.traffic import View, views

BUSY = 300_000
"""Views per day: some seven hundred in ten minutes of the night."""
DENSE = 2_000_000
"""Views per day: sixty of them in a few seconds of the world, and none is ever late."""
Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]


def pace_of(speed: int) -> Pace:
    """A world of 20 hours at that speed, from a fixed midnight on."""
    midnight = 20_000 * 86_400_000_000
    return Pace(
        real_start_us=time.time_ns() // 1000,
        world_start_us=midnight,
        world_end_us=midnight + 72_000_000_000,
        speed=speed,
    )


def some(pace: Pace, count: int) -> list[View]:
    return list(itertools.islice(views(7, start_us=pace.world_start_us, per_day=DENSE), count))


def drive(
    answer: Answer,
    clients: int,
    work: Callable[[Driver, Pace], Awaitable[None]],
    speed: int = 60,
) -> Driver:
    """Run ``work`` with a driver whose every request ``answer`` answers."""

    async def main() -> Driver:
        pace = pace_of(speed)
        transport = httpx.MockTransport(answer)
        https = [
            httpx.AsyncClient(transport=transport, base_url="http://platform.example")
            for _ in range(clients)
        ]
        driver = Driver(https, pace=pace, token="t")
        await work(driver, pace)
        for client in https:
            await client.aclose()
        return driver

    return asyncio.run(main())


def test_what_people_do_is_on_the_log_and_billed_once(tmp_path: Path) -> None:
    billed: set[bytes] = set()
    types: list[str] = []

    async def main() -> Driver:
        pace = pace_of(150)
        app = create(
            Settings(data=str(tmp_path / "d")), clock=pace.clock(), entropy=SeededEntropy("drive")
        )
        async with app.platform.lifespan(app):
            transport = httpx.ASGITransport(app.local_admin)  # type: ignore[arg-type]  # the same
            https = [
                httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
                for _ in range(8)
            ]
            driver = Driver(https, pace=pace, token="")
            await driver.set_up(setup(7, pace.world_start_us))
            began_us = driver.clock.wall_us()
            sequence = views(7, start_us=began_us, per_day=BUSY)
            until_us = began_us + 600_000_000
            asked = list(itertools.takewhile(lambda one: one.at_us < until_us, sequence))
            await driver.run(iter(asked), asyncio.Event(), until_us)
            assert driver.tally.views + driver.tally.skipped == len(asked)
            await driver.ask_spend()
            await driver.run(iter(()), asyncio.Event(), None)
            totals = (await https[0].get("/v1/ledger/totals")).json()
            assert driver.tally.spend == msgspec.convert(totals["debits_nanos"], Money)
            assert totals["billed_impressions"] == driver.tally.acts["impression"]
            for row in app.platform.journal.log.rows():
                for frame in decode_frames(row.payload):
                    for envelope in frame.events:
                        types.append(envelope.type)
                        if envelope.type == "impression_billed":
                            billed.add(app.platform.journal.types.decode(envelope).impression_id)
        return driver

    tally = asyncio.run(main()).tally
    assert tally.errors == 0
    assert set(tally.statuses) <= {200, 204, 400}
    assert tally.filled > 0.8 * tally.views > 100
    assert tally.spend is not None
    assert tally.spend.total_nanos > 0
    assert len(billed) == types.count("impression_billed") == tally.acts["impression"]
    assert min(tally.acts["viewable"], tally.acts["completed"]) > 0
    measured = tally.acts["viewable"] + tally.acts["completed"]
    assert types.count("impression_measured") == measured
    assert types.count("click_recorded") == tally.acts["click"]
    assert types.count("conversion_recorded") == tally.acts["conversion"]
    assert tally.p99_ms > 0


def test_the_same_seed_sends_the_same_requests_in_the_same_order() -> None:
    def sent() -> list[tuple[str, str, bytes]]:
        requests: list[tuple[str, str, bytes]] = []

        async def answer(request: httpx.Request) -> httpx.Response:
            requests.append((request.method, request.url.path, request.content))
            return httpx.Response(204)

        async def work(driver: Driver, pace: Pace) -> None:
            await driver.set_up(setup(7, pace.world_start_us))
            await driver.run(iter(some(pace, 100)), asyncio.Event(), None)

        drive(answer, 1, work)
        return requests

    first = sent()
    assert len(first) > 300
    assert sent() == first


def test_a_slow_platform_slows_the_world_instead_of_being_flooded() -> None:
    busy, most = 0, 0
    full = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        if busy == 4:
            full.set()  # nobody is answered before four wait
        await full.wait()
        await asyncio.sleep(0)
        busy -= 1
        return httpx.Response(204)

    async def work(driver: Driver, pace: Pace) -> None:
        await driver.run(iter(some(pace, 60)), asyncio.Event(), None)

    driver = drive(answer, 4, work)
    assert (most, driver.tally.views) == (4, 60)


def test_a_platform_that_does_not_answer_is_counted_and_the_world_goes_on() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async def work(driver: Driver, pace: Pace) -> None:
        await driver.run(iter(some(pace, 20)), asyncio.Event(), None)
        await driver.ask_spend()
        await driver.run(iter(()), asyncio.Event(), None)

    tally = drive(answer, 2, work).tally
    assert (tally.errors, tally.views, tally.spend, tally.p99_ms) == (21, 0, None, 0.0)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"seatbid": [], "ads": [{}]}'])
def test_an_answer_that_cannot_be_read_ends_the_run_and_is_not_hidden(body: bytes) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    async def work(driver: Driver, pace: Pace) -> None:
        await driver.run(iter(some(pace, 20)), asyncio.Event(), None)

    with pytest.raises((msgspec.DecodeError, LookupError, TypeError)):
        drive(answer, 2, work)


def test_acts_that_the_platform_takes_otherwise_are_counted_as_refused() -> None:
    sold = msgspec.json.encode(
        {
            "seatbid": [
                {"bid": [{"adm": "<a href='/c/abcdefgh'>", "burl": "http://x/b/abcdefgh"}]}
            ],
            "ads": [{"beacons": {"impression": "http://x/b/abcdefgh"}, "click": "http://x/c/abc"}],
        }
    )

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(200, content=sold)
        return httpx.Response(503)

    async def work(driver: Driver, pace: Pace) -> None:
        sequence = some(pace, 60)
        await driver.run(iter(sequence), asyncio.Event(), sequence[-1].at_us + 60_000_000)

    tally = drive(answer, 2, work).tally
    assert tally.filled == tally.views > 0
    assert tally.refused > 30
    assert not tally.acts["impression"]
    assert not tally.acts["forged"]


def test_views_whose_moment_is_long_past_are_left_out() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(204)

    async def work(driver: Driver, pace: Pace) -> None:
        now_us = driver.clock.wall_us()
        view = some(pace, 1)[0]
        ages_s = (3600, 400, 200, 0)
        late = [msgspec.structs.replace(view, at_us=now_us - age * 1_000_000) for age in ages_s]
        await driver.run(iter(late), asyncio.Event(), None)

    tally = drive(answer, 1, work, speed=1).tally
    assert (tally.skipped, tally.views) == (2, 2)


def test_a_stop_is_noticed_while_nothing_is_due() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(204)

    async def work(driver: Driver, pace: Pace) -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, stop.set)
        far = [msgspec.structs.replace(some(pace, 1)[0], at_us=pace.world_end_us)]
        await asyncio.wait_for(driver.run(iter(far), stop, None), timeout=10)

    assert drive(answer, 1, work, speed=1).tally.views == 0


def test_connections_ignore_the_proxies_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    async def main() -> None:
        server = await asyncio.start_server(_empty_answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, connected(f"http://127.0.0.1:{port}") as clients:
            assert len(clients) == CONNECTIONS
            assert (await clients[0].get("/")).status_code == 204

    asyncio.run(main())


async def _empty_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
