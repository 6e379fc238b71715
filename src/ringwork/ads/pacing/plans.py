"""What the log tells of the plans that are under way: from it a desk goes on after a restart.

A fold of the notes, and of the requests that came and the promises that were sold between them: a
plan is noted four times an hour, and its opportunities are counted to the request. The bound is one
plan and one count for each campaign there is.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec
from msgspec import Struct

from ringwork.ads.events import AuctionCleared
from ringwork.ads.pacing.known_traffic import KnownTraffic
from ringwork.ads.pacing_events import CampaignPaced
from ringwork.kernel.events import Event, Recorded

_DAY_US: Final = 86_400_000_000


class Course(Struct):
    """One plan, from its first note to its last one so far."""

    opened: int
    """Spent, or sold, when it was made."""
    opened_at: int
    """Requests there had been then."""
    noted: CampaignPaced
    noted_at: int
    """Requests there had been at its last note."""
    noted_s: int

    @property
    def came(self) -> int:
        """Requests from its first note to its last."""
        return self.noted_at - self.opened_at


class Plans:
    """The newest plan of every campaign that has one, and the counts that plans are made of."""

    name: ClassVar[str] = "pacing-plans"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (AuctionCleared, CampaignPaced)

    def __init__(self) -> None:
        self._swept_day = 0
        self.clear()

    def apply(self, recorded: Recorded) -> None:
        """Count a request, or take a note."""
        event = recorded.payload
        if isinstance(event, CampaignPaced):
            self._note(event, recorded.ts_us)
            return
        assert isinstance(event, AuctionCleared), "nothing else is heard"
        self.requests += 1
        for slot in event.slots:
            if slot.rule == "priority" and slot.campaign_id:
                self.sold[slot.campaign_id] = self.sold.get(slot.campaign_id, 0) + 1

    def _note(self, note: CampaignPaced, ts_us: int) -> None:
        noted_s = ts_us // 1_000_000
        course = self.courses.get(note.campaign_id)
        if course is not None and _is_same(course.noted, note):
            course.noted, course.noted_at, course.noted_s = note, self.requests, noted_s
        else:
            self.courses[note.campaign_id] = Course(
                note.spent, self.requests, note, self.requests, noted_s
            )
        if ts_us // _DAY_US > self._swept_day:  # what has ended is nobody's plan any more
            self._swept_day = ts_us // _DAY_US
            ended = [id for id, one in self.courses.items() if one.noted.ends_s <= noted_s]
            for campaign_id in ended:
                del self.courses[campaign_id]

    def clear(self) -> None:
        self.requests = 0
        """Ad requests, ever: the opportunities that pacing knows of."""
        self.courses: dict[str, Course] = {}
        self.sold: dict[str, int] = {}
        """Guaranteed or sponsoring campaign -> impressions that it was ever sold."""
        self._swept_day = 0

    def dump(self) -> bytes:
        return msgspec.msgpack.encode((self.requests, self.courses, self.sold, self._swept_day))

    def load(self, state: bytes) -> None:
        self.requests, self.courses, self.sold, self._swept_day = _decoder.decode(state)


class PacingMemory(Struct, frozen=True):
    """What pacing is told by the log."""

    traffic: KnownTraffic
    plans: Plans


def _is_same(before: CampaignPaced, now: CampaignPaced) -> bool:
    """Whether two notes are of one plan."""
    return (before.begins_s, before.ends_s, before.budget, before.unit) == (
        now.begins_s,
        now.ends_s,
        now.budget,
        now.unit,
    )


_decoder: Final = msgspec.msgpack.Decoder(tuple[int, dict[str, Course], dict[str, int], int])
