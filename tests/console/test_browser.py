"""In Chromium: accessible in both schemes and three widths, without script, by keyboard, live."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from ringwork.consent.requests import NewConsent
from ringwork.console.render import static_files
from ringwork.kernel.ids import format_id
from tests.console.pages import PAGES, html_of
from tests.console.test_forms import PNG
from tests.console.town import Town

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
WIDTHS = (1280, 360, 320)
"""Every page is checked at all of them, its other states (empty, broken) at the narrowest."""
ORIGIN = "http://console.test"
TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
POLICY = "default-src 'self'; style-src-attr 'unsafe-inline'"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Town(tmp_path_factory.mktemp("town") / "data").serving() as running:
        yield running


def signed_in(browser: Browser, town: Town, **options: object) -> BrowserContext:
    context = browser.new_context(base_url=town.url, **options)  # type: ignore[arg-type]  # a few of its many options
    context.add_cookies([{"name": "rw_session", "value": town.cookie(), "url": town.url}])
    return context


def serve_pages(route: Route) -> None:
    """The hand-made pages as a server would send them; no live stream."""
    name = route.request.url.removeprefix(f"{ORIGIN}/console/").partition("?")[0]
    static = static_files()
    if name.startswith("static/"):
        file = name.removeprefix("static/")
        route.fulfill(body=static[file], content_type=TYPES[file.rpartition(".")[2]])
    elif name in PAGES:
        headers = {"content-security-policy": POLICY}
        route.fulfill(body=html_of(name), content_type="text/html; charset=utf-8", headers=headers)
    else:
        route.fulfill(status=404)


def overflow(page: Page) -> list[str]:
    """What sticks out of the window beside boxes that scroll by themselves."""
    found: list[str] = page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= width) return [];
          return [...document.querySelectorAll("body *")]
            .filter((e) => e.getBoundingClientRect().right > width + 1 && !e.closest(".scroll"))
            .map((e) => e.outerHTML.slice(0, 120)).concat("the page itself");
        }"""
    )
    return found


def touching_labels(page: Page) -> list[str]:
    """Pairs of chart labels whose boxes meet."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("svg.plot")].flatMap((plot) => {
          const texts = [...plot.querySelectorAll("text")]
            .map((t) => [t.textContent, t.getBoundingClientRect()]);
          const meet = (x, y) => x.left < y.right && y.left < x.right
            && x.top + 2 < y.bottom && y.top + 2 < x.bottom;
          return texts.flatMap(([a, x], i) => texts.slice(i + 1)
            .filter(([, y]) => meet(x, y)).map(([b]) => `${a} | ${b}`));
        })"""
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_in_every_state_is_accessible(browser: Browser, scheme: str) -> None:
    axe = Axe()
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]  # one of its literals
    context.route("**/*", serve_pages)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    for name in PAGES:
        page.goto(f"{ORIGIN}/console/{name}")
        for width in WIDTHS if "-" not in name else WIDTHS[-1:]:
            page.set_viewport_size({"width": width, "height": 900})
            assert overflow(page) == [], (name, width)
            assert touching_labels(page) == [], (name, width)
            violations = axe.run(page).response["violations"]
            told = [(each["id"], each["nodes"][0]["html"]) for each in violations]
            assert told == [], (name, width, scheme)
    blocked = [each for each in complaints if "404" not in each and "EventSource" not in each]
    assert blocked == []
    context.close()


FORMS = (
    "/console/new-campaign",
    "/console/campaigns/hp-autumn-26/edit",
    "/console/new-creative?campaign=loans&way=banner",
    "/console/new-creative?campaign=loans&way=image",
    "/console/creatives/tram-0",
    "/console/creatives/tram-0/edit",
    "/console/new-advertiser",
    "/console/new-invoice?advertiser=hp",
    "/console/new-audience",
    "/console/consent",
    f"/console/people/{'5f' * 16}",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_form_is_accessible_also_when_it_comes_back(
    browser: Browser, town: Town, scheme: str
) -> None:
    axe = Axe()
    context = signed_in(browser, town, color_scheme=scheme)
    page = context.new_page()

    def look(name: str) -> None:
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert overflow(page) == [], (name, width)
            violations = axe.run(page).response["violations"]
            told = [(each["id"], each["nodes"][0]["html"]) for each in violations]
            assert told == [], (name, width, scheme)

    for address in FORMS:
        page.goto(address)
        look(address)
    page.goto(FORMS[0])
    page.get_by_label("Bid for one").fill("a lot")
    page.get_by_role("button", name="Create as a draft").click()
    expect(page.get_by_role("alert")).to_contain_text("A price such as 0.0025 is expected")
    look("with faults")
    page.get_by_role("alert").get_by_role("link", name="Bid for one").click()
    assert page.evaluate("document.activeElement.id") == "f-bid-nanos"
    context.close()


def test_a_campaign_is_made_shown_paused_and_ended_without_script(
    browser: Browser, town: Town
) -> None:
    context = signed_in(browser, town, java_script_enabled=False)
    page = context.new_page()
    page.goto("/console/campaigns")
    page.get_by_role("link", name="New campaign").click()
    for label, typed in (
        ("Name needed", "By hand"), ("Id needed", "by-hand"), ("Advertiser", "hp"),
        ("Bid for one", "0.0001"), ("Budget, EUR", "5"),
    ):  # fmt: skip
        page.get_by_label(label, exact=False).first.fill(typed)
    page.get_by_role("button", name="Create as a draft").click()
    assert page.get_by_role("status").inner_text() == "It was created."
    page.get_by_role("link", name="Add a creative").first.click()
    page.get_by_role("link", name="Image").click()
    page.get_by_label("Name needed").fill("A picture")
    page.get_by_label("Id needed").fill("by-hand-1")
    page.get_by_label("Landing page").fill("https://hp.example/")
    picture = {"name": "a.png", "mimeType": "image/png", "buffer": PNG}
    page.get_by_label("Picture").set_input_files(picture)  # type: ignore[arg-type]  # a FilePayload
    page.get_by_role("button", name="Create and go live").click()
    frame = page.frame_locator("iframe[title='Preview of A picture']")
    expect(frame.get_by_role("heading")).to_have_text("A picture")
    page.goto("/console/campaigns/by-hand")
    for button, said in (
        ("Go live", "It is live."),
        ("Pause", "It is paused."),
        ("Resume", "It is live."),
    ):
        page.get_by_role("button", name=button).click()
        assert page.get_by_role("status").inner_text() == said
    page.get_by_text("End it").click()
    page.get_by_role("button", name="End for good").click()
    assert page.get_by_role("status").inner_text() == "It has ended, for good."
    context.close()


def test_a_person_is_looked_up_and_withdrawn_by_keyboard_without_script(
    browser: Browser, town: Town
) -> None:
    granted = NewConsent(
        person="ana", action="grant", purposes=("advertise",), notice="a" * 64, asked=False
    )
    record = town.platform.consent.consents.record
    town.do(town.decide(lambda command: record(command, granted, "k")))
    context = signed_in(browser, town, java_script_enabled=False)
    page = context.new_page()
    page.goto("/console/consent")
    page.get_by_label("Id of the person").focus()
    page.keyboard.type("ana")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/console/people/[0-9a-f]{32}$"))
    expect(page.locator("main")).to_contain_text("granted: personalised ads.")
    page.get_by_label("Id of the person").focus()
    for stop in ("purpose", "withdraw", "object", "erase"):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        assert stop in (focused.get_attribute("id"), focused.get_attribute("value"))
    page.get_by_label("Id of the person").fill("bob")
    page.get_by_role("button", name="Withdraw").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("the id of somebody else")
    page.get_by_label("Id of the person").fill("ana")
    page.get_by_role("button", name="Withdraw").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("The withdrawal is recorded")
    expect(page.locator("main")).to_contain_text("nothing is granted")
    assert "ana" not in page.url
    context.close()


def test_signing_in_shows_a_live_overview_from_this_origin_only(
    browser: Browser, town: Town
) -> None:
    context = browser.new_context(base_url=town.url)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(town.sign_in_link())
    assert Axe().run(page).response["violations"] == []
    page.get_by_role("button", name="Sign in on this browser").click()
    page.wait_for_selector(".live")
    assert page.get_by_text("live, 16:20:04 UTC").is_visible()
    assert all(each.startswith(town.url) for each in asked), asked
    context.close()


def test_live_figures_move_in_place_and_new_rows_wait(browser: Browser, town: Town) -> None:
    context = signed_in(browser, town)
    page = context.new_page()
    page.goto("/console/")
    page.wait_for_selector(".live")
    newest = page.locator("[aria-label='Latest events, table'] tbody th").first
    before = newest.inner_text()
    requests = int(page.locator("[data-live=requests]").inner_text().replace(",", ""))

    town.clock.advance_us(1_000_000)
    town.do(town.ask(shown=True))
    expect(page.locator("[data-live=requests]")).to_have_text(f"{requests + 1:,}")
    link = page.get_by_role("link", name=re.compile("newer event"))
    expect(link).to_be_visible()
    expect(newest).to_have_text(before)
    link.click()
    expect(newest).not_to_have_text(before)
    assert page.url.endswith("/console/")

    page.get_by_role("link", name="Pause").click()
    assert page.get_by_role("link", name="Resume").is_visible()
    assert page.locator(".live").count() == 0
    context.close()


def test_a_filter_swaps_the_page_and_the_address(browser: Browser, town: Town) -> None:
    context = signed_in(browser, town)
    page = context.new_page()
    page.goto("/console/requests")
    page.get_by_label("Campaign").fill("tram")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/console/requests?*campaign=tram*")
    expect(page.locator("main")).not_to_contain_text("Autumn exteriors")
    assert page.get_by_label("Campaign").input_value() == "tram"
    context.close()


def test_without_script_every_figure_is_the_same(browser: Browser, town: Town) -> None:
    """Paused, so that the two readings are of the same texts."""
    addresses = [
        "/console/?live=off",
        "/console/requests",
        f"/console/requests/{format_id(town.request_ids[0])}",
        "/console/campaigns",
        "/console/campaigns/hp-autumn-26?live=off",
        "/console/ledger",
    ]
    with_script = signed_in(browser, town)
    without = signed_in(browser, town, java_script_enabled=False)
    first, second = with_script.new_page(), without.new_page()
    for address in addresses:
        first.goto(address)
        second.goto(address)
        texts = [
            re.sub(r"\d\d:\d\d:\d\d", "", p.locator("main").inner_text()) for p in (first, second)
        ]
        assert texts[0] == texts[1]
        assert len(texts[0]) > 200
    # Navigation, search, filter and scheme are links and forms.
    second.set_viewport_size({"width": 360, "height": 800})
    second.get_by_role("button", name="Menu").click()
    second.get_by_role("link", name="Campaigns").click()
    assert second.locator("h1").inner_text().startswith("Campaigns")
    second.get_by_role("button", name="Menu").click()
    second.get_by_role("button", name="Dark").click()
    assert second.locator("html").get_attribute("data-scheme") == "dark"
    second.get_by_role("button", name="Menu").click()
    second.get_by_role("searchbox").fill("tram")
    second.keyboard.press("Enter")
    second.wait_for_url("**/campaigns/tram")
    assert second.url.endswith("/console/campaigns/tram")
    with_script.close()
    without.close()


def test_the_keyboard_goes_in_reading_order(browser: Browser, town: Town) -> None:
    context = signed_in(browser, town, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto("/console/?live=off")
    stops: list[tuple[str, float, float]] = []
    for _ in range(16):
        page.keyboard.press("Tab")
        name, x, y, outline = page.evaluate(
            """() => {
              const e = document.activeElement, box = e.getBoundingClientRect();
              return [e.innerText || e.getAttribute("aria-label") || e.id, box.x, box.y + scrollY,
                      getComputedStyle(e).outlineStyle];
            }"""
        )
        assert outline != "none", name
        stops.append((name, x, y))
    names = [name for name, _, _ in stops]
    assert names[0] == "Skip to content"
    assert [name.partition("\n")[0] for name in names[1:8]] == [
        "Ringwork", "q", "Overview", "Requests", "Health", "Campaigns", "Reviews",
    ]  # fmt: skip
    rail = [y for _, x, y in stops[1:] if x < 200]
    assert rail == sorted(rail)
    page.goto("/console/?live=off")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    context.close()


def test_targets_are_large_under_a_coarse_pointer(browser: Browser, town: Town) -> None:
    context = signed_in(
        browser, town, viewport={"width": 360, "height": 800}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto("/console/requests")
    page.get_by_role("button", name="Menu").click()
    small: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("nav a, input:not([type=hidden]), button, select")]
          .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 40)
          .map((e) => e.outerHTML.slice(0, 100))"""
    )
    assert small == []
    context.close()
