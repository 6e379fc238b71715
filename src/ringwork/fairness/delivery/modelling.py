"""How the proxy blurs groups: a noisy release about everybody, and what is computed from it.

As with audiences, the sums are released once in a window of the plan's days, so that a new period,
plan or start tells nothing more, and who is described between two models of a window is in no
difference of theirs. A person adds p p^T to the sums, of Frobenius norm |p|^2 <= 1; replaced they
move by at most sqrt 2, which is one vector of the accountant. Off the diagonal every number stands
twice in that norm and is released once, so sqrt 2 less noise costs the same.
"""

from __future__ import annotations

import asyncio
from fractions import Fraction
from math import ceil, sqrt
from typing import Final

from ringwork.fairness.delivery.events import ModelMeasured
from ringwork.fairness.delivery.measured import key_of, window_of
from ringwork.fairness.delivery.settled import Settled
from ringwork.fairness.delivery.work import Work
from ringwork.fairness.enclave import Pool
from ringwork.fairness.flights import model_of
from ringwork.fairness.measure.confusion import gram, moments_blur
from ringwork.fairness.measure.moments import Moments
from ringwork.fairness.model import UNKNOWN
from ringwork.fairness.plan import Plan, PrivacyPlan
from ringwork.fairness.privacy import accounting
from ringwork.fairness.records import Model
from ringwork.kernel.errors import Refused, Unavailable
from ringwork.kernel.journal import Command

PREFIX: Final = "models/"
"""Before a release's key and window: whose privacy budget it has."""
POOL_MIN: Final = 100
"""People from whom the proxy's blur is learned at least."""
PAIR_SIGMAS: Final = 10
"""And so many times the noise for each pair of groups: with four groups and the default 17 that is
2,720 people, of whom one release in twenty hides its smallest eigenvalue."""


def terms_of(plan: Plan) -> PrivacyPlan | None:
    """What a model may learn, once; None where the plan has no noise for it."""
    if plan.model_sigma is None:
        return None
    return PrivacyPlan(
        unit="person-ad",
        contributions_max=1,
        episodes=1,
        sigma=plan.model_sigma,
        people_sigma=None,
        delta=plan.privacy.delta,
        epsilon_max=plan.privacy.epsilon_max,
    )


def people_min(plan: Plan, groups: int) -> int:
    """Of fewer people an attribute of so many groups has no model."""
    return max(POOL_MIN, ceil(PAIR_SIGMAS * groups * groups * (plan.model_sigma or 0.0)))


class Modelling:
    """Learns how the proxy blurs."""

    def __init__(self, work: Work, *, still_s: int) -> None:
        """``still_s``: for so long the people who are described must not have grown by a tenth."""
        self._work = work
        self._settled = Settled(still_s)
        self._useless: set[tuple[str, int]] = set()
        """Releases that no model follows from, by key and window."""

    async def model(self, attribute: str) -> Model | None:
        """What the window's release says, which is made now, durably, where there is none yet.

        None where too few people are known or they have not settled, the privacy budget is too
        small, or the proxy (or what noise leaves of it) tells its groups apart not at all.
        """
        work = self._work
        if work.plan.model_sigma is None:
            pool = work.enclave.pool(attribute)
            if len(pool.rows) < POOL_MIN:
                return None
            exact = await asyncio.to_thread(gram, pool.rows, pool.possible)
            return await self._from(attribute, _moments(exact, pool.unit, 0.0))
        days, now_us = work.plan.eligible_window_days, work.now_us()
        (block,) = (one for one in work.enclave.blocks if one.attribute == attribute)
        tables = work.enclave.tables.sha256
        key = key_of(attribute, tables, block.groups, days)
        window = window_of(now_us, days)
        if (key, window) in self._useless:
            return None
        found = work.memory.measured.model(key, window)
        if found is None:
            people, groups = len(work.enclave), len(block.groups) - (block.groups[-1] == UNKNOWN)
            if people < people_min(work.plan, groups):  # whose groups are known is not looked at
                return None
            if not self._settled.has(key, people, now_us):
                return None
            try:
                await self._measure(attribute, key, window)
            except Refused as refused:
                if isinstance(refused, Unavailable):
                    raise
                return None
            found = work.memory.measured.model(key, window)
            assert found is not None
        made = await self._from(
            attribute, _moments(found.sums, found.unit, found.declared.privacy.sigma)
        )
        if made is None:
            self._useless.add((key, window))
        return made

    async def _measure(self, attribute: str, key: str, window: int) -> None:
        work, privacy = self._work, terms_of(self._work.plan)
        assert privacy is not None
        pool = work.enclave.pool(attribute)
        ledger = work.memory.budgets.ledger
        await asyncio.to_thread(accounting.cost, privacy, 1)  # remembered: seconds
        sums = await asyncio.to_thread(self._noisy, pool, privacy.sigma)

        def decide(command: Command) -> None:
            declared = ledger.declare(f"{PREFIX}{key}/{window}", privacy=privacy, vectors=1)
            charged = ledger.first_charge(declared)
            command.record(
                ModelMeasured(attribute, window, key, declared, charged, pool.unit, sums)
            )

        await work.commit(decide)

    def _noisy(self, pool: Pool, sigma: float) -> list[list[int]]:
        """In a thread: nobody has seen it yet. Pairs that nobody can have need no noise."""
        exact = gram(pool.rows, pool.possible)
        square, draw = pool.unit * pool.unit, self._work.pool.discrete_gaussian
        diagonal = Fraction(str(sigma)) * square
        off = Fraction(ceil(sigma * square / sqrt(2)))
        found = []
        for at, row in enumerate(exact):
            noise = [int(draw(diagonal, size=1)[0])]
            noise += draw(off, size=len(row) - 1).tolist() if len(row) > 1 else []
            possible = pool.possible[at, at:].tolist()
            found.append(
                [a + b if is_so else 0 for a, b, is_so in zip(row, noise, possible, strict=True)]
            )
        return found

    async def _from(self, attribute: str, moments: Moments) -> Model | None:
        try:
            blur = await asyncio.to_thread(moments_blur, moments)
        except Refused:
            return None
        return model_of(attribute, blur, moments)


def _moments(sums: list[list[int]], unit: int, sigma: float) -> Moments:
    return Moments(sums=tuple(tuple(row) for row in sums), unit=unit, sigma=Fraction(str(sigma)))
