"""The folds of fairness at work, together."""

from __future__ import annotations

from ringwork.fairness.delivery.audiences import Audiences
from ringwork.fairness.delivery.audit_log import AuditLog
from ringwork.fairness.delivery.budgets import Budgets
from ringwork.fairness.delivery.cells import Cells
from ringwork.fairness.delivery.flights import Flights
from ringwork.fairness.delivery.models import Models
from ringwork.fairness.delivery.people import People


class FairnessMemory:
    """What decisions read."""

    def __init__(self) -> None:
        self.people = People()
        self.audiences = Audiences()
        self.models = Models()
        self.flights = Flights()
        self.cells = Cells()
        self.budgets = Budgets()
        self.log = AuditLog()
        self.folds = (
            self.people,
            self.audiences,
            self.models,
            self.flights,
            self.cells,
            self.budgets,
            self.log,
        )
