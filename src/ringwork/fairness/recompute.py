"""Every figure again, from the records before it and nothing else: the fold behind log and audit.

Exact arithmetic (specification 4.10): noisy sums are corrected to add up to the impressions they
are of, the unknown bucket is dropped, shares and half the sum of differences are rationals, rounded
half to even in their ninth place. A change of audience opens a segment: deviations of segments are
weighted by impressions as vectors before their norm is taken (4.1).

What the fold asks of a log beyond the words of 4.10: sums are cumulative since the segment of their
ad began; a figure is of the newest release of its ad; a period holds the ads with a release since
the first plan record that names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ringwork.fairness.model import PPB
from ringwork.fairness.records import (
    Ad,
    AnyBody,
    Budget,
    By,
    Figure,
    Model,
    Plan,
    Prior,
    Release,
    Tables,
)

Interval = tuple[int, int]
Key = tuple[str, str, By]


class Sums(Struct, frozen=True, kw_only=True):
    """One attribute of one segment of an ad, as released."""

    impressions: int
    """What the correction makes the sums add up to, times ``unit``."""
    sums: tuple[int, ...]
    """By group; one more is the unknown bucket."""
    unit: int
    eligible_ppb: tuple[int, ...]


class Computed(Struct, frozen=True, kw_only=True):
    """A figure as the log gives it."""

    episode: int
    impressions: int
    proxy_ppb: int | None
    """None: nobody of a known group was reached, so there is no share."""
    deattenuated_ppb: int | UnsetType | None = UNSET
    interval_ppb: Interval | UnsetType = UNSET
    band_ppb: Interval | UnsetType | None = UNSET
    is_verifiable: bool = True
    """False: the de-attenuated half is as stated, since no model record stands before it."""


class Flight(Struct, kw_only=True):
    """One ad: its segments with the newest release of each, and what its releases cost."""

    ad: Ad
    release: Release | None = None
    closed: list[tuple[Ad, Release]] = []
    is_in_period: bool = False
    budget: Budget | None = None

    def segments(self) -> list[tuple[Ad, Release]]:
        """In their order, those without a release left out."""
        return [*self.closed, *([] if self.release is None else [(self.ad, self.release)])]

    @property
    def impressions(self) -> int:
        return sum(release.impressions for _, release in self.segments())

    @property
    def spend_nanos(self) -> int:
        return sum(release.spend_nanos for _, release in self.segments())


class Recomputation:
    """The state after some records. ``apply`` takes up one more; all else only reads."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.tables: list[Tables] = []
        self.flights: dict[str, Flight] = {}
        self.models: dict[str, Model] = {}
        self.priors: dict[str, Prior] = {}
        self.figures: dict[Key, Computed] = {}
        """Of the period, the newest of each ad, attribute and way of counting."""

    def apply(self, body: AnyBody) -> list[str]:
        """Take up a record, or say in words why it does not fit and leave it.

        Of a figure the recomputed one is kept, whatever was stated; reports: ``coverage.wrong_in``.
        """
        match body:
            case Plan():
                return self._plan(body)
            case Ad():
                return self._ad(body)
            case Release():
                return self._release(body)
            case Figure():
                return self._figure(body)
            case Budget():
                return self._budget(body)
            case Tables():
                self.tables.append(body)
            case Model():
                self.models[body.attribute] = body
            case Prior():
                self.priors[body.attribute] = body
        return []

    def of_period(self) -> Iterator[tuple[str, Flight]]:
        """Ads with a release in the period."""
        return ((name, one) for name, one in self.flights.items() if one.is_in_period)

    def figure(self, ad: str, attribute: str, by: By) -> Computed | None:
        """The recomputed figure of an ad's newest release; None where none was stated for it."""
        found, release = self.figures.get((ad, attribute, by)), self.flights[ad].release
        is_newest = found is not None and release is not None and found.episode == release.episode
        return found if is_newest else None

    def _plan(self, plan: Plan) -> list[str]:
        unknown = sorted(set(plan.estimated) - plan.attributes.keys())
        if unknown:
            return [f"plan: estimated but no attributes of it: {', '.join(unknown)}"]
        if self.plan is not None and plan.period != self.plan.period:
            self.figures.clear()
            for flight in self.flights.values():
                flight.is_in_period = False
        self.plan = plan
        return []

    def _ad(self, ad: Ad) -> list[str]:
        wrong = [
            f"ad {ad.ad}: eligible {attribute}: the shares do not add up to one"
            for attribute, eligible in ad.eligible.items()
            for shares in (eligible.shares_ppb, eligible.people_shares_ppb)
            if shares and (sum(shares) != PPB or min(shares) < 0)
        ]
        if not wrong:
            flight = self.flights.setdefault(ad.ad, Flight(ad=ad))
            if flight.release is not None:
                flight.closed.append((flight.ad, flight.release))
            flight.ad, flight.release = ad, None
        return wrong

    def _release(self, release: Release) -> list[str]:
        flight = self.flights.get(release.ad)
        if flight is None:
            return [f"release of an ad that is not known: {release.ad}"]
        before = flight.segments()
        last = before[-1][1].episode if before else -1
        wrong = []
        if release.episode <= last:
            wrong.append(
                f"ad {release.ad}: expected an episode after {last}, got {release.episode}"
            )
        if flight.release is not None and release.impressions < flight.release.impressions:
            wrong.append(f"ad {release.ad}: fewer impressions than in the release before")
        if not wrong:
            flight.release, flight.is_in_period = release, True
        return wrong

    def _budget(self, budget: Budget) -> list[str]:
        flight = self.flights.get(budget.ad)
        if flight is None:
            return [f"budget of an ad that is not known: {budget.ad}"]
        flight.budget = budget
        return []

    def _figure(self, stated: Figure) -> list[str]:
        what = f"figure of {stated.ad}, {stated.attribute} by {stated.by}"
        try:
            found = self.computed(stated.ad, stated.attribute, stated.by)
        except LookupError as error:
            return [f"{what}: {error.args[0]}"]
        if not found.is_verifiable:
            half = {name: getattr(stated, name) for name in HALF}
            found = msgspec.structs.replace(found, **half)
        self.figures[stated.ad, stated.attribute, stated.by] = found
        return [
            f"{what}: {member}: expected {told(getattr(found, member))}, "
            f"stated {told(getattr(stated, member))}"
            for member in ("episode", "impressions", "proxy_ppb", *HALF)
            if getattr(found, member) != getattr(stated, member)
        ]

    def computed(self, ad: str, attribute: str, by: By = "impressions") -> Computed:
        """The figure that the newest release of an ad gives.

        LookupError, with a sentence, where the log does not hold what it needs.
        """
        flight, plan = self.flights.get(ad), self.plan
        if flight is None or plan is None or flight.release is None:
            raise LookupError("expected a plan, the ad and a release before it")
        if attribute not in plan.attributes:
            raise LookupError("the plan has no such attribute")
        segments = flight.segments()
        groups = len(plan.attributes[attribute])
        sums = [_sums_of(one, release, attribute, by, groups) for one, release in segments]
        deviation = deviation_of(sums, groups)
        found = Computed(
            episode=flight.release.episode,
            impressions=flight.impressions,
            proxy_ppb=None if deviation is None else variance_ppb(deviation),
        )
        if attribute not in plan.estimated:
            return found
        return self._estimated(found)

    def _estimated(self, found: Computed) -> Computed:
        return msgspec.structs.replace(found, is_verifiable=False)


HALF = ("deattenuated_ppb", "interval_ppb", "band_ppb")
"""The members of a figure that need the model of the proxy's blur."""


def _sums_of(ad: Ad, release: Release, attribute: str, by: By, groups: int) -> Sums:
    if attribute not in release.sums or attribute not in ad.eligible:
        raise LookupError(f"segment {ad.segment} has no sums or no eligible shares of it")
    eligible, sums = ad.eligible[attribute].shares_ppb, release.sums[attribute]
    count = release.impressions if release.counted is UNSET else release.counted
    if by == "people":
        if attribute not in release.people_sums or release.people is UNSET:
            raise LookupError(f"segment {ad.segment} has no sums by people")
        eligible, sums = ad.eligible[attribute].people_shares_ppb, release.people_sums[attribute]
        count = release.people
    unit = release.unit.get(attribute, 0)
    if unit < 1 or len(eligible) != groups or len(sums) not in (groups, groups + 1):
        raise LookupError(f"segment {ad.segment}: expected {groups} groups and a unit")
    return Sums(impressions=count, sums=sums, unit=unit, eligible_ppb=eligible)


def deviation_of(segments: Sequence[Sums], groups: int) -> list[Fraction] | None:
    """Delivered minus eligible share of every group, over segments weighted by impressions.

    None where nobody of a known group was reached.
    """
    total, weight = [Fraction(0)] * groups, 0
    for one in segments:
        shares = shares_of(one)
        if shares is not None:
            weight += one.impressions
            for group, share in enumerate(shares):
                gap = share - Fraction(one.eligible_ppb[group], PPB)
                total[group] += one.impressions * gap
    return [one / weight for one in total] if weight > 0 else None


def shares_of(segment: Sums) -> list[Fraction] | None:
    """Share of every known group after the correction; None where nobody of one was reached.

    The noise on K sums has moved their total by sum - n unit, and the likeliest split of that is
    even: each is corrected by a K-th of it.
    """
    excess = Fraction(sum(segment.sums) - segment.impressions * segment.unit, len(segment.sums))
    known = [one - excess for one in segment.sums[: len(segment.eligible_ppb)]]
    total = sum(known)
    return [one / total for one in known] if total > 0 and segment.impressions > 0 else None


def variance_ppb(deviation: Sequence[Fraction]) -> int:
    """Half the sum of absolute differences, rounded half to even."""
    return round(sum(map(abs, deviation)) * PPB / 2)


def told(value: object) -> str:
    """A member's value in a sentence."""
    return "nothing" if value is UNSET else "none" if value is None else str(value)
