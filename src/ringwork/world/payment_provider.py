"""A simulated payment provider, told to misbehave: what a platform meets, without a bank.

It speaks the provider's HTTP contract (``app/payment_http.py``) and signs its notices, so the real
adapter, relay and webhook are what is driven. It keeps to the one promise that every provider
makes, the same key is the same payment, and breaks everything else on demand: it declines, takes
the money and does not answer, answers twice, answers late. ``ledger`` is what it has done, which is
what a test compares the platform's own books with.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Literal

import httpx
import msgspec
from msgspec import Struct

from ringwork.consent.subscriptions.webhook import sign

Mood = Literal["pay", "decline", "hang", "lose", "late", "twice", "fail"]
"""``pay`` and ``decline`` at once; ``hang``: take the money and time out; ``lose``: time out
without having heard; ``late``: answer ``pending`` and decide by a notice; ``twice``: pay, and say
so again by two notices; ``fail``: a server error."""

SECRET: Final = b"simulated-webhook-secret"


class Payment(Struct):
    """A payment as the provider has it."""

    key: str
    kind: Literal["charge", "refund"]
    amount_minor: int
    currency: str
    status: Literal["succeeded", "declined", "pending"]
    method: str = ""


class SimulatedPaymentProvider(httpx.AsyncBaseTransport):
    """One provider behind an httpx transport; ``moods`` are for the next requests, then ``pay``."""

    def __init__(self, now_s: Callable[[], int]) -> None:
        """``now_s`` is the provider's clock: what its notices are signed at."""
        self._now_s = now_s
        self.moods: deque[Mood] = deque()
        self.ledger: dict[str, Payment] = {}
        self.notices: deque[bytes] = deque()
        """Bodies to deliver; each delivery is signed anew."""
        self.asked: list[str] = []
        """Keys of the requests that moved or would have moved money, repeated ones too."""
        self._told = 0

    @property
    def kept_minor(self) -> int:
        """What it has taken and not given back."""
        signs = {"charge": 1, "refund": -1}
        return sum(
            signs[one.kind] * one.amount_minor
            for one in self.ledger.values()
            if one.status == "succeeded"
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """An httpx transport."""
        path = request.url.path
        if request.method == "GET":
            found = self.ledger.get(path.rpartition("/")[2])
            return (
                httpx.Response(404, stream=httpx.ByteStream(b""))
                if found is None
                else _response(found)
            )
        body = msgspec.json.decode(await request.aread(), type=dict[str, str | int])
        key = request.headers["idempotency-key"]
        self.asked.append(key)
        mood = self.moods.popleft() if self.moods else "pay"
        if mood == "lose":
            raise httpx.ConnectTimeout("lost", request=request)
        if mood == "fail":
            return httpx.Response(503, stream=httpx.ByteStream(b""))
        known = self.ledger.get(key)
        if known is None:
            kind: Literal["charge", "refund"] = "refund" if path.endswith("/refunds") else "charge"
            known = self._take(key, kind, body, mood)
        if mood == "hang":
            raise httpx.ReadTimeout("hung", request=request)
        return _response(known)

    def _take(
        self, key: str, kind: Literal["charge", "refund"], body: dict[str, str | int], mood: Mood
    ) -> Payment:
        status: Literal["succeeded", "declined", "pending"] = "succeeded"
        if mood in ("decline", "late"):
            status = "declined" if mood == "decline" else "pending"
        payment = Payment(
            key, kind, int(body["amount_minor"]), str(body["currency"]), status,
            str(body.get("payment_method", "")),
        )  # fmt: skip
        self.ledger[key] = payment
        if mood == "twice":
            self.tell(payment)
            self.tell(payment)
        return payment

    def decide(self, key: str, status: Literal["succeeded", "declined"]) -> None:
        """Decide what was left pending, and tell of it."""
        payment = self.ledger[key]
        payment.status = status
        self.tell(payment)

    def tell(self, payment: Payment) -> None:
        """Queue a notice, under a new id."""
        self._told += 1
        type = f"{payment.kind}.{payment.status}"
        self.notices.append(notice(f"n{self._told}", type, payment))

    def signature(self, body: bytes) -> str:
        """The header that a notice is delivered with now."""
        return sign(body, SECRET, self._now_s())


def notice(id: str, type: str, payment: Payment) -> bytes:
    """The body of a notice."""
    told = {
        "key": payment.key,
        "reference": f"p-{payment.key}",
        "amount_minor": payment.amount_minor,
    }
    return msgspec.json.encode({"id": id, "type": type, "payment": told})


def _response(payment: Payment) -> httpx.Response:
    status = 402 if payment.status == "declined" else 200
    answer = {
        "status": payment.status,
        "id": f"p-{payment.key}",
        "amount_minor": payment.amount_minor,
        "reason": "insufficient funds" if payment.status == "declined" else "",
    }
    return httpx.Response(status, stream=httpx.ByteStream(msgspec.json.encode(answer)))
