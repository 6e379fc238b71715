"""When an ad's next release is due: by impressions, never more than declared, none that says nothing."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.delivery.releasing import EPISODE_MIN, FIRST_EPISODES, due_at


def released(arrivals, expected: int, episodes: int) -> list[int]:
    """Impressions at each release where so many arrive between two looks."""
    found: list[int] = []
    impressions = 0
    for more in arrivals:
        impressions += more
        at = due_at(found[-1] if found else 0, len(found), expected, episodes)
        if at is not None and impressions >= at:
            found.append(impressions)
    return found


@pytest.mark.parametrize(
    ("arrivals", "expected", "episodes", "at"),
    [
        ([122, 0, 0, 187, 1], 10_000, 64, [122, 310]),  # (12,000 - 122) / 63 = 188
        ([40, 19, 1, 59, 1], 1000, 64, [40, 60, 120]),
        ([29, 1, 30, 60, 49, 1], 100, 64, [30, 60, 120, 170]),  # beyond the forecast: every 50
        ([500, 500, 199, 1], 1000, 2, [500, 1200]),
        ([30, 30, 1139, 1], 1000, 2, [30, 1200]),  # the last one is kept for the end
        ([1199, 1], 1000, 1, [1200]),
    ],
)
def test_releases_by_hand(arrivals, expected, episodes, at) -> None:
    assert released(arrivals, expected, episodes) == at


@pytest.mark.parametrize(("expected", "episodes"), [(10_000, 64), (5_000, 40), (997, 12), (40, 5)])
def test_one_by_one_all_are_made_evenly_by_the_end_of_the_forecast_and_a_fifth(
    expected, episodes
) -> None:
    horizon = max(expected * 120 // 100, FIRST_EPISODES[-1] + EPISODE_MIN * episodes)
    found = released([1] * horizon, expected, episodes)
    assert tuple(found[:3]) == FIRST_EPISODES
    assert len(found) == episodes
    gaps = [after - before for before, after in pairwise(found[2:])]
    assert max(gaps) - min(gaps) <= 1
    assert found[-1] in (expected * 120 // 100, 120 + EPISODE_MIN * (episodes - 3))


@given(st.lists(st.integers(0, 400), max_size=80), st.integers(1, 20_000), st.integers(1, 70))
def test_whatever_arrives_together_each_release_has_enough_that_is_new(
    arrivals, expected, episodes
) -> None:
    found = released(arrivals, expected, episodes)
    assert len(found) <= episodes
    for before, after in pairwise([0, *found]):
        passed = any(before < first <= after for first in FIRST_EPISODES)
        assert passed or after - before >= EPISODE_MIN


@given(st.integers(120, 3_000), st.integers(4, 64), st.integers(1, 10))
def test_what_a_batch_saved_is_spent_over_the_rest_of_the_flight(batch, episodes, more) -> None:
    expected = batch + EPISODE_MIN * episodes * more
    found = released([batch] + [1] * expected * 2, expected, episodes)
    assert len(found) == episodes
    assert found[-1] == expected * 120 // 100
