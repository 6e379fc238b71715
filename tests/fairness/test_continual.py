"""Running sums with noise: the factorisation by algebra, its error by the literature, crashes."""

from fractions import Fraction
from math import sqrt

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.privacy.continual import (
    ContinualState,
    ContinualSum,
    coefficients,
    column_norm,
    noise_covariance,
)
from ringwork.fairness.privacy.samplers import NoisePool
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Refused

NEARLY_NO_NOISE = Fraction(1, 1 << 24)
"""Sigma of a sixteenth of a grid step: what is drawn is 0."""


def stream(steps=8, sigma=NEARLY_NO_NOISE, units=(1,), seed=1):
    return ContinualSum(steps=steps, sigma=sigma, units=units, pool=NoisePool(SeededEntropy(seed)))


def toeplitz(steps: int) -> np.ndarray:
    f = np.array(coefficients(steps)) / 2**20
    return np.array([[f[i - j] if i >= j else 0 for j in range(steps)] for i in range(steps)])


def test_the_coefficients_are_those_of_the_paper() -> None:
    # 1, 1/2, 3/8, 5/16, 35/128 on the grid of 2**-20.
    assert coefficients(5) == (1 << 20, 1 << 19, 3 << 17, 5 << 16, 35 << 13)


def test_the_square_of_c_is_the_prefix_sum() -> None:
    c = toeplitz(64)
    assert np.abs(c @ c - np.tril(np.ones((64, 64)))).max() < 1e-5


@pytest.mark.parametrize(
    ("steps", "norm", "error", "tree"),
    [(16, 1.3942, 1.80, 3.21), (64, 1.5456, 2.23, 4.59), (256, 1.6826, 2.67, 6.00)],
)
def test_norm_and_error_are_those_of_the_literature(steps, norm, error, tree) -> None:
    assert column_norm(steps) == pytest.approx(norm, abs=5e-5)
    covariance = noise_covariance(column_norm(steps), range(1, steps + 1), of=steps)
    assert sqrt(np.trace(covariance) / steps) == pytest.approx(error, abs=5e-3)
    # A binary tree: each contribution is in one node per level, a prefix in one per bit.
    bits = [bin(step).count("1") for step in range(1, steps + 1)]
    assert sqrt(steps.bit_length() * sum(bits) / steps) == pytest.approx(tree, abs=5e-3)


def test_the_norm_is_never_understated() -> None:
    for steps in (1, 2, 63, 1000):
        squares = sum(Fraction(f, 1 << 20) ** 2 for f in coefficients(steps))
        assert Fraction(column_norm(steps)) ** 2 >= squares
        assert column_norm(steps) == pytest.approx(sqrt(squares), rel=1e-12)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=64))
def test_without_noise_the_running_sums_are_exact(increments) -> None:
    sums = stream(steps=64, units=(1, 256))
    so_far = np.zeros(2, int)
    for increment in increments:
        so_far += increment
        assert sums.add(increment) == so_far.tolist()


@given(st.data())
def test_neighbouring_logs_differ_within_the_sensitivity(data) -> None:
    """c contributions of one unit, at any steps, become any others: w moves by at most the bound."""
    steps, c = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 5))
    when = data.draw(st.lists(st.integers(0, steps - 1), min_size=c, max_size=c))
    x, y = np.zeros((2, steps, 3))
    for at in when:
        before, after = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 3)))
        x[at, before] += 1
        if after < 3:  # 3: it vanished
            y[at, after] += 1
    moved = np.linalg.norm(toeplitz(steps) @ (x - y))
    assert moved <= sqrt(2) * c * column_norm(steps) * (1 + 1e-12)


def test_the_sensitivity_is_reached() -> None:
    x = np.zeros((16, 2))
    x[0] = [1, -1]
    assert np.linalg.norm(toeplitz(16) @ x) == pytest.approx(sqrt(2) * column_norm(16))


def test_the_noise_has_the_covariance_that_is_said() -> None:
    sums = stream(steps=4, sigma=5, units=(1,) * 4000)
    drawn = np.array([sums.add((0,) * 4000) for _ in range(4)], float)
    said = sums.noise_covariance()
    assert np.abs(np.cov(drawn) - said).max() < 0.1 * said[0, 0]
    assert said[0, 0] == pytest.approx(25)  # the first step is w itself
    assert said[0, 1] > 0  # releases are not independent
    assert sums.noise_covariance([2, 4]) == pytest.approx(said[np.ix_([1, 3], [1, 3])])


def test_noise_is_scaled_with_the_unit() -> None:
    sums = stream(steps=1, sigma=4, units=(1,) * 2000 + (256,) * 2000)
    drawn = np.array(sums.add((0,) * 4000), float)
    assert drawn[:2000].std() == pytest.approx(4, rel=0.06)
    assert drawn[2000:].std() == pytest.approx(4 * 256, rel=0.06)


def test_asking_again_gives_the_same_and_draws_nothing() -> None:
    pool = NoisePool(SeededEntropy(1))
    sums = ContinualSum(steps=4, sigma=4, pool=pool)
    first = sums.add([10])
    sums.add([5])
    at = pool._at
    assert sums.prefix_sums(1) == first == sums.prefix_sums(1)
    assert pool._at == at


def test_a_crash_needs_the_released_values_and_the_data_alone() -> None:
    before = stream(steps=4, sigma=4, units=(1, 256), seed=1)
    given = [(3, 700), (0, 0), (9, 2304)]
    told = [before.add(one) for one in given]
    # Another process, another pool: from the log, or from a snapshot.
    after = stream(steps=4, sigma=4, units=(1, 256), seed=99)
    for increment, values in zip(given, before.released, strict=True):
        after.restore(increment, values)
    stored = msgspec.msgpack.encode(before.state)
    again = ContinualSum.of(
        msgspec.msgpack.decode(stored, type=ContinualState), NoisePool(SeededEntropy(99))
    )
    for one in (after, again):
        assert [one.prefix_sums(step) for step in (1, 2, 3)] == told
        assert one.step == 3
    assert after.add((1, 256)) == again.add((1, 256))


def test_no_more_is_released_than_was_declared() -> None:
    sums = stream(steps=1)
    sums.add([1])
    with pytest.raises(Refused, match="budget-spent: expected at most 1 releases"):
        sums.add([1])
    assert sums.step == 1
    assert sums.prefix_sums(1) == [1]


def test_all_increments_together_are_bounded() -> None:
    sums = stream(steps=2)
    assert sums.add([1 << 40]) == [1 << 40]
    with pytest.raises(ValueError, match=r"sums up to 2\*\*40 over all steps"):
        sums.add([1])


@pytest.mark.parametrize("increment", [[1, 2], [-1], [], [(1 << 40) + 1], [1 << 80]])
def test_a_wrong_increment_is_refused_and_draws_nothing(increment) -> None:
    sums = stream(steps=2)
    with pytest.raises(ValueError, match="increment: expected"):
        sums.add(increment)
    assert sums.step == 0


def test_wrong_shapes_are_refused() -> None:
    for steps in (0, 4097):
        with pytest.raises(ValueError, match="steps: expected 1 to 4096"):
            stream(steps=steps)
    for units in ((), (0,)):
        with pytest.raises(ValueError, match="units: expected"):
            stream(units=units)
    with pytest.raises(ValueError, match="step: expected 1 to 0, got 1"):
        stream().prefix_sums(1)
    with pytest.raises(ValueError, match="expected steps from 1 to 8"):
        stream().noise_covariance([9])


def test_a_plans_sigma_is_read_as_it_is_written() -> None:
    assert stream(sigma=5.66).state.sigma == "283/50"
    assert stream(sigma=4.0).state.sigma == "4"


def test_exact_sums_are_in_no_repr() -> None:
    sums = stream(steps=2)
    sums.add([123456789])
    assert repr(sums.state) == "ContinualState(steps=2)"
    assert "123456789" not in repr(sums)
