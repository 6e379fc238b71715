"""Scores that another part moves: who wins then, at what price, and that the log recomputes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.auction import recompute
from ringwork.ads.events import AuctionCleared
from ringwork.ads.model import Ask
from ringwork.kernel.steering import MULTIPLIER_MAX_PPM, SHIFT_MAX_NANOS, Shift
from ringwork.kernel.viewer import NOBODY
from tests.ads.house import BANNER, SITE, House, changed


class Told:
    """A part that answers the same to every auction, and remembers what it was told."""

    def __init__(self, **shifts: Shift) -> None:
        self.shifts = shifts
        self.heard = []

    def __call__(self, place, offers):
        self.heard.append((place, list(offers)))
        return self.shifts


def town(told: Told | None, *bids_nanos: int, **members) -> House:
    """Campaigns c0, c1, ... with an ad each: a0, a1, ..."""
    house = House(steer=told)
    house.open()
    for number, bid_nanos in enumerate(bids_nanos):
        house.campaign(f"c{number}", bid_nanos=bid_nanos, **members)
        house.creative(f"a{number}", f"c{number}")
    return house


def test_a_shift_is_inside_the_price():
    """Bids 2.0 and 1.5; the second is moved up by 0.8, to 2.3. It pays what keeps it at 2.0 (its ad
    id is the later one, so one nano more): 2.0 - 0.8 = 1.2."""
    with town(Told(a1=Shift(shift_nanos=800_000)), 2_000_000, 1_500_000) as house:
        [outcome], [served] = house.serve()
        assert (served.creative.id, served.price_nanos) == ("a1", 1_200_001)
        assert recompute(outcome) == ("a1", 1_200_001)
        assert [(one.ad_id, one.shift_nanos) for one in outcome.considered] == [
            ("a1", 800_000), ("a0", 0),
        ]  # fmt: skip


def test_a_multiplier_is_inside_the_price():
    """2.0 at half is 1.0; 1.5 wins and pays 1.0, and a nano for its later id."""
    with town(Told(a0=Shift(multiplier_ppm=500_000)), 2_000_000, 1_500_000) as house:
        [outcome], [served] = house.serve()
        assert (served.creative.id, served.price_nanos) == ("a1", 1_000_001)
        assert recompute(outcome) == ("a1", 1_000_001)


def test_the_reserve_holds_whatever_the_shift():
    with town(Told(a0=Shift(shift_nanos=5_000_000)), 2_000_000) as house:
        [outcome], [served] = house.serve(changed(BANNER, floor_nanos=1_700_000))
        assert served.price_nanos == 1_700_000
        assert recompute(outcome) == ("a0", 1_700_000)
        assert house.serve(changed(BANNER, floor_nanos=2_000_001))[1] == []


@pytest.mark.parametrize("shift", [Shift(multiplier_ppm=0), Shift(shift_nanos=-2_000_000)])
def test_who_has_no_score_left_is_out_and_the_log_says_why(shift):
    with town(Told(a0=shift), 2_000_000, 1_500_000) as house:
        [outcome], [served] = house.serve()
        assert (served.creative.id, outcome.eligible) == ("a1", 1)
        assert outcome.excluded == {"steered": 1}
    with town(Told(a0=shift), 2_000_000) as house:
        [outcome], served = house.serve()
        assert (served, outcome.excluded, recompute(outcome)) == ([], {"steered": 1}, None)


def test_it_is_told_where_and_who_competes_and_nothing_of_who_looks():
    told = Told()
    with town(told, 2_000_000) as house:
        house.serve(visit="v")
    [(place, [offer])] = told.heard
    assert (place.publisher_id, place.format, place.region) == ("pub", "banner", "PRT-11")
    assert (offer.ad_id, offer.campaign_id, offer.advertiser_id) == ("a0", "c0", "adv")
    assert (offer.value_nanos, offer.score_nanos) == (2_000_000, 2_000_000)
    assert place.cluster == -1, "nobody made one"
    assert set(place.__struct_fields__) == {
        "publisher_id", "placement_id", "format", "region", "cluster",
    }  # fmt: skip


def test_whoever_is_asked_before_or_after_the_auction_keeps_its_place():
    told = Told(a0=Shift(shift_nanos=10**12), first=Shift(multiplier_ppm=0))
    with town(told, 2_000_000) as house:
        house.campaign("sponsor", priority="sponsorship", share_ppm=1_000_000, bid_nanos=5)
        house.creative("first", "sponsor")
        [outcome], [served] = house.serve()
        assert (served.creative.id, outcome.rule, served.price_nanos) == ("first", "priority", 5)
        assert [one.ad_id for one in told.heard[0][1]] == ["a0"]


def test_a_shift_reaches_further_down_than_a_price_does():
    """The ninth of nine: without a part that moves scores the list ends before it."""
    bids = [9_000_000 - 1_000 * n for n in range(20)]
    with town(Told(a19=Shift(shift_nanos=10**9)), *bids) as house:
        [outcome], [served] = house.serve()
        assert (served.creative.id, len(outcome.considered)) == ("a19", 8)
        assert recompute(outcome) == (served.creative.id, served.price_nanos)
    with town(None, *bids) as house:
        assert len(house.serve()[0][0].considered) == 8


def test_who_wins_by_its_shift_alone_pays_the_reserve():
    with town(Told(a1=Shift(shift_nanos=10**9)), 2_000_000, 1_500_000) as house:
        [outcome], [served] = house.serve(changed(BANNER, floor_nanos=300_000))
        assert (served.creative.id, served.price_nanos) == ("a1", 300_000)
        [free], [given] = house.serve()
        assert (given.price_nanos, house.impression(given.tokens["impression"])) == (0, "recorded")
        assert [recompute(one) for one in (outcome, free)] == [("a1", 300_000), ("a1", 0)]


def test_the_flow_has_it_between_rank_and_clear():
    told = Told(a1=Shift(shift_nanos=800_000))
    with town(told, 2_000_000, 1_500_000) as house:
        serve = house.flow()
        ask = Ask(request_id=house.ids.new(), source="openrtb", context=SITE, slots=(BANNER,))
        [served] = house.loop.run_until_complete(serve(ask, NOBODY)).served
        assert (served.creative.id, served.price_nanos) == ("a1", 1_200_001)
        [rehearsed] = house.ads.rehearse(ask, now_s=house.now_s)
        assert (rehearsed.creative.id, rehearsed.price_nanos) == ("a1", 1_200_001)


def test_a_drawn_winner_that_was_moved_has_no_propensity():
    told = Told()
    with town(told, 10**9, 10**9, pricing="cpc") as house:
        ask = Ask(request_id=house.ids.new(), source="native", context=SITE, slots=(BANNER,))
        for shifts, kept in (({}, 7), ({"a1": Shift(shift_nanos=10**9)}, 0)):
            told.shifts = shifts
            page = house.ads.begin(ask, house.ids.new(), now_s=house.now_s)
            shortlist = house.ads.candidates(ask, BANNER, page, now_s=house.now_s)
            page.propensity_ppb = 7
            house.ads.steer(ask, BANNER, page, shortlist, shortlist.ranked)
            assert page.propensity_ppb == kept


@pytest.mark.parametrize(
    "members",
    [
        {"multiplier_ppm": -1},
        {"multiplier_ppm": MULTIPLIER_MAX_PPM + 1},
        {"shift_nanos": SHIFT_MAX_NANOS + 1},
        {"shift_nanos": -SHIFT_MAX_NANOS - 1},
    ],
)
def test_a_move_has_bounds(members):
    with pytest.raises(ValueError, match="expected a"):
        Shift(**members)


shifts = st.builds(
    Shift,
    multiplier_ppm=st.integers(0, 3_000_000),
    shift_nanos=st.integers(-3_000_000, 3_000_000),
)


@given(
    st.lists(st.integers(1, 5_000_000), min_size=1, max_size=12),
    st.dictionaries(st.sampled_from([f"a{n}" for n in range(12)] + ["nobody"]), shifts),
    st.sampled_from(["first", "second", "gsp", "vcg"]),
    st.integers(0, 2_000_000),
    st.integers(1, 3),
)
def test_the_winner_is_the_one_of_the_moved_scores_and_its_price_recomputes(
    bids, given_shifts, rule, floor_nanos, count
):
    with town(Told(**given_shifts), *bids) as house:
        if count > 1:
            slots = [
                changed(
                    BANNER, id=str(n), group="s", slate_ppm=10**6 // n, floor_nanos=floor_nanos,
                    rule=rule, distinct=("creative",),
                )
                for n in range(1, count + 1)
            ]  # fmt: skip
        else:
            slots = [changed(BANNER, rule=rule, floor_nanos=floor_nanos)]
        outcomes, served = house.serve(*slots, context=SITE)
        logged = house.payloads(AuctionCleared)[-1].slots
    moved = []
    for number, bid in enumerate(bids):
        move = given_shifts.get(f"a{number}", Shift())
        score = bid * move.multiplier_ppm // 10**6 + move.shift_nanos
        if bid >= floor_nanos and score > 0 and move.multiplier_ppm:
            moved.append((-score, f"a{number}"))
    assert [one.creative.id for one in served] == [id for _, id in sorted(moved)[:count]]
    for one in served:
        assert one.price_nanos <= bids[int(one.creative.id[1:])]
    for outcome in logged:
        if outcome.ad_id:
            assert recompute(outcome) == (outcome.ad_id, outcome.price_nanos)
    assert outcomes == logged
