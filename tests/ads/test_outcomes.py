"""What counts already is remembered exactly as long as it could count again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads import outcomes as module
from ringwork.ads.events import (
    ClickRecorded,
    ConversionRecorded,
    ImpressionBilled,
    ImpressionUnbilled,
)
from ringwork.ads.outcomes import (
    MAX_CLICK_WINDOW_S,
    MAX_CONVERSION_WINDOW_S,
    MAX_HOLD_S,
    MAX_LATE_S,
    Outcomes,
)
from ringwork.kernel.events import Recorded

START_S = 1_764_158_400


def sold_at(at_s: int, n: int = 0) -> bytes:
    return (at_s * 1000).to_bytes(6, "big") + b"\x70\x00" + n.to_bytes(8, "big")


def hear(outcomes: Outcomes, at_s: int, event) -> None:
    outcomes.apply(Recorded(0, 1, b"e", at_s * 10**6, b"r", None, "main", None, None, event))


def billed(id: bytes) -> ImpressionBilled:
    return ImpressionBilled(id, "c", "a", "p", "", "cpm", 1, "EUR")


def clicked(id: bytes) -> ClickRecorded:
    return ClickRecorded(id, "c", "a", "p", 0, "EUR")


def converted(id: bytes, conversion_id: str, campaign_id: str = "c") -> ConversionRecorded:
    return ConversionRecorded(conversion_id, id, campaign_id, "a", "p", 0, 0, "EUR")


def test_impressions_billed_and_not_clicks_and_conversions_are_known():
    outcomes = Outcomes()
    one, two = sold_at(START_S, 1), sold_at(START_S, 2)
    assert outcomes.impression(one) is None
    hear(outcomes, START_S, billed(one))
    hear(outcomes, START_S, ImpressionUnbilled(two, "c", "late"))
    hear(outcomes, START_S, clicked(one))
    hear(outcomes, START_S, converted(one, "order-1"))
    assert (outcomes.impression(one), outcomes.impression(two)) == (True, False)
    assert (outcomes.clicked(one), outcomes.clicked(two)) == (True, False)
    assert outcomes.conversion("c", "order-1") == one
    assert outcomes.conversion("other", "order-1") is None, "ids are the advertiser's own"


def test_invalid_impressions_are_known_while_a_click_may_come_and_no_others():
    outcomes, one, two = Outcomes(), sold_at(START_S, 1), sold_at(START_S, 2)
    hear(outcomes, START_S, ImpressionUnbilled(one, "c", "invalid-burst"))
    hear(outcomes, START_S, ImpressionUnbilled(two, "c", "late"))
    again = Outcomes()
    again.load(outcomes.dump())
    for each in (outcomes, again):
        assert each.invalid_impression(one) == "invalid-burst"
        assert each.invalid_impression(two) == ""
    for after_s, known in ((MAX_CLICK_WINDOW_S, "invalid-burst"), (MAX_CLICK_WINDOW_S + 1, "")):
        later = ImpressionUnbilled(sold_at(START_S + after_s, after_s), "c", "invalid-burst")
        hear(again, START_S + after_s, later)
        assert again.invalid_impression(one) == known


@given(st.lists(st.integers(-40 * 86_400, 40 * 86_400), max_size=40))
def test_a_flood_of_invalid_impressions_leaves_the_newest(jumps):
    """Whatever the clock does, there are never more than the bound, and no trouble."""
    outcomes, bound = Outcomes(), 8
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "INVALID_IMPRESSIONS_MAX", bound)
        for number, jump in enumerate(jumps):
            id = sold_at(START_S + jump, number)
            hear(outcomes, START_S + jump, ImpressionUnbilled(id, "c", "invalid-burst"))
            assert outcomes.invalid_impression(id) == "invalid-burst"
        known = sum(
            bool(outcomes.invalid_impression(sold_at(START_S + jump, number)))
            for number, jump in enumerate(jumps)
        )
    assert known <= bound


def test_each_is_forgotten_after_its_own_window():
    outcomes, one = Outcomes(), sold_at(START_S, 1)
    for event in (billed(one), clicked(one), converted(one, "o")):
        hear(outcomes, START_S, event)

    def known(after_s: int) -> tuple[bool, bool, bool]:
        # Only an event of the same kind moves that kind's time.
        other = sold_at(START_S + after_s, 2)
        for event in (billed(other), clicked(other), converted(other, "p")):
            hear(outcomes, START_S + after_s, event)
        return (
            outcomes.impression(one) is not None,
            outcomes.clicked(one),
            outcomes.conversion("c", "o") is not None,
        )

    assert known(MAX_HOLD_S + MAX_LATE_S - 1) == (True, True, True)
    assert known(MAX_HOLD_S + MAX_LATE_S + 1200) == (False, True, True)
    assert known(MAX_CLICK_WINDOW_S + 1200) == (False, False, True)
    assert known(MAX_CONVERSION_WINDOW_S + 1200) == (False, False, False)


def test_what_may_be_forgotten_must_not_count_even_when_the_clock_goes_back():
    outcomes, old = Outcomes(), sold_at(START_S, 1)
    assert outcomes.still_keeps_impression(old)
    hear(outcomes, START_S, billed(old))
    later_s = START_S + MAX_HOLD_S + MAX_LATE_S + 1200
    hear(outcomes, later_s, billed(sold_at(later_s, 2)))
    hear(outcomes, START_S, billed(sold_at(START_S, 3)))
    assert outcomes.impression(old) is None
    assert not outcomes.still_keeps_impression(old)
    assert outcomes.still_keeps_click(old)
    assert outcomes.still_keeps_conversion(old)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4000), st.integers(0, 9)), max_size=40))
def test_replay_from_any_dump_gives_the_same_state_and_memory_is_bounded(script):
    life, resumed, now_s = Outcomes(), Outcomes(), START_S
    for n, (kind, step_s, back) in enumerate(script):
        now_s += step_s
        id = sold_at(now_s - back * 300, n)
        event = (
            billed(id), ImpressionUnbilled(id, "c", "late"), clicked(id), converted(id, str(n)),
        )[kind]  # fmt: skip
        hear(life, now_s, event)
        restored = Outcomes()
        restored.load(resumed.dump())
        resumed = restored
        hear(resumed, now_s, event)
        assert resumed.dump() == life.dump()
    for _ in range(2):  # a year of silence, then two events of each kind
        now_s += 366 * 86_400
        last = [sold_at(now_s, n) for n in range(3)]
        for event in (billed(last[0]), clicked(last[1]), converted(last[2], "last")):
            hear(life, now_s, event)
    assert len(life.dump()) < 200
    life.clear()
    assert life.dump() == Outcomes().dump()
