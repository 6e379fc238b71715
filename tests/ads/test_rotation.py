"""Which ad of a campaign is shown, how often, and that a campaign does not bid against itself."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.auction import recompute
from ringwork.ads.priorities import ONE_PPM
from ringwork.ads.rotation import chosen
from tests.ads.house import BANNER, House, changed
from tests.ads.openrtb.wire import creative


@pytest.fixture
def house():
    with House() as house:
        house.open()
        house.campaign("c1", bid_nanos=3_000_000)
        yield house


def shown(house: House, times: int, *slots) -> Counter:
    return Counter(one.creative.id for _ in range(times) for one in house.serve(*slots)[1])


def test_a_campaign_does_not_set_its_own_price(house):
    house.creative("a1", "c1")
    house.creative("a2", "c1")
    house.campaign("c2", bid_nanos=1_000_000)
    house.creative("b1", "c2")
    [outcome], [served] = house.serve()
    assert served.campaign_id == "c1"
    assert served.price_nanos in (1_000_000, 1_000_001 - (served.creative.id < "b1"))
    assert recompute(outcome) == (served.creative.id, served.price_nanos)
    assert outcome.excluded == {"rotation": 1}
    assert len(outcome.considered) == 2


def test_equal_ads_are_shown_alike_and_weighted_ones_by_their_weights(house):
    house.creative("a1", "c1")
    house.creative("a2", "c1")
    seen = shown(house, 400)
    assert abs(seen["a1"] - 200) < 50
    house.creative("a3", "c1", weight=2)
    seen = shown(house, 400)
    assert abs(seen["a3"] - 200) < 50
    assert abs(seen["a1"] - 100) < 40


def test_of_ads_with_equal_weights_the_better_is_shown(house):
    house.creative("a1", "c1")
    house.creative("a2", "c1", quality_ppm=1_100_000)
    assert shown(house, 20) == {"a2": 20}
    house.creative("a0", "c1", weight=3)
    assert set(shown(house, 60)) == {"a0", "a1", "a2"}, "weights that differ say how often"


def test_only_ads_that_fit_the_place_take_turns(house):
    house.creative("a1", "c1")
    house.creative("big", "c1", width=970, height=250, weight=1000)
    assert shown(house, 20) == {"a1": 20}


def test_ads_past_the_end_of_the_list_have_their_turn_and_leave_room_for_others(house):
    for number in range(12):
        house.creative(f"a{number:02}", "c1")
    house.campaign("c2", bid_nanos=1_000_000)
    house.creative("b1", "c2")
    assert len(shown(house, 300)) == 12
    [outcome], [served] = house.serve()
    assert [one.campaign_id for one in outcome.considered] == ["c1", "c2"]
    assert served.price_nanos <= 1_000_001


def test_a_campaign_of_thousands_of_ads_for_one_place_is_no_bigger_question():
    """A query has 4,096 numbers at most (``scan.QUERY_MAX``)."""
    with House() as house:
        house.open()
        house.campaign("c1")
        for number in range(4_200):
            house.creative(f"a{number}", "c1")
        [outcome], [_] = house.serve()
        assert (outcome.eligible, len(outcome.considered)) == (1, 1)


def test_the_same_request_has_the_same_turn_on_replay(house):
    house.creative("a1", "c1")
    house.creative("a2", "c1")
    slots = [changed(BANNER, id=str(n)) for n in range(2)]
    outcomes, _ = house.serve(*slots)
    assert [recompute(one)[0] for one in outcomes] == [one.ad_id for one in outcomes]


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=6),
    st.integers(0, ONE_PPM - 1),
)
def test_shares_are_the_weights(ads, drawn):
    """By counting: of as many draws as the weights sum to, spread evenly, each has its weight."""
    fitting = sorted(
        ((creative(weight=weight), score) for weight, score in ads), key=lambda one: -one[1]
    )
    assert 0 <= chosen(fitting, drawn) < len(fitting)
    weights = [one.weight for one, _ in fitting]
    if len(set(weights)) == 1:
        weights = [int(score == fitting[0][1]) for _, score in fitting]
    total = sum(weights)
    draws = [(2 * n + 1) * ONE_PPM // (2 * total) for n in range(total)]
    assert Counter(chosen(fitting, one) for one in draws) == {
        position: weight for position, weight in enumerate(weights) if weight
    }


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 2)), min_size=1, max_size=14
    )
)
def test_the_list_is_the_best_of_one_ad_of_each_campaign(campaigns):
    """By brute force: with equal weights the best ad of each campaign, then the best eight."""
    with House() as house:
        house.open()
        expected = []
        for number, (bid, ads, qualities) in enumerate(campaigns):
            house.campaign(f"c{number}", bid_nanos=bid * 1_000_000)
            for one in range(ads):
                quality_ppm = 1_000_000 + one % qualities * 100_000
                house.creative(f"a{number}-{one}", f"c{number}", quality_ppm=quality_ppm)
            best = bid * (1_000_000 + min(ads - 1, qualities - 1) * 100_000)
            expected.append((-best, f"c{number}"))
        [outcome], _ = house.serve()
    found = [(one.score_nanos, one.campaign_id) for one in outcome.considered]
    assert len({campaign for _, campaign in found}) == len(found)
    assert [score for score, _ in found] == [-score for score, _ in sorted(expected)][:8]
