"""Subscriptions over the whole application: keys, scopes, problems, the webhook, erasure."""

from pathlib import Path

import httpx
import pytest

from ringwork.app.subscribing import Subscribing
from ringwork.app.verify import check_all
from ringwork.consent.subscriptions import SubscriptionSettings
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.errors import ConfigurationError
from ringwork.world.payment_provider import SECRET, SimulatedPaymentProvider
from tests.app.served import EPOCH_US, Client, serve

PLAN = {"id": "plus", "name": "No ads", "properties": ["news"]}
PRICE = {
    "id": "p", "plan": "plus", "region": "*", "channel": "web", "currency": "EUR",
    "price_nanos": 5_990_000_000, "extra_account_nanos": 4_000_000_000, "valid_from_us": 0,
}  # fmt: skip
NEW = {
    "id": "s", "person": "ana@example.org", "plan": "plus", "region": "PT", "channel": "web",
    "currency": "EUR", "payment_method": "card-4711", "time_zone": "Europe/Lisbon",
}  # fmt: skip


class Desk:
    """The application with a simulated provider on its network."""

    def __init__(self, client: Client, provider: SimulatedPaymentProvider) -> None:
        self.client, self.provider = client, provider
        self.subscribing: Subscribing = client.app.platform.subscribing

    async def post(self, path: str, body: object = None, *, key: str | None = None, **given):
        headers = {**given.pop("headers", {}), **({"idempotency-key": key} if key else {})}
        return await self.client.admin.post(path, json=body, headers=headers, **given)

    async def get(self, path: str) -> dict:
        answer = await self.client.admin.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def work(self) -> None:
        while self.subscribing.relay.renew():
            pass
        await self.subscribing.relay.work()
        await self.client.app.platform.journal.settled()

    async def sell(self) -> None:
        for path, body in (("/v1/plans", PLAN), ("/v1/plan-prices", PRICE)):
            assert (await self.post(path, body)).status_code == 201
            assert (await self.post(path, body)).status_code == 200

    async def subscribe(self) -> dict:
        await self.sell()
        made = await self.post("/v1/subscriptions", NEW, key="k")
        assert made.status_code == 201, made.text
        await self.work()
        return await self.get("/v1/subscriptions/s")

    async def hear(self, body: bytes, signature: str | None = None) -> httpx.Response:
        signature = self.provider.signature(body) if signature is None else signature
        headers = {"ringwork-signature": signature} if signature else {}
        return await self.client.outside.post("/v1/payment-notices", content=body, headers=headers)

    def is_ads_free(self, person: str = "ana@example.org", property: str = "news") -> str:
        platform = self.client.app.platform
        subject = self.subscribing.subscriptions.subject_of(person)
        now = platform.clock.wall_us()
        return platform.memory.subscriptions.is_ads_free(subject, property, now)


def run(tmp_path: Path, scenario) -> None:
    secrets, key = tmp_path / "webhook", tmp_path / "key"
    secrets.write_bytes(b"an-older-secret-of-ours\n" + SECRET + b"\n")
    key.write_text("provider-key")
    clock = ManualClock(EPOCH_US)
    provider = SimulatedPaymentProvider(lambda: clock.wall_us() // 1_000_000)
    own = SubscriptionSettings(
        provider_url="https://pay.example", provider_key_file=str(key),
        webhook_secret_file=str(secrets),
    )  # fmt: skip

    async def with_desk(client: Client) -> None:
        await scenario(Desk(client, provider))

    serve(
        tmp_path / "data", with_desk, clock=clock, settings={"subscriptions": own},
        network=provider,
    )  # fmt: skip
    promises = check_all(tmp_path / "data", lambda what, events: None)
    assert [one.detail for one in promises if one.violations] == []


def slug(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


def test_a_subscription_from_its_plan_to_its_refund(tmp_path):
    async def scenario(desk: Desk) -> None:
        shown = await desk.subscribe()
        assert (shown["state"], shown["paid_nanos"]) == ("active", 5_990_000_000)
        assert desk.is_ads_free() == "subscription-active"
        assert desk.is_ads_free(property="sport") == ""
        linked = await desk.post("/v1/subscriptions/s/link", {"person": "bob"}, key="l")
        assert linked.json()["accounts"][0]["state"] == "waiting"
        await desk.work()
        assert desk.is_ads_free("bob") == "subscription-active"
        ended = await desk.post("/v1/subscriptions/s/unlink", {"person": "bob"})
        assert ended.json()["accounts"][0]["state"] == "unlinked"
        card = {"payment_method": "another card"}
        kept = await desk.post("/v1/subscriptions/s/payment-method", card)
        assert (kept.status_code, kept.json()["state"]) == (200, "active")
        assert (await desk.post("/v1/subscriptions/s/cancel")).json()["state"] == "ending"
        back = await desk.post("/v1/subscriptions/s/refund", {"reason": "goodwill"}, key="r")
        assert (back.json()["state"], back.json()["refunded_nanos"]) == ("refunded", 9_990_000_000)
        again = await desk.post("/v1/subscriptions/s/refund", {"reason": "goodwill"}, key="r")
        assert again.content == back.content
        await desk.work()
        assert desk.provider.kept_minor == 0
        found = await desk.get(f"/v1/subscriptions?person={shown['person']}&state=refunded")
        assert [one["id"] for one in found["subscriptions"]] == ["s"]
        price = await desk.get(
            "/v1/plan-prices/in-force?plan=plus&channel=web&currency=EUR&region=DE"
        )
        assert price["id"] == "p"

    run(tmp_path, scenario)


def test_money_moves_under_a_key_alone_and_twice_the_same_key_is_once(tmp_path):
    async def scenario(desk: Desk) -> None:
        await desk.sell()
        assert slug(await desk.post("/v1/subscriptions", NEW)) == (400, "idempotency-key-required")
        first = await desk.post("/v1/subscriptions", NEW, key="k")
        again = await desk.post("/v1/subscriptions", NEW, key="k")
        assert again.content == first.content
        assert again.headers["idempotency-replayed"] == "true"
        other = {**NEW, "id": "t"}
        assert slug(await desk.post("/v1/subscriptions", other, key="k")) == (
            422,
            "idempotency-mismatch",
        )
        await desk.work()
        assert len(desk.provider.ledger) == 1
        for path, body in (("refund", {}), ("link", {"person": "bob"})):
            refused = await desk.post(f"/v1/subscriptions/s/{path}", body)
            assert slug(refused) == (400, "idempotency-key-required")

    run(tmp_path, scenario)


def test_bad_input_says_what_was_expected_and_where(tmp_path):
    async def scenario(desk: Desk) -> None:
        await desk.sell()
        for change, pointer in (
            ({"region": "portugal"}, "/region"),
            ({"channel": "tv"}, "/channel"),
            ({"person": ""}, "/person"),
            ({"colour": "red"}, ""),
        ):
            answer = await desk.post("/v1/subscriptions", {**NEW, **change}, key=str(change))
            assert slug(answer) == (422, "invalid")
            assert any(pointer in one["pointer"] for one in answer.json()["errors"])
        answer = await desk.post("/v1/plan-prices", {**PRICE, "id": "q"})
        assert slug(answer) == (409, "rule-violated")
        assert answer.json()["errors"][0]["pointer"] == "/valid_from_us"
        assert slug(await desk.post("/v1/plans", {**PLAN, "name": "B"})) == (409, "plan-exists")
        for path in (
            "/v1/subscriptions/none",
            "/v1/plan-prices/in-force?plan=x&channel=web&currency=EUR",
        ):
            assert slug(await desk.client.admin.get(path)) == (404, "not-found")
        assert slug(await desk.post("/v1/subscriptions/none/cancel")) == (404, "not-found")

    run(tmp_path, scenario)


def test_each_role_may_do_what_is_its_own(tmp_path):
    async def scenario(desk: Desk) -> None:
        await desk.subscribe()
        allowed = {
            "viewer": (403, 403, 403, 403),
            "auditor": (200, 403, 403, 403),
            "finance": (200, 403, 403, 200),
            "manager": (200, 200, 200, 403),
        }
        for role, expected in allowed.items():
            headers = await desk.client.key(role)
            keyed = {**headers, "idempotency-key": role}
            outside = desk.client.outside
            got = (
                await outside.get("/v1/subscriptions", headers=headers),
                await outside.post("/v1/plans", json=PLAN, headers=headers),
                await outside.post(
                    "/v1/subscriptions/s/unlink", json={"person": "x"}, headers=headers
                ),
                await outside.post(
                    "/v1/subscriptions/s/refund", json={"amount_nanos": 10**7}, headers=keyed
                ),
            )
            assert tuple(one.status_code for one in got) == expected, role
        assert (await desk.client.outside.get("/v1/subscriptions")).status_code == 401

    run(tmp_path, scenario)


def test_the_webhook_takes_what_the_provider_signed_and_nothing_else(tmp_path):
    async def scenario(desk: Desk) -> None:
        desk.provider.moods.append("late")
        shown = await desk.subscribe()
        assert (shown["state"], shown["payment_open"]) == ("pending", True)
        (key,) = desk.provider.ledger
        desk.provider.decide(key, "succeeded")
        (body,) = desk.provider.notices
        assert slug(await desk.hear(body, "")) == (401, "bad-signature")
        assert slug(await desk.hear(body, "t=1,v1=00")) == (401, "bad-signature")
        assert slug(await desk.hear(body + b" ", desk.provider.signature(body)))[0] == 401
        recorded = desk.provider.signature(body)
        desk.client.clock.advance_us(301_000_000)
        assert slug(await desk.hear(body, recorded)) == (401, "stale-signature")
        assert (await desk.get("/v1/subscriptions/s"))["state"] == "pending"
        assert (await desk.hear(body)).json() == {"outcome": "applied"}
        assert (await desk.hear(body)).json() == {"outcome": "repeated"}
        assert (await desk.get("/v1/subscriptions/s"))["state"] == "active"
        unknown = b'{"id":"n9","type":"dispute.opened","more":{"a":1}}'
        assert (await desk.hear(unknown)).json() == {"outcome": "unknown"}
        assert slug(await desk.hear(b'{"id":7}')) == (422, "invalid")
        assert slug(await desk.hear(b" " * 70_000)) == (413, "too-large")

    run(tmp_path, scenario)


def test_erasing_a_person_ends_what_they_pay_and_leaves_nothing_to_read(tmp_path):
    async def scenario(desk: Desk) -> None:
        await desk.subscribe()
        await desk.post("/v1/subscriptions/s/link", {"person": "bob"}, key="l")
        await desk.work()
        made = await desk.post("/v1/erasures", {"subject": "person/ana@example.org"})
        proof = await desk.get(f"/v1/erasures/{made.json()['id']}")
        assert proof["holds"] is True
        assert proof["keys_deleted"] == 1
        assert (desk.is_ads_free(), desk.is_ads_free("bob")) == ("", "")
        shown = await desk.get("/v1/subscriptions/s")
        assert (shown["state"], shown["reason"]) == ("expired", "erased")
        erased = (await desk.get("/v1/log/events?type=subject_erased"))["events"][0]
        expired = (await desk.get("/v1/log/events?type=subscription_expired"))["events"][0]
        assert expired["cause_id"] == erased["id"]

    run(tmp_path, scenario)
    stored = b"".join(
        path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()
    )
    for secret in (b"ana@example.org", b"card-4711", b'"bob"'):
        assert secret not in stored


def test_without_a_provider_nothing_is_sold(tmp_path):
    async def scenario(client: Client) -> None:
        for path, body in (("/v1/plans", PLAN), ("/v1/plan-prices", PRICE)):
            assert (await client.admin.post(path, json=body)).status_code == 201
        answer = await client.admin.post(
            "/v1/subscriptions", json=NEW, headers={"idempotency-key": "k"}
        )
        assert slug(answer) == (409, "no-payment-provider")
        notice = await client.outside.post("/v1/payment-notices", content=b"{}")
        assert slug(notice) == (401, "bad-signature")

    serve(tmp_path / "data", scenario)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"provider_url": "http://pay.example"}, "provider_url: expected https://HOST"),
        ({"provider_url": "pay.example"}, "provider_url: expected https://HOST"),
        ({"provider_url": "https://pay.example"}, "provider_key_file: (empty)"),
        ({"webhook_secret_file": "nowhere"}, "webhook_secret_file: nowhere"),
        ({"webhook_secret_file": "short"}, "expected secrets of at least 16 bytes"),
    ],
)
def test_settings_that_cannot_be_used_stop_the_start(tmp_path, monkeypatch, given, says):
    monkeypatch.chdir(tmp_path)
    Path("short").write_text("0123456789abcdef\nshort\n")

    async def nothing(client: Client) -> None: ...

    with pytest.raises(ConfigurationError) as error:
        serve(tmp_path / "data", nothing, settings={"subscriptions": SubscriptionSettings(**given)})
    assert says in str(error.value)
