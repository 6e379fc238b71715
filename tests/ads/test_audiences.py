"""Audiences in the management API: created, changed, targeted, refused, told apart in history."""

from collections.abc import Iterator

import pytest

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.model import AUDIENCES_MAX
from tests.ads.house import House
from tests.ads.office import ADVERTISER, CAMPAIGN, Office

BUYERS = {
    "id": "buyers",
    "name": "Buyers of shoes",
    "rules": [{"within_s": 2_592_000, "topics": ["shoes"], "kinds": ["purchase"]}],
}


@pytest.fixture
def office() -> Iterator[Office]:
    with House() as house:
        yield Office(house)


def make(office: Office, **members: object):
    return office.send("POST", "/v1/audiences", json={**BUYERS, **members})


def faults(answer) -> list[str]:
    return [one["pointer"] for one in answer.json()["errors"]]


def test_an_audience_is_created_once_read_and_listed(office):
    assert make(office).status_code == 201
    assert make(office).status_code == 200
    other = make(office, name="Others")
    assert (other.status_code, other.json()["type"]) == (
        409,
        "urn:ringwork:problem:audience-exists",
    )
    found = office.send("GET", "/v1/audiences/buyers").json()
    assert (found["match"], found["status"]) == ("all", "active")
    assert found["rules"][0]["at_least"] == 1
    assert [one["id"] for one in office.send("GET", "/v1/audiences").json()["audiences"]] == [
        "buyers"
    ]
    assert office.send("GET", "/v1/audiences?q=hats").json()["audiences"] == []
    assert office.send("GET", "/v1/audiences/none").status_code == 404


def test_what_changed_stands_in_its_history(office):
    make(office)
    path = "/v1/audiences/buyers"
    assert office.send("PATCH", path, json={"status": "archived"}).json()["status"] == "archived"
    office.send("PATCH", path, json={"status": "archived"})  # changes nothing
    history = office.send("GET", f"{path}/history").json()["history"]
    assert [one["action"] for one in history] == ["change", "create"]
    assert history[0]["changes"] == [{"member": "/status", "old": None, "new": "archived"}]
    assert history[0]["by_label"] == "the admin"
    assert office.send("GET", "/v1/audiences/none/history").status_code == 404


@pytest.mark.parametrize(
    ("members", "status", "pointers"),
    [
        ({"id": "interest:x"}, 409, ["/id"]),
        ({"rules": [{"within_s": 60, "services": ["main", "moon"]}]}, 409, ["/rules/0/services/1"]),
        ({"rules": []}, 422, ["/rules"]),
        ({"rules": [{"within_s": 59}]}, 422, ["/rules/0/within_s"]),
        ({"rules": [{"within_s": 60, "kinds": ["dream"]}]}, 422, ["/rules/0/kinds/0"]),
        ({"match": "some"}, 422, ["/match"]),
        ({"people": ["ana"]}, 422, [""]),
    ],
)
def test_what_is_no_audience_is_refused(office, members, status, pointers):
    answer = make(office, **members)
    assert (answer.status_code, faults(answer)) == (status, pointers)
    assert office.house.catalogue.audiences == {}


def test_there_is_a_bound(office, monkeypatch):
    monkeypatch.setattr("ringwork.ads.management.AUDIENCES_MAX", 1)
    assert AUDIENCES_MAX == 1000
    make(office)
    assert faults(make(office, id="more")) == ["/id"]


def test_only_who_may_write_the_catalogue_may(office):
    assert office.send("POST", "/v1/audiences", role="viewer", json=BUYERS).status_code == 403
    assert office.send("GET", "/v1/audiences", role="viewer").status_code == 200


@pytest.mark.parametrize(
    ("targeting", "pointers"),
    [
        ({"audiences": ["buyers", "interest:483"]}, None),
        ({"audiences": ["byers"]}, ["/targeting/audiences/0"]),
        ({"audiences": ["interest:"]}, ["/targeting/audiences/0"]),
        ({"excluded": {"audiences": ["nobody"]}}, ["/targeting/excluded/audiences/0"]),
        (
            {"audiences": ["buyers"], "excluded": {"audiences": ["buyers"]}},
            ["/targeting/excluded/audiences/0"],
        ),
    ],
)
def test_a_campaign_targets_audiences_that_there_are(office, targeting, pointers):
    make(office)
    office.send("POST", "/v1/advertisers", json=ADVERTISER)
    office.house.deposit("hp", 10**12)
    answer = office.send(
        "POST", "/v1/campaigns", json={**CAMPAIGN, "targeting": targeting}, key="c"
    )
    if pointers is None:
        assert answer.status_code == 201, answer.text
    else:
        assert (answer.status_code, faults(answer)) == (409, pointers)


def test_replay_knows_the_same_audiences(office):
    make(office)
    office.send("PATCH", "/v1/audiences/buyers", json={"name": "B", "match": "any"})
    folded = office.house.replayed().catalogue
    assert folded.audiences == office.house.catalogue.audiences
    again = Catalogue()
    again.load(folded.dump())
    assert again.audiences == folded.audiences
