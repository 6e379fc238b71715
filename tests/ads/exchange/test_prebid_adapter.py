"""The Prebid.js adapter in Chromium, between a simulated Prebid and our own OpenRTB code.

Simulated is the outside world: Prebid's two modules that the adapter imports, as files of a page.
What the adapter asks is read by ``openrtb.decode``; what it interprets ``openrtb.to_response`` wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, sync_playwright

import ringwork.ads
from ringwork.ads.model import Ask
from ringwork.ads.openrtb import decode, to_ask
from tests.ads.openrtb.wire import NOW_US, TERMS, answer, creative, served, video_creative

ADAPTER = Path(ringwork.ads.__file__).parent / "static" / "ringworkBidAdapter.js"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
         "--disable-component-update", "--no-first-run", "--disable-quic"]  # fmt: skip
FILES = {
    "/": "<!doctype html><script type=module src=/modules/ringworkBidAdapter.js></script>",
    "/modules/ringworkBidAdapter.js": ADAPTER.read_text(encoding="utf-8"),
    "/src/adapters/bidderFactory.js": "export const registerBidder = (s) => { window.spec = s; };",
    "/src/mediaTypes.js": "export const BANNER = 'banner', VIDEO = 'video', NATIVE = 'native';",
}
PARAMS = {"endpoint": "https://ads.example", "publisher": "casa", "placement": "foot"}
BANNER = {
    "bidId": "b-1", "params": {**PARAMS, "floor": 0.8},
    "mediaTypes": {"banner": {"sizes": [[300, 250], [320, 100]]}},
}  # fmt: skip
VIDEO = {
    "bidId": "b-2", "params": PARAMS,
    "mediaTypes": {
        "video": {"playerSize": [640, 360], "mimes": ["video/mp4"], "maxduration": 90, "skip": 0}
    },
}  # fmt: skip
PERSON = {
    "user": {"id": "anna", "buyeruid": "anna", "yob": 1980, "data": [{"id": "anna"}],
             "ext": {"eids": [{"source": "anna.example", "uids": [{"id": "anna"}]}]}},
    "device": {"ua": "anna", "ip": "10.1.2.3", "ifa": "anna", "devicetype": 2,
               "geo": {"lat": 38.7, "lon": -9.1, "zip": "1000", "country": "PRT", "region": "11"}},
    "site": {"domain": "casa.example", "cat": ["52"], "keywords": "anna", "ext": {"data": "anna"},
             "page": "https://casa.example/wall?login=anna"},
    "source": {"tid": "anna"},
}  # fmt: skip
BIDDER_REQUEST = {"bidderRequestId": "r-1", "timeout": 800, "ortb2": PERSON}


@pytest.fixture(scope="module")
def page(chromium: str) -> Iterator[Page]:
    def serve(route: Route) -> None:
        url = route.request.url
        calls.append(url)
        body = FILES.get(url.removeprefix("http://page.test"))
        if body is None:
            route.fulfill(status=204)
        else:
            kind = "text/javascript" if url.endswith(".js") else "text/html"
            route.fulfill(body=body, content_type=kind)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        opened = browser.new_page()
        opened.route("**/*", serve)
        opened.goto("http://page.test/")
        opened.wait_for_function("window.spec")
        yield opened
        browser.close()


calls: list[str] = []
"""Every URL that the page has asked for."""


def run(page: Page, method: str, *arguments: Any) -> Any:
    return page.evaluate(
        "([method, given]) => window.spec[method](...given)", [method, list(arguments)]
    )


def requests_of(page: Page, *bids: dict[str, Any], **members: Any) -> list[dict[str, Any]]:
    return run(page, "buildRequests", list(bids), {**BIDDER_REQUEST, **members})


def asked(request: dict[str, Any]) -> Ask:
    """What the server makes of it."""
    decoded = decode(json.dumps(request["data"]).encode())
    ask = to_ask(decoded, TERMS, request_id=bytes(16), now_us=NOW_US)
    assert isinstance(ask, Ask), ask
    return ask


def test_it_registers_as_ringwork_for_banners_and_videos(page: Page) -> None:
    assert page.evaluate("window.spec.code") == "ringwork"
    assert page.evaluate("window.spec.supportedMediaTypes") == ["banner", "video"]
    assert run(page, "getUserSyncs", {"iframeEnabled": True}, []) == []


@pytest.mark.parametrize(
    ("params", "valid"),
    [
        (PARAMS, True),
        ({**PARAMS, "endpoint": "http://127.0.0.1:8080"}, True),
        ({**PARAMS, "endpoint": "http://ads.example"}, False),
        ({**PARAMS, "endpoint": "javascript:alert(1)"}, False),
        ({**PARAMS, "endpoint": "no url"}, False),
        ({"endpoint": "https://ads.example"}, False),
        ({**PARAMS, "publisher": ""}, False),
        ({**PARAMS, "publisher": 7}, False),
        ({}, False),
        (None, False),
    ],
)
def test_only_a_bid_with_a_secure_endpoint_and_a_publisher_is_valid(page, params, valid) -> None:
    assert run(page, "isBidRequestValid", {"params": params}) is valid


def test_our_server_reads_what_it_asks(page: Page) -> None:
    (request,) = requests_of(page, BANNER, VIDEO)
    assert request["method"] == "POST"
    assert request["url"] == "https://ads.example/openrtb2/auction"
    assert request["options"] == {"contentType": "application/json", "withCredentials": False}
    ask = asked(request)
    assert (ask.context.site, ask.context.publisher_id) == ("casa.example", "casa")
    assert (ask.context.region, ask.context.device_type) == ("PRT-11", "computer")
    assert ask.context.categories == ("52",)
    banner, video = ask.slots
    assert (banner.id, banner.sizes, banner.floor_nanos) == (
        "b-1",
        ((300, 250), (320, 100)),
        800_000,
    )
    assert (video.id, video.mimes, video.max_duration_s) == ("b-2", ("video/mp4",), 90)
    assert all("https" in slot.needs for slot in ask.slots)
    assert (request["data"]["tmax"], request["data"]["cur"]) == (800, ["EUR"])


def test_nothing_about_a_person_is_sent(page: Page) -> None:
    (request,) = requests_of(page, BANNER)
    text = json.dumps(request["data"])
    for word in ("anna", "10.1.2.3", "38.7", "1000", "1980", "tid"):
        assert word not in text, word
    assert request["data"]["site"]["page"] == "https://casa.example/wall"


def test_signals_of_consent_are_passed_on(page: Page) -> None:
    (request,) = requests_of(
        page, BANNER, gdprConsent={"gdprApplies": True, "consentString": "CPabc"},
        uspConsent="1YNN", gppConsent={"gppString": "DBABMA", "applicableSections": [2]},
    )  # fmt: skip
    assert request["data"]["regs"] == {
        "gdpr": 1, "us_privacy": "1YNN", "gpp": "DBABMA", "gpp_sid": [2],
    }  # fmt: skip
    assert request["data"]["user"] == {"consent": "CPabc"}
    asked(request)


def test_a_supply_chain_is_passed_on(page: Page) -> None:
    schain = {"ver": "1.0", "complete": 1, "nodes": [{"asi": "m.example", "sid": "1", "hp": 1}]}
    (request,) = requests_of(page, {**BANNER, "schain": schain})
    assert asked(request).supply_chain == "1.0,1!m.example,1,1"


def test_the_price_floors_module_has_the_last_word(page: Page) -> None:
    request = page.evaluate(
        """([bid, bidderRequest]) => {
          bid.getFloor = ({ currency }) => ({ floor: 1.25, currency });
          return window.spec.buildRequests([bid], bidderRequest)[0].data;
        }""",
        [BANNER, BIDDER_REQUEST],
    )
    assert (request["imp"][0]["bidfloor"], request["imp"][0]["bidfloorcur"]) == (1.25, "EUR")


def test_bids_of_several_publishers_are_asked_for_apart(page: Page) -> None:
    other = {**VIDEO, "params": {**PARAMS, "publisher": "vila"}}
    requests = requests_of(page, BANNER, other)
    assert [one["data"]["site"]["publisher"]["id"] for one in requests] == ["casa", "vila"]
    assert [[imp["id"] for imp in one["data"]["imp"]] for one in requests] == [["b-1"], ["b-2"]]


def test_it_interprets_what_our_server_answers(page: Page) -> None:
    (request,) = requests_of(page, BANNER, VIDEO)
    tokens = {"impression": "imp-token", "click": "click-token", "notice": "notice-token"}
    body = answer(
        request["data"],
        served(creative(), slot_id="b-1", tokens=tokens),
        served(video_creative(id="a2"), slot_id="b-2", tokens=tokens, deal_id="D-1"),
    )
    banner, video = run(page, "interpretResponse", {"body": body}, request)
    assert {name: banner[name] for name in ("requestId", "cpm", "currency", "width", "height")} == {
        "requestId": "b-1", "cpm": 1.234567, "currency": "EUR", "width": 300, "height": 250,
    }  # fmt: skip
    assert (banner["mediaType"], banner["creativeId"], banner["ttl"]) == ("banner", "a1", 300)
    assert banner["netRevenue"] is True
    assert banner["meta"]["advertiserDomains"] == ["adv.example"]
    assert "https://ads.example/b/imp-token" in banner["ad"]
    assert (video["mediaType"], video["dealId"]) == ("video", "D-1")
    assert video["vastXml"].startswith("<VAST") or video["vastXml"].startswith("<?xml")
    assert "vastXml" not in banner


@pytest.mark.parametrize(
    "body",
    [None, "", {}, {"seatbid": []}, {"seatbid": [{}]},
     {"seatbid": [{"bid": [{"impid": "other", "price": 1, "adm": "x"}]}]},
     {"seatbid": [{"bid": [{"impid": "b-1", "price": 0, "adm": "x"}]}]},
     {"seatbid": [{"bid": [{"impid": "b-1", "price": 1}]}]}],
)  # fmt: skip
def test_what_is_no_bid_becomes_none(page: Page, body: Any) -> None:
    (request,) = requests_of(page, BANNER)
    assert run(page, "interpretResponse", {"body": body}, request) == []


def test_a_win_is_told_once_with_the_price_as_it_was_bid(page: Page) -> None:
    won = "https://ads.example/n/T?price=${AUCTION_PRICE}&cur=${AUCTION_CURRENCY}&min=${AUCTION_MIN_TO_WIN}"
    bid = {
        "ringworkWon": won,
        "cpm": 2,
        "currency": "USD",
        "originalCpm": 1.5,
        "originalCurrency": "EUR",
    }
    calls.clear()
    with page.expect_response("https://ads.example/n/**"):
        run(page, "onBidWon", bid)
    assert calls == ["https://ads.example/n/T?price=1.5&cur=EUR&min="]
    run(page, "onBidWon", {"cpm": 2})
    assert len(calls) == 1
