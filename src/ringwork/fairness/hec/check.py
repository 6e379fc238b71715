"""A targeting held against the rules of special ads: what is forbidden, and what may stand instead.

A targeting is a JSON object of lists and values, such as the ``targeting`` of a campaign; what it
excludes stands under ``excluded`` in the same form. The proposal is the same targeting with every
violation replaced by the nearest that is lawful: a small circle grows, a postal code becomes its
region, an audience becomes pages about its topics, all else is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from msgspec import Struct

from ringwork.fairness.hec.rules import (
    Audiences,
    Circles,
    Keys,
    Members,
    Postal,
    Rule,
    Rules,
    Topics,
    rules_for,
)
from ringwork.kernel.errors import Fault, Refused
from ringwork.kernel.screening import Checked, Violation

ITEMS_MAX: Final = 1_000
"""Of one list of a targeting."""
DEPTH_MAX: Final = 8
RADIUS_MAX: Final = 1e9
EXCLUDED: Final = "excluded"
INTEREST_PREFIX: Final = "interest:"
_TEXT_MAX: Final = 80
_EARTH_M: Final = 6_371_008.8
_METRES: Final = {"radius_m": 1.0, "radius_km": 1000.0, "radius_miles": 1609.344}
_KEY_WORDS: Final = re.compile(r"[a-z]+")


def check(
    rules: Sequence[Rules],
    targeting: Mapping[str, Any],
    *,
    audience_topics: Mapping[str, Sequence[str]] | None = None,
) -> Checked:
    """All violations of those ``rules`` that hold where it may show, and the proposal.

    ``audience_topics``: what audiences are about, by id. Raises Refused (targeting-invalid) for
    what is none: a list that is none, a circle without a number for its radius.
    """
    if _depth(targeting) > DEPTH_MAX:
        raise _invalid("/targeting", f"at most {DEPTH_MAX} levels", "more")
    for member in ("regions", "countries"):
        if targeting.get(member) is not None:
            _list(f"/targeting/{member}", targeting[member])
    proposal: dict[str, Any] = dict(targeting)  # what it holds is replaced, never changed
    found: list[Violation] = []
    for one in rules_for(rules, targeting):
        checking = _Checking(one, audience_topics or {}, proposal)
        found += checking.section("/targeting", targeting, proposal)
        excluded = targeting.get(EXCLUDED)
        if excluded:
            if not isinstance(excluded, Mapping):
                raise _invalid("/targeting/excluded", "an object", excluded)
            inner = dict(excluded)
            proposal[EXCLUDED] = {**proposal.get(EXCLUDED, {})}
            found += checking.section("/targeting/excluded", inner, proposal[EXCLUDED])
        found += checking.carved_out(targeting, proposal)
    return Checked(violations=tuple(found), proposal=proposal if found else targeting)


class _Circle(Struct, frozen=True):
    latitude: float
    longitude: float
    radius_m: float

    def distance_m(self, other: _Circle) -> float:
        """Between the centres, on the sphere (haversine)."""
        phi, psi = math.radians(self.latitude), math.radians(other.latitude)
        half = math.radians(other.longitude - self.longitude) / 2
        a = math.sin((psi - phi) / 2) ** 2 + math.cos(phi) * math.cos(psi) * math.sin(half) ** 2
        return 2 * _EARTH_M * math.asin(math.sqrt(min(a, 1.0)))

    def shared_m2(self, other: _Circle) -> float:
        """The area of the lens that two circles share, as if the earth were flat there."""
        d, r, s = self.distance_m(other), self.radius_m, other.radius_m
        if d >= r + s:
            return 0.0
        if d <= abs(r - s):
            return math.pi * min(r, s) ** 2
        alpha = math.acos(max(-1.0, min(1.0, (d * d + r * r - s * s) / (2 * d * r))))
        beta = math.acos(max(-1.0, min(1.0, (d * d + s * s - r * r) / (2 * d * s))))
        kite = r * r * math.sin(2 * alpha) / 2 + s * s * math.sin(2 * beta) / 2
        return r * r * alpha + s * s * beta - kite


class _Checking:
    """One jurisdiction's rules over one targeting."""

    def __init__(
        self, rules: Rules, topics: Mapping[str, Sequence[str]], proposal: dict[str, Any]
    ) -> None:
        self._rules = rules
        self._topics = topics
        self._proposal = proposal
        """The whole one: replacements may stand elsewhere than what they replace."""
        words = "|".join(re.escape(one) for one in sorted(rules.affinity.words, key=len)[::-1])
        self._affinity = re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
        self._ids = frozenset(rules.affinity.ids)
        self._keys = frozenset(rules.personal_keys)

    def section(
        self, at: str, given: Mapping[str, Any], proposal: dict[str, Any]
    ) -> Iterator[Violation]:
        """The violations of the targeting, or of what it excludes; ``proposal`` is mended."""
        ruled = {member for rule in self._rules.rules for member in rule.members}
        for rule in self._rules.rules:
            for member in rule.members:
                if _is_said(given.get(member)):
                    yield from self._by(rule, f"{at}/{member}", given[member], proposal)
        for member, value in given.items():
            known = member in ruled or member in self._rules.allowed or member == EXCLUDED
            if not known and _is_said(value):
                proposal.pop(member, None)
                yield self._violation(
                    "unlisted",
                    f"{at}/{_token(member)}",
                    "no rule says that a special ad may be targeted by it",
                    value,
                    f"one of {', '.join(self._rules.allowed)}",
                    "leave it out",
                )

    def _by(
        self, rule: Rule, pointer: str, value: Any, proposal: dict[str, Any]
    ) -> Iterator[Violation]:
        """What one rule says of one member."""
        match rule:
            case Members():
                member = pointer.rpartition("/")[2]
                if value not in rule.neutral.get(member, ()):
                    proposal.pop(member, None)
                    yield self._said(rule, pointer, value, rule.allowed, rule.instead)
            case Postal():
                yield from self._postal(rule, pointer, value, proposal)
            case Circles():
                yield from self._circles(rule, pointer, value, proposal)
            case Audiences():
                yield from self._audiences(rule, pointer, value, proposal)
            case Topics():
                yield from self._listed_topics(rule, pointer, value, proposal)
            case Keys():
                yield from self._personal_keys(rule, pointer, value, proposal)

    def _postal(
        self, rule: Postal, pointer: str, value: Any, proposal: dict[str, Any]
    ) -> Iterator[Violation]:
        codes = _list(pointer, value)
        is_excluded = pointer.startswith(f"/targeting/{EXCLUDED}")
        found = [
            self._rules.postal_regions.region_of(code.strip().upper())
            for code in codes
            if isinstance(code, str)
        ]
        regions = sorted({one for one in found if one})
        proposal.pop(pointer.rpartition("/")[2], None)
        if is_excluded or not regions:
            instead = "leave it out"
        else:
            instead = f"the regions they lie in: {', '.join(regions)}"
            self._add(regions, "regions")
        yield self._said(rule, pointer, f"{len(codes)} postal codes", rule.allowed, instead)

    def _circles(
        self, rule: Circles, pointer: str, value: Any, proposal: dict[str, Any]
    ) -> Iterator[Violation]:
        least_m = self._rules.minimum_radius_m
        member = pointer.rpartition("/")[2]
        is_excluded = pointer.startswith(f"/targeting/{EXCLUDED}")
        for position, one in enumerate(_list(pointer, value)):
            radius_m = _radius_m(f"{pointer}/{position}", one)
            if radius_m < least_m:
                yield self._said(
                    rule,
                    f"{pointer}/{position}",
                    f"a radius of {radius_m:.0f} m",
                    f"at least {least_m} m, whatever larger area it lies in",
                    "leave it out" if is_excluded else f"the same place with {least_m} m",
                )
        left = proposal.get(member, ())  # another jurisdiction may have taken some away
        if is_excluded:
            proposal[member] = [one for one in left if _radius_m("", one) >= least_m]
        else:
            proposal[member] = [_grown(one, least_m) for one in left]

    def carved_out(
        self, targeting: Mapping[str, Any], proposal: dict[str, Any]
    ) -> Iterator[Violation]:
        """Circles of which large exclusions leave less than the least circle holds.

        The excluded lenses are summed, so that overlapping ones count twice: on the safe side.
        """
        excluded = targeting.get(EXCLUDED) or {}
        rule = next((one for one in self._rules.rules if isinstance(one, Circles)), None)
        if rule is None:
            return
        least_m2 = math.pi * self._rules.minimum_radius_m**2
        outs = [
            circle
            for member in rule.members
            for circle in _circles_of(excluded.get(member))
            if circle.radius_m >= self._rules.minimum_radius_m
        ]
        for member in rule.members:
            for position, one in enumerate(_circles_of(targeting.get(member))):
                whole_m2 = math.pi * one.radius_m**2
                left_m2 = whole_m2 - sum(one.shared_m2(out) for out in outs)
                if one.radius_m < self._rules.minimum_radius_m or left_m2 >= least_m2:
                    continue
                for each in rule.members:
                    proposal.get(EXCLUDED, {}).pop(each, None)
                yield self._said(
                    rule,
                    f"/targeting/{member}/{position}",
                    f"{max(left_m2, 0) / 1e6:.0f} km2 after what is excluded",
                    f"at least {least_m2 / 1e6:.0f} km2, as a circle of the least radius holds",
                    "exclude no area",
                )

    def _audiences(
        self, rule: Audiences, pointer: str, value: Any, proposal: dict[str, Any]
    ) -> Iterator[Violation]:
        is_excluded = pointer.startswith(f"/targeting/{EXCLUDED}")
        for position, one in enumerate(_list(pointer, value)):
            name = one if isinstance(one, str) else str(_named(one))
            topics = list(self._topics.get(name, ()))
            if not topics and name.startswith(INTEREST_PREFIX):
                topics = [name[len(INTEREST_PREFIX) :]]
            lawful = [topic for topic in topics if not self._is_affinity(topic)]
            instead = "leave it out"
            if lawful and not is_excluded:
                instead = f"pages about {', '.join(lawful)} (targeting.categories)"
                self._add(lawful, "categories")
            yield self._said(rule, f"{pointer}/{position}", name, rule.allowed, instead)
        proposal[pointer.rpartition("/")[2]] = []

    def _listed_topics(
        self, rule: Topics, pointer: str, value: Any, proposal: dict[str, Any]
    ) -> Iterator[Violation]:
        member = pointer.rpartition("/")[2]
        topics = _list(pointer, value)
        bad = {position for position, one in enumerate(topics) if self._is_affinity(str(one))}
        for position in sorted(bad):
            yield self._said(
                rule,
                f"{pointer}/{position}",
                topics[position],
                "topics that stand for no group of people",
                "leave it out",
            )
        if bad:
            proposal[member] = [one for one in proposal[member] if not self._is_affinity(str(one))]

    def _personal_keys(
        self, rule: Keys, pointer: str, value: Any, proposal: dict[str, Any]
    ) -> Iterator[Violation]:
        if not isinstance(value, Mapping):
            raise _invalid(pointer, "an object", value)
        member = pointer.rpartition("/")[2]
        for key in value:
            if self._keys.isdisjoint(_words_of(key)):
                continue
            proposal[member] = {name: one for name, one in proposal[member].items() if name != key}
            yield self._said(
                rule,
                f"{pointer}/{_token(key)}",
                key,
                "keys that say what the page is about",
                "leave it out",
            )

    def _is_affinity(self, topic: str) -> bool:
        return topic in self._ids or self._affinity.search(topic.replace("_", " ")) is not None

    def _add(self, values: Sequence[str], member: str) -> None:
        had = self._proposal.get(member) or []
        self._proposal[member] = list(dict.fromkeys((*had, *values)))

    def _said(self, rule: Rule, pointer: str, found: Any, allowed: str, instead: str) -> Violation:
        source = self._rules.source_of(rule)
        reason = f"{rule.reason} ({source.title}; {source.date})"
        return self._violation(rule.id, pointer, reason, found, allowed, instead)

    def _violation(
        self, id: str, pointer: str, reason: str, found: Any, allowed: str, instead: str
    ) -> Violation:
        shown = str(found)[:_TEXT_MAX]
        return Violation(
            pointer,
            f"{reason}: found {shown}; allowed is {allowed}; instead: {instead}",
            reason=reason,
            rule=f"{self._rules.jurisdiction.lower()}/{id}",
            found=shown,
            allowed=allowed,
            replacement=instead,
        )


def _is_said(value: Any) -> bool:
    return value is not None and value not in ([], {}, "", False)


def _depth(value: Any) -> int:
    """How deep objects and lists lie in each other; looks no deeper than it must."""
    depth, level = 0, [value]
    while level and depth <= DEPTH_MAX:
        depth += 1
        inner = [list(one.values()) if isinstance(one, Mapping) else one for one in level]
        level = [
            item
            for items in inner
            if isinstance(items, list | tuple)
            for item in items
            if isinstance(item, Mapping | list | tuple)
        ]
    return depth


def _list(pointer: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise _invalid(pointer, "a list", value)
    if len(value) > ITEMS_MAX:
        raise _invalid(pointer, f"at most {ITEMS_MAX} items", len(value))
    return value


def _radius_m(pointer: str, one: Any) -> float:
    """The radius of a circle; a pin without one is a point."""
    if not isinstance(one, Mapping):
        raise _invalid(pointer, "an object", one)
    for name, metres in _METRES.items():
        value = one.get(name)
        if value is None:
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= RADIUS_MAX:
            raise _invalid(f"{pointer}/{name}", f"a number from 0 to {RADIUS_MAX:.0f}", value)
        return float(value) * metres
    return 0.0


def _grown(one: Mapping[str, Any], least_m: int) -> Mapping[str, Any]:
    """The circle, as large as it has to be."""
    if _radius_m("", one) >= least_m:
        return one
    rest = {name: said for name, said in one.items() if name not in _METRES}
    return {**rest, "radius_m": least_m}


def _circles_of(value: Any) -> list[_Circle]:
    """Those of a list whose centre is known; the list was looked at before."""
    found = []
    for position, one in enumerate(value or ()):
        latitude, longitude = one.get("latitude"), one.get("longitude")
        if isinstance(latitude, int | float) and isinstance(longitude, int | float):
            radius_m = _radius_m(str(position), one)
            found.append(_Circle(float(latitude), float(longitude), radius_m))
    return found


def _named(one: Any) -> Any:
    return (one.get("id") or one.get("name") or "?") if isinstance(one, Mapping) else one


def _words_of(key: str) -> set[str]:
    """A key's words, with neighbours joined: ``user_zip_code``, ``zip``, ``zipcode``."""
    words = _KEY_WORDS.findall(re.sub(r"([a-z])([A-Z])", r"\1 \2", key).lower())
    return {*words, *(a + b for a, b in pairwise(words))}


def _token(member: str) -> str:
    """A name as a step of a JSON pointer (RFC 6901)."""
    return member[:_TEXT_MAX].replace("~", "~0").replace("/", "~1")


def _invalid(pointer: str, expected: str, got: Any) -> Refused:
    detail = f"expected {expected}, got {str(got)[:_TEXT_MAX]!r}"
    return Refused(
        "targeting-invalid",
        f"{pointer}: {detail}",
        errors=[Fault(pointer, detail)],
        status=409,
        title="No targeting",
    )
