"""Selling and billing by hand: what a sale reserves, and what its beacons charge and do not."""

import msgspec
import pytest

from ringwork.ads.auction import recompute
from ringwork.ads.events import (
    AuctionCleared,
    ClickRecorded,
    ConversionRecorded,
    ImpressionBilled,
    ImpressionUnbilled,
)
from ringwork.ads.model import Ask, Context, Slot
from ringwork.ads.outcomes import MAX_CLICK_WINDOW_S, MAX_CONVERSION_WINDOW_S
from ringwork.ads.requests import CampaignChange
from ringwork.ads.settings import AdsSettings
from ringwork.kernel.errors import Conflict, StorageFull
from ringwork.kernel.ids import format_id
from ringwork.kernel.ledger import Transfer, TransferCreated
from tests.ads.house import BANNER, SITE, House, changed, euros, pseudonym

MINUTE_US = 60_000_000


@pytest.fixture
def house():
    """Two campaigns with a banner each: c1 bids 2 EUR a thousand, c2 bids 1.50."""
    with House() as house:
        house.open()
        house.campaign("c1")
        house.creative("a1", "c1")
        house.campaign("c2", bid_nanos=1_500_000)
        house.creative("a2", "c2")
        yield house


def account(house: House, id: str) -> tuple[int, int]:
    """(posted, pending) debits of a campaign's account, or credits of another's."""
    found = house.ledger.accounts[id]
    if id.startswith("campaign/"):
        return found.debits_posted, found.debits_pending
    return found.credits_posted, found.credits_pending


# ---- selling ------------------------------------------------------------------------------------


def test_a_sale_reserves_its_price_and_its_beacon_pays_it(house):
    [outcome], [served] = house.serve()
    assert (served.creative.id, served.price_nanos) == ("a1", 1_500_000)
    assert served.impression_price_nanos == 1_500_000
    assert (served.advertiser_domain, served.currency) == ("adv.example", "EUR")
    assert account(house, "campaign/c1") == (0, 1_500_000)
    assert account(house, "publisher/pub") == (0, 1_500_000)
    assert house.impression(served.tokens["impression"]) == "recorded"
    assert account(house, "campaign/c1") == (1_500_000, 0)
    assert account(house, "publisher/pub") == (1_500_000, 0)
    hold, post = house.payloads(TransferCreated)[-2:]
    assert hold.id == post.pending_id == format_id(outcome.impression_id)
    assert (hold.kind, hold.timeout_s) == ("pending", 360)
    [bill] = house.payloads(ImpressionBilled)
    assert (bill.price_nanos, bill.publisher_id, bill.pricing) == (1_500_000, "pub", "cpm")


def test_the_log_recomputes_every_sale(house):
    house.serve(
        BANNER,
        changed(BANNER, id="2", rule="first"),
        changed(BANNER, id="3", floor_nanos=1_700_000),
    )
    house.serve(charge_bid=True)
    prices = []
    for event in house.payloads(AuctionCleared):
        for slot in event.slots:
            assert recompute(slot) == (slot.ad_id, slot.price_nanos)
            prices.append(slot.price_nanos)
    assert prices == [1_500_000, 2_000_000, 1_700_000, 2_000_000]


def test_all_events_of_an_ad_share_its_trace_and_cause(house):
    _, [served] = house.serve()
    house.impression(served.tokens["impression"])
    house.click(served.tokens["click"])
    cleared = next(e for e in house.events() if isinstance(e.payload, AuctionCleared))
    for kind in (ImpressionBilled, ClickRecorded):
        event = next(e for e in house.events() if isinstance(e.payload, kind))
        assert (event.request_id, event.cause_id) == (cleared.request_id, cleared.id)


def test_a_request_may_say_how_long_its_impression_takes(house):
    for hold_s, timeout_s in ((30, 90), (None, 360), (0, 360), (86_400, 3600)):
        [outcome], _ = house.serve(changed(BANNER, hold_s=hold_s))
        assert outcome.expires_s == house.now_s + timeout_s
        assert house.payloads(TransferCreated)[-1].timeout_s == timeout_s


def test_nobody_wins_below_the_reserve_and_the_log_says_why(house):
    [outcome], served = house.serve(changed(BANNER, floor_nanos=2_000_001))
    assert (served, outcome.impression_id, outcome.considered) == ([], None, [])
    assert (outcome.eligible, outcome.excluded) == (0, {"floor": 2})
    assert recompute(outcome) is None


def test_an_unknown_publisher_sells_nothing(house):
    for publisher in ("", "nobody"):
        [outcome], served = house.serve(context=Context(site="x.example", publisher_id=publisher))
        assert (served, outcome.excluded) == ([], {"publisher": 2})


def test_a_campaign_without_money_makes_way(house):
    house.campaign("rich", bid_nanos=9_000_000, budget=euros(2_000_001))
    house.creative("gold", "rich")
    _, [first] = house.serve()
    assert (first.creative.id, first.price_nanos) == ("gold", 2_000_001), "it had exactly that"
    [outcome], [second] = house.serve()
    assert (second.creative.id, second.price_nanos) == ("a1", 1_500_000)
    assert outcome.excluded == {"budget": 1}
    house.clock.advance_us(361 * 1_000_000)
    assert house.expire() == 2
    _, [third] = house.serve()
    assert third.creative.id == "gold", "the expired hold came back"


@pytest.mark.parametrize(
    "limits",
    [
        {"budget": euros(9_000_000)},
        {"daily_budget": euros(9_000_000)},
        {"budget": euros(20_000_000), "daily_budget": euros(10_000_000)},
    ],
)
def test_a_winner_whose_hold_is_refused_leaves_the_auction(house, limits):
    """Between shortlist and clearing another slot of the page may take the last of the budget."""
    house.campaign("last", bid_nanos=9_000_000, **limits)
    house.creative("gold", "last")
    ask = Ask(request_id=house.ids.new(), source="native", context=SITE, slots=(BANNER,))

    def sell_twice(command):
        page = house.ads.begin(ask, ask.request_id, now_s=command.now_s)
        shortlist = house.ads.candidates(ask, BANNER, page, now_s=command.now_s)
        ranked = house.ads.rank(shortlist, BANNER, page)
        return [
            house.ads.clear(
                command, ask, [changed(BANNER, rule="first")], page, shortlist, ranked,
                auction_id=ask.request_id,
            )[0]
            for _ in range(2)
        ]  # fmt: skip

    (one, _), (two, served) = house.do(sell_twice)
    assert (one.ad_id, one.eligible, one.excluded) == ("gold", 3, {})
    assert (two.ad_id, two.eligible, two.excluded) == ("a1", 2, {"budget": 1})
    assert [each.ad_id for each in two.considered] == ["a1", "a2"]
    assert recompute(two) == (served.creative.id, served.price_nanos) == ("a1", 2_000_000)


def test_the_day_s_cap_binds_until_midnight(house):
    house.campaign("capped", bid_nanos=9_000_000, daily_budget=euros(2_000_001))
    house.creative("gold", "capped")
    assert house.serve()[1][0].creative.id == "gold"
    assert house.serve()[1][0].creative.id == "a1"
    to_midnight_s = 86_400 - house.now_s % 86_400
    house.clock.advance_us(to_midnight_s * 1_000_000)
    assert house.serve()[1][0].creative.id == "gold"


def test_paused_campaigns_do_not_sell(house):
    for id in ("c1", "c2"):
        house.do(
            lambda c, id=id: house.management.change_campaign(
                c, id, CampaignChange(status="paused")
            )
        )
    assert house.serve()[1] == []


# ---- impressions --------------------------------------------------------------------------------


def test_a_repeated_beacon_charges_nothing_more(house):
    _, [served] = house.serve()
    seen = [house.impression(served.tokens["impression"]) for _ in range(3)]
    assert seen == ["recorded", "repeated", "repeated"]
    assert account(house, "campaign/c1") == (1_500_000, 0)
    assert len(house.payloads(ImpressionBilled)) == 1


@pytest.mark.parametrize("expired_first", [True, False])
def test_a_late_beacon_is_recorded_and_charges_nothing(house, expired_first):
    _, [served] = house.serve()
    house.clock.advance_us(360 * 1_000_000)
    if expired_first:
        assert house.expire() == 1
    seen = [house.impression(served.tokens["impression"]) for _ in range(2)]
    assert seen == ["late", "repeated"]
    house.expire()
    assert account(house, "campaign/c1") == (0, 0)
    assert house.payloads(ImpressionBilled) == []
    [unbilled] = house.payloads(ImpressionUnbilled)
    assert (unbilled.campaign_id, unbilled.reason) == ("c1", "late")


def test_the_last_second_still_counts(house):
    _, [served] = house.serve()
    house.clock.advance_us(359 * 1_000_000)
    assert house.impression(served.tokens["impression"]) == "recorded"


def test_much_later_nothing_is_recorded_any_more(house):
    _, [served] = house.serve()
    house.clock.advance_us((360 + 3600) * 1_000_000)
    house.expire()
    assert house.impression(served.tokens["impression"]) == "late"
    assert house.payloads(ImpressionUnbilled) == []


def test_a_hold_that_was_voided_by_hand_is_not_billed(house):
    [outcome], [served] = house.serve()
    void = Transfer(id="v", kind="void", pending_id=format_id(outcome.impression_id))
    assert house.do(lambda c: house.ledger.transfer(c, void)) == "created"
    assert house.impression(served.tokens["impression"]) == "late"
    [unbilled] = house.payloads(ImpressionUnbilled)
    assert unbilled.reason == "pending-already-voided"
    assert account(house, "publisher/pub") == (0, 0)


def test_forged_tokens_are_nothing(house):
    _, [served] = house.serve()
    assert house.impression("x" + served.tokens["impression"][1:]) is None
    assert house.impression(served.tokens["click"]) is None
    assert house.click(served.tokens["impression"]) is None


# ---- clicks and conversions ---------------------------------------------------------------------


@pytest.fixture
def clicks():
    """One campaign that pays 1 EUR a click, 2.50 EUR in all."""
    with House() as house:
        house.open()
        house.campaign(pricing="cpc", bid_nanos=10**9, budget=euros(2_500_000_000))
        house.creative()
        yield house


def test_clicks_are_charged_while_budget_is_left_and_then_recorded_unbilled(clicks):
    sold = [clicks.serve(changed(BANNER, floor_nanos=5_000_000))[1][0] for _ in range(3)]
    assert {one.price_nanos for one in sold} == {10**9}
    assert {one.impression_price_nanos for one in sold} == {5_000_000}
    assert account(clicks, "campaign/c1") == (0, 0), "no hold for what is paid by the click"
    assert [clicks.impression(one.tokens["impression"]) for one in sold] == ["recorded"] * 3
    assert {bill.price_nanos for bill in clicks.payloads(ImpressionBilled)} == {0}
    assert [clicks.click(one.tokens["click"]) for one in sold] == ["recorded"] * 3
    assert clicks.click(sold[0].tokens["click"]) == "repeated"
    recorded = clicks.payloads(ClickRecorded)
    assert [(one.charged_nanos, one.unbilled_reason) for one in recorded] == [
        (10**9, ""), (10**9, ""), (0, "budget"),
    ]  # fmt: skip
    assert account(clicks, "campaign/c1") == (2 * 10**9, 0)
    _, served = clicks.serve(changed(BANNER, floor_nanos=5_000_000))
    assert served == [], "500,000,000 are left to bid: worth half the floor"


def test_an_impression_that_is_paid_by_the_click_is_late_too(clicks):
    _, [served] = clicks.serve()
    clicks.clock.advance_us(360 * 1_000_000)
    assert clicks.impression(served.tokens["impression"]) == "late"


def test_a_click_after_its_window_charges_nothing(clicks):
    _, [served] = clicks.serve()
    clicks.clock.advance_us(7 * 86_400 * 1_000_000)
    assert clicks.click(served.tokens["click"]) == "late"
    assert clicks.payloads(ClickRecorded) == []


def test_a_click_on_a_cpm_ad_is_free(house):
    _, [served] = house.serve()
    assert house.click(served.tokens["click"]) == "recorded"
    [click] = house.payloads(ClickRecorded)
    assert (click.charged_nanos, click.unbilled_reason) == (0, "")


def rwclid(house: House) -> str:
    _, [served] = house.serve()
    claim = house.billing.verify(served.tokens["click"], "click")
    return house.billing.conversion_token(claim)


@pytest.fixture
def sales():
    """One campaign that pays 20 EUR a conversion."""
    with House() as house:
        house.open()
        house.campaign(pricing="cpa", bid_nanos=2 * 10**10, budget=euros(3 * 10**10))
        house.creative()
        yield house


def test_a_conversion_is_charged_once_and_its_customer_is_sealed(sales):
    token = rwclid(sales)
    given = {"value_nanos": 10**11, "customer": "jo@shop.example"}
    assert sales.convert(token, "order-1", **given) == "recorded"
    assert sales.convert(token, "order-1", **given) == "repeated"
    event = sales.events()[-1]
    found = event.payload
    assert isinstance(found, ConversionRecorded)
    # Alone it pays the least that counts: one nano an impression at one conversion in 10,000.
    assert (found.charged_nanos, found.value_nanos) == (10_000, 10**11)
    subject = pseudonym("customer/jo@shop.example")
    assert (event.subject, event.purpose) == (subject, "conversion measurement")
    assert b"jo@shop" not in b"".join(row.payload for row in sales.log.rows())
    context = event.id + b"customer"
    assert sales.keys.unseal(subject, found.customer, context=context) == b"jo@shop.example"
    sales.keys.erase(subject)
    assert sales.keys.unseal(subject, found.customer, context=context) is None


def test_a_conversion_belongs_to_the_trace_of_its_ad(sales):
    sales.convert(rwclid(sales), "order-1")
    cleared = next(e for e in sales.events() if isinstance(e.payload, AuctionCleared))
    conversion = sales.events()[-1]
    assert (conversion.request_id, conversion.cause_id) == (cleared.request_id, cleared.id)


def test_an_order_is_not_counted_for_two_impressions(sales):
    assert sales.convert(rwclid(sales), "order-1") == "recorded"
    with pytest.raises(Conflict, match="conversion-exists"):
        sales.convert(rwclid(sales), "order-1")


def test_a_late_or_unpaid_conversion(sales):
    first, second, third = rwclid(sales), rwclid(sales), rwclid(sales)
    assert sales.convert(first, "1") == "recorded"
    assert sales.convert(second, "2") == "recorded"
    charges = [one.charged_nanos for one in sales.payloads(ConversionRecorded)]
    assert charges == [10_000, 10_000]
    sales.clock.advance_us(30 * 86_400 * 1_000_000)
    assert sales.convert(third, "3") == "late"


def test_a_conversion_after_an_invalid_click_is_recorded_and_charges_nothing(sales):
    _, [one] = sales.serve()
    claim = sales.billing.verify(one.tokens["click"], "click")
    before = sales.ledger.accounts["campaign/c1"].debits_posted
    sales.click(one.tokens["click"], "invalid-data-centre")
    sales.click(one.tokens["click"])  # the first click has the say
    token = sales.billing.conversion_token(claim)
    assert sales.convert(token, "order-1", value_nanos=7) == "recorded"
    assert sales.convert(token, "order-1", value_nanos=7) == "repeated"
    [conversion] = sales.payloads(ConversionRecorded)
    assert (conversion.charged_nanos, conversion.unbilled_reason) == (0, "invalid-click")
    assert sales.ledger.accounts["campaign/c1"].debits_posted == before
    assert sales.replayed().dumps() == sales.folds.dumps()
    assert sales.convert(rwclid(sales), "order-2") == "recorded"
    assert sales.payloads(ConversionRecorded)[-1].charged_nanos > 0, "another click is its own"


@pytest.mark.parametrize("is_late", [False, True])
def test_a_click_on_an_invalid_impression_is_never_paid_whatever_is_remembered_elsewhere(
    clicks, is_late
):
    """As after a restart: the filter knows nothing of the impression and finds the click valid."""
    _, [one] = clicks.serve()
    if is_late:
        clicks.clock.advance_us(400 * 1_000_000)
        clicks.expire()
    clicks.impression(one.tokens["impression"], "invalid-agent-declared")
    [unbilled] = clicks.payloads(ImpressionUnbilled)
    assert unbilled.reason == "invalid-agent-declared"
    before = clicks.ledger.accounts["campaign/c1"].debits_posted
    assert clicks.click(one.tokens["click"]) == "recorded"
    [click] = clicks.payloads(ClickRecorded)
    assert (click.charged_nanos, click.unbilled_reason) == (0, "invalid-agent-declared")
    assert clicks.ledger.accounts["campaign/c1"].debits_posted == before
    assert clicks.replayed().dumps() == clicks.folds.dumps()
    _, [other] = clicks.serve()
    clicks.impression(other.tokens["impression"])
    clicks.click(other.tokens["click"])
    assert clicks.payloads(ClickRecorded)[-1].charged_nanos > 0, "another ad is its own"


def test_an_invalid_click_is_remembered_for_as_long_as_a_conversion_may_follow(sales):
    """Longer than the click itself, which need only be told from a second one."""
    _, [one] = sales.serve()
    claim = sales.billing.verify(one.tokens["click"], "click")
    sales.click(one.tokens["click"], "invalid-prefetch")
    sales.clock.advance_us(MAX_CLICK_WINDOW_S * 1_000_000 + 1_200_000_000)
    _, [later] = sales.serve()
    sales.click(later.tokens["click"])  # which moves the time of clicks on
    assert not sales.folds.outcomes.clicked(claim.impression_id)
    sales.billing.settings = changed(
        sales.billing.settings, conversion_window_s=MAX_CONVERSION_WINDOW_S
    )
    assert sales.convert(sales.billing.conversion_token(claim), "order-1") == "recorded"
    assert sales.payloads(ConversionRecorded)[-1].unbilled_reason == "invalid-click"


def test_every_click_on_an_ad_carries_the_same_conversion_token(sales):
    _, [served] = sales.serve()
    claim = sales.billing.verify(served.tokens["click"], "click")
    token = sales.billing.conversion_token(claim)
    sales.clock.advance_us(MINUTE_US)
    assert sales.billing.conversion_token(claim) == token
    assert sales.billing.verify(token, "impression") is None


# ---- settings, clock, replay --------------------------------------------------------------------


def test_windows_are_bounded_by_what_is_remembered():
    assert AdsSettings().timeout_s(None) == 360
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"late_s": 3601}, AdsSettings)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"surprise": 1}, AdsSettings)


def test_a_clock_that_goes_back_bills_nothing_twice(house):
    _, [served] = house.serve()
    token = served.tokens["impression"]
    assert house.impression(token) == "recorded"
    start_us = house.clock.wall_us()
    house.clock.advance_us(4 * 3600 * 1_000_000)
    _, [other] = house.serve()
    house.impression(other.tokens["impression"])
    house.clock.set_wall_us(start_us)
    assert house.impression(token) == "late", "forgotten, so it must not count"
    assert len(house.payloads(ImpressionBilled)) == 2


def test_a_clock_that_goes_back_counts_no_free_impression_twice(clicks):
    _, [served] = clicks.serve()
    assert clicks.impression(served.tokens["impression"]) == "recorded"
    start_us = clicks.clock.wall_us()
    clicks.clock.advance_us(4 * 3600 * 1_000_000)
    _, [other] = clicks.serve()
    assert clicks.impression(other.tokens["impression"]) == "recorded"
    clicks.clock.set_wall_us(start_us)
    assert clicks.impression(served.tokens["impression"]) == "late"
    assert len(clicks.payloads(ImpressionBilled)) == 2
    assert clicks.payloads(ImpressionUnbilled) == []


def test_an_error_after_a_hold_leaves_nothing_reserved(house):
    before = house.folds.dumps()
    ask = Ask(request_id=house.ids.new(), source="native", context=SITE, slots=(BANNER,))

    def fail(command):
        page = house.ads.begin(ask, ask.request_id, now_s=command.now_s)
        shortlist = house.ads.candidates(ask, BANNER, page, now_s=command.now_s)
        ranked = house.ads.rank(shortlist, BANNER, page)
        house.ads.clear(command, ask, [BANNER], page, shortlist, ranked, auction_id=ask.request_id)
        assert house.ledger.accounts["campaign/c1"].debits_pending > 0
        raise RuntimeError("the encoder met something it cannot write")

    with pytest.raises(RuntimeError, match="cannot write"):
        house.do(fail)
    assert house.folds.dumps() == before
    assert house.serve()[1][0].creative.id == "a1"


def test_a_batch_that_the_disk_refuses_is_forgotten(house):
    before = house.folds.dumps()
    house.log.capacity_bytes = 1
    with pytest.raises(StorageFull):
        house.serve()
    assert house.folds.dumps() == before
    house.log.capacity_bytes = None
    assert house.serve()[1][0].creative.id == "a1"


def test_what_a_screen_is_billed_is_what_was_held_and_never_above_the_price(house):
    """100.5 impressions a play: half a nano of every odd price stays with the payer."""
    screen = changed(BANNER, quantity_ppm=100_500_000)
    held = []
    for _ in range(3):
        before = house.ledger.accounts["campaign/c1"].debits_pending
        _, [served] = house.serve(screen)
        held.append(house.ledger.accounts["campaign/c1"].debits_pending - before)
        house.impression(served.tokens["impression"])
        assert held[-1] == served.price_nanos * 201 // 2
    billed = [one.price_nanos for one in house.payloads(ImpressionBilled)]
    assert billed == held
    assert house.ledger.accounts["campaign/c1"].debits_pending == 0


def test_replay_gives_the_same_state(house):
    for _ in range(3):
        _, [served] = house.serve()
        house.impression(served.tokens["impression"])
        house.click(served.tokens["click"])
    house.serve()
    house.clock.advance_us(400 * 1_000_000)
    house.expire()
    assert house.replayed().dumps() == house.folds.dumps()


def test_videos_and_native_ads_sell_too(house):
    house.creative(
        "v1", "c1", format="video", html="", video_url="https://adv.example/v.mp4",
        video_mime="video/mp4", duration_s=15,
    )  # fmt: skip
    house.creative("n1", "c2", format="native", html="", title="Paint")
    video = Slot(id="v", format="video", mimes=("video/mp4",), max_duration_s=30)
    native = Slot(id="n", format="native")
    _, served = house.serve(video, native)
    assert [one.creative.id for one in served] == ["v1", "n1"]
