"""The choice page in Chromium: equal options, in every locale, width and scheme, and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from ringwork.consent.choice.render import Renderer, static_files
from ringwork.consent.choice.service import NotAsked, Question, Standpoint
from ringwork.consent.choice.texts import LOCALES, OPTIONS, Offer, load, notice
from ringwork.consent.choice.visits import Property, Ticket, Visit
from ringwork.consent.model import NEVER_US
from ringwork.kernel.errors import Conflict
from tests.consent.choice.house import FLAGS, PERSON, House

WIDTHS = (1280, 720, 320)
ORIGIN = "http://choice.test"
CASA = Property("casa", "Casa", ("https://casa.example",))
POLICY = "default-src 'none'; style-src 'self'; style-src-attr 'unsafe-inline'; script-src 'self'"
UNDECIDED = Standpoint("undecided", True, 0, None)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    built = House(tmp_path_factory.mktemp("house") / "h")
    with built.open():
        yield built


@pytest.fixture(scope="module")
def browser(chromium: str, house: House) -> Iterator[Browser]:
    # After the house: while Playwright runs, no other loop can be run in this thread.
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


def question(code: str, surface: str = "choice-page", offered=OPTIONS, ink="", paper="") -> str:
    locale = load()[code]
    offer = Offer(
        plan="p", currency="EUR", price_nanos=5_990_000_000, extra_account_nanos=4_000_000_000
    )
    visit = Visit(publisher="casa", person=PERSON, ink=ink, paper=paper)
    seen = notice(locale.texts, CASA.name, offered, offer)
    ticket = Ticket(
        visit=visit, surface=surface, asked=True, offered=offered, order=offered,
        notice=seen.sha256, version="", locale=code, issued_us=0,
    )  # fmt: skip
    asked = Question(
        visit=visit, publisher=CASA, surface=surface, locale=locale, notice=seen, order=offered,
        current="personalised" if "mine" in surface else "undecided", ticket=ticket,
        granted=("advertise", "measure") if "mine" in surface else (),
        is_minor="personalised" not in offered,
    )  # fmt: skip
    return Renderer().question(asked, ticket="t", again="/", stands=UNDECIDED, saved=True)


def pages() -> dict[str, str]:
    """Every page in every state that differs in more than words."""
    found = {code: question(code) for code in LOCALES}
    found |= {f"{code}-mine": question(code, "choice-mine") for code in LOCALES}
    found["two"] = question("de", offered=("personalised", "less"))
    found["minor"] = question("fr", offered=("subscribe", "less"))
    found["themed"] = question("pt", ink="7a0026", paper="fff4f0")
    visit = Visit(publisher="casa", person=PERSON, return_to="https://casa.example/")
    for until_us in (1_900_000_000_000_000, NEVER_US):
        left = NotAsked(
            visit=visit, publisher=CASA, locale=load()["de"], current="less", until_us=until_us
        )
        found[f"not-asked-{until_us}"] = Renderer().not_asked(
            left, again="/", embedded=False, stands=UNDECIDED
        )
    refused = Conflict("objected", "the person objected: never ask again")
    found["refused"] = Renderer().refused(refused, load()["pt"], again="/choice/mine")
    return found


PAGES = pages()


def serve(route: Route) -> None:
    name = route.request.url.removeprefix(f"{ORIGIN}/")
    if name == "choice/page.css":
        route.fulfill(body=static_files()["page.css"], content_type="text/css")
    elif name in PAGES:
        headers = {"content-security-policy": POLICY}
        route.fulfill(body=PAGES[name], content_type="text/html; charset=utf-8", headers=headers)
    else:
        route.fulfill(status=404)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits(browser: Browser, scheme: str):
    axe = Axe()
    context = browser.new_context(color_scheme=scheme)
    context.route("**/*", serve)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    for name in PAGES:
        page.goto(f"{ORIGIN}/{name}")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (name, width)
        violations = axe.run(page).response["violations"]
        told = [(each["id"], each["nodes"][0]["html"]) for each in violations]
        assert told == [], (name, scheme)
    assert [one for one in complaints if "404" not in one] == []
    context.close()


def test_options_are_equal_in_size_and_look(browser: Browser):
    context = browser.new_context()
    context.route("**/*", serve)
    page = context.new_page()
    for name in (*LOCALES, "two", "themed", "en-mine"):
        page.goto(f"{ORIGIN}/{name}")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            boxes = page.evaluate(
                """() => [...document.querySelectorAll(".options li")].map((option) => {
                  const button = option.querySelector("button");
                  const style = getComputedStyle(button);
                  const size = (e) => {
                    const box = e.getBoundingClientRect();
                    return [Math.round(box.width), Math.round(box.height)];
                  };
                  return JSON.stringify([size(option), size(button), style.color,
                    style.backgroundColor, style.borderColor, style.font]);
                })"""
            )
            assert len(set(boxes)) == 1, (name, width, boxes)
            tops = page.evaluate(
                """[...document.querySelectorAll(".options li")]
                   .map((e) => Math.round(e.getBoundingClientRect().top))"""
            )
            if width > 720:
                assert len(set(tops)) == 1, "side by side"
    context.close()


def test_only_subscribing_leaves_the_frame_for_the_publishers_checkout():
    targets = [line for line in question("en", "choice-embed").splitlines() if "_top" in line]
    assert len(targets) == 1
    assert 'value="subscribe" formtarget="_top"' in targets[0]
    assert "_top" not in question("en")


def address(house: House, page: str = "", **members: str) -> str:
    asked = {"publisher": "casa", "person": PERSON, **members}
    query = "&".join(f"{name}={quote(value)}" for name, value in asked.items())
    return f"{house.server.url}/choice{page and '/' + page}?{query}"


def chosen(page: Page) -> str:
    return page.locator(".now").inner_text()


def test_without_script_one_refuses_changes_and_withdraws(browser: Browser, house: House):
    context = browser.new_context(java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    back = house.write("plain.html")
    page.goto(address(house, person="r." + "n" * 22, return_to=back))
    page.get_by_role("button", name="Use less personalised ads").click()
    assert page.url == f"{back}?ringwork_choice=less"
    page.goto(address(house, "mine", person="r." + "n" * 22, return_to=back))
    assert chosen(page) == "You see less personalised ads."
    page.get_by_role("button", name="Allow personalised ads").click()
    assert page.get_by_role("status").inner_text() == "Saved. It holds from now on."
    assert chosen(page) == "You see personalised ads."
    expect(page.get_by_text("personalised ads, measuring ads: allowed")).to_be_visible()
    page.get_by_role("button", name="Use less personalised ads").click()
    assert chosen(page) == "You see less personalised ads."
    page.get_by_role("link", name="Back to Casa").click()
    assert page.url == back
    assert context.cookies() == []
    context.close()


def test_by_keyboard_every_option_is_as_near(browser: Browser, house: House):
    context = browser.new_context(locale="de-DE")
    page = context.new_page()
    page.goto(address(house, person="r." + "k" * 22))
    assert page.evaluate("document.activeElement === document.body")  # nothing is preselected
    seen = []
    for _ in range(2):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "[document.activeElement.innerText, getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert outline == "solid"
        seen.append(name)
    assert seen == [one.inner_text() for one in page.locator(".options button").all()]
    page.keyboard.press("Enter")
    page.wait_for_url("**/choice/mine?**")
    assert page.get_by_role("status").inner_text() == "Gespeichert. Es gilt ab jetzt."
    context.close()


def test_the_browsers_language_or_the_publishers_is_spoken(browser: Browser, house: House):
    context = browser.new_context(locale="fr-FR")
    page = context.new_page()
    page.goto(address(house, "mine"))
    assert page.locator("html").get_attribute("lang") == "fr"
    page.goto(address(house, "mine", locale="pt-PT"))
    assert page.locator("html").get_attribute("lang") == "pt"
    assert page.title() == "A sua escolha de publicidade"
    context.close()
