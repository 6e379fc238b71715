"""The tag in a real page of a real publisher: shows the creative, reports it once, follows a click."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from ringwork.app.call import call
from ringwork.app.settings import Settings
from tests.crash.server import Server, free_port

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
PAGE = """<!doctype html><html lang="en"><title>Article</title><h1>A wall in an afternoon</h1>
<div data-ringwork-placement="{placement}"></div><script src="{url}/ringwork.js"></script></html>"""


class Publisher:
    """A data directory with one banner to sell, and the publisher's own web server."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.pages = folder / "pages"
        self.pages.mkdir()
        self.server = Server(folder / "data")
        self._settings = Settings(data=str(folder / "data"))
        self.token = self._post("/v1/keys", {"role": "admin"})["token"]
        self._post("/v1/ledger/accounts", {"id": "cash", "currency": "EUR"})
        self._post(
            "/v1/publishers",
            {"id": "casa", "name": "Casa", "domain": "casa.example", "origins": [self.origin]},
        )
        self._post(
            "/v1/placements",
            {"id": "foot", "publisher_id": "casa", "format": "banner", "width": 300, "height": 250},
        )
        self._post(
            "/v1/placements",
            {"id": "wide", "publisher_id": "casa", "format": "banner", "width": 970, "height": 250},
        )
        self._post(
            "/v1/advertisers",
            {"id": "paint", "name": "Paint", "domain": "paint.example", "currency": "EUR"},
        )
        money = {"currency": "EUR", "units": 5, "nanos": 0}
        self._post(
            "/v1/ledger/transfers",
            {
                "id": "in",
                "kind": "single",
                "debit_account": "cash",
                "credit_account": "advertiser/paint",
                "amount": money,
            },
        )
        self._post(
            "/v1/campaigns",
            {
                "id": "autumn",
                "advertiser_id": "paint",
                "name": "Autumn",
                "special_ad_categories": [],
                "pricing": "cpm",
                "bid_nanos": 2_000_000,
                "budget": money,
            },
        )
        script = '<b id="creative">Paint</b><script>document.body.dataset.ran = "yes"; parent.document.title = "taken"</script>'
        self._post(
            "/v1/creatives",
            {
                "id": "autumn.1",
                "campaign_id": "autumn",
                "name": "One",
                "format": "banner",
                "width": 300,
                "height": 250,
                "landing_url": f"{self.origin}/landing.html",
                "html": script,
            },
        )
        for name in ("foot", "wide"):
            page = PAGE.format(placement=name, url=self.server.url)
            (self.pages / f"{name}.html").write_text(page)
        (self.pages / "landing.html").write_text("<!doctype html><title>Landing</title>Thanks")

    def _post(self, path: str, body: dict[str, object]) -> dict[str, str]:
        headers = {"idempotency-key": f"{path}{body.get('id')}"}
        reply = call(self._settings, "POST", path, body, headers=headers)
        assert reply.status == 201, reply.body
        return reply.json

    @contextmanager
    def open(self) -> Iterator[None]:
        handler = partial(Quiet, directory=str(self.pages))
        web = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        threading.Thread(target=web.serve_forever, daemon=True).start()
        self.server.start()
        try:
            yield
        finally:
            assert self.server.terminate() == 0
            web.shutdown()
            web.server_close()

    def events(self, kind: str) -> list[dict[str, object]]:
        headers = {"authorization": f"Bearer {self.token}"}
        answer = httpx.get(f"{self.server.url}/v1/log/events?type={kind}", headers=headers)
        return answer.json()["events"]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    publisher = Publisher(tmp_path_factory.mktemp("publisher"))
    with publisher.open():
        yield publisher


@pytest.fixture
def page(chromium: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser.new_page()
        browser.close()


def test_shows_the_creative_reports_it_once_and_follows_a_click(publisher: Publisher, page: Page):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_response(lambda answer: "/b/" in answer.url) as beacon:
        page.goto(f"{publisher.origin}/foot.html")
    assert beacon.value.status == 204
    place = page.locator("[data-ringwork-placement]")
    expect(place).to_have_attribute("data-ringwork-state", "shown")
    frame = page.locator("iframe[title='Ad by paint.example']")
    expect(frame).to_have_attribute("sandbox", "allow-popups allow-popups-to-escape-sandbox")
    expect(page).to_have_title("Article")
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length") == 0
    origins = {httpx.URL(url).host for url in asked if url.startswith("http")}
    assert origins == {"127.0.0.1"}

    with page.context.expect_page() as opened:
        page.frame_locator("iframe").first.get_by_role("link").click(force=True)
    opened.value.wait_for_load_state()
    assert opened.value.title() == "Landing"
    assert "rwclid=" in opened.value.url

    (billed,) = publisher.events("impression_billed")
    (clicked,) = publisher.events("click_recorded")
    assert billed["payload"]["ad_id"] == "autumn.1"
    assert clicked["payload"]["impression_id"] == billed["payload"]["impression_id"]
    assert billed["request_id"] == clicked["request_id"]


def test_a_place_without_an_ad_stays_empty(publisher: Publisher, page: Page):
    page.goto(f"{publisher.origin}/wide.html")
    place = page.locator("[data-ringwork-placement]")
    expect(place).to_have_attribute("data-ringwork-state", "empty")
    expect(place).to_be_empty()


def test_other_origins_are_refused(publisher: Publisher):
    answer = httpx.post(
        f"{publisher.server.url}/v1/ads/request",
        json={"placement": "foot"},
        headers={"origin": "https://elsewhere.example"},
    )
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
