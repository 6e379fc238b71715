"""Throttling and PID: their published steps by hand, and that both spend a budget."""

import math

import msgspec
import pytest

from ringwork.ads.pacing import Forecast, PidPacer, PidState, ThrottlePacer, ThrottleState

DAY_S = 86_400
FLAT = Forecast.of_minutes([100.0])


def test_the_throttle_moves_by_a_tenth_each_minute():
    pacer = ThrottlePacer(86_400, 0, DAY_S, FLAT)
    assert pacer.share_ppm(0) == 100_000
    pacer.observe(60, 0, 100)
    assert pacer.share_ppm(60) == 110_000  # nothing spent of an allowed 65
    pacer.observe(90, 10_000, 100)
    assert pacer.share_ppm(90) == 110_000  # half a minute: not yet
    pacer.observe(120, 0, 100)
    assert pacer.share_ppm(120) == 99_000


def test_the_throttle_finishes_two_hours_early():
    pacer = ThrottlePacer(100_000_000, 0, DAY_S, FLAT)
    spent = 0
    for now_s in range(0, DAY_S, 60):
        nanos = min(100 * 2_000 * pacer.share_ppm(now_s) // 1_000_000, 100_000_000 - spent)
        spent += nanos
        pacer.observe(now_s + 60, nanos, 100)
        if now_s == 11 * 3_600:
            assert spent == pytest.approx(50_000_000, rel=0.03)
        if now_s == 22 * 3_600 + 600:
            assert spent == pytest.approx(100_000_000, rel=0.01)
    assert spent == 100_000_000
    assert pacer.share_ppm(DAY_S - 1) == 0


def test_the_throttle_follows_a_new_budget_and_end():
    pacer = ThrottlePacer(1_000, 0, DAY_S, FLAT)
    pacer.observe(60, 1_000, 10)
    assert pacer.share_ppm(60) == 0
    pacer.change(60, budget_nanos=10**9, end_s=2 * DAY_S)
    pacer.observe(120, 0, 10)
    assert pacer.share_ppm(DAY_S) == 99_000


def test_pid_spends_the_budget_evenly():
    pacer = PidPacer(36_000_000, 0, DAY_S, FLAT)
    spent = 0
    for now_s in range(0, DAY_S, 60):
        nanos = round(100 * 1_000 * (pacer.multiplier(now_s) / 1e6) ** 2)
        spent += nanos
        pacer.observe(now_s + 60, nanos, 100)
        if now_s == DAY_S // 2:
            assert spent == pytest.approx(18_000_000, rel=0.01)
    assert spent == pytest.approx(36_000_000, rel=0.001)


def test_pid_by_hand():
    # Budget 1,440 for 1,440 minutes: 1 a minute. Nothing spent is an error of 1, so the logarithm
    # rises by 0.3 + 0.05 and then, with no new error, by 0.05.
    pacer = PidPacer(1_440, 0, DAY_S, FLAT)
    pacer.observe(60, 0, 100)
    assert pacer.multiplier(60) == round(500_000 * math.exp(0.35))
    pacer.observe(120, 0, 100)
    assert pacer.multiplier(120) == round(500_000 * math.exp(0.40))
    pacer.change(120, budget_nanos=0)
    assert pacer.multiplier(120) == 0


@pytest.mark.parametrize(("kind", "state"), [(PidPacer, PidState), (ThrottlePacer, ThrottleState)])
def test_states_round_trip(kind, state):
    pacer = kind(1_000_000, 0, DAY_S)
    for minute in range(1, 50):
        pacer.observe(minute * 60, 700, 10)
    stored = msgspec.msgpack.encode(pacer.state)
    assert msgspec.msgpack.decode(stored, type=state) == pacer.state


@pytest.mark.parametrize("kind", [PidPacer, ThrottlePacer])
def test_what_is_no_campaign_or_observation_is_refused(kind):
    with pytest.raises(ValueError, match="end"):
        kind(1, 60, 0)
    with pytest.raises(ValueError, match="budget"):
        kind(-1, 0, 60)
    pacer = kind(1, 0, 60)
    with pytest.raises(ValueError, match="time"):
        pacer.observe(math.nan, 0, 0)
    with pytest.raises(ValueError, match="end"):
        pacer.change(0, end_s=math.inf)
