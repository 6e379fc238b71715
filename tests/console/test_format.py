"""Numbers, money and times as people read them; every expectation can be checked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.console import format as f

NARROW = "\u202f"
DAY = 1_795_651_200_000_000  # 26 November 2026, 00:00 UTC


@pytest.mark.parametrize(
    ("nanos", "currency", "text"),
    [
        (486_120_000_000, "EUR", "€\u00a0486.12"),
        (0, "EUR", "€\u00a00.00"),
        (4_999_999, "EUR", "€\u00a00.00"),
        (5_000_000, "EUR", "€\u00a00.00"),  # half to even
        (15_000_000, "EUR", "€\u00a00.02"),  # half to even
        (-1_234_567_890_000, "USD", "$\u00a0\u22121,234.57"),
        (-1, "EUR", "€\u00a00.00"),  # no minus before a zero
        (1_500_000_000, "JPY", "¥\u00a02"),
        (1_234_567_000, "KWD", "KWD\u00a01.235"),
    ],
)
def test_money_is_rounded_to_the_minor_unit(nanos: int, currency: str, text: str) -> None:
    assert f.money(nanos, currency) == text


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (1_874_227, "0.001 874 227"),
        (1_021_460_231_844, "1,021.460 231 844"),
        (-119_587, "\u22120.000 119 587"),
        (0, "0.000 000 000"),
    ],
)
def test_exact_amounts_are_grouped_in_threes(nanos: int, text: str) -> None:
    assert f.exact(nanos) == text.replace(" ", NARROW)


@given(st.integers(-(2**63), 2**70))
def test_exact_loses_nothing(nanos: int) -> None:
    digits = f.exact(nanos).replace(f.MINUS, "-").replace(NARROW, "").replace(",", "")
    units, _, rest = digits.partition(".")
    sign = -1 if units.startswith("-") else 1
    assert sign * (abs(int(units)) * 10**9 + int(rest)) == nanos


def test_price_names_its_currency() -> None:
    assert f.price(1_874_227, "EUR") == f"€\u00a00.001{NARROW}874{NARROW}227"


def test_factors_and_chances_are_written_whole() -> None:
    assert f.factor(970_000) == f"0.970{NARROW}000"
    assert f.factor(1_040_001) == f"1.040{NARROW}001"
    assert f.chance(5_000_000) == f"0.005{NARROW}000{NARROW}000"
    assert f.chance(10**9) == f"1.000{NARROW}000{NARROW}000"


@pytest.mark.parametrize(
    ("part", "whole", "digits", "text"),
    [
        (1, 3, 1, "33.3"),
        (2, 3, 0, "67"),
        (305_441, 412_903, 1, "74.0"),
        (1, 0, 1, "\u2013"),
        (0, 5, 2, "0.00"),
        (-1, 8, 1, "\u221212.5"),
    ],
)
def test_shares(part: int, whole: int, digits: int, text: str) -> None:
    assert f.share(part, whole, digits) == text


def test_percent_keeps_its_sign_with_the_figure() -> None:
    assert f.percent(1, 8) == f"12.5{NARROW}%"
    assert f.percent(1, 0) == f.MISSING


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (3_100, "3.10 µs"),
        (79_700, "79.7 µs"),
        (999_600, "1,000 µs"),
        (1_900_000, "1.90 ms"),
        (1_500_000_000, "1.50 s"),
        (3 * 60 * 10**9, "3.00 min"),
        (36 * 3600 * 10**9, "36.0 h"),
        (5 * 86_400 * 10**9, "5.00 days"),
    ],
)
def test_durations_have_two_to_four_digits(ns: int, text: str) -> None:
    assert f.duration(ns) == text.replace(" ", NARROW)


def test_a_scale_has_no_empty_decimals() -> None:
    assert f.scale(40_000) == f"40{NARROW}µs"
    assert f.scale(2_500) == f"2.5{NARROW}µs"
    assert f.scale(500) == f"500{NARROW}ns"


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (65_536, "65.5 kB"),
        (412_345_678, "412 MB"),
        (10**16, "10,000 TB"),
    ],
)
def test_sizes(octets: int, text: str) -> None:
    assert f.size(octets) == text.replace(" ", NARROW)


def test_times_are_utc() -> None:
    at = DAY + (16 * 3600 + 19 * 60 + 58) * 1_000_000 + 204_999
    assert f.minute(at) == "16:19"
    assert f.second(at) == "16:19:58"
    assert f.millisecond(at) == "16:19:58.204"
    assert f.day(at) == "26 November 2026"
    assert f.short_day(at) == "26 Nov"
    assert f.weekday(at) == "Thursday"
    assert f.stamp(at) == "26 November 2026, 16:19:58 UTC"
    assert f.day_start(at) == DAY


def test_counts_and_plurals() -> None:
    assert f.count(412_903) == "412,903"
    assert f.count(-5) == "\u22125"
    assert f.plural(1, "campaign") == "1 campaign"
    assert f.plural(2, "promise is", "promises are") == "2 promises are"
    assert f.in_words(9) == "nine"
    assert f.in_words(10) == "10"


def test_ranges_do_not_break() -> None:
    assert f.between("9.2", "14.4") == "9.2\u00a0\u2013\u00a014.4"


def test_ids_are_shortened_only_when_long() -> None:
    whole = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
    assert f.short_id(whole) == "017f22e2…07398f"
    assert f.short_id("campaign/hp-1") == "campaign/hp-1"
    assert f.tail_id(whole) == "…0c07398f"
    assert f.tail_id("post-1") == "post-1"
