"""How measuring begins: the audit log's first records, each period's, and each ad's flight."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from msgspec import UNSET
from msgspec.structs import asdict, replace

from ringwork.fairness.coverage import report_of
from ringwork.fairness.delivery.events import FlightOpened
from ringwork.fairness.delivery.flights import privacy_of
from ringwork.fairness.delivery.measuring import Measuring, Mix, terms_of
from ringwork.fairness.delivery.modelling import Modelling
from ringwork.fairness.delivery.modelling import terms_of as model_terms
from ringwork.fairness.delivery.work import LiveAd, Work, record
from ringwork.fairness.measure import exact
from ringwork.fairness.model import PPM, UNKNOWN
from ringwork.fairness.plan import Plan, PrivacyPlan
from ringwork.fairness.privacy import accounting
from ringwork.fairness.privacy.budget import FlightDeclared
from ringwork.fairness.recompute import Recomputation
from ringwork.fairness.records import (
    Ad,
    AnyBody,
    Budget,
    Checkpoint,
    CountedIn,
    Genesis,
    Prior,
    Tables,
)
from ringwork.fairness.records import Plan as PlanRecord
from ringwork.fairness.trail import figures_of
from ringwork.kernel.journal import Command

MONTHS = 4
"""Of a period, where the plan names none."""


def period_of(plan: Plan, now_us: int) -> str:
    """The plan's period of a moment (UTC); where it names none, thirds of a year."""
    day = datetime.fromtimestamp(now_us / 1_000_000, UTC).date()
    for period in plan.periods:
        if period.start <= day <= period.end:
            return period.name
    return f"{day.year}-{(day.month - 1) // MONTHS + 1}"


def plan_record(work: Work, period: str) -> PlanRecord:
    """What the log says of the plan: its intersections are attributes like the others.

    Raises ConfigurationError without an accountant. What it says is remembered: seconds at first.
    """
    plan = work.plan
    estimated = {name for name, one in plan.attributes.items() if one.measured != "declared"}
    groups, proxied = {}, []
    for block in work.enclave.layout.blocks:
        groups[block.attribute] = tuple(one for one in block.groups if one != UNKNOWN)
        if estimated & set(block.of):
            proxied.append(block.attribute)
    return PlanRecord(
        name=plan.name,
        attributes=groups,
        estimated=tuple(proxied),
        inclusive=plan.inclusive,
        thresholds_ppm=plan.thresholds_ppm,
        minimum_impressions=plan.minimum_impressions,
        period=period,
        epsilon_micro=int(plan.privacy.epsilon_max * accounting.MICRO),
        delta=plan.privacy.delta,
        T=plan.privacy.episodes,
        cap=plan.privacy.contributions_max,
        kappa_ppm=plan.kappa_ppm,
        controlled=work.enclave.controlled,
        eligible_epsilon_micro=_audience_epsilon_micro(work),
        eligible_window_days=plan.eligible_window_days,
        model_epsilon_micro=_models_epsilon_micro(plan, len(proxied)),
    )


def _audience_epsilon_micro(work: Work) -> int:
    """The dearer of the two ways to measure an audience; 0 without noise."""
    both = (terms_of(work.plan, weighed=one) for one in (False, True))
    costs = [accounting.cost(one, len(work.enclave.blocks)) for one in both if one is not None]
    return max((one.replace_micro for one in costs), default=0)


def _models_epsilon_micro(plan: Plan, attributes: int) -> int:
    """Of the models of all estimated attributes; 0 without noise, or without any."""
    privacy = model_terms(plan)
    if privacy is None or not attributes:
        return 0
    return accounting.cost(privacy, attributes).replace_micro


class Opening:
    """Records what releases need before them."""

    def __init__(self, work: Work, measuring: Measuring, modelling: Modelling) -> None:
        self._work = work
        self._measuring = measuring
        self._modelling = modelling
        self._due: set[str] = set()
        """Attributes whose model is of before the newest period, plan or tables."""

    async def period(self) -> str:
        """Begin the log and the period where they have not begun; returns the period's name."""
        work, state = self._work, self._work.memory.log.figures
        name = period_of(work.plan, work.now_us())
        bodies: list[AnyBody] = []
        if work.memory.log.genesis is None:
            genesis = Genesis(
                public_key=work.public_key,
                log=work.tenant,
                software_version=work.software_version,
                entropy=work.pool.entropy,
            )
            bodies.append(genesis)
        tables = work.enclave.tables
        if not state.tables or state.tables[-1].sha256 != tables.sha256:
            rows = len(tables.surnames.keys) + sum(len(one.codes) for one in tables.areas.values())
            told = Tables(
                name=tables.name, sha256=tables.sha256, rows=rows, demo_tables=tables.demo_tables
            )
            bodies.append(told)
        plan = await asyncio.to_thread(plan_record, work, name)
        if state.plan is not None and state.plan.period != name:
            await self._close_period(state.plan)
        # What is read back has lost the order of the attributes, which means nothing here.
        if state.plan is None or asdict(state.plan) != asdict(plan):
            bodies.append(plan)
        if bodies:
            self._due.update(plan.estimated)
            bodies += self._priors(plan, name)
            await work.commit(lambda command: record(command, *bodies))
        for attribute in plan.estimated:
            if attribute in self._due or attribute not in state.models:
                await self._model(attribute)
        return name

    async def _close_period(self, plan: PlanRecord) -> None:
        """What the period's ads say of how far ads differ, its figures by that, its report.

        Nothing else releases meanwhile, so that what is computed is what an audit recomputes.
        """
        work, state = self._work, Recomputation()
        state.load(work.memory.log.figures.dump())
        bodies = await asyncio.to_thread(_closing, state, plan)

        def decide(command: Command) -> None:
            record(command, *bodies)
            record(command, Checkpoint(head=work.memory.log.next_seq - 1))

        await work.commit(decide)

    def _priors(self, plan: PlanRecord, period: str) -> list[AnyBody]:
        """What estimates are drawn towards before the ads of a period have told."""
        found: list[AnyBody] = []
        for attribute in plan.estimated:
            if attribute not in self._work.memory.log.figures.priors:
                groups = len(plan.attributes[attribute])
                default = exact.default_prior(groups, self._work.plan.prior_deviation_ppm)
                table = default.covariance_ppb
                found.append(Prior(period=period, attribute=attribute, T_ppb=table, ads=0))
        return found

    async def _model(self, attribute: str) -> None:
        """Record how the proxy blurs an attribute, where that is known."""
        model = await self._modelling.model(attribute)
        if model is not None:
            await self._work.commit(lambda command: record(command, model))
            self._due.discard(attribute)

    async def flight(self, live: LiveAd) -> None:
        """Open an ad's flight, or a new segment of it, with what its audience was measured to be.

        It keeps that mix for as long as the segment is open, whatever windows go by: its releases
        are cumulative, and are held against one baseline. Raises Refused as ``Measuring.mix`` and
        budget-exceeded, ConfigurationError without an accountant.
        """
        work = self._work
        mix = await self._measuring.mix(live.audience)
        privacy, vectors = self._terms(live), len(work.enclave.layout.blocks)
        await asyncio.to_thread(accounting.cost, privacy, vectors)  # remembered: it takes seconds

        def decide(command: Command) -> None:
            declared = work.memory.budgets.ledger.declare(live.ad, privacy=privacy, vectors=vectors)
            opened = self._opened(live, mix, declared)
            command.record(opened)
            record(command, _ad(opened, mix), _budget(declared))

        await work.commit(decide)

    def _terms(self, live: LiveAd) -> PrivacyPlan:
        """The plan's, or those that the ad's first segment was opened with: it keeps them."""
        flight, plan = self._work.memory.flights.ads.get(live.ad), self._work.plan
        if flight is not None and flight.segments:
            return privacy_of(flight)
        if plan.control.control_arm_ppm in (0, PPM):  # nothing to tell apart, nothing to pay for
            return replace(plan.privacy, arm_sigma=None)
        return plan.privacy

    def _opened(self, live: LiveAd, mix: Mix, declared: FlightDeclared) -> FlightOpened:
        return FlightOpened(
            declared,
            live.audience,
            mix.crossed_ppb,
            max(live.expected_impressions, 1),
            live.advertiser,
            live.category,
            self._work.enclave.tables.sha256,
            mix.known,
            self._work.plan.control.control_arm_ppm,
        )


def _closing(state: Recomputation, plan: PlanRecord) -> list[AnyBody]:
    """In a thread: ``state`` is a copy."""
    bodies: list[AnyBody] = []
    priors = [found for one in plan.estimated if (found := state.prior(one)) is not None]
    for prior in priors:
        state.take(prior)
    bodies += priors
    if priors:
        for ad, _ in list(state.of_period()):
            figures = figures_of(state, ad)
            for figure in figures:
                state.take(figure)
            bodies += figures
    return [*bodies, report_of(state, plan)]


def _ad(opened: FlightOpened, mix: Mix) -> Ad:
    return Ad(
        ad=opened.declared.ad,
        category=opened.category,
        advertiser=opened.advertiser,
        segment=opened.declared.segment,
        eligible=mix.eligible,
        arm_ppm=opened.arm_ppm,
        counted_in=_counted_in(opened.declared.privacy),
    )


def _counted_in(privacy: PrivacyPlan) -> CountedIn:
    """What one contribution is: a person, a day of one, or no more than one of some impressions."""
    if privacy.contributions_max > 1:
        return "capped impressions"
    return "person-days" if privacy.unit == "person-ad-day" else "people"


def _budget(declared: FlightDeclared) -> Budget:
    privacy, cost = declared.privacy, declared.cost
    return Budget(
        ad=declared.ad,
        sigma=str(privacy.sigma),
        events=privacy.episodes,
        epsilon_micro=cost.replace_micro,
        delta=cost.delta,
        epsilon_add_remove_micro=cost.add_remove_micro,
        people_sigma=UNSET if privacy.people_sigma is None else str(privacy.people_sigma),
        arm_sigma=UNSET if privacy.arm_sigma is None else str(privacy.arm_sigma),
    )
