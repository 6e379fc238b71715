"""What the API of subscriptions answers: ids and pseudonyms, never a person."""

from __future__ import annotations

from typing import Self

from msgspec import Struct

from ringwork.consent.subscriptions.model import (
    Channel,
    LinkState,
    Plan,
    PlanPrice,
    State,
    Subscription,
)
from ringwork.consent.subscriptions.register import Register


class LinkedAccountView(Struct, frozen=True, kw_only=True):
    """An account that shares a subscription, or will when its extra price is paid."""

    person: str
    """Pseudonym, in hex."""
    state: LinkState
    since_us: int


class SubscriptionView(Struct, frozen=True, kw_only=True):
    """A subscription as it is now."""

    id: str
    person: str
    """Pseudonym, in hex."""
    plan: str
    region: str
    channel: Channel
    currency: str
    time_zone: str
    pinned: bool
    state: State
    reason: str
    ads_free_until_us: int | None
    """As things stand; a renewal moves it."""
    period: int
    starts_us: int
    ends_us: int
    price_id: str
    price_nanos: int
    extra_account_nanos: int
    paid_nanos: int
    """For the present period, linked accounts and what went back included."""
    refunded_nanos: int
    """Of the present period: given back, or about to be."""
    payment_open: bool
    next_try_us: int | None
    accounts: list[LinkedAccountView]

    @classmethod
    def of(cls, register: Register, one: Subscription) -> Self:
        """The view of a subscription."""
        charges = [register.charges[id] for id in one.charges]
        paid = [it for it in charges if it.period == one.period and it.state == "paid"]
        return cls(
            id=one.id,
            person=one.subject.hex(),
            plan=one.plan,
            region=one.region,
            channel=one.channel,
            currency=one.currency,
            time_zone=one.time_zone,
            pinned=one.pinned,
            state=one.state,
            reason=one.reason,
            ads_free_until_us=one.until_us or None,
            period=one.period,
            starts_us=one.starts_us,
            ends_us=one.ends_us,
            price_id=one.offer.price_id,
            price_nanos=one.offer.price_nanos,
            extra_account_nanos=one.offer.extra_nanos,
            paid_nanos=sum(it.amount_nanos for it in paid),
            refunded_nanos=sum(it.refunded_nanos for it in paid),
            payment_open=any(it.state == "open" for it in charges),
            next_try_us=one.next_try_us or None,
            accounts=[
                LinkedAccountView(person=person.hex(), state=link.state, since_us=link.since_us)
                for person, link in one.links.items()
            ],
        )


class Plans(Struct, frozen=True):
    """A page of plans; ``next`` is the cursor of the next, null at the end."""

    plans: list[Plan]
    next: str | None


class PlanPrices(Struct, frozen=True):
    """A page of price records."""

    plan_prices: list[PlanPrice]
    next: str | None


class SubscriptionList(Struct, frozen=True):
    """A page of subscriptions."""

    subscriptions: list[SubscriptionView]
    next: str | None


class NoticeTaken(Struct, frozen=True):
    """A notice of the payment provider was taken, now or before."""

    outcome: str
