"""Why an ad: for the person who saw it, for the operator, and in the statement of the DSA, alike."""

import re

import httpx
import pytest

from ringwork.ads.behavioural.segments import interest_audience
from ringwork.ads.exchange import ExchangeSettings
from ringwork.ads.model import Context, Targeting
from ringwork.ads.why import FEATURES, chosen_by, sentence, user_parameters
from ringwork.kernel.ids import format_id
from tests.ads.exchange.market import SimulatedBidders, bid, bidder, reply
from tests.app.served import Client, serve
from tests.app.test_tiers import ANNA, ask, audience, open_shop
from tests.consent.test_ledger_http import body, post


async def page_of(client: Client, ad: dict) -> str:
    """The page behind "Why this ad?", as text without its markup."""
    answer = await client.outside.get(f"/why/{ad['impression_id']}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text.partition("<main>")[2]).split())


async def operators(client: Client, ad: dict) -> dict:
    answer = await client.admin.get(f"/v1/why/{ad['impression_id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_consenting_person_is_told_what_was_read_and_a_refusing_one_that_nothing_was(tmp_path):
    async def scenario(client: Client) -> None:
        await open_shop(client)
        await audience(client)
        (personal,) = (await ask(client, person=ANNA))["ads"]
        await post(client, body("withdraw", "advertise", person=ANNA))
        (plain,) = (await ask(client, person=ANNA, region="PRT"))["ads"]

        assert "what you did (S)" in personal["why"]
        for feature in FEATURES.values():
            assert feature in personal["why"]
        page = await page_of(client, personal)
        assert "You agreed to personalised ads." in page
        assert "what you did (S)" in page
        for feature in FEATURES.values():
            assert f"{feature} (main)" in page
        told = await operators(client, personal)
        assert told["tier"] == "consented"
        assert told["dsa_params"] == personal["dsa"]["params"] == [1, 2]
        assert {(one["service"], one["feature"]) for one in told["reads"]} == {
            ("main", feature) for feature in FEATURES
        }

        assert "Nothing about you was used." in plain["why"]
        page = await page_of(client, plain)
        assert "You did not agree to personalised ads" in page
        assert "What was looked at of you Nothing." in page
        told = await operators(client, plain)
        assert (told["tier"], told["reads"]) == ("less-personalised", [])
        assert told["tier_reasons"][0] == "withdrawn"
        assert told["dsa_params"] == plain["dsa"]["params"] == [2]
        assert "withdrawn" not in page, "why a tier was decided is the person's own"

    serve(tmp_path / "data", scenario)


def test_a_campaign_that_was_changed_since_says_so(tmp_path):
    async def scenario(client: Client) -> None:
        await open_shop(client)
        await audience(client)
        (ad,) = (await ask(client, person=ANNA))["ads"]
        assert "Its campaign asks for" in await page_of(client, ad)
        change = {"targeting": {"sites": ["pub.example"]}}
        changed = await client.admin.patch(
            "/v1/campaigns/t", json=change, headers={"idempotency-key": "again"}
        )
        assert changed.status_code == 200
        page = await page_of(client, ad)
        assert "Its campaign was changed since. As it is now, it asks for: the place" in page

    serve(tmp_path / "data", scenario)


def test_an_outside_bidder_s_ad_was_chosen_without_the_person(tmp_path):
    async def bids(request: dict) -> tuple[int, bytes]:
        return 200, reply(bid(price=9.0), id=request["id"])

    async def scenario(client: Client) -> None:
        await open_shop(client)
        await audience(client)
        answer = await ask(client, person=ANNA)
        (ad,) = answer["ads"]
        assert (answer["tier"], ad["ad"]) == ("consented", "x:dsp:b1")
        assert ad["why"].endswith("and not you.")
        told = await operators(client, ad)
        assert (told["reads"], told["dsa_params"]) == ([], [])
        page = await page_of(client, ad)
        assert "the outside bidder dsp" in page
        assert "What was looked at of you Nothing." in page

    network = httpx.ASGITransport(app=SimulatedBidders(dsp=bids))
    exchange = ExchangeSettings(bidders=[bidder()])
    serve(tmp_path / "data", scenario, settings={"exchange": exchange}, network=network)


@pytest.mark.parametrize("id", [format_id(bytes(16)), "x", "0" * 36])
def test_what_nobody_saw_has_no_page(tmp_path, id):
    async def scenario(client: Client) -> None:
        answer = await client.outside.get(f"/why/{id}")
        assert answer.status_code == (404 if "-" in id else 422)
        assert answer.headers["content-type"] == "application/problem+json"

    serve(tmp_path / "data", scenario)


def test_names_cannot_write_the_page(tmp_path):
    async def scenario(client: Client) -> None:
        await open_shop(client)
        name = {"name": "<script>alert(1)</script>"}
        assert (await client.admin.patch("/v1/advertisers/a", json=name)).status_code == 200
        (ad,) = (await ask(client))["ads"]
        answer = await client.outside.get(f"/why/{ad['impression_id']}")
        assert "<script>" not in answer.text
        assert "&lt;script&gt;" in answer.text

    serve(tmp_path / "data", scenario)


def test_the_parameters_are_those_of_what_was_known():
    place = Context(site="news.example", publisher_id="p", hour=7)
    assert user_parameters(place, {}) == ()
    assert user_parameters(Context(region="PRT"), {}) == (2,)
    assert user_parameters(place, {"main": 1}) == (1, 2)


def test_a_sentence_by_hand():
    context = Context(site="news.example", region="PRT-11")
    targeting = Targeting(regions=["PRT"], audiences=[interest_audience("483"), "sailors"])
    assert sentence(context, targeting, {}, str) == (
        "Chosen by the region (PRT-11). Nothing about you was used."
    )
    by = chosen_by(context, targeting, {"main": 1}, {"sailors": "Sailors"}.__getitem__)
    assert by == ["the region (PRT-11)", "an interest in the topic 483", "what you did (Sailors)"]
