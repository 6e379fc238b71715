"""The payment provider, as subscriptions need it: a port.

What every adapter must give: the same key is the same payment, however often it is asked for, also
at the same time; a call that ends without an answer may or may not have had its effect. Which it
was, the next call with the key says, or a notice (``webhook``).
"""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

Status = Literal["succeeded", "declined", "pending"]


class ChargeOrder(Struct, frozen=True, kw_only=True):
    """A payment to take."""

    key: str
    """Idempotency key, and our reference for it."""
    payment_method: str
    """The provider's token for how the person pays. Personal: never logged."""
    amount_minor: int
    currency: str


class RefundOrder(Struct, frozen=True, kw_only=True):
    """A payment to give back, wholly or in part."""

    key: str
    charge: str
    """The key of the charge."""
    amount_minor: int
    currency: str


class PaymentAnswer(Struct, frozen=True, kw_only=True):
    """What the provider says of a payment. ``pending``: it will decide later."""

    status: Status
    reference: str = ""
    """The provider's own id of it."""
    amount_minor: int | None = None
    """What was moved, where the provider says it: compared with what was asked for."""
    reason: str = ""


class Unanswered(Exception):
    """No answer that says what became of the payment; ask again with the same key."""


class PaymentProvider(Protocol):
    """Takes and gives back money. Every method raises Unanswered, and nothing else on purpose."""

    async def charge(self, order: ChargeOrder) -> PaymentAnswer:
        """Take a payment, once per key."""
        ...

    async def find(self, key: str) -> PaymentAnswer | None:
        """What became of a charge; None where none with that key arrived."""
        ...

    async def refund(self, order: RefundOrder) -> PaymentAnswer:
        """Give a payment back, once per key."""
        ...
