"""An afternoon of everything, and what it is made of: for tests that restart the platform."""

from pathlib import Path
from random import Random

import httpx
import pytest

from ringwork.ads.exchange import ExchangeSettings
from ringwork.ads.model import Ask, Context, Slot
from ringwork.app.compose import create
from ringwork.app.platform import Platform
from ringwork.app.settings import Settings
from ringwork.fairness.settings import FairnessSettings
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.purpose import GrantRefused
from ringwork.kernel.viewer import Viewer
from tests.ads.exchange.market import SimulatedBidders, bid, bidder, reply
from tests.app.served import EPOCH_US, Client
from tests.consent.choice.shop import ORIGIN, Desk
from tests.crash.shop import BID_REQUEST, euros

HOUR_US = 3_600_000_000
DECEMBER_US = 1_764_633_600_000_000
"""The second of December, 2025: the afternoon's month is over."""


async def _bids_for_places(request: dict) -> tuple[int, bytes]:
    """An outside bidder that wants what is asked for a placement of ours, and nothing else."""
    if request["imp"][0].get("tagid") != "p":
        return 204, b""
    wanted = bid(price=2.5, burl="https://dsp.example/billed")
    return 200, reply(wanted, id=request["id"])


PROOF_RUN = {
    "version": "1", "seed": 1, "holds": True, "pairs": 2000, "differing_pairs": 0,
    "differing_bytes": 0, "history_reads": 0, "canary_sightings": 0, "timing_p_ppm": 400_000,
    "planted": 55, "caught": 55,
    "walls": [{"wall": "pairs", "holds": True, "says": "0 bytes differ in 2,000 pairs"}],
}  # fmt: skip


FAIR = FairnessSettings(
    plan=str(Path(__file__).with_name("few_people.yaml")),
    clusters=4, cluster_people=2, cluster_sigma=4.0, audience_still_s=0,
)  # fmt: skip
DESCRIBED = 104


def outside() -> dict[str, object]:
    """What ``serve`` takes for a life with an outside bidder."""
    network = httpx.ASGITransport(app=SimulatedBidders(dsp=_bids_for_places))
    settings = {"exchange": ExchangeSettings(bidders=[bidder()]), "fairness": FAIR}
    return {"settings": settings, "network": network}


def opened(data: Path, seed: int = 6) -> Platform:
    """The store as a new process finds it."""
    app = create(Settings(data=str(data)), clock=ManualClock(EPOCH_US), entropy=SeededEntropy(seed))
    return app.platform


async def post(client: Client, path: str, body: object, key: str = "") -> dict:
    headers = {"idempotency-key": key} if key else {}
    answer = await client.admin.post(path, json=body, headers=headers)
    assert answer.status_code < 500, answer.text
    return answer.json()


async def accounts(client: Client) -> None:
    for name, limited in (("cash", False), ("purse", True)):
        account = {"id": name, "currency": "EUR", "limited": limited}
        await post(client, "/v1/ledger/accounts", account, f"open {name}")
    await post(client, "/v1/ledger/transfers", transfer("fund", 10**9, "cash", "purse"), "fund")


def transfer(id: str, nanos: int, debit: str = "purse", credit: str = "cash", **more: object):
    body = {"id": id, "kind": "single", "debit_account": debit, "credit_account": credit}
    return {**body, "amount": euros(nanos), **more}


async def live(client: Client, random: Random) -> None:
    """An afternoon of everything: money, catalogue, sales, outcomes, keys, erasures, refusals."""
    await accounts(client)
    await post(client, "/v1/publishers", {"id": "pub", "name": "P", "domain": "pub.example"})
    advertiser = {"id": "a", "name": "A", "domain": "a.example", "currency": "EUR"}
    await post(client, "/v1/advertisers", {**advertiser, "contact": "Ada"}, "a")
    deposit = transfer("deposit", 10**12, "cash", "advertiser/a")
    await post(client, "/v1/ledger/transfers", deposit, "deposit")
    for number, pricing in enumerate(("cpm", "cpc", "cpa")):
        campaign = {
            "id": f"c{number}", "advertiser_id": "a", "name": "C", "special_ad_categories": [],
            "pricing": pricing,
            "bid_nanos": {"cpm": 2_000_000, "cpc": 300_000_000, "cpa": 20 * 10**9}[pricing],
            "budget": euros(10**11), "daily_budget": euros(5 * 10**10),
        }  # fmt: skip
        await post(client, "/v1/campaigns", campaign, f"c{number}")
        creative = {
            "id": f"c{number}.a", "campaign_id": f"c{number}", "name": "Ad", "format": "banner",
            "width": 300, "height": 250, "landing_url": "https://a.example/", "html": "<b>Ad</b>",
        }  # fmt: skip
        await post(client, "/v1/creatives", creative)
    place = {"id": "p", "publisher_id": "pub", "format": "banner", "width": 300, "height": 250}
    await post(client, "/v1/placements", place)
    await client.admin.patch("/v1/creatives/c0.a", json={"name": "Better"})
    await client.admin.patch("/v1/advertisers/a", json={"name": "Better"})
    await review(client)
    await special(client)
    await fairness(client)
    await supply(client)
    await choose(client)
    await people(client)
    for number in range(60):
        client.clock.advance_us(random.randrange(1, 600_000_000))
        await random.choice((sell, move, manage))(client, random, number)
        if random.random() < 0.2:
            client.app.platform.expire_due()
        while client.app.platform.pace():
            pass
    await accounting(client)


async def people(client: Client) -> None:
    """An audience, what somebody did who consented, and an ad that she is shown for it."""
    platform, now_us = client.app.platform, client.clock.wall_us()
    audience = {"id": "recent", "name": "Recent", "rules": [{"within_s": 3600}]}
    await post(client, "/v1/audiences", audience)
    await client.admin.patch("/v1/audiences/recent", json={"name": "Just now"})
    body = {"person": "eve", "action": "grant", "purposes": ["advertise"], "notice": "0" * 64}
    await post(client, "/v1/consent", body, "eve grants")
    did = {"person": "eve", "service": "main", "kind": "view", "topic": "t", "at_us": now_us}
    assert (await post(client, "/v1/events", {"events": [did]}, "eve did"))["recorded"] == 1
    await platform.indexed()
    context = Context(site="pub.example", publisher_id="pub")
    slot = Slot(id="1", format="banner", sizes=((300, 250),))
    ask = Ask(request_id=platform.ids.new(), source="native", context=context, slots=(slot,))
    answered = await platform.serve_ad(ask, Viewer(person="eve"))
    assert (answered.tier, [one.campaign_id for one in answered.served]) == ("consented", ["c0"])
    subject = platform.consent.consents.subject_of("eve")
    grant = platform.consent.grants.grant(
        subject=subject, purposes=("advertise",), services=("main",), request_id=ask.request_id,
        epoch=platform.consent.epochs.current(subject),
    )  # fmt: skip
    with pytest.raises(GrantRefused, match="tier"):
        platform.behaviour.personal_context(ask, grant, now_s=now_us // 10**6)
    platform.denied.record(platform.journal, tenant="main")
    platform.serve_ad.requests["subscriber"] += 2
    platform.count_ads_free(at_once=True)
    await platform.journal.settled()


async def accounting(client: Client) -> None:
    """What is done once a month is over: reports, an invoice, a part of it back, a payout."""
    for id in ("daily", "brief"):
        schedule = {"id": id, "name": "Every day", "every": "day", "measures": ["spend_nanos"]}
        await post(client, "/v1/report-schedules", schedule, id)
    await decide(client, "grant", "advertise")
    client.clock.set_wall_us(DECEMBER_US)
    await decide(client, "withdraw", "advertise")
    await decide(client, "erase")
    assert "recorded_at_us" in await post(client, "/v1/consent-proof-runs", PROOF_RUN, "proved")
    due = await client.app.platform.desk.make_due()
    assert (due.made, due.troubles) == (2, {})
    ended = await client.admin.delete("/v1/report-schedules/brief")
    assert ended.status_code == 200, ended.text
    of_november = {"month": "2025-11"}
    tax = {"name": "IVA", "rate_ppm": 230_000}
    billed = await post(
        client, "/v1/invoices", {"advertiser": "a", "tax": tax, **of_november}, "invoice"
    )
    assert billed["id"] == "a-1"
    credit = {"invoice": "a-1", "amount": euros(10_000_000), "reason": "a mistake"}
    assert (await post(client, "/v1/credit-notes", credit, "credit"))["id"] == "a-c1"
    paid = await post(client, "/v1/payouts", {"publisher": "pub", **of_november}, "payout")
    assert paid["id"] == "pub-p1"


async def decide(client: Client, action: str, *purposes: str) -> None:
    """A person decides, with the signal that said so."""
    signal = {} if action == "erase" else {"signal": {"kind": "gpc", "value": "1"}}
    body = {"person": "anna", "action": action, "purposes": purposes, "notice": "0" * 64, **signal}
    assert "receipt_id" in await post(client, "/v1/consent", body, f"anna {action}")


async def choose(client: Client) -> None:
    """A reader is asked on a publisher's page, and refuses."""
    paper = {"id": "casa", "name": "Casa", "domain": "casa.example", "origins": [ORIGIN]}
    await post(client, "/v1/publishers", paper)
    desk = Desk(client)
    async with desk.http:
        pressed = await desk.press(await desk.open(), "less", origin="http://localhost:8000")
        assert pressed.status_code < 400, pressed.text


async def review(client: Client) -> None:
    """A campaign and its ad that wait for approval, and get it."""
    draft = {
        "id": "r", "advertiser_id": "a", "name": "R", "special_ad_categories": [], "pricing": "cpm", "bid_nanos": 1000,
        "budget": euros(10**9), "status": "review",
    }  # fmt: skip
    await post(client, "/v1/campaigns", draft, "r")
    creative = {
        "id": "r.a", "campaign_id": "r", "name": "Ad", "format": "native", "title": "T",
        "landing_url": "https://a.example/", "status": "review",
    }  # fmt: skip
    await post(client, "/v1/creatives", creative)
    for path in ("/v1/creatives/r.a/review", "/v1/campaigns/r/review"):
        assert "type" not in await post(client, path, {"decision": "approve"}, path)


async def special(client: Client) -> None:
    """A housing ad that nobody declared, for an audience: held, decided on, declared."""
    campaign = {
        "id": "h", "advertiser_id": "a", "name": "H", "special_ad_categories": [],
        "pricing": "cpm", "bid_nanos": 1000, "budget": euros(10**9),
        "targeting": {"audiences": ["interest:483"]},
    }  # fmt: skip
    await post(client, "/v1/campaigns", campaign, "h")
    creative = {
        "id": "h.a", "campaign_id": "h", "name": "Ad", "format": "native",
        "title": "Two-bedroom apartments for rent", "landing_url": "https://a.example/",
    }  # fmt: skip
    await post(client, "/v1/creatives", creative)
    decision = {"decision": "confirm", "reason": "apartments"}
    decided = await post(client, "/v1/campaigns/h/special-review", decision, "decided")
    assert decided["special_ad_categories"] == ["HOUSING"]
    rules = (await client.admin.get("/v1/fairness/rules")).json()
    declared = {"special_ad_categories": ["HOUSING", "CREDIT"],
                "certified_text": rules["certified_text"]}  # fmt: skip
    headers = {"idempotency-key": "declared"}
    changed = await client.admin.patch("/v1/campaigns/h", json=declared, headers=headers)
    assert changed.status_code == 200, changed.text


async def fairness(client: Client) -> None:
    """Two special ads, one of another platform: both are shown to people who are described."""
    platform = client.app.platform
    people = [
        {"person": f"f{number}", "surname": "X", "zip": "00001", "sex": ("female", "male")[number % 2]}
        for number in range(DESCRIBED)
    ]  # fmt: skip
    assert (await post(client, "/v1/fairness/people", {"people": people}))["total"] == DESCRIBED
    for one in people[:4]:
        said = {
            "person": one["person"],
            "action": "grant",
            "purposes": ["measure"],
            "notice": "0" * 64,
        }
        await post(client, "/v1/consent", said, f"{one['person']} grants")
    other = {"ad": "elsewhere", "category": "HOUSING", "expected_impressions": 1000}
    assert (await post(client, "/v1/fairness/ads", other))["ad"] == "elsewhere"
    await platform.fairness.look()
    jobs = {
        "id": "j", "advertiser_id": "a", "name": "J", "special_ad_categories": ["EMPLOYMENT"],
        "certified_text": platform.screen.certification, "pricing": "cpm", "bid_nanos": 9_000_000,
        "budget": euros(10**9),
    }  # fmt: skip
    await post(client, "/v1/campaigns", jobs, "j")
    creative = {
        "id": "j.a", "campaign_id": "j", "name": "Ad", "format": "banner", "width": 300,
        "height": 250, "landing_url": "https://a.example/", "html": "<b>Ad</b>",
    }  # fmt: skip
    await post(client, "/v1/creatives", creative)
    context = Context(site="pub.example", publisher_id="pub")
    slot = Slot(id="1", format="banner", sizes=((300, 250),))
    for number in range(4):
        ask = Ask(request_id=platform.ids.new(), source="native", context=context, slots=(slot,))
        answered = await platform.serve_ad(ask, Viewer(person=f"f{number}"))
        (served,) = answered.served
        assert served.creative.id == "j.a"
        await platform.record_outcome.impression(served.tokens["impression"])
    told = [
        {"id": str(number), "ad": "elsewhere", "person": f"f{number % 3}", "cluster": number % 4,
         "time_us": client.clock.wall_us(), "price_nanos": 1000}
        for number in range(40)
    ]  # fmt: skip
    taken = await post(client, "/v1/fairness/impressions", {"impressions": told})
    assert taken == {"counted": 40, "repeated": 0, "late": 0}
    auction = {"cluster": 1, "candidates": [{"ad": "elsewhere", "value_nanos": 5}]}
    key = await client.key("supply")
    answer = await client.outside.post("/v1/fairness/adjust", json=auction, headers=key)
    assert answer.json()["shifts"][0]["shift_nanos"] == 0
    await platform.fairness.look()
    assert (await client.admin.get("/v1/fairness/ads/elsewhere")).json()["release"]["episode"] == 1
    rotated = await post(client, "/v1/fairness/log/rotations", {"reason": "yearly"}, "rotated")
    assert rotated["public_key"] != rotated["previous_public_key"]
    paused = {"action": "pause", "reason": "to see"}
    assert (await post(client, "/v1/fairness/ads/j.a/override", paused))["override"][
        "action"
    ] == "pause"
    await client.admin.patch(
        "/v1/campaigns/j", json={"status": "paused"}, headers={"idempotency-key": "j pauses"}
    )
    for number in (0, 1):
        ask = Ask(request_id=platform.ids.new(), source="native", context=context, slots=(slot,))
        (served,) = (await platform.serve_ad(ask, Viewer(person=f"f{number}"))).served
        assert served.campaign_id != "j", "an ordinary ad"
        await platform.record_outcome.impression(served.tokens["impression"])
    erased = await post(client, "/v1/erasures", {"subject": "person/f0"}, "f0 is erased")
    assert erased["keys_deleted"] == 1
    await platform.fairness.look()


async def supply(client: Client) -> None:
    """A site, and changes of what a publisher has."""
    site = {"id": "s", "publisher_id": "pub", "name": "S", "domain": "pub.example"}
    await post(client, "/v1/sites", site)
    for path, change in (
        ("/v1/sites/s", {"name": "Better"}),
        ("/v1/placements/p", {"floor_nanos": 1}),
        ("/v1/publishers/pub", {"name": "Better"}),
    ):
        changed = await client.admin.patch(path, json=change)
        assert changed.status_code == 200, changed.text


async def sell(client: Client, random: Random, number: int) -> None:
    answer = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
    if answer.status_code != 200:
        return
    bid = answer.json()["seatbid"][0]["bid"][0]
    if random.random() < 0.5:
        client.clock.advance_us(HOUR_US)  # its hold expires first
    for _ in range(random.choice((0, 1, 2))):
        assert (await client.outside.get(bid["burl"])).status_code == 204
    token = bid["lurl" if random.random() < 0.2 else "nurl"].partition("/")[2]
    assert (await client.outside.get(token[token.index("/", 1) :])).status_code == 204
    placed = await client.outside.post("/v1/ads/request", json={"placement": "p"})
    for ad in placed.json()["ads"]:
        for url in (ad["beacons"]["impression"], ad["beacons"]["viewable"]):
            assert (await client.outside.get(url)).status_code == 204
    click = bid["adm"].partition("/c/")[2].partition('"')[0]
    landing = await client.outside.get(f"/c/{click}")
    rwclid = landing.headers["location"].partition("rwclid=")[2]
    order = {"rwclid": rwclid, "conversion_id": f"o{number}", "customer": f"k{number % 3}"}
    await post(client, "/v1/conversions", order, f"o{number}")


async def move(client: Client, random: Random, number: int) -> None:
    kind = random.choice(("single", "pending", "pending", "post", "void"))
    amount = random.randrange(-5, 10**9)
    body = transfer(f"t{number}", amount, kind=kind)
    if kind in ("post", "void"):
        body = {"id": f"t{number}", "kind": kind, "pending_id": f"t{random.randrange(number + 1)}"}
        body["amount"] = euros(max(amount, 0)) if kind == "post" else None
    elif kind == "pending":
        body["timeout_s"] = random.choice((0, 5, 600))
    if body["amount"] and amount < 0:
        body["amount"] = {"currency": "EUR", "units": 0, "nanos": amount}
    await post(client, "/v1/ledger/transfers", body, f"t{number % 40}")


async def manage(client: Client, random: Random, number: int) -> None:
    made = await post(client, "/v1/keys", {"role": "viewer", "label": f"k{number}"})
    if random.random() < 0.5:
        await client.admin.delete(f"/v1/keys/{made['id']}")
    await post(client, "/v1/erasures", {"subject": f"customer/k{number % 3}"})
    status = random.choice(("active", "paused"))
    change = await client.admin.patch(
        f"/v1/campaigns/c{number % 3}",
        json={"status": status},
        headers={"idempotency-key": f"s{number}"},
    )
    assert change.status_code == 200
