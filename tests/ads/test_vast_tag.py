"""The tag of video and audio players: a URL in, a VAST document out, billed like any sale."""

import xml.etree.ElementTree as ET
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.events import AuctionCleared, ImpressionBilled
from ringwork.ads.http_native import NativeAds
from ringwork.ads.http_vast import EMPTY, VastTag, document_of, request_of
from ringwork.ads.markup import Markup, Urls
from ringwork.ads.model import FrequencyCap, Targeting
from ringwork.ads.requests import NewPlacement
from ringwork.ads.shown import Shown
from ringwork.kernel.errors import Invalid
from ringwork.web.lane import FastLane
from ringwork.web.metrics import LaneMetrics
from tests.ads.house import House
from tests.ads.test_http_lanes import ORIGIN, REMOTE, Site

XML = '<VAST version="4.0"><Ad id="theirs"><InLine><AdSystem>x</AdSystem></InLine></Ad></VAST>'


@pytest.fixture
def site():
    with House() as house:
        house.open()
        for id, format, slots in (("clip", "video", 1), ("pod", "video", 2), ("song", "audio", 1)):
            new = NewPlacement(id=id, publisher_id="pub", format=format, slots=slots)
            house.do(lambda c, new=new: house.management.create_placement(c, new))
        banner = NewPlacement(id="top", publisher_id="pub", format="banner", width=300, height=250)
        house.do(lambda c: house.management.create_placement(c, banner))
        for number, bid_nanos in enumerate((3_000_000, 2_000_000)):
            house.campaign(f"c{number}", bid_nanos=bid_nanos)
            house.creative(
                f"v{number}", f"c{number}", format="video", html="", duration_s=15,
                video_url="https://adv.example/a.mp4", video_mime="video/mp4",
            )  # fmt: skip
        site = Site(house)
        markup = Markup(Urls("https://ads.example"))
        shown = Shown(markup)
        lane = VastTag(
            catalogue=house.catalogue, native=NativeAds(house.catalogue, markup, shown, lambda link, publisher, now_us: ""),
            shown=shown, serve=house.flow(),
            keys=site.keys, clock=house.clock, locate=lambda address: "PRT-11",
        ).lane()  # fmt: skip
        site.app = FastLane(
            [lane], site.app, new_request_id=house.ids.new,
            monotonic_ns=house.clock.monotonic_ns, metrics={lane.path: LaneMetrics()},
        )  # fmt: skip
        yield site


def ads(answer) -> list[ET.Element]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/xml; charset=utf-8"
    return ET.fromstring(answer.content).findall("Ad")  # of our own


def test_a_player_gets_an_ad_and_its_impression_bills(site):
    [ad] = ads(site.send("GET", "/vast/clip?url=https%3A%2F%2Fnews.example%2Fa&cb=123"))
    assert (ad.get("id"), ad.get("sequence")) == ("v0", None), "one that stands alone has none"
    url = ad.findtext("InLine/Impression")
    assert site.send("GET", url.removeprefix("https://ads.example")).status_code == 204
    [bill] = site.house.payloads(ImpressionBilled)
    assert (bill.placement, bill.price_nanos) == ("clip", 2_000_000)


def test_a_pod_is_in_sequence_and_each_of_its_ads_bills_for_itself(site):
    found = ads(site.send("GET", "/vast/pod"))
    assert [(ad.get("id"), ad.get("sequence")) for ad in found] == [("v0", "1"), ("v1", "2")]
    for ad in found:
        url = ad.findtext("InLine/Impression")
        assert site.send("GET", url.removeprefix("https://ads.example")).status_code == 204
    assert len(site.house.payloads(ImpressionBilled)) == 2


def test_nothing_sold_is_a_document_without_an_ad(site):
    answer = site.send("GET", "/vast/song")
    assert ads(answer) == []
    assert answer.text == EMPTY


@pytest.mark.parametrize(
    ("path", "status", "pointer"),
    [
        ("/vast/none", 404, None),
        ("/vast/top", 422, "/placement"),
        ("/vast/clip?region=somewhere", 422, "/region"),
        ("/vast/clip?url=nowhere", 422, "/page/url"),
        ("/vast/clip?device_type=fridge", 422, "/device_type"),
        ("/vast/clip?visit=" + "v" * 65, 422, "/visit"),
        ("/vast/clip?" + "kv_a=1&" * 101, 422, None),
        ("/vast/clip?x=" + "y" * 9000, 422, None),
    ],
)
def test_what_cannot_be_asked_is_named(site, path, status, pointer):
    answer = site.send("GET", path)
    assert answer.status_code == status
    problem = answer.json()
    assert problem["detail"]
    if pointer:
        assert [one["pointer"] for one in problem["errors"]] == [pointer]
    assert site.house.payloads(AuctionCleared) == []


def test_a_page_of_the_publisher_may_ask_and_others_need_a_key(site):
    headers = {"origin": ORIGIN}
    answer = site.send("GET", "/vast/clip", REMOTE, headers=headers)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert site.house.payloads(AuctionCleared)[-1].context.region == "PRT-11", "where it asks from"
    assert len(ads(answer)) == 1
    for headers, status in (({}, 401), ({"origin": "https://other.example"}, 403)):
        assert site.send("GET", "/vast/clip", REMOTE, headers=headers).status_code == status
    key = site.key("supply")
    assert len(ads(site.send("GET", "/vast/clip", REMOTE, headers=key))) == 1
    assert site.send("POST", "/vast/clip").status_code == 405


def test_what_the_tag_says_of_the_page_counts(site):
    target = Targeting(key_values={"show": ["news"]}, categories=["IAB12"])
    site.house.campaign("c9", bid_nanos=9_000_000, targeting=target, frequency_caps=[ONCE])
    site.house.creative(
        "v9", "c9", format="video", html="", duration_s=15,
        video_url="https://adv.example/9.mp4", video_mime="video/mp4",
    )  # fmt: skip
    path = "/vast/clip?kv_show=news&category=IAB12-1&visit=v"
    assert [ads(site.send("GET", path))[0].get("id") for _ in range(2)] == ["v9", "v0"]
    assert ads(site.send("GET", "/vast/clip?kv_show=news&visit=w"))[0].get("id") == "v0"


ONCE = FrequencyCap(impressions=1, window_s=3600)


@pytest.mark.parametrize("value", ["[PAGEURL]", "${PAGE_URL}", "%%PAGE_URL%%", ""])
def test_a_macro_that_was_not_filled_in_is_not_there(value):
    asked = request_of("clip", f"url={quote(value)}&visit={quote(value)}".encode())
    assert (asked.page.url, asked.visit) == (None, "")


@given(st.binary(max_size=200))
def test_any_query_is_read_or_refused(query):
    try:
        assert request_of("clip", query).placement == "clip"
    except Invalid as refused:
        assert refused.detail


def test_another_server_s_document_has_its_place_in_a_pod():
    document = document_of([XML, XML.replace("theirs", "second")])
    root = ET.fromstring(document)  # of our own
    assert [(ad.get("id"), ad.get("sequence")) for ad in root.findall("Ad")] == [
        ("theirs", "1"), ("second", "2"),
    ]  # fmt: skip
    assert root.get("version") == "4.2"


def test_a_stream_says_that_it_is_one(site):
    site.house.campaign("hls", bid_nanos=9_000_000)
    site.house.creative(
        "h", "hls", format="video", html="", duration_s=15,
        video_url="https://adv.example/a.m3u8", video_mime="application/x-mpegURL",
    )  # fmt: skip
    [ad] = ads(site.send("GET", "/vast/clip"))
    path = "InLine/Creatives/Creative/Linear/MediaFiles/MediaFile"
    assert ad.find(path).get("delivery") == "streaming"
