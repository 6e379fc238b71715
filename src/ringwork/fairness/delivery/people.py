"""Who is known to the enclave, under pseudonyms: sealed descriptions, clusters, recent impressions.

A fold of the log. It opens nothing: what is sealed stays sealed here, and in every snapshot.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from ringwork.fairness.delivery.events import (
    MEASURED,
    ClustersReleased,
    PersonClustered,
    PersonDescribed,
    PersonShownAds,
    PersonUndescribed,
    SpecialAdShown,
)
from ringwork.fairness.delivery.recent import DAY_US, RecentImpressions
from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.ids import derived_id
from ringwork.kernel.journal import Command

PEOPLE_MAX: Final = 1_000_000
"""People that are known at once: about 400 MB of descriptions."""


class People:
    """The fold."""

    name: ClassVar[str] = "fairness_people"
    version: ClassVar[int] = 2
    hears: ClassVar[tuple[type[Event], ...]] = (
        PersonDescribed,
        PersonUndescribed,
        PersonClustered,
        PersonShownAds,
        SpecialAdShown,
        ClustersReleased,
    )

    def __init__(self) -> None:
        self.described: dict[bytes, tuple[bytes, bytes]] = {}
        """Subject -> the event that described it, and what is sealed in it."""
        self.changed: dict[bytes, None] = {}
        """Subjects whose description is another one than when this was last emptied."""
        self.generation = 0
        """Grows when everything is forgotten: what derives from it must begin anew."""
        self.period = ""
        self.clusters: dict[bytes, int] = {}
        """Subject -> where it was first met in the period; empty once its table is released."""
        self.tables: dict[str, list[list[int]]] = {}
        """Period -> the noisy sums by cluster; of the newest period alone."""
        self.recent = RecentImpressions()
        """Of who is described; of nobody else."""

    def apply(self, recorded: Recorded) -> None:
        subject, event = recorded.subject, recorded.payload
        match event:
            case PersonDescribed():
                assert subject is not None
                self.described[subject] = (recorded.id, event.details)
                self.changed[subject] = None
            case PersonUndescribed():
                assert subject is not None
                self.described.pop(subject, None)
                self.clusters.pop(subject, None)
                self.recent.forget(subject)
                self.changed[subject] = None
            case PersonClustered():
                assert subject is not None
                if event.period != self.period:
                    self.period = event.period
                    self.clusters.clear()
                self.clusters.setdefault(subject, event.cluster)
            case PersonShownAds():
                self.recent.keep(event.window_days)
                if subject is not None and subject in self.described:
                    self.recent.add(subject, recorded.ts_us // DAY_US, event.impressions)
            case SpecialAdShown():
                if subject is not None and subject in self.described:
                    self.recent.add(subject, event.time_us // DAY_US, 1)
            case ClustersReleased():
                self.tables = {event.period: event.sums}
                self.clusters.clear()

    def is_to_be_clustered(self, subject: bytes, period: str) -> bool:
        """Whether it is worth an event to note where a person is met now."""
        if subject not in self.described or period in self.tables:
            return False
        return period != self.period or subject not in self.clusters

    def clear(self) -> None:
        self.described.clear()
        self.changed.clear()
        self.generation += 1
        self.period = ""
        self.clusters.clear()
        self.tables = {}
        self.recent.clear()

    def dump(self) -> bytes:
        recent = self.recent.dump()
        return msgspec.msgpack.encode(
            (self.described, self.period, self.clusters, self.tables, recent)
        )

    def load(self, state: bytes) -> None:
        self.clear()
        described, self.period, clusters, self.tables, recent = _decode(state)
        self.described.update(described)
        self.clusters.update(clusters)
        self.changed.update(dict.fromkeys(described))
        self.recent.load(recent)


def meet(
    command: Command, people: People, subject: bytes, met: PersonClustered, source_id: bytes
) -> None:
    """Record where a person was first met in a period, if that is known and was not recorded yet.

    The event's id is derived from that of the event that it follows from: no id that is drawn later
    tells of it.
    """
    if met.period and people.is_to_be_clustered(subject, met.period):
        event_id = derived_id(source_id, met.TYPE)
        command.record(met, event_id=event_id, subject=subject, purpose=MEASURED)


_decode: Final = msgspec.msgpack.Decoder(
    tuple[
        dict[bytes, tuple[bytes, bytes]], str, dict[bytes, int], dict[str, list[list[int]]], bytes
    ]
).decode
