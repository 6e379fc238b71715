"""The Prebid.js adapter against the real server, from a page of a publisher's own origin.

Simulated is Prebid alone: it sends what the adapter builds as its ``ajax`` does, hands back the
answer, shows the ad in a frame and tells the adapter that it has won.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, sync_playwright

from tests.ads.test_tag import FLAGS, Publisher

PREBID = """
window.auction = async (params, mediaTypes) => {
  const spec = window.spec;
  const bid = { bidId: "b-1", params, mediaTypes };
  if (!spec.isBidRequestValid(bid)) return "invalid";
  const bidderRequest = { bidderRequestId: "r-1", timeout: 2000, ortb2: {} };
  const [request] = spec.buildRequests([bid], bidderRequest);
  const answer = await fetch(request.url, {
    method: request.method,
    headers: { "content-type": request.options.contentType },
    credentials: request.options.withCredentials ? "include" : "omit",
    body: JSON.stringify(request.data),
  });
  const body = answer.status === 200 ? await answer.json() : undefined;
  const bids = spec.interpretResponse({ body }, request);
  for (const one of bids) {
    const frame = document.createElement("iframe");
    frame.srcdoc = one.ad;
    document.body.append(frame);
    spec.onBidWon(one);
  }
  return { status: answer.status, bids };
};
"""
PARAMS = {"publisher": "casa"}
BANNER = {"banner": {"sizes": [[300, 250]]}}


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    publisher = Publisher(tmp_path_factory.mktemp("prebid"))
    with publisher.open():
        adapter = httpx.get(f"{publisher.server.url}/ringworkBidAdapter.js")
        assert adapter.headers["content-type"] == "text/javascript; charset=utf-8"
        for path, text in (
            ("modules/ringworkBidAdapter.js", adapter.text),
            ("src/adapters/bidderFactory.js", "export const registerBidder = (s) => { window.spec = s; };"),
            ("src/mediaTypes.js", "export const BANNER = 'banner', VIDEO = 'video';"),
            ("prebid.html", "<!doctype html><title>Page</title><script type=module "
                            f"src=/modules/ringworkBidAdapter.js></script><script>{PREBID}</script>"),
        ):  # fmt: skip
            place = publisher.pages / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        yield publisher


@pytest.fixture
def page(chromium: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser.new_page()
        browser.close()


def auction(page: Page, origin: str, house: Publisher, **params: str) -> dict:
    page.goto(f"{origin}/prebid.html")
    page.wait_for_function("window.spec")
    given = {"endpoint": house.server.url, **PARAMS, **params}
    return page.evaluate("([params, media]) => window.auction(params, media)", [given, BANNER])


def test_a_page_buys_shows_and_reports_an_ad(publisher: Publisher, page: Page) -> None:
    with (
        page.expect_response(lambda one: "/b/" in one.url) as beacon,
        page.expect_response(lambda one: "/n/" in one.url) as won,
    ):
        found = auction(page, publisher.origin, publisher)
    (bid,) = found["bids"]
    # Nobody else bids and there is no floor: the least that counts is one nano.
    assert (bid["cpm"], bid["currency"], bid["width"]) == (1e-06, "EUR", 300)
    assert bid["meta"]["advertiserDomains"] == ["paint.example"]
    assert (beacon.value.status, won.value.status) == (204, 204)
    assert page.context.cookies() == []
    (billed,) = publisher.events("impression_billed")
    assert billed["payload"]["ad_id"] == "autumn.1"
    (settled,) = publisher.events("bid_settled")
    assert settled["payload"]["outcome"] == "won"


def test_a_page_of_another_origin_cannot_read_bids(publisher: Publisher, page: Page) -> None:
    elsewhere = publisher.origin.replace("127.0.0.1", "localhost")
    with pytest.raises(Exception, match="Failed to fetch"):
        auction(page, elsewhere, publisher)


def test_no_bid_is_none(publisher: Publisher, page: Page) -> None:
    found = auction(page, publisher.origin, publisher, publisher="nobody")
    assert (found["status"], found["bids"]) == (204, [])
