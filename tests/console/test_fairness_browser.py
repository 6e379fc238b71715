"""The pages of fairness in Chromium: by keyboard, without script, on a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect, sync_playwright

from tests.console import fair as f
from tests.console.test_browser import FLAGS, ORIGIN, WIDTHS, overflow, serve_pages, signed_in
from tests.console.test_fairness_http import AD
from tests.console.town import Town


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Town(tmp_path_factory.mktemp("town") / "data").serving() as running:
        running.do(f.told(running, f.flight_log().content))
        yield running


def test_an_ad_is_found_and_paused_by_keyboard_without_script(browser: Browser, town: Town) -> None:
    context = signed_in(browser, town, java_script_enabled=False)
    page = context.new_page()
    page.goto("/console/")
    page.get_by_role("link", name="Fairness").press("Enter")
    page.get_by_label("Order by").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/fairness?attribute=race&sort=figure")
    page.get_by_role("link", name="Sex", exact=True).press("Enter")
    expect(page.get_by_role("columnheader", name="Declared, %", exact=True)).to_be_visible()
    page.get_by_role("link", name="ad-1", exact=True).first.press("Enter")
    page.get_by_label("Reason").first.focus()
    for stop in ("pause", "resume"):
        page.keyboard.press("Tab")
        assert page.locator(":focus").get_attribute("value") == stop
    page.get_by_role("button", name="Pause: no shift").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("A reason is needed")
    page.get_by_label("Reason").first.fill("a complaint is looked into")
    page.get_by_role("button", name="Pause: no shift").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("It is paused")
    expect(page.get_by_role("region", name="Overrides, table")).to_contain_text("a complaint is")
    context.close()


def test_enter_in_a_field_of_a_shift_sets_and_never_pauses(browser: Browser, town: Town) -> None:
    context = signed_in(browser, town, java_script_enabled=False)
    page = context.new_page()
    page.goto(AD)
    page.get_by_text("Set λ by hand").press("Enter")
    page.get_by_label("λ, sex: female").fill("a lot")
    page.keyboard.press("Enter")
    expect(page.get_by_label("λ, sex: female")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("λ, sex: female").fill("0.5")
    page.get_by_label("Reason").last.fill("by order of the court")
    page.get_by_label("λ, sex: female").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("These shifts hold")
    context.close()


@pytest.mark.parametrize("name", ["fairness", "fairness-flight", "fairness-crossed"])
@pytest.mark.parametrize("face", ["", "system-ui"])
def test_coverage_is_seen_whole_on_a_usual_window(browser: Browser, name: str, face: str) -> None:
    """No scrolling sideways at 1,280 pixels, in the widest face of a bare system either."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.route("**/*", serve_pages)
    page.goto(f"{ORIGIN}/console/{name}")
    if face:
        page.evaluate(f"document.documentElement.style.setProperty('--sans', '{face}')")
    table = page.get_by_role("region", name="Coverage against the plan, table")
    assert table.evaluate("box => box.scrollWidth - box.clientWidth") == 0
    heads = table.get_by_role("columnheader").all_inner_texts()
    assert "By impressions, %" in [" ".join(one.split()) for one in heads], "no word is cut"
    rows = table.get_by_role("row").all_inner_texts()
    assert "≤ 10 %\n≥ 1,000 impressions" in rows[2], "threshold and minimum in one cell"
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_is_accessible_also_when_it_comes_back(
    browser: Browser, town: Town, scheme: str
) -> None:
    context = signed_in(browser, town, color_scheme=scheme)
    page = context.new_page()
    page.goto(AD)
    page.get_by_text("Set λ by hand").click()
    page.get_by_label("λ, sex: female").fill("a lot")
    page.get_by_role("button", name="Set these shifts").click()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert overflow(page) == []
        assert Axe().run(page).response["violations"] == []
    context.close()
