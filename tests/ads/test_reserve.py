"""Myerson's reserve: closed forms, the definition by another library, thin data, versions."""

import math
from collections import Counter
from statistics import NormalDist

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ringwork.ads.reserve import (
    HALFWAY_COUNT,
    MAX_SD_LOG,
    SOLD_DIVISOR,
    Cell,
    empirical,
    estimate,
    fit_lognormal,
    learn,
    lognormal,
)
from ringwork.kernel.money import MAX_PRICE_NANOS

COUNTS = st.dictionaries(st.integers(0, 500), st.integers(0, 50), max_size=12)


def test_of_four_equal_values_in_a_row_the_second_earns_most():
    # 4 * 1, 3 * 2, 2 * 3, 1 * 4: two of them earn 6, and the lower sells more.
    assert empirical({4: 1, 3: 1, 2: 1, 1: 1}) == 2


def test_uniform_values_ask_for_half():
    high = 1_000_000
    assert empirical(dict.fromkeys(range(1, high + 1, 100), 1)) == pytest.approx(high / 2, rel=1e-3)


def test_exponential_values_ask_for_their_mean():
    # phi(v) = v - mean. The values are the quantiles of an exponential with mean 10**6.
    values = (round(-(10**6) * math.log1p(-(n + 0.5) / 20_000)) for n in range(20_000))
    assert empirical(Counter(values)) == pytest.approx(10**6, rel=0.02)


@given(st.floats(5, 25), st.floats(0.05, 4))
def test_the_lognormal_reserve_is_the_zero_of_phi(mean_log, sd_log):
    reserve_nanos = lognormal(mean_log, sd_log)
    assume(10**4 < reserve_nanos < MAX_PRICE_NANOS)  # below, rounding to a nano would show
    standard = NormalDist()

    def phi(price: float) -> float:
        z = (math.log(price) - mean_log) / sd_log
        density = standard.pdf(z) / (price * sd_log)
        return price - standard.cdf(-z) / density

    assert phi(reserve_nanos * 1.001) > 0 > phi(reserve_nanos * 0.999)


@given(st.floats(8, 20), st.floats(0.1, 3))
def test_no_other_price_earns_more_of_lognormal_values(mean_log, sd_log):
    values = NormalDist(mean_log, sd_log)

    def income(price: float) -> float:
        return price * (1 - values.cdf(math.log(price)))

    asked = lognormal(mean_log, sd_log)
    assume(asked > 10**4)
    for factor in (0.5, 0.9, 0.98, 1.02, 1.1, 2):
        assert income(asked) >= income(asked * factor)


def test_a_fit_recovers_what_the_values_were_drawn_from():
    drawn = NormalDist(14.0, 0.8)
    values = Counter(round(math.exp(drawn.inv_cdf((n + 0.5) / 5_000))) for n in range(5_000))
    mean_log, sd_log = fit_lognormal(values)
    assert mean_log == pytest.approx(14.0, rel=1e-3)
    assert sd_log == pytest.approx(0.8, rel=5e-3)
    learned = estimate(
        {value: 1_000 * times for value, times in values.items()}, method="lognormal"
    )
    assert learned.nanos == pytest.approx(lognormal(14.0, 0.8), rel=0.01)


@given(COUNTS)
def test_the_empirical_reserve_earns_most_of_the_prices_that_enough_values_reach(counts):
    total = sum(counts.values())

    def reaching(price: int) -> int:
        return sum(times for value, times in counts.items() if value >= price)

    allowed = [price for price in range(501) if reaching(price) * SOLD_DIVISOR >= total > 0]
    best = max((price * reaching(price) for price in allowed), default=0)
    asked = empirical(counts)
    assert asked * reaching(asked) == best
    assert all(asked <= price for price in allowed if price * reaching(price) == best and best)


def test_one_outlier_is_not_asked_of_everybody():
    assert empirical({100: 99, 10**9: 1}) == 100


def test_thin_data_is_drawn_to_the_floor():
    floor_nanos = 200
    assert estimate({}, floor_nanos=floor_nanos).nanos == floor_nanos
    assert estimate({1_000: HALFWAY_COUNT}, floor_nanos=floor_nanos).nanos == 600
    asked = [estimate({1_000: n}, floor_nanos=floor_nanos).nanos for n in (1, 10, 10**3, 10**6)]
    assert asked == sorted(asked)
    assert asked[-1] == 999


def test_a_single_value_has_no_spread_to_fit():
    assert fit_lognormal({1_000: 50, 0: 9}) is None
    assert estimate({1_000: 50}, floor_nanos=7, method="lognormal").nanos == 7
    assert fit_lognormal({MAX_PRICE_NANOS: 1, MAX_PRICE_NANOS - 1: 1}) is None


@given(COUNTS, st.integers(0, 600), st.sampled_from(["empirical", "lognormal"]))
def test_never_below_the_floor_and_the_version_names_the_inputs(counts, floor_nanos, method):
    learned = estimate(counts, floor_nanos=floor_nanos, method=method)
    assert isinstance(learned.nanos, int)
    assert learned.nanos >= floor_nanos
    shuffled = dict(reversed(counts.items()))
    assert estimate(shuffled, floor_nanos=floor_nanos, method=method) == learned
    more = counts | {501: 1}
    assert estimate(more, floor_nanos=floor_nanos, method=method).version != learned.version
    higher = estimate(counts, floor_nanos=floor_nanos + 1, method=method)
    assert higher.version != learned.version


def test_each_placement_and_tier_has_its_own():
    home, other = Cell("home", "consented"), Cell("home", "less_personalised")
    counts = {home: {1_000: 10**6}, other: {100: 10**6}}
    learned = learn(counts, floors_nanos={home: 10})
    assert learned[home] == estimate(counts[home], floor_nanos=10)
    assert learned[other] == estimate(counts[other])
    assert learned[home].nanos > learned[other].nanos


@pytest.mark.parametrize("sd_log", [0.0, -1.0, math.nan, math.inf, MAX_SD_LOG * 1.01])
def test_a_spread_that_is_none_is_refused(sd_log):
    with pytest.raises(ValueError):
        lognormal(10.0, sd_log)


def test_a_mean_that_is_no_number_is_refused_and_no_reserve_is_past_any_price():
    with pytest.raises(ValueError):
        lognormal(math.nan, 1.0)
    assert lognormal(30.0, MAX_SD_LOG) == MAX_PRICE_NANOS
    assert lognormal(10.0, 1e-12) == pytest.approx(math.exp(10), rel=1e-4)


@pytest.mark.parametrize(
    ("counts", "terms"),
    [
        ({-1: 1}, {}),
        ({1: -1}, {}),
        ({MAX_PRICE_NANOS + 1: 1}, {}),
        ({}, {"floor_nanos": -1}),
        ({}, {"floor_nanos": MAX_PRICE_NANOS + 1}),
        ({}, {"method": "guess"}),
    ],
)
def test_counts_that_make_no_sense_are_refused(counts, terms):
    with pytest.raises(ValueError):
        estimate(counts, **terms)


def test_the_deviation_is_that_of_a_sample():
    mean_log, sd_log = fit_lognormal({1: 1, 100: 1})
    assert mean_log == pytest.approx(math.log(10))
    assert sd_log == pytest.approx(math.log(100) / math.sqrt(2))
