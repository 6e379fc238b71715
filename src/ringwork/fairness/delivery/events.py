"""The facts of delivery that fairness is measured and steered by.

Who competed and at what price names nobody. Whom an ad of a special category reached is an event of
its person, under a pseudonym, and only of people who allowed that it is measured. Names and areas
are sealed under their person's key, exact sums under the enclave's own.
"""

from __future__ import annotations

from typing import ClassVar, Final

from msgspec import Struct

from ringwork.fairness.plan import Category
from ringwork.fairness.privacy.budget import FlightDeclared, ReleaseCharged
from ringwork.fairness.records import AnyBody, kind_of, wire_of
from ringwork.kernel.events import Event

MEASURED: Final = "measure"
"""What the envelope of the events of a person says that they are for."""
OF_FLIGHT: Final = "as long as the audit log that its releases stand in"


class Audience(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who is eligible for an ad, among the people that are known: a rule, and names nobody."""

    regions: tuple[str, ...] = ()
    """Where they live, as in targeting: "PRT" holds "PRT-11". Empty: anywhere."""
    excluded_regions: tuple[str, ...] = ()


class SpecialAdRegistered(Event, frozen=True, array_like=True):
    """A special ad that another platform sells: its auctions and impressions are told."""

    TYPE: ClassVar[str] = "special_ad_registered"
    RETENTION: ClassVar[str] = OF_FLIGHT
    ad: str
    advertiser: str
    category: Category
    audience: Audience
    expected_impressions: int
    is_over: bool
    actor: str


class Contest(Struct, frozen=True, array_like=True, gc=False):
    """One special ad in one auction, in nanos of what an impression is worth to it."""

    ad: str
    value_nanos: int
    to_beat_nanos: int
    """What it had to be worth to win: the best of the others, after their shifts, or the floor."""
    shift_nanos: int
    """As it stands in the auction."""
    is_left_alone: bool
    """The opportunity is of the control arm."""
    has_won: bool
    impression_id: bytes = b""
    """Of a place that it won: the impression is of this cluster, and of the control arm or not,
    whoever is shown it. Empty where another platform sells it."""


class SpecialAdsCompeted(Event, frozen=True, array_like=True):
    """Ads for housing, employment or credit stood in an auction, for somebody of a cluster."""

    TYPE: ClassVar[str] = "special_ads_competed"
    RETENTION: ClassVar[str] = OF_FLIGHT
    cluster: int
    contests: list[Contest]


class SpecialAdSold(Event, frozen=True, array_like=True):
    """The envelope's subject, who may be measured, is about to be shown a special ad."""

    TYPE: ClassVar[str] = "special_ad_sold"
    RETENTION: ClassVar[str] = OF_FLIGHT
    impression_id: bytes
    ad: str
    cluster: int
    is_left_alone: bool


class SpecialAdShown(Event, frozen=True, array_like=True):
    """An impression of a special ad was billed; its person is the subject, if one may be measured.

    ``time_us`` is when it was shown, which the event may be later than.
    """

    TYPE: ClassVar[str] = "special_ad_shown"
    RETENTION: ClassVar[str] = OF_FLIGHT
    impression_id: bytes
    ad: str
    cluster: int
    is_left_alone: bool
    price_nanos: int
    time_us: int


class PersonDescribed(Event, frozen=True, array_like=True):
    """What the race proxy and the declared groups of the envelope's subject rest on, sealed."""

    TYPE: ClassVar[str] = "person_described"
    PERSONAL: ClassVar[tuple[str, ...]] = ("details",)
    RETENTION: ClassVar[str] = "as long as its person's key"
    details: bytes


class PersonUndescribed(Event, frozen=True, array_like=True):
    """The envelope's subject was erased: nothing that is still to be released counts it."""

    TYPE: ClassVar[str] = "person_undescribed"


class PersonClustered(Event, frozen=True, array_like=True):
    """Where the envelope's subject was first met in a period: once, for the table of clusters."""

    TYPE: ClassVar[str] = "person_clustered"
    RETENTION: ClassVar[str] = "until the period's table of clusters is released"
    period: str
    cluster: int


class PersonShownAds(Event, frozen=True, array_like=True):
    """The envelope's subject, who is described, was shown ads that are not special.

    So many since the last such event, which is some minutes ago; counted for the day of this one.
    """

    TYPE: ClassVar[str] = "person_shown_ads"
    RETENTION: ClassVar[str] = "for the plan's window of days"
    impressions: int
    window_days: int
    """Of the plan: what is older is forgotten."""


class AudienceSums(Struct, frozen=True, kw_only=True):
    """The groups of an audience, by attribute, intersection, and the controlled ones crossed.

    Each person adds ``unit`` to the groups (and unknown) of each: once, or once per impression.
    """

    unit: dict[str, int]
    people: dict[str, list[int]]
    impressions: dict[str, list[int]] = {}
    """Empty where too few people were shown anything."""
    people_sigma: float = 0.0
    """Of the noise on ``people``, in units; 0: exact."""
    impressions_sigma: float = 0.0
    impressions_max: int = 1
    """Of one person, in ``impressions``."""

    def __repr__(self) -> str:
        return "AudienceSums()"


class AudienceMeasured(Event, frozen=True, array_like=True):
    """Who is in an audience, with noise: drawn once for all ads that it is the audience of.

    It holds for a window of the plan's days, counted from 1970 on, and for one set of tables.
    """

    TYPE: ClassVar[str] = "fairness_audience_measured"
    RETENTION: ClassVar[str] = OF_FLIGHT
    audience: Audience
    window: int
    key: str
    """What the sums are of but for the window: audience, tables, groups, days."""
    declared: FlightDeclared
    charged: ReleaseCharged
    sums: AudienceSums


class ModelMeasured(Event, frozen=True, array_like=True):
    """How the proxy blurs an attribute, with noise: drawn once for a window and set of tables."""

    TYPE: ClassVar[str] = "fairness_model_measured"
    RETENTION: ClassVar[str] = OF_FLIGHT
    attribute: str
    window: int
    key: str
    """What the sums are of but for the window: attribute, tables, groups, days."""
    declared: FlightDeclared
    charged: ReleaseCharged
    unit: int
    """What one person's posterior adds up to."""
    sums: list[list[int]]
    """Over people, of the products of two entries of the posterior: row i from (i, i) on."""


class FlightOpened(Event, frozen=True, array_like=True):
    """An ad is measured from here on, for this audience; what its releases will cost is fixed."""

    TYPE: ClassVar[str] = "fairness_flight_opened"
    RETENTION: ClassVar[str] = OF_FLIGHT
    declared: FlightDeclared
    audience: Audience
    crossed_ppb: tuple[int, ...]
    """Eligible shares of the controlled attributes crossed, as the audience's noisy sums say."""
    expected_impressions: int
    advertiser: str
    category: Category
    tables: str
    """Hash of the census tables that its vectors come from: never two of them in one segment."""
    known: tuple[tuple[int, int], ...] = ()
    """Of each controlled attribute: how many people's group is known, and of how many; as
    ``crossed_ppb``, and of people of equal weight. Empty in flights of before there was noise."""
    arm_ppm: int = 0
    """Share of the ad's opportunities that is left alone."""


class SumsReleased(Event, frozen=True, array_like=True):
    """A step of an ad's noisy sums was drawn: once, for ever.

    ``values`` is w of ``privacy.continual``, which is public; ``increment`` are the exact sums that
    went into it, sealed under the enclave's own key: they never leave it. The envelope names no
    subject, so that nobody's right of access opens them.
    """

    TYPE: ClassVar[str] = "fairness_sums_released"
    RETENTION: ClassVar[str] = OF_FLIGHT
    charged: ReleaseCharged
    values: list[int]
    increment: bytes
    until_seq: int
    """The last event that is in it: drawing takes a while, and what came meanwhile is not."""


class ClustersReleased(Event, frozen=True, array_like=True):
    """A period's table of groups by cluster, with noise: one release."""

    TYPE: ClassVar[str] = "fairness_clusters_released"
    RETENTION: ClassVar[str] = OF_FLIGHT
    period: str
    declared: FlightDeclared
    charged: ReleaseCharged
    sums: list[list[int]]
    """Per cluster, per crossed group, in 256ths of people."""


class FairnessRecorded(Event, frozen=True, array_like=True):
    """A record of the fairness audit log, which is a projection of these events."""

    TYPE: ClassVar[str] = "fairness_recorded"
    RETENTION: ClassVar[str] = "for ever: auditors recompute it"
    body: AnyBody

    def members(self) -> dict[str, object]:
        """As the record says it: members that are left out there are left out here."""
        return {"kind": kind_of(self.body), "body": wire_of(self.body)}


EVENTS: tuple[type[Event], ...] = (
    SpecialAdRegistered,
    SpecialAdsCompeted,
    SpecialAdSold,
    SpecialAdShown,
    PersonDescribed,
    PersonUndescribed,
    PersonClustered,
    PersonShownAds,
    AudienceMeasured,
    ModelMeasured,
    FlightOpened,
    SumsReleased,
    ClustersReleased,
    FairnessRecorded,
)
