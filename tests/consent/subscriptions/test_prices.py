"""Dated prices: never two at once, the region's own first, a dearer one only after its notice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.consent.subscriptions.model import Offer, PlanPrice
from ringwork.consent.subscriptions.prices import PriceList, SetPrice, renewed
from tests.consent.subscriptions.newsstand import CENT, DAY_US, Newsstand, at, iso

NOW = at("2026-06-01T00:00")


def price(id: str, begin: int, end: int | None = None, *, cents: int = 599, **other) -> PlanPrice:
    members = {"plan": "plus", "channel": "web", "currency": "EUR", "region": "EU", **other}
    return PlanPrice(
        id=id, price_nanos=cents * CENT, valid_from_us=begin, valid_to_us=end, **members
    )


def listed(*prices: PlanPrice) -> PriceList:
    found = PriceList()
    for one in prices:
        assert list(found.faults(one, 0)) == [], one.id
        found.add(SetPrice(one, 0))
    return found


META_EU = (
    ("2023-11-01", "2024-11-12", "web", 999),
    ("2023-11-01", "2024-11-12", "ios", 1299),
    ("2024-11-12", None, "web", 599),
    ("2024-11-12", None, "ios", 799),
)


@pytest.mark.parametrize(
    ("moment", "channel", "cents"),
    [
        ("2023-10-31T23:59", "web", None),
        ("2023-11-01T00:00", "web", 999),
        ("2024-11-11T23:59", "ios", 1299),
        ("2024-11-12T00:00", "ios", 799),
        ("2030-01-01T00:00", "web", 599),
        ("2030-01-01T00:00", "android", None),
    ],
)
def test_each_moment_has_the_price_of_its_record(moment, channel, cents):
    records = [
        price(f"{begin}-{way}", at(begin), at(end) if end else None, cents=nanos, channel=way)
        for begin, end, way, nanos in META_EU
    ]
    found = listed(*records).in_force("plus", "EU", channel, "EUR", at(moment))
    assert (found and found.price.price_nanos // CENT) == cents


def test_a_region_without_a_price_in_force_has_that_of_everywhere():
    prices = listed(
        price("all", 0, region="*", cents=500), price("de", 100, 200, region="DE", cents=700)
    )
    found = [
        prices.in_force("plus", "DE", "web", "EUR", at_us).price.id for at_us in (99, 100, 200)
    ]
    assert found == ["all", "de", "all"]
    assert prices.in_force("plus", "DE", "web", "USD", 150) is None


def test_an_open_record_ends_where_a_later_one_begins():
    prices = listed(price("old", 0), price("new", NOW))
    assert prices.in_force("plus", "EU", "web", "EUR", NOW - 1).price.id == "old"
    assert prices.in_force("plus", "EU", "web", "EUR", NOW).price.id == "new"


@pytest.mark.parametrize(
    ("begin", "end", "pointer", "says"),
    [
        (NOW - 1, None, "/valid_from_us", "it can end from"),
        (NOW + 10, NOW + 10, "/valid_to_us", "after valid_from_us"),
        (0, 5, "/valid_from_us", "begins at the same time"),
        (NOW + 99, NOW + 101, "/valid_to_us", "is in force from"),
        (NOW + 150, None, "/valid_from_us", "is in force until"),
    ],
)
def test_a_record_that_would_overlap_is_refused_and_says_with_which(begin, end, pointer, says):
    prices = listed(price("open", 0), price("later", NOW + 100, NOW + 200))
    (fault,) = prices.faults(price("x", begin, end), NOW)
    assert fault.pointer == pointer
    assert says in fault.detail


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.none() | st.integers(0, 30)), min_size=1, max_size=12
    ),
    st.integers(0, 30),
)
def test_no_moment_ever_has_two_records_and_the_past_stays(asked, now):
    """A table of every moment, filled by hand: accepted records never take what is taken."""
    prices, table = PriceList(), {}
    for number, (begin, end) in enumerate(asked):
        new = price(f"p{number}", begin, end)
        before = {t: prices.in_force("plus", "EU", "web", "EUR", t) for t in range(32)}
        if list(prices.faults(new, now)):
            continue
        prices.add(SetPrice(new, 0))
        table[new.id] = new
        for moment in range(32):
            found = prices.in_force("plus", "EU", "web", "EUR", moment)
            holding = [
                one for one in table.values()
                if one.valid_from_us <= moment
                and (one.valid_to_us is None or moment < one.valid_to_us)
            ]  # fmt: skip
            latest = max(holding, key=lambda one: one.valid_from_us, default=None)
            if before[moment] is not None and moment < now:
                assert found == before[moment], "what was in force in the past is what it was"
            if found is not None:
                assert found.price == latest
            closed = [one for one in holding if one.valid_to_us is not None]
            assert len(closed) <= 1


def test_a_dearer_price_waits_for_its_notice_and_a_cheaper_one_does_not():
    old = Offer("old", 599 * CENT, 0)
    dearer = SetPrice(price("new", NOW, cents=699, notice_days=30), set_us=NOW)
    assert renewed(old, dearer, NOW + 29 * DAY_US) == old
    assert renewed(old, dearer, NOW + 30 * DAY_US).price_id == "new"
    cheaper = SetPrice(price("low", NOW, cents=499, notice_days=30), set_us=NOW)
    assert renewed(old, cheaper, NOW).price_id == "low"


# ---- at the stand -------------------------------------------------------------------------------


def test_a_renewal_takes_the_price_in_force_when_it_is_due_not_when_it_runs():
    with Newsstand() as stand:
        stand.subscribe()
        due = stand.one().ends_us
        stand.price("up", due + 1, 6.99, notice_days=0)
        stand.wait(us=due + 3_600_000_000 - stand.clock.wall_us())  # an hour late
        assert stand.one().period == 2
        assert stand.one().offer.price_id == "first"
        stand.wait(to="2026-03-31T10:01")
        assert stand.one().offer == Offer("up", 699 * CENT, 400 * CENT)


def test_a_pinned_subscription_keeps_its_price():
    with Newsstand() as stand:
        stand.subscribe("free")
        stand.subscribe("pinned", "bea", pinned=True)
        stand.price("up", stand.clock.wall_us() + DAY_US, 6.99, notice_days=0)
        stand.wait(to="2026-02-28T10:01")
        assert stand.one("free").offer.price_nanos == 699 * CENT
        assert stand.one("pinned").offer.price_nanos == 599 * CENT


def test_a_plan_without_a_price_any_more_is_not_renewed():
    with Newsstand() as stand:
        stand.subscribe()
        stand.price("last", at("2026-02-01"), valid_to_us=at("2026-02-10"))
        stand.wait(to="2026-02-28T10:01")
        assert (stand.one().state, stand.one().reason) == ("expired", "plan-ended")
        assert len(stand.provider.ledger) == 1
        assert iso(stand.one().ends_us) == "2026-02-28 10:00"
