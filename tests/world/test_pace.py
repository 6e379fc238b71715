"""The clock of the demo world: it meets real time without a jump and never goes back."""

import time

from hypothesis import given
from hypothesis import strategies as st

from ringwork.app.settings import Settings
from ringwork.kernel.config import load
from ringwork.world.pace import DAY_US, SPEED, Pace, pace_from

NOW = 1_764_158_400_000_000
GAPS = st.integers(0, 3 * DAY_US)


def world_us(pace: Pace, real_us: int) -> int:
    """By hand: fast until the end of the fast time, then real time."""
    fast_us = (pace.world_end_us - pace.world_start_us) // pace.speed
    elapsed = real_us - pace.real_start_us
    if elapsed < fast_us:
        return pace.world_start_us + elapsed * pace.speed
    return pace.world_end_us + elapsed - fast_us


def test_a_first_start_lives_the_last_day_in_about_four_minutes() -> None:
    pace = pace_from(NOW, 0)
    assert pace.world_start_us == NOW - DAY_US
    seconds = (pace.real_us(pace.world_end_us) - NOW) / 1e6
    assert 240 <= seconds < 241
    # Then the world's time is the machine's, to within a second of the world per second of ours.
    assert abs(pace.world_end_us - pace.real_us(pace.world_end_us)) <= SPEED


@given(GAPS)
def test_fast_time_meets_real_time_and_starts_where_it_stopped(gap_us: int) -> None:
    pace = pace_from(NOW, NOW - gap_us)
    assert pace.world_start_us == NOW - min(gap_us, DAY_US)
    assert abs(pace.world_end_us - pace.real_us(pace.world_end_us)) <= SPEED


def test_a_world_that_is_ahead_of_the_machine_goes_on_in_real_time() -> None:
    pace = pace_from(NOW, NOW + 5_000_000)
    assert (pace.world_start_us, pace.world_end_us) == (NOW + 5_000_000, NOW + 5_000_000)
    assert pace.real_us(NOW + 6_000_000) == NOW + 1_000_000


@given(GAPS, st.integers(0, 2 * DAY_US))
def test_real_time_of_a_moment_is_when_the_clock_first_shows_it(gap_us: int, later: int) -> None:
    pace = pace_from(NOW, NOW - gap_us)
    moment = pace.world_start_us + later
    real_us = pace.real_us(moment)
    assert world_us(pace, real_us) >= moment
    if later:
        assert world_us(pace, real_us - 1) < moment


@given(GAPS, st.integers(0, 2 * DAY_US // SPEED), st.integers(0, 10))
def test_ahead_is_never_before_the_clock_and_at_most_so_far(gap: int, real: int, by_s: int) -> None:
    pace = pace_from(NOW, NOW - gap)
    now = world_us(pace, NOW + real)
    ahead = pace.ahead_us(now, by_s)
    assert world_us(pace, NOW + real + by_s * 1_000_000) <= ahead
    assert ahead <= max(now, pace.world_end_us) + by_s * 1_000_000 or ahead <= now + by_s * (
        SPEED * 1_000_000
    )


def test_the_clock_agrees_and_the_server_reads_the_same_numbers() -> None:
    pace = pace_from(time.time_ns() // 1000, 0)
    moment = pace.clock().wall_us()
    assert -0.1 < pace.wait_s(moment) <= 0.1
    assert pace.wait_s(moment + 3_600_000_000) > 9
    loaded = load(
        Settings, toml=None, toml_name="", environment=pace.environment(), flags={}
    ).settings.clock
    assert loaded is not None
    assert Pace(**{name: getattr(loaded, name) for name in Pace.__struct_fields__}) == pace
