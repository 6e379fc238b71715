"""The profile from the log: what came is expected again, replay and snapshot give the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.events import AuctionCleared
from ringwork.ads.model import Context
from ringwork.ads.pacing.known_traffic import KnownTraffic
from ringwork.kernel.events import Recorded

DAY_S = 86_400
MONDAY_S = 20_419 * DAY_S
CLEARED = AuctionCleared("native", "EUR", Context(), [], {})


def hear(known: KnownTraffic, ts_s: float) -> None:
    known.apply(Recorded(0, 1, b"", int(ts_s * 1e6), b"", None, "main", None, None, CLEARED))


def week(known: KnownTraffic, days: int = 7) -> None:
    """One request a minute at night, four from 12 to 24."""
    for minute in range(days * 1_440):
        for _ in range(4 if minute % 1_440 >= 720 else 1):
            hear(known, MONDAY_S + minute * 60)
    hear(known, MONDAY_S + days * DAY_S)


def test_what_came_is_expected_again():
    known = KnownTraffic()
    week(known)
    forecast = known.forecast()
    assert forecast is not None
    begin_s = MONDAY_S + 14 * DAY_S
    night = forecast.between(begin_s + 2 * 3600, begin_s + 6 * 3600)
    day = forecast.between(begin_s + 14 * 3600, begin_s + 18 * 3600)
    assert night == pytest.approx(240, rel=0.01)
    assert day == pytest.approx(960, rel=0.01)


def test_before_a_day_was_seen_nothing_is_expected():
    known = KnownTraffic()
    assert known.forecast() is None
    for minute in range(1_440):
        hear(known, MONDAY_S + minute * 60)
    assert known.forecast() is None
    hear(known, MONDAY_S + DAY_S)
    assert known.forecast() is not None


def test_a_server_that_was_down_says_nothing_of_traffic():
    """A quiet half-hour counts, six hours do not: the mean stays that of the minutes seen."""
    known = KnownTraffic()
    week(known, days=1)
    hear(known, MONDAY_S + DAY_S + 6 * 3600)
    week_after_s = MONDAY_S + 7 * DAY_S
    expected = known.forecast().between(week_after_s, week_after_s + DAY_S)
    assert expected == pytest.approx(720 + 4 * 720, rel=0.02)


def test_a_clock_that_is_set_back_loses_no_request():
    known, steady = KnownTraffic(), KnownTraffic()
    for now_s in (0, 60, 30, 61, 120):
        hear(known, MONDAY_S + now_s)
    for now_s in (0, 60, 60, 61, 120):
        hear(steady, MONDAY_S + now_s)
    assert known.dump() == steady.dump()


@given(st.lists(st.integers(0, 3 * DAY_S), max_size=60), st.integers(0, 60))
def test_a_snapshot_at_any_point_changes_nothing(times, at):
    whole, first = KnownTraffic(), KnownTraffic()
    times.sort()
    for time_s in times[:at]:
        hear(first, MONDAY_S + time_s)
    second = KnownTraffic()
    second.load(first.dump())
    for time_s in times[at:]:
        hear(second, MONDAY_S + time_s)
    for time_s in times:
        hear(whole, MONDAY_S + time_s)
    assert second.dump() == whole.dump()
