"""A bidder that fails is left alone, and nobody gets more requests than it agreed to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.exchange.breaker import NS_PER_S, Allowance, Breaker


def a_breaker() -> Breaker:
    return Breaker(failures_to_open=2, pause_s=1, pause_max_s=3)


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = a_breaker()
    for _ in range(5):
        breaker.failed("usual", 0)
        breaker.succeeded("usual")
    assert breaker.admit(0) == "usual"


def test_it_opens_tries_once_and_doubles_its_pause_up_to_a_bound() -> None:
    breaker = a_breaker()
    breaker.failed("usual", 0)
    breaker.failed("usual", 0)
    now_ns = 0
    for pause_s in (1, 2, 3, 3):
        assert breaker.admit(now_ns + pause_s * NS_PER_S - 1) is None
        now_ns += pause_s * NS_PER_S
        assert breaker.admit(now_ns) == "trial"
        assert breaker.admit(now_ns) is None
        breaker.failed("trial", now_ns)
    assert breaker.is_open
    assert breaker.admit(now_ns + 3 * NS_PER_S) == "trial"
    breaker.succeeded("trial")
    assert breaker.admit(now_ns + 3 * NS_PER_S) == "usual"


def test_what_comes_back_late_changes_nothing_while_it_is_open() -> None:
    breaker = a_breaker()
    breaker.failed("usual", 0)
    breaker.failed("usual", 0)
    breaker.succeeded("usual")
    breaker.failed("usual", NS_PER_S // 2)
    assert breaker.is_open
    assert breaker.admit(NS_PER_S) == "trial"


def test_a_trial_that_was_cut_short_may_be_made_again() -> None:
    breaker = a_breaker()
    breaker.failed("usual", 0)
    breaker.failed("usual", 0)
    assert breaker.admit(NS_PER_S) == "trial"
    breaker.abandoned("trial")
    assert breaker.admit(NS_PER_S) == "trial"


@given(st.integers(1, 50), st.lists(st.integers(0, 2 * NS_PER_S), min_size=1, max_size=200))
def test_no_second_holds_more_than_two_seconds_worth_and_no_run_more_than_its_rate(per_s, steps) -> None:  # fmt: skip
    allowance, now_ns, taken = Allowance(per_s), 0, []
    for step in steps:
        now_ns += step
        if allowance.take(now_ns):
            taken.append(now_ns)
    for number, first in enumerate(taken):
        for later, last in enumerate(taken[number:], 1):
            assert later <= per_s + (last - first) * per_s / NS_PER_S + 1e-6


def test_what_was_not_used_for_a_second_may_come_at_once() -> None:
    allowance = Allowance(3)
    assert [allowance.take(0) for _ in range(4)] == [True, True, True, False]
    assert [allowance.take(NS_PER_S // 3 + 1) for _ in range(2)] == [True, False]
    assert [allowance.take(100 * NS_PER_S) for _ in range(4)] == [True, True, True, False]
