"""Ringwork as an exchange, whole: a page asks, outside bidders answer over HTTP, money moves.

Simulated is the outside world alone, as an ASGI application behind the HTTP adapter
(``tests.ads.exchange.market``). Prices are by hand: campaign ``c`` bids 2.00 CPM, second price.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from xml.dom.minidom import parseString

import httpx
import pytest

from ringwork.ads import auction
from ringwork.ads.creatives.vast import text_of
from ringwork.ads.events import AuctionCleared
from ringwork.ads.exchange.bidders import Bidder, ExchangeSettings, Rate
from ringwork.ads.exchange.events import BidsGathered, BillingNoticeEnded, ExternalBidWon
from ringwork.ads.supply.settings import SupplySettings
from ringwork.app.compose import create
from ringwork.app.settings import Settings
from ringwork.app.verify import check_all
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.config import load
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.events import decode_frames
from tests.ads.exchange.market import VAST, SimulatedBidders, answering, bid, bidder, saying
from tests.app.served import EPOCH_US, Client, serve, until
from tests.crash.shop import BID_REQUEST

NOTICES = {
    "nurl": "https://dsp.example/won?p=${AUCTION_PRICE}&m=${AUCTION_MIN_TO_WIN}",
    "burl": "https://dsp.example/billed?p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}",
    "lurl": "https://dsp.example/lost?l=${AUCTION_LOSS}&m=${AUCTION_MIN_TO_WIN}",
}
VAST_OF_THE_BIDDER = VAST.replace("p=${AUCTION_PRICE}", "p=${AUCTION_PRICE}&b=${AUCTION_BID_ID}")
Scenario = Callable[[Client], Awaitable[None]]


class Market:
    """A store with outside bidders, and their network."""

    def __init__(
        self,
        tmp_path: Path,
        *bidders: Bidder,
        terms: Mapping[str, object] = MappingProxyType({}),
        **handlers: object,
    ) -> None:
        self.data = tmp_path / "data"
        self.bidders = bidders or (bidder(),)
        self.terms = terms
        self.world = SimulatedBidders(**handlers)
        self.clock = ManualClock(EPOCH_US)

    def live(self, scenario: Scenario, *, seed: int = 5, domain: str | None = None) -> None:
        settings = {
            "exchange": ExchangeSettings(bidders=list(self.bidders), **self.terms),
            "supply": SupplySettings(domain=domain),
        }
        network = httpx.ASGITransport(app=self.world)
        serve(self.data, scenario, clock=self.clock, seed=seed, settings=settings, network=network)

    def verified(self) -> None:
        """Every promise holds of what is on disk, and the ledger of the second reader agrees."""
        promises = check_all(self.data, lambda what, events: None)
        assert [one.detail for one in promises if one.violations] == []
        assert {one.name: one.checked > 0 for one in promises}["I4"]


async def stock(client: Client, *, slots: int = 1, format: str = "banner", **place: object) -> None:
    await client.stock()
    size = {"width": 300, "height": 250} if format == "banner" else {"width": 640, "height": 360}
    wanted = {"id": "top", "publisher_id": "pub", "format": format, "slots": slots, **size, **place}
    made = await client.admin.post("/v1/placements", json=wanted)
    assert made.status_code == 201, made.text


async def ask(client: Client) -> list[dict]:
    answer = await client.outside.post("/v1/ads/request", json={"placement": "top"})
    assert answer.status_code == 200, answer.text
    return answer.json()["ads"]


async def get(client: Client, url: str) -> int:
    return (await client.outside.get("/" + url.split("/", 3)[3])).status_code


def payloads(client: Client, kind: type) -> list:
    platform, found = client.app.platform, []
    for row in platform.log.rows(0):
        for frame in decode_frames(row.payload):
            found += [platform.types.decode(e) for e in frame.events if e.type == kind.TYPE]
    return found


def balance(client: Client, account: str) -> int:
    return client.app.platform.memory.ledger.accounts[account].available_nanos


async def told(market: Market, *paths: str) -> None:
    """Wait for the notices, in any order."""
    await until(
        lambda: sorted(one.partition("?")[0] for one in market.world.called) == sorted(paths)
    )


# ---- winning and losing -------------------------------------------------------------------------


def test_an_outside_bid_wins_is_shown_is_billed_and_told(tmp_path):
    market = Market(tmp_path, dsp=answering(bid(price=3.0, **NOTICES)))

    async def scenario(client: Client) -> None:
        await stock(client)
        (ad,) = await ask(client)
        assert (ad["ad"], ad["advertiser"]) == ("x:dsp:b1", "adv.example")
        assert "Its bidder was told the place (pub.example)" in ad["why"]
        assert "click" not in ad
        assert ad["scripts"] is True
        assert "sandbox=" in ad["markup"]
        assert "allow-same-origin" not in ad["markup"]
        # The ad of c has 2,000,000; its id "c.a" sorts before "x:dsp:b1", so one nano more.
        assert balance(client, "bidder/dsp") == -2_000_001
        await told(market, "/won")
        assert market.world.called == ["/won?p=2.000001&m=2.0"]
        for _ in range(2):
            assert await get(client, ad["beacons"]["impression"]) == 204
        await told(market, "/won", "/billed")
        assert market.world.called[1] == "/billed?p=2.000001&c=EUR"
        await until(lambda: payloads(client, BillingNoticeEnded))
        accounts = client.app.platform.memory.ledger.accounts
        assert accounts["bidder/dsp"].debits_posted == 2_000_001
        assert balance(client, "publisher/pub") == 2_000_001
        (won,) = payloads(client, ExternalBidWon)
        assert (won.bid_nanos, won.price_nanos, won.domain) == (3_000_000, 2_000_001, "adv.example")
        (gathered,) = payloads(client, BidsGathered)
        assert [one.outcome for one in gathered.bidders] == ["bids"]
        (cleared,) = payloads(client, AuctionCleared)
        assert [one.ad_id for one in cleared.slots[0].considered] == ["x:dsp:b1", "c.a"]
        assert auction.recompute(cleared.slots[0]) == ("x:dsp:b1", 2_000_001)
        totals = (await client.admin.get("/v1/ledger/totals")).json()
        assert totals["debits_nanos"] == totals["credits_nanos"], totals

    market.live(scenario)
    market.verified()


def test_an_outside_bid_loses_to_a_campaign_and_is_told_what_would_have_tied(tmp_path):
    market = Market(tmp_path, dsp=answering(bid(price=1.5, **NOTICES)))

    async def scenario(client: Client) -> None:
        await stock(client)
        (ad,) = await ask(client)
        assert ad["ad"] == "c.a"
        await told(market, "/lost")
        # c pays 1,500,000: the outside bid of that much came behind by its name alone.
        assert market.world.called == ["/lost?l=102&m=1.5"]
        assert balance(client, "bidder/dsp") == 0
        (cleared,) = payloads(client, AuctionCleared)
        assert auction.recompute(cleared.slots[0]) == ("c.a", 1_500_000)

    market.live(scenario)
    market.verified()


def test_the_loser_among_outside_bidders_sets_the_price(tmp_path):
    north = answering(bid(id="n", price=3.0, lurl="https://north.example/lost?l=${AUCTION_LOSS}"))
    south = answering(bid(id="s", price=2.5, lurl="https://south.example/lost?l=${AUCTION_LOSS}"))
    market = Market(tmp_path, bidder("north"), bidder("south"), north=north, south=south)

    async def scenario(client: Client) -> None:
        await stock(client)
        (ad,) = await ask(client)
        assert ad["ad"] == "x:north:n"
        await told(market, "/lost")
        assert market.world.called == ["/lost?l=102"]
        # "x:north:n" sorts before "x:south:s": a tie in score is enough.
        assert balance(client, "bidder/north") == -2_500_000
        assert balance(client, "bidder/south") == 0

    market.live(scenario)
    market.verified()


def test_a_guaranteed_campaign_is_asked_before_outside_bids(tmp_path):
    market = Market(tmp_path, dsp=answering(bid(price=9.0, **NOTICES)))

    async def scenario(client: Client) -> None:
        await stock(client)
        change = {"priority": "sponsorship", "share_ppm": 1_000_000}
        headers = {"idempotency-key": "sponsor"}
        made = await client.admin.patch("/v1/campaigns/c", json=change, headers=headers)
        assert made.status_code == 200, made.text
        (ad,) = await ask(client)
        assert ad["ad"] == "c.a"
        await told(market, "/lost")
        assert market.world.called == ["/lost?l=103&m="]

    market.live(scenario)
    market.verified()


SLATE = {"slots": 2, "places_ppm": [1_000_000, 500_000]}


def for_places(*prices: float, crid: str | None = None) -> list[dict]:
    """A bid for each place of a slate, all of one creative where ``crid`` is given."""
    return [
        bid(
            id=f"b{number}", impid=str(number), price=price, crid=crid or f"c{number}",
            adm=f"<i>{crid or number}</i>", lurl=NOTICES["lurl"] + f"&b={number}",
        )
        for number, price in enumerate(prices)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "bids", "prices"),
    [
        # "x:dsp:b0" sorts before "x:dsp:b1", which sorts after "c.a" with its 2,000,000.
        ("second", (3.0, 2.5), [2_500_000, 2_000_001]),
        ("gsp", (3.0, 2.5), [2_500_000, 2_000_001]),
        ("gsp", (2.5, 3.0), [2_500_001, 2_000_001]),
        # Half of the first place's views at 2,500,000, half at 2,000,001, rounded up.
        ("vcg", (3.0, 2.5), [2_250_001, 2_000_001]),
        ("vcg", (2.5, 3.0), [2_250_001, 2_000_001]),
        ("first", (3.0, 2.5), [3_000_000, 2_500_000]),
    ],
)
def test_the_places_of_a_slate_are_asked_for_at_once_and_sold_in_one_auction(
    tmp_path, rule, bids, prices
):
    market = Market(tmp_path, dsp=answering(*for_places(*bids)))

    async def scenario(client: Client) -> None:
        await stock(client, rule=rule, **SLATE)
        ads = await ask(client)
        ((_, request, _),) = market.world.asked
        assert [imp["id"] for imp in request["imp"]] == ["0", "1"]
        best = bids.index(3.0)
        assert [one["ad"] for one in ads] == [f"x:dsp:b{best}", f"x:dsp:b{1 - best}"]
        (cleared,) = payloads(client, AuctionCleared)
        assert [one.price_nanos for one in cleared.slots] == prices
        assert balance(client, "bidder/dsp") == -sum(prices)
        for one in ads:
            assert await get(client, one["beacons"]["impression"]) == 204
        assert balance(client, "publisher/pub") == sum(prices)

    market.live(scenario)
    market.verified()


def test_a_creative_that_was_bid_for_several_places_has_one_and_sets_itself_no_price(tmp_path):
    market = Market(tmp_path, dsp=answering(*for_places(3.0, 2.9, crid="same")))

    async def scenario(client: Client) -> None:
        await stock(client, rule="gsp", **SLATE)
        assert [one["ad"] for one in await ask(client)] == ["x:dsp:b0", "c.a"]
        (cleared,) = payloads(client, AuctionCleared)
        # Not the 2.90 of the same creative: the campaign's 2.00. Nobody else is behind that.
        assert [one.price_nanos for one in cleared.slots] == [2_000_001, 1]
        await told(market, "/lost")
        assert market.world.called == ["/lost?l=200&m=&b=1"]

    market.live(scenario)
    market.verified()


def test_who_loses_a_slate_is_told_once_what_its_last_place_cost(tmp_path):
    market = Market(tmp_path, dsp=answering(*for_places(3.0, 1.5)))

    async def scenario(client: Client) -> None:
        await stock(client, rule="gsp", **SLATE)
        assert [one["ad"] for one in await ask(client)] == ["x:dsp:b0", "c.a"]
        await told(market, "/lost")
        assert market.world.called == ["/lost?l=102&m=1.5&b=1"]

    market.live(scenario)
    market.verified()


def test_what_a_sponsorship_took_is_no_loss_while_places_are_left(tmp_path):
    market = Market(tmp_path, dsp=answering(*for_places(3.0, 2.5)))

    async def scenario(client: Client) -> None:
        await stock(client, rule="gsp", **SLATE)
        change = {"priority": "sponsorship", "share_ppm": 1_000_000}
        headers = {"idempotency-key": "sponsor"}
        made = await client.admin.patch("/v1/campaigns/c", json=change, headers=headers)
        assert made.status_code == 200, made.text
        # The bid for the first place, which is gone, has the second.
        assert [one["ad"] for one in await ask(client)] == ["c.a", "x:dsp:b0"]
        await told(market, "/lost")
        assert market.world.called == ["/lost?l=102&m=2.5&b=1"]

    market.live(scenario)
    market.verified()


def test_an_outside_video_is_its_document_with_our_impression(tmp_path):
    film = bid(adm=VAST_OF_THE_BIDDER, mtype=2, w=640, h=360, price=3.0, id="a<b>]]>&c")
    market = Market(tmp_path, dsp=answering(film))

    async def scenario(client: Client) -> None:
        await stock(client, format="video")
        (ad,) = await ask(client)
        document = parseString(ad["vast"])
        impressions = [text_of(one) for one in document.getElementsByTagName("Impression")]
        # Nobody else bids and there is no floor: the least that counts is one nano.
        assert impressions == [
            ad["beacons"]["impression"],
            "https://dsp.example/i?p=1e-06&b=a<b>]]>&c",
        ]
        assert await get(client, ad["beacons"]["impression"]) == 204
        assert await get(client, ad["beacons"]["completed"]) == 204
        assert balance(client, "publisher/pub") == 1

    market.live(scenario)
    market.verified()


def test_nothing_of_the_viewer_is_sent(tmp_path):
    market = Market(tmp_path, dsp=saying(204))

    async def scenario(client: Client) -> None:
        await stock(client)
        body = {"placement": "top", "visit": "v1", "device_type": "phone", "region": "PRT-11"}
        headers = {"user-agent": "Anna's phone", "accept-language": "pt"}
        await client.outside.post("/v1/ads/request", json=body, headers=headers)
        ((_, request, sent),) = market.world.asked
        assert request["device"] == {"devicetype": 4, "geo": {"country": "PRT", "region": "11"}}
        assert "user" not in request
        assert "Anna" not in json.dumps([request, sent])
        assert "v1" not in json.dumps(request["imp"])
        (node,) = request["source"]["schain"]["nodes"]
        assert (node["asi"], node["sid"]) == ("ads.example", "pub")

    market.live(scenario, domain="ads.example")


TC = "CQU3Rh-QU3Rh-EIATMENBlFoAC5gAAKgAJAgAAAAAAAA.IMgQAYAAgyAA"


def test_what_a_page_says_of_consent_reaches_bidders_and_no_log(tmp_path):
    market = Market(tmp_path, dsp=saying(204))

    async def scenario(client: Client) -> None:
        await stock(client)
        gpp = f"DBABMA~{TC}"
        signals = {"gdpr": 0, "tc": TC, "gpp": gpp, "gpp_sid": [2], "coppa": 0}
        body = {"placement": "top", "signals": signals}
        answer = await client.outside.post("/v1/ads/request", json=body, headers={"sec-gpc": "1"})
        assert answer.status_code == 200, answer.text
        ((_, request, _),) = market.world.asked
        assert request["regs"] == {
            "coppa": 0, "gdpr": 1, "gpp": gpp, "gpp_sid": [2], "ext": {"gpc": "1"},
        }  # fmt: skip
        assert request["user"] == {"consent": TC}
        log = b"".join(row.payload for row in client.app.platform.log.rows(0))
        assert log
        assert TC.encode() not in log

    market.live(scenario)


UNCLEAR = [
    {"us_privacy": "1YYN", "gpp": "DBABTA~1YNN"},
    {"us_privacy": "2YNN"},
    {"tc": "<script>"},
    {"tc": "C" * 40_000},
    {"gpp": "DBABMA~" + "A" * 65_536},
    {"gpp_sid": [65_534]},
]


@pytest.mark.parametrize("signals", UNCLEAR)
def test_where_signals_are_unclear_nobody_outside_is_asked_and_the_page_is_answered(
    tmp_path, signals
):
    market = Market(tmp_path, dsp=saying(204))

    async def scenario(client: Client) -> None:
        await stock(client)
        body = {"placement": "top", "signals": signals}
        answer = await client.outside.post("/v1/ads/request", json=body)
        assert answer.status_code == 200, answer.text
        assert market.world.asked == []
        log = b"".join(row.payload for row in client.app.platform.log.rows(0))
        assert b"\xa7signals" in log, "how the bidder was heard"

    market.live(scenario)


@pytest.mark.parametrize(
    ("signals", "pointer"),
    [({"gdpr": 2}, "/signals/gdpr"), ({"ifa": "38400000-8cf0"}, "/signals")],
)
def test_members_that_signals_do_not_have_are_refused_by_name(tmp_path, signals, pointer):
    market = Market(tmp_path, dsp=saying(204))

    async def scenario(client: Client) -> None:
        await stock(client)
        body = {"placement": "top", "signals": signals}
        refused = await client.outside.post("/v1/ads/request", json=body)
        assert refused.status_code == 422, refused.text
        assert refused.json()["errors"][0]["pointer"] == pointer
        assert market.world.asked == []

    market.live(scenario)


# ---- bidders that fail --------------------------------------------------------------------------


def late(request):
    return asyncio.sleep(30, (200, b""))


@pytest.mark.parametrize(
    ("handler", "outcome", "rejected"),
    [
        (late, "late", {}),
        (saying(200, b"no json"), "malformed", {3: 1}),
        (saying(200, b"[" * 100_000), "malformed", {3: 1}),
        (saying(500), "status", {}),
        (saying(204), "no-bid", {}),
        (saying(200, b" " * 600_000), "oversized", {}),
        (answering(bid(price=3.0), cur="USD"), "no-bid", {9: 1}),
        (answering(bid(price=1e12)), "no-bid", {9: 1}),
        (answering(bid(price=-1)), "no-bid", {9: 1}),
        (answering(bid(price=3.0, w=728, h=90)), "no-bid", {203: 1}),
        (answering(bid(price=3.0, impid="7")), "no-bid", {3: 1}),
        (answering(bid(price=3.0, adm="<img src='http://a.example/'>")), "no-bid", {207: 1}),
    ],
)
def test_a_bidder_that_fails_costs_nothing_but_its_own_bid(tmp_path, handler, outcome, rejected):
    good = answering(bid(id="g", price=3.0))
    market = Market(tmp_path, bidder("bad", tmax_ms=60), bidder("good"), bad=handler, good=good)

    async def scenario(client: Client) -> None:
        await stock(client)
        (ad,) = await ask(client)
        assert ad["ad"] == "x:good:g"
        (gathered,) = payloads(client, BidsGathered)
        bad, fine = gathered.bidders
        assert (bad.outcome, dict(bad.rejected), bad.bids) == (outcome, rejected, 0)
        assert (fine.outcome, fine.bids) == ("bids", 1)

    market.live(scenario)
    market.verified()


def test_the_loss_of_a_refused_bid_is_told_with_its_reason(tmp_path):
    lost = "https://dsp.example/lost?l=${AUCTION_LOSS}&id=${AUCTION_BID_ID}"
    market = Market(tmp_path, dsp=answering(bid(price=3.0, crid=None, lurl=lost)))

    async def scenario(client: Client) -> None:
        await stock(client)
        assert [one["ad"] for one in await ask(client)] == ["c.a"]
        await told(market, "/lost")
        assert market.world.called == ["/lost?l=8&id=b1"]

    market.live(scenario)


def test_a_notice_goes_nowhere_but_to_the_bidders_own_hosts(tmp_path):
    stray = {"nurl": "https://intranet.example/won", "lurl": "http://127.0.0.1/lost"}
    market = Market(tmp_path, dsp=answering(bid(price=3.0, **stray)))

    async def scenario(client: Client) -> None:
        await stock(client)
        await ask(client)
        counts = client.app.platform.bidding.notices.counts()
        assert (counts, market.world.called) == ({"won refused": 1}, [])

    market.live(scenario)


def test_an_unregistered_publisher_asks_nobody(tmp_path):
    market = Market(tmp_path, dsp=answering(bid(price=3.0)))

    async def scenario(client: Client) -> None:
        await client.stock()
        site = {"domain": "pub.example", "publisher": {"id": "stranger"}}
        answer = await client.outside.post("/openrtb2/auction", json={**BID_REQUEST, "site": site})
        assert answer.status_code == 204
        assert market.world.asked == []
        assert payloads(client, BidsGathered) == []

    market.live(scenario)


# ---- through OpenRTB ----------------------------------------------------------------------------


def test_an_exchange_that_asks_us_is_sold_outside_bids_too(tmp_path):
    market = Market(tmp_path, dsp=answering(bid(price=3.0, **NOTICES)))
    regs = {"coppa": 0, "gdpr": 1, "gpp": "DBABMA", "gpp_sid": [2]}
    request = {**BID_REQUEST, "tmax": 180, "regs": regs, "user": {"consent": "CPabc", "id": "anna"}}

    async def scenario(client: Client) -> None:
        await client.stock()
        answer = await client.outside.post("/openrtb2/auction", json=request)
        (found,) = answer.json()["seatbid"][0]["bid"]
        assert (found["adid"], found["crid"], found["cid"]) == ("x:dsp:b1", "c9", "x:dsp")
        assert found["adomain"] == ["adv.example"]
        assert found["price"] == 2.000001
        assert "sandbox=" in found["adm"]
        assert "/b/" in found["adm"]
        ((_, sent, _),) = market.world.asked
        assert sent["regs"] == {"coppa": 0, "gdpr": 1, "gpp": "DBABMA", "gpp_sid": [2]}
        assert sent["user"] == {"consent": "CPabc"}
        assert sent["tmax"] == 130  # its own 150 less the 20 of the way
        assert sent["source"]["fd"] == 1
        assert sent["source"]["schain"]["complete"] == 0
        assert await get(client, found["burl"]) == 204
        await told(market, "/billed")  # of a win only the other exchange could tell

    market.live(scenario)
    market.verified()


def test_a_bid_that_the_other_exchange_lost_costs_its_bidder_nothing(tmp_path):
    market = Market(tmp_path, dsp=answering(bid(price=3.0, **NOTICES)))

    async def scenario(client: Client) -> None:
        await client.stock()
        answer = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
        (found,) = answer.json()["seatbid"][0]["bid"]
        assert balance(client, "bidder/dsp") == -2_000_001
        assert await get(client, found["lurl"].replace("${AUCTION_LOSS}", "102")) == 204
        assert balance(client, "bidder/dsp") == 0

    market.live(scenario)
    market.verified()


# ---- billing ------------------------------------------------------------------------------------


def test_a_conversion_of_an_outside_ad_is_refused(tmp_path):
    market = Market(tmp_path, dsp=answering(bid(price=3.0)))

    async def scenario(client: Client) -> None:
        await stock(client)
        (ad,) = await ask(client)
        beacon = ad["beacons"]["impression"]
        assert await get(client, beacon) == 204
        order = {"impression": beacon.rpartition("/")[2], "conversion_id": "o1"}
        headers = {"idempotency-key": "o1"}
        refused = await client.admin.post("/v1/conversions", json=order, headers=headers)
        assert refused.status_code == 409
        assert refused.json()["type"].endswith(":outside-ad")
        assert "'dsp'" in refused.json()["detail"]

    market.live(scenario)
    market.verified()


def test_an_impression_that_never_comes_costs_its_bidder_nothing(tmp_path):
    market = Market(tmp_path, dsp=answering(bid(price=3.0, **NOTICES)))

    async def scenario(client: Client) -> None:
        await stock(client)
        (ad,) = await ask(client)
        client.clock.advance_us(3_600_000_000)
        assert client.app.platform.expire_due() == 1
        assert balance(client, "bidder/dsp") == 0
        assert await get(client, ad["beacons"]["impression"]) == 204
        await told(market, "/won")
        assert balance(client, "publisher/pub") == 0

    market.live(scenario)
    market.verified()


def test_the_model_and_the_counts_take_outside_sales(tmp_path):
    market = Market(tmp_path, dsp=answering(bid(price=3.0)))

    async def scenario(client: Client) -> None:
        await stock(client)
        (ad,) = await ask(client)
        assert await get(client, ad["beacons"]["impression"]) == 204
        assert await get(client, ad["beacons"]["viewable"]) == 204
        await client.app.platform.indexed()
        with client.app.platform.state.reader.connect() as connection:
            rows = connection.exec_driver_sql("SELECT ad_id FROM ads_creatives").all()
            hours = connection.exec_driver_sql(
                "SELECT campaign_id, sold, impressions, spent_nanos FROM ads_campaign_hours"
            ).all()
        assert rows == []  # a bid is no ad that comes again
        assert ("x:dsp", 1, 1, 2_000_001) in [tuple(row) for row in hours]
        why = await client.admin.get(f"/v1/why/{ad['impression_id']}")
        assert why.status_code == 200, why.text

    market.live(scenario)


# ---- notices over a restart ---------------------------------------------------------------------


def test_a_billing_notice_that_was_not_taken_is_sent_again_after_a_restart(tmp_path):
    market = Market(tmp_path, dsp=answering(bid(price=3.0, **NOTICES)))
    beacons: list[str] = []

    async def first(client: Client) -> None:
        await stock(client)
        market.world.notice_status = 503
        for _ in range(2):
            (ad,) = await ask(client)
            beacons.append(ad["beacons"]["impression"])
        assert await get(client, beacons[0]) == 204
        await until(lambda: any("billed" in one for one in market.world.called))
        assert payloads(client, BillingNoticeEnded) == []

    async def second(client: Client) -> None:
        await until(lambda: market.world.called == ["/billed?p=2.000001&c=EUR"])
        await until(lambda: len(payloads(client, BillingNoticeEnded)) == 1)
        assert await get(client, beacons[1]) == 204  # sold before the restart, billed after it
        await until(lambda: len(payloads(client, BillingNoticeEnded)) == 2)
        assert await get(client, beacons[0]) == 204

    async def third(client: Client) -> None:
        assert await ask(client)

    market.live(first)
    market.world.called.clear()
    market.world.notice_status = 204
    market.live(second, seed=6)
    market.world.called.clear()
    market.live(third, seed=7)
    assert not any("billed" in one for one in market.world.called)
    market.verified()


# ---- settings -----------------------------------------------------------------------------------


def test_without_bidders_nothing_is_asked_and_nothing_is_opened(tmp_path):
    async def scenario(client: Client) -> None:
        await stock(client)
        assert client.app.platform.bidding is None
        assert client.app.platform.serve_ad.exchange is None
        assert [one["ad"] for one in await ask(client)] == ["c.a"]
        assert not any(
            id.startswith("bidder/") for id in client.app.platform.memory.ledger.accounts
        )

    serve(tmp_path / "data", scenario)


RATES = [Rate(currency="USD", rate="0.9171")]


def test_a_bid_in_dollars_competes_is_billed_in_euros_and_is_recomputed(tmp_path):
    """4.00 USD CPM are 3,668,400 nanos of a euro; the campaign's 2.00 EUR set the price."""
    market = Market(
        tmp_path, bidder(currency="USD"), terms={"rates": RATES},
        dsp=answering(bid(price=4.0, **NOTICES), cur="USD"),
    )  # fmt: skip

    async def scenario(client: Client) -> None:
        await stock(client, floor_nanos=500_000)
        (ad,) = await ask(client)
        assert ad["ad"] == "x:dsp:b1"
        ((_, request, _),) = market.world.asked
        assert request["cur"] == ["USD", "EUR"]
        # 0.50 / 0.9171 = 0.54519681..., rounded up to a nano.
        assert (request["imp"][0]["bidfloor"], request["imp"][0]["bidfloorcur"]) == (
            0.545197,
            "USD",
        )
        assert await get(client, ad["beacons"]["impression"]) == 204
        await told(market, "/won", "/billed")
        # 2.000001 / 0.9171 = 2.1807883..., what it owes in its own currency, rounded up to a nano.
        assert "/billed?p=2.180789&c=USD" in market.world.called
        (gathered,) = payloads(client, BidsGathered)
        heard = gathered.bidders[0]
        assert (heard.currency, heard.rate, heard.adjustment_ppm) == ("USD", "0.9171", 10**6)
        assert heard.offered == {"b1": 4_000_000}
        (cleared,) = payloads(client, AuctionCleared)
        assert cleared.slots[0].considered[0].bid_nanos == 3_668_400
        (won,) = payloads(client, ExternalBidWon)
        assert (won.bid_nanos, won.bid_currency, won.rate) == (4_000_000, "USD", "0.9171")
        assert (won.price_nanos, won.currency) == (2_000_001, "EUR")
        assert balance(client, "publisher/pub") == 2_000_001

    market.live(scenario)
    market.verified()


@pytest.mark.parametrize(
    "terms",
    [{}, {"rates": RATES, "rates_as_of": date(2025, 11, 20)}, {"rates": RATES, "rates_as_of": date(2030, 1, 1)}],
)  # fmt: skip
def test_without_a_current_rate_the_start_succeeds_and_the_bidder_is_not_asked(
    tmp_path, terms, caplog
):
    market = Market(
        tmp_path, bidder(currency="USD"), bidder("good"), terms=terms, good=answering(bid(price=3.0))
    )  # fmt: skip

    async def scenario(client: Client) -> None:
        await stock(client)
        assert [one["ad"] for one in await ask(client)] == ["x:good:b1"]
        (gathered,) = payloads(client, BidsGathered)
        assert [one.outcome for one in gathered.bidders] == ["currency", "bids"]

    market.live(scenario)
    market.verified()
    assert "bidder dsp bids in USD, for which exchange.rates has no current rate" in caplog.text


def test_a_bid_without_a_rate_is_refused_and_told_so(tmp_path):
    market = Market(tmp_path, dsp=answering(bid(price=3.0, **NOTICES), cur="CHF"))

    async def scenario(client: Client) -> None:
        await stock(client)
        assert [one["ad"] for one in await ask(client)] == ["c.a"]
        await told(market, "/lost")
        assert market.world.called == ["/lost?l=9&m="]

    market.live(scenario)
    market.verified()


def test_a_rate_of_the_platforms_own_currency_stops_the_start(tmp_path):
    own = ExchangeSettings(bidders=[bidder()], rates=[Rate(currency="EUR", rate="1")])
    wanted = Settings(data=str(tmp_path / "data"), exchange=own)
    with pytest.raises(ConfigurationError, match=r"exchange.rates: EUR is the platform's currency"):
        create(wanted, clock=ManualClock(EPOCH_US), entropy=SeededEntropy(5))


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('rate = "0.0"', "the rate of USD must be positive, got 0.0"),
        ("rate = 0.9171", r"exchange.rates\[0\].rate"),
        ('rate = "1e3"', r"exchange.rates\[0\].rate"),
        ('rate = "-1"', r"exchange.rates\[0\].rate"),
        ('rate = "1"\n[[exchange.rates]]\ncurrency = "USD"\nrate = "2"', "one rate, got one twice"),
    ],
)  # fmt: skip
def test_a_rate_that_is_none_names_where_it_stands(toml, told):
    text = f'[[exchange.rates]]\ncurrency = "USD"\n{toml}'
    with pytest.raises(ConfigurationError, match=told):
        load(Settings, toml=text, toml_name="r.toml", environment={}, flags={})


def test_rates_are_read_from_a_file_and_dated():
    text = """
[exchange]
rates_as_of = 2026-11-27
rates_max_age_s = 86400
[[exchange.rates]]
currency = "USD"
rate = "0.9171"
"""
    loaded = load(Settings, toml=text, toml_name="r.toml", environment={}, flags={})
    table = loaded.settings.exchange.table()
    begins_us = 1_795_737_600_000_000  # 2026-11-27T00:00:00Z
    assert table.of("USD", begins_us - 1) is None
    assert str(table.of("USD", begins_us)) == "0.9171"
    assert table.of("USD", begins_us + 86_400_000_000) is None


def test_an_account_of_other_terms_stops_the_start(tmp_path):
    async def scenario(client: Client) -> None:
        account = {"id": "bidder/dsp", "currency": "EUR", "limited": True}
        headers = {"idempotency-key": "a"}
        made = await client.admin.post("/v1/ledger/accounts", json=account, headers=headers)
        assert made.status_code == 201, made.text

    serve(tmp_path / "data", scenario)
    wanted = Settings(data=str(tmp_path / "data"), exchange=ExchangeSettings(bidders=[bidder()]))
    with pytest.raises(ConfigurationError, match="bidder/dsp with other terms"):
        create(wanted, clock=ManualClock(EPOCH_US), entropy=SeededEntropy(6))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/advertisers", {"name": "A", "domain": "a.example", "currency": "EUR"}),
        ("/v1/publishers", {"name": "P", "domain": "p.example"}),
        ("/v1/campaigns", {
            "advertiser_id": "a", "name": "C", "special_ad_categories": [], "pricing": "cpm", "bid_nanos": 1,
            "budget": {"currency": "EUR", "units": 1, "nanos": 0},
        }),
        ("/v1/creatives", {
            "campaign_id": "c", "name": "Ad", "format": "banner", "width": 300, "height": 250,
            "landing_url": "https://a.example/", "html": "<b>Ad</b>",
        }),
        ("/v1/sites", {"publisher_id": "pub", "name": "S", "domain": "pub.example"}),
        ("/v1/placements", {
            "publisher_id": "pub", "format": "banner", "width": 300, "height": 250,
        }),
    ],
)  # fmt: skip
def test_ids_of_outside_ads_are_reserved(tmp_path, path, body):
    async def scenario(client: Client) -> None:
        await client.stock()
        headers = {"idempotency-key": "x"}
        refused = await client.admin.post(path, json={"id": "x:dsp:b1", **body}, headers=headers)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (409, "/id")
        assert "'x:'" in refused.json()["detail"]

    serve(tmp_path / "data", scenario)


# ---- who may sell what --------------------------------------------------------------------------


def test_the_files_of_a_seller_are_public(tmp_path):
    async def scenario(client: Client) -> None:
        await client.stock()
        own = await client.outside.get("/ads.txt", params={"publisher": "pub"})
        assert own.status_code == 200
        assert "ads.example, pub, DIRECT" in own.text
        sellers = (await client.outside.get("/sellers.json")).json()["sellers"]
        assert [(one["seller_id"], one["domain"]) for one in sellers] == [("pub", "pub.example")]
        missing = await client.outside.get("/ads.txt", params={"publisher": "nobody"})
        assert missing.status_code == 404

    serve(tmp_path / "data", scenario, settings={"supply": SupplySettings(domain="ads.example")})
