"""Audiences by the console: their rules as lines and in words, made, changed, archived."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.model import AudienceRule
from ringwork.console.forms.audience import EXAMPLE, RULES, rule_of, rule_text
from ringwork.console.views.audiences import rule_words
from ringwork.kernel.history import DEEDS
from tests.console.test_forms import Person, campaign_typed, led_to
from tests.console.town import Town

BOATS = {
    "/name": "Boat owners",
    "/id": "boats",
    "/rules": EXAMPLE.replace("shop", "main"),
    "do": "create",
}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Town(tmp_path_factory.mktemp("town") / "data").serving() as running:
        yield running


def rows(person: Person, query: str = "") -> list[dict[str, object]]:
    answer = person.http.get(f"/console/audiences?format=json{query}")
    found: list[dict[str, object]] = answer.json()["data"]["rows"]
    return found


# ---- rules as lines -----------------------------------------------------------------------------


def test_a_rule_is_read_as_it_reads() -> None:
    assert rule_of(EXAMPLE) == {
        "at_least": 2, "kinds": ["view", "cart"], "topics": ["483"], "services": ["shop"],
        "within_s": 30 * 86_400,
    }  # fmt: skip
    assert rule_of("within 90 minutes") == {"within_s": 5_400}
    rule = msgspec.convert(rule_of(EXAMPLE), AudienceRule)
    assert rule_words(rule) == (
        "viewed or put into the cart something about 483 on shop, at least 2 times in the last "
        "30 days"
    )


@given(
    st.lists(
        st.builds(
            AudienceRule,
            within_s=st.integers(60, 1095 * 86_400),
            topics=st.lists(st.from_regex(r"\A[0-9]{1,4}\Z"), max_size=4),
            kinds=st.lists(st.sampled_from(DEEDS), max_size=6),
            services=st.lists(st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,31}\Z"), max_size=3),
            at_least=st.integers(1, 1000),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_a_form_shows_of_rules_is_read_as_the_same_rules(rules: list[AudienceRule]) -> None:
    shown = RULES.write(msgspec.to_builtins(rules))
    assert msgspec.convert(RULES.read(shown), list[AudienceRule]) == rules
    assert all(rule_words(rule).endswith(rule_text(msgspec.to_builtins(rule)).rpartition("within ")[2].removeprefix("1 "))
               for rule in rules)  # fmt: skip


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("about 483", "a rule says within what time"),
        ("doing look; within 1 day", "doing one of view, search"),
        ("within soon", "one rule a line is expected, as at least 2"),
        ("at least few; within 1 day", "one rule a line is expected"),
        ("on ; within 1 day", "one rule a line is expected"),
        ("about 1; about 2; within 1 day", "each part once in a rule"),
        ("within 99999999999 days", "one rule a line is expected"),
    ],
)
def test_a_line_that_is_no_rule_says_what_is_expected(line: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rule_of(line)


# ---- by the console -----------------------------------------------------------------------------


def test_an_audience_is_made_named_changed_and_archived(town: Town) -> None:
    manager = Person(town, "manager")
    assert "No audience yet" in manager.open("/console/audiences")
    made = manager.send("/console/new-audience", BOATS)
    led_to(made, "/console/audiences/boats")
    page = manager.open(made.headers["location"])
    assert "It was created." in page
    assert "Viewed or put into the cart something about 483 on main, at least 2 times" in page

    for id, member in (("for-them", "/targeting/audiences"), ("not-them", "/targeting/excluded/audiences")):  # fmt: skip
        typed = campaign_typed(id, **{"/name": id, member: "boats\ninterest:483"})
        assert manager.send("/console/new-campaign", typed).status_code == 303
    [row] = rows(manager)
    assert [(use["name"], use["how"]) for use in row["uses"]] == [  # type: ignore[attr-defined]  # JSON
        ("not-them", "keeps it out"), ("for-them", "for it"),
    ]  # fmt: skip
    page = manager.open("/console/audiences")
    assert "1 audience is live" in page
    assert "2 campaigns name interests" in page

    changed = manager.send(
        "/console/audiences/boats/edit",
        {"/rules": "within 1 day\nabout 552; within 2 hours", "/match": "any", "do": "save"},
    )
    led_to(changed, "/console/audiences/boats")
    kept = town.platform.memory.catalogue.audiences["boats"]
    assert [rule.within_s for rule in kept.rules] == [86_400, 7_200]
    assert kept.match == "any"

    assert manager.press("/console/audiences/boats", "status", "archived").status_code == 303
    assert town.platform.memory.catalogue.audiences["boats"].status == "archived"
    page = manager.open("/console/audiences/boats")
    assert "nobody is in it" in page
    assert manager.press("/console/audiences/boats", "status", "active").status_code == 303
    told = manager.http.get("/console/audiences/boats?format=json").json()["data"]["changes"]
    assert [one["action"] for one in told] == ["changed", "changed", "changed", "created"]
    assert manager.http.get("/console/audiences/boats/changes").status_code == 200


def test_a_form_sent_twice_makes_one_audience(town: Town) -> None:
    manager = Person(town, "manager")
    page = manager.open("/console/new-audience")
    typed = {**BOATS, "/id": "twice"}
    first, second = (manager.send("/console/new-audience", typed, page=page) for _ in range(2))
    assert first.headers["location"] == second.headers["location"]
    assert sum(row["id"] == "twice" for row in rows(manager)) == 1
    other = manager.send("/console/new-audience", {**typed, "/name": "Another"}, page=page)
    assert other.status_code == 409


def test_what_is_wrong_comes_back_beside_what_was_typed(town: Town) -> None:
    manager = Person(town, "manager")
    for typed, words in (
        ({"/rules": "about 483"}, "A rule says within what time"),
        ({"/rules": "on nowhere; within 1 day"}, "expected one of the core services"),
        ({"/rules": "within 1 second"}, "60"),
        ({"/rules": "\n".join(["within 1 day"] * 21)}, "at most 20"),
        ({"/id": "interest:x", "/rules": "within 1 day"}, "of interests"),
        ({"/rules": ""}, "Needed"),
        ({"/match": "some"}, "some"),
    ):
        answer = manager.send("/console/new-audience", {**BOATS, "/id": "wrong", **typed})
        assert answer.status_code in (409, 422), typed
        assert words.casefold() in answer.text.casefold(), (typed, answer.text)
    assert "wrong" not in town.platform.memory.catalogue.audiences


def test_a_change_that_came_between_is_not_undone(town: Town) -> None:
    manager = Person(town, "manager")
    manager.send("/console/new-audience", {**BOATS, "/id": "both"})
    page = manager.open("/console/audiences/both/edit")
    manager.send("/console/audiences/both/edit", {"/name": "First", "do": "save"})
    late = manager.send(
        "/console/audiences/both/edit", {"/name": "Second", "do": "save"}, page=page
    )
    assert late.status_code == 409
    assert town.platform.memory.catalogue.audiences["both"].name == "First"


def test_who_may_only_look_gets_no_forms(town: Town) -> None:
    viewer = Person(town, "viewer")
    Person(town).send("/console/new-audience", {**BOATS, "/id": "seen"})
    page = viewer.open("/console/audiences/seen")
    assert not re.search(r"/console/audiences/seen/(edit|status)", page)
    assert viewer.http.get("/console/new-audience").status_code == 403
    assert viewer.http.post("/console/audiences/seen/status").status_code == 403


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/console/audiences/none", 404),
        ("/console/audiences/none/edit", 404),
        ("/console/audiences/none/changes", 404),
        ("/console/audiences?page=0", 422),
        ("/console/audiences?q=" + "x" * 256, 422),
    ],
)
def test_bad_addresses_are_told(town: Town, address: str, status: int) -> None:
    assert Person(town).http.get(address).status_code == status


def test_audiences_are_found_and_leafed_through(town: Town) -> None:
    manager = Person(town, "manager")
    for number in range(51):
        typed = {**BOATS, "/id": f"many-{number}", "/name": f"Many {number}"}
        manager.send("/console/new-audience", typed)
    first = manager.http.get("/console/audiences?q=many&format=json").json()["data"]
    assert [row["id"] for row in first["rows"]][:2] == ["many-50", "many-49"]
    rest = manager.http.get(f"{first['next_href']}&format=json").json()["data"]
    assert ([row["id"] for row in rest["rows"]], rest["next_href"]) == (["many-0"], "")
    assert "Nothing fits" in manager.open("/console/audiences?q=nobody")
