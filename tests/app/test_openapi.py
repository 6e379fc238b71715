"""The OpenAPI document: complete, closed in itself, and true of real answers."""

import re
from collections.abc import Iterator

import jsonschema_rs
import pytest

from ringwork.consent.subscriptions import SubscriptionSettings
from ringwork.world.payment_provider import SimulatedPaymentProvider
from tests.app.life import DECEMBER_US
from tests.app.served import EPOCH_US, Client, serve
from tests.crash.shop import BID_REQUEST, euros

METHODS = ("get", "put", "post", "delete", "patch")
BEACONS = {f"/{letter}/{{token}}" for letter in "bvwcnl"}
SCRIPTS = {"/ringwork.js", "/ringworkBidAdapter.js", "/ringwork-consent.js"}
CHOICE = {"/choice", *(f"/choice/{page}" for page in ("embed", "mine", "mine-embed", "state"))}
LANES = {
    "/v1/fairness/adjust",
    "/openrtb2/auction",
    "/v1/ads/request",
    "/vast/{placement}",
    *SCRIPTS,
    *BEACONS,
    *CHOICE,
}
FILES = {
    "/.well-known/gpc.json",
    "/ads.txt",
    "/app-ads.txt",
    "/sellers.json",
    "/why/{impression_id}",
}
UNDOCUMENTED = {"/metrics", "/openapi.json", "/"}
"""For monitoring, the document itself, and the way to the console."""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict:
    found = {}

    async def scenario(client: Client) -> None:
        answer = await client.outside.get("/openapi.json")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert (await client.outside.get("/openapi.json")).content == answer.content
        found.update(answer.json())

    serve(tmp_path_factory.mktemp("openapi") / "data", scenario)
    return found


def operations(document: dict) -> Iterator[tuple[str, str, dict]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, item[method]


def refs(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from refs(item)
    elif isinstance(value, list):
        for item in value:
            yield from refs(item)


def test_every_reference_leads_somewhere_and_every_schema_is_used(document):
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    named = {f"#/components/schemas/{name}" for name in schemas}
    used = set(refs(document))
    assert used == named


def test_every_schema_is_one(document):
    for name in document["components"]["schemas"]:
        validator(document, {"$ref": f"#/components/schemas/{name}"})


def validator(document: dict, schema: dict) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


def test_every_operation_is_named_told_and_refuses_with_problems(document):
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    for method, path, operation in operations(document):
        assert operation["summary"], path
        declared = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path))
        for status, response in operation["responses"].items():
            if status == "default" or status >= "400":
                assert list(response["content"]) == ["application/problem+json"], (method, path)
        assert any(status < "400" for status in operation["responses"])


def test_what_moves_money_requires_a_key(document):
    required = {
        (method, path)
        for method, path, operation in operations(document)
        for one in operation.get("parameters", ())
        if one["name"] == "Idempotency-Key" and one["required"]
    }
    assert required == {
        ("post", "/v1/ledger/accounts"),
        ("post", "/v1/ledger/transfers"),
        ("post", "/v1/campaigns"),
        ("patch", "/v1/campaigns/{campaign_id}"),
        ("post", "/v1/import"),
        ("post", "/v1/invoices"),
        ("post", "/v1/credit-notes"),
        ("post", "/v1/payouts"),
        ("post", "/v1/subscriptions"),
        ("post", "/v1/subscriptions/{subscription_id}/link"),
        ("post", "/v1/subscriptions/{subscription_id}/refund"),
        ("post", "/v1/events"),
    }


def test_what_is_open_says_so_and_nothing_else_is(document):
    assert document["security"] == [{"key": []}]
    open_to_all = {path for _, path, one in operations(document) if one.get("security") == []}
    signed = {"/v1/payment-notices"}
    assert open_to_all == {"/healthz", "/readyz", *signed, *FILES, *SCRIPTS, *BEACONS, *CHOICE}


def test_every_route_is_in_it(tmp_path, document):
    async def scenario(client: Client) -> None:
        routes = {
            (method.lower(), re.sub(r":\w+}", "}", route.path))
            for route in client.app.litestar.routes
            for handler in getattr(route, "route_handlers", ())
            for method in handler.http_methods
            if method != "OPTIONS" and not route.path.startswith("/console")
        }
        documented = {(method, path) for method, path, _ in operations(document)}
        shown = {(method, path) for method, path in documented if path not in LANES}
        assert {one for one in routes if one[1] not in UNDOCUMENTED} == shown
        assert {path for _, path in documented - shown} == LANES

    serve(tmp_path / "data", scenario)


async def fairness(check, client: Client) -> None:
    key = await client.key("supply")
    asked = {"special_ad_categories": [], "targeting": {"age_min": 30},
             "ads": [{"id": "a", "text": "Apartments for rent, now leasing"}]}  # fmt: skip
    told = await check("POST", "/v1/fairness/check", json=asked)
    assert (told.status_code, told.json()["suspected"][0]["ad"]) == (200, "a")
    assert told.json()["violations"][0]["rule"] == "us/age"
    table = {"attribute": "race", "groups": ["a", "b"], "counts": [[800, 200], [300, 700]],
             "confusion": [[0.8, 0.2], [0.3, 0.7]], "clauses": {"phone": [1, 0]},
             "features": {"device": {"phone": [1, 0]}}}  # fmt: skip
    told = await check("POST", "/v1/fairness/scan", json=table)
    assert (told.status_code, told.json()["is_flagged"]) == (200, True)
    assert "CA" in told.json()["without_race_proxy"]
    refused = await check("POST", "/v1/fairness/scan", json={**table, "counts": [[1], [1, 2]]})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (409, "/counts")
    person = {"person": "u1", "surname": "Smith", "zip": "00001", "sex": "female"}
    told = await check("POST", "/v1/fairness/people", json={"people": [person]})
    assert told.json() == {"described": 1, "total": 1}
    ad = {"ad": "elsewhere", "category": "CREDIT", "expected_impressions": 100}
    assert (await check("POST", "/v1/fairness/ads", json=ad)).status_code == 201
    shown = {"id": "1", "ad": "elsewhere", "cluster": 1, "time_us": 1, "price_nanos": 1}
    for counted in (1, 0):
        told = await check("POST", "/v1/fairness/impressions", json={"impressions": [shown]})
        assert told.json()["counted"] == counted
    other = {"impressions": [{**shown, "ad": "other"}]}
    assert (await check("POST", "/v1/fairness/impressions", json=other)).status_code == 404
    for candidate, status in (("elsewhere", 200), ("other", 404)):
        asked = {"cluster": 1, "candidates": [{"ad": candidate, "value_nanos": 5}]}
        told = await check("POST", "/v1/fairness/adjust", json=asked, headers=key)
        assert told.status_code == status
    for path, id in (("/v1/fairness/ads/{ad}", "elsewhere"), ("/v1/fairness/log", "")):
        found = await check("GET", path.replace("{ad}", id), path)
        assert found.status_code == 200, found.text
    assert (await check("GET", "/v1/fairness/report")).status_code == 404
    await client.app.platform.fairness.look()
    over = {"action": "pause", "reason": "to see"}
    template = "/v1/fairness/ads/{ad}/override"
    for id, status in (("elsewhere", 201), ("other", 404)):
        path = template.replace("{ad}", id)
        assert (await check("POST", path, template, json=over)).status_code == status
    for reason, status in (("", 422), ("yearly", 201)):
        said = await check("POST", "/v1/fairness/log/rotations", json={"reason": reason})
        assert said.status_code == status, said.text
    undeclared = {"id": "n", "advertiser_id": "a", "name": "N", "pricing": "cpm", "bid_nanos": 1}
    missing = await check(
        "POST", "/v1/campaigns", json=undeclared, headers={"idempotency-key": "n"}
    )
    assert (missing.status_code, "special_ad_categories" in missing.text) == (422, True)


@pytest.fixture
def looks_at_nothing_by_itself(monkeypatch):
    monkeypatch.setattr("ringwork.app.fairness.LOOK_S", 3600.0)


@pytest.mark.usefixtures("looks_at_nothing_by_itself")
def test_real_answers_are_as_documented(tmp_path, document):
    """One of each: the schemas are written from the types, the answers by the handlers."""
    seen = set()

    async def scenario(client: Client) -> None:
        async def check(method: str, path: str, template: str = "", **options: object):
            who = client.outside if template in LANES or path in LANES else client.admin
            answer = await who.request(method, path, **options)
            operation = document["paths"][template or path][method.lower()]
            response = operation["responses"].get(str(answer.status_code))
            response = response or operation["responses"]["default"]
            media = answer.headers.get("content-type", "").partition(";")[0]
            if media.endswith("json"):
                validator(document, response["content"][media]["schema"]).validate(answer.json())
            seen.add((method.lower(), template or path))
            return answer

        await client.stock()
        made = await check("POST", "/v1/keys", json={"role": "viewer"})
        sold = await check("POST", "/openrtb2/auction", json=BID_REQUEST)
        bid = sold.json()["seatbid"][0]["bid"][0]
        place = {"id": "p", "publisher_id": "pub", "format": "native"}
        await check("POST", "/v1/placements", json=place)
        site = {"id": "s", "publisher_id": "pub", "name": "s", "domain": "pub.example"}
        assert (await check("POST", "/v1/sites", json=site)).status_code == 201
        await know_people(check)
        await check("POST", "/v1/ads/request", json={"placement": "p"})
        await client.outside.get(bid["burl"])
        erased = await check("POST", "/v1/erasures", json={"subject": "customer/x"})
        for path in (
            "/healthz", "/readyz", "/v1/keys", "/v1/log/events", "/v1/ledger/trial-balance",
            "/v1/ledger/totals", "/v1/advertisers", "/v1/campaigns", "/v1/creatives",
            "/v1/publishers", "/v1/placements", "/v1/sites", "/v1/audiences", "/v1/invoices",
            "/v1/report-schedules", "/v1/fairness/rules", "/sellers.json", "/.well-known/gpc.json", "/v1/consent-proof-runs",
        ):  # fmt: skip
            assert (await check("GET", path)).status_code == 200
        for template, id in (
            ("/v1/traces/{request_id}", sold.headers["x-request-id"]),
            ("/v1/erasures/{erasure_id}", erased.json()["id"]),
            ("/v1/ledger/accounts/{account_id}", "campaign/c"),
            ("/v1/ledger/transfers/{transfer_id}", "deposit"),
            ("/v1/advertisers/{advertiser_id}", "a"),
            ("/v1/campaigns/{campaign_id}", "c"),
            ("/v1/creatives/{creative_id}", "c.a"),
            ("/v1/campaigns/{campaign_id}/history", "c"),
            ("/v1/creatives/{creative_id}/history", "c.a"),
            ("/v1/audiences/{audience_id}", "r"),
            ("/v1/audiences/{audience_id}/history", "r"),
            ("/v1/sites/{site_id}", "s"),
            ("/v1/publishers/{publisher_id}", "pub"),
            ("/v1/placements/{placement_id}", "p"),
            ("/v1/why/{impression_id}", bid["id"]),
        ):
            found = await check("GET", re.sub(r"{\w+}", id, template), template)
            assert found.status_code == 200, found.text
            none = "00000000-0000-7000-8000-000000000000"
            missing = await check("GET", re.sub(r"{\w+}", none, template), template)
            assert missing.status_code == 404
        await fairness(check, client)
        await choose(check, client)
        gone = await check("DELETE", f"/v1/keys/{made.json()['id']}", "/v1/keys/{key_id}")
        assert gone.status_code == 200
        await consent(check)
        await account(check, client)
        await subscribe(check)
        await check("POST", "/v1/conversions", json={"rwclid": "x", "conversion_id": "1"})
        await check("POST", "/v1/ledger/accounts", json={"id": 5})

    (tmp_path / "key").write_text("provider-key")
    own = SubscriptionSettings(
        provider_url="https://pay.example", provider_key_file=str(tmp_path / "key")
    )
    provider = SimulatedPaymentProvider(lambda: 0)
    serve(tmp_path / "data", scenario, settings={"subscriptions": own}, network=provider)
    all_gets = {(method, path) for method, path, _ in operations(document) if method == "get"}
    # These are no JSON.
    texts = {"/v1/reports/{name}", "/ads.txt", "/app-ads.txt", "/vast/{placement}"}
    texts.add("/why/{impression_id}")
    unseen = {"/v1/log/stream", "/v1/creatives/{creative_id}/preview"} | texts | SCRIPTS | BEACONS
    unseen |= CHOICE - {"/choice/state"}  # pages
    assert {path for _, path in all_gets - seen} == unseen


async def subscribe(check) -> None:
    """A plan, its price, and a subscription to it; what it answers at each step."""
    price = {"id": "p", "plan": "plus", "channel": "web", "currency": "EUR"}
    new = {"id": "s", "person": "ana", "plan": "plus", "region": "PT", "channel": "web"}
    card = {"payment_method": "card"}
    for path, body, status in (
        ("/v1/plans", {"id": "plus", "name": "No ads"}, 201),
        ("/v1/plan-prices", {**price, "price_nanos": 10**9, "valid_from_us": 0}, 201),
        ("/v1/subscriptions", {**new, **card, "currency": "EUR"}, 201),
        ("/v1/subscriptions/{subscription_id}/payment-method", card, 200),
        ("/v1/subscriptions/{subscription_id}/link", {"person": "bob"}, 409),
        ("/v1/subscriptions/{subscription_id}/unlink", {"person": "bob"}, 200),
        ("/v1/subscriptions/{subscription_id}/refund", {}, 409),
        ("/v1/subscriptions/{subscription_id}/cancel", None, 200),
        ("/v1/payment-notices", {}, 401),
    ):
        where = path.format(subscription_id="s")
        answer = await check("POST", where, path, json=body, headers={"idempotency-key": path})
        assert answer.status_code == status, answer.text
    one = "/v1/subscriptions/{subscription_id}"
    assert (await check("GET", one.format(subscription_id="s"), one)).status_code == 200
    assert (await check("GET", "/v1/subscriptions")).json()["subscriptions"]
    assert (await check("GET", "/v1/plans")).json()["plans"]
    assert (await check("GET", "/v1/plan-prices")).json()["plan_prices"]
    query = "plan=plus&channel=web&currency=EUR"
    in_force = await check("GET", f"/v1/plan-prices/in-force?{query}", "/v1/plan-prices/in-force")
    assert in_force.json()["id"] == "p"


async def choose(check, client: Client) -> None:
    """The choice page is shown; what it says to tags and to publishers' servers."""
    asked = {"publisher": "pub", "person": "r." + "a" * 22}
    await client.outside.get("/choice", params=asked)
    await check("GET", "/choice/state", params=asked)
    (shown,) = (await client.admin.get("/v1/log/events?type=choice_shown")).json()["events"]
    notice = f"/v1/consent-notices/{shown['payload']['notice']}"
    await check("GET", notice, "/v1/consent-notices/{sha256}")
    await check("POST", "/v1/choice/links", json=asked)


async def know_people(check) -> None:
    """An audience, and what somebody did."""
    audience = {"id": "r", "name": "Recent", "rules": [{"within_s": 60}]}
    assert (await check("POST", "/v1/audiences", json=audience)).status_code == 201
    change = {"status": "archived"}
    await check("PATCH", "/v1/audiences/r", "/v1/audiences/{audience_id}", json=change)
    did = {"person": "u", "service": "main", "kind": "view", "topic": "t", "at_us": EPOCH_US}
    headers = {"idempotency-key": "told"}
    answer = await check("POST", "/v1/events", json={"events": [did]}, headers=headers)
    assert answer.status_code == 201, answer.text


async def consent(check) -> None:
    """A decision with its evidence."""
    body = {"person": "p", "action": "grant", "purposes": ["measure"], "notice": "0" * 64}
    join = {"from": "shop", "to": "main"}
    signal = {"kind": "gpc", "value": "1"}
    made = await check("POST", "/v1/consent", json={**body, "services": [join], "signal": signal})
    assert made.status_code == 201, made.text
    for tail in ("", "/prompt", "/proof", "/export"):
        shown = await check("GET", f"/v1/consent/p{tail}", f"/v1/consent/{{person}}{tail}")
        assert shown.status_code == 200, shown.text
    refused = await check("POST", "/v1/consent", json={**body, "action": "refuse"})
    assert refused.status_code == 201
    assert (await check("POST", "/v1/consent", json=body)).json()["ask_again_after"]


async def account(check, client: Client) -> None:
    """Reports and documents of a month with one impression, which is over."""
    client.clock.set_wall_us(DECEMBER_US)
    schedule = {"id": "daily", "name": "Every day", "every": "day", "measures": ["spend_nanos"]}
    of_november = {"month": "2025-11"}
    made = {
        "/v1/reports": {"from_us": 0, "until_us": 1, "dimensions": ["campaign"], "measures": ["ctr"]},
        "/v1/report-schedules": schedule,
        "/v1/invoices": {"advertiser": "a", **of_november},
        "/v1/payouts": {"publisher": "pub", **of_november},
    }  # fmt: skip
    for path, body in made.items():
        answer = await check("POST", path, json=body, headers={"idempotency-key": path})
        assert answer.status_code in (201, 409), answer.text
        assert path != "/v1/invoices" or answer.status_code == 201
    await check("GET", "/v1/invoices/a-1", "/v1/invoices/{invoice_id}")
    credit = {"invoice": "a-1", "amount": euros(10**9), "reason": "too much"}
    headers = {"idempotency-key": "credit"}
    await check("POST", "/v1/credit-notes", json=credit, headers=headers)
    statement = "/v1/publishers/{publisher_id}/statement"
    shown = await check("GET", statement.format(publisher_id="pub"), statement, params=of_november)
    assert shown.status_code == 200, shown.text
    plan = {
        "pricing": "cpm", "bid_nanos": 5, "formats": ["banner"], "budget": euros(5),
        "starts_us": DECEMBER_US, "ends_us": DECEMBER_US + 1,
    }  # fmt: skip
    await check("POST", "/v1/forecasts", json=plan)
    assert (await check("GET", "/v1/report-schedules")).json()["report_schedules"]
    ended = await check(
        "DELETE", "/v1/report-schedules/daily", "/v1/report-schedules/{schedule_id}"
    )
    assert ended.status_code == 200, ended.text


@pytest.mark.parametrize(
    ("value", "is_money"),
    [
        ({"currency": "EUR", "units": 1, "nanos": 5}, True),
        ({"currency": "EUR", "units": -1, "nanos": -5}, True),
        ({"currency": "EUR", "units": 0, "nanos": 0}, True),
        ({"currency": "EUR", "units": 1, "nanos": -5}, False),
        ({"currency": "EUR", "units": -1, "nanos": 5}, False),
        ({"currency": "EUR", "units": 1, "nanos": 10**9}, False),
        ({"currency": "euro", "units": 1, "nanos": 0}, False),
        ({"units": 1, "nanos": 0}, False),
        ({"currency": "EUR", "units": "1", "nanos": 0}, False),
    ],
)
def test_money_in_the_document_is_money_on_the_wire(document, value, is_money):
    schema = validator(document, {"$ref": "#/components/schemas/Money"})
    assert schema.is_valid(value) == is_money
