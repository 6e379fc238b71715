"""View-through conversions: when one counts, when it is paid for, and that it is counted apart."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads import projections
from ringwork.ads.events import ConversionRecorded
from ringwork.ads.projections import HOUR_US, PROJECTIONS, ViewCounts, metadata
from ringwork.ads.tokens import Claim
from ringwork.ads.view_through import is_paid, verdict
from tests.ads.house import House, changed, euros
from tests.ads.office import Office, slug

CLAIM = Claim(
    impression_id=bytes(16), auction_id=bytes(16), request_id=bytes(16), campaign_id="c1",
    ad_id="a1", publisher_id="pub", placement="top", pricing="cpa", price_nanos=10, currency="EUR",
    issued_s=1000, expires_s=2000,
)  # fmt: skip


@pytest.mark.parametrize(
    ("now_s", "billed", "clicked", "expected"),
    [
        (1000, True, False, "counts"),
        (1099, True, False, "counts"),
        (1100, True, False, "late"),
        (1050, None, False, "unseen"),
        (1050, False, False, "unseen"),
        (1050, True, True, "clicked"),
        (9999, None, True, "clicked"),
    ],
)
def test_when_a_conversion_counts(now_s, billed, clicked, expected):
    found = verdict(CLAIM, now_s=now_s, window_s=100, billed=billed, clicked=clicked)
    assert found == expected


@given(st.integers(0, 5000), st.sampled_from([True, False, None]), st.booleans())
def test_a_click_and_a_view_never_both_count(now_s, billed, clicked):
    found = verdict(CLAIM, now_s=now_s, window_s=100, billed=billed, clicked=clicked)
    assert (found == "counts") == (billed is True and not clicked and now_s < 1100)


def test_only_who_opted_in_pays_for_views():
    with House() as house:
        house.open()
        campaign = house.campaign("c1", pricing="cpa", budget=euros(10**6))
        assert not is_paid(campaign, CLAIM)
        campaign = changed(campaign, view_through=True)
        assert is_paid(campaign, CLAIM)
        assert not is_paid(campaign, changed(CLAIM, pricing="cpm"))


def conversion(view_through, *, charged=0, campaign="c1", ad="a1"):
    return ConversionRecorded(
        "order", bytes(16), campaign, ad, "pub", 0, charged, "EUR", view_through=view_through
    )


def test_views_are_counted_apart_and_their_price_is_spent():
    with House() as house:
        for event in (
            conversion(False, charged=5), conversion(True, charged=7), conversion(True),
            conversion(True, campaign="c2", ad="a2"),
        ):  # fmt: skip
            house.do(lambda c, event=event: c.record(event))
        events = house.events()
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        for projection in PROJECTIONS:
            heard = [one for one in events if isinstance(one.payload, projection.hears)]
            if heard:
                projection.apply(connection, heard[:2])
                projection.apply(connection, heard[2:])
        counts = projections.campaign_counts(connection)
        assert (counts["c1"].conversions, counts["c1"].spent_nanos) == (1, 12)
        assert counts["c2"].conversions == 0
        assert projections.view_conversions(connection) == {
            "c1": ViewCounts(2, 7), "c2": ViewCounts(1, 0),
        }  # fmt: skip
        assert set(projections.view_conversions(connection, ["c2", "none"])) == {"c2"}
        later = events[-1].ts_us + HOUR_US
        assert projections.view_conversions(connection, since_us=later) == {}
    engine.dispose()


def test_an_event_from_before_views_is_no_view():
    with House() as house:
        old = ConversionRecorded("o", bytes(16), "c", "a", "p", 0, 0, "EUR", None, "")
        house.do(lambda c: c.record(old))
        [event] = house.payloads(ConversionRecorded)
        assert event.view_through is False


# ---- reported over HTTP -------------------------------------------------------------------------


@pytest.fixture
def office():
    with House() as house:
        office = Office(house)
        office.fill()
        yield office
        office.engine.dispose()


def sold(office, *, seen=True):
    [_], [served] = office.house.serve()
    if seen:
        office.house.impression(served.tokens["impression"])
    return served.tokens


def report(office, **members):
    return office.send("POST", "/v1/conversions", json={"conversion_id": "order-1", **members})


def spent(office):
    return 100 * 10**9 - office.house.ledger.accounts["campaign/autumn"].available_nanos


@pytest.mark.parametrize("opted_in", [False, True])
def test_a_conversion_after_a_view_counts_once_and_is_paid_for_by_who_opted_in(office, opted_in):
    change = {"view_through": opted_in}
    office.send("PATCH", "/v1/campaigns/autumn", key="v", json=change)
    token = sold(office)["impression"]
    first, second = (report(office, impression=token) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert first.json()["view_through"] is True
    [event] = office.house.payloads(ConversionRecorded)
    assert event.view_through
    assert (event.charged_nanos > 0) == opted_in
    assert spent(office) == event.charged_nanos


def test_a_view_that_was_clicked_is_reported_with_its_click(office):
    tokens = sold(office)
    office.house.click(tokens["click"])
    answer = report(office, impression=tokens["impression"])
    assert (answer.status_code, slug(answer)) == (409, "clicked-impression")
    assert office.house.payloads(ConversionRecorded) == []


def test_what_was_not_seen_or_too_long_ago_does_not_count(office):
    unseen = report(office, impression=sold(office, seen=False)["impression"])
    assert (unseen.status_code, slug(unseen)) == (409, "unseen-impression")
    token = sold(office)["impression"]
    office.house.clock.advance_us(86_400 * 1_000_000)
    late = report(office, impression=token)
    assert (late.status_code, slug(late)) == (409, "conversion-late")
    assert office.house.payloads(ConversionRecorded) == []


@pytest.mark.parametrize(
    ("members", "status", "name", "pointer"),
    [
        ({}, 409, "rule-violated", "/rwclid"),
        ({"rwclid": "A", "impression": "A"}, 409, "rule-violated", "/rwclid"),
        ({"impression": "AAAA"}, 409, "unknown-impression", "/impression"),
        ({"impression": ""}, 422, "invalid", "/impression"),
        ({"impression": "A" * 2049}, 422, "invalid", "/impression"),
    ],
)
def test_reports_that_are_none(office, members, status, name, pointer):
    answer = report(office, **members)
    assert (answer.status_code, slug(answer)) == (status, name)
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


def test_a_click_s_token_is_no_impression_s(office):
    answer = report(office, impression=sold(office)["click"])
    assert slug(answer) == "unknown-impression"
