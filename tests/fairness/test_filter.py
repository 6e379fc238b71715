"""Between releases: against the joint Gaussian written out whole, and against the raw release."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.fairness.measure.confusion import implied, within_groups
from ringwork.fairness.measure.filter import Blurred, Filter, FilterBatch, FilterModel
from tests.fairness.calibrated_world import MIX, people

SEX = np.array([0.5, 0.5])
SPREAD_SEX = 0.01 * (np.eye(2) - 0.5)
SPREAD_RACE = 0.0036 * (np.eye(4) - 0.25)
POSTERIOR, _ = people(np.random.default_rng(21), 20_000)
MATRIX = implied(POSTERIOR)
RACE = Blurred(
    inverse=np.linalg.inv(MATRIX), within=within_groups(POSTERIOR, MATRIX), spread=SPREAD_RACE
)
ELIGIBLE = np.concatenate([SEX, MIX])


def root_toeplitz(steps: int, sigma: float) -> np.ndarray:
    """Covariance of the noise of a continual release: C C^T, C Toeplitz of f_k = (2k choose k)/4^k."""
    weights = [math.comb(2 * k, k) / 4**k for k in range(steps)]
    factor = np.array(
        [[weights[i - j] if i >= j else 0 for j in range(steps)] for i in range(steps)]
    )
    return sigma**2 * factor @ factor.T


def both(noise: np.ndarray, **rest) -> FilterModel:
    return FilterModel([Blurred.declared(SPREAD_SEX), RACE], noise, **rest)


def test_one_release_by_hand() -> None:
    """Sex, no noise to speak of but a prior of 10 points: 60 of 100 women, and the rate follows.

    s = r n + chance; Var(r) = .005 a coordinate, chance .25 / 100 = .0025: the rate takes 2/3.
    """
    model = FilterModel([Blurred.declared(SPREAD_SEX)], np.array([[1e-9]]), drift=0.0)
    ad = Filter(model, SEX, expected_impressions=1_000)
    ad.advance(100)
    ad.release(np.array([0.6, 0.4]))
    found = ad.measurement(progress=0.1, spent=0.1)
    assert found.deviation == pytest.approx([0.1, -0.1], abs=1e-6)
    assert found.rate_deviation == pytest.approx([0.2 / 3, -0.2 / 3], abs=1e-6)
    assert found.proxy_deviation == pytest.approx([0.1, -0.1])
    assert found.covariance == pytest.approx(np.zeros((2, 2)), abs=1e-9)


def joint(model: FilterModel, steps, direction: int, seen, noise, drift_each):
    """Mean and variance of s after the last release, by conditioning one large Gaussian.

    Unknowns: bias increments, sampling, within-group noise of each step, and all privacy noise.
    """
    count = len(steps)
    total = np.cumsum(steps)
    sampling = model.sampling(ELIGIBLE)[direction]
    rate = np.full((count, count), model.prior[direction])
    rate += drift_each * np.minimum.outer(total - steps, total - steps)  # of each step's rate
    sums = np.tril(np.ones((count, count))) * steps
    of_s = sums @ rate @ sums.T + sampling * np.minimum.outer(total, total)
    of_seen = of_s + model.within[direction] * np.minimum.outer(total, total)
    of_seen += model.privacy[direction] * noise[:count, :count]
    gain = np.linalg.solve(of_seen, of_s[:, -1])
    return gain @ seen, of_s[-1, -1] - gain @ of_s[:, -1]


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(2, 8))
def test_the_filter_is_the_joint_gaussian_when_it_remembers_all(seed: int, releases: int) -> None:
    rng = np.random.default_rng(seed)
    noise = root_toeplitz(8, 4.0)
    model = both(noise, memory=8, drift=0.3)
    ad = Filter(model, ELIGIBLE, expected_impressions=2_000)
    steps = rng.integers(10, 300, releases)
    seen = []
    for step in steps:
        shares = ELIGIBLE + rng.normal(0, 0.05, 6)
        ad.advance(int(step))
        ad.release(shares)
        seen.append(model.of_shares @ (ad.impressions * (shares - ELIGIBLE)))
    found = ad.measurement(progress=0.5, spent=0.5)
    directions = model.of_groups @ found.deviation * ad.impressions
    spread = model.of_groups @ found.covariance @ model.of_groups.T * ad.impressions**2
    for at in range(4):
        drift = 0.3 * model.prior[at] / 2_000
        mean, variance = joint(model, steps, at, np.array(seen)[:, at], noise, drift)
        assert directions[at] == pytest.approx(mean, rel=1e-5, abs=1e-5)
        assert spread[at, at] == pytest.approx(variance, rel=1e-5)


def test_eight_steps_of_memory_lose_little_where_each_release_adds_least() -> None:
    """The filter is linear: its weights, under the true law, give the error that it really makes."""
    size, releases = 5, 64
    noise = root_toeplitz(releases, 4.0)
    total = np.arange(1, releases + 1) * size
    actual = {}
    for memory in (8, releases):
        model = both(noise, memory=memory, drift=0.0)
        ads = FilterBatch(
            model, np.tile(ELIGIBLE, (releases, 1)), np.full(releases, releases * size)
        )
        every = np.arange(releases)
        one = np.linalg.pinv(model.of_shares) @ np.ones(4)
        for at in range(
            releases
        ):  # ad number ``at`` shows a deviation of one in that release alone
            ads.advance(every, np.full(releases, size))
            ads.release(every, ELIGIBLE + np.outer(every == at, one / total[at]))
        weights = ads._mean[:, :, 0]
        stated = ads._covariance[0, :, 0, 0]
        for direction in range(4):
            of_s = model.prior[direction] * np.outer(total, total)
            of_s = of_s + model.sampling(ELIGIBLE)[direction] * np.minimum.outer(total, total)
            of_seen = of_s + model.within[direction] * np.minimum.outer(total, total)
            of_seen += model.privacy[direction] * noise
            gain = weights[:, direction]
            error = of_s[-1, -1] - 2 * gain @ of_s[:, -1] + gain @ of_seen @ gain
            actual[memory, direction] = error
            if memory == releases:
                assert error == pytest.approx(stated[direction], rel=1e-3)
            else:
                assert 0.99 < error / stated[direction] < 1.12
    for direction in range(4):
        assert actual[8, direction] < 1.05 * actual[releases, direction]


def drawn_ads(rng, count: int, steps: int, size: int, sigma: float):
    """True counts and noisy soft sums of ads whose own skew is drawn from the prior."""
    told, group = people(rng)
    members = [np.flatnonzero(group == k) for k in range(4)]
    factor = np.linalg.cholesky(root_toeplitz(steps, sigma))
    for _ in range(count):
        skew = rng.normal(0, 0.06, 4)
        mix = np.clip(MIX + skew - skew.mean(), 0.005, None)
        mix /= mix.sum()
        true, soft = np.zeros(4), np.zeros(4)
        noise = factor @ rng.normal(size=(steps, 4))
        out = []
        for at in range(steps):
            counts = rng.multinomial(size, mix)
            who = np.concatenate([rng.choice(members[k], counts[k]) for k in range(4)])
            true, soft = true + counts, soft + told[who].sum(0)
            noisy = soft + noise[at]
            n = size * (at + 1)
            out.append((true / n, (noisy - (noisy.sum() - n) / 4) / n))
        yield mix, told.mean(0), out


def test_it_errs_less_than_the_release_and_knows_by_how_much() -> None:
    rng = np.random.default_rng(31)
    model = FilterModel([RACE], root_toeplitz(16, 4.0), drift=0.0)
    errors, plain, scores, rates = [], [], [], []
    for mix, eligible, releases in drawn_ads(rng, 80, 16, 20, 4.0):
        ad = Filter(model, eligible, expected_impressions=320)
        for _, shares in releases:
            ad.advance(20)
            ad.release(shares)
        found = ad.measurement(progress=1, spent=1)
        off = found.deviation - (releases[-1][0] - MIX)
        errors.append(off)
        plain.append(RACE.inverse.T @ (shares - eligible) - (releases[-1][0] - MIX))
        scores.append(off[:3] @ np.linalg.solve(found.covariance[:3, :3], off[:3]))
        rates.append(found.rate_deviation - (mix - MIX))
    assert np.mean(np.square(errors)) < 0.75 * np.mean(np.square(plain))
    assert 2.0 < np.mean(scores) < 4.2  # chi-square with 3 degrees of freedom
    assert np.std(rates) < 0.06


def test_what_the_clusters_predict_moves_the_rate_at_once() -> None:
    model = both(root_toeplitz(8, 4.0))
    ad = Filter(model, ELIGIBLE, expected_impressions=1_000)
    predicted = np.array([0.1, -0.1, 0.05, -0.05, 0.0, 0.0])
    ad.advance(200, predicted)
    found = ad.measurement(progress=0.2, spent=0.2)
    assert found.rate_deviation == pytest.approx(predicted, abs=1e-9)
    assert found.deviation == pytest.approx(predicted, abs=1e-9)
    assert np.sqrt(found.covariance[0, 0]) > 0.03  # not yet seen


def test_a_new_audience_keeps_the_past_with_its_baseline() -> None:
    """100 impressions at +10 points, then 300 at none of another audience: 2.5 points are left."""
    model = FilterModel([Blurred.declared(SPREAD_SEX)], np.diag([1e-9, 1e-9]), drift=1.0)
    ad = Filter(model, SEX, expected_impressions=400)
    ad.advance(100)
    ad.release(np.array([0.6, 0.4]))
    ad.rebase(np.array([0.3, 0.7]))
    ad.advance(300)
    ad.release(np.array([150.0, 250.0]) / 400)
    found = ad.measurement(progress=1, spent=1)
    assert found.deviation == pytest.approx([0.025, -0.025], abs=1e-6)


def test_an_attribute_of_which_nobody_is_known_waits() -> None:
    model = both(root_toeplitz(4, 4.0))
    known, unknown = (Filter(model, ELIGIBLE, expected_impressions=500) for _ in range(2))
    shares = ELIGIBLE + np.array([0.1, -0.1, 0.02, -0.02, 0.0, 0.0])
    for ad, seen in ((known, shares), (unknown, np.where(np.arange(6) < 2, np.nan, shares))):
        ad.advance(200)
        ad.release(seen)
    one, other = (ad.measurement(progress=0, spent=0) for ad in (known, unknown))
    assert other.deviation[:2] == pytest.approx([0, 0])
    assert other.deviation[2:] == pytest.approx(one.deviation[2:])
    assert np.isfinite(other.covariance).all()
    assert np.isfinite(other.proxy_deviation).all()


def test_nothing_delivered_and_counts_that_go_back_are_survived() -> None:
    ad = Filter(both(root_toeplitz(3, 4.0)), ELIGIBLE, expected_impressions=500)
    ad.release(ELIGIBLE)
    assert np.isfinite(ad.measurement(progress=0, spent=0).deviation).all()
    ad.advance(50)
    ad.advance(-20)
    assert ad.impressions == 50


def test_without_privacy_noise_and_with_a_group_of_share_zero() -> None:
    eligible = np.array([0.5, 0.5, 0.7, 0.0, 0.2, 0.1])
    ad = Filter(both(np.zeros((2, 2))), eligible, expected_impressions=500)
    ad.advance(100)
    ad.release(eligible)
    assert ad.measurement(progress=0, spent=0).deviation == pytest.approx(np.zeros(6), abs=1e-9)


def test_one_release_too_many_is_refused() -> None:
    model = both(root_toeplitz(1, 4.0))
    ad = Filter(model, ELIGIBLE, expected_impressions=500)
    ad.release(ELIGIBLE)
    with pytest.raises(ValueError, match="1 releases"):
        ad.release(ELIGIBLE)
    batch = FilterBatch(model, ELIGIBLE[None], np.array([500]))
    batch.release(np.array([0]), ELIGIBLE[None])
    with pytest.raises(ValueError, match="1 releases"):
        batch.release(np.array([0]), ELIGIBLE[None])
    with pytest.raises(ValueError, match="6 shares"):
        Filter(model, SEX, expected_impressions=500)
    with pytest.raises(ValueError, match="row of 6"):
        FilterBatch(model, ELIGIBLE[None], np.array([500, 600]))


def test_many_at_a_time_are_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(41)
    model = both(root_toeplitz(8, 4.0))
    eligible = np.column_stack([rng.dirichlet(SEX * 50, 5), rng.dirichlet(MIX * 50, 5)])
    sizes = np.array([300, 500, 1_000, 5_000, 20_000])
    single = [
        Filter(model, e, expected_impressions=int(n)) for e, n in zip(eligible, sizes, strict=True)
    ]
    batch = FilterBatch(model, eligible, sizes)
    for turn in range(8):
        ads = np.flatnonzero(rng.random(5) < 0.7)
        step = rng.integers(0, 100, len(ads))
        shares = eligible[ads] + rng.normal(0, 0.03, (len(ads), 6))
        predicted = rng.normal(0, 0.02, (len(ads), 6)) if turn % 2 else None
        if turn == 3:
            eligible = eligible[::-1].copy()
            batch.rebase(np.arange(5), eligible)
        batch.advance(ads, step, predicted)
        batch.release(ads, shares)
        for at, ad in enumerate(ads):
            if turn == 3:
                single[ad].rebase(eligible[ad])
            single[ad].advance(int(step[at]), None if predicted is None else predicted[at])
            single[ad].release(shares[at])
        if turn == 3:
            for ad in set(range(5)) - set(ads.tolist()):
                single[ad].rebase(eligible[ad])
    halves = np.full(5, 0.5)
    found = batch.measurements(np.arange(5), progress=halves, spent=halves)
    for one, other in zip(single, found, strict=True):
        alone = one.measurement(progress=0.5, spent=0.5)
        assert alone.impressions == other.impressions
        for name in ("deviation", "covariance", "proxy_deviation", "rate_deviation"):
            assert getattr(alone, name) == pytest.approx(getattr(other, name), abs=1e-12)
