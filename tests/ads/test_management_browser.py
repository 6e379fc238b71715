"""Scripted creatives in a real browser: they run, they are walled in, and their click is ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Route, sync_playwright

from ringwork.ads.creatives import frame_of
from ringwork.ads.model import Advertiser, Campaign, Creative
from ringwork.ads.preview import POLICY, preview
from ringwork.kernel.money import Money
from tests.ads.test_tag import FLAGS

HTML = """<script>var clickTag = "https://adv.example/x";</script>
<button id="ad" style="width:280px;height:200px" onclick="window.open({opens})">...</button>
<script>
  const tried = [];
  const attempt = (name, act) => { try { act(); tried.push(name); } catch { } };
  attempt("page", () => parent.document.title = "taken");
  attempt("cookie", () => document.cookie = "a=b");
  attempt("storage", () => localStorage.setItem("a", "b"));
  attempt("away", () => { top.location = "https://evil.example/"; });
  document.getElementById("ad").textContent = tried.join() || "walled in";
</script>"""
HTML5 = Creative(
    id="a", campaign_id="c", name="Paint", format="banner", width=300, height=250,
    landing_url="https://adv.example/x", html=HTML.replace("{opens}", "clickTag"),
)  # fmt: skip
TAG = Creative(
    id="t", campaign_id="c", name="Tag", format="banner", width=300, height=250, third_party=True,
    landing_url="https://adv.example/x", html=HTML.replace("{opens}", "'${CLICK_URL}'"),
)  # fmt: skip
CAMPAIGN = Campaign(
    id="c", advertiser_id="adv", name="c", pricing="cpm", bid_nanos=1, budget=Money("EUR", 1, 0)
)
ADVERTISER = Advertiser(id="adv", name="Adv", domain="adv.example", currency="EUR")


@pytest.fixture(scope="module")
def context(chromium: str) -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser.new_context()
        browser.close()


@pytest.mark.parametrize("creative", [HTML5, TAG], ids=["html5", "tag"])
@pytest.mark.parametrize("place", ["page", "preview"])
def test_a_scripted_creative_runs_walled_in_and_clicks_through_us(
    context: BrowserContext, creative: Creative, place: str
) -> None:
    asked: list[str] = []
    bodies = {
        "https://ads.example/page": frame_of(creative, "adv.example").markup(
            click_url="https://ads.example/c/T", impression_id=bytes(16)
        ),
        "https://ads.example/preview": preview(creative, CAMPAIGN, ADVERTISER),
    }

    def answer(route: Route) -> None:
        url = route.request.url
        asked.append(url)
        headers = dict(POLICY) if url.endswith("preview") else {}
        body = f"<title>host</title>{bodies.get(url, 'landed')}"
        route.fulfill(status=200, content_type="text/html", headers=headers, body=body)

    page = context.new_page()
    context.route("**/*", answer)
    url = f"https://ads.example/{place}"
    page.goto(url)
    ad = page.frames[-1].locator("#ad")
    assert ad.text_content() in ("walled in", "away"), (
        "an assignment that is ignored throws nothing"
    )
    with context.expect_page() as opened:
        ad.click()
    opened.value.wait_for_load_state()
    click = {"page": "https://ads.example/c/T", "preview": "https://ads.example/c/test"}[place]
    assert opened.value.url == click
    assert page.url == url, "the page stayed where it was"
    assert "evil.example" not in "".join(asked)
    assert page.title() in ("host", "Preview of Paint", "Preview of Tag")
    context.unroute_all()
    opened.value.close()
    page.close()
