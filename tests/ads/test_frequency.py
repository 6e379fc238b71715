"""Frequency caps: what one visit may be shown, and what happens where nobody says which it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.auction import recompute
from ringwork.ads.model import Ask, FrequencyCap
from ringwork.ads.settings import AdsSettings
from tests.ads.house import BANNER, SITE, House, changed

ONCE_AN_HOUR = FrequencyCap(impressions=1, window_s=3600)


@pytest.fixture
def house():
    with House() as house:
        house.open()
        yield house


def capped(house: House, *caps: FrequencyCap, id: str = "capped", ads: int = 1) -> None:
    house.campaign(id, bid_nanos=9_000_000, frequency_caps=list(caps))
    for number in range(ads):
        house.creative(f"{id}-{number}", id)


def free(house: House) -> None:
    house.campaign("free")
    house.creative("free-ad", "free")


def sold(house: House, visit: str, *slots) -> list[str]:
    return [one.campaign_id for one in house.serve(*slots, visit=visit)[1]]


def slate(count: int) -> list:
    return [
        changed(BANNER, id=str(n), group="s", slate_ppm=10**6, distinct=("creative",), rule="vcg")
        for n in range(count)
    ]


def test_a_visit_sees_a_capped_campaign_as_often_as_its_cap_says(house):
    capped(house, FrequencyCap(impressions=2, window_s=3600))
    free(house)
    assert [sold(house, "v")[0] for _ in range(4)] == ["capped", "capped", "free", "free"]
    assert sold(house, "another") == ["capped"], "every visit counts for itself"
    [outcome], _ = house.serve(visit="v")
    assert outcome.excluded == {"frequency": 1}


def test_a_cap_of_the_advertiser_counts_what_its_other_campaigns_showed(house):
    capped(house, FrequencyCap(impressions=1, window_s=3600, per="advertiser"))
    house.campaign("other", bid_nanos=10_000_000)
    house.creative("other-ad", "other")
    assert [sold(house, "v")[0] for _ in range(2)] == ["other", "other"]
    [outcome], _ = house.serve(visit="v")
    assert outcome.excluded == {"frequency": 1}, "it was shown by none of its own"


def test_a_cap_s_window_passes(house):
    capped(house, ONCE_AN_HOUR)
    assert sold(house, "v") == ["capped"]
    house.clock.advance_us(3599 * 1_000_000)
    assert sold(house, "v") == []
    house.clock.advance_us(1_000_000)
    assert sold(house, "v") == ["capped"]


def test_a_visit_ends_and_what_it_saw_is_forgotten():
    """A cap of a day holds within the visit: in the next one nobody is recognised."""
    with House(AdsSettings(visit_window_s=600)) as house:
        house.open()
        capped(house, FrequencyCap(impressions=1, window_s=86_400))
        assert sold(house, "v") == ["capped"]
        house.clock.advance_us(601 * 1_000_000)
        assert sold(house, "v") == ["capped"]


def test_without_a_visit_a_cap_cannot_hold_so_the_campaign_stays_out(house):
    capped(house, FrequencyCap(impressions=1000, window_s=60))
    free(house)
    [outcome], [served] = house.serve()
    assert (served.campaign_id, outcome.excluded) == ("free", {"frequency": 1})
    assert sold(house, "v") == ["capped"]


def test_an_exchange_names_no_visit(house):
    capped(house, ONCE_AN_HOUR)
    ask = Ask(request_id=house.ids.new(), source="openrtb", context=SITE, slots=(BANNER,))
    assert house.ads.rehearse(ask, now_s=house.now_s) == []


def test_the_slots_of_one_request_are_of_one_visit(house):
    capped(house, ONCE_AN_HOUR, ads=2)
    free(house)
    slots = [changed(BANNER, id=str(n), group="g", distinct=("creative",)) for n in range(3)]
    assert sold(house, "v", *slots) == ["capped", "free"]


@pytest.mark.parametrize("per", ["campaign", "advertiser"])
def test_a_slate_holds_no_two_ads_of_a_capped_owner_and_prices_that(house, per):
    """Two ads of one capped campaign bid 9, another campaign 2 and a third 1: the capped one is
    not priced by its own second ad."""
    capped(house, FrequencyCap(impressions=5, window_s=3600, per=per), ads=2)
    free(house)
    house.campaign("third", bid_nanos=1_000_000)
    house.creative("third-ad", "third")
    outcomes, served = house.serve(*slate(3), visit="v")
    assert [one.campaign_id for one in served] == ["capped", "free", "third"]
    assert [recompute(one) for one in outcomes if one.ad_id] == [
        (one.creative.id, one.price_nanos) for one in served
    ]


@given(st.integers(1, 4), st.lists(st.sampled_from(["a", "b", ""]), max_size=12))
def test_no_visit_is_shown_more_than_the_cap(impressions, visits):
    with House() as house:
        house.open()
        capped(house, FrequencyCap(impressions=impressions, window_s=3600))
        seen = [(visit, sold(house, visit)) for visit in visits]
    for visit in ("a", "b"):
        mine = [shown for name, shown in seen if name == visit]
        assert sum(map(len, mine)) == min(len(mine), impressions)
    assert not any(shown for name, shown in seen if not name)
