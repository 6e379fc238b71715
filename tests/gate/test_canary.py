"""Canaries: no two share one, nobody tells them from real ones, and nobody innocent is accused."""

from __future__ import annotations

import random
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chi2, kstest

from ringwork.gate.respond.canary import Canaries, rounds, upper_tail

SECRET = b"a secret of thirty-two bytes, ok"
BLOCKS = [(49_151_0000000, 49_151_2000000), (49_170_0000000, 49_170_8000000)]
"""Ten million numbers in two assigned blocks."""


def canaries(actors: int = 1000, each: int = 8, **given: object) -> Canaries:
    wanted = {"kind": "number", "ranges": BLOCKS, "actors": actors, "each": each, **given}
    return Canaries(SECRET, **wanted)  # type: ignore[arg-type] # as named above


def test_a_sighting_names_who_was_shown_it_and_no_table_is_kept() -> None:
    ours = canaries()
    shown = ours.canary(17, 3)
    assert any(at <= shown < end for at, end in BLOCKS)
    assert canaries().sighted(shown) == 17, "another process, another day"
    assert canaries().canary(17, 3) == shown
    assert ours.seed(shown) == canaries().seed(shown) != ours.seed(shown + 1)
    assert Canaries(SECRET, kind="ad", ranges=BLOCKS, actors=1000, each=8).canary(17, 3) != shown
    other = Canaries(SECRET[::-1], kind="number", ranges=BLOCKS, actors=1000, each=8)
    assert other.canary(17, 3) != shown, "another key, other canaries"


@pytest.mark.parametrize("size", [4, 5, 64, 97, 1000])
def test_the_cipher_is_a_permutation_of_the_whole_range(size: int) -> None:
    """By brute force: no collision, and every entity that is no canary names nobody."""
    actors = size // 4
    ours = canaries(actors, 1, ranges=[(100, 100 + size)])
    shown = {ours.canary(actor): actor for actor in range(actors)}
    assert len(shown) == actors
    assert [ours.sighted(entity) for entity in range(90, 110 + size)] == [
        shown.get(entity) for entity in range(90, 110 + size)
    ]


@given(st.integers(0, 2**40 - 1), st.integers(0, 7))
def test_every_canary_of_a_large_range_is_recognised(actor: int, number: int) -> None:
    ours = canaries(2**40, 8, ranges=[(2**60, 2**61)])
    assert ours.sighted(ours.canary(actor, number)) == actor


def test_the_entities_of_one_actor_or_of_many_look_drawn_from_the_range() -> None:
    """Positions are uniform, and successive ones independent: no seen statistic tells them."""
    ours = canaries(200, 8)
    found = [[ours.canary(actor, number) for number in range(8)] for actor in range(200)]
    places = np.array([[ours._index(one) for one in row] for row in found]) / ours.size
    assert kstest(places.ravel(), "uniform").pvalue > 0.001
    gaps = (places[:, 1:] - places[:, :-1]) % 1
    assert kstest(gaps.ravel(), "uniform").pvalue > 0.001, "the next of an actor tells nothing"
    neighbours = (places[1:] - places[:-1]) % 1
    assert kstest(neighbours.ravel(), "uniform").pvalue > 0.001, "nor the next actor's"
    digits = np.bincount([one % 10 for row in found for one in row], minlength=10)
    assert chi2.sf(((digits - 160) ** 2 / 160).sum(), 9) > 0.001


def test_a_made_up_entity_names_somebody_as_seldom_as_is_said() -> None:
    ours = canaries(10_000, 25)
    assert ours.false_share == pytest.approx(0.025)
    dice = random.Random(7)
    tries = 1000
    named = sum(
        ours.sighted(dice.randrange(*BLOCKS[dice.random() > 0.2])) is not None for _ in range(tries)
    )
    assert binom.sf(named - 1, tries, 0.025) > 0.001 < binom.cdf(named, tries, 0.025)


def test_a_leak_names_the_leaker_and_nobody_else() -> None:
    """Twenty of his in a leak of 600 made-up entities, where each innocent expects 0.0015."""
    ours = canaries(10_000, 25)
    dice = random.Random(11)
    made_up = [dice.randrange(*BLOCKS[1]) for _ in range(600)]
    real = {ours.canary(4), ours.canary(5)}  # somebody real came to be them: no evidence
    leak = [*made_up, *real, *(ours.canary(77, number) for number in range(20)), 5, -1]
    found = ours.accused(leak, is_real=real.__contains__)
    assert [(one.actor, one.sightings) for one in found] == [(77, 20)]
    assert found[0].false_bound < 1e-40
    assert any(ours.sighted(one) is not None for one in made_up), "single sightings accuse nobody"
    assert ours.accused(made_up, is_real=lambda _: False) == []


def test_one_sighting_is_enough_where_the_range_is_large() -> None:
    ours = canaries(10**6, 10, ranges=[(10**17, 10**18)])
    found = ours.accused([ours.canary(123)], is_real=lambda _: False)
    assert [one.actor for one in found] == [123]
    assert found[0].false_bound == pytest.approx(10**7 / (9 * 10**17))


def test_an_entity_that_somebody_real_is_is_never_shown() -> None:
    ours = canaries(10, 4)
    first, second = ours.canary(3, 0), ours.canary(3, 1)
    assert ours.canary(3, 0, is_taken=lambda entity: entity == first) == second
    with pytest.raises(ValueError, match="somebody real"):
        ours.canary(3, is_taken=lambda _: True)


@given(st.integers(1, 40), st.floats(1e-6, 0.9), st.integers(0, 41))
def test_tails_are_those_of_the_binomial(trials: int, chance: float, least: int) -> None:
    exact = sum(
        comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(least, trials + 1)
    )
    assert upper_tail(trials, chance, least) == pytest.approx(exact, rel=1e-9, abs=1e-300)


def test_rounds_grow_with_the_range() -> None:
    """By hand for 2^64: 3 + 96 - lg(r + 4) - 0.678 (r/4 + 1) <= -40 from r = 760 on."""
    assert rounds(2**64) == 760
    assert rounds(10**7) < 450


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"ranges": []}, "ascend"),
        ({"ranges": [(5, 5)]}, "ascend"),
        ({"ranges": [(0, 10_000), (9_999, 90_000)]}, "overlap"),
        ({"ranges": [(-5, 90_000)]}, "ascend"),
        ({"ranges": [(0, 100)]}, "four times"),
        ({"ranges": [(0, 2**65)]}, "at most"),
        ({"actors": 0}, "four times"),
    ],
)
def test_ranges_that_hold_too_little_are_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        canaries(**wrong)  # type: ignore[arg-type] # that is the point


def test_other_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Canaries(b"short", kind="ad", ranges=BLOCKS, actors=1, each=1)
    for actor, number in ((-1, 0), (1000, 0), (0, 8), (0, -1)):
        with pytest.raises(ValueError, match="expected an actor"):
            canaries().canary(actor, number)
