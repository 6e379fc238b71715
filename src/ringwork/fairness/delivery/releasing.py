"""A release of an ad: exact sums, noise, figures, all of it in one command or none of it.

An audit recomputes every figure from what the command records. Noise is drawn before it: where the
command is not stored, nobody saw the draw, and the next attempt makes another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from fractions import Fraction

import msgspec
import numpy as np
from msgspec import UNSET, Struct

from ringwork.fairness.delivery.events import SumsReleased
from ringwork.fairness.delivery.flights import Flight, Segment
from ringwork.fairness.delivery.work import Work, record
from ringwork.fairness.privacy import accounting
from ringwork.fairness.privacy.continual import ContinualState, ContinualSum
from ringwork.fairness.recompute import Recomputation
from ringwork.fairness.records import Checkpoint, Figure, Release
from ringwork.fairness.trail import figures_of
from ringwork.kernel.journal import Command

FIRST_EPISODES = (30, 60, 120)
"""Impressions after which a new flight is released first: its controller must hear early."""
HEADROOM_PERCENT = 120
"""Releases are spread over so much of the forecast: what comes after the last is unmeasured."""
EPISODE_MIN = 50
"""Impressions between later releases at least: fewer say nothing through the noise."""


class Drawn(Struct, frozen=True, kw_only=True):
    """A release that nobody has seen yet."""

    release: Release
    values: list[int]
    figures: list[Figure]


class Exact(Struct, frozen=True, array_like=True):
    """What is sealed with a release: the sums that went into it."""

    increment: list[int]
    first_touches: list[int]
    """Over people who are new to the segment."""
    left_alone: list[int] = []
    """The control arm's part of the increment."""

    def __repr__(self) -> str:
        return "Exact()"


class _Counted(Struct, frozen=True, kw_only=True):
    """What a draw takes."""

    stream: ContinualSum
    exact: Exact
    people: list[int] | None = None
    """Over all people of the segment; None where they are not released."""
    people_sigma: Fraction = Fraction(0)
    left_alone: list[int] | None = None
    """Of all of the segment; None where it is not released."""
    arm_sigma: Fraction = Fraction(0)


def due_at(released: int, releases: int, expected_impressions: int, episodes: int) -> int | None:
    """Impressions of a segment at which its next release is due; None after the last one.

    ``released``: impressions that the newest of its ``releases`` is of. A batch may pass several
    thresholds at once: the release after it stands for them all, and those that it saved are spread
    over the rest of the forecast with the others.

    >>> due_at(120, 3, 10_000, 64), due_at(122, 1, 10_000, 64)
    (314, 310)
    """
    if releases >= episodes:
        return None
    for first in FIRST_EPISODES:
        if released < first and releases < episodes - 1:  # the last one is of all the flight
            return first
    rest = expected_impressions * HEADROOM_PERCENT // 100 - released
    return released + max(rest // (episodes - releases), EPISODE_MIN)


def next_at(flight: Flight) -> int | None:
    """Impressions of the open segment that its next release waits for; None after its last one."""
    segment, opened = flight.open, flight.open.opened
    if flight.is_final:
        return None
    episodes = opened.declared.privacy.episodes
    return due_at(segment.released, flight.releases, opened.expected_impressions, episodes)


def is_due(flight: Flight) -> bool:
    """Whether an ad has as many impressions as its next release waits for."""
    at = next_at(flight)
    return at is not None and flight.open.impressions >= at


def has_last(flight: Flight) -> bool:
    """Whether a segment that ends now has a last release to make.

    Of impressions that are in none, or of the sums over people, which come with the last one: an ad
    has figures by people only if each of its segments with a release has these sums. None where
    nobody was shown the ad in it, or where all its releases are made: the last had them.
    """
    segment, privacy = flight.open, flight.open.opened.declared.privacy
    if flight.is_final or flight.releases >= privacy.episodes:
        return False
    lacks_people = flight.releases > 0 and privacy.people_sigma is not None
    return lacks_people or segment.impressions > segment.released


def has_ended_early(flight: Flight) -> bool:
    """Whether a segment had its last release with some left: what is shown after is in none."""
    return flight.is_final and flight.releases < flight.open.opened.declared.privacy.episodes


class Releasing:
    """Makes releases."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def release(self, ad: str, *, is_last: bool = False) -> list[Figure] | None:
        """The next release of an ad's open segment, with its figures, durable.

        ``is_last``: the segment ends with it, so that its sums over people come too. None where the
        enclave's key is gone: what was counted before cannot be gone on with.
        """
        work, flight = self._work, self._work.memory.flights.ads[ad]
        segment = flight.open
        privacy, episode = segment.opened.declared.privacy, flight.releases + 1
        before = self._released(segment)
        if before is None:
            return None
        until_seq = work.journal.seq
        reached = [one for one in flight.reached if one.seq <= until_seq]
        exact = Exact(
            work.enclave.sums(reached),
            work.enclave.sums(reached, first_touches=True),
            work.enclave.sums([one for one in reached if one.is_left_alone]),
        )
        counted = _Counted(stream=self._stream(segment, before), exact=exact)
        is_final = is_last or episode == privacy.episodes
        has_arm = False
        if is_final and privacy.people_sigma is not None:
            counted = msgspec.structs.replace(
                counted,
                people=_total([one.first_touches for one in (*before, exact)]),
                people_sigma=Fraction(str(privacy.people_sigma)),
            )
        # A share that was changed while the flight ran would weigh back nothing.
        same_share = segment.opened.arm_ppm == work.plan.control.control_arm_ppm
        if is_final and privacy.arm_sigma is not None and same_share:
            has_arm = True
            counted = msgspec.structs.replace(
                counted,
                left_alone=_total([one.left_alone for one in (*before, exact)]),
                arm_sigma=Fraction(str(privacy.arm_sigma)),
            )
        arm = segment.left_alone
        release = Release(
            ad=ad,
            episode=sum(len(one.values) for one in flight.segments) + 1,
            final=is_final,
            impressions=segment.impressions,
            spend_nanos=segment.spend_nanos,
            sums={},
            unit={},
            arm_impressions=arm.impressions if has_arm else UNSET,
            arm_spend_nanos=arm.spend_nanos if has_arm else UNSET,
            arm_squares=arm.squares if has_arm else UNSET,
        )
        state = work.memory.log.figures.of_ad(ad)
        drawn = await asyncio.to_thread(self._drawn, counted, release, state)
        vectors = segment.opened.declared.vectors
        paid = privacy.episodes if is_final else episode
        await asyncio.to_thread(accounting.cost, privacy, vectors, releases=paid)

        def decide(command: Command) -> None:
            charged = work.memory.budgets.ledger.charge(ad, is_last=is_final)
            event_id = work.journal.ids.new()
            sealed = work.keys.seal(
                work.subject,
                msgspec.msgpack.encode(exact),
                context=event_id + b"increment",
            )
            command.record(
                SumsReleased(charged, drawn.values, sealed, until_seq),
                event_id=event_id,
            )
            record(command, drawn.release, *drawn.figures)
            record(command, Checkpoint(head=work.memory.log.next_seq - 1))

        await work.commit(decide)
        return drawn.figures

    def _released(self, segment: Segment) -> list[Exact] | None:
        """What went into the releases of a segment; None where it cannot be opened any more."""
        found = []
        for event_id, sealed in segment.increments:
            plain = self._work.keys.unseal(
                self._work.subject, sealed, context=event_id + b"increment"
            )
            if plain is None:
                return None
            found.append(msgspec.msgpack.decode(plain, type=Exact))
        return found

    def _stream(self, segment: Segment, before: Sequence[Exact]) -> ContinualSum:
        """The segment's noisy sums as they were released so far."""
        work, privacy = self._work, segment.opened.declared.privacy
        increments = np.array([one.increment for one in before], "<i8")
        state = ContinualState(
            steps=privacy.episodes,
            sigma=str(Fraction(str(privacy.sigma))),
            units=work.enclave.layout.units,
            increments=increments.tobytes(),
            released=np.array(segment.values, "<i8").tobytes(),
        )
        return ContinualSum.of(state, work.pool)

    def _drawn(self, counted: _Counted, release: Release, state: Recomputation) -> Drawn:
        """In a thread: the noise and the figures; ``state`` is a copy."""
        layout, stream = self._work.enclave.layout, counted.stream
        noisy = stream.add(counted.exact.increment)
        eligible = state.flights[release.ad].ad.eligible
        blocks = [one for one in layout.blocks if one.attribute in eligible]
        release = msgspec.structs.replace(
            release,
            sums={one.attribute: tuple(noisy[one.start : one.stop]) for one in blocks},
            unit={one.attribute: one.unit for one in blocks},
            # Who may not be measured, and who was reached more often than the cap, is in no sum.
            counted=layout.counted(noisy),
        )
        if counted.people is not None:
            people = self._with_noise(counted.people, counted.people_sigma)
            release = msgspec.structs.replace(
                release,
                people=layout.counted(people),
                people_sums={one.attribute: tuple(people[one.start : one.stop]) for one in blocks},
            )
        if counted.left_alone is not None:
            arm = self._with_noise(counted.left_alone, counted.arm_sigma)
            release = msgspec.structs.replace(
                release,
                arm_counted=layout.counted(arm),
                arm_sums={one.attribute: tuple(arm[one.start : one.stop]) for one in blocks},
            )
        wrong = state.apply(release)
        assert not wrong, wrong
        return Drawn(
            release=release,
            values=stream.released[-1],
            figures=figures_of(state, release.ad),
        )

    def _with_noise(self, sums: list[int], sigma: Fraction) -> list[int]:
        """Sums that are released once, with noise of their own."""
        layout, out = self._work.enclave.layout, list(sums)
        for block in layout.blocks:
            size = block.stop - block.start
            drawn = self._work.pool.discrete_gaussian(sigma * block.unit, size=size)
            for at, noise in zip(range(block.start, block.stop), drawn.tolist(), strict=True):
                out[at] += noise
        return out


def _total(increments: Sequence[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*increments, strict=True)]
