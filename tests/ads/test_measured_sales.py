"""Ads that are paid for being seen, sold to exchanges: only where it can be reported, and by whom."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest

from ringwork.ads.creatives.check import check_creative
from ringwork.ads.events import AuctionCleared, ImpressionMeasured
from ringwork.ads.model import Creative, Slot
from tests.ads.house import House
from tests.ads.test_http_lanes import Site, path_of

VIEWABLE_NATIVE = {"event": 2, "methods": [1, 2]}
VIDEO = {"mimes": ["video/mp4"], "w": 640, "h": 360}


def native(*trackers: dict) -> dict:
    wanted = {"assets": [{"title": {"len": 25}}], "eventtrackers": list(trackers)}
    return {"native": {"request": json.dumps(wanted)}}


@pytest.fixture
def house():
    with House() as house:
        house.open()
        yield house


def stock(house: House, pricing: str, format: str) -> Site:
    members = {
        "banner": {},
        "video": {"html": "", "video_url": "https://a.example/v.mp4", "video_mime": "video/mp4",
                  "duration_s": 15, "width": 640, "height": 360},
        "native": {"html": "", "title": "Paint", "width": 0, "height": 0},
    }[format]  # fmt: skip
    house.campaign(pricing=pricing)
    house.creative(format=format, **members)
    return Site(house)


def ask(site: Site, imp: dict) -> dict | None:
    body = {
        "id": "r", "at": 1, "cur": ["EUR"], "imp": [{"id": "1", **imp}],
        "site": {"domain": "news.example", "publisher": {"id": "pub"}},
    }  # fmt: skip
    answer = site.send("POST", "/openrtb2/auction", json=body)
    if answer.status_code == 204:
        return None
    return answer.json()["seatbid"][0]["bid"][0]


@pytest.mark.parametrize(
    ("pricing", "format", "imp", "is_sold"),
    [
        ("vcpm", "banner", {"banner": {"w": 300, "h": 250}}, True),
        ("vcpm", "banner", {"banner": {"w": 300, "h": 250, "btype": [3]}}, False),
        ("cpm", "banner", {"banner": {"w": 300, "h": 250}}, True),
        ("vcpm", "native", native(), False),
        ("vcpm", "native", native({"event": 1, "methods": [1]}), False),
        ("vcpm", "native", native({"event": 2, "methods": [2]}), False),
        ("vcpm", "native", native(VIEWABLE_NATIVE), True),
        ("vcpm", "video", {"video": VIDEO}, True),
        ("vcpm", "video", {"video": {**VIDEO, "protocols": [2, 3, 5]}}, False),
        ("vcpm", "video", {"video": {**VIDEO, "protocols": [3, 7]}}, True),
        ("cpv", "video", {"video": {**VIDEO, "protocols": [2]}}, True),
    ],
)
def test_what_cannot_be_reported_is_not_sold(house, pricing, format, imp, is_sold):
    site = stock(house, pricing, format)
    assert (ask(site, imp) is not None) is is_sold
    (cleared,) = house.payloads(AuctionCleared)
    excluded = {"needs": 1} if not is_sold else {}
    assert cleared.slots[0].excluded == excluded


def measured_by(bid: dict, format: str) -> list[str]:
    """The URLs that a player or a renderer calls after the impression."""
    if format == "banner":
        return re.findall(r"fetch\('([^']*)'", bid["adm"])
    if format == "native":
        trackers = json.loads(bid["adm"])["eventtrackers"]
        assert {one["method"] for one in trackers} == {1}
        return [one["url"] for one in trackers if one["event"] == 2]
    root = ElementTree.fromstring(bid["adm"])
    seen = [one.text for one in root.iter("Viewable")]
    return seen + [one.text for one in root.iter("Tracking") if one.get("event") == "complete"]


@pytest.mark.parametrize(
    ("pricing", "format", "imp", "measure"),
    [
        ("vcpm", "banner", {"banner": {"w": 300, "h": 250}}, "viewable"),
        ("vcpm", "native", native({"event": 1, "methods": [1]}, VIEWABLE_NATIVE), "viewable"),
        ("vcpm", "video", {"video": VIDEO}, "viewable"),
        ("cpv", "video", {"video": {**VIDEO, "protocols": [3]}}, "view"),
    ],
)
def test_what_is_sold_is_charged_when_it_is_reported(house, pricing, format, imp, measure):
    site = stock(house, pricing, format)
    bid = ask(site, imp)
    assert site.send("GET", path_of(bid["burl"])).status_code == 204
    assert house.ledger.accounts["publisher/pub"].credits_posted == 0
    (url,) = measured_by(bid, format)
    for _ in range(2):
        assert site.send("GET", path_of(url)).status_code == 204
    (measured,) = house.payloads(ImpressionMeasured)
    assert (measured.measure, measured.unbilled_reason) == (measure, "")
    assert measured.charged_nanos == house.ledger.accounts["publisher/pub"].credits_posted > 0


def test_a_banner_bids_its_price_times_how_probable_it_is_that_it_is_seen(house):
    """The campaign's 2,500,000 a viewable impression; alone with a floor of 1.20 CPM, at 60 %."""
    site = stock(house, "vcpm", "banner")
    bid = ask(site, {"banner": {"w": 300, "h": 250}, "bidfloor": 1.2, "bidfloorcur": "EUR"})
    assert bid["price"] == 1.2
    (url,) = measured_by(bid, "banner")
    assert site.send("GET", path_of(url)).status_code == 204
    # 1,200,000 / 0.6 for one that was seen.
    assert house.ledger.accounts["publisher/pub"].credits_posted == 2_000_000


def test_an_app_and_a_screen_know_no_window(house):
    site = stock(house, "vcpm", "banner")
    for place in ("app", "dooh"):
        body = {
            "id": "r", "cur": ["EUR"], "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
            place: {"id": "p", "publisher": {"id": "pub"}},
        }  # fmt: skip
        assert site.send("POST", "/openrtb2/auction", json=body).status_code == 204


DOCUMENT = (
    '<VAST version="VERSION"><Ad id="1"><InLine><AdSystem>x</AdSystem><AdTitle>t</AdTitle>'
    "<Impression>https://o.example/i</Impression><Creatives><Creative><Linear>"
    '<Duration>00:00:15</Duration><MediaFiles><MediaFile delivery="progressive" type="video/mp4" '
    'width="640" height="360">https://o.example/v.mp4</MediaFile></MediaFiles><VideoClicks>'
    "<ClickThrough>https://adv.example/x</ClickThrough></VideoClicks></Linear></Creative>"
    "</Creatives></InLine></Ad></VAST>"
)


@pytest.mark.parametrize(
    ("version", "pricing", "is_sold"),
    [("4.0", "vcpm", True), ("4.2", "vcpm", True), ("3.0", "vcpm", False), ("2.0", "vcpm", False),
     ("3.0", "cpv", True), ("3.0", "cpm", True)],
)  # fmt: skip
def test_a_document_is_sold_by_the_view_to_exchanges_only_if_it_can_report_it(
    house, version, pricing, is_sold
):
    house.campaign(pricing=pricing)
    house.creative(
        format="video", html="", video_mime="video/mp4", duration_s=15, width=640, height=360,
        vast_xml=DOCUMENT.replace("VERSION", version),
    )  # fmt: skip
    site = Site(house)
    bid = ask(site, {"video": VIDEO})
    assert (bid is not None) is is_sold
    if bid is not None and pricing == "vcpm":
        assert len(measured_by(bid, "video")) == 1
    # A page is given the beacon, whatever its player is told.
    slot = Slot(id="v", format="video", mimes=("video/mp4",))
    (sold,) = house.serve(slot)[1]
    assert "viewable" in sold.tokens


@pytest.mark.parametrize(("version", "warned"), [("3.0", ["/vast_xml"]), ("4.1", [])])
def test_who_gives_an_older_document_is_told(house, version, warned):
    campaign = house.campaign(pricing="vcpm")
    creative = Creative(
        id="v", campaign_id=campaign.id, name="v", format="video", landing_url="https://adv.example/x",
        video_mime="video/mp4", duration_s=15, vast_xml=DOCUMENT.replace("VERSION", version),
    )  # fmt: skip
    findings = check_creative(creative, campaign)
    assert [(one.pointer, one.severity) for one in findings] == [(one, "warning") for one in warned]


def test_an_ad_paid_by_the_impression_reports_nothing_more(house):
    bid = ask(stock(house, "cpm", "video"), {"video": VIDEO})
    assert measured_by(bid, "video") == []


def test_the_bid_of_a_test_request_reports_nothing(house):
    site = stock(house, "vcpm", "video")
    body = {
        "id": "r", "test": 1, "cur": ["EUR"], "imp": [{"id": "1", "video": VIDEO}],
        "site": {"domain": "news.example", "publisher": {"id": "pub"}},
    }  # fmt: skip
    bid = site.send("POST", "/openrtb2/auction", json=body).json()["seatbid"][0]["bid"][0]
    assert measured_by(bid, "video") == []
