"""Plans, their dated prices, and what is kept of a subscription: plain values.

A price is a record with a beginning and perhaps an end, never a constant and never edited. A person
appears as a pseudonym only; how they pay is kept sealed.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from ringwork.kernel.money import MAX_PRICE_NANOS, Currency

ID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}"
DAY_US: Final = 86_400_000_000
ANY_REGION: Final = "*"
"""The region whose price holds where a region has none of its own."""
PLAN_PROPERTIES_MAX: Final = 1000

Id = Annotated[str, Meta(pattern=f"^{ID_PATTERN}$")]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Region = Annotated[
    str,
    Meta(
        pattern=r"^(\*|[A-Z]{2}(-[A-Z0-9]{1,3})?)$",
        description="a country, a part of one, EU, or * where a region has no price of its own",
        examples=["EU"],
    ),
]
Channel = Literal["web", "ios", "android"]
PriceNanos = Annotated[int, Meta(ge=1, le=MAX_PRICE_NANOS)]
ExtraNanos = Annotated[int, Meta(ge=0, le=MAX_PRICE_NANOS)]
TimeUs = Annotated[int, Meta(ge=0, le=2**53 - 1, description="microseconds since 1970, UTC")]
NoticeDays = Annotated[int, Meta(ge=0, le=366)]
Period = Literal["P1M", "P3M", "P6M", "P1Y"]

MONTHS: Final[dict[Period, int]] = {"P1M": 1, "P3M": 3, "P6M": 6, "P1Y": 12}

State = Literal["pending", "active", "past_due", "ending", "expired", "refunded"]
"""``pending`` waits for its first payment and is not free of ads yet."""
RUNNING: Final = frozenset({"active", "past_due", "ending"})
"""States in which no ads are shown, until the time that each ends at."""


class Plan(Struct, frozen=True, kw_only=True):
    """What is sold: no ads on some properties, for a period at a time."""

    id: Id
    name: Name
    period: Period = "P1M"
    properties: Annotated[tuple[Id, ...], Meta(max_length=PLAN_PROPERTIES_MAX)] = ()
    """Sites that it covers; none means all."""


class PlanPrice(Struct, frozen=True, kw_only=True):
    """What a plan costs for one period, in a region, a channel and a currency, for a while."""

    id: Id
    plan: Id
    region: Region = ANY_REGION
    channel: Channel
    currency: Currency
    price_nanos: PriceNanos
    extra_account_nanos: ExtraNanos = 0
    """For each linked account."""
    tax_included: bool = True
    notice_days: NoticeDays = 30
    """A renewal pays a higher price only this long after the record was set."""
    valid_from_us: TimeUs
    valid_to_us: TimeUs | None = None
    """Excluded; without one it is in force until the next record begins."""


class Offer(Struct, frozen=True):
    """What a period of one subscription costs: the price record, or what was pinned of it."""

    price_id: str
    price_nanos: int
    extra_nanos: int


ChargeKind = Literal["period", "extra"]
PaymentState = Literal["open", "paid", "declined"]


class Charge(Struct):
    """One payment that was asked for. Its id is the provider's idempotency key."""

    id: str
    subscription_id: str
    kind: ChargeKind
    period: int
    attempt: int
    starts_us: int
    ends_us: int
    offer: Offer
    amount_nanos: int
    currency: str
    requested_us: int
    account: bytes | None = None
    """Whom an extra charge links."""
    state: PaymentState = "open"
    has_failed: bool = False
    """An attempt to make it was recorded as failed, so that each is recorded once."""
    refunded_nanos: int = 0
    """Given back or about to be."""


class Refund(Struct):
    """Money that goes back. Its id is the provider's idempotency key."""

    id: str
    charge_id: str
    subscription_id: str
    amount_nanos: int
    currency: str


LinkState = Literal["waiting", "linked", "unlinked"]


class Link(Struct):
    """An account that shares the subscription, or did in this period."""

    state: LinkState
    since_us: int
    paid_period: int = 0
    """The last period that its extra price was paid for."""


class Subscription(Struct):
    """One person's subscription, as the fold keeps it."""

    id: str
    subject: bytes
    plan: str
    region: str
    channel: Channel
    currency: str
    time_zone: str
    pinned: bool
    grace_us: int
    requested_us: int
    method: bytes
    """How the person pays, sealed for ``method_event``."""
    method_event: bytes
    state: State = "pending"
    reason: str = ""
    """Why it ended, or will."""
    period: int = 0
    """The one that is paid for, from 1 on."""
    anchor_us: int = 0
    """Beginning of the first period: every other one begins at its anniversary."""
    starts_us: int = 0
    ends_us: int = 0
    offer: Offer = Offer("", 0, 0)
    """What was paid for the last period."""
    grace_ends_us: int = 0
    next_try_us: int = 0
    """When a declined payment is tried again; 0 for not."""
    attempt: int = 0
    open_charge: str = ""
    """The payment for the next period that is under way."""
    links: dict[bytes, Link] = {}
    charges: list[str] = []
    """Those of this period and the one before, oldest first."""
    until_us: int = 0
    """Until when it spares ads, as things stand; 0 for not."""

    @property
    def linked(self) -> int:
        """How many accounts share it."""
        return sum(link.state == "linked" for link in self.links.values())
