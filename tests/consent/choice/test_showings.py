"""What the choice page remembers, and how fair its order is."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.consent.choice import showings
from ringwork.consent.choice.events import ChoiceShown, NoticePublished
from ringwork.consent.choice.showings import Showings, draw_order
from ringwork.consent.choice.texts import OPTIONS
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.events import Recorded


class Bytes:
    """Entropy that gives what it is told."""

    def __init__(self, *values: int) -> None:
        self._values = list(values)

    def take(self, count: int) -> bytes:
        return bytes(self._values.pop(0) for _ in range(count))


def shown(number: int, order: tuple[str, ...]) -> Recorded:
    event = ChoiceShown("casa", order, order, "", "choice-page", True, "", "", 0)
    return recorded(event, number, number.to_bytes(16, "big"))


def recorded(event, seq: int, subject: bytes | None = None) -> Recorded:
    return Recorded(0, seq, bytes(16), 1, bytes(16), None, "main", subject, None, event)


def test_an_order_by_hand():
    # 0 % 3: the first goes last; then 1 % 2: the second stays.
    assert draw_order(Bytes(0, 1)) == ("less", "personalised", "subscribe")
    # 255 would favour an option: it is drawn again.
    assert draw_order(Bytes(255, 2, 254, 1)) == OPTIONS


def test_each_order_is_as_likely_as_every_other():
    drawn = Counter(draw_order(SeededEntropy(f"{n}")) for n in range(6_000))
    assert len(drawn) == 6
    chi_square = sum((count - 1_000) ** 2 / 1_000 for count in drawn.values())
    assert chi_square < 20.5  # 5 degrees of freedom, p = 0.001


@given(st.lists(st.tuples(st.integers(1, 20), st.permutations(OPTIONS)), max_size=40))
def test_a_fold_loads_what_it_dumped_and_the_last_showing_counts(seen):
    fold, again = Showings(), Showings()
    expected = {}
    for number, order in seen:
        fold.apply(shown(number, tuple(order)))
        expected[number.to_bytes(16, "big")] = tuple(order)
    fold.apply(recorded(NoticePublished("ab", "v", "en", "text"), 99))
    again.load(fold.dump())
    assert again.orders == fold.orders == expected
    assert again.notices == {"ab": 99}
    assert again.dump() == fold.dump()
    fold.clear()
    assert fold.dump() == Showings().dump()


def test_who_was_shown_longest_ago_is_forgotten_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(showings, "ORDERS_MAX", 3)
    fold = Showings()
    for number in (1, 2, 3, 1, 4):
        fold.apply(shown(number, OPTIONS))
    assert [int.from_bytes(one, "big") for one in fold.orders] == [3, 1, 4]
