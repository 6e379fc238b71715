"""What a campaign can deliver, by hand and against played days."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.ads.pacing_worlds import BID_NANOS, draw, play, worlds
from ringwork.ads.pacing import DAY_MINUTES, DualPacer, Forecast, assess, log_normal_prices

DAY_S = DAY_MINUTES * 60
FLAT = Forecast.of_minutes([1.0])  # 1,440 a day


def reasons(answer):
    return {reason.limit for reason in answer.reasons}


def test_a_budget_buys_the_cheapest_first():
    # Of 1,440 opportunities a quarter each costs 1, 2, 4 and 8: at a bid of 5 three quarters are
    # for sale for 360 * 7 = 2,520. A budget of 1,080 buys the first two quarters, at a bid of 2.
    answer = assess(1_080, 0, DAY_S, FLAT, bid_nanos=5, prices_nanos=[1, 2, 4, 8])
    assert (answer.spend_nanos, answer.impressions) == (1_080, 720.0)
    assert answer.start_ppm == 400_000
    assert answer.spends_budget
    assert reasons(answer) == {"budget", "few-prices"}
    assert answer.spend_low_nanos <= 1_080 == answer.spend_high_nanos


def test_too_little_traffic_is_the_reason_where_it_is():
    answer = assess(10_000, 0, DAY_S, FLAT, bid_nanos=5, prices_nanos=[1, 2, 4, 8])
    assert (answer.spend_nanos, answer.impressions) == (2_520, 1_080.0)
    assert answer.start_ppm == 1_000_000
    assert not answer.spends_budget
    assert reasons(answer) == {"opportunities", "few-prices"}
    assert answer.spend_low_nanos < 2_520 < answer.spend_high_nanos


def test_a_bid_below_the_prices_is_told():
    answer = assess(1_000, 0, DAY_S, FLAT, bid_nanos=1, prices_nanos=[10.0] * 200)
    assert answer.spend_nanos == 0
    assert "bid-too-low" in reasons(answer)


def test_a_few_impressions_are_luck():
    answer = assess(3_000, 0, DAY_S, FLAT, bid_nanos=1_000, prices_nanos=[1_000.0] * 200)
    assert answer.impressions == pytest.approx(3.0)
    assert "chance" in reasons(answer)


def test_without_a_forecast_nothing_is_promised():
    answer = assess(1_000, 0, DAY_S, None, bid_nanos=5, prices_nanos=[1, 2, 4, 8])
    assert (answer.spend_nanos, answer.impressions_low) == (0, 0.0)
    assert (answer.spend_high_nanos, answer.impressions_high) == (1_000, 1_000.0)
    assert answer.start_ppm == 100_000
    assert "no-forecast" in reasons(answer)


@given(budget=st.integers(0, 10**9), bid=st.integers(1, 10**6), error=st.floats(0.0, 1.0))
@settings(deadline=None)
def test_the_interval_holds_the_expectation(budget, bid, error):
    prices = log_normal_prices(10_000, 0.8, points=64)
    answer = assess(
        budget, 0, DAY_S, FLAT, bid_nanos=bid, prices_nanos=prices, forecast_error=error
    )
    assert answer.spend_low_nanos <= answer.spend_nanos <= answer.spend_high_nanos <= budget
    assert answer.impressions_low <= answer.impressions <= answer.impressions_high
    assert 1 <= answer.start_ppm <= 1_000_000


def test_a_played_day_falls_into_the_interval_and_begins_where_it_said():
    day = draw(worlds()["flat"], seed=1)
    # Prices in units of the worth, because the assessment knows one bid.
    prices = (day.prices / day.worth)[:2_000].tolist()
    answer = assess(
        day.budget_nanos, 0, DAY_S, day.forecast, bid_nanos=BID_NANOS, prices_nanos=prices
    )
    told = DualPacer(day.budget_nanos, 0, DAY_S, day.forecast, start_ppm=answer.start_ppm)
    plain = DualPacer(day.budget_nanos, 0, DAY_S, day.forecast)
    spend = play(day, told).spend
    # Up to a last price that is more than what is left.
    most = max(prices)
    assert answer.spend_low_nanos - most <= int(spend[-1]) <= answer.spend_high_nanos
    even = day.budget_nanos / 24 / 12
    assert abs(spend[4] - even) < abs(play(day, plain).spend[4] - even)


def test_log_normal_prices_have_their_median():
    prices = log_normal_prices(1_000, 0.5, points=501)
    assert prices[250] == pytest.approx(1_000)


@pytest.mark.parametrize(
    "wrong",
    [
        {"prices_nanos": []},
        {"prices_nanos": [float("nan")]},
        {"bid_nanos": 0},
        {"forecast_error": -1.0},
        {"forecast_error": float("nan")},
        {"end_s": 0},
        {"budget_nanos": -1},
    ],
)
def test_what_cannot_be_is_refused(wrong):
    asked = {"budget_nanos": 1, "start_s": 0, "end_s": 60, "forecast": FLAT}
    asked |= {"bid_nanos": 1, "prices_nanos": [1.0]} | wrong
    with pytest.raises(ValueError, match=r"."):
        assess(**asked)


@pytest.mark.parametrize("wrong", [(0.0, 1.0, 5), (1.0, -1.0, 5), (1.0, 1.0, 0)])
def test_what_is_no_distribution_is_refused(wrong):
    median, sigma, points = wrong
    with pytest.raises(ValueError, match="log-normal"):
        log_normal_prices(median, sigma, points=points)
