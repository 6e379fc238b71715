"""The provider's notices taken: each once by its id, whatever it says of a payment that is known.

An unknown type or payment is recorded and acknowledged all the same: a provider that gets no
success goes on sending, and switches the webhook off in the end.
"""

from __future__ import annotations

from typing import Final

from ringwork.consent.subscriptions import webhook
from ringwork.consent.subscriptions.billing import Billing, Settled
from ringwork.consent.subscriptions.events import SubscriptionNoticeReceived
from ringwork.consent.subscriptions.provider import PaymentAnswer, Status
from ringwork.consent.subscriptions.register import Register
from ringwork.consent.subscriptions.webhook import Notice
from ringwork.kernel.journal import Command

_STATUS: Final[dict[str, tuple[bool, Status]]] = {
    webhook.CHARGE_SUCCEEDED: (False, "succeeded"),
    webhook.CHARGE_DECLINED: (False, "declined"),
    webhook.REFUND_SUCCEEDED: (True, "succeeded"),
    webhook.REFUND_DECLINED: (True, "declined"),
}
"""Type of notice -> (whether it is about a refund, what became of it)."""


class Notices:
    """Takes notices whose signature was checked."""

    def __init__(self, *, register: Register, billing: Billing) -> None:
        self._register = register
        self._billing = billing

    def take(self, command: Command, notice: Notice) -> Settled:
        """Record what a notice says, and that it came; nothing for one that came before."""
        if notice.id in self._register.notices:
            return "repeated"
        outcome = self._settle(command, notice)
        command.record(
            SubscriptionNoticeReceived(notice.id, notice.type, notice.payment.key, outcome)
        )
        return outcome

    def _settle(self, command: Command, notice: Notice) -> Settled:
        known = _STATUS.get(notice.type)
        if known is None:
            return "unknown"
        is_refund, status = known
        payment = notice.payment
        answer = PaymentAnswer(
            status=status,
            reference=payment.reference,
            amount_minor=payment.amount_minor,
            reason=payment.reason,
        )
        settle = self._billing.settle_refund if is_refund else self._billing.settle_charge
        return settle(command, payment.key, answer)
