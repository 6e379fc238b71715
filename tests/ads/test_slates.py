"""The places of a slate are sold in one auction, and every price recomputes three times over."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads import auction
from ringwork.ads.auction import clear
from ringwork.ads.events import AuctionCleared
from ringwork.ads.exchange.debts import open_accounts
from ringwork.ads.exchange.entrants import ad_id_of, join
from ringwork.ads.exchange.inbound import read
from ringwork.ads.model import Ask, Candidate, Placement
from ringwork.ads.rules import check_placement
from ringwork.console.views import price
from ringwork.kernel.ids import format_id
from ringwork.testing import invariants
from tests.ads.exchange.market import bid as outside_bid
from tests.ads.exchange.market import bidder, reply, request_to
from tests.ads.house import BANNER, SITE, House, changed, euros

WORTH = (1_000_000, 600_000, 200_000)


@pytest.fixture
def house():
    with House() as house:
        house.open()
        yield house


def slate(rule="vcg", *, count=3, floor_nanos=0):
    return [
        changed(
            BANNER, id=f"p#{number}", rule=rule, group="p", distinct=("creative",),
            slate_ppm=WORTH[number], floor_nanos=floor_nanos,
        )
        for number in range(count)
    ]  # fmt: skip


def bidders(house, *bids_nanos, **members):
    for number, bid_nanos in enumerate(bids_nanos):
        house.campaign(f"c{number}", bid_nanos=bid_nanos, **members)
        house.creative(f"n{number}", f"c{number}")


def recomputed(outcome):
    """By the auction itself, by ``verify`` in exact fractions, and by the console."""
    shown = price.recompute(outcome)
    assert shown is not None
    assert auction.recompute(outcome) == invariants.recompute(outcome)
    assert shown.price_nanos == outcome.price_nanos
    return auction.recompute(outcome)


def test_vcg_by_hand(house):
    """Bids 9, 8, 7 and 6 (millions) for places worth 1, .6 and .2.

    The first pays .4 * 8 + .4 * 7 + .2 * 6 = 7.2; the second (.4 * 7 + .2 * 6) / .6 = 6.67; the
    third 6.
    """
    bidders(house, 9_000_000, 8_000_000, 7_000_000, 6_000_000)
    outcomes, served = house.serve(*slate())
    assert [one.creative.id for one in served] == ["n0", "n1", "n2"]
    assert [one.price_nanos for one in served] == [7_200_000, 6_666_667, 6_000_000]
    assert [recomputed(one) for one in outcomes] == [
        (one.ad_id, one.price_nanos) for one in outcomes
    ]
    assert [one.slate_ppm for one in outcomes] == [list(WORTH), list(WORTH[1:]), list(WORTH[2:])]


@pytest.mark.parametrize(
    ("rule", "prices"),
    [("second", [8_000_000, 7_000_000]), ("gsp", [8_000_000, 7_000_000]), ("first", [9_000_000, 8_000_000])],
)  # fmt: skip
def test_the_other_rules(house, rule, prices):
    bidders(house, 9_000_000, 8_000_000, 7_000_000)
    outcomes, served = house.serve(*slate(rule, count=2))
    assert [one.price_nanos for one in served] == prices
    assert [recomputed(one)[1] for one in outcomes] == prices


def test_a_campaign_has_one_place_of_a_slate_and_sets_itself_no_price(house):
    """Both ads of the first outbid the others; the second would have set the price of the first."""
    house.campaign("two", bid_nanos=9_000_000)
    house.creative("b0", "two")
    house.creative("b1", "two")
    bidders(house, 8_000_000, 7_000_000)
    outcomes, served = house.serve(*slate("gsp"))
    assert [one.creative.id for one in served] == ["b0", "n0", "n1"]
    assert [recomputed(one)[1] for one in outcomes][:2] == [8_000_000, 7_000_000]


def test_a_campaign_that_cannot_pay_leaves_the_slate(house):
    house.campaign("poor", bid_nanos=9_000_000, budget=euros(9_000_000))
    house.creative("b0", "poor")
    bidders(house, 8_000_000, 7_000_000, 6_000_000)
    first, _ = house.serve(*slate("first"))
    assert [one.ad_id for one in first] == ["b0", "n0", "n1"]
    outcomes, served = house.serve(*slate("first"))
    assert [one.creative.id for one in served] == ["n0", "n1", "n2"]
    assert [recomputed(one)[1] for one in outcomes] == [8_000_000, 7_000_000, 6_000_000]


def test_competitors_stand_in_no_slate_together(house):
    """The first two share a label: the third takes the second place, but the second sets a price."""
    for name, bid_nanos in (("c0", 9_000_000), ("c1", 8_000_000)):
        house.campaign(name, bid_nanos=bid_nanos, exclusion_labels=["cars"])
        house.creative(f"{name}.a", name)
    house.campaign("c2", bid_nanos=7_000_000)
    house.creative("c2.a", "c2")
    outcomes, served = house.serve(*slate(count=2))
    assert [one.creative.id for one in served] == ["c0.a", "c2.a"]
    assert served[0].price_nanos == 8_000_000, "once its rival is there, no place is left to it"
    assert outcomes[0].slate_ppm == [WORTH[0]]
    assert [recomputed(one)[1] for one in outcomes] == [one.price_nanos for one in outcomes]


OUTSIDE = st.lists(st.tuples(st.integers(1, 9_000), st.integers(0, 3)), max_size=6)


@given(
    st.lists(st.integers(1, 9_000), max_size=4), OUTSIDE, st.sampled_from(["gsp", "vcg", "first"]),
    st.integers(2, 3), st.integers(0, 4_000),
)  # fmt: skip
def test_outside_bids_are_sold_as_the_rule_sells_among_all(own, outside, rule, count, floor_micros):
    """The oracle is ``clear`` over everybody at once; ``verify`` recomputes in fractions."""
    slots, floor_nanos = (
        slate(rule, count=count, floor_nanos=floor_micros * 1000),
        floor_micros * 1000,
    )
    asked = Ask(request_id=bytes(16), source="native", context=SITE, slots=tuple(slots))
    made = (
        outside_bid(id=f"b{number}", impid=str(number % count), price=cpm / 1000, crid=f"k{crid}")
        for number, (cpm, crid) in enumerate(outside)
    )
    bids = read(reply(*made, id=format_id(bytes(16))), request_to(asked=asked)).bids
    with House() as house:
        house.open()
        house.do(lambda c: open_accounts(c, house.ledger, [bidder()], currency="EUR"))
        bidders(house, *(cpm * 1000 for cpm in own))

        def sell(command):
            page = house.ads.begin(asked, bytes(16), now_s=command.now_s)
            shortlist = house.ads.candidates(asked, slots[0], page, now_s=command.now_s)
            joined = join(shortlist, bids, slots[0], page, currency="EUR").shortlist
            ranked = house.ads.rank(joined, slots[0], page)
            sold = house.ads.clear(
                command, asked, slots, page, joined, ranked, auction_id=bytes(16)
            )
            return [one for one, _ in sold], joined

        outcomes, joined = house.do(sell)
    creative = {ad_id_of(one): one.creative_id for one in bids}
    expected = clear(
        [one.candidate for one in joined.ranked], slot_ppm=WORTH[:count], rule=rule,
        reserve_nanos=floor_nanos, advertisers=creative,
    )  # fmt: skip
    won = [one for one in outcomes if one.impression_id is not None]
    assert [(one.ad_id, one.price_nanos) for one in won] == [
        (one.ad_id, one.price_nanos) for one in expected
    ]
    for outcome in won:
        assert auction.recompute(outcome) == invariants.recompute(outcome)
        assert auction.recompute(outcome) == (outcome.ad_id, outcome.price_nanos)


def test_a_bidder_without_its_account_leaves_the_slate(house):
    asked = Ask(request_id=bytes(16), source="native", context=SITE, slots=tuple(slate(count=2)))
    bidders(house, 2_000_000)
    (one,) = read(
        reply(outside_bid(price=9.0), id=format_id(bytes(16))), request_to(asked=asked)
    ).bids

    def sell(command):
        page = house.ads.begin(asked, bytes(16), now_s=command.now_s)
        shortlist = house.ads.candidates(asked, asked.slots[0], page, now_s=command.now_s)
        joined = join(shortlist, [one], asked.slots[0], page, currency="EUR").shortlist
        return house.ads.clear(
            command, asked, asked.slots, page, joined, joined.ranked, auction_id=bytes(16)
        )

    ((outcome, _),) = house.do(sell)
    assert (outcome.ad_id, outcome.excluded["budget"]) == ("n0", 1)


def test_who_is_asked_first_takes_one_place_and_the_rest_is_auctioned(house):
    house.campaign("first", bid_nanos=1_000_000, priority="sponsorship", share_ppm=1_000_000)
    house.creative("s", "first")
    bidders(house, 9_000_000, 8_000_000, 7_000_000)
    outcomes, served = house.serve(*slate())
    assert [one.creative.id for one in served] == ["s", "n0", "n1"]
    assert [one.rule for one in outcomes] == ["priority", "vcg", "vcg"]
    assert outcomes[1].slate_ppm == list(WORTH[1:])


def test_what_verify_reads_of_the_log_is_what_was_meant(house):
    """The second reader has structs of its own, matched by position alone."""
    bidders(house, 9_000_000, 8_000_000, 7_000_000, 6_000_000)
    outcomes, _ = house.serve(*slate())
    [cleared] = house.payloads(AuctionCleared)
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(cleared), type=invariants._Auction)
    assert [one.slate_ppm for one in read.slots] == [list(WORTH), list(WORTH[1:]), list(WORTH[2:])]
    assert [invariants.recompute(one) for one in read.slots] == [
        (one.ad_id, one.price_nanos) for one in outcomes
    ]


def test_the_log_says_the_size_that_the_model_saw(house):
    """Of a place that takes several sizes it is the first, whatever the ad's own is."""
    bidders(house, 9_000_000)  # 300 by 250
    [outcome], _ = house.serve(changed(BANNER, sizes=((320, 50), *BANNER.sizes)))
    assert (outcome.ad_id, outcome.width, outcome.height) == ("n0", 320, 50)


def test_places_that_nobody_takes(house):
    bidders(house, 9_000_000)
    outcomes, served = house.serve(*slate(floor_nanos=3_000_000))
    assert [one.creative.id for one in served] == ["n0"]
    assert [one.ad_id for one in outcomes] == ["n0", "", ""]
    assert served[0].price_nanos == 3_000_000
    [cleared] = house.payloads(AuctionCleared)
    assert len(cleared.slots) == 3


@given(
    st.lists(st.integers(1_600_000, 9_000_000), max_size=6),
    st.sampled_from(["gsp", "vcg", "first", "second"]),
    st.integers(1, 3),
    st.sampled_from([0, 2_500_000]),
)
def test_a_slate_is_the_auction_of_its_bids(bids_nanos, rule, count, floor_nanos):
    with House() as house:
        house.open()
        bidders(house, *bids_nanos)
        outcomes, served = house.serve(*slate(rule, count=count, floor_nanos=floor_nanos))
    bids = enumerate(bids_nanos)
    expected = clear(
        [Candidate(ad_id=f"n{number}", bid_nanos=bid_nanos) for number, bid_nanos in bids],
        slot_ppm=WORTH[:count],
        rule="gsp" if rule == "second" else rule,
        reserve_nanos=floor_nanos,
    )
    assert [(one.creative.id, one.price_nanos) for one in served] == [
        (one.ad_id, one.price_nanos) for one in expected
    ]
    for outcome in outcomes:
        if outcome.ad_id:
            assert recomputed(outcome) == (outcome.ad_id, outcome.price_nanos)


def test_a_placement_says_what_its_places_are_worth(house):
    def faults(**members):
        place = Placement(id="p", publisher_id="pub", format="native", **members)
        return [one.pointer for one in check_placement(house.catalogue, place)]

    assert faults(slots=3, places_ppm=list(WORTH)) == []
    assert faults(slots=3) == []
    assert faults(slots=2, places_ppm=list(WORTH)) == ["/places_ppm"]
    assert faults(slots=2, places_ppm=[500_000, 1_000_000]) == ["/places_ppm"]
