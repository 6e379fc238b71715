"""The multiplier pacer against markets whose answer is known by algebra."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.pacing import DualPacer, Forecast, State

DAY_S = 86_400
HOUR_S = 3_600


def run(pacer, cost, *, until_s, step_s=60, from_s=0, opportunities=100):
    """Buy at ``cost(multiplier)`` nanos an opportunity; the nanos spent."""
    spent = 0
    for now_s in range(from_s, until_s, step_s):
        nanos = round(opportunities * cost(pacer.multiplier(now_s) / 1e6))
        spent += nanos
        pacer.observe(now_s + step_s, nanos, opportunities)
    return spent


def flat(per_minute):
    return Forecast.of_minutes([per_minute])


def test_the_multiplier_is_the_one_that_spends_the_budget_evenly():
    # A full bid costs 1,000 nanos an opportunity, a share m of it m**2 of that: uniform prices.
    # 144,000 opportunities for 36,000,000 nanos are 250 each, so m is the root of 0.25.
    pacer = DualPacer(36_000_000, 0, DAY_S, flat(100.0))
    run(pacer, lambda m: 1_000 * m**2, until_s=2 * HOUR_S)
    assert pacer.multiplier(2 * HOUR_S) == pytest.approx(500_000, rel=0.005)


@given(
    power=st.floats(1.0, 4.0),
    share=st.floats(0.02, 0.9),
    opportunities=st.integers(1, 1_000_000),
    full=st.integers(10_000, 10**8),
)
@settings(max_examples=30, deadline=None)
def test_any_power_of_the_bid_is_learned_from_any_traffic(power, share, opportunities, full):
    budget = round(share * full * opportunities * 1440)
    pacer = DualPacer(budget, 0, DAY_S, flat(float(opportunities)))
    spent = run(pacer, lambda m: full * m**power, until_s=DAY_S, opportunities=opportunities)
    assert spent == pytest.approx(budget, rel=0.005)
    wanted = share ** (1 / power) * 1e6
    again = DualPacer(budget, 0, DAY_S, flat(float(opportunities)))
    run(again, lambda m: full * m**power, until_s=6 * HOUR_S, opportunities=opportunities)
    assert again.multiplier(6 * HOUR_S) == pytest.approx(wanted, rel=0.02)


@given(
    budget=st.integers(0, 2**63 - 1),
    length_s=st.integers(1, 10**8),
    seen=st.lists(
        st.tuples(st.integers(0, 10**5), st.integers(-(10**12), 2**62), st.integers(0, 10**12)),
        max_size=30,
    ),
)
@settings(deadline=None)
def test_never_more_than_the_bid_never_less_than_nothing(budget, length_s, seen):
    pacer = DualPacer(budget, 1_000, 1_000 + length_s)
    now_s, spent = 1_000, 0
    for after_s, nanos, opportunities in seen:
        now_s += after_s
        spent += nanos
        pacer.observe(now_s, nanos, opportunities)
        multiplier = pacer.multiplier(now_s)
        assert 0 <= multiplier <= 1_000_000
        assert (multiplier == 0) == (spent >= budget or now_s >= 1_000 + length_s)


@given(
    seen=st.lists(
        st.tuples(st.integers(0, 7_200), st.integers(0, 10**10), st.integers(0, 10**7)),
        min_size=1,
        max_size=60,
    ),
    cut=st.integers(0, 60),
    has_forecast=st.booleans(),
)
@settings(deadline=None)
def test_a_stored_state_goes_on_as_if_nothing_had_happened(seen, cut, has_forecast):
    forecast = flat(30.0) if has_forecast else None
    whole = DualPacer(10**12, 0, 30 * DAY_S, forecast)
    parts = DualPacer(10**12, 0, 30 * DAY_S, forecast)
    now_s = 0
    for number, (after_s, nanos, opportunities) in enumerate(seen):
        if number == cut:
            stored = msgspec.msgpack.encode(parts.state)
            parts = DualPacer.restored(msgspec.msgpack.decode(stored, type=State), forecast)
        now_s += after_s
        for pacer in (whole, parts):
            pacer.observe(now_s, nanos, opportunities)
    assert msgspec.msgpack.encode(parts.state) == msgspec.msgpack.encode(whole.state)
    assert parts.multiplier(now_s) == whole.multiplier(now_s)


def test_the_state_does_not_grow_with_the_campaign():
    pacer = DualPacer(10**12, 0, 400 * DAY_S)
    run(pacer, lambda m: 100 * m, until_s=2 * DAY_S, step_s=600)
    size = len(msgspec.msgpack.encode(pacer.state))
    run(pacer, lambda m: 100 * m, from_s=2 * DAY_S, until_s=30 * DAY_S, step_s=600)
    assert len(msgspec.msgpack.encode(pacer.state)) <= size + 16 < 1_024


def test_it_bids_only_between_start_and_end_and_while_there_is_a_budget():
    pacer = DualPacer(1_000, 100, 200)
    assert [pacer.multiplier(now_s) for now_s in (99, 100, 199, 200)] == [0, 100_000, 100_000, 0]
    pacer.observe(110, 1_000, 5)
    assert pacer.multiplier(110) == 0
    pacer.observe(120, -400, 0)  # a hold expired
    assert pacer.multiplier(120) > 0
    assert DualPacer(0, 0, DAY_S).multiplier(10) == 0


def test_a_budget_that_doubles_is_spent_and_one_cut_below_the_spend_stops():
    pacer = DualPacer(36_000_000, 0, DAY_S, flat(100.0))
    cost = lambda m: 1_000 * m**2  # noqa: E731
    spent = run(pacer, cost, until_s=DAY_S // 2)
    assert spent == pytest.approx(18_000_000, rel=0.01)
    pacer.change(DAY_S // 2, budget_nanos=72_000_000)
    more = run(pacer, cost, from_s=DAY_S // 2, until_s=18 * HOUR_S)
    # 54,000,000 for the 72,000 that are left: 750 each.
    assert pacer.multiplier(18 * HOUR_S) == pytest.approx(math.sqrt(0.75) * 1e6, rel=0.01)
    pacer.change(18 * HOUR_S, budget_nanos=spent + more)
    assert pacer.multiplier(18 * HOUR_S) == 0


def test_an_end_that_moves_spreads_what_is_left():
    pacer = DualPacer(36_000_000, 0, DAY_S, flat(100.0))
    cost = lambda m: 1_000 * m**2  # noqa: E731
    run(pacer, cost, until_s=DAY_S // 2)
    pacer.change(DAY_S // 2, end_s=DAY_S + DAY_S // 2)
    run(pacer, cost, from_s=DAY_S // 2, until_s=DAY_S // 2 + HOUR_S)
    # 18,000,000 for 144,000: 125 each.
    wanted = math.sqrt(0.125) * 1e6
    assert pacer.multiplier(DAY_S // 2 + HOUR_S) == pytest.approx(wanted, rel=0.01)
    assert pacer.multiplier(DAY_S) > 0


def test_a_budget_that_comes_after_the_start_is_learned_from_anew():
    late, fresh = DualPacer(0, 0, DAY_S), DualPacer(36_000_000, 0, DAY_S)
    late.change(0, budget_nanos=36_000_000)
    for pacer in (late, fresh):
        run(pacer, lambda m: 1_000 * m**2, until_s=HOUR_S)
    assert late.multiplier(HOUR_S) == pytest.approx(fresh.multiplier(HOUR_S), rel=0.01)


@pytest.mark.parametrize("factor", [0.05, 20.0])
def test_a_forecast_in_another_scale_still_spends_the_budget(factor):
    pacer = DualPacer(36_000_000, 0, DAY_S, flat(100.0 * factor))
    spent = run(pacer, lambda m: 1_000 * m**2, until_s=DAY_S)
    assert spent == pytest.approx(36_000_000, rel=0.01)


@pytest.mark.parametrize("step_s", [1, 5, 60, 300])
def test_it_is_steady_at_any_interval_when_charges_differ_widely(step_s):
    # Prices are uniform up to 2,000 and m bids 1,400 m: it wins 0.7 m at 700 m on average, which
    # is 490 m**2 an opportunity, and 245 is what there is for each. A charge can be 1 nano.
    generator = np.random.default_rng(4)
    budget, until_s = 245 * 86_400, 6 * HOUR_S
    pacer = DualPacer(budget, 0, DAY_S, flat(60.0))
    multipliers, spent = [], 0
    for now_s in range(0, until_s, step_s):
        multiplier = pacer.multiplier(now_s)
        prices = generator.integers(1, 2_000, step_s)
        nanos = int(prices[prices <= 1_400 * multiplier // 1_000_000].sum())
        pacer.observe(now_s + step_s, nanos, step_s)
        spent += nanos
        if now_s > 2 * HOUR_S:
            multipliers.append(multiplier / 1e6)
    assert spent == pytest.approx(budget / 4, rel=0.03)
    assert np.mean(multipliers) == pytest.approx(math.sqrt(0.5), rel=0.02)
    assert np.std(multipliers) < 0.03


def test_closed_hours_are_not_waited_for():
    minutes = [100.0] * 1440
    open_until_noon = Forecast.of_minutes(minutes).only([True] * 720 + [False] * 720)
    pacer = DualPacer(36_000_000, 0, DAY_S, open_until_noon)
    spent = run(pacer, lambda m: 1_000 * m**2, until_s=DAY_S // 2)
    assert spent == pytest.approx(36_000_000, rel=0.005)


def test_a_clock_that_goes_back_stands_still():
    pacer, steady = DualPacer(10**9, 0, DAY_S), DualPacer(10**9, 0, DAY_S)
    for one, times in ((pacer, (600, 300, 900)), (steady, (600, 600, 900))):
        for now_s in times:
            one.observe(now_s, 1_000, 10)
    assert pacer.state == steady.state


@pytest.mark.parametrize(
    ("budget_nanos", "start_s", "end_s"),
    [
        (-1, 0, 60),
        (2**63, 0, 60),
        (1.5, 0, 60),
        (1, 60, 60),
        (1, 60, 0),
        (1, math.nan, 60),
        (1, 0, math.inf),
    ],
)
def test_what_is_no_campaign_is_refused(budget_nanos, start_s, end_s):
    with pytest.raises(ValueError, match=r"budget|end"):
        DualPacer(budget_nanos, start_s, end_s)


@pytest.mark.parametrize("start_ppm", [0, 1_000_001, 0.5])
def test_what_is_no_multiplier_is_refused(start_ppm):
    with pytest.raises(ValueError, match="multiplier"):
        DualPacer(1, 0, 60, start_ppm=start_ppm)


@pytest.mark.parametrize(
    ("now_s", "spent_nanos", "opportunities"),
    [(math.nan, 0, 0), (math.inf, 0, 0), (1, 0.5, 0), (1, 2**63, 0), (1, 0, -1), (1, 0, 10**16)],
)
def test_a_refused_observation_changes_nothing(now_s, spent_nanos, opportunities):
    pacer = DualPacer(1_000, 0, 60)
    before = pacer.state
    with pytest.raises(ValueError, match=r"time|spend|opportunities"):
        pacer.observe(now_s, spent_nanos, opportunities)
    with pytest.raises(ValueError, match="end"):
        pacer.change(1, end_s=-5)
    assert pacer.state == before


def test_a_state_is_not_continued_under_another_kind_of_forecast():
    state = DualPacer(1_000, 0, 60).state
    with pytest.raises(ValueError, match="forecast"):
        DualPacer.restored(state, flat(1.0))
