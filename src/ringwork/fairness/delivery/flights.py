"""Every measured ad: what was billed, whom it reached since its last release, what was released.

A fold of the log. Which impression counts is decided here, once, by the caps of the plan that the
flight was opened with; whose vector it adds is the enclave's to know, when a release is due. So no
sum of anybody stands here, and who contributed to which ad only as a hash of both.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, Final

import msgspec
from msgspec import Struct, field

from ringwork.fairness.delivery.events import (
    Audience,
    FairnessRecorded,
    FlightOpened,
    PersonUndescribed,
    SpecialAdRegistered,
    SpecialAdsCompeted,
    SpecialAdShown,
    SpecialAdSold,
    SumsReleased,
)
from ringwork.fairness.measure.caps import DAY_US, Caps
from ringwork.fairness.plan import PrivacyPlan
from ringwork.fairness.records import Override, Release
from ringwork.kernel.events import Event, Recorded

SALES_MAX: Final = 200_000
"""Sales whose impression has not come: the newest. An impression without one is of nobody who is
known, and counts as steered."""
IMPRESSIONS_MAX: Final = 1_000_000
"""Impressions that are remembered so that none counts twice: the newest."""
WAITING_MAX: Final = 10_000
"""Impressions of an ad before its flight is opened; more are billed and enter no sum."""
CELL_DAYS: Final = 3
"""Days of which impressions per cluster are remembered: as long as they may enter a sum."""


class Sale(Struct, frozen=True, array_like=True, gc=False):
    """Where an ad was sold, and whom for."""

    subject: bytes | None
    """None: somebody who may not be measured."""
    cluster: int
    is_left_alone: bool


class Reached(Struct, frozen=True, array_like=True, gc=False):
    """One impression that enters the sums of the next release."""

    seq: int
    """Of its event."""
    subject: bytes
    is_first_touch: bool
    is_left_alone: bool = False


class Billed(Struct, array_like=True):
    """Impressions, whoever was shown them."""

    impressions: int = 0
    spend_nanos: int = 0


class LeftAlone(Struct, kw_only=True):
    """The same of opportunities that the control arm left alone, and how they clump.

    The arm is drawn by cluster and day, so its impressions are there or not there by cells of both:
    ``squares`` is the sum over cells of impressions squared, of which the variance of a cluster
    sample is made (Kish 1965, section 5.4).
    """

    impressions: int = 0
    spend_nanos: int = 0
    squares: int = 0
    days: dict[int, dict[int, int]] = field(default_factory=dict)
    """Day -> cluster -> impressions, of the newest days."""

    def add(self, cluster: int, day: int, price_nanos: int) -> None:
        """One impression more."""
        self.impressions += 1
        self.spend_nanos += price_nanos
        newest = max(self.days, default=day)
        if day <= newest - CELL_DAYS:
            self.squares += 1  # a cell of its own: it cannot be told which of the old ones
            return
        for old in [one for one in self.days if one <= day - CELL_DAYS]:
            del self.days[old]
        cells = self.days.setdefault(day, {})
        before = cells.get(cluster, 0)
        cells[cluster] = before + 1
        self.squares += 2 * before + 1


class Waiting(Struct, frozen=True, array_like=True, gc=False):
    """One impression from before its flight was opened."""

    seq: int
    subject: bytes
    time_us: int
    is_left_alone: bool = False


class Segment(Struct, kw_only=True):
    """One audience of an ad."""

    opened: FlightOpened
    opened_us: int
    impressions: int = 0
    """Billed, since it was opened."""
    spend_nanos: int = 0
    released: int = 0
    """Of these, as many as its newest release says."""
    released_us: int = -1
    """End of its newest release."""
    late: int = 0
    left_alone: LeftAlone = field(default_factory=LeftAlone)
    """Of these impressions, those of the control arm."""
    values: list[list[int]] = field(default_factory=list)
    """Of each release."""
    increments: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Of each release, the event and what is sealed in it."""


class Flight(Struct, kw_only=True):
    """One ad."""

    segments: list[Segment] = field(default_factory=list)
    reached: list[Reached] = field(default_factory=list)
    """Since the newest release of the open segment."""
    waiting: list[Waiting] = field(default_factory=list)
    unopened: Billed = field(default_factory=Billed)
    """Before it was opened."""
    unopened_left_alone: LeftAlone = field(default_factory=LeftAlone)
    released_us: int = 0
    """When the newest release was made; 0 where there is none."""
    override: Override | None = None
    """The newest one that holds; None where the controller decides."""
    is_final: bool = False
    """The open segment had its last release: nothing more of it is counted. The ad may go on."""

    @property
    def open(self) -> Segment:
        """The newest segment. IndexError where no flight was opened yet."""
        return self.segments[-1]

    @property
    def releases(self) -> int:
        """Of the open segment."""
        return len(self.open.values)


class Flights:
    """The fold."""

    name: ClassVar[str] = "fairness_flights"
    version: ClassVar[int] = 2
    hears: ClassVar[tuple[type[Event], ...]] = (
        SpecialAdRegistered,
        SpecialAdsCompeted,
        SpecialAdSold,
        SpecialAdShown,
        PersonUndescribed,
        FlightOpened,
        SumsReleased,
        FairnessRecorded,
    )

    def __init__(self) -> None:
        self.ads: dict[str, Flight] = {}
        self.registered: dict[str, SpecialAdRegistered] = {}
        """Ads that another platform sells."""
        self.sales: dict[bytes, Sale] = {}
        self._shown: dict[bytes, None] = {}
        self._caps = Caps()

    def was_shown(self, impression_id: bytes) -> bool:
        """Whether an impression is counted already."""
        return impression_id in self._shown

    def knows(self, subject: bytes) -> bool:
        """Whether a person is in what is still to be shown or released."""
        return any(one.subject == subject for one in self.sales.values()) or any(
            any(one.subject == subject for one in flight.reached)
            or any(one.subject == subject for one in flight.waiting)
            for flight in self.ads.values()
        )

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        match event:
            case SpecialAdRegistered():
                self.registered[event.ad] = event
            case SpecialAdsCompeted():
                self._sell(event)
            case SpecialAdSold():
                assert recorded.subject is not None
                self.sales[event.impression_id] = Sale(
                    recorded.subject, event.cluster, event.is_left_alone
                )
                _bounded(self.sales, SALES_MAX)
            case SpecialAdShown():
                self._show(event, recorded.subject, recorded.seq)
            case PersonUndescribed():
                assert recorded.subject is not None
                self._forget(recorded.subject)
            case FlightOpened():
                self._open(event, recorded.ts_us)
            case SumsReleased():
                self._release(event, recorded)
            case FairnessRecorded(body=Override() as override):
                flight = self.ads.setdefault(override.ad, Flight())
                flight.override = None if override.action == "resume" else override
            case FairnessRecorded(body=Release() as release):
                flight = self.ads[release.ad]
                flight.open.released = release.impressions
                flight.is_final = release.final

    def _sell(self, event: SpecialAdsCompeted) -> None:
        """Where the ads were sold; whom for, comes after it, of those who may be measured."""
        for one in event.contests:
            if one.impression_id:
                self.sales[one.impression_id] = Sale(None, event.cluster, one.is_left_alone)
        _bounded(self.sales, SALES_MAX)

    def _show(self, event: SpecialAdShown, subject: bytes | None, seq: int) -> None:
        self.sales.pop(event.impression_id, None)
        if event.impression_id in self._shown:
            return
        self._shown[event.impression_id] = None
        _bounded(self._shown, IMPRESSIONS_MAX)
        flight = self.ads.setdefault(event.ad, Flight())
        left_alone = flight.open.left_alone if flight.segments else flight.unopened_left_alone
        if event.is_left_alone:
            left_alone.add(event.cluster, event.time_us // DAY_US, event.price_nanos)
        shown = None
        if subject is not None:
            shown = Waiting(seq, subject, event.time_us, event.is_left_alone)
        if not flight.segments:
            flight.unopened.impressions += 1
            flight.unopened.spend_nanos += event.price_nanos
            if shown is not None and len(flight.waiting) < WAITING_MAX:
                flight.waiting.append(shown)
            return
        segment = flight.open
        segment.impressions += 1
        segment.spend_nanos += event.price_nanos
        segment.late += event.time_us <= segment.released_us
        if shown is not None and not flight.is_final:
            self._reach(flight, event.ad, shown)

    def _reach(self, flight: Flight, ad: str, shown: Waiting) -> None:
        declared = flight.open.opened.declared
        counted = self._caps.count(
            declared.privacy,
            ad,
            declared.segment,
            contact_of(ad, shown.subject),
            shown.time_us,
        )
        if counted.contributes:
            reached = Reached(shown.seq, shown.subject, counted.is_first_touch, shown.is_left_alone)
            flight.reached.append(reached)

    def _open(self, event: FlightOpened, ts_us: int) -> None:
        ad = event.declared.ad
        flight = self.ads.setdefault(ad, Flight())
        assert event.declared.segment == len(flight.segments)
        flight.segments.append(Segment(opened=event, opened_us=ts_us))
        flight.is_final = False
        # What no release of the segment before took up is in none: its audience was another one.
        flight.reached = []
        segment = flight.open
        segment.impressions, segment.spend_nanos = (
            flight.unopened.impressions,
            flight.unopened.spend_nanos,
        )
        segment.left_alone = flight.unopened_left_alone
        flight.unopened, flight.unopened_left_alone = Billed(), LeftAlone()
        for one in flight.waiting:
            self._reach(flight, ad, one)
        flight.waiting = []

    def _release(self, event: SumsReleased, recorded: Recorded) -> None:
        flight = self.ads[event.charged.ad]
        segment = flight.open
        assert event.charged.segment == segment.opened.declared.segment
        segment.values.append(event.values)
        segment.increments.append((recorded.id, event.increment))
        segment.released_us = flight.released_us = recorded.ts_us
        flight.reached = [one for one in flight.reached if one.seq > event.until_seq]

    def _forget(self, subject: bytes) -> None:
        """What was sold and shown stays billed, and is of nobody from here on."""
        for id, one in self.sales.items():
            if one.subject == subject:
                self.sales[id] = msgspec.structs.replace(one, subject=None)
        for flight in self.ads.values():
            flight.reached = [one for one in flight.reached if one.subject != subject]
            flight.waiting = [one for one in flight.waiting if one.subject != subject]

    def clear(self) -> None:
        self.ads.clear()
        self.registered.clear()
        self.sales.clear()
        self._shown.clear()
        self._caps.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(
            (self.ads, self.registered, self.sales, list(self._shown), self._caps.state())
        )

    def load(self, state: bytes) -> None:
        self.clear()
        ads, registered, sales, shown, caps = _decode(state)
        self.ads.update(ads)
        self.registered.update(registered)
        self.sales.update(sales)
        self._shown.update(dict.fromkeys(shown))
        self._caps.restore(caps)


_decode: Final = msgspec.msgpack.Decoder(
    tuple[
        dict[str, Flight],
        dict[str, SpecialAdRegistered],
        dict[bytes, Sale],
        list[bytes],
        dict[str, tuple[dict[int, dict[bytes, int]], dict[int, list[bytes]]]],
    ]
).decode


def contact_of(ad: str, subject: bytes) -> bytes:
    """A person of an ad: 16 bytes that nobody reads the pseudonym out of."""
    return hashlib.blake2b(ad.encode(), key=subject, digest_size=16).digest()


def privacy_of(flight: Flight) -> PrivacyPlan:
    """The terms that a flight was opened with."""
    return flight.segments[0].opened.declared.privacy


def audience_of(flight: Flight) -> Audience:
    """Whom its open segment is for."""
    return flight.open.opened.audience


def _bounded(kept: dict[bytes, Sale] | dict[bytes, None], most: int) -> None:
    while len(kept) > most:
        del kept[next(iter(kept))]
