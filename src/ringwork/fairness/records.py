"""What the audit log says, kind by kind: the bodies of its version 1 (specification 4.10).

The same structs are the payload of the platform's event of a fairness record; the log is a
projection of those events, and rebuilding it gives the same bytes. So the wire form is fixed here:
members that hold their default are left out, nothing is a float, every vector is in the order of
the plan's groups. Readers ignore members they do not know (and keep them: what was read is hashed
as it stands); writers refuse them.

Beyond the words of 4.10, all optional, since some figures could not be recomputed without:
``release.people_sums``, ``eligible.people_shares_ppb`` and ``budget.people_sigma`` (variance by
people), ``eligible.by``, ``eligible.noise_ppb`` and ``people_noise_ppb``, ``by`` and the two
weighted shares of a coverage row; for delivery without control ``eligible.people``, ``ad.arm_ppm``,
``ad.counted_in``, ``budget.arm_sigma`` and the members of a release that begin with ``arm_``; for
the blur of the proxy ``model.sums``, ``unit`` and ``sigma``, and ``plan.model_epsilon_micro``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ringwork.fairness.model import PPB, PPM
from ringwork.kernel.errors import Fault, Refused

Count = Annotated[int, Meta(ge=0, lt=2**53)]
Whole = Annotated[int, Meta(gt=-(2**53), lt=2**53)]
Ppm = Annotated[int, Meta(ge=0, le=PPM)]
Ppb = Annotated[int, Meta(ge=0, le=PPB)]
Hex32 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Vector = Annotated[tuple[Whole, ...], Meta(max_length=4096)]
Sums = dict[str, Vector]
Number = Annotated[
    str, Meta(pattern=r"^[0-9]+(/[1-9][0-9]*|(\.[0-9]+)?(e-?[0-9]{1,2})?)$", max_length=32)
]
"""A number that is no integer, as text: a delta is "1e-6", a sigma "4.0" or "283/50"."""
By = Literal["impressions", "people"]
CountedIn = Literal["person-days", "people", "capped impressions"]
"""What sums count at most once: a person's day, a person; or so many impressions of either."""
MeasureName = Literal["proxy", "deattenuated", "interval_upper", "expected"]


class Body(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag=str.lower):
    """What all kinds share: their tag is the record's ``kind`` and never stands in the body."""


class Genesis(Body, frozen=True, kw_only=True):
    """The first record: whose log it is, and the key that all trust in it begins with."""

    public_key: Hex32
    log: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    software_version: str = ""
    entropy: Literal["", "system", "test"] = ""
    """"test": the noise was predictable, so nobody was protected; reports say so."""


class Key(Body, frozen=True, kw_only=True):
    """A new key from the next record on; this record is signed by the old one."""

    new_public_key: Hex32
    reason: Name


class Plan(Body, frozen=True, kw_only=True):
    """What is measured and promised. A ``period`` other than the last one's opens a new period."""

    attributes: dict[str, tuple[Name, ...]]
    estimated: tuple[str, ...]
    inclusive: bool
    thresholds_ppm: tuple[Ppm, ...]
    minimum_impressions: tuple[Count, ...]
    name: str = ""
    period: str = ""
    epsilon_micro: Count = 0
    delta: Number | UnsetType = UNSET
    T: Count = 0
    """Releases of one ad, declared up front."""
    cap: Count = 0
    """Impressions of one unit of protection that enter the sums."""
    kappa_ppm: tuple[Ppm, ...] = ()
    controlled: tuple[str, ...] = ()
    """Attributes that are steered, in the order of the prices of ``control`` records."""
    eligible_epsilon_micro: Count = 0
    """What measuring an audience costs, once in a window (replace, at ``delta``). 0, and left out:
    eligible shares have no noise."""
    eligible_window_days: Count = 0
    model_epsilon_micro: Count = 0
    """What learning how the proxy blurs all estimated attributes costs, at most once in such a
    window (replace, at ``delta``). 0, and left out: it is learned without noise."""


class Tables(Body, frozen=True, kw_only=True):
    """Which census tables the proxy reads from here on."""

    name: Name
    sha256: Hex32
    rows: Count
    demo_tables: bool


class Model(Body, frozen=True, kw_only=True):
    """How the proxy blurs one attribute, from here on; all that a figure needs beside a release."""

    attribute: Name
    M_ppb: tuple[Vector, ...]
    inverse_ppb: tuple[Vector, ...]
    within_ppb: tuple[Vector, ...]
    pool_size: Count
    source: Literal["implied", "survey", "both"]
    condition_milli: Count
    draws_sha256: Hex32
    inverse_covariance: tuple[Vector, ...] = ()
    """In 1e-12: of what is not known of the inverse, row i K + k for its entry (i, k)."""
    sums: tuple[Vector, ...] = ()
    """Of an implied model the sums that all tables above follow from, and nothing else does: over
    people of the products of a posterior's entries, row i from (i, i) on, in ``unit`` squared."""
    unit: Count = 0
    sigma: Number | UnsetType = UNSET
    """Of the noise on ``sums`` (i, i), in people; of (i, j) by sqrt 2 less. "0": none."""


class Eligible(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The mix of one attribute among who was eligible."""

    shares_ppb: Vector
    people_shares_ppb: Vector = ()
    by: By | UnsetType = UNSET
    """What ``shares_ppb`` weigh people by: recent impressions of all ads, or each once."""
    noise_ppb: Ppb = 0
    """Standard deviation of the privacy noise on the sum of one group of ``shares_ppb``, as a share
    of all groups together, rounded up. 0, and left out: none."""
    people_noise_ppb: Ppb = 0
    """The same of ``people_shares_ppb``."""
    people: Count | UnsetType = UNSET
    """Eligible people whose group is known, as their noisy sums say."""


class Ad(Body, frozen=True, kw_only=True):
    """An ad, or a new segment of it: its audience from here on."""

    ad: Name
    category: Literal["HOUSING", "EMPLOYMENT", "CREDIT"]
    eligible: dict[str, Eligible]
    advertiser: str = ""
    segment: Count = 0
    arm_ppm: Ppm | UnsetType = UNSET
    """Share of its opportunities that the control arm leaves alone, by cluster and day."""
    counted_in: CountedIn | UnsetType = UNSET
    """What its sums count."""


class Release(Body, frozen=True, kw_only=True):
    """What was released of an ad: noisy sums, cumulative since its segment began."""

    ad: Name
    episode: Count
    impressions: Count
    sums: Sums
    unit: dict[str, Count]
    final: bool = False
    """The last one of its segment: the sums over people come with it. The ad may go on."""
    counted: Whole | UnsetType = UNSET
    """Only where the cap bites: noisy, and then the n of the correction."""
    people: Whole | UnsetType = UNSET
    people_sums: Sums = {}
    spend_nanos: Count = 0
    arm_impressions: Count | UnsetType = UNSET
    """Of ``impressions``, those of the control arm; like what follows, only where ``final``."""
    arm_spend_nanos: Count | UnsetType = UNSET
    arm_squares: Count | UnsetType = UNSET
    """Sum over cells (cluster, day) of the arm of their billed impressions squared."""
    arm_counted: Whole | UnsetType = UNSET
    """Of what ``counted`` tells, the arm's part; noisy."""
    arm_sums: Sums = {}
    """Of ``sums``, the arm's part; with noise of its own."""


class Control(Body, frozen=True, kw_only=True):
    """What the controller decided after a release."""

    ad: Name
    episode: Count
    lambda_micro: Vector
    held: bool = False
    reason: str = ""


class Override(Body, frozen=True, kw_only=True):
    """An authorised person took a controller's place, from the next auction on."""

    ad: Name
    action: Literal["pause", "resume", "set"]
    """"pause": no shift; "set": ``lambda_micro`` holds; "resume": the controller decides again."""
    who: Name
    reason: Annotated[str, Meta(min_length=1, max_length=2000)]
    lambda_micro: Vector = ()


class Prior(Body, frozen=True, kw_only=True):
    """How far ads of a period differ: what an ad's estimate is drawn towards."""

    period: str
    attribute: Name
    T_ppb: tuple[Vector, ...]
    ads: Count


class Budget(Body, frozen=True, kw_only=True):
    """Privacy that an ad's releases cost, all of them that were declared."""

    ad: Name
    sigma: Number
    events: Count
    epsilon_micro: Count
    delta: Number | UnsetType = UNSET
    epsilon_add_remove_micro: Count | UnsetType = UNSET
    """``epsilon_micro`` is for replacing a person's attributes; this is for adding the person."""
    people_sigma: Number | UnsetType = UNSET
    """Of the noise on the sums over people; unset: as on those over impressions."""
    arm_sigma: Number | UnsetType = UNSET
    """Of the noise on the control arm's sums; unset: they are not released."""


class Figure(Body, frozen=True, kw_only=True):
    """Variance of one attribute of one ad; of an estimated attribute the pair with its interval."""

    ad: Name
    attribute: Name
    episode: Count
    impressions: Count
    proxy_ppb: Count
    by: By = "impressions"
    deattenuated_ppb: Count | UnsetType | None = UNSET
    """None: the blur cannot be inverted, only the interval holds. Unset: a declared attribute."""
    interval_ppb: tuple[Count, Count] | UnsetType = UNSET
    band_ppb: tuple[Count, Count] | UnsetType | None = UNSET
    within_ppm: tuple[Ppm, ...] | UnsetType = UNSET
    """Chance that the true variance is at most each of the plan's thresholds."""


class Coverage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of the ads with so many impressions, how many are within a threshold."""

    attribute: Name
    threshold_ppm: Ppm
    minimum_impressions: Count
    measure: MeasureName
    ads: Count
    within: Count
    """Under ``expected``: the sum of the ads' chances, rounded."""
    share_ppm: Ppm | None
    """None: no ad had so many impressions."""
    by: By = "impressions"
    impressions_share_ppm: Ppm | UnsetType = UNSET
    """Every ad weighs as much as its impressions."""
    spend_share_ppm: Ppm | UnsetType = UNSET


class Excluded(Struct, frozen=True, kw_only=True):
    """Ads below the smallest minimum: in no coverage, and always stated."""

    ads: Count
    impressions: Count
    spend_nanos: Count


class Cost(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the period's ads cost for each 1,000 unique people (``people`` is noisy)."""

    spend_nanos: Count
    people: Whole
    per_thousand_people_nanos: Count | None


Interval = tuple[Count, Count]


class Against(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A figure with control beside the same without it; 95 % intervals. None: not known."""

    controlled: Count | None
    uncontrolled: Count | None
    controlled_interval: Interval | UnsetType = UNSET
    uncontrolled_interval: Interval | UnsetType = UNSET


class ArmCost(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What 1,000 contributions cost, in nanos: of everybody, or all of the spend for one group's.

    Of the ads whose control arm was released.
    """

    counted_in: CountedIn
    cost: Against
    """Of an estimated attribute: as the proxy shows it."""
    attribute: str = ""
    group: str = ""
    """Both empty: everybody."""
    deattenuated: Against | UnsetType = UNSET


class Reach(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Reached of a group for each eligible person of it, and without control.

    In ``counted_in``; unset in rows that are stated and do not follow from the log.
    """

    ad: Name
    attribute: Name
    group: Name
    eligible_ppb: Ppb
    reach_ppb: Count
    """Of an estimated attribute: as the proxy shows it."""
    without_control_ppb: Count | None
    """None: the control arm is too small to say."""
    counted_in: CountedIn | UnsetType = UNSET
    reach_interval_ppb: Interval | UnsetType = UNSET
    without_control_interval_ppb: Interval | UnsetType = UNSET
    deattenuated: Against | UnsetType = UNSET
    """In 1e-9, of an estimated attribute."""


class Levelled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """L / (L + G) and what it took, with 95 % intervals. None: noise and chance leave it open."""

    index_ppm: Ppm | None
    interval_ppm: tuple[Ppm, Ppm] | UnsetType = UNSET
    removed_ppm: Whole | None = None
    """Share of the variance that control removed; above 1,000,000 where it was turned round."""
    removed_interval_ppm: tuple[Whole, Whole] | UnsetType = UNSET


class LevellingDown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much of a smaller difference came from reaching fewer: 0 none, 1,000,000 all of it."""

    ad: Name
    attribute: Name
    index_ppm: Ppm | None
    """None: nothing moved, or noise and chance leave it open. Estimated: as the proxy shows it."""
    interval_ppm: tuple[Ppm, Ppm] | UnsetType = UNSET
    removed_ppm: Whole | UnsetType | None = UNSET
    """Share of the variance that control removed; above 1,000,000 where it was turned round."""
    removed_interval_ppm: tuple[Whole, Whole] | UnsetType = UNSET
    over_served: tuple[Name, ...] | UnsetType = UNSET
    """Groups that the ad's prices held back."""
    deattenuated: Levelled | UnsetType = UNSET


class Pooled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The same of one attribute over all ads of the period whose control arm was released."""

    attribute: Name
    counted_in: CountedIn
    ads: Count
    lost: Whole
    """Fewer of the over-served groups, weighed back to all; negative: more."""
    gained: Whole
    """More of the under-served ones; negative: fewer."""
    levelled: Levelled
    """Of an estimated attribute: as the proxy shows it."""
    deattenuated: Levelled | UnsetType = UNSET


class Report(Body, frozen=True, kw_only=True):
    """What was reported of the period so far."""

    coverage: tuple[Coverage, ...]
    period: str = ""
    excluded: Excluded | UnsetType = UNSET
    cost: Cost | UnsetType = UNSET
    reach: tuple[Reach, ...] = ()
    levelling_down: tuple[LevellingDown, ...] = ()
    levelling_down_pooled: tuple[Pooled, ...] = ()
    arm_costs: tuple[ArmCost, ...] = ()


class Checkpoint(Body, frozen=True, kw_only=True):
    """A signature on everything before it: ``head`` is the seq of the record before."""

    head: Count


AnyBody = (
    Genesis | Key | Plan | Tables | Model | Ad | Release | Control | Override | Prior | Budget
    | Figure | Report | Checkpoint
)  # fmt: skip
KINDS: Final[Mapping[str, type[AnyBody]]] = MappingProxyType(
    {str(kind.__struct_config__.tag): kind for kind in get_args(AnyBody)}
)
SIGNED: Final = frozenset({"genesis", "key", "checkpoint", "report"})
"""Kinds whose records must carry a signature."""


def kind_of(body: AnyBody) -> str:
    """The record's ``kind``."""
    return str(type(body).__struct_config__.tag)


def wire_of(body: AnyBody) -> dict[str, Any]:
    """A body as it stands in its record."""
    members: dict[str, Any] = msgspec.to_builtins(body)
    del members["kind"]
    return members


def read_body(kind: str, members: Mapping[str, Any]) -> AnyBody | None:
    """A body that was read; members of later versions are ignored. None: an unknown kind.

    msgspec.ValidationError says which member is not what it should be.
    """
    struct = KINDS.get(kind)
    if struct is None:
        return None
    return msgspec.convert({**members, "kind": kind}, struct)


def body_to_write(kind: str, members: Mapping[str, Any]) -> AnyBody:
    """A body that is to be written. Refused (record-invalid) names unknown kinds and members."""
    try:
        body = read_body(kind, members)
    except msgspec.ValidationError as error:
        raise refused(f"{kind}: {error}") from None
    if body is None:
        raise refused(f"expected a kind among {', '.join(KINDS)}; got {kind!r}")
    unknown = list(_unknown(members, body, ""))
    if unknown:
        faults = [Fault(pointer, "not a member of this version") for pointer in unknown]
        raise refused(f"{kind}: unknown members {', '.join(unknown)}", faults)
    return body


def _unknown(given: Any, taken: object, at: str) -> Iterator[str]:
    """Pointers of the members that no struct took up."""
    if isinstance(taken, Struct):
        for name, value in given.items():
            if name in taken.__struct_fields__:
                yield from _unknown(value, getattr(taken, name), f"{at}/{name}")
            else:
                yield f"{at}/{name}"
    elif isinstance(taken, dict):
        for name, value in taken.items():
            yield from _unknown(given[name], value, f"{at}/{name}")
    elif isinstance(taken, tuple):
        for number, value in enumerate(taken):
            yield from _unknown(given[number], value, f"{at}/{number}")


def refused(detail: str, faults: list[Fault] | None = None) -> Refused:
    """What is no record."""
    return Refused(
        "record-invalid", detail, errors=faults or (), status=422, title="Not a record of the log"
    )
