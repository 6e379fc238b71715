"""The traffic profile and the forecast it gives."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.pacing import DAY_MINUTES, WEEK_MINUTES, Forecast, ProfileState, TrafficProfile

WEEK_S = WEEK_MINUTES * 60


@given(
    minutes=st.lists(st.floats(0.0, 1e6), min_size=1, max_size=20),
    start=st.integers(0, 100),
    length=st.integers(0, 100),
)
def test_between_is_the_sum_of_its_minutes(minutes, start, length):
    forecast = Forecast.of_minutes(minutes)
    wanted = math.fsum(minutes[number % len(minutes)] for number in range(start, start + length))
    got = forecast.between(start * 60, (start + length) * 60)
    assert got == pytest.approx(wanted, rel=1e-9, abs=1e-3)


@given(
    times=st.tuples(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0, 1e9)).map(sorted),
)
def test_intervals_add_up(times):
    forecast = Forecast.of_minutes([1.0, 5.0, 0.0, 2.5])
    first, middle, last = times
    parts = forecast.between(first, middle) + forecast.between(middle, last)
    assert parts == pytest.approx(forecast.between(first, last), rel=1e-9, abs=1e-4)


def test_a_part_of_a_minute_counts_in_part():
    assert Forecast.of_minutes([60.0, 120.0]).between(30, 90) == 30.0 + 60.0


def test_an_empty_interval_expects_nothing():
    assert Forecast.of_minutes([60.0]).between(60, 60) == 0.0
    assert Forecast.of_minutes([60.0]).between(90, 60) == 0.0


@pytest.mark.parametrize("minutes", [[], [-1.0], [math.nan], [math.inf]])
def test_what_is_no_forecast_is_refused(minutes):
    with pytest.raises(ValueError, match="forecast"):
        Forecast.of_minutes(minutes)


def test_dayparting_needs_an_answer_for_every_minute():
    assert Forecast.of_minutes([1.0, 2.0, 3.0]).only([True, False, True]).between(0, 180) == 4.0
    with pytest.raises(ValueError, match="period of 3"):
        Forecast.of_minutes([1.0, 2.0, 3.0]).only([True])


def weekly(minute):
    """Nights are quiet, Sundays (day 3 of an epoch week) are half."""
    shape = 100.0 * (1.2 + math.cos(2 * math.pi * (minute % DAY_MINUTES) / DAY_MINUTES))
    return shape * (0.5 if minute % WEEK_MINUTES // DAY_MINUTES == 3 else 1.0)


def taught(weeks, *, start=0):
    generator = np.random.default_rng(3)
    profile = TrafficProfile()
    for minute in range(start, start + weeks * WEEK_MINUTES, 5):
        came = int(generator.poisson(sum(weekly(minute + after) for after in range(5))))
        profile.observe(minute * 60, (minute + 5) * 60, came)
    return profile


def test_a_few_weeks_teach_the_week():
    forecast = taught(3).forecast()
    for hour in range(0, 7 * 24, 5):
        wanted = sum(weekly(hour * 60 + after) for after in range(60))
        got = forecast.between(10 * WEEK_S + hour * 3600, 10 * WEEK_S + (hour + 1) * 3600)
        assert got == pytest.approx(wanted, rel=0.12), hour


def test_one_day_is_the_guess_for_the_others():
    profile = TrafficProfile()
    for minute in range(DAY_MINUTES):
        profile.observe(minute * 60, (minute + 1) * 60, round(weekly(minute)))
    forecast = profile.forecast()
    day_s = DAY_MINUTES * 60
    night, noon = (forecast.between(day_s + at, day_s + at + 3600) for at in (0, 12 * 3600))
    assert night / noon == pytest.approx(2.2 / 0.2, rel=0.5)


def test_old_weeks_fade():
    profile = TrafficProfile()
    for week, count in enumerate([100] * 3 + [200] * 6):
        for hour in range(168):
            at_s = week * WEEK_S + hour * 3600
            profile.observe(at_s, at_s + 3600, count)
    assert profile.forecast().between(0, WEEK_S) == pytest.approx(168 * 200, rel=0.08)


def test_a_dumped_profile_goes_on_exactly():
    profile = taught(1)
    stored = msgspec.msgpack.encode(profile.dump())
    again = TrafficProfile.restored(msgspec.msgpack.decode(stored, type=ProfileState))
    for one in (profile, again):
        one.observe(WEEK_S + 60, WEEK_S + 90, 12)
    assert again.dump() == profile.dump()
    assert again.forecast() == profile.forecast()


def test_nothing_seen_is_no_forecast():
    assert TrafficProfile().forecast() is None


@pytest.mark.parametrize(
    ("start_s", "end_s", "count"),
    [(0, 0, 1), (60, 0, 1), (0, 3601, 1), (math.nan, 60, 1), (0, math.nan, 1), (0, 60, -1)],
)
def test_what_is_no_interval_is_refused(start_s, end_s, count):
    with pytest.raises(ValueError, match=r"interval|count"):
        TrafficProfile().observe(start_s, end_s, count)


def test_a_torn_profile_is_refused():
    with pytest.raises(ValueError, match="minutes"):
        TrafficProfile.restored(ProfileState(b"", b"", 0.0))
