"""CPM decimals and nanos: exact in both directions, rounded in nobody's favour."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.model import MAX_IMPRESSION_NANOS
from ringwork.ads.openrtb.price import (
    bid_to_nanos,
    floor_to_nanos,
    is_price,
    to_cpm,
)

PRICES = st.decimals(min_value=0, max_value=10**6, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("cpm", "bid", "least"),
    [
        ("2.50", 2_500_000, 2_500_000),
        ("0.001962", 1_962, 1_962),  # 0.001962 * 10**6 is 1961.9999999999998 in floats
        ("0.0000001", 0, 1),
        ("2.5000009", 2_500_000, 2_500_001),
        ("1E+6", MAX_IMPRESSION_NANOS, MAX_IMPRESSION_NANOS),
        ("0.9999999999999999999999999999999999", 999_999, 1_000_000),
        ("1E-400", 0, 1),
        ("0", 0, 0),
    ],
)
def test_a_bid_rounds_down_and_a_floor_rounds_up(cpm, bid, least):
    assert (bid_to_nanos(Decimal(cpm)), floor_to_nanos(Decimal(cpm))) == (bid, least)


@given(PRICES)
def test_rounding_is_that_of_fractions(cpm):
    exact = Fraction(cpm) * 10**6
    assert bid_to_nanos(cpm) == floor(exact)
    assert floor_to_nanos(cpm) == ceil(exact)


@given(st.integers(0, MAX_IMPRESSION_NANOS))
def test_what_is_written_reads_back_exactly(nanos):
    written = repr(to_cpm(nanos))
    assert bid_to_nanos(Decimal(written)) == floor_to_nanos(Decimal(written)) == nanos


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity", "-0.01", "1000000.01"])
def test_what_is_no_price(text):
    assert not is_price(Decimal(text))


@pytest.mark.parametrize("text", ["0", "-0", "0.000001", "1000000"])
def test_what_is_a_price(text):
    assert is_price(Decimal(text))
