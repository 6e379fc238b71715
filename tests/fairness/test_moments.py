"""The blur from noisy second moments: by hand, by NumPy, by simulation, and what one person moves."""

import ast
import inspect
from fractions import Fraction
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.measure import moments
from ringwork.fairness.measure.confusion import (
    gram,
    implied,
    implied_blur,
    moments_blur,
    within_groups,
)
from ringwork.fairness.measure.moments import Moments, learned
from ringwork.fairness.measure.sums import Layout, quantised
from ringwork.fairness.model import PPB
from ringwork.fairness.plan import preset
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Refused
from tests.fairness.calibrated_world import noisy_moments, people

HAND = Moments(sums=((82, 18), (82,)), unit=10, sigma=Fraction(0))
"""Posteriors (.9, .1) and (.1, .9)."""


def exact(posterior, sigma: str = "0") -> Moments:
    rows = quantised(posterior)
    sums = gram(rows, np.ones((rows.shape[1],) * 2, bool))
    return Moments(sums=tuple(map(tuple, sums)), unit=256, sigma=Fraction(sigma))


def test_two_people_by_hand() -> None:
    """M = [[.82, .18], [.18, .82]], its inverse over .64; W = .41 - (.82^2 + .18^2) / 2."""
    found = learned(HAND)
    assert found is not None
    assert found.matrix_ppb == ((820_000_000, 180_000_000), (180_000_000, 820_000_000))
    assert found.inverse_ppb == ((1_281_250_000, -281_250_000), (-281_250_000, 1_281_250_000))
    assert found.within_ppb == ((57_600_000, -57_600_000), (-57_600_000, 57_600_000))
    assert found.pool_size == 2


def test_the_covariance_of_the_inverse_by_hand() -> None:
    """S = diag(3, 1) in people: G = 1, and dS_01 = 1 moves it by 1 / S_i. within each row.

    dG_00 = (1 - dS_01 G_10) / 3 = 1/3, dG_01 = -1/3; dG_11 = 1, dG_10 = -1. Of variance (0 + 2^2) / 2.
    """
    found = learned(Moments(sums=((300, 1), (100,)), unit=10, sigma=Fraction(2)))
    assert found is not None
    moved = np.array([1 / 3, -1 / 3, -1, 1])
    table = np.array(found.inverse_covariance) / 1e12
    assert table == pytest.approx(2 * np.outer(moved, moved), rel=0.15)


@given(st.integers(2, 8), st.integers(0, 2**32))
def test_without_noise_it_is_the_blur_of_the_posteriors(size: int, seed: int) -> None:
    rows = quantised(np.random.default_rng(seed).dirichlet(np.full(size, 0.5), 300))
    found, pool = learned(exact(rows / 256)), rows / 256
    assert found is not None
    assert np.array(found.matrix_ppb) / PPB == pytest.approx(implied(pool), abs=2e-9)
    inverse = np.linalg.inv(implied(pool))
    assert np.array(found.inverse_ppb) / PPB == pytest.approx(inverse, rel=1e-6, abs=1e-6)
    within = within_groups(pool, implied(pool))
    assert np.array(found.within_ppb) / PPB == pytest.approx(within, abs=1e-6)
    assert np.linalg.eigvalsh(np.array(found.within_ppb) / PPB).min() > -1e-8
    assert found.pool_size == 300


@given(st.integers(2, 8), st.integers(0, 2**32))
def test_one_person_moves_the_sums_by_no_more_than_the_noise_is_made_for(size, seed) -> None:
    """Squared, the diagonal once and what is off it twice (its noise has half the variance)."""
    rng = np.random.default_rng(seed)
    rows = quantised(rng.dirichlet(np.full(size, 0.1), 2))
    possible = np.ones((size, size), bool)
    alone, other = (np.array(list(chain.from_iterable(gram(one[None], possible)))) for one in rows)
    weight = np.array([1 if i == j else 2 for i in range(size) for j in range(i, size)])
    assert (weight * alone**2).sum() <= 256**4
    assert (weight * (alone - other) ** 2).sum() <= 2 * 256**4


def test_the_covariance_is_that_of_the_noise_and_no_less_than_that_of_the_pool() -> None:
    """4,000 people: inverses of sums with noise scatter as stated, and so do those of other pools."""
    rng = np.random.default_rng(3)
    pool, _ = people(rng, 4_000)
    blurs = [moments_blur(noisy_moments(pool, "17", rng)) for _ in range(300)]
    inverses = np.array([np.ravel(one.inverse_ppb) for one in blurs]) / PPB
    loud = np.array(learned(exact(pool, "17")).inverse_covariance) / 1e12
    sampled = np.array(learned(exact(pool)).inverse_covariance) / 1e12
    drawn = np.array(implied_blur(pool, SeededEntropy(1)).inverse_covariance) / 1e12
    assert np.trace(loud - sampled) == pytest.approx(np.trace(np.cov(inverses.T)), rel=0.3)
    ratios = []
    for _ in range(200):
        x = rng.normal(size=4)
        x -= x.mean()
        ratios.append([np.einsum("i,j,ikjk->", x, x, one.reshape(4, 4, 4, 4))
                       for one in (sampled, drawn)])  # fmt: skip
    bound, bootstraps = np.array(ratios).T
    assert (bound > bootstraps).all()
    assert np.median(bound / bootstraps) < 10


def test_pairs_of_declared_groups_are_nobody_s() -> None:
    """Sex x race: no person is of both sexes, so these sums are 0 without noise, and M is in blocks."""
    layout = Layout.of(preset("united-states"))
    (block,) = (one for one in layout.blocks if one.attribute == "sex x race")
    possible = layout.together(block)
    assert possible.tolist() == np.kron(np.eye(2, dtype=bool), np.ones((4, 4), bool)).tolist()
    (race,) = (one for one in layout.blocks if one.attribute == "race")
    assert layout.together(race).all()
    rng = np.random.default_rng(2)
    posterior, _ = people(rng, 20_000)
    women = (rng.random(20_000) < 0.5)[:, None]
    pool = np.hstack([posterior * women, posterior * ~women])
    blur = moments_blur(noisy_moments(pool, "17", rng, possible))
    matrix = np.array(blur.matrix_ppb) / PPB
    assert not matrix[:4, 4:].any()
    assert matrix[:4, :4] == pytest.approx(implied(posterior), abs=0.05)
    unknown = np.array(blur.inverse_covariance).reshape(8, 8, 8, 8)
    assert not unknown[:4, 4:].any()


def test_what_noise_hides_is_no_model() -> None:
    rng = np.random.default_rng(4)
    pool, _ = people(rng, 400)
    with pytest.raises(Refused, match=r"more people|differ between groups"):
        moments_blur(noisy_moments(pool, "17", rng))
    alike = np.tile([0.5, 0.5], (5_000, 1))
    with pytest.raises(Refused, match="differ between groups"):
        moments_blur(exact(alike))


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"sums": ((1,),)}, "two groups"),
        ({"sums": ((1, 2), (3, 4))}, "upper triangle"),
        ({"unit": 0}, "unit of one"),
        ({"sigma": Fraction(-1)}, "noise of zero"),
    ],
)
def test_moments_that_are_none_are_refused(members, says) -> None:
    with pytest.raises(ValueError, match=says):
        Moments(**{"sums": ((2, 1), (2,)), "unit": 1, "sigma": Fraction(0), **members})


def test_nobody_left_of_a_group_tells_nothing() -> None:
    assert learned(Moments(sums=((5, -1), (-3,)), unit=1, sigma=Fraction(1))) is None
    assert "5" not in repr(Moments(sums=((5, 1), (3,)), unit=1, sigma=Fraction(1)))


def test_tables_of_one_machine_are_those_of_all() -> None:
    """Made once on x86-64 with Python 3.11."""
    found = learned(Moments(sums=((700, 111, 13), (250, 17), (90,)), unit=3, sigma=Fraction("1.5")))
    assert found is not None
    assert found.inverse_ppb[0] == GOLDEN[0]
    assert found.inverse_covariance[1] == GOLDEN[1]


GOLDEN = (
    (1_266_948_838, -255_626_376, -11_322_462),
    (
        -7_811_506_900,
        8_306_368_212,
        -494_861_312,
        16_139_718_805,
        -17_332_614_109,
        1_192_895_305,
        -3_510_689_604,
        4_327_207_693,
        -816_518_089,
    ),
)


def test_the_published_path_uses_no_operation_that_may_differ() -> None:
    tree = ast.parse(inspect.getsource(moments))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            assert "numpy" not in ast.unparse(node)
            assert "math" not in ast.unparse(node)
        assert not isinstance(node, ast.Pow)
        assert not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "sum")
