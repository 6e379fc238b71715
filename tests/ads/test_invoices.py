"""Invoices and credit notes equal the ledger, to the nano, whatever the order of things."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.charges import month_begin_us, month_name, month_number
from ringwork.ads.invoice_events import CreditNoteIssued, InvoiceIssued, InvoiceLine
from ringwork.ads.invoices import Tax, part_of
from ringwork.kernel.errors import Conflict, NotFound
from ringwork.kernel.ledger import Transfer
from ringwork.kernel.money import Money
from tests.ads.counting_house import CountingHouse
from tests.ads.house import BANNER, House, changed, euros
from tests.ads.reports.town import live, settle

IVA = Tax("IVA", 230_000)
CENT = 10**7
PRICE = 12_345_678
"""Floor, and so price, of the only bidder: 1.2345678 cents."""


@pytest.fixture
def office():
    with House() as house:
        office = CountingHouse(house)
        office.at(2026, 1, 10)
        house.open()
        house.campaign("c1", bid_nanos=2 * PRICE)
        house.creative("a1", "c1")
        yield office


def show(office, times):
    slot = changed(BANNER, floor_nanos=PRICE)
    for _ in range(times):
        _, [one] = office.house.serve(slot)
        office.house.impression(one.tokens["impression"])


def invoices(office):
    return office.house.payloads(InvoiceIssued)


# ---- by hand ------------------------------------------------------------------------------------


def test_an_invoice_in_whole_cents_carries_the_rest(office):
    show(office, 3)
    office.at(2026, 2, 1)
    assert office.issue("2026-01", "adv", IVA) == ("adv-1", True)
    [one] = invoices(office)
    assert one.lines == [InvoiceLine("c1", "cpm", "2026-01", 3, 3 * PRICE)]
    assert (one.spent_nanos, one.carried_in_nanos) == (37_037_034, 0)
    assert (one.net_minor, one.carried_out_nanos) == (3, 7_037_034)
    assert (one.tax_name, one.tax_ppm, one.tax_minor) == ("IVA", 230_000, 1)
    show(office, 1)
    office.at(2026, 3, 1)
    office.issue("2026-02")
    two = invoices(office)[1]
    assert (two.number, two.carried_in_nanos, two.spent_nanos) == (2, 7_037_034, PRICE)
    assert (two.net_minor, two.carried_out_nanos) == (1, 7_037_034 + PRICE - CENT)
    assert two.tax_minor == 0


def test_tax_is_owed_and_the_net_moves_nothing(office):
    show(office, 10)
    office.at(2026, 2, 1)
    before = office.house.ledger.accounts["advertiser/adv"].available_nanos
    office.issue("2026-01", "adv", IVA)
    accounts = office.house.ledger.accounts
    assert accounts["advertiser/adv"].available_nanos == before
    assert accounts["receivable/adv"].debits_posted == 3 * CENT, "23 % of 12 cents, 2.76"
    assert accounts["platform/tax"].credits_posted == 3 * CENT


def test_credit_in_parts_gives_back_all_of_it_and_its_tax(office):
    show(office, 10)
    office.at(2026, 2, 1)
    office.issue("2026-01", "adv", IVA)
    before = office.house.ledger.accounts["advertiser/adv"].available_nanos
    notes = [office.credit("adv-1", euros(cents * CENT)) for cents in (5, 5, 2)]
    assert [note.id for note in notes] == ["adv-c1", "adv-c2", "adv-c3"]
    assert [note.tax_minor for note in notes] == [1, 1, 1], "1.25 then 2.5 then 3, to even"
    accounts = office.house.ledger.accounts
    assert accounts["advertiser/adv"].available_nanos == before + 12 * CENT
    assert accounts["platform/credit-notes"].debits_posted == 12 * CENT
    owed = accounts["receivable/adv"]
    assert owed.debits_posted == owed.credits_posted
    with pytest.raises(Conflict, match=r"0\.00 EUR is left of invoice adv-1, 0\.01 EUR"):
        office.credit("adv-1", euros(CENT))


def test_rounding_is_half_to_even():
    assert [part_of(n, 1, 2) for n in range(6)] == [0, 0, 1, 2, 2, 2]


def test_months_are_utc():
    assert month_name(month_number("2026-12") + 1) == "2027-01"
    assert [month_number(text) for text in ("2026-00", "2026-1", "x", "2026-011")] == [None] * 4
    assert month_begin_us(month_number("1970-02")) == 31 * 86_400 * 10**6


# ---- what an invoice takes ----------------------------------------------------------------------


def test_a_charge_belongs_to_the_month_of_its_beacon(office):
    office.at(2026, 1, 31, 23, 59, 59)
    _, [one] = office.house.serve(changed(BANNER, floor_nanos=PRICE))
    office.house.clock.advance_us(2_000_000)
    office.house.impression(one.tokens["impression"])
    with pytest.raises(Conflict, match="nothing more by the end of 2026-01"):
        office.issue("2026-01")
    office.at(2026, 3, 1)
    office.issue("2026-02")
    assert [line.month for line in invoices(office)[0].lines] == ["2026-02"]


def test_months_left_out_are_on_the_next_invoice(office):
    show(office, 1)
    office.at(2026, 2, 10)
    show(office, 1)
    office.at(2026, 4, 1)
    office.issue("2026-03")
    [one] = invoices(office)
    assert [(line.month, line.quantity) for line in one.lines] == [("2026-01", 1), ("2026-02", 1)]


def test_the_same_month_again_is_the_same_invoice(office):
    show(office, 1)
    office.at(2026, 2, 1)
    assert office.issue("2026-01") == ("adv-1", True)
    assert office.issue("2026-01") == ("adv-1", False)
    assert len(invoices(office)) == 1


def test_a_charge_whose_clock_went_back_is_on_the_next_invoice(office):
    show(office, 1)
    office.at(2026, 2, 1)
    office.issue("2026-01")
    office.at(2026, 1, 20)
    show(office, 1)
    office.at(2026, 2, 2)
    assert office.issue("2026-01") == ("adv-2", True)
    assert office.invoicing.balance("adv").holds


# ---- refusals -----------------------------------------------------------------------------------


def test_what_cannot_be_invoiced_says_why(office):
    show(office, 1)
    events = len(office.house.events())
    with pytest.raises(Conflict, match="2026-01 is not over yet"):
        office.issue("2026-01")
    with pytest.raises(Conflict, match="expected YYYY-MM"):
        office.issue("January")
    with pytest.raises(NotFound):
        office.issue("2026-01", "nobody")
    assert len(office.house.events()) == events


def test_money_moved_by_hand_stops_the_invoice(office):
    show(office, 1)
    by_hand = Transfer(
        id="by-hand", kind="single", debit_account="campaign/c1", credit_account="publisher/pub",
        amount_nanos=5, currency="EUR",
    )  # fmt: skip
    office.house.do(lambda c: office.house.ledger.transfer(c, by_hand))
    office.at(2026, 2, 1)
    with pytest.raises(Conflict, match="somebody moved money there by hand"):
        office.issue("2026-01")
    assert not office.invoicing.balance("adv").holds


@pytest.mark.parametrize(
    ("amount", "slug"),
    [
        (euros(0), "rule-violated"),
        (euros(-CENT), "rule-violated"),
        (euros(CENT + 1), "rule-violated"),
        (Money.of_nanos("USD", CENT), "rule-violated"),
        (euros(4 * CENT), "credit-exceeds-invoice"),
    ],
)
def test_a_credit_that_cannot_be_records_nothing(office, amount, slug):
    show(office, 3)
    office.at(2026, 2, 1)
    office.issue("2026-01")
    events = len(office.house.events())
    with pytest.raises(Conflict) as refused:
        office.credit("adv-1", amount)
    assert refused.value.slug == slug
    with pytest.raises(NotFound):
        office.credit("adv-9", euros(CENT))
    assert len(office.house.events()) == events


# ---- always -------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32))
@settings(max_examples=8, deadline=None)
def test_every_nano_is_in_one_place_and_the_ledger_says_so(seed):
    draw = random.Random(seed)
    with House() as house:
        office = CountingHouse(house)
        office.at(2026, 1, 1)
        settle(house)
        for _ in range(4):
            live(house, draw, 12)
            for advertiser_id in ("adv", "two"):
                _invoice_and_credit(office, draw, advertiser_id)
        for advertiser_id in ("adv", "two"):
            balance = office.invoicing.balance(advertiser_id)
            assert balance.holds
            _check_documents(office, advertiser_id, balance)
        _check_ledger(office)
        for live_fold, again in zip(office.folds, office.replayed(), strict=True):
            assert live_fold.dump() == again.dump()


def _invoice_and_credit(office, draw, advertiser_id):
    month = month_name(office.invoicing._months.of(office.house.clock.wall_us()) - 1)
    tax = Tax("t", draw.choice((0, 60_000, 230_000)))
    try:
        id, _ = office.issue(month, advertiser_id, tax)
    except Conflict as refused:
        assert refused.slug == "nothing-to-invoice"
        return
    kept = office.books.invoices[id]
    left = kept.net_minor - kept.credited_minor
    if left and draw.random() < 0.7:
        office.credit(id, euros(draw.randint(1, left) * CENT))


def _check_documents(office, advertiser_id, balance):
    issued = [one for one in invoices(office) if one.advertiser_id == advertiser_id]
    assert [one.number for one in issued] == list(range(1, len(issued) + 1))
    carried = 0
    for one in issued:
        assert one.carried_in_nanos == carried
        carried = one.carried_out_nanos
        assert 0 <= carried < CENT
        assert one.spent_nanos == sum(line.spent_nanos for line in one.lines)
        assert one.spent_nanos + one.carried_in_nanos == one.net_minor * CENT + carried
    notes = [
        one for one in office.house.payloads(CreditNoteIssued) if one.advertiser_id == advertiser_id
    ]
    assert [one.number for one in notes] == list(range(1, len(notes) + 1))
    for one in issued:
        credited = [note for note in notes if note.invoice_id == one.id]
        assert sum(note.net_minor for note in credited) <= one.net_minor
        assert 0 <= sum(note.tax_minor for note in credited) <= one.tax_minor
    assert balance.credited_nanos == sum(note.net_minor for note in notes) * CENT


def _check_ledger(office):
    accounts = office.house.ledger.accounts
    issued, notes = invoices(office), office.house.payloads(CreditNoteIssued)
    tax = sum(one.tax_minor for one in issued) - sum(note.tax_minor for note in notes)
    if "platform/tax" in accounts:
        account = accounts["platform/tax"]
        assert account.credits_posted - account.debits_posted == tax * CENT
    if "platform/credit-notes" in accounts:
        credited = sum(note.net_minor for note in notes) * CENT
        assert accounts["platform/credit-notes"].debits_posted == credited
    sums = office.house.ledger.trial_balance()["EUR"]
    assert sums["debits_posted"] == sums["credits_posted"]
