"""What the tag reports of ads in a real browser, against a server that says what the page needs.

The server stands in for the ad server's HTTP answers alone; ``test_tag.py`` has the real one. The
page's timers stand still but for the steps that a test takes, so that a second is exactly one.
Playwright keeps every page visible, so a tab in the background is told to the page by its own
``document.hidden`` and event.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from ringwork.ads.markup import self_reporting
from ringwork.app.compose import TAG

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
BEGIN_S = 1_764_158_400
PAGE = """<!doctype html><html lang="en"><title>Article</title><style>body{{margin:0}}</style>
<div style="height:{above}px"></div><div data-ringwork-placement="{placement}" {place}></div>
<div style="height:3000px"></div><script src="{url}/ringwork.js" {script}></script></html>"""
TAG_MAX_BYTES = (
    4096  # of them: what it asks the consent tag and tells of the person, the link to why
)


def an_ad(url: str, number: int, size: tuple[int, int]) -> dict[str, object]:
    click = f"{url}/c/T{number}"
    return {
        "width": size[0],
        "height": size[1],
        "markup": f'<a id="link" href="{click}">Paint {number}</a>',
        "beacons": {"impression": f"{url}/b/T{number}", "viewable": f"{url}/v/T{number}"},
        "click": click,
        "advertiser": "paint.example",
        "why": "Chosen by the auction.",
    }


class AdServer(ThreadingHTTPServer):
    """Answers of the fast lane; what was asked of it is kept in order."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.html = ""
        self.answer: dict[str, object] = {"ads": []}
        self.asked: list[dict[str, object]] = []


class Handler(BaseHTTPRequestHandler):
    server: AdServer

    def do_GET(self) -> None:
        if self.path == "/":
            self._reply(200, self.server.html.encode(), "text/html")
        elif self.path == "/ringwork.js":
            self._reply(200, TAG.read_bytes(), "text/javascript")
        else:
            self._reply(204, b"", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append({"cookie": self.headers["cookie"], **json.loads(body)})
        self._reply(200, json.dumps(self.server.answer).encode(), "application/json")

    def _reply(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class Reader:
    """A reader's browser tab, and the beacons that it has sent."""

    def __init__(self, page: Page, server: AdServer) -> None:
        self.page = page
        self.server = server
        self.beacons: list[str] = []
        page.on("request", lambda request: self._keep(request.url))
        page.clock.install(time=BEGIN_S)
        page.clock.pause_at(BEGIN_S + 1)

    def _keep(self, url: str) -> None:
        found = re.fullmatch(r".*/([bv]/T\d+)", url)
        if found:
            self.beacons.append(found[1])

    def open(self, *sizes: tuple[int, int], above: int = 0, place: str = "", script: str = ""):
        """The page, loaded and drawn once; its first ad begins ``above`` pixels down."""
        url = self.server.url
        self.server.answer.setdefault("ads", [])
        if sizes:
            self.server.answer = {"ads": [an_ad(url, n, one) for n, one in enumerate(sizes)]}
        self.server.html = PAGE.format(
            above=above, placement="foot", place=place, script=script, url=url
        )
        self.page.goto(url)
        self.page.wait_for_function(
            "document.querySelector('[data-ringwork-state]:not([data-ringwork-state=asked])')"
        )
        if sizes:
            self.page.wait_for_function(
                "window.frames.length >= document.querySelectorAll('iframe').length"
            )
            for frame in self.page.frames[1:]:
                frame.wait_for_load_state("load")
        self.passes(50)

    def passes(self, ms: int) -> None:
        """Time passes for the page, and everything that it has observed meanwhile is told to it."""
        self.page.clock.run_for(ms)
        self.page.evaluate(
            """() => new Promise((done) => new IntersectionObserver((_, observer) => {
                observer.disconnect(); done(); }).observe(document.body))"""
        )

    def scrolls_to(self, y: int) -> None:
        self.page.evaluate(f"window.scrollTo({{top: {y}, behavior: 'instant'}})")
        self.passes(0)

    def hides(self, hidden: bool) -> None:
        self.page.evaluate(
            """(hidden) => { Object.defineProperty(document, "hidden",
                { configurable: true, get: () => hidden });
                document.dispatchEvent(new Event("visibilitychange")); }""",
            hidden,
        )


@pytest.fixture
def server() -> Iterator[AdServer]:
    server = AdServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def reader(browser: Browser, server: AdServer) -> Iterator[Reader]:
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    yield Reader(page, server)
    page.close()


class Framed(Reader):
    """The same of an exchange's page: the ad is in a frame of an origin of its own."""

    height = 0

    def open_frame(self, size: tuple[int, int]) -> None:
        width, height = size
        ad = self_reporting("<b>Ad</b>", width, height, f"{self.server.url}/v/T0")
        document = escape(f"<!doctype html><style>body{{margin:0}}</style>{ad}")
        self.server.html = (
            "<!doctype html><style>body{margin:0}</style>"
            f'<iframe sandbox="allow-scripts" srcdoc="{document}" width="{width}" '
            f'height="{height}" style="border:0;display:block"></iframe><p style="height:3000px">'
        )
        self.height = height
        self.page.goto(self.server.url)
        self.page.frames[1].wait_for_load_state("load")
        self.scrolls_to(0)

    def scrolls_to(self, y: int) -> None:
        """Until the frame knows it: where it is a process of its own, that is later than its page.

        Its own observer is the older one, which is told first.
        """
        self.page.evaluate(f"window.scrollTo({{top: {y}, behavior: 'instant'}})")
        self.page.frames[1].evaluate(
            """(share) => new Promise((done) => {
                const told = (found) => {
                    if (Math.abs(found.pop().intersectionRatio - share) > 0.01) return;
                    observer.disconnect(); done(); };
                const threshold = Array.from({ length: 101 }, (_, one) => one / 100);
                const observer = new IntersectionObserver(told, { threshold });
                observer.observe(document.querySelector("div")); })""",
            max(self.height - y, 0) / self.height,
        )

    def passes(self, ms: int) -> None:
        super().passes(ms)
        self.page.frames[1].evaluate(
            "() => fetch('data:,').then(() => 0)"
        )  # what it had sent is known by now

    def reports(self, ms: int) -> None:
        """In that time it says that it was viewable."""
        with self.page.expect_request("**/v/T0"):
            self.passes(ms)
        assert self.beacons == ["v/T0"]


@pytest.fixture
def framed(browser: Browser, server: AdServer) -> Iterator[Framed]:
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    yield Framed(page, server)
    page.close()


@pytest.mark.parametrize(
    ("size", "shown_px", "is_viewable"),
    [((300, 250), 120, False), ((300, 250), 130, True), ((970, 250), 70, False), ((970, 250), 80, True)],
)  # fmt: skip
def test_a_banner_at_an_exchange_reports_itself_by_the_same_standard(
    framed: Framed, size, shown_px, is_viewable
):
    framed.open_frame(size)
    framed.scrolls_to(size[1] - shown_px)
    framed.passes(900)
    assert framed.beacons == []
    if is_viewable:
        framed.reports(200)
    else:
        framed.passes(3000)
        assert framed.beacons == []
        framed.scrolls_to(0)
        framed.reports(1100)
    framed.scrolls_to(2000)
    framed.scrolls_to(0)
    framed.passes(3000)
    assert framed.beacons == ["v/T0"]


def test_a_banner_at_an_exchange_that_is_scrolled_away_is_not_seen(framed: Framed):
    framed.open_frame((300, 250))
    framed.passes(500)
    framed.scrolls_to(2000)
    framed.passes(5000)
    assert framed.beacons == []


def test_an_ad_in_view_for_a_second_is_viewable_once(reader: Reader):
    reader.open((300, 250))
    assert reader.beacons == ["b/T0"]
    reader.passes(900)
    assert reader.beacons == ["b/T0"]
    reader.passes(200)
    assert reader.beacons == ["b/T0", "v/T0"]
    reader.scrolls_to(2000)
    reader.scrolls_to(0)
    reader.passes(3000)
    assert reader.beacons == ["b/T0", "v/T0"]


def test_an_ad_scrolled_away_after_half_a_second_is_not(reader: Reader):
    reader.open((300, 250))
    reader.passes(500)
    reader.scrolls_to(2000)
    reader.passes(5000)
    assert reader.beacons == ["b/T0"]


def test_two_halves_are_no_second_on_end(reader: Reader):
    reader.open((300, 250))
    for _ in range(4):
        reader.passes(600)
        reader.scrolls_to(2000)
        reader.passes(100)
        reader.scrolls_to(0)
    assert reader.beacons == ["b/T0"]
    reader.passes(1100)
    assert reader.beacons == ["b/T0", "v/T0"]


@pytest.mark.parametrize(
    ("size", "shown_px", "is_viewable"),
    [
        ((300, 250), 124, False),
        ((300, 250), 125, True),
        ((970, 250), 74, False),  # 242,500 pixels: 30 % of them are enough
        ((970, 250), 75, True),
        ((969, 250), 124, False),
        ((969, 250), 125, True),
    ],
)
def test_half_of_an_ad_has_to_be_in_view_and_less_of_a_large_one(
    reader: Reader, size: tuple[int, int], shown_px: int, is_viewable: bool
):
    reader.open(size, above=800 - shown_px)
    reader.passes(1100)
    assert ("v/T0" in reader.beacons) is is_viewable


def test_a_tab_in_the_background_is_not_looked_at(reader: Reader):
    reader.open((300, 250))
    reader.passes(500)
    reader.hides(True)
    reader.passes(5000)
    assert reader.beacons == ["b/T0"]
    reader.hides(False)
    reader.passes(900)
    assert reader.beacons == ["b/T0"]
    reader.passes(200)
    assert reader.beacons == ["b/T0", "v/T0"]


def test_an_ad_below_the_fold_is_shown_and_not_viewable_until_it_is_scrolled_to(reader: Reader):
    reader.open((300, 250), above=1500)
    reader.passes(3000)
    assert reader.beacons == ["b/T0"]
    reader.scrolls_to(1200)
    reader.passes(1100)
    assert reader.beacons == ["b/T0", "v/T0"]


def test_every_ad_of_a_placement_is_shown_and_measured_by_itself(reader: Reader):
    reader.open((300, 250), (300, 250), (300, 250), above=500)
    assert sorted(reader.beacons) == ["b/T0", "b/T1", "b/T2"]
    reader.passes(1100)
    assert sorted(reader.beacons[3:]) == ["v/T0"]
    reader.scrolls_to(600)
    reader.passes(1100)
    assert sorted(reader.beacons[3:]) == ["v/T0", "v/T1", "v/T2"]
    assert reader.page.locator("[data-ringwork-placement] > small").count() == 3


def test_an_answer_without_a_viewable_beacon_is_shown_all_the_same(reader: Reader):
    ad = an_ad(reader.server.url, 0, (300, 250))
    ad["beacons"] = {"impression": f"{reader.server.url}/b/T0"}
    reader.server.answer = {"ads": [ad]}
    reader.open()
    reader.page.wait_for_selector("iframe")
    reader.page.frames[1].wait_for_load_state("load")
    reader.passes(2000)
    assert reader.beacons == ["b/T0"]


def test_scripts_run_only_where_the_ad_says_so_and_reach_nothing(reader: Reader):
    script = '<b id="said">none</b><script>said.textContent = origin; try { parent.document.title = "taken" } catch {}</script>'
    ads = [
        {**an_ad(reader.server.url, n, (300, 250)), "markup": script, "scripts": bool(n)}
        for n in range(2)
    ]
    reader.server.answer = {"ads": ads}
    reader.open()
    frames = reader.page.frames[1:]
    assert [one.locator("#said").inner_text() for one in frames] == ["none", "null"]
    assert reader.page.title() == "Article"


def test_a_passback_is_shown_where_nothing_was_sold(reader: Reader):
    inner = "<b id=own>Own</b><script>document.body.dataset.origin = origin</script>"
    reader.server.answer = {
        "ads": [],
        "passback": f'<div><iframe sandbox="allow-scripts" srcdoc="{inner}"></iframe></div>',
    }
    reader.open()
    place = reader.page.locator("[data-ringwork-placement]")
    assert place.get_attribute("data-ringwork-state") == "passback"
    shown = reader.page.frame_locator("iframe")
    assert shown.locator("#own").inner_text() == "Own"
    assert shown.locator("body").get_attribute("data-origin") == "null"
    assert reader.beacons == []


def test_a_page_says_key_values_of_itself_and_nothing_of_the_reader(reader: Reader):
    reader.open(place='data-ringwork-kv-section="sport, football" data-ringwork-kv-empty=""')
    (asked,) = reader.server.asked
    assert asked.pop("cookie") is None
    assert re.fullmatch(r"[A-Za-z0-9_-]{7,64}", str(asked.pop("visit")))
    assert asked == {
        "placement": "foot",
        "page": {"url": f"{reader.server.url}/"},
        "key_values": {"section": ["sport", "football"]},
    }


def test_a_visit_is_a_page_view_and_nothing_is_kept(reader: Reader):
    reader.open()
    reader.open()
    first, second = (one["visit"] for one in reader.server.asked)
    assert first != second
    assert reader.page.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]
    assert reader.page.context.cookies() == []


def test_a_page_may_ask_for_visits_of_a_session_which_end_after_90_minutes(reader: Reader):
    session = 'data-ringwork-visit="session"'
    reader.open(script=session)
    reader.page.clock.run_for(60_000)
    reader.open(script=session)
    reader.page.clock.pause_at(BEGIN_S + 1 + 91 * 60)
    reader.open(script=session)
    first, second, third = (one["visit"] for one in reader.server.asked)
    assert first == second
    assert third != first
    assert reader.page.evaluate("localStorage.length") == 0


def test_two_places_of_a_page_are_one_visit(reader: Reader):
    reader.open(place='></div><div data-ringwork-placement="head"')
    first, second = (one["visit"] for one in reader.server.asked)
    assert first == second


def test_clicks_go_through_the_pages_own_ad_server_where_it_has_one(reader: Reader):
    url = reader.server.url
    encoded = f"{url}/c/T0".replace(":", "%3A").replace("/", "%2F")
    ad = an_ad(url, 0, (300, 250))
    ad["markup"] = f"{ad['markup']}<i id=other>https://other.example/?next={encoded}</i>"
    reader.server.answer = {"ads": [ad]}
    reader.open(script='data-ringwork-click="https://own.example/click?it=\'s&to="')
    frame = reader.page.frames[1]
    through = f"https://own.example/click?it=%27s&to={encoded}"
    assert frame.locator("#link").get_attribute("href") == through
    again = through.replace("%", "%25").replace(":", "%3A").replace("/", "%2F")
    again = again.replace("?", "%3F").replace("=", "%3D").replace("&", "%26")
    assert frame.locator("#other").inner_text() == f"https://other.example/?next={again}"


def choose(reader: Reader) -> None:
    """The consent tag says that the person's choice has changed."""
    reader.page.evaluate("dispatchEvent(new Event('ringwork-choice'))")


def test_an_ad_goes_with_the_choice_that_brought_it_and_is_no_longer_measured(reader: Reader):
    reader.open((300, 250))
    reader.passes(500)  # half of the second that makes it viewable
    reader.server.answer = {"ads": [], "tier": "subscriber"}
    choose(reader)
    reader.page.wait_for_selector("[data-ringwork-tier=subscriber]", state="attached")
    assert reader.page.locator("[data-ringwork-placement]").inner_html() == ""
    reader.passes(2_000)
    assert reader.beacons == ["b/T0"]
    first, second = reader.server.asked
    assert first["visit"] != second["visit"]


def test_what_an_earlier_choice_brings_late_is_neither_shown_nor_reported(reader: Reader):
    reader.open()  # nothing is sold at first
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    reader.page.route("**/v1/ads/request", hold)
    choose(reader)
    choose(reader)
    while len(held) < 2:
        reader.page.evaluate("0")  # lets Playwright tell of requests
    late, last = held
    url = reader.server.url
    last.fulfill(json={"ads": [], "tier": "general"})
    reader.page.wait_for_selector("[data-ringwork-tier=general]", state="attached")
    with reader.page.expect_response("**/v1/ads/request"):
        late.fulfill(json={"ads": [an_ad(url, 0, (300, 250))], "tier": "consented"})
    reader.passes(2_000)
    place = reader.page.locator("[data-ringwork-placement]")
    assert place.get_attribute("data-ringwork-tier") == "general"
    assert (place.inner_html(), reader.beacons) == ("", [])


def test_the_tag_is_small():
    script = re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", TAG.read_text(), flags=re.DOTALL)
    script = re.sub(r"\s+", " ", script)
    assert len(re.sub(r" ?([{}();,=<>:?+&|]) ?", r"\1", script)) < TAG_MAX_BYTES
