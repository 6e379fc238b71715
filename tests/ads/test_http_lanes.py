"""The hot endpoints over ASGI, through the real flow: exchange, native, beacons, clicks, tag."""

import asyncio
import json

import httpx
import pytest

from ringwork.ads.events import (
    AuctionCleared,
    ClickRecorded,
    ImpressionBilled,
    ImpressionMeasured,
)
from ringwork.ads.http_lanes import AdFlow, AdLanes
from ringwork.ads.landing import with_rwclid
from ringwork.ads.markup import Markup, Urls
from ringwork.ads.model import Targeting
from ringwork.ads.openrtb import BidderTerms
from ringwork.ads.requests import NewPlacement, NewPublisher
from ringwork.ads.traffic import Networks
from ringwork.flow.record_outcome import RecordOutcome
from ringwork.web.keys import ApiKeys
from ringwork.web.lane import FastLane
from ringwork.web.metrics import LaneMetrics
from tests.ads.house import House, euros

ORIGIN = "https://news.example"
REMOTE = ("192.0.2.7", 4711)


async def nothing_else(scope, receive, send):
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Site:
    """A house behind the fast lane."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.keys = ApiKeys()
        serve = house.flow()
        record = RecordOutcome(
            billing=house.billing, traffic=house.traffic, journal=house.journal, tenant="main"
        )
        lanes = AdLanes(
            ads=house.ads, billing=house.billing, catalogue=house.catalogue, keys=self.keys,
            clock=house.clock, markup=Markup(Urls("https://ads.example")), terms=BidderTerms(currency="EUR"),
            flow=AdFlow(
                serve=serve, impression=record.impression, measured=record.measured,
                notice=record.notice, click=record.click,
            ),
            tag=b"// tag", adapter=b"// adapter", proxies=Networks([]), locate=lambda address: None, person_of_link=lambda link, publisher, now_us: "",
        ).lanes()  # fmt: skip
        self.app = FastLane(
            lanes, nothing_else, new_request_id=house.ids.new,
            monotonic_ns=house.clock.monotonic_ns,
            metrics={lane.path: LaneMetrics() for lane in lanes},
        )  # fmt: skip

    def send(self, method: str, path: str, client=("127.0.0.1", 1), **given) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=client)
            async with httpx.AsyncClient(
                transport=transport, base_url="https://ads.example"
            ) as http:
                return await http.request(method, path, **given)

        return self.house.loop.run_until_complete(run())

    def ask(self, client=("127.0.0.1", 1), headers=None, **members) -> httpx.Response:
        body = {"placement": "top", "page": {"url": "https://www.news.example/a"}, **members}
        return self.send("POST", "/v1/ads/request", client, json=body, headers=headers)

    def key(self, role: str) -> dict[str, str]:
        made = []

        def make(command):
            made.append(self.keys.create(command, self.house.entropy, role=role, label=""))

        appliers = dict(self.house.journal.appliers)
        for event in self.keys.hears:
            appliers[event.TYPE] = (*appliers.get(event.TYPE, ()), self.keys.apply)
        self.house.journal.appliers = appliers
        self.house.do(make)
        return {"authorization": f"Bearer {made[0]}"}


@pytest.fixture
def site():
    with House() as house:
        house.open()
        house.do(lambda c: house.management.create_placement(
            c, NewPlacement(id="top", publisher_id="pub", format="banner", width=300, height=250)
        ))  # fmt: skip
        house.campaign()
        house.creative()
        yield Site(house)


BID_REQUEST = {
    "id": "b1", "at": 1, "tmax": 200, "cur": ["EUR"],
    "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 0.5, "bidfloorcur": "EUR"}],
    "site": {"domain": "news.example", "publisher": {"id": "pub"}},
}  # fmt: skip


def path_of(url: str) -> str:
    return url.removeprefix("https://ads.example").partition("?")[0]


# ---- exchange -----------------------------------------------------------------------------------


def test_a_bid_request_is_answered_with_a_bid_whose_notice_bills(site):
    answer = site.send("POST", "/openrtb2/auction", json=BID_REQUEST)
    assert answer.status_code == 200
    assert answer.headers["x-openrtb-version"] == "2.6"
    [bid] = answer.json()["seatbid"][0]["bid"]
    assert (bid["impid"], bid["price"], bid["adomain"]) == ("1", 0.5, ["adv.example"])
    assert site.send("GET", path_of(bid["burl"])).status_code == 204
    [bill] = site.house.payloads(ImpressionBilled)
    assert bill.price_nanos == 500_000


def test_without_a_bid_the_answer_is_204_and_says_why(site):
    dear = json.loads(json.dumps(BID_REQUEST))
    dear["imp"][0]["bidfloor"] = 5
    answer = site.send("POST", "/openrtb2/auction", json=dear)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["x-ringwork-no-bid"] == "nothing-eligible"
    answer = site.send("POST", "/openrtb2/auction", json={**BID_REQUEST, "cur": ["USD"]})
    assert (answer.status_code, answer.headers["x-ringwork-no-bid"]) == (204, "currency")
    assert len(site.house.payloads(AuctionCleared)) == 1, "a currency we lack needs no auction"


def test_an_unregistered_publisher_gets_no_bid(site):
    other = {**BID_REQUEST, "site": {"domain": "x.example", "publisher": {"id": "stranger"}}}
    assert site.send("POST", "/openrtb2/auction", json=other).status_code == 204
    [cleared] = site.house.payloads(AuctionCleared)
    assert cleared.slots[0].excluded == {"publisher": 1}


def test_a_test_request_gets_a_bid_and_leaves_no_trace(site):
    before = len(site.house.events())
    answer = site.send("POST", "/openrtb2/auction", json={**BID_REQUEST, "test": 1})
    [bid] = answer.json()["seatbid"][0]["bid"]
    assert path_of(bid["burl"]) == "/b/test"
    assert site.send("GET", "/b/test").status_code == 204
    assert site.send("GET", "/c/test").status_code == 204
    assert len(site.house.events()) == before
    assert site.house.ledger.accounts["campaign/c1"].debits_pending == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b"\xff\xfe", 400),
        (b'{"id": "x"}', 400),
        (b"null", 400),
        (b"x" * (256 * 1024 + 1), 413),
    ],
)
def test_what_is_no_bid_request_is_refused(site, body, status):
    answer = site.send(
        "POST", "/openrtb2/auction", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert site.house.payloads(AuctionCleared) == []


def test_other_media_types_and_methods_are_refused(site):
    answer = site.send(
        "POST", "/openrtb2/auction", content=b"<x/>", headers={"content-type": "text/xml"}
    )
    assert answer.status_code == 415
    answer = site.send("GET", "/openrtb2/auction")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")


def test_beyond_loopback_an_exchange_needs_a_supply_key(site):
    asked = {"json": BID_REQUEST, "client": REMOTE}
    assert site.send("POST", "/openrtb2/auction", **asked).status_code == 401
    wrong = {"authorization": "Bearer rw_000000000000_00"}
    assert site.send("POST", "/openrtb2/auction", **asked, headers=wrong).status_code == 401
    viewer, supply = site.key("viewer"), site.key("supply")
    assert site.send("POST", "/openrtb2/auction", **asked, headers=viewer).status_code == 403
    assert site.send("POST", "/openrtb2/auction", **asked, headers=supply).status_code == 200


# ---- native -------------------------------------------------------------------------------------


def test_a_placement_is_filled_and_its_beacon_bills(site):
    answer = site.ask(headers={"origin": ORIGIN}, client=REMOTE)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    [ad] = answer.json()["ads"]
    assert (ad["slot"], ad["ad"], ad["format"]) == ("top", "a1", "banner")
    assert (ad["width"], ad["height"], ad["advertiser"]) == (300, 250, "adv.example")
    assert "price_nanos" not in ad
    assert ad["why"].endswith("Nothing about you was used.")
    assert ad["dsa"] == {"behalf": "Adv", "paid": "Adv", "params": []}
    assert site.send("GET", path_of(ad["beacons"]["impression"])).status_code == 204
    [cleared], [bill] = (site.house.payloads(kind) for kind in (AuctionCleared, ImpressionBilled))
    assert (cleared.context.site, cleared.context.placement_id) == ("www.news.example", "top")
    assert (bill.placement, bill.publisher_id) == ("top", "pub")


def test_a_server_with_a_key_sees_the_price(site):
    [ad] = site.ask(headers=site.key("supply"), client=REMOTE).json()["ads"]
    assert (ad["price_nanos"], ad["currency"]) == (1, "EUR")


def test_nothing_to_show_is_an_empty_list(site):
    assert site.ask(blocked_domains=["adv.example"]).json()["ads"] == []


def test_a_page_elsewhere_is_not_believed(site):
    for url in ("https://evil.example/", "https://notnews.example/", "http://[::1/"):
        site.ask(page={"url": url})
    assert {one.context.site for one in site.house.payloads(AuctionCleared)} == {"news.example"}


def test_the_reason_names_what_was_targeted(site):
    site.house.campaign(
        "c2", bid_nanos=3_000_000,
        targeting=Targeting(
            sites=["news.example"], categories=["cars"], regions=["PRT"], device_types=["phone"],
            hours=list(range(24)),
        ),
    )  # fmt: skip
    site.house.creative("a2", "c2")
    [ad] = site.ask(page={"categories": ["cars"]}, region="PRT-11", device_type="phone").json()[
        "ads"
    ]
    assert ad["why"] == (
        "Chosen by the place (news.example), what the page is about, the region (PRT-11), "
        "the kind of device (phone), the hour. Nothing about you was used."
    )


def test_videos_come_as_vast_and_native_ads_as_cards(site):
    house = site.house
    for id, format in (("film", "video"), ("card", "native")):
        new = NewPlacement(id=id, publisher_id="pub", format=format)
        house.do(lambda c, new=new: house.management.create_placement(c, new))
    house.creative(
        "v", format="video", html="", video_url="https://adv.example/v.mp4",
        video_mime="video/mp4", duration_s=15,
    )  # fmt: skip
    house.creative("n", format="native", html="", title="Paint")
    [film] = site.ask(placement="film").json()["ads"]
    [card] = site.ask(placement="card").json()["ads"]
    assert "<VAST" in film["vast"]
    assert "markup" not in film
    assert "Paint" in card["markup"]
    assert set(film["beacons"]) == {"impression", "viewable", "completed"}
    assert set(card["beacons"]) == {"impression", "viewable"}
    for beacon in ("impression", "viewable", "completed"):
        assert site.send("GET", path_of(film["beacons"][beacon])).status_code == 204
    assert [one.measure for one in house.payloads(ImpressionMeasured)] == ["viewable", "view"]


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"placement": 7}, "/placement"),
        ({"person": "p 1"}, "/person"),
        ({"device_type": "watch"}, "/device_type"),
        ({"region": "Lisbon"}, "/region"),
        ({"page": {"text": "..."}}, "/page"),
    ],
)
def test_what_is_wrong_with_a_request_is_pointed_at(site, members, pointer):
    answer = site.ask(**members)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


def test_an_unknown_placement_is_not_found(site):
    assert site.ask(placement="nowhere").status_code == 404


def test_only_registered_origins_of_the_placement_s_publisher_may_ask(site):
    site.house.do(lambda c: site.house.management.register_publisher(
        c, NewPublisher(id="other", name="O", domain="o.example", origins=["https://o.example"])
    ))  # fmt: skip
    for origin in ("https://evil.example", "https://o.example", "null"):
        answer = site.ask(headers={"origin": origin}, client=REMOTE)
        assert answer.status_code == 403
    assert site.ask(client=REMOTE).status_code == 401
    assert site.house.payloads(AuctionCleared) == []


PAGE_REQUEST = {**BID_REQUEST, "site": {"domain": "news.example", "publisher": {"id": "pub"}}}


def test_a_page_of_a_registered_origin_asks_for_bids_without_a_key(site):
    asked = {"json": PAGE_REQUEST, "client": REMOTE}
    answer = site.send("POST", "/openrtb2/auction", headers={"origin": ORIGIN}, **asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["vary"] == "origin"
    assert answer.headers["x-openrtb-version"] == "2.6"
    dear = {**PAGE_REQUEST, "imp": [{**BID_REQUEST["imp"][0], "bidfloor": 9.0}]}
    answer = site.send("POST", "/openrtb2/auction", REMOTE, json=dear, headers={"origin": ORIGIN})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, ORIGIN)


@pytest.mark.parametrize(
    ("origin", "publisher", "readable"),
    [
        ("https://evil.example", {"id": "pub"}, False),
        (ORIGIN, {"id": "other"}, True),
        (ORIGIN, {}, True),
        ("null", {"id": "pub"}, False),
    ],
)
def test_a_page_of_another_publisher_needs_a_key(site, origin, publisher, readable):
    body = {**BID_REQUEST, "site": {"domain": "news.example", "publisher": publisher}}
    answer = site.send("POST", "/openrtb2/auction", REMOTE, json=body, headers={"origin": origin})
    assert answer.status_code == 401
    assert ("access-control-allow-origin" in answer.headers) == readable
    supply = {**site.key("supply"), "origin": origin}
    assert site.send(
        "POST", "/openrtb2/auction", REMOTE, json=body, headers=supply
    ).status_code in (200, 204)


def test_a_refusal_of_bids_can_be_read_by_its_page(site):
    answer = site.send(
        "POST", "/openrtb2/auction", REMOTE, content=b"{}", headers={"origin": ORIGIN}
    )
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (400, ORIGIN)


def test_preflight_for_bids(site):
    for headers, status in (
        ({"origin": ORIGIN}, 204), ({"origin": "https://evil.example"}, 403), ({}, 403),
    ):  # fmt: skip
        answer = site.send("OPTIONS", "/openrtb2/auction", REMOTE, headers=headers)
        assert answer.status_code == status
        assert ("access-control-allow-origin" in answer.headers) == (status == 204)


def test_the_adapter_is_served(site):
    answer = site.send("GET", "/ringworkBidAdapter.js", REMOTE)
    assert (answer.status_code, answer.content) == (200, b"// adapter")
    assert answer.headers["content-type"].startswith("text/javascript")


def test_preflight(site):
    answer = site.send("OPTIONS", "/v1/ads/request", headers={"origin": ORIGIN}, client=REMOTE)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["vary"] == "origin"
    for headers in ({"origin": "https://evil.example"}, {}):
        answer = site.send("OPTIONS", "/v1/ads/request", headers=headers)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_a_refusal_can_be_read_by_the_page_that_asked(site):
    answer = site.ask(headers={"origin": ORIGIN}, placement="nowhere")
    assert answer.headers["access-control-allow-origin"] == ORIGIN


# ---- beacons, clicks, tag -----------------------------------------------------------------------


def test_repeated_and_late_beacons_are_204_and_forged_ones_404(site):
    [one], [two] = (site.ask().json()["ads"] for _ in range(2))
    beacon = path_of(one["beacons"]["impression"])
    assert [site.send("GET", beacon).status_code for _ in range(2)] == [204, 204]
    site.house.clock.advance_us(400 * 1_000_000)
    assert site.send("GET", path_of(two["beacons"]["impression"])).status_code == 204
    assert len(site.house.payloads(ImpressionBilled)) == 1
    for forged in (beacon[:-1], beacon + "A", "/b/x", "/b/" + "A" * 5000, path_of(one["click"])):
        path = forged.replace("/c/", "/b/")
        assert site.send("GET", path).status_code == 404
    assert site.send("GET", "/b/").status_code == 418, "no token, so not the lane's"
    assert site.send("POST", beacon).status_code == 405


def test_a_click_leads_to_the_landing_page_with_its_conversion_token(site):
    [ad] = site.ask().json()["ads"]
    answers = [site.send("GET", path_of(ad["click"])) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {302}
    [location] = {answer.headers["location"] for answer in answers}
    address, _, rwclid = location.partition("?rwclid=")
    assert address == "https://adv.example/x"
    assert site.house.convert(rwclid, "order-1") == "recorded"
    assert len(site.house.payloads(ClickRecorded)) == 1
    assert answers[0].headers["cache-control"] == "no-store"


def test_a_click_never_leads_where_the_request_says(site):
    [ad] = site.ask().json()["ads"]
    answer = site.send("GET", path_of(ad["click"]) + "?url=https://evil.example&to=//evil.example")
    assert answer.headers["location"].startswith("https://adv.example/x?rwclid=")
    assert site.send("GET", "/c/" + "A" * 150).status_code == 404


@pytest.mark.parametrize(
    ("landing", "expected"),
    [
        ("https://a.example", "https://a.example?rwclid=T"),
        ("https://a.example/?", "https://a.example/?rwclid=T"),
        ("https://a.example/?x=1&", "https://a.example/?x=1&rwclid=T"),
        ("https://a.example/?x=1", "https://a.example/?x=1&rwclid=T"),
        ("https://a.example/#top?", "https://a.example/?rwclid=T#top?"),
        ("https://a.example/%20é", "https://a.example/%20%C3%A9?rwclid=T"),
    ],
)
def test_landing_urls(landing, expected):
    assert with_rwclid(landing, "T") == expected


def test_the_tag(site):
    answer = site.send("GET", "/ringwork.js")
    assert (answer.status_code, answer.text) == (200, "// tag")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=3600"


def test_a_full_disk_is_503_and_sells_nothing(site):
    site.house.log.capacity_bytes = 1
    answer = site.ask(headers={"origin": ORIGIN})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert site.house.ledger.accounts["campaign/c1"].debits_pending == 0
    site.house.log.capacity_bytes = None
    assert site.ask().status_code == 200


def test_many_at_once_spend_no_more_than_there_is(site):
    site.house.campaign("small", bid_nanos=9_000_000, budget=euros(3 * 9_000_000))
    site.house.creative("s", "small")

    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(site.app)
        async with httpx.AsyncClient(transport=transport, base_url="https://x.example") as http:
            body = {"placement": "top"}
            return await asyncio.gather(
                *(http.post("/v1/ads/request", json=body) for _ in range(40))
            )

    answers = site.house.loop.run_until_complete(run())
    assert {answer.status_code for answer in answers} == {200}
    account = site.house.ledger.accounts["campaign/small"]
    assert account.available_nanos >= 0
    assert site.house.replayed().dumps() == site.house.folds.dumps()
