"""The live meter: one impression after the other, in a process that serves.

Idempotent by impression id, and free of order within an episode: the sums are the same whatever
came first. Contributions are capped per unit of protection, over all segments of an ad. All memory
is bounded, and where a bound is met privacy holds and the figure gives way: an impression whose
unit cannot be remembered is billed and counted, and enters no sum.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct, field

from ringwork.fairness.measure.caps import PEOPLE_MAX, UNITS_MAX, Caps
from ringwork.fairness.measure.sums import Layout, Sums
from ringwork.fairness.plan import PrivacyPlan

IDS_MAX: Final = 1_000_000
"""Impression ids that are remembered: the newest. About 100 MB."""


class Impression(Struct, frozen=True, kw_only=True, gc=False):
    """One billed impression, as the meter needs it."""

    id: bytes
    ad: str
    segment: int
    person: bytes
    """A pseudonym."""
    time_us: int
    price_nanos: int

    def __repr__(self) -> str:
        return f"Impression(ad={self.ad!r})"


class _Ad(Struct):
    """What is remembered of one ad."""

    released_us: dict[int, int] = field(default_factory=dict)
    """Segment -> end of its newest release."""
    open: dict[int, Sums] = field(default_factory=dict)
    """Segment -> what was counted since."""


class _State(Struct):
    ads: dict[str, _Ad] = field(default_factory=dict)
    ids: dict[bytes, None] = field(default_factory=dict)


class Meter:
    """Counts the impressions of people; every one of them is in one segment's next release."""

    __slots__ = ("_caps", "_ids_max", "_layout", "_privacy", "_state")

    def __init__(
        self,
        layout: Layout,
        privacy: PrivacyPlan,
        *,
        ids_max: int = IDS_MAX,
        units_max: int = UNITS_MAX,
        people_max: int = PEOPLE_MAX,
    ) -> None:
        self._layout = layout
        self._privacy = privacy
        self._ids_max = ids_max
        self._caps = Caps(units_max=units_max, people_max=people_max)
        self._state = _State()

    def add(self, impression: Impression, vector: tuple[int, ...]) -> bool:
        """Count an impression of a person with this vector (``Layout.rows``).

        False for an id that came before: nothing changes. ValueError for a vector whose norm might
        be larger than the noise is made for.
        """
        self._check(vector)
        ids = self._state.ids
        if impression.id in ids:
            return False
        if len(ids) >= self._ids_max:
            del ids[next(iter(ids))]
        ids[impression.id] = None
        ad = self._state.ads.setdefault(impression.ad, _Ad())
        segment = impression.segment
        is_late = impression.time_us <= ad.released_us.get(segment, -1)
        nothing = (0,) * self._layout.width
        counted = self._caps.count(
            self._privacy, impression.ad, segment, impression.person, impression.time_us
        )
        sums = ad.open.get(segment) or Sums.none(self._layout.width)
        ad.open[segment] = sums + Sums(
            impressions=1,
            spend_nanos=impression.price_nanos,
            late=int(is_late),
            uncounted=int(not counted.contributes),
            people=int(counted.is_first_touch),
            vector=vector if counted.contributes else nothing,
            people_vector=vector if counted.is_first_touch else nothing,
        )
        return True

    def take(self, ad: str, segment: int, *, until_us: int) -> Sums:
        """What was counted of a segment since it was last taken: the increment of a release.

        What comes later from before ``until_us`` is in the next release, and counted as late.
        """
        known = self._state.ads.setdefault(ad, _Ad())
        known.released_us[segment] = max(until_us, known.released_us.get(segment, -1))
        return known.open.pop(segment, None) or Sums.none(self._layout.width)

    def forget(self, ad: str) -> None:
        """A flight has ended: nothing of it is remembered, and no more of it may be counted."""
        self._state.ads.pop(ad, None)
        self._caps.forget(ad)

    def dump(self) -> bytes:
        """The state, for a snapshot; equal meters (ids in the same order) dump equal bytes."""
        state = self._state
        ads = {
            name: (
                dict(sorted(ad.released_us.items())),
                {segment: ad.open[segment] for segment in sorted(ad.open)},
            )
            for name, ad in sorted(state.ads.items())
        }
        return msgspec.msgpack.encode((list(state.ids), ads, self._caps.state()))

    def load(self, state: bytes) -> None:
        """Take back what ``dump`` gave."""
        ids, ads, caps = msgspec.msgpack.decode(state, type=_Dumped)
        self._state = _State(
            ads={
                name: _Ad(released_us=released_us, open=sums)
                for name, (released_us, sums) in ads.items()
            },
            ids=dict.fromkeys(ids),
        )
        self._caps.restore(caps)

    def _check(self, vector: tuple[int, ...]) -> None:
        blocks = self._layout.blocks
        if len(vector) != self._layout.width or min(vector) < 0:
            raise ValueError(f"expected {self._layout.width} numbers from 0 up")
        for block in blocks:
            if sum(vector[block.start : block.stop]) != block.unit:
                raise ValueError(f"{block.attribute}: expected numbers that add up to {block.unit}")


_Dumped = tuple[
    list[bytes],
    dict[str, tuple[dict[int, int], dict[int, Sums]]],
    dict[str, tuple[dict[int, dict[bytes, int]], dict[int, list[bytes]]]],
]
