"""The rules between the members of campaigns, sites and placements, each by its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.model import Campaign, Excluded, FrequencyCap, Targeting
from ringwork.ads.requests import CampaignChange, NewCampaign
from ringwork.ads.rules import check_campaign, is_time_zone
from ringwork.kernel.errors import Conflict
from ringwork.kernel.money import Money
from tests.ads.house import House, euros
from tests.ads.office import Office, slug

END = 1_800_000_000_000_000


@pytest.fixture(scope="module")
def office():
    with House() as house:
        office = Office(house)
        office.fill()
        house.deposit("hp", 10**14)
        yield office
        office.engine.dispose()


def campaign(office, **members):
    campaign.count += 1
    body = {"pricing": "cpm", "bid_nanos": 1000, **members}
    return office.create("campaigns", key=f"c{campaign.count}", id=f"c{campaign.count}", **body)


campaign.count = 0


def pointers(answer):
    assert answer.status_code == 409, answer.text
    assert slug(answer) == "rule-violated"
    return [fault["pointer"] for fault in answer.json()["errors"]]


CAP = {"impressions": 3, "window_s": 3600}
LONG = {"impressions": 9, "window_s": 86_400}


@pytest.mark.parametrize(
    "members",
    [
        {"priority": "sponsorship", "share_ppm": 250_000},
        {"priority": "guaranteed", "goal_impressions": 1000, "ends_us": END},
        {"priority": "guaranteed", "goal_impressions": 10**8, "ends_us": END},
        {"targeting": {"time_zone": "Europe/Lisbon", "weekdays": [0, 6], "hours": [9]}},
        {"frequency_caps": [CAP, LONG, {**CAP, "per": "advertiser"}]},
        {"frequency_caps": [LONG, CAP]},
        {"roadblock": True, "exclusion_labels": ["cars"], "pacing": "asap"},
        {"pricing": "cpa", "view_through": True},
        {"pricing": "vcpm"},
        {"targeting": {"regions": ["PRT"], "excluded": {"regions": ["PRT-11"]}}},
        {"targeting": {"key_values": {"a": ["1"]}, "excluded": {"key_values": {"a": ["2"]}}}},
    ],
)
def test_what_fits_together_is_taken_as_it_is(office, members):
    answer = campaign(office, **members)
    assert answer.status_code == 201, answer.text
    read = office.send("GET", f"/v1/campaigns/{answer.json()['id']}").json()
    for name, value in members.items():
        if name not in ("targeting", "frequency_caps"):
            assert read[name] == value


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"priority": "sponsorship"}, "/share_ppm"),
        ({"share_ppm": 1000}, "/share_ppm"),
        ({"priority": "guaranteed", "ends_us": END}, "/goal_impressions"),
        ({"priority": "guaranteed", "goal_impressions": 5}, "/ends_us"),
        (
            {"priority": "guaranteed", "goal_impressions": 10**8 + 1, "ends_us": END},
            "/budget",
        ),
        ({"goal_impressions": 5}, "/goal_impressions"),
        ({"priority": "house"}, "/budget"),
        ({"targeting": {"time_zone": "Europe/Atlantis"}}, "/targeting/time_zone"),
        ({"targeting": {"time_zone": "../../etc/passwd"}}, "/targeting/time_zone"),
        ({"targeting": {"time_zone": "Europe"}}, "/targeting/time_zone"),
        ({"targeting": {"time_zone": ""}}, "/targeting/time_zone"),
        (
            {"targeting": {"sites": ["a.example"], "excluded": {"sites": ["b", "a.example"]}}},
            "/targeting/excluded/sites/1",
        ),
        (
            {"targeting": {"key_values": {"a": ["1"]}, "excluded": {"key_values": {"a": ["1"]}}}},
            "/targeting/excluded/key_values/a",
        ),
        ({"frequency_caps": [CAP, CAP]}, "/frequency_caps/1"),
        ({"frequency_caps": [{**LONG, "impressions": 3}, CAP]}, "/frequency_caps/0"),
        ({"pricing": "cpc", "roadblock": True}, "/pricing"),
        ({"view_through": True}, "/view_through"),
        ({"bid_nanos": 10**12 + 1}, "/bid_nanos"),
        ({"bid_nanos": 10**12 + 1, "pricing": "vcpm"}, "/bid_nanos"),
        ({"bid_nanos": 10**15 + 1, "pricing": "cpc"}, "/bid_nanos"),
    ],
)
def test_what_does_not_fit_is_pointed_at(office, members, pointer):
    before = office.house.folds.dumps()
    assert pointers(campaign(office, **members)) == [pointer]
    assert office.house.folds.dumps() == before


@pytest.mark.parametrize(
    "members",
    [
        {"priority": "first"},
        {"share_ppm": 0},
        {"share_ppm": 1_000_001},
        {"goal_impressions": 0},
        {"frequency_caps": [{"impressions": 0, "window_s": 60}]},
        {"frequency_caps": [{"impressions": 1, "window_s": 59}]},
        {"frequency_caps": [CAP] * 6},
        {"frequency_caps": [{**CAP, "per": "person"}]},
        {"targeting": {"weekdays": [7]}},
        {"targeting": {"key_values": {"A B": ["1"]}}},
        {"targeting": {"excluded": {"hours": [1]}}},
        {"exclusion_labels": ["Ünsafe"]},
        {"pacing": "front"},
        {"roadblock": 1},
    ],
)
def test_what_is_not_in_the_types_is_invalid(office, members):
    answer = campaign(office, **members)
    assert (answer.status_code, slug(answer)) == (422, "invalid")


def test_a_house_campaign_is_free(office):
    body = {
        "id": "own",
        "advertiser_id": "hp",
        "name": "Own",
        "special_ad_categories": [],
        "pricing": "cpm",
        "priority": "house",
    }
    answer = office.send("POST", "/v1/campaigns", key="own", json=body)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["bid_nanos"], answer.json()["budget"]["units"]) == (1, 0)
    assert office.house.ledger.accounts["campaign/own"].available_nanos == 0
    for members in ({"pricing": "cpc"}, {"daily_budget": body_money(1)}):
        wrong = office.send(
            "POST", "/v1/campaigns", key=str(members), json={**body, "id": "o2", **members}
        )
        assert len(pointers(wrong)) == 1
    paid = office.send(
        "POST", "/v1/campaigns", key="p", json={**body, "id": "o3", "priority": "price"}
    )
    assert pointers(paid) == ["/bid_nanos", "/budget"]
    change = {"priority": "price", "bid_nanos": 5}
    kept = office.send("PATCH", "/v1/campaigns/own", key="kept", json=change)
    assert pointers(kept) == ["/budget"], "who pays needs a budget"
    change["budget"] = body_money(2)
    paid = office.send("PATCH", "/v1/campaigns/own", key="paid", json=change)
    assert paid.status_code == 200
    assert office.house.ledger.accounts["campaign/own"].available_nanos == 2 * 10**9


def body_money(units):
    return {"currency": "EUR", "units": units, "nanos": 0}


def test_a_roadblock_is_of_banners(office):
    id = campaign(office, roadblock=True).json()["id"]
    native = {"format": "native", "title": "x", "html": "", "width": 0, "height": 0}
    answer = office.create("creatives", key="n", id="n", campaign_id=id, **native)
    assert pointers(answer) == ["/format"]
    id = campaign(office).json()["id"]
    assert (
        office.create("creatives", key="n2", id="n2", campaign_id=id, **native).status_code == 201
    )
    answer = office.send("PATCH", f"/v1/campaigns/{id}", key="r", json={"roadblock": True})
    assert pointers(answer) == ["/roadblock"]


@pytest.mark.parametrize(
    ("pricing", "format", "is_measured"),
    [
        ("vcpm", "banner", True), ("vcpm", "audio", False), ("cpv", "banner", False),
        ("cpv", "native", False), ("cpv", "video", True), ("cpm", "audio", True),
    ],
)  # fmt: skip
def test_views_are_sold_where_they_can_be_measured(office, pricing, format, is_measured):
    id = campaign(office, pricing=pricing).json()["id"]
    members = {
        "banner": {},
        "native": {"title": "x", "html": ""},
        "video": {
            "video_url": "https://v.example/a.mp4",
            "video_mime": "video/mp4",
            "duration_s": 5,
        },
        "audio": {
            "audio_url": "https://v.example/a.mp3",
            "audio_mime": "audio/mpeg",
            "duration_s": 5,
        },
    }[format]
    body = {"key": id, "id": f"of-{id}", "campaign_id": id, "format": format, **members}
    answer = office.create("creatives", **body)
    if is_measured:
        assert answer.status_code == 201, answer.text
    else:
        assert pointers(answer) == ["/format"]


caps = st.lists(
    st.builds(
        FrequencyCap, impressions=st.integers(1, 9), window_s=st.sampled_from([60, 600, 6000])
    ),
    max_size=5,
)


@given(caps)
def test_caps_are_sane_if_every_one_of_them_can_bind(given_caps):
    """By trying: each cap, alone, must allow something that all the longer ones allow too."""
    faults = check_campaign(catalogue(), one(frequency_caps=given_caps), currency="EUR")
    pairs = [(a, b) for i, a in enumerate(given_caps) for b in given_caps[i + 1 :]]
    sane = all(
        a.window_s != b.window_s
        and (a.window_s < b.window_s) == (a.impressions < b.impressions)
        and a.impressions != b.impressions
        for a, b in pairs
    )
    assert (not faults) == sane


def catalogue():
    found = Catalogue()
    found.advertisers["hp"] = None
    return found


def one(**members):
    return Campaign(
        id="c", advertiser_id="hp", name="c", pricing="cpm", bid_nanos=1, budget=euros(9), **members
    )


def test_time_zones_are_the_machine_s():
    assert is_time_zone("UTC")
    assert is_time_zone("America/Argentina/Buenos_Aires")
    assert not is_time_zone("/etc/localtime")
    assert not is_time_zone("Europe/Lisbon\x00")


def test_an_old_campaign_can_be_changed_by_its_rules_alone():
    targeting = Targeting(excluded=Excluded(sites=["a"]))
    assert check_campaign(catalogue(), one(targeting=targeting), currency="EUR") == []


def test_a_command_refuses_a_foreign_currency_of_a_house_campaign():
    with House() as house:
        house.open()
        new = NewCampaign(
            id="h", advertiser_id="adv", name="h", special_ad_categories=[], pricing="cpm",
            priority="house",
            budget=Money("USD", 0, 0),
        )  # fmt: skip
        with pytest.raises(Conflict, match="/budget/currency"):
            house.do(lambda c: house.management.create_campaign(c, new))
        house.campaign("c")
        change = CampaignChange(priority="house")
        with pytest.raises(Conflict, match="a house campaign is free"):
            house.do(lambda c: house.management.change_campaign(c, "c", change))
