"""A real nginx asks the gate on every request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from altcha import Challenge, Payload, solve_challenge

from tests.gate.nginx import gated_site

POLICY = """\
trust: {proxies: ["127.0.0.1/32"]}
identity: {account: "header:x-account"}
rules:
  - {name: account, key: [account], limit: {kind: gcra, limit: 3, period_s: 3600}}
  - {name: writes, match: {route: "/w/*", method: [POST]}, key: [ip], limit: {kind: gcra, limit: 1, period_s: 3600}}
  - {name: work, match: {route: "/hard/*"}, key: [account], limit: {kind: gcra, limit: 1, period_s: 3600}, over: {action: challenge}}
challenge: {cost: 20, prefix: "0"}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("nginx")
    with gated_site(folder, POLICY) as (url, _):
        yield url


def test_a_limit_holds_behind_nginx_and_the_client_is_told(site: str) -> None:
    with httpx.Client(base_url=site, headers={"x-account": "ann"}) as client:
        found = [client.get("/p/1?q=2") for _ in range(5)]
    assert [one.status_code for one in found] == [200, 200, 200, 429, 429]
    assert found[0].text == "hello /p/1"
    assert found[0].headers["ratelimit"].startswith('"account";r=2;t=')
    assert found[3].headers["content-type"] == "application/problem+json"
    assert found[3].json()["status"] == 429
    assert 1000 < int(found[3].headers["retry-after"]) < 1400, "a third of an hour"


def test_bodies_go_to_the_application_and_never_to_the_gate(site: str) -> None:
    found = [
        httpx.post(f"{site}/w/1", content=b"x" * 100_000, headers={"x-account": f"u{n}"})
        for n in range(2)
    ]
    assert [one.status_code for one in found] == [200, 429], (
        "by the client's address, which is the same"
    )


def test_a_client_names_no_other_address(site: str) -> None:
    forged = {
        "x-forwarded-for": "203.0.113.9",
        "x-original-method": "GET",
        "x-original-uri": "/free",
        "x-account": "zoe",
    }
    assert httpx.post(f"{site}/w/1", headers=forged).status_code == 429


def test_a_challenge_is_shown_solved_and_passed_behind_nginx(site: str) -> None:
    with httpx.Client(base_url=site, headers={"x-account": "sue"}) as client:
        first, asked = client.get("/hard/1"), client.get("/hard/1")
        page = client.post("/hard/1", headers={"accept": "text/html"}, content=b"x" * 1000)
        found = Challenge.from_dict(asked.json()["challenge"])
        solution = solve_challenge(found)
        assert solution is not None
        body = {"payload": Payload(found, solution).to_base64()}
        solved = client.post(asked.json()["solve"], json=body)
        passed = client.get("/hard/1", headers={"x-gate-clearance": solved.json()["clearance"]})
    assert [one.status_code for one in (first, asked, page, solved, passed)] == [
        200,
        403,
        403,
        200,
        200,
    ]
    assert asked.headers["ratelimit"].startswith('"account"')
    assert "content-security-policy" in page.headers
    assert 'data-method="POST"' in page.text
    assert re.search(r"Reference: <code>[0-9a-f]{28}</code>", page.text)
    assert "__Host-gate=" in solved.headers["set-cookie"]
