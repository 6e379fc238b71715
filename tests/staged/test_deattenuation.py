"""Figures against the reference implementation."""

import importlib.util

import numpy as np
import pytest

from ringwork.fairness.measure import shrink
from ringwork.fairness.measure.confusion import implied_blur
from ringwork.fairness.model import PPB
from ringwork.kernel.entropy import SeededEntropy
from tests.fairness.calibrated_world import ads, people


@pytest.fixture(scope="module")
def reference(staged_data):
    path = staged_data / "fairness/reference/deattenuate.py"
    spec = importlib.util.spec_from_file_location("reference_deattenuate", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_blur_is_the_references(reference) -> None:
    posterior, _ = people(np.random.default_rng(51), 8_000)
    theirs = reference.Deattenuator(posterior, np.random.default_rng(1), boots=300)
    _, within = theirs.eligible(posterior)
    ours = implied_blur(posterior, SeededEntropy(1), bootstraps=300)
    assert np.array(ours.matrix_ppb) / PPB == pytest.approx(theirs.M, abs=1e-9)
    assert np.array(ours.inverse_ppb) / PPB == pytest.approx(theirs.inv, abs=1e-8)
    assert np.array(ours.within_ppb) / PPB == pytest.approx(within, abs=1e-8)
    diff = np.array([0.06, -0.03, -0.02, -0.01])
    covariance = np.array(ours.inverse_covariance).reshape(4, 4, 4, 4) / 1e12
    unknown = np.einsum("i,j,ikjl->kl", diff, diff, covariance)
    expected = np.cov(np.array([one.T @ diff for one in theirs.boot]).T)
    assert np.trace(unknown) == pytest.approx(np.trace(expected), rel=0.3)


@pytest.mark.parametrize(
    ("impressions", "noise", "spread"),
    [(300, 0.0, 0.06), (300, 8.0, 0.12), (1_000, 8.0, 0.06), (5_000, 0.0, 0.06)],
)
def test_figures_and_intervals_are_the_references(
    reference, impressions: int, noise: float, spread: float
) -> None:
    """Up to its Monte-Carlo error of 4,000 draws, and bootstraps of its own.

    It does not know that chance alone moves an ad, so ads differ by more than that.
    """
    rng = np.random.default_rng(52)
    posterior, group = people(rng, 20_000)
    sizes = {"impressions": impressions, "noise": noise, "spread": spread}
    observed, _ = ads(rng, posterior, group, count=60, **sizes)
    theirs = reference.Deattenuator(posterior, rng)
    _, within = theirs.eligible(posterior)
    eligible = np.array(observed[0].eligible_ppb) / PPB
    deltas, sigmas = [], []
    for one in observed:
        sums = np.array(one.sums) / 256
        sums -= (sums.sum() - impressions) / 4
        noisy = within / impressions + noise**2 / impressions**2 * (np.eye(4) - 0.25)
        delta, sigma = theirs.estimate(sums / impressions - eligible, noisy)
        deltas.append(delta)
        sigmas.append(sigma)
    expected = theirs.shrink(deltas, sigmas, rng, draws=4_000)
    blur = implied_blur(posterior, SeededEntropy(2))
    found = shrink.deattenuated(observed, blur)
    ours = np.array([(one.deattenuated_ppb, *one.interval_ppb) for one in found]) / PPB
    assert np.abs(ours[:, 0] - expected[:, 0]).max() < 0.003
    assert np.abs(ours[:, 1:] - expected[:, 1:]).max() < 0.012
    assert np.abs((ours - expected).mean(0)).max() < 0.001
