"""What every process of a store shares: its events, its tables, the folds that decisions read."""

from __future__ import annotations

from typing import Final

from ringwork.ads.behavioural.events import EVENTS as BEHAVIOURAL_EVENTS
from ringwork.ads.behavioural.projections import PROJECTIONS as BEHAVIOURAL_PROJECTIONS
from ringwork.ads.books import Books
from ringwork.ads.budgets import Budgets
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.events import EVENTS as ADS_EVENTS
from ringwork.ads.exchange.awaiting import Awaiting
from ringwork.ads.exchange.events import EVENTS as EXCHANGE_EVENTS
from ringwork.ads.invoice_events import EVENTS as INVOICE_EVENTS
from ringwork.ads.model_events import EVENTS as MODEL_EVENTS
from ringwork.ads.outcomes import Outcomes
from ringwork.ads.pacing.known_traffic import KnownTraffic
from ringwork.ads.pacing.plans import Plans
from ringwork.ads.pacing_events import EVENTS as PACING_EVENTS
from ringwork.ads.payouts import Earnings
from ringwork.ads.projections import PROJECTIONS as ADS_PROJECTIONS
from ringwork.ads.reports.schedules import EVENTS as REPORT_EVENTS
from ringwork.ads.reports.schedules import Schedules
from ringwork.ads.special_events import EVENTS as SPECIAL_EVENTS
from ringwork.app.erasure import SubjectErased
from ringwork.consent.choice.events import EVENTS as CHOICE_EVENTS
from ringwork.consent.choice.showings import Showings
from ringwork.consent.events import EVENTS as CONSENT_EVENTS
from ringwork.consent.ledger import ConsentLedger
from ringwork.consent.projections import PROJECTIONS as CONSENT_PROJECTIONS
from ringwork.consent.proof_runs import ProofRuns
from ringwork.consent.subscriptions.events import EVENTS as SUBSCRIPTION_EVENTS
from ringwork.consent.subscriptions.register import Register
from ringwork.fairness.delivery.events import EVENTS as FAIRNESS_EVENTS
from ringwork.fairness.delivery.memory import FairnessMemory
from ringwork.kernel.events import Event
from ringwork.kernel.ledger import (
    AccountOpened,
    Ledger,
    TransferCreated,
    TransferExpired,
    TransferRefused,
)
from ringwork.storage.projection import Projection
from ringwork.storage.sqlite.indexes import AnswerIndex, RequestIndex, TransferIndex
from ringwork.web.execute import CommandAnswered
from ringwork.web.keys import ApiKeyCreated, ApiKeyRevoked, ApiKeys

EVENTS: Final[tuple[type[Event], ...]] = (
    AccountOpened,
    TransferCreated,
    TransferRefused,
    TransferExpired,
    CommandAnswered,
    ApiKeyCreated,
    ApiKeyRevoked,
    SubjectErased,
    *ADS_EVENTS,
    *SPECIAL_EVENTS,
    *MODEL_EVENTS,
    *INVOICE_EVENTS,
    *REPORT_EVENTS,
    *PACING_EVENTS,
    *EXCHANGE_EVENTS,
    *CHOICE_EVENTS,
    *SUBSCRIPTION_EVENTS,
    *BEHAVIOURAL_EVENTS,
    *CONSENT_EVENTS,
    *FAIRNESS_EVENTS,
)
"""Every event that this version writes."""

PROJECTIONS: Final[tuple[Projection, ...]] = (
    RequestIndex(),
    TransferIndex(),
    AnswerIndex(),
    *ADS_PROJECTIONS,
    *BEHAVIOURAL_PROJECTIONS,
    *CONSENT_PROJECTIONS,
)
"""Every table that follows the log."""


class Memory:
    """The folds: what decisions read. Also what ``verify`` folds anew beside the live ones."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.catalogue = Catalogue()
        self.budgets = Budgets(self.ledger)
        self.outcomes = Outcomes()
        self.known_traffic = KnownTraffic()
        self.plans = Plans()
        self.awaiting = Awaiting()
        self.books = Books()
        self.earnings = Earnings()
        self.report_schedules = Schedules()
        self.choice_showings = Showings()
        self.subscriptions = Register()
        self.api_keys = ApiKeys()
        self.consent = ConsentLedger()
        self.consent_proofs = ProofRuns()
        self.fairness = FairnessMemory()
        self.folds = (
            self.ledger,
            self.catalogue,
            self.budgets,
            self.outcomes,
            self.known_traffic,
            self.plans,
            self.awaiting,
            self.books,
            self.earnings,
            self.report_schedules,
            self.choice_showings,
            self.subscriptions,
            self.api_keys,
            self.consent,
            self.consent_proofs,
            *self.fairness.folds,
        )
