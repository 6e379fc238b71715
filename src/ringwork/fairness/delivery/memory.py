"""The folds of fairness at work, together."""

from __future__ import annotations

from ringwork.fairness.delivery.audit_log import AuditLog
from ringwork.fairness.delivery.budgets import Budgets
from ringwork.fairness.delivery.cells import Cells
from ringwork.fairness.delivery.flights import Flights
from ringwork.fairness.delivery.measured import Measured
from ringwork.fairness.delivery.people import People


class FairnessMemory:
    """What decisions read."""

    def __init__(self) -> None:
        self.people = People()
        self.measured = Measured()
        self.flights = Flights()
        self.cells = Cells()
        self.budgets = Budgets()
        self.log = AuditLog()
        self.folds = (
            self.people,
            self.measured,
            self.flights,
            self.cells,
            self.budgets,
            self.log,
        )
