"""Decisions by day and what became of being asked, as tables: by hand, and in any batches."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from ringwork.consent.choice.events import ChoiceMade, ChoiceShown
from ringwork.consent.events import ConsentRecorded
from ringwork.consent.merkle import DAY_US
from ringwork.consent.projections import (
    ConsentAsked,
    ConsentDays,
    DayCount,
    day_counts,
    first_choices,
    metadata,
)
from ringwork.kernel.events import Event, Recorded

PEOPLE = [bytes([one] * 16) for one in range(4)]


@pytest.fixture
def store():
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def at(seq: int, day: int, event: Event, subject: bytes = PEOPLE[0]) -> Recorded:
    return Recorded(0, seq, b"", day * DAY_US + seq, b"r", None, "main", subject, "consent", event)


def decided(action: str, steps: int = 1) -> ConsentRecorded:
    return ConsentRecorded(
        1, action, (), (), "consent", "", "", "", steps, True, "", None, "", None, "", b"", b""
    )


def shown(*, asked: bool = True) -> ChoiceShown:
    return ChoiceShown("casa", (), (), "n", "choice-page", asked, "", "", 0)


def made(choice: str) -> ChoiceMade:
    return ChoiceMade("casa", choice, 1, (), "n", "choice-page", 1, True)


def test_decisions_are_counted_by_day_and_action_with_their_steps(store):
    events = [
        at(1, 5, decided("grant", 1)), at(2, 5, decided("grant", 2)), at(3, 5, decided("refuse")),
        at(4, 6, decided("withdraw", 3)),
    ]  # fmt: skip
    projection = ConsentDays()
    projection.apply(store, events[:1])
    projection.apply(store, events[1:])
    assert day_counts(store, since_day=0) == [
        DayCount(5, "grant", 2, 3), DayCount(5, "refuse", 1, 1), DayCount(6, "withdraw", 1, 3),
    ]  # fmt: skip
    assert day_counts(store, since_day=6) == [DayCount(6, "withdraw", 1, 3)]
    projection.clear(store)
    assert day_counts(store, since_day=0) == []


def test_the_first_choice_of_who_was_asked_counts(store):
    """The first consents and withdraws later, the second only looks, the third was not asked."""
    first, second, third, fourth = PEOPLE
    ConsentAsked().apply(
        store,
        [
            at(1, 5, shown(), first),
            at(2, 5, made("personalised"), first),
            at(3, 6, made("withdraw-advertise"), first),
            at(4, 5, shown(), second),
            at(5, 5, shown(asked=False), third),
            at(6, 5, made("less"), third),
            at(7, 9, shown(), fourth),
            at(8, 9, made("less"), fourth),
        ],
    )
    assert first_choices(store, since_us=0) == {"personalised": 1, "": 1, "less": 1}
    assert first_choices(store, since_us=8 * DAY_US) == {"less": 1}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["grant", "refuse", "shown", "settings", "less", "personalised"]),
            st.integers(0, 3),
            st.integers(0, 2),
        ),
        max_size=40,
    ),
    st.lists(st.integers(1, 7), min_size=1, max_size=4),
)
def test_the_tables_are_the_same_in_whatever_batches_the_log_is_read(said, sizes):
    """Beside a reading in plain Python."""
    events, asked, days, day = [], {}, {}, 0
    for seq, (what, who, pause) in enumerate(said, 1):
        day += pause
        person = PEOPLE[who]
        if what in ("grant", "refuse"):
            event: Event = decided(what)
            days[day, what] = days.get((day, what), 0) + 1
        elif what in ("shown", "settings"):
            event = shown(asked=what == "shown")
            if what == "shown":
                asked.setdefault(person, "")
        else:
            event = made(what)
            if asked.get(person) == "":
                asked[person] = what
        events.append(at(seq, day, event, person))
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection:
        rest, number = events, 0
        while rest:
            batch, rest = rest[: sizes[number % len(sizes)]], rest[sizes[number % len(sizes)] :]
            number += 1
            for projection in (ConsentDays(), ConsentAsked()):
                heard = [one for one in batch if isinstance(one.payload, projection.hears)]
                projection.apply(connection, heard)
        found = {(one.day, one.action): one.count for one in day_counts(connection, since_day=0)}
        assert found == days
        counts: dict[str, int] = {}
        for choice in asked.values():
            counts[choice] = counts.get(choice, 0) + 1
        assert first_choices(connection, since_us=0) == counts
    engine.dispose()
