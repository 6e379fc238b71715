"""Who is eligible for an ad: a noisy release about its audience, and what is computed from it.

An audience is measured once in a window of the plan's days, for all ads and segments that have it:
so ads tell nothing by being many, and a person who was described between two of them cannot be
found by subtracting one mix from the other. What is protected is a person's groups. *Whether* an
audience is measured, and whether people are weighed by what they were shown, is decided on numbers
of people and impressions, which no group enters and the platform tells anyway.
"""

from __future__ import annotations

import asyncio
from fractions import Fraction
from math import ceil, sqrt
from typing import Final

import numpy as np
from msgspec import Struct

from ringwork.fairness.delivery.events import Audience, AudienceMeasured, AudienceSums
from ringwork.fairness.delivery.measured import key_of, window_of
from ringwork.fairness.delivery.recent import DAY_US
from ringwork.fairness.delivery.settled import Settled
from ringwork.fairness.delivery.work import Work
from ringwork.fairness.enclave import Counted
from ringwork.fairness.measure.eligible import NOISE_MAX, in_ppb, noisy_shares, raked
from ringwork.fairness.measure.sums import Block
from ringwork.fairness.model import PPB, UNKNOWN
from ringwork.fairness.plan import Plan, PrivacyPlan
from ringwork.fairness.privacy import accounting
from ringwork.fairness.records import Eligible
from ringwork.kernel.errors import Refused
from ringwork.kernel.journal import Command

PREFIX: Final = "audiences/"
"""Before a release's key and window: whose privacy budget it has."""
WEIGHED_MIN: Final = 300.0
"""People of equal weight whom recent impressions must tell of, to weigh an audience by them: from
fewer, chance and single people would make the mix (a share of a half has a standard error of 2.9
points), and a figure of as few impressions is not judged either."""
WEIGHED_NOISE_MAX: Final = 0.01
"""Of a share by impressions, as a standard deviation: beyond it people count once, and the log says
so."""
MEASURED_NOISE_MAX: Final = NOISE_MAX / 2
"""Of a share by people: an audience of fewer people waits until it has more."""


class Mix(Struct, frozen=True, kw_only=True):
    """The groups of an audience, as its release says them."""

    eligible: dict[str, Eligible]
    """Attributes of which enough people's group is known."""
    crossed_ppb: tuple[int, ...]
    """Of the controlled attributes crossed; empty where too little is known of one of them."""
    known: tuple[tuple[int, int], ...]
    """Of each controlled attribute, of how many people a group is known, and how many there are."""


def terms_of(plan: Plan, *, weighed: bool) -> PrivacyPlan | None:
    """What measuring an audience may learn, once; None where the plan has no noise for it.

    The same privacy is spent on sums over people alone, or on those and sums over impressions: two
    releases at sqrt 2 times the noise cost what one costs.
    """
    if plan.eligible_sigma is None:
        return None
    people_sigma, impressions = plan.eligible_sigma, None
    if weighed:
        people_sigma = ceil(plan.eligible_sigma * sqrt(2) * 100) / 100
        impressions = people_sigma * plan.eligible_impressions_max
    return PrivacyPlan(
        unit="person-ad",
        contributions_max=1 if impressions is None else plan.eligible_impressions_max,
        episodes=1,
        sigma=people_sigma if impressions is None else impressions,
        people_sigma=None if impressions is None else people_sigma,
        delta=plan.privacy.delta,
        epsilon_max=plan.privacy.epsilon_max,
    )


class Measuring:
    """Measures audiences."""

    def __init__(self, work: Work, *, still_s: int) -> None:
        """``still_s``: for so long an audience must not have grown by a tenth."""
        self._work = work
        self._settled = Settled(still_s)

    async def mix(self, audience: Audience) -> Mix:
        """What stands in the log of an audience; where nothing does, it is measured now, durably.

        Raises Refused (audience-empty, audience-small, audience-unsettled, budget-exceeded).
        """
        work, now_us = self._work, self._work.now_us()
        plan, blocks = work.plan, work.enclave.blocks
        if plan.eligible_sigma is None:
            sums = _exact(work.enclave.counted(audience, day=now_us // DAY_US), plan, blocks)
            return self._mix(sums)
        key = key_of(
            sorted(set(audience.regions)),  # whose order means nothing
            sorted(set(audience.excluded_regions)),
            work.enclave.tables.sha256,
            {one.attribute: one.groups for one in blocks},
            plan.eligible_window_days,
        )
        window = window_of(now_us, plan.eligible_window_days)
        found = work.memory.measured.audience(key, window)
        if found is None:
            self._require_settled(key, audience, now_us)
            await self._measure(key, audience, window, now_us)
            found = work.memory.measured.audience(key, window)
            assert found is not None
        return self._mix(found.sums)

    def _require_settled(self, key: str, audience: Audience, now_us: int) -> None:
        """An audience is measured once: so not while its people are still being told of."""
        plan, people = self._work.plan, self._work.enclave.size(audience)
        assert plan.eligible_sigma is not None
        least = ceil(plan.eligible_sigma / MEASURED_NOISE_MAX)
        if not people:
            raise _refused("audience-empty", "expected somebody who is eligible among 0 people")
        if people < least:
            raise _refused(
                "audience-small",
                f"expected {least} people or more, so that noise of {plan.eligible_sigma:g} leaves "
                f"something to see, got {people}",
            )
        if not self._settled.has(key, people, now_us):
            raise _refused(
                "audience-unsettled",
                f"expected an audience that has been of a size for {self._settled.still_s} s;"
                f" {people} people are described, and it is measured once in "
                f"{plan.eligible_window_days} days",
            )

    async def _measure(self, key: str, audience: Audience, window: int, now_us: int) -> None:
        work, plan = self._work, self._work.plan
        blocks, ledger = work.enclave.blocks, work.memory.budgets.ledger
        counted = work.enclave.counted(audience, day=now_us // DAY_US)
        privacy = terms_of(plan, weighed=_tells_enough(counted, plan))
        assert privacy is not None
        await asyncio.to_thread(accounting.cost, privacy, len(blocks))  # remembered: seconds
        sums = await asyncio.to_thread(self._noisy, counted, blocks, privacy)

        def decide(command: Command) -> None:
            name = f"{PREFIX}{key}/{window}"
            declared = ledger.declare(name, privacy=privacy, vectors=len(blocks))
            charged = ledger.first_charge(declared)
            command.record(AudienceMeasured(audience, window, key, declared, charged, sums))

        await work.commit(decide)

    def _noisy(
        self, counted: Counted, blocks: tuple[Block, ...], privacy: PrivacyPlan
    ) -> AudienceSums:
        """In a thread: nobody has seen it yet."""
        is_weighed = privacy.people_sigma is not None
        people_sigma = privacy.sigma if privacy.people_sigma is None else privacy.people_sigma
        return AudienceSums(
            unit={one.attribute: one.unit for one in blocks},
            people=self._with_noise(counted.people, blocks, people_sigma),
            impressions=self._with_noise(counted.weighed, blocks, privacy.sigma)
            if is_weighed
            else {},
            people_sigma=people_sigma,
            impressions_sigma=privacy.sigma if is_weighed else 0.0,
            impressions_max=privacy.contributions_max,
        )

    def _with_noise(
        self, sums: dict[str, list[int]], blocks: tuple[Block, ...], sigma: float
    ) -> dict[str, list[int]]:
        found = {}
        for block in blocks:
            exact = sums[block.attribute]
            scale = Fraction(str(sigma)) * block.unit
            drawn = self._work.pool.discrete_gaussian(scale, size=len(exact)).tolist()
            found[block.attribute] = [a + b for a, b in zip(exact, drawn, strict=True)]
        return found

    # ---- computed from what was released --------------------------------------------------------

    def _mix(self, sums: AudienceSums) -> Mix:
        enclave = self._work.enclave
        found: dict[str, Eligible] = {}
        for block in enclave.blocks:
            if (one := _eligible(sums, block)) is not None:
                found[block.attribute] = one
        eligible = {
            one.attribute: found[one.attribute]
            for one in enclave.layout.blocks
            if one.attribute in found
        }
        if not eligible:
            block = enclave.blocks[0]
            people = max(sum(sums.people[block.attribute]) // block.unit, 0)
            raise _refused(
                "audience-empty", f"expected somebody of a known group among {people} people"
            )
        controlled = [found[one] for one in enclave.controlled if one in found]
        known: tuple[tuple[int, int], ...] = ()
        crossed: tuple[int, ...] = ()
        if len(controlled) == len(enclave.controlled):
            known = tuple(
                _known(sums, one)
                for name in enclave.controlled
                for one in enclave.blocks
                if one.attribute == name
            )
            crossed = _crossed(sums, enclave.crossed, controlled)
        return Mix(eligible=eligible, crossed_ppb=crossed, known=known)


def _tells_enough(counted: Counted, plan: Plan) -> bool:
    """Whether people are weighed by what they were shown.

    By impressions over the most that one person has: people of equal weight would be as many at
    least (Kish 1965), and the noise on their share is sigma over it.
    """
    terms = terms_of(plan, weighed=True)
    noise = 0.0 if terms is None or terms.people_sigma is None else terms.people_sigma
    people = counted.impressions / plan.eligible_impressions_max
    return people >= max(WEIGHED_MIN, noise / WEIGHED_NOISE_MAX)


def _exact(counted: Counted, plan: Plan, blocks: tuple[Block, ...]) -> AudienceSums:
    return AudienceSums(
        unit={one.attribute: one.unit for one in blocks},
        people=counted.people,
        impressions=counted.weighed if _tells_enough(counted, plan) else {},
        impressions_max=plan.eligible_impressions_max,
    )


def _groups(sums: list[int], block: Block) -> list[int]:
    """Without unknown."""
    return sums[: len(block.groups) - (block.groups[-1] == UNKNOWN)]


def _eligible(sums: AudienceSums, block: Block) -> Eligible | None:
    """None where too few people's group is known."""
    name = block.attribute
    once = noisy_shares(_groups(sums.people[name], block), noise=sums.people_sigma * block.unit)
    if once is None:
        return None
    weighed = None
    if name in sums.impressions:
        noise = sums.impressions_sigma * block.unit
        weighed = noisy_shares(_groups(sums.impressions[name], block), noise=noise)
    shares = once if weighed is None else weighed
    return Eligible(
        shares_ppb=shares[0],
        people_shares_ppb=once[0],
        by="people" if weighed is None else "impressions",
        people=max(sum(_groups(sums.people[name], block)) // block.unit, 0),
        noise_ppb=shares[1],
        people_noise_ppb=once[1],
    )


def _known(sums: AudienceSums, block: Block) -> tuple[int, int]:
    """Of how many people a group is known, and of how many; in people of equal weight."""
    given, most = sums.people[block.attribute], 1
    if block.attribute in sums.impressions:
        given, most = sums.impressions[block.attribute], sums.impressions_max
    whole = block.unit * most
    people = max(sum(given) // whole, 1)
    return min(max(sum(_groups(given, block)) // whole, 0), people), people


def _crossed(sums: AudienceSums, block: Block, margins: list[Eligible]) -> tuple[int, ...]:
    """With the shares of each attribute as margins: what figures are held against.

    These are sums of their own with less noise than the crossed ones added up.
    """
    if len(margins) == 1:
        return margins[0].shares_ppb
    is_weighed = all(one.by == "impressions" for one in margins)
    by = sums.impressions if is_weighed and block.attribute in sums.impressions else sums.people
    cells = np.maximum(np.array(_groups(by[block.attribute], block), np.float64), 0.0)
    if not cells.any():
        return ()
    shares = [np.array(one.shares_ppb, np.float64) / PPB for one in margins]
    return in_ppb(raked(cells.reshape([len(one) for one in shares]), shares).ravel())


def _refused(slug: str, detail: str) -> Refused:
    return Refused(slug, detail, status=422, title="The audience is not measured")
