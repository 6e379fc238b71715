"""A challenge, from the answer that asks for it to the clearance, for people and for programs."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from altcha import Challenge, Payload, solve_challenge
from axe_playwright_python.sync_playwright import Axe
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from ringwork.cli.gate_serve import secret_of
from ringwork.gate.facts import Facts
from ringwork.gate.gate import Gate
from ringwork.gate.policy.load import parse_policy
from ringwork.gate.respond.challenge import wants_page
from ringwork.gate.serve.asgi import GateMiddleware
from ringwork.gate.serve.service import DecisionService
from ringwork.kernel.clock import ManualClock, SystemClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Refused
from tests.console.test_browser import FLAGS, WIDTHS, overflow
from tests.gate.conftest import Store

SECRET = b"a secret of thirty-two bytes, ok"
HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
POLICY = """\
trust: {proxies: ["10.0.0.0/8"]}
identity: {account: "header:x-account"}
challenge: {cost: 20, prefix: "0", clearance_s: 7200, contact: "mailto:help@site.example"}
rules:
  - {name: pages, key: [ip], limit: {kind: gcra, limit: 2, period_s: 36000}, over: {action: challenge}}
"""


def gate_of(text: str = POLICY, clock: Any = None) -> Gate:
    policy = parse_policy(text.encode(), where="gate.yaml")
    return Gate(policy, clock=clock or ManualClock(), entropy=SeededEntropy("gate"), secret=SECRET)


async def hello(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = b"<!doctype html><html lang=en><title>In</title><main><h1>You are in</h1></main></html>"
    headers = [(b"content-type", b"text/html")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def client_of(app: Any, peer: str = "192.0.2.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(peer, 1))
    return httpx.AsyncClient(transport=transport, base_url="https://gate")


def payload_of(challenge: dict[str, Any]) -> str:
    found = Challenge.from_dict(challenge)
    solution = solve_challenge(found)
    assert solution is not None
    return Payload(found, solution).to_base64()


# ---- programs ------------------------------------------------------------------------------------


def test_a_program_solves_what_the_problem_holds_and_goes_on() -> None:
    gate = gate_of()

    async def run() -> list[httpx.Response]:
        async with client_of(GateMiddleware(hello, gate)) as client:
            found = [await client.get("/") for _ in range(3)]
            told = found[-1].json()
            body = {"payload": payload_of(told["challenge"])}
            found.append(await client.post(told["solve"], json=body))
            found.append(await client.post(told["solve"], json=body))
            client.cookies.clear()
            cleared = {found[3].json()["header"]: found[3].json()["clearance"]}
            found.append(await client.get("/", headers=cleared))
            found.append(await client.get("/"))
            return found

    found = asyncio.run(run())
    assert [one.status_code for one in found] == [200, 200, 403, 200, 403, 200, 403]
    refused = found[2]
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["cache-control"] == "no-store"
    assert refused.json()["type"] == "urn:ringwork:problem:challenge-required"
    assert refused.json()["trace_id"]
    assert "retry-after" not in refused.headers, "waiting is not what is asked for"
    cookie = found[3].headers["set-cookie"]
    assert cookie.startswith("__Host-gate=")
    assert {"Path=/", "Max-Age=7200", "Secure", "HttpOnly", "SameSite=Lax"} <= set(
        cookie.split("; ")
    )
    assert found[4].json()["detail"].startswith("used")


def test_a_clearance_is_its_actors_alone_ends_and_passes_that_rung_only() -> None:
    clock = ManualClock()
    block = "  - {name: most, key: [ip], limit: {kind: gcra, limit: 4, period_s: 36000}}\n"
    gate = gate_of(POLICY + block, clock)
    ask = Facts.of(ip="192.0.2.1", path="/")
    assert [gate.admit(ask).action for _ in range(3)] == ["allow", "allow", "challenge"]
    challenged = gate.admit(ask)
    assert (challenged.status, [one.rule for one in challenged.reasons]) == (403, ["pages"])
    actor = ("ip", ask.ip)
    checked = gate.response.solved(
        payload_of(json.loads(challenged.challenge)), actor, address=ask.ip
    )
    cleared = Facts.of(ip="192.0.2.1", path="/", clearance=checked.clearance)
    passed = gate.admit(cleared)
    assert passed.action == "allow"
    assert [(one.rule, one.detail, one.is_shadow) for one in passed.reasons] == [
        ("pages", "over its limit", True),
        ("challenge", "solved before", False),
    ]
    assert [gate.admit(cleared).action for _ in range(3)] == ["allow", "block", "block"]
    other = Facts.of(ip="192.0.2.7", path="/", clearance=checked.clearance)
    assert [gate.admit(other).action for _ in range(3)] == ["allow", "allow", "challenge"]
    restarted = gate_of(POLICY, clock)
    assert [restarted.admit(cleared).action for _ in range(4)] == ["allow"] * 4
    clock.advance_us(7_201_000_000)
    assert restarted.admit(cleared).action == "challenge", "the clearance has ended"


def test_over_a_shared_store_a_cleared_actor_is_counted_by_the_other_limits(store: Store) -> None:
    block = "  - {name: most, key: [ip], strict: true, limit: {kind: gcra, limit: 4, period_s: 36000}}\n"
    text = POLICY.replace("key: [ip], limit", "key: [ip], strict: true, limit") + block
    ours = store.counters()
    gate = Gate(
        parse_policy(text.encode(), where="gate.yaml"),
        clock=SystemClock(),
        entropy=SeededEntropy("gate"),
        secret=SECRET,
        store=ours,
        machines=2,
    )
    ask = Facts.of(ip="192.0.2.1", path="/")

    async def run() -> list[str]:
        found = [await gate.admit_strict(ask) for _ in range(3)]
        payload = payload_of(json.loads(found[-1].challenge))
        clearance = gate.response.solved(payload, ("ip", ask.ip), address=ask.ip).clearance
        cleared = Facts.of(ip="192.0.2.1", path="/", clearance=clearance)
        found += [await gate.admit_strict(cleared) for _ in range(3)]
        return [one.action for one in found]

    assert store.run(ours, run) == ["allow", "allow", "challenge", "allow", "allow", "block"]


@given(
    st.text(max_size=120)
    | st.builds("{}.{}".format, st.integers(0, 10**13), st.text("0123456789abcdef", max_size=64))
)
def test_no_clearance_of_somebodys_own_making_passes(clearance: str) -> None:
    gate = gate_of(POLICY.replace("limit: 2", "limit: 1"))
    ask = Facts.of(ip="192.0.2.1", path="/", clearance=clearance)
    assert [gate.admit(ask).action for _ in range(2)] == ["allow", "challenge"]


def test_a_solution_for_one_actor_is_foreign_to_another() -> None:
    gate = gate_of()

    async def run() -> httpx.Response:
        app = GateMiddleware(hello, gate)
        async with client_of(app) as one, client_of(app, "192.0.2.2") as other:
            told = (await one.get("/.gate/challenge")).json()
            return await other.post("/.gate/solve", json={"payload": payload_of(told["challenge"])})

    answer = asyncio.run(run())
    assert (answer.status_code, answer.json()["detail"][:7]) == (403, "foreign")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("GET", b"", 405),
        ("POST", b"", 422),
        ("POST", b"[" * 5000, 422),
        ("POST", b'{"payload": 5}', 422),
        ("POST", b'{"payload": "%%"}', 422),
        ("POST", b" " * 8193, 413),
        ("POST", b'{"payload": "' + base64.b64encode(b"{}") + b'"}', 422),
    ],
)
def test_what_is_no_solution_is_told_what_was_expected(
    method: str, body: bytes, status: int
) -> None:
    async def run() -> httpx.Response:
        async with client_of(GateMiddleware(hello, gate_of())) as client:
            return await client.request(method, "/.gate/solve", content=body)

    answer = asyncio.run(run())
    assert answer.status_code == status
    assert "expected" in answer.json()["detail"]


def test_too_many_tries_of_an_address_have_to_wait() -> None:
    async def run() -> httpx.Response:
        async with client_of(GateMiddleware(hello, gate_of())) as client:
            for _ in range(30):
                await client.post("/.gate/solve", json={"payload": "x"})
            return await client.post("/.gate/solve", json={"payload": "x"})

    answer = asyncio.run(run())
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        (HTML, True),
        ("text/html", True),
        ("text/html;q=0", False),
        ("application/json, text/html;q=0.5", False),
        ("text/html, application/problem+json;q=0.9", True),
        ("*/*", False),
        ("", False),
        ("application/json", False),
        (";;,,q=", False),
    ],
)
def test_a_page_is_for_who_names_html(accept: str, is_page: bool) -> None:
    assert wants_page(accept) is is_page


@given(st.text(max_size=300))
def test_any_accept_is_answered(accept: str) -> None:
    assert wants_page(accept) in (True, False)
    if "html" not in accept.lower():
        assert not wants_page(accept)


# ---- what proxies get ----------------------------------------------------------------------------


def test_envoy_passes_the_page_on_and_nginx_fetches_it() -> None:
    gate = gate_of()

    async def run() -> list[httpx.Response]:
        seen = {"x-forwarded-for": "192.0.2.1", "accept": HTML}
        asked = {**seen, "x-original-uri": "/in", "x-original-method": "POST"}
        async with client_of(DecisionService(gate), "10.0.0.1") as client:
            found = [await client.get("/authz/envoy/in", headers=seen) for _ in range(3)]
            found.append(await client.get("/authz/forward", headers=asked))
            found.append(await client.get("/authz/nginx", headers=asked))
            trace = {"x-gate-trace": found[-1].headers["x-gate-trace"]}
            found.append(await client.get("/.gate/challenge", headers={**asked, **trace}))
            told = (await client.get("/.gate/challenge", headers={**seen, "accept": "*/*"})).json()
            body = {"payload": payload_of(told["challenge"])}
            found.append(await client.post("/.gate/solve", headers=seen, json=body))
            clearance = {"cookie": f"a=b; __Host-gate={found[-1].json()['clearance']}"}
            found.append(await client.get("/authz/nginx", headers={**asked, **clearance}))
            found.append(await client.get("/authz/envoy/in", headers={**seen, **clearance}))
            return found

    found = asyncio.run(run())
    assert [one.status_code for one in found] == [200, 200, 403, 403, 403, 403, 200, 204, 200]
    for one in (found[2], found[3], found[5]):
        assert one.headers["content-type"].startswith("text/html")
        assert "data-challenge=" in one.text
    assert (found[4].headers["x-gate-status"], found[4].headers["x-gate-action"]) == (
        "403",
        "challenge",
    )
    assert found[4].headers["x-gate-trace"] in found[5].text
    assert 'data-method="POST"' in found[5].text


def test_a_program_that_asks_for_decisions_gets_the_challenge() -> None:
    async def run() -> list[Any]:
        async with client_of(DecisionService(gate_of())) as client:
            body = {"ip": "192.0.2.1", "path": "/"}
            return [(await client.post("/v1/gate/decide", json=body)).json() for _ in range(3)]

    first, _, third = asyncio.run(run())
    assert first["challenge"] is None
    assert (third["action"], third["status"]) == ("challenge", 403)
    assert third["challenge"]["parameters"]["algorithm"] == "PBKDF2/SHA-256"


def test_a_forged_reference_is_not_shown() -> None:
    async def run() -> str:
        async with client_of(DecisionService(gate_of())) as client:
            forged = {"x-gate-trace": "<script>alert(1)</script>", "accept": HTML}
            return (await client.get("/.gate/challenge", headers=forged)).text

    assert "alert(1)" not in asyncio.run(run())


# ---- the page ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@contextmanager
def serving(app: Any) -> Iterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://localhost:{port}"
        finally:
            server.should_exit = True
            thread.join(timeout=30)
            assert not thread.is_alive()


@contextmanager
def challenged(browser: Browser, text: str = POLICY, **options: Any) -> Iterator[BrowserContext]:
    """A browser whose every page meets a challenge."""
    gate = gate_of(text.replace("limit: 2", "limit: 1"), SystemClock())
    app = GateMiddleware(hello, gate)
    with serving(app) as url:
        assert httpx.get(url).status_code == 200  # what there was of the limit
        context = browser.new_context(base_url=url, **options)
        yield context
        context.close()


def test_a_browser_solves_it_and_the_page_opens(browser: Browser) -> None:
    with challenged(
        browser, POLICY.replace('cost: 20, prefix: "0"', 'cost: 1000, prefix: "00"')
    ) as c:
        page = c.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        first = page.goto("/")
        assert first is not None
        assert first.status == 403
        expect(page.get_by_role("heading", name="You are in")).to_be_visible(timeout=30_000)
        assert [one for one in said if "403" not in one] == [], "nothing the policy refused"
        [cookie] = c.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (
            "__Host-gate",
            True,
            "Lax",
            True,
        )
        again = page.goto("/other")
        assert again is not None
        assert again.status == 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible_while_it_works_and_where_it_fails(
    browser: Browser, scheme: Any
) -> None:
    with challenged(browser, color_scheme=scheme) as context:
        page = context.new_page()
        page.route("**/.gate/solve", lambda _: None)  # never answered, so that the page stays
        page.goto("/")
        expect(page.get_by_role("status")).to_have_text("Working…")
        expect(page.get_by_role("progressbar", name="Chance to be done by now")).to_be_visible()
        page.evaluate("sessionStorage.setItem('gate-solved', Date.now())")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert overflow(page) == []
            assert Axe().run(page).response["violations"] == []
        page.reload()  # as after a solution whose cookie was not kept
        expect(page.get_by_role("status")).to_contain_text("did not keep the cookie")
        expect(page.get_by_role("button", name="Try again")).to_be_focused()
        assert Axe().run(page).response["violations"] == []
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text("Working…")


def test_without_script_it_says_what_to_do_and_whom_to_write_to(browser: Browser) -> None:
    with challenged(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/")
        expect(page.get_by_text("This needs JavaScript")).to_be_visible()
        expect(page.get_by_role("link", name="help@site.example").first).to_have_attribute(
            "href", "mailto:help@site.example"
        )
        expect(page.get_by_role("progressbar")).to_have_count(0)
        reference = page.locator("code").inner_text()
        assert re.fullmatch("[0-9a-f]{28}", reference)


def test_what_was_sent_by_a_form_is_said_to_be_lost(browser: Browser) -> None:
    with challenged(browser) as context:
        page = context.new_page()
        page.route(
            "**/form",
            lambda route: route.fulfill(
                body="<form method=post action=/sent><button>Send</button></form>",
                content_type="text/html",
            ),
        )
        page.goto("/form")
        page.get_by_role("button").click()
        expect(page.get_by_role("status")).to_contain_text("go back and send it again")
        page.get_by_role("button", name="Go back").click()
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("heading", name="You are in")).to_be_visible()


def test_an_answer_that_is_not_taken_is_told_and_can_be_tried_again(browser: Browser) -> None:
    with challenged(browser) as context:
        page = context.new_page()
        page.route("**/.gate/solve", lambda route: route.fulfill(status=429, body="{}"))
        page.goto("/")
        expect(page.get_by_role("status")).to_contain_text("Wait a minute")
        page.unroute("**/.gate/solve")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="You are in")).to_be_visible()


# ---- the policy ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("challenge: {cost: 0}", "cost"),
        ('challenge: {prefix: "xyz"}', "prefix"),
        ('challenge: {cost: 1000, prefix: "ffffff"}', "up to 20000000"),
        ('challenge: {path: "no-slash"}', "path"),
        ('challenge: {contact: "javascript:alert(1)"}', "contact"),
        ('challenge: {cookie: "a b"}', "cookie"),
        ("challenge: {price: 5}", "not a member"),
    ],
)
def test_a_policy_that_asks_for_nonsense_is_refused(line: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        parse_policy(line.encode(), where="gate.yaml")


def test_a_secret_is_read_from_a_file_that_holds_enough(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(SECRET)
    assert secret_of(file) == SECRET
    assert secret_of(None) is None
    file.write_bytes(SECRET[:31])
    with pytest.raises(Refused, match="32 bytes or more, got 31"):
        secret_of(file)
