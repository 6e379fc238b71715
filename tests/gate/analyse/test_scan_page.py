"""The page of a scan in a real browser: readable by everybody, at every width, loading nothing."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

from ringwork.gate.analyse.report import to_html
from ringwork.gate.analyse.scan import scan

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        yield running
        running.close()


def line(target: str, status: int, address: str, agent: str, hour: int) -> bytes:
    at = f"10/Oct/2025:{hour:02}:00:00 +0000"
    return f'{address} - - [{at}] "GET {target} HTTP/1.1" {status} 5 "-" "{agent}"\n'.encode()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    long = "/" + "a" * 300
    busy = [
        *[line(f"/x{one}{long}", 404, "2001:db8:1:2:3:4:5:6", "curl/8", 3) for one in range(41)],
        *[line(f"/?author={one}", 200, "192.0.2.9", "<b>", 4) for one in range(6)],
        *[line("/", 500, f"192.0.2.{one}", "Examplebot/1 (+https://bot.example)", one) for one in range(24)],
        *[line("/" + "%3Cscript" * 9 + "?q=%3Cscript", 200, "h" * 200, "\x1b", 5) for _ in range(9)],
        b"\x1b[31mnoise\n",
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    ring = [
        line(f"/p/{one}", 200, f"60.1.{(one + step) % 12}.1", "-", step).replace(
            b" - - ", b" - member%d " % one
        )
        for one in range(12) for step in range(7)
    ]  # fmt: skip
    ring += [line("/", 200, f"61.0.{one}.1", "-", 9).replace(b" - - ", b" - u%d " % one)
             for one in range(250)]  # fmt: skip
    for name, log in (("busy", busy), ("quiet", [line("/", 200, "192.0.2.9", "-", 0)]), ("no", []),
                      ("ring", ring)):  # fmt: skip
        scanner = scan(io.BytesIO(b"".join(log)), by="user" if name == "ring" else "ip")
        found[name] = folder / f"{name}.html"
        found[name].write_text(to_html(scanner.result(), scanner.totals, name=f"{name}.log"))
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible_and_fits(browser: Browser, pages, scheme) -> None:
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    for path in pages.values():
        page.goto(path.as_uri())
        for details in page.locator("details").all():
            details.evaluate("one => one.open = true")
        for width in (1280, 360, 320):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(OVERFLOW) <= 0, (path.name, width)
            violations = Axe().run(page).response["violations"]
            told = [(each["id"], each["nodes"][0]["html"]) for each in violations]
            assert told == [], (path.name, width)
    assert asked == [path.as_uri() for path in pages.values()]
    assert said == []
    context.close()


def test_what_a_log_says_is_shown_as_text(browser: Browser, pages) -> None:
    page = browser.new_page()
    page.goto(pages["busy"].as_uri())
    text = page.inner_text("main")
    assert "ip:2001:db8:1:2:3:4:5:6" in text
    assert "\\x1b[31mnoise" in text
    assert "user-enumeration 6 events" in text
    assert page.locator("main script, main b b").count() == 0
    assert page.locator("svg[role=img] > title").count() == page.locator("svg[role=img]").count()
    page.close()
