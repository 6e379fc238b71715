"""``ringwork demo``: the real server as a child process, and a world that lives a day on it.

Both run on one scaled clock: the last day in about four minutes, then real time. A second start
goes on in the same data directory where the first one stopped.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import msgspec
from msgspec import Struct

from ringwork.kernel.clock import ScaledClock
from ringwork.kernel.errors import Busy, RingworkError
from ringwork.world.cast import setup
from ringwork.world.display import Display
from ringwork.world.drive import Driver
from ringwork.world.traffic import DAY_S, views

SPEED: Final = 360
"""A day in four minutes."""
PER_DAY: Final = 30_000
STATE: Final = "world.json"
READY_WITHIN_S: Final = 20.0
DAY_US: Final = DAY_S * 1_000_000


class World(Struct):
    """What a data directory remembers of its world."""

    seed: int
    began_us: int
    last_us: int


class Pace(Struct, frozen=True):
    """The four numbers of the clock that server and world share."""

    real_start_us: int
    world_start_us: int
    world_end_us: int
    speed: int

    def clock(self) -> ScaledClock:
        """The clock itself."""
        return ScaledClock(
            real_start_us=self.real_start_us,
            world_start_us=self.world_start_us,
            world_end_us=self.world_end_us,
            speed=self.speed,
        )

    def environment(self) -> dict[str, str]:
        """The same numbers as settings of the server."""
        return {
            f"RINGWORK_CLOCK__{name.upper()}": str(getattr(self, name))
            for name in self.__struct_fields__
        }


def pace_from(real_us: int, last_us: int) -> Pace:
    """From where the world stopped (or a day ago) at 360 times, to meet real time without a jump.

    With ``gap`` of the world still to live, fast time ends ``gap / (speed - 1)`` from now.
    """
    start_us = max(last_us, real_us - DAY_US)
    gap_us = max(real_us - start_us, 0)
    fast_us = gap_us // (SPEED - 1)
    return Pace(real_us, start_us, start_us + fast_us * SPEED, SPEED)


def run(
    *,
    data: Path,
    seed: int,
    port: int,
    until_world_hours: float | None,
    environment: dict[str, str],
) -> None:
    """Run server and world until Ctrl-C, or for so many hours of the world."""
    world = _remembered(data, seed)
    pace = pace_from(time.time_ns() // 1000, world.last_us)
    world.began_us = world.began_us or pace.world_start_us
    _remember(data, world)
    url = f"http://127.0.0.1:{port}"
    with _server(data, port, {**environment, **pace.environment()}) as server:
        _await_ready(url, server)
        token, link = _credentials(data, port)
        try:
            asyncio.run(_live(url, token, f"{url}{link}", data, world, pace, until_world_hours))
        finally:
            _remember(data, world)


async def _live(
    url: str,
    token: str,
    link: str,
    data: Path,
    world: World,
    pace: Pace,
    until_world_hours: float | None,
) -> None:
    clock = pace.clock()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    until_us = None
    if until_world_hours is not None:
        until_us = pace.world_start_us + int(until_world_hours * 3_600_000_000)
    limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
    async with httpx.AsyncClient(base_url=url, timeout=30, limits=limits) as client:
        driver = Driver(client, clock=clock, token=token)
        await driver.set_up(setup(world.seed, world.began_us))
        display = Display(
            driver.tally, clock=clock, link=link, url=url, pace_end_us=pace.world_end_us
        )
        showing = asyncio.create_task(display.run())
        keeping = asyncio.create_task(_keep(data, world, driver))
        try:
            sequence = views(world.seed, start_us=pace.world_start_us, per_day=PER_DAY)
            await driver.run(sequence, stop, until_us)
        finally:
            keeping.cancel()
            display.close()
            await asyncio.gather(showing, keeping, return_exceptions=True)
            world.last_us = max(world.last_us, clock.wall_us())


async def _keep(data: Path, world: World, driver: Driver) -> None:
    """Note how far the world has come, so that a killed demo goes on too."""
    while True:
        await asyncio.sleep(1)
        world.last_us = max(world.last_us, driver.last_us)
        await asyncio.to_thread(_remember, data, world)


def _remembered(data: Path, seed: int) -> World:
    path = data / STATE
    if not path.exists():
        return World(seed, 0, 0)
    try:
        return msgspec.json.decode(path.read_bytes(), type=World)
    except msgspec.DecodeError as error:
        raise RingworkError(f"{path}: not the state of a world: {error}; remove it") from error


def _remember(data: Path, world: World) -> None:
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = data / f"{STATE}.new"
    partial.write_bytes(msgspec.json.encode(world))
    partial.rename(data / STATE)


@contextmanager
def _server(
    data: Path, port: int, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """The real server in its own process group; stopped by SIGTERM, so that nothing is lost."""
    command = [sys.executable, "-m", "ringwork", "serve", "--data", str(data), "--port", str(port)]
    log = data / "server.log"
    with log.open("ab") as lines:
        server = subprocess.Popen(
            command,
            env={**os.environ, "RINGWORK_LOGGING__LEVEL": "warning", **environment},
            stdout=lines,
            stderr=lines,
            start_new_session=True,
        )
        try:
            yield server
        finally:
            server.terminate()
            server.wait(timeout=60)


def _await_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline_ns = time.monotonic_ns() + int(READY_WITHIN_S * 1e9)
    while time.monotonic_ns() < deadline_ns:
        if server.poll() is not None:
            raise Busy(
                f"the server did not start (exit {server.returncode}); see server.log in the data "
                "directory, or choose another --data or --port"
            )
        try:
            if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)  # the child says nothing else
    raise Busy(f"the server is not ready after {READY_WITHIN_S:.0f} s")


def _credentials(data: Path, port: int) -> tuple[str, str]:
    """A key for the world and a sign-in path for the person, over the owner's socket."""
    command = [sys.executable, "-m", "ringwork"]
    options = ["--data", str(data), "--json"]
    made = subprocess.run(
        [*command, "keys", "create", "--role", "admin", "--label", "demo world", *options],
        check=True,
        capture_output=True,
    )
    linked = subprocess.run([*command, "keys", "link", *options], check=True, capture_output=True)
    token = msgspec.json.decode(made.stdout)["token"]
    return token, msgspec.json.decode(linked.stdout)["path"]
