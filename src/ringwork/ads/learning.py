"""What the log teaches the response model: events in, ``shown``, ``responded``, ``advance`` out.

A sale waits here until something says that its ad was shown; from then on the model waits for its
labels (``rank``). Everything follows from the events, their order and their time, so whoever folds
the same events, from the start or from a dump, has the same model, and publishes the same versions
where the log says that one was published. Source: ads specification 3.16, 7.5.

Rows are of those requests alone whose person allowed measurement, or of whom no law asks it
(``AuctionCleared.measurable``): who refused trains nothing, not even what knows nobody. Of each row
only the auction's ``Context`` is looked at, which cannot hold a person, so one calibration serves
every tier; how many rows each tier gave is counted for the version's manifest.

Two inputs of a prediction are not in the log and are restored from what is:

- which beacons the ad carried, hence which labels can come, follows from the source, the pricing
  and the format, as it does when they are signed (``service``);
- the size of the slot: on a placement of ours it is the placement's, in an exchange's request it is
  the banner's own, which is the slot's first one unless the request listed several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, cast

import msgspec
import numpy as np
from msgspec import Struct

from ringwork.ads.events import (
    UNBILLED_IMPRESSION,
    AuctionCleared,
    CampaignChanged,
    CampaignCreated,
    CampaignReviewed,
    ClickRecorded,
    ConversionRecorded,
    CreativeChanged,
    CreativeCreated,
    CreativeReviewed,
    ImpressionBilled,
    ImpressionMeasured,
    ImpressionUnbilled,
    PlacementChanged,
    PlacementCreated,
    SlotOutcome,
)
from ringwork.ads.model import Campaign, Creative, Format, Placement, Slot
from ringwork.ads.model_events import ModelPublished
from ringwork.ads.outside import is_external
from ringwork.ads.rank import features
from ringwork.ads.rank.snapshot import Snapshot, Tier
from ringwork.ads.traffic.rules import INVALID_PREFIX
from ringwork.kernel.events import Event, Recorded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Keys = NDArray[np.int64]

TIER: Final[Tier] = "less_personalised"
SALES_MAX: Final = 2**18
"""Sales that wait to be shown: six minutes (the usual hold) of 700 a second, 60 MB. Past that they
are not learned from, and counted: that costs speed, and prefers no label."""
CONTEXTS_KEPT: Final = 20_000
"""Requests whose keys are remembered: the same circumstances come again."""
_SWEEP_US: Final = 60_000_000
"""Event time between two looks for sales whose hold has ended: a look at all of them, 20 ms."""
_ADVANCE_US: Final = 1_000_000
"""Event time between two looks for rows whose window has ended; windows are minutes."""
_NOBODY_S: Final = (INVALID_PREFIX, UNBILLED_IMPRESSION)
"""How the reasons begin for which an outcome is no person's (``traffic``): no response then."""
_HEAD_OF_MEASURE: Final = {"viewable": "viewable", "view": "completed"}


class Model(Protocol):
    """What learns: ``rank.response.ResponseModel``, or who only collects the rows."""

    def shown(
        self,
        impression_id: bytes,
        context: Keys,
        ad: Keys,
        tier: Tier,
        *,
        ts_us: int,
        heads: Sequence[str],
    ) -> None: ...
    def responded(self, head: str, impression_id: bytes, *, ts_us: int) -> None: ...
    def advance(self, now_us: int) -> int: ...
    def publish(self) -> Snapshot | None: ...


class _Ad(Struct, frozen=True, array_like=True):
    """An ad as it is now."""

    keys: bytes
    """A row of ``features.ad_keys``."""
    size: tuple[int, int]
    campaign_id: str = ""


class _Sale(Struct, frozen=True, array_like=True, gc=False):
    """A sold slot whose ad nobody has seen yet, with the ad and its campaign as they were then."""

    context: bytes
    ad: bytes
    heads: tuple[str, ...]
    expires_s: int
    """From then on its impression is no billed one."""
    tier: str = ""
    """Of its request."""


class _Owner(Struct, frozen=True):
    """What ``features.ad_values`` reads of a campaign; 100,000 whole ones are 150 MB."""

    id: str
    advertiser_id: str


class _State(Struct, frozen=True, array_like=True):
    version: int
    fresh: int
    refused: int
    now_us: int
    advance_us: int
    sweep_us: int
    advertisers: dict[str, str]
    ads: dict[str, _Ad]
    placements: dict[str, tuple[int, int]]
    sales: dict[bytes, _Sale]
    tiers: dict[str, int]
    special: list[str] = []


class Learning:
    """A fold that teaches ``model``. Its ``dump`` is its own state; the model has one of its own.

    Both are of one moment: load both, or neither. It knows the ads by what the events say, so it
    needs no catalogue and may stand anywhere in the log.
    """

    name: ClassVar[str] = "learning"
    version: ClassVar[int] = 3
    """To be raised where the same events would teach something else: fields, heads, rates, rules.
    What was kept on disk is then learned again."""
    hears: ClassVar[tuple[type[Event], ...]] = (
        CampaignCreated,
        CampaignChanged,
        CampaignReviewed,
        CreativeCreated,
        CreativeChanged,
        CreativeReviewed,
        PlacementCreated,
        PlacementChanged,
        AuctionCleared,
        ImpressionBilled,
        ImpressionUnbilled,
        ImpressionMeasured,
        ClickRecorded,
        ConversionRecorded,
        ModelPublished,
    )

    def __init__(self, model: Model, *, sales_max: int = SALES_MAX) -> None:
        self._model = model
        self._sales_max = sales_max
        self._contexts: dict[tuple[str, ...], bytes] = {}
        self.clear()

    def clear(self) -> None:
        """Back to before the first event; the model is its owner's to clear."""
        self.published = 0
        """The version of the last ``ModelPublished``."""
        self.snapshot: Snapshot | None = None
        """What the last one published, until somebody takes it away; not part of the state."""
        self.fresh = 0
        """Impressions and responses since then: whether another version would differ."""
        self.refused = 0
        """Sales that were not learned from because too many waited."""
        self.tiers: dict[str, int] = {}
        """Tier of the request -> impressions that were learned from."""
        self._now_us = self._advance_us = self._sweep_us = 0
        self._advertisers: dict[str, str] = {}
        """Campaign id -> advertiser id."""
        self._special: set[str] = set()
        """Campaigns for housing, employment or credit: no row of theirs knows more of a request
        than their scores may (``features.special_values``)."""
        self._ads: dict[str, _Ad] = {}
        self._placements: dict[str, tuple[int, int]] = {}
        self._sales: dict[bytes, _Sale] = {}

    # ---- folding --------------------------------------------------------------------------------

    def apply(self, recorded: Recorded) -> None:
        """Take the next event."""
        event, ts_us = recorded.payload, recorded.ts_us
        if isinstance(event, AuctionCleared):
            self._advance(ts_us)
            for outcome in event.slots if event.measurable else ():
                if outcome.impression_id is not None:
                    self._sold(event, outcome, outcome.impression_id)
        elif isinstance(event, ImpressionBilled):
            self._advance(ts_us)
            self._seen(event.impression_id, ts_us)
        elif isinstance(event, ImpressionUnbilled):
            self._sales.pop(event.impression_id, None)  # too late, or no person's: no example
        elif isinstance(event, ImpressionMeasured | ClickRecorded | ConversionRecorded):
            head = _head_of(event)
            if head is not None:
                self._advance(ts_us)
                self._responded(head, event.impression_id, ts_us)
        elif isinstance(event, ModelPublished):
            self._advance(ts_us, at_once=True)
            self._publish(event)
        else:
            self._catalogue(event)

    def _catalogue(self, event: Event) -> None:
        if isinstance(event, CampaignCreated | CampaignChanged | CampaignReviewed):
            self._advertisers[event.campaign.id] = event.campaign.advertiser_id
            if event.campaign.is_special:
                self._special.add(event.campaign.id)
            else:
                self._special.discard(event.campaign.id)
        elif isinstance(event, CreativeCreated | CreativeChanged | CreativeReviewed):
            self._ads[event.creative.id] = self._ad(event.creative)
        elif isinstance(event, PlacementCreated | PlacementChanged):
            self._placements[event.placement.id] = _size(event.placement)

    def _ad(self, creative: Creative) -> _Ad:
        owner = _Owner(creative.campaign_id, self._advertisers[creative.campaign_id])
        values = features.ad_values(creative, cast("Campaign", owner))
        keys = features.ad_keys([values])[0].tobytes()
        return _Ad(keys, _size(creative), creative.campaign_id)

    def _sold(self, event: AuctionCleared, outcome: SlotOutcome, impression_id: bytes) -> None:
        """Remember the sale, with what its ad is predicted from, as it is at this moment.

        An outside bidder's ad is bought by the impression: nothing is predicted of it.
        """
        if is_external(outcome.ad_id):
            return
        if len(self._sales) >= self._sales_max:
            self.refused += 1
            return
        ad = self._ads[outcome.ad_id]
        placement = event.context.placement_id
        size = self._placements.get(placement) if event.source == "native" else None
        if outcome.width:
            size = outcome.width, outcome.height
        elif size is None:  # an older log does not say
            size = ad.size if outcome.format == "banner" else (0, 0)
        slot = Slot(
            id=outcome.slot_id,
            format=cast("Format", outcome.format),
            sizes=(size,) if all(size) else (),
        )
        values = features.context_values(event.context, slot)
        if ad.campaign_id in self._special:
            values = features.special_values(values)
        context = self._context(values)
        heads = heads_of(event.source, outcome.pricing, outcome.format)
        self._sales[impression_id] = _Sale(context, ad.keys, heads, outcome.expires_s, event.tier)

    def _context(self, values: tuple[str, ...]) -> bytes:
        kept = self._contexts.get(values)
        if kept is None:
            if len(self._contexts) >= CONTEXTS_KEPT:
                self._contexts.clear()
            kept = self._contexts[values] = features.context_keys(values).tobytes()
        return kept

    def _seen(self, impression_id: bytes, ts_us: int) -> None:
        """The ad was shown: its labels are waited for. Nothing where that is known already."""
        sale = self._sales.pop(impression_id, None)
        if sale is None:
            return
        self.fresh += 1
        self.tiers[sale.tier] = self.tiers.get(sale.tier, 0) + 1
        context, ad = np.frombuffer(sale.context, "<i8"), np.frombuffer(sale.ad, "<i8")
        self._model.shown(impression_id, context, ad, TIER, ts_us=ts_us, heads=sale.heads)

    def _responded(self, head: str, impression_id: bytes, ts_us: int) -> None:
        """A response; one that overtook the impression's own beacon says that it was shown."""
        self._seen(impression_id, ts_us)
        self._model.responded(head, impression_id, ts_us=ts_us)
        self.fresh += 1

    def _advance(self, ts_us: int, *, at_once: bool = False) -> None:
        """Event time goes on: rows whose window ended are learned, sales that ended forgotten."""
        self._now_us = max(self._now_us, ts_us)
        if self._now_us < self._advance_us and not at_once:
            return
        self._advance_us = self._now_us + _ADVANCE_US
        self._model.advance(self._now_us)
        if self._now_us >= self._sweep_us:
            self._sweep_us = self._now_us + _SWEEP_US
            now_s = self._now_us // 1_000_000
            self._sales = {id: one for id, one in self._sales.items() if one.expires_s > now_s}

    def _publish(self, event: ModelPublished) -> None:
        snapshot = self._model.publish()
        assert snapshot is None or snapshot.version == event.version, "both count these events"
        self.published, self.snapshot, self.fresh = event.version, snapshot, 0

    # ---- keeping --------------------------------------------------------------------------------

    def dump(self) -> bytes:
        """The state as bytes; equal states give equal bytes."""
        return msgspec.msgpack.encode(
            _State(
                self.published,
                self.fresh,
                self.refused,
                self._now_us,
                self._advance_us,
                self._sweep_us,
                self._advertisers,
                self._ads,
                self._placements,
                self._sales,
                self.tiers,
                sorted(self._special),
            )
        )

    def load(self, state: bytes) -> None:
        """Replace the state by a dumped one. Raises ``msgspec.DecodeError`` on other bytes."""
        told = msgspec.msgpack.decode(state, type=_State)
        self.published, self.snapshot = told.version, None
        self.fresh, self.refused = told.fresh, told.refused
        self._now_us, self._advance_us = told.now_us, told.advance_us
        self._sweep_us = told.sweep_us
        self._advertisers, self._ads = told.advertisers, told.ads
        self._placements, self._sales = told.placements, told.sales
        self.tiers = told.tiers
        self._special = set(told.special)


def heads_of(source: str, pricing: str, format: str) -> tuple[str, ...]:
    """The heads whose label can come for a sale: those of the beacons that its place can send.

    >>> heads_of("openrtb", "cpm", "banner"), heads_of("native", "cpc", "video")
    (('click',), ('click', 'viewable', 'completed'))
    """
    is_native = source == "native"
    heads: tuple[str, ...] = ("click",)
    if pricing == "vcpm" or (is_native and format != "audio"):
        heads = (*heads, "viewable")
    if pricing == "cpv" or (is_native and format in ("video", "audio")):
        heads = (*heads, "completed")
    return heads


def _head_of(event: ImpressionMeasured | ClickRecorded | ConversionRecorded) -> str | None:
    """The head that an event is a response of; None for no response."""
    if event.unbilled_reason.startswith(_NOBODY_S):
        return None
    if isinstance(event, ImpressionMeasured):
        return _HEAD_OF_MEASURE.get(event.measure)
    if isinstance(event, ClickRecorded):
        return "click"
    return None if event.view_through else "conversion"  # the head is of conversions per click


def _size(sized: Creative | Placement) -> tuple[int, int]:
    """Width and height where both are known, else zeros."""
    return (sized.width, sized.height) if sized.width and sized.height else (0, 0)
