"""The live ads, ready to be asked: kept in step with the catalogue, searched exactly.

What changes is in the next search: an ad that is new or edited waits in the tail of the table, one
that is gone loses its bit, and so does one whose campaign is not running or cannot pay. The tail is
merged into the base in the background (``Merge``), or at once where nobody does so and it is full.

What a campaign can pay is known before it is asked: each change of its means is taken note of. One
that has less left than its bid bids what it has left.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol, get_args

import numpy as np
from msgspec import Struct

from ringwork.ads import rotation
from ringwork.ads.auction import Ranked
from ringwork.ads.budgets import DAY_S
from ringwork.ads.catalogue import Catalogue, may_show
from ringwork.ads.events import Considered
from ringwork.ads.model import Advertiser, Campaign, Candidate, Context, Creative, Pricing, Slot
from ringwork.ads.page import Page
from ringwork.ads.priorities import ONE_PPM, draw_ppm
from ringwork.ads.rank.features import AD_WIDTH
from ringwork.ads.rank.snapshot import Snapshot
from ringwork.ads.retrieval import table as columns
from ringwork.ads.retrieval.dimensions import (
    ADS,
    CAMPAIGNS,
    CODE,
    DEAL_KEY,
    OF,
    Dimensions,
)
from ringwork.ads.retrieval.scan import BY_DURATION, Found, Plan, bounds_of
from ringwork.ads.retrieval.scoring import Circumstances, Scorer, keys_of
from ringwork.ads.retrieval.table import Content, Floats, Ints, Table, Values, words_of

SHORTLIST_MAX: Final = 8
"""Ads that compete for one slot: the price needs two, the log and "why" show the rest."""
LONG_SHORTLIST_MAX: Final = 32
"""The same where the order may still change: places of a slate, since some may not stand beside
others, and scores that another part moves."""
MERGE_AT: Final = 512
"""Ads in the tail that make a merge worth its while."""
REFRESHED_AT_ONCE: Final = 256
"""Campaigns whose new daily budget one request takes note of: a day begins without a pause."""
TIERS: Final = {"house": 0, "price": 1, "guaranteed": 2, "sponsorship": 3}
"""Who is asked before whom."""

_PRICINGS: Final = {pricing: code for code, pricing in enumerate(get_args(Pricing))}
_CODED: Final = (*_PRICINGS, *_PRICINGS)
"""Pricing of every code that an ad can have: first the usual ads', then the special ones'."""
_FOREVER: Final = 2**63 - 1
_ONE: Final = np.uint64(1)
_NO_KEYS: Final[Ints] = np.zeros(AD_WIDTH, np.int64)


class Contender(Struct, gc=False):
    """A live ad with everything that the auction and the answer need of it."""

    creative: Creative
    campaign: Campaign
    advertiser: Advertiser
    ranked: Ranked
    """As it stood when it was last found: most often the same the next time."""
    considered: Considered | None = None
    """What is logged of ``ranked``, once it was."""

    def ranked_at(self, bid_nanos: int, p_ppb: int, score_nanos: int) -> Ranked:
        """The ad as a candidate that bids so much, which it did not when it was last found."""
        before = self.ranked.candidate
        candidate = Candidate(
            ad_id=before.ad_id, bid_nanos=bid_nanos, p_ppb=p_ppb, quality_ppm=before.quality_ppm
        )
        self.ranked, self.considered = Ranked(candidate, score_nanos), None
        return self.ranked


class Shortlist(Struct, frozen=True, gc=False):
    """Who may compete for a slot: the best first, ``SHORTLIST_MAX`` or ``LONG_SHORTLIST_MAX``."""

    contenders: dict[str, Contender]
    """By ad id, the best first."""
    ranked: list[Ranked]
    """The same in the order of the auction."""
    eligible: int
    """Ads, of those looked at, that nothing excludes."""
    excluded: dict[str, int]
    """First reason that applied -> how many of those looked at it kept out."""
    scanned: int
    """Live ads that were looked at; what was not could not have come on the list."""


class Means(Protocol):
    """What campaigns can pay: ``Budgets``."""

    changed: dict[str, None]
    """The campaigns whose means may have changed; the index empties it."""

    def free_nanos(self, campaign: Campaign, now_s: int) -> int: ...


class _Line(Struct):
    """A campaign in the index."""

    number: int
    campaign: Campaign
    advertiser: Advertiser
    handles: set[int]
    is_running: bool = False
    is_funded: bool = False


class Index:
    """The live ads of a catalogue."""

    def __init__(self, catalogue: Catalogue, means: Means, *, p_ppb: Mapping[Pricing, int]) -> None:
        """``p_ppb``: the probability, per impression, of what a pricing charges for."""
        self._catalogue = catalogue
        self._means = means
        self._p_ppb: Ints = np.array([p_ppb.get(one, 0) for one in _CODED], np.int64)
        self._generation: int | None = None
        self._next_scorer: Scorer | None = None
        self._begin()

    def _begin(self) -> None:
        self._dimensions = Dimensions()
        self._contenders: list[Contender] = []
        self._handles: dict[str, int] = {}
        self._free: list[int] = []
        self._position: Ints = np.zeros(1024, np.int64)
        """Handle -> where the ad is in the table."""
        self._paces: dict[str, int] = {}
        self._capped: dict[str, dict[str, None]] = {}
        """Advertiser -> its campaigns with frequency caps."""
        self._first: dict[str, None] = {}
        """Sponsorships and guaranteed campaigns."""
        self._roadblocks: dict[str, None] = {}
        self._by_media: dict[str, set[int]] = {}
        """URL of a video or audio file -> the ads that play it."""
        self._lines: dict[str, _Line] = {}
        self._campaigns: Ints = np.zeros((1024, columns.CAMPAIGN_WIDTH), np.int64)
        self._edges: list[tuple[int, str]] = []
        """When the schedule of which campaign begins or ends."""
        self._as_of_us = 0
        self._day = -1
        self._yesterday: dict[str, None] = {}
        """Campaigns whose daily budget began anew, and whose means are still those of before."""
        self._table = _empty()
        self._plan: Plan | None = None
        self._scorer: Scorer | None = None
        self._responses = 0
        """Live ads that are paid by a response."""

    def warm_up(self) -> None:
        """Load or compile the scan, so that no request waits for it."""
        self.plan.scan([], floor_nanos=0, wanted=1)

    # ---- asking ---------------------------------------------------------------------------------

    def shortlist(
        self,
        context: Context,
        slot: Slot,
        *,
        now_us: int,
        page: Page | None = None,
        is_long: bool = False,
    ) -> Shortlist:
        """Who may compete for ``slot``, given what ``page`` shows and bars already."""
        self.follow(now_us)
        audiences = () if page is None else page.audiences
        clauses = self.clauses(context, slot, now_us=now_us, audiences=audiences)
        if page is not None and (page.sold or page.barred or not page.knows_viewer):
            self._add_page(clauses, slot, page)
        wanted = LONG_SHORTLIST_MAX if is_long or slot.slate_ppm else SHORTLIST_MAX
        found = self._scan(context, slot, clauses, wanted)
        if page is not None and not slot.slate_ppm:
            found = self._rotated(context, slot, clauses, wanted, found, page)
        return self._shortlist(found)

    def _scan(self, context: Context, slot: Slot, clauses: list[int], wanted: int) -> Found:
        return self.plan.scan(
            clauses,
            floor_nanos=self._floor(slot),
            wanted=wanted,
            circumstances=self._circumstances(context, slot),
        )

    def _rotated(
        self,
        context: Context,
        slot: Slot,
        clauses: list[int],
        wanted: int,
        found: Found,
        page: Page,
    ) -> Found:
        """The same with one ad of each campaign (``rotation``).

        Who has its turn is drawn among all ads of its campaign that fit, not among those that were
        found alone: the list may have ended before them. The others are found without these
        campaigns, until none is there twice.
        """
        turns: dict[str, list[int]] = {}
        best = found.best
        while twice := self._twice(best, wanted):
            for campaign_id, fitting in self._fitting(context, slot, clauses, twice):
                ads = [(self._contenders[one[5]].creative, one[4]) for one in fitting]
                drawn = draw_ppm(page.turns.auction_id, f"{campaign_id} {slot.id}")
                turns[campaign_id] = fitting[rotation.chosen(ads, drawn)]
            barred = [self._lines[campaign_id].number for campaign_id in turns]
            others = [*clauses, CODE["rotation"], CAMPAIGNS, len(barred), *barred]
            found = self._scan(context, slot, others, LONG_SHORTLIST_MAX)
            best = [*found.best, *turns.values()]
            best.sort(key=lambda one: (-one[0], self._contenders[one[5]].creative.id))
        return found.with_turns(best[:wanted], len(turns), CODE["rotation"]) if turns else found

    def _twice(self, best: Sequence[Sequence[int]], wanted: int) -> list[str]:
        """The campaigns with several ads among those found, down to as many as are wanted."""
        seen: set[str] = set()
        twice: dict[str, None] = {}
        for one in best:
            campaign_id = self._contenders[one[5]].campaign.id
            if campaign_id in seen:
                twice[campaign_id] = None
            elif len(seen) == wanted:
                break
            seen.add(campaign_id)
        return list(twice)

    def _fitting(
        self, context: Context, slot: Slot, clauses: list[int], campaigns: Sequence[str]
    ) -> Iterator[tuple[str, list[list[int]]]]:
        """Each of ``campaigns`` with its ads that fit, asked together while the answer has room."""
        numbers = [self._lines[campaign_id].number for campaign_id in campaigns]
        own = [*clauses, CODE["rotation"], OF, len(numbers), *numbers]
        best = self._scan(context, slot, own, LONG_SHORTLIST_MAX).best
        if len(best) == LONG_SHORTLIST_MAX and len(campaigns) > 1:
            for campaign_id in campaigns:
                yield from self._fitting(context, slot, clauses, [campaign_id])
            return
        by_campaign: dict[str, list[list[int]]] = {}
        for one in best:
            by_campaign.setdefault(self._contenders[one[5]].campaign.id, []).append(one)
        yield from by_campaign.items()

    def clauses(
        self, context: Context, slot: Slot, *, now_us: int, audiences: tuple[str, ...] = ()
    ) -> list[int]:
        """What a request asks of the ads, in numbers (``retrieval.dimensions``)."""
        return self._dimensions.of_request(context, slot, now_us, audiences)

    def _add_page(self, clauses: list[int], slot: Slot, page: Page) -> None:
        """Competitive exclusion, what a group must not repeat, who is barred."""
        without = self._dimensions.without
        if page.sold:
            without(clauses, "page", "label", page.labels())
            for one in page.of_group(slot.group):
                if "advertiser" in slot.distinct:
                    without(clauses, "repeated", "ad domain", (one.advertiser.domain,))
                if "category" in slot.distinct:
                    without(clauses, "repeated", "ad category", one.creative.categories)
                if "creative" in slot.distinct or "media" in slot.distinct:
                    same = self._sharing(one.creative, by_media="media" in slot.distinct)
                    clauses += (CODE["repeated"], ADS, len(same), *same)
            if page.roadblock:
                clauses += (CODE["roadblock"], OF, 1, self._lines[page.roadblock].number)
        self._add_barred(clauses, page)

    def _add_barred(self, clauses: list[int], page: Page) -> None:
        """Who takes no part, and of a viewer nobody knows, whoever may not be seen too often."""
        if not page.knows_viewer and self._capped:
            self._dimensions.without(clauses, "frequency", "capped", (True,))
        by_reason: dict[str, list[int]] = {}
        for campaign_id, reason in page.barred.items():
            line = self._lines.get(campaign_id)
            if line is not None:
                by_reason.setdefault(reason, []).append(line.number)
        for reason, barred in by_reason.items():
            clauses += (CODE[reason], CAMPAIGNS, len(barred), *barred)

    def fits(
        self,
        campaign_id: str,
        context: Context,
        slot: Slot,
        *,
        now_us: int,
        audiences: tuple[str, ...] = (),
    ) -> bool:
        """Whether some ad of a campaign could win ``slot``, were it alone."""
        clauses = self.clauses(context, slot, now_us=now_us, audiences=audiences)
        clauses += (CODE["roadblock"], OF, 1, self._lines[campaign_id].number)
        found = self.plan.scan(
            clauses,
            floor_nanos=self._floor(slot),
            wanted=1,
            circumstances=self._circumstances(context, slot),
        )
        return bool(found.best)

    def _circumstances(self, context: Context, slot: Slot) -> Circumstances | None:
        """What the request brings to the model; nothing where no ad is paid by a response."""
        scorer = self._scorer
        if scorer is None or not self._responses:
            return None
        return scorer.of_request(context, slot)

    def sigma_of(self, ad_id: str) -> float:
        """How uncertain the log-odds of an ad's response are; 0 without a model.

        An ad that is not in the index, an outside bidder's, is paid by no response.
        """
        handle = self._handles.get(ad_id)
        if self._scorer is None or handle is None:
            return 0.0
        position = self._position[handle]
        pricing = int(self._table.ads[position, columns.PRICING])
        return self._scorer.sigma(pricing, self._table.keys[position])

    @property
    def model_version(self) -> int:
        """The version of the response model that ads are scored with; 0 for priors alone."""
        return 0 if self._scorer is None else self._scorer.version

    def use_model(self, snapshot: Snapshot) -> None:
        """Score by another version, from the next merge on: the order of the ads follows it."""
        self._next_scorer = Scorer(snapshot, _CODED)

    def _floor(self, slot: Slot) -> int:
        """The floor for the plan, which holds those that depend on an ad's duration."""
        if not slot.nanos_per_second and not slot.duration_floors:
            return slot.floor_nanos
        for length in self._dimensions.lengths:
            self.plan.floors[length] = slot.floor_for(length)
        return BY_DURATION

    def capped_campaigns(self, advertiser_id: str) -> list[Campaign]:
        """An advertiser's live campaigns that have frequency caps."""
        return [self._lines[id].campaign for id in self._capped.get(advertiser_id, ())]

    def _sharing(self, creative: Creative, *, by_media: bool) -> list[int]:
        """The handles of the ad itself and, where asked, of those with the same media file."""
        handle = self._handles.get(creative.id)
        same = set() if handle is None else {handle}
        if by_media:
            same |= self._by_media.get(_media_of(creative), set())
        return sorted(same)

    @property
    def plan(self) -> Plan:
        """The arrays to scan."""
        plan = self._plan
        if plan is None or not plan.is_current(self._table, self._campaigns):
            plan = Plan(
                self._table, self._campaigns, self._p_ppb, self._scorer, most=LONG_SHORTLIST_MAX
            )
            self._plan = plan
        return plan

    def nobody(self, *, reason: str) -> Shortlist:
        """An empty shortlist: every live ad is kept out for the same reason."""
        self.follow(self._as_of_us)
        count = len(self._handles)
        return Shortlist({}, [], 0, {reason: count} if count else {}, count)

    def _shortlist(self, found: Found) -> Shortlist:
        contenders: dict[str, Contender] = {}
        ranked: list[Ranked] = []
        every = self._contenders
        for _, _, bid_nanos, p_ppb, score_nanos, handle in found.best:
            contender = every[handle]
            one = contender.ranked
            candidate = one.candidate
            if candidate.bid_nanos != bid_nanos or candidate.p_ppb != p_ppb:
                one = contender.ranked_at(bid_nanos, p_ppb, score_nanos)
            contenders[candidate.ad_id] = contender
            ranked.append(one)
        return Shortlist(contenders, ranked, found.eligible, found.excluded, found.scanned)

    # ---- means ----------------------------------------------------------------------------------

    def _follow_means(self, now_us: int) -> None:
        """What each campaign can still pay, where that may have changed."""
        now_s = now_us // 1_000_000
        changed = self._means.changed
        if changed:
            for campaign_id in changed:
                line = self._lines.get(campaign_id)
                if line is not None:
                    self._weigh(line, now_s)
            changed.clear()
        if now_s // DAY_S != self._day:
            self._day = now_s // DAY_S
            daily = [one for one in self._lines.values() if one.campaign.daily_budget is not None]
            self._yesterday = dict.fromkeys(one.campaign.id for one in daily)
        if self._yesterday:
            for campaign_id in list(islice(self._yesterday, REFRESHED_AT_ONCE)):
                del self._yesterday[campaign_id]
                self._weigh(self._lines[campaign_id], now_s)

    def _weigh(self, line: _Line, now_s: int) -> None:
        free_nanos = self._means.free_nanos(line.campaign, now_s)
        self._campaigns[line.number, columns.LIMIT] = free_nanos
        is_funded = free_nanos > 0
        if is_funded != line.is_funded:
            line.is_funded = is_funded
            self._mark(line, columns.FUNDED, is_on=is_funded)

    def running(self) -> Iterator[Campaign]:
        """The campaigns that have live ads and are within their schedules."""
        return (one.campaign for one in self._lines.values() if one.is_running and one.handles)

    def set_pace(self, campaign_id: str, pace_ppm: int) -> None:
        """What share of its bid, in 1e-6, a campaign bids from now on.

        Of a guaranteed one: in what share of requests it takes part.
        """
        self._paces[campaign_id] = pace_ppm
        line = self._lines.get(campaign_id)
        if line is not None and line.campaign.priority == "price":
            self._campaigns[line.number, columns.PACE] = pace_ppm

    def pace_ppm(self, campaign_id: str) -> int:
        """What ``set_pace`` said last; all of it where nothing was said."""
        return self._paces.get(campaign_id, ONE_PPM)

    @property
    def deals(self) -> Collection[str]:
        """The deals that some campaign has ever targeted."""
        return self._dimensions.said(DEAL_KEY)

    @property
    def has_turns(self) -> bool:
        """Whether a live campaign is asked before the auction."""
        return bool(self._first)

    @property
    def has_roadblocks(self) -> bool:
        """Whether a live campaign wants a whole page."""
        return bool(self._roadblocks)

    def _mark(self, line: _Line, row: int, *, is_on: bool) -> None:
        for handle in line.handles:
            self._table.set(row, int(self._position[handle]), is_on=is_on)

    # ---- following the catalogue ----------------------------------------------------------------

    def follow(self, now_us: int) -> None:
        """Take note of everything that has changed by now; every search does so first."""
        catalogue = self._catalogue
        if self._generation != catalogue.generation:
            self._generation = catalogue.generation
            catalogue.touched.clear()
            self._begin()
            self._load(now_us)
            self._day = now_us // 1_000_000 // DAY_S  # each was weighed as it was loaded
            self._as_of_us = now_us
        elif catalogue.touched:
            touched = list(catalogue.touched)
            catalogue.touched.clear()
            for one in touched:
                kind, _, id = one.partition(" ")
                if kind == "campaign":
                    self._campaign_changed(id, now_us)
                else:
                    self._creative_changed(id, now_us)
        self._follow_means(now_us)
        if now_us < self._as_of_us:  # the clock was set back: every schedule is looked at again
            for line in self._lines.values():
                self._schedule(line, now_us)
        self._as_of_us = now_us
        while self._edges and self._edges[0][0] <= now_us:
            _, id = heapq.heappop(self._edges)
            self._schedule(self._lines[id], now_us)

    def _load(self, now_us: int) -> None:
        """Everything that is live, laid out at once."""
        ads, named, ids, keys = [], [], [], []
        for creative, campaign, advertiser in self._catalogue.live_ads():
            line = self._line(campaign, advertiser, now_us)
            ads.append(self._admit(creative, line))
            named.append(self._dimensions.of_ad(creative, campaign, advertiser))
            ids.append(creative.id)
            keys.append(self._keys(creative, campaign))
        if ads:
            content = Content(
                np.array(ads, np.int64),
                np.stack([words_of(one) for one in ids]),
                np.stack(keys),
                Values.of(named, self._dimensions.count),
            )
            self._scorer = self._next_scorer
            self._table = _table_of(content, self._campaigns, self._p_ppb, self._scorer)
            self._position[self._table.ads[self._table.place, columns.HANDLE]] = self._table.place
            for line in self._lines.values():
                self._mark(line, columns.FUNDED, is_on=line.is_funded)

    def _line(self, campaign: Campaign, advertiser: Advertiser, now_us: int) -> _Line:
        line = self._lines.get(campaign.id)
        if line is None:
            number = len(self._lines)
            if number == len(self._campaigns):
                self._campaigns = np.concatenate((self._campaigns, self._campaigns * 0))
            line = self._lines[campaign.id] = _Line(number, campaign, advertiser, set())
            self._admit_line(line)
            self._weigh(line, now_us // 1_000_000)
        return line

    def _admit_line(self, line: _Line) -> None:
        """Take over a campaign's terms, and look at its schedule when it matters, and next."""
        campaign = line.campaign
        is_priced = campaign.priority == "price"
        pace_ppm = self.pace_ppm(campaign.id) if is_priced else ONE_PPM
        self._campaigns[line.number, columns.BID] = campaign.bid_nanos
        self._campaigns[line.number, columns.PACE] = pace_ppm
        is_live = may_show(campaign)
        capped = self._capped.setdefault(campaign.advertiser_id, {})
        for group, belongs in (
            (capped, bool(campaign.frequency_caps)),
            (self._first, campaign.priority in ("sponsorship", "guaranteed")),
            (self._roadblocks, campaign.roadblock),
        ):
            if belongs and is_live:
                group[campaign.id] = None
            else:
                group.pop(campaign.id, None)
        for edge in (0, campaign.starts_us, campaign.ends_us):
            if edge is not None:
                heapq.heappush(self._edges, (edge, campaign.id))

    def _schedule(self, line: _Line, now_us: int) -> None:
        campaign = line.campaign
        ends_us = _FOREVER if campaign.ends_us is None else campaign.ends_us
        is_running = campaign.starts_us <= now_us < ends_us
        if is_running != line.is_running:
            line.is_running = is_running
            self._mark(line, columns.RUNNING, is_on=is_running)

    def _admit(self, creative: Creative, line: _Line) -> tuple[int, ...]:
        """Give an ad a handle; its row for the table."""
        unasked = Candidate(ad_id=creative.id, bid_nanos=0, quality_ppm=creative.quality_ppm)
        contender = Contender(creative, line.campaign, line.advertiser, Ranked(unasked, 0))
        if self._free:
            handle = self._free.pop()
            self._contenders[handle] = contender
        else:
            handle = len(self._contenders)
            self._contenders.append(contender)
            if handle == len(self._position):
                self._position = np.concatenate((self._position, self._position * 0))
        self._handles[creative.id] = handle
        self._responses += line.campaign.pricing != "cpm"
        line.handles.add(handle)
        if media := _media_of(creative):
            self._by_media.setdefault(media, set()).add(handle)
        campaign = line.campaign
        pricing, tier = _PRICINGS[campaign.pricing], TIERS[campaign.priority]
        if campaign.is_special:
            pricing += columns.PRICINGS
        return line.number, creative.quality_ppm, pricing, tier, handle, creative.duration_s

    def _campaign_changed(self, id: str, now_us: int) -> None:
        """Everything of it leaves, and what is live of it comes again at its new terms."""
        creatives = self._catalogue.creatives_of(id)
        for creative_id in creatives:
            if creative_id in self._handles:
                self._remove(creative_id)
        line = self._lines.get(id)
        if line is not None:
            line.campaign = self._catalogue.campaigns[id]
            line.advertiser = self._catalogue.advertisers[line.campaign.advertiser_id]
            self._admit_line(line)
            self._weigh(line, now_us // 1_000_000)
            self._schedule(line, now_us)
        for creative_id in creatives:
            self._creative_changed(creative_id, now_us)

    def _creative_changed(self, id: str, now_us: int) -> None:
        if id in self._handles:
            self._remove(id)
        creative = self._catalogue.creatives[id]
        campaign = self._catalogue.campaigns[creative.campaign_id]
        if creative.status != "active" or not may_show(campaign):
            return
        advertiser = self._catalogue.advertisers[campaign.advertiser_id]
        line = self._line(campaign, advertiser, now_us)
        named = self._dimensions.of_ad(creative, campaign, advertiser)
        if not self._table.room:
            self.merged(self.merge().run())
        row = self._admit(creative, line)
        keys = self._keys(creative, campaign)
        position = self._table.append(
            row, id, named, self._dimensions.count, keys, self._own_logits(keys)
        )
        self._position[row[columns.HANDLE]] = position
        self._table.set(columns.RUNNING, position, is_on=line.is_running)
        self._table.set(columns.FUNDED, position, is_on=line.is_funded)

    def _keys(self, creative: Creative, campaign: Campaign) -> Ints:
        """What the model knows an ad by; nothing where it is paid by the impression."""
        return _NO_KEYS if campaign.pricing == "cpm" else keys_of(creative, campaign)

    def _own_logits(self, keys: Ints) -> Floats | None:
        if self._scorer is None or keys is _NO_KEYS:
            return None
        return self._scorer.logits(keys[None, :])[:, 0]

    def _remove(self, id: str) -> None:
        handle = self._handles.pop(id)
        contender = self._contenders[handle]
        self._responses -= contender.campaign.pricing != "cpm"
        self._table.set(columns.PRESENT, int(self._position[handle]), is_on=False)
        self._lines[contender.campaign.id].handles.discard(handle)
        if media := _media_of(contender.creative):
            self._by_media[media].discard(handle)
        self._free.append(handle)

    # ---- merging --------------------------------------------------------------------------------

    @property
    def is_worth_merging(self) -> bool:
        """Whether enough ads wait in the tail, or another version of the model."""
        return len(self._table.tail_values) >= MERGE_AT or self._scorer is not self._next_scorer

    def merge(self) -> Merge:
        """Begin to lay out base and tail anew; hand its result to ``merged``."""
        return Merge(
            self._table, self._campaigns, self._p_ppb, self._dimensions.count, self._next_scorer
        )

    def merged(self, merge: Merge) -> None:
        """Use what ``merge`` made; whatever changed since it began is carried over."""
        assert merge.table is not None, "run it first"
        old, new = self._table, merge.table
        if old is not merge.old:
            return  # another merge came before it, because the tail was full
        was = merge.positions[new.order]
        present = np.zeros(0, np.int64)
        for row in range(len(new.state)):
            is_on = ((old.state[row, was >> 6] >> (was & 63).astype(np.uint64)) & _ONE).astype(
                np.bool_
            )
            new.state[row, : new.base_words] = new.flags(is_on)
            if row == columns.PRESENT:
                present = new.place[is_on]
        self._scorer = merge.scorer
        self._position[new.ads[present, columns.HANDLE]] = present
        self._table = new
        for number in range(merge.tail_count, len(old.tail_values)):
            position = (old.base_words << 6) + number
            if old.is_on(columns.PRESENT, position):
                self._carry(old, position, old.tail_values[number])

    def _carry(self, old: Table, position: int, named: Sequence[int]) -> None:
        """Append what came to ``old`` while the new table was made."""
        row = old.ads[position].tolist()
        id = self._contenders[row[columns.HANDLE]].creative.id
        keys = old.keys[position] if row[columns.PRICING] % columns.PRICINGS else _NO_KEYS
        logits = self._own_logits(keys)
        new = self._table.append(row, id, named, self._dimensions.count, keys, logits)
        self._position[row[columns.HANDLE]] = new
        for flag in (columns.RUNNING, columns.FUNDED):
            self._table.set(flag, new, is_on=old.is_on(flag, position))


class Merge:
    """A table in the making; ``run`` may be called in any thread."""

    def __init__(
        self, old: Table, campaigns: Ints, p_ppb: Ints, count: int, scorer: Scorer | None
    ) -> None:
        self.old = old
        self.positions: Ints = old.present()
        self.tail_count = len(old.tail_values)
        self.scorer = scorer
        self.table: Table | None = None
        self._tail_values = list(old.tail_values)
        self._campaigns = campaigns.copy()
        self._p_ppb = p_ppb
        self._count = count

    def run(self) -> Merge:
        """Lay out."""
        old, positions = self.old, self.positions
        rank = np.zeros(len(old.ads), np.int64)
        rank[old.place] = np.arange(old.base_count)
        first = old.base_words << 6
        rank[first : first + self.tail_count] = old.base_count + np.arange(self.tail_count)
        values = old.values.joined(self._tail_values, self._count).taken(rank[positions])
        content = Content(old.ads[positions], old.ids[positions], old.keys[positions], values)
        self.table = _table_of(content, self._campaigns, self._p_ppb, self.scorer)
        return self


def _table_of(content: Content, campaigns: Ints, p_ppb: Ints, scorer: Scorer | None) -> Table:
    """The table of ads, in the order of the most that each could score."""
    pricing, logits = content.ads[:, columns.PRICING], None
    reach = p_ppb[pricing]
    if scorer is not None:
        logits = scorer.logits(content.keys)
        reach = scorer.reach_ppb(pricing, logits)
    return Table(content, bounds_of(content.ads, campaigns, reach), logits)


def _media_of(creative: Creative) -> str:
    return creative.video_url or creative.audio_url or ""


def _empty() -> Table:
    none = np.zeros(0, np.int64)
    content = Content(
        np.zeros((0, columns.WIDTH), np.int64),
        np.zeros((0, columns.ID_WORDS), np.uint64),
        np.zeros((0, AD_WIDTH), np.int64),
        Values.of([], 0),
    )
    return Table(content, none, None)
