"""The tier of every ad request, over the whole application: who asks, and what is then used."""

import asyncio
from pathlib import Path
from random import Random

import httpx
import pytest

from ringwork.ads.events import AuctionCleared
from ringwork.ads.exchange import ExchangeSettings
from ringwork.ads.projections import tiers
from ringwork.app.compose import create
from ringwork.app.settings import Settings
from ringwork.consent import tcf
from ringwork.consent.choice.settings import ChoiceSettings
from ringwork.consent.events import AdsFreeCounted
from ringwork.consent.projections import ads_free_requests
from ringwork.consent.settings import ConsentSettings
from ringwork.consent.vendors import NOBODY, Vendors
from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.events import Event, decode_frames
from tests.ads.exchange.market import SimulatedBidders, bidder
from tests.app.logged import unbroken
from tests.app.served import EPOCH_US, Client, serve, until
from tests.consent.choice.shop import pay
from tests.consent.test_ledger_http import body, post
from tests.consent.test_withdrawal import Person
from tests.crash.shop import BID_REQUEST, euros

ORIGIN = "https://pub.example"
ANNA = "r.0123456789abcdefABCDEF"
OURS = {"choice": ChoiceSettings(vendor_id=20)}
DAY_MS = 86_400_000
PLACE = {"id": "p", "publisher_id": "pub", "format": "banner", "width": 300, "height": 250}
TARGETED = {
    "id": "t", "advertiser_id": "a", "name": "T", "special_ad_categories": [], "pricing": "cpm", "bid_nanos": 3_000_000,
    "budget": euros(10**10),
}  # fmt: skip
CREATIVE = {
    "id": "t.a", "campaign_id": "t", "name": "Ad", "format": "banner", "width": 300, "height": 250,
    "landing_url": "https://a.example/", "html": "<b>T</b>",
}  # fmt: skip


def tc(*purposes: int) -> str:
    """A TC string of yesterday for vendor 20 alone, which consents to these purposes."""
    day_ms = (EPOCH_US // 1000 // DAY_MS - 1) * DAY_MS
    ours = Vendors.of([(20, 20)])
    return tcf.encode(
        tcf.TcString(
            version=2, created=day_ms, last_updated=day_ms, cmp_id=31, cmp_version=1,
            consent_screen=1, consent_language="EN", vendor_list_version=190, policy_version=5,
            is_service_specific=True, use_non_standard_texts=False, special_feature_optins=(),
            purpose_consents=purposes, purpose_legitimate_interests=(),
            purpose_one_treatment=False, publisher_country_code="AA", vendor_consents=ours,
            vendor_legitimate_interests=NOBODY, segments=(1,), vendors_disclosed=ours,
        )
    )  # fmt: skip


async def open_shop(client: Client, **campaign: object) -> None:
    """The stock, a placement on a page of its publisher, and a campaign that outbids all others."""
    await client.stock()
    changed = await client.admin.patch("/v1/publishers/pub", json={"origins": [ORIGIN]})
    assert changed.status_code == 200, changed.text
    for path, made in (
        ("/v1/placements", PLACE), ("/v1/campaigns", {**TARGETED, **campaign}), ("/v1/creatives", CREATIVE)
    ):  # fmt: skip
        answer = await client.admin.post(path, json=made, headers={"idempotency-key": made["id"]})
        assert answer.status_code == 201, answer.text


async def ask(client: Client, status: int = 200, **members: object) -> dict:
    """What a page of the publisher is answered."""
    sent = {"placement": "p", **members}
    answer = await client.outside.post(
        "/v1/ads/request", json=sent, headers={"origin": ORIGIN, "sec-gpc": "0"}
    )
    assert answer.status_code == status, answer.text
    return answer.json()


async def auctions(client: Client) -> list[AuctionCleared]:
    """Every auction in the log."""
    return await logged(client, AuctionCleared)


async def logged(client: Client, kind: type[Event]) -> list:
    """Every event of a kind in the log."""
    platform = client.app.platform
    await platform.journal.settled()
    return [
        platform.types.decode(envelope)
        for row in platform.reader.rows()
        for frame in decode_frames(row.payload)
        for envelope in frame.events
        if envelope.type == kind.TYPE
    ]


async def audience(client: Client) -> None:
    """A campaign for those who looked at boats, and Anna, who consents and does."""
    rule = {"within_s": 86_400, "topics": ["boats"]}
    made = await client.admin.post(
        "/v1/audiences", json={"id": "sailors", "name": "S", "rules": [rule]}
    )
    assert made.status_code == 201, made.text
    targeting = {"audiences": ["sailors"]}
    changed = await client.admin.patch(
        "/v1/campaigns/t", json={"targeting": targeting}, headers={"idempotency-key": "aim"}
    )
    assert changed.status_code == 200, changed.text
    await post(client, body("grant", "advertise", person=ANNA))
    did = {
        "person": ANNA,
        "service": "main",
        "kind": "view",
        "topic": "boats",
        "at_us": EPOCH_US - 1,
    }
    told = await client.admin.post(
        "/v1/events", json={"events": [did]}, headers={"idempotency-key": "did"}
    )
    assert told.json()["recorded"] == 1
    await client.app.platform.indexed()


# ---- one person ---------------------------------------------------------------------------------


def test_what_a_person_decides_holds_for_the_next_request(tmp_path):
    async def scenario(client: Client) -> None:
        await open_shop(client)
        await audience(client)
        seen = []
        for action in ("", "withdraw", "grant", "object", "erase"):
            if action:
                purposes = () if action == "erase" else ("advertise",)
                more = {"asked": False} if action == "grant" else {}
                await post(client, body(action, *purposes, person=ANNA, **more))
            answer = await ask(client, person=ANNA)
            (ad,) = answer["ads"]
            seen.append((answer["tier"], ad["ad"], ad["dsa"]["params"]))
        cleared = await auctions(client)
        personal = ("consented", "t.a", [1, 2])
        plain = ("less-personalised", "c.a", [])
        assert seen == [personal, plain, personal, plain, plain]
        assert [one.tier for one in cleared] == [one[0] for one in seen]
        assert [one.tier_reasons[0] for one in cleared] == [
            "consented", "withdrawn", "consented", "objected", "objected",
        ]  # fmt: skip
        assert [bool(one.reads) for one in cleared] == [True, False, True, False, False]

    serve(tmp_path / "data", scenario)
    unbroken(tmp_path / "data")


def test_a_subscriber_is_served_nothing_and_leaves_nothing(tmp_path):
    async def scenario(client: Client) -> None:
        await open_shop(client)
        passback = {"passback_html": "<b>another network</b>"}
        assert (await client.admin.patch("/v1/placements/p", json=passback)).status_code == 200
        plan = {"id": "quiet", "name": "Quiet"}
        assert (await client.admin.post("/v1/plans", json=plan)).status_code == 201
        platform = client.app.platform
        pay(platform, ANNA)
        await platform.journal.settled()
        seq = platform.log.head.seq
        for _ in range(3):
            answer = await ask(
                client, person=ANNA, visit="v", signals={"gdpr": 1, "tc": tc(1, 2, 3, 4)}
            )
            assert answer.keys() == {"request_id", "tier", "ads"}
            assert (answer["tier"], answer["ads"]) == ("subscriber", [])
        film = await client.outside.post("/v1/placements/p")  # no such thing: nothing is recorded
        assert film.status_code in (401, 405)
        await platform.journal.settled()
        assert platform.log.head.seq == seq
        assert platform.serve_ad.requests == {"subscriber": 3}
        metrics = (await client.admin.get("/metrics")).text
        assert 'ringwork_ad_requests_total{tier="subscriber"} 3.0' in metrics
        platform.count_ads_free()
        platform.count_ads_free()
        await ask(client, person=ANNA)
        platform.count_ads_free()  # a minute has not gone by
        await platform.journal.settled()
        assert [one.requests for one in await logged(client, AdsFreeCounted)] == [3]
        client.clock.advance_us(60_000_000)
        platform.count_ads_free()
        await platform.indexed()
        assert [one.requests for one in await logged(client, AdsFreeCounted)] == [3, 1]
        with platform.state.reader.connect() as connection:
            assert ads_free_requests(connection) == 4
            assert ads_free_requests(connection, since_us=EPOCH_US + 10**10) == 0
            assert tiers(connection) == {}
        assert (await ask(client))["tier"] == "less-personalised", "somebody else"

    serve(tmp_path / "data", scenario)


@pytest.mark.parametrize(
    ("rules", "site", "person", "tier", "reason"),
    [
        ({}, None, ANNA, "consented", "consented"),
        ({"child_directed": True}, None, ANNA, "less-personalised", "child-directed"),
        ({"proof_of_age": True}, None, ANNA, "less-personalised", "age-unproven"),
        ({"source": "tcf"}, None, ANNA, "general", "tcf-none"),
        ({"child_directed": True}, {}, ANNA, "consented", "consented"),
        ({}, {"child_directed": True}, ANNA, "less-personalised", "child-directed"),
        ({}, None, None, "less-personalised", "nobody"),
    ],
)
def test_a_property_has_rules_of_its_own(tmp_path, rules, site, person, tier, reason):
    async def scenario(client: Client) -> None:
        await open_shop(client)
        await audience(client)
        assert (
            await client.admin.patch("/v1/publishers/pub", json={"consent": rules})
        ).status_code == 200
        if site is not None:
            made = {
                "id": "s",
                "publisher_id": "pub",
                "name": "S",
                "domain": "pub.example",
                "consent": site,
            }
            assert (await client.admin.post("/v1/sites", json=made)).status_code == 201
            place = {**PLACE, "id": "q", "site_id": "s"}
            assert (await client.admin.post("/v1/placements", json=place)).status_code == 201
        answer = await ask(client, placement="p" if site is None else "q", person=person)
        (cleared,) = await auctions(client)
        assert (answer["tier"], cleared.tier, cleared.tier_reasons[0]) == (tier, tier, reason)

    serve(tmp_path / "data", scenario)


def test_a_property_of_no_core_service_is_refused(tmp_path):
    async def scenario(client: Client) -> None:
        await client.stock()
        for path, made in (
            ("/v1/publishers", {"id": "q", "name": "Q", "domain": "q.example"}),
            ("/v1/sites", {"id": "s", "publisher_id": "pub", "name": "S", "domain": "q.example"}),
        ):
            answer = await client.admin.post(path, json={**made, "consent": {"service": "mail"}})
            assert answer.status_code == 409, answer.text
            assert "/consent/service" in answer.text

    serve(tmp_path / "data", scenario)


# ---- naming a person ----------------------------------------------------------------------------


def test_a_page_names_nobody_by_an_id_that_can_be_guessed(tmp_path):
    async def scenario(client: Client) -> None:
        await open_shop(client)
        await post(client, body("grant", "advertise", person="anna"))
        refused = await ask(client, 422, person="anna")
        assert [one["pointer"] for one in refused["errors"]] == ["/person"]
        assert "anna" not in str(refused)
        key = await client.key("supply")
        server = await client.outside.post(
            "/v1/ads/request", json={"placement": "p", "person": "anna"}, headers=key
        )
        assert server.json()["tier"] == "consented"

    serve(tmp_path / "data", scenario)


def test_a_link_names_a_person_at_its_own_publisher_for_a_day(tmp_path):
    async def scenario(client: Client) -> None:
        await open_shop(client)
        other = {"id": "other", "name": "O", "domain": "o.example"}
        assert (await client.admin.post("/v1/publishers", json=other)).status_code == 201
        await post(client, body("grant", "advertise", person="anna"))
        links = {}
        for publisher in ("pub", "other"):
            made = await client.admin.post(
                "/v1/choice/links", json={"publisher": publisher, "person": "anna"}
            )
            links[publisher] = made.json()["link"]
        assert (await ask(client, link=links["pub"]))["tier"] == "consented"
        for unknown in (links["other"], links["pub"][:-3], "x", "\u20ac"):
            answer = await ask(client, link=unknown)
            assert answer["tier"] == "less-personalised", "nobody"
        client.clock.advance_us(86_400_000_001)
        assert (await ask(client, link=links["pub"]))["tier"] == "less-personalised"

    serve(tmp_path / "data", scenario)


# ---- an exchange --------------------------------------------------------------------------------

GEO = {"country": "PRT", "region": "PT-11"}
AD_OF = {"consented": "t.a", "less-personalised": "t.a", "general": "c.a"}


@pytest.mark.parametrize(
    ("request_", "tier", "reason"),
    [
        ({"device": {"geo": GEO}}, "general", "tcf-none"),
        ({"device": {"geo": GEO}, "user": {"consent": tc(1, 2, 3, 4)}}, "less-personalised", "nobody"),
        ({"device": {"geo": GEO}, "user": {"consent": tc(2)}}, "less-personalised", "tcf-no-profile"),
        ({"device": {"geo": GEO}, "user": {"consent": tc(1, 3, 4)}}, "general", "tcf-no-ads"),
        ({"device": {"geo": GEO}, "user": {"consent": tc(1, 2, 3, 4)[:20]}}, "general", "tcf-none"),
        ({"device": {"geo": GEO}, "user": {"consent": "C" * 40_000}}, "general", "tcf-none"),
        ({"device": {"geo": GEO}, "regs": {"gdpr": 0}}, "less-personalised", "nobody"),
        ({"device": {"geo": GEO}, "regs": {"gdpr": 0, "coppa": 1}}, "less-personalised", "child"),
        ({"device": {"geo": GEO, "lmt": 1}, "regs": {"gdpr": 0}}, "less-personalised", "limited"),
        ({"device": {"geo": GEO}, "regs": {"gdpr": 0, "gpp": "DBABMA~", "gpp_sid": [2]}},
         "general", "tcf-none"),
        ({"device": {"geo": GEO}, "regs": {"gdpr": 0, "us_privacy": "1YYN"}},
         "less-personalised", "us-opt-out"),
    ],
)  # fmt: skip
def test_an_exchange_s_request_is_of_nobody_and_may_only_narrow(tmp_path, request_, tier, reason):
    async def scenario(client: Client) -> None:
        await open_shop(client, targeting={"regions": ["PRT"]})
        await audience_of_all(client)
        sent = {**BID_REQUEST, **request_}
        user = {"id": ANNA, "buyeruid": ANNA, **sent.pop("user", {})}
        answer = await client.outside.post("/openrtb2/auction", json={**sent, "user": user})
        assert answer.status_code == 200, answer.text
        assert answer.json()["seatbid"][0]["bid"][0]["crid"] == AD_OF[tier]
        (cleared,) = await auctions(client)
        assert (cleared.tier, cleared.tier_reasons[0], cleared.reads) == (tier, reason, {})
        seen = cleared.context
        assert (seen.site, seen.publisher_id) == ("pub.example", "pub")
        known = {"less-personalised": "PRT-11", "general": ""}
        assert seen.region == known[tier]

    serve(tmp_path / "data", scenario, settings=OURS)


async def audience_of_all(client: Client) -> None:
    """Anna consented, which an exchange's request cannot use."""
    await post(client, body("grant", "advertise", person=ANNA))


def test_a_test_request_has_its_tier_too(tmp_path):
    async def scenario(client: Client) -> None:
        await open_shop(client, targeting={"regions": ["PRT"]})
        for tc_string, ad in ((tc(2), "t.a"), ("", "c.a")):
            sent = {
                **BID_REQUEST, "test": 1, "device": {"geo": GEO}, "user": {"consent": tc_string}
            }  # fmt: skip
            answer = await client.outside.post("/openrtb2/auction", json=sent)
            assert answer.json()["seatbid"][0]["bid"][0]["crid"] == ad
        assert await auctions(client) == []

    serve(tmp_path / "data", scenario, settings=OURS)


def test_the_operator_says_whether_the_gdpr_applies_where_nobody_does(tmp_path):
    tiers = {}
    for applies in (True, False):

        async def scenario(client: Client, applies: bool = applies) -> None:
            await open_shop(client)
            await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
            tiers[applies] = (await auctions(client))[0].tier

        own = ConsentSettings(gdpr_applies_by_default=applies)
        serve(tmp_path / str(applies), scenario, settings={"consent": own})
    assert tiers == {True: "general", False: "less-personalised"}


def test_a_player_s_tag_says_what_was_chosen(tmp_path):
    async def scenario(client: Client) -> None:
        await client.stock()
        publisher = {"consent": {"source": "tcf"}, "origins": [ORIGIN]}
        assert (await client.admin.patch("/v1/publishers/pub", json=publisher)).status_code == 200
        film = {"id": "f", "publisher_id": "pub", "format": "video"}
        assert (await client.admin.post("/v1/placements", json=film)).status_code == 201
        tiers = []
        for query in (
            {}, {"gdpr": "1", "gdpr_consent": tc(2)}, {"gdpr": "0"}, {"gdpr": "${GDPR}"},
            {"gdpr": "yes", "gpp_sid": "x,2", "gdpr_consent": "["},
            {"gdpr": "0", "coppa": "1", "person": ANNA},
        ):  # fmt: skip
            answer = await client.outside.get("/vast/f", params=query, headers={"origin": ORIGIN})
            assert answer.status_code == 200, answer.text
            tiers.append((await auctions(client))[-1].tier)
        less = "less-personalised"
        assert tiers == ["general", less, less, "general", "general", less]
        guessed = {"person": "anna"}
        answer = await client.outside.get("/vast/f", params=guessed, headers={"origin": ORIGIN})
        assert answer.status_code == 422

    serve(tmp_path / "data", scenario, settings=OURS)


# ---- between the decision and the read ----------------------------------------------------------


def test_a_withdrawal_while_outside_bidders_think_ends_the_grant(tmp_path):
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def thinks(request: dict) -> tuple[int, bytes]:
        asked.set()
        await may_answer.wait()
        return 204, b""

    async def scenario(client: Client) -> None:
        await open_shop(client)
        await audience(client)
        await post(client, body("grant", "measure", person=ANNA))
        running = asyncio.create_task(ask(client, person=ANNA))
        await asked.wait()
        await post(client, body("withdraw", "advertise", "measure", person=ANNA))
        may_answer.set()
        answer = await running
        (cleared,) = await auctions(client)
        assert answer["tier"] == cleared.tier == "less-personalised"
        assert cleared.tier_reasons[0] == "grant-ended"
        assert not cleared.measurable, "measurement was withdrawn as well"
        assert (cleared.reads, answer["ads"][0]["ad"]) == ({}, "c.a")
        assert client.app.platform.denied.total == 1

    network = httpx.ASGITransport(app=SimulatedBidders(dsp=thinks))
    exchange = ExchangeSettings(bidders=[bidder(tmax_ms=5_000)], tmax_ms=5_000)
    serve(tmp_path / "data", scenario, settings={"exchange": exchange}, network=network)


class Decider(Person):
    """Lets requests of hers begin and end between one decision and the next."""

    reads = 0

    async def live(self, client: Client, random: Random) -> None:
        for _ in range(6):
            self.changes, self.has_said_no = self.changes + 1, False
            await post(client, body("grant", "advertise", person=self.name, asked=False))
            self.has_said_yes = True
            await self.rest()
            self.has_said_yes = False
            action = random.choice(("withdraw", "refuse", "object", "erase"))
            purposes = () if action == "erase" else ("advertise",)
            await post(client, body(action, *purposes, person=self.name))
            self.has_said_no = True
            await self.rest()

    async def rest(self) -> None:
        enough = self.reads + 2
        await until(lambda: self.reads >= enough)


@pytest.mark.parametrize("seed", range(3))
def test_no_request_sent_after_a_withdrawal_s_answer_is_behavioural(tmp_path, seed):
    seen = {"no": 0, "yes": 0}

    async def scenario(client: Client) -> None:
        await open_shop(client)
        random = Random(seed)
        people = [Decider(f"r.{number:022d}") for number in range(3)]
        running = asyncio.gather(*(one.live(client, random) for one in people))

        async def read() -> None:
            while not running.done():
                person = random.choice(people)
                no, yes, changes = person.has_said_no, person.has_said_yes, person.changes
                tier = (await ask(client, person=person.name))["tier"]
                person.reads += 1
                if no and person.changes == changes:
                    assert tier == "less-personalised"
                    seen["no"] += 1
                if yes and person.has_said_yes and person.changes == changes:
                    assert tier == "consented"
                    seen["yes"] += 1

        await asyncio.gather(running, *(read() for _ in range(4)))

    serve(tmp_path / "data", scenario, seed=seed)
    assert min(seen.values()) > 10, "or the test would prove less"
    unbroken(tmp_path / "data")


# ---- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no vendor list"),
        ({"a.json": b"{"}, "a.json"),
        ({"a.json": b'{"gvlSpecificationVersion": 2}'}, "a.json"),
    ],
)
def test_a_folder_without_a_vendor_list_stops_the_start(tmp_path, files, message):
    folder = tmp_path / "lists"
    folder.mkdir()
    for name, text in files.items():
        Path(folder / name).write_bytes(text)
    settings = Settings(
        data=str(tmp_path / "data"), consent=ConsentSettings(vendor_lists=str(folder))
    )
    with pytest.raises(ConfigurationError, match=message):
        create(settings)


def test_the_site_says_since_when_it_honours_gpc(tmp_path):
    async def scenario(client: Client) -> None:
        answer = await client.outside.get("/.well-known/gpc.json")
        assert answer.json() == {"gpc": True, "lastUpdate": "2026-01-02"}

    own = ConsentSettings(gpc_since="2026-01-02")
    serve(tmp_path / "data", scenario, settings={"consent": own})
    broken = Settings(data=str(tmp_path / "x"), consent=ConsentSettings(gpc_since="2026-02-30"))
    with pytest.raises(ConfigurationError, match="gpc_since"):
        create(broken)
