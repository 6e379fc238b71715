"""Ordinary ads that described people are shown, counted in memory until an event says how many.

A sale and an impression cost a look-up each. What a process had counted when it was killed is gone:
some minutes of a weight, of no figure and of no money. Its events draw no ids: theirs follow from
those of impressions, so that no id drawn later tells whether anybody was measured.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from ringwork.fairness.delivery.events import MEASURED, PersonShownAds
from ringwork.fairness.delivery.people import People
from ringwork.kernel.ids import derived_id
from ringwork.kernel.journal import Command

SALES_MAX: Final = 200_000
"""Sales whose impression has not come: the newest."""
COUNTED_EVERY_US: Final = 600_000_000
"""Ten minutes: a visit is mostly one event of its person."""
COUNTED_AT_ONCE: Final = 250
"""Events before requests get their turn: a few milliseconds."""


class Showing:
    """What was sold and shown since the last events."""

    def __init__(self, people: People, *, window_days: int) -> None:
        self._people = people
        self._window_days = window_days
        self._sold: dict[bytes, bytes] = {}
        """Impression -> subject."""
        self._shown: dict[bytes, tuple[int, bytes]] = {}
        """Subject -> how many, and the last impression."""
        self._counted_us = 0

    def sold(self, impression_id: bytes, subject: bytes) -> None:
        """An ad that is not special was sold for a described person, who may be measured."""
        self._sold[impression_id] = subject
        if len(self._sold) > SALES_MAX:
            del self._sold[next(iter(self._sold))]

    def shown(self, impression_id: bytes) -> None:
        """An impression was billed, of whichever ad."""
        subject = self._sold.pop(impression_id, None)
        if subject is not None:
            count, _ = self._shown.get(subject, (0, b""))
            self._shown[subject] = (count + 1, impression_id)

    def forget(self, subject: bytes) -> None:
        """A person is erased."""
        self._shown.pop(subject, None)
        self._sold = {id: one for id, one in self._sold.items() if one != subject}

    @property
    def has_counted(self) -> bool:
        """Whether there is anything to record."""
        return bool(self._shown)

    def is_due(self, now_us: int) -> bool:
        """Whether there is something to count, and it is time to; a clock may go back."""
        return self.has_counted and abs(now_us - self._counted_us) >= COUNTED_EVERY_US

    def request_id(self) -> bytes:
        """Of the next command to ``record`` in."""
        _, impression_id = next(iter(self._shown.values()))
        return derived_id(impression_id, "count_shown")

    def record(self, command: Command) -> bool:
        """Record some of what was counted; True while there is more. Call ``recorded`` after."""
        for subject in self._next():
            if subject in self._people.described:
                count, impression_id = self._shown[subject]
                command.record(
                    PersonShownAds(count, self._window_days),
                    event_id=derived_id(impression_id, PersonShownAds.TYPE),
                    subject=subject,
                    purpose=MEASURED,
                )
        return len(self._shown) > COUNTED_AT_ONCE

    def recorded(self, now_us: int) -> None:
        """The command that took ``record`` is committed."""
        for subject in self._next():
            del self._shown[subject]
        if not self._shown:
            self._counted_us = now_us

    def _next(self) -> list[bytes]:
        return list(islice(self._shown, COUNTED_AT_ONCE))
