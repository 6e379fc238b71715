"""The audit log of this platform while it is being written, as the console looks at it."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from ringwork.app.fairness import Fairness
from ringwork.console.fairness_facts import AdStanding
from ringwork.fairness.chronicle import Chronicle
from ringwork.fairness.delivery.work import record_later
from ringwork.fairness.records import Override
from ringwork.fairness.report import Document
from ringwork.kernel.journal import Command


class LiveLog:
    """One for the process."""

    def __init__(self, fairness: Fairness) -> None:
        self._fairness = fairness
        self._auditing = asyncio.Lock()
        self._made: tuple[int, Document] | None = None

    @property
    def chronicle(self) -> Chronicle:
        return self._fairness.memory.log.chronicle

    @property
    def controlled(self) -> tuple[str, ...]:
        desk = self._fairness.desk
        if desk is not None:
            return desk.controlled
        from ringwork.fairness.enclave import controlled_by  # noqa: PLC0415  # loads numpy

        return controlled_by(self._fairness.plan)

    async def durable(self) -> None:
        await self._fairness.journal.settled()

    async def ready(self) -> None:
        await self._fairness.ready()

    @property
    def categories(self) -> tuple[str, ...]:
        return self._fairness.plan.categories

    def standing(self, ad: str) -> AdStanding:
        from ringwork.fairness.delivery.releasing import next_at  # noqa: PLC0415  # loads numpy
        from ringwork.fairness.delivery.views import unmeasured  # noqa: PLC0415

        memory, desk = self._fairness.memory, self._fairness.desk
        reason = "" if desk is None else unmeasured(memory, desk, ad)
        flight = memory.flights.ads.get(ad)
        if flight is None or not flight.segments:
            return AdStanding(reason=reason)
        return AdStanding(
            reason=reason, impressions=flight.open.impressions, next_at=next_at(flight)
        )

    def override(self, command: Command, wanted: Override) -> Struct:
        record_later(command, self._fairness.memory, wanted)
        return wanted

    def took_effect(self) -> None:
        desk = self._fairness.desk
        if desk is not None:
            desk.controlling.swap()

    async def document(self) -> Document:
        """Made once for each end of the log, one at a time."""
        async with self._auditing:
            end = self._fairness.memory.log.next_seq
            if self._made is None or self._made[0] != end:
                self._made = end, await self._fairness.document(None)
            return self._made[1]
