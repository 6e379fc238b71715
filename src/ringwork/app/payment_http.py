"""The payment provider over HTTP: the adapter of the port, on httpx.

Three calls, with the key of the payment as ``Idempotency-Key`` where money moves. Whatever is not a
clear answer is none: a time-out, an error of the network or the server, a body that cannot be read,
a refusal of the request itself. Then nobody knows what became of the payment, and the same key is
asked again.

::

    POST {url}/charges        {payment_method, amount_minor, currency} -> {status, id, ...}
    GET  {url}/charges/{key}  -> the same, or 404 where no charge with that key arrived
    POST {url}/refunds        {charge, amount_minor, currency} -> {status, id, ...}

402 (declined) has the same body as 200.
"""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Annotated, Any, Final, Literal

import httpx
import msgspec
from msgspec import Meta, Struct

from ringwork.consent.subscriptions.provider import (
    ChargeOrder,
    PaymentAnswer,
    RefundOrder,
    Unanswered,
)

ANSWER_MAX_BYTES: Final = 64 * 1024
CONNECTIONS_MAX: Final = 32
_ANSWERS: Final = frozenset({200, 201, 202, 402})
_Text = Annotated[str, Meta(max_length=200)]


class _Answer(Struct):
    """What a provider answers; members that we do not know are left out."""

    status: Literal["succeeded", "declined", "pending"]
    id: _Text = ""
    amount_minor: int | None = None
    reason: _Text = ""


class HttpPayments:
    """A ``PaymentProvider`` with one client, which ``close`` closes."""

    def __init__(
        self,
        *,
        url: str,
        key: str,
        timeout_s: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """``transport`` replaces the network."""
        self._url = url.rstrip("/")
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
            headers={
                "authorization": f"Bearer {key}",
                "accept": "application/json",
                "accept-encoding": "identity",
            },
            follow_redirects=False,
            trust_env=False,
        )
        self._client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def charge(self, order: ChargeOrder) -> PaymentAnswer:
        """Take a payment, once per key."""
        body = {
            "payment_method": order.payment_method,
            "amount_minor": order.amount_minor,
            "currency": order.currency,
        }
        return _answer(await self._send("POST", "/charges", order.key, body))

    async def find(self, key: str) -> PaymentAnswer | None:
        """What became of a charge; None where none with that key arrived."""
        status, body = await self._send("GET", f"/charges/{key}", None, None)
        return None if status == 404 else _answer((status, body))

    async def refund(self, order: RefundOrder) -> PaymentAnswer:
        """Give a payment back, once per key."""
        body = {
            "charge": order.charge,
            "amount_minor": order.amount_minor,
            "currency": order.currency,
        }
        return _answer(await self._send("POST", "/refunds", order.key, body))

    async def _send(
        self, method: str, path: str, key: str | None, body: dict[str, Any] | None
    ) -> tuple[int, bytes]:
        headers = {} if key is None else {"idempotency-key": key}
        try:
            async with self._client.stream(
                method, self._url + path, json=body, headers=headers
            ) as response:
                return response.status_code, await _read(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unanswered(type(error).__name__) from None


async def _read(response: httpx.Response) -> bytes:
    pieces, size = [], 0
    async for piece in response.aiter_raw():
        size += len(piece)
        if size > ANSWER_MAX_BYTES:
            raise Unanswered(f"more than {ANSWER_MAX_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _answer(got: tuple[int, bytes]) -> PaymentAnswer:
    status, body = got
    if status not in _ANSWERS:
        raise Unanswered(f"status {status}")
    try:
        found = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unanswered(f"status {status} with a body that is no answer") from None
    return PaymentAnswer(
        status=found.status,
        reference=found.id,
        amount_minor=found.amount_minor,
        reason=found.reason,
    )


_decoder: Final = msgspec.json.Decoder(_Answer)
