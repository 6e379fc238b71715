"""Check a whole audit log: every hash, every signature, every figure, every coverage table.

It trusts nothing that the log says of itself but its signed sums. What it needs from elsewhere to
be of worth: the public key that the log began with, and a head that was published outside. Where an
estimated figure has no model, prior or budget record before it, its de-attenuated half cannot be
recomputed: that is counted and said, never passed over; its proxy half and the arithmetic of
coverage are checked all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct

from ringwork.fairness.coverage import wrong_in
from ringwork.fairness.log import Broken, Chain, Head, Record, Unreadable, lines
from ringwork.fairness.recompute import Recomputation
from ringwork.fairness.records import (
    AnyBody,
    Control,
    Figure,
    Genesis,
    Override,
    Plan,
    Report,
    read_body,
)

SOUND, DIFFERS, BROKEN, UNREADABLE = range(4)
"""Verdicts, which are the exit codes of the command."""
WORDS: Final = ("sound", "a figure differs", "broken", "unreadable")
FINDINGS_MAX: Final = 20
"""Findings that are told; all are counted."""
STEP: Final = 16
"""Records between two words of progress; a figure takes some ten milliseconds."""


class Finding(Struct, frozen=True):
    """What is wrong with a record."""

    seq: int
    detail: str


class Audit(Struct, kw_only=True):
    """What was found."""

    verdict: int = SOUND
    log: str = ""
    public_key: str = ""
    """Of the genesis record."""
    is_key_from_outside: bool = False
    """Whether somebody else said which key it should be; else whoever made the log chose it."""
    is_head_from_outside: bool = False
    head: Head | None = None
    records: int = 0
    unsigned: int = 0
    """Records after the last signature: nobody vouches for them yet."""
    torn_bytes: int = 0
    """Of a last line without an end, which a crash leaves; they are no record."""
    kinds: dict[str, int] = {}
    figures: int = 0
    figures_unverifiable: int = 0
    """Of ``figures``: those whose de-attenuated half lacks what it is recomputed from."""
    coverage_rows: int = 0
    reports: int = 0
    overrides: int = 0
    findings_total: int = 0
    findings: list[Finding] = []

    @property
    def word(self) -> str:
        return WORDS[self.verdict]


class Auditor:
    """Takes lines in their order; ``finish`` says what was found. Stops at a broken record."""

    def __init__(
        self, *, public_key: str | None = None, head: Head | None = None, period: str | None = None
    ) -> None:
        """``public_key``, ``head``: what was published outside; they are held against the log.

        ``period``: figures are recomputed up to the end of this one, and ``state`` is that of then;
        chain and signatures are checked to the end in any case.
        """
        self.state = Recomputation()
        self.found = Audit(
            is_key_from_outside=public_key is not None or head is not None,
            is_head_from_outside=head is not None,
        )
        self.report: Report | None = None
        """The newest one."""
        self.overrides: list[tuple[int, Override]] = []
        self.held: Counter[str] = Counter()
        """Decisions that a controller held, by ad."""
        self.time_us = 0
        """Of the newest record."""
        self.is_past = False
        """Whether a later period than the asked one has begun."""
        self._period = period
        self._chain = Chain()
        self._keys = {one for one in (public_key, head and head.public_key) if one}
        self._published = head
        self._kinds: Counter[str] = Counter()
        self._last: Record | None = None

    @property
    def genesis(self) -> Genesis | None:
        return self._chain.genesis

    def take(self, line: bytes) -> None:
        """Check one line. Raises Broken (or Unreadable) where nothing after it can be trusted."""
        record = self._chain.follow(line)
        self._hold_against_published(record)
        self._last = record
        self._kinds[record.kind] += 1
        try:
            body = read_body(record.kind, record.body)
        except msgspec.ValidationError as error:
            raise Unreadable(record.seq, f"{record.kind}: {error}") from None
        plan = self.state.plan
        if isinstance(body, Plan) and plan is not None and self._period == plan.period:
            self.is_past |= body.period != plan.period
        if not self.is_past:
            self.time_us = record.time_us
            if body is not None:
                self._recompute(record, body)

    def _hold_against_published(self, record: Record) -> None:
        genesis, published = self._chain.genesis, self._published
        assert genesis is not None
        if record.seq == 0:
            if self._keys - {genesis.public_key}:
                raise Broken(0, f"begun with the key {genesis.public_key}, another was published")
            if published is not None and published.log != genesis.log:
                raise Broken(0, f"the log {genesis.log}, that of {published.log} was published")
        if published is not None and published.seq == record.seq and published.hash != record.hash:
            raise Broken(record.seq, f"another hash than was published, {published.hash}")

    def _recompute(self, record: Record, body: AnyBody) -> None:
        wrong = self.state.apply(body)
        match body:
            case Figure():
                self.found.figures += 1
                figure = self.state.figure(body.ad, body.attribute, body.by)
                self.found.figures_unverifiable += figure is not None and not figure.is_verifiable
            case Report():
                wrong += wrong_in(body, self.state)
                self.found.reports += 1
                self.found.coverage_rows += len(body.coverage)
                self.report = body
            case Control(held=True):
                self.held[body.ad] += 1
            case Override():
                self.overrides.append((record.time_us, body))
                self.found.overrides += 1
        for detail in wrong:
            self._find(DIFFERS, record.seq, detail)

    def stop(self, broken: Broken) -> None:
        """Note what ended the reading."""
        verdict = UNREADABLE if isinstance(broken, Unreadable) else BROKEN
        self.found.findings.append(Finding(broken.seq, broken.detail))
        self.found.findings_total += 1
        self.found.verdict = verdict

    def finish(self, *, torn_bytes: int = 0) -> Audit:
        """What was found, once; the end is held against the published head."""
        found, chain, published = self.found, self._chain, self._published
        if not chain.next_seq and found.verdict == SOUND:
            self._find(UNREADABLE, 0, "expected a genesis record, got an empty log")
        if published is not None and published.seq >= chain.next_seq and found.verdict < BROKEN:
            detail = f"cut: record {published.seq} was published, the log ends before it"
            self._find(BROKEN, chain.next_seq, detail)
        if chain.genesis is not None and self._last is not None:
            found.log, found.public_key = chain.genesis.log, chain.genesis.public_key
            found.head = Head(found.log, self._last.seq, self._last.hash, found.public_key)
        found.findings.sort(key=lambda one: one.seq)
        found.records = chain.next_seq
        found.unsigned = chain.next_seq - 1 - chain.signed_through
        found.torn_bytes = torn_bytes
        found.kinds = dict(sorted(self._kinds.items()))
        return found

    def _find(self, verdict: int, seq: int, detail: str) -> None:
        self.found.verdict = max(self.found.verdict, verdict)
        self.found.findings_total += 1
        if len(self.found.findings) < FINDINGS_MAX:
            self.found.findings.append(Finding(seq, detail))


def audited(
    file: BinaryIO,
    *,
    public_key: str | None = None,
    head: Head | None = None,
    period: str | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> Auditor:
    """An auditor that has read a whole log: ``found`` is what it found, ``state`` the figures."""
    auditor, torn = Auditor(public_key=public_key, head=head, period=period), 0
    try:
        for number, line in enumerate(lines(file)):
            if not line.endswith(b"\n"):
                torn = len(line)
                break
            auditor.take(line)
            if progress is not None and number % STEP == 0:
                progress("checking records", number)
    except Broken as broken:
        auditor.stop(broken)
    auditor.finish(torn_bytes=torn)
    return auditor
