"""The outbox of payments: what the log says is under way, asked of the provider until it answers.

A payment is asked for only once its record is durable, under the key in that record; a process that
was killed in between finds it open in the log and asks again under the same key. So the provider
takes it once and the log learns of it, in this process or the next. A payment that would buy
nothing any more is looked up instead of made.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import chain, islice
from typing import Final

from ringwork.consent.subscriptions.billing import Billing
from ringwork.consent.subscriptions.model import Charge, Refund
from ringwork.consent.subscriptions.periods import minor_unit_nanos
from ringwork.consent.subscriptions.provider import (
    ChargeOrder,
    PaymentAnswer,
    PaymentProvider,
    RefundOrder,
    Unanswered,
)
from ringwork.consent.subscriptions.register import Register
from ringwork.consent.subscriptions.service import Subscriptions
from ringwork.kernel.errors import Unavailable
from ringwork.kernel.journal import Journal
from ringwork.kernel.ports import Entropy

AT_ONCE: Final = 16
"""Payments asked for at the same time; a provider that hangs holds up no more than these."""
BACKOFF_S: Final = 10
BACKOFF_MAX_S: Final = 3600
PAUSE_MAX_S: Final = 60
"""The longest pause of a provider that answers nothing at all: it is asked again soon after."""
RENEWED_AT_ONCE: Final = 50
"""Renewals decided in one command: no request waits for more than a few milliseconds of them."""

_log: Final = logging.getLogger(__name__)


class PaymentRelay:
    """Renews what is due and asks for what is open. One per process; ``work`` it every second."""

    def __init__(
        self,
        *,
        register: Register,
        billing: Billing,
        subscriptions: Subscriptions,
        provider: PaymentProvider | None,
        journal: Journal,
        entropy: Entropy,
        tenant: str,
    ) -> None:
        """Without a provider nobody is asked: what is due stays unpaid and ends."""
        self._register = register
        self._billing = billing
        self._subscriptions = subscriptions
        self._provider = provider
        self._journal = journal
        self._entropy = entropy
        self._tenant = tenant
        self._tries: dict[str, tuple[int, int]] = {}
        """Payment -> (unanswered tries, monotonic time of the next)."""
        self._silent_batches = 0
        self._resume_ns = 0

    def renew(self) -> bool:
        """Decide some of what is due, in one command; True while more may be.

        Raises Unavailable.
        """
        journal = self._journal
        if self._register.next_due(journal.clock.wall_us()) is None:
            return False
        with journal.command(tenant=self._tenant, request_id=journal.ids.new()) as command:
            done = self._billing.work(command, limit=RENEWED_AT_ONCE)
            if command.recorded:
                command.commit()
        return done == RENEWED_AT_ONCE

    async def work(self) -> int:
        """Ask for payments whose time has come, a bounded number; returns how many were asked."""
        if self._provider is None:
            return 0
        now_ns = self._journal.clock.monotonic_ns()
        if now_ns < self._resume_ns:
            return 0
        open_ones = chain(self._register.open_charges, self._register.refunds)
        waiting = (id for id in open_ones if self._tries.get(id, (0, 0))[1] <= now_ns)
        due = list(islice(waiting, AT_ONCE))
        if not due:
            return 0
        await self._journal.settled()  # what was not recorded is not asked for
        answered = await asyncio.gather(*(self._attempt(self._provider, id) for id in due))
        self._pause_if_silent(answered)
        return len(due)

    def _pause_if_silent(self, answered: list[bool]) -> None:
        """Leave a provider that answered nothing of a whole batch alone, longer each time.

        Else all that is open would be tried in vain, and looked through every second.
        """
        is_silent = len(answered) == AT_ONCE and not any(answered)
        self._silent_batches = self._silent_batches + 1 if is_silent else 0
        if is_silent:
            pause_s = min(1 << min(self._silent_batches, 16), PAUSE_MAX_S)
            self._resume_ns = self._journal.clock.monotonic_ns() + pause_s * 1_000_000_000

    async def _attempt(self, provider: PaymentProvider, id: str) -> bool:
        """Ask for one payment and record the answer; False where there was none."""
        charge, refund = self._register.charges.get(id), self._register.refunds.get(id)
        try:
            if refund is not None:
                answer = await provider.refund(_refund_order(refund))
            elif charge is not None and charge.state == "open":
                answer = await self._charge(provider, charge)
            else:
                return True  # a notice was faster
        except Unanswered as error:
            _log.warning("payment %s is not answered: %s", id, error)
            self._record(id, None, str(error))
            self._back_off(id)
            return False
        self._record(id, answer, answer.reason)
        if answer.status == "pending":
            self._back_off(id)
        return True

    async def _charge(self, provider: PaymentProvider, charge: Charge) -> PaymentAnswer:
        one = self._register.subscriptions[charge.subscription_id]
        method = self._subscriptions.payment_method(one)
        if method is not None and self._billing.is_wanted(charge):
            return await provider.charge(
                ChargeOrder(
                    key=charge.id,
                    payment_method=method,
                    amount_minor=charge.amount_nanos // minor_unit_nanos(charge.currency),
                    currency=charge.currency,
                )
            )
        found = await provider.find(charge.id)
        return found or PaymentAnswer(status="declined", reason="no longer wanted, not made")

    def _record(self, id: str, answer: PaymentAnswer | None, reason: str) -> None:
        journal = self._journal
        try:
            with journal.command(tenant=self._tenant, request_id=journal.ids.new()) as command:
                if answer is None:
                    self._billing.unanswered(command, id, reason)
                    outcome = "applied"
                elif id in self._register.refunds:
                    outcome = self._billing.settle_refund(command, id, answer)
                else:
                    outcome = self._billing.settle_charge(command, id, answer)
                if command.recorded:
                    command.commit()
        except Unavailable:  # it stays open, and the same key is asked for again
            outcome = "mismatch"
        if outcome == "mismatch":
            self._back_off(id)
        elif answer is not None and answer.status != "pending":
            self._tries.pop(id, None)

    def _back_off(self, id: str) -> None:
        """Exponential with full jitter, so that a provider that comes back is not run over."""
        tries = self._tries.get(id, (0, 0))[0] + 1
        ceiling_s = min(BACKOFF_S << min(tries - 1, 16), BACKOFF_MAX_S)
        share = int.from_bytes(self._entropy.take(4), "big")
        wait_ns = (ceiling_s * 1_000_000_000 * share) >> 32
        self._tries[id] = tries, self._journal.clock.monotonic_ns() + wait_ns


def _refund_order(refund: Refund) -> RefundOrder:
    return RefundOrder(
        key=refund.id,
        charge=refund.charge_id,
        amount_minor=refund.amount_nanos // minor_unit_nanos(refund.currency),
        currency=refund.currency,
    )
