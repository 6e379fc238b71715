"""What the pages are built from: plain facts, as the stores give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from ringwork.ads.lifecycle import Noun
from ringwork.ads.model import Audience, Campaign, Creative
from ringwork.ads.projections import Kind
from ringwork.console.ahead import Ahead
from ringwork.kernel.events import Recorded
from ringwork.kernel.ledger import Account

Reached = Literal["unsold", "sold", "billed", "clicked"]


class Bin(Struct, frozen=True, kw_only=True):
    """What happened in one span of time; a day's sum is a Bin too."""

    ts_us: int
    requests: int = 0
    slots: int = 0
    sold: int = 0
    impressions: int = 0
    clicks: int = 0
    earned_nanos: int = 0


class Promise(Struct, frozen=True):
    """One invariant as ``ringwork verify`` found it; ``checked`` counts ``unit``."""

    id: str
    title: str
    checked: int
    violations: int
    unit: str = "events"


class Verification(Struct, frozen=True, kw_only=True):
    """The last stored run of ``ringwork verify``."""

    ts_us: int
    took_s: float
    promises: tuple[Promise, ...]


class LogFacts(Struct, frozen=True, kw_only=True):
    """Where the log stands and whether it takes more."""

    events: int
    chain: str
    ts_us: int = 0
    """When its last event was recorded; 0 where that was not asked."""
    refuses: str = ""
    """Why it takes no commands at the moment; empty when it does."""


class Lag(Struct, frozen=True):
    """How far a projection has read, and what stops it."""

    name: str
    seq: int
    trouble: str = ""


class CampaignFacts(Struct, frozen=True, kw_only=True):
    """One campaign with what became of it."""

    campaign: Campaign
    advertiser: str
    account: Account | None
    has_ad: bool
    """Whether one of its creatives is active."""
    impressions: int = 0
    clicks: int = 0
    conversions: int = 0
    today_nanos: int = 0
    day_free_nanos: int | None = None
    """What its daily budget still allows today; None without one."""


class InReview(Struct, frozen=True, kw_only=True):
    """How many items wait for a reviewer."""

    campaigns: int = 0
    creatives: int = 0


class ReviewLine(Struct, frozen=True, kw_only=True):
    """One item that waits for a reviewer."""

    noun: Noun
    id: str
    name: str
    advertiser: str
    since_us: int


class ReviewsFacts(Struct, frozen=True, kw_only=True):
    """For the list of what waits for review."""

    now_us: int
    in_review: InReview
    lines: list[ReviewLine]
    """One page: campaigns, then creatives, those that wait longest first."""
    has_more: bool


class Pace(Struct, frozen=True, kw_only=True):
    """A note of a campaign's plan (``CampaignPaced``); amounts are nanos or impressions."""

    ts_us: int
    unit: Literal["nanos", "impressions"]
    begins_s: int
    ends_s: int
    budget: int
    spent: int
    due: int
    reach: int | None
    pace_ppm: int


class OverviewFacts(Struct, frozen=True, kw_only=True):
    """For the overview."""

    now_us: int
    currency: str
    today: list[Bin]
    """Bins of ``BIN_S`` seconds since 00:00 UTC, in order; empty spans may be left out."""
    earlier: list[Bin]
    """The whole same weekday before, or nothing."""
    campaigns: list[CampaignFacts]
    verification: Verification | None
    latest: list[Recorded]
    log: LogFacts
    lags: list[Lag]
    balanced: bool
    waits_ns: list[int]
    """Disk waits of the latest sold answers."""
    names: Mapping[str, str]
    """Ad, campaign and advertiser ids -> names."""
    paces: dict[str, Pace] = {}
    """Campaign -> the newest note of its plan."""
    in_review: InReview = InReview()


class RequestLine(Struct, frozen=True, kw_only=True):
    """An ad request in a list."""

    request_id: str
    ts_us: int
    source: str
    place: str
    """Site or app."""
    placement: str
    formats: str
    slots: int
    sold: int
    campaigns: tuple[str, ...] = ()
    price_nanos: int = 0
    currency: str = ""
    outcome: Reached = "unsold"
    """How far it came; ``sold`` has had no beacon yet."""


class Search(Struct, frozen=True, kw_only=True):
    """What the search form asks; empty members do not restrict."""

    id: str = ""
    campaign: str = ""
    placement: str = ""
    outcome: Reached | Literal[""] = ""
    before: int = 0
    """Sequence to start below; 0 starts at the newest."""


class RequestsFacts(Struct, frozen=True, kw_only=True):
    """One page of requests, newest first."""

    now_us: int
    lines: list[RequestLine]
    older: int
    """Sequence for the next page's ``before``, 0 when there is none."""
    names: Mapping[str, str]


class TraceFacts(Struct, frozen=True, kw_only=True):
    """Every event of one request, in the order of the log."""

    now_us: int
    request_id: str
    events: list[Recorded]
    names: Mapping[str, str]


class CampaignsFacts(Struct, frozen=True, kw_only=True):
    """For the list of campaigns."""

    now_us: int
    currency: str
    campaigns: list[CampaignFacts]
    older: bool = False
    """Whether there are more than are shown."""


class Spent(Struct, frozen=True):
    """Spend booked in the span that begins at ``ts_us``."""

    ts_us: int
    nanos: int


class Chances(Struct, frozen=True, kw_only=True):
    """What became of the auctions a campaign was ranked in."""

    ranked: int = 0
    won: int = 0
    billed: int = 0
    clicked: int = 0


class CreativeFacts(Struct, frozen=True, kw_only=True):
    """One ad with what became of it."""

    creative: Creative
    impressions: int = 0
    clicks: int = 0
    nanos: int = 0


class ChangeFacts(Struct, frozen=True, kw_only=True):
    """A command that created, changed or decided on an item; values are JSON."""

    ts_us: int
    seq: int
    actor: str
    label: str
    action: str
    reason: str
    changes: list[tuple[str, bytes, bytes]]
    """(JSON pointer, before, after)."""


class ChangesFacts(Struct, frozen=True, kw_only=True):
    """One page of an item's changes, newest first."""

    now_us: int
    noun: Kind
    id: str
    name: str
    lines: list[ChangeFacts]
    older: int = 0
    """Sequence for the next page's ``before``, 0 when there is none."""


class Use(Struct, frozen=True, kw_only=True):
    """A campaign that names an audience."""

    campaign_id: str
    name: str
    excludes: bool
    """Whether who is in it is kept out."""


class AudienceLine(Struct, frozen=True, kw_only=True):
    """An audience with the first of the campaigns that name it."""

    audience: Audience
    uses: list[Use]
    use_count: int


class AudiencesFacts(Struct, frozen=True, kw_only=True):
    """One page of audiences, the newest first."""

    now_us: int
    wanted: str
    count: int
    live: int
    used: int
    """Audiences that a campaign names."""
    interest_campaigns: int
    """Campaigns that name interests, which need no audience."""
    lines: list[AudienceLine]
    has_more: bool


class AudienceFacts(Struct, frozen=True, kw_only=True):
    """For one audience's page."""

    now_us: int
    line: AudienceLine
    changes: list[ChangeFacts]
    older_changes: int = 0
    """As ``ChangesFacts.older``."""


class ConversionFacts(Struct, frozen=True, kw_only=True):
    """One conversion, without its customer."""

    seq: int
    ts_us: int
    request_id: str
    conversion_id: str
    ad_id: str
    value_nanos: int
    charged_nanos: int
    currency: str
    unbilled_reason: str
    view_through: bool


class ConversionsFacts(Struct, frozen=True, kw_only=True):
    """One page of a campaign's conversions, newest first."""

    now_us: int
    campaign: Campaign
    counted: int
    """All that followed a click."""
    lines: list[ConversionFacts]
    older: int
    """Sequence for the next page's ``before``, 0 when there is none."""
    names: Mapping[str, str]


class CreativePageFacts(Struct, frozen=True, kw_only=True):
    """For one creative's page."""

    now_us: int
    creative: Creative
    campaign: str
    currency: str
    impressions: int
    clicks: int
    nanos: int
    changes: list[ChangeFacts]
    older_changes: int = 0
    """As ``ChangesFacts.older``."""


class TransferLine(Struct, frozen=True, kw_only=True):
    """A transfer with what became of it; ``moved_nanos`` is what a pending one posted."""

    id: str
    ts_us: int
    kind: str
    state: str
    debit: str
    credit: str
    amount_nanos: int
    currency: str
    pending_id: str = ""
    resolved_by: str = ""
    moved_nanos: int = 0
    timeout_s: int = 0
    reference: str = ""
    result: str = "created"
    request_id: str = ""


class CampaignPageFacts(Struct, frozen=True, kw_only=True):
    """For one campaign's page."""

    now_us: int
    facts: CampaignFacts
    spent: list[Spent]
    """In order of time, hours or finer."""
    chances: Chances
    creatives: list[CreativeFacts]
    transfers: list[TransferLine]
    paces: list[Pace] = []
    """The notes of its plan's period, oldest first."""
    ahead: Ahead | None = None
    """What traffic is expected from the newest note to the plan's end."""
    changes: list[ChangeFacts] = []
    """The newest changes of the campaign, newest first."""
    older_changes: int = 0
    """As ``ChangesFacts.older``."""


class LedgerFacts(Struct, frozen=True, kw_only=True):
    """For the ledger: sums over all accounts, the first accounts, the latest transfers."""

    now_us: int
    trial: dict[str, dict[str, int]]
    accounts: list[tuple[str, Account]]
    account_count: int
    transfers: list[TransferLine]
    names: Mapping[str, str]


class AccountFacts(Struct, frozen=True, kw_only=True):
    """For one account's page."""

    now_us: int
    id: str
    account: Account
    name: str
    transfers: list[TransferLine]


class TransferFacts(Struct, frozen=True, kw_only=True):
    """For one transfer's page."""

    now_us: int
    transfer: TransferLine
    related: list[TransferLine]
    """The pending transfer it resolves, or what resolved it."""


class HealthFacts(Struct, frozen=True, kw_only=True):
    """For the health page."""

    now_us: int
    log: LogFacts
    lags: list[Lag]
    waits_ns: list[int]
    queue_events: int
    queue_events_max: int
    store_bytes: dict[str, int]
    """File or folder -> bytes."""
    disk_free_bytes: int
    disk_total_bytes: int
    verification: Verification | None
