"""What special ads must not be targeted by, as data: a YAML file a jurisdiction, with sources.

No field, radius, list, threshold or text of the law stands in code. A rule names the members of a
targeting that it is about and the source that it comes from; a member that no rule and no
``allowed`` names is refused as well, so that a new way to target is looked at before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from ringwork.fairness.plan import Category, Ppm
from ringwork.kernel.errors import Refused

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
PRESETS: Final = ("united-states", "canada")


class Source(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a rule comes from: act, section, case; and since when."""

    title: str
    date: date


class Certification(Struct, frozen=True, forbid_unknown_fields=True):
    """What an advertiser certifies when it declares; a new text is a new version."""

    version: Annotated[str, Meta(min_length=1, max_length=32)]
    text: Annotated[str, Meta(min_length=40, max_length=4000)]


class _Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    id: Name
    members: Annotated[tuple[str, ...], Meta(min_length=1, max_length=32)]
    """Of the targeting, and of what it excludes."""
    source: str
    reason: str


class Members(_Rule, frozen=True, kw_only=True, tag="members"):
    """Members that must not be used at all."""

    allowed: str
    instead: str
    neutral: Mapping[str, tuple[Any, ...]] = {}
    """Values that keep nobody out."""


class Postal(_Rule, frozen=True, kw_only=True, tag="postal"):
    """Postal codes: none; the regions that they lie in stand in their place."""

    allowed: str


class Circles(_Rule, frozen=True, kw_only=True, tag="circles"):
    """Circles on the map: none smaller than the least radius, targeted or excluded."""


class Audiences(_Rule, frozen=True, kw_only=True, tag="audiences"):
    """Groups of people by what they did: none; pages about the same topics stand in their place."""

    allowed: str


class Topics(_Rule, frozen=True, kw_only=True, tag="topics"):
    """Topics: none of the affinity list."""


class Keys(_Rule, frozen=True, kw_only=True, tag="keys"):
    """Publishers' own keys: none that says who looks."""


Rule = Members | Postal | Circles | Audiences | Topics | Keys


class Affinity(Struct, frozen=True, forbid_unknown_fields=True):
    """Topics that stand for a group of people: by whole words of their names, and by ids."""

    words: tuple[str, ...]
    ids: tuple[str, ...]


class Detection(Struct, frozen=True, forbid_unknown_fields=True):
    """From which score on an undeclared ad is held for a person."""

    thresholds_ppm: Mapping[Category, Ppm]


class ScanRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a proxy-variable scan flags: four fifths and its inverse, as in 29 CFR 1607.4(D)."""

    lift_low: Annotated[float, Meta(gt=0, le=1)]
    lift_high: Annotated[float, Meta(ge=1, le=100)]
    minimum_people: Annotated[int, Meta(ge=0)]
    """Fewer than these in a selection say nothing: it is marked and not flagged."""


class RaceProxy(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether race and ethnicity can be estimated here at all, and why."""

    available: bool
    why: str


class PostalRegions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which region a postal code lies in, by its first characters."""

    pattern: str
    prefix: Annotated[int, Meta(ge=1, le=5)]
    ranges: tuple[Annotated[str, Meta(pattern=r"^\w{1,5}-\w{1,5} [A-Z]{3}(-[A-Z0-9]{1,3})?$")], ...]
    """From, to, region: ``750-799 USA-TX``."""

    def region_of(self, code: str) -> str:
        """The region of a code; empty where it is none, or not known.

        >>> PostalRegions(pattern="^[0-9]{5}$", prefix=3, ranges=("750-799 USA-TX",)).region_of(
        ...     "78704"
        ... )
        'USA-TX'
        """
        if re.fullmatch(self.pattern, code) is None:
            return ""
        prefix = code[: self.prefix]
        for one in self.ranges:
            span, _, region = one.partition(" ")
            first, _, last = span.partition("-")
            if first <= prefix <= last:
                return region
        return ""


class Rules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds in one jurisdiction."""

    name: Name
    jurisdiction: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
    region: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
    """The same as targetings name it (ISO 3166-1 alpha-3)."""
    categories: Annotated[tuple[Category, ...], Meta(min_length=1, max_length=3)]
    date: date
    """Of this file."""
    sources: Mapping[str, Source]
    certification: Certification
    minimum_radius_m: Annotated[int, Meta(ge=0, le=1_000_000)]
    library_retention_days: Annotated[int, Meta(ge=1)]
    """How long an ad stays in the public library after it was last shown."""
    allowed: tuple[str, ...]
    rules: Annotated[tuple[Rule, ...], Meta(min_length=1, max_length=100)]
    affinity: Affinity
    personal_keys: tuple[str, ...]
    detection: Detection
    scan: ScanRules
    race_proxy: RaceProxy
    postal_regions: PostalRegions

    def source_of(self, rule: Rule) -> Source:
        """Where a rule comes from."""
        return self.sources[rule.source]


@cache
def preset(name: str) -> Rules:
    """Packaged rules. Raises Refused: rules-invalid, with the names there are."""
    if name not in PRESETS:
        raise _refused(f"expected one of {', '.join(PRESETS)}; got {name[:64]!r}")
    text = (files("ringwork.fairness") / "presets" / "rules" / f"{name}.yaml").read_bytes()
    return parse_rules(text, where=name)


def parse_rules(text: bytes, *, where: str) -> Rules:
    """Rules from YAML; Refused (rules-invalid, 422) says where they are wrong."""
    try:
        rules = msgspec.yaml.decode(text, type=Rules)
    except msgspec.DecodeError as error:
        raise _refused(f"{where}: {error}") from None
    try:
        re.compile(rules.postal_regions.pattern)
    except re.error as error:
        raise _refused(f"{where}: postal_regions.pattern: {error}") from None
    for rule in rules.rules:
        if rule.source not in rules.sources:
            raise _refused(
                f"{where}: rule {rule.id}: expected a source among {', '.join(rules.sources)}, "
                f"got {rule.source!r}"
            )
    return rules


def rules_for(rules: Sequence[Rules], targeting: Mapping[str, Any]) -> list[Rules]:
    """Those that hold where the targeting may show: all of them where it names no place."""
    named = [
        str(one)[:3]
        for member in ("regions", "countries")
        for one in targeting.get(member) or ()
        if isinstance(one, str)
    ]
    return [one for one in rules if not named or one.region in named]


def _refused(detail: str) -> Refused:
    return Refused("rules-invalid", detail, status=422, title="The rules are not valid")
