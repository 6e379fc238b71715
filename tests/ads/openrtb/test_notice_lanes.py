"""Notice URLs of real bids over the fast lane: kept once, never billed, forged ones unknown."""

from collections.abc import Iterator

import httpx
import pytest

from ringwork.ads.events import BidSettled, ImpressionBilled
from ringwork.ads.http_lanes import AdFlow, AdLanes
from ringwork.ads.markup import Markup, Urls
from ringwork.ads.openrtb.macros import Auctioned, substitute
from ringwork.ads.traffic import Networks
from ringwork.flow.record_outcome import RecordOutcome
from ringwork.web.keys import ApiKeys
from ringwork.web.lane import FastLane
from ringwork.web.metrics import LaneMetrics
from tests.ads.house import House
from tests.ads.openrtb.wire import BANNER, BASE, TERMS, request

ASKED = request(
    {"banner": BANNER},
    site={"domain": "news.example", "publisher": {"id": "pub"}},
    device={"devicetype": 4, "geo": {"country": "PRT", "region": "11"}},
    cur=["EUR"],
)


async def nothing_else(scope, receive, send):
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Exchange:
    """Who asks for bids and tells what became of them."""

    def __init__(self, house: House) -> None:
        self.house = house
        serve = house.flow()
        record = RecordOutcome(
            billing=house.billing, traffic=house.traffic, journal=house.journal, tenant="main"
        )
        lanes = AdLanes(
            ads=house.ads, billing=house.billing, catalogue=house.catalogue, keys=ApiKeys(),
            clock=house.clock, markup=Markup(Urls(BASE)), terms=TERMS, tag=b"", adapter=b"", proxies=Networks([]),
            locate=lambda address: None, person_of_link=lambda link, publisher, now_us: "",
            flow=AdFlow(
                serve=serve, impression=record.impression, measured=record.measured,
                notice=record.notice, click=record.click,
            ),
        ).lanes()  # fmt: skip
        self.app = FastLane(
            lanes, nothing_else, new_request_id=house.ids.new,
            monotonic_ns=house.clock.monotonic_ns,
            metrics={lane.path: LaneMetrics() for lane in lanes},
        )  # fmt: skip

    def send(self, method: str, url: str, **given) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
                return await http.request(method, url, **given)

        return self.house.loop.run_until_complete(run())

    def bid(self, **members) -> dict:
        answer = self.send("POST", "/openrtb2/auction", json={**ASKED, **members})
        assert answer.status_code == 200, answer.headers
        (seat,) = answer.json()["seatbid"]
        (bid,) = seat["bid"]
        return bid

    def told(self) -> list[tuple]:
        return [
            (one.outcome, one.reason, one.price_nanos, one.min_to_win_nanos, one.currency)
            for one in self.house.payloads(BidSettled)
        ]


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with House() as house:
        house.open()
        house.campaign()
        house.creative()
        yield Exchange(house)


def test_a_loss_is_kept_once_and_repeated_notices_are_welcome(exchange: Exchange):
    lost = Auctioned(loss=102, min_to_win_nanos=2_000_000, price_nanos=1_900_000, currency="EUR")
    url = substitute(exchange.bid()["lurl"], lost)
    assert [exchange.send("GET", url).status_code for _ in range(3)] == [204, 204, 204]
    assert exchange.told() == [("lost", 102, 1_900_000, 2_000_000, "EUR")]


def test_a_win_bills_nothing(exchange: Exchange):
    url = substitute(exchange.bid()["nurl"], Auctioned(price_nanos=1_500_000, currency="EUR"))
    assert exchange.send("GET", url).status_code == 204
    assert exchange.told() == [("won", None, 1_500_000, None, "EUR")]
    assert exchange.house.payloads(ImpressionBilled) == []


def test_the_billing_notice_bills_once_whatever_else_is_told(exchange: Exchange):
    bid = exchange.bid()
    sold = Auctioned(price_nanos=1_500_000, currency="EUR")
    for name in ("nurl", "burl", "burl", "nurl", "burl"):
        assert exchange.send("GET", substitute(bid[name], sold)).status_code == 204
    (billed,) = exchange.house.payloads(ImpressionBilled)
    assert billed.price_nanos == round(bid["price"] * 10**6)


def test_a_billing_notice_with_another_price_bills_what_was_bid(exchange: Exchange):
    bid = exchange.bid()
    for nanos in (1, 10**12):
        exchange.send("GET", substitute(bid["burl"], Auctioned(price_nanos=nanos)))
    (billed,) = exchange.house.payloads(ImpressionBilled)
    assert billed.price_nanos == round(bid["price"] * 10**6)


def test_a_late_notice_is_answered_like_any_other(exchange: Exchange):
    bid = exchange.bid()
    exchange.house.clock.advance_us(30 * 86_400 * 1_000_000)
    assert exchange.send("GET", bid["lurl"]).status_code == 204
    assert exchange.house.payloads(ImpressionBilled) == []


def test_a_forged_token_or_that_of_another_beacon_is_unknown(exchange: Exchange):
    bid = exchange.bid()
    beacon = bid["burl"].partition("/b/")[2].partition("?")[0]
    notice = bid["lurl"].partition("/l/")[2].partition("?")[0]
    changed = notice[:-1] + ("A" if notice[-1] != "A" else "B")
    for path in ("/l/forged", f"/n/{beacon}", f"/l/{beacon}", f"/l/{changed}", f"/b/{notice}"):
        assert exchange.send("GET", path).status_code == 404, path
    assert exchange.told() == []


@pytest.mark.parametrize("query", ["", "?reason=${AUCTION_LOSS}", "?price=NaN&min=-1&reason=x"])
def test_a_notice_that_says_nothing_is_kept(exchange: Exchange, query: str):
    path = exchange.bid()["lurl"].partition("?")[0]
    assert exchange.send("GET", path + query).status_code == 204
    assert exchange.told() == [("lost", None, None, None, "")]


def test_notices_are_fetched_with_get(exchange: Exchange):
    assert exchange.send("POST", exchange.bid()["lurl"]).status_code == 405


def test_a_test_request_is_told_nothing_to_report(exchange: Exchange):
    assert not {"nurl", "lurl"} & exchange.bid(test=1).keys()
