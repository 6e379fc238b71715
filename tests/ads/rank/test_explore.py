"""Exploration: the logged propensity is how often the choice is really made."""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.rank.explore import epsilon_greedy, thompson, win_chances
from ringwork.kernel.entropy import SeededEntropy

DRAWS = 20_000


def test_epsilon_chooses_as_often_as_it_says():
    entropy, scores = SeededEntropy(1), [3.0, 9.0, 9.0, 1.0]
    made = [epsilon_greedy(scores, epsilon=0.2, entropy=entropy) for _ in range(DRAWS)]
    counts = Counter(one.index for one in made)
    said = {one.index: one.propensity for one in made}
    assert said == {0: 0.05, 1: pytest.approx(0.85), 2: 0.05, 3: 0.05}
    for index, propensity in said.items():
        assert counts[index] / DRAWS == pytest.approx(propensity, abs=0.01)


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=8), st.floats(0, 1), st.integers(0, 99))
def test_a_choice_has_a_propensity_and_the_best_the_most(scores, epsilon, seed):
    chosen = epsilon_greedy(scores, epsilon=epsilon, entropy=SeededEntropy(seed))
    assert 0 < chosen.propensity <= 1 + 1e-12
    best = epsilon_greedy(scores, epsilon=0.0, entropy=SeededEntropy(seed))
    assert best.propensity == 1.0
    assert scores[best.index] == max(scores)
    if chosen.index != best.index:
        assert chosen.propensity == epsilon / len(scores)


def test_thompson_wins_as_often_as_it_says_and_draws_the_mean():
    entropy = SeededEntropy(2)
    worths, p_ppb, sigmas = [2.0, 1.0, 1.5], [10**7, 2 * 10**7, 10**7], [0.3, 0.6, 1.0]
    wins, sums = Counter(), [0, 0, 0]
    for _ in range(DRAWS // 16):
        drawn = thompson(worths, p_ppb, sigmas, entropy=entropy)
        scores = [worth * p for worth, p in zip(worths, drawn.p_ppb, strict=True)]
        wins[scores.index(max(scores))] += 1
        sums = [total + p for total, p in zip(sums, drawn.p_ppb, strict=True)]
    for index, said in enumerate(drawn.propensities):
        assert wins[index] / (DRAWS // 16) == pytest.approx(said, abs=0.05)
        assert sums[index] / (DRAWS // 16) == pytest.approx(p_ppb[index], rel=0.1)


def test_two_normals_have_a_closed_form():
    for gap, a, b in ((0.5, 1.0, 1.0), (-1.0, 0.2, 2.0), (3.0, 1.0, 0.1)):
        first, second = win_chances([gap, 0.0], [a, b])
        exact = 0.5 * (1 + math.erf(gap / math.hypot(a, b) / math.sqrt(2)))
        assert (first, second) == pytest.approx((exact, 1 - exact), abs=1e-6)


@given(st.lists(st.tuples(st.floats(-4, 4), st.floats(0.05, 2)), min_size=1, max_size=6))
@settings(max_examples=25)
def test_chances_are_a_distribution_and_a_better_mean_wins_more(arms):
    means, sigmas = [m for m, _ in arms], [s for _, s in arms]
    chances = win_chances(means, sigmas)
    assert sum(chances) == pytest.approx(1.0)
    raised = win_chances([means[0] + 0.5, *means[1:]], sigmas)
    assert raised[0] >= chances[0] - 1e-9


def test_who_is_certain_is_compared_exactly_and_ties_go_to_the_first():
    assert win_chances([1.0, 1.0, 0.0], [0.0, 0.0, 0.0]) == (1.0, 0.0, 0.0)
    sampled = thompson([1.0, 2.0], [10**8, 10**8], [0.0, 0.0], entropy=SeededEntropy(3))
    assert sampled.p_ppb == (10**8, 10**8)
    assert sampled.propensities == (0.0, 1.0)


def test_the_same_entropy_draws_the_same():
    arguments = ([1.0, 2.0], [10**7, 10**6], [0.5, 0.9])
    first = thompson(*arguments, entropy=SeededEntropy(4))
    assert first == thompson(*arguments, entropy=SeededEntropy(4))
    assert first != thompson(*arguments, entropy=SeededEntropy(5))


@pytest.mark.parametrize(
    ("scores", "epsilon"),
    [([], 0.1), ([math.nan], 0.1), ([math.inf], 0.1), ([1.0], -0.1), ([1.0], math.nan), ([1.0] * 257, 0)],
)  # fmt: skip
def test_epsilon_refuses_what_it_cannot_choose_from(scores, epsilon):
    with pytest.raises(ValueError, match="expected"):
        epsilon_greedy(scores, epsilon=epsilon, entropy=SeededEntropy(1))


@pytest.mark.parametrize(
    ("worths", "p_ppb", "sigmas"),
    [
        ([], [], []),
        ([1.0], [1, 2], [0.1]),
        ([0.0], [1], [0.1]),
        ([1.0], [0], [0.1]),
        ([1.0], [10**9 + 1], [0.1]),
        ([1.0], [1], [-0.1]),
        ([1.0], [1], [math.nan]),
        ([math.inf], [1], [0.1]),
    ],
)
def test_thompson_refuses_what_it_cannot_draw(worths, p_ppb, sigmas):
    with pytest.raises(ValueError, match="expected"):
        thompson(worths, p_ppb, sigmas, entropy=SeededEntropy(1))
