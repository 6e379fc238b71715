"""The audit log of this platform while it is being written, as the console looks at it."""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct

from ringwork.app.fairness import Fairness
from ringwork.fairness.chronicle import Chronicle
from ringwork.fairness.delivery.work import record
from ringwork.fairness.records import Override
from ringwork.fairness.report import Document
from ringwork.kernel.errors import Refused
from ringwork.kernel.journal import Command

AUDIT_RECORDS_MAX: Final = 5_000
"""Records that are audited for a download: some twenty seconds of one core, beside the requests."""


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

    def override(self, command: Command, wanted: Override) -> Struct:
        record(command, wanted)
        return wanted

    def took_effect(self) -> None:
        desk = self._fairness.desk
        if desk is not None:
            desk.controlling.swap()

    async def document(self) -> Document:
        """Made once for each end of the log, one at a time."""
        async with self._auditing:
            end = self._fairness.memory.log.next_seq
            if end > AUDIT_RECORDS_MAX:
                name = self._fairness.file.path.name
                command = f"ringwork fairness report {name} --format all --out ."
                raise Refused(
                    "log-too-long",
                    f"expected at most {AUDIT_RECORDS_MAX:,} records for an audit in a server, "
                    f"got {end:,}: run `{command}`",
                    status=422,
                    title="The log is too long for a download",
                )
            if self._made is None or self._made[0] != end:
                self._made = end, await self._fairness.document(None)
            return self._made[1]
