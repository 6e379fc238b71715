"""Rows that a version of the response model has not learned, to judge its predictions by.

They wait for their labels as they do in the model (``rank.waiting``) and are then kept instead of
learned: the newest of each head.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from ringwork.ads.rank.calibrate import ONE_PPB
from ringwork.ads.rank.reliability import Reliability, reliability
from ringwork.ads.rank.response import HEADS, WAITING_MAX
from ringwork.ads.rank.snapshot import TIERS, Snapshot, Tier
from ringwork.ads.rank.waiting import Due, Row, Waiting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Keys = NDArray[np.int64]

ROWS_MAX: Final = 100_000
"""Of a head: the level of one response in a hundred is then known within 3 %; 25 MB."""


class Holdout:
    """Takes what a model would learn (``learning.Model``); ``judge`` says how well one predicts."""

    def __init__(self, *, rows_max: int = ROWS_MAX, waiting_max: int = WAITING_MAX) -> None:
        self._rows_max = rows_max
        self._waiting = {
            head.name: Waiting(window_s=head.window_s, capacity=waiting_max) for head in HEADS
        }
        self._after = {head.name: head.after for head in HEADS}
        self.forget()

    def forget(self) -> None:
        """Drop what was kept: what comes from now on is not known to a version made here."""
        self._due: dict[str, deque[Due]] = {name: deque() for name in self._waiting}
        self._rows = dict.fromkeys(self._waiting, 0)

    def shown(
        self,
        impression_id: bytes,
        context: Keys,
        ad: Keys,
        tier: Tier,
        *,
        ts_us: int,
        heads: Sequence[str],
    ) -> None:
        """An impression, as a model is told of it."""
        row = Row(context, ad, TIERS.index(tier))
        for name in heads:
            self._waiting[name].put(impression_id, row, ts_us=ts_us)

    def responded(self, head: str, impression_id: bytes, *, ts_us: int) -> None:
        """A response, as a model is told of it."""
        found = self._waiting[head].respond(impression_id, ts_us=ts_us)
        if found is None:
            return
        for name, after in self._after.items():
            if after == head:
                self._waiting[name].put(impression_id, found[0], ts_us=ts_us)

    def advance(self, now_us: int) -> int:
        """Keep the rows whose window has ended; returns how many."""
        kept = 0
        for name, waiting in self._waiting.items():
            due = waiting.take(now_us)
            if due is not None:
                self._keep(name, due)
                kept += len(due.labels)
        return kept

    def publish(self) -> None:
        """Nothing was learned."""

    def judge(self, snapshot: Snapshot) -> Mapping[str, Reliability]:
        """Head -> how far the version's probabilities can be trusted; heads without rows left out.

        A probability is of a response at any time, a label of one within the window: where many
        come later, the ratio is above 1 and rightly so.
        """
        found = {}
        for name, dues in self._due.items():
            if not dues:
                continue
            contexts, ads, tiers, labels = (
                np.concatenate([getattr(due, column) for due in dues])[-self._rows_max :]
                for column in ("contexts", "ads", "tiers", "labels")
            )
            head = snapshot.head(name)
            p_ppb = head.p_ppb_many(head.pair_logits(contexts, ads), tiers)
            found[name] = reliability(p_ppb / ONE_PPB, labels)
        return found

    def _keep(self, name: str, due: Due) -> None:
        dues = self._due[name]
        dues.append(due)
        self._rows[name] += len(due.labels)
        while self._rows[name] - len(dues[0].labels) >= self._rows_max:
            self._rows[name] -= len(dues.popleft().labels)
