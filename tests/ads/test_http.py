"""The management API over ASGI: commands, lists, conversions, explanations, totals, roles."""

import pytest

from ringwork.ads.http import SLUGS, TYPES
from ringwork.ads.http_paths import LANE_PATHS, LANE_TYPES
from ringwork.kernel.ids import format_id
from ringwork.web.openapi import document
from tests.ads.house import House
from tests.ads.office import BODIES, CAMPAIGN, Office, slug


@pytest.fixture
def office():
    with House() as house:
        office = Office(house)
        yield office
        office.engine.dispose()


@pytest.fixture
def stocked(office):
    office.fill()
    return office


# ---- catalogue ----------------------------------------------------------------------------------


@pytest.mark.parametrize("noun", sorted(BODIES))
def test_create_read_list_and_repeat(stocked, noun):
    body = BODIES[noun]
    again = stocked.create(noun, key="other")
    assert again.status_code == 200
    read = stocked.send("GET", f"/v1/{noun}/{body['id']}")
    assert read.status_code == 200
    assert read.json() == again.json()
    given = {name: value for name, value in body.items() if name != "contact"}
    assert given.items() <= read.json().items()
    listed = stocked.send("GET", f"/v1/{noun}").json()
    assert listed == {noun: [read.json()], "next": None}
    other = {"rule": "first"} if noun == "placements" else {"name": "Another"}
    conflict = stocked.create(noun, key="third", **other)
    assert (conflict.status_code, slug(conflict)) == (409, f"{noun[:-1]}-exists")
    assert slug(stocked.send("GET", f"/v1/{noun}/none")) == "not-found"


def test_the_same_key_gives_the_same_bytes(stocked):
    first, second = (stocked.create("campaigns", key="k1") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201), "the first answer, not a repeat"
    assert first.content == second.content
    assert second.headers["idempotency-replayed"] == "true"
    other = stocked.create("campaigns", key="k1", name="Other")
    assert (other.status_code, slug(other)) == (422, "idempotency-mismatch")


def test_money_needs_a_key(stocked):
    answer = stocked.send("POST", "/v1/campaigns", json={**CAMPAIGN, "id": "x"})
    assert slug(answer) == "idempotency-key-required"
    change = {"budget": {"currency": "EUR", "units": 120, "nanos": 0}}
    answer = stocked.send("PATCH", "/v1/campaigns/autumn", json=change)
    assert slug(answer) == "idempotency-key-required"
    answer = stocked.send("PATCH", "/v1/campaigns/autumn", json=change, key="up")
    assert answer.json()["budget"]["units"] == 120
    answer = stocked.send("PATCH", "/v1/campaigns/autumn", json={"status": "paused"}, key="p")
    assert (answer.status_code, answer.json()["status"]) == (200, "paused")


def test_a_refusal_by_rule_is_kept_under_its_key(office):
    office.create("advertisers")
    refused = office.create("campaigns")
    assert (refused.status_code, slug(refused)) == (409, "insufficient-funds")
    office.house.deposit("hp", 10**12)
    assert office.create("campaigns").content == refused.content
    assert office.create("campaigns", key="new").status_code == 201


def test_a_contact_never_comes_back(stocked):
    for answer in (
        stocked.create("advertisers", key="again"),
        stocked.send("GET", "/v1/advertisers/hp"),
        stocked.send("GET", "/v1/advertisers"),
    ):
        assert "contact" not in answer.text
    assert b"ana@" not in b"".join(row.payload for row in stocked.house.log.rows())


def test_pages(stocked):
    for n in range(5):
        stocked.create("publishers", key=f"p{n}", id=f"p{n}")
    seen, after = [], "0"
    while after is not None:
        page = stocked.send("GET", "/v1/publishers", params={"after": after, "limit": 2}).json()
        seen += [item["id"] for item in page["publishers"]]
        after = page["next"]
    assert seen == ["pub", "p0", "p1", "p2", "p3", "p4"]
    far = stocked.send("GET", "/v1/publishers", params={"after": "99"}).json()
    assert far == {"publishers": [], "next": None}
    for wrong in ({"limit": 0}, {"limit": 1001}, {"after": "x"}, {"after": "-1"}, {"limit": "a"}):
        answer = stocked.send("GET", "/v1/publishers", params=wrong)
        assert (answer.status_code, slug(answer)) == (422, "invalid")


def test_creatives_change(stocked):
    answer = stocked.send("PATCH", "/v1/creatives/blue", json={"html": "<i>new</i>"})
    assert (answer.status_code, answer.json()["html"]) == (200, "<i>new</i>")
    assert slug(stocked.send("PATCH", "/v1/creatives/none", json={})) == "not-found"
    assert slug(stocked.send("PATCH", "/v1/creatives/blue", json={"format": "video"})) == "invalid"


@pytest.mark.parametrize(
    ("noun", "members", "pointer", "status"),
    [
        ("campaigns", {"advertiser_id": "none"}, "/advertiser_id", 409),
        ("campaigns", {"bid_nanos": 0}, "/bid_nanos", 422),
        ("campaigns", {"bid_nanos": "5"}, "/bid_nanos", 422),
        ("campaigns", {"targeting": {"hours": [24]}}, "/targeting/hours/0", 422),
        ("creatives", {"landing_url": "javascript:alert(1)"}, "/landing_url", 422),
        ("creatives", {"html": ""}, "/html", 409),
        ("publishers", {"surprise": 1}, "", 422),
    ],
)
def test_what_is_wrong_is_pointed_at(stocked, noun, members, pointer, status):
    answer = stocked.create(noun, key="bad", id="fresh", **members)
    assert answer.status_code == status
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


# ---- roles --------------------------------------------------------------------------------------


def test_roles(stocked):
    expected = {
        ("GET", "/v1/campaigns"): {"admin", "manager", "reviewer", "finance", "auditor", "viewer"},
        ("POST", "/v1/campaigns/autumn/review"): {"admin", "reviewer"},
        ("POST", "/v1/creatives/blue/review"): {"admin", "reviewer"},
        ("POST", "/v1/creatives/check"): {"admin", "manager"},
        ("PATCH", "/v1/sites/front"): {"admin", "manager"},
        ("GET", "/v1/campaigns/autumn/history"): {
            "admin", "manager", "reviewer", "finance", "auditor", "viewer",
        },
        ("POST", "/v1/publishers"): {"admin", "manager"},
        ("PATCH", "/v1/creatives/blue"): {"admin", "manager"},
        ("POST", "/v1/conversions"): {"admin", "manager"},
        ("GET", "/v1/ledger/totals"): {"admin", "manager", "reviewer", "finance", "auditor"},
        ("GET", f"/v1/why/{format_id(bytes(16))}"): {
            "admin", "manager", "reviewer", "finance", "auditor",
        },
    }  # fmt: skip
    for (method, path), allowed in expected.items():
        body = {} if method == "GET" else {"json": {}}
        refused = {
            role for role in stocked.tokens
            if stocked.send(method, path, role=role, **body).status_code == 403
        }  # fmt: skip
        assert set(stocked.tokens) - refused == allowed, path
        assert stocked.send(method, path, role=None, **body).status_code == 401


# ---- outcomes -----------------------------------------------------------------------------------


def click_on_a_sale(office: Office):
    [outcome], [served] = office.house.serve()
    office.house.impression(served.tokens["impression"])
    claim = office.house.billing.verify(served.tokens["click"], "click")
    office.house.click(served.tokens["click"])
    return outcome, office.house.billing.conversion_token(claim)


def test_a_conversion_counts_once(stocked):
    _, rwclid = click_on_a_sale(stocked)
    body = {
        "rwclid": rwclid, "conversion_id": "order-1", "customer": "jo@shop.example",
        "value": {"currency": "EUR", "units": 80, "nanos": 0},
    }  # fmt: skip
    first, second = (stocked.send("POST", "/v1/conversions", json=body) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert first.json()["campaign_id"] == "autumn"
    assert b"jo@shop" not in b"".join(row.payload for row in stocked.house.log.rows())


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"rwclid": "AAAA"}, "/rwclid"),
        ({"value": {"currency": "USD", "units": 1, "nanos": 0}}, "/value"),
        ({"value": {"currency": "EUR", "units": -1, "nanos": 0}}, "/value"),
        ({"conversion_id": ""}, "/conversion_id"),
    ],
)
def test_what_is_wrong_with_a_conversion(stocked, members, pointer):
    _, rwclid = click_on_a_sale(stocked)
    body = {"rwclid": rwclid, "conversion_id": "1", **members}
    answer = stocked.send("POST", "/v1/conversions", json=body)
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


def test_a_conversion_that_cannot_count(stocked):
    _, one = click_on_a_sale(stocked)
    _, two = click_on_a_sale(stocked)
    stocked.send("POST", "/v1/conversions", json={"rwclid": one, "conversion_id": "1"})
    answer = stocked.send("POST", "/v1/conversions", json={"rwclid": two, "conversion_id": "1"})
    assert (answer.status_code, slug(answer)) == (409, "conversion-exists")
    stocked.house.clock.advance_us(31 * 86_400 * 1_000_000)
    answer = stocked.send("POST", "/v1/conversions", json={"rwclid": two, "conversion_id": "2"})
    assert (answer.status_code, slug(answer)) == (409, "conversion-late")


def test_why_this_ad_at_this_price(stocked):
    outcome, _ = click_on_a_sale(stocked)
    answer = stocked.send("GET", f"/v1/why/{format_id(outcome.impression_id)}")
    why = answer.json()
    assert answer.status_code == 200
    assert why["agrees"] is True
    assert (why["ad_id"], why["recomputed_ad_id"]) == ("blue", "blue")
    assert why["price_nanos"] == why["recomputed_price_nanos"] == outcome.price_nanos
    assert why["context"]["site"] == "news.example"
    assert [one["ad_id"] for one in why["considered"]] == ["blue"]
    missing = stocked.send("GET", f"/v1/why/{format_id(bytes(16))}")
    assert slug(missing) == "not-found"
    assert slug(stocked.send("GET", "/v1/why/x")) == "invalid"
    assert slug(stocked.send("GET", "/v1/why/" + "0" * 36)) == "invalid"


def test_totals_balance(stocked):
    for n in range(3):
        _, rwclid = click_on_a_sale(stocked)
        stocked.send("POST", "/v1/conversions", json={"rwclid": rwclid, "conversion_id": str(n)})
    totals = stocked.send("GET", "/v1/ledger/totals").json()
    assert totals["billed_impressions"] == 3
    charged = {"currency": "EUR", "units": 0, "nanos": 30_000}
    assert totals["debits_nanos"] == totals["credits_nanos"] == charged
    lower = {"budget": {"currency": "EUR", "units": 50, "nanos": 0}}
    assert stocked.send("PATCH", "/v1/campaigns/autumn", json=lower, key="d").status_code == 200
    totals = stocked.send("GET", "/v1/ledger/totals").json()
    assert totals["debits_nanos"] == totals["credits_nanos"] == charged
    assert stocked.house.ledger.accounts["campaign/autumn"].available_nanos == 50 * 10**9 - 30_000


# ---- what is documented -------------------------------------------------------------------------


def test_the_document_describes_every_endpoint(office):
    described = document(office.litestar, (*TYPES, *LANE_TYPES), LANE_PATHS)
    for noun in BODIES:
        assert {"get", "post"} <= described["paths"][f"/v1/{noun}"].keys()
    schemas = described["components"]["schemas"]
    assert schemas["NewCampaign"]["additionalProperties"] is False
    assert "AdRequest" in schemas
    assert "/openrtb2/auction" in described["paths"]


def test_slugs_are_conflicts():
    assert {status for status, _ in SLUGS.values()} == {409}
