"""Anniversaries by hand and against a slow calendar; parts of a price."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.consent.subscriptions.periods import (
    anniversary_us,
    period_at,
    period_us,
    rest_nanos,
    zone_of,
)
from tests.consent.subscriptions.newsstand import CENT, DAY_US, at, iso

UTC_ZONE = ZoneInfo("UTC")
ZONES = ("UTC", "Europe/Lisbon", "America/New_York", "Asia/Kolkata", "Pacific/Apia")


@pytest.mark.parametrize(
    ("months", "expected"),
    [
        (1, "2026-02-28 10:00"),
        (2, "2026-03-31 10:00"),
        (3, "2026-04-30 10:00"),
        (12, "2027-01-31 10:00"),
        (25, "2028-02-29 10:00"),
    ],
)
def test_the_31st_of_january_becomes_each_months_last_day_and_comes_back(months, expected):
    assert iso(anniversary_us(at("2026-01-31T10:00"), months, UTC_ZONE)) == expected


def test_the_clock_of_the_zone_decides_not_utc():
    """23:30 in Lisbon on 31 March is 22:30 UTC; on 30 November, without summer time, 23:30 UTC."""
    start = at("2026-03-31T22:30")
    assert iso(anniversary_us(start, 8, ZoneInfo("Europe/Lisbon"))) == "2026-11-30 23:30"
    # In Auckland it is 11:30 on 1 April already: the 1st of each month, in UTC the last day.
    assert iso(anniversary_us(start, 1, ZoneInfo("Pacific/Auckland"))) == "2026-04-30 23:30"


def test_a_time_that_the_clock_change_skips_comes_an_hour_later():
    """01:30 on 28 February; on 28 March 2027 Lisbon goes from 01:00 to 02:00."""
    start = at("2027-02-28T01:30")
    assert iso(anniversary_us(start, 1, ZoneInfo("Europe/Lisbon"))) == "2027-03-28 01:30"
    assert (
        datetime.fromtimestamp(at("2027-03-28T01:30") // 1_000_000, ZoneInfo("Europe/Lisbon")).hour
        == 2
    )


def test_no_months_is_the_same_moment_also_in_an_hour_that_is_there_twice():
    second_one_thirty = at("2026-10-25T01:30")  # Lisbon: 01:30 for the second time
    assert anniversary_us(second_one_thirty, 0, ZoneInfo("Europe/Lisbon")) == second_one_thirty


@given(
    st.integers(0, 4_000_000_000), st.integers(0, 240), st.sampled_from((1, 3, 6, 12)),
    st.sampled_from(ZONES),
)  # fmt: skip
def test_periods_follow_each_other_without_gap_and_keep_the_day(anchor_s, number, months, name):
    anchor, zone = anchor_s * 1_000_000, ZoneInfo(name)
    begin, end = period_us(anchor, number + 1, months, zone)
    assert begin < end
    assert period_us(anchor, number + 2, months, zone)[0] == end
    assert (27 * months) * DAY_US <= end - begin <= (32 * months) * DAY_US
    day = datetime.fromtimestamp(anchor_s, zone).day
    shown = datetime.fromtimestamp(end // 1_000_000, zone)
    after = shown + timedelta(days=1)
    is_last = after.month != shown.month
    assert shown.day == day or (shown.day < day and is_last) or name == "Pacific/Apia"


def test_periods_that_passed_unattended_are_left_out():
    start = at("2026-01-31T10:00")
    found = period_at(start, 1, at("2026-05-15T00:00"), 1, UTC_ZONE)
    assert (found[0], iso(found[1]), iso(found[2])) == (4, "2026-04-30 10:00", "2026-05-31 10:00")
    assert period_at(start, 1, at("2026-02-28T10:00"), 1, UTC_ZONE)[0] == 2


def test_half_a_period_costs_half_in_whole_cents():
    """30 days, 15 left: half of 3.99 is 1.995, so 1.99."""
    days = {"starts_us": 0, "ends_us": 30 * DAY_US, "unit": CENT}
    assert rest_nanos(399 * CENT, now_us=15 * DAY_US, **days) == 199 * CENT
    assert rest_nanos(399 * CENT, now_us=0, **days) == 399 * CENT
    assert rest_nanos(399 * CENT, now_us=30 * DAY_US, **days) == 0
    assert rest_nanos(399 * CENT, now_us=-5, **days) == 399 * CENT, "a clock that went back"


@pytest.mark.parametrize("name", ["", "Europe", "Mars/Olympus", "../etc/passwd", "/etc/passwd"])
def test_what_is_no_zone_is_none(name):
    assert zone_of(name) is None


def test_a_leap_day_is_kept_where_there_is_one():
    start = int(datetime(2028, 2, 29, 8, tzinfo=UTC).timestamp()) * 1_000_000
    assert iso(anniversary_us(start, 12, UTC_ZONE)) == "2029-02-28 08:00"
    assert iso(anniversary_us(start, 48, UTC_ZONE)) == "2032-02-29 08:00"
