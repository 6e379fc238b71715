"""The parts of the default controller against algebra, finite differences and other optimisers."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import norm

from ringwork.fairness.control import response
from ringwork.fairness.control.dual import CARRIED_MOST, Dual
from ringwork.fairness.control.estimate import (
    BIAS,
    BIAS_LEAST,
    Family,
    departure,
    known_at_the_end,
    projector,
    scatter,
    standing,
)
from ringwork.fairness.control.hook import VALUE_BINS
from ringwork.fairness.control.lagrangian import (
    RIDGE,
    Problem,
    _dual,
    brought,
    solve,
    unsteered_spend,
)
from ringwork.fairness.control.model import AdContext, Release, Traffic, incidence, records, spans
from ringwork.fairness.control.steering import (
    VALUE_EDGES,
    VALUE_MIDDLES,
    AdTable,
    Steering,
    bins_of,
)
from tests.fairness.markets import context, measured

BLOCKS = (2, 4)
PRIOR = Family(BLOCKS).prior()


def problem(seed: int, *, tau: float = 0.0, carried: float = 0.0) -> Problem:
    """Forty cells at random, whose group shares are shares."""
    rng = np.random.default_rng(seed)
    mix = rng.dirichlet(np.full(8, 0.7), 40).T
    columns = incidence(BLOCKS)
    weight = rng.dirichlet(np.full(40, 2.0))
    eligible = columns @ (mix @ weight)
    owed = np.zeros(6)
    owed[:2] = carried, -carried
    return Problem(
        blocks=BLOCKS,
        weight=weight,
        value=np.exp(rng.normal(0, 0.4, 40) + 0.6 * (columns @ mix)[0]),
        excess=columns @ mix - eligible[:, None],
        log_price=rng.normal(0, 0.2, 40),
        price_spread=0.5,
        budget=0.08,
        carried=owed,
        delivered=0.05,
        tau=np.full(2, tau),
        price_most=np.inf,
    )


@pytest.mark.parametrize("tau", [0.0, 0.03])
@pytest.mark.parametrize("seed", range(3))
def test_gradient_and_hessian_are_the_duals(seed, tau) -> None:
    given_problem = problem(seed, tau=tau, carried=0.01)
    rng = np.random.default_rng([seed, 1])
    point = np.append(rng.normal(0, 0.3, 6), 0.4)
    _, gradient, hessian = _dual(given_problem, point)
    for at in range(7):
        step = np.zeros(7)
        step[at] = 1e-5
        up, down = _dual(given_problem, point + step), _dual(given_problem, point - step)
        assert (up[0] - down[0]) / 2e-5 == pytest.approx(gradient[at], abs=2e-6)
        # The distribution function is within 7.5e-8, so its derivative is not the density's.
        assert (up[1] - down[1]) / 2e-5 == pytest.approx(hessian[at], abs=2e-3)


@pytest.mark.parametrize("tau", [0.0, 0.03])
@pytest.mark.parametrize("seed", range(3))
def test_newton_finds_what_scipy_finds(seed, tau) -> None:
    given_problem = problem(seed, tau=tau)
    found = solve(given_problem, np.zeros(6), 1.0)
    for _ in range(4):  # each call is some damped steps on
        found = solve(given_problem, found.prices, found.pace)
    point = np.append(found.prices, np.log(found.pace))
    ours = _dual(given_problem, point)[0]
    theirs = minimize(
        lambda x: _dual(given_problem, x)[0],
        np.zeros(7),
        jac=lambda x: _dual(given_problem, x)[1],
        method="BFGS",
        options={"gtol": 1e-9, "maxiter": 2_000},
    )
    assert ours == pytest.approx(theirs.fun, abs=1e-7)
    assert np.exp(theirs.x[6]) == pytest.approx(found.pace, rel=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_the_optimum_satisfies_the_kkt_conditions(seed) -> None:
    """What is brought lies within the band, up to the ridge, and the budget is spent."""
    tau = 0.03
    given_problem = problem(seed, tau=tau)
    found = solve(given_problem, np.zeros(6), 1.0)
    for _ in range(4):
        found = solve(given_problem, found.prices, found.pace)
    worth = given_problem.value - found.prices @ given_problem.excess + found.rebate
    cut = (np.log(np.maximum(worth, 1e-9) / found.pace) - given_problem.log_price) / 0.5
    wins = norm.cdf(cut) * given_problem.weight * (worth > 1e-9)
    mean_price = np.exp(given_problem.log_price + 0.125)
    spent = (mean_price * norm.cdf(cut - 0.5) * given_problem.weight * (worth > 1e-9)).sum()
    # The range is smoothed inside the dual and not outside: the rebate differs by tau * .03.
    assert spent == pytest.approx(given_problem.budget, rel=0.01)
    deviation = brought(given_problem, found)
    assert deviation == pytest.approx(given_problem.excess @ wins / wins.sum(), abs=1e-5)
    slack = RIDGE * np.abs(found.prices).max() / wins.sum()
    for span in spans(BLOCKS):
        # The band holds for all impressions, those already delivered without deviation too.
        total = 0.5 * np.abs(deviation[span]).sum() * wins.sum() / (wins.sum() + 0.05)
        assert total <= tau + 2 * slack + 0.004
        if np.ptp(found.prices[span]) > 0.1:  # complementary slackness: a price says it binds
            assert total >= tau - 2 * slack - 0.006


def test_prices_at_their_bound_wait_and_the_others_are_optimal() -> None:
    """Against scipy with the same box."""
    bounded = msgspec.structs.replace(problem(1, carried=0.01), price_most=0.2)
    found = solve(bounded, np.zeros(6), 1.0)
    assert np.abs(found.prices).max() <= 0.4 + 1e-9  # centred, so twice the bound at most
    theirs = minimize(
        lambda x: _dual(bounded, x)[0],
        np.zeros(7),
        jac=lambda x: _dual(bounded, x)[1],
        method="L-BFGS-B",
        bounds=[(-0.2, 0.2)] * 6 + [(None, None)],
        options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 2_000},
    )
    centred = theirs.x[:6].copy()
    for span in spans(BLOCKS):
        centred[span] -= centred[span].mean()
    assert found.prices == pytest.approx(centred, abs=5e-3)
    assert found.pace == pytest.approx(np.exp(theirs.x[6]), rel=1e-3)


def test_win_chance_and_payment_are_black_1976() -> None:
    """P(price < bid) and E[price; price < bid] of a log-normal, by numbers."""
    rng = np.random.default_rng(1)
    prices = np.exp(rng.normal(0.1, 0.5, 2_000_000))
    one = Problem(
        blocks=(2,),
        weight=np.ones(1),
        value=np.ones(1),
        excess=np.zeros((2, 1)),
        log_price=np.full(1, 0.1),
        price_spread=0.5,
        budget=0.0,
        carried=np.zeros(2),
        delivered=0.0,
        tau=np.zeros(1),
        price_most=np.inf,
    )
    pace = 0.9
    value, gradient, _ = _dual(one, np.array([0.0, 0.0, np.log(pace)]))
    won = prices < 1 / pace
    assert value == pytest.approx(won.mean() - pace * (prices * won).mean(), abs=2e-3)
    assert gradient[2] == pytest.approx(-pace * (prices * won).mean(), abs=2e-3)


@given(st.floats(-8, 8))
def test_normal_cdf(x) -> None:
    assert response.normal_cdf(np.array([x]))[0] == pytest.approx(norm.cdf(x), abs=7.6e-8)


def test_the_regression_finds_the_levels_without_anybodys_group() -> None:
    rng = np.random.default_rng(2)
    eligible = np.array([0.3, 0.08, 0.08, 0.04, 0.3, 0.08, 0.08, 0.04])
    clusters = rng.dirichlet(np.full(32, 0.4), 8)
    truth = np.repeat([0.3, -0.3], 4) + np.tile([0.1, -0.3, 0.2, 0.0], 2)
    size = 400_000
    group = rng.choice(8, size, p=eligible)
    cluster = (
        (np.cumsum(clusters, axis=1)[group] < rng.random(size)[:, None]).sum(axis=1).clip(0, 31)
    )
    log_value = truth[group] + rng.normal(0, 0.5, size)
    log_price = rng.normal(0.2, 0.4, size)
    bins = bins_of(np.exp(log_value).astype(np.float32))
    cells = np.zeros((32, VALUE_BINS))
    np.add.at(cells, (cluster, bins), 1)
    ad = AdContext(
        ad_id="ad", blocks=BLOCKS, eligible=eligible, eligible_covariance=np.zeros((6, 6)), clusters=clusters,
        expected_impressions=1e3, tau=0.05,
    )  # fmt: skip
    found = response.fit(
        ad,
        Traffic(
            opportunities=cells,
            wins=np.zeros_like(cells),
            log_value=np.bincount(cluster, log_value, 32),
            log_price=np.bincount(cluster, log_price, 32),
            log_value_square=float((log_value**2).sum()),
            log_price_square=float((log_price**2).sum()),
        ),
    )
    assert found.value - found.value @ eligible == pytest.approx(truth - truth @ eligible, abs=0.02)
    assert found.price == pytest.approx(np.full(8, 0.2), abs=0.02)
    assert found.value_spread == pytest.approx(0.5, abs=0.02)
    seen = np.zeros((8, 32, VALUE_BINS))
    np.add.at(seen, (group, cluster, bins), 1)
    often = cells > 2_000
    shares = (seen / np.maximum(cells, 1))[:, often]
    assert found.share[:, often] == pytest.approx(shares, abs=0.05)


def test_no_traffic_is_no_knowledge() -> None:
    ad = context()
    nothing = np.zeros((3, VALUE_BINS))
    empty = Traffic(
        opportunities=nothing, wins=nothing, log_value=np.zeros(3), log_price=np.zeros(3),
        log_value_square=0.0, log_price_square=0.0,
    )  # fmt: skip
    found = response.fit(ad, empty)
    assert found.value.tolist() == [0.0] * 8
    assert found.share.sum(axis=0) == pytest.approx(np.ones((3, VALUE_BINS)))


def test_winning_is_by_price_too() -> None:
    """Of two groups that are half each, the one whose places cost half as much is won more."""
    learned = response.Response(
        value=np.zeros(2),
        price=np.log(np.array([0.5, 1.0])),
        value_spread=0.5,
        price_spread=0.5,
        likelihood=np.ones((2, 1)),
        share=np.full((2, 1, 1), 0.5),
    )
    found = response.won(learned, np.ones((1, 1)))[:, 0, 0]
    chances = norm.cdf([np.log(2) / 0.5, 0.0])
    assert found == pytest.approx(chances / chances.sum(), abs=1e-6)


def test_standing_is_conditioning_of_a_gaussian() -> None:
    """Against the joint normal of (bias, chance, noise), conditioned by block inverse."""
    rng = np.random.default_rng(4)
    share = incidence(BLOCKS) @ rng.dirichlet(np.full(8, 1.0), 20).T
    eligible = incidence(BLOCKS) @ np.full(8, 1 / 8)
    at_release, wins = rng.integers(5, 20, 20).astype(float), np.zeros(20)
    wins[:] = at_release + rng.integers(0, 10, 20)
    seen, count = at_release.sum(), wins.sum()
    covariance = projector(BLOCKS) * 2e-4
    deviation = share @ at_release / seen - eligible + projector(BLOCKS) @ rng.normal(0, 0.03, 6)
    release = Release(
        impressions=seen,
        deviation=deviation,
        covariance=covariance,
        proxy_deviation=deviation,
        wins=at_release,
    )
    found = standing(BLOCKS, share, eligible, wins, release, PRIOR)
    # Unknowns: bias [6], chance of the mean at release [6]; seen: before + bias + chance + noise.
    chance = scatter(BLOCKS, share, wins / count) / seen
    prior = np.block([[PRIOR, np.zeros((6, 6))], [np.zeros((6, 6)), chance]])
    look = np.hstack((np.eye(6), np.eye(6)))
    gain = prior @ look.T @ np.linalg.pinv(look @ prior @ look.T + covariance)
    before = share @ at_release / seen - eligible
    mean = gain @ (deviation - before)
    bias, happened = mean[:6], mean[6:]
    # Of all wins: those since the release are as their cells say, and as biased.
    total = (share @ wins / count - eligible) + bias + happened * seen / count
    assert found.bias == pytest.approx(bias, abs=1e-9)
    assert found.deviation == pytest.approx(total, abs=1e-9)
    left = prior - gain @ look @ prior
    assert found.covariance == pytest.approx(look @ left @ look.T, abs=1e-9)


def test_without_a_release_cells_are_all_that_is_known() -> None:
    share = np.array([[0.8, 0.2], [0.2, 0.8]])
    found = standing(
        (2,), share, np.array([0.5, 0.5]), np.array([30.0, 10.0]), None, Family((2,)).prior()
    )
    assert found.deviation == pytest.approx([0.15, -0.15])
    assert found.bias.tolist() == [0.0, 0.0]


def test_every_share_has_the_same_prior_bias() -> None:
    assert np.sqrt(np.diag(PRIOR)) == pytest.approx(np.full(6, BIAS))


def test_a_family_learns_how_far_releases_depart() -> None:
    """Releases that depart by nothing but noise say that there is no bias; others say how much."""
    rng = np.random.default_rng(5)
    noise = projector(BLOCKS) * 1e-4
    for spread in (0.0, 0.08):
        family = Family(BLOCKS)
        for number in range(400):
            bias = projector(BLOCKS) @ rng.normal(0, spread, 6)
            family.note(f"ad{number}", bias + projector(BLOCKS) @ rng.normal(0, 0.01, 6), noise)
        learned = np.sqrt(np.diag(family.prior()))
        truth = np.sqrt(np.diag(projector(BLOCKS))) * spread
        expected = np.maximum(truth, BIAS_LEAST)
        assert learned == pytest.approx(expected, rel=0.25, abs=0.004)


def test_an_ad_counts_once_with_its_newest_release() -> None:
    once, often = Family(BLOCKS), Family(BLOCKS)
    noise = projector(BLOCKS) * 1e-4
    far, near = np.array([0.2, -0.2, 0.1, -0.1, 0, 0]), np.array([0.01, -0.01, 0, 0, 0, 0])
    often.note("ad", far, noise)
    often.note("ad", near, noise)
    once.note("ad", near, noise)
    assert often.prior() == pytest.approx(once.prior())


def test_a_departure_is_from_the_prediction_at_the_release() -> None:
    share = np.array([[0.8, 0.2], [0.2, 0.8]])
    release = Release(
        impressions=40.0,
        deviation=np.array([0.1, -0.1]),
        covariance=projector((2,)) * 1e-3,
        proxy_deviation=np.array([0.1, -0.1]),
        wins=np.array([30.0, 10.0]),
    )
    found, noise = departure((2,), share, np.array([0.5, 0.5]), release)
    assert found == pytest.approx([-0.05, 0.05])
    assert noise == pytest.approx(
        scatter((2,), share, np.array([0.75, 0.25])) / 40 + release.covariance
    )


@pytest.mark.parametrize(("lean", "is_steered"), [(0.0, False), (0.9, True)])
def test_nobody_is_steered_who_ends_within_the_band_anyway(lean, is_steered) -> None:
    controller = Dual()
    shift = controller.step(controller.start(context()), measured(male_lean=lean, wins=3_000.0))
    assert bool(shift.prices.any()) is is_steered


def unsure(deviation: float) -> AdContext:
    """The same ad, whose shares of the sexes are known to within ``deviation`` each."""
    error = np.zeros((6, 6))
    error[:2, :2] = deviation**2 * np.array([[1, -1], [-1, 1]])
    return msgspec.structs.replace(context(), eligible_covariance=error)


def test_an_ad_is_not_left_alone_where_its_audience_is_hardly_known() -> None:
    ends = measured(male_lean=0.05, wins=3_000.0)  # two points of deviation, of five
    sure, controller = context(), Dual()
    assert not controller.step(controller.start(sure), ends).prices.any()
    controller = Dual()
    assert controller.step(controller.start(unsure(0.03)), ends).prices.any()


def test_less_of_the_band_is_used_where_the_audience_is_less_known() -> None:
    """The aim is four standard errors from the edge, of which the mix's is one."""
    pulled = []
    for deviation in (0.0, 0.005, 0.02):
        controller, ad = Dual(), unsure(deviation)
        shift = controller.step(controller.start(ad), measured(male_lean=0.15, wins=3_000.0))
        pulled.append(float(np.abs(shift.prices[:2]).max()))
    assert 0 < pulled[0] < pulled[1] < pulled[2]


def test_more_impressions_are_known_better() -> None:
    chance = scatter(
        BLOCKS, np.tile(np.repeat([1 / 2, 1 / 4], BLOCKS)[:, None], 5), np.full(5, 0.2)
    )
    release = Release(
        impressions=300.0,
        deviation=np.zeros(6),
        covariance=projector(BLOCKS) * 1e-3,
        proxy_deviation=np.zeros(6),
        wins=np.zeros(5),
    )
    errors = [
        np.diag(known_at_the_end(PRIOR, chance, impressions, release)).max()
        for impressions in (300.0, 1_000.0, 10_000.0)
    ]
    assert errors == sorted(errors, reverse=True)
    assert all(error > 0 for error in errors)


def test_small_ads_aim_at_zero_and_large_ones_at_the_band() -> None:
    eligible = np.repeat([1 / 2, 1 / 4], BLOCKS)
    share = np.tile(eligible[:, None], 3)
    aims = []
    for size in (300.0, 1e6):
        known = standing(BLOCKS, share, eligible, np.full(3, size / 3), small_release(size), PRIOR)
        found = measured(wins=size)
        found = msgspec.structs.replace(found, release=small_release(size))
        aims.append(Dual()._aims(context(), known, found))
    small, large = aims
    assert small.max() < 0.01
    assert 0.04 < large.min() <= large.max() < 0.05


def small_release(size: float) -> Release:
    return Release(
        impressions=size,
        deviation=np.zeros(6),
        covariance=projector(BLOCKS) * (10.0 / size) ** 2,
        proxy_deviation=np.zeros(6),
        wins=np.full(3, size / 3),
    )


def test_little_left_is_not_asked_for_too_much() -> None:
    """Near the end what is owed exceeds what can be made good: finite prices, all the same."""
    controller = Dual()
    state = controller.start(context())
    one = measured(male_lean=0.9, wins=900.0)
    late = type(one)(
        impressions=one.impressions,
        opportunities_left=20.0,
        budget_left=1.6,
        traffic=one.traffic,
        release=one.release,
    )
    shift = controller.step(state, late)
    assert np.isfinite(shift.records).all()
    assert np.abs(shift.prices).max() < 50
    assert CARRIED_MOST < 1


def test_the_shift_of_a_cell_by_hand() -> None:
    """Two groups, shifts +1 and -1, chances .8 and .2 in the cluster: .6, in every bin."""
    table = records(np.ones((VALUE_BINS, 2)), np.array([1.0, -1.0]))
    steering = Steering()
    steering.replace(
        {"ad": AdTable(records=table, scale_nanos=1_000), "held": None},
        np.array([[0.8, 0.2], [0.0, 0.0]], np.float32),
    )
    assert steering.shifts(0, [("ad", 900), ("other", 900)]) == {"ad": 600}
    assert steering.shifts(0, [("held", 900)]) == {}
    assert steering.shifts(7, [("ad", 900)]) == {}
    assert steering.shifts(1, [("ad", 900)]) == {}
    missed = steering.missed
    assert (missed.stale, missed.cluster, missed.number) == (1, 1, 1)


@given(st.floats(2.0**-20, 2.0**20, width=32))
def test_bins_are_where_the_edges_say(value) -> None:
    found = int(bins_of(np.array([value], np.float32))[0])
    assert found == int(np.searchsorted(VALUE_EDGES.astype(np.float32), np.float32(value), "right"))
    assert len(VALUE_MIDDLES) == VALUE_BINS


@pytest.mark.parametrize("seed", range(8))
def test_where_the_band_is_out_of_reach_one_call_still_finds_what_is_best(seed: int) -> None:
    """Two clusters, women and men, whose races differ by chance alone: sex can be mended, race not."""
    rng = np.random.default_rng(seed)
    race, blocks = np.array([0.61, 0.12, 0.18, 0.09]), (2, 4)
    mixes = np.zeros((2, 2, 4))
    for cluster in range(2):
        drawn = np.maximum(race + rng.normal(0, 0.012, 4), 0.01)
        mixes[cluster, cluster] = drawn / drawn.sum()
    columns, bins = incidence(blocks), len(VALUE_MIDDLES)
    eligible = columns @ np.outer([0.55, 0.45], race).ravel()
    share = np.repeat(mixes.reshape(2, 8).T[:, :, None], bins, axis=2).reshape(8, -1)
    usual = np.exp(-0.5 * (np.log(VALUE_MIDDLES) / 0.1) ** 2)
    weight = np.outer([0.55, 0.45], usual / usual.sum()).ravel()
    value, log_price = np.tile(VALUE_MIDDLES, 2), np.repeat([0.08, -0.03], bins)
    owed = rng.normal(0, 0.01, 4)
    asked = Problem(
        blocks=blocks,
        weight=weight,
        value=value,
        excess=columns @ share - eligible[:, None],
        log_price=log_price,
        price_spread=0.1,
        budget=unsteered_spend(weight, value, log_price, 0.1),
        carried=np.concatenate(([-0.09, 0.09], owed - owed.mean())),
        delivered=0.3,
        tau=np.zeros(2),
        price_most=8.0,
    )
    found = solve(asked, np.zeros(6), 1.0)
    start = np.append(np.zeros(6), 0.0)
    best = minimize(
        lambda point: _dual(asked, point)[:2],
        start,
        jac=True,
        bounds=[(-8, 8)] * 6 + [(-10, 10)],
        method="L-BFGS-B",
        options={"maxiter": 5000, "ftol": 1e-14, "gtol": 1e-10},
    )
    reached = _dual(asked, np.append(found.prices, np.log(found.pace)))[0]
    # Prices are given centred, which the ridge alone notices.
    assert reached <= best.fun + 0.03
    # .09 are owed for each of the .3 that it wins.
    assert brought(asked, found)[0] == pytest.approx(0.3, abs=0.03)
