"""What a request asks for: context and slots, reasons for no bid, and never a person."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.model import Context
from ringwork.ads.openrtb import BidderTerms
from ringwork.ads.openrtb.ask import CATEGORIES_MAX
from tests.ads.openrtb.wire import (
    AUDIO,
    BANNER,
    TERMS,
    VIDEO,
    asked,
    native,
    reason,
    request,
    slot_of,
)


def video(**members) -> dict:
    return {"video": {**VIDEO, **members}}


# ---- context ------------------------------------------------------------------------------------


def test_the_context_is_the_place_and_the_surroundings():
    body = request(
        site={"domain": "News.Example", "cat": ["1", "2"], "sectioncat": ["2"], "pagecat": ["3"],
              "publisher": {"id": "pub"}, "content": {"cat": ["4", "x" * 33]}},
        device={"devicetype": 5, "geo": {"country": "prt", "region": "11"}},
        bcat=["52"], badv=["Evil.Example"],
    )  # fmt: skip
    assert asked(body).context == Context(
        site="news.example", publisher_id="pub", categories=("1", "2", "3", "4"), region="PRT-11",
        device_type="tablet", hour=9, blocked_categories=("52",), blocked_domains=("evil.example",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("page", "site"),
    [
        ("https://user:pw@News.example:8443/a?b#c", "news.example"),
        ("news.example/a", "news.example"),
        ("https://news.example?x=/y", "news.example"),
        ("", ""),
    ],
)
def test_without_a_domain_the_page_names_the_site(page, site):
    assert asked(request(site={"page": page})).context.site == site


def test_an_app_is_named_by_its_bundle_or_its_id():
    assert asked(request(app={"bundle": "org.app", "id": "1"})).context.app == "org.app"
    assert asked(request(app={"id": "1"})).context.app == "1"


def test_a_screen_and_nothing_at_all():
    assert asked(request(dooh={"domain": "screens.example"})).context.site == "screens.example"
    assert asked(request()).context == Context(hour=9)


def test_a_publisher_id_that_cannot_be_one_of_ours_is_left_empty():
    assert asked(request(site={"publisher": {"id": "a b"}})).context.publisher_id == ""


@pytest.mark.parametrize(
    ("geo", "region"),
    [
        ({"country": "PRT"}, "PRT"),
        ({"country": "USA", "region": "CA"}, "USA-CA"),
        ({"country": "USA", "region": "US-CA"}, "USA-CA"),
        ({"country": "GBR", "region": "GB-ENG"}, "GBR-ENG"),
        ({"country": "PRT", "region": "Lisboa"}, "PRT"),
        ({"country": "PT", "region": "11"}, ""),
        ({"country": "P1T"}, ""),
        ({"region": "11"}, ""),
        ({}, ""),
    ],
)
def test_regions_are_a_country_or_its_subdivision(geo, region):
    assert asked(request(device={"geo": geo})).context.region == region


@pytest.mark.parametrize(
    ("code", "name"),
    [(1, "phone"), (2, "computer"), (3, "tv"), (4, "phone"), (5, "tablet"), (6, "tv"), (7, "tv"),
     (8, "other"), (99, "other"), (None, "other")],
)  # fmt: skip
def test_kinds_of_device(code, name):
    assert asked(request(device={"devicetype": code})).context.device_type == name


TEXT = st.text(max_size=12)
PERSON = st.fixed_dictionaries(
    {},
    optional={
        "id": TEXT, "buyeruid": TEXT, "yob": st.integers(1900, 2026), "gender": TEXT,
        "keywords": TEXT, "customdata": TEXT, "consent": TEXT,
        "geo": st.fixed_dictionaries({"country": TEXT, "region": TEXT, "lat": st.floats(-90, 90)}),
        "data": st.just([{"segment": [{"value": "rich"}]}]),
        "eids": st.lists(st.fixed_dictionaries({"source": TEXT}), max_size=2),
        "ext": st.fixed_dictionaries({"consent": TEXT, "eids": st.just([{"source": "s"}])}),
    },
)  # fmt: skip
DEVICE_MEMBERS = (
    "ifa", "ip", "ipv6", "ua", "didsha1", "didmd5", "dpidsha1", "dpidmd5", "macsha1", "macmd5",
    "carrier", "make", "model", "os", "osv", "hwv", "language",
)  # fmt: skip
MACHINE = st.dictionaries(st.sampled_from(DEVICE_MEMBERS), TEXT)
PLACE = st.fixed_dictionaries(
    {},
    optional={
        "lat": st.floats(-90, 90), "lon": st.floats(-180, 180), "zip": TEXT, "city": TEXT,
        "metro": TEXT, "utcoffset": st.integers(-720, 840), "type": st.integers(1, 3),
    },
)  # fmt: skip


@given(
    who=st.tuples(PERSON, MACHINE, PLACE, TEXT),
    other=st.tuples(PERSON, MACHINE, PLACE, TEXT),
)
def test_requests_that_differ_only_in_the_person_ask_for_the_same(who, other):
    def seen(person, machine, place, transaction):
        geo = {"country": "PRT", "region": "11", **place}
        body = request(
            site={"domain": "news.example"}, user=person, source={"tid": transaction},
            device={"devicetype": 4, **machine, "geo": geo},
        )  # fmt: skip
        body["imp"][0]["ext"] = {"tid": transaction}
        return asked(body)

    assert seen(*who) == seen(*other)


# ---- slots --------------------------------------------------------------------------------------


def test_a_banner():
    slot = slot_of(
        {"banner": {"format": [{"w": 300, "h": 250}, {"w": 1, "h": 1}], "w": 9, "h": 9,
                    "battr": [8]}, "bidfloor": 0.0000001, "bidfloorcur": "EUR", "exp": 60}
    )  # fmt: skip
    assert (slot.format, slot.sizes) == ("banner", ((300, 250), (1, 1)))
    assert (slot.floor_nanos, slot.blocked_attributes, slot.hold_s) == (1, (8,), 60)
    assert (slot.rule, slot.needs) == ("second", ())


def test_sizes_of_a_banner():
    assert slot_of({"banner": BANNER}).sizes == ((300, 250),)
    assert slot_of({"banner": {}, "instl": 1}).sizes == ()
    flexible = {"wmin": 300, "wratio": 6, "hratio": 5}
    both = slot_of({"banner": {"format": [flexible, BANNER]}})
    assert (both.sizes, both.ratios) == (((300, 250),), ((300, 6, 5),))
    only = slot_of({"banner": {"format": [flexible]}})
    assert (only.sizes, only.ratios) == ((), ((300, 6, 5),))


def test_a_video():
    slot = slot_of(video(minduration=5, maxduration=30, protocols=[2, 6], battr=[1], w=640, h=360))
    assert (slot.format, slot.mimes, slot.sizes) == ("video", ("video/mp4",), ())
    assert (slot.min_duration_s, slot.max_duration_s) == (5, 30)
    assert slot.blocked_attributes == (1,)


def test_a_player_with_a_skip_button_takes_no_creative_that_draws_one():
    assert slot_of(video(skip=1, battr=[1])).blocked_attributes == (1, 16)
    assert slot_of(video(skip=0)).blocked_attributes == ()


def test_a_native_place_passes_on_what_it_needs():
    wanted = native(assets=[{"img": {"type": 3}, "required": 1}])
    assert slot_of({**wanted, "secure": 1}).needs == ("image", "https")


def test_every_medium_of_an_impression_is_a_slot():
    ask = asked(request({"banner": BANNER, **video(), **native(), "audio": AUDIO}))
    assert [(slot.id, slot.format) for slot in ask.slots] == [
        ("1", "video"), ("1", "audio"), ("1", "banner"), ("1", "native"),
    ]  # fmt: skip


def test_an_audio_slot():
    slot = slot_of({"audio": {**AUDIO, "minduration": 5, "maxduration": 30, "battr": [1]}})
    assert (slot.format, slot.mimes, slot.sizes) == ("audio", ("audio/mpeg",), ())
    assert (slot.min_duration_s, slot.max_duration_s) == (5, 30)
    assert slot.blocked_attributes == (1,)


def test_holds_are_bounded():
    assert slot_of({"banner": BANNER}).hold_s == TERMS.hold_s
    assert slot_of({"banner": BANNER, "exp": 0}).hold_s == TERMS.hold_s
    assert slot_of({"banner": BANNER, "exp": 10**9}).hold_s == TERMS.max_hold_s


@pytest.mark.parametrize(("at", "charge_bid"), [(1, False), (2, True), (None, True), (501, False)])
def test_only_a_second_price_exchange_is_given_the_full_bid(at, charge_bid):
    assert asked(request(at=at)).charge_bid is charge_bid


# ---- no bid -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "members"),
    [
        ("insufficient-time", {"tmax": 4}),
        ("currency", {"cur": ["USD", "GBP"]}),
        ("seat", {"wseat": ["other"]}),
        ("seat", {"bseat": ["ringwork"]}),
    ],
)
def test_requests_that_cannot_be_honoured(why, members):
    assert reason(request(**members)) == why


@pytest.mark.parametrize(
    "members",
    [
        {"tmax": 5}, {"tmax": 0}, {"cur": ["USD", "EUR"]}, {"wseat": ["ringwork"]},
        {"bseat": ["other"]}, {"acat": []}, {"regs": {"ext": {"dsa": {"dsarequired": 1}}}},
    ],
)  # fmt: skip
def test_requests_that_can(members):
    assert asked(request(**members)).slots


@pytest.mark.parametrize(
    ("why", "imp"),
    [
        ("private-auction", {"banner": BANNER, "pmp": {"private_auction": 1}}),
        ("private-auction", {"banner": BANNER, "pmp": {"private_auction": 1, "deals": []}}),
        ("currency", {"banner": BANNER, "bidfloor": 1}),
        ("currency", {**video(mincpmpersec=1, maxduration=9), "bidfloorcur": "GBP"}),
        ("banner-type", {"banner": {**BANNER, "btype": [1, 4]}}),
        ("banner-type", {"banner": {**BANNER, "btype": [2]}}),
        ("format", video(linearity=2)),
        ("protocol", video(protocols=[1, 9, 10])),
        ("delivery", video(delivery=[1])),
        ("delivery", video(delivery=[2], mimes=["application/x-mpegURL"])),
        ("duration", video(minduration=31, maxduration=30)),
        ("duration", video(maxduration=0)),
        ("duration", video(poddur=10, minduration=15)),
        ("duration", video(poddur=10, rqddurs=[15, 30])),
        ("asset", native(assets=[{"img": {"type": 2}, "required": 1}])),
    ],
)
def test_impressions_that_cannot_be_sold(why, imp):
    assert reason(request(imp)) == why


def test_a_floor_of_nothing_has_no_currency():
    assert slot_of({"banner": BANNER, "bidfloor": 0, "bidfloorcur": "GBP"}).floor_nanos == 0


def test_impressions_that_can_be_sold_are_sold_without_the_others():
    body = request()
    body["imp"].append({"id": "2", **video(linearity=2)})
    body["imp"].append({"id": "3", **video()})
    assert [slot.id for slot in asked(body).slots] == ["1", "3"]


def test_a_refreshing_place_is_refused_where_it_is_too_fast():
    refresh = {"refresh": {"refsettings": [{"reftype": 3, "minint": 10}, {"minint": None}]}}
    assert slot_of({"banner": BANNER, **refresh}).id == "1"
    slow = BidderTerms(currency="EUR", min_refresh_s=11)
    assert reason(request({"banner": BANNER, **refresh}), slow) == "refresh"
    fine = BidderTerms(currency="EUR", min_refresh_s=10)
    assert slot_of({"banner": BANNER, **refresh}, fine).id == "1"


def test_what_creatives_are_limited_to():
    slot = slot_of({"banner": BANNER}, wlang=["PT", "en"], bapp=["org.app"], acat=["52"])
    assert (slot.languages, slot.blocked_apps) == (("pt", "en"), ("org.app",))
    assert slot.allowed_categories == ("52",)
    assert slot_of({"banner": BANNER}, wlangb=["pt-BR"]).languages == ("pt-br",)
    free = slot_of({"banner": BANNER}, wlang=[], bapp=[], acat=[])
    assert (free.languages, free.blocked_apps, free.allowed_categories) == ((), (), ())


def test_categories_are_bounded():
    many = [str(number) for number in range(CATEGORIES_MAX + 5)]
    assert asked(request(site={"cat": many})).context.categories == tuple(many[:CATEGORIES_MAX])


@pytest.mark.parametrize("text", ["x" * 65, "x" * 100_000, "-x", ""])
def test_a_publisher_id_of_any_length_is_read(text):
    assert asked(request(site={"publisher": {"id": text}})).context.publisher_id == ""


@given(st.text(max_size=8), st.text(max_size=200))
def test_a_region_is_one_that_a_campaign_can_target_or_nothing(country, region):
    found = asked(request(device={"geo": {"country": country, "region": region}})).context.region
    assert found == "" or re.fullmatch(r"[A-Z]{3}(-[A-Z0-9]{1,3})?", found)


@pytest.mark.parametrize(
    ("delivery", "mimes"),
    [
        ([1], ("application/x-mpegURL",)),
        ([2], ("video/mp4",)),
        ([3, 2], ("video/mp4",)),
        ([1, 2], ("video/mp4", "application/x-mpegURL")),
        ([99], ("video/mp4", "application/x-mpegURL")),
        (None, ("video/mp4", "application/x-mpegURL")),
    ],
)
def test_media_come_as_the_player_wants_them(delivery, mimes):
    both = ["video/mp4", "application/x-mpegURL"]
    assert slot_of(video(delivery=delivery, mimes=both)).mimes == mimes


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"site": {"keywords": "Paint, garden ,paint,,"}}, ["paint", "garden"]),
        ({"site": {"kwarray": ["Oak", "oak table"]}}, ["oak", "oak table"]),
        ({"site": {"keywords": "a", "content": {"keywords": "b,a"}}}, ["a", "b"]),
        ({"app": {"bundle": "x", "keywords": "a"}}, ["a"]),
        ({"dooh": {"content": {"keywords": "a"}}}, ["a"]),
        ({"site": {"keywords": "k" * 81 + ",b"}}, ["b"]),
        ({"site": {"kwarray": [str(n) for n in range(99)]}}, [str(n) for n in range(20)]),
        ({"site": {}, "user": {"keywords": "secret"}}, []),
        ({}, []),
    ],
)
def test_keywords_of_the_page_can_be_targeted_and_the_user_s_are_not_read(members, words):
    assert asked(request(**members)).context.key_values == tuple(("keyword", one) for one in words)
