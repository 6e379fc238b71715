"""The HTML: one heading, plots with their finding, nothing from outside, nothing unescaped."""

import gzip
import hashlib
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from msgspec.structs import replace

from ringwork.console.pages import NAVIGATION
from ringwork.console.render import Frame, static_files, with_query
from ringwork.console.views.campaign import campaign
from ringwork.console.views.campaigns import campaigns
from tests.console import day as d
from tests.console.pages import ASSETS, PAGES, RENDERER, SHELL, html_of

VOID = {"meta", "link", "input", "br", "img", "hr"}


class Reader(HTMLParser):
    """Checks nesting and collects what the tests ask about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def attributes(self, name: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(name)) is not None]


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_well_formed_and_of_bounded_size(name: str) -> None:
    text = html_of(name)
    read = Reader(text)
    tags = [tag for tag, _ in read.tags]
    assert tags.count("h1") == 1
    assert tags.count("main") == 1
    assert len(text.encode()) <= 200_000
    ids = read.attributes("id")
    assert len(ids) == len(set(ids))
    for labelled in read.attributes("aria-labelledby"):
        assert labelled in ids


@pytest.mark.parametrize("name", PAGES)
def test_no_page_needs_inline_script_or_another_origin(name: str) -> None:
    read = Reader(html_of(name))
    for tag, attrs in read.tags:
        assert tag != "style"
        assert not any(attribute.startswith("on") for attribute in attrs)
        if tag == "script":
            assert attrs["src"] in ASSETS.values()
    for address in (*read.attributes("href"), *read.attributes("src"), *read.attributes("action")):
        assert address.startswith(("/console/", "#")), address


@pytest.mark.parametrize("name", PAGES)
def test_plots_are_images_with_a_finding(name: str) -> None:
    for drawn in re.findall(r'<svg[^>]*role="img"[^>]*>(.{0,60})', html_of(name)):
        assert re.match(r"<title>[^<]{3,}", drawn), drawn


@pytest.mark.parametrize("name", PAGES)
def test_the_fragment_is_the_main_part_of_the_page(name: str) -> None:
    fragment = html_of(name, fragment=True).strip()
    assert fragment.startswith("<main")
    assert fragment.endswith("</main>")
    assert fragment in html_of(name)


def test_names_cannot_become_markup() -> None:
    evil = '<script>alert("1")</script>'
    facts = replace(d.PAINTS, campaign=replace(d.PAINTS.campaign, name=evil), advertiser=evil)
    frame = Frame(shell=SHELL, path="/console/", assets=ASSETS)
    for page in (
        campaign(replace(d.CAMPAIGN, facts=facts)),
        campaigns(replace(d.CAMPAIGN_LIST, campaigns=[facts])),
    ):
        text = RENDERER.html(page, frame)
        assert evil not in text
        assert "&lt;script&gt;" in text


def test_the_navigation_marks_the_current_page_and_counts_what_waits() -> None:
    for name, current in (("overview", "/console/"), ("trace", "/console/requests")):
        read = Reader(html_of(name))
        marked = [attrs["href"] for _, attrs in read.tags if attrs.get("aria-current") == "page"]
        assert marked == [current]
    assert '<span class="count">2<span class="vh"> open</span></span>' in html_of("overview")


def test_the_navigation_lists_only_pages_that_exist() -> None:
    assert [group for group, _ in NAVIGATION] == ["Now", "Earn", "Constrain", "Prove"]
    rendered = {name.partition("-")[0] for name in PAGES}
    assert {item.name for _, items in NAVIGATION for item in items} <= rendered


def test_a_chosen_scheme_is_written_on_the_page() -> None:
    frame = Frame(shell=SHELL, path="/console/", scheme="dark", assets=ASSETS)
    text = RENDERER.html(PAGES["overview"](), frame)
    assert '<html lang="en" data-scheme="dark">' in text
    assert '<button name="scheme" value="dark" aria-pressed="true">' in text


def test_queries_are_set_and_removed() -> None:
    assert with_query("/console/?live=off&page=2", live="") == "/console/?page=2"
    assert with_query("/console/", live="off") == "/console/?live=off"
    assert with_query("/console/requests?id=a+b", format="json") == (
        "/console/requests?id=a+b&format=json"
    )


def test_scripts_stay_under_40_kilobytes() -> None:
    scripts = [content for name, content in static_files().items() if name.endswith(".js")]
    assert sum(len(gzip.compress(content)) for content in scripts) <= 40_000


def test_vendored_files_are_what_their_readme_says() -> None:
    vendor = files("ringwork.console") / "static" / "vendor"
    listed = dict(
        re.findall(
            r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", (vendor / "README.md").read_text(), re.M
        )
    )
    present = {file.name for file in vendor.iterdir()} - {"README.md"}
    assert set(listed) == present
    for name, digest in listed.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest
