"""Which impressions may be counted: so many of one unit of protection, and each person once.

Apart from the sums, so that a fold of the log can decide it without anybody's vector. Memory is
bounded, and where a bound is met privacy holds and the figure gives way.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from ringwork.fairness.plan import PrivacyPlan

DAY_US: Final = 86_400_000_000
UNITS_MAX: Final = 1_000_000
"""Units of protection that are remembered: about 150 MB."""
PEOPLE_MAX: Final = 1_000_000
"""Unique people of one segment that are told apart; beyond it their number is a lower bound."""
DAYS_KEPT: Final = 3
"""An impression older than this before its ad's newest day is counted, and enters no sum."""


class Counted(Struct, frozen=True):
    """What an impression adds to."""

    contributes: bool
    is_first_touch: bool


class _Ad(Struct):
    """What is remembered of one ad."""

    units: dict[int, dict[bytes, int]] = field(default_factory=dict)
    """Day (0 where the unit has none) -> person -> contributions."""
    people: dict[int, set[bytes]] = field(default_factory=dict)


class Caps:
    """Remembers who contributed to which ad."""

    __slots__ = ("_ads", "_people_max", "_units", "_units_max")

    def __init__(self, *, units_max: int = UNITS_MAX, people_max: int = PEOPLE_MAX) -> None:
        self._units_max = units_max
        self._people_max = people_max
        self.clear()

    def clear(self) -> None:
        """Nobody contributed yet."""
        self._ads: dict[str, _Ad] = {}
        self._units = 0

    def count(
        self, privacy: PrivacyPlan, ad: str, segment: int, person: bytes, time_us: int
    ) -> Counted:
        """Whether an impression of the person counts now; remembers that it did."""
        known = self._ads.setdefault(ad, _Ad())
        contribution = self._contribution(privacy, known, person, time_us)
        # Of a unit's contributions the first one alone may be a first touch. A day in which the
        # audience changed would else be in the sums over people of both segments, and an ad cost
        # more than its dearest one (``privacy.budget``). Its person is new there the next day.
        is_first = contribution == 1 and self._is_first_touch(privacy, known, segment, person)
        return Counted(contribution > 0, is_first)

    def forget(self, ad: str) -> None:
        """A flight has ended: nothing of it is remembered, and no more of it may be counted."""
        known = self._ads.pop(ad, None)
        if known is not None:
            self._units -= sum(map(len, known.units.values()))

    def state(self) -> dict[str, tuple[dict[int, dict[bytes, int]], dict[int, list[bytes]]]]:
        """For a snapshot; equal memories give equal states."""
        return {
            name: (
                {day: dict(sorted(ad.units[day].items())) for day in sorted(ad.units)},
                {segment: sorted(ad.people[segment]) for segment in sorted(ad.people)},
            )
            for name, ad in sorted(self._ads.items())
        }

    def restore(
        self, state: dict[str, tuple[dict[int, dict[bytes, int]], dict[int, list[bytes]]]]
    ) -> None:
        """Take back what ``state`` gave."""
        self._ads = {
            name: _Ad(units=units, people={at: set(of) for at, of in people.items()})
            for name, (units, people) in state.items()
        }
        self._units = sum(len(people) for ad in self._ads.values() for people in ad.units.values())

    def _contribution(self, privacy: PrivacyPlan, ad: _Ad, person: bytes, time_us: int) -> int:
        """The how-manieth contribution of its unit it is, and remembers it; 0 for none."""
        day = 0
        if privacy.unit == "person-ad-day":
            day = time_us // DAY_US
            newest = max(ad.units, default=day)
            if day <= newest - DAYS_KEPT:
                return 0
            for old in [one for one in ad.units if one <= day - DAYS_KEPT]:
                self._units -= len(ad.units.pop(old))
        units = ad.units.setdefault(day, {})
        given = units.get(person, 0)
        if given >= privacy.contributions_max:
            return 0
        if given == 0:
            if self._units >= self._units_max:
                return 0
            self._units += 1
        units[person] = given + 1
        return given + 1

    def _is_first_touch(self, privacy: PrivacyPlan, ad: _Ad, segment: int, person: bytes) -> bool:
        """Whether the person is new to the ad, or to its segment where the unit is a day.

        A day that is taken away may not move a first touch into another segment's sums, and a
        person whose whole contribution is protected may touch one segment alone: so either way a
        unit is in one sum over people, once.
        """
        at = segment if privacy.unit == "person-ad-day" else 0
        people = ad.people.setdefault(at, set())
        if person in people or len(people) >= self._people_max:
            return False
        people.add(person)
        return True
