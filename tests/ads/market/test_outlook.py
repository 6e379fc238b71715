"""Win rates, prices and budgets against brute force over the same prices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.market import Delivery, delivery, outcome_curve

prices_ = st.lists(st.integers(0, 20).map(lambda price: price / 4), min_size=1, max_size=12)
bids_ = st.integers(0, 24).map(lambda bid: bid / 4)


@given(grid=st.lists(bids_, min_size=1, max_size=5), prices=prices_)
def test_a_curve_counts_and_averages_what_each_bid_wins(grid, prices):
    rate, price = outcome_curve(grid, prices)
    for column, bid in enumerate(grid):
        won = [one for one in prices if bid > 0 and one <= bid]
        assert rate[column] == len(won) / len(prices)
        assert price[column] == pytest.approx(sum(won) / len(won) if won else 0.0)


@given(bid=bids_, budget=st.integers(0, 200).map(float), prices=prices_)
def test_a_budget_buys_the_cheapest_first(bid, budget, prices):
    each = 3
    wins, spend, left = 0.0, 0.0, budget
    for price in sorted(prices):
        if bid > 0 and price <= bid and left >= 0:
            part = min(each, left / price) if price else each
            wins, spend, left = wins + part, spend + part * price, left - part * price
    told = delivery(bid, budget, each * len(prices), prices)
    assert told.wins == pytest.approx(wins)
    assert told.spend == pytest.approx(spend)
    assert told.spend <= budget
    assert told.bid <= bid


@given(bid=bids_, budget=st.integers(1, 200).map(float), prices=prices_)
def test_the_paced_bid_is_the_one_that_spends_the_budget(bid, budget, prices):
    each = 3
    told = delivery(bid, budget, each * len(prices), prices)
    rate, price = outcome_curve([told.bid], prices)
    everything = rate[0] * price[0] * each * len(prices)
    assert everything >= told.spend * (1 - 1e-12)
    if told.bid < bid:
        higher = outcome_curve([bid], prices)
        assert higher.win_rate[0] * higher.mean_price[0] * each * len(prices) > budget


def test_no_budget_and_no_bid_win_nothing():
    assert delivery(1.0, 0.0, 10, [0.5]) == Delivery(bid=0.0, wins=0.0, spend=0.0)
    assert delivery(0.0, 5.0, 10, [0.0]) == Delivery(bid=0.0, wins=0.0, spend=0.0)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: outcome_curve([1.0], []), "a row of prices"),
        (lambda: outcome_curve([1.0], [[1.0]]), "a row of prices"),
        (lambda: outcome_curve([np.nan], [1.0]), "bids_grid must be numbers"),
        (lambda: outcome_curve([1.0], [np.nan]), "competing_prices must be numbers"),
        (lambda: delivery(1.0, -1.0, 5, [1.0]), "bid, budget and opportunities must be numbers"),
    ],
)
def test_bad_input_is_refused_with_what_is_wrong(call, told):
    with pytest.raises(ValueError, match=told):
        call()
