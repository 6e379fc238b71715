"""Exact draws: against the formulas of the paper, boundary words, and the compiled twin."""

import sys
from fractions import Fraction
from math import exp, factorial, floor, tanh

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ringwork.fairness.privacy import draws, samplers
from ringwork.fairness.privacy import draws_compiled as compiled
from ringwork.fairness.privacy.draws import WORD, Exhausted, Words
from ringwork.fairness.privacy.samplers import NoisePool
from ringwork.kernel.entropy import SeededEntropy, SystemEntropy

SIGMAS = st.fractions(Fraction(1, 16), 1 << 40, max_denominator=1000)
SCALES = st.fractions(Fraction(1, 50), 1 << 40, max_denominator=1000)


class KeyOfZeros:
    def take(self, count: int) -> bytes:
        return bytes(count)


@pytest.fixture
def plain(monkeypatch):
    """The same pool, drawing without the kernel."""

    def draw(seed, method, value, size):
        with monkeypatch.context() as patch:
            patch.setattr(samplers, "_compiled", lambda: None)
            return getattr(NoisePool(SeededEntropy(seed)), method)(value, size=size)

    return draw


def p_value(drawn, chance, least=20):
    """Chi-square of draws against a chance per value; rare values are pooled."""
    values, counts = np.unique(drawn, return_counts=True)
    seen = dict(zip(values.tolist(), counts.tolist(), strict=True))
    expected = {y: chance(y) * len(drawn) for y in range(-60, 61)}
    common = [y for y, often in expected.items() if often >= least]
    left = len(drawn) - sum(seen.get(y, 0) for y in common)
    observed = [*(seen.get(y, 0) for y in common), left]
    often = [*(expected[y] for y in common), len(drawn) - sum(expected[y] for y in common)]
    return stats.chisquare(observed, np.array(often) * len(drawn) / sum(often)).pvalue


# ---- one draw, by hand ------------------------------------------------------------------------
def test_a_fraction_is_compared_with_a_uniform_number() -> None:
    assert draws.bernoulli(Words([WORD // 2 - 1]), 1, 2) is True
    assert draws.bernoulli(Words([WORD // 2]), 1, 2) is False
    # 2**64 / 3 is 0x5555... and a third: that word decides nothing, the next one does.
    third = WORD // 3
    assert draws.bernoulli(Words([third, third - 1]), 1, 3) is True
    assert draws.bernoulli(Words([third, third + 1]), 1, 3) is False
    with pytest.raises(Exhausted):
        draws.bernoulli(Words([third, third]), 1, 3)


@given(st.data())
def test_a_fraction_has_its_chance_to_the_last_word(data: st.DataObject) -> None:
    q = data.draw(st.integers(1, 1 << 90))
    p = data.draw(st.integers(0, q))
    edge = (p << 64) // q
    if edge:
        assert draws.bernoulli(Words([edge - 1]), p, q) is True
    if edge + 1 < WORD:
        assert draws.bernoulli(Words([edge + 1]), p, q) is False


@given(st.data())
def test_the_kernel_decides_a_fraction_alike_or_says_that_it_cannot(data: st.DataObject) -> None:
    q = data.draw(st.integers(1, (1 << 62) - 1))
    p = data.draw(st.integers(0, q))
    edge = (p << 64) // q
    word = data.draw(
        st.integers(0, WORD - 1) | st.integers(max(edge - 2, 0), min(edge + 2, WORD - 1))
    )
    try:
        expected = int(draws.bernoulli(Words([word]), p, q))
    except Exhausted:
        expected = -2
    assert compiled.bernoulli(np.uint64(word), np.uint64(p), np.uint64(q)) == expected


def test_exp_of_a_fraction_counts_successes() -> None:
    # exp(-1/2): 1/2, 1/4, 1/6, ...: it fails at k = 1 or 3 -> true, at k = 2 -> false.
    low, high = 0, WORD - 1
    assert draws.exp_fraction(Words([high]), 1, 2) is True
    assert draws.exp_fraction(Words([low, high]), 1, 2) is False
    assert draws.exp_fraction(Words([low, low, high]), 1, 2) is True
    # The chance that it stops at k is g**(k-1)/(k-1)! - g**k/k!; over odd k that is exp(-g).
    g = 0.5
    odd = sum(g ** (k - 1) / factorial(k - 1) - g**k / factorial(k) for k in range(1, 30, 2))
    assert odd == pytest.approx(exp(-g))


def test_uniform_numbers_refuse_what_would_make_some_likelier() -> None:
    # 2**64 = 1 (mod 3): of all words one is refused, the one whose product ends below 1.
    assert draws.below(Words([0, WORD - 1]), 3) == 2
    assert draws.below(Words([1]), 3) == 0
    assert draws.below(Words([WORD // 2]), 2) == 1


# ---- distributions ----------------------------------------------------------------------------
@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(7, 3), 4])
def test_laplace_has_the_chances_of_the_paper(scale) -> None:
    drawn = NoisePool(SeededEntropy(11)).discrete_laplace(scale, size=400_000)
    at_zero = tanh(1 / (2 * scale))  # (e^{1/t} - 1) / (e^{1/t} + 1)
    assert p_value(drawn, lambda y: at_zero * exp(-abs(y) / scale)) > 1e-3


@pytest.mark.parametrize("sigma", [Fraction(1, 2), 1, Fraction(283, 50)])
def test_gaussian_has_the_chances_of_the_paper(sigma) -> None:
    drawn = NoisePool(SeededEntropy(12)).discrete_gaussian(sigma, size=400_000)
    total = sum(exp(-(y**2) / (2 * float(sigma) ** 2)) for y in range(-200, 201))
    assert p_value(drawn, lambda y: exp(-(y**2) / (2 * float(sigma) ** 2)) / total) > 1e-3


def test_wide_draws_are_as_normal_as_can_be_told() -> None:
    sigma = 4 << 28
    drawn = NoisePool(SeededEntropy(13)).discrete_gaussian(sigma, size=100_000)
    assert stats.kstest(drawn / sigma, "norm").pvalue > 1e-3
    drawn = NoisePool(SeededEntropy(14)).discrete_laplace(sigma, size=100_000)
    assert stats.kstest(drawn / sigma, "laplace").pvalue > 1e-3


def test_a_wrong_distribution_would_be_found() -> None:
    drawn = NoisePool(SeededEntropy(12)).discrete_gaussian(4, size=400_000)
    total = sum(exp(-(y**2) / (2 * 4.05**2)) for y in range(-200, 201))
    assert p_value(drawn, lambda y: exp(-(y**2) / (2 * 4.05**2)) / total) < 1e-3


# ---- the twin ---------------------------------------------------------------------------------
@settings(max_examples=40)
@given(SIGMAS, st.integers(0, 1000))
def test_compiled_gaussians_are_the_plain_ones(sigma, seed) -> None:
    drawn = NoisePool(SeededEntropy(seed)).discrete_gaussian(sigma, size=60)
    words = stream(seed)
    a, b = sigma.numerator**2, sigma.denominator**2
    assert drawn.tolist() == [draws.gaussian(words, a, b, floor(sigma) + 1) for _ in range(60)]


@settings(max_examples=40)
@given(SCALES, st.integers(0, 1000))
def test_compiled_laplaces_are_the_plain_ones(scale, seed) -> None:
    drawn = NoisePool(SeededEntropy(seed)).discrete_laplace(scale, size=60)
    words = stream(seed)
    assert drawn.tolist() == [
        draws.laplace(words, scale.numerator, scale.denominator) for _ in range(60)
    ]


def stream(seed: int) -> Words:
    """Many words of a pool, as one."""
    pool = NoisePool(SeededEntropy(seed))
    for _ in range(4):
        pool._refill()
    return Words(pool._words.tolist())


@pytest.mark.parametrize("method", ["discrete_laplace", "discrete_gaussian"])
def test_without_the_kernel_a_pool_draws_the_same_over_many_blocks(plain, method) -> None:
    for value in (Fraction(7, 3), 4 << 20, Fraction((1 << 60) + 1, 1 << 40)):
        expected = plain(5, method, value, 3000)
        assert (getattr(NoisePool(SeededEntropy(5)), method)(value, size=3000) == expected).all()


def test_draws_that_the_kernel_leaves_open_are_made_exactly(plain, monkeypatch) -> None:
    expected = plain(6, "discrete_gaussian", 4 << 20, 500)
    opened = []
    one = draws.gaussian
    monkeypatch.setattr(samplers, "SLACK", 1 << 46)  # 1/16 of a unit: most draws stay open
    monkeypatch.setattr(draws, "gaussian", lambda *given: opened.append(1) or one(*given))
    drawn = NoisePool(SeededEntropy(6)).discrete_gaussian(4 << 20, size=500)
    assert (drawn == expected).all()
    assert 20 < len(opened) < 500


@given(SIGMAS, st.floats(0, 40))
def test_the_exponent_lies_in_the_kernels_bracket(sigma, deviations) -> None:
    a, b, t = sigma.numerator**2, sigma.denominator**2, floor(sigma) + 1
    _, _, y_max, shift, scale, middle, slack = samplers._gaussian_constants(a, b, t)
    y = min(int(sigma * Fraction(deviations)), y_max)
    assert (y << shift) < WORD > scale
    root = abs(((y << shift) * scale >> 64) - middle)
    found = root * root >> 64
    exact = Fraction((y * b * t - a) ** 2, 2 * a * b * t * t) * 2**50
    assert found - slack <= exact <= found + slack


def test_without_numba_noise_is_drawn_all_the_same(monkeypatch) -> None:
    expected = NoisePool(SeededEntropy(3)).discrete_gaussian(4, size=50)
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "ringwork.fairness.privacy.draws_compiled")
    monkeypatch.delattr("ringwork.fairness.privacy.draws_compiled")
    samplers._compiled.cache_clear()
    try:
        assert samplers._compiled() is None
        assert (NoisePool(SeededEntropy(3)).discrete_gaussian(4, size=50) == expected).all()
    finally:
        samplers._compiled.cache_clear()


# ---- the pool ---------------------------------------------------------------------------------
def test_the_pool_is_chacha20_and_its_first_bytes_are_the_next_key() -> None:
    pool = NoisePool(KeyOfZeros())
    pool._refill()
    # RFC 8439, appendix A.1, test vector 1: the key stream of a key and nonce of zeros.
    assert pool._key.hex() == "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
    assert pool._words[:4].astype("<u8").tobytes().hex() == (
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
    )


def test_what_was_drawn_cannot_be_read_from_memory() -> None:
    pool = NoisePool(SeededEntropy(1))
    pool.discrete_gaussian(4, size=10)
    assert pool._at > 0
    assert not pool._words[: pool._at].any()
    assert pool._words[pool._at :].any()


def test_only_the_operating_systems_entropy_is_called_so() -> None:
    assert NoisePool(SystemEntropy()).entropy == "system"
    assert NoisePool(SeededEntropy(1)).entropy == "test"
    assert repr(NoisePool(SeededEntropy(1))) == "NoisePool(entropy='test')"
    one, other = (NoisePool(SystemEntropy()).discrete_laplace(1 << 40, size=4) for _ in range(2))
    assert (one != other).any()


@pytest.mark.parametrize("value", [0, -1, Fraction(-1, 2), 1 << 48])
def test_a_scale_that_no_word_holds_is_refused(value) -> None:
    pool = NoisePool(SeededEntropy(1))
    with pytest.raises(ValueError, match="sigma: expected a fraction above 0"):
        pool.discrete_gaussian(value, size=1)
    with pytest.raises(ValueError, match="scale: expected a fraction above 0"):
        pool.discrete_laplace(value, size=1)


def test_no_draws_are_no_draws() -> None:
    assert len(NoisePool(SeededEntropy(1)).discrete_gaussian(4, size=0)) == 0
