"""How often people were shown ads lately: what the eligible ratio weighs them by."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.delivery import showing as module
from ringwork.fairness.delivery.people import People
from ringwork.fairness.delivery.recent import A_DAY_MAX, DAY_US, WINDOW_DAYS, RecentImpressions
from ringwork.fairness.delivery.showing import COUNTED_EVERY_US, Showing
from ringwork.fairness.measure.eligible import recent_impressions

PEOPLE = [letter * 16 for letter in (b"A", b"B", b"C", b"D", b"E")]
ANNA, BERTA, CLARA, *_ = PEOPLE


def test_a_window_of_three_days_by_hand():
    """Anna on days 10, 11 and 13, Berta on day 11: the window of day 13 begins with day 11."""
    recent = RecentImpressions()
    recent.keep(3)
    for subject, day, count in ((ANNA, 10, 7), (ANNA, 11, 2), (BERTA, 11, 4), (ANNA, 13, 1)):
        recent.add(subject, day, count)
    of = [ANNA, BERTA, CLARA]
    assert recent.of(of, today=13, window_days=3).tolist() == [3, 4, 0]
    assert recent.of(of, today=13, window_days=2).tolist() == [1, 0, 0]
    assert recent.of(of, today=14, window_days=3).tolist() == [1, 0, 0]
    assert recent.of(of, today=20, window_days=3).tolist() == [0, 0, 0]
    recent.add(BERTA, 10, 1)
    assert recent.of(of, today=13, window_days=3).tolist() == [3, 4, 0], "its day is over"


def test_nobody_and_nothing():
    recent = RecentImpressions()
    assert recent.of([], today=1, window_days=30).tolist() == []
    assert recent.of([ANNA], today=1, window_days=30).tolist() == [0]
    recent.forget(ANNA)
    assert len(recent) == 0


ADDED = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60), st.integers(1, 9)), max_size=40)


@given(added=ADDED, window=st.integers(1, 40), kept=st.integers(1, 40), on=st.integers(0, 5))
def test_a_window_counts_what_the_array_form_counts(added, window, kept, on):
    """Also where the clock goes back; a window longer than what is kept is what is kept."""
    recent = RecentImpressions()
    recent.keep(kept)
    for person, day, count in added:
        recent.add(PEOPLE[person], day, count)
    newest = max((day for _, day, _ in added), default=0)
    person, day = (
        np.array([one[at] for one in added for _ in range(one[2])], np.int64) for at in (0, 1)
    )
    inside = day > newest - kept
    expected = recent_impressions(
        person[inside], day[inside], people=5, today=newest + on, window_days=window
    )
    found = recent.of(PEOPLE, today=newest + on, window_days=window)
    assert found.tolist() == expected.tolist()


@given(added=ADDED, forgotten=st.integers(0, 4), after=ADDED)
def test_a_snapshot_is_the_same_whatever_rows_people_have(added, forgotten, after):
    recent, again = RecentImpressions(), RecentImpressions()
    for person, day, count in added:
        recent.add(PEOPLE[person], day, count)
    recent.forget(PEOPLE[forgotten])
    again.load(recent.dump())
    assert again.dump() == recent.dump()
    assert PEOPLE[forgotten] not in recent.dump()
    for person, day, count in after:
        recent.add(PEOPLE[person], day, count)
        again.add(PEOPLE[person], day, count)
    assert again.dump() == recent.dump()


def test_a_shorter_window_forgets_and_a_longer_one_cannot_remember():
    recent = RecentImpressions()
    for day in (1, 20, 30):
        recent.add(ANNA, day, 1)
    assert recent.of([ANNA], today=30, window_days=WINDOW_DAYS).tolist() == [3]
    recent.keep(5)
    recent.keep(40)
    assert recent.of([ANNA], today=30, window_days=40).tolist() == [1]


def test_no_person_weighs_more_than_a_bound():
    recent = RecentImpressions()
    recent.add(ANNA, 1, 10**9)
    recent.add(ANNA, 1, 10**9)
    assert recent.of([ANNA], today=1, window_days=1).tolist() == [A_DAY_MAX]


# ---- counted until an event says so --------------------------------------------------------------


class Told:
    """What a command took, in order."""

    def __init__(self) -> None:
        self.counts: list[tuple[bytes, int, int]] = []

    def record(self, event, *, event_id, subject, purpose):
        assert purpose == "measure"
        assert len(event_id) == 16
        self.counts.append((subject, event.impressions, event.window_days))


def impression(number: int) -> bytes:
    return number.to_bytes(16, "big")


def described(*subjects: bytes) -> People:
    people = People()
    people.described.update(dict.fromkeys(subjects, (b"event", b"sealed")))
    return people


def recorded(showing: Showing, now_us: int = DAY_US) -> list[tuple[bytes, int, int]]:
    told = Told()
    is_more = True
    while is_more:
        is_more = showing.record(told)
        showing.recorded(now_us)
    return told.counts


def test_an_impression_counts_for_whom_it_was_sold_once():
    showing = Showing(described(ANNA, BERTA), window_days=30)
    for number, subject in enumerate((ANNA, ANNA, BERTA, CLARA)):
        showing.sold(impression(number), subject)
    assert not showing.has_counted, "what was sold was not yet shown"
    for number in (0, 0, 1, 2, 3, 9):
        showing.shown(impression(number))
    assert recorded(showing) == [(ANNA, 2, 30), (BERTA, 1, 30)], "Clara is not described any more"
    assert recorded(showing) == []


def test_who_is_erased_is_in_nothing_that_waits():
    showing = Showing(described(ANNA, BERTA), window_days=30)
    showing.sold(impression(1), ANNA)
    showing.sold(impression(2), ANNA)
    showing.sold(impression(3), BERTA)
    showing.shown(impression(1))
    showing.forget(ANNA)
    showing.shown(impression(2))
    showing.shown(impression(3))
    assert recorded(showing) == [(BERTA, 1, 30)]


def test_it_is_counted_every_ten_minutes_a_few_people_at_a_time(monkeypatch):
    monkeypatch.setattr(module, "COUNTED_AT_ONCE", 2)
    showing = Showing(described(*PEOPLE), window_days=7)
    assert not showing.is_due(DAY_US), "there is nothing"
    for turn in range(2):
        for number, subject in enumerate(PEOPLE):
            showing.sold(impression(number), subject)
            showing.shown(impression(number))
        now_us = DAY_US + turn * COUNTED_EVERY_US
        assert showing.is_due(now_us)
        assert recorded(showing, now_us) == [(one, 1, 7) for one in PEOPLE]
        showing.sold(impression(99), ANNA)
        showing.shown(impression(99))
        assert not showing.is_due(now_us + COUNTED_EVERY_US - 1)
        assert showing.is_due(now_us - COUNTED_EVERY_US), "a clock that went back"
        recorded(showing, now_us)


def test_sales_that_nobody_sees_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "SALES_MAX", 2)
    showing = Showing(described(ANNA), window_days=30)
    for number in range(3):
        showing.sold(impression(number), ANNA)
    for number in range(3):
        showing.shown(impression(number))
    assert recorded(showing) == [(ANNA, 2, 30)], "the oldest sale is forgotten"
