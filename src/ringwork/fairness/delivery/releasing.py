"""A release of an ad: exact sums, noise, figures, all of it in one command or none of it.

An audit recomputes every figure from what the command records. Noise is drawn before it: where the
command is not stored, nobody saw the draw, and the next attempt makes another.
"""

from __future__ import annotations

import asyncio
from fractions import Fraction

import msgspec
import numpy as np
from msgspec import Struct

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
EPISODE_MIN = 50
"""Impressions between later releases at least: fewer say nothing through the noise."""


class Drawn(Struct, frozen=True, kw_only=True):
    """A release that nobody has seen yet."""

    release: Release
    values: list[int]
    increment: list[int]
    figures: list[Figure]


def due_at(releases: int, expected_impressions: int, episodes: int) -> int | None:
    """Impressions of a segment at which its next release is due; None after the last one."""
    if releases >= episodes:
        return None
    if releases < len(FIRST_EPISODES):
        return FIRST_EPISODES[releases]
    rest = max(expected_impressions - FIRST_EPISODES[-1], 0)
    every = max(rest // max(episodes - len(FIRST_EPISODES), 1), EPISODE_MIN)
    return FIRST_EPISODES[-1] + (releases - len(FIRST_EPISODES) + 1) * every


def is_due(flight: Flight) -> bool:
    """Whether an ad has as many impressions as its next release waits for."""
    segment = flight.open
    opened = segment.opened
    at = due_at(flight.releases, opened.expected_impressions, opened.declared.privacy.episodes)
    return not flight.is_final and at is not None and segment.impressions >= at


def has_more(flight: Flight) -> bool:
    """Whether a release can still be made, and there are impressions that are in none."""
    segment = flight.open
    released = flight.releases
    most = segment.opened.declared.privacy.episodes
    return not flight.is_final and released < most and segment.impressions > segment.released


class Releasing:
    """Makes releases."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def release(self, ad: str, *, is_last: bool = False) -> list[Figure] | None:
        """The next release of an ad's open segment, with its figures, durable.

        None where the enclave's key is gone: what was counted before cannot be gone on with.
        """
        work, flight = self._work, self._work.memory.flights.ads[ad]
        segment = flight.open
        privacy, episode = segment.opened.declared.privacy, flight.releases + 1
        stream = self._stream(segment)
        if stream is None:
            return None
        until_seq = work.journal.seq
        increment = work.enclave.sums([one for one in flight.reached if one.seq <= until_seq])
        release = Release(
            ad=ad,
            episode=sum(len(one.values) for one in flight.segments) + 1,
            final=is_last or episode == privacy.episodes,
            impressions=segment.impressions,
            spend_nanos=segment.spend_nanos,
            sums={},
            unit={},
        )
        state = work.memory.log.figures.of_ad(ad)
        drawn = await asyncio.to_thread(self._drawn, stream, increment, release, state)
        vectors = segment.opened.declared.vectors
        await asyncio.to_thread(accounting.cost, privacy, vectors, releases=episode)

        def decide(command: Command) -> None:
            charged = work.memory.budgets.ledger.charge(ad)
            event_id = work.journal.ids.new()
            sealed = work.keys.seal(
                work.subject,
                msgspec.msgpack.encode(drawn.increment),
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

    def _stream(self, segment: Segment) -> ContinualSum | None:
        """The segment's noisy sums as they were released so far."""
        work, privacy = self._work, segment.opened.declared.privacy
        increments = []
        for event_id, sealed in segment.increments:
            plain = work.keys.unseal(work.subject, sealed, context=event_id + b"increment")
            if plain is None:
                return None
            increments.append(msgspec.msgpack.decode(plain, type=list[int]))
        state = ContinualState(
            steps=privacy.episodes,
            sigma=str(Fraction(str(privacy.sigma))),
            units=work.enclave.layout.units,
            increments=np.array(increments, "<i8").tobytes(),
            released=np.array(segment.values, "<i8").tobytes(),
        )
        return ContinualSum.of(state, work.pool)

    def _drawn(
        self,
        stream: ContinualSum,
        increment: list[int],
        release: Release,
        state: Recomputation,
    ) -> Drawn:
        """In a thread: the noise and the figures; ``state`` is a copy."""
        layout = self._work.enclave.layout
        noisy = stream.add(increment)
        eligible = state.flights[release.ad].ad.eligible
        blocks = [one for one in layout.blocks if one.attribute in eligible]
        release = msgspec.structs.replace(
            release,
            sums={one.attribute: tuple(noisy[one.start : one.stop]) for one in blocks},
            unit={one.attribute: one.unit for one in blocks},
            # Who may not be measured, and who was reached more often than the cap, is in no sum.
            counted=layout.counted(noisy),
        )
        wrong = state.apply(release)
        assert not wrong, wrong
        return Drawn(
            release=release,
            values=stream.released[-1],
            increment=increment,
            figures=figures_of(state, release.ad),
        )
