"""Whole days of the specification's worlds: money, replay and what the controllers promise."""

import msgspec
import numpy as np
import pytest

from benchmarks.ads.pacing_references import DualReference
from benchmarks.ads.pacing_worlds import (
    best_constant,
    causal_plan,
    draw,
    gap,
    ideal_curve,
    play,
    worlds,
)
from ringwork.ads.pacing import DAY_MINUTES, DualPacer, PidPacer, State

WORLDS = worlds(mean=30.0)
DAY_S = DAY_MINUTES * 60


def pacer_of(day, kind=DualPacer):
    return kind(day.budget_nanos, day.start_s, DAY_S, day.forecast)


class Interrupted:
    """A pacer that is stored and restored again and again."""

    def __init__(self, day):
        self._day = day
        self._pacer = pacer_of(day)
        self._calls = 0

    def multiplier(self, now_s):
        return self._pacer.multiplier(now_s)

    def observe(self, now_s, spent_nanos, opportunities):
        self._pacer.observe(now_s, spent_nanos, opportunities)
        self._calls += 1
        if self._calls % 97 == 0:
            stored = msgspec.msgpack.encode(self._pacer.state)
            state = msgspec.msgpack.decode(stored, type=State)
            self._pacer = DualPacer.restored(state, self._day.forecast)

    def change(self, now_s, *, budget_nanos=None):
        self._pacer.change(now_s, budget_nanos=budget_nanos)


@pytest.mark.parametrize("name", WORLDS)
def test_no_world_is_overspent_and_every_day_replays_exactly(name):
    day = draw(WORLDS[name], seed=1)
    played = play(day, pacer_of(day))
    again = play(day, Interrupted(day))
    assert int(played.spend[-1]) <= day.final_budget_nanos
    assert played.multipliers.min() >= 0
    assert played.multipliers.max() <= 1_000_000
    assert np.array_equal(played.multipliers, again.multipliers)
    assert np.array_equal(played.spend, again.spend)


@pytest.mark.parametrize("name", [name for name in WORLDS if name != "three impressions"])
def test_the_budget_is_used_where_demand_allows(name):
    day = draw(WORLDS[name], seed=3)
    _, most_nanos, _ = best_constant(day)
    played = play(day, pacer_of(day))
    assert int(played.spend[-1]) >= 0.98 * most_nanos  # some days of few sales leave one price over


@pytest.mark.parametrize("name", ["flat", "diurnal", "rising prices", "a rival enters"])
def test_spend_follows_the_ideal_curve(name):
    day = draw(WORLDS[name], seed=2)
    played = play(day, pacer_of(day))
    apart = gap(played.spend, ideal_curve(day), day.budget_nanos, from_minute=120)
    assert apart <= 0.02


@pytest.mark.parametrize(
    ("name", "over", "floor"),
    [("shock", 1080, 0.97), ("morning shock", 660, 0.97), ("outage", 780, 0.995)],
)
def test_a_shock_is_bought_and_an_outage_made_up_for(name, over, floor):
    day = draw(WORLDS[name], seed=2)
    best, _, _ = best_constant(day)
    ours, dual, pid = (
        play(day, pacer_of(day, kind)) for kind in (DualPacer, DualReference, PidPacer)
    )
    assert ours.value >= floor * best
    assert ours.value >= max(dual.value, pid.value) - 0.002 * best
    assert gap(ours.spend, causal_plan(day), day.budget_nanos, from_minute=over) <= 0.05


def test_three_impressions_are_not_bought_in_the_first_minutes():
    day = draw(WORLDS["three impressions"], seed=2)
    played = play(day, pacer_of(day))
    assert played.spend[5] < day.budget_nanos / 2
    assert played.spend[-1] > day.budget_nanos / 2


def test_the_best_constant_is_the_best_of_every_multiplier_tried():
    day = draw(WORLDS["sparse"], seed=2)
    best, spend, multiplier = best_constant(day)

    class Constant:
        def __init__(self, ppm):
            self._ppm = ppm

        def multiplier(self, now_s):
            return self._ppm

        def observe(self, now_s, spent_nanos, opportunities):
            pass

    held = play(day, Constant(multiplier))
    assert (held.value, int(held.spend[-1])) == (pytest.approx(best), spend)
    for ppm in range(20_000, 1_000_001, 20_000):
        tried = play(day, Constant(ppm))
        if not tried.refused_nanos:
            assert tried.value <= best + 1e-9


def test_the_escrow_holds_when_a_controller_does_not():
    class Greedy:
        def multiplier(self, now_s):
            return 1_000_000

        def observe(self, now_s, spent_nanos, opportunities):
            pass

    day = draw(WORLDS["flat"], seed=0)
    played = play(day, Greedy())
    assert played.spend[-1] <= day.budget_nanos
    assert played.refused_nanos > day.budget_nanos
