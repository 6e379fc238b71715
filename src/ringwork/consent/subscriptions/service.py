"""The commands of subscriptions: plans, prices, subscribe, cancel, refund, link, unlink.

Every method decides completely before it records anything. The same request again answers as
before; the same id with other content is a Conflict ``<noun>-exists``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ringwork.consent.subscriptions.billing import PURPOSE, Billing, Due
from ringwork.consent.subscriptions.events import (
    PlanDefined,
    PlanPriceSet,
    SubscriptionAccountLinked,
    SubscriptionAccountUnlinked,
    SubscriptionCancellationScheduled,
    SubscriptionExpired,
    SubscriptionPaymentMethodChanged,
    SubscriptionRefunded,
    SubscriptionRequested,
)
from ringwork.consent.subscriptions.model import (
    RUNNING,
    Offer,
    Plan,
    PlanPrice,
    Subscription,
)
from ringwork.consent.subscriptions.periods import minor_unit_nanos, rest_nanos, zone_of
from ringwork.consent.subscriptions.register import Register
from ringwork.consent.subscriptions.requests import NewSubscription
from ringwork.consent.subscriptions.settings import SubscriptionSettings
from ringwork.kernel.errors import Conflict, Fault, NotFound
from ringwork.kernel.events import Event
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Command
from ringwork.kernel.ports import KeyStore
from ringwork.kernel.viewer import PERSON_PREFIX

METHOD: Final = b"payment_method"


class Subscriptions:
    """Changes plans and subscriptions."""

    def __init__(
        self,
        *,
        register: Register,
        billing: Billing,
        settings: SubscriptionSettings,
        keys: KeyStore,
        pseudonym: Callable[[str], bytes],
        ids: IdGenerator,
        sells: bool,
    ) -> None:
        """``sells``: there is a payment provider; without one nothing can be subscribed to."""
        self.register = register
        self._billing = billing
        self._settings = settings
        self._keys = keys
        self._pseudonym = pseudonym
        self._ids = ids
        self._sells = sells

    def subject_of(self, person: str) -> bytes:
        """The pseudonym of a person's id: the id itself is kept nowhere."""
        return self._pseudonym(PERSON_PREFIX + person)

    def one(self, id: str) -> Subscription:
        """The subscription of that id, or NotFound."""
        found = self.register.subscriptions.get(id)
        if found is None:
            raise NotFound(f"no subscription {id!r}")
        return found

    # ---- plans and prices -----------------------------------------------------------------------

    def define_plan(self, command: Command, plan: Plan, actor: str = "") -> bool:
        """Define a plan; False where it is there already. A plan never changes."""
        existing = self.register.plans.get(plan.id)
        if existing is not None:
            return _again("plan", existing, plan)
        command.record(PlanDefined(plan, actor))
        return True

    def set_price(self, command: Command, price: PlanPrice, actor: str = "") -> bool:
        """Set a price for its while; False where that record is there already."""
        existing = self.register.prices.by_id.get(price.id)
        if existing is not None:
            return _again("plan-price", existing.price, price)
        faults = list(self.register.prices.faults(price, command.ts_us))
        if price.plan not in self.register.plans:
            faults.append(Fault("/plan", f"no plan {price.plan!r}"))
        unit = minor_unit_nanos(price.currency)
        for member in ("price_nanos", "extra_account_nanos"):
            nanos = getattr(price, member)
            if nanos % unit:
                detail = f"whole smallest units of {price.currency}, {unit} nanos; got {nanos}"
                faults.append(Fault(f"/{member}", detail))
        _refuse(faults)
        command.record(PlanPriceSet(price, actor))
        return True

    # ---- a subscription's life ------------------------------------------------------------------

    def subscribe(
        self, command: Command, new: NewSubscription, actor: str = ""
    ) -> tuple[Subscription, bool]:
        """Take a subscription and ask for its first payment; (it, whether it is new)."""
        subject = self.subject_of(new.person)
        existing = self.register.subscriptions.get(new.id)
        if existing is not None:
            return self._same(existing, new, subject), False
        offer = self._first_offer(command, new, subject)
        event_id = self._ids.new()
        sealed = self._keys.seal(subject, new.payment_method.encode(), context=event_id + METHOD)
        command.record(
            SubscriptionRequested(
                new.id, new.plan, new.region, new.channel, new.currency, new.time_zone, new.pinned,
                self._settings.grace_days, sealed, actor,
            ),
            event_id=event_id,
            subject=subject,
            purpose=PURPOSE,
        )  # fmt: skip
        one = self.register.subscriptions[new.id]
        due = Due(
            period=1,
            starts_us=command.ts_us,
            ends_us=0,
            offer=offer,
            amount_nanos=offer.price_nanos,
        )
        self._billing.ask(command, one, due)
        return one, True

    def _same(self, one: Subscription, new: NewSubscription, subject: bytes) -> Subscription:
        """The subscription, if it is the one that is asked for; how it is paid may differ."""
        asked = (subject, new.plan, new.region, new.channel, new.currency, new.time_zone)
        kept = (one.subject, one.plan, one.region, one.channel, one.currency, one.time_zone)
        if (asked, new.pinned) != (kept, one.pinned):
            raise Conflict(
                "subscription-exists", f"subscription {one.id!r} exists with other content"
            )
        return one

    def _first_offer(self, command: Command, new: NewSubscription, subject: bytes) -> Offer:
        if not self._sells:
            raise Conflict(
                "no-payment-provider",
                "no payment provider is set (subscriptions.provider_url): nothing can be sold",
            )
        faults = []
        if new.plan not in self.register.plans:
            faults.append(Fault("/plan", f"no plan {new.plan!r}"))
        if zone_of(new.time_zone) is None:
            detail = f"expected an IANA time zone such as Europe/Lisbon, got {new.time_zone!r}"
            faults.append(Fault("/time_zone", detail))
        _refuse(faults)
        for id in self.register.of_person.get(subject, ()):
            other = self.register.subscriptions[id]
            is_own = other.subject == subject and other.plan == new.plan
            if is_own and (other.state in RUNNING or other.state == "pending"):
                raise Conflict(
                    "already-subscribed",
                    f"the person has subscription {other.id!r} of that plan, {other.state}",
                )
        found = self.register.prices.in_force(
            new.plan, new.region, new.channel, new.currency, command.ts_us
        )
        if found is None:
            raise Conflict(
                "no-price",
                f"plan {new.plan!r} has no price now for region {new.region}, channel "
                f"{new.channel}, currency {new.currency}",
            )
        price = found.price
        self._refuse_unbookable(new.currency, price.price_nanos)
        return Offer(price.id, price.price_nanos, price.extra_account_nanos)

    def cancel(self, command: Command, id: str, actor: str = "") -> Subscription:
        """End a subscription with its period; at once where that is not paid for. Never refused."""
        one = self.one(id)
        if one.state == "active" and not one.open_charge and command.ts_us < one.ends_us:
            command.record(
                SubscriptionCancellationScheduled(id, one.ends_us, actor), subject=one.subject
            )
        elif one.state in ("pending", "active", "past_due"):
            command.record(SubscriptionExpired(id, "cancelled"), subject=one.subject)
        return one

    def refund(
        self,
        command: Command,
        id: str,
        *,
        amount_nanos: int | None = None,
        reason: str = "",
        actor: str = "",
    ) -> Subscription:
        """Give back what the present period cost, or a part of it; the subscription ends at once.

        Conflict ``nothing-to-refund`` and ``exceeds-paid``.
        """
        one = self.one(id)
        charges = self.register.refundable(one)
        left = sum(charge.amount_nanos - charge.refunded_nanos for charge in charges)
        amount = left if amount_nanos is None else amount_nanos
        if not left:
            raise Conflict("nothing-to-refund", f"nothing is left of what {id!r} has paid")
        if amount > left:
            text = f"at most {left} nanos, all that is left of the period's price; got {amount}"
            raise Conflict("exceeds-paid", text, errors=[Fault("/amount_nanos", text)])
        unit = minor_unit_nanos(one.currency)
        if amount % unit:
            text = f"whole smallest units of {one.currency}, {unit} nanos; got {amount}"
            _refuse([Fault("/amount_nanos", text)])
        command.record(
            SubscriptionRefunded(id, amount, one.currency, reason, actor), subject=one.subject
        )
        for charge in charges:
            part = min(amount, charge.amount_nanos - charge.refunded_nanos)
            if part:
                self._billing.give_back(command, charge, part, reason)
                amount -= part
        return one

    def change_payment_method(
        self, command: Command, id: str, payment_method: str, actor: str = ""
    ) -> Subscription:
        """Seal another way to pay; a renewal that was declined is tried again at once."""
        one = self.one(id)
        if one.state in ("expired", "refunded"):
            raise _ended(one)
        event_id = self._ids.new()
        sealed = self._keys.seal(one.subject, payment_method.encode(), context=event_id + METHOD)
        is_due = one.state == "past_due" and not one.open_charge
        command.record(
            SubscriptionPaymentMethodChanged(id, sealed, command.ts_us if is_due else 0, actor),
            event_id=event_id,
            subject=one.subject,
            purpose=PURPOSE,
        )
        return one

    def payment_method(self, one: Subscription) -> str | None:
        """The provider's token of how a subscription is paid; None once the person was erased."""
        plain = self._keys.unseal(one.subject, one.method, context=one.method_event + METHOD)
        return None if plain is None else plain.decode()

    # ---- linked accounts ------------------------------------------------------------------------

    def link(self, command: Command, id: str, person: str) -> Subscription:
        """Let another account share the tier, once its extra price is paid.

        That is for the rest of the period; at once where nothing is to pay, or was paid before.
        """
        one = self.one(id)
        account = self.subject_of(person)
        known = one.links.get(account)
        if known is not None and known.state != "unlinked":
            return one
        self._refuse_link(command, one, account)
        is_paid = known is not None and known.paid_period == one.period
        nanos = 0 if is_paid else self._extra(command, one)
        if not nanos:
            command.record(SubscriptionAccountLinked(id, ""), subject=account, purpose=PURPOSE)
            return one
        self._refuse_unbookable(one.currency, nanos)
        due = Due(
            period=one.period,
            starts_us=command.ts_us,
            ends_us=one.ends_us,
            offer=one.offer,
            amount_nanos=nanos,
            account=account,
        )
        self._billing.ask(command, one, due)
        return one

    def _extra(self, command: Command, one: Subscription) -> int:
        return rest_nanos(
            one.offer.extra_nanos,
            starts_us=one.starts_us,
            ends_us=one.ends_us,
            now_us=command.ts_us,
            unit=minor_unit_nanos(one.currency),
        )

    def _refuse_link(self, command: Command, one: Subscription, account: bytes) -> None:
        if one.state in ("expired", "refunded"):
            raise _ended(one)
        if account == one.subject:
            _refuse([Fault("/person", "it is the subscriber's own account")])
        if one.state not in ("active", "ending") or command.ts_us >= one.ends_us or one.open_charge:
            raise Conflict(
                "subscription-unpaid", f"subscription {one.id!r} is waiting for a payment"
            )
        sharing = sum(link.state != "unlinked" for link in one.links.values())
        if sharing >= self._settings.linked_max:
            raise Conflict(
                "too-many-accounts",
                f"subscription {one.id!r} has {sharing} linked accounts, the most there may be",
            )

    def unlink(self, command: Command, id: str, person: str, actor: str = "") -> Subscription:
        """End an account's share at once; it may come back in this period without paying twice."""
        one = self.one(id)
        account = self.subject_of(person)
        link = one.links.get(account)
        if link is not None and link.state != "unlinked":
            command.record(SubscriptionAccountUnlinked(id, "asked", actor), subject=account)
        return one

    # ---- erasure --------------------------------------------------------------------------------

    def erased(self, command: Command, subject: bytes, cause_id: bytes) -> None:
        """A person's keys were deleted: what they had ends, what they shared goes on without them.

        A payment that is under way is looked up, not made again: how it is paid is unreadable.
        """
        for id in self.register.of_person.get(subject, ()):
            one = self.register.subscriptions[id]
            link = one.links.get(subject)
            ended: Event | None = None
            if one.subject == subject:
                if one.state in RUNNING or one.state == "pending":
                    ended = SubscriptionExpired(id, "erased")
            elif link is not None and link.state != "unlinked":
                ended = SubscriptionAccountUnlinked(id, "erased", "")
            if ended is not None:
                command.record(ended, subject=subject, cause_id=cause_id)

    def _refuse_unbookable(self, currency: str, amount_nanos: int) -> None:
        refusal = self._billing.refusal(currency, amount_nanos)
        if refusal:
            raise Conflict(refusal, f"the ledger's accounts of subscriptions refuse {currency}")


def _again(noun: str, existing: Plan | PlanPrice, wanted: Plan | PlanPrice) -> bool:
    if existing != wanted:
        raise Conflict(f"{noun}-exists", f"{noun} {wanted.id!r} exists with other content")
    return False


def _ended(one: Subscription) -> Conflict:
    return Conflict("subscription-ended", f"subscription {one.id!r} is {one.state}: {one.reason}")


def _refuse(faults: list[Fault]) -> None:
    if faults:
        text = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults)
        raise Conflict("rule-violated", text, errors=faults)
