from ringwork.kernel import clock as clock_module
from ringwork.kernel.clock import ManualClock, ScaledClock, SystemClock


def test_scaled_clock_runs_fast_through_the_world_day_then_in_real_time(monkeypatch):
    real_us = [1_000_000_000]
    monkeypatch.setattr(clock_module.time, "time_ns", lambda: real_us[0] * 1000)
    day = ScaledClock(
        real_start_us=1_000_000_000, world_start_us=0, world_end_us=86_400_000_000, speed=360
    )
    assert day.wall_us() == 0
    real_us[0] += 1_000_000  # one real second is six world minutes
    assert day.wall_us() == 360_000_000
    real_us[0] += 239_000_000
    assert day.wall_us() == 86_400_000_000
    real_us[0] += 5_000_000
    assert day.wall_us() == 86_405_000_000
    real_us[0] -= 60_000_000  # the machine's clock is set back: the world's clock waits
    assert day.wall_us() == 86_405_000_000


def test_manual_clock_goes_back_only_on_the_wall():
    manual = ManualClock(10)
    manual.advance_us(5)
    manual.set_wall_us(3)
    assert (manual.wall_us(), manual.monotonic_ns()) == (3, 5000)


def test_system_clock_ticks():
    system = SystemClock()
    assert system.monotonic_ns() <= system.monotonic_ns()
    assert system.wall_us() > 1_700_000_000_000_000
