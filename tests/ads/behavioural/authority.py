"""A house that keeps a history of people, with consent's own authority over grants."""

from pathlib import Path

import sqlalchemy as sa

from ringwork.ads.behavioural import Behaviour, PeopleTold
from ringwork.ads.behavioural.events import EVENTS
from ringwork.ads.behavioural.requests import PersonEvent
from ringwork.ads.events import AuctionCleared, SlotOutcome
from ringwork.ads.model import Ask, Context, Served, Slot
from ringwork.ads.personal import Personal
from ringwork.app.history import DeniedReads, HistoryProjection
from ringwork.consent.epochs import Epochs, in_memory
from ringwork.consent.grants import GrantAuthority
from ringwork.kernel.history import working_for
from ringwork.kernel.journal import Command
from ringwork.kernel.ports import Clock
from ringwork.kernel.purpose import Grant, Purpose
from ringwork.storage.sqlite import history
from tests.ads import house as houses
from tests.ads.house import BANNER, SITE, House, pseudonym

for event in EVENTS:
    houses.TYPES.add(event)

DAY_S = 86_400


class Authority(GrantAuthority):
    """Consent's own, with grants for people by their names."""

    def __init__(self, clock: Clock) -> None:
        self.epochs = Epochs(in_memory())
        super().__init__(bytes(32), self.epochs, clock)

    def grant_to(
        self,
        person: str,
        request_id: bytes,
        *,
        services: tuple[str, ...] = ("main",),
        purposes: tuple[Purpose, ...] = ("advertise",),
    ) -> Grant:
        subject = pseudonym(f"person/{person}")
        return self.grant(
            subject=subject, purposes=purposes, services=services,
            epoch=self.epochs.current(subject), request_id=request_id,
        )  # fmt: skip


class Town(House):
    """A house with a history in ``folder``; everything behavioural is the real thing."""

    def __init__(self, folder: Path, *, rows_max: int = 200, retention_s: int = 90 * DAY_S) -> None:
        super().__init__()
        self.authority = Authority(self.clock)
        self.denied = DeniedReads()
        self.state = history.open_history(folder / "history.db")
        self.projection = HistoryProjection(self.keys, rows_max=rows_max)
        self.history = history.HistoryStore(
            self.state, folder / "history.db", verifier=self.authority, clock=self.clock,
            retention_s=retention_s, rows_max=rows_max, refused=self.denied.note,
        )  # fmt: skip
        personal = Personal(self.keys, pseudonym)
        self.behaviour = Behaviour(
            ads=self.ads, catalogue=self.catalogue, history=self.history, personal=personal,
            ids=self.ids, half_life_s=14 * DAY_S, interests_max=20,
        )  # fmt: skip
        self.told = PeopleTold(
            personal=personal, ids=self.ids, services=frozenset({"main", "market"}),
            retention_s=retention_s, consented=lambda subject, now_us: subject not in self.refused,
        )  # fmt: skip
        self.refused: set[bytes] = set()
        self._applied_seq = 0

    def __exit__(self, *error: object) -> None:
        self.history.close()
        self.state.close()
        super().__exit__(*error)

    def did(
        self, person: str, topic: str, *, kind: str = "view", service: str = "main", ago_s: int = 0
    ) -> None:
        at_us = (self.now_s - ago_s) * 1_000_000
        one = PersonEvent(person=person, service=service, kind=kind, topic=topic, at_us=at_us)
        self.do(lambda command: self.told.record(command, [one]))

    def follow(self) -> None:
        """Everything durable into the history, in one transaction."""
        fresh = [
            one
            for one in self.events()
            if one.seq > self._applied_seq and isinstance(one.payload, self.projection.hears)
        ]
        with self.state.writer.begin() as connection:
            if fresh:
                self.projection.apply(connection, fresh)
        self._applied_seq = max([self._applied_seq, *(one.seq for one in fresh)])

    def rows(self, table: str) -> list[tuple[object, ...]]:
        with self.state.reader.begin() as connection:
            rows = connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY at_s, seq"))
            return [tuple(row) for row in rows]

    def serve_to(
        self,
        person: str,
        *slots: Slot,
        services: tuple[str, ...] = ("main",),
        context: Context = SITE,
    ) -> tuple[list[SlotOutcome], list[Served]]:
        """One ad request of a person who consented, step by step as a flow does it."""
        ask = Ask(
            request_id=self.ids.new(), source="native", context=context, slots=slots or (BANNER,)
        )
        auction_id = self.ids.new()
        grant = self.authority.grant_to(person, ask.request_id, services=services)

        def sell(command: Command) -> tuple[list[SlotOutcome], list[Served]]:
            personal = self.behaviour.personal_context(ask, grant, now_s=command.now_s)
            page = self.behaviour.begin(personal, auction_id, now_s=command.now_s)
            outcomes, served = [], []
            for slot in ask.slots:
                shortlist = self.ads.candidates(ask, slot, page, now_s=command.now_s)
                ranked = self.ads.rank(shortlist, slot, page)
                for outcome, sold in self.ads.clear(
                    command, ask, [slot], page, shortlist, ranked, auction_id=auction_id
                ):
                    outcomes.append(outcome)
                    served += [] if sold is None else [sold]
            self.behaviour.record(command, personal, page)
            command.record(
                AuctionCleared(
                    ask.source, "EUR", ask.context, outcomes, {}, reads=dict(page.reads)
                ),
                event_id=auction_id,
            )
            return outcomes, served

        with working_for("consented"):
            return self.do(sell, request_id=ask.request_id)
