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

from ringwork.fairness.measure.sums import Layout, Sums
from ringwork.fairness.plan import PrivacyPlan

DAY_US: Final = 86_400_000_000
IDS_MAX: Final = 1_000_000
"""Impression ids that are remembered: the newest. About 100 MB."""
UNITS_MAX: Final = 1_000_000
"""Units of protection that are remembered: about 150 MB."""
PEOPLE_MAX: Final = 1_000_000
"""Unique people of one segment that are told apart; beyond it their number is a lower bound."""
DAYS_KEPT: Final = 3
"""An impression older than this before its ad's newest day is counted, and enters no sum."""


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

    units: dict[int, dict[bytes, int]] = field(default_factory=dict)
    """Day (0 where the unit has none) -> person -> contributions."""
    people: dict[int, set[bytes]] = field(default_factory=dict)
    released_us: dict[int, int] = field(default_factory=dict)
    """Segment -> end of its newest release."""
    open: dict[int, Sums] = field(default_factory=dict)
    """Segment -> what was counted since."""


class _State(Struct):
    ads: dict[str, _Ad] = field(default_factory=dict)
    ids: dict[bytes, None] = field(default_factory=dict)


class Meter:
    """Counts the impressions of people; every one of them is in one segment's next release."""

    __slots__ = ("_layout", "_limits", "_privacy", "_state", "_units")

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
        self._limits = (ids_max, units_max, people_max)
        self._state = _State()
        self._units = 0

    def add(self, impression: Impression, vector: tuple[int, ...]) -> bool:
        """Count an impression of a person with this vector (``Layout.rows``).

        False for an id that came before: nothing changes. ValueError for a vector whose norm might
        be larger than the noise is made for.
        """
        self._check(vector)
        ids = self._state.ids
        if impression.id in ids:
            return False
        if len(ids) >= self._limits[0]:
            del ids[next(iter(ids))]
        ids[impression.id] = None
        ad = self._state.ads.setdefault(impression.ad, _Ad())
        segment = impression.segment
        is_late = impression.time_us <= ad.released_us.get(segment, -1)
        nothing = (0,) * self._layout.width
        is_counted = self._contributes(ad, impression)
        is_new = is_counted and self._is_first_touch(ad, impression)
        sums = ad.open.get(segment) or Sums.none(self._layout.width)
        ad.open[segment] = sums + Sums(
            impressions=1,
            spend_nanos=impression.price_nanos,
            late=int(is_late),
            uncounted=int(not is_counted),
            people=int(is_new),
            vector=vector if is_counted else nothing,
            people_vector=vector if is_new else nothing,
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
        known = self._state.ads.pop(ad, None)
        if known is not None:
            self._units -= sum(map(len, known.units.values()))

    def dump(self) -> bytes:
        """The state, for a snapshot; equal meters (ids in the same order) dump equal bytes."""
        state = self._state
        ads = {
            name: (
                {day: dict(sorted(ad.units[day].items())) for day in sorted(ad.units)},
                {segment: sorted(ad.people[segment]) for segment in sorted(ad.people)},
                dict(sorted(ad.released_us.items())),
                {segment: ad.open[segment] for segment in sorted(ad.open)},
            )
            for name, ad in sorted(state.ads.items())
        }
        return msgspec.msgpack.encode((list(state.ids), ads))

    def load(self, state: bytes) -> None:
        """Take back what ``dump`` gave."""
        ids, ads = msgspec.msgpack.decode(state, type=_Dumped)
        self._state = _State(
            ads={
                name: _Ad(
                    units=units,
                    people={at: set(of) for at, of in people.items()},
                    released_us=released_us,
                    open=sums,
                )
                for name, (units, people, released_us, sums) in ads.items()
            },
            ids=dict.fromkeys(ids),
        )
        self._units = sum(
            len(people) for ad in self._state.ads.values() for people in ad.units.values()
        )

    def _contributes(self, ad: _Ad, impression: Impression) -> bool:
        """Whether its unit may still contribute, and remembers that it did."""
        day = 0
        if self._privacy.unit == "person-ad-day":
            day = impression.time_us // DAY_US
            newest = max(ad.units, default=day)
            if day <= newest - DAYS_KEPT:
                return False
            for old in [one for one in ad.units if one <= day - DAYS_KEPT]:
                self._units -= len(ad.units.pop(old))
        units = ad.units.setdefault(day, {})
        given = units.get(impression.person, 0)
        if given >= self._privacy.contributions_max:
            return False
        if given == 0:
            if self._units >= self._limits[1]:
                return False
            self._units += 1
        units[impression.person] = given + 1
        return True

    def _is_first_touch(self, ad: _Ad, impression: Impression) -> bool:
        """Whether the person is new to the ad, or to its segment where the unit is a day.

        A day that is taken away may not move a first touch into another segment's sums, and a
        person whose whole contribution is protected may touch one segment alone: so either way a
        unit is in one sum over people, once.
        """
        at = impression.segment if self._privacy.unit == "person-ad-day" else 0
        people = ad.people.setdefault(at, set())
        if impression.person in people or len(people) >= self._limits[2]:
            return False
        people.add(impression.person)
        return True

    def _check(self, vector: tuple[int, ...]) -> None:
        blocks = self._layout.blocks
        if len(vector) != self._layout.width or min(vector) < 0:
            raise ValueError(f"expected {self._layout.width} numbers from 0 up")
        for block in blocks:
            if sum(vector[block.start : block.stop]) != block.unit:
                raise ValueError(f"{block.attribute}: expected numbers that add up to {block.unit}")


_Dumped = tuple[
    list[bytes],
    dict[
        str,
        tuple[dict[int, dict[bytes, int]], dict[int, list[bytes]], dict[int, int], dict[int, Sums]],
    ],
]
