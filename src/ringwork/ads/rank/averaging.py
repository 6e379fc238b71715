"""Frequent weights as they are on average, not as the last few responses left them.

Every weight of a row takes the whole gradient, so the bias and the common values of a request,
which are many and move together, keep swinging: after a million impressions the level of the
predictions is still 4 % off in either direction at any one moment, and right only on the whole.
What is served are therefore averages over the last two thousand responses (B. Polyak, A. Juditsky
1992) of the weights that know enough to be averaged: the level then swings by 0.7 %. The swing of
rare weights is their own: it evens out over ads, and averaging would only make new ads slow.

Moments of averaging are a number of rows apart that is fixed one moment ahead, so they are as
likely before as after a response, and do not depend on how rows are cut into calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_INFORMATION_MIN: Final = 100.0
"""A weight whose sum of squared gradients is this has seen about as many responses."""
_RESPONSES_APART: Final = 32
_MOMENTS: Final = 64
"""Times 32: two thousand responses. The level then swings by less than 1 %."""
_SHARE_OF_HISTORY: Final = 4
"""While there are fewer moments, the newest quarter of them counts."""
_ROWS_APART: Final = (256, 65_536)
_LOOK_EVERY: Final = 64
"""Moments between two looks for weights that have become frequent: a look costs milliseconds."""


class _State(Struct, frozen=True, array_like=True):
    moments: int
    rows: int
    responses: int
    rows_left: int
    slots: bytes
    means: bytes


class Averages:
    """The running means of a learner's frequent weights."""

    def __init__(self) -> None:
        self._moments = self._rows = self._responses = 0
        self.rows_left = _ROWS_APART[0]
        """Rows to be learned before the next ``take``."""
        self._slots: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._means: Floats = np.empty(0)

    def count(self, labels: Floats) -> None:
        """Rows were learned: at most ``rows_left``."""
        assert len(labels) <= self.rows_left
        self._rows += len(labels)
        self._responses += int(labels.sum())
        self.rows_left -= len(labels)

    def take(self, weights: Floats, information: Floats) -> None:
        """Average the frequent weights as they are now."""
        few = self._moments & (self._moments - 1) == 0
        if few or self._moments % _LOOK_EVERY == 0:
            frequent = np.flatnonzero(information >= _INFORMATION_MIN)
            means = weights[frequent]
            means[np.searchsorted(frequent, self._slots)] = self._means
            self._slots, self._means = frequent, means
        step = max(1.0 / _MOMENTS, _SHARE_OF_HISTORY / (self._moments + _SHARE_OF_HISTORY))
        self._means += step * (weights[self._slots] - self._means)
        self._moments += 1
        apart = _RESPONSES_APART * self._rows // max(self._responses, 1)
        self.rows_left = min(max(apart, _ROWS_APART[0]), _ROWS_APART[1])

    def put(self, weights: Floats) -> None:
        """Replace the frequent ones of ``weights`` by their means."""
        weights[self._slots] = self._means

    def dump(self) -> bytes:
        """The state as bytes; equal states give equal bytes."""
        slots, means = self._slots.astype("<i8"), self._means.astype("<f8")
        counts = self._moments, self._rows, self._responses, self.rows_left
        return msgspec.msgpack.encode(_State(*counts, slots.tobytes(), means.tobytes()))

    @classmethod
    def load(cls, state: bytes) -> Averages:
        """The averages from ``dump``'s bytes."""
        told = msgspec.msgpack.decode(state, type=_State)
        averages = cls()
        averages._moments, averages._rows = told.moments, told.rows
        averages._responses, averages.rows_left = told.responses, told.rows_left
        averages._slots = np.frombuffer(told.slots, "<i8").astype(np.int64)
        averages._means = np.frombuffer(told.means, "<f8").astype(np.float64)
        return averages
