"""What the management API answers: named members, ids as text, sums as Money, no person."""

from __future__ import annotations

from msgspec import Struct, structs

from ringwork.ads.auction import recompute
from ringwork.ads.creatives import Finding
from ringwork.ads.events import AuctionCleared, SlotOutcome
from ringwork.ads.model import Advertiser, Audience, Campaign, Creative, Placement, Publisher, Site
from ringwork.ads.projections import Change, ChangeRow
from ringwork.ads.reads import FeatureRead, reads_of
from ringwork.ads.why import used_of
from ringwork.kernel.events import Recorded
from ringwork.kernel.ids import format_id
from ringwork.kernel.money import Money


class AdvertiserView(Struct, frozen=True, kw_only=True):
    """An advertiser without its contact."""

    id: str
    name: str
    domain: str
    currency: str

    @classmethod
    def of(cls, advertiser: Advertiser) -> AdvertiserView:
        """What may be seen of an advertiser."""
        return cls(
            id=advertiser.id,
            name=advertiser.name,
            domain=advertiser.domain,
            currency=advertiser.currency,
        )


class Advertisers(Struct, frozen=True):
    """One page; ``next`` is the cursor of the page after it, null at the end."""

    advertisers: list[AdvertiserView]
    next: str | None


class Campaigns(Struct, frozen=True):
    """One page; ``next`` is the cursor of the page after it, null at the end."""

    campaigns: list[Campaign]
    next: str | None


class Creatives(Struct, frozen=True):
    """One page; ``next`` is the cursor of the page after it, null at the end."""

    creatives: list[Creative]
    next: str | None


class Audiences(Struct, frozen=True):
    """One page; ``next`` is the cursor of the page after it, null at the end."""

    audiences: list[Audience]
    next: str | None


class Publishers(Struct, frozen=True):
    """One page; ``next`` is the cursor of the page after it, null at the end."""

    publishers: list[Publisher]
    next: str | None


class Sites(Struct, frozen=True):
    """One page; ``next`` is the cursor of the page after it, null at the end."""

    sites: list[Site]
    next: str | None


class Placements(Struct, frozen=True):
    """One page; ``next`` is the cursor of the page after it, null at the end."""

    placements: list[Placement]
    next: str | None


class CreativeCheck(Struct, frozen=True):
    """What a check of a creative found; one without errors would be taken."""

    accepted: bool
    findings: list[Finding]


class ChangeView(Struct, frozen=True, kw_only=True):
    """One command that created, changed or decided on an item."""

    id: str
    """Where it stands in the log."""
    ts_us: int
    request_id: str
    by: str
    """An API key's id, ``console`` for a signed-in session, ``local`` for the owner's socket; empty
    where the platform did it, or where the event is older than this member."""
    by_label: str
    """The API key's label."""
    action: str
    """``create``, ``change``, ``approve``, ``reject`` or ``return``."""
    reason: str
    changes: list[Change]
    """Member by member; of a creation none: nothing was there before."""

    @classmethod
    def of(cls, row: ChangeRow) -> ChangeView:
        """What is shown of a row."""
        return cls(
            id=str(row.seq),
            ts_us=row.ts_us,
            request_id=format_id(row.request_id),
            by=row.actor,
            by_label=row.label,
            action=row.action,
            reason=row.reason,
            changes=list(row.changes),
        )


class History(Struct, frozen=True):
    """One page, newest first; ``next`` is the cursor of the page after it, null at the end."""

    history: list[ChangeView]
    next: str | None


class Conversion(Struct, frozen=True, kw_only=True):
    """A conversion as it counts; the same again has the same answer."""

    conversion_id: str
    view_through: bool
    """It was reported after a view alone."""
    impression_id: str
    campaign_id: str
    ad_id: str


class ConsideredView(Struct, frozen=True, kw_only=True):
    """One ranked ad with the inputs of its place and price (ads specification 3.12)."""

    ad_id: str
    campaign_id: str
    bid_nanos: int
    p_ppb: int
    quality_ppm: int
    multiplier_ppm: int
    shift_nanos: int
    score_nanos: int


class ContextView(Struct, frozen=True, kw_only=True):
    """Where the ad would be seen; by whom, no context says."""

    site: str
    app: str
    publisher_id: str
    placement_id: str
    categories: tuple[str, ...]
    region: str
    device_type: str
    hour: int
    blocked_categories: tuple[str, ...]
    blocked_domains: tuple[str, ...]
    key_values: tuple[tuple[str, str], ...]
    blocked_advertisers: tuple[str, ...]


class Why(Struct, frozen=True, kw_only=True):
    """Why this ad, why this price: the logged inputs, and the result computed from them again."""

    impression_id: str
    request_id: str
    auction_id: str
    ts_us: int
    source: str
    slot_id: str
    format: str
    rule: str
    charge_bid: bool
    reserve_nanos: int
    currency: str
    context: ContextView
    reads: list[FeatureRead]
    """Personal data that were read for it, with the person's consent; else none."""
    tier: str
    """What the person's choice left of the request; empty in older records."""
    tier_reasons: list[str]
    dsa_params: list[int]
    """What of the viewer was used, as its answer said."""
    eligible: int
    excluded: dict[str, int]
    considered: list[ConsideredView]
    ad_id: str
    campaign_id: str
    pricing: str
    price_nanos: int
    recomputed_ad_id: str
    recomputed_price_nanos: int
    agrees: bool
    """Whether the recomputed ad and price are those of the sale."""

    @classmethod
    def of(cls, recorded: Recorded, cleared: AuctionCleared, slot: SlotOutcome) -> Why:
        """The explanation of a sold slot."""
        assert slot.impression_id is not None, "only a sale has a price to explain"
        ad_id, price_nanos = recompute(slot) or ("", 0)
        used = used_of(cleared.context, slot.campaign_id, cleared.reads)
        return cls(
            impression_id=format_id(slot.impression_id),
            request_id=format_id(recorded.request_id),
            auction_id=format_id(recorded.id),
            ts_us=recorded.ts_us,
            source=cleared.source,
            slot_id=slot.slot_id,
            format=slot.format,
            rule=slot.rule,
            charge_bid=slot.charge_bid,
            reserve_nanos=slot.reserve_nanos,
            currency=cleared.currency,
            context=ContextView(**structs.asdict(cleared.context)),
            reads=list(reads_of(used.reads)),
            tier=cleared.tier,
            tier_reasons=list(cleared.tier_reasons),
            dsa_params=list(used.parameters),
            eligible=slot.eligible,
            excluded=slot.excluded,
            considered=[ConsideredView(**structs.asdict(one)) for one in slot.considered],
            ad_id=slot.ad_id,
            campaign_id=slot.campaign_id,
            pricing=slot.pricing,
            price_nanos=slot.price_nanos,
            recomputed_ad_id=ad_id,
            recomputed_price_nanos=price_nanos,
            agrees=(ad_id, price_nanos) == (slot.ad_id, slot.price_nanos),
        )


class LedgerTotals(Struct, frozen=True):
    """Billing in three figures: what campaigns were charged is what publishers were credited."""

    billed_impressions: int
    debits_nanos: Money
    credits_nanos: Money
