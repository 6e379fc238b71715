"""Writes an audit log that its own audit finds sound: every record is recomputed before it is kept.

The figures and reports of a log are made here, from the releases that the log already holds, by the
code that the audit recomputes them with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from ringwork.fairness.coverage import report_of, wrong_in
from ringwork.fairness.log import LogWriter, Record, Signer, resume
from ringwork.fairness.recompute import Recomputation
from ringwork.fairness.records import (
    AnyBody,
    By,
    Figure,
    Plan,
    Prior,
    Reach,
    Report,
    read_body,
    refused,
)


class Trail:
    """One audit log that is being written, with the state that its records give."""

    def __init__(self, writer: LogWriter, state: Recomputation | None = None) -> None:
        """``state``: of the records that stand; None for a new log."""
        self.writer = writer
        self.state = state or Recomputation()

    @classmethod
    def resumed(cls, file: BinaryIO, signer: Signer) -> tuple[Trail, int]:
        """Goes on where a log stands; see ``log.resume`` for the bytes and the errors."""
        state = Recomputation()

        def seen(record: Record) -> None:
            body = read_body(record.kind, record.body)
            if body is not None:
                state.apply(body)

        try:
            writer, torn = resume(file, signer, seen)
        except msgspec.ValidationError as error:
            raise refused(f"the log holds what is no record of its version: {error}") from None
        return cls(writer, state), torn

    def record(self, body: AnyBody, *, time_us: int) -> Record:
        """Keep one record. Refused (record-invalid) where it does not follow from those before."""
        wrong = self.state.apply(body)
        if isinstance(body, Report):
            wrong += wrong_in(body, self.state)
        if wrong:
            raise refused("; ".join(wrong))
        return self.writer.append(body, time_us=time_us)

    def figures(self, ad: str, *, time_us: int) -> list[Figure]:
        """State every figure that the newest release of an ad gives, and keep them.

        See ``figures_of``. Refused (record-invalid) where sums and shares do not fit each other.
        """
        stated = figures_of(self.state, ad)
        for figure in stated:
            self.state.take(figure)  # computed once: it takes milliseconds
            self.writer.append(figure, time_us=time_us)
        return stated

    def learn_priors(self, *, time_us: int) -> list[Prior]:
        """Keep what the period's releases so far say of how far ads differ; its figures again.

        For estimated attributes that have a model and enough ads; those of fewer keep the prior
        they have (of the period before, or the plan's default).
        """
        plan = self._plan("priors")
        learned = [found for one in plan.estimated if (found := self.state.prior(one)) is not None]
        for prior in learned:
            self.record(prior, time_us=time_us)
        if learned:
            for ad, _ in list(self.state.of_period()):
                self.figures(ad, time_us=time_us)
        return learned

    def report(self, *, time_us: int, reach: Sequence[Reach] = ()) -> Report:
        """Report the period so far, signed. Refused (record-invalid) without a plan."""
        report = report_of(self.state, self._plan("report"), reach)
        self.record(report, time_us=time_us)
        return report

    def _plan(self, what: str) -> Plan:
        if self.state.plan is None:
            raise refused(f"{what}: expected a plan before")
        return self.state.plan


def figures_of(state: Recomputation, ad: str) -> list[Figure]:
    """Every figure that the newest release of an ad gives; nothing is kept.

    Left out: attributes of which nobody with a known group was reached, and estimated ones while no
    model, prior or budget says what to correct them with. Refused (record-invalid) where sums and
    shares do not fit each other.
    """
    stated = []
    for attribute, by in _askable(state, ad):
        try:
            found = state.computed(ad, attribute, by)
        except LookupError as error:
            raise refused(f"figure of {ad}, {attribute} by {by}: {error.args[0]}") from None
        if found.proxy_ppb is None or not found.is_verifiable:
            continue
        stated.append(
            Figure(
                ad=ad,
                attribute=attribute,
                by=by,
                episode=found.episode,
                impressions=found.impressions,
                proxy_ppb=found.proxy_ppb,
                deattenuated_ppb=found.deattenuated_ppb,
                interval_ppb=found.interval_ppb,
                band_ppb=found.band_ppb,
                within_ppm=found.within_ppm,
            )
        )
    return stated


def _askable(state: Recomputation, ad: str) -> list[tuple[str, By]]:
    """By impressions what the newest release has sums of; by people what all segments have."""
    plan, flight = state.plan, state.flights.get(ad)
    if plan is None or flight is None or not flight.is_in_period:
        raise refused(f"figures of {ad}: expected a plan, the ad and a release before them")
    segments = flight.released()
    found: list[tuple[str, By]] = []
    for one in sorted(plan.attributes):
        if one in segments[-1][1].sums:
            found.append((one, "impressions"))
        if all(
            one in release.people_sums
            and one in segment.ad.eligible
            and segment.ad.eligible[one].people_shares_ppb
            for segment, release in segments
        ):
            found.append((one, "people"))
    return found
