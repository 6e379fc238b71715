import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.kernel.money import (
    MAX_NANOS,
    MINOR_UNIT_EXPONENTS,
    AmountError,
    Money,
    parse_money,
    split,
    to_minor,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "money.json").read_text())
amounts = st.integers(-MAX_NANOS, MAX_NANOS)


@pytest.mark.parametrize("case", VECTORS["cpm"])
def test_a_cpm_in_micros_is_one_impression_in_nanos(case):
    assert case["cpm_micros"] == case["impression_nanos"]
    total = sum(Money.of_nanos("EUR", case["impression_nanos"]).total_nanos for _ in range(1000))
    assert total == case["1000_impressions_nanos"]


@pytest.mark.parametrize("case", VECTORS["split"])
def test_split_by_largest_remainder(case):
    assert split(case["total"], case["weights"]) == case["parts"]


@given(st.integers(0, MAX_NANOS), st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_split_loses_and_invents_nothing(total, weights):
    if not sum(weights):
        with pytest.raises(AmountError, match="cannot split"):
            split(total, weights)
        return
    parts = split(total, weights)
    assert sum(parts) == total
    exact = [total * weight / sum(weights) for weight in weights]
    assert all(
        part >= 0 and abs(part - share) <= 1 + share * 1e-9
        for part, share in zip(parts, exact, strict=True)
    )


@pytest.mark.parametrize("case", VECTORS["round"])
def test_rounding_gives_the_remainder_back(case):
    assert to_minor(case["nanos"], case["exponent"], case["verb"]) == (
        case["minor_units"],
        case["carried_nanos"],
    )


@given(amounts, st.integers(0, 3), st.sampled_from(["floor", "ceil", "half_even"]))
def test_rounding_is_exact_with_its_remainder(nanos, exponent, rounding):
    minor, carried = to_minor(nanos, exponent, rounding)
    unit = 10 ** (9 - exponent)
    assert minor * unit + carried == nanos
    assert abs(carried) < unit if rounding != "half_even" else 2 * abs(carried) <= unit


@pytest.mark.parametrize("case", VECTORS["wire"])
def test_wire_form(case):
    money = Money.of_nanos("EUR", case["nanos"])
    assert msgspec.to_builtins(money) == case["json"]
    assert msgspec.json.decode(json.dumps(case["json"]), type=Money) == money


@pytest.mark.parametrize("case", VECTORS["wire_rejected"])
def test_wire_form_refused(case):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(case), type=Money)


def test_exponents_are_those_of_iso_4217():
    for currency, exponent in VECTORS["minor_unit_exponents"].items():
        assert MINOR_UNIT_EXPONENTS.get(currency, 2) == exponent


@given(amounts, amounts)
def test_sums_are_exact_or_refused(a, b):
    left, right = Money.of_nanos("EUR", a), Money.of_nanos("EUR", b)
    for result, combine in ((a + b, left.__add__), (a - b, left.__sub__)):
        if abs(result) > MAX_NANOS:
            with pytest.raises(AmountError, match="past 2"):
                combine(right)
        else:
            assert combine(right).total_nanos == result


def test_two_currencies_do_not_mix():
    with pytest.raises(AmountError, match="cannot combine EUR with USD"):
        Money("EUR", 1, 0) + Money("USD", 1, 0)


@given(amounts, st.sampled_from(["EUR", "JPY", "KWD"]))
def test_written_amounts_are_read_back(nanos, currency):
    money = Money.of_nanos(currency, nanos)
    assert parse_money(str(money)) == money


@pytest.mark.parametrize(
    ("nanos", "currency", "text"),
    [
        (12_340_000_000, "EUR", "12.34 EUR"),
        (-1, "EUR", "-0.000000001 EUR"),
        (5 * 10**9, "JPY", "5 JPY"),
    ],
)
def test_as_people_write_it(nanos, currency, text):
    assert str(Money.of_nanos(currency, nanos)) == text


@pytest.mark.parametrize(
    "text", ["", "12.34", "12,34 EUR", "1e3 EUR", "12.3456789012 EUR", "99999999999 EUR"]
)
def test_amounts_that_cannot_be_read(text):
    with pytest.raises(AmountError):
        parse_money(text)
