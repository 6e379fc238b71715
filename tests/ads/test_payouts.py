"""Publishers' statements and payouts equal their accounts, to the nano."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.charges import month_name
from ringwork.ads.invoice_events import PayoutMade
from ringwork.ads.payouts import Share
from ringwork.ads.requests import PublisherChange
from ringwork.kernel.errors import Conflict, NotFound
from ringwork.kernel.ledger import Transfer
from tests.ads.counting_house import CountingHouse
from tests.ads.house import BANNER, House, changed
from tests.ads.reports.town import live, settle

CENT = 10**7
PRICE = 12_345_678


@pytest.fixture
def office():
    with House() as house:
        office = CountingHouse(house)
        office.at(2026, 1, 10)
        house.open()
        house.campaign("c1", bid_nanos=2 * PRICE)
        house.creative("a1", "c1")
        share = PublisherChange(revenue_share_ppm=700_000)
        house.do(lambda c: house.management.change_publisher(c, "pub", share))
        yield office


def show(office, times):
    for _ in range(times):
        _, [one] = office.house.serve(changed(BANNER, floor_nanos=PRICE))
        office.house.impression(one.tokens["impression"])


def test_a_month_by_hand(office):
    show(office, 3)
    office.at(2026, 2, 2)
    payout = office.pay("2026-01")
    fee = PRICE - PRICE * 7 // 10
    net = 3 * (PRICE - fee)
    assert (payout.id, payout.number, payout.amount_minor) == ("pub-p1", 1, net // CENT)
    assert payout.carried_nanos == net % CENT
    january = office.payouts.statement("pub", "2026-01")
    assert january.shares == [Share("cpm", 3, 3 * PRICE)]
    assert (january.opening_nanos, january.gross_nanos, january.fees_nanos) == (
        0, 3 * PRICE, 3 * fee,
    )  # fmt: skip
    assert (january.payouts, january.closing_nanos) == ([], net)
    february = office.payouts.statement("pub", "2026-02")
    assert (february.opening_nanos, february.closing_nanos) == (net, net % CENT)
    assert [paid.amount_nanos for paid in february.payouts] == [net // CENT * CENT]
    account = office.house.ledger.accounts["publisher/pub"]
    assert account.available_nanos == february.closing_nanos


def test_what_cannot_be_paid_says_why(office):
    events = len(office.house.events())
    with pytest.raises(Conflict, match="not over"):
        office.pay("2026-01")
    with pytest.raises(Conflict, match="less than a smallest unit"):
        office.pay("2025-12")
    with pytest.raises(Conflict, match="expected YYYY-MM"):
        office.pay("soon")
    for ask in (office.pay, lambda month, id: office.payouts.statement(id, month)):
        with pytest.raises(NotFound):
            ask("2025-12", "nobody")
    assert len(office.house.events()) == events


def test_paying_twice_pays_once(office):
    show(office, 5)
    office.at(2026, 2, 2)
    office.pay("2026-01")
    with pytest.raises(Conflict, match="less than a smallest unit"):
        office.pay("2026-01")
    assert len(office.house.payloads(PayoutMade)) == 1


def test_an_account_emptied_by_hand_is_not_overdrawn(office):
    show(office, 5)
    taken = Transfer(
        id="by-hand", kind="single", debit_account="publisher/pub", credit_account="bank",
        amount_nanos=CENT, currency="EUR",
    )  # fmt: skip
    office.house.do(lambda c: office.house.ledger.transfer(c, taken))
    office.at(2026, 2, 2)
    with pytest.raises(Conflict) as refused:
        office.pay("2026-01")
    assert refused.value.slug == "insufficient-funds"


@given(seed=st.integers(0, 2**32))
@settings(max_examples=6, deadline=None)
def test_statements_follow_each_other_and_end_at_the_account(seed):
    draw = random.Random(seed)
    with House() as house:
        office = CountingHouse(house)
        office.at(2026, 1, 1)
        settle(house)
        months = office.payouts._months
        first = months.of(house.clock.wall_us())
        for _ in range(4):
            live(house, draw, 12)
            publisher_id = draw.choice(("pub", "half", "third"))
            try:
                office.pay(month_name(months.of(house.clock.wall_us()) - 1), publisher_id)
            except Conflict as refused:
                assert refused.slug == "nothing-to-pay"
        last = months.of(house.clock.wall_us())
        for publisher_id in ("pub", "half", "third"):
            closing = 0
            for month in range(first, last + 1):
                one = office.payouts.statement(publisher_id, month_name(month))
                assert one.opening_nanos == closing
                paid = sum(payout.amount_nanos for payout in one.payouts)
                closing = one.closing_nanos
                assert closing == one.opening_nanos + one.gross_nanos - one.fees_nanos - paid
                assert one.gross_nanos == sum(share.gross_nanos for share in one.shares)
            account = house.ledger.accounts[f"publisher/{publisher_id}"]
            assert account.credits_posted - account.debits_posted == closing
