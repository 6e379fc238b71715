"""Profile pages: bots that read them as people do, beside people who read a lot.

Bots go round the clock at a person's pace, from addresses that people use too, and slow down when
they are held up. People have sessions: mostly friends' profiles, often the same ones; a few are
recruiters, and a few open every name of a friend list. Spec 2.2 has the figures of plain limits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.gate.sim.chance import generator, lognormal
from ringwork.gate.sim.fleet import Agent, live
from ringwork.gate.sim.metrics import Pages, clopper_pearson
from ringwork.gate.sim.month import SLOW_S
from ringwork.gate.sim.world import DAY_S
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Refused
from ringwork.kernel.ports import Entropy

PROFILES: Final = 200_000
FRIENDS: Final = 150
VIEWS_MEDIAN: Final = 15.0
VIEWS_SIGMA: Final = 1.35
"""About 2 % of people open more than 200 different profiles a day (spec 2.2: 2.2 %)."""
RECRUITERS: Final = 0.005
VIEWS_MAX: Final = 2_500
BOT_GAP_S: Final = 8.7
"""9,900 pages a day: what spec 2.2 measured without a gate."""
BOT_ADDRESSES: Final = 10
SHARED: Final = 0.2
"""Of the bots' addresses: a carrier's, with people behind it."""
READERS_MAX: Final = 100_000
BOTS_MAX: Final = 1_000


class Decision(Protocol):
    """What a gate decides."""

    @property
    def action(self) -> str:
        """``allow``, ``slow``, ``challenge``, ``degrade`` or ``block``."""
        ...

    @property
    def delay_s(self) -> float: ...
    @property
    def retry_after_s(self) -> float | None: ...


class Visit(Struct, frozen=True):
    """One page that is asked for."""

    account: str
    address: int
    profile: int


class Door(Protocol):
    """A gate, seen from the pages: decides on a visit, and hears what was returned."""

    def admit(self, visit: Visit) -> Decision: ...

    def settle(self, decision: Decision, visit: Visit) -> None: ...


class GateDoor:
    """``Gate.admit`` and ``Gate.settle`` behind a door (spec 7.2)."""

    def __init__(
        self, gate: Any, facts_of: Callable[..., object], usage: Callable[..., object]
    ) -> None:
        self._gate = gate
        self._facts_of = facts_of
        self._usage = usage

    def admit(self, visit: Visit) -> Decision:
        decision: Decision = self._gate.admit(
            self._facts_of(
                method="GET",
                route="/p/*",
                path=f"/p/{visit.profile}",
                ip=visit.address,
                account=visit.account,
            )
        )
        return decision

    def settle(self, decision: Decision, visit: Visit) -> None:
        self._gate.settle(
            decision, self._usage(rows=1, entities=[visit.profile], bytes=4_096, status=200)
        )


MakeDoor = Callable[[ManualClock, Entropy], Door]


class _Tally(Struct):
    touched: set[str]
    read: dict[str, set[int]]
    challenges: int = 0


def measure(
    make: MakeDoor,
    *,
    rules: str,
    seed: int,
    readers: int = 20_000,
    bots: int = 8,
    days: int = 1,
    progress: Callable[[int], None] = lambda _count: None,
) -> Pages:
    """Readers' friction and bots' yield in the same days. Raises Refused out of bounds."""
    for name, given, most in (("readers", readers, READERS_MAX), ("bots", bots, BOTS_MAX)):
        if not 1 <= given <= most:
            raise Refused(
                "simulation-invalid", f"{name}: expected 1 to {most:,}, got {given:,}", status=422
            )
    clock, rng = ManualClock(), generator(SeededEntropy(f"{seed} pages"))
    door = make(clock, SeededEntropy(f"{seed} door"))
    tally = _Tally(set(), {})
    agents: list[Agent] = [_reading(door, day, readers, rng, tally) for day in range(days)]
    agents += [_bot(door, f"bot {bot}", readers, rng, tally) for bot in range(bots)]
    live(clock, agents, days=days, progress=progress)
    read = sum(len(profiles) for profiles in tally.read.values())
    user_days = readers * days
    return Pages(
        rules=rules,
        distinct_per_account_day=read / (bots * days),
        bot_account_days=bots * days,
        user_days=user_days,
        touched=len(tally.touched),
        rate=len(tally.touched) / user_days,
        rate_bound=clopper_pearson(len(tally.touched), user_days),
        challenges=tally.challenges,
    )


def _reading(door: Door, day: int, readers: int, rng: np.random.Generator, tally: _Tally) -> Agent:
    """Everybody's day, page after page in order of time."""
    reader, at_s, profile = _views(rng, readers)
    address = _addresses(rng, readers)
    now = 0.0
    order = np.argsort(at_s, kind="stable")
    for who, when, what in zip(
        reader[order].tolist(),
        (day * DAY_S + at_s[order]).tolist(),
        profile[order].tolist(),
        strict=True,
    ):
        if when > now:
            yield when - now
            now = when
        visit = Visit(f"reader {who}", int(address[who]), what)
        decision = door.admit(visit)
        if decision.action in ("block", "challenge") or decision.delay_s > SLOW_S:
            tally.touched.add(f"{day} {who}")
        else:
            door.settle(decision, visit)


def _views(
    rng: np.random.Generator, readers: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """(reader, second of the day, profile) of all pages of a day."""
    views = np.clip(lognormal(rng, VIEWS_MEDIAN, VIEWS_SIGMA, readers), 1, VIEWS_MAX)
    is_recruiter = rng.random(readers) < RECRUITERS
    views[is_recruiter] = rng.uniform(150, 700, int(is_recruiter.sum()))
    reader = np.repeat(np.arange(readers), views.astype(np.int64))
    # Sessions of some twenty pages, at the hours at which somebody is awake.
    first = np.concatenate([[0], np.cumsum(np.bincount(reader, minlength=readers))])[reader]
    place = np.arange(len(reader)) - first
    session = reader * 1_000 + place // 20
    starts = np.concatenate([[True], np.diff(session) != 0])
    gaps = lognormal(rng, 7.0, 0.9, len(reader))
    total = np.cumsum(gaps)
    within = total - (total - gaps)[starts][np.cumsum(starts) - 1]
    awake = np.where(rng.random(readers) < 0.08, 3.0, 15.0)
    begin_h = (awake[reader[starts]] + rng.normal(0, 4, int(starts.sum()))) % 24
    at_s = np.minimum(begin_h[np.cumsum(starts) - 1] * 3_600 + within, DAY_S - 1)
    # Friends again and again, friends of friends, strangers; recruiters mostly strangers.
    kind = rng.random(len(reader))
    is_friend = kind < np.where(is_recruiter[reader], 0.1, 0.6)
    is_near = ~is_friend & (kind < np.where(is_recruiter[reader], 0.3, 0.9))
    home = reader * 10 % PROFILES
    friend = home + (rng.beta(0.7, 2.0, len(reader)) * FRIENDS).astype(np.int64)
    near = home + (np.abs(rng.standard_normal(len(reader))) * 5_000).astype(np.int64)
    stranger = rng.integers(0, PROFILES, len(reader))
    profile = np.where(is_friend, friend, np.where(is_near, near, stranger)) % PROFILES
    return reader, at_s, profile


def _addresses(rng: np.random.Generator, readers: int) -> NDArray[np.int64]:
    """Households, and carriers that put fifty people behind one address."""
    home = 0x0A000000 + np.arange(readers) // 2
    carrier = 0x64400000 + np.arange(readers) // 50
    return np.where(rng.random(readers) < 0.3, carrier, home)


def _bot(door: Door, name: str, readers: int, rng: np.random.Generator, tally: _Tally) -> Agent:
    """Strangers' profiles at a person's pace; half the pace after a refusal, another address."""
    carriers = 0x64400000 + rng.integers(0, max(1, readers // 50), BOT_ADDRESSES)
    rented = 0x2D000000 + rng.integers(0, 1 << 22, BOT_ADDRESSES)
    addresses: Sequence[int] = np.where(
        rng.random(BOT_ADDRESSES) < SHARED, carriers, rented
    ).tolist()
    wanted = rng.permutation(PROFILES)
    read, gap_s, turn, at = tally.read.setdefault(name, set()), BOT_GAP_S, 0, 0
    while at < len(wanted):
        visit = Visit(name, addresses[turn % len(addresses)], int(wanted[at]))
        decision = door.admit(visit)
        if decision.action in ("block", "challenge"):
            tally.challenges += decision.action == "challenge"
            gap_s = min(gap_s * 2, 3_600.0)
            turn += 1
            yield max(gap_s, min(decision.retry_after_s or 0.0, 3_600.0))
            continue
        door.settle(decision, visit)
        read.add(visit.profile)
        at += 1
        gap_s = max(BOT_GAP_S, gap_s * 0.95)
        yield decision.delay_s + float(lognormal(rng, gap_s * 0.87, 0.53, 1)[0])
