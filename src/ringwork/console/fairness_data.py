"""The console's questions about fairness, one method a page; all of it read from memory.

What counts over all ads (coverage, order, verdicts) is kept until the log has another record.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from msgspec import UNSET, Struct
from msgspec.structs import replace

from ringwork.console.fairness_facts import (
    AdFacts,
    AdLine,
    AdStanding,
    Asked,
    CampaignAd,
    FairnessFacts,
    LogFacts,
    MeasuredAd,
    MeasuredFacts,
    Priced,
)
from ringwork.console.views.fairness_history import blocks
from ringwork.console.views.matters import campaign_href
from ringwork.fairness.chronicle import Chronicle
from ringwork.fairness.coverage import cost, coverage, excluded, is_counted
from ringwork.fairness.flights import Flight
from ringwork.fairness.mix import Mix, mixes
from ringwork.fairness.model import PPB, PPM
from ringwork.fairness.reach import Told as ArmTold
from ringwork.fairness.reach import told as told_by_arm
from ringwork.fairness.recompute import Computed, Recomputation
from ringwork.fairness.records import By, Cost, Coverage, Override, Plan, Report
from ringwork.fairness.report import Document, Span, Verdict, figure_row, privacy_rows, verdict_of
from ringwork.kernel.errors import Invalid, NotFound
from ringwork.kernel.journal import Command
from ringwork.kernel.ports import Clock

ADS_PAGE: Final = 25
PRICED_MAX: Final = 24
"""Ads in the plot of cost: those with the most impressions."""
PRIVACY_MAX: Final = 10
CAMPAIGN_ADS_MAX: Final = 25
"""Ads on the page of their campaign."""
LIVE_ADS_MAX: Final = 2_000
"""Coverage of more ads takes too long between two requests: then the newest report's stands."""
LIVE_ARMS_MAX: Final = 40
"""The same of ads whose control arm was released: some milliseconds each."""


class FairnessSource(Protocol):
    """A platform's audit log while it is being written, and what a person may do to an ad."""

    @property
    def chronicle(self) -> Chronicle:
        """What the records say; read between two of them."""
        ...

    @property
    def controlled(self) -> tuple[str, ...]:
        """Attributes whose groups have shifts, in the order that a vector of shifts has them."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """What the plan covers of HOUSING, EMPLOYMENT and CREDIT."""
        ...

    def standing(self, ad: str) -> AdStanding:
        """How the measuring of an ad stands; of one that nobody knows it has not begun."""
        ...

    async def durable(self) -> None:
        """Until what ``chronicle`` says cannot be taken back by a crash."""
        ...

    async def ready(self) -> None:
        """Until an override can be decided. Refused where the census tables are missing."""
        ...

    def override(self, command: Command, wanted: Override) -> Struct:
        """Take a controller's place, in the log; ``took_effect`` follows when it is durable."""
        ...

    def took_effect(self) -> None:
        """The next auction is held by what was decided."""
        ...

    async def document(self) -> Document:
        """The report of the newest period, from the log audited anew to its end.

        Refused: nothing is recorded yet, or so much that a server should not spend the time.
        """
        ...


class FairnessSources(Struct, frozen=True, kw_only=True):
    """What the pages of fairness read from."""

    source: FairnessSource | None
    """None: this platform measures nothing."""
    clock: Clock
    names: Callable[[], Mapping[str, str]]
    """Ids of what is in the catalogue -> its names."""
    campaign_of: Callable[[str], str]
    """Ad -> its campaign; empty where the catalogue knows no such ad."""
    currency: str
    file: str = "fairness.jsonl"
    """The log, as the command line names it."""


class _Counted(Struct):
    """What was counted over all ads, and after which record."""

    seq: int
    coverage: list[Coverage]
    coverage_us: int


class _Arms(Struct):
    """What control arms told, and of which releases."""

    releases: list[tuple[str, int]]
    told: ArmTold
    told_us: int


class FairnessData:
    """Answers the pages' questions."""

    def __init__(self, sources: FairnessSources) -> None:
        self._from = sources
        self._counted: _Counted | None = None
        self._arms: _Arms | None = None

    def now_us(self) -> int:
        """The platform's wall time."""
        return self._from.clock.wall_us()

    @property
    def has_log(self) -> bool:
        """Whether this platform keeps an audit log."""
        return self._from.source is not None

    async def durable(self) -> None:
        """Until what was read is on the disk: no page shows what a crash could take back."""
        if self._from.source is not None:
            await self._from.source.durable()

    @property
    def source(self) -> FairnessSource:
        """The live log; NotFound where there is none."""
        if self._from.source is None:
            raise NotFound("this platform keeps no audit log of fairness")
        return self._from.source

    def overview(self, asked: Asked) -> FairnessFacts | None:
        """The period; None before there is a plan."""
        chronicle = self._chronicle()
        if chronicle is None or chronicle.state.plan is None:
            return None
        state, plan = chronicle.state, chronicle.state.plan
        asked = _fitting(asked, state, plan)
        ads = dict(state.of_period())
        figures = {ad: state.figure(ad, asked.attribute, asked.by) for ad in ads}
        order = _ordered(asked, ads, figures)
        first = (asked.page - 1) * ADS_PAGE
        counted = self._count(chronicle, plan, len(ads))
        arms = self._told_by_arms(chronicle, plan)
        budgets = privacy_rows(state)
        return FairnessFacts(
            now_us=self.now_us(),
            asked=asked,
            plan=plan,
            tables=list(state.tables),
            models=list(state.models.values()),
            is_test_entropy=_is_test(chronicle),
            log=chronicle.head.log if chronicle.head else "",
            head=chronicle.head,
            time_us=chronicle.time_us,
            ads=len(ads),
            waiting=len(state.flights) - len(ads),
            ways=_ways(state, plan),
            lines=[self._line(state, plan, ad, asked) for ad in order[first : first + ADS_PAGE]],
            has_more=len(order) > first + ADS_PAGE,
            verdicts=_verdicts(plan, asked, ads, figures),
            coverage=counted.coverage,
            coverage_us=counted.coverage_us,
            excluded=excluded(state, plan),
            cost=_cost(chronicle),
            arm=arms.told,
            arm_us=arms.told_us,
            priced=self._priced(state, plan, asked, ads),
            privacy=sorted(budgets, key=lambda one: one.epsilon_left)[:PRIVACY_MAX],
            budgets=len(budgets),
            spent=sum(one.is_spent for one in budgets),
            currency=self._from.currency,
            file=self._from.file,
        )

    def places(self, ad: str) -> list[tuple[str, str]]:
        """Attribute and group of every place in a vector of an ad's shifts; NotFound."""
        chronicle = self._chronicle()
        if chronicle is None or ad not in chronicle.state.flights or chronicle.state.plan is None:
            raise NotFound(f"the audit log knows no ad {ad[:64]}")
        return blocks(chronicle.state.plan, self.source.controlled)

    async def ad(self, ad: str) -> AdFacts:
        """One ad; NotFound. Its groups' shares take a while, so they are worked out in a thread."""
        chronicle = self._chronicle()
        flight = None if chronicle is None else chronicle.state.flights.get(ad)
        if chronicle is None or flight is None or chronicle.state.plan is None:
            raise NotFound(f"the audit log knows no ad {ad[:64]}")
        state, plan = chronicle.state, chronicle.state.plan
        ways = _ways(state, plan)
        figures = [
            figure_row(state, plan, (ad, attribute, by), figure)
            for attribute, by in ways
            if (figure := state.figure(ad, attribute, by)) is not None
        ]
        history = ((attribute, by) for attribute in _by_size(plan) for by in _BYS)
        campaign = self._from.campaign_of(ad)
        facts = AdFacts(
            now_us=self.now_us(),
            ad=ad,
            name=self._from.names().get(ad, ad),
            campaign_href=campaign_href(campaign) if campaign else "",
            plan=plan,
            flight=flight,
            is_demo=any(one.demo_tables for one in state.tables),
            is_test_entropy=_is_test(chronicle),
            figures=figures,
            mixes={},
            points={
                (attribute, by): points
                for attribute, by in history
                if (points := chronicle.figures(ad, attribute, by))
            },
            controlled=self.source.controlled,
            shifts=chronicle.shifts(ad),
            shift_reason=chronicle.reason(ad),
            audiences=chronicle.audiences(ad),
            overrides=chronicle.overrides(ad),
            privacy=next((one for one in privacy_rows(state) if one.ad == ad), None),
            arm=ArmTold(),
            currency=self._from.currency,
            file=self._from.file,
        )
        alone = state.of_ad(ad)
        found, arm = await asyncio.to_thread(
            lambda: (
                {one: _mixes(alone, ad, one) for one in _by_size(plan)},
                told_by_arm(alone),
            )
        )
        return replace(facts, mixes=found, arm=arm)

    def campaign(self, category: str, ads: Sequence[CampaignAd]) -> MeasuredFacts:
        """What is measured of a campaign's ads, those with figures first."""
        source, chronicle = self._from.source, self._chronicle()
        plan = None if chronicle is None else chronicle.state.plan
        facts = MeasuredFacts(
            has_log=source is not None,
            is_planned=source is not None and category in source.categories,
            is_demo=chronicle is not None
            and any(one.demo_tables for one in chronicle.state.tables),
            threshold_ppm=None if plan is None else max(plan.thresholds_ppm, default=None),
            ads=[],
            more=max(0, len(ads) - CAMPAIGN_ADS_MAX),
        )
        if source is None or chronicle is None:
            return facts
        state = chronicle.state
        order = sorted(ads, key=lambda one: not state.has_figures(one.ad))[:CAMPAIGN_ADS_MAX]
        return replace(facts, ads=[_measured(source, state, one) for one in order])

    def log(self) -> LogFacts | None:
        """The log's end; None where there is no log."""
        chronicle = self._chronicle()
        if chronicle is None or chronicle.head is None:
            return None
        return LogFacts(
            now_us=self.now_us(),
            head=chronicle.head,
            public_key=chronicle.public_key,
            keys=chronicle.keys,
            signed_through=chronicle.signed_through,
            is_test_entropy=_is_test(chronicle),
            newest=list(reversed(chronicle.newest)),
            file=self._from.file,
        )

    def _chronicle(self) -> Chronicle | None:
        return None if self._from.source is None else self._from.source.chronicle

    def _count(self, chronicle: Chronicle, plan: Plan, ads: int) -> _Counted:
        seq = chronicle.head.seq if chronicle.head else -1
        if self._counted is not None and self._counted.seq == seq:
            return self._counted
        report = _report(chronicle, plan)
        if ads <= LIVE_ADS_MAX or report is None:
            self._counted = _Counted(seq, coverage(chronicle.state, plan), 0)
        else:
            self._counted = _Counted(seq, list(report[1].coverage), report[0])
        return self._counted

    def _told_by_arms(self, chronicle: Chronicle, plan: Plan) -> _Arms:
        releases = [
            (ad, release.episode)
            for ad, flight in chronicle.state.of_period()
            for _, release in flight.released()
            if release.arm_sums
        ]
        report = _report(chronicle, plan)
        if 0 < len(releases) <= LIVE_ARMS_MAX:
            if self._arms is None or self._arms.releases != releases:
                self._arms = _Arms(releases, told_by_arm(chronicle.state), 0)
            return self._arms
        if report is None:
            return _Arms(releases, ArmTold(), 0)
        members = {name: getattr(report[1], name) for name in ArmTold.__struct_fields__}
        return _Arms(releases, ArmTold(**members), report[0])

    def _line(self, state: Recomputation, plan: Plan, ad: str, asked: Asked) -> AdLine:
        flight = state.flights[ad]
        figure = state.figure(ad, asked.attribute, asked.by)
        return AdLine(
            ad=ad,
            name=self._from.names().get(ad, ad),
            category=flight.ad.category,
            impressions=flight.impressions,
            spend_nanos=flight.spend_nanos,
            is_excluded=_is_excluded(flight, plan),
            figure=None
            if figure is None
            else figure_row(state, plan, (ad, asked.attribute, asked.by), figure),
        )

    def _priced(
        self, state: Recomputation, plan: Plan, asked: Asked, ads: Mapping[str, Flight]
    ) -> list[Priced]:
        """Those of the largest ads whose releases say how many people they reached."""
        priced = []
        for ad in sorted(ads, key=lambda one: (-ads[one].impressions, one)):
            figure = state.figure(ad, asked.attribute, asked.by)
            each = _per_thousand(ads[ad])
            if figure is None or each is None:
                continue
            row = figure_row(state, plan, (ad, asked.attribute, asked.by), figure)
            name = self._from.names().get(ad, ad)
            priced.append(Priced(ad=ad, name=name, per_thousand_nanos=each, figure=row))
            if len(priced) == PRICED_MAX:
                break
        return priced


_BYS: Final[tuple[By, By]] = ("impressions", "people")


def _measured(source: FairnessSource, state: Recomputation, ad: CampaignAd) -> MeasuredAd:
    flight, plan = state.flights.get(ad.ad), state.plan
    figures = []
    for attribute in () if plan is None else _by_size(plan):
        figure = state.figure(ad.ad, attribute, "impressions")
        if plan is not None and figure is not None:
            figures.append(figure_row(state, plan, (ad.ad, attribute, "impressions"), figure))
    return MeasuredAd(
        ad=ad,
        figures=figures,
        is_logged=flight is not None,
        is_released=flight is not None and flight.is_in_period,
        standing=source.standing(ad.ad),
    )


def _fitting(asked: Asked, state: Recomputation, plan: Plan) -> Asked:
    """What is asked, with the attribute that is meant; Invalid for one that the plan lacks."""
    attribute = asked.attribute or _by_size(plan)[0]
    if attribute not in plan.attributes:
        names = ", ".join(sorted(plan.attributes))
        raise Invalid(f"query/attribute: one of {names} expected, got {attribute[:40]!r}", [])
    return Asked(attribute=attribute, by=asked.by, sort=asked.sort, page=asked.page)


def _by_size(plan: Plan) -> list[str]:
    """Estimated attributes first, and those that cross several behind the plain ones."""
    groups = plan.attributes
    return sorted(groups, key=lambda one: (one not in plan.estimated, len(groups[one]), one))


def _ways(state: Recomputation, plan: Plan) -> list[tuple[str, By]]:
    """By impressions every attribute of the plan, by people those with such a figure."""
    people = {attribute for _, attribute, by, _ in state.figures() if by == "people"}
    first = _by_size(plan)
    found: list[tuple[str, By]] = [(one, "impressions") for one in first]
    return found + [(one, "people") for one in first if one in people]


def _ordered(
    asked: Asked, ads: Mapping[str, Flight], figures: Mapping[str, Computed | None]
) -> list[str]:
    if asked.sort == "figure":
        return sorted(ads, key=lambda one: (-reach_of(figures[one]), one))
    return sorted(ads, key=lambda one: (-ads[one].impressions, one))


def reach_of(figure: Computed | None) -> int:
    """How far the truth may be, as far as is known: an ad without a figure may be anywhere."""
    if figure is None or figure.proxy_ppb is None:
        return PPB + 1
    ends = [span[1] for span in (figure.interval_ppb, figure.band_ppb) if isinstance(span, tuple)]
    return max(ends, default=figure.proxy_ppb)


def _verdicts(
    plan: Plan,
    asked: Asked,
    ads: Mapping[str, Flight],
    figures: Mapping[str, Computed | None],
) -> Mapping[Verdict, int]:
    """Of an estimated attribute only: the interval of a declared one is worked out row by row."""
    if asked.attribute not in plan.estimated:
        return {}
    bound = max(plan.thresholds_ppm, default=0) * (PPB // PPM)
    found: Counter[Verdict] = Counter()
    for ad, flight in ads.items():
        if not _is_excluded(flight, plan):
            found[_verdict(figures[ad], bound)] += 1
    return found


def _verdict(figure: Computed | None, bound: int) -> Verdict:
    if figure is None:
        return "none"
    spans = [one for one in (figure.band_ppb, figure.interval_ppb) if isinstance(one, tuple)]
    return verdict_of(Span(*spans[0]) if spans else None, bound)


def _is_excluded(flight: Flight, plan: Plan) -> bool:
    smallest = min(plan.minimum_impressions, default=0)
    return not is_counted(flight, smallest, inclusive=plan.inclusive)


def _per_thousand(flight: Flight) -> int | None:
    """Spend for each 1,000 unique people; None where no release says how many there were."""
    released = [release for _, release in flight.released()]
    people = [one.people for one in released if one.people is not UNSET]
    if len(people) < len(released) or sum(people) <= 0:
        return None
    return 1000 * flight.spend_nanos // sum(people)


def _mixes(state: Recomputation, ad: str, attribute: str) -> tuple[Mix, ...]:
    try:
        return mixes(state, ad, attribute)
    except (LookupError, ValueError):
        return ()  # an ad without a release of the period, or without sums of the attribute


def _is_test(chronicle: Chronicle) -> bool:
    return chronicle.genesis is not None and chronicle.genesis.entropy == "test"


def _report(chronicle: Chronicle, plan: Plan) -> tuple[int, Report] | None:
    """The newest one, if it is of this period."""
    found = chronicle.report
    return found if found is not None and found[1].period == plan.period else None


def _cost(chronicle: Chronicle) -> Cost | None:
    found = cost(chronicle.state)
    return None if found is UNSET else found
