"""``ringwork demo``: the real server as a child process, and a world that lives a day on it.

Both run on one scaled clock: the last day in about four minutes, then real time. A second start
goes on in the same data directory where the first one stopped.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from heapq import merge
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import msgspec
import uvloop
from msgspec import Struct

from ringwork.kernel.errors import Busy, ConfigurationError, RingworkError
from ringwork.world.cast import setup
from ringwork.world.checkout import checkout
from ringwork.world.child import Child, ServerEnded, ask, serving
from ringwork.world.display import Display
from ringwork.world.drive import Driver, connected
from ringwork.world.habits import PER_IMPRESSION
from ringwork.world.pace import DAY_US, Pace, pace_from
from ringwork.world.paper import PUBLISHER, known_readers, paper
from ringwork.world.paper import setup as paper_setup
from ringwork.world.readers import DAYS_TOLD, clubs, decisions, deeds, readers
from ringwork.world.signals import VENDOR_ID, VENDOR_LIST
from ringwork.world.stocking import Stocker, ads_of
from ringwork.world.town import consents, descriptions, offers, town_views
from ringwork.world.traffic import views

PER_DAY: Final = 20_000
KNOWN: Final = {
    "RINGWORK_ADS__CLICK_PRIOR_PPB": f"{PER_IMPRESSION['cpc'] * 1e9:.0f}",
    "RINGWORK_ADS__CONVERSION_PRIOR_PPB": f"{PER_IMPRESSION['cpa'] * 1e9:.0f}",
    "RINGWORK_ADS__VIEWABLE_PRIOR_PPB": f"{PER_IMPRESSION['vcpm'] * 1e9:.0f}",
    "RINGWORK_ADS__VIEW_PRIOR_PPB": f"{PER_IMPRESSION['cpv'] * 1e9:.0f}",
    "RINGWORK_ADS__MODEL_PUBLISH_S": "3600",
    "RINGWORK_CHOICE__VENDOR_ID": str(VENDOR_ID),
    "RINGWORK_FAIRNESS__CLUSTER_PEOPLE": "1000",
}
"""Settings of an operator who knows the market: how people respond here on the whole, before
anything was learned, and a version of the model for each hour, which passes in ten seconds; who
they are in the vendor list, without which no TC string permits them anything; a town so small that
few people are enough to know its clusters."""
HOUR_US: Final = 3_600_000_000
STATE: Final = "world.json"
KEEP_EVERY_S: Final = 1.0
SPEND_EVERY: Final = 5
"""How many times it is remembered before spend is asked for again."""
AHEAD_S: Final = 3
"""Real seconds that the remembered time is ahead while the world lives: more than pass until it is
remembered again, so that the world's time does not go back after a kill."""


class World(Struct):
    """What a data directory remembers of its world."""

    seed: int
    began_us: int
    last_us: int
    """Nothing that happened in the world is later."""
    merchants: int = 0
    """Of the long tail, how many have their campaigns and ads."""
    told_day: int = 0
    """What readers did is told up to this day, since 1970; 0: nor has anybody decided yet."""
    is_town_told: bool = False
    """Who lives in Northfield, and what they agreed to."""


class Stay(Struct, frozen=True, kw_only=True):
    """One run of the demo."""

    data: Path
    url: str
    token: str
    key_id: str
    link: str
    paper: str
    """The origin of the newspaper's pages."""
    world: World
    pace: Pace
    hours: float | None
    """How long it lives, in the world's time; None: until it is stopped."""


def run(
    *,
    data: Path,
    seed: int,
    port: int,
    until_world_hours: float | None,
    environment: Mapping[str, str],
) -> None:
    """Run server and world until SIGTERM, Ctrl-C (KeyboardInterrupt), or for so many world hours.

    ``environment`` is the server's. Raises SystemExit with the server's exit code, after its last
    words, when the server ends by itself.
    """
    world = remembered(data) or World(seed, 0, 0)
    if world.seed != seed:
        sys.stderr.write(f"The world in {data} has the seed {world.seed} and goes on with it\n")
    pace = pace_from(time.time_ns() // 1000, world.last_us)
    url = f"http://127.0.0.1:{port}"
    try:
        with (
            _surroundings(pace) as settings,
            serving(
                data, port, {**KNOWN, **settings, **environment, **pace.environment()}
            ) as server,
        ):
            server.await_ready(url)
            world.began_us = world.began_us or pace.world_start_us
            remember(data, world)
            made = ask(
                data, environment, "keys", "create", "--role", "admin", "--label", "demo world"
            )
            link = f"{url}{ask(data, environment, 'keys', 'link')['path']}"
            with paper(server=url, seed=world.seed) as origin:
                stay = Stay(
                    data=data,
                    url=url,
                    token=str(made["token"]),
                    key_id=str(made["id"]),
                    link=link,
                    paper=origin,
                    world=world,
                    pace=pace,
                    hours=until_world_hours,
                )
                is_interrupted = uvloop.run(_live(stay, server))
    except ServerEnded as ended:
        sys.stderr.write(f"{ended}\n")
        sys.exit(ended.code)
    world.last_us = pace.clock().wall_us()  # the server has stopped: nothing is later
    remember(data, world)
    if is_interrupted:
        raise KeyboardInterrupt


@contextmanager
def _surroundings(pace: Pace) -> Iterator[dict[str, str]]:
    """What a platform finds outside: a payment provider and a vendor list. Settings for them."""
    clock = pace.clock()
    with TemporaryDirectory(prefix="ringwork-world-") as name:
        lists = Path(name) / "vendor-lists"
        lists.mkdir()
        (lists / "list.json").write_bytes(msgspec.json.encode(VENDOR_LIST))
        with checkout(Path(name), lambda: clock.wall_us() // 1_000_000) as selling:
            yield {**selling, "RINGWORK_CONSENT__VENDOR_LISTS": str(lists)}


async def _live(stay: Stay, server: Child) -> bool:
    """Live; whether Ctrl-C ended it."""
    stop = asyncio.Event()
    signals: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        signals.append(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    async with connected(stay.url) as (own, *clients):
        driver = Driver(clients, pace=stay.pace, token=stay.token)
        await driver.set_up(setup(stay.world.seed, stay.world.began_us))
        await driver.set_up(paper_setup())
        await driver.publish_at(PUBLISHER, stay.paper)
        await driver.set_up(clubs())
        await driver.set_up(offers(stay.world.began_us))
        await tell_of_readers(driver, stay.world)
        display = Display(
            driver.tally, pace=stay.pace, link=stay.link, url=stay.url, paper=stay.paper
        )
        showing = asyncio.create_task(display.run())
        keeping = asyncio.create_task(_keep(stay, driver, server))
        keeping.add_done_callback(lambda _: stop.set())  # it ends by itself when the server does
        stocking = asyncio.create_task(_stock(stay, driver, own, stop))
        try:
            # From now on: what passed while the world was set up is nobody's traffic.
            start_us = driver.clock.wall_us()
            sequence = merge(
                views(stay.world.seed, start_us=start_us, per_day=PER_DAY),
                town_views(stay.world.seed, start_us=start_us),
                key=lambda view: view.at_us,
            )
            until_us = None if stay.hours is None else start_us + int(stay.hours * HOUR_US)
            await driver.run(sequence, stop, until_us)
        finally:
            display.close()
            keeping.cancel()
            stocking.cancel()
            await asyncio.wait([showing, keeping, stocking])
        showing.result()
        for task in (keeping, stocking):
            if not task.cancelled():
                task.result()
        try:
            await driver.revoke(stay.key_id)
        except httpx.TransportError as error:
            server.require_alive()
            raise Busy(f"the key {stay.key_id} of this run could not be revoked: {error}") from None
    return signal.SIGINT in signals


async def tell_of_readers(driver: Driver, world: World) -> None:
    """Hand over what readers decided, once, and what they did until yesterday.

    A change of mind in the console or on the paper's page stays.
    """
    people = (*known_readers(world.seed), *readers(world.seed))
    if world.told_day == 0:
        await driver.set_up(decisions(people, world.began_us))
    today = driver.clock.wall_us() // DAY_US
    days = range(max(world.told_day + 1, today - DAYS_TOLD), today)
    await driver.set_up(deeds(people, seed=world.seed, days=days))
    world.told_day = max(world.told_day, today - 1)


async def _stock(
    stay: Stay, driver: Driver, client: httpx.AsyncClient, stop: asyncio.Event
) -> None:
    """Tell of Northfield's people, and bring the long tail to market, from where both are.

    What is wrong with either ends the world.
    """

    def stocked(merchants: int) -> None:
        stay.world.merchants = merchants  # remembered within a second; sent again, it exists
        driver.tally.ads = ads_of(merchants)

    stocked(stay.world.merchants)
    world = stay.world
    stocker = Stocker(client, token=stay.token, seed=world.seed, start_us=world.began_us)
    try:
        if not world.is_town_told:
            await stocker.make(descriptions(world.seed))
            await stocker.make(consents(world.seed))
            world.is_town_told = True
        await stocker.run(world.merchants, stocked)
    except RingworkError:
        stop.set()
        raise


async def _keep(stay: Stay, driver: Driver, server: Child) -> None:
    """Note how far the world has come, so that a killed demo goes on too; watch the server."""
    for turn in itertools.count():
        server.require_alive()
        stay.world.last_us = stay.pace.ahead_us(driver.clock.wall_us(), AHEAD_S)
        await asyncio.to_thread(remember, stay.data, stay.world)
        if turn % SPEND_EVERY == 0:
            await driver.ask_spend()
        await asyncio.sleep(KEEP_EVERY_S)


def remembered(data: Path) -> World | None:
    """The world of a data directory, if it has one. Raises ConfigurationError for another file."""
    path = data / STATE
    try:
        return msgspec.json.decode(path.read_bytes(), type=World)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"{path}: not the state of a world: {error}; remove it to begin another day"
        ) from None


def remember(data: Path, world: World) -> None:
    """Replace the state at once: there is never half a file."""
    partial = data / f"{STATE}.new"
    partial.write_bytes(msgspec.json.encode(world))
    partial.rename(data / STATE)
