"""The demo's newspaper in a browser: three readers of one page, and a change of mind."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from ringwork.world.paper import PLACEMENT
from ringwork.world.readers import person_id
from tests.consent.choice.house import FLAGS
from tests.world.test_demo import WITHIN_S, Demo

MINE = "[data-ringwork-mine] iframe"
PLACE = f"[data-ringwork-placement='{PLACEMENT}']"
PAINTS, BICYCLES = "Ad by harbour-paints.example", "Ad by plain-bicycles.example"


class Paper:
    """The demo as a user starts it, at its newspaper's address."""

    def __init__(self, data: Path) -> None:
        # No trials of ads that are not known yet: which one is shown is not to be a lottery here.
        self.demo = Demo(data, environment={"RINGWORK_ADS__EXPLORE_PPM": "0"})
        assert self.demo.process.stderr is not None
        said = self.demo.process.stderr.readline()
        found = re.search(r"demo at (\S+), .* a newspaper at (\S+)/\n", said)
        assert found, said
        self.server, self.origin = found[1], found[2]

    def await_stands(self, reader: str, choice: str) -> None:
        """Until the platform knows it: a subscription begins when its payment is answered."""
        asked = {"publisher": "the-mercury", "person": person_id(7, reader)}
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until:
            stands = httpx.get(f"{self.server}/choice/state", params=asked).json()
            if stands["choice"] == choice:
                return
            time.sleep(0.1)
        raise AssertionError(f"the {reader} reader stands at {stands}")


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paper]:
    paper = Paper(tmp_path_factory.mktemp("paper") / "d")
    for reader, choice in (
        ("subscriber", "subscribe"),
        ("consenting", "personalised"),
        ("refusing", "less"),
    ):
        paper.await_stands(reader, choice)
    yield paper
    paper.demo.process.terminate()
    paper.demo.process.communicate(timeout=WITHIN_S)


@pytest.fixture(scope="module")
def browser(chromium: str, paper: Paper) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def asked_by(page: Page, act: Callable[[], object]) -> tuple[dict, dict]:
    """What the next ad request says, and what it is answered."""
    with page.expect_response("**/v1/ads/request") as answered:
        act()
    return answered.value.request.post_data_json, answered.value.json()


def opened(page: Page, paper: Paper, reader: str) -> tuple[dict, dict]:
    return asked_by(page, lambda: page.goto(f"{paper.origin}/?as={reader}"))


def test_a_subscriber_sees_no_ad_and_no_word_of_one(paper: Paper, page: Page):
    asked, answer = opened(page, paper, "subscriber")
    assert asked["person"] == person_id(7, "subscriber")
    assert (answer["tier"], answer["ads"], "passback" in answer) == ("subscriber", [], False)
    place = page.locator(PLACE)
    expect(place).to_have_attribute("data-ringwork-state", "empty")
    expect(place).to_be_empty()
    expect(page.locator("aside .subscriber")).to_be_visible()


def test_who_refused_or_is_new_is_named_to_nobody_and_sees_what_fits_the_page(
    paper: Paper, page: Page
):
    for reader in ("refusing", "newcomer"):
        asked, answer = opened(page, paper, reader)
        assert not asked.keys() & {"person", "link"}
        assert answer["tier"] == "less-personalised"
        expect(page.locator(PLACE).get_by_title(PAINTS)).to_be_visible()
        why = page.locator(f"{PLACE} small a")
        expect(why).to_have_attribute("title", re.compile("Nothing about you was used"))
        expect(page.locator("aside .less-personalised")).to_be_visible()
        expect(page.locator("aside p:visible")).to_have_count(1)


def test_who_consented_sees_another_ad_and_whoever_withdraws_is_obeyed_at_once(
    paper: Paper, page: Page
):
    asked, answer = opened(page, paper, "consenting")
    assert asked["person"] == person_id(7, "consenting")
    assert answer["tier"] == "consented"
    place = page.locator(PLACE)
    expect(place.get_by_title(BICYCLES)).to_be_visible()
    why = place.locator("small a")
    expect(why).to_have_attribute("title", re.compile("Looked for bicycles this month"))
    shown = why.evaluate("(link) => getComputedStyle(link, '::after').content")
    assert "Looked for bicycles this month" in shown  # readable on the page, not on hovering alone

    choose = page.frame_locator(MINE).get_by_role("button", name="Use less personalised ads")
    asked, answer = asked_by(page, choose.click)
    assert not asked.keys() & {"person", "link"}
    assert answer["tier"] == "less-personalised"
    expect(place.get_by_title(PAINTS)).to_be_visible()
    expect(place.get_by_title(BICYCLES)).to_have_count(0)
    expect(page.locator("aside .less-personalised")).to_be_visible()

    _, answer = opened(page, paper, "consenting")  # and it stays so
    assert answer["tier"] == "less-personalised"

    # Who agrees again begins without a past: what was known of them went with the withdrawal.
    choose = page.frame_locator(MINE).get_by_role("button", name="Allow personalised ads")
    asked, answer = asked_by(page, choose.click)
    assert (answer["tier"], answer["ads"][0]["advertiser"]) == (
        "consented",
        "harbour-paints.example",
    )


def test_readers_share_a_browser_and_nobodys_choice_is_taken_for_anothers(paper: Paper, page: Page):
    opened(page, paper, "newcomer")
    ask = page.frame_locator("[data-ringwork-ask] iframe")
    ask.get_by_role("button", name="Allow personalised ads").click()
    expect(page.locator("aside .consented")).to_be_visible()
    kept = page.evaluate("localStorage.getItem('ringwork-choice')")
    asked, answer = opened(page, paper, "refusing")
    assert ("person" in asked, answer["tier"]) == (False, "less-personalised")
    expect(page.frame_locator(MINE).get_by_text("You see less personalised ads.")).to_be_visible()
    assert page.evaluate("localStorage.getItem('ringwork-choice')") == kept
