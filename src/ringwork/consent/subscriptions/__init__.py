"""Subscriptions that spare their subscribers every ad: plans, dated prices, renewals, refunds.

``Register.is_ads_free`` is what the tier decision asks; ``Subscriptions`` takes the commands;
``Billing`` and ``PaymentRelay`` charge each period once, whatever crashes or is said twice.
"""

from ringwork.consent.subscriptions.billing import Billing
from ringwork.consent.subscriptions.events import EVENTS
from ringwork.consent.subscriptions.model import Plan, PlanPrice, Subscription
from ringwork.consent.subscriptions.periods import anniversary_us
from ringwork.consent.subscriptions.prices import PriceList
from ringwork.consent.subscriptions.provider import (
    ChargeOrder,
    PaymentAnswer,
    PaymentProvider,
    RefundOrder,
    Unanswered,
)
from ringwork.consent.subscriptions.register import Register
from ringwork.consent.subscriptions.relay import PaymentRelay
from ringwork.consent.subscriptions.service import Subscriptions
from ringwork.consent.subscriptions.settings import SubscriptionSettings

__all__ = [
    "EVENTS",
    "Billing",
    "ChargeOrder",
    "PaymentAnswer",
    "PaymentProvider",
    "PaymentRelay",
    "Plan",
    "PlanPrice",
    "PriceList",
    "RefundOrder",
    "Register",
    "Subscription",
    "SubscriptionSettings",
    "Subscriptions",
    "Unanswered",
    "anniversary_us",
]
