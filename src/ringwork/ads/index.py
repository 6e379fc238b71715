"""From all live ads to the few that may compete, and the first reason that kept each other out.

Ads are renumbered by descending static score (ties: smaller id first), so that the lowest bits of a
set are its best members. For every dimension there are bitmaps of the ads that name a value; ANDing
what each dimension admits leaves the ads that nothing excludes, and the loss of members at a step
is the number of ads for which that step was the first reason. The budget is asked last, ad by ad
from the best, and only until enough are found; who could not pay is not asked again before that may
have changed.

A targeted place is a site (with its subdomains) or an app: a campaign that lists both shows on
both. A country that is targeted includes its subdivisions.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from ringwork.ads.auction import score, value
from ringwork.ads.bitmaps import Threshold, Values, bitmap, numbers
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.model import (
    Advertiser,
    Campaign,
    Candidate,
    Context,
    Creative,
    Need,
    Pricing,
    Slot,
)

SHORTLIST_MAX: Final = 8
"""Funded ads that compete for one slot: the price needs two, the log and "why" show the rest."""


class Contender(Struct, frozen=True):
    """A live ad with everything that the auction and the answer need of it."""

    creative: Creative
    campaign: Campaign
    advertiser: Advertiser
    candidate: Candidate


class Shortlist(Struct, frozen=True):
    """Who may compete for a slot: the best first, at most ``SHORTLIST_MAX``."""

    contenders: dict[str, Contender]
    """By ad id, best static score first."""
    eligible: int
    """Ads that nothing excludes (those behind the shortlist were not asked for their budget)."""
    excluded: dict[str, int]
    """First reason that applied -> how many ads it kept out."""
    reserve_nanos: int


class Index:
    """The live ads of a catalogue, rebuilt when the catalogue has changed."""

    def __init__(self, catalogue: Catalogue, *, p_ppb: Mapping[Pricing, int]) -> None:
        """``p_ppb``: the probability, per impression, of what a pricing charges for."""
        self._catalogue = catalogue
        self._p_ppb = p_ppb
        self._tables = _Tables([])
        self._generation: int | None = None
        self._broke = 0
        """Ads that could not pay as of ``_broke_as_of``."""
        self._broke_as_of: tuple[int, int] | None = None

    def shortlist(
        self,
        context: Context,
        slot: Slot,
        *,
        now_us: int,
        funded: Callable[[Campaign], bool],
        as_of: tuple[int, int],
    ) -> Shortlist:
        """Who may compete; ``funded`` says whether a campaign can pay one more of its bids now.

        ``as_of``: the day and ``Budgets.rises``. While it is the same, who could not pay cannot.
        """
        tables = self.refresh()
        if as_of != self._broke_as_of:
            self._broke, self._broke_as_of = 0, as_of
        left, count = tables.everyone, len(tables.contenders)
        excluded: dict[str, int] = {}
        for reason, admitted in tables.admitted(context, slot, now_us):
            narrowed = left & admitted
            if narrowed != left:
                remaining = narrowed.bit_count()
                excluded[reason] = count - remaining
                left, count = narrowed, remaining
            if not left:
                break
        chosen, unfunded, self._broke = _funded(tables.contenders, left, self._broke, funded)
        if unfunded:
            excluded["budget"] = unfunded
        return Shortlist(chosen, count - unfunded, excluded, slot.floor_nanos)

    def nobody(self, slot: Slot, *, reason: str) -> Shortlist:
        """An empty shortlist: every live ad is kept out for the same reason."""
        count = len(self.refresh().contenders)
        return Shortlist({}, 0, {reason: count} if count else {}, slot.floor_nanos)

    def refresh(self) -> _Tables:
        """Rebuild if the catalogue has changed since the last call."""
        if self._generation != self._catalogue.generation:
            self._tables = _Tables(self._contenders())
            self._generation = self._catalogue.generation
            self._broke_as_of = None
        return self._tables

    def _contenders(self) -> list[Contender]:
        contenders = [
            Contender(
                creative,
                campaign,
                advertiser,
                Candidate(
                    ad_id=creative.id,
                    bid_nanos=campaign.bid_nanos,
                    p_ppb=self._p_ppb[campaign.pricing],
                    quality_ppm=creative.quality_ppm,
                ),
            )
            for creative, campaign, advertiser in self._catalogue.live_ads()
        ]
        contenders.sort(key=lambda one: (-score(one.candidate), one.creative.id))
        return contenders


def _funded(
    contenders: Sequence[Contender],
    eligible: int,
    broke: int,
    funded: Callable[[Campaign], bool],
) -> tuple[dict[str, Contender], int, int]:
    """The best that can pay, by ad id; how many better ones cannot; all that are known not to."""
    chosen: dict[str, Contender] = {}
    asked: dict[str, bool] = {}
    asked_of = eligible
    for number in numbers(eligible & ~broke):
        contender = contenders[number]
        campaign = contender.campaign
        pays = asked.get(campaign.id)
        if pays is None:
            pays = asked[campaign.id] = funded(campaign)
        if not pays:
            broke |= 1 << number
            continue
        chosen[contender.creative.id] = contender
        if len(chosen) == SHORTLIST_MAX:
            asked_of &= (1 << number) - 1
            break
    return chosen, (asked_of & broke).bit_count(), broke


class _Tables:
    """The bitmaps of one generation of the catalogue."""

    def __init__(self, contenders: Sequence[Contender]) -> None:
        self.contenders = contenders
        size = len(contenders)
        self.everyone = (1 << size) - 1
        ads = [one.creative for one in contenders]
        campaigns = [one.campaign for one in contenders]
        targets = [campaign.targeting for campaign in campaigns]
        self._formats = Values([(ad.format,) for ad in ads])
        self._sizes = Values(
            [((ad.width, ad.height),) if ad.format == "banner" else () for ad in ads]
        )
        self._mimes = Values([(ad.video_mime,) if ad.format == "video" else () for ad in ads])
        self._lengths = Values([(ad.duration_s,) if ad.format == "video" else () for ad in ads])
        self._known_lengths = sorted({ad.duration_s for ad in ads if ad.format == "video"})
        self._places = Values([(*target.sites, *map(_app_key, target.apps)) for target in targets])
        self._categories = Values([target.categories for target in targets])
        self._regions = Values([target.regions for target in targets])
        self._devices = Values([target.device_types for target in targets])
        self._hours = Values([target.hours for target in targets])
        self._meeting = Values([tuple(_met(ad)) for ad in ads])
        self._ad_categories = Values([ad.categories for ad in ads])
        self._ad_attributes = Values([ad.attributes for ad in ads])
        self._ad_domains = Values(
            [tuple(_with_parents(one.advertiser.domain)) for one in contenders]
        )
        self._worth = Threshold({i: value(contenders[i].candidate) for i in range(size)}, size)
        self._scored = bitmap((i for i in range(size) if score(contenders[i].candidate) > 0), size)
        self._schedule = _Schedule(campaigns)

    def admitted(self, context: Context, slot: Slot, now_us: int) -> Iterator[tuple[str, int]]:
        """(reason, the ads it does not exclude), in the order in which reasons are named."""
        yield "format", self._formats.naming((slot.format,))
        yield "schedule", self._schedule.running(now_us)
        if slot.sizes:
            yield "size", self._sizes.admitting(slot.sizes)
        if slot.mimes:
            yield "mime", self._mimes.admitting(slot.mimes)
        yield "duration", self._lengths.admitting(self._lengths_within(slot))
        if slot.needs:
            yield "needs", self._meeting_all(slot.needs)
        places = (*_with_parents(context.site), _app_key(context.app))
        yield "app" if context.app else "site", self._places.admitting(places)
        yield "category", self._categories.admitting(context.categories)
        yield "region", self._regions.admitting((context.region, context.region[:3]))
        yield "device", self._devices.admitting((context.device_type,))
        yield "hour", self._hours.admitting((context.hour,))
        yield "blocked", self.everyone & ~self._blocked(context, slot)
        yield "floor", self._worth.at_least(slot.floor_nanos) & self._scored

    def _meeting_all(self, needs: Sequence[Need]) -> int:
        admitted = self.everyone
        for need in needs:
            admitted &= self._meeting.naming((need,))
        return admitted

    def _lengths_within(self, slot: Slot) -> Sequence[int]:
        lengths = self._known_lengths
        first = bisect_left(lengths, slot.min_duration_s)
        if slot.max_duration_s is None:
            return lengths[first:]
        return lengths[first : bisect_right(lengths, slot.max_duration_s)]

    def _blocked(self, context: Context, slot: Slot) -> int:
        return (
            self._ad_categories.naming(context.blocked_categories)
            | self._ad_domains.naming(context.blocked_domains)
            | self._ad_attributes.naming(slot.blocked_attributes)
        )


class _Schedule:
    """Which ads run at a moment; computed anew only when a start or an end was passed."""

    __slots__ = ("_campaigns", "_from_us", "_running", "_until_us")

    def __init__(self, campaigns: Sequence[Campaign]) -> None:
        self._campaigns = campaigns
        self._from_us = self._until_us = 0
        self._running = 0

    def running(self, now_us: int) -> int:
        if not self._from_us <= now_us < self._until_us:
            edges = {edge for one in self._campaigns for edge in (one.starts_us, one.ends_us)}
            known = sorted(edge for edge in edges if edge is not None)
            position = bisect_right(known, now_us)
            self._from_us = known[position - 1] if position else -(2**63)
            self._until_us = known[position] if position < len(known) else 2**63
            self._running = bitmap(
                (i for i, one in enumerate(self._campaigns) if _runs(one, now_us)),
                len(self._campaigns),
            )
        return self._running


def _runs(campaign: Campaign, now_us: int) -> bool:
    return campaign.starts_us <= now_us and (campaign.ends_us is None or now_us < campaign.ends_us)


_FETCHES_PLAIN: Final = re.compile(
    r"""(?:(?:src|srcset|poster|data|href)\s*=\s*["']?|url\(\s*["']?|@import\s+["']?)\s*http://""",
    re.IGNORECASE,
)
"""What makes a browser load something without TLS; a namespace with a URL for a name does not."""


def _met(ad: Creative) -> Iterator[Need]:
    """What a place may demand and this ad has."""
    if ad.image_url:
        yield "image"
    if ad.text:
        yield "text"
    media = (ad.image_url or "", ad.video_url or "")
    if not any(url.startswith("http://") for url in media) and not _FETCHES_PLAIN.search(ad.html):
        yield "https"


def _with_parents(domain: str) -> Iterator[str]:
    """A domain and the domains it lies in, most specific first."""
    while domain:
        yield domain
        domain = domain.partition(".")[2]


def _app_key(app: str) -> tuple[str, str]:
    """An app among the places: never equal to a site of the same name."""
    return ("app", app)
