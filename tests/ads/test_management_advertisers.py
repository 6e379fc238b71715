"""An advertiser is changed: by whom, what stays, and what its ads go by from then on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.events import AdvertiserChanged
from ringwork.ads.requests import AdvertiserChange
from tests.ads.house import SITE, House, changed
from tests.ads.office import Office, slug

ADVERTISER = "/v1/advertisers/hp"


@pytest.fixture
def office():
    with House() as house:
        office = Office(house)
        office.fill()
        yield office
        office.engine.dispose()


def change(office, role="manager", path=ADVERTISER, **members):
    return office.send("PATCH", path, role=role, json=members)


def test_a_name_and_a_domain_are_changed_and_the_rest_stays(office):
    before = office.send("GET", ADVERTISER).json()
    answer = change(office, name="Harbour & Co")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {**before, "name": "Harbour & Co"}
    assert change(office, domain="harbour.example").json()["domain"] == "harbour.example"
    assert office.send("GET", ADVERTISER).json() == {
        **before, "name": "Harbour & Co", "domain": "harbour.example"
    }  # fmt: skip


def test_the_same_again_records_nothing(office):
    change(office, name="Harbour & Co")
    events = len(office.house.events())
    assert change(office, name="Harbour & Co").status_code == 200
    assert change(office).status_code == 200
    assert len(office.house.events()) == events


def test_who_may_not_or_says_nonsense_changes_nothing(office):
    before = office.send("GET", ADVERTISER).json()
    assert change(office, role="auditor", name="X").status_code == 403
    for members in ({"domain": "No Domain"}, {"name": ""}, {"currency": "USD"}, {"contact": "me"}):
        assert change(office, **members).status_code in (400, 422), members
    missing = change(office, path="/v1/advertisers/nobody", name="X")
    assert (missing.status_code, slug(missing)) == (404, "not-found")
    assert office.send("GET", ADVERTISER).json() == before


def test_its_contact_stays_where_it_was_sealed(office):
    house = office.house
    office.send(
        "POST", "/v1/advertisers", role="manager",
        json={"id": "b", "name": "B", "domain": "b.example", "currency": "EUR", "contact": "a@b"},
    )  # fmt: skip
    sealed = house.catalogue.advertisers["b"].contact
    assert sealed
    change(office, path="/v1/advertisers/b", name="Bakers")
    assert house.catalogue.advertisers["b"].contact == sealed
    [event] = [one.payload for one in house.events() if isinstance(one.payload, AdvertiserChanged)]
    assert event.advertiser.contact is None


def renamed(house, **members):
    wanted = AdvertiserChange(**members)
    return house.do(lambda c: house.management.change_advertiser(c, "adv", wanted))


def test_its_ads_go_by_the_new_domain_at_once():
    with House() as house:
        house.open()
        house.campaign()
        house.creative()
        _, [served] = house.serve()
        assert served.advertiser_domain == "adv.example"
        renamed(house, domain="new.example")
        _, [served] = house.serve()
        assert served.advertiser_domain == "new.example"
        house.creative("a2")  # of a campaign that was known under the old domain
        blocked = changed(SITE, blocked_domains=("new.example",))
        assert house.serve(context=blocked)[1] == []


@given(st.lists(st.tuples(st.sampled_from(["name", "domain"]), st.sampled_from("abc")), max_size=8))
def test_a_replay_has_the_same_advertiser(steps):
    with House() as house:
        house.open()
        for member, value in steps:
            renamed(house, **{member: f"{value}.example"})
        expected = {"name": "Adv", "domain": "adv.example"}
        expected |= {member: f"{value}.example" for member, value in steps}
        kept = house.replayed().catalogue.advertisers["adv"]
        assert {"name": kept.name, "domain": kept.domain} == expected
        assert house.replayed().catalogue.advertisers == house.catalogue.advertisers
