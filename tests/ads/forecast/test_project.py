"""Forecast arithmetic: by hand, by brute force, and back-tested for the rate of its interval."""

import numpy as np
import pytest

from ringwork.ads.forecast import Block, History, PlannedCampaign, project
from tests.ads.house import euros

DAY_US = 86_400_000_000
MONDAY_US = 4 * DAY_US
CPM = 10**9


def plan(days=7, **members):
    new = {
        "pricing": "cpm", "bid_nanos": 3_000_000, "budget": euros(10**15), "starts_us": MONDAY_US,
        "ends_us": MONDAY_US + int(days * DAY_US), "formats": ["banner"], **members,
    }  # fmt: skip
    return PlannedCampaign(**new)


def seen(*days, shown_ppm=1_000_000, tails=None):
    """A history of days, each a list of prices to beat."""
    blocks = [
        Block(n % 7, len(prices), len(prices), np.array(prices, float))
        for n, prices in enumerate(days)
    ]
    return History(
        days=blocks, tails=tails or blocks, placements=1, shown_ppm=shown_ppm, pays_bid_ppm=0,
        sizes_unknown_ppm=0,
    )  # fmt: skip


STEADY = seen(*[[1_000_000, 2_000_000, 4_000_000, 8_000_000]] * 10)


# ---- by hand ------------------------------------------------------------------------------------


def test_days_that_are_all_alike_leave_no_doubt():
    found = project(plan(days=5), STEADY, p_ppb=CPM)
    assert (found.opportunities.low, found.opportunities.expected, found.opportunities.high) == (
        20, 20, 20,
    )  # fmt: skip
    assert (found.impressions.low, found.impressions.expected) == (10, 10)
    assert found.spend_nanos.expected == 5 * 3_000_000
    assert (found.win_rate_ppm, found.limited_by) == (500_000, "bid")


def test_a_budget_lowers_the_bid_and_buys_the_cheapest():
    found = project(plan(days=5, budget=euros(5_000_000)), STEADY, p_ppb=CPM)
    assert (found.impressions.expected, found.spend_nanos.expected) == (5, 5_000_000)
    assert (found.paced_bid_nanos, found.limited_by) == (1_000_000, "budget")


def test_spent_at_once_a_budget_buys_at_the_mean_price():
    found = project(plan(days=5, budget=euros(3_000_000), pacing="asap"), STEADY, p_ppb=CPM)
    assert (found.impressions.expected, found.spend_nanos.expected) == (2, 3_000_000)


def test_what_is_not_shown_costs_nothing():
    half = seen(*[[1_000_000, 2_000_000]] * 4, shown_ppm=500_000)
    found = project(plan(days=2), half, p_ppb=CPM)
    assert (found.opportunities.expected, found.impressions.expected) == (4, 2)


def test_a_click_is_worth_its_chance():
    found = project(plan(days=5, pricing="cpc", bid_nanos=300_000_000), STEADY, p_ppb=CPM // 100)
    assert found.impressions.expected == 10


def test_a_sponsor_has_its_share_at_its_bid_and_a_promise_ends_at_its_goal():
    free = seen(*[[0, 0, 0, 0]] * 10)
    sponsor = project(plan(days=5, priority="sponsorship", share_ppm=250_000), free, p_ppb=CPM)
    assert (sponsor.impressions.expected, sponsor.limited_by) == (5, "share")
    assert sponsor.spend_nanos.expected == 5 * 3_000_000
    promised = project(plan(days=5, priority="guaranteed", goal_impressions=12), free, p_ppb=CPM)
    assert (promised.impressions.high, promised.limited_by) == (12, "goal")


def test_a_house_ad_is_free():
    free = seen(*[[0, 1e18]] * 10)
    found = project(plan(days=4, priority="house", bid_nanos=1), free, p_ppb=CPM)
    assert (found.impressions.expected, found.spend_nanos.expected) == (4, 0)


def test_a_part_of_a_day_counts_as_that_part():
    whole = [[1_000_000] * 4] * 10
    mornings = [Block(n % 7, 1, 1, np.array([1_000_000.0])) for n in range(10)]
    found = project(plan(days=2.25), seen(*whole, tails=mornings), p_ppb=CPM)
    assert found.opportunities.expected == 9


def test_weekdays_are_drawn_from_their_own_after_four_weeks():
    weeks = seen(*[[1_000_000] * (8 if n % 7 == 0 else 1) for n in range(28)])
    found = project(plan(days=1), weeks, p_ppb=CPM)
    assert (found.opportunities.low, found.opportunities.high) == (8, 8), "a Monday is a Monday"


def test_the_curve_never_falls():
    rng = np.random.default_rng(1)
    found = project(plan(), seen(*(rng.exponential(3e6, 50) for _ in range(14))), p_ppb=CPM)
    for member in ("win_rate_ppm", "impressions", "spend_nanos"):
        values = [getattr(point, member) for point in found.curve]
        assert values == sorted(values)
        assert values[-1] > values[0]


def test_nothing_that_matches_is_nothing_to_win():
    found = project(plan(), seen(*[[]] * 7), p_ppb=CPM)
    assert (found.impressions.high, found.spend_nanos.high, found.win_rate_ppm) == (0, 0, 0)
    assert found.limited_by == "supply"


def test_too_short_a_history_is_refused():
    with pytest.raises(ValueError, match="at least 3 whole days"):
        project(plan(), seen([1.0], [1.0]), p_ppb=CPM)


# ---- back-test ----------------------------------------------------------------------------------


def world(rng, days):
    """Days that differ: traffic by a third, price level by a fifth; prices within a day too."""
    traffic = rng.gamma(9.0, 60 / 9.0, days)
    levels = rng.lognormal(0.0, 0.2, days)
    return [
        level * rng.lognormal(np.log(2_500_000), 0.6, rng.poisson(mean))
        for mean, level in zip(traffic, levels, strict=True)
    ]


@pytest.mark.parametrize(
    ("history_days", "days", "budget"),
    [(8, 3, 10**15), (28, 14, 10**15), (14, 7, 300_000_000)],
)
def test_the_interval_holds_the_truth_as_often_as_it_says(history_days, days, budget):
    """80 % of 100 worlds, give or take three standard errors (4 % each)."""
    rng = np.random.default_rng(history_days * 100 + days)
    planned = plan(days=days, budget=euros(budget), level_ppm=800_000)
    hits = {"impressions": 0, "spend_nanos": 0}
    worlds = 100
    for _ in range(worlds):
        found = project(planned, seen(*world(rng, history_days)), p_ppb=CPM)
        prices = np.sort(np.concatenate(world(rng, days)))
        won = prices[prices <= planned.bid_nanos]
        won = won[np.cumsum(won) <= budget]
        truth = {"impressions": len(won), "spend_nanos": won.sum()}
        for name in hits:
            estimate = getattr(found, name)
            hits[name] += estimate.low <= truth[name] <= estimate.high
    assert 0.68 <= hits["impressions"] / worlds <= 0.92
    # A budget that is always spent leaves nothing to miss.
    assert 0.68 <= hits["spend_nanos"] / worlds <= (0.92 if budget == 10**15 else 1.0)
