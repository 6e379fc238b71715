"""What waits for review, and who changed what page by page, on the real application."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import pytest
from msgspec.structs import replace

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.requests import CampaignChange
from ringwork.console.data import CHANGES, CHANGES_PAGE
from ringwork.console.facts import InReview
from ringwork.console.views.matters import waiting_text
from ringwork.console.views.overview import all_matters
from tests.console import day as d
from tests.console.test_forms import Person, campaign_typed
from tests.console.town import Town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A platform that asks for reviews."""
    with Town(tmp_path_factory.mktemp("town") / "data", review_required=True).serving() as running:
        yield running


def waits(person: Person) -> list[tuple[str, str]]:
    rows = person.http.get("/console/reviews?format=json").json()["data"]["rows"]
    return [(row["noun"], row["name"]) for row in rows]


def banner(id: str, do: str) -> dict[str, str | list[str]]:
    return {
        "/name": "banner", "/id": id, "/landing_url": "https://hp.example/", "/html": "<p>ad</p>",
        "/width": "300", "/height": "250", "do": do,
    }  # fmt: skip


def test_what_waits_is_counted_on_the_overview_and_listed(town: Town) -> None:
    author, reviewer = Person(town, "manager"), Person(town, "reviewer")
    assert waits(author) == []
    assert "for review" not in author.open("/console/")
    for id in ("first", "second"):
        typed = campaign_typed(id, **{"/name": id, "do": "review"})
        assert author.send("/console/new-campaign", typed).status_code == 303
        town.clock.advance_us(60_000_000)
    address = "/console/new-creative?campaign=first&way=banner"
    assert author.send(address, banner("first-0", "review")).status_code == 303

    page = reviewer.open("/console/")
    assert "1 creative and 2 campaigns wait for review" in page
    assert '<a href="/console/reviews">Reviews <span class="count">3' in page
    assert waits(reviewer) == [
        ("campaign", "first"), ("campaign", "second"), ("creative", "banner")
    ]  # fmt: skip
    assert "2.00\u202fmin" in reviewer.open("/console/reviews")

    approved = reviewer.press("/console/campaigns/first", "review", "approve", reason="")
    assert approved.status_code == 303
    assert waits(reviewer) == [("campaign", "second"), ("creative", "banner")]
    back = author.press("/console/campaigns/second", "status", "draft")
    assert back.status_code == 303
    assert waits(reviewer) == [("creative", "banner")]
    assert "1 creative waits for review" in reviewer.open("/console/")


def test_what_waits_survives_a_snapshot(town: Town) -> None:
    catalogue = town.platform.memory.catalogue
    loaded = Catalogue()
    loaded.load(catalogue.dump())
    assert loaded.in_review == catalogue.in_review
    assert list(loaded.in_review["creative"]) == ["first-0"]
    loaded.clear()
    assert loaded.in_review == {"campaign": {}, "creative": {}}


@pytest.mark.parametrize(
    ("waiting", "text", "verb"),
    [
        (InReview(), "", ""),
        (InReview(campaigns=1), "1 campaign", "waits"),
        (InReview(creatives=1200), "1,200 creatives", "wait"),
        (InReview(campaigns=2, creatives=1), "1 creative and 2 campaigns", "wait"),
    ],
)
def test_what_waits_is_said_in_words(waiting: InReview, text: str, verb: str) -> None:
    assert waiting_text(waiting) == text
    found = [one for one in all_matters(replace(d.OVERVIEW, in_review=waiting)) if one.items]
    titles = [one.title for one in found if one.page == "reviews"]
    assert titles == ([f"{text} {verb} for review"] if text else [])


def test_every_change_is_on_exactly_one_page(town: Town) -> None:
    number = CHANGES_PAGE + CHANGES + 3
    manage = town.platform.management
    for each in range(number):
        change = CampaignChange(name=f"name {each}")
        town.do(town.decide(partial(manage.change_campaign, id="loans", change=change)))
    town.do(town.caught_up())
    person = Person(town)
    item = person.http.get("/console/campaigns/loans?format=json").json()["data"]
    assert len(item["changes"]) == CHANGES
    found, address, pages = list(item["changes"]), item["older_changes_href"], 0
    assert f'href="{address}"' in person.open("/console/campaigns/loans")
    while address:
        data = person.http.get(f"{address}&format=json").json()["data"]
        assert 0 < len(data["rows"]) <= CHANGES_PAGE
        found, address, pages = found + data["rows"], data["older_href"], pages + 1
    seqs = [row["seq"] for row in found]
    assert seqs == sorted(set(seqs), reverse=True)
    assert len(found) == number + 1  # and its creation
    assert found[-1]["action"] == "created"
    assert pages == 2
    first = person.open("/console/campaigns/loans/changes")
    assert len(re.findall("<tr>", first)) == CHANGES_PAGE + 1
    assert "Older changes" in first


def test_a_history_of_nothing_is_not_found(town: Town) -> None:
    person = Person(town)
    assert person.http.get("/console/creatives/none/changes").status_code == 404
    assert person.http.get("/console/campaigns/loans/changes?before=x").status_code == 422
    assert person.http.get("/console/reviews?page=0").status_code == 422
    end = person.http.get("/console/campaigns/loans/changes?before=1&format=json").json()
    assert (end["answer"], end["data"]["rows"]) == ("Nothing more is told of name 72.", [])


def test_an_ad_that_comes_later_is_seen_at_once(town: Town) -> None:
    """The count of active creatives once stood still after the first look at it."""
    person = Person(town)

    def state() -> str:
        rows = person.http.get("/console/campaigns?format=json").json()["data"]["rows"]
        return next(row["state"] for row in rows if row["id"] == "loans")

    assert state() == "no ad"
    address = "/console/new-creative?campaign=loans&way=banner"
    assert person.send(address, banner("late-0", "active")).status_code == 303
    assert state() == "running"
