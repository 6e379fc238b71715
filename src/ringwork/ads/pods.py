"""Which spots make up an ad break, in what order and at what price (ads specification 3.8, 3.13).

The pod of the greatest total value within its seconds and its number of ads, in which no two ads
share what must be distinct, and a spot that asks for the first or the last position gets it.
Spots that share a label (an advertiser, a category, ...) form a class, of which at most one is
played; spots for which others can always stand in are left out; ``pod_search`` does the rest,
exactly.

Values and prices are worth of one play, in integer nanos. numpy is imported on first use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import gcd
from typing import TYPE_CHECKING, Final, Literal, get_args

from msgspec import Struct

from ringwork.ads.model import Distinct, DurationFloor, Sale
from ringwork.ads.pod_search import FIRST, LAST, MAX_STEPS, Search, TooManyConflicts
from ringwork.kernel.money import MAX_PRICE_NANOS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Ints = NDArray[np.int64]

MAX_SPOTS: Final = 200
"""Candidates for one break: some twenty buyers with a pod's worth of bids each."""
MAX_POD_S: Final = 600
"""Ten minutes: ten times what a person is interrupted in an hour by default (section 3.3)."""
MAX_ADS: Final = 20
"""Ads in one break: ten minutes of 30 s. At these three bounds the tables take 80 MB and 50 ms."""
_ENDS: Final = {0: 0, 1: FIRST, -1: LAST, 2: FIRST | LAST}
"""OpenRTB ``slotinpod`` -> the ends that will do (none: the ad takes any position)."""

Pricing = Literal["vcg", "per_second"]
Label = tuple[str, str]

__all__ = [
    "MAX_ADS",
    "MAX_POD_S",
    "MAX_SPOTS",
    "MAX_STEPS",
    "Pod",
    "Spot",
    "TooManyConflicts",
    "fill",
    "price",
]


class Spot(Struct, frozen=True):
    """An ad that may be played in a break."""

    ad_id: str
    value_nanos: int
    """What one play is worth; what is maximised, and the most that is charged."""
    duration_s: int
    adomain: str | tuple[str, ...] = ""
    """The advertiser's domain, or several; empty is not known, and excludes nobody."""
    categories: tuple[str, ...] = ()
    creative_id: str = ""
    media_url: str = ""
    slotinpod: int = 0
    """The position it must have: 0 any, 1 first, -1 last, 2 first or last (OpenRTB)."""


class Pod(Struct, frozen=True):
    """A break to be filled."""

    duration_s: int
    max_ads: int
    min_nanos_per_s: int = 0
    """Where positive, a spot must be worth this for each of its seconds (``mincpmpersec``)."""
    duration_floors: tuple[DurationFloor, ...] = ()
    """Floors of ranges of duration, instead (``durfloors``)."""
    floor_nanos: int = 0
    """The floor where neither says one (``bidfloor``)."""
    distinct: tuple[Distinct, ...] = ("advertiser", "category")
    """What no two ads may share (``poddedupe``)."""
    slotinpod: int = 2
    """The ends that the seller can promise: 2 both, 1 the first, -1 the last, 0 neither."""

    def floor_for(self, duration_s: int) -> int:
        """The least value in nanos of a spot that long; the highest of overlapping ranges."""
        if self.min_nanos_per_s:
            return self.min_nanos_per_s * duration_s
        floors = [one.floor_nanos for one in self.duration_floors if one.holds_for(duration_s)]
        return max(floors, default=self.floor_nanos)


def fill(spots: Sequence[Spot], pod: Pod) -> list[str]:
    """The ad ids of the most valuable pod, in playing order: promised ends, then by value.

    Exact. Between pods of one value the choice does not depend on the order of ``spots``.
    ValueError: a bound is passed, an ad id comes twice, a number makes no sense; its subclass
    ``TooManyConflicts``: no answer within ``MAX_STEPS``.

    >>> spots = [Spot("a", 900, 30, "a.example"), Spot("b", 500, 15), Spot("c", 450, 15)]
    >>> fill(spots, Pod(duration_s=30, max_ads=2))
    ['b', 'c']
    """
    field = _Field(spots, pod)
    return [field.spots[number].ad_id for number in field.in_playing_order(field.best())]


def price(spots: Sequence[Spot], pod: Pod, *, rule: Pricing = "vcg") -> list[Sale]:
    """The sales of the pod that ``fill`` finds, in playing order (``slot``), in nanos of a play.

    ``vcg``: what the others lose by the winner's presence, from the best pod without it; at least
    the winner's floor. A spot is played or not, and its position is worth nothing by itself; the
    least value that would still be played is the larger of the two, so nobody gains by
    misreporting. ``per_second``: the best rate per second among the spots that could take the
    winner's place, as breaks are sold; at least the floor, at most the value; not truthful.

    Raises as ``fill``.
    """
    field = _Field(spots, pod)
    chosen = field.best()
    total_nanos = field.worth(chosen)
    sales = []
    for slot, number in enumerate(field.in_playing_order(chosen)):
        spot = field.spots[number]
        if rule == "vcg":
            others_nanos = total_nanos - spot.value_nanos
            price_nanos = field.worth(field.best(without=number)) - others_nanos
        else:
            price_nanos = field.runner_up_nanos(chosen, number)
        price_nanos = max(price_nanos, pod.floor_for(spot.duration_s))
        assert price_nanos <= spot.value_nanos, "a winner never pays more than its value"
        sales.append(Sale(ad_id=spot.ad_id, slot=slot, price_nanos=price_nanos))
    return sales


class _Field:
    """The spots that may be played, best first, as arrays; searched once for each question."""

    def __init__(self, spots: Sequence[Spot], pod: Pod) -> None:
        import numpy as np  # noqa: PLC0415  (heavy)

        _check(spots, pod)
        promised = _ENDS[pod.slotinpod]
        self.spots = sorted(
            (
                spot
                for spot in spots
                if spot.duration_s <= pod.duration_s
                and spot.value_nanos >= max(1, pod.floor_for(spot.duration_s))
                and (not spot.slotinpod or _ENDS[spot.slotinpod] & promised)
            ),
            key=lambda spot: (-spot.value_nanos, spot.duration_s, spot.ad_id),
        )
        self._pod = pod
        self._labels = [_labels_of(spot, pod.distinct) for spot in self.spots]
        self._ends = [_ENDS[spot.slotinpod] & promised for spot in self.spots]
        # Durations are multiples of 5 s more often than not: the table needs no finer seconds.
        unit_s = gcd(*(spot.duration_s for spot in self.spots)) or 1
        self._length = pod.duration_s // unit_s
        self._value: Ints = np.array([spot.value_nanos for spot in self.spots], np.int64)
        self._duration: Ints = np.array([s.duration_s // unit_s for s in self.spots], np.int64)
        shared = self._shared_labels()
        self._conflict: Bools = shared > 0
        self._stands_in: Bools = self._standing_in(shared)

    def _shared_labels(self) -> Ints:
        """[a, b]: how many labels a and b have in common."""
        import numpy as np  # noqa: PLC0415

        numbers: dict[Label, int] = {}
        for labels in self._labels:
            for label in labels:
                numbers.setdefault(label, len(numbers))
        has = np.zeros((len(self.spots), len(numbers)), np.float32)  # float: a fast product
        for number, labels in enumerate(self._labels):
            has[number, [numbers[label] for label in labels]] = 1
        shared: Ints = (has @ has.T).astype(np.int64)
        return shared

    def _standing_in(self, shared: Ints) -> Bools:
        """[a, b]: a can take b's place in any pod, worth as much and excluding nobody else."""
        import numpy as np  # noqa: PLC0415

        ends = np.array(self._ends, np.int64)
        own = np.array([len(labels) for labels in self._labels], np.int64)
        fits: Bools = shared == own[:, None]  # all of a's labels are b's
        fits &= self._duration[:, None] <= self._duration
        # No end asked for, or every end that would do for b.
        fits &= (ends[:, None] == 0) | ((ends != 0) & (ends & ~ends[:, None] == 0))
        # Best first, so those above the diagonal are worth as much; equals replace one way only.
        upper: Bools = np.triu(fits, 1)
        return upper

    def worth(self, chosen: Sequence[int]) -> int:
        return sum(self.spots[number].value_nanos for number in chosen)

    def best(self, *, without: int | None = None) -> list[int]:
        """The numbers of the spots of the best pod, ascending."""
        playable = [number for number in range(len(self.spots)) if number != without]
        kept = self._undominated(playable)
        if not kept:
            return []
        search = Search(
            self._classes(kept),
            self._value,
            self._duration,
            self._ends,
            self._conflict,
            length=self._length,
            max_ads=self._pod.max_ads,
        )
        return sorted(search.run())

    def _undominated(self, playable: list[int]) -> list[int]:
        """Those that some best pod may need.

        b is not needed where an a exists that can stand in for it and that cannot be in the pod
        already: because it excludes b, or because as many can stand in as the pod has ads. Standing
        in goes up in the order of the spots only, so exchanging one for the other comes to an end.
        """
        import numpy as np  # noqa: PLC0415

        rows = np.array(playable, np.int64)
        stands_in = self._stands_in[np.ix_(rows, rows)]
        excluding = (stands_in & self._conflict[np.ix_(rows, rows)]).any(axis=0)
        crowded = stands_in.sum(axis=0) >= self._pod.max_ads
        return [int(number) for number in rows[~(excluding | crowded)]]

    def _classes(self, kept: Sequence[int]) -> list[list[int]]:
        """A partition into classes of which at most one can be played, the dearest class first.

        Each spot goes to the label that most share, so that few conflicts cross classes.
        """
        popular = Counter(label for number in kept for label in self._labels[number])
        classes: dict[object, list[int]] = {}
        for number in kept:
            labels = self._labels[number]
            key = max(labels, key=lambda label: (popular[label], label)) if labels else number
            classes.setdefault(key, []).append(number)
        return list(classes.values())

    def in_playing_order(self, chosen: Sequence[int]) -> list[int]:
        """Whoever was promised an end at that end, the rest by value."""
        first = [number for number in chosen if self._ends[number] == FIRST]
        last = [number for number in chosen if self._ends[number] == LAST]
        for number in chosen:
            if self._ends[number] == FIRST | LAST:
                (last if first else first).append(number)
        assert max(len(first), len(last)) <= 1, "an end is promised once"
        return [*first, *(number for number in chosen if not self._ends[number]), *last]

    def runner_up_nanos(self, chosen: Sequence[int], winner: int) -> int:
        """What the winner's seconds are worth to the best that could be in its place."""
        others = [number for number in chosen if number != winner]
        spot = self.spots[winner]
        left_s = self._pod.duration_s - sum(self.spots[number].duration_s for number in others)
        offers = [
            -(-rival.value_nanos * spot.duration_s // rival.duration_s)
            for number, rival in enumerate(self.spots)
            if number not in chosen
            and rival.duration_s <= left_s
            and not self._conflict[number, others].any()
            and _ends_suffice([self._ends[one] for one in (number, *others)])
        ]
        return min(max(offers, default=0), spot.value_nanos)


def _ends_suffice(asked: Sequence[int]) -> bool:
    """Whether a pod has the ends that its ads ask for."""
    return (
        asked.count(FIRST) <= 1 and asked.count(LAST) <= 1 and sum(1 for ends in asked if ends) <= 2
    )


def _labels_of(spot: Spot, distinct: Sequence[Distinct]) -> set[Label]:
    """What the spot must not have in common with another."""
    domains = (spot.adomain,) if isinstance(spot.adomain, str) else spot.adomain
    named: dict[Distinct, Sequence[str]] = {
        "advertiser": domains,
        "category": spot.categories,
        "creative": (spot.creative_id,),
        "media": (spot.media_url,),
    }
    return {(kind, name) for kind in distinct for name in named[kind] if name}


def _check(spots: Sequence[Spot], pod: Pod) -> None:
    _check_pod(pod)
    if len(spots) > MAX_SPOTS:
        raise ValueError(f"expected at most {MAX_SPOTS} spots for a pod, got {len(spots)}")
    if len({spot.ad_id for spot in spots}) < len(spots):
        raise ValueError("every spot of a pod needs an ad id of its own, got one twice")
    for spot in spots:
        if spot.duration_s < 1 or not 0 <= spot.value_nanos <= MAX_PRICE_NANOS:
            raise ValueError(
                f"spot {spot.ad_id!r}: expected 1 s or more and 0 to {MAX_PRICE_NANOS} nanos,"
                f" got {spot.duration_s} s and {spot.value_nanos}"
            )
        if spot.slotinpod not in _ENDS:
            raise ValueError(
                f"spot {spot.ad_id!r}: slotinpod is one of {sorted(_ENDS)}, got {spot.slotinpod}"
            )


def _check_pod(pod: Pod) -> None:
    if not 1 <= pod.duration_s <= MAX_POD_S or not 1 <= pod.max_ads <= MAX_ADS:
        raise ValueError(
            f"a pod lasts 1 to {MAX_POD_S} s and has 1 to {MAX_ADS} ads,"
            f" got {pod.duration_s} s and {pod.max_ads}"
        )
    if pod.min_nanos_per_s and pod.duration_floors:
        raise ValueError("a pod has a floor per second or per duration, got both")
    floors_nanos = (
        pod.min_nanos_per_s,
        pod.floor_nanos,
        *(one.floor_nanos for one in pod.duration_floors),
    )
    if min(floors_nanos) < 0:
        raise ValueError(f"a pod's floors must not be negative, got {min(floors_nanos)}")
    if not set(pod.distinct) <= set(get_args(Distinct)):
        raise ValueError(f"distinct names any of {get_args(Distinct)}, got {pod.distinct}")
    if pod.slotinpod not in _ENDS:
        raise ValueError(f"slotinpod is one of {sorted(_ENDS)}, got {pod.slotinpod}")
