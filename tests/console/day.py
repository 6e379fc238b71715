"""A hand-made day: Thursday 26 November 2026 at 16:20:04 UTC, small enough to add up."""

from __future__ import annotations

from msgspec.structs import replace

from ringwork.ads.events import (
    AnswerTimed,
    AuctionCleared,
    ClickRecorded,
    Considered,
    ImpressionBilled,
    SlotOutcome,
)
from ringwork.ads.model import Campaign, Context, Creative, Pricing, Status
from ringwork.ads.pacing import Forecast
from ringwork.console.ahead import ahead_of
from ringwork.console.facts import (
    AccountFacts,
    Bin,
    CampaignFacts,
    CampaignPageFacts,
    CampaignsFacts,
    Chances,
    ConversionFacts,
    ConversionsFacts,
    CreativeFacts,
    HealthFacts,
    Lag,
    LedgerFacts,
    LogFacts,
    OverviewFacts,
    Pace,
    Promise,
    RequestLine,
    RequestsFacts,
    Spent,
    TraceFacts,
    TransferFacts,
    TransferLine,
    Verification,
)
from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.ids import format_id
from ringwork.kernel.ledger import Account, TransferCreated
from ringwork.kernel.money import Money

DAY = 1_795_651_200_000_000
NOW = DAY + (16 * 3600 + 20 * 60 + 4) * 1_000_000
WEEK = 7 * 86_400_000_000
EURO = 10**9


def id_of(number: int) -> bytes:
    """A UUIDv7 with a number that can be read in it."""
    return bytes.fromhex("0197515c8a40") + b"\x70\x01" + b"\x80" + number.to_bytes(7, "big")


REQUEST, AUCTION, IMPRESSION, HOLD = id_of(1), id_of(2), id_of(3), id_of(4)


def bin_at(
    hour: int, minute: int, impressions: int, *, day: int = DAY, price: int = 2_000_000
) -> Bin:
    """A bin with two requests and one sold place for each impression."""
    return Bin(
        ts_us=day + (hour * 3600 + minute * 60) * 1_000_000,
        requests=2 * impressions,
        slots=2 * impressions,
        sold=impressions,
        impressions=impressions,
        clicks=impressions // 100,
        earned_nanos=impressions * price,
    )


def campaign_of(
    id: str,
    name: str,
    *,
    spent: int = 0,
    budget: int = 100 * EURO,
    reserved: int = 0,
    status: Status = "active",
    pricing: Pricing = "cpm",
    bid_nanos: int = 2_500_000,
    has_ad: bool = True,
    impressions: int = 0,
    clicks: int = 0,
    today: int = 0,
    starts_us: int = 0,
    ends_us: int | None = None,
) -> CampaignFacts:
    """A campaign with an account that fits its figures."""
    return CampaignFacts(
        campaign=Campaign(
            id=id,
            advertiser_id=f"of-{id}",
            name=name,
            pricing=pricing,
            bid_nanos=bid_nanos,
            budget=Money.of_nanos("EUR", budget),
            status=status,
            starts_us=starts_us,
            ends_us=ends_us,
        ),
        advertiser="Harbour Paints",
        account=Account(
            "EUR",
            True,
            debits_pending=reserved,
            debits_posted=spent,
            credits_posted=budget,
        ),
        has_ad=has_ad,
        impressions=impressions,
        clicks=clicks,
        today_nanos=today,
    )


PAINTS = campaign_of(
    "hp-autumn-26",
    "Autumn exteriors",
    spent=85 * EURO,
    reserved=23_058_000,
    impressions=42_500,
    clicks=425,
    today=5 * EURO,
)
TRAM = campaign_of("tram", "Tram pass, yearly", spent=100 * EURO, impressions=50_000, today=EURO)
LOANS = campaign_of("loans", "Spring loans", has_ad=False)
HOTEL = campaign_of("hotel", "Blue Tile Hotel", status="paused", spent=EURO)
CAMPAIGNS = [PAINTS, TRAM, LOANS, HOTEL]
NAMES = {each.campaign.id: each.campaign.name for each in CAMPAIGNS}

WINNER = Considered("hp-1", "hp-autumn-26", 2_562_000, 10**9, 970_000, 10**6, 0, 2_485_140)
NEXT = Considered("tram-1", "tram", 1_818_000, 10**9, 10**6, 10**6, 0, 1_818_000)
SOLD = SlotOutcome(
    "1", "banner", "second", 900_000, 2, {"size": 30, "budget": 10}, [WINNER, NEXT],
    IMPRESSION, "hp-1", "hp-autumn-26", "cpm", 1_874_227, 360,
)  # fmt: skip
UNSOLD = SlotOutcome("1", "banner", "second", 900_000, 0, {"size": 30, "budget": 10}, [])
CONTEXT = Context(
    site="diariodacasa.example", publisher_id="casa", placement_id="article-foot",
    categories=("552",), region="PRT-11", device_type="phone", hour=16,
)  # fmt: skip


def cleared(*slots: SlotOutcome) -> AuctionCleared:
    """An auction over these places that took 70 microseconds."""
    stages = {"candidates": 31_000, "rank": 22_700, "clear": 16_300}
    return AuctionCleared("openrtb", "EUR", CONTEXT, list(slots), stages)


def recorded(seq: int, payload: Event, *, id: bytes, cause: bytes | None = None) -> Recorded:
    """An event of the one request."""
    return Recorded(0, seq, id, NOW - 6_000_000 + seq, REQUEST, cause, "main", None, None, payload)


EVENTS = [
    recorded(
        117,
        TransferCreated(
            format_id(IMPRESSION), "pending", "campaign/hp-autumn-26", "publisher/casa",
            1_874_227, "EUR", "", 360, "",
        ),
        id=HOLD,
    ),
    recorded(118, cleared(SOLD), id=AUCTION),
    recorded(119, AnswerTimed(1_900_000), id=id_of(5), cause=AUCTION),
    recorded(
        139,
        ImpressionBilled(
            IMPRESSION, "hp-autumn-26", "hp-1", "casa", "article-foot", "cpm", 1_874_227, "EUR"
        ),
        id=id_of(6),
        cause=AUCTION,
    ),
    recorded(
        188,
        ClickRecorded(IMPRESSION, "hp-autumn-26", "hp-1", "casa", 0, "EUR"),
        id=id_of(7),
        cause=AUCTION,
    ),
]  # fmt: skip

LOG = LogFacts(events=188, chain="6f" * 32, ts_us=NOW - 60_000)
WAITS = [1_000_000 * each for each in range(1, 101)]
VERIFIED = Verification(
    ts_us=NOW - 60_000_000,
    took_s=3.8,
    promises=(
        Promise("I1", "No acknowledged event is lost", 188, 0),
        Promise("I4", "The ledger balances", 9, 0, "accounts"),
        Promise("I5", "Spend never exceeds budget", 1, 0, "budgets"),
    ),
)

_FLOW = [2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 9, 10, 11, 10, 9, 9, 3]


def plan_of(
    budget: int, *, off_permille: int = 0, reach_permille: int | None = 1400, until: int = 16
) -> list[Pace]:
    """Notes of a day's plan, four an hour: more requests by day than by night.

    What was spent differs from the plan in the end, by so many thousandths of the budget.
    """
    whole, notes, came = 140, [], 0.0
    for quarter in range(until * 4 + 2):
        due = round(budget * came / whole)
        spent = max(0, due + budget * off_permille * quarter // (1000 * (until * 4 + 1)))
        notes.append(
            Pace(
                ts_us=DAY + quarter * 900_000_000, unit="nanos", begins_s=DAY // 1_000_000,
                ends_s=DAY // 1_000_000 + 86_400, budget=budget, spent=spent, due=due,
                reach=None if quarter < 2 or reach_permille is None
                else budget * reach_permille // 1000,
                pace_ppm=1_000_000 if quarter < 2 or reach_permille == 700 else 350_000 + 4_000 * (quarter % 7) + 900 * quarter,
            )
        )  # fmt: skip
        came += _FLOW[quarter // 4] / 4
    return notes


PLAN = plan_of(20 * EURO)
STARVED = plan_of(20 * EURO, off_permille=-200, reach_permille=700)
EARLY = plan_of(10 * EURO, off_permille=180)

OVERVIEW = OverviewFacts(
    now_us=NOW,
    currency="EUR",
    today=[bin_at(9, 0, 1000), bin_at(16, 10, 500), bin_at(16, 15, 300), bin_at(16, 20, 1)],
    earlier=[bin_at(9, 0, 900, day=DAY - WEEK), bin_at(18, 0, 700, day=DAY - WEEK)],
    campaigns=CAMPAIGNS,
    verification=VERIFIED,
    latest=EVENTS[::-1],
    log=LOG,
    lags=[Lag("Projections", 180)],
    balanced=True,
    waits_ns=WAITS,
    names=NAMES,
    paces={"hp-autumn-26": PLAN[-1], "tram": STARVED[-1], "loans": EARLY[-1]},
)
EMPTY_OVERVIEW = replace(
    OVERVIEW, today=[], earlier=[], campaigns=[], verification=None, latest=[], waits_ns=[],
    log=LogFacts(events=0, chain="00" * 32, ts_us=0), lags=[],
)  # fmt: skip
TRACE = TraceFacts(now_us=NOW, request_id=format_id(REQUEST), events=EVENTS, names=NAMES)

LINES = [
    RequestLine(
        request_id=format_id(id_of(number)), ts_us=NOW - number * 1_000_000, source="openrtb",
        place="diariodacasa.example", placement="article-foot", formats="banner", slots=1,
        sold=int(number % 2), campaigns=("hp-autumn-26",) if number % 2 else (),
        price_nanos=1_874_227 if number % 2 else 0, currency="EUR",
        outcome="billed" if number % 2 else "unsold",
    )
    for number in range(1, 5)
]  # fmt: skip
REQUESTS = RequestsFacts(now_us=NOW, lines=LINES, older=100, names=NAMES)

PENDING = TransferLine(
    id=format_id(IMPRESSION), ts_us=NOW - 6_000_000, kind="pending", state="posted",
    debit="campaign/hp-autumn-26", credit="publisher/casa", amount_nanos=1_874_227, currency="EUR",
    resolved_by="post-1", moved_nanos=1_874_227, timeout_s=360, request_id=format_id(REQUEST),
)  # fmt: skip
POST = TransferLine(
    id="post-1", ts_us=NOW - 5_000_000, kind="post", state="closed", debit="", credit="",
    amount_nanos=1_874_227, currency="EUR", pending_id=format_id(IMPRESSION),
)  # fmt: skip
REFUSED = TransferLine(
    id="too-much", ts_us=NOW, kind="single", state="refused", debit="campaign/tram",
    credit="publisher/casa", amount_nanos=EURO, currency="EUR", result="insufficient-funds",
)  # fmt: skip
TRANSFERS = [REFUSED, POST, PENDING]

CAMPAIGN = CampaignPageFacts(
    now_us=NOW,
    facts=PAINTS,
    spent=[Spent(NOW - 7_200_000_000, 40 * EURO), Spent(NOW - 3_600_000_000, 45 * EURO)],
    chances=Chances(ranked=1000, won=200, billed=180, clicked=2),
    creatives=[
        CreativeFacts(
            creative=Creative(
                id="hp-1", campaign_id="hp-autumn-26", name="Exteriors", format="banner",
                width=300, height=250, landing_url="https://harbourpaints.example/",
                quality_ppm=970_000,
            ),
            impressions=42_500, clicks=425, nanos=85 * EURO,
        )
    ],
    transfers=TRANSFERS,
)  # fmt: skip


FORECAST = Forecast.of_minutes(
    [one * 10.0 for one in (*_FLOW, 7, 8, 9, 11, 9, 5, 3) for _ in range(60)]
)
"""Of a day whose evening has a peak of its own."""


def paced(notes: list[Pace]) -> CampaignPageFacts:
    """The campaign with a daily budget and these notes of today's plan."""
    budget, spent = notes[-1].budget, notes[-1].spent
    daily = replace(PAINTS.campaign, daily_budget=Money.of_nanos("EUR", budget))
    facts = replace(PAINTS, campaign=daily, today_nanos=spent, day_free_nanos=budget - spent)
    return replace(CAMPAIGN, facts=facts, paces=notes)


def foreseen(notes: list[Pace]) -> CampaignPageFacts:
    """The same, once a day's traffic is known."""
    newest = notes[-1]
    ahead = ahead_of(FORECAST, newest.ts_us // 1_000_000, newest.ends_s)
    return replace(paced(notes), ahead=ahead)


CONVERSIONS = ConversionsFacts(
    now_us=NOW,
    campaign=PAINTS.campaign,
    counted=2,
    lines=[
        ConversionFacts(
            seq=200 - number, ts_us=NOW - number * 60_000_000, request_id=format_id(REQUEST),
            conversion_id=f"order-{number}", ad_id="hp-1", value_nanos=40 * EURO,
            charged_nanos=0 if number else 2 * EURO, currency="EUR",
            unbilled_reason="late" if number == 1 else "", view_through=number == 2,
        )
        for number in range(3)
    ],
    older=150,
    names={"hp-1": "Exteriors"},
)  # fmt: skip
CAMPAIGN_LIST = CampaignsFacts(now_us=NOW, currency="EUR", campaigns=CAMPAIGNS)
ACCOUNTS = [(f"campaign/{each.campaign.id}", each.account) for each in CAMPAIGNS if each.account]
LEDGER = LedgerFacts(
    now_us=NOW,
    trial={
        "EUR": {
            "debits_pending": 23_058_000, "debits_posted": 586 * EURO,
            "credits_pending": 23_058_000, "credits_posted": 586 * EURO,
        }
    },
    accounts=ACCOUNTS,
    account_count=9,
    transfers=TRANSFERS,
    names=NAMES,
)  # fmt: skip
ACCOUNT = AccountFacts(
    now_us=NOW,
    id=ACCOUNTS[0][0],
    account=ACCOUNTS[0][1],
    name="Autumn exteriors",
    transfers=TRANSFERS,
)
TRANSFER = TransferFacts(now_us=NOW, transfer=PENDING, related=[POST])
HEALTH = HealthFacts(
    now_us=NOW,
    log=LOG,
    lags=[Lag("Projections", 180)],
    waits_ns=WAITS,
    queue_events=0,
    queue_events_max=65_536,
    store_bytes={"log/": 412_345_678, "state.db": 88_123_456},
    disk_free_bytes=48 * 10**9,
    disk_total_bytes=64 * 10**9,
    verification=VERIFIED,
)
