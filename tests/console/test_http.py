"""The console over HTTP, on the real application with an hour of real traffic."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from ringwork.app.compose import consent_api, reports_api
from ringwork.app.console import consent_sources
from ringwork.app.verify import VERIFICATION
from ringwork.console.commands import Commands
from ringwork.console.consent_data import ConsentData
from ringwork.console.data import ConsoleData
from ringwork.console.facts import Promise, Verification
from ringwork.console.http import routes
from ringwork.console.live import Live
from ringwork.console.sources import Sources, StoreFacts
from ringwork.kernel.ids import format_id
from ringwork.storage.sqlite.indexes import RequestIndex, TransferIndex
from ringwork.web.app import create_litestar
from ringwork.web.auth import Authentication
from ringwork.web.keys import Role
from tests.console.fair import data_of
from tests.console.town import ROUNDS, Town

MONEY = re.compile(r"[0-9,]+\.[0-9]{3}\u202f[0-9]{3}\u202f[0-9]{3}")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Town(tmp_path_factory.mktemp("town") / "data").serving() as running:
        yield running


@pytest.fixture
def visitor(town: Town) -> Iterator[httpx.Client]:
    cookies = {"rw_session": town.cookie()}
    with httpx.Client(base_url=town.url, cookies=cookies, timeout=30) as client:
        yield client


def addresses(town: Town) -> list[str]:
    """Every page, with an example of each kind."""
    sold = format_id(town.request_ids[-2])
    return [
        "/console/",
        "/console/requests",
        "/console/requests?campaign=tram",
        f"/console/requests/{sold}",
        f"/console/requests/{format_id(town.request_ids[-1])}",
        "/console/campaigns",
        "/console/campaigns/hp-autumn-26",
        "/console/campaigns/loans",
        "/console/campaigns/garden",
        "/console/ledger",
        "/console/ledger/accounts?id=campaign%2Ftram",
        f"/console/ledger/transfers?id={hold_of(town)}",
        "/console/health",
        "/console/find?q=a",
        "/console/nothing-here",
    ]


def hold_of(town: Town) -> str:
    """A reservation that was posted."""
    entries = town.platform.memory.ledger.entries
    return next(id for id, entry in entries.items() if entry.state == "posted")


def test_every_page_answers_in_html_and_in_json(town: Town, visitor: httpx.Client) -> None:
    for address in addresses(town):
        page = visitor.get(address)
        assert page.status_code == (404 if "nothing" in address else 200), address
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert len(page.content) <= 200_000
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"
        if page.status_code != 200:
            continue
        data = visitor.get(address, headers={"accept": "application/json"}).json()
        shown = re.sub(r"<[^>]+>", "", re.findall(r'class="answer">(.*?)</p>', page.text, re.S)[0])
        assert data["answer"] == shown.replace("&lt;", "<").replace("&gt;", ">")
        joined = "&" if "?" in address else "?"
        assert visitor.get(f"{address}{joined}format=json").json()["page"] == data["page"]


def test_the_figures_are_those_of_the_ledger(town: Town, visitor: httpx.Client) -> None:
    totals = visitor.get("/console/?format=json").json()["data"]["totals"]
    ledger = town.platform.memory.ledger
    earned = ledger.accounts["publisher/casa"].credits_posted
    assert totals["earned_nanos"] == earned
    assert totals["requests"] == ROUNDS + 1
    accounts = visitor.get("/console/ledger?format=json").json()["data"]["accounts"]
    (casa,) = [each for each in accounts if each["id"] == "publisher/casa"]
    written = casa["credits_posted"].replace("\u202f", "").replace(",", "").replace(".", "")
    assert int(written) == earned


def test_every_trace_recomputes_its_price(town: Town, visitor: httpx.Client) -> None:
    for request_id in town.request_ids[:: ROUNDS // 12]:
        data = visitor.get(f"/console/requests/{format_id(request_id)}?format=json").json()["data"]
        for slot in data["slots"]:
            assert not slot["sold"] or slot["price"]["price_nanos"] == slot["price"]["logged_nanos"]
    page = visitor.get(f"/console/requests/{format_id(town.request_ids[0])}").text
    assert "same to the nano" in page
    assert MONEY.search(page)


def test_an_impression_leads_to_its_request(town: Town, visitor: httpx.Client) -> None:
    request_id = format_id(town.request_ids[0])
    data = visitor.get(f"/console/requests/{request_id}?format=json").json()["data"]
    impression = data["slots"][0]["impression_id"]
    by_impression = visitor.get(f"/console/requests/{impression}?format=json").json()
    assert by_impression["subject"] == request_id


def test_a_transfer_is_shown_with_what_resolved_it(town: Town, visitor: httpx.Client) -> None:
    hold = hold_of(town)
    data = visitor.get(f"/console/ledger/transfers?id={hold}&format=json").json()["data"]
    (post,) = data["related"]
    assert (data["transfer"]["state"], post["kind"]) == ("posted", "post")
    back = visitor.get(f"{post['href']}&format=json").json()["data"]
    assert [each["id"] for each in back["related"]] == [hold]


def test_the_search_finds_by_id_and_by_name(town: Town, visitor: httpx.Client) -> None:
    request_id = format_id(town.request_ids[0])
    found = {
        request_id: f"/console/requests/{request_id}",
        "exteriors": "/console/campaigns/hp-autumn-26",
        "publisher/casa": "/console/ledger/accounts?id=publisher%2Fcasa",
        hold_of(town): f"/console/ledger/transfers?id={hold_of(town)}",
    }
    for wanted, address in found.items():
        answer = visitor.get("/console/find", params={"q": wanted})
        hits = visitor.get("/console/find", params={"q": wanted, "format": "json"}).json()["data"]
        assert address in [hit["href"] for hit in hits["hits"]]
        assert answer.headers.get("location", address) in [hit["href"] for hit in hits["hits"]]
    assert "Nothing fits" in visitor.get("/console/find?q=no+such+thing").text


def test_requests_are_filtered_and_paged(town: Town, visitor: httpx.Client) -> None:
    def rows(**asked: str) -> list[dict[str, object]]:
        data = visitor.get("/console/requests", params={**asked, "format": "json"}).json()["data"]
        found: list[dict[str, object]] = data["rows"]
        return found

    assert {row["won"] for row in rows(campaign="tram")} == {"Tram pass, yearly"}
    assert {row["outcome"] for row in rows(outcome="unsold")} == {"not sold"}
    assert rows(id="not-an-id") == []
    seen, address = [], "/console/requests"
    while address:
        data = visitor.get(address, headers={"accept": "application/json"}).json()["data"]
        seen += [row["request_id"] for row in data["rows"]]
        address = data["older_href"]
    assert seen == [format_id(id) for id in town.request_ids[::-1]]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/console/requests/not-an-id", 404),
        ("/console/requests/0197515c-8a40-7001-8000-000000000009", 404),
        ("/console/campaigns/none", 404),
        ("/console/ledger/accounts", 404),
        ("/console/ledger/transfers?id=none", 404),
        ("/console/requests?before=-1", 422),
        ("/console/requests?before=99999999999999999999", 422),
        ("/console/requests?outcome=lost", 422),
        ("/console/requests?id=" + "x" * 256, 422),
        ("/console/campaigns?page=0", 422),
        ("/console/live/campaign?id=none", 404),
        ("/console/static/../console.css", 404),
        ("/console/static/vendor/README.md", 404),
    ],
)
def test_bad_addresses_are_told_as_pages_and_as_problems(
    visitor: httpx.Client, address: str, status: int
) -> None:
    page = visitor.get(address)
    assert page.status_code == status
    assert "What to do" in page.text
    problem = visitor.get(address, headers={"accept": "application/json"})
    assert problem.status_code == status
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["status"] == status


def test_a_bug_is_told_without_detail_and_logged(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that fails in an unforeseen way: the frame of the page must not ask it again."""

    def broken() -> Verification | None:
        raise RuntimeError("the secret of the store")

    sources = Sources(
        clock=town.clock, journal=town.platform.journal, catalogue=town.platform.memory.catalogue,
        ledger=town.platform.memory.ledger, budgets=town.platform.memory.budgets, state=town.platform.state.reader,
        projections=town.platform.projections, request_events=RequestIndex(),
        transfers=TransferIndex(), currency="EUR", queue_events_max=1,
        store=lambda: StoreFacts(files={}, disk_free=0, disk_total=0), verification=broken,
    )  # fmt: skip
    reports = reports_api(town.platform)
    commands = Commands(
        reports.ads, sign_in=town.platform.sign_in, clock=town.clock, new_key=lambda: "k"
    )
    own = routes(
        data=ConsoleData(sources), commands=commands, reports=reports, sign_in=town.platform.sign_in,
        live_values=Live(is_closing=lambda: True), session_s=60,
        consent=ConsentData(consent_sources(town.platform, consent_api(town.platform))),
        fairness=data_of(None),
    )  # fmt: skip
    app = Authentication(
        create_litestar(own),  # type: ignore[arg-type]  # ASGI, which each side types for itself
        keys=town.platform.memory.api_keys,
        sign_in=town.platform.sign_in,
        tenant="main",
        hosts=frozenset(),
        new_request_id=town.platform.ids.new,
    )

    async def ask() -> tuple[httpx.Response, httpx.Response]:
        cookies = {"rw_session": town.cookie()}
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # the same
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", cookies=cookies
        ) as person:
            page = await person.get("/console/health")
            return page, await person.get("/console/health?format=json")

    page, problem = asyncio.run(ask())
    assert (page.status_code, problem.status_code) == (500, 500)
    assert problem.json()["type"] == "urn:ringwork:problem:internal"
    request_id = page.headers["x-request-id"]
    assert request_id in page.text
    assert request_id.replace("-", "") in caplog.text
    assert "the secret of the store" not in page.text + problem.text
    assert 'class="seal"' not in page.text


def test_htmx_gets_the_fragment(visitor: httpx.Client) -> None:
    fragment = visitor.get("/console/campaigns", headers={"hx-request": "true"}).text.strip()
    assert fragment.startswith("<main")
    assert fragment.endswith("</main>")


def test_assets_are_kept_by_their_hash(visitor: httpx.Client) -> None:
    page = visitor.get("/console/").text
    for address in re.findall(r'(?:src|href)="(/console/static/[^"]+)"', page):
        first = visitor.get(address)
        assert first.status_code == 200
        assert "immutable" in first.headers["cache-control"]
        again = visitor.get(address, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert visitor.get("/console/static/console.css?v=old").headers["cache-control"] == "no-cache"


# ---- who may see what ---------------------------------------------------------------------------


def test_a_stranger_is_led_to_the_door(town: Town) -> None:
    with httpx.Client(base_url=town.url) as stranger:
        answer = stranger.get("/console/")
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
        assert "ringwork keys link" in stranger.get("/console/sign-in").text
        problem = stranger.get("/console/", headers={"accept": "application/json"})
        assert problem.status_code == 401
        assert stranger.get("/console/live/overview").status_code == 303


def test_a_link_signs_in_once_and_a_form_signs_out(town: Town) -> None:
    with httpx.Client(base_url=town.url) as person:
        link = town.sign_in_link()
        door = person.get(link)
        assert door.status_code == 200  # looking at the link does not use it up
        token = link.partition("token=")[2]
        entered = person.post("/console/sign-in", data={"token": token})
        assert (entered.status_code, entered.headers["location"]) == (303, "/console/")
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        page = person.get("/console/")
        assert page.status_code == 200
        again = httpx.post(f"{town.url}/console/sign-in", data={"token": token})
        assert "used or is too old" in again.text

        origin = {"origin": town.url}
        csrf = re.findall(r'name="csrf" value="([0-9a-f]+)"', page.text)[0]
        forged = person.post("/console/sign-out", data={"csrf": "0" * 64}, headers=origin)
        assert forged.status_code == 403
        foreign = person.post(
            "/console/sign-out", data={"csrf": csrf}, headers={"origin": "http://evil.example"}
        )
        assert foreign.status_code == 403
        left = person.post("/console/sign-out", data={"csrf": csrf}, headers=origin)
        assert left.status_code == 303
        assert person.get("/console/").headers["location"] == "/console/sign-in"


def test_the_scheme_is_a_plain_form(town: Town, visitor: httpx.Client) -> None:
    csrf = re.findall(r'name="csrf" value="([0-9a-f]+)"', visitor.get("/console/").text)[0]
    form = {"csrf": csrf, "scheme": "dark", "next": "/console/health?live=off"}
    chosen = visitor.post("/console/scheme", data=form, headers={"origin": town.url})
    assert chosen.headers["location"] == "/console/health?live=off"
    assert '<html lang="en" data-scheme="dark">' in visitor.get("/console/").text
    for elsewhere in ("https://evil.example/", "//evil.example", "/console//evil.example", ""):
        form = {"csrf": csrf, "scheme": "", "next": elsewhere}
        answer = visitor.post("/console/scheme", data=form, headers={"origin": town.url})
        assert answer.headers["location"] == "/console/"
    assert "data-scheme" not in visitor.get("/console/").text
    form = {"csrf": csrf, "scheme": "pink", "next": ""}
    refused = visitor.post("/console/scheme", data=form, headers={"origin": town.url})
    assert refused.status_code == 422


@pytest.mark.parametrize(
    ("role", "seen", "refused"),
    [
        ("viewer", ["/console/", "/console/campaigns"], ["/console/requests", "/console/ledger"]),
        ("auditor", ["/console/requests", "/console/ledger"], []),
        ("supply", [], ["/console/", "/console/health"]),
    ],
)
def test_each_role_sees_its_pages(
    town: Town, role: Role, seen: list[str], refused: list[str]
) -> None:
    cookies = {"rw_session": town.platform.sign_in.make_session(role)}
    with httpx.Client(base_url=town.url, cookies=cookies) as person:
        for address in seen:
            page = person.get(address)
            assert page.status_code == 200
            for other in refused:
                assert f'href="{other}"' not in page.text
        for address in refused:
            assert person.get(address).status_code == 403


# ---- live ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "key"),
    [("overview", "earned"), ("health", "disk"), ("campaign?id=hp-autumn-26", "answer-spent")],
)
def test_a_stream_replaces_the_texts_of_its_page(
    visitor: httpx.Client, stream: str, key: str
) -> None:
    with visitor.stream("GET", f"/console/live/{stream}") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        first = next(line for line in answer.iter_lines() if line.startswith("data: "))
    told = json.loads(first.removeprefix("data: "))
    assert key in told["texts"]
    assert told["texts"]["now"] == "16:20:04 UTC"


# ---- promises -----------------------------------------------------------------------------------


def test_the_last_verification_is_shown(town: Town, visitor: httpx.Client) -> None:
    assert "not checked yet" in visitor.get("/console/").text
    stored = Path(town.platform.settings.data) / VERIFICATION
    found = Verification(
        ts_us=town.clock.wall_us(), took_s=0.5, promises=(Promise("I4", "It balances", 7, 0),)
    )
    stored.write_bytes(msgspec.json.encode(found))
    try:
        page = visitor.get("/console/").text
        assert "1 of 1 hold" in page
        assert "Verified 16:20 UTC" in page
    finally:
        stored.unlink()


def test_a_paced_campaign_shows_its_plan_from_the_log(town: Town, visitor: httpx.Client) -> None:
    """An hour of a request every thirty seconds: four notes, and bids that never win."""
    page = visitor.get("/console/campaigns/garden?format=json").json()["data"]["pacing"]
    assert page["verdict"]["standing"] == "cannot spend it"
    assert 4 <= len(page["rows"]) <= 5
    assert {row["spent"] for row in page["rows"]} == {"0.00"}
    html = visitor.get("/console/campaigns/garden").text
    assert "demand allows €\u00a00.00 of €\u00a02.00" in html
    assert "<title>Cannot spend it:" in html
    off = visitor.get("/console/?format=json").json()["data"]
    assert [row["id"] for row in off["off_plan"]] == ["garden"]
    assert off["planned"] == 1
