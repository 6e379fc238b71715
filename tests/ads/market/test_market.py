"""The market's promises: budgets, reproducibility, and strategies against what theory says of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.market import (
    Bidder,
    EquilibriumShade,
    LogNormal,
    Market,
    Paced,
    ShadeLearner,
    TargetReturn,
    Truthful,
    Uniform,
    delivery,
    kernel,
    outcome_curve,
    rows,
)

WORTH = LogNormal(median=1.0, sigma=0.6)
RIVALS = [Bidder(WORTH, Truthful()) for _ in range(4)]


class Constant:
    """Always the same share of the value: what strategies are compared with in hindsight."""

    def __init__(self, share):
        self.share = share

    def bids(self, values):
        return values * self.share

    def learn(self, seen):
        pass


class Listening(Truthful):
    """Keeps what it was told."""

    def __init__(self):
        self.heard = []

    def learn(self, seen):
        self.heard.append(seen)


def market(bidders, *, seed=7, **settings_):
    return Market(bidders, generator=np.random.default_rng(seed), **settings_)


def newcomer(strategy, budget=np.inf, *, seed=7, opportunities=20_000, **settings_):
    """(value, spend, wins) of one more bidder in the market of the rivals."""
    bidders = [*RIVALS, Bidder(WORTH, strategy, budget=budget)]
    result = market(bidders, seed=seed, **settings_).run(opportunities)
    return result.value[-1], result.spend[-1], result.wins[-1]


def test_the_seller_gets_what_the_bidders_spend():
    result = market(RIVALS, slots=[1.0, 0.6], rule="vcg", reserve=0.5).run(3_000)
    assert result.revenue == pytest.approx(result.revenues.sum())
    assert result.wins.sum() == np.count_nonzero(result.prices)
    assert result.utility == pytest.approx(result.value - result.spend)
    assert np.all(result.utility > 0)


def test_a_seed_repeats_and_batches_do_not_matter_to_those_who_do_not_learn():
    one, two = (market(RIVALS, batch=batch).run(2_500) for batch in (100, 1024))
    assert np.array_equal(one.prices, two.prices)
    assert not np.array_equal(one.prices, market(RIVALS, seed=8).run(2_500).prices)


@settings(max_examples=30)
@given(
    budgets=st.lists(st.floats(0, 60), min_size=2, max_size=5),
    rule=st.sampled_from(["gsp", "first", "vcg"]),
)
def test_nobody_spends_more_than_its_budget(budgets, rule):
    bidders = [Bidder(WORTH, Truthful(), budget=budget) for budget in budgets]
    result = market(bidders, rule=rule, slots=[1.0, 0.5]).run(200)
    assert np.all(result.spend <= np.array(budgets) * (1 + 1e-12))


def test_a_budget_is_used_up_where_there_is_enough_to_buy():
    bidders = [*RIVALS, Bidder(WORTH, Truthful(), budget=50.0)]
    spent = market(bidders).run(2_000).spend[-1]
    assert 49.0 < spent <= 50.0


def test_every_run_is_a_new_day_with_full_budgets():
    day = market([*RIVALS, Bidder(WORTH, Truthful(), budget=50.0)])
    assert day.run(2_000).spend[-1] == pytest.approx(day.run(2_000).spend[-1], abs=1.0)


def test_without_numba_a_market_gives_the_same_result(monkeypatch):
    def day():
        bidders = [*RIVALS, Bidder(WORTH, Paced(), budget=40.0)]
        return market(bidders, slots=2, batch=128).run(2_000)

    compiled = day()
    monkeypatch.setattr(kernel, "chosen_loop", lambda: rows.clear)
    twin = day()
    assert np.array_equal(compiled.prices, twin.prices)
    assert np.array_equal(compiled.spend, twin.spend)


def test_a_curve_over_entry_prices_is_what_a_newcomer_gets():
    # The newcomer draws from a stream of its own, so the rivals' bids are the same without it.
    entry = market(RIVALS, reserve=0.8).run(5_000).entry_prices(quality=1.25)
    rate, price = outcome_curve([0.5, 1.5, 2.5], entry)
    for column, bid in enumerate([0.5, 1.5, 2.5]):
        worth_that = Uniform(bid, np.nextafter(bid, np.inf))
        bidders = [*RIVALS, Bidder(worth_that, Truthful(), quality=1.25)]
        result = market(bidders, reserve=0.8).run(5_000)
        assert result.wins[-1] == round(rate[column] * 5_000)
        assert result.spend[-1] == pytest.approx(rate[column] * price[column] * 5_000)


def test_bidders_are_told_what_they_had_to_beat():
    listening = Listening()
    bidders = [*RIVALS, Bidder(WORTH, listening, quality=0.8)]
    market(bidders, slots=[1.0, 0.5], reserve=0.3, batch=500).run(1_200)
    assert [seen.opportunities_left for seen in listening.heard] == [700, 200, 0]
    for seen in listening.heard:
        assert np.array_equal(seen.clicks > 0, seen.bids > seen.to_beat)
        assert np.all(seen.paid <= seen.clicks * seen.bids)
        assert seen.budget_left == np.inf


def test_the_uniform_equilibrium_is_the_textbooks():
    # n bidders on [0, 1], reserve r: b(v) = v (n-1)/n + r^n / (n v^(n-1)).
    values = np.linspace(0.01, 1.0, 50)
    n, r = 4, 0.3
    free = EquilibriumShade(Uniform(0.0, 1.0), bidders=n).bids(values)
    assert free == pytest.approx(values * 0.75, abs=1e-5)
    above = values[values >= r]
    held = EquilibriumShade(Uniform(0.0, 1.0), bidders=n, reserve=r).bids(above)
    assert held == pytest.approx(above * 0.75 + r**n / (n * above ** (n - 1)), abs=1e-5)


def test_the_log_normal_equilibrium_is_the_expected_best_rival_below_the_value():
    best_rival = np.random.default_rng(3).lognormal(0.0, 0.6, (400_000, 2)).max(axis=1)
    for value in (0.7, 1.0, 2.5):
        bid = EquilibriumShade(WORTH, bidders=3).bids(np.array([value]))[0]
        assert bid == pytest.approx(best_rival[best_rival < value].mean(), rel=0.01)


def test_a_learner_among_equilibrium_bidders_finds_the_equilibrium():
    # The best answer to n - 1 equilibrium bidders is the equilibrium: 3/4 of the value for n = 4.
    shade = EquilibriumShade(Uniform(0.0, 1.0), bidders=4)
    learner = ShadeLearner()
    bidders = [Bidder(Uniform(0.0, 1.0), strategy) for strategy in (shade, shade, shade, learner)]
    market(bidders, rule="first").run(60_000)
    assert learner.share == pytest.approx(0.75, abs=0.03)


def test_pacing_spends_the_budget_as_well_as_the_best_constant_in_hindsight():
    budget = 800.0  # an unpaced bidder could spend several times that
    assert newcomer(Truthful())[1] > 3 * budget
    value, spend, _ = newcomer(Paced(), budget, batch=100)
    best = max(newcomer(Constant(share), budget)[0] for share in np.linspace(0.3, 1.0, 29))
    assert spend > 0.99 * budget
    assert value > 0.97 * best
    assert value > 1.05 * newcomer(Truthful(), budget)[0]


def test_pacing_without_a_budget_bids_the_value():
    assert newcomer(Paced(), opportunities=2_000) == newcomer(Truthful(), opportunities=2_000)


def test_a_paced_bidder_gets_what_was_foretold():
    # A fixed value, so that the prices alone decide what it wins.
    entry = market(RIVALS).run(40_000).entry_prices()
    told = delivery(2.0, 2_000.0, 40_000, entry)
    always_two = Uniform(2.0, np.nextafter(2.0, 3.0))
    bidders = [*RIVALS, Bidder(always_two, Paced(), budget=2_000.0)]
    result = market(bidders, batch=100).run(40_000)
    assert told.spend == 2_000.0
    assert told.bid < 2.0
    assert result.spend[-1] == pytest.approx(told.spend, rel=0.01)
    assert result.wins[-1] == pytest.approx(told.wins, rel=0.05)


def test_a_target_return_is_kept_and_used():
    ratio = 1.6
    value, spend, _ = newcomer(TargetReturn(ratio), batch=100)
    assert value / spend > 0.99 * ratio
    assert value > 1.2 * newcomer(Constant(1 / ratio))[0]
    kept = [
        won
        for won, paid, _ in (newcomer(Constant(share)) for share in np.linspace(0.6, 2.0, 29))
        if won >= ratio * paid
    ]
    assert value > 0.97 * max(kept)


def test_a_target_return_that_the_market_does_not_offer_is_not_broken():
    value, spend, wins = newcomer(TargetReturn(50.0), opportunities=5_000)
    assert wins == 0 or value >= 50.0 * spend


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: market([]), "wants bidders"),
        (lambda: market(RIVALS, batch=0), "at least one auction"),
        (lambda: market(RIVALS, rule="third"), "rule must be one of"),
        (lambda: market(RIVALS, reserve=np.nan), "reserve must be numbers"),
        (lambda: market([Bidder(WORTH, Truthful(), budget=-1.0)]), "a budget must be"),
        (lambda: market([Bidder(WORTH, Truthful(), budget=np.nan)]), "a budget must be"),
        (lambda: market([Bidder(WORTH, Truthful(), quality=np.nan)]), "a quality must be"),
        (lambda: market([Bidder(WORTH, Truthful(), quality=0.0)]), "a quality must be"),
        (lambda: market([Bidder(WORTH, Truthful(), quality=np.inf)]), "quality must be numbers"),
        (lambda: market(RIVALS).run(1).entry_prices(0.0), "a quality must be"),
        (lambda: market(RIVALS, slots=2, rule="second"), "'second' sells one slot"),
        (lambda: market(RIVALS).run(0), "opportunities"),
        (lambda: market(RIVALS).run(10**9), "opportunities"),
        (lambda: market([Bidder(WORTH, Constant(np.nan))]).run(1), "a strategy bid something"),
        (lambda: market([Bidder(WORTH, Constant(-1.0))]).run(1), "a strategy bid something"),
        (lambda: Uniform(2.0, 1.0), "low < high"),
        (lambda: LogNormal(-1.0, 1.0), "positive numbers"),
        (lambda: LogNormal(1.0, np.nan), "positive numbers"),
        (lambda: EquilibriumShade(WORTH, bidders=1), "at least 2"),
        (lambda: TargetReturn(0.0), "positive number"),
    ],
)
def test_bad_input_is_refused_with_what_is_wrong(build, told):
    with pytest.raises(ValueError, match=told):
        build()
