"""The facts of subscriptions. Members are appended, never edited; amounts are integer nanos.

The envelope's subject is the person that a fact is about, as a pseudonym: the subscriber, or the
account that is linked. Ids of charges and refunds are what the provider is asked with, so a request
that is repeated after a crash is the same request.
"""

from __future__ import annotations

from typing import ClassVar, Final

from ringwork.consent.subscriptions.model import Plan, PlanPrice
from ringwork.kernel.events import Event

_MONEY: Final = "as long as the law keeps accounts, mostly ten years"


class PlanDefined(Event, frozen=True, array_like=True):
    """A plan can be priced and sold."""

    TYPE: ClassVar[str] = "plan_defined"
    RETENTION: ClassVar[str] = _MONEY
    plan: Plan
    actor: str


class PlanPriceSet(Event, frozen=True, array_like=True):
    """A price of a plan, for the while that it says."""

    TYPE: ClassVar[str] = "plan_price_set"
    RETENTION: ClassVar[str] = _MONEY
    price: PlanPrice
    actor: str


class SubscriptionRequested(Event, frozen=True, array_like=True):
    """A person wants a subscription; it starts when its first payment is made."""

    TYPE: ClassVar[str] = "subscription_requested"
    PERSONAL: ClassVar[tuple[str, ...]] = ("payment_method",)
    RETENTION: ClassVar[str] = _MONEY
    id: str
    plan: str
    region: str
    channel: str
    currency: str
    time_zone: str
    pinned: bool
    grace_days: int
    payment_method: bytes
    actor: str


class SubscriptionChargeRequested(Event, frozen=True, array_like=True):
    """A payment will be asked of the provider, under the idempotency key ``charge_id``."""

    TYPE: ClassVar[str] = "subscription_charge_requested"
    RETENTION: ClassVar[str] = _MONEY
    charge_id: str
    subscription_id: str
    kind: str
    """``period``, or ``extra`` for an account that is linked within one: the subject."""
    period: int
    attempt: int
    starts_us: int
    ends_us: int
    price_id: str
    price_nanos: int
    extra_nanos: int
    linked: int
    """Accounts that the amount pays for besides the subscriber's."""
    amount_nanos: int
    currency: str


class SubscriptionChargePaid(Event, frozen=True, array_like=True):
    """The provider has the money."""

    TYPE: ClassVar[str] = "subscription_charge_paid"
    RETENTION: ClassVar[str] = _MONEY
    charge_id: str
    subscription_id: str
    amount_nanos: int
    currency: str
    provider_ref: str


class SubscriptionPaymentFailed(Event, frozen=True, array_like=True):
    """A payment was declined, or (``declined`` is false) is unanswered and still asked for."""

    TYPE: ClassVar[str] = "subscription_payment_failed"
    RETENTION: ClassVar[str] = _MONEY
    charge_id: str
    subscription_id: str
    period: int
    attempt: int
    declined: bool
    reason: str
    next_try_us: int
    """When another payment is asked for; 0 where none will be."""


class SubscriptionStarted(Event, frozen=True, array_like=True):
    """The first period is paid for: no ads from here on."""

    TYPE: ClassVar[str] = "subscription_started"
    RETENTION: ClassVar[str] = _MONEY
    id: str
    charge_id: str
    starts_us: int
    ends_us: int


class SubscriptionRenewed(Event, frozen=True, array_like=True):
    """Another period is paid for."""

    TYPE: ClassVar[str] = "subscription_renewed"
    RETENTION: ClassVar[str] = _MONEY
    id: str
    charge_id: str
    period: int
    starts_us: int
    ends_us: int


class SubscriptionGraceEntered(Event, frozen=True, array_like=True):
    """A renewal is not paid; no ads all the same until ``grace_ends_us``."""

    TYPE: ClassVar[str] = "subscription_grace_entered"
    RETENTION: ClassVar[str] = _MONEY
    id: str
    grace_ends_us: int


class SubscriptionCancellationScheduled(Event, frozen=True, array_like=True):
    """It will not be renewed and runs to the end of its period."""

    TYPE: ClassVar[str] = "subscription_cancellation_scheduled"
    RETENTION: ClassVar[str] = _MONEY
    id: str
    ends_us: int
    actor: str


class SubscriptionExpired(Event, frozen=True, array_like=True):
    """It is over; the tier follows the consent record from here on.

    ``reason``: cancelled, declined, unpaid, plan-ended, erased.
    """

    TYPE: ClassVar[str] = "subscription_expired"
    RETENTION: ClassVar[str] = _MONEY
    id: str
    reason: str


class SubscriptionRefunded(Event, frozen=True, array_like=True):
    """Money goes back, and it ends at once."""

    TYPE: ClassVar[str] = "subscription_refunded"
    RETENTION: ClassVar[str] = _MONEY
    id: str
    amount_nanos: int
    currency: str
    reason: str
    actor: str


class SubscriptionRefundRequested(Event, frozen=True, array_like=True):
    """A refund will be asked of the provider, under the idempotency key ``refund_id``."""

    TYPE: ClassVar[str] = "subscription_refund_requested"
    RETENTION: ClassVar[str] = _MONEY
    refund_id: str
    charge_id: str
    subscription_id: str
    amount_nanos: int
    currency: str
    reason: str
    """Why: what the command said, or ``surplus`` for a payment that buys nothing any more."""


class SubscriptionRefundSettled(Event, frozen=True, array_like=True):
    """The provider has given the money back, or (``paid`` is false) says that it will not."""

    TYPE: ClassVar[str] = "subscription_refund_settled"
    RETENTION: ClassVar[str] = _MONEY
    refund_id: str
    charge_id: str
    subscription_id: str
    paid: bool
    reason: str


class SubscriptionAccountLinked(Event, frozen=True, array_like=True):
    """The envelope's subject shares the subscription's tier from here on."""

    TYPE: ClassVar[str] = "subscription_account_linked"
    RETENTION: ClassVar[str] = _MONEY
    id: str
    charge_id: str
    """What paid for it; empty where this period is paid for already, or nothing is to pay."""


class SubscriptionAccountUnlinked(Event, frozen=True, array_like=True):
    """The envelope's subject shares it no longer."""

    TYPE: ClassVar[str] = "subscription_account_unlinked"
    RETENTION: ClassVar[str] = _MONEY
    id: str
    reason: str
    """``asked`` or ``erased``."""
    actor: str


class SubscriptionPaymentMethodChanged(Event, frozen=True, array_like=True):
    """From here on the subscriber pays another way."""

    TYPE: ClassVar[str] = "subscription_payment_method_changed"
    PERSONAL: ClassVar[tuple[str, ...]] = ("payment_method",)
    RETENTION: ClassVar[str] = _MONEY
    id: str
    payment_method: bytes
    next_try_us: int
    """When a payment that is due is asked for anew; 0 where none is due."""
    actor: str


class SubscriptionNoticeReceived(Event, frozen=True, array_like=True):
    """The provider told us something by its webhook, once."""

    TYPE: ClassVar[str] = "subscription_notice_received"
    RETENTION: ClassVar[str] = "90 days: providers repeat a notice for three days at most"
    notice_id: str
    type: str
    payment_id: str
    outcome: str
    """``applied``, ``repeated`` (known already), ``unknown`` (no such payment or type) or
    ``mismatch`` (another amount than was asked for)."""


EVENTS: Final[tuple[type[Event], ...]] = (
    PlanDefined,
    PlanPriceSet,
    SubscriptionRequested,
    SubscriptionChargeRequested,
    SubscriptionChargePaid,
    SubscriptionPaymentFailed,
    SubscriptionStarted,
    SubscriptionRenewed,
    SubscriptionGraceEntered,
    SubscriptionCancellationScheduled,
    SubscriptionExpired,
    SubscriptionRefunded,
    SubscriptionRefundRequested,
    SubscriptionRefundSettled,
    SubscriptionAccountLinked,
    SubscriptionAccountUnlinked,
    SubscriptionPaymentMethodChanged,
    SubscriptionNoticeReceived,
)
