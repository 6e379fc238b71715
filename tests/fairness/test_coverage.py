"""The compliance table by hand, its weights, and what it leaves out."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.measure.coverage import AdFigure, AdTotals, coverage, excluded
from ringwork.fairness.plan import preset

PLAN = preset("us-v-meta")
POINT = 10_000_000
"""One percentage point in 1e-9."""


def ad(name, impressions, sex, race, *, spend=1, people=None) -> AdTotals:
    proxy, deattenuated, upper = race
    return AdTotals(
        ad=name,
        impressions=impressions,
        people=impressions if people is None else people,
        spend_nanos=spend,
        figures={
            "sex": AdFigure(proxy_ppb=sex),
            "race": AdFigure(proxy_ppb=proxy, deattenuated_ppb=deattenuated, upper_ppb=upper),
        },
    )


ADS = [
    ad("small", 299, 0, (0, 0, 0), spend=7),
    ad("edge", 300, 10 * POINT, (3 * POINT, 8 * POINT, 12 * POINT), spend=10),
    ad("over", 900, 10 * POINT + 1, (4 * POINT, 10 * POINT, 13 * POINT), spend=20),
    ad("large", 1_000, 2 * POINT, (1 * POINT, 2 * POINT, 4 * POINT), spend=70),
]


def row(rows, attribute, threshold, least, measure="proxy"):
    (found,) = (
        one
        for one in rows
        if (one.attribute, one.threshold_ppm, one.minimum_impressions, one.measure)
        == (attribute, threshold, least, measure)
    )
    return found


def test_the_table_by_hand() -> None:
    rows = coverage(ADS, PLAN)
    assert len(rows) == 2 * 2 * (1 + 3)
    sex = row(rows, "sex", 100_000, 300)
    assert (sex.ads, sex.within, sex.share_ppm) == (3, 2, 666_667)
    assert sex.share_of_impressions_ppm == 590_909  # 1,300 of 2,200
    assert sex.share_of_spend_ppm == 800_000
    assert row(rows, "sex", 50_000, 1_000).share_ppm == 1_000_000


def test_an_estimated_attribute_has_three_rows_and_the_promise_is_the_hardest() -> None:
    rows = coverage(ADS, PLAN)
    shares = [
        row(rows, "race", 100_000, 300, measure).within
        for measure in ("proxy", "deattenuated", "interval_upper")
    ]
    assert shares == [3, 3, 1]
    assert row(rows, "race", 50_000, 300).within == 3
    assert row(rows, "race", 50_000, 300, "deattenuated").within == 1


def test_exclusive_bounds_leave_out_what_lies_on_them() -> None:
    plan = msgspec.structs.replace(PLAN, inclusive=False)
    sex = row(coverage(ADS, plan), "sex", 100_000, 300)
    assert (sex.ads, sex.within) == (2, 1)
    assert excluded(ADS, plan).ads == 2


def test_what_is_left_out_is_said() -> None:
    left = excluded(ADS, PLAN)
    assert (left.ads, left.impressions, left.spend_nanos) == (1, 299, 7)
    assert left.minimum_impressions == 300


def test_an_ad_without_a_figure_is_not_within() -> None:
    none = ad("blind", 500, None, (None, None, POINT))
    interval_only = ad("wide", 500, 0, (POINT, None, 20 * POINT))
    rows = coverage([none, interval_only], PLAN)
    assert row(rows, "sex", 100_000, 300).unmeasured == 1
    assert row(rows, "sex", 100_000, 300).share_ppm == 500_000
    point = row(rows, "race", 100_000, 300, "deattenuated")
    assert (point.within, point.unmeasured, point.share_ppm) == (0, 2, 0)
    nothing = msgspec.structs.replace(none, figures={})
    assert row(coverage([nothing], PLAN), "race", 100_000, 300).unmeasured == 1


def test_no_ads_have_no_share() -> None:
    rows = coverage([], PLAN)
    assert all(one.share_ppm is None and one.ads == 0 for one in rows)
    assert excluded([], PLAN).ads == 0


def test_intersections_with_an_estimated_attribute_are_estimated() -> None:
    rows = coverage([], preset("united-states"))
    assert {one.measure for one in rows if one.attribute == "sex x race"} == {
        "proxy",
        "deattenuated",
        "interval_upper",
    }
    assert {one.measure for one in rows if one.attribute == "age"} == {"proxy"}


def test_by_people_is_said_in_every_row() -> None:
    assert {one.by for one in coverage(ADS, PLAN, by="people")} == {"people"}


def test_an_ad_that_comes_twice_is_refused() -> None:
    for table in (coverage, excluded):
        with pytest.raises(ValueError, match="edge twice"):
            table([ADS[1], ADS[1]], PLAN)


@given(
    st.lists(
        st.tuples(st.integers(0, 3_000), st.integers(0, 30 * POINT), st.integers(0, 10**12)),
        max_size=30,
    )
)
def test_shares_count_what_is_within_and_grow_with_the_threshold(drawn) -> None:
    ads = [
        ad(str(at), n, sex, (sex, sex, sex), spend=spend)
        for at, (n, sex, spend) in enumerate(drawn)
    ]
    rows = coverage(ads, PLAN)
    for least in PLAN.minimum_impressions:
        wide, narrow = (row(rows, "sex", tau, least) for tau in (100_000, 50_000))
        large = [one for one in drawn if one[0] >= least]
        assert wide.within == sum(one[1] <= 10 * POINT for one in large)
        assert wide.ads == len(large)
        assert wide.within >= narrow.within
        spend = sum(one[2] for one in large)
        if spend:
            inside = sum(one[2] for one in large if one[1] <= 10 * POINT)
            assert wide.share_of_spend_ppm == pytest.approx(inside / spend * 1e6, abs=0.51)
