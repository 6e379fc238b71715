"""How often each described person was shown any ad, by day, as far back as the plan looks.

What the eligible ratio is weighted by (specification 4.1). Two bytes for each person and day, so a
million people and a month are 60 MB; what is older than the window is gone. A part of the fold of
people: special ads' impressions come one by one, all others counted, since an event for each sale
would be too many.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

DAY_US: Final = 86_400_000_000
WINDOW_DAYS: Final = 30
"""Kept until an event says what the plan's window is."""
A_DAY_MAX: Final = 65_535
"""Of one person: more are no more, and no person weighs more than it."""

Whole = NDArray[np.int64]


class RecentImpressions:
    """A row for each person, a column for each day of a ring."""

    def __init__(self) -> None:
        self.clear()

    def __len__(self) -> int:
        return len(self._at)

    def clear(self) -> None:
        self.window_days = WINDOW_DAYS
        self._today = 0
        """The newest day that anything was of."""
        self._at: dict[bytes, int] = {}
        self._free: list[int] = []
        self._counts = np.zeros((0, self.window_days), np.uint16)

    def add(self, subject: bytes, day: int, impressions: int) -> None:
        """Count; what is older than the window counts for nothing, whatever a clock did."""
        if day > self._today:
            self._turn(day)
        if day <= self._today - self.window_days:
            return
        row = self._at.get(subject)
        if row is None:
            if not self._free:
                self._grow()
            row = self._at[subject] = self._free.pop()
        column = day % self.window_days
        counted = int(self._counts[row, column]) + impressions
        self._counts[row, column] = min(counted, A_DAY_MAX)

    def keep(self, window_days: int) -> None:
        """From here on so many days; of a longer window the first days are not known."""
        if window_days == self.window_days:
            return
        counts = np.zeros((len(self._counts), window_days), np.uint16)
        for day in self._days(self._today, window_days):
            counts[:, day % window_days] = self._counts[:, day % self.window_days]
        self.window_days, self._counts = window_days, counts

    def forget(self, subject: bytes) -> None:
        """Nothing of a person is left."""
        row = self._at.pop(subject, None)
        if row is not None:
            self._counts[row] = 0
            self._free.append(row)

    def of(self, subjects: Iterable[bytes], *, today: int, window_days: int) -> Whole:
        """Impressions of each, in the ``window_days`` that end with ``today``."""
        days = self._days(today, window_days)
        columns = [day % self.window_days for day in days]
        # Who is not there has the row behind the last one.
        totals = np.append(self._counts[:, columns].sum(axis=1, dtype=np.int64), 0)
        row = self._at.get
        at = np.fromiter((row(subject, -1) for subject in subjects), np.int64)
        found: Whole = totals[at]
        return found

    def dump(self) -> bytes:
        """Equal states dump equal bytes, whatever rows their people have."""
        counts = self._counts[list(self._at.values())].astype("<u2").tobytes()
        return msgspec.msgpack.encode((self.window_days, self._today, list(self._at), counts))

    def load(self, state: bytes) -> None:
        self.window_days, self._today, subjects, counts = _decode(state)
        shape = len(subjects), self.window_days
        self._counts = np.frombuffer(counts, "<u2").reshape(shape).astype(np.uint16)
        self._at = {subject: row for row, subject in enumerate(subjects)}
        self._free = []

    def _days(self, today: int, window_days: int) -> range:
        """Days of a window that are kept here; none of the future."""
        first = max(today - window_days, self._today - self.window_days) + 1
        return range(max(first, 0), min(today, self._today) + 1)

    def _turn(self, day: int) -> None:
        """A new day takes the column of one that is over."""
        gone = range(max(self._today + 1, day - self.window_days + 1), day + 1)
        self._counts[:, [one % self.window_days for one in gone]] = 0
        self._today = day

    def _grow(self) -> None:
        size = len(self._counts)
        more = max(1024, size)
        self._counts = np.vstack([self._counts, np.zeros((more, self.window_days), np.uint16)])
        self._free += range(size + more - 1, size - 1, -1)


_decode: Final = msgspec.msgpack.Decoder(tuple[int, int, list[bytes], bytes]).decode
