"""What an ad names and what a request asks, dimension by dimension, as numbers of bitmap rows.

Every (dimension, value) that some ad names has a number. An ad is the list of the numbers that it
names; a request is a list of clauses over them. An ad that names nothing in a dimension is not
excluded by it: the row ``NAMED`` of the dimension holds the ads that do name something.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from ringwork.ads.creatives.vast import reports_viewable
from ringwork.ads.creatives.vast_protocol import protocols_of
from ringwork.ads.model import (
    MEASURE_OF,
    STATEMENT_MAX_CHARS,
    Advertiser,
    Campaign,
    Context,
    Creative,
    Need,
    Slot,
)
from ringwork.ads.retrieval.table import FUNDED, RUNNING

REASONS: Final = (
    "format", "schedule", "size", "mime", "duration", "needs", "language", "deal", "site", "app",
    "category", "region", "device", "hour", "key-values", "audience", "excluded",
    "category-allowed", "domain-allowed", "blocked", "page", "repeated", "rotation", "roadblock",
    "frequency", "share", "pacing", "budget", "floor",
)  # fmt: skip
"""Why an ad cannot win a slot, in the order in which they are named: the first that applies."""
CODE: Final = {reason: code for code, reason in enumerate(REASONS)}

ANY: Final = 0
"""Clause: an ad must name one of the values."""
ADMIT: Final = 1
"""Clause: an ad must name one of the values, or none of the dimension; its first row is NAMED."""
NONE: Final = 2
"""Clause: an ad must name none of the values."""
STATE: Final = 3
"""Clause: a bit of the table's state must be on; its row stands where a value would."""
CAMPAIGNS: Final = 4
"""Clause: an ad must be of none of the campaigns, by their numbers in the table."""
OF: Final = 6
"""Clause: an ad must be of one of the campaigns."""
ADS: Final = 5
"""Clause: an ad must be none of these, by their handles."""

DEAL_KEY: Final = "deal"
NAMED: Final = "named"
"""The value under which a dimension keeps the ads that name anything in it."""
KEPT_MAX: Final = 20_000
"""Parts of requests whose clauses are kept; past that they are made anew."""
COUNTRY_CHARS: Final = 3
_US_PER_QUARTER: Final = 900_000_000
"""Time zones differ from UTC by quarters of an hour: at each an hour may begin somewhere."""

Key = tuple[str, Hashable]


class Dimensions:
    """The numbers of all values that were ever named."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[Hashable, int]] = {}
        self.count = 0
        self._zones: dict[str, ZoneInfo] = {}
        self._keys: list[str] = []
        self._said: dict[str, dict[str, None]] = {}
        self._lengths: list[int] = []
        self._quarter = -1
        self._hours_now: list[int] = []
        self._kept: dict[Hashable, list[int]] = {}
        """What a part of a request asks -> its clauses, as long as no value is new."""

    # ---- ads ------------------------------------------------------------------------------------

    def of_ad(self, creative: Creative, campaign: Campaign, advertiser: Advertiser) -> list[int]:
        """The numbers that an ad names, each once; what is new is given a number."""
        named: dict[int, None] = {}
        for dimension, value in _named(creative, campaign, advertiser):
            numbers = self._numbers.get(dimension)
            if numbers is None:
                numbers = self._begin(dimension)
            number = numbers.get(value)
            if number is None:
                number = self._number(numbers, dimension, value)
            named[number] = None
            named[numbers[NAMED]] = None
        return list(named)

    def _begin(self, dimension: str) -> dict[Hashable, int]:
        numbers: dict[Hashable, int] = {NAMED: self.count}
        self._numbers[dimension] = numbers
        self.count += 1
        self._kept.clear()
        if dimension.startswith("key "):
            self._keys.append(dimension[4:])
        return numbers

    def _number(self, numbers: dict[Hashable, int], dimension: str, value: Hashable) -> int:
        number = numbers[value] = self.count
        self.count += 1
        self._kept.clear()
        if dimension == "duration":
            assert isinstance(value, int)
            self._lengths.append(value)
        elif dimension.startswith("key "):
            assert isinstance(value, str)
            self._said.setdefault(dimension[4:], {})[value] = None
        elif dimension == "hour":
            assert isinstance(value, tuple)
            self._zones.setdefault(value[0], ZoneInfo(value[0]))
            self._quarter = -1
        return number

    # ---- requests -------------------------------------------------------------------------------

    def of_request(
        self, context: Context, slot: Slot, now_us: int, audiences: tuple[str, ...] = ()
    ) -> list[int]:
        """The clauses of a request, flat: reason, kind, how many rows, the rows.

        What a part of the request asks is kept: the same sites, regions and sizes come again. What
        is asked for a person's ``audiences`` is not.
        """
        kept = self._kept
        if len(kept) > KEPT_MAX:
            kept.clear()
        fits = ("fits", slot.format, slot.sizes, slot.ratios, slot.mimes, slot.protocols,
                slot.min_duration_s, slot.max_duration_s, slot.durations_s, slot.needs,
                slot.images, slot.measures, slot.languages)  # fmt: skip
        clauses = (kept.get(fits) or self._keep(fits, self._fits(slot))).copy()
        place = ("place", context.site, context.app)
        clauses += kept.get(place) or self._keep(place, self._place(context))
        for dimension, value in (
            ("category", context.categories),
            ("region", context.region),
            ("device", context.device_type),
        ):
            asked = (dimension, value)
            clauses += kept.get(asked) or self._keep(asked, self._about(dimension, value))
        if "hour" in self._numbers:
            self._add_hours(clauses, now_us)
        if self._keys or context.key_values or slot.deal_id:
            said = ("keys", context.key_values, slot.deal_id)
            clauses += kept.get(said) or self._keep(said, self._key_values(context, slot))
        if audiences:
            clauses += self._about("audience", audiences)
        elif "audience" in self._numbers:
            nobody = ("audience", ())
            clauses += kept.get(nobody) or self._keep(nobody, self._about("audience", ()))
        blocked = ("blocked", context.blocked_categories, context.blocked_domains,
                   slot.blocked_attributes, slot.blocked_apps, slot.allowed_categories,
                   slot.allowed_domains, context.blocked_advertisers)  # fmt: skip
        clauses += kept.get(blocked) or self._keep(blocked, self._blocked(context, slot))
        return clauses

    def _keep(self, asked: Hashable, clauses: list[int]) -> list[int]:
        self._kept[asked] = clauses
        return clauses

    def _fits(self, slot: Slot) -> list[int]:
        clauses: list[int] = []
        add = self._add
        add(clauses, "format", ANY, "format", (slot.format,))
        clauses += (CODE["schedule"], STATE, 1, RUNNING)
        if slot.sizes or slot.ratios:
            add(clauses, "size", ADMIT, "size", self._sizes_of(slot))
        if slot.mimes:
            add(clauses, "mime", ADMIT, "mime", slot.mimes)
        if slot.protocols:
            add(clauses, "mime", ANY, "protocol", slot.protocols)
        if self._lengths:
            add(clauses, "duration", ADMIT, "duration", self._lengths_within(slot))
        if slot.images:
            add(clauses, "size", ANY, "image size", self._images_of(slot))
        for need in slot.needs:
            add(clauses, "needs", ANY, "meets", (need,))
        if slot.measures is not None:
            add(clauses, "needs", ADMIT, "measure", slot.measures)
        if slot.languages:
            add(clauses, "language", ANY, "language", slot.languages)
        return clauses

    def _place(self, context: Context) -> list[int]:
        clauses: list[int] = []
        reason = "app" if context.app else "site"
        places: list[Hashable] = [*_with_parents(context.site), ("app", context.app)]
        self._add(clauses, reason, ADMIT, "place", places)
        self._add(clauses, "excluded", NONE, "no place", places)
        return clauses

    def _about(self, dimension: str, value: str | tuple[str, ...]) -> list[int]:
        """What is asked of one dimension of page or person: targeted, and not excluded."""
        clauses: list[int] = []
        values = value if isinstance(value, tuple) else (value,)
        if dimension == "category":
            values = with_parents(values)
        if dimension == "region" and len(values[0]) > COUNTRY_CHARS:
            values = (*values, values[0][:COUNTRY_CHARS])
        self._add(clauses, dimension, ADMIT, dimension, values)
        self._add(clauses, "excluded", NONE, f"no {dimension}", values)
        return clauses

    def _blocked(self, context: Context, slot: Slot) -> list[int]:
        clauses: list[int] = []
        if slot.allowed_categories:
            known = self._numbers.get("ad category", {})
            allowed = frozenset(slot.allowed_categories)
            others = [one for one in known if one != NAMED and allowed.isdisjoint(_lineage(one))]
            self._add(clauses, "category-allowed", ANY, "ad category", (NAMED,))
            self._add(clauses, "category-allowed", NONE, "ad category", others)
        if slot.allowed_domains:
            self._add(clauses, "domain-allowed", ANY, "ad domain", slot.allowed_domains)
        self._add(clauses, "blocked", NONE, "advertiser", context.blocked_advertisers)
        self._add(clauses, "blocked", NONE, "ad app", slot.blocked_apps)
        if context.blocked_categories:
            unwanted = frozenset(context.blocked_categories)
            known = self._numbers.get("ad category", {})
            found = [one for one in known if not unwanted.isdisjoint(_lineage(one))]
            self._add(clauses, "blocked", NONE, "ad category", found)
        self._add(clauses, "blocked", NONE, "ad domain", context.blocked_domains)
        self._add(clauses, "blocked", NONE, "ad attribute", slot.blocked_attributes)
        clauses += (CODE["budget"], STATE, 1, FUNDED)
        return clauses

    def _add_hours(self, clauses: list[int], now_us: int) -> None:
        quarter = now_us // _US_PER_QUARTER
        numbers = self._numbers["hour"]
        if quarter != self._quarter:
            self._quarter = quarter
            local = [hour_of_week(now_us, zone) for zone in self._zones.values()]
            self._hours_now = [numbers[one] for one in local if one in numbers]
        rows = self._hours_now
        clauses += (CODE["hour"], ADMIT, len(rows) + 1, numbers[NAMED], *rows)

    def _key_values(self, context: Context, slot: Slot) -> list[int]:
        """What the page says; to a deal belong only the campaigns that target its key."""
        clauses: list[int] = []
        if slot.deal_id:
            self._add(clauses, "deal", ANY, f"key {DEAL_KEY}", (slot.deal_id,))
        for key in self._keys:
            if key != DEAL_KEY or not slot.deal_id:
                said = [value for name, value in context.key_values if name == key]
                self._add(clauses, "key-values", ADMIT, f"key {key}", said)
        self._add(clauses, "excluded", NONE, "no key", context.key_values)
        return clauses

    def without(
        self, clauses: list[int], reason: str, dimension: str, values: Iterable[Hashable]
    ) -> None:
        """Add to ``clauses`` that an ad must name none of ``values``, for that reason."""
        self._add(clauses, reason, NONE, dimension, values)

    def _add(
        self, clauses: list[int], reason: str, kind: int, dimension: str, values: Iterable[Hashable]
    ) -> None:
        """One clause; none where no ad names anything in the dimension."""
        numbers = self._numbers.get(dimension)
        if numbers is None:
            if kind == ANY:
                clauses += (CODE[reason], ANY, 0)
            return
        rows = [numbers[value] for value in values if value in numbers]
        if kind == ADMIT:
            clauses += (CODE[reason], ADMIT, len(rows) + 1, numbers[NAMED], *rows)
        elif rows or kind == ANY:
            clauses += (CODE[reason], kind, len(rows), *rows)

    def _sizes_of(self, slot: Slot) -> list[Hashable]:
        """The sizes that a slot takes: those that it lists, and the known ones of its ratios."""
        sizes: list[Hashable] = list(slot.sizes)
        if slot.ratios:
            sizes.extend(
                size
                for size in self._numbers.get("size", {})
                if isinstance(size, tuple)
                and any(
                    size[0] >= least and size[0] * high == size[1] * wide
                    for least, wide, high in slot.ratios
                )
            )
        return sizes

    def _images_of(self, slot: Slot) -> list[Hashable]:
        """The known sizes of images that all required ones of a native place may have."""
        return [
            size
            for size in self._numbers.get("image size", {})
            if isinstance(size, tuple) and all(one.takes(*size) for one in slot.images)
        ]

    def _lengths_within(self, slot: Slot) -> list[int]:
        longest = slot.max_duration_s
        return [
            length
            for length in self._lengths
            if slot.min_duration_s <= length
            and (longest is None or length <= longest)
            and (not slot.durations_s or length in slot.durations_s)
        ]

    def said(self, key: str) -> Collection[str]:
        """The values of a key that some ad has ever targeted."""
        return self._said.setdefault(key, {}).keys()

    @property
    def lengths(self) -> Sequence[int]:
        """The durations, in seconds, of all ads that have one."""
        return self._lengths


def hour_of_week(now_us: int, zone: ZoneInfo) -> tuple[str, int]:
    """(the zone's name, the hour of its week, 0 being Monday's first)."""
    local = datetime.fromtimestamp(now_us // 1_000_000, UTC).astimezone(zone)
    return zone.key, local.weekday() * 24 + local.hour


def _named(creative: Creative, campaign: Campaign, advertiser: Advertiser) -> Iterator[Key]:
    """(dimension, value) of everything that an ad names."""
    yield from _shape(creative)
    for need in _met(creative, advertiser):
        yield "meets", need
    for language in _ranges(creative.language.lower()):
        yield "language", language
    if creative.app_bundle:
        yield "ad app", creative.app_bundle
    yield from _targeted(campaign)
    yield from _measured(creative, campaign)
    for category in creative.categories:
        yield "ad category", category
    for attribute in creative.attributes:
        yield "ad attribute", attribute
    for domain in _with_parents(advertiser.domain):
        yield "ad domain", domain
    yield "advertiser", campaign.advertiser_id
    for label in campaign.exclusion_labels:
        yield "label", label


def _shape(creative: Creative) -> Iterator[Key]:
    yield "format", creative.format
    if creative.format == "banner":
        yield "size", (creative.width, creative.height)
    elif creative.format == "native":
        if creative.image_url:
            yield "image size", (creative.width, creative.height)
    else:
        yield "mime", creative.video_mime or creative.audio_mime
        yield "duration", creative.duration_s
        for protocol in protocols_of(creative):
            yield "protocol", protocol


def _targeted(campaign: Campaign) -> Iterator[Key]:
    target = campaign.targeting
    for site in target.sites:
        yield "place", site
    for app in target.apps:
        yield "place", ("app", app)
    for name, values in (
        ("category", target.categories),
        ("region", target.regions),
        ("device", target.device_types),
        ("audience", target.audiences),
    ):
        for value in values:
            yield name, value
    if target.hours or target.weekdays:
        for day in target.weekdays or range(7):
            for hour in target.hours or range(24):
                yield "hour", (target.time_zone, day * 24 + hour)
    for key, said in target.key_values.items():
        for one in said:
            yield f"key {key}", one
    yield from _excluded(campaign)
    yield from _counted(campaign)


def _counted(campaign: Campaign) -> Iterator[Key]:
    """Whether somebody must count what a visit sees."""
    if campaign.frequency_caps:
        yield "capped", True


def _measured(creative: Creative, campaign: Campaign) -> Iterator[Key]:
    """What has to be reported of the ad, where that is what its campaign pays for."""
    measure = MEASURE_OF.get(campaign.pricing)
    if measure == "viewable" and creative.vast_xml and not reports_viewable(creative.vast_xml):
        yield "measure", "viewable by its page"  # no player is told where: to no exchange
    elif measure is not None:
        yield "measure", measure


def _excluded(campaign: Campaign) -> Iterator[Key]:
    excluded = campaign.targeting.excluded
    for site in excluded.sites:
        yield "no place", site
    for app in excluded.apps:
        yield "no place", ("app", app)
    for name, values in (
        ("no category", excluded.categories),
        ("no region", excluded.regions),
        ("no device", excluded.device_types),
        ("no audience", excluded.audiences),
    ):
        for value in values:
            yield name, value
    for key, said in excluded.key_values.items():
        for one in said:
            yield "no key", (key, one)


_FETCHES_PLAIN: Final = re.compile(
    r"""(?:(?:src|srcset|poster|data|href)\s*=\s*["']?|url\(\s*["']?|@import\s+["']?)\s*http://""",
    re.IGNORECASE,
)
"""What makes a browser load something without TLS; a namespace with a URL for a name does not."""


def _met(ad: Creative, advertiser: Advertiser) -> Iterator[Need]:
    """What a place may demand and this ad has."""
    if len(advertiser.name) <= STATEMENT_MAX_CHARS:
        yield "statement"
    if ad.image_url:
        yield "image"
    if ad.icon_url:
        yield "icon"
    if ad.text:
        yield "text"
    yield from ad.data
    media = (ad.image_url or "", ad.icon_url or "", ad.video_url or "", ad.audio_url or "")
    if not any(url.startswith("http://") for url in media) and not _FETCHES_PLAIN.search(ad.html):
        yield "https"


_SUBCATEGORY: Final = re.compile(r"(IAB[0-9]{1,2})-[0-9]{1,3}")
"""Of the Content Taxonomy 1.0, whose ids tell what they belong to; those of later ones do not."""


def with_parents(categories: Iterable[str]) -> tuple[str, ...]:
    """Categories with those that they belong to, each once.

    >>> with_parents(["IAB25-3", "483"])
    ('IAB25-3', 'IAB25', '483')
    """
    return tuple(dict.fromkeys(one for each in categories for one in _lineage(each)))


def _lineage(category: Hashable) -> tuple[str, ...]:
    name = str(category)
    found = _SUBCATEGORY.fullmatch(name)
    return (name,) if found is None else (name, found[1])


def _ranges(language: str) -> Iterator[str]:
    """A language tag and its prefixes: ``pt-pt`` is matched by ``pt`` too (RFC 4647, 3.3.1)."""
    while language:
        yield language
        language = language.rpartition("-")[0]


def _with_parents(domain: str) -> Iterator[str]:
    """A domain and the domains it lies in, most specific first."""
    while domain:
        yield domain
        domain = domain.partition(".")[2]
