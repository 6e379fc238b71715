"""A whole decision, and what the middleware adds to a request, beside slowapi.

Decision: from a request's raw fields to a settled answer: who asks (a proxy's field, an account, an
application), five counters all or nothing, different people, the fields of the answer. Middleware:
CPU time of a Starlette application's request with it, less without it, called as a server calls it;
slowapi as its documentation has it (one limit by address), as ASGI middleware and as the older kind.
Both refuse the same request of a burst before times are taken.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from slowapi import Limiter
from slowapi.middleware import SlowAPIASGIMiddleware, SlowAPIMiddleware
from slowapi.util import get_remote_address
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from benchmarks.foundation.event_log import result
from ringwork.gate.facts import Usage
from ringwork.gate.gate import Gate
from ringwork.gate.policy.load import parse_policy
from ringwork.gate.serve.asgi import GateMiddleware
from ringwork.gate.serve.requests import RequestFacts
from ringwork.kernel.clock import SystemClock
from ringwork.kernel.entropy import SystemEntropy

FIVE = b"""
trust: {proxies: ["10.0.0.0/8"]}
identity: {account: "header:x-account", app: "header:x-app"}
rules:
  - {name: account, key: [account], cost: {read: 1, write: 3}, limit: {kind: gcra, limit: 100000, period_s: 300}}
  - {name: app, key: [app], limit: {kind: gcra, limit: 10000000, period_s: 300}}
  - {name: net, key: [net], limit: {kind: gcra, limit: 1000000, period_s: 300}}
  - {name: address, key: [ip], limit: {kind: gcra, limit: 300000, period_s: 60}}
  - {name: route, key: [account, route], limit: {kind: gcra, limit: 300000, period_s: 60}}
  - {name: people, key: [account], limit: {kind: distinct, limit: 1000000, window_s: 86400}}
"""
ONE = b"rules: [{name: address, key: [ip], limit: {kind: gcra, limit: %d, period_s: 60}}]"
ROUNDS = 5


def gate_of(policy: bytes) -> Gate:
    return Gate(
        parse_policy(policy, where="gate.yaml"), clock=SystemClock(), entropy=SystemEntropy()
    )


def decisions(count: int) -> list[float]:
    """CPU microseconds of each."""
    gate = gate_of(FIVE)
    requests = RequestFacts(gate.policy)
    asked = [
        (
            [
                (b"host", b"api.example"), (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64)"),
                (b"accept", b"*/*"), (b"x-forwarded-for", f"198.51.{n % 97}.{n % 251}".encode()),
                (b"x-account", f"account-{n % 10_007}".encode()), (b"x-app", f"app-{n % 13}".encode()),
            ],
            Usage(rows=3, entities=(f"p{n % 509}", f"p{n % 499}", f"p{n % 491}")),
        )
        for n in range(count)
    ]  # fmt: skip
    spent: list[float] = []
    gc.disable()
    try:
        for headers, usage in asked:
            started = time.thread_time_ns()
            facts = requests.of(method="GET", path="/p/*", headers=headers, peer="10.0.0.7")
            decision = gate.admit(facts)
            told = decision.headers
            gate.settle(decision, usage)
            spent.append((time.thread_time_ns() - started) / 1000)
            assert decision.action == "allow"
            assert len(told) == 2
    finally:
        gc.enable()
    return sorted(spent[count // 10 :])


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def plain() -> Any:
    return Starlette(routes=[Route("/p", hello)])


def gated(limit: int) -> Any:
    return GateMiddleware(plain(), gate_of(ONE % limit))


def by_slowapi(limit: int, kind: Any) -> Any:
    limiter = Limiter(key_func=get_remote_address, default_limits=[f"{limit}/minute"])
    app = Starlette(routes=[Route("/p", hello)])
    app.state.limiter = limiter
    app.add_middleware(kind)
    return app


async def call(app: Any, count: int) -> list[int]:
    """Statuses of requests, made as a server makes them."""
    found: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])

    for number in range(count):
        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "path": "/p", "raw_path": b"/p",
            "query_string": b"", "headers": [(b"host", b"a"), (b"user-agent", b"b"), (b"accept", b"*/*")],
            "client": (f"198.51.{number % 97}.{number % 251}", 1), "server": ("a", 80), "scheme": "http",
            "root_path": "",
        }  # fmt: skip
        await app(scope, receive, send)
    return found


def us_each(app: Any, count: int) -> float:
    async def timed() -> float:
        await call(app, count // 10)
        started = time.process_time_ns()
        await call(app, count)
        return (time.process_time_ns() - started) / count / 1000

    return asyncio.run(timed())


def run(quick: bool) -> list[dict[str, object]]:
    spent = decisions(5_000 if quick else 100_000)
    p50, p99 = spent[len(spent) // 2], spent[len(spent) * 99 // 100]
    rows = [
        result("a whole decision with six rules, CPU p50", p50, 12, "us", at_most=True),
        result("a whole decision with six rules, CPU p99", p99, 40, "us", at_most=True),
    ]

    # The same burst of one address: 24,347 addresses (97 x 251) are met in turn, each twice.
    burst = 97 * 251 * 2 + 1
    mine, theirs = (
        asyncio.run(call(app, burst)) for app in (gated(2), by_slowapi(2, SlowAPIASGIMiddleware))
    )
    assert mine == theirs == [200] * (burst - 1) + [429], "the last is the third of its address"

    count = 2_000 if quick else 20_000
    makers: dict[str, Callable[[], Any]] = {
        "starlette": plain,
        "gate": lambda: gated(10**9),
        "slowapi ASGI": lambda: by_slowapi(10**9, SlowAPIASGIMiddleware),
        "slowapi": lambda: by_slowapi(10**9, SlowAPIMiddleware),
    }
    times: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(ROUNDS):
        for name, make in makers.items():
            times[name].append(us_each(make(), count))
    base = median(times["starlette"])
    added = {name: median(found) - base for name, found in times.items()}
    ratio = median(
        (one - bare) / (own - bare)
        for one, own, bare in zip(
            times["slowapi ASGI"], times["gate"], times["starlette"], strict=True
        )
    )
    peer = f"slowapi {added['slowapi ASGI']:.1f} us as ASGI, {added['slowapi']:.1f} us otherwise"
    rows.append({
        **result("what the middleware adds to a Starlette request", added["gate"], 8, "us", at_most=True),
        "peer": peer, "ratio": round(ratio, 1),
    })  # fmt: skip
    rows.append({
        **result("slowapi's overhead over ours", ratio, 10, "x"),
        "peer": peer, "ratio": round(ratio, 1),
    })  # fmt: skip
    return rows
