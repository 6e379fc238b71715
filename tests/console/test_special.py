"""Housing, employment and credit in the console: declared, refused, held, decided, made lawful."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.console.test_forms import Person, campaign_typed, creative_typed, fault_texts, led_to
from tests.console.town import Town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Town(tmp_path_factory.mktemp("town") / "data").serving() as running:
        yield running


def text_of(town: Town) -> str:
    screen = town.platform.screen
    assert screen is not None
    return screen.certification


HOMES = "<p>Two-bedroom apartments for rent, move in today</p>"
BANNER = {"/format": "banner", "/width": "300", "/height": "250"}


def hold(person: Person, id: str, **more: str | list[str]) -> str:
    """A live campaign of an undeclared housing ad; its page."""
    path = f"/console/campaigns/{id}"
    led_to(person.send("/console/new-campaign", campaign_typed(id, do="active", **more)), path)
    page = "/console/new-creative?kind=html"
    typed = creative_typed(f"{id}.a", id, **{"/html": HOMES, "/width": "300", "/height": "250"})
    answer = person.send(page, {**typed, "do": "active"}, action=_action(person, page))
    led_to(answer, f"/console/creatives/{id}.a")
    return path


def _action(person: Person, page: str) -> str:
    found = re.search(r'<form class="edit" method="post" action="([^"]+)"', person.open(page))
    assert found is not None
    return found[1].replace("&amp;", "&")


def test_the_form_shows_the_whole_text_that_is_certified(town: Town) -> None:
    page = Person(town).open("/console/new-campaign")
    assert "We do not exclude or prefer people by race" in page
    assert f'value="{text_of(town)}"' in page


def test_a_declaration_needs_the_certification_and_the_page_says_who_gave_it(town: Town) -> None:
    person = Person(town)
    typed = campaign_typed("flats", **{"/special_ad_categories": ["HOUSING", "CREDIT"]})
    refused = person.send("/console/new-campaign", typed)
    assert refused.status_code == 409
    assert any("certification" in one for one in fault_texts(refused.text))
    signed = {**typed, "/certified_text": text_of(town)}
    led_to(person.send("/console/new-campaign", signed), "/console/campaigns/flats")
    page = person.open("/console/campaigns/flats")
    assert "housing and credit" in page
    assert re.search(rf"text {re.escape(text_of(town))}, .*by console", page)


def test_forbidden_targeting_is_told_beside_its_entry_with_what_may_replace_it(town: Town) -> None:
    typed = campaign_typed(
        "narrow",
        **{
            "/special_ad_categories": ["EMPLOYMENT"],
            "/certified_text": text_of(town),
            "/targeting/audiences": "interest:483",
            "/targeting/key_values": "user_age = 25",
        },
    )
    refused = Person(town).send("/console/new-campaign", typed)
    assert refused.status_code == 409
    faults = fault_texts(refused.text)
    assert any("pages about 483" in one for one in faults)
    assert any("user_age" in one for one in faults)
    assert 'aria-invalid="true"' in refused.text
    assert "interest:483" in refused.text  # what was typed stands there


def test_a_held_campaign_says_why_and_a_reviewer_clears_it(town: Town) -> None:
    person = Person(town)
    path = hold(person, "held")
    page = person.open(path)
    assert "Held: an ad of it seems to be for what it does not declare" in page
    assert "score" in page
    assert "threshold 0.25" in page
    assert "apartments" in page
    assert "is held" in person.open("/console/")
    action = f"{path}/special-review"
    empty = person.send(path, {"decision": "clear"}, action=action)
    assert empty.status_code == 422
    led_to(
        person.send(path, {"decision": "clear", "reason": "A doll's house"}, action=action), path
    )
    page = person.open(path)
    assert "Seems to be for" not in page
    assert "Held." not in page


def test_confirmed_it_has_paused_audiences_and_takes_the_lawful_ones(town: Town) -> None:
    person = Person(town)
    path = hold(person, "pages", **{"/targeting/audiences": "interest:483"})
    typed = {"decision": "confirm", "reason": "Apartments"}
    led_to(person.send(path, typed, action=f"{path}/special-review"), path)
    page = person.open(path)
    assert "Not certified" in page
    assert "/targeting/audiences/0" in page
    assert "pages about 483" in page
    led_to(person.send(path, {}, action=f"{path}/lawful"), path)
    signed = {"/certified_text": text_of(town)}
    led_to(person.send(f"{path}/edit", signed), path)
    page = person.open(path)
    assert "Paused" not in page
    assert "Certified" in page
    now = town.platform.memory.catalogue.campaigns["pages"]
    assert (now.withheld, now.targeting.categories) == ("", ["483"])


def test_who_may_not_decide_or_write_sees_no_button_for_it(town: Town) -> None:
    person = Person(town)
    path = hold(person, "watched", **{"/targeting/audiences": "interest:483"})
    page = Person(town, "viewer").open(path)
    assert "Held: an ad" in page
    assert "special-review" not in page
    assert "/lawful" not in page
    manager = Person(town, "manager").open(path)
    assert "special-review" not in manager
    assert "/lawful" in manager


def test_an_edit_that_says_nothing_of_it_changes_nothing_of_it(town: Town) -> None:
    person = Person(town)
    typed = campaign_typed("kept", **{"/special_ad_categories": ["CREDIT"],
                                      "/certified_text": text_of(town)})  # fmt: skip
    led_to(person.send("/console/new-campaign", typed), "/console/campaigns/kept")
    before = town.platform.memory.catalogue.campaigns["kept"]
    led_to(
        person.send("/console/campaigns/kept/edit", {"/name": "Kept"}), "/console/campaigns/kept"
    )
    after = town.platform.memory.catalogue.campaigns["kept"]
    assert (after.name, after.screening) == ("Kept", before.screening)
