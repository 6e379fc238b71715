"""Audit logs as the pages of fairness see them: real ones, written by the real writer."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from msgspec import Struct
from msgspec.structs import replace

from ringwork.console.fairness_data import FairnessData, FairnessSources
from ringwork.console.fairness_facts import (
    AdFacts,
    AdStanding,
    Asked,
    CampaignAd,
    FairnessFacts,
    LogFacts,
)
from ringwork.console.views.measured import MeasuredSection, measured_section
from ringwork.fairness import records
from ringwork.fairness.audit import audited
from ringwork.fairness.chronicle import Chronicle
from ringwork.fairness.coverage import report_of
from ringwork.fairness.delivery.events import Audience, FlightOpened
from ringwork.fairness.delivery.work import record
from ringwork.fairness.log import Chain, lines
from ringwork.fairness.plan import PrivacyPlan
from ringwork.fairness.privacy.accounting import Cost
from ringwork.fairness.privacy.budget import FlightDeclared
from ringwork.fairness.recompute import Recomputation
from ringwork.fairness.records import Ad, Control, CountedIn, Genesis, Override, read_body
from ringwork.fairness.report import Document, document_of
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.errors import NotFound
from ringwork.kernel.journal import Command
from tests.console.day import NOW
from tests.console.town import Town
from tests.fairness import logs

DAY_US = 86_400_000_000
NAMES = {
    "ad-0": "Two-room flats, Eastside",
    "ad-1": "Student rooms",
    "ad-2": "<b>Garden</b> houses",
}


STANDINGS = {
    "waits": AdStanding(impressions=18, next_at=30),
    "due": AdStanding(impressions=30, next_at=30),
    "alone": AdStanding(reason="expected somebody of a known group among 0 people"),
    "ad-2": AdStanding(reason="nobody is described"),
}


class LogFile:
    """A log that lies somewhere: the live reading of it, and its audit."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.chronicle = chronicle_of(content)

    @property
    def controlled(self) -> tuple[str, ...]:
        plan = self.chronicle.state.plan
        return () if plan is None else tuple(sorted(plan.attributes))

    @property
    def categories(self) -> tuple[str, ...]:
        return ("HOUSING",)

    def standing(self, ad: str) -> AdStanding:
        return STANDINGS.get(ad, AdStanding())

    async def durable(self) -> None:
        """It is."""

    async def ready(self) -> None:
        """It is."""

    def took_effect(self) -> None:
        """Nothing is steered by it."""

    def override(self, command: Command, wanted: Override) -> Struct:
        raise NotFound("a log that lies somewhere is not written to")

    async def document(self) -> Document:
        return document_of(audited(io.BytesIO(self.content)))


def chronicle_of(content: bytes) -> Chronicle:
    """What a log's records say, followed from the first."""
    chain, state = Chain(), Recomputation()
    chronicle = Chronicle(state)
    for line in lines(io.BytesIO(content)):
        record = chain.follow(line)
        body = read_body(record.kind, record.body)
        if body is not None:
            assert state.apply(body) == []
        chronicle.take(record, body)
    return chronicle


async def told(town: Town, content: bytes) -> None:
    """A log's records as events of a platform, which signs them with its own key."""
    chain, fairness = Chain(), town.platform.fairness
    assert fairness is not None

    def decide(command: Command) -> None:
        for line in lines(io.BytesIO(content)):
            found = chain.follow(line)
            body = read_body(found.kind, found.body)
            assert body is not None
            if isinstance(body, Genesis):
                body = replace(body, public_key=fairness.file.public_key)
            if isinstance(body, Ad):
                command.record(_opened(body))
            record(command, body)

    await town.decide(decide)
    await fairness.look()


def _opened(ad: Ad) -> FlightOpened:
    """That an ad, or a new audience of it, is measured from here on."""
    cost = Cost(add_remove_micro=2_400_000, replace_micro=3_650_000, delta="1e-6")
    declared = FlightDeclared(
        ad=ad.ad, segment=ad.segment, privacy=PrivacyPlan(), vectors=2, cost=cost
    )
    return FlightOpened(declared, Audience(), (), 5_000, ad.advertiser, ad.category, "ab" * 32)


def data_of(source: LogFile | None) -> FairnessData:
    return FairnessData(
        FairnessSources(
            source=source,
            clock=ManualClock(NOW),
            names=lambda: NAMES,
            campaign_of=lambda ad: "hp-autumn-26" if ad == "ad-0" else "",
            currency="EUR",
        )
    )


@cache
def town_log() -> LogFile:
    """Forty ads of two releases: too many for one page, some below the minimum, one paused."""
    return LogFile(logs.made(40, with_report=True))


@cache
def plan_alone() -> LogFile:
    """A log that has begun, without an ad."""
    file = io.BytesIO()
    logs.begun(file)
    return LogFile(file.getvalue())


@cache
def unreleased() -> LogFile:
    """An ad that is known, without a release."""
    file = io.BytesIO()
    trail = logs.begun(file)
    trail.record(logs.ad("ad-0"), time_us=logs.START_US + 9)
    return LogFile(file.getvalue())


@cache
def without_a_figure() -> LogFile:
    """A release of nobody who is known: its sums are what the noise is."""
    file = io.BytesIO()
    trail = logs.begun(file)
    trail.record(logs.ad("ad-0"), time_us=logs.START_US + 9)
    made = logs.release("ad-0", 1, 40, random.Random(1))
    nobody = {name: (0,) * len(sums) for name, sums in made.sums.items()}
    trail.record(replace(made, sums=nobody, counted=0), time_us=logs.START_US + 9)
    trail.figures("ad-0", time_us=logs.START_US + 9)
    return LogFile(file.getvalue())


@cache
def arm_log(counted_in: CountedIn = "person-days") -> LogFile:
    """Two ads whose control arms were released."""
    file = io.BytesIO()
    logs.arm_log(file, 2, counted_in=counted_in)
    return LogFile(file.getvalue())


@cache
def flight_log() -> LogFile:
    """Nine days of three ads, a release a day; one is steered by hand in the end."""
    file, rng = io.BytesIO(), random.Random(3)
    trail, now = logs.begun(file), logs.START_US
    for name in ("ad-0", "ad-1", "ad-2"):
        trail.record(logs.ad(name), time_us=now)
        trail.record(logs.budget(name), time_us=now)
    for day in range(1, 10):
        now += DAY_US
        for number, name in enumerate(("ad-0", "ad-1", "ad-2")):
            if day == 5 and not number:
                trail.record(logs.ad(name, segment=1, female_ppb=450_000_000), time_us=now)
            made = logs.release(name, day, 400 * day * (number + 1), rng)
            spent = made.spend_nanos * (4 + number) // 4
            trail.record(replace(made, spend_nanos=spent, final=False), time_us=now)
            trail.figures(name, time_us=now)
            shift = [round(rng.gauss(0, 90_000) / day) for _ in range(6)]
            said = "aims at the edge of the band"
            trail.record(
                Control(
                    ad=name, episode=day, lambda_micro=tuple(shift), held=day == 7, reason=said
                ),
                time_us=now,
            )
        trail.writer.checkpoint(time_us=now)
    by_hand = Override(
        ad="ad-1", action="set", who="m.ortega", reason="complaint 17 is looked into",
        lambda_micro=(0, 0, 0, 0, 12_500, -12_500),
    )  # fmt: skip
    trail.record(by_hand, time_us=now + 1)
    report = report_of(trail.state, logs.plan(), logs.reach("ad-0"))
    trail.record(report, time_us=now + 2)
    return LogFile(file.getvalue())


def overview(source: LogFile, **asked: object) -> FairnessFacts:
    found = data_of(source).overview(Asked(**asked))  # type: ignore[arg-type]  # by name
    assert found is not None
    return found


def crossed() -> FairnessFacts:
    """The widest coverage table there is: a crossed attribute as well, and thousands of ads."""
    facts = overview(town_log())
    both = [
        replace(one, attribute="sex x race", ads=12_345)
        for one in facts.coverage
        if one.attribute == "race"
    ]
    ways: list[tuple[str, records.By]] = [*facts.ways, ("sex x race", "impressions")]
    return replace(facts, coverage=[*facts.coverage, *both], ways=ways)


CAMPAIGN = tuple(
    CampaignAd(ad=ad, name=NAMES.get(ad, ad), is_sold=ad != "idle")
    for ad in ("waits", "ad-0", "due", "ad-2", "alone", "new", "idle")
)
"""Ads in every state: measured, measured no more, waiting, not measurable, new, not shown."""


def of_campaign(
    source: LogFile | None, ads: Sequence[CampaignAd] = CAMPAIGN, category: str = "HOUSING"
) -> MeasuredSection:
    return measured_section(data_of(source).campaign(category, ads), category)


def one_ad(source: LogFile, ad: str = "ad-0") -> AdFacts:
    with ThreadPoolExecutor(1) as apart:  # Playwright has a loop of its own in a test's thread
        return apart.submit(asyncio.run, data_of(source).ad(ad)).result()


def end_of(source: LogFile) -> LogFacts:
    found = data_of(source).log()
    assert found is not None
    return found
