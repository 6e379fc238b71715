"""The web layer beside its peers: G1 in process, G2 over HTTP, G3 the management API.

In process, CPU time of whole ASGI calls, alternating, best of several rounds. Over HTTP, one server at a
time pinned to the first processor, the load from `wrk` (or a client of our own where there is none) on the
second; what counts is requests per CPU second of the server. Every peer answers the same bytes.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Response, post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from ringwork.kernel.clock import SystemClock
from ringwork.kernel.entropy import SystemEntropy
from ringwork.kernel.events import EventTypes, Recorded
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Journal
from ringwork.storage.memory.log import MemoryEventLog
from ringwork.storage.memory.snapshots import MemorySnapshots
from ringwork.storage.sqlite.log import SqliteEventLog
from ringwork.web.app import HttpRequest, create_litestar, run_command
from ringwork.web.auth import Authentication, needs
from ringwork.web.execute import CommandAnswered, Executor
from ringwork.web.idempotency import IdempotencyKeys
from ringwork.web.keys import ApiKeyCreated, ApiKeys
from ringwork.web.lane import Exchange, FastLane, Lane, Reply
from ringwork.web.metrics import Metrics
from ringwork.web.sessions import SignIn
from ringwork.web.strict import decode

ROUNDS = 7


class Item(Struct, forbid_unknown_fields=True):
    sku: str
    name: Annotated[str, Meta(max_length=200)]
    quantity: Annotated[int, Meta(ge=1, le=1000)]
    price_nanos: Annotated[int, Meta(ge=0)]
    tags: list[str]


class Order(Struct, forbid_unknown_fields=True):
    id: str
    customer: str
    currency: str
    note: str
    items: list[Item]


class Total(Struct):
    id: str
    items: int
    total_nanos: int


ORDER = Order(
    "order-1", "c-42", "EUR", "leave it at the door, please",
    [Item(f"sku-{n}", f"A thing with a name, number {n}", n % 9 + 1, 1_250_000 * n, ["blue", "large"]) for n in range(14)],
)  # fmt: skip
BODY = msgspec.json.encode(ORDER)  # about 2 KB
ANSWER = msgspec.json.encode(
    Total(ORDER.id, len(ORDER.items), sum(one.quantity * one.price_nanos for one in ORDER.items))
)

Scope = dict[str, Any]
App = Callable[
    [Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
]


def total_of(order: Order) -> Total:
    return Total(
        order.id, len(order.items), sum(one.quantity * one.price_nanos for one in order.items)
    )


# ---- the peers ----------------------------------------------------------------------------------


def bare() -> App:
    """Raw ASGI: typed decode, handler, encode; no routing, no refusals, no counting."""
    decoder, encoder = msgspec.json.Decoder(Order), msgspec.json.Encoder()

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        answer = encoder.encode(total_of(decoder.decode(body)))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


def lane() -> App:
    """Ours: dispatch, bounds, request id, strict decode, problems, metrics."""
    decoder, encoder = msgspec.json.Decoder(Order), msgspec.json.Encoder()

    async def handle(exchange: Exchange) -> Reply:
        return Reply(200, encoder.encode(total_of(decode(exchange.body, decoder))))

    return fast_lane(handle)


def fast_lane(handle: Callable[[Exchange], Awaitable[Reply]]) -> App:
    metrics, clock = Metrics({}), SystemClock()
    ids = IdGenerator(clock, SystemEntropy())
    return FastLane(
        [Lane(path="/v1/orders", methods=("POST",), handle=handle)],
        bare(),
        new_request_id=ids.new,
        monotonic_ns=clock.monotonic_ns,
        metrics={"/v1/orders": metrics.lane("/v1/orders")},
        concurrency_max=4096,
    )


def durable_lane() -> App:
    """Ours with one durable event per request, on the real log."""
    clock, entropy = SystemClock(), SystemEntropy()
    log = SqliteEventLog.open(
        Path(tempfile.mkdtemp(prefix="rw-web-")), clock=clock, entropy=entropy
    )
    ids = IdGenerator(clock, entropy)
    journal = Journal(
        log=log, types=EventTypes([CommandAnswered]), folds=[], clock=clock, ids=ids,
        snapshots=MemorySnapshots(),
    )  # fmt: skip
    decoder, encoder = msgspec.json.Decoder(Order), msgspec.json.Encoder()

    async def handle(exchange: Exchange) -> Reply:
        answer = encoder.encode(total_of(decode(exchange.body, decoder)))
        with journal.command(tenant="main", request_id=exchange.request_id) as command:
            command.record(CommandAnswered("POST /v1/orders", 200))
            durable = command.commit()
        await durable
        return Reply(200, answer)

    return fast_lane(handle)


def fastapi() -> App:
    """FastAPI with pydantic models, async handler, response_model."""
    from fastapi import FastAPI
    from pydantic import BaseModel, ConfigDict, Field

    class ItemIn(BaseModel):
        model_config = ConfigDict(extra="forbid")
        sku: str
        name: str = Field(max_length=200)
        quantity: int = Field(ge=1, le=1000)
        price_nanos: int = Field(ge=0)
        tags: list[str]

    class NewOrder(BaseModel):
        model_config = ConfigDict(extra="forbid")
        id: str
        customer: str
        currency: str
        note: str
        items: list[ItemIn]

    class TotalOut(BaseModel):
        id: str
        items: int
        total_nanos: int

    app = FastAPI()

    async def create(order: NewOrder) -> TotalOut:
        total = sum(one.quantity * one.price_nanos for one in order.items)
        return TotalOut(id=order.id, items=len(order.items), total_nanos=total)

    create.__annotations__ = {"order": NewOrder, "return": TotalOut}
    app.post("/v1/orders", response_model=TotalOut)(create)
    return app


def starlette() -> App:
    """Starlette's router and responses with msgspec in the handler."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    decoder, encoder = msgspec.json.Decoder(Order), msgspec.json.Encoder()

    async def create(request: Request) -> Response:
        answer = encoder.encode(total_of(decoder.decode(await request.body())))
        return Response(answer, media_type="application/json")

    return Starlette(routes=[Route("/v1/orders", create, methods=["POST"])])


def litestar() -> App:
    """Litestar as it comes."""

    @post("/v1/orders", status_code=200)
    async def create(data: JSONBody[Order]) -> Total:
        return total_of(data)

    return Litestar([create], openapi_config=None, logging_config=None)


def management(*, keyed: bool = False) -> App:
    """Ours on Litestar: API key, scope, strict body, problems, executor.

    ``keyed``: with a new Idempotency-Key each time, so that every call is a durable command of its
    own (on the log in memory), which no peer does.
    """
    clock, entropy = SystemClock(), SystemEntropy()
    ids = IdGenerator(clock, entropy)
    answers = IdempotencyKeys(lambda tenant, scope, key: None)
    journal = Journal(
        log=MemoryEventLog(clock=clock), types=EventTypes([CommandAnswered]), folds=[], clock=clock,
        ids=ids, snapshots=MemorySnapshots(), answers=answers,
    )  # fmt: skip
    execute = Executor(journal, answers, secret=bytes(32))
    keys = ApiKeys()
    made = ApiKeyCreated("k1", "manager", "", sha256(b"secret").digest())
    keys.apply(Recorded(0, 1, b"", 0, b"", None, "main", None, None, made))
    bearer = b"Bearer rw_k1_secret"

    @post("/v1/orders", status_code=200, opt=needs("catalogue:write"))
    async def create(request: HttpRequest, data: JSONBody[Order]) -> Response[bytes]:
        return await run_command(request, execute, lambda command: (200, total_of(data)))

    inner = create_litestar([create])
    sign_in = SignIn(secret=bytes(32), clock=clock, entropy=entropy, tenant="main", session_s=60)
    guarded = Authentication(
        inner, keys=keys, sign_in=sign_in, tenant="main", hosts=frozenset(), new_request_id=ids.new
    )

    number = itertools.count()

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        headers = [*scope["headers"], (b"authorization", bearer)]
        if keyed:
            headers.append((b"idempotency-key", b"k%d" % next(number)))
        await guarded({**scope, "headers": headers}, receive, send)

    return app


PEERS: dict[str, Callable[[], App]] = {
    "keyed command": partial(management, keyed=True),
    "bare": bare, "lane": lane, "durable": durable_lane, "fastapi": fastapi,
    "starlette": starlette, "litestar": litestar, "management": management,
}  # fmt: skip


# ---- in process ---------------------------------------------------------------------------------


async def calls(app: App, count: int) -> float:
    """CPU microseconds per call."""
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": "/v1/orders", "raw_path": b"/v1/orders", "query_string": b"",
        "root_path": "", "server": ("127.0.0.1", 8080), "client": ("127.0.0.1", 4711),
        "headers": [
            (b"host", b"127.0.0.1:8080"), (b"user-agent", b"bench"), (b"accept", b"*/*"),
            (b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY)),
        ],
    }  # fmt: skip
    message = {"type": "http.request", "body": BODY, "more_body": False}
    got: list[Any] = []

    async def receive() -> Any:
        return message

    async def send(message: Any) -> None:
        got.append(message)

    await app({**scope}, receive, send)
    assert b"".join(one.get("body", b"") for one in got) == ANSWER, got
    started = time.process_time()
    for _ in range(count):
        got.clear()
        await app({**scope}, receive, send)
    return (time.process_time() - started) / count * 1e6


def in_process(quick: bool) -> dict[str, float]:
    """Peer -> best CPU microseconds per call, measured in turn."""
    names = (
        "bare", "lane", "starlette", "litestar", "management", "keyed command", "fastapi",
    )  # fmt: skip
    apps = {name: PEERS[name]() for name in names}
    count = 400 if quick else 2_000

    async def measure() -> dict[str, list[float]]:
        found: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(ROUNDS):
            for name in names:
                found[name].append(await calls(apps[name], count))
        return found

    return {name: min(rounds) for name, rounds in asyncio.run(measure()).items()}


# ---- over HTTP ----------------------------------------------------------------------------------


def serve(name: str, port: int) -> None:
    """A child process: one peer on uvicorn."""
    import uvicorn

    uvicorn.run(
        PEERS[name](), host="127.0.0.1", port=port, loop="uvloop", http="httptools",
        lifespan="off", log_level="error", access_log=False, interface="asgi3", server_header=False,
    )  # fmt: skip


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


LUA = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = %s
"""


class Server:
    """One peer in its own process on the first processor."""

    def __init__(self, name: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [sys.executable, "-m", "benchmarks.foundation.web", name, str(self.port)]
        self.process = subprocess.Popen(command, start_new_session=True)
        os.sched_setaffinity(self.process.pid, {0})
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"{name} does not listen")

    def load(self, connections: int, seconds: float, script: Path) -> float:
        """Requests per CPU second of the server."""
        before = cpu_s(self.process.pid)
        command = [
            "taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "-s",
            str(script), f"http://127.0.0.1:{self.port}/v1/orders",
        ]  # fmt: skip
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "Non-2xx" not in output, output
        done = int(output.split(" requests in ")[0].split()[-1])
        return done / (cpu_s(self.process.pid) - before)

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def over_http(quick: bool) -> dict[str, float] | None:
    """Peer -> median requests per CPU second, in turn; None where there is no wrk."""
    if shutil.which("wrk") is None or shutil.which("taskset") is None:
        return None
    names = ("bare", "lane", "fastapi", "durable")
    connections = {"durable": 256}
    script = Path(tempfile.mkdtemp()) / "post.lua"
    script.write_text(LUA % msgspec.json.encode(BODY.decode()).decode())
    servers = {name: Server(name) for name in names}
    bare_256 = "bare, 256 connections"
    found: dict[str, list[float]] = {name: [] for name in (*names, bare_256)}
    try:
        for round_number in range(2 if quick else 6):
            for name in names:
                seconds = 2 if quick else 4
                rate = servers[name].load(connections.get(name, 32), seconds, script)
                if round_number or not quick:
                    found[name].append(rate)
            found[bare_256].append(servers["bare"].load(256, 2 if quick else 4, script))
    finally:
        for server in servers.values():
            server.stop()
    return {name: statistics.median(rates) for name, rates in found.items()}


# ---- goals --------------------------------------------------------------------------------------


def goal(
    text: str, measured: float, target: float, unit: str, *, at_most: bool, peer: str, ratio: float
) -> dict[str, object]:
    ok = measured <= target if at_most else measured >= target
    return {
        "goal": text, "measured": round(measured, 2), "target": target, "unit": unit, "ok": ok,
        "peer": peer, "ratio": round(ratio, 3),
    }  # fmt: skip


def run(quick: bool) -> list[dict[str, object]]:
    """G1, G2 and G3."""
    cpu = in_process(quick)
    print("CPU us a call: " + ", ".join(f"{name} {value:.1f}" for name, value in cpu.items()))
    over = {name: value - cpu["bare"] for name, value in cpu.items()}
    goals = [
        goal(
            "G1 fast lane over raw ASGI, in process", over["lane"], 5, "us CPU", at_most=True,
            peer=f"Starlette +{over['starlette']:.1f}, Litestar +{over['litestar']:.1f}, FastAPI +{over['fastapi']:.1f} us",
            ratio=cpu["lane"] / cpu["bare"],
        ),
        goal(
            "typed endpoint over FastAPI + pydantic, in process", cpu["fastapi"] / cpu["lane"], 6, "x",
            at_most=False, peer=f"FastAPI {cpu['fastapi']:.1f} us", ratio=cpu["fastapi"] / cpu["lane"],
        ),
        goal(
            "G3 management endpoint over plain Litestar, in process", cpu["management"] / cpu["litestar"],
            1.6, "x", at_most=True,
            peer=f"Litestar {cpu['litestar']:.1f} us; a keyed durable command {cpu['keyed command']:.1f} us",
            ratio=cpu["management"] / cpu["litestar"],
        ),
    ]  # fmt: skip
    rates = over_http(quick)
    if rates is None:
        print("G2 needs wrk and taskset on PATH: apt-get install -y wrk")
        return goals
    print("requests a server CPU second: " + ", ".join(f"{n} {r:,.0f}" for n, r in rates.items()))
    bare_256 = rates["bare, 256 connections"]
    return [
        *goals,
        goal(
            "G2 over HTTP, of raw ASGI", rates["lane"] / rates["bare"], 0.85, "x", at_most=False,
            peer=f"raw ASGI {rates['bare']:,.0f}/CPU s", ratio=rates["lane"] / rates["bare"],
        ),
        goal(
            "G2 over HTTP, over FastAPI", rates["lane"] / rates["fastapi"], 3.5, "x", at_most=False,
            peer=f"FastAPI {rates['fastapi']:,.0f}/CPU s", ratio=rates["lane"] / rates["fastapi"],
        ),
        goal(
            "G2 with a durable event each, 256 connections, of raw ASGI", rates["durable"] / bare_256,
            0.65, "x", at_most=False, peer=f"raw ASGI {bare_256:,.0f}/CPU s",
            ratio=rates["durable"] / bare_256,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
