"""Whether the time that an answer takes tells how long somebody's history is.

Two requests of one couple, the same but for the id, in random order: one person did a lot, the
other little or nothing; in the other world it is the other way round, so that nothing but the past
is compared. The differences of their CPU times, and of their wall times where no disk is waited
for, are tested by flipping signs at random (a permutation test: nothing is assumed of how the
machine's noise is distributed). Extreme differences are drawn in to the 5 % and 95 % quantiles,
alike on both sides, so that a busy machine costs power and never a false alarm.

A rejection counts when a fresh sample of twice the size rejects again, in the same direction.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from ringwork.app.proof.pairs import Worlds
from ringwork.app.proof.town import Person
from ringwork.app.proof.world import World

if TYPE_CHECKING:
    from ringwork.app.proof.cases import Sent

LEVEL: Final = 0.001
"""Of one test; both of a repeated one together have 1e-6, at equal sign half of that."""
Clock = Callable[[], int]
POWER: Final = 0.95
FLIPS: Final = 9_999
_Z: Final = 3.2905 + 1.6449
"""Normal quantiles of 1 - LEVEL / 2 and of POWER."""
WARM_UP: Final = 50


class Timed(Struct, frozen=True):
    """One test."""

    what: str
    pairs: int
    p: float
    difference_ns: float
    """Mean of the differences: of who did a lot less who did little."""
    detectable_ns: float
    """What the test finds in 95 of 100 samples as noisy as this one."""
    rejected: bool


async def time_answers(worlds: Worlds, *, pairs: int, seed: int) -> list[Timed]:
    """CPU and wall time. Each is repeated once where it is rejected."""
    return [await _tested(worlds, what, pairs, seed) for what in ("CPU time", "wall time")]


async def _tested(worlds: Worlds, what: str, pairs: int, seed: int) -> Timed:
    first = await _one_test(worlds, what, pairs, seed)
    if first.p >= LEVEL:
        return first
    again = await _one_test(worlds, what, 2 * pairs, seed + 1)
    same_way = (first.difference_ns > 0) == (again.difference_ns > 0)
    return Timed(
        what,
        first.pairs + again.pairs,
        again.p,
        again.difference_ns,
        again.detectable_ns,
        again.p < LEVEL and same_way,
    )


async def _one_test(worlds: Worlds, what: str, pairs: int, seed: int) -> Timed:
    samples = await _samples(worlds, pairs, Random(f"timing {what} {seed}"), is_cpu=what[0] == "C")
    p, mean, error = sign_flip_test(samples, seed=seed)
    return Timed(what, pairs, p, mean, _Z * error, rejected=False)


async def _samples(worlds: Worlds, pairs: int, random: Random, *, is_cpu: bool) -> list[int]:
    """Nanoseconds of who did a lot less those of who did little.

    Wall time is taken where nothing is sold and no disk waited for; CPU time of both kinds.
    """
    clock = time.thread_time_ns if is_cpu else time.perf_counter_ns
    couples = worlds.town.of("consented")
    people, found = worlds.town.people, []
    gc.collect()
    gc.disable()
    try:
        for number in range(pairs + WARM_UP):
            swapped = number % 2
            world, one = worlds.pair[swapped], random.choice(couples)
            busy, idle = _busy_and_idle(people, one, swapped=bool(swapped))
            place = "top" if is_cpu and number % 4 < 2 else "nothing-fits"
            sent = [
                (busy, worlds.cases.without(busy, place)),
                (idle, worlds.cases.without(idle, place)),
            ]
            if random.random() < 0.5:
                sent.reverse()
            took = {}
            for person, request in sent:
                world.clock.advance_us(1_000)
                took[person.number] = await _timed(world, request, clock)
            if number >= WARM_UP:
                found.append(took[busy.number] - took[idle.number])
            if number % 500 == 499:
                await world.keep_house()
    finally:
        gc.enable()
    for world in worlds.pair:
        world.inputs.clear()
        world.bidder.told.clear()
    return found


async def _timed(world: World, sent: Sent, clock: Clock) -> int:
    began = clock()
    await world.ask(sent.method, sent.target, sent.body, headers=sent.headers, client=sent.client)
    return clock() - began


def _busy_and_idle(people: list[Person], one: Person, *, swapped: bool) -> tuple[Person, Person]:
    """Of a couple: the even one's past is the long one, and it is the other's where swapped."""
    even, odd = people[one.number & ~1], people[one.number | 1]
    return (odd, even) if swapped else (even, odd)


def sign_flip_test(samples: list[int], *, seed: int) -> tuple[float, float, float]:
    """(two-sided p of "the differences are as likely positive as negative", mean, its error).

    >>> sign_flip_test([5, -5] * 50, seed=1)[:2]
    (1.0, 0.0)
    >>> sign_flip_test([5, 6] * 50, seed=1)[0]
    0.0001
    """
    import numpy as np  # noqa: PLC0415  # only where a proof runs

    values = np.asarray(samples, dtype=np.float64)
    bound = np.quantile(np.abs(values), 0.9)
    values = np.clip(values, -bound, bound)
    observed = abs(values.mean())
    rng, beyond = np.random.default_rng(seed), 0
    for start in range(0, FLIPS, 500):
        count = min(500, FLIPS - start)
        signs = rng.integers(0, 2, size=(count, len(values)), dtype=np.int8) * 2.0 - 1.0
        beyond += int((np.abs(signs @ values) / len(values) >= observed - 1e-9).sum())
    error = float(values.std()) / math.sqrt(len(values))
    return (beyond + 1) / (FLIPS + 1), float(values.mean()), error
