"""The compliance plan: what is promised, as data (YAML), with presets that name their sources.

No threshold, date, partition or epsilon stands in code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from importlib.resources import files
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from ringwork.fairness.model import PPM, Partition
from ringwork.kernel.errors import Fault, Refused

Ppm = Annotated[int, Meta(ge=0, le=PPM)]
Category = Literal["HOUSING", "EMPLOYMENT", "CREDIT"]
Unit = Literal["person-ad", "person-ad-day"]


class AttributePlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One attribute: its groups in order, and whether a proxy measures it."""

    groups: Annotated[tuple[str, ...], Meta(min_length=2, max_length=16)]
    measured: Literal["declared", "proxy", "survey"]


class PrivacyPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is protected and how much of it may be learned (specification 4.7)."""

    unit: Unit = "person-ad-day"
    contributions_max: Annotated[int, Meta(ge=1, le=1000)] = 1
    """Impressions of one unit that enter the sums; further ones are billed and not counted."""
    episodes: Annotated[int, Meta(ge=1, le=4096)] = 64
    """Releases of one ad, declared up front."""
    sigma: Annotated[float, Meta(gt=0, le=1e6)] = 4.0
    """Standard deviation of the noise of one step, on a sum whose impression counts one."""
    people_sigma: Annotated[float, Meta(gt=0, le=1e6)] | None = 8.0
    """Of the sums over unique people, released once, with the last episode; null: never."""
    arm_sigma: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    """Of the control arm's part of the sums, released once, with the last episode: what delivery
    would have been without steering; null: never."""
    delta: Annotated[str, Meta(pattern=r"^[0-9]+e-[0-9]+$")] = "1e-6"
    epsilon_max: Annotated[float, Meta(gt=0)] = 4.0
    """Replace adjacency; a flight whose declared releases cost more is refused (I9)."""


class ControlPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How ads are steered, and what share is left alone to know what steering costs."""

    controller: str = "dual"
    target_ppm: Ppm = 50_000
    control_arm_ppm: Ppm = 20_000
    stale_after_s: Annotated[int, Meta(ge=1)] = 7 * 86_400
    """A release older than this steers no more: shift 0, counted."""


class Period(Struct, frozen=True, forbid_unknown_fields=True):
    """One reporting period: both days belong to it."""

    name: str
    start: date
    end: date


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is measured, promised and reported, for which ads, where."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    source: str
    """Where the figures come from, with a date."""
    jurisdiction: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
    categories: Annotated[tuple[Category, ...], Meta(min_length=1, max_length=3)]
    attributes: Annotated[dict[str, AttributePlan], Meta(min_length=1, max_length=8)]
    intersections: tuple[tuple[str, ...], ...] = ()
    thresholds_ppm: Annotated[tuple[Ppm, ...], Meta(min_length=1, max_length=16)]
    minimum_impressions: Annotated[tuple[int, ...], Meta(min_length=1, max_length=16)]
    inclusive: bool = True
    """Whether "at least" and "at most" hold their bounds: sources disagree."""
    periods: tuple[Period, ...] = ()
    eligible_window_days: Annotated[int, Meta(ge=1, le=365)] = 30
    """Of impressions that people are weighed by; an audience is measured once in each such window,
    counted from 1970 on."""
    eligible_sigma: Annotated[float, Meta(gt=0, le=500)] | None = 12.0
    """Standard deviation of the noise on the number of an audience's people of a group; null: none,
    and whoever reads the log can tell one person's vector from two audiences that differ by them.
    Of four vectors 12 costs epsilon 1.00 (replace) at a delta of 1e-6."""
    eligible_impressions_max: Annotated[int, Meta(ge=1, le=1000)] = 30
    """Of the window's impressions of one person, as many weigh in an audience: one a day."""
    model_sigma: Annotated[float, Meta(gt=0, le=500)] | None = 17.0
    """Standard deviation of the noise on the sums that say how the proxy blurs groups (products of
    posteriors, over everybody, once in a window for each estimated attribute); null: none, and
    whoever knows all others' posteriors can tell one person's. Of two attributes 17 costs epsilon
    .47 (replace) at a delta of 1e-6, of one .33."""
    kappa_ppm: tuple[Ppm, ...] = (0, 50_000, 100_000, 150_000)
    """Degrees of miscalibration that the band covers, each below one."""
    prior_deviation_ppm: Annotated[int, Meta(ge=1, le=PPM)] = 60_000
    """How far a group's delivered share strays from the eligible one, as a standard deviation: what
    an estimate is shrunk towards in a first period of fewer than 30 ads."""
    privacy: PrivacyPlan = field(default_factory=PrivacyPlan)
    control: ControlPlan = field(default_factory=ControlPlan)

    def partition(self, attribute: str) -> Partition:
        """The groups of an attribute. KeyError for one that the plan does not name."""
        plan = self.attributes[attribute]
        return Partition(
            attribute=attribute, groups=plan.groups, is_estimated=plan.measured != "declared"
        )


def preset(name: str) -> Plan:
    """A packaged plan. Raises Refused: plan-invalid, with the names there are."""
    found = presets()
    if name not in found:
        raise _refused(f"expected one of {', '.join(found)}; got {name!r}")
    return parse_plan(found[name], where=name)


def presets() -> Mapping[str, bytes]:
    """The packaged plans by name."""
    folder = files("ringwork.fairness") / "presets"
    return {
        one.name.removesuffix(".yaml"): one.read_bytes()
        for one in sorted(folder.iterdir(), key=lambda one: one.name)
        if one.name.endswith(".yaml")
    }


def parse_plan(text: bytes, *, where: str) -> Plan:
    """A plan from YAML; Refused (plan-invalid, 422) says where it is wrong."""
    try:
        plan = msgspec.yaml.decode(text, type=Plan)
    except msgspec.DecodeError as error:
        raise _refused(f"{where}: {error}") from None
    faults = _faults(plan)
    if faults:
        raise _refused(f"{where}: {faults[0].detail}", faults)
    return plan


def _refused(detail: str, faults: Sequence[Fault] = ()) -> Refused:
    return Refused("plan-invalid", detail, errors=faults, status=422, title="The plan is not valid")


def _faults(plan: Plan) -> list[Fault]:
    faults = []
    for number, names in enumerate(plan.intersections):
        unknown = set(names) - set(plan.attributes)
        if unknown or len(set(names)) < 2:
            faults.append(
                Fault(
                    f"/intersections/{number}",
                    f"expected two or more attributes of the plan, got {list(names)}",
                )
            )
    for name, attribute in plan.attributes.items():
        try:
            Partition(attribute=name, groups=attribute.groups)
        except ValueError as error:
            faults.append(Fault(f"/attributes/{name}/groups", str(error)))
    if PPM in plan.kappa_ppm:
        faults.append(Fault("/kappa_ppm", f"expected degrees below {PPM}: {PPM} tells nothing"))
    for number, period in enumerate(plan.periods):
        if period.end < period.start:
            faults.append(
                Fault(
                    f"/periods/{number}",
                    f"expected an end on or after {period.start}, got {period.end}",
                )
            )
    return faults
