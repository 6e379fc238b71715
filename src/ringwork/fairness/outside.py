"""Special ads that another platform sells: registered, told of, and steered in its own auctions.

In this platform all of it comes from the log. Elsewhere an ad is registered once, its auctions ask
what to take from each candidate's value, and its impressions are told in batches. The asking
platform vouches that a person whom it names may be measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from ringwork.fairness.delivery.clusters import CLUSTERS_MAX
from ringwork.fairness.delivery.events import (
    MEASURED,
    Audience,
    Contest,
    PersonClustered,
    SpecialAdRegistered,
    SpecialAdsCompeted,
    SpecialAdShown,
)
from ringwork.fairness.delivery.memory import FairnessMemory
from ringwork.fairness.delivery.people import meet
from ringwork.fairness.delivery.steer import AuctionSteer
from ringwork.fairness.plan import Category
from ringwork.kernel.errors import Conflict, Fault, Refused
from ringwork.kernel.journal import Command
from ringwork.kernel.steering import Offer, Place
from ringwork.kernel.viewer import PersonId

IMPRESSIONS_MAX: Final = 1000
CANDIDATES_MAX: Final = 500
REGISTERED_MAX: Final = 100_000
AHEAD_US: Final = 300_000_000
"""How far another platform's clock may be ahead of ours."""
Nanos = Annotated[int, Meta(ge=0, le=10**15)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Cluster = Annotated[int, Meta(ge=0, lt=CLUSTERS_MAX)]
Region = Annotated[str, Meta(max_length=16)]


class AudienceQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is eligible, among the people that are described."""

    regions: Annotated[list[Region], Meta(max_length=1000)] = []
    """Where they live, as in targeting: "USA" holds "USA-TX". Empty: anywhere."""
    excluded_regions: Annotated[list[Region], Meta(max_length=1000)] = []


class NewFairAd(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A special ad of another platform, or what it is from now on: a new audience is a segment."""

    ad: Name
    category: Category
    advertiser: Annotated[str, Meta(max_length=256)] = ""
    audience: AudienceQuery = field(default_factory=AudienceQuery)
    expected_impressions: Annotated[int, Meta(ge=1, le=10**12)]
    is_over: bool = False
    """Nothing of it is sold any more: its last release is made."""


class FairAd(Struct, frozen=True, kw_only=True):
    """As it is registered."""

    ad: str
    category: Category
    expected_impressions: int
    is_over: bool


class ToldImpression(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One billed impression."""

    id: Name
    ad: Name
    person: PersonId | None = None
    """Whom it was shown to, if the person may be measured."""
    cluster: Cluster
    time_us: Annotated[int, Meta(ge=0, lt=2**53)]
    price_nanos: Nanos
    is_left_alone: bool = False
    """As the auction's answer said."""

    def __repr__(self) -> str:
        return f"ToldImpression(ad={self.ad!r})"


class ToldImpressions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch: an ad that nobody registered refuses all of it."""

    impressions: Annotated[list[ToldImpression], Meta(min_length=1, max_length=IMPRESSIONS_MAX)]


class ImpressionsTaken(Struct, frozen=True):
    """What became of a batch."""

    counted: int
    repeated: int
    """Of an id that came before: nothing changes."""
    late: int
    """Counted, from before the ad's newest release: they are in the next one."""


class Bidding(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One who competes, special or not."""

    ad: Name
    value_nanos: Nanos
    """What an impression is worth to it."""


class Auction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An auction between ranking and pricing: the best value wins."""

    cluster: Cluster
    candidates: Annotated[list[Bidding], Meta(min_length=1, max_length=CANDIDATES_MAX)]


class Adjusted(Struct, frozen=True):
    """What to take from one candidate's value; negative: to add."""

    ad: str
    shift_nanos: int
    is_left_alone: bool


class Adjustments(Struct, frozen=True):
    """Of the special ads among the candidates; all others stay as they are."""

    shifts: list[Adjusted]


TYPES: Final[tuple[type[Struct], ...]] = (
    AudienceQuery,
    NewFairAd,
    FairAd,
    ToldImpression,
    ToldImpressions,
    ImpressionsTaken,
    Bidding,
    Auction,
    Adjusted,
    Adjustments,
)


class Outside:
    """Records what another platform tells, and answers its auctions."""

    def __init__(
        self,
        memory: FairnessMemory,
        steer: AuctionSteer,
        *,
        clusters: int,
        subject_of: Callable[[str], bytes],
        period: Callable[[], str],
        is_own: Callable[[str], bool],
    ) -> None:
        """``is_own``: whether an ad is sold here, so that nobody else tells of it."""
        self._flights = memory.flights
        self._people = memory.people
        self._steer = steer
        self._clusters = clusters
        self._subject_of = subject_of
        self._period = period
        self._is_own = is_own

    def register(self, command: Command, data: NewFairAd, actor: str) -> FairAd:
        """Raises Conflict: rule-violated for an ad that is sold here, or one too many."""
        registered = self._flights.registered
        if self._is_own(data.ad):
            text = f"{data.ad!r} is sold here: it is measured by its own log"
            raise Conflict("rule-violated", text, errors=[Fault("/ad", text)])
        if data.ad not in registered and len(registered) >= REGISTERED_MAX:
            raise Conflict("rule-violated", f"expected at most {REGISTERED_MAX:,} ads")
        audience = Audience(
            regions=tuple(data.audience.regions),
            excluded_regions=tuple(data.audience.excluded_regions),
        )
        told = SpecialAdRegistered(
            data.ad,
            data.advertiser,
            data.category,
            audience,
            data.expected_impressions,
            data.is_over,
            actor,
        )
        if registered.get(data.ad) != told:
            command.record(told)
        return FairAd(
            ad=data.ad,
            category=data.category,
            expected_impressions=data.expected_impressions,
            is_over=data.is_over,
        )

    def show(self, command: Command, told: Sequence[ToldImpression]) -> ImpressionsTaken:
        """Count impressions, each id once. Raises Refused: unknown-ad, with every fault."""
        faults = [*self._faults(told, command.ts_us)]
        if faults:
            raise Refused(
                "unknown-ad",
                "; ".join(f"{one.pointer}: {one.detail}" for one in faults[:5]),
                errors=faults,
                status=404,
                title="No such ad",
            )
        counted = late = 0
        for one in told:
            id = _id_of(one)
            if self._flights.was_shown(id):
                continue
            subject = None if one.person is None else self._subject_of(one.person)
            counted += 1
            late += self._is_late(one)
            shown = SpecialAdShown(
                id, one.ad, one.cluster, one.is_left_alone, one.price_nanos, one.time_us
            )
            purpose = None if subject is None else MEASURED
            event_id = command.record(shown, subject=subject, purpose=purpose)
            if subject is not None:
                met = PersonClustered(self._period(), one.cluster)
                meet(command, self._people, subject, met, event_id)
        return ImpressionsTaken(counted, len(told) - counted, late)

    def adjust(self, command: Command, data: Auction) -> Adjustments:
        """The shifts of an auction, and the record of who competed in it.

        Raises Refused: unknown-ad where none of the candidates is a special ad of this log.
        """
        special = [one for one in data.candidates if one.ad in self._flights.registered]
        if not special or data.cluster >= self._clusters:
            known = f"one of {len(self._flights.registered)} registered ads"
            text = f"expected {known} and a cluster below {self._clusters}"
            raise Refused("unknown-ad", text, status=404, title="No such ad")
        self._steer.at(command.now_s)
        offers = [
            Offer(
                ad_id=one.ad,
                campaign_id="",
                advertiser_id="",
                value_nanos=one.value_nanos,
                score_nanos=one.value_nanos,
            )
            for one in data.candidates
        ]
        place = Place(publisher_id="", placement_id="", format="", region="", cluster=data.cluster)
        found = self._steer(place, offers)
        moved = {
            one.ad: one.value_nanos + (found[one.ad].shift_nanos if one.ad in found else 0)
            for one in data.candidates
        }
        order = sorted(moved.items(), key=lambda one: (-one[1], one[0]))
        contests = [
            Contest(
                one.ad,
                one.value_nanos,
                max(next((score for ad, score in order if ad != one.ad), 0), 0),
                moved[one.ad] - one.value_nanos,
                self._steer.is_left_alone(data.cluster, one.ad),
                order[0][0] == one.ad and order[0][1] > 0,
            )
            for one in special
        ]
        command.record(SpecialAdsCompeted(data.cluster, contests))
        return Adjustments(
            [Adjusted(one.ad, -one.shift_nanos, one.is_left_alone) for one in contests]
        )

    def _faults(self, told: Sequence[ToldImpression], now_us: int) -> list[Fault]:
        faults = []
        for number, one in enumerate(told):
            at = f"/impressions/{number}"
            if one.ad not in self._flights.registered:
                faults.append(Fault(f"{at}/ad", f"no ad {one.ad!r} is registered"))
            if one.cluster >= self._clusters:
                text = f"expected a cluster below {self._clusters}, got {one.cluster}"
                faults.append(Fault(f"{at}/cluster", text))
            if one.time_us > now_us + AHEAD_US:
                faults.append(Fault(f"{at}/time_us", "expected a time that has come"))
        return faults

    def _is_late(self, one: ToldImpression) -> bool:
        flight = self._flights.ads.get(one.ad)
        return bool(
            flight is not None and flight.segments and one.time_us <= flight.open.released_us
        )


def _id_of(one: ToldImpression) -> bytes:
    """Another platform's id as 16 bytes, of its ad: two ads may both have an impression 1."""
    return hashlib.blake2b(one.id.encode(), key=_key(one.ad), digest_size=16).digest()


def _key(ad: str) -> bytes:
    return hashlib.blake2b(ad.encode(), digest_size=32).digest()
