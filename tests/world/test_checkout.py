"""The provider behind a port, asked by the platform's own adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from ringwork.app.payment_http import HttpPayments
from ringwork.app.settings import Settings
from ringwork.consent.subscriptions.provider import ChargeOrder, RefundOrder
from ringwork.kernel.config import load
from ringwork.world.checkout import checkout

ORDER = ChargeOrder(key="k1", payment_method="card", amount_minor=599, currency="EUR")


def paying(folder: Path, work: Callable[[HttpPayments], Awaitable[None]]) -> str:
    """Work with a provider; its address, where nobody is any more."""
    with checkout(folder, lambda: 1_000) as environment:
        found = load(Settings, toml="", toml_name="", environment=environment, flags={})
        own = found.settings.subscriptions
        assert len(Path(own.webhook_secret_file).read_bytes()) >= 16

        key = Path(own.provider_key_file).read_text()

        async def main() -> None:
            payments = HttpPayments(url=own.provider_url, key=key, timeout_s=5)
            await work(payments)
            await payments.close()

        asyncio.run(main())
    return own.provider_url


def test_a_charge_is_taken_once_found_and_given_back(tmp_path: Path):
    async def work(payments: HttpPayments) -> None:
        first, again = await payments.charge(ORDER), await payments.charge(ORDER)
        assert (first.status, first.amount_minor) == ("succeeded", 599)
        assert again == first == await payments.find("k1")
        assert await payments.find("k2") is None
        back = RefundOrder(key="r1", charge="k1", amount_minor=599, currency="EUR")
        assert (await payments.refund(back)).status == "succeeded"

    url = paying(tmp_path, work)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)
