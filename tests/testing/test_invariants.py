"""The second reader catches what it promises to catch: every promise can fail."""

import msgspec
import pytest

from ringwork.ads.events import (
    AuctionCleared,
    CampaignChanged,
    CampaignCreated,
    Considered,
    ImpressionBilled,
    ImpressionMeasured,
    SlotOutcome,
)
from ringwork.ads.exchange.events import BidderHeard, BidsGathered, ExternalBidWon
from ringwork.ads.model import Campaign, Context
from ringwork.fairness.delivery.events import (
    Audience,
    AudienceMeasured,
    AudienceSums,
    FlightOpened,
    ModelMeasured,
    SumsReleased,
)
from ringwork.fairness.plan import PrivacyPlan
from ringwork.fairness.privacy.accounting import Cost
from ringwork.fairness.privacy.budget import FlightDeclared, ReleaseCharged
from ringwork.kernel.events import Event, Idempotency, array_header, encode_event, encode_frame
from ringwork.kernel.ids import format_id
from ringwork.kernel.ledger import AccountOpened, TransferCreated, TransferExpired
from ringwork.kernel.money import Money
from ringwork.kernel.ports import Row
from ringwork.testing.invariants import LogReading, recompute

IMPRESSION = bytes(range(16))
HOLD = format_id(IMPRESSION)
DAY_US = 86_400_000_000


def euros(nanos: int) -> Money:
    return Money.of_nanos("EUR", nanos)


def campaign(daily: int | None = None) -> Campaign:
    cap = None if daily is None else euros(daily)
    return Campaign(
        id="c", advertiser_id="a", name="C", pricing="cpm", bid_nanos=90, budget=euros(100), daily_budget=cap
    )  # fmt: skip


def accounts() -> list[Event]:
    opened = [("cash", False), ("advertiser/a", True), ("campaign/c", True), ("publisher/p", True)]
    return [
        *(AccountOpened(id, "EUR", limited) for id, limited in opened),
        TransferCreated("in", "single", "cash", "advertiser/a", 200, "EUR"),
        TransferCreated("fund", "single", "advertiser/a", "campaign/c", 100, "EUR"),
    ]


CONSIDERED = [
    Considered("x", "c", 90, 10**9, 10**6, 10**6, 0, 90),
    Considered("y", "c2", 60, 10**9, 10**6, 10**6, 0, 60),
]


def sale(price: int = 60, impression: bytes = IMPRESSION, **other: object) -> AuctionCleared:
    slot = SlotOutcome(
        "1", "banner", "second", 10, 2, {}, CONSIDERED, impression, "x", "c", "cpm", price, 0
    )
    return AuctionCleared("openrtb", "EUR", Context(), [msgspec.structs.replace(slot, **other)], {})


def hold(amount: int = 60, id: str = HOLD) -> TransferCreated:
    return TransferCreated(id, "pending", "campaign/c", "publisher/p", amount, "EUR", "", 360)


def post(amount: int = 60, id: str = "post", pending: str = HOLD) -> TransferCreated:
    return TransferCreated(id, "post", "", "", amount, "EUR", pending)


def billed(price: int = 60) -> ImpressionBilled:
    return ImpressionBilled(IMPRESSION, "c", "x", "p", "", "cpm", price, "EUR")


def read(*events: Event, keys: tuple[str, ...] = (), **envelope: object) -> LogReading:
    frames, seq = [], 1
    given = {"request_id": b"r" * 16, "cause_id": None, "tenant": "main"}
    for number, event in enumerate(events):
        encoded = encode_event(
            event, id=number.to_bytes(16, "big"), ts_us=5, **{**given, **envelope}
        )
        key = (
            Idempotency("main", "POST /", keys[number], b"", 201, b"")
            if number < len(keys)
            else None
        )
        frames.append(encode_frame([encoded], key))
    reading = LogReading()
    reading.read([Row(seq, len(events), 5, b"", array_header(len(frames)) + b"".join(frames))])
    return reading


def broken(reading: LogReading) -> list[str]:
    return [name for name, promise in reading.promises.items() if promise.violations]


GOOD = (*accounts(), CampaignCreated(campaign(daily=90)), sale(), hold(), post(), billed())


def test_a_good_log_breaks_nothing_and_counts_what_it_checked():
    reading = read(*GOOD, keys=("k1", "k2"))
    assert broken(reading) == []
    checked = {name: promise.checked for name, promise in reading.promises.items()}
    assert checked["I2"] == 2
    assert checked["I6"] == 1
    assert checked["I8"] == 1
    assert checked["I5"] > 0
    assert reading.accounts["campaign/c"] == {
        "debits_pending": 0, "debits_posted": 60, "credits_pending": 0, "credits_posted": 100,
    }  # fmt: skip
    assert reading.events == len(GOOD)


def measured(charged: int = 60, measure: str = "viewable") -> ImpressionMeasured:
    return ImpressionMeasured(IMPRESSION, "c", "x", "p", measure, charged, "EUR")


SEEN = (*accounts(), sale(pricing="vcpm"), hold(), post())


def test_what_is_paid_for_being_seen_is_charged_before_or_after_its_impression_is_shown():
    assert broken(read(*SEEN, measured(), billed(0))) == []
    assert broken(read(*SEEN[:-1], billed(0), post(), measured())) == []
    assert broken(read(*SEEN[:-1], billed(0), measured(0))) == []  # its hold was over


OUTSIDE = Considered("x:dsp:b1", "x:dsp", 90, 10**9, 10**6, 10**6, 0, 90)
"""100 nanos at 0.9171 of which 0.99 count: 90.7929, rounded down."""


def gathered(**other: object) -> BidsGathered:
    heard = BidderHeard(
        "dsp", "bids", bids=1, currency="USD", rate="0.9171", adjustment_ppm=990_000, offered={"b1": 100}
    )  # fmt: skip
    return BidsGathered([msgspec.structs.replace(heard, **other)], 5)


def won(price: int = 60, **other: object) -> ExternalBidWon:
    event = ExternalBidWon(
        IMPRESSION, "dsp", "b1", "s", "c9", "adv.example", 100, "USD", price, "EUR", "", 0, "0.9171", 990_000
    )  # fmt: skip
    return msgspec.structs.replace(event, **other)


def outside_sale(price: int = 60) -> AuctionCleared:
    considered = [OUTSIDE, CONSIDERED[1]]
    return sale(price, considered=considered, ad_id="x:dsp:b1", campaign_id="x:dsp")


def test_an_outside_bid_follows_from_what_was_bid_and_the_rate():
    # The second price: "x..." sorts before "y", so a tie with the 60 of y is enough.
    assert broken(read(gathered(), won(), outside_sale())) == []
    # Logs from before rates were recorded have nothing to be compared with.
    assert broken(read(gathered(offered={}), won(rate=""), outside_sale())) == []


def of_tier(tier: str, **members: object) -> tuple[Event, ...]:
    return (*GOOD[:-4], msgspec.structs.replace(sale(), tier=tier, **members), *GOOD[-3:])


@pytest.mark.parametrize(
    ("tier", "members"),
    [
        ("consented", {"reads": {"main": 7}}),
        ("less-personalised", {"context": Context(region="PRT", categories=("IAB1",))}),
        ("general", {"context": Context(site="news.example", blocked_categories=("IAB1",))}),
    ],
)
def test_a_tier_may_know_what_is_its_own(tier, members):
    assert broken(read(*of_tier(tier, **members))) == []


BAD = {
    "an outside bid that stood with more than it counts as": ((gathered(rate="0.9"), won(), outside_sale()), {}, "I8"),
    "an outside bid sold for more than it counts as": ((won(rate="0.6"), outside_sale()), {}, "I8"),
    "an outside bidder that owes another price": ((gathered(), won(61), outside_sale()), {}, "I8"),
    "an outside sale to another bid": ((gathered(), won(bid_id="b2"), outside_sale()), {}, "I8"),
    "an outside sale that no auction made": ((won(impression_id=bytes(16)), outside_sale()), {}, "I8"),
    "a view charged twice": ((*SEEN, measured(), measured()), {}, "I8"),
    "a view charged at another price": ((*SEEN, measured(50)), {}, "I8"),
    "a view charged whose hold was not posted": ((*SEEN[:-1], measured()), {}, "I8"),
    "a view charged that was sold by the impression": ((*GOOD, measured()), {}, "I8"),
    "a view charged for another measure": ((*SEEN, measured(measure="view")), {}, "I8"),
    "a view charged that was never sold": ((*accounts(), measured()), {}, "I8"),
    "a key with two effects": (GOOD, {"keys": ("k", "k")}, "I2"),
    "more spent than was put in": ((*accounts(), hold(101)), {}, "I5"),
    "a limited account below zero": ((*accounts(), TransferCreated("x", "single", "advertiser/a", "cash", 101, "EUR")), {}, "I5"),
    "more than the day's cap": ((*accounts(), CampaignCreated(campaign(daily=50)), hold(60)), {}, "I5"),
    "money of an account that nobody opened": ((*accounts(), TransferCreated("x", "single", "nobody", "cash", 1, "EUR")), {}, "I4"),
    "money for an account that nobody opened": ((*accounts(), TransferCreated("x", "single", "cash", "nobody", 1, "EUR")), {}, "I4"),
    "a post above its hold": ((*accounts(), hold(10), post(20)), {}, "I5"),
    "a subscriber's auction": (of_tier("subscriber"), {}, "I6"),
    "history read for who refused": (of_tier("less-personalised", reads={"main": 1}), {}, "I6"),
    "history read for nobody knows whom": (of_tier("", reads={"main": 1}), {}, "I6"),
    "history read for another purpose": (of_tier("consented", reads={"main": 1 << 16}), {}, "I6"),
    "a page known where the slot alone is": (of_tier("general", context=Context(region="PRT")), {}, "I6"),
    "a person named in an auction": (GOOD, {"subject": b"s" * 16}, "I6"),
    "a price that its inputs do not give": ((*accounts(), sale(price=61)), {}, "I8"),
    "a winner that did not win": ((*accounts(), sale(ad_id="y")), {}, "I8"),
    "an impression sold twice": ((*accounts(), sale(), sale()), {}, "I8"),
    "an impression billed twice": ((*GOOD, billed()), {}, "I8"),
    "an impression billed that was never sold": ((*accounts(), billed()), {}, "I8"),
    "an impression billed at another price": ((*accounts(), sale(), hold(), post(50), billed(50)), {}, "I8"),
    "an impression billed whose hold was not posted": ((*accounts(), sale(), hold(), billed()), {}, "I8"),
    "a hold resolved twice": ((*accounts(), hold(), post(), post(id="again")), {}, "I8"),
    "a hold that expires after it was posted": ((*accounts(), hold(), post(), TransferExpired(HOLD)), {}, "I8"),
}  # fmt: skip


@pytest.mark.parametrize(("events", "envelope", "promise"), BAD.values(), ids=BAD.keys())
def test_a_breach_is_found_and_told(events, envelope, promise):
    reading = read(*events, **envelope)
    assert promise in broken(reading)
    assert reading.promises[promise].detail


def test_a_bill_in_another_trace_is_found():
    reading = LogReading()
    events = list(GOOD)
    for number, event in enumerate(events):
        request_id = b"q" * 16 if event is events[-1] else b"r" * 16
        encoded = encode_event(
            event, id=number.to_bytes(16, "big"), ts_us=5, request_id=request_id, cause_id=None, tenant="main"
        )  # fmt: skip
        reading.read([Row(number + 1, 1, 5, b"", array_header(1) + encode_frame([encoded]))])
    assert broken(reading) == ["I8"]
    assert "another trace" in reading.promises["I8"].detail[0]


def test_money_that_goes_back_to_its_advertiser_is_no_spend():
    back = TransferCreated("back", "single", "campaign/c", "advertiser/a", 40, "EUR")
    assert broken(read(*accounts(), CampaignCreated(campaign(daily=10)), back)) == []


def test_a_cap_lowered_below_what_is_spent_is_no_breach_until_more_is_spent():
    lowered = CampaignChanged(campaign(daily=50))
    start = (*accounts(), CampaignCreated(campaign(daily=90)), hold(60), lowered)
    assert broken(read(*start)) == []
    assert broken(read(*start, hold(1, id="more"))) == ["I5"]
    assert broken(read(*start, CampaignChanged(campaign()), hold(40, id="more"))) == []


def considered(ad_id: str, bid: int, *, p=10**9, quality=10**6, multiplier=10**6, shift=0):
    return Considered(ad_id, "c", bid, p, quality, multiplier, shift, 0)


PRICES = {
    "first price: what was bid": ([considered("x", 90), considered("y", 60)], "first", 10, ("x", 90)),
    "second price: what the next one bid": ([considered("x", 90), considered("y", 60)], "second", 10, ("x", 60)),
    "one more than the next, who would win the tie": ([considered("y", 90), considered("x", 60)], "second", 10, ("y", 61)),
    "alone: the reserve": ([considered("x", 90)], "second", 10, ("x", 10)),
    "alone without a reserve: one nano": ([considered("x", 90)], "second", 0, ("x", 1)),
    "below the reserve nobody wins": ([considered("x", 9)], "second", 10, None),
    "nobody": ([], "second", 10, None),
    "twice the quality, half the price": ([considered("x", 60, quality=2 * 10**6), considered("y", 100)], "second", 10, ("x", 50)),
    "half the multiplier, twice the price": ([considered("x", 300, multiplier=10**6 // 2), considered("y", 100)], "second", 10, ("x", 200)),
    "one click in ten: ten times the value": ([considered("x", 1000, p=10**8), considered("y", 60)], "second", 10, ("x", 600)),
    "a shift is given back": ([considered("x", 60, shift=30), considered("y", 80)], "second", 10, ("x", 50)),
    "asked first: its bid, whoever scores more": ([considered("x", 60), considered("y", 90)], "priority", 10, ("x", 60)),
    "asked first, but below the floor": ([considered("x", 9), considered("y", 90)], "priority", 10, None),
    "a deal: what was agreed": ([considered("x", 90), considered("y", 60)], "agreed", 70, ("x", 70)),
    "a deal paid by the click": ([considered("x", 1000, p=10**8)], "agreed", 70, ("x", 700)),
    "a house ad: nothing": ([considered("x", 5), considered("y", 90)], "house", 10, ("x", 0)),
    "a quality of nothing does not run": ([considered("x", 90, quality=0), considered("y", 60)], "first", 10, ("y", 60)),
}  # fmt: skip


@pytest.mark.parametrize(("ranked", "rule", "reserve", "expected"), PRICES.values(), ids=PRICES)
def test_winner_and_price_by_hand(ranked, rule, reserve, expected):
    slot = SlotOutcome("1", "banner", rule, reserve, len(ranked), {}, ranked)
    assert recompute(slot) == expected
    if expected is not None and rule in ("first", "second"):
        bid = next(one.bid_nanos for one in ranked if one.ad_id == expected[0])
        charged = msgspec.structs.replace(slot, charge_bid=True)
        assert recompute(charged) == (expected[0], bid)


def test_a_place_of_a_slate_pays_what_its_presence_costs_the_others():
    """Places worth 1 and 1/2, reserve 40: (1/2 * 60 + 1/2 * 50) for the first; 60 and 50 wait."""
    ranked = [considered("x", 90), considered("y", 60), considered("z", 50)]
    slot = SlotOutcome("1", "banner", "vcg", 40, 3, {}, ranked, slate_ppm=[1_000_000, 500_000])
    assert recompute(slot) == ("x", 55)
    alone = msgspec.structs.replace(slot, considered=ranked[:1])
    assert recompute(alone) == ("x", 40), "the reserve is inside the sum"


def test_only_so_many_breaches_are_told_in_words():
    holds = [hold(200, id=f"h{number}") for number in range(50)]
    promise = read(*accounts(), *holds).promises["I5"]
    assert promise.violations == 50
    assert len(promise.detail) == 20


# ---- I9 ------------------------------------------------------------------------------------------


def flight(*, declared: int = 3_000_000, segment: int = 0, episodes: int = 2) -> FlightOpened:
    privacy = PrivacyPlan(episodes=episodes, epsilon_max=4.0)
    cost = Cost(add_remove_micro=1, replace_micro=declared, delta="1e-6")
    fact = FlightDeclared(ad="x", segment=segment, privacy=privacy, vectors=2, cost=cost)
    return FlightOpened(fact, Audience(), (), 100, "a", "HOUSING", "0" * 64)


def release(episode: int, *, spent: int = 1_000_000, segment: int = 0) -> SumsReleased:
    cost = Cost(add_remove_micro=1, replace_micro=spent, delta="1e-6")
    charged = ReleaseCharged(ad="x", segment=segment, episode=episode, spent=cost)
    return SumsReleased(charged, [1, 2], b"sealed", episode)


def audience(*, segment: int = 0) -> AudienceMeasured:
    declared, charged = flight(segment=segment).declared, release(1, segment=segment).charged
    sums = AudienceSums(unit={"sex": 1}, people={"sex": [3, 4, 0]}, people_sigma=12.0)
    return AudienceMeasured(Audience(), 7, "ab" * 16, declared, charged, sums)


def model(*, segment: int = 0) -> ModelMeasured:
    declared, charged = flight(segment=segment).declared, release(1, segment=segment).charged
    return ModelMeasured("race", 7, "ab" * 16, declared, charged, 256, [[9, 1], [5]])


@pytest.mark.parametrize("made", [audience, model])
def test_an_audience_or_a_model_is_measured_once_in_a_window(made):
    promise = read(made()).promises["I9"]
    assert (promise.checked, promise.violations) == (1, 0)
    promise = read(made(), made(segment=1)).promises["I9"]
    assert promise.violations == 1
    assert "twice in a window" in promise.detail[0]


@pytest.mark.parametrize(
    ("events", "breach"),
    [
        ([flight(), release(1), release(2)], ""),
        ([flight(), flight(segment=1), release(1), release(1, segment=1)], ""),
        ([release(1)], "declared nothing"),
        ([flight(declared=4_000_001)], "declares 4000001 of 4000000"),
        ([flight(), flight()], "twice"),
        ([flight(), release(1), release(1)], "release 1 after 1"),
        ([flight(), release(2)], "release 2 after 0"),
        ([flight(episodes=1), release(1), release(2)], "release 2 after 1 of 1"),
        ([flight(), release(1, spent=3_000_001)], "spent 3000001 of 3000000"),
    ],
)
def test_no_release_is_without_what_it_was_declared_to_cost(events, breach):
    promise = read(*events).promises["I9"]
    if breach:
        assert promise.violations == 1
        assert breach in promise.detail[0]
    else:
        assert (promise.checked, promise.violations) == (2, 0)
