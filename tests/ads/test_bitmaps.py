"""Sets of ads as integers, against Python sets."""

from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.bitmaps import Threshold, Values, bitmap, numbers

members = st.sets(st.integers(0, 300))


@given(members)
def test_a_bitmap_lists_its_members_in_order(chosen):
    assert list(numbers(bitmap(chosen, 301))) == sorted(chosen)


@given(st.lists(st.sets(st.integers(0, 3)), max_size=80), st.sets(st.integers(0, 5)))
def test_values_admit_those_that_name_one_of_them_or_none(named, asked):
    values = Values(named)
    naming = {ad for ad, own in enumerate(named) if own & asked}
    assert set(numbers(values.naming(asked))) == naming
    assert set(numbers(values.admitting(asked))) == naming | {
        ad for ad, own in enumerate(named) if not own
    }


@given(st.dictionaries(st.integers(0, 299), st.integers(-5, 50), max_size=300), st.integers(-6, 51))
def test_a_threshold_keeps_the_high_and_the_unmeasured(amounts, least):
    passing = {ad for ad in range(300) if amounts.get(ad, least) >= least}
    assert set(numbers(Threshold(amounts, 300).at_least(least))) == passing


def test_a_threshold_over_several_blocks():
    threshold = Threshold({ad: ad for ad in range(1000)}, 1000)
    assert [threshold.at_least(n).bit_count() for n in (0, 1, 871, 872, 873, 999, 1000)] == [
        1000, 999, 129, 128, 127, 1, 0,
    ]  # fmt: skip
