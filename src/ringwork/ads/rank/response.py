"""The response model of the platform: learns every head from the log's events, publishes versions.

A *head* is a kind of response: a click per impression, a conversion per click, a viewable
impression, a completed view. An impression waits until its head's window has ended and is then
learned once, with its label. Everything follows the events alone, in their order and by their time,
so that a replay of the log publishes the same versions, bit for bit:

    shown / responded   what the log says happened
    advance             event time went on: rows whose window ended are learned
    publish             a new ``Snapshot``; call it where the log says that one was published

The log-odds that rows had before they were learned are honest predictions; every tier's calibration
is fitted on those (``calibrate``), so that a head is calibrated as it serves: one model ahead of
its data. Before anything is known, every probability is the head's prior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct

from ringwork.ads.rank import calibrate
from ringwork.ads.rank.delay import share_in_window
from ringwork.ads.rank.ftrl import BITS, Ftrl, Rates, log_odds, undo_sampling
from ringwork.ads.rank.snapshot import TIERS, HeadSnapshot, Snapshot, Tier
from ringwork.ads.rank.waiting import Due, Row, Waiting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Keys = NDArray[np.int64]
    Floats = NDArray[np.float64]

WAITING_MAX: Final = 2**18
"""Rows that wait per head: 40 minutes of 100 impressions a second, 60 MB when full."""
EVIDENCE_RESPONSES: Final = 20_000
"""Responses after which a tier forgets its older half of evidence: 0.7 % of noise in the level."""
_EVIDENCE_FIRST: Final = 250
"""The same, the first time."""
_FORGET_DELAYS: Final = 20_000
"""Delays after which their sums are halved, so that a change of habits is seen."""


class Head(Struct, frozen=True, kw_only=True):
    """What a head predicts and how long its label is waited for."""

    name: str
    prior_ppb: Annotated[int, Meta(ge=1, lt=10**9)]
    """The probability before anything is learned, in 1e-9."""
    window_s: Annotated[int, Meta(ge=1)]
    after: str = ""
    """The head whose response starts this one's window; empty: the impression starts it."""
    negatives_kept: Annotated[float, Meta(gt=0, le=1)] = 1.0
    """The share of rows without a response that is learned; probabilities are corrected for it."""


HEADS: Final = (
    Head(name="click", prior_ppb=5_000_000, window_s=1800),
    Head(name="viewable", prior_ppb=500_000_000, window_s=300),
    Head(name="completed", prior_ppb=500_000_000, window_s=600),
    Head(name="conversion", prior_ppb=20_000_000, window_s=7 * 86_400, after="click"),
)
"""The window is for learning only: what a late click or conversion costs is not decided here."""


class _State(Struct, frozen=True, array_like=True):
    version: int
    learners: list[bytes]
    queues: list[bytes]
    evidence: list[bytes]
    delays: list[tuple[int, int]]
    learned: list[list[int]]


class ResponseModel:
    """All heads, with the ``dump``, ``load`` and ``clear`` that a ``Fold`` needs."""

    def __init__(
        self,
        heads: Sequence[Head] = HEADS,
        *,
        rates: Rates | None = None,
        bits: int = BITS,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        """Raises ``ValueError`` when two heads share a name or one follows a head that is not."""
        names = [head.name for head in heads]
        if len(set(names)) < len(names) or not {head.after for head in heads} <= {"", *names}:
            raise ValueError(f"expected heads of different names that follow each other: {names}")
        self._rates, self._bits, self._waiting_max = rates or Rates(), bits, waiting_max
        self._heads = {head.name: _Learning(head, self._rates, bits, waiting_max) for head in heads}
        self._version = 0

    def clear(self) -> None:
        """Back to knowing nothing."""
        self._heads = {
            name: _Learning(one.head, self._rates, self._bits, self._waiting_max)
            for name, one in self._heads.items()
        }
        self._version = 0

    def shown(
        self,
        impression_id: bytes,
        context: Keys,
        ad: Keys,
        tier: Tier,
        *,
        ts_us: int,
        heads: Sequence[str] = ("click", "viewable"),
    ) -> None:
        """An impression happened: from now on its label is waited for, in each of ``heads``.

        One that cannot wait (queue full, id known) is counted, not raised: serving goes on.
        Raises ``ValueError`` for an unknown head or tier.
        """
        chosen = [self._head(name) for name in heads]
        row = Row(context, ad, _tier_number(tier))
        for one in chosen:
            one.waiting.put(impression_id, row, ts_us=ts_us)

    def responded(self, head: str, impression_id: bytes, *, ts_us: int) -> None:
        """The impression's response happened. After its window it is counted as unmatched.

        Heads that follow this one begin to wait. Raises ``ValueError`` for an unknown head.
        """
        one = self._head(head)
        found = one.waiting.respond(impression_id, ts_us=ts_us)
        if found is None:
            return
        row, waited_us = found
        one.delays.add(waited_us)
        for follower in self._heads.values():
            if follower.head.after == head:
                follower.waiting.put(impression_id, row, ts_us=ts_us)

    def advance(self, now_us: int) -> int:
        """Learn the rows whose window has ended at event time ``now_us``; returns how many."""
        learned = 0
        for one in self._heads.values():
            due = one.waiting.take(now_us)
            if due is not None:
                learned += one.learn_due(due)
        return learned

    def learn(
        self,
        head: str,
        context: Keys,
        ad: Keys,
        label: int,
        weight: float = 1.0,
        *,
        tier: Tier = "general",
    ) -> float:
        """Learn one row whose label is known; returns its log-odds before that.

        Raises ``ValueError`` for an unknown head or tier, a label other than 0 and 1, or a weight
        outside (0, 10**6]; then nothing is learned.
        """
        labels, weights = np.array([label], dtype=np.float64), np.array([weight], dtype=np.float64)
        tiers = np.array([_tier_number(tier)])
        return float(
            self._head(head).learn(context[None, :], ad[None, :], labels, weights, tiers)[0]
        )

    def learn_many(
        self,
        head: str,
        contexts: Keys,
        ads: Keys,
        labels: Floats,
        weights: Floats | None = None,
        *,
        tiers: Keys,
    ) -> Floats:
        """Learn rows in order; ``tiers`` are numbers in ``TIERS``. Raises as ``learn`` does."""
        if len(tiers) != len(labels) or not np.all((tiers >= 0) & (tiers < len(TIERS))):
            raise ValueError(f"expected a tier from 0 to {len(TIERS) - 1} for every row")
        weights = np.ones(len(labels)) if weights is None else weights
        return self._head(head).learn(contexts, ads, labels, weights, tiers)

    def publish(self) -> Snapshot:
        """The next version, from all that was learned until now."""
        self._version += 1
        heads = {name: one.snapshot() for name, one in self._heads.items()}
        return Snapshot(version=self._version, heads=heads)

    def learned(self) -> Mapping[str, Mapping[Tier, int]]:
        """Rows learned, by head and tier: the provenance of every later version."""
        return {
            name: dict(zip(TIERS, one.learned.tolist(), strict=True))
            for name, one in self._heads.items()
        }

    def queues(self) -> Mapping[str, Mapping[str, int]]:
        """By head: rows that wait, were refused, were repeated; responses that met no row."""
        return {
            name: {
                "waiting": len(one.waiting),
                "refused": one.waiting.refused,
                "repeated": one.waiting.repeated,
                "unmatched": one.waiting.unmatched,
            }
            for name, one in self._heads.items()
        }

    def dump(self) -> bytes:
        """The state as bytes; equal states give equal bytes."""
        heads = list(self._heads.values())
        state = _State(
            self._version,
            [one.learner.dump() for one in heads],
            [one.waiting.dump() for one in heads],
            [one.evidence.astype("<f8").tobytes() for one in heads],
            [(one.delays.count, one.delays.sum_us) for one in heads],
            [one.learned.tolist() for one in heads],
        )
        return msgspec.msgpack.encode(state)

    def load(self, state: bytes) -> None:
        """Replace the state by a dumped one of a model with the same heads."""
        told = msgspec.msgpack.decode(state, type=_State)
        self._version = told.version
        columns = (told.learners, told.queues, told.evidence, told.delays, told.learned)
        for one, *parts in zip(self._heads.values(), *columns, strict=True):
            learner, queue, evidence, delays, learned = parts
            one.learner = Ftrl.load(learner)
            one.waiting.load(queue)
            one.evidence = np.frombuffer(evidence, "<f8").reshape(one.evidence.shape).copy()
            one.delays.count, one.delays.sum_us = delays
            one.learned = np.array(learned, dtype=np.int64)

    def _head(self, name: str) -> _Learning:
        found = self._heads.get(name)
        if found is None:
            raise ValueError(f"expected one of the heads {sorted(self._heads)}, got {name!r}")
        return found


class _Delays:
    """How long responses took, inside the window: integers, so that replay is exact."""

    def __init__(self) -> None:
        self.count = self.sum_us = 0

    def add(self, waited_us: int) -> None:
        self.count += 1
        self.sum_us += waited_us
        if self.count >= _FORGET_DELAYS:
            self.count //= 2
            self.sum_us //= 2


class _Learning:
    """One head while it learns."""

    def __init__(self, head: Head, rates: Rates, bits: int, waiting_max: int) -> None:
        self.head = head
        prior = log_odds(head.prior_ppb / calibrate.ONE_PPB) - np.log(head.negatives_kept)
        self.learner = Ftrl(prior=float(prior), rates=rates, bits=bits)
        self.waiting = Waiting(
            window_s=head.window_s, capacity=waiting_max, negatives_kept=head.negatives_kept
        )
        self.delays = _Delays()
        self.evidence: Floats = np.zeros((2, len(TIERS), 2, calibrate.BINS))
        """[newer or older, tier, rows or responses, bin of the log-odds]."""
        self.learned: Keys = np.zeros(len(TIERS), dtype=np.int64)

    def learn_due(self, due: Due) -> int:
        self.learn(due.contexts, due.ads, due.labels, np.ones(len(due.labels)), due.tiers)
        return len(due.labels)

    def learn(
        self, contexts: Keys, ads: Keys, labels: Floats, weights: Floats, tiers: Keys
    ) -> Floats:
        logits = self.learner.learn_many(contexts, ads, labels, weights)
        bins = calibrate.bins_of(logits)
        # One row after the other, so that the sums do not depend on how rows are cut into calls.
        rows = tiers * (2 * calibrate.BINS) + bins
        newer = self.evidence[0].reshape(-1)
        np.add.at(newer, rows, weights)
        np.add.at(newer, rows + calibrate.BINS, weights * labels)
        self.learned += np.bincount(tiers, minlength=len(TIERS))
        return logits

    def snapshot(self) -> HeadSnapshot:
        share = share_in_window(
            self.delays.count, self.delays.sum_us / 1e6, float(self.head.window_s)
        )
        tables = np.stack([self._table(tier, share) for tier in range(len(TIERS))])
        tables.flags.writeable = False
        return HeadSnapshot(
            weights=self.learner.weights(),
            variances=self.learner.variances(),
            prior=self.learner.prior,
            clip=self.learner.rates.clip,
            tables=tables,
        )

    def _table(self, tier: int, share: float) -> Keys:
        rows, responses = self.evidence[:, tier].sum(axis=0)
        newer, older = self.evidence[:, tier]
        # Twice as much each time: what a beginner predicted must not judge what it has become.
        enough = max(_EVIDENCE_FIRST, 2.0 * older[1].sum())
        if newer[1].sum() >= min(enough, EVIDENCE_RESPONSES):
            older[:] = newer
            newer[:] = 0.0
        probabilities = calibrate.curve(rows, responses)
        probabilities = undo_sampling(probabilities, self.head.negatives_kept)
        return calibrate.table(np.minimum(probabilities / share, 1.0))


def _tier_number(tier: Tier) -> int:
    if tier not in TIERS:
        raise ValueError(f"expected one of the tiers {TIERS}, got {tier!r}")
    return TIERS.index(tier)
