"""The history of people, as the platform keeps it: its projection, and reads that were denied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import sqlalchemy as sa

from ringwork.ads.behavioural.events import (
    PURPOSE,
    GrantDenied,
    PersonActed,
    PersonReached,
    decode_done,
    decode_shown,
)
from ringwork.app.erasure import SubjectErased
from ringwork.consent.events import ConsentRecorded
from ringwork.consent.model import ENDINGS
from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.journal import Journal
from ringwork.kernel.ports import KeyStore
from ringwork.kernel.purpose import Grant, Purpose
from ringwork.storage.sqlite import history

DENIED_MAX: Final = 1000
"""Denied reads that wait for the log; more are counted."""


class HistoryProjection:
    """What people did and were shown, from the log into ``history.db``.

    Besides its arguments it reads the keys that its rows are sealed with: what was erased, before
    it was applied or since, stays away. Which is what a rebuilt history must do. Who ends the
    consent to advertising, or turns out to be a minor, ends what was kept for it, too: a consent
    that is given later begins with nothing.
    """

    name: ClassVar[str] = "history"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (
        PersonActed,
        PersonReached,
        SubjectErased,
        ConsentRecorded,
    )

    def __init__(self, keys: KeyStore, *, rows_max: int) -> None:
        """``keys``: of the projection's own thread; ``rows_max`` are kept of each subject."""
        self._keys = keys
        self._rows_max = rows_max

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """Rows of what is readable; what ends a history in the batch deletes those before it."""
        acted: list[tuple[object, ...]] = []
        shown: list[tuple[object, ...]] = []
        touched: dict[bytes, None] = {}
        for recorded in events:
            subject = recorded.subject
            assert subject is not None, "an event of a person names its subject"
            if _ends_history(recorded.payload):
                _write(connection, acted, shown)
                history.forget(connection, subject)
                touched.pop(subject, None)
            elif isinstance(recorded.payload, PersonActed):
                acted += self._acted(recorded, subject, recorded.payload)
                touched[subject] = None
            elif isinstance(recorded.payload, PersonReached):
                shown += self._shown(recorded, subject, recorded.payload)
                touched[subject] = None
        _write(connection, acted, shown)
        history.trim(connection, touched, most=self._rows_max)

    def clear(self, connection: sa.Connection) -> None:
        """Empty the tables."""
        history.clear(connection)

    def _acted(
        self, recorded: Recorded, subject: bytes, event: PersonActed
    ) -> list[tuple[object, ...]]:
        plain = self._keys.unseal(subject, event.details, context=recorded.id + b"details")
        if plain is None:
            return []
        done = decode_done(plain)
        return [(subject, done.at_s, recorded.seq, event.service, done.kind, done.topic)]

    def _shown(
        self, recorded: Recorded, subject: bytes, event: PersonReached
    ) -> list[tuple[object, ...]]:
        plain = self._keys.unseal(subject, event.details, context=recorded.id + b"details")
        at_s = recorded.ts_us // 1_000_000
        return [
            (subject, at_s, recorded.seq, number, event.service, one.campaign_id,
             one.advertiser_id, recorded.id)
            for number, one in enumerate([] if plain is None else decode_shown(plain))
        ]  # fmt: skip


def _ends_history(event: Event) -> bool:
    """Whether nothing of what came before may be kept for advertising."""
    if isinstance(event, ConsentRecorded):
        is_over = event.action in ENDINGS and PURPOSE in event.purposes
        return is_over or event.minor is True
    return isinstance(event, SubjectErased)


def _write(
    connection: sa.Connection, acted: list[tuple[object, ...]], shown: list[tuple[object, ...]]
) -> None:
    """Write and empty both lists."""
    history.add_events(connection, acted)
    history.add_impressions(connection, shown)
    acted.clear()
    shown.clear()


class DeniedReads:
    """Reads of history that were denied, until they are in the log.

    A read happens in the midst of a decision, which must not be another command's; so it is taken
    note of here, and the platform's next tick records it.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[bytes, GrantDenied]] = []
        self._uncounted = 0
        self.total = 0
        """Since the start, for the metric."""

    def note(self, grant: Grant, purpose: Purpose, request_id: bytes, reason: str) -> None:
        """A read was denied; nothing of the grant that names a person is kept."""
        self.total += 1
        if len(self._waiting) >= DENIED_MAX:
            self._uncounted += 1
            return
        service = grant.services[0] if grant.services else ""
        self._waiting.append((request_id, GrantDenied(purpose, service, reason)))

    def record(self, journal: Journal, *, tenant: str) -> None:
        """Put all that wait into the log. Raises Unavailable, and keeps them then."""
        if not self._waiting:
            return
        with journal.command(tenant=tenant, request_id=journal.ids.new()) as command:
            for request_id, event in self._waiting:
                command.record(event, request_id=request_id)
            if self._uncounted:
                command.record(GrantDenied("", "", "uncounted", self._uncounted))
            command.commit()
        self._waiting, self._uncounted = [], 0
