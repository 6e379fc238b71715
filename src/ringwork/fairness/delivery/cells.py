"""What the auctions of measured ads looked like, by cluster and value bin; a fold of the log.

The controllers' ``Traffic``. An ad's usual value is the mean of its first opportunities, so these
wait, as they were, until there are enough. Prices to beat are taken relative to it and cut at the
ends: where nobody else competes the floor is to be beaten, which may be nothing, and the mean of
logarithms must stay finite.
"""

from __future__ import annotations

import math
from typing import ClassVar, Final

import msgspec
import numpy as np
from msgspec import Struct

from ringwork.fairness.control.model import Floats, Traffic
from ringwork.fairness.control.steering import VALUE_BINS, bins_of
from ringwork.fairness.delivery.events import Contest, SpecialAdsCompeted, SumsReleased
from ringwork.kernel.events import Event, Recorded

SCALED_AFTER: Final = 50
"""Opportunities whose mean value is an ad's scale."""
RELATIVE_MIN: Final = 1 / 64
RELATIVE_MAX: Final = 64.0
"""Values and prices beyond it say nothing more of where the others are."""
CLUSTERS_MAX: Final = 4096


class _Seen(Struct, frozen=True, array_like=True, gc=False):
    """An opportunity that waits for the ad's scale."""

    cluster: int
    value_nanos: int
    to_beat_nanos: int
    has_won: bool


class _Cells(Struct, array_like=True):
    """One ad."""

    scale_nanos: int = 0
    waiting: list[_Seen] = []
    opportunities: dict[int, int] = {}
    """Cell, cluster * VALUE_BINS + bin -> how many."""
    wins: dict[int, int] = {}
    released_wins: dict[int, int] = {}
    """As they were at the newest release."""
    log_value: dict[int, float] = {}
    """Cluster -> sum."""
    log_price: dict[int, float] = {}
    squares: tuple[float, float] = (0.0, 0.0)
    """Of log value and of log price."""
    paid_nanos: int = 0
    """What the wins had to beat: about what they cost."""


class Cells:
    """The fold."""

    name: ClassVar[str] = "fairness_cells"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (SpecialAdsCompeted, SumsReleased)

    def __init__(self) -> None:
        self._ads: dict[str, _Cells] = {}

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        if isinstance(event, SpecialAdsCompeted):
            if 0 <= event.cluster < CLUSTERS_MAX:
                for contest in event.contests:
                    self._take(event.cluster, contest)
        elif isinstance(event, SumsReleased):
            cells = self._ads.get(event.charged.ad)
            if cells is not None:
                cells.released_wins = dict(cells.wins)

    def _take(self, cluster: int, contest: Contest) -> None:
        if contest.value_nanos <= 0:
            return
        cells = self._ads.get(contest.ad)
        if cells is None:
            cells = self._ads[contest.ad] = _Cells()
        if contest.has_won:
            cells.paid_nanos += contest.to_beat_nanos
        seen = _Seen(cluster, contest.value_nanos, contest.to_beat_nanos, contest.has_won)
        if cells.scale_nanos:
            _count(cells, seen)
            return
        cells.waiting.append(seen)
        if len(cells.waiting) >= SCALED_AFTER:
            total = sum(one.value_nanos for one in cells.waiting)
            cells.scale_nanos = max(total // len(cells.waiting), 1)
            for one in cells.waiting:
                _count(cells, one)
            cells.waiting = []

    def scale_nanos(self, ad: str) -> int:
        """An ad's usual value; 0 where too little is known of it."""
        cells = self._ads.get(ad)
        return 0 if cells is None else cells.scale_nanos

    def cost_nanos(self, ad: str) -> int:
        """About what a win of the ad costs; its usual value where it has none."""
        cells = self._ads.get(ad)
        if cells is None:
            return 0
        wins = sum(cells.wins.values())
        return cells.paid_nanos // wins if wins else cells.scale_nanos

    def wins(self, ad: str) -> int:
        """How many of its auctions an ad won."""
        cells = self._ads.get(ad)
        return 0 if cells is None else sum(cells.wins.values())

    def traffic(self, ad: str, clusters: int) -> Traffic:
        """What a controller takes, over so many clusters; none where nothing is known."""
        cells = self._ads.get(ad) or _Cells()
        return Traffic(
            opportunities=_dense(cells.opportunities, clusters),
            wins=_dense(cells.wins, clusters),
            log_value=_by_cluster(cells.log_value, clusters),
            log_price=_by_cluster(cells.log_price, clusters),
            log_value_square=cells.squares[0],
            log_price_square=cells.squares[1],
        )

    def released_wins(self, ad: str, clusters: int) -> Floats:
        """[C, B] wins at the newest release."""
        cells = self._ads.get(ad) or _Cells()
        return _dense(cells.released_wins, clusters)

    def clear(self) -> None:
        self._ads.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(self._ads)

    def load(self, state: bytes) -> None:
        self._ads = _decode(state)


_decode: Final = msgspec.msgpack.Decoder(dict[str, _Cells]).decode


def _count(cells: _Cells, seen: _Seen) -> None:
    value = seen.value_nanos / cells.scale_nanos
    price = min(max(seen.to_beat_nanos / cells.scale_nanos, RELATIVE_MIN), RELATIVE_MAX)
    number = int(bins_of(np.array([value], np.float32))[0])
    cell = seen.cluster * VALUE_BINS + number
    cells.opportunities[cell] = cells.opportunities.get(cell, 0) + 1
    if seen.has_won:
        cells.wins[cell] = cells.wins.get(cell, 0) + 1
    of_value = math.log(min(max(value, RELATIVE_MIN), RELATIVE_MAX))
    of_price = math.log(price)
    cells.log_value[seen.cluster] = cells.log_value.get(seen.cluster, 0.0) + of_value
    cells.log_price[seen.cluster] = cells.log_price.get(seen.cluster, 0.0) + of_price
    squares = cells.squares
    cells.squares = squares[0] + of_value * of_value, squares[1] + of_price * of_price


def _dense(cells: dict[int, int], clusters: int) -> Floats:
    out = np.zeros((clusters, VALUE_BINS))
    for cell, count in cells.items():
        cluster, number = divmod(cell, VALUE_BINS)
        if cluster < clusters:  # else it was of a table with more of them
            out[cluster, number] = count
    return out


def _by_cluster(sums: dict[int, float], clusters: int) -> Floats:
    out = np.zeros(clusters)
    for cluster, total in sums.items():
        if cluster < clusters:
            out[cluster] = total
    return out
