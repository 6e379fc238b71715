"""Who is subscribed, at what price, and which payments are under way: a fold of the events.

Also the question that every ad request asks, ``is_ads_free``: one look-up and a comparison, without
reading a clock or a rule.
"""

from __future__ import annotations

import heapq
from typing import ClassVar, Final

import msgspec

from ringwork.consent.subscriptions import events as said
from ringwork.consent.subscriptions.model import (
    DAY_US,
    RUNNING,
    Charge,
    Link,
    Offer,
    Plan,
    Refund,
    Subscription,
)
from ringwork.consent.subscriptions.prices import PriceList, SetPrice
from ringwork.kernel.events import Event, Recorded

PENDING_MAX_US: Final = DAY_US
"""How long a first payment may stay unanswered; a person who waits longer has gone."""
NOTICES_MAX: Final = 10_000
"""Notices remembered by id. An older one that comes again meets a settled payment: no effect."""

REASONS: Final = {
    "active": "subscription-active",
    "past_due": "subscription-grace",
    "ending": "subscription-ending",
}


class Register:
    """Every plan, price, subscription and payment; decisions and requests read it."""

    name: ClassVar[str] = "subscriptions"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = said.EVENTS

    def __init__(self) -> None:
        self.plans: dict[str, Plan] = {}
        self.prices = PriceList()
        self.subscriptions: dict[str, Subscription] = {}
        self.charges: dict[str, Charge] = {}
        self.refunds: dict[str, Refund] = {}
        """Those under way."""
        self.open_charges: dict[str, None] = {}
        self.notices: dict[str, None] = {}
        self.of_person: dict[bytes, dict[str, None]] = {}
        """Pseudonym -> subscriptions that the person has or had, or shares or shared."""
        self._covers: dict[bytes, tuple[tuple[Subscription, frozenset[str]], ...]] = {}
        self._due: list[tuple[int, str]] = []
        self._postponed: dict[str, int] = {}

    # ---- asking ---------------------------------------------------------------------------------

    def is_ads_free(self, person: bytes, property: str, now_us: int) -> str:
        """Why a person sees no ads on a property at a moment, as a code; "" where they do."""
        covers = self._covers.get(person)
        if covers is not None:
            for subscription, properties in covers:
                if now_us < subscription.until_us and (not properties or property in properties):
                    return REASONS[subscription.state]
        return ""

    @property
    def payments_open(self) -> int:
        """Charges and refunds that are under way."""
        return len(self.open_charges) + len(self.refunds)

    def next_due(self, now_us: int) -> Subscription | None:
        """The subscription whose time came first, if one's has."""
        while self._due:
            at_us, id = self._due[0]
            subscription = self.subscriptions[id]
            if self._due_us(subscription) == at_us:
                return subscription if at_us <= now_us else None
            heapq.heappop(self._due)  # it was given another time meanwhile
        return None

    def postpone(self, subscription: Subscription, until_us: int) -> None:
        """Look at a due subscription no sooner than this. Not part of the state."""
        self._postponed[subscription.id] = until_us
        self._await(subscription)

    def _await(self, one: Subscription) -> None:
        at_us = self._due_us(one)
        if at_us is not None:
            heapq.heappush(self._due, (at_us, one.id))

    def _due_us(self, one: Subscription) -> int | None:
        at_us = self.due_us(one)
        return None if at_us is None else max(at_us, self._postponed.get(one.id, 0))

    def due_us(self, one: Subscription) -> int | None:
        """When something has to be done about a subscription next, without anybody's asking."""
        if one.state == "pending":
            return one.requested_us + PENDING_MAX_US
        if one.state == "active":
            return one.until_us if one.open_charge else one.ends_us
        if one.state == "past_due":
            if one.next_try_us and not one.open_charge:
                return min(one.next_try_us, one.grace_ends_us)
            return one.grace_ends_us
        return one.ends_us if one.state == "ending" else None

    def refundable(self, one: Subscription) -> list[Charge]:
        """Payments of the present period of which something is left to give back, newest first."""
        paid = (self.charges[id] for id in reversed(one.charges))
        return [
            charge
            for charge in paid
            if charge.period == one.period
            and charge.state == "paid"
            and charge.refunded_nanos < charge.amount_nanos
        ]

    # ---- folding --------------------------------------------------------------------------------

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        if isinstance(event, said.PlanDefined):
            self.plans[event.plan.id] = event.plan
        elif isinstance(event, said.PlanPriceSet):
            self.prices.add(SetPrice(event.price, recorded.ts_us))
        elif isinstance(event, said.SubscriptionNoticeReceived):
            self.notices[event.notice_id] = None
            if len(self.notices) > NOTICES_MAX:
                del self.notices[next(iter(self.notices))]
        elif isinstance(event, said.SubscriptionRequested):
            self._apply_requested(event, recorded)
        elif isinstance(event, _PAYMENTS):
            self._apply_payment(event, recorded)
        elif isinstance(event, _STATES):
            self._apply_state(event, recorded)

    def _apply_requested(self, event: said.SubscriptionRequested, recorded: Recorded) -> None:
        subject = recorded.subject
        assert subject is not None, "a subscription is somebody's"
        self.subscriptions[event.id] = Subscription(
            id=event.id,
            subject=subject,
            plan=event.plan,
            region=event.region,
            channel=event.channel,  # type: ignore[arg-type]  # a channel when it was recorded
            currency=event.currency,
            time_zone=event.time_zone,
            pinned=event.pinned,
            grace_us=event.grace_days * DAY_US,
            requested_us=recorded.ts_us,
            method=event.payment_method,
            method_event=recorded.id,
        )
        self._note_person(subject, event.id)
        self._settle(self.subscriptions[event.id])

    def _apply_payment(self, event: Event, recorded: Recorded) -> None:
        if isinstance(event, said.SubscriptionChargeRequested):
            self._apply_charge(event, recorded)
        elif isinstance(event, said.SubscriptionChargePaid):
            self.charges[event.charge_id].state = "paid"
            self._close(event.charge_id)
        elif isinstance(event, said.SubscriptionPaymentFailed):
            self._apply_failed(event)
        elif isinstance(event, said.SubscriptionRefundRequested):
            self.refunds[event.refund_id] = Refund(
                event.refund_id,
                event.charge_id,
                event.subscription_id,
                event.amount_nanos,
                event.currency,
            )
            self.charges[event.charge_id].refunded_nanos += event.amount_nanos
        elif isinstance(event, said.SubscriptionRefundSettled):
            refund = self.refunds.pop(event.refund_id)
            if not event.paid:
                self.charges[event.charge_id].refunded_nanos -= refund.amount_nanos

    def _apply_charge(self, event: said.SubscriptionChargeRequested, recorded: Recorded) -> None:
        one = self.subscriptions[event.subscription_id]
        is_extra = event.kind == "extra"
        self.charges[event.charge_id] = Charge(
            id=event.charge_id,
            subscription_id=one.id,
            kind="extra" if is_extra else "period",
            period=event.period,
            attempt=event.attempt,
            starts_us=event.starts_us,
            ends_us=event.ends_us,
            offer=Offer(event.price_id, event.price_nanos, event.extra_nanos),
            amount_nanos=event.amount_nanos,
            currency=event.currency,
            requested_us=recorded.ts_us,
            account=recorded.subject if is_extra else None,
        )
        self.open_charges[event.charge_id] = None
        one.charges.append(event.charge_id)
        if is_extra:
            account = recorded.subject
            assert account is not None, "an extra price is somebody's"
            one.links[account] = Link("waiting", recorded.ts_us)
            self._note_person(account, one.id)
        else:
            one.open_charge, one.attempt, one.next_try_us = event.charge_id, event.attempt, 0
        self._settle(one)

    def _apply_failed(self, event: said.SubscriptionPaymentFailed) -> None:
        charge = self.charges[event.charge_id]
        charge.has_failed = True
        if not event.declined:
            return
        charge.state = "declined"
        one = self.subscriptions[event.subscription_id]
        if charge.kind == "period":
            one.next_try_us = event.next_try_us
        elif charge.account is not None:
            link = one.links.get(charge.account)
            if link is not None and link.state == "waiting":
                del one.links[charge.account]
        self._close(event.charge_id)

    def _close(self, charge_id: str) -> None:
        self.open_charges.pop(charge_id, None)
        one = self.subscriptions[self.charges[charge_id].subscription_id]
        if one.open_charge == charge_id:
            one.open_charge = ""
        self._settle(one)

    def _apply_state(self, event: Event, recorded: Recorded) -> None:
        one = self.subscriptions[event.id]  # type: ignore[attr-defined]  # each of them has one
        if isinstance(event, said.SubscriptionStarted | said.SubscriptionRenewed):
            self._apply_paid_period(one, event)
        elif isinstance(event, said.SubscriptionGraceEntered):
            one.state, one.grace_ends_us = "past_due", event.grace_ends_us
        elif isinstance(event, said.SubscriptionCancellationScheduled):
            one.state, one.reason = "ending", "cancelled"
        elif isinstance(event, said.SubscriptionExpired):
            one.state, one.reason = "expired", event.reason
        elif isinstance(event, said.SubscriptionRefunded):
            one.state, one.reason = "refunded", event.reason
        elif isinstance(event, said.SubscriptionAccountLinked):
            assert recorded.subject is not None, "a link is somebody's"
            one.links[recorded.subject] = Link("linked", recorded.ts_us, one.period)
            self._note_person(recorded.subject, one.id)
        elif isinstance(event, said.SubscriptionAccountUnlinked):
            assert recorded.subject is not None, "a link is somebody's"
            one.links[recorded.subject].state = "unlinked"
        elif isinstance(event, said.SubscriptionPaymentMethodChanged):
            one.method, one.method_event = event.payment_method, recorded.id
            if event.next_try_us:
                one.next_try_us = event.next_try_us
        self._settle(one)

    def _apply_paid_period(
        self, one: Subscription, event: said.SubscriptionStarted | said.SubscriptionRenewed
    ) -> None:
        charge = self.charges[event.charge_id]
        if isinstance(event, said.SubscriptionStarted):
            one.anchor_us = event.starts_us
        one.state, one.period, one.offer = "active", charge.period, charge.offer
        one.starts_us, one.ends_us = event.starts_us, event.ends_us
        one.attempt, one.next_try_us, one.grace_ends_us, one.open_charge = 0, 0, 0, ""
        for account, link in list(one.links.items()):
            if link.state == "linked":
                link.paid_period = one.period
            elif link.state == "unlinked":
                del one.links[account]
        self._forget_charges(one)

    def _forget_charges(self, one: Subscription) -> None:
        """Let go of settled payments of older periods; the log has them."""
        for id in list(one.charges):
            charge = self.charges[id]
            is_settled = charge.state != "open" and not any(
                refund.charge_id == id for refund in self.refunds.values()
            )
            if charge.period < one.period - 1 and is_settled:
                one.charges.remove(id)
                del self.charges[id]

    def _note_person(self, person: bytes, id: str) -> None:
        self.of_person.setdefault(person, {})[id] = None

    def _settle(self, one: Subscription) -> None:
        """What follows from a subscription's members: until when it spares whom, when it is due."""
        one.until_us = self._until_us(one)
        is_running = one.state in RUNNING
        for person in (one.subject, *one.links):
            link = one.links.get(person)
            covers = is_running and (person == one.subject or (link and link.state == "linked"))
            self._cover(person, one, bool(covers))
        self._await(one)

    def _until_us(self, one: Subscription) -> int:
        if one.state == "active":
            # It is renewed a moment after its end; no ads meanwhile, and none while that is asked.
            charge = self.charges.get(one.open_charge)
            return (charge.requested_us if charge else one.ends_us) + one.grace_us
        if one.state == "past_due":
            return one.grace_ends_us
        return one.ends_us if one.state == "ending" else 0

    def _cover(self, person: bytes, one: Subscription, covers: bool) -> None:
        others = tuple(it for it in self._covers.get(person, ()) if it[0] is not one)
        if covers:
            others = (*others, (one, frozenset(self.plans[one.plan].properties)))
        if others:
            self._covers[person] = others
        else:
            self._covers.pop(person, None)

    # ---- keeping --------------------------------------------------------------------------------

    def clear(self) -> None:
        for kept in (
            self.plans, self.prices, self.subscriptions, self.charges, self.refunds,
            self.open_charges, self.notices, self.of_person, self._covers, self._due,
            self._postponed,
        ):  # fmt: skip
            kept.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(
            (
                list(self.plans.values()),
                list(self.prices.by_id.values()),
                list(self.subscriptions.values()),
                list(self.charges.values()),
                list(self.refunds.values()),
                list(self.open_charges),
                list(self.notices),
                {person: list(ids) for person, ids in self.of_person.items()},
            )
        )

    def load(self, state: bytes) -> None:
        self.clear()
        plans, prices, subscriptions, charges, refunds, is_open, notices, persons = _decode(state)
        self.plans.update((one.id, one) for one in plans)
        for price in prices:
            self.prices.add(price)
        self.charges.update((one.id, one) for one in charges)
        self.refunds.update((one.id, one) for one in refunds)
        self.open_charges.update(dict.fromkeys(is_open))
        self.notices.update(dict.fromkeys(notices))
        self.of_person.update((person, dict.fromkeys(ids)) for person, ids in persons.items())
        for one in subscriptions:
            self.subscriptions[one.id] = one
            self._settle(one)


_PAYMENTS: Final = (
    said.SubscriptionChargeRequested,
    said.SubscriptionChargePaid,
    said.SubscriptionPaymentFailed,
    said.SubscriptionRefundRequested,
    said.SubscriptionRefundSettled,
)
_STATES: Final = (
    said.SubscriptionStarted,
    said.SubscriptionRenewed,
    said.SubscriptionGraceEntered,
    said.SubscriptionCancellationScheduled,
    said.SubscriptionExpired,
    said.SubscriptionRefunded,
    said.SubscriptionAccountLinked,
    said.SubscriptionAccountUnlinked,
    said.SubscriptionPaymentMethodChanged,
)
_decode: Final = msgspec.msgpack.Decoder(
    tuple[
        list[Plan], list[SetPrice], list[Subscription], list[Charge], list[Refund], list[str],
        list[str], dict[bytes, list[str]],
    ]
).decode  # fmt: skip
