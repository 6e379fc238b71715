"""The life of campaigns and creatives over HTTP: statuses, reviews, histories, filtered lists."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.events import CampaignReviewed, CreativeReviewed
from ringwork.ads.lifecycle import (
    Actor,
    check_first,
    check_step,
    decide,
    decisions,
    steps,
)
from ringwork.ads.settings import AdsSettings
from ringwork.kernel.errors import Conflict
from tests.ads.house import House
from tests.ads.office import Office, slug

CAMPAIGN, CREATIVE = "/v1/campaigns/autumn", "/v1/creatives/blue"


def opened(*, review_required: bool):
    house = House(settings=AdsSettings(review_required=review_required))
    return house, Office(house)


@pytest.fixture
def office():
    """Nobody has to review anything."""
    house, office = opened(review_required=False)
    with house:
        office.fill()
        yield office
        office.engine.dispose()


@pytest.fixture
def strict():
    """What goes live needs a reviewer."""
    house, office = opened(review_required=True)
    with house:
        assert office.create("advertisers").status_code == 201
        house.deposit("hp", 10**12)
        yield office
        office.engine.dispose()


def change(office, path, role="manager", **members):
    change.count += 1
    return office.send("PATCH", path, role=role, key=f"change {change.count}", json=members)


change.count = 0


def review(office, path, decision, reason="", role="reviewer"):
    body = {"decision": decision, "reason": reason}
    return office.send("POST", f"{path}/review", role=role, json=body)


def statuses(office):
    return (
        office.send("GET", CAMPAIGN).json()["status"],
        office.send("GET", CREATIVE).json()["status"],
    )


# ---- statuses -----------------------------------------------------------------------------------


def test_a_campaign_from_draft_to_its_end(office):
    created = office.create("campaigns", key="d", id="winter", status="draft")
    assert (created.status_code, created.json()["status"]) == (201, "draft")
    path = "/v1/campaigns/winter"
    assert change(office, path, status="review").json()["status"] == "review"
    approved = review(office, path, "approve")
    assert (approved.status_code, approved.json()["status"]) == (200, "active")
    for status in ("paused", "active", "ended"):
        assert change(office, path, status=status).json()["status"] == status
    again = change(office, path, status="active")
    assert (again.status_code, slug(again)) == (409, "campaign-ended")
    assert "create a new one" in again.json()["detail"]


def test_a_draft_is_not_shown_and_its_money_is_set_aside(office):
    office.create("campaigns", key="d", id="winter", status="draft")
    body = {"key": "c", "id": "snow", "campaign_id": "winter"}
    assert office.create("creatives", **body).status_code == 201
    live = {creative.id for creative, _, _ in office.house.catalogue.live_ads()}
    assert live == {"blue"}
    assert office.house.ledger.accounts["campaign/winter"].available_nanos == 100 * 10**9


def test_what_is_rejected_says_why_and_can_be_mended(office):
    change(office, CAMPAIGN, status="paused")
    rejected = review(office, CREATIVE, "reject", "the price is not the shop's")
    assert rejected.json()["status"] == "rejected"
    assert rejected.json()["review_reason"] == "the price is not the shop's"
    assert change(office, CREATIVE, html="<b>honest</b>").json()["status"] == "rejected"
    assert change(office, CREATIVE, status="review").json()["status"] == "review"
    returned = review(office, CREATIVE, "return", "spelling").json()
    assert (returned["status"], returned["review_reason"]) == ("draft", "spelling")
    change(office, CREATIVE, status="review")
    approved = review(office, CREATIVE, "approve").json()
    assert (approved["status"], approved["review_reason"]) == ("active", "")
    decisions = [event.decision for event in office.house.payloads(CreativeReviewed)]
    assert decisions == ["reject", "return", "approve"]


def test_a_reviewer_takes_down_what_is_live_and_it_leaves_the_auction(office):
    assert office.house.serve()[1]
    review(office, CAMPAIGN, "reject", "not allowed here")
    assert office.house.serve()[1] == []
    assert review(office, CAMPAIGN, "approve").json()["status"] == "active"
    assert office.house.serve()[1]


def test_the_same_decision_again_changes_nothing(office):
    first = review(office, CAMPAIGN, "reject", "no")
    assert review(office, CAMPAIGN, "reject", "no").content == first.content
    assert len(office.house.payloads(CampaignReviewed)) == 1


@pytest.mark.parametrize(
    ("path", "start", "wanted", "hint"),
    [
        (CAMPAIGN, "review", "active", "/v1/campaigns/autumn/review"),
        (CAMPAIGN, "review", "rejected", "scope catalogue:review"),
        (CAMPAIGN, "review", "paused", "from here it can become draft, ended"),
        (CAMPAIGN, "active", "draft", "from here it can become paused, ended"),
        (CREATIVE, "active", "review", "from here it can become paused"),
        (CREATIVE, "review", "active", "/v1/creatives/blue/review"),
    ],
)
def test_a_step_that_cannot_be_taken_says_which_can(office, path, start, wanted, hint):
    if start == "review":
        review(office, path, "reject", "x")
        change(office, path, status="review")
    before = office.house.folds.dumps()
    answer = change(office, path, status=wanted)
    assert (answer.status_code, slug(answer)) == (409, "status-refused")
    assert hint in answer.json()["detail"]
    assert office.house.folds.dumps() == before


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        ({"decision": "reject"}, 409, "rule-violated"),
        ({"decision": "return", "reason": "  "}, 409, "rule-violated"),
        ({"decision": "return", "reason": "x"}, 409, "status-refused"),
        ({"decision": "burn"}, 422, "invalid"),
        ({"decision": "reject", "reason": "x" * 501}, 422, "invalid"),
        ({"decision": "approve", "by": "me"}, 422, "invalid"),
        ({}, 422, "invalid"),
    ],
)
def test_decisions_that_are_none(office, body, status, name):
    answer = office.send("POST", f"{CAMPAIGN}/review", json=body)
    assert (answer.status_code, slug(answer)) == (status, name)
    assert slug(office.send("POST", "/v1/campaigns/none/review", json={"decision": "approve"})) == (
        "not-found"
    )


@pytest.mark.parametrize("status", ["paused", "ended", "rejected", "live"])
def test_nothing_is_created_in_the_middle_of_its_life(office, status):
    answer = office.create("campaigns", key="x", id="winter", status=status)
    assert (answer.status_code, slug(answer)) == (422, "invalid")


STATUSES = ("draft", "review", "active", "rejected", "paused", "ended")


@given(st.lists(st.sampled_from(STATUSES), max_size=8), st.booleans())
def test_no_walk_goes_live_unreviewed_or_comes_back_from_the_end(walk, may_approve):
    """Whatever an author tries, in any order: live follows a review, and the end is the end."""
    now, actor = "draft", Actor("k", may_approve)
    for wanted in walk:
        try:
            check_step("campaign", "c", now, wanted, actor)
        except Conflict:
            continue
        assert now != "ended" or wanted == "ended"
        assert (now, wanted) != ("review", "active")
        assert wanted != "rejected" or now == "rejected"
        assert may_approve or (now, wanted) != ("draft", "active")
        now = wanted


def test_rejected_goes_live_by_a_reviewer_only():
    assert decide("creative", "x", "rejected", "approve") == "active"
    with pytest.raises(Conflict, match="status-refused"):
        check_step("creative", "x", "rejected", "active", Actor("k", may_approve=True))
    with pytest.raises(Conflict, match="review-required"):
        check_first("creative", "active", Actor("k", may_approve=False))


# ---- where reviews are asked for ----------------------------------------------------------------


def test_a_manager_cannot_make_anything_live(strict):
    body = {**strict_campaign(), "status": "active"}
    refused = strict.send("POST", "/v1/campaigns", role="manager", key="a", json=body)
    assert (refused.status_code, slug(refused)) == (409, "review-required")
    assert "draft or review" in refused.json()["detail"]
    assert strict.send("GET", CAMPAIGN).status_code == 404
    body["status"] = "draft"
    assert (
        strict.send("POST", "/v1/campaigns", role="manager", key="b", json=body).status_code == 201
    )
    refused = change(strict, CAMPAIGN, status="active")
    assert (refused.status_code, slug(refused)) == (409, "review-required")
    assert review(strict, CAMPAIGN, "approve", role="manager").status_code == 403
    change(strict, CAMPAIGN, status="review")
    assert review(strict, CAMPAIGN, "approve").json()["status"] == "active"


def test_who_may_approve_makes_live_at_once(strict):
    assert strict.create("campaigns").json()["status"] == "active"
    assert strict.create("creatives").json()["status"] == "active"


@pytest.mark.parametrize(
    ("members", "waits"),
    [
        ({"html": "<b>other</b>"}, True),
        ({"landing_url": "https://elsewhere.example/"}, True),
        ({"categories": ["1"]}, True),
        ({"attributes": [1]}, True),
        ({"name": "Another name"}, False),
        ({"weight": 7}, False),
        ({"quality_ppm": 5}, False),
    ],
)
def test_what_was_reviewed_and_changed_waits_again(strict, members, waits):
    strict.create("campaigns")
    strict.create("creatives")
    changed = change(strict, CREATIVE, **members).json()
    assert changed["status"] == ("review" if waits else "active")
    changed = change(strict, CREATIVE, role="admin", html="<i>a reviewer's own</i>").json()
    assert changed["status"] == ("review" if waits else "active"), "who may approve has approved"


def test_what_is_in_review_is_not_changed_under_the_reviewer_s_eyes(strict):
    strict.create("campaigns")
    strict.create("creatives", status="review")
    refused = change(strict, CREATIVE, html="<b>other</b>")
    assert (refused.status_code, slug(refused)) == (409, "status-refused")
    assert "take it back (status draft)" in refused.json()["detail"]
    assert change(strict, CREATIVE, name="Another name").json()["status"] == "review"
    assert change(strict, CREATIVE, status="draft", html="<b>other</b>").json()["status"] == "draft"


def test_without_the_setting_a_change_stays_live(office):
    assert change(office, CREATIVE, html="<b>other</b>").json()["status"] == "active"


def strict_campaign():
    return {
        "id": "autumn", "advertiser_id": "hp", "name": "Autumn", "special_ad_categories": [], "pricing": "cpm",
        "bid_nanos": 10**6, "budget": {"currency": "EUR", "units": 1, "nanos": 0},
    }  # fmt: skip


# ---- history ------------------------------------------------------------------------------------


def test_the_history_names_who_what_when_from_and_to(office):
    office.house.clock.set_wall_us(1_764_158_400_000_000)
    change(
        office, CAMPAIGN, bid_nanos=7, targeting={"regions": ["PRT"], "excluded": {"apps": ["a"]}}
    )
    office.house.clock.advance_us(5)
    review(office, CAMPAIGN, "reject", "no such shop")
    answer = office.send("GET", f"{CAMPAIGN}/history", role="viewer")
    assert answer.status_code == 200
    rejected, changed, created = answer.json()["history"]
    manager, reviewer = (office.tokens[role].split("_")[1] for role in ("manager", "reviewer"))
    assert (rejected["action"], rejected["reason"]) == ("reject", "no such shop")
    assert (rejected["by"], rejected["by_label"]) == (reviewer, "the reviewer")
    assert rejected["changes"] == [
        {"member": "/review_reason", "old": None, "new": "no such shop"},
        {"member": "/status", "old": None, "new": "rejected"},
    ]
    assert (changed["action"], changed["by"]) == ("change", manager)
    assert changed["changes"] == [
        {"member": "/bid_nanos", "old": 20_000_000_000, "new": 7},
        {"member": "/targeting/excluded/apps", "old": None, "new": ["a"]},
        {"member": "/targeting/regions", "old": None, "new": ["PRT"]},
    ]
    assert rejected["ts_us"] - changed["ts_us"] == 5
    assert (created["action"], created["changes"], created["by_label"]) == (
        "create",
        [],
        "the admin",
    )


def test_a_budget_is_one_value(office):
    units = {"currency": "EUR", "units": 120, "nanos": 0}
    change(office, CAMPAIGN, budget=units)
    [changed, _] = office.send("GET", f"{CAMPAIGN}/history").json()["history"]
    old = {"currency": "EUR", "units": 100, "nanos": 0}
    assert changed["changes"] == [{"member": "/budget", "old": old, "new": units}]


def test_histories_have_pages(office):
    for weight in range(2, 7):
        change(office, CREATIVE, weight=weight)
    seen, after = [], "0"
    while after is not None:
        params = {"after": after, "limit": 2}
        page = office.send("GET", f"{CREATIVE}/history", params=params).json()
        seen += [one["changes"][0]["new"] if one["changes"] else 1 for one in page["history"]]
        after = page["next"]
    assert seen == [6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("params", [{"limit": 0}, {"after": "x"}, {"limit": "a"}])
def test_histories_refuse_what_is_no_page(office, params):
    answer = office.send("GET", f"{CREATIVE}/history", params=params)
    assert (answer.status_code, slug(answer)) == (422, "invalid")
    assert slug(office.send("GET", "/v1/creatives/none/history")) == "not-found"
    assert slug(office.send("GET", "/v1/campaigns/none/history")) == "not-found"


# ---- lists --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many():
    """Two advertisers, three campaigns, four creatives."""
    house, office = opened(review_required=False)
    with house:
        office.fill()
        fill_more(office)
        yield office
        office.engine.dispose()


def fill_more(office):
    office.create("advertisers", key="o", id="old", name="Old Harbour Café", contact=None)
    office.house.deposit("old", 10**12)
    office.create("campaigns", key="w", id="winter", status="draft", name="Winter Sale")
    office.create("campaigns", key="s", id="spring", advertiser_id="old", name="Spring")
    for id, campaign in (("red", "winter"), ("green", "spring"), ("lime", "spring")):
        office.create("creatives", key=id, id=id, campaign_id=campaign, name=id.title())
    change(office, "/v1/creatives/lime", status="paused")


@pytest.mark.parametrize(
    ("path", "params", "expected"),
    [
        ("campaigns", {"advertiser": "hp"}, ["autumn", "winter"]),
        ("campaigns", {"advertiser": "nobody"}, []),
        ("campaigns", {"status": "draft"}, ["winter"]),
        ("campaigns", {"q": "WINTER"}, ["winter"]),
        ("campaigns", {"q": "r", "advertiser": "old"}, ["spring"]),
        ("campaigns", {"advertiser": "", "status": "", "q": ""}, ["autumn", "winter", "spring"]),
        ("creatives", {"campaign": "spring"}, ["green", "lime"]),
        ("creatives", {"campaign": "spring", "status": "paused"}, ["lime"]),
        ("creatives", {"advertiser": "old"}, ["green", "lime"]),
        ("creatives", {"q": "re"}, ["red", "green"]),
        ("advertisers", {"q": "CAFÉ"}, ["old"]),
        ("publishers", {"q": "news.example"}, ["pub"]),
        ("sites", {"publisher": "pub"}, ["front"]),
        ("sites", {"q": "zzz"}, []),
        ("placements", {"site": "front"}, []),
        ("placements", {"publisher": "pub", "q": "TOP"}, ["top"]),
    ],
)
def test_filters(many, path, params, expected):
    answer = many.send("GET", f"/v1/{path}", params=params)
    assert [one["id"] for one in answer.json()[path]] == expected
    assert answer.json()["next"] is None


def test_filtered_lists_have_the_same_pages(many):
    seen, after = [], "0"
    while after is not None:
        params = {"advertiser": "old", "limit": 1, "after": after}
        page = many.send("GET", "/v1/creatives", params=params).json()
        seen += [one["id"] for one in page["creatives"]]
        after = page["next"]
    assert seen == ["green", "lime"]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("campaigns", {"status": "gone"}),
        ("campaigns", {"advertiser": "no spaces"}),
        ("creatives", {"campaign": "-"}),
        ("creatives", {"q": "x" * 101}),
    ],
)
def test_filters_that_are_none(many, path, params):
    answer = many.send("GET", f"/v1/{path}", params=params)
    assert (answer.status_code, slug(answer)) == (422, "invalid")


@pytest.mark.parametrize("may_approve", [True, False])
@pytest.mark.parametrize("noun", ["campaign", "creative"])
def test_what_is_offered_is_what_is_allowed(noun, may_approve):
    """Every status and every step: offered exactly where the rule takes it."""
    statuses = ["draft", "review", "active", "rejected", "paused"]
    statuses += ["ended"] if noun == "campaign" else []
    actor = Actor("k", may_approve=may_approve)
    for now in statuses:
        allowed = []
        for wanted in statuses:
            with suppress(Conflict):
                check_step(noun, "x", now, wanted, actor)
                allowed += [wanted] if wanted != now else []
        assert set(steps(noun, now, actor)) == set(allowed), now
        taken = []
        for decision in ("approve", "reject", "return"):
            with suppress(Conflict):
                taken += [decision] if decide(noun, "x", now, decision) != now else []
        assert set(decisions(now)) == set(taken), now
