"""Publishers, sites and placements over HTTP, and what an ad request makes of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.events import AuctionCleared
from ringwork.ads.http_native import AdRequest, NativeAds, Page
from ringwork.ads.markup import Markup, Urls
from ringwork.ads.model import Placement, Publisher, Site
from ringwork.ads.requests import NewPlacement, NewSite, PlacementChange, PublisherChange
from ringwork.ads.shown import Shown
from tests.ads.house import House
from tests.ads.office import BODIES, Office, slug
from tests.ads.test_http_lanes import Site as Lanes


@pytest.fixture
def office():
    with House() as house:
        office = Office(house)
        office.fill()
        yield office
        office.engine.dispose()


def change(office, path, **members):
    return office.send("PATCH", path, json=members)


def pointers(answer):
    assert (answer.status_code, slug(answer)) == (409, "rule-violated"), answer.text
    return [fault["pointer"] for fault in answer.json()["errors"]]


# ---- catalogue ----------------------------------------------------------------------------------

LISTS = {
    "blocked_categories": ["7"], "blocked_domains": ["rival.example"], "blocked_advertisers": ["hp"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("/v1/publishers/pub", {"revenue_share_ppm": 700_000, "name": "Other", **LISTS}),
        ("/v1/sites/front", {"domain": "front.example", "key_values": {"section": ["a"]}, **LISTS}),
        (
            "/v1/placements/top",
            {
                "site_id": "front", "slots": 3, "rule": "vcg", "floor_nanos": 9,
                "passback_html": "<b>x</b>", "key_values": {"pos": ["1"]}, **LISTS,
            },
        ),
    ],
)  # fmt: skip
def test_places_change_and_what_is_left_out_stays(office, path, members):
    before = office.send("GET", path).json()
    answer = change(office, path, **members)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {**before, **members} == office.send("GET", path).json()
    events = len(office.house.events())
    assert change(office, path, **members).json() == answer.json()
    assert len(office.house.events()) == events, "nothing changed, nothing is recorded"
    assert change(office, path.rpartition("/")[0] + "/none").status_code == 404
    assert office.house.replayed().dumps() == office.house.folds.dumps()


@pytest.mark.parametrize(
    ("noun", "members", "pointer"),
    [
        ("sites", {"publisher_id": "none"}, "/publisher_id"),
        ("placements", {"site_id": "none"}, "/site_id"),
        ("placements", {"site_id": "other"}, "/site_id"),
        (
            "placements",
            {"format": "video", "width": 0, "height": 0, "passback_html": "<b>x</b>"},
            "/passback_html",
        ),
    ],
)
def test_places_that_do_not_belong_together(office, noun, members, pointer):
    office.create("publishers", key="o", id="else")
    office.create("sites", key="o", id="other", publisher_id="else")
    assert pointers(office.create(noun, key="x", id="x", **members)) == [pointer]


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("publishers/pub", {"revenue_share_ppm": 1_000_001}),
        ("publishers/pub", {"revenue_share_ppm": -1}),
        ("publishers/pub", {"blocked_domains": ["UPPER.example"]}),
        ("publishers/pub", {"blocked_advertisers": ["no spaces"]}),
        ("publishers/pub", {"blocked_categories": ["1"] * 201}),
        ("publishers/pub", {"id": "new"}),
        ("sites/front", {"publisher_id": "pub"}),
        ("placements/top", {"slots": 0}),
        ("placements/top", {"slots": 9}),
        ("placements/top", {"rule": "third"}),
        ("placements/top", {"format": "video"}),
        ("placements/top", {"key_values": {"k": [""]}}),
        ("placements/top", {"passback_html": "x" * 100_001}),
    ],
)
def test_changes_that_are_none(office, path, members):
    answer = change(office, f"/v1/{path}", **members)
    assert (answer.status_code, slug(answer)) == (422, "invalid")


def test_a_banner_placement_keeps_its_size(office):
    assert pointers(change(office, "/v1/placements/top", width=0)) == ["/width"]
    origins = change(office, "/v1/publishers/pub", origins=["https://a.example/path"])
    assert pointers(origins) == ["/origins/0"]


def test_every_noun_has_a_body_of_its_own():
    assert set(BODIES) == {
        "advertisers",
        "campaigns",
        "creatives",
        "publishers",
        "sites",
        "placements",
    }


# ---- the ask ------------------------------------------------------------------------------------


def native_of(publisher, site, placement):
    catalogue = Catalogue()
    catalogue.publishers["pub"] = publisher
    if site is not None:
        catalogue.sites["front"] = site
    catalogue.placements["top"] = placement
    markup = Markup(Urls("https://ads.example"))
    return NativeAds(
        catalogue, markup, Shown(markup), lambda link, publisher, now_us: ""
    ), catalogue


PUBLISHER = Publisher(
    id="pub", name="p", domain="news.example", blocked_categories=["1"], blocked_domains=["a.example"],
    blocked_advertisers=["x"],
)  # fmt: skip
SITE = Site(
    id="front", publisher_id="pub", name="s", domain="front.example", categories=["10"],
    key_values={"section": ["home"]}, blocked_categories=["2"], blocked_advertisers=["y", "x"],
)  # fmt: skip
PLACEMENT = Placement(
    id="top", publisher_id="pub", format="banner", width=300, height=250, site_id="front",
    categories=["11"], key_values={"pos": ["top"], "section": ["home"]}, blocked_domains=["b.example"],
    rule="vcg", slots=3, floor_nanos=5,
)  # fmt: skip


def ask(native, placement, **members):
    request = AdRequest(placement="top", **members)
    return native.to_ask(
        (request, placement), request_id=bytes(16), now_us=0, surroundings=("other", "")
    )


def test_a_request_joins_what_publisher_site_placement_and_page_say():
    native, _ = native_of(PUBLISHER, SITE, PLACEMENT)
    wanted = ask(
        native, PLACEMENT, page=Page(url="https://www.front.example/a", categories=["12", "10"]),
        key_values={"pos": ["top"], "mood": ["calm", "glad"]}, visit="v-1",
        blocked_categories=["3", "1"], blocked_domains=["c.example"],
    )  # fmt: skip
    context = wanted.context
    assert context.site == "www.front.example"
    assert context.categories == ("10", "11", "12")
    assert context.key_values == (
        ("section", "home"), ("pos", "top"), ("mood", "calm"), ("mood", "glad"),
    )  # fmt: skip
    assert context.blocked_categories == ("1", "2", "3")
    assert context.blocked_domains == ("a.example", "b.example", "c.example")
    assert context.blocked_advertisers == ("x", "y")
    assert wanted.visit == "v-1"


def test_a_slate_asks_for_its_slots_by_number():
    native, _ = native_of(PUBLISHER, SITE, PLACEMENT)
    slots = ask(native, PLACEMENT).slots
    assert [slot.id for slot in slots] == ["top#1", "top#2", "top#3"]
    assert {(slot.rule, slot.floor_nanos, slot.sizes) for slot in slots} == {
        ("vcg", 5, ((300, 250),))
    }
    assert {(slot.group, slot.distinct) for slot in slots} == {("top", ("creative",))}


def test_a_place_without_a_site_is_its_publisher_s():
    alone = Placement(id="top", publisher_id="pub", format="native")
    native, catalogue = native_of(PUBLISHER, None, alone)
    wanted = ask(native, alone)
    assert wanted.context.site == "news.example"
    [slot] = wanted.slots
    assert (slot.id, slot.group, slot.sizes) == ("top", "", ())
    catalogue.publishers["pub"] = Publisher(id="pub", name="p", domain="other.example")
    assert ask(native, alone).context.site == "other.example", "a change counts at once"
    assert ask(native, alone).context.blocked_domains == ()


lists = st.lists(st.sampled_from(["1", "2", "3", "4"]), max_size=4)


@given(lists, lists, lists, lists)
def test_block_lists_are_a_union_whatever_says_them(publisher, site, placement, page):
    native, _ = native_of(
        Publisher(id="pub", name="p", domain="p", blocked_categories=publisher),
        Site(id="front", publisher_id="pub", name="s", domain="s", blocked_categories=site),
        place := Placement(
            id="top", publisher_id="pub", format="native", site_id="front",
            blocked_categories=placement,
        ),
    )  # fmt: skip
    blocked = ask(native, place, blocked_categories=page).context.blocked_categories
    assert set(blocked) == {*publisher, *site, *placement, *page}
    assert len(blocked) == len(set(blocked))


# ---- the answer ---------------------------------------------------------------------------------


@pytest.fixture
def lanes():
    with House() as house:
        house.open()
        management = house.management
        house.do(lambda c: management.register_site(
            c, NewSite(id="front", publisher_id="pub", name="f", domain="news.example",
                       key_values={"section": ["home"]})
        ))  # fmt: skip
        house.do(lambda c: management.create_placement(
            c, NewPlacement(
                id="top", publisher_id="pub", site_id="front", format="banner", width=300, height=250,
                passback_html='<script src="https://else.example/t.js?n=${CACHEBUSTER}"></script>',
            )
        ))  # fmt: skip
        yield Lanes(house)


def test_when_nothing_is_sold_the_placement_s_own_markup_is_shown(lanes):
    answer = lanes.ask().json()
    assert answer["ads"] == []
    assert "allow-scripts" in answer["passback"]
    assert "allow-same-origin" not in answer["passback"]
    assert "else.example" in answer["passback"]
    assert "${CACHEBUSTER}" not in answer["passback"]
    lanes.house.campaign()
    lanes.house.creative()
    answer = lanes.ask().json()
    assert len(answer["ads"]) == 1
    assert "passback" not in answer


def test_a_placement_without_passback_answers_an_empty_list(lanes):
    change = PlacementChange(passback_html="")
    lanes.house.do(lambda c: lanes.house.management.change_placement(c, "top", change))
    assert lanes.ask().json().keys() == {"request_id", "tier", "ads"}


def test_a_slate_is_answered_with_several_ads(lanes):
    change = PlacementChange(slots=3, rule="gsp")
    lanes.house.do(lambda c: lanes.house.management.change_placement(c, "top", change))
    for n in range(3):
        lanes.house.campaign(f"c{n}")
        lanes.house.creative(f"a{n}", f"c{n}")
    ads = lanes.ask().json()["ads"]
    assert [ad["slot"] for ad in ads] == ["top#1", "top#2", "top#3"]


def test_a_scripted_ad_says_so(lanes):
    lanes.house.campaign()
    html = '<script>var clickTag = "https://adv.example/x";</script><a onclick="window.open(clickTag)">'
    lanes.house.creative(html=html)
    [ad] = lanes.ask().json()["ads"]
    assert ad["scripts"] is True
    assert ad["click"] in ad["markup"]
    lanes.house.campaign("c2", bid_nanos=10**7)
    lanes.house.creative("a2", "c2")
    [ad] = lanes.ask().json()["ads"]
    assert (ad["ad"], "scripts" in ad) == ("a2", False)


def test_what_is_recorded_holds_the_page_s_words_and_never_the_visit(lanes):
    lanes.house.campaign()
    lanes.house.creative()
    lanes.ask(key_values={"mood": ["calm"]}, visit="secret-visit-key")
    [cleared] = lanes.house.payloads(AuctionCleared)
    assert cleared.context.key_values == (("section", "home"), ("mood", "calm"))
    assert b"secret-visit-key" not in b"".join(row.payload for row in lanes.house.log.rows())


@pytest.mark.parametrize("list_name", ["blocked_domains", "blocked_categories"])
def test_what_a_publisher_blocks_is_not_shown_on_its_pages(lanes, list_name):
    lanes.house.campaign()
    lanes.house.creative(categories=["7"])
    assert lanes.ask().json()["ads"]
    value = {"blocked_domains": "adv.example", "blocked_categories": "7"}[list_name]
    change = PublisherChange(**{list_name: [value]})
    lanes.house.do(lambda c: lanes.house.management.change_publisher(c, "pub", change))
    assert lanes.ask().json()["ads"] == []


@pytest.mark.parametrize(
    "members",
    [
        {"visit": "with spaces"},
        {"visit": "x" * 65},
        {"visit": 7},
        {"key_values": {"UPPER": ["x"]}},
        {"key_values": {"k": "x"}},
        {"key_values": {"k": ["x"] * 21}},
        {"key_values": {f"k{n}": ["x"] for n in range(21)}},
        {"blocked_advertisers": ["adv"]},
    ],
)
def test_requests_that_are_none(lanes, members):
    answer = lanes.ask(**members)
    assert answer.status_code == 422, answer.text
