"""Published figures: rationals by hand, the same bits everywhere, and NumPy's within 1e-9."""

import ast
import hashlib
import inspect
from fractions import Fraction
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.measure import draws, evidence, exact, linear, shrink
from ringwork.fairness.measure.confusion import implied_blur, moments_blur
from ringwork.fairness.measure.draws import DRAWS_SHA256, normal_draws
from ringwork.fairness.measure.exact import (
    Blur,
    Estimated,
    Observed,
    Prior,
    deattenuated,
    default_prior,
    direct_ppb,
    prior_of,
    proxy_ppb,
)
from ringwork.fairness.measure.lattice import made
from ringwork.fairness.measure.observed import shares as exact_shares
from ringwork.fairness.model import PPB
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Refused
from tests.fairness.calibrated_world import MIX, ads, noisy_moments, people, ppb

PRIOR = default_prior(4, 60_000)


def seen(sums, impressions, eligible, *, ad="a", segment=0, unit=1, noise=0, **rest) -> Observed:
    return Observed(
        ad=ad,
        segment=segment,
        impressions=impressions,
        sums=tuple(sums),
        unit=unit,
        eligible_ppb=ppb(eligible),
        noise_variance=noise,
        **rest,
    )


@cache
def world():
    posterior, group = people(np.random.default_rng(11))
    blur = implied_blur(posterior[:20_000], SeededEntropy(5))
    return posterior[20_000:], group[20_000:], blur


def some_ads(count: int, impressions: int, noise: float = 0.0, seed: int = 1, spread: float = 0.06):
    posterior, group, _ = world()
    rng = np.random.default_rng(seed)
    return ads(
        rng, posterior, group, count=count, impressions=impressions, noise=noise, spread=spread
    )


def identity_blur(**changes) -> Blur:
    one = tuple(tuple(PPB if i == j else 0 for j in range(2)) for i in range(2))
    none = ((0, 0), (0, 0))
    return msgspec.structs.replace(
        Blur(
            matrix_ppb=one,
            inverse_ppb=one,
            within_ppb=none,
            inverse_covariance=((0,) * 4,) * 4,
            pool_size=1000,
            source="implied",
            condition_milli=1000,
            draws_sha256=DRAWS_SHA256,
        ),
        **changes,
    )


# ---- the proxy figure -----------------------------------------------------------------------------
def test_a_variance_by_hand() -> None:
    """60 women of 100, eligible 50 %: ten points."""
    assert proxy_ppb(seen((60, 40), 100, (0.5, 0.5))) == 100_000_000


def test_noisy_sums_are_corrected_to_what_was_billed() -> None:
    """62 + 44 is 6 too many: 3 off each, 59 of 100."""
    assert proxy_ppb(seen((62, 44), 100, (0.5, 0.5))) == 90_000_000


def test_unknown_is_corrected_and_then_left_out() -> None:
    """63 + 43 + 3 is 9 too many: 60, 40 and no unknown."""
    assert proxy_ppb(seen((63, 43, 3), 100, (0.5, 0.5))) == 100_000_000


def test_a_third_is_rounded_half_to_even() -> None:
    assert proxy_ppb(seen((1, 2), 3, (0.5, 0.5))) == 166_666_667


def test_segments_are_averaged_before_the_norm() -> None:
    """+10 points on 100 impressions, -10 points on 300: five points, not ten."""
    first = seen((60, 40), 100, (0.5, 0.5))
    second = seen((60, 240), 300, (0.3, 0.7), segment=1)
    assert proxy_ppb(first, second) == 50_000_000


def test_a_group_that_nobody_of_was_eligible_counts() -> None:
    assert proxy_ppb(seen((90, 10), 100, (1.0, 0.0))) == 100_000_000


@pytest.mark.parametrize(
    "nobody",
    [
        seen((0, 0, 0), 0, (0.5, 0.5)),
        seen((3, -4), 0, (0.5, 0.5), noise=16_000_000),
        seen((0, 0, 90), 90, (0.5, 0.5)),
    ],
    ids=["no impressions", "noise alone", "all unknown"],
)
def test_who_reached_nobody_has_no_figure(nobody: Observed) -> None:
    assert proxy_ppb(nobody) is None
    assert direct_ppb(nobody) is None
    (found,) = deattenuated([msgspec.structs.replace(nobody, ad="x")], identity_blur())
    assert found == Estimated(ad="x", deattenuated_ppb=None, interval_ppb=(0, PPB), band_ppb=None)


def test_noise_beyond_all_impressions_is_no_more_than_one() -> None:
    assert proxy_ppb(seen((90, -90), 2, (0.1, 0.9), noise=10**10)) == PPB


@pytest.mark.parametrize(
    ("sums", "eligible", "says"),
    [((1, 2, 3, 4), (0.5, 0.5), "2 groups"), ((1,), (1.0,), "1 groups")],
)
def test_sums_of_other_groups_are_named(sums, eligible, says) -> None:
    with pytest.raises(ValueError, match=says):
        seen(sums, 10, eligible)


def test_a_segment_twice_is_a_duplicate_and_not_added() -> None:
    once = seen((60, 40), 100, (0.5, 0.5))
    with pytest.raises(ValueError, match="each segment once"):
        deattenuated([once, once], identity_blur())
    with pytest.raises(ValueError, match="a unit >= 1"):
        msgspec.structs.replace(once, unit=0)


@given(
    st.lists(st.integers(-50, 500), min_size=2, max_size=7),
    st.integers(1, 2_000),
    st.integers(0, 2**32),
    st.booleans(),
)
def test_the_proxy_figure_is_the_formula_in_rationals(raw, impressions, seed, unknown) -> None:
    groups = len(raw) - 1 if unknown and len(raw) > 2 else len(raw)
    eligible = ppb(np.random.default_rng(seed).dirichlet(np.ones(groups)))
    found = Observed(
        ad="a",
        segment=0,
        impressions=impressions,
        sums=tuple(raw),
        unit=1,
        eligible_ppb=eligible,
        noise_variance=0,
    )
    off = Fraction(sum(raw) - impressions, len(raw))
    known = [one - off for one in raw][:groups]
    if sum(known) <= 0:
        assert proxy_ppb(found) is None
        return
    shares = [one / sum(known) for one in known]
    variance = sum(abs(s - Fraction(e, PPB)) for s, e in zip(shares, eligible, strict=True)) / 2
    assert proxy_ppb(found) == min(round(variance * PPB), PPB)


# ---- declared attributes ---------------------------------------------------------------------------
def test_the_interval_of_a_declared_attribute_by_hand() -> None:
    """Noise of sd 8 on each of two sums, mean taken out: sd 8 / sqrt 2 on 400, 1.96 of it 2.77 %."""
    figure, low, high = direct_ppb(seen((240, 160), 400, (0.5, 0.5), noise=64_000_000))
    assert figure == 100_000_000
    assert (high - figure) / PPB == pytest.approx(1.96 * 8 / 2**0.5 / 400, rel=0.01)
    assert figure - low == high - figure


def test_without_noise_what_was_delivered_is_known() -> None:
    observed = seen((240, 160), 400, (0.5, 0.5))
    assert direct_ppb(observed) == (100_000_000,) * 3
    _, low, high = direct_ppb(observed, sampling=True)
    assert (high - low) / PPB == pytest.approx(2 * 1.96 * (0.24 / 400) ** 0.5, rel=0.01)


def test_noise_of_the_eligible_shares_by_hand() -> None:
    """Two shares of a half, s = 2 points: s / sqrt 2 on their difference, 1.96 of it 2.77 points."""
    figure, low, high = direct_ppb(seen((240, 160), 400, (0.5, 0.5), eligible_noise_ppb=20_000_000))
    assert figure == 100_000_000
    assert (high - figure) / PPB == pytest.approx(1.96 * 0.02 / 2**0.5, rel=0.01)
    assert figure - low == high - figure


@pytest.mark.parametrize(
    ("mixes", "times"), [(((0.5, 0.5),) * 2, 1), (((0.5, 0.5), (0.4, 0.6)), 0.5)]
)
def test_segments_whose_audience_was_measured_once_err_together(mixes, times) -> None:
    """The same release in both: its error stays; of two releases half the variance is left."""
    first, second = (
        seen((100, 100), 200, mix, segment=at, eligible_noise_ppb=20_000_000)
        for at, mix in enumerate(mixes)
    )
    found = evidence.noise([(one, exact_shares(one)) for one in (first, second)], None, 0.0)
    assert found[0][0] == pytest.approx(0.02**2 / 2 * times, rel=0.05)
    assert found[0][1] == pytest.approx(-found[0][0])


@pytest.mark.parametrize("unknown", [0.0, 0.3])
def test_the_interval_covers_with_and_without_an_unknown_bucket(unknown: float) -> None:
    rng = np.random.default_rng(2)
    mix = np.array([0.2, 0.3, 0.5])
    held = 0
    for _ in range(400):
        true = rng.multinomial(500, [*(mix * (1 - unknown)), unknown])
        kept = true if unknown else true[:3]
        sums = np.rint(kept + rng.normal(0, 8, len(kept))).astype(int).tolist()
        truth = np.abs(true[:3] / true[:3].sum() - mix).sum() / 2 * PPB
        _, low, high = direct_ppb(seen(sums, 500, mix, noise=64_000_000))
        held += low <= truth <= high
    assert held / 400 >= 0.95


# ---- de-attenuated ---------------------------------------------------------------------------------
def test_the_blur_is_taken_out() -> None:
    """Enough impressions, no noise: M = [[.8, .2], [.3, .7]] showed half of the truth."""
    blur = identity_blur(
        matrix_ppb=((800_000_000, 200_000_000), (300_000_000, 700_000_000)),
        inverse_ppb=((1_400_000_000, -400_000_000), (-600_000_000, 1_600_000_000)),
    )
    prior = Prior(covariance_ppb=((10**7, -(10**7)), (-(10**7), 10**7)), ads=0)
    observed = seen((5_500_000, 4_500_000), 10_000_000, (0.5, 0.5))
    (found,) = deattenuated([observed], blur, prior=prior)
    assert proxy_ppb(observed) == 50_000_000
    assert found.deattenuated_ppb == pytest.approx(100_000_000, abs=1_000)


@pytest.mark.parametrize(("impressions", "noise"), [(300, 0.0), (300, 8.0), (5_000, 0.0)])
def test_numpy_agrees_to_a_billionth(impressions: int, noise: float) -> None:
    observed, _ = some_ads(40, impressions, noise)
    blur = world()[2]
    published = deattenuated(observed, blur, kappa_ppm=(100_000,))
    live = shrink.deattenuated(observed, blur, kappa_ppm=(100_000,))
    for one, other in zip(published, live, strict=True):
        assert one.ad == other.ad
        left = (one.deattenuated_ppb, *one.interval_ppb, *one.band_ppb)
        right = (other.deattenuated_ppb, *other.interval_ppb, *other.band_ppb)
        assert np.abs(np.subtract(left, right)).max() <= 1


def test_numpy_agrees_where_ads_have_segments_unknown_and_noisy_counts() -> None:
    posterior, _, blur = world()
    rng = np.random.default_rng(4)
    observed = []
    for ad in range(12):
        for segment in range(1 + ad % 3):
            sums = rng.multinomial(400, [*(posterior[ad] * 0.9), 0.1]).tolist()
            observed.append(
                seen(
                    sums if ad % 2 else sums[:4],
                    400 if ad % 2 else sum(sums[:4]),
                    MIX,
                    ad=f"ad{ad}",
                    segment=segment,
                    noise=9_000_000,
                    people=(0, 90, 500)[ad % 3],
                    impressions_noise_variance=9_000_000 * (ad % 2),
                    eligible_noise_ppb=6_000_000 * (ad % 3),
                )
            )
    observed.append(seen((0, 0, 0, 0), 0, MIX, ad="none"))
    asked = {"prior": PRIOR, "kappa_ppm": (50_000,), "thresholds_ppm": (50_000, 100_000)}
    published = deattenuated(observed, blur, **asked)
    live = shrink.deattenuated(observed, blur, **asked)
    assert len(published) == 13
    for one, other in zip(published, live, strict=True):
        assert np.abs(np.subtract(one.interval_ppb, other.interval_ppb)).max() <= 1
        assert (one.deattenuated_ppb is None) == (one.ad == "none")
        assert len(one.within_ppm) == (0 if one.ad == "none" else 2)
        # A draw on a threshold may fall to either side: one of 1,024.
        assert np.abs(np.subtract(one.within_ppm, other.within_ppm)).max(initial=0) <= 977


# ---- chance, which no controller sees -------------------------------------------------------------
NOTHING = Prior(covariance_ppb=((0, 0), (0, 0)), ads=0)


@pytest.mark.parametrize(("people", "mean"), [(0, 0.05), (100, 0.05), (25, 0.08)])
def test_an_ad_is_drawn_to_no_less_than_chance_by_hand(people: int, mean: float) -> None:
    """60 of 100 to one of two even groups: 10 points, of which noise as large as chance takes half.

    Chance of a share is .25 / 100, noise of variance 50 on each sum is 50 / 2 / 100^2, which is the
    same: half of 10 points stays, its variance half of either. By 25 people chance is four times
    as large.
    """
    one = seen((60, 40), 100, (0.5, 0.5), noise=50_000_000, people=people)
    (found,) = deattenuated([one], identity_blur(), prior=NOTHING, thresholds_ppm=(50_000,))
    chance = 0.0025 * (100 / people if people else 1)
    deviation = np.sqrt(chance * 0.0025 / (chance + 0.0025))
    drawn = np.abs(mean + deviation * np.random.default_rng(1).standard_normal(200_000))
    assert found.deattenuated_ppb / PPB == pytest.approx(drawn.mean(), abs=0.001)
    assert found.within_ppm[0] / 1e6 == pytest.approx((drawn <= 0.05).mean(), abs=0.02)


def test_what_a_controller_cancels_is_what_it_measured_and_the_figures_know_it() -> None:
    """A controller that takes back all that was measured leaves the error of the measurement.

    Chance and noise are alike in size; it gives back its best estimate of chance at each release.
    What is measured then is near nothing, and the truth is not.
    """
    rng = np.random.default_rng(8)
    count, size, noise = 400, 400, 10.0
    chance = rng.normal(0, 0.5 / np.sqrt(size), count)  # of a share
    measured = chance + rng.normal(0, noise / np.sqrt(2) / size, count)
    gain = (0.25 / size) / (0.25 / size + noise**2 / 2 / size**2)
    truth = chance - gain * measured
    left = (1 - gain) * measured
    observed = [
        seen((256 * size * (0.5 + one), 256 * size * (0.5 - one)), size, (0.5, 0.5), ad=str(at),
             unit=256, noise=round((noise * 256) ** 2 * 1e6))
        for at, one in enumerate(left)
    ]  # fmt: skip
    observed = [msgspec.structs.replace(one, sums=tuple(map(round, one.sums))) for one in observed]
    bound = 0.02
    found = shrink.deattenuated(observed, identity_blur(), thresholds_ppm=(20_000,))
    low, high = np.array([one.interval_ppb for one in found]).T / PPB
    within = np.array([one.within_ppm[0] for one in found]) / 1e6
    true = np.abs(truth) <= bound
    assert 0.92 <= np.mean((low <= np.abs(truth)) & (np.abs(truth) <= high)) <= 0.99
    # They do not know what the controller did, so they say rather too little than too much.
    assert true.mean() - 0.08 <= within.mean() <= true.mean() + 0.02
    shown = np.array([proxy_ppb(one) for one in observed]) / PPB <= bound
    assert shown.mean() > true.mean() + 0.03  # what a count of measured figures would have said


def test_less_error_than_the_proxy_and_intervals_that_cover() -> None:
    ratios, covered = [], []
    for impressions, noise in ((300, 8.0), (1_000, 0.0), (5_000, 0.0)):
        observed, truth = some_ads(300, impressions, noise, seed=impressions)
        found = shrink.deattenuated(observed, world()[2])
        figure = np.array([one.deattenuated_ppb for one in found]) / PPB
        naive = np.array([proxy_ppb(one) for one in observed]) / PPB
        low, high = (np.array([one.interval_ppb[side] for one in found]) / PPB for side in (0, 1))
        ratios.append(np.sqrt(np.mean((figure - truth) ** 2) / np.mean((naive - truth) ** 2)))
        covered.append(np.mean((low <= truth) & (truth <= high)))
    assert ratios[0] < 1
    assert ratios[1] < 0.45
    assert ratios[2] < 0.25
    assert min(covered) > 0.90


@cache
def ads_of_audiences_with_noise(told: bool):
    """(ads, truth): 1,000 impressions each, to an audience of 2,000 people measured at sigma 12.

    ``told``: whether the log says that the eligible shares have noise.
    """
    posterior, group, _ = world()
    rng = np.random.default_rng(21)
    found, truth = [], []
    for ad in range(1_000):
        at = rng.choice(len(group), 2_000, replace=False)
        audience, groups = posterior[at], group[at]
        (one,), (variance,) = ads(rng, audience, groups, count=1, impressions=1_000, noise=8.0)
        noisy = np.maximum(audience.sum(0) + rng.normal(0, 12, 4), 0)
        found.append(
            msgspec.structs.replace(
                one,
                ad=f"ad{ad}",
                eligible_ppb=ppb(noisy / noisy.sum()),
                eligible_noise_ppb=round(12 / noisy.sum() * PPB) if told else 0,
            )
        )
        truth.append(variance * PPB)
    return found, truth


def test_intervals_cover_though_the_eligible_shares_have_noise_and_not_where_it_is_not_said() -> (
    None
):
    """Of race, drawn towards a prior of many ads: T is that of ads in general, not of these.

    A T that is learned from ads whose noise is not said takes that noise for differences of ads,
    and hides it from the count.
    """
    spread = np.full((4, 4), -(0.06**2) / 4) + np.eye(4) * 0.06**2
    table = tuple(tuple(int(one) for one in row) for row in np.rint(spread * PPB))
    prior = Prior(covariance_ppb=table, ads=500)
    held = {}
    for told in (True, False):
        observed, truth = ads_of_audiences_with_noise(told)
        found = [
            one
            for start in range(0, 1_000, 25)
            for one in shrink.deattenuated(observed[start : start + 25], world()[2], prior=prior)
        ]
        within = [
            low <= true <= high
            for (low, high), true in zip([one.interval_ppb for one in found], truth, strict=True)
        ]
        held[told] = np.mean(within)
    assert 0.93 <= held[True] <= 0.97
    assert held[False] < held[True] - 0.02


def test_the_interval_of_a_declared_attribute_covers_though_the_eligible_shares_have_noise() -> (
    None
):
    """1,000 impressions at a noise of 8, to an audience of 2,000 people measured at sigma 12."""
    rng = np.random.default_rng(5)
    held = {True: 0, False: 0}
    for _ in range(1_500):
        people = rng.binomial(2_000, 0.45)
        measured = np.array([people, 2_000 - people]) + np.rint(rng.normal(0, 12, 2))
        delivered = rng.binomial(1_000, 0.60)
        exactly = np.array([delivered, 1_000 - delivered])
        sums = np.rint(exactly + rng.normal(0, 8, 2)).astype(int).tolist()
        truth = abs(delivered / 1_000 - people / 2_000) * PPB
        error = round(12 / measured.sum() * PPB)
        for told in held:
            one = seen(
                sums, 1_000, measured / measured.sum(), noise=64_000_000,
                eligible_noise_ppb=error if told else 0,
            )  # fmt: skip
            _, low, high = direct_ppb(one)
            held[told] += low <= truth <= high
    assert 0.93 <= held[True] / 1_500 <= 0.97
    assert held[False] / 1_500 < 0.91


@pytest.mark.parametrize(("pool", "ratio"), [(3_000, 0.45), (50_000, 0.42)])
def test_intervals_cover_though_the_blur_was_learned_with_noise(pool: int, ratio: float) -> None:
    """Worlds of ads at 1,000 impressions, each with a model of its own: sigma 17 on its moments."""
    spread = np.full((4, 4), -(0.06**2) / 4) + np.eye(4) * 0.06**2
    table = tuple(tuple(int(one) for one in row) for row in np.rint(spread * PPB))
    prior = Prior(covariance_ppb=table, ads=500)
    rng = np.random.default_rng(17)
    covered, errors, naive = [], [], []
    for _ in range(36):
        posterior, group = people(rng, pool)
        try:
            blur = moments_blur(noisy_moments(posterior, "17", rng))
        except Refused:  # so small a pool has no model then
            continue
        observed, truth = ads(rng, posterior, group, count=25, impressions=1_000, noise=5.8)
        found = shrink.deattenuated(observed, blur, prior=prior)
        low, high = np.array([one.interval_ppb for one in found]).T / PPB
        covered.append(np.mean((low <= truth) & (truth <= high)))
        figure = np.array([one.deattenuated_ppb for one in found]) / PPB
        errors.append(np.mean((figure - truth) ** 2))
        naive.append(np.mean((np.array([proxy_ppb(one) for one in observed]) / PPB - truth) ** 2))
    assert len(covered) >= 32
    assert 0.93 <= np.mean(covered) <= 0.97
    assert np.sqrt(np.mean(errors) / np.mean(naive)) <= ratio


def test_small_effects_are_not_blown_up() -> None:
    """Plain M^-1 is worse than the proxy here; shrunk it is not."""
    observed, truth = some_ads(200, 300, 8.0, spread=0.02)
    found = shrink.deattenuated(observed, world()[2])
    naive = np.array([proxy_ppb(one) for one in observed]) / PPB - truth
    shrunk = np.array([one.deattenuated_ppb for one in found]) / PPB - truth
    assert np.mean(shrunk**2) < np.mean(naive**2)


def test_em_has_come_to_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    observed, _ = some_ads(120, 300, 8.0)
    blur = world()[2]
    sums = shrink._Sums(observed, [one.ad for one in observed], 4)
    delta, sigma = shrink.evidence(sums, blur, 0.0)
    after = shrink.learned(delta, sigma)
    monkeypatch.setattr(shrink, "ROUNDS", 2_000)
    at_last = shrink.learned(delta, sigma)
    assert np.sqrt(np.trace(after)) == pytest.approx(np.sqrt(np.trace(at_last)), rel=0.05)


def test_many_ads_are_thinned_evenly_for_the_prior_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    observed, _ = some_ads(70, 1_000)
    blur = world()[2]
    monkeypatch.setattr(exact, "PRIOR_ADS_MAX", 35)
    monkeypatch.setattr(shrink, "PRIOR_ADS_MAX", 35)
    thinned = deattenuated(observed, blur)
    assert prior_of(observed, blur).covariance_ppb == prior_of(observed[::2], blur).covariance_ppb
    assert len(thinned) == 70
    for one, other in zip(thinned, shrink.deattenuated(observed, blur), strict=True):
        assert abs(one.deattenuated_ppb - other.deattenuated_ppb) <= 1


def test_few_ads_use_the_prior_that_is_given() -> None:
    observed, _ = some_ads(29, 1_000)
    blur = world()[2]
    with pytest.raises(ValueError, match="expected a prior, since 29 ads"):
        deattenuated(observed, blur)
    wide = msgspec.structs.replace(
        PRIOR, covariance_ppb=tuple(tuple(100 * v for v in row) for row in PRIOR.covariance_ppb)
    )
    narrow = deattenuated(observed, blur, prior=PRIOR)
    assert narrow != deattenuated(observed, blur, prior=wide)
    assert prior_of(observed, blur) is None
    more, _ = some_ads(30, 1_000)
    assert deattenuated(more, blur, prior=wide) == deattenuated(more, blur)
    with pytest.raises(ValueError, match="expected 4 rows"):
        deattenuated(observed, blur, prior=Prior(covariance_ppb=((1, 0), (0, 1)), ads=0))


def test_the_default_prior_is_what_the_plan_says() -> None:
    """Six points of sd: variance .0036, and what one group gains the three others lose."""
    assert PRIOR.covariance_ppb[0] == (3_600_000, -1_200_000, -1_200_000, -1_200_000)


def test_the_prior_of_a_period_finds_how_far_ads_differ() -> None:
    """Six points of sd per coordinate, of which the mean is taken out: trace (K - 1) .0036."""
    observed, _ = some_ads(150, 5_000)
    learned = prior_of(observed, world()[2])
    assert learned.ads == 150
    trace = np.trace(np.array(learned.covariance_ppb)) / PPB
    assert trace == pytest.approx(3 * 0.0036, rel=0.25)


def test_the_band_contains_the_interval_and_a_survey_of_2000_drops_it() -> None:
    observed, _ = some_ads(35, 1_000)
    blur = world()[2]
    kappas = (0, 50_000, 150_000)
    for one in shrink.deattenuated(observed, blur, kappa_ppm=kappas):
        assert one.band_ppb[0] <= one.interval_ppb[0]
        assert one.band_ppb[1] > one.interval_ppb[1]
    for size, has_band in ((1_999, True), (2_000, False)):
        asked = msgspec.structs.replace(blur, source="both", pool_size=size)
        (first, *_) = shrink.deattenuated(observed, asked, kappa_ppm=kappas)
        assert (first.band_ppb is not None) == has_band


def test_a_blur_that_is_hardly_invertible_gives_an_interval_and_no_point() -> None:
    observed, _ = some_ads(3, 1_000)
    for milli, has_point in ((50_000, True), (50_001, False)):
        blur = msgspec.structs.replace(world()[2], condition_milli=milli)
        for found in deattenuated(observed, blur, prior=PRIOR):
            assert (found.deattenuated_ppb is not None) == has_point
            assert 0 <= found.interval_ppb[0] < found.interval_ppb[1] <= PPB


def test_eligible_share_zero_divides_nothing() -> None:
    blur = world()[2]
    observed = seen((700, 100, 150, 50), 1_000, (0.7, 0.0, 0.2, 0.1))
    (found,) = deattenuated([observed], blur, prior=PRIOR, kappa_ppm=(100_000,))
    assert found.deattenuated_ppb > proxy_ppb(observed)


def test_miscalibration_of_all_or_less_than_none_is_refused() -> None:
    observed, _ = some_ads(2, 300)
    with pytest.raises(ValueError, match="kappa"):
        deattenuated(observed, world()[2], prior=PRIOR, kappa_ppm=(1_000_000,))


def test_a_blur_of_other_groups_is_named() -> None:
    for path in (deattenuated, shrink.deattenuated):
        with pytest.raises(ValueError, match="the 4 groups of the blur"):
            path([seen((6, 4), 10, (0.5, 0.5))], world()[2], prior=PRIOR)
    with pytest.raises(ValueError, match="within_ppb: expected 2 rows"):
        identity_blur(within_ppb=((1, 2),))


# ---- the same bits everywhere -----------------------------------------------------------------------
def test_the_table_of_draws_is_what_the_script_makes() -> None:
    assert hashlib.sha256(made()).hexdigest() == DRAWS_SHA256


def test_the_draws_are_standard_normal() -> None:
    table = np.array(normal_draws(15))
    assert table.mean(0) == pytest.approx(np.zeros(15), abs=1e-7)
    assert table.std(0) == pytest.approx(np.ones(15), abs=1e-6)
    assert np.abs(np.corrcoef(table.T) - np.eye(15)).max() < 0.15
    with pytest.raises(ValueError, match="1 to 15"):
        normal_draws(16)


def test_a_changed_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "DRAWS_SHA256", "0" * 64)
    draws._file.cache_clear()
    normal_draws.cache_clear()
    with pytest.raises(ValueError, match="SHA-256"):
        normal_draws(3)
    draws._file.cache_clear()


@pytest.mark.parametrize("module", [exact, evidence, linear])
def test_the_published_path_uses_no_operation_that_may_differ(module) -> None:
    """No ``sum`` of floats (compensated from 3.12), power, numpy or function of math but sqrt."""
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert "numpy" not in (node.module or "")
            if node.module == "math":
                assert [one.name for one in node.names] == ["sqrt"]
        if isinstance(node, ast.Import):
            assert not node.names or node.names[0].name not in ("numpy", "math")
        assert not isinstance(node, ast.Pow)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "sum":
            text = ast.unparse(node)
            assert "Fraction" in text or "impressions" in text


def test_figures_of_one_machine_are_those_of_all() -> None:
    """Made once on x86-64 with Python 3.11: any other machine has to come to these very integers."""
    blur = Blur(
        matrix_ppb=((800_000_000, 200_000_000), (300_000_000, 700_000_000)),
        inverse_ppb=((1_400_000_000, -400_000_000), (-600_000_000, 1_600_000_000)),
        within_ppb=((60_000_000, -60_000_000), (-60_000_000, 60_000_000)),
        inverse_covariance=tuple(
            tuple(10**8 if i == j else 10**7 for j in range(4)) for i in range(4)
        ),
        pool_size=4_000,
        source="implied",
        condition_milli=2_500,
        draws_sha256=DRAWS_SHA256,
    )
    prior = Prior(covariance_ppb=((3_600_000, -3_600_000), (-3_600_000, 3_600_000)), ads=0)
    observed = seen((130_000, 23_600), 600, (0.8, 0.2), unit=256, noise=2_199_023_255_552)
    (found,) = deattenuated([observed], blur, prior=prior, kappa_ppm=(100_000,))
    assert found == Estimated(
        ad="a",
        deattenuated_ppb=79_718_650,
        interval_ppb=(35_670_907, 123_766_393),
        band_ppb=(35_670_907, 138_222_994),
    )


@given(st.integers(1, 6), st.integers(0, 2**32))
def test_the_small_linear_algebra_is_numpys(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    matrix = root @ root.T + 0.1 * np.eye(size)
    right = rng.normal(size=(size, 2))
    lower = linear.cholesky(matrix.tolist())
    assert np.array(lower) == pytest.approx(np.linalg.cholesky(matrix))
    solved = linear.solved(lower, right.tolist())
    assert np.array(solved) == pytest.approx(np.linalg.solve(matrix, right), rel=1e-6, abs=1e-9)
    basis = np.array(linear.sum_zero_basis(size + 1))
    assert basis.T @ basis == pytest.approx(np.eye(size), abs=1e-12)
    assert basis.sum(0) == pytest.approx(np.zeros(size), abs=1e-12)


def test_a_direction_without_variance_is_zero() -> None:
    assert linear.cholesky([[1.0, 1.0], [1.0, 1.0]]) == [[1.0, 0.0], [1.0, 0.0]]


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=40), st.floats(0, 1))
def test_quantiles_are_hazens(values: list[float], chance: float) -> None:
    ordered = sorted(values)
    expected = np.quantile(ordered, chance, method="hazen")
    assert linear.quantile(ordered, chance) == pytest.approx(expected, abs=1e-9)
