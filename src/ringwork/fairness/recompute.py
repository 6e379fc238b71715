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

from collections.abc import Iterator

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ringwork.fairness.flights import (
    STEPS_MAX,
    Flight,
    Segment,
    blur_of,
    is_inverse,
    moments_of,
    observed_in,
    priced,
)
from ringwork.fairness.measure import exact
from ringwork.fairness.measure.moments import learned
from ringwork.fairness.model import PPB
from ringwork.fairness.records import (
    Ad,
    AnyBody,
    Budget,
    By,
    Control,
    Figure,
    Model,
    Override,
    Plan,
    Prior,
    Release,
    Tables,
)

Interval = tuple[int, int]
HALF = ("deattenuated_ppb", "interval_ppb", "band_ppb", "within_ppm")
"""The members of a figure that need the model of the proxy's blur."""


class Computed(Struct, frozen=True, kw_only=True):
    """A figure as the log gives it."""

    episode: int
    impressions: int
    proxy_ppb: int | None
    """None: nobody of a known group was reached, so there is no share."""
    deattenuated_ppb: int | UnsetType | None = UNSET
    interval_ppb: Interval | UnsetType = UNSET
    band_ppb: Interval | UnsetType | None = UNSET
    within_ppm: tuple[int, ...] | UnsetType = UNSET
    is_verifiable: bool = True
    """False: the de-attenuated half is as stated: no model, prior or budget stands before it."""


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
            case Control() | Override():
                self._price(body)
        return []

    def of_period(self) -> Iterator[tuple[str, Flight]]:
        """Ads with a release in the period."""
        return ((name, one) for name, one in self.flights.items() if one.is_in_period)

    def figure(self, ad: str, attribute: str, by: By) -> Computed | None:
        """The recomputed figure of an ad's newest release; None where none was stated for it."""
        return self._figures.get(ad, {}).get((attribute, by))

    def has_figures(self, ad: str) -> bool:
        """Whether the newest release of an ad in the period gave any."""
        return ad in self._figures

    def figures(self) -> Iterator[tuple[str, str, By, Computed]]:
        """Those of the newest releases of the period's ads: ad, attribute, way of counting."""
        for ad, found in self._figures.items():
            for (attribute, by), figure in found.items():
                yield ad, attribute, by, figure

    def keep(self, ad: str, attribute: str, by: By, figure: Computed) -> None:
        """Take up a figure that was computed from this very state."""
        self._figures.setdefault(ad, {})[attribute, by] = figure

    def take(self, body: AnyBody) -> None:
        """As ``apply``, of a record that was checked when it was written: nothing is computed anew.

        What a process folds at its start; an audit never does.
        """
        match body:
            case Figure():
                self.keep(body.ad, body.attribute, body.by, stated_by(body))
            case Prior():
                self.priors[body.attribute] = body
                if body.ads:
                    self._learned[body.period, body.attribute] = body
            case _:
                wrong = self.apply(body)
                assert not wrong, wrong

    def of_ad(self, ad: str) -> Recomputation:
        """A copy that knows one ad alone: to compute with, away from the state itself."""
        found = Recomputation()
        found.plan, found.models, found.priors = self.plan, dict(self.models), dict(self.priors)
        flight = self.flights.get(ad)
        if flight is not None:
            parts = [msgspec.structs.replace(one) for one in flight.parts]
            found.flights[ad] = msgspec.structs.replace(flight, parts=parts)
        return found

    def dump(self) -> bytes:
        """The state, for a snapshot; equal states dump equal bytes."""
        return msgspec.msgpack.encode(
            (
                self.plan,
                self.tables,
                self.flights,
                self.models,
                self.priors,
                [(*key, one) for key, one in self._learned.items()],
                [
                    (ad, *key, one)
                    for ad, found in self._figures.items()
                    for key, one in found.items()
                ],
            )
        )

    def load(self, state: bytes) -> None:
        """Take back what ``dump`` gave."""
        (
            self.plan,
            self.tables,
            self.flights,
            self.models,
            self.priors,
            learned,
            figures,
        ) = msgspec.msgpack.decode(state, type=_Dumped)
        self._learned = {(period, attribute): one for period, attribute, one in learned}
        self._figures = {}
        for ad, attribute, by, one in figures:
            self.keep(ad, attribute, by, one)

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
            if flight.budget is not None:
                people_sigma = flight.budget.people_sigma
                open_.sigma = flight.budget.sigma
                open_.people_sigma = None if people_sigma is UNSET else people_sigma
                arm_sigma = flight.budget.arm_sigma
                open_.arm_sigma = None if arm_sigma is UNSET else arm_sigma
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
        if not is_inverse(model.inverse_ppb, model.M_ppb):
            return [f"model of {model.attribute}: the inverse is not that of the matrix"]
        if model.sums and (wrong := _not_of_sums(model)):
            return [f"model of {model.attribute}: {wrong}"]
        self.models[model.attribute] = model
        return []

    def _price(self, step: Control | Override) -> None:
        flight = self.flights.get(step.ad)
        if flight is not None:
            priced(flight, step, self.plan)

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
                observed,
                blur_of(model),
                kappa_ppm=plan.kappa_ppm,
                prior=drawn_to,
                thresholds_ppm=plan.thresholds_ppm,
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
            observed_in(segment, release, attribute, by, groups)
            for segment, release in flight.released()
        ]


_Dumped = tuple[
    Plan | None,
    list[Tables],
    dict[str, Flight],
    dict[str, Model],
    dict[str, Prior],
    list[tuple[str, str, Prior]],
    list[tuple[str, str, By, Computed]],
]


def _not_of_sums(model: Model) -> str:
    """What of a model does not follow from its sums; empty: all does."""
    try:
        found = learned(moments_of(model))
    except ValueError as error:
        return str(error)
    if found is None:
        return "its sums tell groups apart not at all"
    stated = (
        ("M_ppb", found.matrix_ppb),
        ("inverse_ppb", found.inverse_ppb),
        ("within_ppb", found.within_ppb),
        ("inverse_covariance", found.inverse_covariance),
        ("pool_size", found.pool_size),
    )
    for member, expected in stated:
        if getattr(model, member) != expected:
            return f"{member}: not what its sums give"
    return ""


def stated_by(figure: Figure) -> Computed:
    """A figure as the log states it."""
    return Computed(
        episode=figure.episode,
        impressions=figure.impressions,
        proxy_ppb=figure.proxy_ppb,
        deattenuated_ppb=figure.deattenuated_ppb,
        interval_ppb=figure.interval_ppb,
        band_ppb=figure.band_ppb,
        within_ppm=figure.within_ppm,
    )


def told(value: object) -> str:
    """A member's value in a sentence."""
    return "nothing" if value is UNSET else "none" if value is None else str(value)
