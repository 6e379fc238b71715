from math import comb, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.traffic.activity import Recent, Tally
from ringwork.ads.traffic.rules import is_click_outlier, is_too_soon


def tail(clicks: int, impressions: int, rate: float) -> float:
    """P(X >= clicks) of a binomial, summed."""
    return sum(
        comb(impressions, k) * rate**k * (1 - rate) ** (impressions - k)
        for k in range(clicks, impressions + 1)
    )


@pytest.mark.parametrize(
    ("clicks", "impressions", "is_outlier"),
    [
        (0, 0, False),
        (5, 5, False),  # .1^5 = 1e-5
        (7, 7, True),  # .1^7 = 1e-7
        (10, 100, False),  # what one expects
        (25, 100, False),
        (40, 100, True),
        (300, 1000, True),
    ],
)
def test_click_rates_of_chance_are_no_outliers(clicks: int, impressions: int, is_outlier: bool):
    assert is_click_outlier(clicks, impressions, 0.1) is is_outlier


@given(st.integers(0, 120), st.integers(0, 120), st.floats(0.01, 0.9))
def test_an_outlier_has_exactly_a_chance_below_one_in_a_million(
    clicks: int, impressions: int, rate: float
):
    tries = max(clicks, impressions)
    if is_click_outlier(clicks, impressions, rate):
        chance = tail(clicks, tries, rate)
        assert chance < 1e-6 or isclose(chance, 1e-6, rel_tol=1e-6)


@given(st.integers(1, 200), st.floats(0.01, 0.9))
def test_more_clicks_never_look_more_honest(impressions: int, rate: float):
    verdicts = [is_click_outlier(clicks, impressions, rate) for clicks in range(impressions + 1)]
    assert verdicts == sorted(verdicts)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_rate_of_nothing_or_everything_turns_the_rule_off(rate: float):
    assert not is_click_outlier(100, 100, rate)


def test_too_soon_is_before_the_bound_and_not_before_the_sale():
    assert [is_too_soon(since, 5) for since in (-1, 0, 4, 5)] == [False, True, True, False]
    assert not is_too_soon(0, 0)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=80))
def test_a_tally_lies_between_its_bucket_and_the_last_two(gaps: list[int]):
    tally, times, at_ms = Tally(), [], 10_000_000
    for gap in gaps:
        at_ms += gap
        times.append(at_ms)
        counted = tally.add(at_ms, 10_000)
        bucket = at_ms // 10_000
        in_this = sum(one // 10_000 == bucket for one in times)
        in_both = sum(one // 10_000 >= bucket - 1 for one in times)
        assert in_this <= counted <= in_both


def test_a_tally_begins_anew_where_time_went_back():
    tally = Tally()
    for _ in range(5):
        tally.add(100_000, 1000)
    assert tally.add(50_000, 1000) == 1


@given(st.lists(st.integers(0, 9)), st.integers(1, 5))
def test_recent_keeps_those_touched_last(keys: list[int], limit: int):
    recent: Recent[int, int] = Recent(limit)
    order: list[int] = []
    for key in keys:
        if recent.get(key) is None:
            recent.put(key, key)
        order = [one for one in order if one != key] + [key]
        order = order[-limit:]
        assert len(recent) == len(order)
    assert {key for key in range(10) if recent.get(key) is not None} == set(order)
