"""What the API of subscriptions is asked: bodies of commands, strict and bounded by their types."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ringwork.consent.subscriptions.model import Channel, Id, PriceNanos, Region
from ringwork.kernel.money import Currency

Person = Annotated[str, Meta(min_length=1, max_length=200, description="personal: kept nowhere")]
PaymentMethod = Annotated[
    str,
    Meta(min_length=1, max_length=200, description="the provider's token; sealed on arrival"),
]
TimeZone = Annotated[str, Meta(min_length=1, max_length=64, examples=["Europe/Lisbon"])]
Reason = Annotated[str, Meta(max_length=200)]


class NewSubscription(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who subscribes to what, and how they pay. It starts with its first payment."""

    id: Id
    person: Person
    plan: Id
    region: Region
    channel: Channel
    currency: Currency
    payment_method: PaymentMethod
    time_zone: TimeZone = "UTC"
    """By whose calendar it is renewed."""
    pinned: bool = False
    """It keeps the price that it starts with."""


class LinkedAccount(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to link or unlink."""

    person: Person


class RefundOrdered(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of what the present period cost goes back: all that is left, or an amount."""

    amount_nanos: PriceNanos | None = None
    reason: Reason = ""


class NewPaymentMethod(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the subscriber pays from now on."""

    payment_method: PaymentMethod
