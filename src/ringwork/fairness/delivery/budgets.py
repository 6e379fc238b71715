"""What every flight, audience, model and table of clusters declared and spent (I9); a fold."""

from __future__ import annotations

from typing import ClassVar

from ringwork.fairness.delivery.events import (
    AudienceMeasured,
    ClustersReleased,
    FlightOpened,
    ModelMeasured,
    SumsReleased,
)
from ringwork.fairness.privacy.budget import BudgetLedger
from ringwork.kernel.events import Event, Recorded


class Budgets:
    """The fold. ``ledger`` decides what may be declared and charged next."""

    name: ClassVar[str] = "fairness_budgets"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (
        FlightOpened,
        SumsReleased,
        ClustersReleased,
        AudienceMeasured,
        ModelMeasured,
    )

    def __init__(self) -> None:
        self.ledger = BudgetLedger()

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        if isinstance(event, FlightOpened):
            self.ledger.apply(event.declared)
        elif isinstance(event, SumsReleased):
            self.ledger.apply(event.charged)
        elif isinstance(event, (ClustersReleased, AudienceMeasured, ModelMeasured)):
            self.ledger.apply(event.declared)
            self.ledger.apply(event.charged)

    def clear(self) -> None:
        self.ledger = BudgetLedger()

    def dump(self) -> bytes:
        return self.ledger.dump()

    def load(self, state: bytes) -> None:
        self.ledger.load(state)
