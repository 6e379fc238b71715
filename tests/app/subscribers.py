"""Months of subscriptions over the API: every event of theirs, at a simulated provider."""

from pathlib import Path

import httpx
import msgspec

from ringwork.consent.subscriptions import SubscriptionSettings
from ringwork.world.payment_provider import SECRET, SimulatedPaymentProvider
from tests.app.served import Client

DAY_US = 86_400_000_000
HOST = "pay.example"


class Network(httpx.AsyncBaseTransport):
    """The provider under its name, and everybody else."""

    def __init__(
        self, provider: SimulatedPaymentProvider, others: httpx.AsyncBaseTransport
    ) -> None:
        self.provider, self._others = provider, others

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """An httpx transport."""
        to = self.provider if request.url.host == HOST else self._others
        return await to.handle_async_request(request)


def selling(folder: Path) -> SubscriptionSettings:
    """Settings that sell at the simulated provider."""
    (folder / "provider-key").write_text("key")
    (folder / "webhook-secret").write_bytes(SECRET)
    return SubscriptionSettings(
        provider_url=f"https://{HOST}",
        provider_key_file=str(folder / "provider-key"),
        webhook_secret_file=str(folder / "webhook-secret"),
    )


async def subscribe(client: Client, provider: SimulatedPaymentProvider) -> None:
    """Three subscribers: one goes on, one cancels, one gets the money back."""

    async def post(path: str, body: object = None) -> dict:
        key = f"{path} {msgspec.json.encode(body).decode()}"
        answer = await client.admin.post(path, json=body, headers={"idempotency-key": key})
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def work() -> None:
        relay = client.app.platform.subscribing.relay
        relay.renew()
        await relay.work()

    price = {"id": "p", "plan": "plus", "channel": "web", "currency": "EUR", "valid_from_us": 0}
    price |= {"price_nanos": 5_990_000_000, "extra_account_nanos": 4_000_000_000}
    await post("/v1/plans", {"id": "plus", "name": "No ads"})
    await post("/v1/plan-prices", price)
    for id in ("goes-on", "cancels", "refunded"):
        new = {"id": id, "person": id, "plan": "plus", "region": "PT", "channel": "web"}
        await post("/v1/subscriptions", {**new, "currency": "EUR", "payment_method": "card"})
    await work()
    await post("/v1/subscriptions/goes-on/link", {"person": "bob"})
    await work()
    await post("/v1/subscriptions/goes-on/unlink", {"person": "bob"})
    await post("/v1/subscriptions/cancels/cancel")
    await post("/v1/subscriptions/refunded/refund", {"reason": "goodwill"})
    await work()
    client.clock.advance_us(31 * DAY_US)
    provider.moods.append("decline")
    await work()
    await post("/v1/subscriptions/goes-on/payment-method", {"payment_method": "another card"})
    await work()
    body = b'{"id":"n1","type":"payout.sent"}'
    headers = {"ringwork-signature": provider.signature(body)}
    heard = await client.outside.post("/v1/payment-notices", content=body, headers=headers)
    assert heard.json() == {"outcome": "unknown"}
    states = {
        one.id: one.state for one in client.app.platform.memory.subscriptions.subscriptions.values()
    }
    assert states == {"goes-on": "active", "cancels": "expired", "refunded": "refunded"}
