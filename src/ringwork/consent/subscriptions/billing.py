"""What subscriptions cost and when: charges that are asked for, their outcomes, and renewals.

A charge is recorded before the provider hears of it and closed when its outcome is known, so at
most one is under way for a period, and one that was asked for before a crash is asked for again
under the same key. What is paid and buys nothing any more (the subscription ended meanwhile, or the
period is paid for already) goes back at once as ``surplus``. So each period is paid for once,
whatever the provider says twice, late or both ways.
"""

from __future__ import annotations

import logging
from typing import Final, Literal

from msgspec import Struct

from ringwork.consent.subscriptions.accounts import Accounts
from ringwork.consent.subscriptions.events import (
    SubscriptionAccountLinked,
    SubscriptionChargePaid,
    SubscriptionChargeRequested,
    SubscriptionExpired,
    SubscriptionGraceEntered,
    SubscriptionPaymentFailed,
    SubscriptionRefundRequested,
    SubscriptionRefundSettled,
    SubscriptionRenewed,
    SubscriptionStarted,
)
from ringwork.consent.subscriptions.model import (
    DAY_US,
    MONTHS,
    RUNNING,
    Charge,
    Offer,
    Subscription,
)
from ringwork.consent.subscriptions.periods import (
    anniversary_us,
    minor_unit_nanos,
    period_at,
    zone_of,
)
from ringwork.consent.subscriptions.prices import renewed
from ringwork.consent.subscriptions.provider import PaymentAnswer
from ringwork.consent.subscriptions.register import Register
from ringwork.kernel.ids import IdGenerator, format_id
from ringwork.kernel.journal import Command
from ringwork.kernel.money import MAX_NANOS

Settled = Literal["applied", "repeated", "unknown", "mismatch"]
POSTPONED_US: Final = 3_600_000_000
"""Until a renewal that the ledger cannot take is tried again: somebody has to look at it."""
REASON_MAX_CHARS: Final = 200
PURPOSE: Final = "subscription"

_log: Final = logging.getLogger(__name__)


class Due(Struct, frozen=True, kw_only=True):
    """A payment to ask for: the price of a period, or (``account``) of linking somebody in one."""

    period: int
    starts_us: int
    ends_us: int
    offer: Offer
    amount_nanos: int
    attempt: int = 1
    account: bytes | None = None


class Billing:
    """Asks for payments and records what became of them."""

    def __init__(
        self,
        *,
        register: Register,
        accounts: Accounts,
        ids: IdGenerator,
        retry_days: tuple[int, ...],
    ) -> None:
        self._register = register
        self._accounts = accounts
        self._ids = ids
        self._retry_us = sorted(day * DAY_US for day in retry_days)

    # ---- in its time ----------------------------------------------------------------------------

    def work(self, command: Command, *, limit: int) -> int:
        """Renew, try again and end what is due, at most ``limit``; returns how many."""
        done = 0
        while done < limit:
            one = self._register.next_due(command.ts_us)
            if one is None:
                break
            self._act(command, one)
            done += 1
        return done

    def _act(self, command: Command, one: Subscription) -> None:
        if one.state == "ending":
            command.record(SubscriptionExpired(one.id, "cancelled"), subject=one.subject)
        elif one.state == "active" and not one.open_charge:
            self._renew(command, one)
        elif one.state == "past_due" and command.ts_us < one.grace_ends_us:
            self._try_again(command, one)
        else:
            command.record(SubscriptionExpired(one.id, "unpaid"), subject=one.subject)

    def _renew(self, command: Command, one: Subscription) -> None:
        """Ask for the next period, at the price in force when it begins."""
        months = MONTHS[self._register.plans[one.plan].period]
        zone = zone_of(one.time_zone)
        assert zone is not None, "it was looked up when the subscription was taken"
        number, starts_us, ends_us = period_at(
            one.anchor_us, one.period, command.ts_us, months, zone
        )
        offer = one.offer
        if not one.pinned:
            found = self._register.prices.in_force(
                one.plan, one.region, one.channel, one.currency, starts_us
            )
            if found is None:
                command.record(SubscriptionExpired(one.id, "plan-ended"), subject=one.subject)
                return
            offer = renewed(offer, found, starts_us)
        amount = offer.price_nanos + offer.extra_nanos * one.linked
        refusal = self.refusal(one.currency, amount)
        if refusal:
            _log.error("subscription %s cannot be renewed: %s", one.id, refusal)
            self._register.postpone(one, command.ts_us + POSTPONED_US)
            return
        due = Due(
            period=number, starts_us=starts_us, ends_us=ends_us, offer=offer, amount_nanos=amount
        )
        self.ask(command, one, due)

    def _try_again(self, command: Command, one: Subscription) -> None:
        last = next(
            charge
            for charge in (self._register.charges[id] for id in reversed(one.charges))
            if charge.kind == "period"
        )
        due = Due(
            period=last.period,
            starts_us=last.starts_us,
            ends_us=last.ends_us,
            offer=last.offer,
            amount_nanos=last.amount_nanos,
            attempt=last.attempt + 1,
        )
        self.ask(command, one, due)

    # ---- asking ---------------------------------------------------------------------------------

    def refusal(self, currency: str, amount_nanos: int) -> str:
        """Why the ledger cannot take a payment; "" where it can."""
        if amount_nanos > MAX_NANOS:
            return "amount-overflow"
        return self._accounts.refusal(currency, amount_nanos)

    def ask(self, command: Command, one: Subscription, due: Due) -> str:
        """Record that a payment will be asked for; returns its id."""
        charge_id = format_id(self._ids.new())
        is_extra = due.account is not None
        command.record(
            SubscriptionChargeRequested(
                charge_id=charge_id,
                subscription_id=one.id,
                kind="extra" if is_extra else "period",
                period=due.period,
                attempt=due.attempt,
                starts_us=due.starts_us,
                ends_us=due.ends_us,
                price_id=due.offer.price_id,
                price_nanos=due.offer.price_nanos,
                extra_nanos=due.offer.extra_nanos,
                linked=0 if is_extra else one.linked,
                amount_nanos=due.amount_nanos,
                currency=one.currency,
            ),
            subject=due.account or one.subject,
            purpose=PURPOSE,
        )
        self._accounts.hold(command, charge_id, due.amount_nanos, one.currency)
        return charge_id

    def give_back(self, command: Command, charge: Charge, amount_nanos: int, reason: str) -> None:
        """Record that a part of a payment will go back."""
        left_nanos = charge.amount_nanos - charge.refunded_nanos
        assert 0 < amount_nanos <= left_nanos, "never more than was paid"
        refund_id = format_id(self._ids.new())
        command.record(
            SubscriptionRefundRequested(
                refund_id, charge.id, charge.subscription_id, amount_nanos, charge.currency, reason
            )
        )
        self._accounts.hold_refund(command, refund_id, amount_nanos, charge)

    # ---- what became of it ----------------------------------------------------------------------

    def settle_charge(self, command: Command, charge_id: str, answer: PaymentAnswer) -> Settled:
        """Record what the provider says of a charge, once; nothing for ``pending``."""
        charge = self._register.charges.get(charge_id)
        if charge is None:
            return "unknown"
        if answer.status == "pending":
            self.unanswered(command, charge_id, answer.reason or "the provider decides later")
            return "applied"
        if charge.state == "paid" or (charge.state, answer.status) == ("declined", "declined"):
            return "repeated"
        if answer.status == "declined":
            self._decline(command, charge, answer.reason)
            return "applied"
        asked_minor = charge.amount_nanos // minor_unit_nanos(charge.currency)
        if answer.amount_minor not in (None, asked_minor):
            _log.error(
                "charge %s: asked for %d, the provider took %d", charge_id, asked_minor,
                answer.amount_minor,
            )  # fmt: skip
            return "mismatch"
        self._pay(command, charge, answer.reference)
        return "applied"

    def _pay(self, command: Command, charge: Charge, reference: str) -> None:
        one = self._register.subscriptions[charge.subscription_id]
        self._accounts.paid(command, charge)
        command.record(
            SubscriptionChargePaid(
                charge.id, one.id, charge.amount_nanos, charge.currency,
                reference[:REASON_MAX_CHARS],
            ),
            subject=charge.account or one.subject,
        )  # fmt: skip
        if not self.is_wanted(charge):
            self.give_back(command, charge, charge.amount_nanos, "surplus")
        elif charge.kind == "extra":
            command.record(
                SubscriptionAccountLinked(one.id, charge.id),
                subject=charge.account,
                purpose=PURPOSE,
            )
        elif one.state == "pending":
            self._start(command, one, charge)
        else:
            command.record(
                SubscriptionRenewed(
                    one.id, charge.id, charge.period, charge.starts_us, charge.ends_us
                ),
                subject=one.subject,
            )

    def is_wanted(self, charge: Charge) -> bool:
        """Whether a payment would still buy what it was asked for."""
        one = self._register.subscriptions[charge.subscription_id]
        if charge.kind == "period":
            is_renewable = one.state in ("active", "past_due") and charge.period > one.period
            return one.state == "pending" or is_renewable
        assert charge.account is not None, "an extra price is somebody's"
        link = one.links.get(charge.account)
        is_waiting = link is not None and link.state == "waiting"
        return is_waiting and one.state in RUNNING and charge.period == one.period

    def _start(self, command: Command, one: Subscription, charge: Charge) -> None:
        """The first period begins when it is paid for."""
        zone = zone_of(one.time_zone)
        assert zone is not None, "it was looked up when the subscription was taken"
        months = MONTHS[self._register.plans[one.plan].period]
        ends_us = anniversary_us(command.ts_us, months, zone)
        command.record(
            SubscriptionStarted(one.id, charge.id, command.ts_us, ends_us), subject=one.subject
        )

    def _decline(self, command: Command, charge: Charge, reason: str) -> None:
        one = self._register.subscriptions[charge.subscription_id]
        self._accounts.declined(command, charge)
        is_renewal = charge.kind == "period" and one.state != "pending" and self.is_wanted(charge)
        is_late = one.state == "past_due"
        begin_us = one.grace_ends_us - one.grace_us if is_late else charge.requested_us
        tries = (begin_us + after for after in self._retry_us)
        end_us = begin_us + one.grace_us
        next_us = next((at for at in tries if command.ts_us < at < end_us), 0)
        command.record(
            SubscriptionPaymentFailed(
                charge.id, one.id, charge.period, charge.attempt, True, reason[:REASON_MAX_CHARS],
                next_us if is_renewal else 0,
            ),
            subject=charge.account or one.subject,
        )  # fmt: skip
        if charge.kind == "period" and one.state == "pending":
            command.record(SubscriptionExpired(one.id, "declined"), subject=one.subject)
        elif is_renewal and one.state == "active":
            self._enter_grace(command, one, charge)

    def unanswered(self, command: Command, charge_id: str, reason: str) -> None:
        """Record, once, that a charge was asked for and is not answered. It is asked for again."""
        charge = self._register.charges.get(charge_id)
        if charge is None or charge.state != "open" or charge.has_failed:
            return
        one = self._register.subscriptions[charge.subscription_id]
        command.record(
            SubscriptionPaymentFailed(
                charge.id,
                one.id,
                charge.period,
                charge.attempt,
                False,
                reason[:REASON_MAX_CHARS],
                0,
            ),
            subject=charge.account or one.subject,
        )
        if charge.kind == "period" and one.state == "active" and self.is_wanted(charge):
            self._enter_grace(command, one, charge)

    def _enter_grace(self, command: Command, one: Subscription, charge: Charge) -> None:
        grace_ends_us = charge.requested_us + one.grace_us
        command.record(SubscriptionGraceEntered(one.id, grace_ends_us), subject=one.subject)

    def settle_refund(self, command: Command, refund_id: str, answer: PaymentAnswer) -> Settled:
        """Record what the provider says of a refund, once."""
        refund = self._register.refunds.get(refund_id)
        if refund is None:
            return "unknown"
        if answer.status == "pending":
            return "repeated"
        is_paid = answer.status == "succeeded"
        asked_minor = refund.amount_nanos // minor_unit_nanos(refund.currency)
        if is_paid and answer.amount_minor not in (None, asked_minor):
            _log.error(
                "refund %s: asked for %d, the provider gave %d", refund_id, asked_minor,
                answer.amount_minor,
            )  # fmt: skip
            return "mismatch"
        if is_paid:
            self._accounts.refunded(command, refund)
        else:
            self._accounts.not_refunded(command, refund)
            _log.error("refund %s was declined by the provider", refund_id)
        command.record(
            SubscriptionRefundSettled(
                refund.id, refund.charge_id, refund.subscription_id, is_paid,
                answer.reason[:REASON_MAX_CHARS],
            )
        )  # fmt: skip
        return "applied"
