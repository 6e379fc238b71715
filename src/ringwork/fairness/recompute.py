"""Every figure again, from the records before it and nothing else: the fold behind log and audit.

The arithmetic is ``measure.exact``'s (specification 4.10); here is what of the log goes into it.
What the fold asks of a log beyond the words of 4.10:

- Sums are cumulative since the segment of their ad began, each segment is a stream of its own.
- A figure is of the newest release of its ad, and stands until the next one.
- A period holds the ads with a release since the first plan record that names it.
- The noise of a sum follows from the budget record of its ad before it and the number of releases
  of the segment: sigma^2 unit^2 (f_0^2 + ... + f_{t-1}^2), f as in 4.7.
- A de-attenuated figure is that of its ad alone, drawn towards the newest prior record: so it does
  not change with what other ads do after it. A prior of the present period that names ads was
  learned from the newest releases of them all.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from operator import mul

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ringwork.fairness.measure import exact
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
HALF = ("deattenuated_ppb", "interval_ppb", "band_ppb")
"""The members of a figure that need the model of the proxy's blur."""
GRID = 2**20
STEPS_MAX = 4096
"""Releases of one segment (4.7)."""


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
    """False: the de-attenuated half is as stated: no model, prior or budget stands before it."""


class Segment(Struct, kw_only=True):
    """One audience of an ad, and its newest release."""

    ad: Ad
    release: Release | None = None
    releases: int = 0
    sigma: str | None = None
    """None: no budget record said how large the noise is."""


class Flight(Struct, kw_only=True):
    """One ad: its segments, the open one last, and what its releases cost."""

    parts: list[Segment]
    is_in_period: bool = False
    budget: Budget | None = None

    @property
    def ad(self) -> Ad:
        """As it is now."""
        return self.parts[-1].ad

    def released(self) -> list[tuple[Segment, Release]]:
        """Segments that have a release, in their order."""
        return [(one, one.release) for one in self.parts if one.release is not None]

    @property
    def is_noise_known(self) -> bool:
        """Whether a budget record stood before the newest release of every segment."""
        return all(segment.sigma is not None for segment, _ in self.released())

    @property
    def impressions(self) -> int:
        return sum(release.impressions for _, release in self.released())

    @property
    def spend_nanos(self) -> int:
        return sum(release.spend_nanos for _, release in self.released())


class Recomputation:
    """The state after some records. ``apply`` takes up one more; all else only reads."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.tables: list[Tables] = []
        self.flights: dict[str, Flight] = {}
        self.models: dict[str, Model] = {}
        self.priors: dict[str, Prior] = {}
        self._learned: dict[tuple[str, str], Prior] = {}
        self._figures: dict[str, dict[tuple[str, By], Computed]] = {}

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
            case Model():
                return self._model(body)
            case Prior():
                return self._prior(body)
            case Tables():
                self.tables.append(body)
        return []

    def of_period(self) -> Iterator[tuple[str, Flight]]:
        """Ads with a release in the period."""
        return ((name, one) for name, one in self.flights.items() if one.is_in_period)

    def figure(self, ad: str, attribute: str, by: By) -> Computed | None:
        """The recomputed figure of an ad's newest release; None where none was stated for it."""
        return self._figures.get(ad, {}).get((attribute, by))

    def figures(self) -> Iterator[tuple[str, str, By, Computed]]:
        """Those of the newest releases of the period's ads: ad, attribute, way of counting."""
        for ad, found in self._figures.items():
            for (attribute, by), figure in found.items():
                yield ad, attribute, by, figure

    def keep(self, ad: str, attribute: str, by: By, figure: Computed) -> None:
        """Take up a figure that was computed from this very state."""
        self._figures.setdefault(ad, {})[attribute, by] = figure

    # ---- the fold -------------------------------------------------------------------------------
    def _plan(self, plan: Plan) -> list[str]:
        unknown = sorted(set(plan.estimated) - plan.attributes.keys())
        if unknown:
            return [f"plan: estimated but no attributes of it: {', '.join(unknown)}"]
        if self.plan is not None and plan.period != self.plan.period:
            self._figures.clear()
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
            flight = self.flights.setdefault(ad.ad, Flight(parts=[]))
            if flight.parts and flight.parts[-1].release is None:
                flight.parts.pop()  # an audience that nobody was shown the ad in
            flight.parts.append(Segment(ad=ad))
        return wrong

    def _release(self, release: Release) -> list[str]:
        flight = self.flights.get(release.ad)
        if flight is None:
            return [f"release of an ad that is not known: {release.ad}"]
        open_, before = flight.parts[-1], flight.parts[-1].release
        wrong = []
        if before is not None and release.episode <= before.episode:
            wrong.append(
                f"ad {release.ad}: expected an episode after {before.episode}, "
                f"got {release.episode}"
            )
        if before is not None and release.impressions < before.impressions:
            wrong.append(f"ad {release.ad}: fewer impressions than in the release before")
        if open_.releases == STEPS_MAX:
            wrong.append(f"ad {release.ad}: more than {STEPS_MAX} releases of one segment")
        if not wrong:
            flight.is_in_period = True
            open_.release, open_.releases = release, open_.releases + 1
            open_.sigma = None if flight.budget is None else flight.budget.sigma
            self._figures.pop(release.ad, None)
        return wrong

    def _budget(self, budget: Budget) -> list[str]:
        flight = self.flights.get(budget.ad)
        if flight is None:
            return [f"budget of an ad that is not known: {budget.ad}"]
        flight.budget = budget
        return []

    def _model(self, model: Model) -> list[str]:
        try:
            blur_of(model)
        except ValueError as error:
            return [f"model of {model.attribute}: {error}"]
        if model.draws_sha256 != exact.DRAWS_SHA256:
            return [f"model of {model.attribute}: made with other normal draws than these"]
        if not _is_inverse(model.inverse_ppb, model.M_ppb):
            return [f"model of {model.attribute}: the inverse is not that of the matrix"]
        self.models[model.attribute] = model
        return []

    def _prior(self, prior: Prior) -> list[str]:
        wrong = []
        if prior.ads:
            learned = self._learned.get((prior.period, prior.attribute))
            if self.plan is not None and prior.period == self.plan.period:
                learned = self.prior(prior.attribute)
            if learned is None or (learned.T_ppb, learned.ads) != (prior.T_ppb, prior.ads):
                wrong = [f"prior of {prior.attribute}: not what the releases before it give"]
            else:
                self._learned[prior.period, prior.attribute] = prior
        self.priors[prior.attribute] = prior
        return wrong

    def _figure(self, stated: Figure) -> list[str]:
        what = f"figure of {stated.ad}, {stated.attribute} by {stated.by}"
        try:
            found = self.computed(stated.ad, stated.attribute, stated.by)
        except LookupError as error:
            return [f"{what}: {error.args[0]}"]
        if not found.is_verifiable:
            half = {name: getattr(stated, name) for name in HALF}
            found = msgspec.structs.replace(found, **half)
        self.keep(stated.ad, stated.attribute, stated.by, found)
        return [
            f"{what}: {member}: expected {told(getattr(found, member))}, "
            f"stated {told(getattr(stated, member))}"
            for member in ("episode", "impressions", "proxy_ppb", *HALF)
            if getattr(found, member) != getattr(stated, member)
        ]

    # ---- what the state gives -------------------------------------------------------------------
    def computed(self, ad: str, attribute: str, by: By = "impressions") -> Computed:
        """The figure that the newest release of an ad gives.

        LookupError, with a sentence, where the log does not hold what it needs.
        """
        observed = self.observed(ad, attribute, by)
        flight, plan = self.flights[ad], self.plan
        assert plan is not None
        found = Computed(
            episode=flight.released()[-1][1].episode,
            impressions=flight.impressions,
            proxy_ppb=exact.proxy_ppb(*observed),
        )
        if attribute not in plan.estimated:
            return found
        model, prior = self.models.get(attribute), self.priors.get(attribute)
        if model is None or prior is None or not flight.is_noise_known:
            return msgspec.structs.replace(found, is_verifiable=False)
        drawn_to = exact.Prior(covariance_ppb=prior.T_ppb, ads=prior.ads)
        try:
            (estimated,) = exact.deattenuated(
                observed, blur_of(model), kappa_ppm=plan.kappa_ppm, prior=drawn_to
            )
        except ValueError as error:
            raise LookupError(str(error)) from None
        half = {name: getattr(estimated, name) for name in HALF}
        return msgspec.structs.replace(found, **half)

    def direct(self, ad: str, attribute: str, by: By = "impressions") -> Interval | None:
        """The 95 % interval of a declared attribute's figure; errors as ``computed``.

        None where nobody known was reached, or no budget record says how large the noise is.
        """
        if not self.flights[ad].is_noise_known:
            return None
        found = exact.direct_ppb(*self.observed(ad, attribute, by))
        return None if found is None else (found[1], found[2])

    def prior(self, attribute: str) -> Prior | None:
        """What the newest releases of the period's ads say of how far they differ.

        None without a model, or for fewer ads than one can be learned from.
        """
        model, plan = self.models.get(attribute), self.plan
        if model is None or plan is None:
            return None
        observed: list[exact.Observed] = []
        for name, _ in self.of_period():
            try:
                observed += self.observed(name, attribute)
            except LookupError:
                continue  # an ad without sums of this attribute
        try:
            learned = exact.prior_of(observed, blur_of(model))
        except ValueError:
            return None  # the model is of other groups
        if learned is None:
            return None
        return Prior(
            period=plan.period, attribute=attribute, T_ppb=learned.covariance_ppb, ads=learned.ads
        )

    def observed(self, ad: str, attribute: str, by: By = "impressions") -> list[exact.Observed]:
        """What an ad's newest releases, one a segment, say of an attribute; or LookupError."""
        flight, plan = self.flights.get(ad), self.plan
        if flight is None or plan is None or not flight.is_in_period:
            raise LookupError("expected a plan, the ad and a release of the period before it")
        if attribute not in plan.attributes:
            raise LookupError("the plan has no such attribute")
        groups = len(plan.attributes[attribute])
        return [
            _observed(segment, release, attribute, by, groups)
            for segment, release in flight.released()
        ]


def _observed(
    segment: Segment, release: Release, attribute: str, by: By, groups: int
) -> exact.Observed:
    number, eligible = segment.ad.segment, segment.ad.eligible.get(attribute)
    of_sums = release.sums if by == "impressions" else release.people_sums
    if eligible is None or attribute not in of_sums:
        raise LookupError(f"segment {number}: no eligible shares or no sums by {by}")
    count, is_noisy = release.impressions, False
    if by == "people":
        count, is_noisy = (0 if release.people is UNSET else release.people), True
    elif release.counted is not UNSET:
        count, is_noisy = release.counted, True
    shares = eligible.shares_ppb if by == "impressions" else eligible.people_shares_ppb
    unit, sums = release.unit.get(attribute, 0), of_sums[attribute]
    if unit < 1 or len(shares) != groups or len(sums) not in (groups, groups + 1):
        raise LookupError(f"segment {number}: expected {groups} groups and a unit")
    noise = noise_variance(segment.sigma or "0", segment.releases)
    return exact.Observed(
        ad=segment.ad.ad,
        segment=number,
        impressions=max(count, 0),  # a noisy count may be negative, which is nobody
        sums=sums,
        unit=unit,
        eligible_ppb=shares,
        noise_variance=round(noise * unit * unit * exact.NOISE_UNIT),
        impressions_noise_variance=round(noise * exact.NOISE_UNIT) if is_noisy else 0,
    )


def noise_variance(sigma: str, steps: int) -> Fraction:
    """Variance of the noise of a running sum of unit one after so many releases (4.7)."""
    return Fraction(sigma) ** 2 * _growth(STEPS_MAX)[steps]


@functools.cache
def _growth(steps: int) -> list[Fraction]:
    """f_0^2 + ... + f_{t-1}^2 by t; f_k rounded half up to 2**-20, as the noise was made."""
    exactly, total, found = Fraction(1), 0, [Fraction(0)]
    for k in range(steps):
        if k:  # cut at 2**-200, far below half a step of the grid: the fraction grows without end
            exactly = Fraction(round(exactly * Fraction(2 * k - 1, 2 * k) * 2**200), 2**200)
        total += int(exactly * GRID + Fraction(1, 2)) ** 2
        found.append(Fraction(total, GRID * GRID))
    return found


def _is_inverse(inverse: Sequence[Sequence[int]], matrix: Sequence[Sequence[int]]) -> bool:
    """Whether their product is one but for the rounding of both to 1e-9."""
    columns = list(zip(*matrix, strict=True))
    largest = max(abs(one) for table in (inverse, matrix) for row in table for one in row)
    slack = (len(matrix) + 1) * (largest + PPB)
    return all(
        abs(sum(map(mul, row, column)) - (PPB * PPB if i == j else 0)) <= slack
        for i, row in enumerate(inverse)
        for j, column in enumerate(columns)
    )


def blur_of(model: Model) -> exact.Blur:
    """A model record as what figures are computed with. ValueError where its tables do not fit."""
    return exact.Blur(
        matrix_ppb=model.M_ppb,
        inverse_ppb=model.inverse_ppb,
        within_ppb=model.within_ppb,
        inverse_covariance=model.inverse_covariance,
        pool_size=model.pool_size,
        source=model.source,
        condition_milli=model.condition_milli,
        draws_sha256=model.draws_sha256,
    )


def model_of(attribute: str, blur: exact.Blur) -> Model:
    """A learned blur as the record that figures are recomputed from."""
    return Model(
        attribute=attribute,
        M_ppb=blur.matrix_ppb,
        inverse_ppb=blur.inverse_ppb,
        within_ppb=blur.within_ppb,
        inverse_covariance=blur.inverse_covariance,
        pool_size=blur.pool_size,
        source=blur.source,
        condition_milli=blur.condition_milli,
        draws_sha256=blur.draws_sha256,
    )


def told(value: object) -> str:
    """A member's value in a sentence."""
    return "nothing" if value is UNSET else "none" if value is None else str(value)
