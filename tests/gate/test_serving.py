"""The gate around an application, and as a service that proxies ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.gate.facts import Usage
from ringwork.gate.gate import Gate
from ringwork.gate.policy.load import parse_policy
from ringwork.gate.serve.asgi import GateMiddleware
from ringwork.gate.serve.requests import RequestFacts
from ringwork.gate.serve.service import BODY_MAX, DecisionService
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy

IDENTITY = 'trust: {proxies: ["10.0.0.0/8"]}\nidentity: {account: "header:x-account", visit: "cookie:v", ja4: "header:x-ja4"}\n'
ACCOUNT = "  - {name: account, key: [account], limit: {kind: gcra, limit: 2, period_s: 60}}\n"
ADDRESS = "  - {name: address, key: [ip], limit: {kind: gcra, limit: 3, period_s: 60}}\n"


def gate_of(rules: str, clock: ManualClock | None = None) -> Gate:
    policy = parse_policy(f"{IDENTITY}rules:\n{rules}".encode(), where="gate.yaml")
    return Gate(policy, clock=clock or ManualClock(), entropy=SeededEntropy("gate"))


async def hello(scope: dict[str, Any], receive: Any, send: Any) -> None:
    scope["state"]["usage"] = Usage(rows=2, entities=[scope["path"]])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
    await send({"type": "http.response.body", "body": b"hello ", "more_body": True})
    await send({"type": "http.response.body", "body": b"world"})


def asking(
    app: Any, what: Callable[[httpx.AsyncClient], Awaitable[Any]], peer: str = "192.0.2.1"
) -> Any:
    async def run() -> Any:
        transport = httpx.ASGITransport(app, client=(peer, 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://gate") as client:
            return await what(client)

    return asyncio.run(run())


# ---- middleware ----------------------------------------------------------------------------------


def test_an_application_behind_the_gate_answers_until_a_limit_refuses() -> None:
    app = GateMiddleware(hello, gate_of(ACCOUNT))

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await client.get("/p/1", headers={"x-account": "ann"}) for _ in range(3)]

    first, _, third = asking(app, ask)
    assert (first.status_code, first.text, first.headers["x-own"]) == (200, "hello world", "1")
    assert first.headers["ratelimit"] == '"account";r=1;t=30'
    assert third.status_code == 429
    assert third.headers["content-type"] == "application/problem+json"
    assert int(third.headers["retry-after"]) >= 30
    assert third.json()["violated-policies"] == ["account"]


def test_what_an_application_gave_is_settled_even_where_it_fails() -> None:
    gate = gate_of(
        "  - {name: people, key: [account], limit: {kind: distinct, limit: 2, window_s: 80}}\n"
        "  - {name: at-once, key: [account], limit: {kind: concurrent, limit: 1}}\n"
        "  - {name: bytes, key: [account], limit: {kind: volume, limit: 1000, period_s: 10, unit: bytes}}\n"
    )
    app = GateMiddleware(hello, gate, usage=lambda scope: scope["state"].get("usage"))

    async def ask(client: httpx.AsyncClient) -> list[int]:
        headers = {"x-account": "ann"}
        return [
            (await client.get(path, headers=headers)).status_code
            for path in ("/a", "/a", "/b", "/c")
        ]

    assert asking(app, ask) == [200, 200, 200, 429], "a and b were shown, twice is once"

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    failing = GateMiddleware(
        broken,
        gate_of("  - {name: at-once, key: [account], limit: {kind: concurrent, limit: 1}}\n"),
    )

    async def fail(client: httpx.AsyncClient) -> None:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await client.get("/", headers={"x-account": "ann"})

    asking(failing, fail)


def test_bytes_are_counted_where_nobody_says_what_was_given() -> None:
    gate = gate_of(
        "  - {name: bytes, key: [account], cost: 0, limit: {kind: volume, limit: 20, period_s: 10, unit: bytes}}\n"
    )

    async def ask(client: httpx.AsyncClient) -> list[str]:
        return [
            (await client.get("/", headers={"x-account": "ann"})).headers["ratelimit"]
            for _ in range(3)
        ]

    assert [one.split(";")[1] for one in asking(GateMiddleware(hello, gate), ask)] == [
        "r=20",
        "r=9",
        "r=0",
    ]


def test_slowing_waits_and_answers() -> None:
    gate = gate_of(
        "  - {name: slow, key: [account], limit: {kind: gcra, limit: 1, period_s: 60}, over: {action: slow, delay_s: 0.01}}\n"
    )

    async def ask(client: httpx.AsyncClient) -> list[int]:
        return [(await client.get("/", headers={"x-account": "ann"})).status_code for _ in range(3)]

    assert asking(GateMiddleware(hello, gate), ask) == [200, 200, 200]


# ---- who asks ------------------------------------------------------------------------------------


def facts(peer: str, *headers: tuple[str, str], envoy: bool = False) -> Any:
    requests = RequestFacts(gate_of(ACCOUNT).policy)
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return requests.of(method="get", path="/", headers=raw, peer=peer, is_envoy=envoy)


def test_a_forged_field_names_nobody_else() -> None:
    alone = facts("192.0.2.9")
    assert facts("192.0.2.9", ("x-forwarded-for", "203.0.113.1")) == alone, "he is no proxy of ours"
    behind = facts("10.0.0.1", ("x-forwarded-for", "203.0.113.1, 192.0.2.9"))
    assert behind.ip == alone.ip, "what lies left of our proxy's word is the client's"
    twice = facts(
        "10.0.0.1", ("x-forwarded-for", "203.0.113.1"), ("x-forwarded-for", "192.0.2.9, 10.9.9.9")
    )
    assert twice.ip == alone.ip
    said = ("x-envoy-external-address", "203.0.113.1")
    assert facts("192.0.2.9", said, envoy=True) == alone
    assert facts("10.0.0.1", said).ip != facts("10.0.0.1", said, envoy=True).ip
    assert facts("10.0.0.1", ("x-ja4", "t13d1516h2_8daaf6152771_02713d6af862")).ja4
    assert not facts("192.0.2.9", ("x-ja4", "t13d1516h2_8daaf6152771_02713d6af862")).ja4


def test_accounts_and_visits_stand_where_the_policy_says() -> None:
    found = facts("192.0.2.9", ("x-account", "ann"), ("cookie", "a=b; v=visit-7; v=other"))
    assert (found.account, found.visit) == ("ann", "visit-7")
    assert facts("192.0.2.9", ("x-account", "a" * 300)).account == ""


# ---- the service ---------------------------------------------------------------------------------


def test_envoy_gets_the_true_status_and_nginx_a_403() -> None:
    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        envoy = [
            await client.post("/authz/envoy/p/1", headers={"x-account": "ann"}) for _ in range(3)
        ]
        headers = {"x-account": "bob", "x-original-method": "GET", "x-original-uri": "/p/1?q=1"}
        nginx = [await client.get("/authz/nginx", headers=headers) for _ in range(3)]
        headers = {"x-account": "cay", "x-forwarded-method": "GET", "x-forwarded-uri": "/p/1"}
        forward = [await client.get("/authz/forward", headers=headers) for _ in range(3)]
        return [*envoy, *nginx, *forward]

    found = asking(DecisionService(gate_of(ACCOUNT)), ask)
    assert [one.status_code for one in found] == [200, 200, 429, 204, 204, 403, 200, 200, 429]
    assert found[2].json()["violated-policies"] == ["account"]
    assert found[5].headers["x-gate-status"] == "429"
    # Half a minute has to be waited, and up to a tenth of it more, by who it is.
    assert all(30 <= int(found[one].headers["retry-after"]) <= 33 for one in (2, 5, 8))
    assert found[3].headers["ratelimit"] == '"account";r=1;t=30'


def test_what_nginx_says_was_asked_is_what_rules_see() -> None:
    rule = '  - {name: writes, match: {route: "/p/*", method: [POST]}, key: [account], limit: {kind: gcra, limit: 1, period_s: 60}}\n'

    async def ask(client: httpx.AsyncClient) -> list[int]:
        def said(method: str, uri: str) -> dict[str, str]:
            return {"x-account": "ann", "x-original-method": method, "x-original-uri": uri}

        asked = [
            said("POST", "/p/1?a=/q"),
            said("GET", "/p/1"),
            said("POST", "/q/p/1"),
            said("POST", "/p/2"),
        ]
        return [(await client.get("/authz/nginx", headers=one)).status_code for one in asked]

    assert asking(DecisionService(gate_of(rule)), ask) == [204, 204, 204, 403]


def test_programs_are_told_the_whole_decision() -> None:
    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        body = {"account": "ann", "ip": "192.0.2.1", "route": "/p/*"}
        return [await client.post("/v1/gate/decide", json=body) for _ in range(3)]

    first, _, third = (
        one.json() for one in asking(DecisionService(gate_of(ACCOUNT + ADDRESS)), ask)
    )
    assert (first["action"], first["limits"][0]["remaining"], first["limits"][1]["remaining"]) == (
        "allow",
        1,
        2,
    )
    assert (third["action"], third["status"], third["reasons"][0]["rule"]) == (
        "block",
        429,
        "account",
    )
    assert third["trace_id"] != first["trace_id"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "truncated"),
        (b"[]", "object"),
        (b'{"ip": "x"}', "address"),
        (b'{"acct": 1}', "unknown field"),
        (b'{"ip": 5}', "str"),
        (b"[" * 10_000, ""),
    ],
)
def test_bad_facts_are_refused_with_what_was_expected(body: bytes, says: str) -> None:
    answer = asking(
        DecisionService(gate_of(ACCOUNT)),
        lambda client: client.post("/v1/gate/decide", content=body),
    )
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_other_ways_of_asking_wrongly() -> None:
    service = DecisionService(gate_of(ACCOUNT))
    assert asking(service, lambda client: client.get("/v1/gate/decide")).status_code == 405
    assert asking(service, lambda client: client.get("/elsewhere")).status_code == 404
    assert (
        asking(
            service, lambda client: client.post("/v1/gate/decide", content=b" " * (BODY_MAX + 1))
        ).status_code
        == 413
    )
    assert asking(service, lambda client: client.get("/healthz")).json() == {"status": "ok"}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    b"x-forwarded-for",
                    b"cookie",
                    b"x-account",
                    b"user-agent",
                    b"x-envoy-external-address",
                    b"x-original-uri",
                ]
            ),
            st.binary(max_size=200),
        ),
        max_size=8,
    ),
    st.binary(max_size=50),
)
def test_no_field_does_more_than_be_decided_on(
    headers: list[tuple[bytes, bytes]], path: bytes
) -> None:
    service = DecisionService(gate_of(ACCOUNT + ADDRESS))
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    for where in ("/authz/envoy/" + path.decode("latin-1"), "/authz/nginx", "/authz/forward"):
        for peer in ("10.0.0.1", "::1", "nobody"):
            scope = {
                "type": "http",
                "method": "GET",
                "path": where,
                "headers": headers,
                "client": (peer, 1),
            }
            asyncio.run(service(scope, receive, send))
    assert {one["status"] for one in sent if "status" in one} <= {200, 204, 403, 429}
